//! The jobs of the queue: a commit with the function that works out its effects, or work that needs the log alone.

use std::rc::Rc;

use futures_channel::oneshot;

use super::pump::Answer;
use crate::engine::door::Effects;
use crate::error::Error;
use crate::lsm::{Attempt, Change, Installation, Lsm, State, TreeView, UnnamedRun};
use crate::storage::Durability;
use crate::types::Lsn;

/// The present as a commit that is evaluated sees it: everything before it is in `view`, up to `at`.
pub struct Present<'a> {
    pub view: TreeView<'a>,
    pub state: &'a State,
    pub at: Lsn,
}

/// Works out what to write. It may be asked again: after fetching blocks, and after another tab was first.
pub type Evaluate = Box<dyn FnMut(&Present<'_>) -> Attempt<Effects>>;

pub struct Job {
    pub work: Work,
    pub durability: Durability,
    pub reply: oneshot::Sender<Answer>,
    /// A large commit's rows, once written ahead of its record.
    pub ahead: Option<Ahead>,
    /// A block that it needs cannot be had: it is not evaluated any more.
    pub failed: Option<Error>,
    /// Under whose id it commits, once it has pleaded to go first.
    pub plea: Option<Rc<Pleading>>,
}

pub enum Work {
    Commit(Evaluate),
    /// Something that needs the log and the manifest to itself.
    Exclusive(Option<Exclusive>),
}

/// Work that is done in the pipeline's turn, with nothing staged.
pub enum Exclusive {
    /// Take in the commits of other tabs. True: there were some.
    Refresh,
    /// Swap the manifest. False: another tab changed the same thing.
    Install(Box<Installation>),
    /// Append a plea for the commit of this id.
    Plead(u64),
}

pub struct Ahead {
    pub changes: Rc<Vec<Change>>,
    pub run: Rc<UnnamedRun>,
}

pub fn size(changes: &[Change]) -> usize {
    changes.iter().map(|Change(row, version)| row.len() + version.len() + 8).sum()
}

/// The plea of one commit, or of one run of a transaction. Dropping it takes the plea back.
pub struct Pleading {
    pub lsm: Rc<Lsm>,
    pub id: u64,
}

impl Drop for Pleading {
    fn drop(&mut self) {
        self.lsm.with_mut(|state| state.pleas.end_own(self.id));
    }
}
