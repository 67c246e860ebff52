//! Making a clone a root of its own: what it lacks is copied into its layer, then its link is cut (SEMANTICS C6, C8).

use std::rc::Rc;

use super::copying::{Job, Link, Pace, Progress, Watch, aborted};
use crate::engine::catalog::{self, DatabaseRow, Entry, Origin};
use crate::engine::clones::clone::{Status, dependency};
use crate::engine::core::pipeline::Frame;
use crate::engine::store::Store;
use crate::engine::store::database::Database;
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Attempt, Change, TreeView};
use crate::platform::Lease;
use crate::types::{DatabaseName, Lsn, Version};

/// How long to wait between two looks at what another tab copies, in milliseconds.
const LOOK: u64 = 250;
/// After so many looks without progress the other tab is taken for frozen. Two tabs that copy do no harm.
const PATIENCE: u32 = 20;

/// The name of the lease under which a clone's rows are copied.
pub(in crate::engine) fn lease_name(link: &Link) -> String {
    format!("materialize-{:016x}", link.layer.0)
}

/// The row of a database whose link is cut. It still says of which database it was a clone.
fn cut(view: TreeView<'_>, entry: &Entry) -> Attempt<DatabaseRow> {
    let created = Some(entry.created().0);
    let copied_from = match &entry.row.origin {
        Some(Origin { name, as_of }) => catalog::find(view, &DatabaseName::new(name)?, Lsn(*as_of))?,
        None => None,
    };
    let copied_from = copied_from.map(|origin| origin.row.id);
    let row = entry.row.clone();
    let (origin, began) = (None, Some(entry.began().0));
    let (materialized, background, parked) = (true, false, false);
    Ok(DatabaseRow { origin, created, began, materialized, background, parked, copied_from, ..row })
}

fn cut_changes(view: TreeView<'_>, entry: &Entry) -> Attempt<[Change; 2]> {
    Ok([
        Change(catalog::database_row(&entry.name), cut(view, entry)?.encode().encode()),
        Change(catalog::whole_row(entry.row.layer()), catalog::encode_whole(entry.row.origin.as_ref()).encode()),
    ])
}

impl Database {
    /// Copies every row that the clone sees and its layer lacks, then cuts its link (SEMANTICS C6). `watch` is told how
    /// far it is, and ends it with ABORTED by answering false; a later call goes on from there. A database that lies on
    /// nothing is left as it is.
    pub async fn materialize(self: &Rc<Database>, watch: &Watch<'_>) -> Result<Status> {
        self.check_open()?;
        self.store.refresh().await?;
        loop {
            self.check_open()?;
            let entry = self.store.read(|state, view| self.entry(view, state.head)).await?;
            let Some(link) = Link::of(&entry) else { return self.status().await };
            if self.store.copy_in_turn(&link, watch).await? && self.store.cut_link(&link).await? {
                return Ok(Status::Materialized);
            }
        }
    }

    /// Removes this database; with `force` its clones are materialized first, and all of it happens or nothing does
    /// (SEMANTICS C8). `watch` is told of one clone after the other.
    pub async fn drop_by_force(self: &Rc<Database>, watch: &Watch<'_>) -> Result<()> {
        self.check_droppable()?;
        self.store.settled().await;
        let mut copied: Vec<Link> = Vec::new();
        loop {
            self.check_open()?;
            let links = self.store.read(|state, view| {
                let own = self.entry(view, state.head)?;
                Ok(links_to(&catalog::list(view, state.head)?, &own.name))
            });
            let links = links.await?;
            copied.retain(|link| links.contains(link));
            // A copy is never lost while its link stands, so what was copied for one that still does is all there.
            if let Some(link) = links.iter().find(|link| !copied.contains(link)) {
                if self.store.copy_in_turn(link, watch).await? {
                    copied.push(link.clone());
                }
                continue;
            }
            if self.drop_with(copied.clone()).await? {
                for link in &copied {
                    // A record that stays behind is swept in time.
                    let _ = self.store.forget_copy(link.layer).await;
                }
                return Ok(());
            }
        }
    }

    /// Cuts the links and removes the database in one commit. False: another clone of it was made meanwhile.
    async fn drop_with(self: &Rc<Database>, copied: Vec<Link>) -> Result<bool> {
        let this = self.clone();
        let evaluate = move |frame: &Frame<'_>| {
            let own = this.entry(frame.view, frame.at)?;
            let all = catalog::list(frame.view, frame.at)?;
            let links = links_to(&all, &own.name);
            if links.iter().any(|link| !copied.contains(link)) {
                return Ok((false, Vec::new()));
            }
            let is_cut = |entry: &&Entry| Link::of(entry).is_some_and(|link| links.contains(&link));
            let mut changes = Vec::new();
            for entry in all.iter().filter(is_cut) {
                changes.extend(cut_changes(frame.view, entry)?);
            }
            changes.push(Change(catalog::database_row(&own.name), Version::tombstone().encode()));
            Ok((true, changes))
        };
        let (is_dropped, _) = self.store.commit(self.store.durability, evaluate).await?;
        Ok(is_dropped)
    }

    pub(in crate::engine) fn check_droppable(&self) -> Result<()> {
        self.check_open()?;
        if *self.name() == DatabaseName::main() {
            return Err(Error::new(ErrorCode::NotAClone, "the root database main cannot be dropped"));
        }
        Ok(())
    }

    /// Removes this database. One that others read through stays, and the error names them (SEMANTICS C8, C9).
    pub async fn drop_database(self: &Rc<Database>) -> Result<()> {
        self.check_droppable()?;
        self.store.settled().await;
        let this = self.clone();
        let evaluate = move |frame: &Frame<'_>| {
            let own = this.entry(frame.view, frame.at)?;
            Ok(((), drop_changes(frame, &own)?))
        };
        self.store.commit(self.store.durability, evaluate).await.map(drop)
    }
}

/// The links of the databases that read through `name`.
fn links_to(all: &[Entry], name: &DatabaseName) -> Vec<Link> {
    let reads_it = |entry: &&Entry| entry.row.origin.as_ref().is_some_and(|origin| origin.name == name.as_str());
    all.iter().filter(reads_it).filter_map(Link::of).collect()
}

/// What drops a database, unless others read through it.
pub(in crate::engine) fn drop_changes(frame: &Frame<'_>, entry: &Entry) -> Attempt<Vec<Change>> {
    let dependents = catalog::dependents(&catalog::list(frame.view, frame.at)?, &entry.name);
    if !dependents.is_empty() {
        return Err(dependency(&entry.name, dependents).into());
    }
    Ok(vec![Change(catalog::database_row(&entry.name), Version::tombstone().encode())])
}

impl Store {
    /// Copies what the link's clone lacks, unless another tab does: then it waits for that one, and goes on by itself
    /// when that one seems to be frozen. False: the link stands no more.
    pub(in crate::engine) async fn copy_in_turn(self: &Rc<Store>, link: &Link, watch: &Watch<'_>) -> Result<bool> {
        let Some(lease) = self.turn_to_copy(link, watch).await? else { return Ok(false) };
        let copied = self.copy_again(link, Pace::Foreground, watch).await;
        drop(lease);
        copied
    }

    /// As `copy_all`, again from the last place written down when a run was taken for abandoned meanwhile.
    pub(in crate::engine) async fn copy_again(
        self: &Rc<Store>,
        link: &Link,
        pace: Pace,
        watch: &Watch<'_>,
    ) -> Result<bool> {
        let mut tries = 0;
        loop {
            let copied = self.copy_all(link, pace, watch).await;
            self.sweep_strays().await;
            match copied {
                Err(error) if error.code() == ErrorCode::Conflict && tries < 3 => tries += 1,
                copied => return copied,
            }
        }
    }

    /// The lease, or leave to go on without it; `None`: the link stands no more.
    async fn turn_to_copy(self: &Rc<Store>, link: &Link, watch: &Watch<'_>) -> Result<Option<Option<Lease>>> {
        let mut last: Option<Job> = None;
        let mut waited = 0;
        loop {
            let lease = self.try_lease(&lease_name(link)).await;
            if lease.is_some() || waited >= PATIENCE {
                return Ok(Some(lease));
            }
            let job = self.copy_job(link).await?;
            if !watch(job.as_ref().map_or_else(Progress::default, Job::progress)) {
                return Err(aborted());
            }
            waited = if job == last { waited + 1 } else { 0 };
            last = job;
            self.platform.sleep(LOOK).await;
            self.refresh().await?;
            if self.read(|state, view| link.find(view, state.head)).await?.is_none() {
                return Ok(None);
            }
        }
    }

    /// Cuts the link of a clone whose layer holds everything. False: it stood no more.
    pub(in crate::engine) async fn cut_link(self: &Rc<Store>, link: &Link) -> Result<bool> {
        let cut = link.clone();
        let evaluate = move |frame: &Frame<'_>| {
            let entry = cut.find(frame.view, frame.at)?;
            let changes = entry.map(|entry| cut_changes(frame.view, &entry)).transpose()?;
            Ok(((), changes.into_iter().flatten().collect::<Vec<_>>()))
        };
        let ((), lsn) = self.commit(self.durability, evaluate).await?;
        // A record that stays behind is swept in time.
        let _ = self.forget_copy(link.layer).await;
        Ok(lsn.is_some())
    }
}
