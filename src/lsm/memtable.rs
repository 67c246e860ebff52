//! The versions of the log's commits, in memory and in order.

use std::cell::RefCell;
use std::ops::Bound;

use super::changes::{Changes, Entry};
use super::dead::DeadRows;
use crate::types::row::split_internal;
use crate::types::{Bytes, Lsn, SortedMap, SortedRange, Version};

#[derive(Default)]
pub struct Memtable {
    versions: SortedMap<Entry, ()>,
    bytes: usize,
    /// The rows of the memtable and the runs together that walks have found deleted. It is here so that no value comes
    /// into the memtable without cutting it.
    dead: RefCell<DeadRows>,
}

impl Memtable {
    /// Takes in the changes of a commit, which have its LSN.
    pub fn insert(&mut self, changes: &Changes) {
        for entry in changes.entries() {
            if !Version::is_encoded_tombstone(entry.encoded()) {
                self.dead.get_mut().cut(split_internal(entry.internal()).0);
            }
            self.bytes += entry.bytes();
            assert!(self.versions.insert(entry, ()).is_none(), "BUG: a row has one version at an LSN");
        }
    }

    /// Takes back changes that were inserted.
    pub fn remove(&mut self, changes: &Changes) {
        for entry in changes.entries() {
            self.dead.get_mut().cut(split_internal(entry.internal()).0);
            self.versions.remove(&entry).expect("BUG: what was staged is there");
            self.bytes -= entry.bytes();
        }
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
    pub fn get(&self, target: &[u8]) -> Option<(Lsn, Bytes)> {
        let (entry, ()) = self.range((Bound::Included(target), Bound::Unbounded)).next()?;
        let (found, lsn) = split_internal(entry.internal());
        (found == split_internal(target).0).then(|| (lsn, entry.version()))
    }

    /// Versions of the rows in `range`, by internal key.
    pub fn range(&self, range: (Bound<&[u8]>, Bound<&[u8]>)) -> SortedRange<'_, Entry, ()> {
        self.versions.range(range)
    }

    /// All versions, by internal key.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.versions.keys()
    }

    /// Bytes of versions that a newer one here replaces.
    pub fn superseded(&self) -> usize {
        let neighbours = self.iter().zip(self.iter().skip(1));
        let older =
            neighbours.filter(|(one, next)| split_internal(one.internal()).0 == split_internal(next.internal()).0);
        older.map(|(_, older)| older.bytes()).sum()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn len(&self) -> usize {
        self.versions.len()
    }

    /// Forgets what is not newer than `lsn`: it stands in a run now.
    pub fn forget_up_to(&mut self, lsn: Lsn) {
        self.versions.retain(|entry, _| split_internal(entry.internal()).1 > lsn);
        self.bytes = self.iter().map(Entry::bytes).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::row::internal;

    #[test]
    fn a_read_sees_the_newest_version_that_is_not_newer() {
        let mut memtable = Memtable::default();
        for lsn in [3, 5, 9] {
            memtable.insert(&Changes::of_one(b"12345678row", Lsn(lsn), &[lsn as u8]));
        }
        memtable.insert(&Changes::of_one(b"12345678row2", Lsn(4), &[0]));
        let at = |lsn| memtable.get(&internal(b"12345678row", Lsn(lsn))).map(|(lsn, _)| lsn.0);
        assert_eq!((at(2), at(3), at(4), at(8), at(100)), (None, Some(3), Some(3), Some(5), Some(9)));
    }

    /// A buffer is not kept for a row that a later commit writes again.
    #[test]
    fn the_buffer_of_a_commit_goes_once_the_memtable_forgets_the_commit() {
        let mut memtable = Memtable::default();
        let commits: Vec<Changes> =
            (1..=3).map(|n| Changes::of_one(b"12345678row", Lsn(n), &[n as u8; 1000])).collect();
        commits.iter().for_each(|changes| memtable.insert(changes));
        memtable.forget_up_to(Lsn(2));
        assert_eq!(commits.iter().map(Changes::is_shared).collect::<Vec<_>>(), [false, false, true]);
    }

    #[test]
    fn what_is_removed_leaves_no_bytes() {
        let mut memtable = Memtable::default();
        memtable.insert(&Changes::of_one(b"12345678a", Lsn(1), &[1, 2]));
        let second = Changes::of_one(b"12345678a", Lsn(2), &[3]);
        memtable.insert(&second);
        memtable.forget_up_to(Lsn(1));
        assert_eq!(memtable.len(), 1);
        memtable.remove(&second);
        assert!(!second.is_shared());
        assert_eq!((memtable.len(), memtable.bytes()), (0, 0));
    }
}
