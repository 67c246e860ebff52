//! What hosts may or may not have, looked up by name.

use js_sys::{Array, Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::storage::LocalFuture;

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

/// Calls a method that gives a promise, and waits. `None`: there is no such method, or it failed. Boxed, because it is
/// awaited in many places.
pub fn call<'a>(object: &'a JsValue, name: &'a str, arguments: &'a [JsValue]) -> LocalFuture<'a, Option<JsValue>> {
    Box::pin(async move {
        let arguments: Array = arguments.iter().collect();
        let called = function(object, name)?.apply(object, &arguments).ok()?;
        JsFuture::from(Promise::resolve(&called)).await.ok()
    })
}
