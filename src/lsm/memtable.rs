//! The versions of the log's commits, in memory and in order.

use std::collections::btree_map::Range;
use std::ops::Bound;

use crate::types::row::{internal, split_internal};
use crate::types::{Bytes, Lsn, SortedBytes};

/// Internal key to encoded version.
#[derive(Default)]
pub struct Memtable {
    versions: SortedBytes,
    bytes: usize,
}

impl Memtable {
    pub fn insert(&mut self, row: &[u8], lsn: Lsn, version: Bytes) {
        let internal = internal(row, lsn);
        self.bytes += internal.len() + version.len();
        let replaced = self.versions.insert(internal, version);
        assert!(replaced.is_none(), "BUG: a row has one version at an LSN. lsn={lsn}");
    }

    pub fn remove(&mut self, row: &[u8], lsn: Lsn) {
        let internal = internal(row, lsn);
        let version = self.versions.remove(&internal).expect("BUG: what was staged is there");
        self.bytes -= internal.len() + version.len();
    }

    /// The newest version of a row that is not newer than an LSN: both make `target`.
    pub fn get(&self, target: &[u8]) -> Option<(Lsn, &Bytes)> {
        let (internal, version) = self.range((Bound::Included(target), Bound::Unbounded)).next()?;
        let (found, lsn) = split_internal(internal);
        (found == split_internal(target).0).then_some((lsn, version))
    }

    /// Versions of the rows in `range`, by internal key.
    pub fn range(&self, range: (Bound<&[u8]>, Bound<&[u8]>)) -> Range<'_, Vec<u8>, Bytes> {
        self.versions.range::<[u8], _>(range)
    }

    /// All versions, by internal key.
    pub fn iter(&self) -> impl Iterator<Item = (&Vec<u8>, &Bytes)> {
        self.versions.iter()
    }

    /// Bytes of versions that a newer one here replaces.
    pub fn superseded(&self) -> usize {
        let neighbours = self.versions.iter().zip(self.versions.iter().skip(1));
        let older = neighbours.filter(|((one, _), (next, _))| split_internal(one).0 == split_internal(next).0);
        older.map(|(_, (internal, version))| internal.len() + version.len()).sum()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn len(&self) -> usize {
        self.versions.len()
    }

    /// Forgets what is not newer than `lsn`: it stands in a run now.
    pub fn forget_up_to(&mut self, lsn: Lsn) {
        self.versions.retain(|internal, _| split_internal(internal).1 > lsn);
        self.bytes = self.versions.iter().map(|(internal, version)| internal.len() + version.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_sees_the_newest_version_that_is_not_newer() {
        let mut memtable = Memtable::default();
        for lsn in [3, 5, 9] {
            memtable.insert(b"12345678row", Lsn(lsn), vec![lsn as u8].into());
        }
        memtable.insert(b"12345678row2", Lsn(4), vec![0].into());
        let at = |lsn| memtable.get(&internal(b"12345678row", Lsn(lsn))).map(|(lsn, _)| lsn.0);
        assert_eq!((at(2), at(3), at(4), at(8), at(100)), (None, Some(3), Some(3), Some(5), Some(9)));
    }

    #[test]
    fn what_is_removed_leaves_no_bytes() {
        let mut memtable = Memtable::default();
        memtable.insert(b"12345678a", Lsn(1), vec![1, 2].into());
        memtable.insert(b"12345678a", Lsn(2), vec![3].into());
        memtable.forget_up_to(Lsn(1));
        assert_eq!(memtable.len(), 1);
        memtable.remove(b"12345678a", Lsn(2));
        assert_eq!((memtable.len(), memtable.bytes()), (0, 0));
    }
}
