//! The only files that know JavaScript: exported classes, storage in IndexedDB, and the host's clock and randomness.
//!
//! Calls and documents cross as bytes, once per call; options and reports as plain objects. Nothing here decides: it
//! translates. No borrow is held over an await, and no export takes `&mut self`: two calls may overlap.
//!
//! It does not know: drive, lsm, query.

mod backend;
mod clock;
#[cfg(feature = "conformance")]
mod conformance;
mod error;
mod globals;
mod host;
mod indexeddb;
mod merging;
mod options;
mod page;
mod promise;
mod report;
mod result;
mod scope;
mod signal;
mod store;
mod transfer;
mod waits;
mod witness;

use wasm_bindgen::prelude::*;

/// Runs once, when the module is instantiated.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|info| promise::panicked(&info.to_string())));
}

/// The message of the panic that the hook recorded: from then on the instance is dead, and every call is INTERNAL.
#[wasm_bindgen]
pub fn last_panic() -> Option<String> {
    promise::last_panic()
}

/// The version of this build, as in `package.json`.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_string()
}
