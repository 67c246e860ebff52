//! A database as a stream of bytes, and back: see `format.rs`.
//!
//! An export is one snapshot, read a page at a time. An import writes its rows ahead as they come and is one commit at
//! the end, so an import that is cut off, damaged or refused changes nothing.
//!
//! It does not know: witness, compare, copy, transact, clones, merge, upkeep, store.

mod export;
mod format;
mod import;
mod reader;
mod row;
mod salvage;

pub use export::{Export, ExportOptions};
pub use import::{ImportOptions, ImportProgress, Imported, Source, import};

use crate::error::Result;
use reader::FrameReader;

/// How many rows an export has. Fails where an import of it would fail before it looks at the database.
pub fn rows_of(export: &[u8]) -> Result<u64> {
    let mut reader = FrameReader::new();
    reader.push(export);
    while reader.next()?.is_some() {}
    reader.finish()?;
    Ok(reader.documents + reader.entries)
}
