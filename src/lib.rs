//! Offshoot: a database for browsers and the edge.

pub mod engine;
pub mod error;
#[cfg(target_arch = "wasm32")]
pub mod js;
pub mod lsm;
pub mod platform;
pub mod query;
pub mod storage;
pub mod types;
