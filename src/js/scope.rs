//! Something that reads: a database as it is now, a snapshot, or a transaction. One class, one way through it.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Function, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::error::to_js;
use super::options::{self, JsResult};
use super::promise::{boxed, enter, promise};
use super::{merging, report, result};
use crate::engine::{
    Answer, AtOnce, Database, Ended, MergeOptions, Op, OpenTransaction, Progress, Side, Snapshot, Unfinished,
};
use crate::error::{Error, ErrorCode, Result};
use crate::types::{CollectionName, DatabaseName, Suffix};

#[derive(Clone)]
enum Inner {
    Live(Rc<Database>),
    Snapshot(Rc<Snapshot>),
    Transaction(Rc<OpenTransaction>),
}

#[wasm_bindgen]
pub struct Scope {
    inner: Inner,
    name: Rc<str>,
    /// The bytes of the last call that was not answered at once, and how far it came. The caller asks for it again with
    /// the same bytes.
    unfinished: RefCell<Option<(Vec<u8>, Unfinished)>>,
}

fn wrong_scope() -> JsValue {
    to_js(&Error::new(ErrorCode::Internal, "BUG: this call is for a database as it is now"))
}

/// The caller's function ends the work by answering false, or by throwing.
fn watching(watch: &Function) -> impl Fn(Progress) -> bool + '_ {
    |progress| match watch.call1(&JsValue::UNDEFINED, &report::progress(progress)) {
        Ok(answer) => answer.as_bool() != Some(false),
        Err(_) => false,
    }
}

fn bytes(answer: &Answer) -> JsValue {
    Uint8Array::from(&answer.encode()[..]).into()
}

impl Inner {
    /// `None`: it is a commit.
    fn run_at_once(&self, op: &Op) -> Result<Option<AtOnce>> {
        Ok(match self {
            Inner::Live(_) if op.is_write() => None,
            Inner::Live(database) => Some(database.run_at_once(op)?),
            Inner::Snapshot(snapshot) => Some(snapshot.run_at_once(op)?),
            Inner::Transaction(transaction) => Some(transaction.run_at_once(op)?),
        })
    }
}

#[wasm_bindgen]
impl Scope {
    pub(super) fn live(database: Rc<Database>) -> Scope {
        let name = database.name().as_str().into();
        Scope { inner: Inner::Live(database), name, unfinished: RefCell::default() }
    }

    fn with(&self, inner: Inner) -> Scope {
        Scope { inner, name: self.name.clone(), unfinished: RefCell::default() }
    }

    pub(super) fn database(&self) -> JsResult<Rc<Database>> {
        match &self.inner {
            Inner::Live(database) => Ok(database.clone()),
            _ => Err(wrong_scope()),
        }
    }

    pub(super) fn fixed(&self) -> JsResult<Rc<Snapshot>> {
        match &self.inner {
            Inner::Snapshot(snapshot) => Ok(snapshot.clone()),
            _ => Err(wrong_scope()),
        }
    }

    pub fn name(&self) -> String {
        self.name.to_string()
    }

    pub fn version(&self) -> String {
        let version = match &self.inner {
            Inner::Live(database) => database.version(),
            Inner::Snapshot(snapshot) => snapshot.version(),
            Inner::Transaction(transaction) => transaction.version(),
        };
        version.to_text()
    }

    /// A document, from memory. -1: it needs storage, 0: absent, 1: found, its fields at `result_ptr()`.
    pub fn get(&self, collection: &str, id: &str) -> JsResult<i32> {
        enter()?;
        let collection = CollectionName::new(collection).map_err(|error| to_js(&error))?;
        match self.inner.run_at_once(&Op::Get { collection, id: id.to_string() }) {
            Ok(None | Some(AtOnce::Unfinished(_))) => Ok(-1),
            Err(error) => Err(to_js(&error)),
            Ok(Some(AtOnce::Done(Answer::Value(Some(fields))))) => {
                result::leave(fields);
                Ok(1)
            }
            Ok(Some(AtOnce::Done(_))) => Ok(0),
        }
    }

    /// A call, answered from memory; undefined: it needs storage, a commit, or more rows than a page should wait for.
    pub fn run(&self, op: &[u8]) -> JsResult<Option<Vec<u8>>> {
        enter()?;
        let decoded = Op::decode(op).map_err(|error| to_js(&error))?;
        let run = self.inner.run_at_once(&decoded).map_err(|error| to_js(&error))?;
        Ok(match run {
            Some(AtOnce::Done(answer)) => Some(answer.encode()),
            Some(AtOnce::Unfinished(unfinished)) => {
                self.unfinished.replace(Some((op.to_vec(), unfinished)));
                None
            }
            None => None,
        })
    }

    /// As `run`, as a promise. A call that `run` could not answer goes on where it stood.
    pub fn run_async(&self, op: &[u8], durability: Option<String>) -> JsResult<Promise> {
        let unfinished = self.unfinished.take().filter(|(bytes, _)| bytes == op).map(|(_, unfinished)| unfinished);
        let op = Op::decode(op).map_err(|error| to_js(&error))?;
        let durability = options::durability(durability)?;
        let inner = self.inner.clone();
        Ok(promise(async move {
            let answer = match (inner, unfinished) {
                (Inner::Live(database), Some(unfinished)) => database.finish(op, unfinished).await?,
                (Inner::Live(database), None) => database.run(op, durability).await?,
                (Inner::Snapshot(snapshot), Some(unfinished)) => snapshot.finish(unfinished).await?,
                (Inner::Snapshot(snapshot), None) => snapshot.run(op).await?,
                (Inner::Transaction(transaction), Some(unfinished)) => transaction.finish(op, unfinished).await?,
                (Inner::Transaction(transaction), None) => transaction.run(op).await?,
            };
            Ok(bytes(&answer))
        }))
    }

    /// A snapshot of the database as it is now, fixed; a promise of the snapshot where it needs storage.
    pub fn snapshot(&self) -> JsResult<JsValue> {
        enter()?;
        let (database, scope) = (self.database()?, self.with(self.inner.clone()));
        let fix = move |snapshot| scope.with(Inner::Snapshot(Rc::new(snapshot)));
        match database.snapshot_now().map_err(|error| to_js(&error))? {
            Some(snapshot) => Ok(fix(snapshot).into()),
            None => Ok(promise(async move { Ok(fix(database.snapshot().await?).into()) }).into()),
        }
    }

    pub fn at(&self, when: JsValue) -> JsResult<Promise> {
        let when = options::when(&when)?;
        let (database, scope) = (self.database()?, self.with(self.inner.clone()));
        Ok(promise(async move {
            let snapshot = database.at(when).await?;
            Ok(scope.with(Inner::Snapshot(Rc::new(snapshot))).into())
        }))
    }

    pub fn predates_clone(&self) -> bool {
        matches!(&self.inner, Inner::Snapshot(snapshot) if snapshot.predates_clone())
    }

    /// Runs `body`, again after a conflict. An error that the body throws is given back unchanged.
    pub fn transaction(&self, body: Function, options: JsValue) -> JsResult<Promise> {
        let (options, on_commit) = options::transaction(options)?;
        let (database, scope) = (self.database()?, Rc::new(self.with(self.inner.clone())));
        Ok(boxed(async move {
            let ended = database
                .transact(options, |transaction| {
                    let scope = scope.with(Inner::Transaction(transaction));
                    let body = body.clone();
                    async move {
                        let value = body.call1(&JsValue::UNDEFINED, &scope.into())?;
                        JsFuture::from(Promise::resolve(&value)).await
                    }
                })
                .await;
            match ended {
                Err(error) => Err(to_js(&error)),
                Ok(Ended::Failed(thrown)) => Err(thrown),
                Ok(Ended::Committed(value, lsn)) => {
                    if let (Some(lsn), Some(on_commit)) = (lsn, on_commit) {
                        on_commit.call1(&JsValue::UNDEFINED, &lsn.to_text().into())?;
                    }
                    Ok(value)
                }
            }
        }))
    }

    /// Makes a clone and gives its name; without one it is temporary.
    pub fn create_clone(&self, name: Option<String>, options: JsValue) -> JsResult<Promise> {
        let name = name.as_deref().map(DatabaseName::new).transpose().map_err(|error| to_js(&error))?;
        let (database, options) = (self.database()?, options::clone(&options)?);
        Ok(promise(async move { Ok(database.create_clone(name, options).await?.to_string().into()) }))
    }

    pub fn lineage(&self) -> JsResult<Promise> {
        let database = self.database()?;
        Ok(promise(async move { Ok(report::lineage(&database.lineage().await?)) }))
    }

    pub fn status(&self) -> JsResult<Promise> {
        let database = self.database()?;
        Ok(promise(async move { Ok(report::status(database.status().await?)) }))
    }

    pub fn collections(&self) -> JsResult<Promise> {
        let database = self.database()?;
        Ok(promise(async move { Ok(report::collections(&database.collections().await?)) }))
    }

    /// Copies the rows that the clone lacks and cuts its link. `watch` is called with how far it is, and ends it by
    /// answering false.
    pub fn materialize(&self, watch: Function) -> JsResult<Promise> {
        let database = self.database()?;
        Ok(promise(async move { Ok(report::status(database.materialize(&watching(&watch)).await?)) }))
    }

    /// Materializes the clones of this database first. `watch` is called as in `materialize`.
    pub fn drop_by_force(&self, watch: Function) -> JsResult<Promise> {
        let database = self.database()?;
        Ok(promise(async move {
            database.drop_by_force(&watching(&watch)).await?;
            Ok(JsValue::UNDEFINED)
        }))
    }

    pub fn drop_database(&self) -> JsResult<Promise> {
        let database = self.database()?;
        Ok(promise(async move {
            database.drop_database().await?;
            Ok(JsValue::UNDEFINED)
        }))
    }

    /// One page of this snapshot's changes against its origin where the clone began.
    pub fn diff_origin_page(
        &self,
        collection: Option<String>,
        after: Option<Vec<u8>>,
        limit: u32,
    ) -> JsResult<Promise> {
        self.diff(None, collection, after, limit)
    }

    /// One page of this snapshot's changes against the snapshot `against`.
    pub fn diff_page(
        &self,
        against: &Scope,
        collection: Option<String>,
        after: Option<Vec<u8>>,
        limit: u32,
    ) -> JsResult<Promise> {
        let Inner::Snapshot(other) = &against.inner else { return Err(wrong_scope()) };
        self.diff(Some(other.clone()), collection, after, limit)
    }

    fn diff(
        &self,
        against: Option<Rc<Snapshot>>,
        collection: Option<String>,
        after: Option<Vec<u8>>,
        limit: u32,
    ) -> JsResult<Promise> {
        let Inner::Snapshot(snapshot) = self.inner.clone() else { return Err(wrong_scope()) };
        let collection = collection.as_deref().map(CollectionName::new).transpose().map_err(|error| to_js(&error))?;
        let after = after.map(Suffix::from_bytes);
        Ok(promise(async move {
            let side = against.as_deref().map_or(Side::Origin, Side::Snapshot);
            let page = snapshot.diff(side, collection.as_ref(), after.as_ref(), limit as usize).await?;
            Ok(JsValue::from(Uint8Array::from(&report::changes(&page)[..])))
        }))
    }

    /// Into the origin. The report is bytes, as all that holds rows.
    pub fn merge(&self, options: JsValue) -> JsResult<Promise> {
        let (database, options) = (self.database()?, merging::merge_options(&options)?);
        Ok(promise(async move { Ok(merging::report(&database.merge(options).await?)) }))
    }

    pub fn rebase(&self, options: JsValue) -> JsResult<Promise> {
        let (database, options) = (self.database()?, merging::rebase_options(&options)?);
        Ok(promise(async move { Ok(merging::report(&database.rebase(options).await?)) }))
    }

    pub fn reset(&self, only: Option<Function>) -> JsResult<Promise> {
        let (database, only) = (self.database()?, merging::select(only));
        Ok(promise(async move {
            database.reset(only).await?;
            Ok(JsValue::UNDEFINED)
        }))
    }

    pub fn revert(&self, commits: Vec<String>, options: JsValue) -> JsResult<Promise> {
        let (database, commits) = (self.database()?, merging::versions(commits)?);
        let MergeOptions { policy, dry_run, .. } = merging::merge_options(&options)?;
        Ok(promise(async move { Ok(merging::report(&database.revert(&commits, &policy, dry_run).await?)) }))
    }

    pub fn restore(&self, moment: JsValue, keep_as: Option<String>) -> JsResult<Promise> {
        let (database, moment) = (self.database()?, options::when(&moment)?);
        let keep_as = keep_as.as_deref().map(DatabaseName::new).transpose().map_err(|error| to_js(&error))?;
        Ok(promise(async move {
            database.restore(moment, keep_as).await?;
            Ok(JsValue::UNDEFINED)
        }))
    }

    /// Calls back once, when the handle closes for a reason that is not its user's.
    pub fn on_close(&self, callback: Function) -> JsResult<()> {
        let callback = RefCell::new(Some(callback));
        self.database()?.on_close(Box::new(move |error| {
            if let Some(callback) = callback.borrow_mut().take() {
                // Nobody can catch an error that the callback throws.
                let _ = callback.call1(&JsValue::UNDEFINED, &to_js(error));
            }
        }));
        Ok(())
    }

    /// Closes the handle of a database for its user: a temporary one goes with its last handle.
    pub fn leave(&self) -> JsResult<Promise> {
        let database = self.database()?;
        Ok(promise(async move {
            database.leave().await;
            Ok(JsValue::UNDEFINED)
        }))
    }

    pub fn close(&self) -> Promise {
        self.unfinished.take();
        match &self.inner {
            Inner::Live(database) => database.close(),
            Inner::Snapshot(snapshot) => snapshot.close(),
            Inner::Transaction(_) => {}
        }
        promise(async { Ok(JsValue::UNDEFINED) })
    }
}
