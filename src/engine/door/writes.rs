//! The rows that a transaction has written so far.

use super::story::{Story, Unsaid};
use super::{Before, Passing};
use crate::engine::rows::path::Path;
use crate::types::{SortedMap, Suffix, Version};

/// The rows that a transaction has written to the topmost layer of its path. Its own reads find them.
#[derive(Debug)]
pub struct Writes {
    pub(super) path: Path,
    pub(super) rows: SortedMap<Suffix, Version>,
    pub(super) story: Story,
}

/// The row that a write has replaced in the same transaction. `Writes::take_back` wants it.
#[derive(Debug)]
pub struct Replaced {
    version: Option<Version>,
    unsaid: Unsaid,
}

impl Replaced {
    pub fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }
}

impl Writes {
    pub fn on(path: Path) -> Writes {
        Writes { path, rows: SortedMap::new(), story: Story::default() }
    }

    pub fn rows(&self) -> &SortedMap<Suffix, Version> {
        &self.rows
    }

    /// A row passes the door.
    pub fn put(&mut self, suffix: Suffix, version: Version) -> Replaced {
        let unsaid = match self.path.top() {
            Some(top) => {
                let (layer, before) = (top.layer, Before::On(&self.path));
                self.story.note(&Passing { layer, suffix: suffix.as_bytes(), before, after: &version })
            }
            None => Unsaid::default(),
        };
        Replaced { version: self.rows.insert(suffix, version), unsaid }
    }

    /// Takes the last write of a row back, and gives it.
    pub fn take_back(&mut self, suffix: &Suffix, replaced: Replaced) -> Option<Version> {
        let Replaced { version, unsaid } = replaced;
        self.story.unsay(unsaid);
        match version {
            Some(version) => self.rows.insert(suffix.clone(), version),
            None => self.rows.remove(suffix),
        }
    }
}
