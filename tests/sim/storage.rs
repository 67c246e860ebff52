//! The mirror of `Storage`: requests take time, fail before or after they took effect, and outlive the tab that sent
//! them.
//!
//! A batch is atomic. A batch that was acknowledged to a tab stays when the tab dies.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use futures_channel::oneshot;
use offshoot::error::{Error, ErrorCode, Result};
use offshoot::storage::{Batch, Capacity, ListRange, Listed, LocalFuture, Logged, MemoryDisk, Outcome, Space, Storage};

use crate::bounds;
use crate::damage::Damage;
use crate::executor::{Executor, Owner, WORLD};
use crate::history::{Check, Violation, violation};
use crate::journal::{Effect, Journal};
use crate::plan::Plan;
use crate::power::Writes;
use crate::random::Random;
use crate::report::Report;
use crate::trace::Trace;
use crate::watch::Watches;

/// How often requests fail, in a thousand, and how long they take at most, in microseconds.
#[derive(Clone, Copy, Default, Debug)]
pub struct Faults {
    pub reads_fail: u64,
    pub writes_fail: u64,
    pub quota: u64,
    /// Writes that take effect seconds after their senders were told that they took too long.
    pub late: u64,
    pub delay: u64,
}

/// The tab that commits at every turn, where one does.
pub const RUSHING: Owner = 1;
/// Records of a tab that count for nobody, one after the other: three, a plea, and one more for each other tab. Where a
/// pleading tab is frozen, or what it asks fails, the others give up its plea, and it begins again.
const VOIDS: u64 = 8;
const VOIDS_IN_TROUBLE: u64 = 24;

/// Microseconds after which a late write takes effect, on average.
const LATE: u64 = 3_000_000;

/// A batch swaps the manifest, and a swap that ends history appends a commit too; or it appends commits alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Written {
    Commit,
    Swap,
}

impl Written {
    fn of(batch: &Batch) -> Option<Written> {
        let is_manifest = |name: &String| name.starts_with("manifest/");
        let swaps = batch.put.iter().any(|(space, name, _)| *space == Space::Meta && is_manifest(name));
        if swaps { Some(Written::Swap) } else { (!batch.append.is_empty()).then_some(Written::Commit) }
    }
}

pub struct SimulatedDisk {
    pub executor: Rc<Executor>,
    pub random: Rc<Random>,
    pub trace: Rc<Trace>,
    pub report: Rc<Report>,
    pub journal: RefCell<Journal>,
    pub faults: Cell<Faults>,
    pub watches: Rc<Watches>,
    /// In seeds whose blocks are damaged: the damaged blocks.
    pub damage: Option<Damage>,
    is_rushed: bool,
    most_voids: u64,
    /// In seeds whose power is lost: all batches that were written.
    pub writes: Option<Writes>,
    /// How many records in a row of a tab that lives have counted for nobody.
    voids: RefCell<BTreeMap<(Owner, Written), u64>>,
    /// How often power was lost: what was under way then is not carried on.
    outage: Cell<u64>,
    /// Broken promises that were found while requests were carried out.
    pub violations: RefCell<Vec<Violation>>,
    records: MemoryDisk,
}

/// The fate of one write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Answered,
    FailsBefore,
    FailsAfter,
    /// The error comes first; it takes effect when its sender has gone on.
    FailsThenTakesEffect,
    Quota,
    /// Its sender gives up; long after that it takes effect.
    TakesTooLong,
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
        plan: &Plan,
    ) -> SimulatedDisk {
        let records = MemoryDisk::new();
        let capacity = if plan.frees { Capacity::before_deletions } else { Capacity::of };
        records.set_capacity(plan.capacity.map(capacity));
        SimulatedDisk {
            executor,
            random,
            trace,
            report,
            journal: RefCell::default(),
            faults: Cell::new(plan.faults),
            watches: Rc::default(),
            damage: plan.damage.then(Damage::default),
            is_rushed: plan.rush,
            most_voids: if plan.is_calm() { VOIDS } else { VOIDS_IN_TROUBLE },
            writes: plan.power.then(Writes::default),
            voids: RefCell::default(),
            outage: Cell::new(0),
            violations: RefCell::default(),
            records,
        }
    }

    pub fn capacity(&self) -> Option<u64> {
        self.records.capacity().map(|capacity| capacity.bytes)
    }

    /// All that is on it now, to be looked at beside all that is noted here.
    pub fn copied(&self) -> MemoryDisk {
        self.records.copied()
    }

    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.records.set_capacity(bytes.map(Capacity::of));
    }

    pub fn names(&self, space: Space, range: &ListRange) -> Vec<String> {
        self.records.names(space, range)
    }

    pub fn is_damaged(&self) -> bool {
        self.damage.as_ref().is_some_and(Damage::is_met)
    }

    /// Forgets what was not flushed, from some write on, and gives the last commit that is left.
    pub fn lose_power(&self) -> u64 {
        self.outage.set(self.outage.get() + 1);
        let writes = self.writes.as_ref().expect("BUG: only seeds that note all writes lose their power");
        let (records, journal) = writes.lose(&self.random);
        self.records.turn_into(&records);
        let last = journal.commits.keys().last().copied().unwrap_or(0);
        self.journal.replace(journal);
        last
    }

    pub fn violate(&self, check: Check, what: String) {
        self.trace.say(self.executor.now(), format_args!("violation: {what}"));
        self.violations.borrow_mut().push(violation(check, what));
    }

    /// Counts a tab's request, if it is a call's. Once a call has sent too many, nothing is answered any more, so that
    /// the seed ends.
    async fn note_request(&self, tab: Owner) {
        if !self.executor.is_behind() {
            let (most, over) = self.watches.request(tab);
            self.report.note_most("requests of a call", most);
            over.into_iter().for_each(|what| self.violate(Check::Liveness, what));
        }
        if !self.violations.borrow().is_empty() {
            std::future::pending::<()>().await;
        }
    }

    async fn wait(&self, tab: Owner) {
        let delay = self.faults.get().delay / if self.is_rushed && tab == RUSHING { 3 } else { 1 };
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
        if faults.late > 0 && self.random.chance(faults.late) {
            return Fate::TakesTooLong;
        }
        if !self.random.chance(faults.writes_fail) {
            return Fate::Answered;
        }
        *self.random.pick(&[Fate::FailsBefore, Fate::FailsAfter, Fate::FailsThenTakesEffect])
    }

    fn take_effect(&self, tab: Owner, batch: Batch) -> Result<(Outcome, Effect)> {
        bounds::check_batch(self, tab, &batch);
        let outcome = self.records.write_within_capacity(batch.clone()).inspect_err(|_| {
            self.report.count("writes to a full disk");
        })?;
        let now = self.executor.now();
        if outcome == Outcome::Refused {
            self.report.count("refused batches");
            self.trace.say(now, format_args!("tab {tab}: a batch is refused"));
            return Ok((outcome, Effect { is_void: true, ..Effect::default() }));
        }
        self.writes.iter().for_each(|writes| writes.note(tab, &batch));
        let effect = self.journal.borrow_mut().take_in(tab, &batch);
        let names: Vec<&str> = batch.put.iter().take(4).map(|(_, name, _)| &name[..]).collect();
        let Effect { commits, is_void, is_plea, .. } = effect;
        let used = self.records.used();
        let what = format_args!("commits={commits}, void={is_void}, plea={is_plea}, records={names:?}, used={used}");
        self.trace.say(now, format_args!("tab {tab}: {outcome:?}, {what}"));
        self.count(&effect);
        if effect.commits > 0 {
            self.watches.commit();
        }
        // On a disk with a capacity the log is moved in pieces, as many as there is room for.
        if effect.checkpoint && self.capacity().is_none() {
            let (most, over) = self.watches.checkpoint(tab);
            self.report.note_most("checkpoints of a maintenance", most);
            over.into_iter().for_each(|what| self.violate(Check::Liveness, what));
        }
        bounds::check_manifest(self, tab, &effect);
        Ok((outcome, effect))
    }

    /// A tab that lives appended something, or was refused to: so many times in a row it may be late. An error ends the
    /// row, and so does any record that counts. Swaps of the manifest and commits have a row each, because a swap that
    /// was late may be given up, or be made without ending history: its losses are none of the commit that comes next.
    /// A swap that came after another tab's swap ends the row too. That tab has got on with the same work, and this one
    /// makes another swap or none.
    fn note_void(&self, tab: Owner, kind: Written, appends: bool, effect: Option<&Effect>) {
        let mut voids = self.voids.borrow_mut();
        let in_a_row = voids.entry((tab, kind)).or_default();
        let is_void = effect.is_some_and(|effect| effect.is_void);
        *in_a_row = if is_void { *in_a_row + u64::from(appends) } else { 0 };
        self.report.note_most("void records in a row", *in_a_row);
        if *in_a_row > self.most_voids {
            self.violate(Check::Liveness, format!("tab {tab}: {in_a_row} records in a row count for nobody"));
        }
    }

    /// True if the records that a batch requires are there. A swap requires the manifest that it replaces.
    fn is_over_present(&self, batch: &Batch) -> bool {
        batch.present.iter().all(|(space, name)| self.records.read(*space, name).is_some())
    }

    fn count(&self, effect: &Effect) {
        for _ in 0..effect.commits {
            self.report.count("commits");
        }
        let met = [
            (effect.commits > 1, "groups"),
            (effect.parts > 1, "split records"),
            (effect.is_void, "collisions"),
            (effect.is_plea, "pleas"),
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
        outage: u64,
        batch: Batch,
        answer: oneshot::Sender<Result<Outcome>>,
    ) {
        let fate = self.fate();
        self.wait(tab).await;
        if self.outage.get() != outage {
            return;
        }
        if !alive.get() && self.random.chance(500) {
            // Its sender died before the request was under way.
            self.report.count("crashes while writing");
            return;
        }
        let result = match fate {
            Fate::Answered => {
                let kind = Written::of(&batch);
                let is_in_time = kind == Some(Written::Commit) || self.is_over_present(&batch);
                let appends = !batch.append.is_empty();
                let effect = self.take_effect(tab, batch);
                if let Some(kind) = kind {
                    let told = effect.as_ref().ok().map(|(_, effect)| effect).filter(|_| is_in_time);
                    self.note_void(tab, kind, appends, told);
                }
                effect.map(|(outcome, _)| outcome)
            }
            Fate::FailsBefore => {
                self.report.count("errors before the effect");
                Err(unavailable("before it wrote"))
            }
            Fate::FailsAfter => {
                self.report.count("errors after the effect");
                let _ = self.take_effect(tab, batch);
                Err(unavailable("after it wrote"))
            }
            Fate::FailsThenTakesEffect | Fate::TakesTooLong => {
                let (error, wait) = match fate {
                    Fate::TakesTooLong => (Error::new(ErrorCode::Timeout, "the simulated storage took too long"), LATE),
                    _ => (unavailable("before it is told whether it wrote"), self.faults.get().delay),
                };
                let _ = answer.send(Err(error));
                self.executor.sleep(self.random.below(2 * wait + 1)).await;
                if self.outage.get() == outage {
                    self.report.count("late effects");
                    let _ = self.take_effect(tab, batch);
                }
                return;
            }
            Fate::Quota => {
                self.report.count("quota errors");
                let (last, checkpoint) = self.journal.borrow().ends();
                self.watches.no_room(tab, last.saturating_sub(checkpoint));
                Err(Error::new(ErrorCode::QuotaExceeded, "the simulated storage is full"))
            }
        };
        self.wait(tab).await;
        let _ = answer.send(result);
    }
}

impl SimulatedStorage {
    pub fn open(disk: &Rc<SimulatedDisk>, tab: Owner, alive: &Rc<Cell<bool>>) -> SimulatedStorage {
        SimulatedStorage { disk: disk.clone(), tab, alive: alive.clone(), closed: Cell::new(false) }
    }

    /// A request begins.
    async fn begin(&self) -> Result<()> {
        if self.closed.get() {
            return Err(Error::new(ErrorCode::Closed, "the storage is closed"));
        }
        self.disk.note_request(self.tab).await;
        Ok(())
    }

    fn record(&self, space: Space, name: &str) -> Option<Vec<u8>> {
        let SimulatedDisk { records, random, report, damage, .. } = &*self.disk;
        let found = records.read(space, name);
        match damage {
            Some(damage) if space == Space::Blocks => {
                damage.harm((records, random, report), self.disk.executor.now(), name, found)
            }
            _ => found,
        }
    }
}

impl Storage for SimulatedStorage {
    fn read<'a>(&'a self, space: Space, names: &'a [String]) -> LocalFuture<'a, Result<Vec<Option<Vec<u8>>>>> {
        Box::pin(async move {
            self.begin().await?;
            self.disk.wait(self.tab).await;
            let found = names.iter().map(|name| self.record(space, name)).collect();
            // The answer is of one moment, and may be old when it comes.
            self.disk.wait(self.tab).await;
            if self.disk.read_fails() { Err(unavailable("to read")) } else { Ok(found) }
        })
    }

    fn list<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Listed>> {
        Box::pin(async move {
            self.begin().await?;
            self.disk.wait(self.tab).await;
            let listed = self.disk.records.list(space, &range);
            self.disk.wait(self.tab).await;
            if self.disk.read_fails() { Err(unavailable("to list")) } else { Ok(listed) }
        })
    }

    fn names<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            self.begin().await?;
            self.disk.wait(self.tab).await;
            let names = self.disk.records.names(space, &range);
            self.disk.wait(self.tab).await;
            if self.disk.read_fails() { Err(unavailable("to list names")) } else { Ok(names) }
        })
    }

    fn log(&self, after: u64, limit: usize) -> LocalFuture<'_, Result<Logged>> {
        Box::pin(async move {
            self.begin().await?;
            self.disk.wait(self.tab).await;
            let logged = self.disk.records.log(after, limit);
            self.disk.wait(self.tab).await;
            if self.disk.read_fails() { Err(unavailable("to read the log")) } else { Ok(logged) }
        })
    }

    fn write(&self, batch: Batch) -> LocalFuture<'_, Result<Outcome>> {
        Box::pin(async move {
            self.begin().await?;
            let (sender, receiver) = oneshot::channel();
            let carry = self.disk.clone().carry(self.tab, self.alive.clone(), self.disk.outage.get(), batch, sender);
            self.disk.executor.spawn(WORLD, Box::pin(carry));
            receiver.await.unwrap_or_else(|_| Err(unavailable("without an answer")))
        })
    }

    fn quota(&self) -> LocalFuture<'_, Option<u64>> {
        Box::pin(async { self.disk.capacity() })
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.closed.set(true);
        Box::pin(async { Ok(()) })
    }
}
