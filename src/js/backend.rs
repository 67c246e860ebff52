//! A backend of the user's own as `Storage`: the contract is the same, in JavaScript's words.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use futures_channel::oneshot;
use js_sys::{Array, Function, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use super::error::{describe, from_storage, to_js};
use super::options::JsResult;
use super::waits::{self, WAIT};
use crate::error::{Error, ErrorCode, Result};
use crate::storage::{
    Batch, Durability, ListRange, Listed, LocalFuture, Lock, Logged, NAME_BYTES, Outcome, Place, Space, Storage,
};
use crate::types::limits;

/// The contract that this build speaks.
const CONTRACT: u32 = 2;
/// Records to delete at a time when all of them go.
const DELETED_AT_ONCE: usize = 4096;
/// The greatest whole number that JavaScript can tell from the next.
const GREATEST: f64 = 9_007_199_254_740_991.0;
/// Milliseconds to wait for the answer of `lock`.
const LOCK: u64 = 5000;

pub struct Backend {
    object: JsValue,
    record_bytes: usize,
    is_closed: Cell<bool>,
    /// Locks that are held: closing releases them.
    locks: RefCell<Vec<Weak<Release>>>,
}

/// Releases a lock of the backend, once.
struct Release(Cell<Option<Function>>);

impl Release {
    fn now(&self) {
        if let Some(release) = self.0.take() {
            // Nobody needs an error that this call throws: a lock only saves work.
            let _ = release.call0(&JsValue::UNDEFINED);
        }
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        self.now();
    }
}

fn field(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or_default()
}

fn invalid(message: String) -> JsValue {
    to_js(&Error::new(ErrorCode::InvalidOption, message).with_text("option", "storage"))
}

impl Backend {
    pub fn new(object: JsValue) -> JsResult<Backend> {
        let contract = field(&object, "contract");
        if contract.as_f64() != Some(f64::from(CONTRACT)) {
            let message = format!("a storage backend must keep contract {CONTRACT}. contract={}", describe(&contract));
            return Err(invalid(message));
        }
        let given = field(&object, "recordBytes");
        let is_enough = |bytes: &f64| bytes.fract() == 0.0 && *bytes >= limits::RECORD_BYTES as f64;
        let Some(record_bytes) = given.as_f64().filter(is_enough) else {
            let least = limits::RECORD_BYTES;
            let message = format!("a storage backend must have recordBytes of at least {least}. recordBytes=");
            return Err(invalid(message + &describe(&given)));
        };
        let record_bytes = record_bytes as usize;
        Ok(Backend { object, record_bytes, is_closed: Cell::new(false), locks: RefCell::default() })
    }

    fn method(&self, name: &str) -> Option<Function> {
        field(&self.object, name).dyn_into().ok()
    }

    /// The answer of a method, if it comes in time.
    async fn call(&self, name: &'static str, arguments: &Array) -> Result<JsValue> {
        if self.is_closed.get() {
            return Err(Error::new(ErrorCode::Closed, "the storage is closed"));
        }
        let named = |error: Error| error.with_text("method", name);
        let Some(method) = self.method(name) else {
            let message = format!("a storage backend must have a method of this name. method={name}");
            return Err(named(Error::new(ErrorCode::InvalidOption, message)));
        };
        let thrown = |thrown: JsValue| named(from_storage(&thrown));
        let called = method.apply(&self.object, arguments).map_err(thrown)?;
        match waits::within(WAIT, JsFuture::from(Promise::resolve(&called))).await {
            Some(answer) => answer.map_err(thrown),
            None => {
                let message = format!("the storage backend did not answer in time. method={name}");
                Err(named(Error::new(ErrorCode::Timeout, message)))
            }
        }
    }

    /// Deletes every record.
    pub async fn erase(&self) -> Result<()> {
        for space in Space::ALL.into_iter().filter(|space| *space != Space::Log) {
            loop {
                let names = self.names(space, ListRange { limit: DELETED_AT_ONCE, ..ListRange::default() }).await?;
                let is_last = names.len() < DELETED_AT_ONCE;
                let delete = names.into_iter().map(|name| (space, name)).collect();
                self.write(Batch { delete, ..Batch::default() }).await?;
                if is_last {
                    break;
                }
            }
        }
        self.write(Batch { trim: GREATEST as u64, ..Batch::default() }).await.map(drop)
    }
}

/// An answer that the contract rules out.
fn broken(method: &'static str, rule: &str, value: &JsValue) -> Error {
    let message = format!("the storage backend broke its contract: {method} {rule}. answer={}", describe(value));
    Error::new(ErrorCode::StorageUnavailable, message).with_text("method", method)
}

fn array<'a>(method: &'static str, rule: &str, value: &'a JsValue) -> Result<&'a Array> {
    value.dyn_ref::<Array>().ok_or_else(|| broken(method, rule, value))
}

fn bytes(method: &'static str, value: &JsValue) -> Result<Vec<u8>> {
    let bytes = value.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec);
    bytes.ok_or_else(|| broken(method, "answers each record as a Uint8Array", value))
}

fn name(method: &'static str, value: &JsValue) -> Result<String> {
    let name = value.as_string().filter(|name| name.len() <= NAME_BYTES && name.is_ascii());
    name.ok_or_else(|| broken(method, "answers names that were put", value))
}

/// A whole number that JavaScript can tell from the next.
fn number(value: &JsValue) -> Option<u64> {
    let number = value.as_f64().filter(|number| number.fract() == 0.0 && (0.0..=GREATEST).contains(number));
    number.map(|number| number as u64)
}

/// The elements of a page, which holds no more than was asked for.
fn page(method: &'static str, answer: &JsValue, limit: usize) -> Result<Vec<JsValue>> {
    let answers = array(method, "answers an array", answer)?;
    if answers.length() as usize > limit {
        return Err(broken(method, "answers at most as many as the limit", answer));
    }
    Ok(answers.iter().collect())
}

fn pair(method: &'static str, value: &JsValue) -> Result<(JsValue, Vec<u8>)> {
    let pair = array(method, "answers pairs", value)?;
    Ok((pair.get(0), bytes(method, &pair.get(1))?))
}

fn object(fields: impl IntoIterator<Item = (&'static str, JsValue)>) -> JsValue {
    let object = Object::new();
    for (name, value) in fields {
        // A fresh plain object takes any field.
        let _ = Reflect::set(&object, &name.into(), &value);
    }
    object.into()
}

fn as_limit(limit: usize) -> JsValue {
    (limit.min(u32::MAX as usize) as f64).into()
}

fn range_arguments(space: Space, range: ListRange) -> Array {
    let bounds = [("from", range.from), ("before", range.before)];
    let bounds = bounds.into_iter().filter_map(|(name, bound)| Some((name, JsValue::from(bound?))));
    Array::of2(&space.as_str().into(), &object(bounds.chain([("limit", as_limit(range.limit))])))
}

fn places(places: &[Place]) -> JsValue {
    places.iter().map(|(space, name)| Array::of2(&space.as_str().into(), &name.into())).collect::<Array>().into()
}

fn batch_argument(batch: &Batch) -> JsValue {
    let put = batch
        .put
        .iter()
        .map(|(space, name, bytes)| Array::of3(&space.as_str().into(), &name.into(), &Uint8Array::from(&bytes[..])));
    let ranges = batch.delete_range.iter();
    let ranges = ranges.map(|(space, from, before)| Array::of3(&space.as_str().into(), &from.into(), &before.into()));
    let append = batch.append.iter().map(|record| Uint8Array::from(&record[..]));
    let durability = match batch.durability {
        Durability::Relaxed => "relaxed",
        Durability::Strict => "strict",
    };
    let always = [
        ("put", put.collect::<Array>().into()),
        ("delete", places(&batch.delete)),
        ("deleteRange", ranges.collect::<Array>().into()),
        ("absent", places(&batch.absent)),
        ("present", places(&batch.present)),
        ("append", append.collect::<Array>().into()),
        ("durability", durability.into()),
    ];
    let last = batch.last.map(|last| ("last", JsValue::from(last as f64)));
    let trim = (batch.trim > 0).then(|| ("trim", JsValue::from(batch.trim as f64)));
    object(always.into_iter().chain(last).chain(trim))
}

/// The last number appended, which is 0 exactly if nothing was.
fn outcome(batch: &Batch, answer: &JsValue) -> Result<Outcome> {
    if answer.as_bool() == Some(false) {
        return Ok(Outcome::Refused);
    }
    let is_right =
        |number: &u64| if batch.append.is_empty() { *number == 0 } else { *number >= batch.append.len() as u64 };
    let rule = "answers the number of the last record appended, 0 if there is none, or false";
    number(answer).filter(is_right).map(Outcome::Written).ok_or_else(|| broken("write", rule, answer))
}

impl Storage for Backend {
    fn read<'a>(&'a self, space: Space, names: &'a [String]) -> LocalFuture<'a, Result<Vec<Option<Vec<u8>>>>> {
        Box::pin(async move {
            let asked: Array = names.iter().map(JsValue::from).collect();
            let answer = self.call("read", &Array::of2(&space.as_str().into(), &asked)).await?;
            let records = array("read", "answers an array", &answer)?;
            if records.length() as usize != names.len() {
                return Err(broken("read", "answers one record for each name", &answer));
            }
            let record = |value: JsValue| match value.is_undefined() {
                true => Ok(None),
                false => bytes("read", &value).map(Some),
            };
            records.iter().map(record).collect()
        })
    }

    fn list<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Listed>> {
        Box::pin(async move {
            let limit = range.limit;
            let answer = self.call("list", &range_arguments(space, range)).await?;
            let record = |value: JsValue| {
                let (named, bytes) = pair("list", &value)?;
                Ok((name("list", &named)?, bytes))
            };
            page("list", &answer, limit)?.into_iter().map(record).collect()
        })
    }

    fn names<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            let limit = range.limit;
            let answer = self.call("names", &range_arguments(space, range)).await?;
            page("names", &answer, limit)?.iter().map(|value| name("names", value)).collect()
        })
    }

    fn log(&self, after: u64, limit: usize) -> LocalFuture<'_, Result<Logged>> {
        Box::pin(async move {
            let answer = self.call("log", &Array::of2(&JsValue::from(after as f64), &as_limit(limit))).await?;
            let mut before = after;
            let mut logged = Logged::new();
            for value in page("log", &answer, limit)? {
                let (numbered, bytes) = pair("log", &value)?;
                let number = number(&numbered).filter(|number| *number > before);
                before = number.ok_or_else(|| broken("log", "answers rising numbers behind the one asked", &value))?;
                logged.push((before, bytes));
            }
            Ok(logged)
        })
    }

    fn write(&self, batch: Batch) -> LocalFuture<'_, Result<Outcome>> {
        Box::pin(async move {
            let answer = self.call("write", &Array::of1(&batch_argument(&batch))).await?;
            outcome(&batch, &answer)
        })
    }

    /// A task of its own: a lock that is granted to nobody any more is given back.
    fn lock<'a>(&'a self, name: &'a str) -> LocalFuture<'a, Lock> {
        Box::pin(async move {
            let Some(method) = self.method("lock").filter(|_| !self.is_closed.get()) else { return Lock::Unavailable };
            let Ok(called) = method.call1(&self.object, &name.into()) else { return Lock::Unavailable };
            let (sender, receiver) = oneshot::channel();
            spawn_local(async move {
                let answer = JsFuture::from(Promise::resolve(&called)).await;
                let granted =
                    answer.map(|answer| answer.dyn_into().ok().map(|release| Release(Cell::new(Some(release)))));
                let _ = sender.send(granted.ok());
            });
            match waits::within(LOCK, receiver).await {
                Some(Ok(Some(Some(release)))) if !self.is_closed.get() => {
                    let release = Rc::new(release);
                    let mut locks = self.locks.borrow_mut();
                    locks.retain(|lock| lock.strong_count() > 0);
                    locks.push(Rc::downgrade(&release));
                    Lock::Held(Box::new(release))
                }
                Some(Ok(Some(_))) | None => Lock::Taken,
                Some(_) => Lock::Unavailable,
            }
        })
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        Box::pin(async move {
            let locks = self.locks.take();
            locks.iter().filter_map(Weak::upgrade).for_each(|lock| lock.now());
            let closed = self.call("close", &Array::new()).await;
            self.is_closed.set(true);
            closed.map(drop)
        })
    }

    fn record_bytes(&self) -> usize {
        self.record_bytes
    }
}
