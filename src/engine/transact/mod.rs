//! Transactions that a caller's body runs in: conflicts, claims of those that lost, and running again.

pub mod body;
pub mod claim;
pub mod conflict;
