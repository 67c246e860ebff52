//! The storage suite on IndexedDB and on a backend of the user's own, in a module made for tests alone.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::{Function, Promise};
use wasm_bindgen::prelude::*;

use super::backend::Backend;
use super::indexeddb::IndexedDb;
use super::promise::boxed;
use crate::storage::{LocalFuture, Storage, conformance};

/// Runs every case on a database of its own, named `prefix` and a number; resolves to how many there were. A case that
/// fails panics with the contract's number.
#[wasm_bindgen]
pub fn check_indexeddb(prefix: String) -> Promise {
    boxed(async move {
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

/// Runs every case on a backend of its own that `make` gives.
#[wasm_bindgen]
pub fn check_backend(make: Function) -> Promise {
    boxed(async move {
        let made = Rc::new(Cell::new(0u32));
        let make = || -> LocalFuture<'static, Rc<dyn Storage>> {
            made.set(made.get() + 1);
            let backend = make.call0(&JsValue::UNDEFINED).and_then(Backend::new);
            let storage: Rc<dyn Storage> = Rc::new(backend.expect("a backend of this contract"));
            Box::pin(async move { storage })
        };
        conformance::check_all(make).await;
        Ok(made.get().into())
    })
}

/// A promise that nothing resolves.
#[wasm_bindgen]
pub fn wait_for_ever() -> Promise {
    boxed(std::future::pending())
}

/// Panics in a task that nobody awaits.
#[wasm_bindgen]
pub fn panic_beside() {
    wasm_bindgen_futures::spawn_local(async { panic!("BUG: on purpose") });
}
