//! How much history a store keeps: a setting of its own.

use std::rc::Rc;

use crate::engine::catalog;
use crate::engine::core::Core;
use crate::engine::core::job::Present;
use crate::engine::door::Effects;
use crate::error::Result;

/// How far back `at()` reaches, beyond what clones pin, unless the store says otherwise.
pub const RETAIN: u64 = 60 * 60 * 1000;
pub const RETAIN_SETTING: &str = "retain";

pub async fn set_retain(core: &Rc<Core>, retain: u64) -> Result<()> {
    let set = move |present: &Present<'_>| {
        let now: u64 = catalog::setting(present.view, RETAIN_SETTING, present.at)?.unwrap_or(RETAIN);
        if now == retain {
            return Ok(((), Effects::default()));
        }
        let version = catalog::encode_setting(retain);
        Ok(((), Effects::of_catalog(catalog::setting_row(RETAIN_SETTING), &version)))
    };
    core.commit(core.durability, set).await.map(drop)
}

pub async fn retain(core: &Rc<Core>) -> Result<u64> {
    let retain = core.read(|state, view| catalog::setting(view, RETAIN_SETTING, state.head)).await?;
    Ok(retain.unwrap_or(RETAIN))
}
