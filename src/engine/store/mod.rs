//! One opened store: its engine's state, how it is read, and how it closes.

pub mod database;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use crate::engine::catalog::{self, DatabaseRow};
use crate::engine::core::id::IdMaker;
use crate::engine::core::pipeline::Job;
use crate::engine::core::pump::Pump;
use crate::engine::store::database::Database;
use crate::engine::transact::claim::Claims;
use crate::engine::upkeep::chores::Chores;
use crate::engine::witness::{Testimony, Witness};
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Change, Commit, Lsm, Opening, State};
use crate::planted::{self, Bug};
use crate::platform::Platform;
use crate::storage::{Durability, Storage};
use crate::types::{DatabaseName, Lsn};

/// How far back `at()` reaches, beyond what clones pin, unless the store says otherwise.
pub(in crate::engine) const RETAIN: u64 = 60 * 60 * 1000;
pub(in crate::engine) const RETAIN_SETTING: &str = "retain";
const CACHE_BYTES: usize = 32 * 1024 * 1024;

#[derive(Clone, Debug)]
pub struct OpenOptions {
    pub durability: Durability,
    /// Milliseconds of history to keep; `None`: what the store has, `u64::MAX`: for ever.
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

/// Where the clocks of this opening began.
pub(in crate::engine) struct Session {
    /// What this opening and one before it agreed on then.
    pub agreed: u64,
    pub steady: u64,
}

pub struct Store {
    pub(in crate::engine) platform: Rc<dyn Platform>,
    pub(in crate::engine) lsm: Lsm,
    pub(in crate::engine) queue: RefCell<VecDeque<Job>>,
    pub(in crate::engine) pump: Pump,
    pub(in crate::engine) ids: IdMaker,
    pub(in crate::engine) durability: Durability,
    /// What transactions that lost twice are about to read.
    pub(in crate::engine) claims: Claims,
    /// Handles to close when their database is dropped, here or in another tab.
    handles: RefCell<Vec<Weak<Database>>>,
    seen_catalog: Cell<Lsn>,
    /// The newest head that another tab has told of.
    told: Cell<Lsn>,
    /// LSNs that open snapshots and transactions of this engine read at, in no order: its own vacuum spares them.
    pub(in crate::engine) reading: RefCell<Vec<Lsn>>,
    pub(in crate::engine) maintaining: Cell<bool>,
    /// The clock when this engine opened.
    pub(in crate::engine) opened_at: u64,
    /// What an earlier opening has last written down of its clock.
    pub(in crate::engine) clock_before: Cell<u64>,
    pub(in crate::engine) session: Session,
    pub(in crate::engine) chores: Chores,
    pub(in crate::engine) witness: Witness,
    /// Damage was met: nothing is merged or dropped any more, so that nothing is built on it.
    pub(in crate::engine) is_damaged: Cell<bool>,
    closed: RefCell<Option<Error>>,
}

impl Store {
    /// Opens the store that is on `storage`, or makes one with its root database `main`.
    pub async fn open(platform: Rc<dyn Platform>, storage: Rc<dyn Storage>, options: OpenOptions) -> Result<Rc<Store>> {
        let (opened_at, steady) = (platform.now(), platform.steady());
        let (lsm, testimony) = open_witnessed(&*platform, storage, &options).await?;
        // In a store that was just made nothing is older than this opening.
        let is_new = |state: &State| state.head == Lsn(1) && state.notes.iter().any(|note| note.time >= opened_at);
        let (clock, is_new) = lsm.with(|state| (state.manifest.clock, is_new(state)));
        let agreed = if is_new { opened_at } else { clock.min(opened_at) };
        let (clock_before, session) = (Cell::new(clock), Session { agreed, steady });
        let store = Rc::new(Store {
            clock_before,
            session,
            chores: Chores::default(),
            witness: Witness::default(),
            is_damaged: Cell::new(false),
            ids: IdMaker::new(platform.clone()),
            platform,
            lsm,
            queue: RefCell::default(),
            pump: Pump::default(),
            durability: options.durability,
            claims: Claims::default(),
            handles: RefCell::default(),
            seen_catalog: Cell::new(Lsn::ZERO),
            told: Cell::new(Lsn::ZERO),
            reading: RefCell::default(),
            maintaining: Cell::new(false),
            opened_at,
            closed: RefCell::default(),
        });
        store.witness.opened_at(store.head());
        if let Some(testimony) = testimony {
            store.meet_witness(&testimony, options.repair).await?;
        }
        if let Some(retain) = options.retain {
            store.set_retain(retain).await?;
        }
        store.settle_soon();
        Ok(store)
    }

    /// Compares the store with what was written down of it. A store that is new is written down at once.
    async fn meet_witness(self: &Rc<Store>, testimony: &Testimony, repair: bool) -> Result<()> {
        let (store, checkpoint) = self.lsm.with(|state| (state.manifest.store, state.manifest.checkpoint()));
        self.witness.is_there.set(true);
        self.witness.flushed(checkpoint);
        let known = testimony.known().into_iter().find(|known| known.store == store);
        match self.lsm.with(|state| testimony.check(state)) {
            Err(error) if !repair => return Err(error),
            Ok(_) if planted::is(Bug::LossNotTold) => {}
            Ok(lost) => self.witness.lost.set(lost),
            Err(_) => {}
        }
        match known {
            // The numbers of lost commits are given again, to others: what was written down of them must not stay.
            _ if repair || self.witness.lost.get() > 0 => self.witness_afresh(testimony).await,
            Some(known) => self.witness.is_known(known),
            None => self.witness_now().await,
        }
        Ok(())
    }

    async fn set_retain(self: &Rc<Store>, retain: u64) -> Result<()> {
        let set = move |frame: &crate::engine::core::pipeline::Frame<'_>| {
            let now: u64 = catalog::setting(frame.view, RETAIN_SETTING, frame.at)?.unwrap_or(RETAIN);
            if now == retain {
                return Ok(((), Vec::new()));
            }
            let version = catalog::encode_setting(retain).encode();
            Ok(((), vec![Change(catalog::setting_row(RETAIN_SETTING), version)]))
        };
        self.commit(self.durability, set).await.map(drop)
    }

    /// Milliseconds of history that the store keeps.
    pub async fn retain(self: &Rc<Store>) -> Result<u64> {
        let retain = self.read(|state, view| catalog::setting(view, RETAIN_SETTING, state.head)).await?;
        Ok(retain.unwrap_or(RETAIN))
    }

    /// A handle on the database `name`, which must exist.
    pub async fn database(self: &Rc<Store>, name: &DatabaseName) -> Result<Rc<Database>> {
        let name = name.clone();
        let find = || self.read(|state, view| catalog::get(view, &name, state.head));
        let entry = match find().await {
            // Another tab may have made it a moment ago, and its word may be on its way.
            Err(error) if error.code() == ErrorCode::DatabaseNotFound => {
                self.refresh().await?;
                find().await?
            }
            found => found?,
        };
        if entry.row.temporary {
            self.keep_temporary(entry.row.id).await;
        }
        let database = Rc::new(Database::new(self.clone(), entry));
        let mut handles = self.handles.borrow_mut();
        handles.retain(|handle| handle.strong_count() > 0);
        handles.push(Rc::downgrade(&database));
        Ok(database)
    }

    pub fn head(&self) -> Lsn {
        self.lsm.head()
    }

    /// Another tab says that there are commits up to `head`: whoever reads from here on sees them (SEMANTICS R10).
    pub async fn hear(self: &Rc<Store>, head: Lsn) -> Result<()> {
        self.told.set(self.told.get().max(head));
        self.catch_up().await
    }

    /// Other tabs may have written, without a word that came here: whoever reads from here on looks at the log first.
    pub fn look_before_reading(&self) {
        self.told.set(self.told.get().max(Lsn(self.head().0 + 1)));
    }

    pub(in crate::engine) fn is_behind(&self) -> bool {
        self.told.get() > self.head()
    }

    /// Takes in what other tabs have told of. What they told may be wrong; then it is forgotten.
    pub(in crate::engine) async fn catch_up(self: &Rc<Store>) -> Result<()> {
        if self.is_behind() {
            let told = self.told.get();
            self.refresh().await?;
            if self.told.get() == told {
                self.told.set(self.head());
            }
        }
        Ok(())
    }

    /// Passes a result on; damage that it tells of is remembered.
    pub(in crate::engine) fn note_damage<T>(&self, result: Result<T>) -> Result<T> {
        if result.as_ref().is_err_and(|error| error.code() == ErrorCode::StorageCorrupt) {
            self.is_damaged.set(true);
        }
        result
    }

    pub(in crate::engine) fn announce(&self, head: Lsn) {
        self.platform.announce(head);
    }

    /// After commits, here or elsewhere: closes the handles of databases that are there no more.
    pub(in crate::engine) fn after_commits(self: &Rc<Store>) {
        let catalog = self.lsm.with(|state| state.catalog_changed);
        self.maintain_soon();
        let seen = self.seen_catalog.replace(catalog);
        if seen != catalog {
            self.note_background(seen);
            let is_in_doubt = |handle: &Rc<Database>| !handle.check_dropped_now();
            let in_doubt: Vec<_> = self.open_handles().into_iter().filter(is_in_doubt).collect();
            if !in_doubt.is_empty() {
                self.platform.spawn(Box::pin(async move {
                    for handle in in_doubt {
                        handle.check_dropped().await;
                    }
                }));
            }
        }
    }

    /// Notes that something reads at `lsn`, for as long as the hold is kept.
    pub(in crate::engine) fn hold(self: &Rc<Store>, lsn: Lsn) -> Hold {
        self.reading.borrow_mut().push(lsn);
        Hold { store: self.clone(), lsn }
    }

    /// Whether a handle on the database is open.
    pub(in crate::engine) fn has_handle(&self, id: u64) -> bool {
        self.open_handles().iter().any(|handle| handle.id() == id && handle.check_open().is_ok())
    }

    fn open_handles(&self) -> Vec<Rc<Database>> {
        self.handles.borrow().iter().filter_map(Weak::upgrade).collect()
    }

    /// The store was taken away: closes it and every handle, for `why`.
    pub async fn abandon(&self, why: Error) -> Result<()> {
        let closed = self.close(why.clone()).await;
        for handle in self.open_handles() {
            handle.abandon(&why);
        }
        closed
    }

    pub(in crate::engine) fn check_open(&self) -> Result<()> {
        match &*self.closed.borrow() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Ends all use of this engine, for `why`. What is being written is finished or not by storage's own rules.
    pub async fn close(&self, why: Error) -> Result<()> {
        if self.closed.borrow().is_some() {
            return Ok(());
        }
        self.closed.replace(Some(why));
        self.lsm.storage().close().await
    }
}

/// What an open snapshot or transaction keeps this engine's own vacuum from dropping.
pub(in crate::engine) struct Hold {
    store: Rc<Store>,
    lsn: Lsn,
}

impl Hold {
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut reading = self.store.reading.borrow_mut();
        let held = reading.iter().rposition(|lsn| *lsn == self.lsn).expect("BUG: what is held is noted");
        reading.swap_remove(held);
    }
}

/// Opens the store, or makes it where nothing says that there was one.
async fn open_witnessed(
    platform: &dyn Platform,
    storage: Rc<dyn Storage>,
    options: &OpenOptions,
) -> Result<(Lsm, Option<Testimony>)> {
    let mut opening = Opening {
        hot_row: catalog::database_row(&DatabaseName::main()),
        store: platform.random(),
        genesis: genesis(platform)?,
        cache_bytes: options.cache_bytes,
        may_create: true,
        repair: options.repair.then_some(Lsn::ZERO),
    };
    if !options.repair {
        // The store is read while the witness is asked: both take their time, and they nearly always agree. What is new
        // or in doubt is looked at once more below, in the order that makes it certain.
        opening.may_create = false;
        if let Ok(lsm) = Lsm::open(storage.clone(), &opening).await {
            let testimony = platform.testimony().await.map(Testimony::new);
            if testimony.as_ref().is_none_or(|testimony| lsm.with(|state| testimony.check(state)) == Ok(0)) {
                return Ok((lsm, testimony));
            }
        }
    }
    let mut looked_again = false;
    loop {
        // First what was written down, then the store: what it has by then is no less.
        let testimony = platform.testimony().await.map(Testimony::new);
        let known = testimony.as_ref().map(Testimony::known).unwrap_or_default();
        opening.may_create = known.is_empty();
        if options.repair {
            opening.repair = Some(known.iter().map(|known| known.head).max().unwrap_or(Lsn::ZERO));
        }
        let opened = Lsm::open(storage.clone(), &opening).await;
        let is_told = match (&opened, &testimony) {
            (Ok(lsm), Some(testimony)) => lsm.with(|state| testimony.check(state)).is_err(),
            (Ok(_), None) => false,
            (Err(error), _) => error.code() == ErrorCode::StorageCorrupt && !known.is_empty(),
        };
        // The store may have been destroyed between the two looks: what is written down says so by now.
        if is_told && !std::mem::replace(&mut looked_again, true) {
            continue;
        }
        return Ok((opened?, testimony));
    }
}

/// The first commit of every store: its root database.
fn genesis(platform: &dyn Platform) -> Result<Commit> {
    let now = platform.now();
    let main = DatabaseRow {
        id: platform.random(),
        layer: crate::engine::clones::clone::draw_layer(platform).0,
        origin: None,
        created: None,
        created_at: now,
        materialized: false,
        expires_at: None,
        parked: false,
        background: false,
        restored: 0,
        began: None,
        copied_from: None,
        temporary: false,
    };
    let change = Change(catalog::database_row(&DatabaseName::main()), main.encode().encode());
    let (changes, runs) = (vec![change], Vec::new());
    Ok(Commit { id: platform.random(), time: now, changes, runs, unsent: false, touches_catalog: true })
}

/// The error of every call on something that was closed.
pub fn closed(what: &str) -> Error {
    Error::new(ErrorCode::Closed, format!("{what} is closed"))
}
