//! Storage in IndexedDB: one database a store, one object store a space, records as bytes under their names; the log in
//! an object store whose key generator numbers it.
//!
//! Each rule answers a way in which IndexedDB fails: what is written is acknowledged on `complete` alone; a transaction
//! is short, calls `commit()`, and has a deadline, because one frozen tab stops all others; a connection that died is
//! opened again, and what was not complete is the caller's to look up; the version is 1 for ever, so nothing blocks.
//!
//! It does not know: platform, drive, lsm, query, engine.

mod batch;
mod connection;
mod deadline;
mod early;
mod failure;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;

use futures_channel::oneshot;
use indexed_db_futures::KeyRange;
use indexed_db_futures::internals::SystemRepr;
use indexed_db_futures::prelude::*;
use indexed_db_futures::transaction::Transaction;
use indexed_db_futures::typed_array::Uint8Array;
use wasm_bindgen::JsValue;

use connection::Connection;
pub use failure::Failure;

use crate::error::{Error, ErrorCode, Result};
use crate::js::globals::{field, global};
use crate::js::promise::spawn;
use crate::js::waits;
use crate::storage::{Batch, ListRange, Listed, LocalFuture, Logged, Outcome, Space, Storage};
use crate::types::limits;

pub use connection::delete;

/// Records of at most 60,000 bytes: a page of a list stays in the megabytes.
const LIST_LIMIT: usize = 256;
/// A record of the reserve.
const SPARE_BYTES: usize = 256 * 1024;
/// Names in a page of names.
const NAMES_LIMIT: usize = 8192;

pub struct IndexedDb(Rc<Opened>);

struct Opened {
    name: String,
    connection: RefCell<Option<Rc<Connection>>>,
    /// Told once, when the store was deleted.
    lost: Rc<dyn Fn(Error)>,
    closed: Cell<bool>,
}

impl IndexedDb {
    /// Opens the database of this name, making it if there is none.
    pub async fn open(name: &str, lost: Box<dyn Fn(Error)>) -> std::result::Result<IndexedDb, Failure> {
        let lost: Rc<dyn Fn(Error)> = lost.into();
        let connection = connection::open(name, lost.clone()).await?;
        let connection = RefCell::new(Some(Rc::new(connection)));
        Ok(IndexedDb(Rc::new(Opened { name: name.to_string(), connection, lost, closed: Cell::new(false) })))
    }

    /// Closes the connection until it is needed again. Transactions that run on it come to their own end.
    pub fn pause(&self) {
        if let Some(connection) = self.0.connection.take() {
            connection.bury();
        }
    }
}

impl Opened {
    /// The connection, opened again if it died.
    async fn connection(&self) -> Result<Rc<Connection>> {
        if self.closed.get() {
            return Err(Error::new(ErrorCode::Closed, "the storage is closed"));
        }
        let alive = self.connection.borrow().clone().filter(|connection| connection.is_alive());
        if let Some(connection) = alive {
            return Ok(connection);
        }
        let connection = Rc::new(connection::reopen(&self.name, self.lost.clone()).await?);
        self.connection.replace(Some(connection.clone()));
        Ok(connection)
    }

    /// Reads page after page of what is asked for.
    async fn pages(&self, asked: Asked) -> Result<Records> {
        let mut found = Records::new();
        let mut rest = asked;
        // IndexedDB takes a limit of 0 for none.
        while rest.limit > 0 {
            let most = if rest.has_bytes { LIST_LIMIT } else { NAMES_LIMIT };
            let asked = [Asked { limit: rest.limit.min(most), ..rest.clone() }];
            let page = self.pages_at_once(&asked).await?.remove(0);
            let is_last = page.len() < asked[0].limit;
            rest.limit -= page.len();
            found.extend(page);
            if is_last {
                break;
            }
            let last = found.last().expect("BUG: a full page has a last record").0.clone();
            rest.query = match rest.query {
                KeyRange::Bound(_, _, before, is_open) => KeyRange::Bound(last, true, before, is_open),
                _ => KeyRange::LowerBound(last, true),
            };
        }
        Ok(found)
    }

    /// Reads a page of each, as of one moment. Boxed, so that its callers share its code.
    fn pages_at_once<'a>(&'a self, asked: &'a [Asked]) -> LocalFuture<'a, Result<Vec<Records>>> {
        Box::pin(self.reading(async |connection: &Connection| read_pages(connection, asked).await))
    }

    /// Reads, once more on a new connection if the first one was dead: reading twice does no harm.
    async fn reading<T>(&self, read: impl AsyncFn(&Connection) -> std::result::Result<T, Failure>) -> Result<T> {
        let mut again = true;
        loop {
            let connection = self.connection().await?;
            match read(&connection).await {
                Ok(value) => return Ok(value),
                Err(failure) if failure.is_dead_connection() && again && !self.closed.get() => {
                    connection.bury();
                    again = false;
                }
                Err(failure) => return Err(failure.into_error()),
            }
        }
    }

    async fn write(&self, batch: &Batch) -> Result<Outcome> {
        let mut again = true;
        loop {
            let connection = self.connection().await?;
            match batch::write(&connection, batch).await {
                Ok(outcome) => return Ok(outcome),
                // The transaction never began, so nothing can have been written.
                Err(failure) if failure.is_not_begun() && again => {
                    connection.bury();
                    again = false;
                }
                Err(failure) => {
                    if failure.is_dead_connection() {
                        connection.bury();
                    }
                    return Err(failure.into_error());
                }
            }
        }
    }
}

async fn read_records(
    connection: &Connection,
    space: Space,
    names: &[String],
) -> std::result::Result<Vec<Option<Vec<u8>>>, Failure> {
    let transaction = connection.database().transaction(space.as_str()).build()?;
    let store = transaction.object_store(space.as_str())?;
    // All requests go out at once; their answers come in the order in which they were asked.
    let mut requests = Vec::with_capacity(names.len());
    for name in names {
        requests.push(store.get::<Uint8Array, _, _>(name.as_str()).primitive()?);
    }
    finish(&transaction, async {
        let mut records = Vec::with_capacity(names.len());
        for request in requests {
            records.push(request.await?.map(Vec::from));
        }
        Ok(records)
    })
    .await
}

/// A page of an object store: keys with their records, or without where no bytes were asked for. Keys are the host's
/// values here, so that one code reads both names and numbers.
type Records = Vec<(JsValue, Vec<u8>)>;

/// A request for at most `limit` records of an object store.
#[derive(Clone)]
struct Asked {
    space: Space,
    query: KeyRange<JsValue>,
    limit: usize,
    /// True if the records are wanted, and not their keys alone.
    has_bytes: bool,
}

impl Asked {
    /// `None`: the range is empty, which the host takes for a mistake.
    fn list(space: Space, range: ListRange) -> Option<Asked> {
        let ListRange { from, before, limit } = range;
        let from = from.unwrap_or_default();
        let query = match before {
            Some(before) if before <= from => return None,
            Some(before) => KeyRange::Bound(from.into(), false, before.into(), true),
            None => KeyRange::LowerBound(from.into(), false),
        };
        Some(Asked { space, query, limit, has_bytes: true })
    }

    fn log(after: u64, limit: usize) -> Asked {
        Asked { space: Space::Log, query: KeyRange::LowerBound((after as f64).into(), true), limit, has_bytes: true }
    }
}

fn listed(page: Records) -> Listed {
    page.into_iter().filter_map(|(name, bytes)| Some((name.as_string()?, bytes))).collect()
}

fn logged(page: Records) -> Logged {
    page.into_iter().filter_map(|(number, bytes)| Some((number.as_f64()? as u64, bytes))).collect()
}

/// A page of each, as of one moment.
async fn read_pages(connection: &Connection, asked: &[Asked]) -> std::result::Result<Vec<Records>, Failure> {
    let spaces: Vec<&str> = asked.iter().map(|asked| asked.space.as_str()).collect();
    let transaction = connection.database().transaction(spaces).build()?;
    let mut requests = Vec::with_capacity(asked.len());
    for Asked { space, query, limit, has_bytes } in asked {
        let store = transaction.object_store(space.as_str())?;
        let limit = *limit as u32;
        let keys = store.get_all_keys::<JsValue>().with_query::<JsValue, _>(query.clone());
        let keys = keys.with_limit(limit).primitive()?;
        let values = store.get_all::<Uint8Array>().with_query::<JsValue, _>(query.clone());
        let values = has_bytes.then(|| values.with_limit(limit).primitive()).transpose()?;
        requests.push((keys, values));
    }
    finish(&transaction, async {
        let mut pages = Vec::with_capacity(requests.len());
        for (keys, values) in requests {
            let keys: Vec<JsValue> = keys.await?.collect::<std::result::Result<_, _>>()?;
            let Some(values) = values else {
                pages.push(keys.into_iter().map(|key| (key, Vec::new())).collect());
                continue;
            };
            let values: Vec<Uint8Array> = values.await?.collect::<std::result::Result<_, _>>()?;
            pages.push(keys.into_iter().zip(values.into_iter().map(Vec::from)).collect());
        }
        Ok(pages)
    })
    .await
}

/// Waits for the answers of a reading transaction that has sent all its requests. It commits at once, so that a tab
/// which is frozen before the answers come holds up nobody: a reader that stays open stops every writer.
#[expect(deprecated, reason = "web-sys marks `commit`, and names nothing to take its place")]
async fn finish<T>(
    transaction: &Transaction<'_>,
    answers: impl Future<Output = std::result::Result<T, Failure>>,
) -> std::result::Result<T, Failure> {
    // Refused only if the transaction has ended already, which the answers tell.
    let _ = transaction.as_sys().commit();
    waits::within(waits::WAIT, answers).await.unwrap_or_else(|| Err(Failure::late("the read")))
}

impl Storage for IndexedDb {
    fn read<'a>(&'a self, space: Space, names: &'a [String]) -> LocalFuture<'a, Result<Vec<Option<Vec<u8>>>>> {
        Box::pin(async move {
            self.0.reading(async |connection: &Connection| read_records(connection, space, names).await).await
        })
    }

    fn list<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Listed>> {
        Box::pin(async move {
            let Some(asked) = Asked::list(space, range) else { return Ok(Listed::new()) };
            self.0.pages(asked).await.map(listed)
        })
    }

    fn names<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            let Some(asked) = Asked::list(space, range) else { return Ok(Vec::new()) };
            let page = self.0.pages(Asked { has_bytes: false, ..asked }).await?;
            Ok(page.into_iter().filter_map(|(name, _)| name.as_string()).collect())
        })
    }

    fn log(&self, after: u64, limit: usize) -> LocalFuture<'_, Result<Logged>> {
        Box::pin(async move { self.0.pages(Asked::log(after, limit)).await.map(logged) })
    }

    fn list_and_log<'a>(
        &'a self,
        space: Space,
        range: ListRange,
        after: u64,
        limit: usize,
    ) -> LocalFuture<'a, Result<(Listed, Logged)>> {
        Box::pin(async move {
            let list = Asked::list(space, range).expect("BUG: a list has a range");
            let asked = [list, Asked::log(after, limit)];
            assert!(
                asked.iter().all(|asked| (1..=LIST_LIMIT).contains(&asked.limit)),
                "BUG: both lists are one page each"
            );
            let pages = self.0.pages_at_once(&asked).await?;
            let mut pages = pages.into_iter();
            let (list, log) = (pages.next().unwrap_or_default(), pages.next().unwrap_or_default());
            Ok((listed(list), logged(log)))
        })
    }

    /// A task of its own: a guard's answer must be heard at once, or the host ends the transaction with nothing in it.
    fn write(&self, batch: Batch) -> LocalFuture<'_, Result<Outcome>> {
        let opened = self.0.clone();
        Box::pin(async move {
            let (sender, receiver) = oneshot::channel();
            spawn(async move { drop(sender.send(opened.write(&batch).await)) });
            receiver.await.expect("BUG: the task goes on to its end")
        })
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.0.closed.set(true);
        self.pause();
        Box::pin(async { Ok(()) })
    }

    /// LevelDB, below one of Chromium's backends, gives the room of a deleted record back when it next tidies up, which
    /// may be never on a full disk. But a value of 64 KiB and more has a file of its own, and that goes at once.
    fn spare_bytes(&self) -> usize {
        SPARE_BYTES
    }

    fn quota(&self) -> LocalFuture<'_, Option<u64>> {
        Box::pin(async {
            let storage = field(&global("navigator")?, "storage")?;
            let estimate = waits::call(&storage, "estimate", &[]).await?;
            field(&estimate, "quota")?.as_f64().map(|quota| quota as u64)
        })
    }

    /// LevelDB, below one of Chromium's backends, moves longer values into files of their own.
    fn record_bytes(&self) -> usize {
        limits::RECORD_BYTES
    }
}
