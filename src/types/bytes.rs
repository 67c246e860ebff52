//! Shared, immutable bytes: a value handed out of a block keeps the block alive instead of being copied.

use std::fmt;
use std::ops::{Deref, Range};
use std::rc::Rc;

use super::sorted::SortedMap;

#[derive(Clone)]
pub struct Bytes {
    owner: Rc<Vec<u8>>,
    start: usize,
    end: usize,
}

/// Bytes under names, in the order of the names: one type for all that must be sorted, so that the code of a sorted map
/// is in the module once.
pub type SortedBytes = SortedMap<Vec<u8>, Bytes>;

impl Bytes {
    /// A part of what others hold, too.
    pub fn part(owner: &Rc<Vec<u8>>, range: Range<usize>) -> Bytes {
        assert!(range.start <= range.end && range.end <= owner.len(), "BUG: a part out of bounds");
        Bytes { owner: owner.clone(), start: range.start, end: range.end }
    }

    /// The part `range` of these bytes, sharing their memory.
    pub fn slice(&self, range: Range<usize>) -> Bytes {
        assert!(range.start <= range.end && range.end <= self.len(), "BUG: slice out of bounds");
        Bytes { owner: self.owner.clone(), start: self.start + range.start, end: self.start + range.end }
    }
}

impl Bytes {
    /// The same bytes, which keep no more than twice as many in memory.
    pub fn alone(self) -> Bytes {
        if self.owner.len() <= 2 * self.len() { self } else { Bytes::from(&self[..]) }
    }
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.owner[self.start..self.end]
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        let end = bytes.len();
        Bytes { owner: bytes.into(), start: 0, end }
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Bytes {
        bytes.to_vec().into()
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Bytes) -> bool {
        self[..] == other[..]
    }
}

impl Eq for Bytes {}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self[..], f)
    }
}
