//! Pleas: records that count for nobody, by which a tab asks the others to let one commit go first.
//!
//! A tab that appends without asking may lose to a quicker one every time. After some losses it appends a plea with the
//! id of the commit that is to come. Whoever has read a plea holds back what it would append itself.
//!
//! ```text
//! log:  A   X, void   X, void   X, void   plea for X   B   X, void   X
//! ```
//! B's writer had not read the plea. But its append stands behind the plea, so it reads it at once: its next append
//! comes after X. So each other tab is first once more at most. Pleas are served in the order of the log; all tabs read
//! the same one.
//!
//! A plea is forgotten when its commit counts, when its own tab gives it up, when whoever holds back has waited long
//! enough, and when many records follow it: its writer is dead then. One that was trimmed before it was read is not
//! heeded; its writer appends another one.

use super::record::{Commit, Record};
use crate::planted::{self, Bug};

/// A plea is chained to no record. With the first LSN of all, it is void for everybody who has read any record.
const PREVIOUS: u64 = u64::MAX;
const FIRST: u64 = 1;
/// So many records may follow a plea that stands. Of a tab that knows it none follows.
const FOLLOWED: u32 = 64;
/// So many stand at once: one for each tab that commits, and more.
const MOST: usize = 16;

/// The pleas that this engine knows and that are not served yet, in the log's order.
#[derive(Default)]
pub struct Pleas {
    standing: Vec<Standing>,
    /// The ids of those that this engine has made, and still waits for.
    own: Vec<u64>,
}

struct Standing {
    id: u64,
    followed: u32,
}

impl Pleas {
    /// Takes in a plea that was read. One that is there already keeps its place.
    pub(super) fn take_in(&mut self, id: u64) {
        if self.standing.len() < MOST && self.standing.iter().all(|plea| plea.id != id) {
            self.standing.push(Standing { id, followed: 0 });
        }
    }

    /// A record counts that has commits of these ids.
    pub(super) fn follow(&mut self, commits: &[Commit]) {
        self.standing.retain_mut(|plea| {
            plea.followed += 1;
            plea.followed <= FOLLOWED && commits.iter().all(|commit| commit.id != plea.id)
        });
    }

    /// From here on the plea of this id, once it is read, is this engine's own.
    pub fn begin_own(&mut self, id: u64) {
        self.own.push(id);
    }

    pub fn end_own(&mut self, id: u64) {
        self.own.retain(|own| *own != id);
        self.forget(id);
    }

    /// Forgets a plea: whoever holds back for it has waited long enough.
    pub fn forget(&mut self, id: u64) {
        self.standing.retain(|plea| plea.id != id);
    }

    pub fn stands(&self, id: u64) -> bool {
        self.standing.iter().any(|plea| plea.id == id)
    }

    /// The plea that goes before anything of this engine: the first, unless it is its own.
    pub fn to_heed(&self) -> Option<u64> {
        let first = self.standing.first().map(|plea| plea.id);
        first.filter(|id| !self.own.contains(id) && !planted::is(Bug::PleaNotHeeded))
    }
}

/// The record of a plea for the commit `id`.
pub(super) fn record_of(store: u64, id: u64) -> Record {
    let commits = vec![Commit { id, ..Commit::default() }];
    Record { store, first: FIRST, previous: PREVIOUS, commits }
}

/// The plea's id, if the record is one.
pub(super) fn id_of(record: &Record) -> Option<u64> {
    let [commit] = &record.commits[..] else { return None };
    (record.first == FIRST && record.previous == PREVIOUS).then_some(commit.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(id: u64) -> Commit {
        Commit { id, ..Commit::default() }
    }

    fn standing(pleas: &Pleas) -> Vec<u64> {
        pleas.standing.iter().map(|plea| plea.id).collect()
    }

    #[test]
    fn pleas_are_served_in_the_order_in_which_they_came() {
        let mut pleas = Pleas::default();
        for id in [3, 1, 2, 3] {
            pleas.take_in(id);
        }
        assert_eq!(pleas.to_heed(), Some(3));
        pleas.begin_own(1);
        pleas.follow(&[commit(7), commit(3)]);
        assert_eq!(pleas.to_heed(), None, "its own is first");
        pleas.end_own(1);
        assert_eq!(standing(&pleas), [2]);
    }

    #[test]
    fn a_plea_is_forgotten_that_many_records_follow_and_no_more_stand_than_a_list_holds() {
        let mut pleas = Pleas::default();
        (0..100).for_each(|id| pleas.take_in(id));
        assert_eq!(pleas.standing.len(), MOST);
        (0..FOLLOWED).for_each(|_| pleas.follow(&[commit(1000)]));
        assert_eq!(pleas.standing.len(), MOST);
        pleas.follow(&[commit(1000)]);
        assert!(standing(&pleas).is_empty());
    }
}
