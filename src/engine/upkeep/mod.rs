//! The work that nobody calls for, and when it runs: the log, runs, history, clones that are to go.

pub mod chores;
pub mod maintain;
pub mod reclaim;
