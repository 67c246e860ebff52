//! In which rows two paths differ.

pub mod candidates;
pub mod diff;
