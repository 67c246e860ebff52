//! The only files that know JavaScript.

use wasm_bindgen::prelude::*;

/// The version of this build, as in `package.json`.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_string()
}
