//! The mirror of `Storage`: requests take time, fail before or after they took effect, and outlive the tab that sent
//! them.
//!
//! A batch is atomic. What a tab was told is there stays there when the tab dies.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_channel::oneshot;
use offshoot::error::{Error, ErrorCode, Result};
use offshoot::storage::{Batch, ListRange, Listed, LocalFuture, Logged, MemoryDisk, Outcome, Space, Storage};

use crate::executor::{Executor, Owner, WORLD};
use crate::journal::{Effect, Journal};
use crate::random::Random;
use crate::report::Report;
use crate::trace::Trace;

/// How often requests fail, in a thousand, and how long they take at most, in microseconds.
#[derive(Clone, Copy, Default, Debug)]
pub struct Faults {
    pub reads_fail: u64,
    pub writes_fail: u64,
    pub quota: u64,
    pub delay: u64,
}

pub struct SimulatedDisk {
    pub executor: Rc<Executor>,
    pub random: Rc<Random>,
    pub trace: Rc<Trace>,
    pub report: Rc<Report>,
    pub journal: RefCell<Journal>,
    pub faults: Cell<Faults>,
    records: MemoryDisk,
}

/// What becomes of one write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Answered,
    FailsBefore,
    FailsAfter,
    /// The error comes first; it takes effect when its sender has gone on.
    FailsThenTakesEffect,
    Quota,
}

/// One tab's connection.
pub struct SimulatedStorage {
    disk: Rc<SimulatedDisk>,
    tab: Owner,
    alive: Rc<Cell<bool>>,
    closed: Cell<bool>,
}

fn unavailable(what: &str) -> Error {
    Error::new(ErrorCode::StorageUnavailable, format!("the simulated storage failed {what}"))
}

impl SimulatedDisk {
    pub fn new(
        executor: Rc<Executor>,
        random: Rc<Random>,
        trace: Rc<Trace>,
        report: Rc<Report>,
        faults: Faults,
    ) -> SimulatedDisk {
        let (journal, faults, records) = (RefCell::default(), Cell::new(faults), MemoryDisk::new());
        SimulatedDisk { executor, random, trace, report, journal, faults, records }
    }

    async fn wait(&self) {
        let delay = self.faults.get().delay;
        self.executor.sleep(self.random.below(delay + 1)).await;
    }

    fn read_fails(&self) -> bool {
        let fails = self.random.chance(self.faults.get().reads_fail);
        if fails {
            self.report.count("errors while reading");
        }
        fails
    }

    fn fate(&self) -> Fate {
        let faults = self.faults.get();
        if self.random.chance(faults.quota) {
            return Fate::Quota;
        }
        if !self.random.chance(faults.writes_fail) {
            return Fate::Answered;
        }
        *self.random.pick(&[Fate::FailsBefore, Fate::FailsAfter, Fate::FailsThenTakesEffect])
    }

    fn take_effect(&self, tab: Owner, batch: Batch) -> Outcome {
        let outcome = self.records.write(batch.clone());
        let now = self.executor.now();
        if outcome == Outcome::Refused {
            self.report.count("refused batches");
            self.trace.say(now, format_args!("tab {tab}: a batch is refused"));
            return outcome;
        }
        let effect = self.journal.borrow_mut().take_in(tab, &batch);
        let names: Vec<&str> = batch.put.iter().take(4).map(|(_, name, _)| &name[..]).collect();
        let Effect { commits, is_void, .. } = effect;
        self.trace
            .say(now, format_args!("tab {tab}: {outcome:?}, commits={commits}, void={is_void}, records={names:?}"));
        self.count(&effect);
        outcome
    }

    fn count(&self, effect: &Effect) {
        for _ in 0..effect.commits {
            self.report.count("commits");
        }
        let met = [
            (effect.commits > 1, "groups"),
            (effect.parts > 1, "split records"),
            (effect.is_void, "collisions"),
            (effect.is_big, "big commits"),
            (effect.checkpoint, "checkpoints"),
            (effect.compaction, "compactions"),
            (effect.floor_raised, "floors raised"),
        ];
        met.into_iter().filter(|(is_met, _)| *is_met).for_each(|(_, what)| self.report.count(what));
    }

    /// Carries a write to its end, whatever becomes of its sender.
    async fn carry(
        self: Rc<SimulatedDisk>,
        tab: Owner,
        alive: Rc<Cell<bool>>,
        batch: Batch,
        answer: oneshot::Sender<Result<Outcome>>,
    ) {
        let fate = self.fate();
        self.wait().await;
        if !alive.get() && self.random.chance(500) {
            // Its sender died before the request was under way.
            self.report.count("crashes while writing");
            return;
        }
        let result = match fate {
            Fate::Answered => Ok(self.take_effect(tab, batch)),
            Fate::FailsBefore => {
                self.report.count("errors before the effect");
                Err(unavailable("before it wrote"))
            }
            Fate::FailsAfter => {
                self.report.count("errors after the effect");
                self.take_effect(tab, batch);
                Err(unavailable("after it wrote"))
            }
            Fate::FailsThenTakesEffect => {
                let _ = answer.send(Err(unavailable("before it is told whether it wrote")));
                self.wait().await;
                self.wait().await;
                self.report.count("late effects");
                self.take_effect(tab, batch);
                return;
            }
            Fate::Quota => {
                self.report.count("quota errors");
                Err(Error::new(ErrorCode::QuotaExceeded, "the simulated storage is full"))
            }
        };
        self.wait().await;
        let _ = answer.send(result);
    }
}

impl SimulatedStorage {
    pub fn open(disk: &Rc<SimulatedDisk>, tab: Owner, alive: &Rc<Cell<bool>>) -> SimulatedStorage {
        SimulatedStorage { disk: disk.clone(), tab, alive: alive.clone(), closed: Cell::new(false) }
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.get() { Err(Error::new(ErrorCode::Closed, "the storage is closed")) } else { Ok(()) }
    }
}

impl Storage for SimulatedStorage {
    fn read<'a>(&'a self, space: Space, names: &'a [String]) -> LocalFuture<'a, Result<Vec<Option<Vec<u8>>>>> {
        Box::pin(async move {
            self.check_open()?;
            self.disk.wait().await;
            let found = names.iter().map(|name| self.disk.records.read(space, name)).collect();
            // The answer is of one moment, and may be old when it comes.
            self.disk.wait().await;
            if self.disk.read_fails() { Err(unavailable("to read")) } else { Ok(found) }
        })
    }

    fn list<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Listed>> {
        Box::pin(async move {
            self.check_open()?;
            self.disk.wait().await;
            let listed = self.disk.records.list(space, &range);
            self.disk.wait().await;
            if self.disk.read_fails() { Err(unavailable("to list")) } else { Ok(listed) }
        })
    }

    fn names<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            self.check_open()?;
            self.disk.wait().await;
            let names = self.disk.records.names(space, &range);
            self.disk.wait().await;
            if self.disk.read_fails() { Err(unavailable("to list names")) } else { Ok(names) }
        })
    }

    fn log(&self, after: u64, limit: usize) -> LocalFuture<'_, Result<Logged>> {
        Box::pin(async move {
            self.check_open()?;
            self.disk.wait().await;
            let logged = self.disk.records.log(after, limit);
            self.disk.wait().await;
            if self.disk.read_fails() { Err(unavailable("to read the log")) } else { Ok(logged) }
        })
    }

    fn write(&self, batch: Batch) -> LocalFuture<'_, Result<Outcome>> {
        Box::pin(async move {
            self.check_open()?;
            let (sender, receiver) = oneshot::channel();
            let carry = self.disk.clone().carry(self.tab, self.alive.clone(), batch, sender);
            self.disk.executor.spawn(WORLD, Box::pin(carry));
            receiver.await.unwrap_or_else(|_| Err(unavailable("without an answer")))
        })
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.closed.set(true);
        Box::pin(async { Ok(()) })
    }
}
