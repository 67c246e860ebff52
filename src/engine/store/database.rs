//! The calls of a database: each is a line or two that leads to the room that does it.

use std::future::Future;
use std::rc::Rc;

use super::Store;
use super::snapshot::{Side, Snapshot};
use crate::engine::catalog;
use crate::engine::clones::clone::{self, CloneOptions, LineageEntry, Status, temporary_lease};
use crate::engine::clones::dropping;
use crate::engine::compare::diff::{self, Difference};
use crate::engine::copy::copying::Watch;
use crate::engine::copy::materialize;
use crate::engine::handle::history::When;
use crate::engine::handle::snapshot::{AtOnce, Unfinished};
use crate::engine::handle::{Handle, OnClose};
use crate::engine::merge::{self, MergeOptions, MergeReport, Policy, RebaseOptions, Select};
use crate::engine::op::{Answer, Op};
use crate::engine::rows::collections::CollectionInfo;
use crate::engine::transact::body::{self, Ended, OpenTransaction, TransactionOptions};
use crate::engine::transfer::{self, ImportOptions, Imported, Source};
use crate::error::{ErrorCode, Result};
use crate::storage::Durability;
use crate::types::{Bytes, CollectionName, DatabaseName, Lsn};

impl Store {
    /// A handle on the database `name`, which must exist.
    pub async fn database(self: &Rc<Store>, name: &DatabaseName) -> Result<Rc<Database>> {
        let find = || self.core.read(|state, view| catalog::get(view, name, state.head));
        let entry = match find().await {
            // Another tab may have made it a moment ago, and its word may be on its way.
            Err(error) if error.code() == ErrorCode::DatabaseNotFound => {
                self.core.refresh().await?;
                find().await?
            }
            found => found?,
        };
        if entry.row.temporary {
            self.core.keep_lease(temporary_lease(entry.row.id)).await;
        }
        let handle = Rc::new(Handle::new(self.core.clone(), entry));
        let mut handles = self.handles.borrow_mut();
        handles.retain(|handle| handle.strong_count() > 0);
        handles.push(Rc::downgrade(&handle));
        Ok(Rc::new(Database::new(self.clone(), handle)))
    }
}

/// A database as it is now.
pub struct Database {
    store: Rc<Store>,
    handle: Rc<Handle>,
}

impl Database {
    fn new(store: Rc<Store>, handle: Rc<Handle>) -> Database {
        Database { store, handle }
    }

    pub fn name(&self) -> &DatabaseName {
        self.handle.name()
    }

    pub fn store(&self) -> &Rc<Store> {
        &self.store
    }

    /// The newest commit that this handle knows.
    pub fn version(&self) -> Lsn {
        self.store.head()
    }

    pub fn check_open(&self) -> Result<()> {
        self.handle.check_open()
    }

    /// Whom to tell when the handle closes for a reason that is not its user's.
    pub fn on_close(&self, callback: OnClose) {
        self.handle.on_close(callback);
    }

    /// Ends this handle only.
    pub fn close(&self) {
        self.handle.close();
    }

    /// Closes the handle. With the last one of its engine a temporary clone goes, unless others read through it: then
    /// it goes once they are gone.
    pub async fn leave(&self) {
        let (handle, core) = (&self.handle, &self.handle.core);
        let is_open = handle.check_open().is_ok();
        handle.close();
        if is_open && handle.is_temporary() && !self.store.has_handle(handle.id()) {
            dropping::drop_unused(core, handle.name(), handle.id()).await;
            core.release_lease(&temporary_lease(handle.id()));
        }
    }

    /// Runs one step of a reading call on what is in memory.
    pub fn run_at_once(&self, op: &Op) -> Result<AtOnce> {
        self.handle.run_at_once(op)
    }

    /// Goes on with a reading call, which is `op` as a whole.
    pub fn finish(&self, op: Op, unfinished: Unfinished) -> impl Future<Output = Result<Answer>> {
        self.handle.finish(op, unfinished)
    }

    /// Runs a reading call on what is in memory; `None`: it needs storage, or more than one step.
    pub fn run_now(&self, op: &Op) -> Option<Result<Answer>> {
        match self.run_at_once(op) {
            Ok(AtOnce::Done(answer)) => Some(Ok(answer)),
            Ok(AtOnce::Unfinished(_)) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// The fields of a document, read from memory; `None`: it needs storage.
    pub fn get_now(&self, collection: &str, id: &str) -> Option<Result<Option<Bytes>>> {
        let collection = match CollectionName::new(collection) {
            Ok(collection) => collection,
            Err(error) => return Some(Err(error)),
        };
        let answer = self.run_now(&Op::Get { collection, id: id.to_string() })?;
        Some(answer.map(|answer| match answer {
            Answer::Value(value) => value,
            _ => unreachable!("BUG: a read of one document answers a value"),
        }))
    }

    /// Runs a single call; one that writes is one commit.
    pub async fn run(&self, op: Op, durability: Option<Durability>) -> Result<Answer> {
        if op.is_write() { Ok(self.write(op, durability).await?.0) } else { self.handle.run(op).await }
    }

    /// As `run`, of a call that writes, with its commit's LSN; `None`: there was nothing to write.
    pub async fn write(&self, op: Op, durability: Option<Durability>) -> Result<(Answer, Option<Lsn>)> {
        self.check_open()?;
        if !self.store.claims.is_empty() {
            self.store.claims.let_first_of_call(&self.handle, &op).await?;
        }
        self.handle.write(op, durability).await
    }

    /// Runs `body` in a transaction, again after a conflict. An error of the body undoes the transaction and is given
    /// back unchanged.
    pub fn transact<R, E, F: Future<Output = std::result::Result<R, E>>>(
        &self,
        options: TransactionOptions,
        body: impl FnMut(Rc<OpenTransaction>) -> F,
    ) -> impl Future<Output = Result<Ended<R, E>>> {
        body::transact(&self.handle, &self.store.claims, options, body)
    }

    /// The collections here, those of the origin too.
    pub fn collections(&self) -> impl Future<Output = Result<Vec<CollectionInfo>>> {
        self.handle.collections()
    }

    /// A snapshot of the database at the head, fixed from now on.
    pub async fn snapshot(&self) -> Result<Snapshot> {
        self.handle.snapshot().await.map(Snapshot::from)
    }

    /// As `snapshot`, at once; `None`: it needs storage.
    pub fn snapshot_now(&self) -> Result<Option<Snapshot>> {
        Ok(self.handle.snapshot_now()?.map(Snapshot::from))
    }

    /// The database as it was. Before it was made, it reads as empty (SEMANTICS R6).
    pub async fn at(&self, when: When) -> Result<Snapshot> {
        self.handle.at(when).await.map(Snapshot::from)
    }

    /// As `Snapshot::diff`, of the database now, all pages.
    pub async fn diff(&self, against: Side<'_>) -> Result<Vec<Difference>> {
        diff::all(&self.handle, against.against()).await
    }

    /// Makes a clone of this database (SEMANTICS C1) and returns its name.
    pub fn create_clone(
        &self,
        name: Option<DatabaseName>,
        options: CloneOptions,
    ) -> impl Future<Output = Result<DatabaseName>> {
        clone::create_clone(&self.handle, name, options)
    }

    /// This database first, the root last (SEMANTICS C4).
    pub fn lineage(&self) -> impl Future<Output = Result<Vec<LineageEntry>>> {
        clone::lineage(&self.handle)
    }

    pub fn status(&self) -> impl Future<Output = Result<Status>> {
        clone::status(&self.handle)
    }

    /// Copies every row that the clone sees and its layer lacks, then cuts its link (SEMANTICS C6). `watch` is told how
    /// far it is, and ends it with ABORTED by answering false; a later call goes on from there. A database that lies on
    /// nothing is left as it is.
    pub async fn materialize(&self, watch: &Watch<'_>) -> Result<Status> {
        let is_cut = materialize::materialize(&self.handle, watch).await?;
        if is_cut { Ok(Status::Materialized) } else { self.status().await }
    }

    /// Removes this database. One that others read through stays, and the error names them (SEMANTICS C8, C9).
    pub async fn drop_database(&self) -> Result<()> {
        dropping::check_droppable(&self.handle)?;
        self.store.upkeep.looked_after().await;
        dropping::drop_database(&self.handle).await
    }

    /// Removes this database; its clones are materialized first, and all of it happens or nothing does (SEMANTICS C8).
    /// `watch` is told of one clone after the other.
    pub async fn drop_by_force(&self, watch: &Watch<'_>) -> Result<()> {
        dropping::check_droppable(&self.handle)?;
        self.store.upkeep.looked_after().await;
        dropping::drop_by_force(&self.handle, watch).await
    }

    /// Brings this clone's changes into its origin in one commit (SEMANTICS C12). Afterwards the clone stands on the
    /// origin as merged.
    pub fn merge(&self, options: MergeOptions) -> impl Future<Output = Result<MergeReport>> {
        merge::merge(&self.handle, options)
    }

    /// Moves this clone onto its origin's present, or another later point of it, under its own changes (SEMANTICS C13).
    pub fn rebase(&self, options: RebaseOptions) -> impl Future<Output = Result<MergeReport>> {
        merge::rebase(&self.handle, options)
    }

    /// Forgets this clone's own changes, or those that are selected: it reads as its origin where it began.
    /// Gives its commit; `None`: there was nothing to forget.
    pub fn reset(&self, only: Option<Select>) -> impl Future<Output = Result<Option<Lsn>>> {
        merge::reset(&self.handle, only)
    }

    /// Undoes commits and keeps later changes, by three-way merge (SEMANTICS C15).
    pub fn revert(&self, commits: &[Lsn], policy: &Policy, dry_run: bool) -> impl Future<Output = Result<MergeReport>> {
        merge::revert(&self.handle, commits, policy, dry_run)
    }

    /// Makes the present equal to the database as it was at `when`, in one commit, which can itself be undone.
    /// `keep_as` clones the present first. Gives the commit; `None`: the present is as it was.
    pub fn restore(&self, when: When, keep_as: Option<DatabaseName>) -> impl Future<Output = Result<Option<Lsn>>> {
        merge::restore(&self.handle, when, keep_as)
    }

    /// Adds what `source` gives to what is here, all or nothing. Memory is bounded; others read and write meanwhile.
    pub fn import(&self, source: &mut dyn Source, options: ImportOptions) -> impl Future<Output = Result<Imported>> {
        transfer::import(&self.handle, source, options)
    }
}
