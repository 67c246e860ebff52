//! The globals that a host may have or not have, looked up by name.
//!
//! The functions below are named here as JavaScript names them, and the package puts in their place the functions that
//! had these names when the package was loaded (`pkg/src/host.ts`). Tests replace these globals by fakes, and an engine
//! that waits for a fake timer or a fake microtask never goes on, not even when the fakes are gone.

use js_sys::{Function, Reflect};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_name = setTimeout)]
    pub fn set_timeout(callback: &JsValue, milliseconds: f64) -> Result<JsValue, JsValue>;

    /// A function of the package, not of the host: it calls back once others had their turn.
    #[wasm_bindgen(catch, js_name = setPause)]
    pub fn set_pause(callback: &JsValue) -> Result<(), JsValue>;

    #[wasm_bindgen(catch, js_name = clearTimeout)]
    pub fn clear_timeout(timer: &JsValue) -> Result<(), JsValue>;

    /// Milliseconds of a clock that never jumps.
    #[wasm_bindgen(catch, js_namespace = performance, js_name = now)]
    pub fn steady_milliseconds() -> Result<f64, JsValue>;

    #[wasm_bindgen(catch, js_namespace = crypto, js_name = getRandomValues)]
    pub fn fill_with_random(bytes: &mut [u8]) -> Result<JsValue, JsValue>;
}

/// A field of an object, if it is there and something.
pub fn field(object: &JsValue, name: &str) -> Option<JsValue> {
    Reflect::get(object, &name.into()).ok().filter(|value| !value.is_falsy())
}

pub fn global(name: &str) -> Option<JsValue> {
    field(&js_sys::global(), name)
}

pub fn function(object: &JsValue, name: &str) -> Option<Function> {
    field(object, name)?.dyn_into().ok()
}
