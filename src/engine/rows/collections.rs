//! Collections: rows under the empty name.

use std::ops::ControlFlow;

use super::path::Path;
use super::read::{self, SuffixRange};
use crate::error::{Error, Result};
use crate::lsm::{Attempt, TreeView};
use crate::types::row::{prefix, prefix_end, split_name};
use crate::types::{CollectionName, Kind, Suffix};

/// A collection's name and kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CollectionInfo {
    pub name: String,
    pub kind: Kind,
}

/// The collections that a path shows.
pub fn collections(view: TreeView<'_>, path: &Path) -> Attempt<Vec<CollectionInfo>> {
    let range = SuffixRange { from: prefix("", Kind::Collection), before: prefix_end("", Kind::Collection) };
    let mut found = Vec::new();
    read::scan(view, path.levels(), None, &range, false, |row| {
        let unreadable = || Error::corrupt("a collection's name cannot be read");
        let name = split_name(row.suffix).ok_or_else(unreadable)?.to_string();
        let version = row.version()?;
        let kind = decode_collection(version.here().expect("BUG: a visible row has a value"))?;
        found.push(CollectionInfo { name, kind });
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// The row of a collection itself, under the empty name.
pub fn collection_row(collection: &CollectionName) -> Suffix {
    Suffix::named("", Kind::Collection, collection.as_str())
}

pub fn decode_collection(row: &[u8]) -> Result<Kind> {
    let kind = row.first().copied().and_then(Kind::from_byte);
    kind.ok_or_else(|| Error::corrupt("a collection's row cannot be read"))
}
