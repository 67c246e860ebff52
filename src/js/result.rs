//! Where a synchronous read leaves its bytes: JavaScript decodes them in place, so a hot read copies nothing.

use std::cell::RefCell;

use wasm_bindgen::prelude::*;

use crate::types::Bytes;

thread_local! {
    static RESULT: RefCell<Option<Bytes>> = const { RefCell::new(None) };
}

/// Keeps `bytes` alive until the next result.
pub fn leave(bytes: Bytes) {
    RESULT.with(|result| result.replace(Some(bytes)));
}

/// Where the last synchronous `get` that found a document left it; valid until the next call into the module.
#[wasm_bindgen]
pub fn result_ptr() -> u32 {
    RESULT.with(|result| result.borrow().as_ref().map_or(0, |bytes| bytes.as_ptr() as usize as u32))
}

#[wasm_bindgen]
pub fn result_len() -> u32 {
    RESULT.with(|result| result.borrow().as_ref().map_or(0, |bytes| bytes.len() as u32))
}
