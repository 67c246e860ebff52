//! Options as JavaScript gives them: plain objects, checked by TypeScript before they come here.

use js_sys::{Function, Reflect};
use serde::Deserialize;
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

fn read<T: for<'de> Deserialize<'de> + Default>(options: JsValue) -> JsResult<T> {
    if options.is_undefined() || options.is_null() {
        return Ok(T::default());
    }
    serde_wasm_bindgen::from_value(options).map_err(|error| invalid(&format!("an option cannot be read: {error}")))
}

fn function(options: &JsValue, name: &str) -> Option<Function> {
    Reflect::get(options, &name.into()).ok()?.dyn_into().ok()
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DurabilityName {
    Relaxed,
    Strict,
}

impl From<DurabilityName> for Durability {
    fn from(name: DurabilityName) -> Durability {
        match name {
            DurabilityName::Relaxed => Durability::Relaxed,
            DurabilityName::Strict => Durability::Strict,
        }
    }
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

/// Where a store lies.
pub enum Where {
    Memory,
    IndexedDb,
    /// A backend of the user's own.
    Custom(JsValue),
}

/// Where `options` say; the caller has chosen before, so nothing said is IndexedDB.
pub fn place(options: &JsValue) -> JsResult<Where> {
    let field = |name: &str| Reflect::get(options, &name.into()).unwrap_or_default();
    let backend = field("backend");
    if backend.is_object() {
        return Ok(Where::Custom(backend));
    }
    match field("storage").as_string().as_deref() {
        Some("memory") => Ok(Where::Memory),
        Some("indexeddb") => Ok(Where::IndexedDb),
        _ => Err(invalid("storage is indexeddb, memory or a backend")),
    }
}

pub struct Open {
    pub engine: OpenOptions,
    pub now: Option<Function>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct OpenFields {
    durability: Option<DurabilityName>,
    retain: Option<f64>,
    cache_bytes: Option<f64>,
    repair: bool,
}

pub fn open(options: JsValue) -> JsResult<Open> {
    let now = function(&options, "now");
    let fields: OpenFields = read(options)?;
    let mut engine = OpenOptions::default();
    if let Some(durability) = fields.durability {
        engine.durability = durability.into();
    }
    // Infinity becomes the greatest number, which is for ever.
    engine.retain = fields.retain.map(|milliseconds| milliseconds as u64);
    if let Some(bytes) = fields.cache_bytes {
        engine.cache_bytes = bytes as usize;
    }
    engine.repair = fields.repair;
    Ok(Open { engine, now })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TransactionFields {
    isolation: Option<String>,
    retries: Option<u32>,
    durability: Option<DurabilityName>,
}

/// A transaction's options, and whom to tell of its commit.
pub fn transaction(options: JsValue) -> JsResult<(TransactionOptions, Option<Function>)> {
    let on_commit = function(&options, "onCommit");
    let fields: TransactionFields = read(options)?;
    let isolation = match fields.isolation.as_deref() {
        None | Some("serializable") => Isolation::Serializable,
        Some("snapshot") => Isolation::Snapshot,
        Some(_) => return Err(invalid("isolation is serializable or snapshot")),
    };
    let durability = fields.durability.map(Durability::from);
    let mut engine = TransactionOptions { isolation, durability, ..TransactionOptions::default() };
    if let Some(retries) = fields.retries {
        engine.retries = retries;
    }
    Ok((engine, on_commit))
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
    let field = |name: &str| Reflect::get(options, &name.into()).unwrap_or_default();
    let at = field("at");
    let existing = match field("existing").as_string().as_deref() {
        Some("open") => Existing::Open,
        _ => Existing::Fail,
    };
    Ok(CloneOptions {
        at: if at.is_undefined() { None } else { Some(when(&at)?) },
        existing,
        // Infinity becomes the greatest number, which is never reached.
        ttl: field("ttl").as_f64().map(|milliseconds| milliseconds as u64),
        background: field("background").is_truthy(),
    })
}
