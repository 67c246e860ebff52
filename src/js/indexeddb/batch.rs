//! An atomic, guarded write as one IndexedDB transaction.

use indexed_db_futures::future::VoidRequest;
use indexed_db_futures::internals::SystemRepr;
use indexed_db_futures::object_store::ObjectStore;
use indexed_db_futures::prelude::*;
use indexed_db_futures::transaction::{TransactionDurability, TransactionMode, TransactionOptions};
use indexed_db_futures::typed_array::Uint8ArraySlice;

use super::connection::Connection;
use super::deadline::{self, Deadline};
use super::early;
use super::failure::Failure;
use crate::storage::{Batch, Durability, Place, Space};

/// False: a guard did not hold, and nothing is written. The promise of `true` rests on the `complete` event alone.
pub async fn write(connection: &Connection, batch: &Batch) -> Result<bool, Failure> {
    let commits_early = early::is_safe(connection).await;
    let spaces = spaces(batch);
    let mut options = TransactionOptions::new();
    // Always named: browsers differ in their default, and have changed it.
    options.set_durability(match batch.durability {
        Durability::Relaxed => TransactionDurability::Relaxed,
        Durability::Strict => TransactionDurability::Strict,
    });
    let names: Vec<&str> = spaces.iter().map(|space| space.as_str()).collect();
    let transaction = connection
        .database()
        .transaction(names)
        .with_mode(TransactionMode::Readwrite)
        .with_options(options)
        .build()
        .map_err(Failure::not_begun)?;
    let deadline = Deadline::of(transaction.as_sys());
    let mut stores = Vec::with_capacity(spaces.len());
    for space in spaces {
        stores.push((space, transaction.object_store(space.as_str())?));
    }
    let store = |space: Space| {
        let found = stores.iter().find(|(other, _)| *other == space);
        &found.expect("BUG: every space of the batch is in the transaction").1
    };
    for (space, name) in &batch.present {
        if store(*space).count().with_query::<String, _>(name.clone()).primitive()?.await? == 0 {
            transaction.abort().await?;
            return Ok(false);
        }
    }
    let last = send(batch, store)?;
    if let (false, Some(last)) = (commits_early, last) {
        // Answers come in the order of the requests. What failed has aborted the transaction, which tells the reason;
        // all behind it fail too, and the library's listener can hear of one failure only.
        transaction.as_sys().set_onerror(None);
        let _ = last.await;
    }
    let system = transaction.as_sys().clone();
    // Once `commit()` was called nobody can abort any more. The host goes on by itself, and nobody waits for ever.
    let Some(committed) = deadline::within(deadline::WAIT, transaction.commit()).await else {
        return Err(Failure::late("the write may still be done; waiting for it"));
    };
    match committed {
        Ok(()) => Ok(true),
        Err(error) => {
            let failure = Failure::of_commit(error, system.error(), deadline.is_over());
            if failure.is_taken() { Ok(false) } else { Err(failure) }
        }
    }
}

fn spaces(batch: &Batch) -> Vec<Space> {
    let names_it = |wanted: Space| {
        let mut guarded = batch.delete.iter().chain(&batch.absent).chain(&batch.present);
        batch.put.iter().any(|(space, _, _)| *space == wanted) || guarded.any(|(space, _)| *space == wanted)
    };
    let spaces: Vec<Space> = Space::ALL.into_iter().filter(|space| names_it(*space)).collect();
    // A transaction has at least one store; an empty batch asks only whether the host still answers.
    if spaces.is_empty() { vec![Space::Meta] } else { spaces }
}

/// Sends all requests without waiting for any: what fails aborts the transaction. An absent name is checked by an
/// `add`, which collides; that costs less than reading first, and nothing can come between. The answer is the last
/// request.
fn send<'a>(batch: &Batch, store: impl Fn(Space) -> &'a ObjectStore<'a>) -> Result<Option<VoidRequest>, Failure> {
    let mut last = None;
    let bytes_of = |place: &Place| batch.put.iter().find(|(space, name, _)| (*space, name) == (place.0, &place.1));
    for place in &batch.absent {
        let (space, name) = place;
        let put = bytes_of(place);
        let bytes = Uint8ArraySlice::new(put.map_or(&[], |(_, _, bytes)| &bytes[..]));
        last = Some(store(*space).add(bytes).with_key(name.as_str()).without_key_type().primitive()?);
        if put.is_none() {
            last = Some(store(*space).delete(name.as_str()).primitive()?);
        }
    }
    for (space, name) in &batch.delete {
        last = Some(store(*space).delete(name.as_str()).primitive()?);
    }
    let is_added = |space: Space, name: &String| batch.absent.iter().any(|(s, n)| (*s, n) == (space, name));
    for (space, name, bytes) in batch.put.iter().filter(|(space, name, _)| !is_added(*space, name)) {
        let bytes = Uint8ArraySlice::new(bytes);
        last = Some(store(*space).put(bytes).with_key(name.as_str()).without_key_type().primitive()?);
    }
    Ok(last)
}
