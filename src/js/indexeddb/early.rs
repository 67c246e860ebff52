//! Whether a transaction may be told to commit before its requests are answered, which the host does by itself then,
//! whatever becomes of this tab.
//!
//! A request that fails takes its transaction with it, early commit or not: guards rest on that. Firefox (153, the
//! newest when this was written) forgets every failure but the last request's once `commit()` was called, and completes
//! the rest of the batch. What a host does is found out by trying, once a realm.

use std::cell::Cell;

use indexed_db_futures::internals::SystemRepr;
use indexed_db_futures::prelude::*;
use indexed_db_futures::transaction::{TransactionDurability, TransactionMode, TransactionOptions};
use indexed_db_futures::typed_array::Uint8ArraySlice;

use super::connection::Connection;
use super::deadline;
use super::failure::Failure;
use crate::storage::Space;

thread_local! {
    static SAFE: Cell<Option<bool>> = const { Cell::new(None) };
}

/// A name that no record has.
const PROBE: &str = "?";

pub async fn is_safe(connection: &Connection) -> Result<bool, Failure> {
    if let Some(safe) = SAFE.get() {
        return Ok(safe);
    }
    let safe = !completes_despite_failure(connection).await?;
    SAFE.set(Some(safe));
    Ok(safe)
}

/// Adds the same name twice and deletes it again: a transaction that must not complete, and leaves nothing if it does.
async fn completes_despite_failure(connection: &Connection) -> Result<bool, Failure> {
    let mut options = TransactionOptions::new();
    options.set_durability(TransactionDurability::Relaxed);
    let transaction = connection
        .database()
        .transaction(Space::Jobs.as_str())
        .with_mode(TransactionMode::Readwrite)
        .with_options(options)
        .build()?;
    // The library takes a request's failure for the end of its transaction. Here the end itself is asked for.
    transaction.as_sys().set_onerror(None);
    let store = transaction.object_store(Space::Jobs.as_str())?;
    for _ in 0..2 {
        drop(store.add(Uint8ArraySlice::new(&[])).with_key(PROBE).without_key_type().primitive()?);
    }
    drop(store.delete(PROBE).primitive()?);
    match deadline::within(deadline::WAIT, transaction.commit()).await {
        Some(completed) => Ok(completed.is_ok()),
        None => Err(Failure::late("beginning to write")),
    }
}
