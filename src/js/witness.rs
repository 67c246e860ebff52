//! The place of a store's witness: Cache Storage, which windows and workers of an origin share, and which a host that
//! wipes a damaged IndexedDB leaves alone. Each text is the last part of the address of an empty answer.

use js_sys::{Array, Reflect};
use wasm_bindgen::{JsCast, JsValue};

use super::globals::{field, function, global};
use super::waits::call;
use crate::engine::Testimony;

/// Addresses are never fetched; a cache takes no other scheme.
const ADDRESS: &str = "https://offshoot.invalid/";

fn cache_name(store: &str) -> JsValue {
    format!("offshoot:{store}").into()
}

/// All texts of a store; `None`: the host has no such place, does not answer in time, or refuses, as some hosts do in
/// private windows.
pub async fn read(store: &str) -> Option<Vec<String>> {
    let caches = global("caches")?;
    let cache = call(&caches, "open", &[cache_name(store)]).await?;
    let requests: Array = call(&cache, "keys", &[]).await?.dyn_into().ok()?;
    let address = |request: JsValue| field(&request, "url")?.as_string();
    Some(requests.iter().filter_map(address).filter_map(|url| Some(url.strip_prefix(ADDRESS)?.to_string())).collect())
}

/// Writes down texts, then strikes out old ones.
pub async fn write(store: &str, add: &[String], strike: &[String]) -> Option<()> {
    let cache = call(&global("caches")?, "open", &[cache_name(store)]).await?;
    for text in add {
        let answer = Reflect::construct(&function(&js_sys::global(), "Response")?, &Array::new()).ok()?;
        call(&cache, "put", &[format!("{ADDRESS}{text}").into(), answer]).await?;
    }
    for text in strike {
        call(&cache, "delete", &[format!("{ADDRESS}{text}").into()]).await?;
    }
    Some(())
}

/// True if a store of this name was here and was not destroyed.
pub async fn knows(store: &str) -> bool {
    let texts = read(store).await.unwrap_or_default();
    !Testimony::new(texts).known().is_empty()
}

/// Says that the stores of this name are destroyed. Gives the texts to strike out once they are.
pub async fn destroying(store: &str) -> Vec<String> {
    let Some(texts) = read(store).await else { return Vec::new() };
    let (marks, old) = Testimony::new(texts).destroyed(js_sys::Date::now() as u64);
    let _ = write(store, &marks, &[]).await;
    old
}
