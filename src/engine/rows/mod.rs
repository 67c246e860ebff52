//! The rows that a snapshot sees: its path of levels, reading over it, and which rows were written between two LSNs.
//!
//! It does not know: door, op, core, handle, witness, compare, copy, transact, clones, merge, transfer, upkeep, store.

pub mod collections;
pub mod lacking;
pub mod path;
pub mod read;
pub mod written;
