//! The changes of one commit, as they stay in memory while the log holds the commit: all of them in one buffer.
//!
//! The memtable's entries and the commit's note both point into the buffer, so each row is in memory once, and no
//! change has an allocation of its own.
//!
//! ```text
//! buffer = changes
//! change = bytes of the row (varint), bytes of the version (varint), row, inverted LSN, version
//!                                                                         zeros until the commit has an LSN
//! ```
//! All changes of a buffer have one LSN, so a checkpoint moves all of them or none, and the memtable then forgets all
//! of them at once. No buffer stays in memory for a few of its changes.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ops::Range;
use std::rc::Rc;

use crate::types::row::LSN_BYTES;
use crate::types::{Bytes, Lsn, read_varint, varint_bytes, write_varint};

/// One put or delete: the row and its encoded version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change(pub Vec<u8>, pub Vec<u8>);

#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Changes(Rc<Vec<u8>>);

/// A change whose commit has an LSN, as an entry of the memtable. Entries have the order of their internal keys.
pub struct Entry {
    buffer: Rc<Vec<u8>>,
    /// Offsets in the buffer: the first byte of the internal key, the first byte of the version, and the version's end.
    key: u32,
    version: u32,
    end: u32,
}

impl Changes {
    /// Rows and their versions.
    pub fn of(changes: &[(&[u8], &[u8])]) -> Changes {
        let bytes = |part: &[u8]| varint_bytes(part.len() as u64) + part.len();
        let all = changes.iter().map(|(row, version)| bytes(row) + LSN_BYTES + bytes(version)).sum();
        let mut buffer = Vec::with_capacity(all);
        for (row, version) in changes {
            write_varint(&mut buffer, row.len() as u64);
            write_varint(&mut buffer, version.len() as u64);
            buffer.extend_from_slice(row);
            buffer.extend_from_slice(&[0; LSN_BYTES]);
            buffer.extend_from_slice(version);
        }
        Changes(buffer.into())
    }

    /// Writes the commit's LSN into all internal keys.
    pub fn date(&mut self, lsn: Lsn) {
        let buffer = Rc::make_mut(&mut self.0);
        let mut at = 0;
        while let Some((key, end)) = place(buffer, at) {
            buffer[key.end - LSN_BYTES..key.end].copy_from_slice(&(!lsn.0).to_be_bytes());
            at = end;
        }
    }

    /// The place of each internal key, and the end of the version behind it.
    fn places(&self) -> impl Iterator<Item = (Range<usize>, usize)> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let found = place(&self.0, at)?;
            at = found.1;
            Some(found)
        })
    }

    /// Rows and their versions, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.places().map(|(key, end)| (&self.0[key.start..key.end - LSN_BYTES], &self.0[key.end..end]))
    }

    pub fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.iter().map(|(row, _)| row)
    }

    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        self.places().map(|(key, end)| {
            let [key, version, end] = [key.start, key.end, end].map(|at| at as u32);
            Entry { buffer: self.0.clone(), key, version, end }
        })
    }
}

/// The place of the internal key of the change at `at`, and the end of its version. `None`: the buffer ends at `at`.
fn place(buffer: &[u8], mut at: usize) -> Option<(Range<usize>, usize)> {
    let row = read_varint(buffer, &mut at)? as usize;
    let version = read_varint(buffer, &mut at)? as usize;
    let key = at..at + row + LSN_BYTES;
    Some((key.clone(), key.end + version))
}

impl FromIterator<Change> for Changes {
    fn from_iter<I: IntoIterator<Item = Change>>(changes: I) -> Changes {
        let changes: Vec<Change> = changes.into_iter().collect();
        Changes::of(&changes.iter().map(|Change(row, version)| (&row[..], &version[..])).collect::<Vec<_>>())
    }
}

impl Entry {
    pub fn internal(&self) -> &[u8] {
        &self.buffer[self.key as usize..self.version as usize]
    }

    pub fn encoded(&self) -> &[u8] {
        &self.buffer[self.version as usize..self.end as usize]
    }

    /// The encoded version. Whoever keeps it keeps the whole commit in memory.
    pub fn version(&self) -> Bytes {
        Bytes::part(&self.buffer, self.version as usize..self.end as usize)
    }

    /// The bytes of the internal key and the version.
    pub fn bytes(&self) -> usize {
        (self.end - self.key) as usize
    }
}

impl Borrow<[u8]> for Entry {
    fn borrow(&self) -> &[u8] {
        self.internal()
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        self.internal().cmp(other.internal())
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.internal() == other.internal()
    }
}

impl Eq for Entry {}

#[cfg(test)]
impl Changes {
    /// One change of the commit at `lsn`.
    pub fn of_one(row: &[u8], lsn: Lsn, version: &[u8]) -> Changes {
        let mut changes = Changes::of(&[(row, version)]);
        changes.date(lsn);
        changes
    }

    /// True if anything else points into the buffer.
    pub fn is_shared(&self) -> bool {
        Rc::strong_count(&self.0) > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::row::internal;

    #[test]
    fn changes_of_any_length_come_back_and_have_the_lsn_of_their_commit() {
        let long = vec![7; 70_000];
        let given: [(&[u8], &[u8]); 4] = [(b"12345678a", b""), (b"12345678b", &long), (&long, b"x"), (b"", b"")];
        let mut changes = Changes::of(&given);
        assert_eq!(changes.0.len(), changes.0.capacity(), "no byte is reserved in vain");
        assert_eq!(changes.iter().collect::<Vec<_>>(), given);
        for lsn in [Lsn(5), Lsn(300)] {
            changes.date(lsn);
            assert_eq!(changes.iter().collect::<Vec<_>>(), given);
            for (entry, (row, version)) in changes.entries().zip(given) {
                assert_eq!((entry.internal(), entry.encoded()), (&internal(row, lsn)[..], version));
                assert_eq!(entry.version(), Bytes::from(version));
            }
        }
        assert!(Changes::default().entries().next().is_none());
    }
}
