//! Errors on their way out: plain objects `{ code, message, details, retryable }`, made into OffshootError by
//! TypeScript.

use js_sys::{Array, Function, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};

use super::globals::global;
use crate::error::{Detail, Error, ErrorCode, FailureOutcome};

fn set(object: &Object, name: &str, value: &JsValue) {
    // A fresh plain object takes any field.
    let _ = Reflect::set(object, &name.into(), value);
}

pub fn to_js(error: &Error) -> JsValue {
    let details = Object::new();
    for (name, detail) in error.details() {
        let value = match detail {
            Detail::Text(text) => JsValue::from_str(text),
            Detail::Texts(texts) => texts.iter().map(|text| JsValue::from_str(text)).collect::<Array>().into(),
            Detail::Number(number) => JsValue::from_f64(*number as f64),
        };
        set(&details, name, &value);
    }
    if error.code().is_passing() || error.outcome() == FailureOutcome::Unknown {
        set(&details, "outcome", &error.outcome().as_str().into());
    }
    let object = Object::new();
    set(&object, "code", &error.code().as_str().into());
    set(&object, "message", &error.message().into());
    set(&object, "details", &details);
    set(&object, "retryable", &error.is_retryable().into());
    object.into()
}

/// Whatever a host's function threw, in words.
pub fn describe(thrown: &JsValue) -> String {
    if let Some(text) = thrown.as_string() {
        return text;
    }
    let field = |name: &str| Reflect::get(thrown, &name.into()).ok().and_then(|value| value.as_string());
    match (field("name"), field("message")) {
        (Some(name), Some(message)) => format!("{name}: {message}"),
        (_, Some(message)) => message,
        _ => in_words(thrown).unwrap_or_else(|| "a value that has no text".to_string()),
    }
}

/// The text that JavaScript makes of a value. The library's own, for debugging, is a kilobyte of JavaScript.
fn in_words(value: &JsValue) -> Option<String> {
    global("String")?.dyn_into::<Function>().ok()?.call1(&JsValue::UNDEFINED, value).ok()?.as_string()
}

/// An error of storage that a host reported by throwing.
pub fn from_storage(thrown: &JsValue) -> Error {
    let name = Reflect::get(thrown, &"name".into()).ok().and_then(|value| value.as_string());
    let code = match name.as_deref() {
        Some("QuotaExceededError") => ErrorCode::QuotaExceeded,
        _ => ErrorCode::StorageUnavailable,
    };
    Error::new(code, format!("storage failed: {}", describe(thrown)))
}
