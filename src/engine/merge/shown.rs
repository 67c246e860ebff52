//! A row as one path shows it.

use crate::engine::rows::path::Path;
use crate::engine::rows::read::{self, Placed};
use crate::lsm::{Attempt, TreeView};
use crate::query::{Counters, Since};
use crate::types::{Bytes, Lsn};

/// A row as a path shows it.
#[derive(Clone, Default, Debug)]
pub struct Shown {
    /// `None`: absent.
    pub value: Option<Bytes>,
    /// The LSN of the version, tombstone or not; `None`: no level has one.
    pub lsn: Option<Lsn>,
    /// True if the version is of the path's topmost layer.
    pub is_own: bool,
    /// The LSN of the version below the layer that was first replaced.
    pub base: Option<Lsn>,
    pub counters: Counters,
    pub expiry: Option<u64>,
}

impl Shown {
    pub fn bytes(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    /// The size of its value in bytes.
    pub fn bytes_held(&self) -> usize {
        self.value.as_ref().map_or(0, |value| value.len())
    }

    /// The point from which on an increment of this row counts.
    pub fn since(&self) -> Option<Since> {
        self.lsn.map(|lsn| if self.is_own { Since::At(lsn) } else { Since::Layer })
    }

    /// The base of a version that is written over this one.
    pub fn base_above(&self, has_below: bool) -> Option<Lsn> {
        match (has_below, self.is_own) {
            (false, _) => None,
            (true, true) => self.base,
            (true, false) => self.lsn.filter(|_| self.value.is_some()),
        }
    }
}

pub fn shown(view: TreeView<'_>, path: &Path, suffix: &[u8]) -> Attempt<Shown> {
    let Some(Placed { mut level, mut found }) = read::placed(view, path.levels(), suffix)? else {
        return Ok(Shown::default());
    };
    if level == 0
        && read::is_copy(view, path, suffix, &found)?
        && let Some(copied) = read::topmost(view, path.below(), suffix)?
    {
        (level, found) = (1, copied);
    }
    let is_own = level == 0;
    // Increments that a level below made are part of its value, and no difference from it.
    let counters =
        if is_own { Counters::decode(found.version.delta.as_ref(), Some(found.lsn))? } else { Counters::default() };
    Ok(Shown {
        value: found.version.here().cloned(),
        lsn: Some(found.lsn),
        is_own,
        base: found.base().filter(|_| is_own),
        counters,
        expiry: found.version.expiry,
    })
}
