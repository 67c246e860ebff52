//! The write door. Every row that a commit writes passes here, and so does every copy that a materialization makes:
//! nothing else can make what a commit is given (`Effects`), what a transaction has written (`Writes`), or a passed
//! copy (`Copy`).
//!
//! A row passes with its layer, with the version that is written, and with where the versions are that it replaces
//! (`Before`). These are read only by who needs them, so a writer that does not need them pays nothing. The commit's
//! LSN is known once the commit is staged (`engine/core/stage.rs`); a copy has the LSN of its link.
//!
//! The door is the place for an index, whose entries are the difference between old and new, and for unsent work. So
//! far only the story hangs there, which the simulator compares with what the store holds.
//!
//! It does not know: op, core, handle, witness, compare, copy, transact, clones, merge, transfer, upkeep, store.

mod effects;
#[cfg(feature = "planted")]
mod story;
#[cfg(not(feature = "planted"))]
#[path = "untold.rs"]
mod story;
mod writes;

pub use effects::{Copy, Effects, Parts};
pub use story::Story;
#[cfg(feature = "planted")]
pub use story::{Told, ToldRow, take_told};
pub use writes::{Replaced, Writes};

use crate::engine::rows::path::Path;
use crate::types::{Bytes, LayerId, Version};

/// Where the versions are that a written row replaces.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "planted"), allow(dead_code, reason = "so far the story alone reads it"))]
pub enum Before<'a> {
    /// The row as this path shows it. If the path's topmost layer is not the one that is written, then that one is
    /// new, and the whole path lies below it.
    On(&'a Path),
    /// The layer is new, and the same commit leaves this value below it.
    Above(Option<&'a Bytes>),
    /// A row of the catalog, which has no levels.
    InCatalog,
}

/// A row at the door.
#[cfg_attr(not(feature = "planted"), allow(dead_code, reason = "so far the story alone reads it"))]
struct Passing<'a> {
    layer: LayerId,
    suffix: &'a [u8],
    before: Before<'a>,
    after: &'a Version,
}
