//! Transactions that a caller's body runs in: conflicts, claims of those that lost, and running again.
//!
//! It does not know: door, witness, compare, copy, clones, merge, transfer, upkeep, store.

pub mod body;
pub mod claim;
pub mod conflict;
