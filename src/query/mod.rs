//! MongoDB's update language and three-way merging, on MessagePack bytes. Fields that an update does not name keep
//! their bytes exactly. A document here is a map of texts to values.
//!
//! It does not know: storage, platform, drive, lsm, engine, js.

mod counters;
mod edit;
mod merge;
mod names;
mod update;

pub use counters::{Counter, Counters, Since, add, subtract};
pub use edit::{Editor, Lookup, at_path, edit, field};
pub use merge::{Clash, Counts, Sides, is_same, merge};
pub use names::{Fields, Names, meets_any, twice};
pub use update::{Update, apply};

#[cfg(test)]
mod wide_tests;
