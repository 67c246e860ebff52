//! Options as JavaScript gives them: plain objects, checked by TypeScript before they come here.

use js_sys::{Function, Reflect};
use wasm_bindgen::{JsCast, JsValue};

use super::error::to_js;
use crate::engine::{CloneOptions, Existing, Isolation, OpenOptions, TransactionOptions, When};
use crate::error::{Error, ErrorCode};
use crate::storage::Durability;
use crate::types::Lsn;

pub type JsResult<T> = Result<T, JsValue>;

fn invalid(message: &str) -> JsValue {
    to_js(&Error::new(ErrorCode::InvalidOption, message))
}

fn field(options: &JsValue, name: &str) -> JsValue {
    Reflect::get(options, &name.into()).unwrap_or_default()
}

/// A field that may be left out. `read` gives nothing where the field is of another type.
fn optional<T>(options: &JsValue, name: &str, read: fn(&JsValue) -> Option<T>) -> JsResult<Option<T>> {
    let value = field(options, name);
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    read(&value).map(Some).ok_or_else(|| invalid(&format!("an option is of another type. option={name}")))
}

fn function(options: &JsValue, name: &str) -> Option<Function> {
    Reflect::get(options, &name.into()).ok()?.dyn_into().ok()
}

/// The option `durability` of a single call.
pub fn durability(name: Option<String>) -> JsResult<Option<Durability>> {
    match name.as_deref() {
        None => Ok(None),
        Some("relaxed") => Ok(Some(Durability::Relaxed)),
        Some("strict") => Ok(Some(Durability::Strict)),
        Some(_) => Err(invalid("durability is relaxed or strict")),
    }
}

fn durability_of(options: &JsValue) -> JsResult<Option<Durability>> {
    durability(optional(options, "durability", JsValue::as_string)?)
}

/// Where a store lies.
pub enum Where {
    Memory,
    IndexedDb,
    /// A backend of the user's own.
    Custom(JsValue),
}

/// Where `options` say; the caller has chosen before, so nothing said is IndexedDB.
pub fn place(options: &JsValue) -> JsResult<Where> {
    let backend = field(options, "backend");
    if backend.is_object() {
        return Ok(Where::Custom(backend));
    }
    match field(options, "storage").as_string().as_deref() {
        Some("memory") => Ok(Where::Memory),
        Some("indexeddb") => Ok(Where::IndexedDb),
        _ => Err(invalid("storage is indexeddb, memory or a backend")),
    }
}

pub struct Open {
    pub engine: OpenOptions,
    pub now: Option<Function>,
}

pub fn open(options: JsValue) -> JsResult<Open> {
    let mut engine = OpenOptions::default();
    if let Some(durability) = durability_of(&options)? {
        engine.durability = durability;
    }
    // Infinity becomes the greatest number, which is for ever.
    engine.retain = optional(&options, "retain", JsValue::as_f64)?.map(|milliseconds| milliseconds as u64);
    if let Some(bytes) = optional(&options, "cacheBytes", JsValue::as_f64)? {
        engine.cache_bytes = bytes as usize;
    }
    engine.repair = optional(&options, "repair", JsValue::as_bool)?.unwrap_or_default();
    Ok(Open { engine, now: function(&options, "now") })
}

/// A transaction's options, and whom to tell of its commit.
pub fn transaction(options: JsValue) -> JsResult<(TransactionOptions, Option<Function>)> {
    let isolation = match optional(&options, "isolation", JsValue::as_string)?.as_deref() {
        None | Some("serializable") => Isolation::Serializable,
        Some("snapshot") => Isolation::Snapshot,
        Some(_) => return Err(invalid("isolation is serializable or snapshot")),
    };
    let durability = durability_of(&options)?;
    let mut engine = TransactionOptions { isolation, durability, ..TransactionOptions::default() };
    let whole = |value: &JsValue| value.as_f64().filter(|number| f64::from(*number as u32) == *number);
    if let Some(retries) = optional(&options, "retries", whole)? {
        engine.retries = retries as u32;
    }
    Ok((engine, function(&options, "onCommit")))
}

/// A version's text, or a time in milliseconds.
pub fn when(value: &JsValue) -> JsResult<When> {
    if let Some(time) = value.as_f64() {
        return Ok(When::Time(time.max(0.0) as u64));
    }
    let lsn = value.as_string().as_deref().and_then(Lsn::from_text);
    lsn.map(When::Version).ok_or_else(|| invalid("a moment is a version of this store, or a date"))
}

pub fn clone(options: &JsValue) -> JsResult<CloneOptions> {
    let at = field(options, "at");
    let existing = match field(options, "existing").as_string().as_deref() {
        Some("open") => Existing::Open,
        _ => Existing::Fail,
    };
    Ok(CloneOptions {
        at: if at.is_undefined() { None } else { Some(when(&at)?) },
        existing,
        // Infinity becomes the greatest number, which is never reached.
        ttl: field(options, "ttl").as_f64().map(|milliseconds| milliseconds as u64),
        background: field(options, "background").is_truthy(),
    })
}
