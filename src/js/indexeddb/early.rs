//! Finds out if a transaction may be told to commit before its requests are answered. The host then completes the
//! commit by itself, even if this tab ends.
//!
//! A request that fails takes its transaction with it, early commit or not: guards rest on that. Firefox (153, the
//! newest when this was written) forgets every failure but the last request's once `commit()` was called, and completes
//! the rest of the batch. A trial, once a realm, shows how the host behaves.

use std::cell::Cell;

use indexed_db_futures::internals::SystemRepr;
use indexed_db_futures::prelude::*;
use indexed_db_futures::transaction::{TransactionDurability, TransactionMode, TransactionOptions};
use indexed_db_futures::typed_array::Uint8ArraySlice;

use super::connection::Connection;
use super::failure::Failure;
use crate::js::waits;
use crate::storage::Space;

thread_local! {
    static SAFE: Cell<Option<bool>> = const { Cell::new(None) };
}

/// A name that no record has.
const PROBE: &str = "?";

/// False also where that could not be found out: to wait for the answers is right everywhere.
pub async fn is_safe(connection: &Connection) -> bool {
    if let Some(safe) = SAFE.get() {
        return safe;
    }
    let found = match waits::within(waits::WAIT, probe(connection)).await {
        Some(probed) => probed.ok().flatten(),
        // Each write would wait for the trial again.
        None => Some(false),
    };
    SAFE.set(found);
    found.unwrap_or_default()
}

/// Adds the same name twice and deletes it again: a transaction that must not complete, and leaves nothing if it does.
/// `None`: it ended for another reason, which teaches nothing.
async fn probe(connection: &Connection) -> Result<Option<bool>, Failure> {
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
    let add = || store.add(Uint8ArraySlice::new(&[])).with_key(PROBE).without_key_type().primitive();
    drop(add()?);
    let collides = add()?;
    drop(store.delete(PROBE).primitive()?);
    let system = transaction.as_sys().clone();
    if transaction.commit().await.is_ok() {
        return Ok(Some(false));
    }
    // Some hosts give the failed request's reason to the transaction, some give it none. Where a full disk is the
    // reason, Chromium never answers the requests.
    if system.error().is_some_and(|error| !Failure::of_exception(&error).is_taken()) {
        return Ok(None);
    }
    let has_collided = collides.await.is_err_and(|error| Failure::from(error).is_taken());
    Ok((has_collided && connection.is_alive()).then_some(true))
}
