//! Clones and what is told of them: one catalog row each.
//!
//! It does not know: op, witness, compare, transact, merge, transfer, upkeep, store.

pub mod clone;
pub mod dropping;
pub mod listing;
