//! Clones and what is told of them: one catalog row each.

pub mod clone;
pub mod dropping;
