//! What nobody calls for: temporary clones that go, clones whose time is up, materialization in the background.
//!
//! A store is looked after once it is open, and with its maintenance. It is one walk over the catalog, and no call
//! waits for it but those that tell what databases there are.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use futures_channel::oneshot;

use crate::engine::catalog::{self, Entry};
use crate::engine::copy::copying::{Link, Pace};
use crate::engine::copy::materialize::{drop_changes, lease_name};
use crate::engine::core::pipeline::Frame;
use crate::engine::store::database::Database;
use crate::engine::store::{Session, Store};
use crate::error::Result;
use crate::lsm::{Installation, State};
use crate::platform::Lease;
use crate::types::row::{LAYER_BYTES, prefix, row, split_name};
use crate::types::{DatabaseName, Kind, LayerId, Lsn};

/// An opening and what follows it at once go first.
const SETTLE: u64 = 20;
/// How long to wait for a tab that copies before this one asks again, in milliseconds, and how often.
const RETRY: u64 = 5000;
/// Milliseconds after which a temporary clone is nobody's where a host cannot tell whether its tab lives.
const FORGOTTEN: u64 = 24 * 60 * 60 * 1000;
const RETRIES: u32 = 60;

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Look {
    #[default]
    Due,
    UnderWay,
    Done,
}

#[derive(Default)]
pub struct Chores {
    look: Cell<Look>,
    waiting: RefCell<Vec<oneshot::Sender<()>>>,
    /// Leases on the temporary clones that this engine made: no other one drops them while it lives.
    temporary: RefCell<BTreeMap<u64, Lease>>,
    /// Clones to be materialized in the background.
    background: RefCell<BTreeSet<DatabaseName>>,
    is_copying: Cell<bool>,
    /// The store's bytes after all runs were merged and too little of them was freed; 0: enough was. Until the store
    /// has grown to twice as much, no such merge is tried again: each would rewrite everything and free nothing.
    pub(in crate::engine) left_bytes: Cell<u64>,
    /// How often in a row maintenance has failed, and until when it rests, by the steady clock.
    pub(in crate::engine) failures: Cell<u32>,
    pub(in crate::engine) rests_until: Cell<u64>,
}

fn temporary_lease(id: u64) -> String {
    format!("temporary-{id:016x}")
}

impl Store {
    /// Looks after the store a moment from now.
    pub(in crate::engine) fn settle_soon(self: &Rc<Store>) {
        // What sleeps keeps no engine: one that is closed meanwhile gives its memory back at once.
        let (platform, store) = (self.platform.clone(), Rc::downgrade(self));
        self.platform.spawn(Box::pin(async move {
            platform.sleep(SETTLE).await;
            let Some(store) = store.upgrade() else { return };
            store.settled().await;
            let _ = store.reclaim_if_worth().await;
        }));
    }

    /// Waits until the store was looked after since it is open. What fails is made up for by the next time.
    pub(in crate::engine) async fn settled(self: &Rc<Store>) {
        match self.chores.look.get() {
            Look::Done => {}
            Look::UnderWay => {
                let (sender, receiver) = oneshot::channel();
                self.chores.waiting.borrow_mut().push(sender);
                let _ = receiver.await;
            }
            Look::Due => {
                self.chores.look.set(Look::UnderWay);
                let _ = self.look_after().await;
                self.chores.look.set(Look::Done);
                let waiting = std::mem::take(&mut *self.chores.waiting.borrow_mut());
                for sender in waiting {
                    let _ = sender.send(());
                }
            }
        }
    }

    /// Drops the clones that are to go, and finds those that are to be materialized.
    pub(in crate::engine) async fn look_after(self: &Rc<Store>) -> Result<()> {
        let found = self.read(|state, view| {
            let all = catalog::list(view, state.head)?;
            let of_interest =
                |entry: &Entry| entry.row.temporary || entry.row.expires_at.is_some() || is_to_copy(entry);
            Ok(all.into_iter().filter(of_interest).collect::<Vec<_>>())
        });
        let mut is_due_here = false;
        let mut found = found.await?;
        // A clone is younger than what it reads through, and goes first.
        found.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.created()));
        for entry in found {
            if is_to_copy(&entry) {
                self.chores.background.borrow_mut().insert(entry.name.clone());
            }
            if entry.row.temporary && !self.chores.temporary.borrow().contains_key(&entry.row.id) {
                let lease = self.try_lease(&temporary_lease(entry.row.id)).await;
                let old = entry.row.created_at.saturating_add(FORGOTTEN);
                match lease {
                    // A lease that is not sole does not prove that the clone's tab is gone: this host has no leases
                    // that tabs share. So the clone is left alone until it is `FORGOTTEN` old.
                    Some(lease) if !lease.is_sole() && old > self.lsm.with(|state| self.agreed_clock(state)) => {
                        is_due_here |= old <= self.opened_at;
                    }
                    Some(_) => self.drop_unused(&entry.name, entry.row.id).await,
                    None => {}
                }
            }
            if let Some(time) = entry.row.expires_at {
                if time <= self.lsm.with(|state| self.agreed_clock(state)) {
                    self.drop_unused(&entry.name, entry.row.id).await;
                } else {
                    is_due_here |= time <= self.opened_at;
                }
            }
        }
        self.copy_soon();
        if is_due_here { self.write_clock().await } else { Ok(()) }
    }

    /// What two openings agree that it is at least: one clock that jumped destroys nothing. Time that has passed while
    /// this one is open is measured by a clock that cannot jump.
    pub(in crate::engine) fn agreed_clock(&self, state: &State) -> u64 {
        let told = state.manifest.clock;
        let told = if told == self.opened_at { self.clock_before.get() } else { told };
        told.min(self.opened_at).max(self.steady_clock()).min(self.platform.now())
    }

    /// What was agreed on when this one opened, and what has passed since.
    pub(in crate::engine) fn steady_clock(&self) -> u64 {
        let Session { agreed, steady } = self.session;
        agreed.saturating_add(self.platform.steady().saturating_sub(steady))
    }

    /// Writes this opening's clock down, for a later one to agree with.
    pub(in crate::engine) async fn write_clock(self: &Rc<Store>) -> Result<()> {
        let manifest = self.lsm.with(|state| state.manifest.clone());
        if manifest.clock == self.opened_at || self.is_damaged.get() {
            return Ok(());
        }
        let mut installation = Installation::new(manifest);
        installation.set_clock(self.opened_at);
        self.install(installation).await.map(drop)
    }

    /// Drops a clone that is to go, unless others read through it: then it goes later.
    async fn drop_unused(self: &Rc<Store>, name: &DatabaseName, id: u64) {
        let name = name.clone();
        let evaluate = move |frame: &Frame<'_>| {
            let found = catalog::find(frame.view, &name, frame.at)?.filter(|found| found.row.id == id);
            let changes = found.map(|found| drop_changes(frame, &found)).transpose()?;
            Ok(((), changes.unwrap_or_default()))
        };
        let _ = self.commit(self.durability, evaluate).await;
    }

    /// Takes the lease on a temporary clone for as long as this engine has a handle on it.
    pub(in crate::engine) async fn keep_temporary(self: &Rc<Store>, id: u64) {
        let is_kept = self.chores.temporary.borrow().contains_key(&id);
        if !is_kept && let Some(lease) = self.try_lease(&temporary_lease(id)).await {
            self.chores.temporary.borrow_mut().insert(id, lease);
        }
    }

    /// Another engine may drop it from here on.
    pub(in crate::engine) fn release_temporary(&self, id: u64) {
        self.chores.temporary.borrow_mut().remove(&id);
    }

    /// After a commit that changed the catalog: notes clones that are to be materialized in the background.
    pub(in crate::engine) fn note_background(self: &Rc<Store>, since: Lsn) {
        let names = self.lsm.with(|state| {
            let databases = row(LayerId::CATALOG, &prefix(catalog::DATABASES, Kind::Catalog));
            let from = state.notes.partition_point(|note| note.lsn <= since);
            let rows = state.notes[from..].iter().flat_map(|note| note.rows.iter());
            let names =
                rows.filter(|row| row.starts_with(&databases)).filter_map(|row| split_name(&row[LAYER_BYTES..]));
            names.filter_map(|name| DatabaseName::new(name).ok()).collect::<BTreeSet<_>>()
        });
        for name in names {
            let found = self.read_now(|state, view| catalog::find(view, &name, state.head));
            if let Some(Ok(Some(entry))) = found
                && is_to_copy(&entry)
            {
                self.chores.background.borrow_mut().insert(name);
            }
        }
        self.copy_soon();
    }

    fn copy_soon(self: &Rc<Store>) {
        let has_work = !self.chores.background.borrow().is_empty();
        if has_work && self.check_open().is_ok() && !self.chores.is_copying.replace(true) {
            let store = self.clone();
            self.platform.spawn(Box::pin(async move {
                // What fails here is nobody's call; it is tried again when the store is looked after.
                let _ = store.copy_in_background().await;
                store.chores.is_copying.set(false);
            }));
        }
    }

    /// Materializes one clone after the other. One that another tab copies is asked for again, should that tab die.
    async fn copy_in_background(self: &Rc<Store>) -> Result<()> {
        for _ in 0..RETRIES {
            let names: Vec<DatabaseName> = self.chores.background.borrow().iter().cloned().collect();
            for name in names {
                // One that fails keeps no other one waiting, and is asked for again.
                if self.copy_behind(&name).await.unwrap_or(false) {
                    self.chores.background.borrow_mut().remove(&name);
                }
            }
            if self.chores.background.borrow().is_empty() {
                break;
            }
            self.platform.sleep(RETRY).await;
            self.refresh().await?;
        }
        Ok(())
    }

    /// False: another tab is at it.
    async fn copy_behind(self: &Rc<Store>, name: &DatabaseName) -> Result<bool> {
        let entry = self.read(|state, view| catalog::find(view, name, state.head)).await?;
        let Some(link) = entry.filter(is_to_copy).and_then(|entry| Link::of(&entry)) else { return Ok(true) };
        let Some(lease) = self.try_lease(&lease_name(&link)).await else { return Ok(false) };
        if self.copy_again(&link, Pace::Background, &|_| true).await? {
            self.cut_link(&link).await?;
        }
        drop(lease);
        // Where the link was moved meanwhile, there is another one to copy over.
        let entry = self.read(|state, view| catalog::find(view, name, state.head)).await?;
        Ok(!entry.is_some_and(|entry| is_to_copy(&entry)))
    }
}

fn is_to_copy(entry: &Entry) -> bool {
    entry.row.background && entry.row.origin.is_some()
}

impl Database {
    /// Closes the handle. With the last one of its engine a temporary clone goes, unless others read through it: then
    /// it goes once they are gone.
    pub async fn leave(self: &Rc<Database>) {
        let is_open = self.check_open().is_ok();
        self.close();
        if is_open && self.is_temporary() && !self.store.has_handle(self.id()) {
            self.store.drop_unused(self.name(), self.id()).await;
            self.store.release_temporary(self.id());
        }
    }
}
