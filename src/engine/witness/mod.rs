//! The witness: texts about a store that are written down outside of it, so that a store which comes back empty or
//! older than it was is told from a new one. A host wipes a damaged store and goes on without a word; the witness tells
//! of the loss.
//!
//! It is a set of short texts. A store adds one, only after its own commit is complete, and strikes out its older ones,
//! so two tabs need no lock: the greatest counts. Destroying a store marks it as gone first, so its own late texts say
//! nothing.
//!
//! It does not know: catalog, rows, door, op, handle, compare, copy, transact, clones, merge, transfer, upkeep, store.

mod turn;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use crate::engine::core::Core;
use crate::error::Error;
use crate::lsm::State;
use crate::planted::{self, Bug};
use crate::platform::Platform;
use crate::storage::Durability;
use crate::types::Lsn;
use turn::Turns;

/// A pause after the last commit, in milliseconds, before the commit is written down.
const IDLE: u64 = 1000;
/// A pause before flushed commits are written down, so that many of them share one text.
const PAUSE: u64 = 250;
/// Marks of destroyed stores that are kept: a late text comes within seconds.
const MARKS: usize = 8;

/// The statement of one text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Text {
    /// The store had these commits; up to `durable` the host had flushed them.
    Head {
        store: u64,
        durable: Lsn,
        head: Lsn,
        hash: u64,
    },
    Gone {
        store: u64,
        time: u64,
    },
    /// An opening has found that so many commits are lost, the last of them with this hash, and has not yet told it.
    Lost {
        store: u64,
        commits: u64,
        hash: u64,
    },
}

impl Text {
    fn write(self) -> String {
        match self {
            Text::Head { store, durable, head, hash } => {
                format!("head-{store:016x}-{}-{}-{hash:016x}", durable.to_text(), head.to_text())
            }
            Text::Gone { store, time } => format!("gone-{store:016x}-{time:x}"),
            Text::Lost { store, commits, hash } => format!("lost-{store:016x}-{commits:x}-{hash:016x}"),
        }
    }

    fn read(text: &str) -> Option<Text> {
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        match text.split('-').collect::<Vec<_>>()[..] {
            ["lost", store, commits, hash] => {
                Some(Text::Lost { store: number(store)?, commits: number(commits)?, hash: number(hash)? })
            }
            ["gone", store, time] => Some(Text::Gone { store: number(store)?, time: number(time)? }),
            ["head", store, durable, head, hash] => Some(Text::Head {
                store: number(store)?,
                durable: Lsn::from_text(durable)?,
                head: Lsn::from_text(head)?,
                hash: number(hash)?,
            }),
            _ => None,
        }
    }
}

/// All that is written down under a store's name.
#[derive(Clone, Default, Debug)]
pub struct Testimony {
    texts: Vec<String>,
}

/// The last that is known of a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    pub store: u64,
    pub durable: Lsn,
    pub head: Lsn,
    hash: u64,
}

impl Testimony {
    pub fn new(texts: Vec<String>) -> Testimony {
        Testimony { texts }
    }

    fn read(&self) -> impl Iterator<Item = Text> {
        self.texts.iter().filter_map(|text| Text::read(text))
    }

    fn is_gone(&self, wanted: u64) -> bool {
        self.read().any(|text| matches!(text, Text::Gone { store, .. } if store == wanted))
    }

    /// The stores that were here and were not destroyed, each with the last that is known of it.
    pub fn known(&self) -> Vec<Known> {
        let mut known: Vec<Known> = Vec::new();
        for text in self.read() {
            let Text::Head { store, durable, head, hash } = text else { continue };
            match known.iter_mut().find(|other| other.store == store) {
                None if !self.is_gone(store) => known.push(Known { store, durable, head, hash }),
                None => {}
                Some(other) => {
                    other.durable = other.durable.max(durable);
                    if head > other.head {
                        (other.head, other.hash) = (head, hash);
                    }
                }
            }
        }
        known
    }

    /// How to say that all stores of this name are destroyed: texts to add, and to strike out once they are gone.
    pub fn destroyed(&self, now: u64) -> (Vec<String>, Vec<String>) {
        let marks = self.known().iter().map(|known| Text::Gone { store: known.store, time: now }.write()).collect();
        let mut old: Vec<String> = self.texts.iter().filter(|text| !text.starts_with("gone-")).cloned().collect();
        let mut gone: Vec<(u64, &String)> = Vec::new();
        for text in &self.texts {
            if let Some(Text::Gone { time, .. }) = Text::read(text) {
                let at = gone.partition_point(|(other, _)| *other >= time);
                gone.insert(at, (time, text));
            }
        }
        old.extend(gone.into_iter().skip(MARKS).map(|(_, text)| text.clone()));
        (marks, old)
    }

    /// Compares an opened store with what is known: the commits that its host lost without having promised them.
    pub fn check(&self, state: &State) -> Result<u64, Error> {
        let known = self.known();
        let Some(known) = known.iter().find(|known| known.store == state.manifest.store) else {
            if known.is_empty() {
                return Ok(0);
            }
            return Err(Error::corrupt("another store was here before, and is gone"));
        };
        let is_other = state.hash_of(known.head).is_some_and(|hash| hash != known.hash);
        if state.head < known.durable || is_other {
            let message = format!("the store is older than it was. last={}, found={}", known.head, state.head);
            return Err(Error::corrupt(message));
        }
        Ok(known.head.0.saturating_sub(state.head.0) + self.untold(known))
    }

    /// Commits that an opening has found to be lost which failed later, so that nobody was told. Where the last of them
    /// is still the last that is known, they are found to be lost once more, and not counted twice.
    pub fn untold(&self, known: &Known) -> u64 {
        let of_store = self.read().filter_map(|text| match text {
            Text::Lost { store, commits, hash } if store == known.store && hash != known.hash => Some(commits),
            _ => None,
        });
        of_store.max().unwrap_or(0)
    }
}

/// An engine's part of the witness: the facts that it has written down, or is about to.
pub struct Witness {
    core: Rc<Core>,
    /// True if the host has a place for the witness.
    is_there: Cell<bool>,
    /// Commits that were written down and were not found when the store opened.
    lost: Cell<u64>,
    /// The text that tells of the lost commits. It stays written down until the opening is complete.
    untold: RefCell<Option<String>>,
    durable: Cell<Lsn>,
    raised: Cell<(Lsn, Lsn)>,
    /// The LSN of the head mark that this engine wrote last.
    marked: Cell<Lsn>,
    /// One task writes at a time; a task that waits for its turn sees the texts that the task before has written.
    turns: Turns,
    /// A task is in line, or waits for the store to be idle: it will write down the commits that are new by then.
    is_queued: Cell<bool>,
    waits: Cell<bool>,
}

impl Witness {
    /// The witness of a store that was opened with these commits: the head mark tells of them, or its writer has died
    /// and they are checked.
    pub fn new(core: Rc<Core>) -> Witness {
        Witness {
            marked: Cell::new(core.head()),
            core,
            is_there: Cell::default(),
            lost: Cell::default(),
            untold: RefCell::default(),
            durable: Cell::default(),
            raised: Cell::default(),
            turns: Turns::default(),
            is_queued: Cell::default(),
            waits: Cell::default(),
        }
    }

    pub fn is_there(&self) -> bool {
        self.is_there.get()
    }

    pub fn lost(&self) -> u64 {
        self.lost.get()
    }

    /// Compares the store with what was written down of it. A store that is new is written down at once.
    pub async fn meet(self: &Rc<Witness>, testimony: &Testimony, repair: bool) -> Result<(), Error> {
        let (store, checkpoint) = self.core.lsm.with(|state| (state.manifest.store, state.manifest.checkpoint()));
        self.is_there.set(true);
        self.flushed(checkpoint);
        let known = testimony.known().into_iter().find(|known| known.store == store);
        match self.core.lsm.with(|state| testimony.check(state)) {
            Err(error) if !repair => return Err(error),
            Ok(_) if planted::is(Bug::LossNotTold) => {}
            Ok(lost) => self.lost.set(lost),
            Err(_) => {}
        }
        match known {
            // The numbers of lost commits are given again, to others: what was written down of them must not stay.
            _ if repair || self.lost.get() > 0 => self.witness_afresh(testimony).await,
            // A store that is only read writes nothing.
            Some(known) => {
                self.flushed(known.durable);
                self.raised.set((known.durable, known.head));
            }
            None => self.witness_now().await,
        }
        Ok(())
    }

    /// The host has flushed everything up to `lsn`.
    pub fn flushed(&self, lsn: Lsn) {
        self.durable.set(self.durable.get().max(lsn));
    }
}

impl Witness {
    /// After commits: what is flushed is written down soon, the rest when nothing has happened for a while.
    pub fn witness_soon(self: &Rc<Witness>, durability: Durability, head: Lsn) {
        if durability == Durability::Strict || planted::is(Bug::FlushedToldEarly) {
            self.flushed(head);
        }
        if !self.remembers() {
            return;
        }
        if durability == Durability::Strict {
            if !self.is_queued.replace(true) {
                let witness = self.clone();
                self.core.platform.spawn(Box::pin(async move {
                    witness.core.platform.sleep(PAUSE).await;
                    witness.witness_now().await;
                }));
            }
        } else if !self.waits.replace(true) {
            // A task that sleeps so long keeps no engine: one that is closed meanwhile gives its memory back at once.
            let (platform, witness) = (self.core.platform.clone(), Rc::downgrade(self));
            self.core.platform.spawn(Box::pin(async move { witness_when_idle(&*platform, witness).await }));
        }
    }

    /// True if commits are written down at all: a store that goes with its process needs neither mark nor witness.
    fn remembers(&self) -> bool {
        self.core.lsm.storage().is_lasting() || self.is_there.get()
    }

    /// The head mark, which stands in the store itself.
    async fn mark_head(&self) {
        let head = self.core.head();
        let is_wanted = self.remembers() && self.core.check_open().is_ok() && self.marked.get() < head;
        if is_wanted && self.core.lsm.mark_head(self.core.durability).await.is_ok() {
            self.marked.set(head);
        }
    }

    /// Writes down the commits that this engine knows to be complete. A failure is made up for by the next call.
    pub async fn witness_now(self: &Rc<Witness>) {
        self.mark_head().await;
        self.testify_now().await;
    }

    /// The same without the head mark: it stands in the store itself, whose connection may be given up already.
    pub async fn testify_now(self: &Rc<Witness>) {
        let turn = self.turns.take().await;
        self.is_queued.set(false);
        while self.is_there.get() {
            let (store, head, text) =
                self.core.lsm.with(|state| (state.manifest.store, state.head, self.text_of(state)));
            let durable = self.durable.get();
            if self.core.check_open().is_err() || self.raised.get() == (durable, head) {
                break;
            }
            let Some(texts) = self.core.platform.testimony().await else { break };
            let testimony = Testimony::new(texts);
            // A late text of a store that was destroyed meanwhile must not stay.
            if testimony.is_gone(store) {
                break;
            }
            let is_older = |old: &Text| match *old {
                Text::Head { store: other, durable: d, head: h, .. } => other == store && d <= durable && h <= head,
                Text::Gone { .. } | Text::Lost { .. } => false,
            };
            let texts = testimony.texts.iter().filter(|old| **old != text);
            let old = texts.filter(|old| Text::read(old).is_some_and(|old| is_older(&old))).cloned().collect();
            self.core.platform.testify(vec![text.clone()], old).await;
            self.raised.set((durable, head));
            if self.core.check_open().is_err() && self.is_destroyed(store).await {
                self.core.platform.testify(Vec::new(), vec![text]).await;
            }
        }
        drop(turn);
    }

    /// The text to write down of the store as it is now.
    fn text_of(&self, state: &State) -> String {
        let (store, head, hash) = (state.manifest.store, state.head, state.head_hash());
        Text::Head { store, durable: self.durable.get(), head, hash }.write()
    }

    async fn is_destroyed(&self, store: u64) -> bool {
        self.core.platform.testimony().await.is_some_and(|texts| Testimony::new(texts).is_gone(store))
    }

    /// After a repair or a loss: only this store, as it is now, is to be expected here. The loss itself stays written
    /// down until the opening is complete: one that fails tells nobody, and the next one must know of the loss.
    async fn witness_afresh(self: &Rc<Witness>, testimony: &Testimony) {
        let commits = self.lost.get();
        let (store, head) = self.core.lsm.with(|state| (state.manifest.store, self.text_of(state)));
        let known = testimony.known().into_iter().find(|known| known.store == store && commits > 0);
        let lost = known.map(|known| Text::Lost { store, commits, hash: known.hash }.write());
        self.untold.replace(lost.clone());
        // A loss counts for a store that is known, so its head comes with it: no opening finds one without the other.
        let add: Vec<String> = lost.into_iter().chain([head]).collect();
        let is_old = |text: &&String| !text.starts_with("gone-") && !add.contains(text);
        let old = testimony.texts.iter().filter(is_old).cloned().collect();
        self.core.platform.testify(add, old).await;
        self.witness_now().await;
    }

    /// The opening is complete, and its figures tell what is lost.
    pub async fn loss_is_told(&self) {
        let told = self.untold.take();
        if told.is_some() {
            self.core.platform.testify(Vec::new(), told.into_iter().collect()).await;
        }
    }
}

/// Writes the head down once nothing was committed for a while.
async fn witness_when_idle(platform: &dyn Platform, witness: Weak<Witness>) {
    loop {
        let Some(before) = witness.upgrade().map(|witness| witness.core.head()) else { return };
        platform.sleep(IDLE).await;
        let Some(witness) = witness.upgrade() else { return };
        if witness.core.head() == before || witness.core.check_open().is_err() {
            witness.waits.set(false);
            return witness.witness_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(store: u64, durable: u64, head: u64) -> String {
        Text::Head { store, durable: Lsn(durable), head: Lsn(head), hash: head + 1 }.write()
    }

    #[test]
    fn texts_survive_the_round_trip() {
        let texts = [
            Text::Head { store: u64::MAX, durable: Lsn(3), head: Lsn(5), hash: 1 },
            Text::Gone { store: 7, time: 1_700_000_000_000 },
            Text::Lost { store: 7, commits: 300, hash: 2 },
        ];
        for text in texts {
            assert_eq!(Text::read(&text.write()), Some(text));
        }
        for other in ["", "head", "head-1-2", "gone-x", "else-1-2-3-4"] {
            assert_eq!(Text::read(other), None, "{other}");
        }
    }

    #[test]
    fn the_greatest_of_each_store_counts_and_a_destroyed_one_does_not() {
        let texts = vec![head(1, 2, 9), head(1, 5, 6), head(2, 1, 1), "gone-0000000000000002-0".to_string()];
        let known = Testimony::new(texts).known();
        assert_eq!(known, [Known { store: 1, durable: Lsn(5), head: Lsn(9), hash: 10 }]);
    }

    #[test]
    fn destroying_marks_every_store_of_the_name_and_keeps_few_marks() {
        let mut texts = vec![head(1, 2, 9), head(2, 1, 1)];
        texts.extend((0..20).map(|n| Text::Gone { store: 100 + n, time: n }.write()));
        let (marks, old) = Testimony::new(texts).destroyed(77);
        assert_eq!(marks, ["gone-0000000000000001-4d", "gone-0000000000000002-4d"]);
        let kept = Text::Gone { store: 119, time: 19 }.write();
        assert!(old.contains(&head(1, 2, 9)) && !old.contains(&kept));
        assert_eq!(old.len(), 2 + 12, "of the marks the newest stay");
    }
}
