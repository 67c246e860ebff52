//! Power is lost: all tabs die at once, and with them what the host had not flushed, from some write on.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use offshoot::engine::Testimony;
use offshoot::storage::{Batch, Durability, MemoryDisk, Outcome};

use crate::executor::Owner;
use crate::history::Check;
use crate::journal::Journal;
use crate::oracle::{Oracle, replay};
use crate::random::Random;
use crate::world::{Tab, World};

/// All batches that were written, in order: a loss of power leaves the disk that has the first ones only.
#[derive(Default)]
pub struct Writes {
    all: RefCell<Vec<(Owner, Batch)>>,
    /// The number of batches that the host has flushed.
    flushed: Cell<usize>,
}

impl Writes {
    pub fn note(&self, tab: Owner, batch: &Batch) {
        self.all.borrow_mut().push((tab, batch.clone()));
        if batch.durability == Durability::Strict {
            self.flushed.set(self.all.borrow().len());
        }
    }

    /// Drops some of the last writes, but none that was flushed. Gives the disk and the journal that are left.
    pub fn lose(&self, random: &Random) -> (MemoryDisk, Journal) {
        let mut all = self.all.borrow_mut();
        let kept = random.between(self.flushed.get() as u64, all.len() as u64) as usize;
        all.truncate(kept);
        self.flushed.set(kept);
        let (disk, mut journal) = (MemoryDisk::new(), Journal::default());
        for (tab, batch) in all.iter() {
            if disk.write(batch.clone()) != Outcome::Refused {
                journal.take_in(*tab, batch);
            }
        }
        (disk, journal)
    }
}

/// Commits whose callers were told that they survive this.
#[derive(Default)]
pub struct Promised(RefCell<BTreeSet<u64>>);

impl Promised {
    pub fn note(&self, lsn: u64) {
        self.0.borrow_mut().insert(lsn);
    }

    fn take_after(&self, last: u64) -> BTreeSet<u64> {
        self.0.borrow_mut().split_off(&(last + 1))
    }
}

impl World {
    /// Judges what has happened so far, and goes on with what the disk has kept.
    pub fn lose_power(&self) {
        self.report.count("power losses");
        for tab in self.tabs() {
            self.crash(&tab);
        }
        let (commits, found) = {
            let (history, journal) = (self.history.borrow(), self.disk.journal.borrow());
            let mut oracle = Oracle::new(&history, &journal, &self.report);
            let found = replay(&mut oracle);
            (oracle.commits, found)
        };
        if let Err(found) = found {
            self.history.borrow_mut().violations.push(found);
        }
        let last = self.disk.lose_power();
        for lsn in self.promised.take_after(last) {
            self.violate(Check::Durability, format!("the strict commit {lsn} is lost with the power"));
        }
        let mut history = self.history.borrow_mut();
        let is_kept = |commit: &Option<u64>| commit.is_some_and(|lsn| lsn <= last);
        let events = std::mem::take(&mut history.events).into_iter().zip(&commits);
        history.events = events.filter(|(_, commit)| is_kept(commit)).map(|(event, _)| event).collect();
        // All that was read was looked at just now.
        history.readings.clear();
    }

    /// The number of lost commits that a store must tell when it opens after a loss: the witness knew them, and no
    /// caller was promised that they survive.
    pub fn expected_loss(&self) -> u64 {
        let texts = self.witness.borrow().iter().cloned().collect();
        let testimony = Testimony::new(texts);
        let Some(known) = testimony.known().into_iter().max_by_key(|known| known.head) else { return 0 };
        let last = self.disk.journal.borrow().commits.keys().last().copied().unwrap_or(0);
        known.head.0.saturating_sub(last) + testimony.untold(&known)
    }

    /// Loses power now and then; each time a tab opens first, alone, and is told what is lost.
    pub async fn power_trouble(self: Rc<World>) {
        for _ in 0..self.random.between(1, 2) {
            // The witness hears of relaxed commits once none has come for a second. A loss that it can tell of must
            // come after that.
            let (least, most) = *self.random.pick(&[(5_000, 120_000), (1_100_000, 3_000_000)]);
            self.executor.sleep(self.random.between(least, most)).await;
            self.lose_power();
            let expected = self.expected_loss();
            let tab = self.open_tab(self.plan.actors);
            self.expect_loss(tab, expected).await;
        }
    }

    async fn expect_loss(self: &Rc<World>, tab: Rc<Tab>, expected: u64) {
        // An opening that met damage is over, and has told of that.
        while tab.store.borrow().is_none() && tab.is_alive() && tab.is_at_work() {
            self.executor.sleep(100).await;
        }
        let Some(store) = tab.store.borrow().clone() else { return };
        let _watch = self.watch(&tab, "figures");
        let told = store.stats().await.map(|stats| stats.lost_commits);
        if expected > 0 {
            self.report.count("losses told");
        }
        match told {
            Ok(lost) if lost == expected => {}
            Err(error) if self.excuses(&tab, &error) => {}
            told => {
                let what = format!("tab {}: {told:?} commits are told as lost, and {expected} are", tab.number);
                self.violate(Check::Durability, what);
            }
        }
    }
}
