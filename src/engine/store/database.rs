//! A handle on a database as it is now: reads at the head, single calls, transactions.

use std::cell::RefCell;
use std::rc::Rc;

use crate::engine::catalog::{self, Entry};
use crate::engine::core::pipeline::{Frame, changes_of};
use crate::engine::handle::snapshot::Snapshot;
use crate::engine::op::context::{Context, decode_collection};
use crate::engine::op::known::Known;
use crate::engine::op::transaction::{Guard, Transaction};
use crate::engine::op::{Answer, Op, Step};
use crate::engine::rows::path::Path;
use crate::engine::rows::read::{self, SuffixRange};
use crate::engine::store::{Store, closed};
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Attempt, Change, Fault, State, TreeView};
use crate::planted::{self, Bug};
use crate::storage::Durability;
use crate::types::row::{prefix, prefix_end, split_name, split_row};
use crate::types::{CollectionName, DatabaseName, Kind, Lsn, Suffix};

pub struct Database {
    pub(in crate::engine) store: Rc<Store>,
    name: DatabaseName,
    /// Tells this database from one made later under its name.
    id: u64,
    /// It goes with the last handle on it.
    is_temporary: bool,
    /// The path at a head, for as long as neither the head nor the catalog moves.
    cached: RefCell<Option<Cached>>,
    closed: RefCell<Option<Error>>,
    on_close: RefCell<Option<OnClose>>,
}

/// Told why a handle closed, when it was not by its user.
pub type OnClose = Box<dyn Fn(&Error)>;

struct Cached {
    head: Lsn,
    catalog: Lsn,
    row_lsn: Lsn,
    path: Path,
}

/// A collection's name and kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CollectionInfo {
    pub name: String,
    pub kind: Kind,
}

impl Database {
    pub(in crate::engine) fn new(store: Rc<Store>, entry: Entry) -> Database {
        Database {
            store,
            name: entry.name,
            id: entry.row.id,
            is_temporary: entry.row.temporary,
            cached: RefCell::default(),
            closed: RefCell::default(),
            on_close: RefCell::default(),
        }
    }

    pub fn name(&self) -> &DatabaseName {
        &self.name
    }

    pub(in crate::engine) fn is_temporary(&self) -> bool {
        self.is_temporary
    }

    pub(in crate::engine) fn id(&self) -> u64 {
        self.id
    }

    pub fn store(&self) -> &Rc<Store> {
        &self.store
    }

    /// The newest commit that this handle knows.
    pub fn version(&self) -> Lsn {
        self.store.head()
    }

    pub fn check_open(&self) -> Result<()> {
        match &*self.closed.borrow() {
            Some(error) => Err(error.clone()),
            None => self.store.check_open(),
        }
    }

    /// Ends this handle only. Its user needs no word of that. The callback goes with it: in JavaScript it owns the
    /// handle of which it is told, and the two would keep each other for ever.
    pub fn close(&self) {
        self.closed.borrow_mut().get_or_insert_with(|| closed("the database handle"));
        self.on_close.take();
    }

    /// Whom to tell when the handle closes for a reason that is not its user's.
    pub fn on_close(&self, callback: OnClose) {
        self.on_close.replace(Some(callback));
    }

    /// Closes the handle for `why`, and tells its user.
    pub(in crate::engine) fn abandon(&self, why: &Error) {
        let was_open = self.closed.borrow().is_none();
        if was_open {
            self.closed.replace(Some(why.clone()));
            let callback = self.on_close.take();
            if let Some(callback) = callback {
                callback(why);
            }
        }
    }

    /// Closes the handle if its database is there no more. False: what says so is not in memory, as after a commit
    /// that wrote its rows as a run.
    pub(in crate::engine) fn check_dropped_now(&self) -> bool {
        let found = self.store.read_now(|state, view| Ok(self.entry(view, state.head)?.lsn));
        let is_told = found.is_some();
        self.leave_dropped(found);
        is_told
    }

    /// As `check_dropped_now`, from storage. Where that fails, the next call on the handle finds out.
    pub(in crate::engine) async fn check_dropped(&self) {
        let found = self.store.read(|state, view| Ok(self.entry(view, state.head)?.lsn)).await;
        self.leave_dropped(Some(found));
    }

    fn leave_dropped(&self, found: Option<Result<Lsn>>) {
        if let Some(Err(error)) = found
            && error.code() == ErrorCode::Closed
        {
            self.abandon(&error);
        }
    }

    /// The path now, and the LSN of the catalog row that says so.
    fn path(&self, state: &State, view: TreeView<'_>) -> Attempt<(Path, Lsn)> {
        if let Some(cached) = &*self.cached.borrow()
            && cached.catalog == state.catalog_changed
        {
            let path = if cached.head == state.head { cached.path.clone() } else { cached.path.at(state.head) };
            return Ok((path, cached.row_lsn));
        }
        let (path, row_lsn) = self.path_at(view, state.head)?;
        let (head, catalog) = (state.head, state.catalog_changed);
        self.cached.replace(Some(Cached { head, catalog, row_lsn, path: path.clone() }));
        Ok((path, row_lsn))
    }

    pub(in crate::engine) fn path_at(&self, view: TreeView<'_>, at: Lsn) -> Attempt<(Path, Lsn)> {
        let entry = self.entry(view, at)?;
        let lsn = entry.lsn;
        Ok((Path::from_entry(view, entry, at)?, lsn))
    }

    /// This database's own row; a dropped database's handle is closed.
    pub(in crate::engine) fn entry(&self, view: TreeView<'_>, at: Lsn) -> Attempt<Entry> {
        let entry = catalog::find(view, &self.name, at)?.filter(|entry| entry.row.id == self.id);
        entry.ok_or_else(|| {
            let message = format!("the database was dropped. name={}", self.name);
            Fault::Error(Error::new(ErrorCode::Closed, message))
        })
    }

    pub(in crate::engine) fn is_own(&self, entry: &Entry) -> bool {
        entry.row.id == self.id
    }

    /// Runs a reading call on what is in memory; `None`: it needs storage.
    pub fn run_now(&self, op: &Op) -> Option<Result<Answer>> {
        if let Err(error) = self.check_open() {
            return Some(Err(error));
        }
        if self.store.is_behind() {
            return None;
        }
        self.store.read_now(|state, view| {
            let (path, _) = self.path(state, view)?;
            step_now(&mut Context::reading(view, path), op, &self.store)
        })
    }

    /// Runs a single call; one that writes is one commit.
    pub async fn run(self: &Rc<Database>, op: Op, durability: Option<Durability>) -> Result<Answer> {
        self.check_open()?;
        if op.is_write() {
            return Ok(self.write(op, durability).await?.0);
        }
        loop {
            match self.snapshot().await?.run(op.clone()).await {
                // While it waited for blocks, another tab's vacuum has overtaken it: it reads what is there now.
                Err(error) if error.code() == ErrorCode::HistoryPruned => {}
                answer => return answer,
            }
        }
    }

    /// As `run`, of a call that writes, with its commit's LSN; `None`: there was nothing to write.
    pub async fn write(self: &Rc<Database>, op: Op, durability: Option<Durability>) -> Result<(Answer, Option<Lsn>)> {
        self.check_open()?;
        if planted::is(Bug::CopyUpApart) {
            self.copy_up_apart(&op).await?;
        }
        if !self.store.claims.is_empty() {
            self.let_claims_first(&op).await?;
        }
        let this = self.clone();
        let mut known = Known::default();
        let evaluate = move |frame: &Frame<'_>| this.evaluate(frame, &op, &mut known);
        self.store.commit(durability.unwrap_or(self.store.durability), evaluate).await
    }

    /// The planted bug: the document to be updated is brought into the clone in a commit of its own.
    async fn copy_up_apart(self: &Rc<Database>, op: &Op) -> Result<()> {
        let Op::Update { collection, id, .. } = op else { return Ok(()) };
        let (this, suffix) = (self.clone(), crate::engine::op::document(collection, id)?);
        let evaluate = move |frame: &Frame<'_>| {
            let (path, lsn) = this.path_at(frame.view, frame.at)?;
            let found = read::topmost(frame.view, path.below(), suffix.as_bytes())?;
            let own = read::topmost(frame.view, &path.levels()[..1], suffix.as_bytes())?;
            let layer = path.levels()[0].layer;
            let mut transaction = Transaction::immediate(path, Guard { name: this.name.clone(), lsn });
            if let (None, Some(value)) = (own, found.as_ref().and_then(|found| found.version.here())) {
                Context::writing(frame.view, &mut transaction).put(suffix.clone(), value.clone())?;
            }
            Ok(((), changes_of(layer, transaction.writes())))
        };
        self.store.commit(self.store.durability, evaluate).await.map(drop)
    }

    /// Lets transactions go first that claim what the call would write as things stand.
    async fn let_claims_first(&self, op: &Op) -> Result<()> {
        let mut known = Known::default();
        let written = self.store.read(|state, view| {
            let (_, changes) = self.evaluate(&Frame { view, state, at: state.head }, op, &mut known)?;
            Ok(changes)
        });
        // A call that fails does so where it stands in the order of commits.
        let changes = written.await.unwrap_or_default();
        let mut rows = changes.iter().map(|Change(row, _)| split_row(row)).peekable();
        let Some((layer, _)) = rows.peek().copied() else { return Ok(()) };
        let rows: Vec<Suffix> = rows.map(|(_, suffix)| Suffix::from_bytes(suffix.to_vec())).collect();
        self.store.let_first(layer, &rows, None).await;
        self.check_open()
    }

    fn evaluate(&self, frame: &Frame<'_>, op: &Op, known: &mut Known) -> Attempt<(Answer, Vec<crate::lsm::Change>)> {
        let (path, lsn) = self.path_at(frame.view, frame.at)?;
        let layer = path.levels()[0].layer;
        let mut transaction = Transaction::immediate(path, Guard { name: self.name.clone(), lsn });
        let mut context = Context::writing(frame.view, &mut transaction);
        let answer = match op.apply(&mut context, &self.store.ids, known)? {
            Step::Done(answer) => answer,
            Step::More(_) => unreachable!("BUG: a call that writes is done in one step"),
        };
        Ok((answer, changes_of(layer, transaction.writes())))
    }

    /// What the database is at the head: fixed from now on.
    pub async fn snapshot(self: &Rc<Database>) -> Result<Snapshot> {
        self.check_open()?;
        self.store.catch_up().await?;
        let (path, _) = self.store.read(|state, view| self.path(state, view)).await?;
        Ok(Snapshot::new(self.store.clone(), path, false))
    }

    /// As `snapshot`, at once; `None`: it needs storage.
    pub fn snapshot_now(self: &Rc<Database>) -> Result<Option<Snapshot>> {
        self.check_open()?;
        if self.store.is_behind() {
            return Ok(None);
        }
        let path = self.store.read_now(|state, view| self.path(state, view)).transpose()?;
        Ok(path.map(|(path, _)| Snapshot::new(self.store.clone(), path, false)))
    }

    /// A transaction's beginning: its snapshot and the catalog row that it stands on.
    pub(in crate::engine) async fn begin(
        &self,
        isolation: crate::engine::op::transaction::Isolation,
    ) -> Result<Transaction> {
        self.check_open()?;
        self.store.catch_up().await?;
        let (path, lsn) = self.store.read(|state, view| self.path(state, view)).await?;
        Ok(Transaction::new(path, Guard { name: self.name.clone(), lsn }, isolation))
    }

    /// The collections here, those of the origin too.
    pub async fn collections(self: &Rc<Database>) -> Result<Vec<CollectionInfo>> {
        self.check_open()?;
        self.store
            .read(|state, view| {
                let (path, _) = self.path(state, view)?;
                collections(view, &path)
            })
            .await
    }
}

/// Runs all steps of a call in one go.
pub(in crate::engine) fn step_now(context: &mut Context<'_>, op: &Op, store: &Store) -> Attempt<Answer> {
    let mut known = Known::default();
    let mut step = op.apply(context, &store.ids, &mut known)?;
    loop {
        match step {
            Step::Done(answer) => return Ok(answer),
            Step::More(next) => step = next.apply(context, &store.ids, &mut known)?,
        }
    }
}

pub(in crate::engine) fn collections(view: TreeView<'_>, path: &Path) -> Attempt<Vec<CollectionInfo>> {
    let range = SuffixRange { from: prefix("", Kind::Collection), before: prefix_end("", Kind::Collection) };
    let mut found = Vec::new();
    read::scan(view, path.levels(), None, &range, false, |row| {
        let unreadable = || Error::corrupt("a collection's name cannot be read");
        let name = split_name(row.suffix).ok_or_else(unreadable)?.to_string();
        let version = row.version()?;
        let kind = decode_collection(version.here().expect("BUG: a visible row has a value"))?;
        found.push(CollectionInfo { name, kind });
        Ok(std::ops::ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Where a document's fast path begins: the kind is asked for only where nothing was found.
impl Database {
    /// The fields of a document, read from memory; `None`: it needs storage.
    pub fn get_now(&self, collection: &str, id: &str) -> Option<Result<Option<crate::types::Bytes>>> {
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
}
