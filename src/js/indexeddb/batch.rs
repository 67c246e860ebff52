//! An atomic, guarded write as one IndexedDB transaction.

use std::future::Future;
use std::pin::{Pin, pin};

use indexed_db_futures::KeyRange;
use indexed_db_futures::error::Error as IdbError;
use indexed_db_futures::future::{BasicRequest, VoidRequest};
use indexed_db_futures::internals::SystemRepr;
use indexed_db_futures::prelude::*;
use indexed_db_futures::transaction::{Transaction, TransactionDurability, TransactionMode, TransactionOptions};
use indexed_db_futures::typed_array::Uint8ArraySlice;
use wasm_bindgen::JsValue;

use super::connection::Connection;
use super::deadline::{Aborted, Deadline, System};
use super::early;
use super::failure::Failure;
use crate::js::waits;
use crate::storage::{Batch, Durability, NameRange, Outcome, Place, Space};

/// The guards have one time limit, and the commit another. Neither counts where a host ends a transaction and leaves a
/// request of it without an answer.
const WHOLE_WAIT: u64 = 2 * waits::WAIT + waits::WAIT / 2;

fn late() -> Failure {
    Failure::late("the write may still be done; waiting for it")
}

/// The promise of `Written` rests on the `complete` event alone.
pub async fn write(connection: &Connection, batch: &Batch) -> Result<Outcome, Failure> {
    let commits_early = early::is_safe(connection).await;
    let has_guards = batch.last.is_some() || asked(batch).next().is_some();
    let written = write_by(connection, batch, Way { commits_early, has_guards });
    // A single commit waits for its end alone, which has a time limit of its own: a timer more would be felt.
    if commits_early && !has_guards {
        return written.await;
    }
    waits::within(WHOLE_WAIT, written).await.unwrap_or_else(|| Err(late()))
}

/// How a batch is written.
#[derive(Clone, Copy)]
struct Way {
    /// The transaction is told to commit before its requests are answered.
    commits_early: bool,
    has_guards: bool,
}

async fn write_by(
    connection: &Connection,
    batch: &Batch,
    Way { commits_early, has_guards }: Way,
) -> Result<Outcome, Failure> {
    let mut options = TransactionOptions::new();
    // Always named: browsers differ in their default, and have changed it.
    options.set_durability(match batch.durability {
        Durability::Relaxed => TransactionDurability::Relaxed,
        Durability::Strict => TransactionDurability::Strict,
    });
    let transaction = connection
        .database()
        .transaction(stores(batch))
        .with_mode(TransactionMode::Readwrite)
        .with_options(options)
        .build()
        .map_err(Failure::not_begun)?;
    // A batch without guards is told to commit before anything can hold it up.
    let deadline = (!commits_early || has_guards).then(|| Deadline::of(transaction.as_sys()));
    let system = transaction.as_sys().clone();
    let is_over = || deadline.as_ref().is_some_and(Deadline::is_over);
    let failure = |answer| Failure::of_transaction(answer, system.error(), is_over());
    if has_guards {
        let held = answered(&system, pin!(holds(&transaction, batch))).await;
        if !held.map_err(&failure)? {
            // The time limit may have ended it before. Nothing was written either way.
            let _ = transaction.abort().await;
            return Ok(Outcome::Refused);
        }
    }
    // A throw leaves the transaction to its abort, with nothing written. Firefox throws here when it has just given up
    // the connection because the quota was exceeded.
    let Sent { last, mut appended } = send(&transaction, batch).map_err(Failure::not_begun)?;
    let mut number = None;
    if !commits_early {
        // Answers come in the order of the requests: where one has failed, all behind it fail too, and the library's
        // listener can hear of one failure only.
        system.set_onerror(None);
        let last_answer = pin!(async {
            match (appended.take(), last) {
                (Some(appended), _) => appended.await.map(|given| number = Some(given)),
                (None, Some(last)) => last.await,
                (None, None) => Ok(()),
            }
        });
        if let Err(answer) = answered(&system, last_answer).await {
            // The host ends the transaction once the failure's event is over. Told to commit before, it forgets it.
            let _ = transaction.abort().await;
            return refused(failure(answer));
        }
    }
    // Once `commit()` was called nobody can abort any more. The host goes on by itself, and nobody waits for ever.
    let Some(committed) = waits::within(waits::WAIT, transaction.commit()).await else {
        return Err(late());
    };
    if let Err(answer) = committed {
        return refused(failure(Some(answer)));
    }
    let number = match (number, appended) {
        (None, Some(appended)) => appended.await?,
        (number, _) => number.unwrap_or_default(),
    };
    Ok(Outcome::Written(number as u64))
}

/// The answers of requests, or the failure of one. `None`: the host has aborted the transaction and gives its requests
/// no answer.
async fn answered<T>(
    transaction: &System,
    answers: Pin<&mut dyn Future<Output = Result<T, IdbError>>>,
) -> Result<T, Option<IdbError>> {
    match waits::before(Aborted::of(transaction), answers).await {
        Some(answer) => answer.map_err(Some),
        None => Err(None),
    }
}

/// A name that must be absent and is there is no failure, but an answer.
fn refused(failure: Failure) -> Result<Outcome, Failure> {
    if failure.is_taken() { Ok(Outcome::Refused) } else { Err(failure) }
}

/// The names of the object stores that a batch needs.
fn stores(batch: &Batch) -> Vec<&'static str> {
    let names_it = |wanted: Space| {
        let mut guarded = batch.delete.iter().chain(&batch.absent).chain(&batch.present);
        let mut unguarded = batch.put.iter().map(|put| put.0).chain(batch.delete_range.iter().map(|range| range.0));
        unguarded.any(|space| space == wanted) || guarded.any(|(space, _)| *space == wanted)
    };
    let has_log = batch.last.is_some() || !batch.append.is_empty() || batch.trim > 0;
    let is_needed = |space: &Space| names_it(*space) || has_log && *space == Space::Log;
    let stores: Vec<_> = Space::ALL.into_iter().filter(is_needed).map(Space::as_str).collect();
    // A transaction has at least one store; an empty batch asks only whether the host still answers.
    if stores.is_empty() { vec![Space::Meta.as_str()] } else { stores }
}

/// True if the batch puts a name that must be absent, and does not delete the name first. An `add` of the name then
/// collides where the name is there, so it need not be asked for; after a deletion there would be nothing to collide
/// with.
fn is_added(batch: &Batch, space: Space, name: &str) -> bool {
    let is_it = |(other, place): &Place| *other == space && place == name;
    let is_put = batch.put.iter().any(|(other, put, _)| *other == space && put == name);
    let is_deleted =
        batch.delete.iter().any(is_it) || batch.delete_range.iter().any(|range| covers(range, space, name));
    is_put && batch.absent.iter().any(is_it) && !is_deleted
}

fn covers((of, from, before): &NameRange, space: Space, name: &str) -> bool {
    *of == space && from.as_str() <= name && name < before.as_str()
}

/// The places that must be asked for, each with the number of records that must be there.
fn asked(batch: &Batch) -> impl Iterator<Item = (&Place, u32)> {
    let absent = batch.absent.iter().filter(|(space, name)| !is_added(batch, *space, name));
    absent.map(|place| (place, 0)).chain(batch.present.iter().map(|place| (place, 1)))
}

/// Asks all guards at once. A batch without guards is not held up: a commit sends all of its requests in one go.
async fn holds(transaction: &Transaction<'_>, batch: &Batch) -> Result<bool, IdbError> {
    let mut counts = Vec::new();
    for ((space, name), count) in asked(batch) {
        let store = transaction.object_store(space.as_str())?;
        counts.push((store.count().with_query(JsValue::from(name)).primitive()?, count));
    }
    if let Some(last) = batch.last {
        let behind = KeyRange::LowerBound(JsValue::from(last as f64), true);
        counts.push((
            transaction.object_store(Space::Log.as_str())?.count().with_query::<JsValue, _>(behind).primitive()?,
            0,
        ));
    }
    let mut holds = true;
    for (answer, count) in counts {
        holds &= answer.await? == count;
    }
    Ok(holds)
}

/// Requests that were sent and are not answered yet.
struct Sent {
    last: Option<VoidRequest>,
    /// The request that gives the last record of the log its number; then it is the last of all.
    appended: Option<BasicRequest<f64>>,
}

/// Sends all requests without waiting for any: a request that fails aborts the transaction.
fn send(transaction: &Transaction<'_>, batch: &Batch) -> Result<Sent, Failure> {
    let mut sent = Sent { last: None, appended: None };
    for (space, name) in &batch.delete {
        let store = transaction.object_store(space.as_str())?;
        sent.last = Some(store.delete(name.as_str()).primitive()?);
    }
    // An empty range is a mistake to the host.
    for (space, from, before) in batch.delete_range.iter().filter(|(_, from, before)| from < before) {
        let store = transaction.object_store(space.as_str())?;
        let range = KeyRange::Bound(JsValue::from(from), false, JsValue::from(before), true);
        sent.last = Some(store.delete::<JsValue, _>(range).primitive()?);
    }
    for (space, name, bytes) in &batch.put {
        let store = transaction.object_store(space.as_str())?;
        let bytes = Uint8ArraySlice::new(bytes);
        sent.last = Some(if is_added(batch, *space, name) {
            store.add(bytes).with_key(name.as_str()).without_key_type().primitive()?
        } else {
            store.put(bytes).with_key(name.as_str()).without_key_type().primitive()?
        });
    }
    if batch.trim > 0 {
        let store = transaction.object_store(Space::Log.as_str())?;
        sent.last = Some(store.delete::<f64, _>(KeyRange::UpperBound(batch.trim as f64, false)).primitive()?);
    }
    for record in &batch.append {
        let store = transaction.object_store(Space::Log.as_str())?;
        sent.appended = Some(store.add(Uint8ArraySlice::new(record)).with_key_type::<f64>().primitive()?);
    }
    Ok(sent)
}
