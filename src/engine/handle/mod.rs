//! One database as a caller holds it: its row and path, single calls, snapshots, and which LSN a time names.
//!
//! It does not know: witness, compare, copy, transact, clones, merge, transfer, upkeep, store.

pub mod history;
pub mod snapshot;

use std::cell::RefCell;
use std::rc::Rc;

use snapshot::{AtOnce, Pinned, Unfinished};

use crate::engine::catalog::{self, Entry};
use crate::engine::core::job::Present;
use crate::engine::core::{Core, closed};
use crate::engine::door::Effects;
use crate::engine::op::context::Context;
use crate::engine::op::known::Known;
use crate::engine::op::transaction::{Guard, Transaction};
use crate::engine::op::{Answer, Op, Step, steps};
use crate::engine::rows::collections::{CollectionInfo, collections};
use crate::engine::rows::path::Path;
use crate::engine::rows::read::{self};
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Attempt, Fault, State, TreeView};
use crate::planted::{self, Bug};
use crate::storage::Durability;
use crate::types::{DatabaseName, Lsn};

pub struct Handle {
    pub core: Rc<Core>,
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

impl Handle {
    pub fn new(core: Rc<Core>, entry: Entry) -> Handle {
        Handle {
            core,
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

    pub fn is_temporary(&self) -> bool {
        self.is_temporary
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    pub fn check_open(&self) -> Result<()> {
        match &*self.closed.borrow() {
            Some(error) => Err(error.clone()),
            None => self.core.check_open(),
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
    pub fn abandon(&self, why: &Error) {
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
    pub fn check_dropped_now(&self) -> bool {
        let found = self.core.read_now(|state, view| Ok(self.entry(view, state.head)?.lsn));
        let is_told = found.is_some();
        self.leave_dropped(found);
        is_told
    }

    /// As `check_dropped_now`, from storage. Where that fails, the next call on the handle finds out.
    pub async fn check_dropped(&self) {
        let found = self.core.read(|state, view| Ok(self.entry(view, state.head)?.lsn)).await;
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

    pub fn path_at(&self, view: TreeView<'_>, at: Lsn) -> Attempt<(Path, Lsn)> {
        let entry = self.entry(view, at)?;
        let lsn = entry.lsn;
        Ok((Path::from_entry(view, entry, at)?, lsn))
    }

    /// This database's own row; a dropped database's handle is closed.
    pub fn entry(&self, view: TreeView<'_>, at: Lsn) -> Attempt<Entry> {
        let entry = catalog::find(view, &self.name, at)?.filter(|entry| entry.row.id == self.id);
        entry.ok_or_else(|| {
            let message = format!("the database was dropped. name={}", self.name);
            Fault::Error(Error::new(ErrorCode::Closed, message))
        })
    }

    pub fn is_own(&self, entry: &Entry) -> bool {
        entry.row.id == self.id
    }

    /// Runs one step of a reading call on what is in memory.
    pub fn run_at_once(&self, op: &Op) -> Result<AtOnce> {
        self.check_open()?;
        if self.core.is_behind() || steps::names_many(op) {
            return Ok(AtOnce::unfinished(op, None));
        }
        let (mut reads, mut rest) = (None, None);
        let answer = self.core.read_now(|state, view| {
            let (path, _) = self.path(state, view)?;
            reads = Some(path.clone());
            steps::at_once(Context::reading(view, path), op, &self.core.ids, &mut rest)
        });
        Ok(match (answer.transpose()?, reads, rest) {
            (Some(answer), ..) => AtOnce::Done(answer),
            (None, Some(path), Some(op)) => {
                let at = Some(Rc::new(Pinned::new(self.core.clone(), path, false)));
                AtOnce::Unfinished(Unfinished { op, at, changes: 0 })
            }
            (None, ..) => AtOnce::unfinished(op, None),
        })
    }

    /// Goes on with a reading call, which is `op` as a whole: where its history is gone, it begins again.
    pub async fn finish(self: &Rc<Handle>, op: Op, unfinished: Unfinished) -> Result<Answer> {
        self.check_open()?;
        if let Some(pinned) = unfinished.at {
            match pinned.run(unfinished.op).await {
                // Another tab's vacuum has overtaken it: it reads what is there now.
                Err(error) if error.code() == ErrorCode::HistoryPruned => {}
                answer => return answer,
            }
        }
        self.run(op).await
    }

    /// Runs a single call that reads.
    pub async fn run(self: &Rc<Handle>, op: Op) -> Result<Answer> {
        self.check_open()?;
        loop {
            match self.snapshot().await?.run(op.clone()).await {
                // While it waited for blocks, another tab's vacuum has overtaken it: it reads what is there now.
                Err(error) if error.code() == ErrorCode::HistoryPruned => {}
                answer => return answer,
            }
        }
    }

    /// Runs a single call that writes: it is one commit. Gives its answer with the commit's LSN; `None`: there was
    /// nothing to write.
    pub async fn write(self: &Rc<Handle>, op: Op, durability: Option<Durability>) -> Result<(Answer, Option<Lsn>)> {
        self.check_open()?;
        if planted::is(Bug::CopyUpApart) {
            self.copy_up_apart(&op).await?;
        }
        let this = self.clone();
        let mut known = Known::default();
        let evaluate = move |present: &Present<'_>| this.evaluate(present, &op, &mut known);
        self.core.commit(durability.unwrap_or(self.core.durability), evaluate).await
    }

    /// The planted bug: the document to be updated is brought into the clone in a commit of its own.
    async fn copy_up_apart(self: &Rc<Handle>, op: &Op) -> Result<()> {
        let Op::Update { collection, id, .. } = op else { return Ok(()) };
        let (this, suffix) = (self.clone(), crate::engine::op::document(collection, id)?);
        let evaluate = move |present: &Present<'_>| {
            let (path, lsn) = this.path_at(present.view, present.at)?;
            let found = read::topmost(present.view, path.below(), suffix.as_bytes())?;
            let own = read::topmost(present.view, &path.levels()[..1], suffix.as_bytes())?;
            let mut transaction = Transaction::immediate(path, Guard { name: this.name.clone(), lsn });
            if let (None, Some(value)) = (own, found.as_ref().and_then(|found| found.version.here())) {
                Context::writing(present.view, &mut transaction).put(suffix.clone(), value.clone())?;
            }
            Ok(((), transaction.effects()))
        };
        self.core.commit(self.core.durability, evaluate).await.map(drop)
    }

    /// Works out what a call that writes answers, and what it writes.
    pub fn evaluate(&self, present: &Present<'_>, op: &Op, known: &mut Known) -> Attempt<(Answer, Effects)> {
        let (path, lsn) = self.path_at(present.view, present.at)?;
        let mut transaction = Transaction::immediate(path, Guard { name: self.name.clone(), lsn });
        let mut context = Context::writing(present.view, &mut transaction);
        let answer = match op.apply(&mut context, &self.core.ids, known)? {
            Step::Done(answer) => answer,
            Step::More(_) => unreachable!("BUG: a call that writes is done in one step"),
        };
        Ok((answer, transaction.effects()))
    }

    /// A snapshot of the database at the head, fixed from now on.
    pub async fn snapshot(self: &Rc<Handle>) -> Result<Pinned> {
        self.check_open()?;
        self.core.catch_up().await?;
        let (path, _) = self.core.read(|state, view| self.path(state, view)).await?;
        Ok(Pinned::new(self.core.clone(), path, false))
    }

    /// As `snapshot`, at once; `None`: it needs storage.
    pub fn snapshot_now(self: &Rc<Handle>) -> Result<Option<Pinned>> {
        self.check_open()?;
        if self.core.is_behind() {
            return Ok(None);
        }
        let path = self.core.read_now(|state, view| self.path(state, view)).transpose()?;
        Ok(path.map(|(path, _)| Pinned::new(self.core.clone(), path, false)))
    }

    /// A transaction's beginning: its snapshot and the catalog row that it stands on.
    pub async fn begin(&self, isolation: crate::engine::op::transaction::Isolation) -> Result<Transaction> {
        self.check_open()?;
        self.core.catch_up().await?;
        let (path, lsn) = self.core.read(|state, view| self.path(state, view)).await?;
        Ok(Transaction::new(path, Guard { name: self.name.clone(), lsn }, isolation))
    }

    /// The collections here, those of the origin too.
    pub async fn collections(self: &Rc<Handle>) -> Result<Vec<CollectionInfo>> {
        self.check_open()?;
        self.core
            .read(|state, view| {
                let (path, _) = self.path(state, view)?;
                collections(view, &path)
            })
            .await
    }
}
