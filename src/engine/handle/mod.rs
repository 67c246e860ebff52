//! A database as it was: snapshots, and which LSN a time names.

pub mod history;
pub mod snapshot;
