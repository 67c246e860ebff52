//! The storage suite on IndexedDB, in a module made for tests alone.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use super::indexeddb::IndexedDb;
use crate::storage::{LocalFuture, Storage, conformance};

/// Runs every case on a database of its own, named `prefix` and a number; resolves to how many there were. A case that
/// fails panics with the contract's number.
#[wasm_bindgen]
pub fn check_indexeddb(prefix: String) -> Promise {
    future_to_promise(async move {
        let made = Rc::new(Cell::new(0u32));
        let make = || -> LocalFuture<'static, Rc<dyn Storage>> {
            let name = format!("{prefix}-{}", made.replace(made.get() + 1));
            Box::pin(async move {
                let opened = IndexedDb::open(&name, Box::new(|_| ())).await;
                let storage: Rc<dyn Storage> = Rc::new(opened.expect("an empty database opens"));
                storage
            })
        };
        conformance::check_all(make).await;
        Ok(made.get().into())
    })
}
