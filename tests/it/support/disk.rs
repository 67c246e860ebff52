//! Storage that is watched: what went over it is counted, and it can be made to answer late.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use offshoot::error::{Error, ErrorCode, Result};
use offshoot::storage::{
    Batch, ListRange, Listed, LocalFuture, Logged, MemoryDisk, MemoryStorage, Outcome, Space, Storage,
};

use super::pause;

/// What went over a storage.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Figures {
    pub reads: usize,
    pub batches: usize,
    pub records: usize,
    pub bytes: usize,
}

pub struct Watched {
    inner: MemoryStorage,
    figures: Rc<Cell<Figures>>,
    /// Where the lengths of the pauses come from; `None`: it answers at once.
    random: Option<Rc<Cell<u64>>>,
    disk: MemoryDisk,
    /// The disk as each write left it, where that is kept.
    steps: Option<Steps>,
}

pub type Steps = Rc<RefCell<Vec<MemoryDisk>>>;

impl Watched {
    pub fn new(disk: &MemoryDisk, random: Option<Rc<Cell<u64>>>) -> Watched {
        let (inner, disk) = (MemoryStorage::open(disk), disk.clone());
        Watched { inner, figures: Rc::default(), random, disk, steps: None }
    }

    /// Keeps a copy of the disk after each write from here on.
    pub fn keeping_steps(mut self) -> (Watched, Steps) {
        let steps = Steps::default();
        self.steps = Some(steps.clone());
        (self, steps)
    }

    pub fn figures(&self) -> Rc<Cell<Figures>> {
        self.figures.clone()
    }

    async fn delay(&self) {
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
            let found = self.inner.read(space, names).await;
            self.delay().await;
            found
        })
    }

    fn list<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Listed>> {
        Box::pin(async move {
            self.count(|figures| figures.reads += 1);
            self.delay().await;
            let found = self.inner.list(space, range).await;
            self.delay().await;
            found
        })
    }

    fn log(&self, after: u64, limit: usize) -> LocalFuture<'_, Result<Logged>> {
        Box::pin(async move {
            self.count(|figures| figures.reads += 1);
            self.delay().await;
            let found = self.inner.log(after, limit).await;
            self.delay().await;
            found
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

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.inner.close()
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
        // Blocks can be listed: whoever wants to delete them is not stopped here.
        let checked = if space == Space::Blocks { Ok(()) } else { self.check() };
        Box::pin(async move {
            checked?;
            self.inner.list(space, range).await
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
}
