//! In which rows two paths differ.
//!
//! It does not know: catalog, door, op, witness, copy, transact, clones, merge, transfer, upkeep, store.

pub mod candidates;
pub mod diff;
