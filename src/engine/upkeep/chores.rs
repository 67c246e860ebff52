//! Work that no call asks for: temporary clones that go, clones whose time is up, materialization in the background.
//!
//! A store is looked after once it is open, and with its maintenance. It is one walk over the catalog, and no call
//! waits for it but those that tell what databases there are.

use std::rc::Rc;

use super::Upkeep;
use crate::engine::catalog::{self, Entry};
use crate::engine::clones::clone::temporary_lease;
use crate::engine::clones::dropping::drop_unused;
use crate::engine::copy::copying::{Link, Pace, readable_since};
use crate::engine::copy::materialize::{copy_again, cut_link, lease_name};
use crate::error::Result;
use crate::lsm::Installation;
use crate::types::row::{LAYER_BYTES, prefix, row, split_name};
use crate::types::sort::in_order;
use crate::types::{DatabaseName, Kind, LayerId, Lsn, SortedSet};

/// Milliseconds from an opening to the first look: the calls that follow an opening at once go first.
const FIRST_LOOK: u64 = 20;
/// Milliseconds between two looks at whether the store was looked after.
const LOOK: u64 = 10;
/// How long to wait for a tab that copies before this one asks again, in milliseconds, and how often.
const RETRY: u64 = 5000;
/// Milliseconds after which a temporary clone is nobody's where a host cannot tell whether its tab lives.
const FORGOTTEN: u64 = 24 * 60 * 60 * 1000;
const RETRIES: u32 = 60;

impl Upkeep {
    /// Looks after the store a moment from now.
    pub fn look_after_soon(self: &Rc<Upkeep>) {
        // A task that sleeps keeps no engine: one that is closed meanwhile gives its memory back at once.
        let (platform, upkeep) = (self.core.platform.clone(), Rc::downgrade(self));
        self.core.platform.spawn(Box::pin(async move {
            platform.sleep(FIRST_LOOK).await;
            let Some(upkeep) = upkeep.upgrade() else { return };
            upkeep.looked_after().await;
            let _ = upkeep.reclaim_if_worth().await;
            upkeep.keep_reserve().await;
        }));
    }

    /// Waits until the store was looked after since it is open. A failure is made up for by the next time.
    pub async fn looked_after(self: &Rc<Upkeep>) {
        while !self.is_looked_after.get() && self.core.check_open().is_ok() {
            match self.looking.begin(self.core.platform.steady()) {
                Some(_running) => {
                    let _ = self.look_after().await;
                    self.is_looked_after.set(true);
                }
                // A Worker's request that waited for another one's promise would be killed, so it asks again.
                None => self.core.platform.sleep(LOOK).await,
            }
        }
    }

    /// Drops the clones that are to go, and finds those that are to be materialized.
    pub async fn look_after(self: &Rc<Upkeep>) -> Result<()> {
        let found = self.core.read(|state, view| {
            let all = catalog::list(view, state.head)?;
            let of_interest =
                |entry: &Entry| entry.row.temporary || entry.row.expires_at.is_some() || is_to_copy(entry);
            Ok(all.into_iter().filter(of_interest).collect::<Vec<_>>())
        });
        let mut is_due_here = false;
        // A clone is younger than what it reads through, and goes first.
        let found = in_order(found.await?, |one, other| other.created().cmp(&one.created()));
        for entry in found {
            if is_to_copy(&entry) {
                self.background.borrow_mut().insert(entry.name.clone());
            }
            if entry.row.temporary && !self.core.keeps_lease(&temporary_lease(entry.row.id)) {
                let lease = self.core.try_lease(&temporary_lease(entry.row.id)).await;
                let old = entry.row.created_at.saturating_add(FORGOTTEN);
                match lease {
                    // A lease that is not sole does not prove that the clone's tab is gone: this host has no leases
                    // that tabs share. So the clone is left alone until it is `FORGOTTEN` old.
                    Some(lease)
                        if !lease.is_sole() && old > self.core.lsm.with(|state| self.core.clock.agreed(state)) =>
                    {
                        is_due_here |= old <= self.core.clock.opened_at();
                    }
                    Some(_) => drop_unused(&self.core, &entry.name, entry.row.id).await,
                    None => {}
                }
            }
            if let Some(time) = entry.row.expires_at {
                if time <= self.core.lsm.with(|state| self.core.clock.agreed(state)) {
                    drop_unused(&self.core, &entry.name, entry.row.id).await;
                } else {
                    is_due_here |= time <= self.core.clock.opened_at();
                }
            }
        }
        self.copy_soon();
        if is_due_here { self.write_clock().await } else { Ok(()) }
    }

    /// Writes this opening's clock down, for a later one to agree with.
    pub async fn write_clock(self: &Rc<Upkeep>) -> Result<()> {
        let manifest = self.core.lsm.with(|state| state.manifest.clone());
        if manifest.clock == self.core.clock.opened_at() || self.core.is_damaged() {
            return Ok(());
        }
        let mut installation = Installation::new(manifest);
        installation.set_clock(self.core.clock.opened_at());
        self.core.install(installation).await.map(drop)
    }

    /// After a commit that changed the catalog: notes clones that are to be materialized in the background.
    pub fn note_background(self: &Rc<Upkeep>, since: Lsn) {
        let names = self.core.lsm.with(|state| {
            let databases = row(LayerId::CATALOG, &prefix(catalog::DATABASES, Kind::Catalog));
            let from = state.notes.partition_point(|note| note.lsn <= since);
            let rows = state.notes[from..].iter().flat_map(|note| note.changes.rows());
            let names =
                rows.filter(|row| row.starts_with(&databases)).filter_map(|row| split_name(&row[LAYER_BYTES..]));
            names.filter_map(|name| DatabaseName::new(name).ok()).collect::<SortedSet<_>>()
        });
        for name in names {
            let found = self.core.read_now(|state, view| catalog::find(view, &name, state.head));
            if let Some(Ok(Some(entry))) = found
                && is_to_copy(&entry)
            {
                self.background.borrow_mut().insert(name);
            }
        }
        self.copy_soon();
    }

    fn copy_soon(self: &Rc<Upkeep>) {
        let has_work = !self.background.borrow().is_empty();
        if has_work
            && self.core.check_open().is_ok()
            && let Some(running) = self.copying.begin(self.core.platform.steady())
        {
            let upkeep = self.clone();
            self.core.platform.spawn(Box::pin(async move {
                // No call sees a failure here; the copying is tried again when the store is looked after.
                let _ = upkeep.copy_in_background().await;
                drop(running);
            }));
        }
    }

    /// Materializes one clone after the other. One that another tab copies is asked for again, should that tab die.
    async fn copy_in_background(self: &Rc<Upkeep>) -> Result<()> {
        for _ in 0..RETRIES {
            let names: Vec<DatabaseName> = self.background.borrow().iter().cloned().collect();
            for name in names {
                self.copying.sign(self.core.platform.steady());
                // A clone whose copying fails keeps no other clone waiting, and is copied again.
                if self.copy_behind(&name).await.unwrap_or(false) {
                    self.background.borrow_mut().remove(&name);
                }
            }
            if self.background.borrow().is_empty() {
                break;
            }
            self.core.platform.sleep(RETRY).await;
            self.core.refresh().await?;
        }
        Ok(())
    }

    /// Asked by a copying between its steps: true, so that it goes on.
    fn shows_copying(&self) -> bool {
        self.copying.sign(self.core.platform.steady());
        true
    }

    /// False: another tab is at it.
    async fn copy_behind(self: &Rc<Upkeep>, name: &DatabaseName) -> Result<bool> {
        let links = self.core.read(|state, view| {
            let entry = catalog::find(view, name, state.head)?.filter(is_to_copy);
            let link = entry.and_then(|entry| Link::of(&entry));
            readable_since(view, state.manifest.floor(), link.into_iter().collect())
        });
        let Some(link) = links.await?.pop() else { return Ok(true) };
        let Some(lease) = self.core.try_lease(&lease_name(&link.0)).await else { return Ok(false) };
        if copy_again(&self.core, &link, Pace::Background, &|_| self.shows_copying()).await? {
            cut_link(&self.core, &link.0).await?;
        }
        drop(lease);
        // Where the link was moved meanwhile, there is another one to copy over.
        let entry = self.core.read(|state, view| catalog::find(view, name, state.head)).await?;
        Ok(!entry.is_some_and(|entry| is_to_copy(&entry)))
    }
}

fn is_to_copy(entry: &Entry) -> bool {
    entry.row.background && entry.row.origin.is_some()
}
