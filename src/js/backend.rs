//! A backend of the user's own, as `Records`: the contract is the same, in JavaScript's words.

use js_sys::{Array, Function, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::error::{describe, from_storage, to_js};
use super::options::JsResult;
use crate::error::{Error, ErrorCode, Result};
use crate::storage::{Batch, Durability, ListRange, Listed, LocalFuture, Place, Records, Space};

/// The contract that this build speaks.
const CONTRACT: f64 = 1.0;
/// Records to delete at a time when all of them go.
const PAGE: usize = 256;

pub struct Backend {
    object: JsValue,
}

impl Backend {
    pub fn new(object: JsValue) -> JsResult<Backend> {
        let contract = Reflect::get(&object, &"contract".into()).ok().and_then(|contract| contract.as_f64());
        if contract != Some(CONTRACT) {
            let message = format!("a storage backend must keep contract {CONTRACT}. contract={contract:?}");
            return Err(to_js(&Error::new(ErrorCode::InvalidOption, message)));
        }
        Ok(Backend { object })
    }

    async fn call(&self, name: &str, arguments: &Array) -> Result<JsValue> {
        let method = Reflect::get(&self.object, &name.into()).map_err(|thrown| from_storage(&thrown))?;
        let method: Function = method
            .dyn_into()
            .map_err(|_| Error::new(ErrorCode::InvalidOption, format!("a storage backend has a method {name}")))?;
        let called = method.apply(&self.object, arguments).map_err(|thrown| from_storage(&thrown))?;
        JsFuture::from(Promise::resolve(&called)).await.map_err(|thrown| from_storage(&thrown))
    }

    /// Deletes every record.
    pub async fn erase(&self) -> Result<()> {
        for space in Space::ALL {
            loop {
                let listed = self.list(space, ListRange { limit: PAGE, ..ListRange::default() }).await?;
                if listed.is_empty() {
                    break;
                }
                let delete = listed.into_iter().map(|(name, _)| (space, name)).collect();
                self.write(Batch { delete, ..Batch::default() }).await?;
            }
        }
        Ok(())
    }
}

fn broken(what: &str, value: &JsValue) -> Error {
    let message = format!("the storage backend broke its contract: {what}. value={}", describe(value));
    Error::new(ErrorCode::StorageUnavailable, message)
}

fn bytes(value: &JsValue) -> Result<Vec<u8>> {
    value.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec).ok_or_else(|| broken("a record is no Uint8Array", value))
}

fn array<'a>(value: &'a JsValue, what: &str) -> Result<&'a Array> {
    value.dyn_ref::<Array>().ok_or_else(|| broken(what, value))
}

fn places(places: &[Place]) -> Array {
    places.iter().map(|(space, name)| Array::of2(&space.as_str().into(), &name.into())).collect()
}

impl Records for Backend {
    fn read<'a>(&'a self, space: Space, names: &'a [String]) -> LocalFuture<'a, Result<Vec<Option<Vec<u8>>>>> {
        Box::pin(async move {
            let asked: Array = names.iter().map(JsValue::from).collect();
            let answer = self.call("read", &Array::of2(&space.as_str().into(), &asked)).await?;
            let records = array(&answer, "read answers an array")?;
            if records.length() as usize != names.len() {
                return Err(broken("read answers one record for each name", &answer));
            }
            let record = |value: JsValue| if value.is_undefined() { Ok(None) } else { bytes(&value).map(Some) };
            records.iter().map(record).collect()
        })
    }

    fn list<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Listed>> {
        Box::pin(async move {
            let options = Object::new();
            let limit = range.limit.min(u32::MAX as usize) as f64;
            for (name, value) in [("from", range.from.map(JsValue::from)), ("before", range.before.map(JsValue::from))]
            {
                if let Some(value) = value {
                    let _ = Reflect::set(&options, &name.into(), &value);
                }
            }
            let _ = Reflect::set(&options, &"limit".into(), &limit.into());
            let answer = self.call("list", &Array::of2(&space.as_str().into(), &options)).await?;
            let pair = |value: JsValue| {
                let pair = array(&value, "list answers pairs")?;
                let name = pair.get(0).as_string().ok_or_else(|| broken("a name is a string", &value))?;
                Ok((name, bytes(&pair.get(1))?))
            };
            array(&answer, "list answers an array")?.iter().map(pair).collect()
        })
    }

    fn write(&self, batch: Batch) -> LocalFuture<'_, Result<bool>> {
        Box::pin(async move {
            let put: Array = batch
                .put
                .iter()
                .map(|(space, name, bytes)| {
                    Array::of3(&space.as_str().into(), &name.into(), &Uint8Array::from(&bytes[..]))
                })
                .collect();
            let durability = match batch.durability {
                Durability::Relaxed => "relaxed",
                Durability::Strict => "strict",
            };
            let object = Object::new();
            for (name, value) in [
                ("put", JsValue::from(put)),
                ("delete", places(&batch.delete).into()),
                ("absent", places(&batch.absent).into()),
                ("present", places(&batch.present).into()),
                ("durability", durability.into()),
            ] {
                let _ = Reflect::set(&object, &name.into(), &value);
            }
            let answer = self.call("write", &Array::of1(&object)).await?;
            answer.as_bool().ok_or_else(|| broken("write answers a boolean", &answer))
        })
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        Box::pin(async move { self.call("close", &Array::new()).await.map(drop) })
    }
}
