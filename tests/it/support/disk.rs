//! Storage that is watched: its calls, records and bytes are counted, it can be made to answer late, and it loses or
//! damages a chosen record at a chosen read.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use offshoot::error::{Error, ErrorCode, Result};
use offshoot::storage::{
    Batch, ListRange, Listed, LocalFuture, Logged, MemoryDisk, MemoryStorage, Outcome, Space, Storage,
};

use super::pause;

/// Counts of the calls to a storage, and of the records and bytes in them.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Figures {
    /// Calls that read: `read`, `list`, `names`, `log`.
    pub reads: usize,
    /// Bytes of the records that were answered.
    pub bytes_read: usize,
    pub batches: usize,
    /// Records that were put and appended.
    pub records: usize,
    /// Bytes of these records, and of their names.
    pub bytes: usize,
    /// Bytes of the largest batch.
    pub largest_batch: usize,
}

impl Figures {
    pub fn calls(&self) -> usize {
        self.reads + self.batches
    }
}

/// A record that goes wrong while it is read, for every tab and from then on.
#[derive(Clone, Debug)]
pub struct Fault {
    pub space: Space,
    /// All records whose names begin so.
    pub prefix: String,
    /// At which read of such a record, counted from 1. Only that record goes wrong.
    pub read: usize,
    /// True: the record is gone. False: its last byte is flipped.
    pub is_lost: bool,
}

pub struct Watched {
    inner: MemoryStorage,
    figures: Rc<Cell<Figures>>,
    /// Where the lengths of the pauses come from; `None`: it answers at once.
    random: Option<Rc<Cell<u64>>>,
    /// Pauses on the way there and on the way back.
    pauses: u64,
    disk: MemoryDisk,
    /// The disk as each write left it, where that is kept.
    steps: Option<Steps>,
    faults: RefCell<Vec<Fault>>,
}

pub type Steps = Rc<RefCell<Vec<MemoryDisk>>>;

impl Watched {
    pub fn new(disk: &MemoryDisk, random: Option<Rc<Cell<u64>>>) -> Watched {
        let (inner, disk) = (MemoryStorage::open(disk), disk.clone());
        Watched { inner, figures: Rc::default(), random, pauses: 0, disk, steps: None, faults: RefCell::default() }
    }

    /// Keeps a copy of the disk after each write from here on.
    pub fn keeping_steps(mut self) -> (Watched, Steps) {
        let steps = Steps::default();
        self.steps = Some(steps.clone());
        (self, steps)
    }

    /// Answers so many turns late on each way.
    pub fn late(mut self, pauses: u64) -> Watched {
        self.pauses = pauses;
        self
    }

    pub fn figures(&self) -> Rc<Cell<Figures>> {
        self.figures.clone()
    }

    /// Plans a fault; those that were planned before stay planned.
    pub fn plan(&self, fault: Fault) {
        assert!(fault.read > 0, "the first read is number 1");
        self.faults.borrow_mut().push(fault);
    }

    /// Carries out the faults that were planned for a record, which is about to be read.
    fn meet_faults(&self, space: Space, name: &str) {
        for fault in &mut *self.faults.borrow_mut() {
            let is_met = fault.space == space && fault.read > 0 && name.starts_with(&fault.prefix);
            let Some(mut bytes) = self.disk.read(space, name).filter(|_| is_met) else { continue };
            fault.read -= 1;
            if fault.read == 0 {
                if let Some(last) = bytes.last_mut() {
                    *last ^= 1;
                }
                self.disk.damage(space, name, (!fault.is_lost).then_some(bytes));
            }
        }
    }

    async fn delay(&self) {
        for _ in 0..self.pauses {
            pause().await;
        }
        let Some(random) = &self.random else { return };
        let state = random.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random.set(state);
        for _ in 0..(state >> 60) % 4 {
            pause().await;
        }
    }

    fn count(&self, change: impl FnOnce(&mut Figures)) {
        let mut figures = self.figures.get();
        change(&mut figures);
        self.figures.set(figures);
    }
}

impl Storage for Watched {
    fn read<'a>(&'a self, space: Space, names: &'a [String]) -> LocalFuture<'a, Result<Vec<Option<Vec<u8>>>>> {
        Box::pin(async move {
            self.count(|figures| figures.reads += 1);
            self.delay().await;
            names.iter().for_each(|name| self.meet_faults(space, name));
            let found = self.inner.read(space, names).await?;
            let bytes: usize = found.iter().flatten().map(Vec::len).sum();
            self.count(|figures| figures.bytes_read += bytes);
            self.delay().await;
            Ok(found)
        })
    }

    fn list<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Listed>> {
        Box::pin(async move {
            self.count(|figures| figures.reads += 1);
            self.delay().await;
            let found = self.inner.list(space, range).await?;
            let bytes: usize = found.iter().map(|(_, bytes)| bytes.len()).sum();
            self.count(|figures| figures.bytes_read += bytes);
            self.delay().await;
            Ok(found)
        })
    }

    fn names<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            self.count(|figures| figures.reads += 1);
            self.delay().await;
            let found = self.inner.names(space, range).await;
            self.delay().await;
            found
        })
    }

    fn log(&self, after: u64, limit: usize) -> LocalFuture<'_, Result<Logged>> {
        Box::pin(async move {
            self.count(|figures| figures.reads += 1);
            self.delay().await;
            let found = self.inner.log(after, limit).await?;
            let bytes: usize = found.iter().map(|(_, bytes)| bytes.len()).sum();
            self.count(|figures| figures.bytes_read += bytes);
            self.delay().await;
            Ok(found)
        })
    }

    fn write(&self, batch: Batch) -> LocalFuture<'_, Result<Outcome>> {
        Box::pin(async move {
            let named: usize = batch.put.iter().map(|(_, name, bytes)| name.len() + bytes.len()).sum();
            let appended: usize = batch.append.iter().map(Vec::len).sum();
            self.count(|figures| {
                figures.batches += 1;
                figures.records += batch.put.len() + batch.append.len();
                figures.bytes += named + appended;
                figures.largest_batch = figures.largest_batch.max(named + appended);
            });
            self.delay().await;
            let written = self.inner.write(batch).await;
            if let Some(steps) = &self.steps {
                steps.borrow_mut().push(self.disk.copied());
            }
            self.delay().await;
            written
        })
    }

    fn quota(&self) -> LocalFuture<'_, Option<u64>> {
        self.inner.quota()
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.inner.close()
    }

    fn record_bytes(&self) -> usize {
        self.inner.record_bytes()
    }
}

/// Storage whose connection dies right behind a write that appends, once it is armed: the write is there, and nobody
/// who asks learns it.
pub struct Dying {
    inner: MemoryStorage,
    armed: Cell<bool>,
    is_dead: Cell<bool>,
}

impl Dying {
    pub fn new(disk: &MemoryDisk) -> Dying {
        Dying { inner: MemoryStorage::open(disk), armed: Cell::new(false), is_dead: Cell::new(false) }
    }

    pub fn arm(&self) {
        self.armed.set(true);
    }

    fn check(&self) -> Result<()> {
        let dead = || Error::new(ErrorCode::StorageUnavailable, "the connection is dead");
        if self.is_dead.get() { Err(dead()) } else { Ok(()) }
    }
}

impl Storage for Dying {
    fn read<'a>(&'a self, space: Space, names: &'a [String]) -> LocalFuture<'a, Result<Vec<Option<Vec<u8>>>>> {
        Box::pin(async move {
            self.check()?;
            self.inner.read(space, names).await
        })
    }

    fn list<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Listed>> {
        Box::pin(async move {
            self.check()?;
            self.inner.list(space, range).await
        })
    }

    fn names<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            self.check()?;
            self.inner.names(space, range).await
        })
    }

    fn log(&self, after: u64, limit: usize) -> LocalFuture<'_, Result<Logged>> {
        Box::pin(async move {
            self.check()?;
            self.inner.log(after, limit).await
        })
    }

    fn write(&self, batch: Batch) -> LocalFuture<'_, Result<Outcome>> {
        let dies = self.armed.get() && !batch.append.is_empty();
        Box::pin(async move {
            let written = self.inner.write(batch).await;
            self.is_dead.set(self.is_dead.get() || dies);
            if dies { self.check().and(written) } else { written }
        })
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.inner.close()
    }

    fn record_bytes(&self) -> usize {
        self.inner.record_bytes()
    }
}
