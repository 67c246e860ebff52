//! One opened store: the only room that knows all others. Every public call of a store, a database and a snapshot
//! stands here, and leads to the room that does it.
//!
//! It does not know: js.

pub mod database;
mod opening;
mod repair;
pub mod snapshot;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use crate::engine::clones::listing::{self, DatabaseInfo};
use crate::engine::core::{Core, Listener};
use crate::engine::handle::Handle;
use crate::engine::transact::claim::Claims;
use crate::engine::upkeep::Upkeep;
use crate::engine::upkeep::reclaim::Stats;
use crate::engine::upkeep::retain;
use crate::engine::witness::Witness;
use crate::error::{Error, Result};
use crate::storage::{Durability, LocalFuture};
use crate::types::Lsn;

const CACHE_BYTES: usize = 32 * 1024 * 1024;

#[derive(Clone, Debug)]
pub struct OpenOptions {
    pub durability: Durability,
    /// Milliseconds of history to keep; `None`: as many as the store keeps already, `u64::MAX`: for ever.
    pub retain: Option<u64>,
    pub cache_bytes: usize,
    /// Open a damaged or wiped store all the same, with what is left.
    pub repair: bool,
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions { durability: Durability::Relaxed, retain: None, cache_bytes: CACHE_BYTES, repair: false }
    }
}

pub struct Store {
    core: Rc<Core>,
    witness: Rc<Witness>,
    upkeep: Rc<Upkeep>,
    /// The claims of transactions that lost twice, on the rows that they are about to read.
    claims: Rc<Claims>,
    /// Handles to close when their database is dropped, here or in another tab.
    handles: RefCell<Vec<Weak<Handle>>>,
    seen_catalog: Cell<Lsn>,
}

impl Store {
    /// Milliseconds of history that the store keeps.
    pub fn retain(&self) -> impl Future<Output = Result<u64>> {
        retain::retain(&self.core)
    }

    /// All databases, by name; with how many bytes each wrote itself where `sizes` are asked for.
    pub async fn databases(&self, sizes: bool) -> Result<Vec<DatabaseInfo>> {
        self.upkeep.looked_after().await;
        listing::databases(&self.core, sizes).await
    }

    pub fn stats(&self) -> impl Future<Output = Result<Stats>> {
        self.upkeep.stats((self.witness.is_there(), self.witness.lost()))
    }

    /// How many versions and spans reads have examined since the store was opened, for tests that count work and not
    /// time.
    pub fn examined(&self) -> u64 {
        self.core.lsm.with(|state| state.tree.examined())
    }

    pub fn head(&self) -> Lsn {
        self.core.head()
    }

    /// Takes in the commits that other tabs have made since.
    pub fn refresh(&self) -> impl Future<Output = Result<()>> {
        self.core.refresh()
    }

    /// Another tab says that there are commits up to `head`: whoever reads from here on sees them (SEMANTICS R10).
    pub fn hear(&self, head: Lsn) -> impl Future<Output = Result<()>> {
        self.core.hear(head)
    }

    /// Other tabs may have written, without a word that came here: whoever reads from here on looks at the log first.
    pub fn look_before_reading(&self) {
        self.core.look_before_reading();
    }

    /// Moves the log into a run, raises the history floor, and merges the runs that are worth merging.
    pub fn maintain(&self) -> impl Future<Output = Result<()>> {
        self.upkeep.maintain()
    }

    /// Moves the log into a run, ends history where the retention says, merges all runs into one, and drops everything
    /// that nobody can read.
    pub fn compact_all(&self) -> impl Future<Output = Result<()>> {
        self.upkeep.compact_all()
    }

    /// Writes down the commits that this engine knows to be complete. A failure is made up for by the next call.
    pub async fn witness_now(&self) {
        self.witness.witness_now().await;
    }

    /// The same without the head mark: it stands in the store itself, whose connection may be given up already.
    pub async fn testify_now(&self) {
        self.witness.testify_now().await;
    }

    /// The store was taken away: closes it and every handle, for `why`.
    pub async fn abandon(&self, why: Error) -> Result<()> {
        let closed = self.close(why.clone()).await;
        for handle in self.open_handles() {
            handle.abandon(&why);
        }
        closed
    }

    /// Ends all use of this engine, for `why`. A write that is under way is finished or not by storage's own rules.
    pub fn close(&self, why: Error) -> impl Future<Output = Result<()>> {
        self.core.close(why)
    }

    /// True if a handle on the database is open.
    fn has_handle(&self, id: u64) -> bool {
        self.open_handles().iter().any(|handle| handle.id() == id && handle.check_open().is_ok())
    }

    fn open_handles(&self) -> Vec<Rc<Handle>> {
        self.handles.borrow().iter().filter_map(Weak::upgrade).collect()
    }
}

impl Listener for Store {
    fn written(self: Rc<Store>, durability: Durability, head: Lsn) {
        self.witness.witness_soon(durability, head);
    }

    /// Closes the handles of databases that are there no more, and sees whether anything is to be done.
    fn has_taken_in(self: Rc<Store>) {
        let catalog = self.core.lsm.with(|state| state.catalog_changed);
        self.upkeep.maintain_soon();
        let seen = self.seen_catalog.replace(catalog);
        if seen != catalog {
            self.upkeep.note_background(seen);
            let is_in_doubt = |handle: &Rc<Handle>| !handle.check_dropped_now();
            let in_doubt: Vec<_> = self.open_handles().into_iter().filter(is_in_doubt).collect();
            if !in_doubt.is_empty() {
                self.core.platform.spawn(Box::pin(async move {
                    for handle in in_doubt {
                        handle.check_dropped().await;
                    }
                }));
            }
        }
    }

    fn holds_back(&self) -> bool {
        self.upkeep.holds_back()
    }

    fn flushed(self: Rc<Store>, checkpoint: Lsn) -> LocalFuture<'static, ()> {
        Box::pin(async move {
            self.witness.flushed(checkpoint);
            self.witness.witness_now().await;
        })
    }
}
