//! The core of an opened store, which every room above is given: the queue of commits and who makes it go on, the read
//! loop, leases, holds, clocks, and whether the store is open and whole.
//!
//! It does not know: catalog, rows, handle, witness, compare, copy, transact, clones, merge, transfer, upkeep, store.

pub mod ahead;
pub mod clock;
pub mod hold;
pub mod id;
pub mod job;
pub mod lease;
mod nap;
pub mod pipeline;
pub mod plea;
pub mod pump;
pub mod reading;
mod stage;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Lsm, State};
use crate::platform::{Lease, Platform};
use crate::storage::{Durability, LocalFuture};
use crate::types::{Lsn, SortedMap};

use clock::Clock;
use hold::{Hold, Holds};
use id::IdMaker;
use job::Job;
use nap::Nap;
use pump::Pump;

/// The layer above implements this, to be told of the commits and flushes of the pipeline.
pub trait Listener {
    /// A record is complete, whose last commit is `head`.
    fn written(self: Rc<Self>, durability: Durability, head: Lsn);
    /// Jobs were done: commits of this tab or of others may have been taken in.
    fn has_taken_in(self: Rc<Self>);
    /// True: commits wait until more of the log is moved into runs.
    fn holds_back(&self) -> bool;
    /// The host has flushed everything up to `checkpoint`.
    fn flushed(self: Rc<Self>, checkpoint: Lsn) -> LocalFuture<'static, ()>;
}

pub struct Core {
    pub platform: Rc<dyn Platform>,
    pub lsm: Rc<Lsm>,
    pub ids: IdMaker,
    /// The durability of commits that name none.
    pub durability: Durability,
    pub clock: Clock,
    queue: RefCell<VecDeque<Job>>,
    /// How many jobs at most are queued that nobody waits for any more.
    cancelled: Cell<usize>,
    pump: Pump,
    nap: Nap,
    holds: Holds,
    /// Leases that are held for as long as this engine lives, or until they are released, by their names.
    kept: RefCell<SortedMap<String, Lease>>,
    /// The newest head that another tab has told of.
    told: Cell<Lsn>,
    /// Damage was met: nothing is merged or dropped any more, so that nothing is built on it.
    is_damaged: Cell<bool>,
    closed: RefCell<Option<Error>>,
    listener: RefCell<Option<Weak<dyn Listener>>>,
}

impl Core {
    /// `opened_at`: the two clocks before `lsm` was opened.
    pub fn new(platform: Rc<dyn Platform>, lsm: Lsm, durability: Durability, opened_at: (u64, u64)) -> Core {
        let is_new = |state: &State| state.head == Lsn(1) && state.notes.iter().any(|note| note.time >= opened_at.0);
        let (told, is_new) = lsm.with(|state| (state.manifest.clock, is_new(state)));
        Core {
            ids: IdMaker::new(platform.clone()),
            clock: Clock::new(platform.clone(), opened_at, told, is_new),
            platform,
            lsm: Rc::new(lsm),
            durability,
            queue: RefCell::default(),
            cancelled: Cell::default(),
            pump: Pump::default(),
            nap: Nap::default(),
            holds: Holds::default(),
            kept: RefCell::default(),
            told: Cell::new(Lsn::ZERO),
            is_damaged: Cell::new(false),
            closed: RefCell::default(),
            listener: RefCell::default(),
        }
    }

    /// From here on `listener` is told, for as long as it lives.
    pub fn set_listener(&self, listener: Weak<dyn Listener>) {
        self.listener.replace(Some(listener));
    }

    fn listener(&self) -> Option<Rc<dyn Listener>> {
        self.listener.borrow().as_ref()?.upgrade()
    }

    fn tell(&self, what: impl FnOnce(Rc<dyn Listener>)) {
        if let Some(listener) = self.listener() {
            what(listener);
        }
    }

    pub fn head(&self) -> Lsn {
        self.lsm.head()
    }

    /// Notes that something reads at `lsn`, for as long as the hold is kept.
    pub fn hold(&self, lsn: Lsn) -> Hold {
        self.holds.hold(lsn)
    }

    /// The oldest LSN that something reads at.
    pub fn oldest_held(&self) -> Option<Lsn> {
        self.holds.oldest()
    }

    /// True if a commit is under way.
    pub fn is_committing(&self) -> bool {
        self.pump.is_at_work()
    }

    /// Another tab says that there are commits up to `head`: whoever reads from here on sees them (SEMANTICS R10).
    pub async fn hear(self: &Rc<Core>, head: Lsn) -> Result<()> {
        self.told.set(self.told.get().max(head));
        self.catch_up().await
    }

    /// Other tabs may have written, without a word that came here: whoever reads from here on looks at the log first.
    pub fn look_before_reading(&self) {
        self.told.set(self.told.get().max(self.head().next()));
    }

    pub fn is_behind(&self) -> bool {
        self.told.get() > self.head()
    }

    /// Takes in the commits that other tabs have told of. The head that they told may be wrong; then it is forgotten.
    pub async fn catch_up(self: &Rc<Core>) -> Result<()> {
        if self.is_behind() {
            let told = self.told.get();
            self.refresh().await?;
            if self.told.get() == told {
                self.told.set(self.head());
            }
        }
        Ok(())
    }

    /// Passes a result on. If its error tells of damage, the damage is remembered.
    pub fn note_damage<T>(&self, result: Result<T>) -> Result<T> {
        if result.as_ref().is_err_and(|error| error.code() == ErrorCode::StorageCorrupt) {
            self.is_damaged.set(true);
        }
        result
    }

    pub fn is_damaged(&self) -> bool {
        self.is_damaged.get()
    }

    pub fn check_open(&self) -> Result<()> {
        match &*self.closed.borrow() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Ends all use of this engine, for `why`. A write that is under way is finished or not by storage's own rules.
    pub async fn close(&self, why: Error) -> Result<()> {
        if self.closed.borrow().is_some() {
            return Ok(());
        }
        self.closed.replace(Some(why));
        self.lsm.storage().close().await
    }
}

/// The error of every call on something that was closed.
pub fn closed(what: &str) -> Error {
    Error::new(ErrorCode::Closed, format!("{what} is closed"))
}
