//! Making a clone a root of its own: what it reads below is copied into its layer, and its link is cut.
//!
//! It does not know: op, witness, compare, transact, clones, merge, transfer, upkeep, store.

pub mod copying;
pub mod materialize;
pub mod walk;
