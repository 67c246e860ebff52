//! The versions of the log's commits, in memory and in order.

use std::cell::RefCell;
use std::collections::btree_map::Range;
use std::ops::Bound;

use super::dead::DeadRows;
use crate::types::row::{internal, split_internal};
use crate::types::{Bytes, Lsn, SortedBytes, Version};

/// Internal key to encoded version.
#[derive(Default)]
pub struct Memtable {
    versions: SortedBytes,
    bytes: usize,
    /// The rows of the memtable and the runs together that walks have found deleted. It is here so that no value comes
    /// into the memtable without cutting it.
    dead: RefCell<DeadRows>,
}

impl Memtable {
    pub fn insert(&mut self, row: &[u8], lsn: Lsn, version: Bytes) {
        if !Version::is_encoded_tombstone(&version) {
            self.dead.get_mut().cut(row);
        }
        let internal = internal(row, lsn);
        self.bytes += internal.len() + version.len();
        let replaced = self.versions.insert(internal, version);
        assert!(replaced.is_none(), "BUG: a row has one version at an LSN. lsn={lsn}");
    }

    pub fn remove(&mut self, row: &[u8], lsn: Lsn) {
        self.dead.get_mut().cut(row);
        let internal = internal(row, lsn);
        let version = self.versions.remove(&internal).expect("BUG: what was staged is there");
        self.bytes -= internal.len() + version.len();
    }

    /// Notes that at `at` and later no row of a span is a value, neither in the memtable nor in the runs.
    pub fn note_dead(&self, from: &[u8], before: &[u8], at: Lsn) {
        self.dead.borrow_mut().note(from.to_vec(), before.to_vec(), at);
    }

    /// The span of deleted rows around a row, or before it where a walk goes backward.
    pub fn dead_around(&self, row: &[u8], at: Lsn, reverse: bool) -> Option<(Vec<u8>, Vec<u8>)> {
        let dead = self.dead.borrow();
        dead.around(row, at, reverse).map(|(from, before)| (from.to_vec(), before.to_vec()))
    }

    /// For a run that comes with a commit and holds versions of rows from `first` to `last`.
    pub fn cut_dead(&mut self, first: &[u8], last: &[u8]) {
        self.dead.get_mut().cut_all(first, last);
    }

    /// For a change of the runs, which may bring values back.
    pub fn forget_dead(&mut self) {
        self.dead.get_mut().clear();
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
