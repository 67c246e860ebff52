//! Figures that an index keeps of a data block, so that a walk need not read the block.
//!
//! ```text
//! figures = newest LSN (varint), number of rows that are values (varint); nothing, where the block has no figures
//! ```
//! A block has figures if it holds all versions that the run has of each of its rows, and if the index's key lies
//! between its last row and the next block's first one. Then a read at the newest LSN or later sees so many rows of the
//! block, as long as no other run, and not the memtable, has a version of one of them. Where the number is 0, all rows
//! of the block are deleted.
//!
//! ```text
//! a block   b@9 tombstone, b@4 value, c@7 value    newest 9, values 1: at LSN 9 the read sees c
//!                                                  at LSN 8 it sees b too, so the figures say nothing of that
//! ```

use crate::error::{Error, Result};
use crate::planted::{self, Bug};
use crate::types::{Lsn, read_varint, write_varint};

/// The figures of one block. A block never changes, and its figures do not either.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Figures {
    pub newest: Lsn,
    /// Rows whose newest version in the block is a value.
    pub values: u64,
}

impl Figures {
    pub fn decode(bytes: &[u8]) -> Result<Option<Figures>> {
        let mut at = 0;
        let figures = match (read_varint(bytes, &mut at), read_varint(bytes, &mut at)) {
            (Some(newest), Some(values)) => Some(Figures { newest: Lsn(newest), values }),
            _ => None,
        };
        if figures.is_none() && !bytes.is_empty() || at < bytes.len() {
            return Err(Error::corrupt("the figures of a block cannot be read"));
        }
        Ok(figures)
    }
}

/// Counts the versions of a block as they are written.
#[derive(Default)]
pub struct Tally {
    newest: Lsn,
    values: u64,
    versions: u64,
    /// The block begins with older versions of a row that the block before it ends with.
    begins_within: bool,
}

impl Tally {
    pub fn add(&mut self, is_new_row: bool, lsn: Lsn, is_tombstone: bool) {
        self.begins_within |= self.versions == 0 && !is_new_row;
        self.versions += 1;
        self.newest = self.newest.max(lsn);
        let is_value = !is_tombstone || planted::is(Bug::FiguresCountDeleted);
        self.values += u64::from(is_new_row && is_value);
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        if !self.begins_within {
            write_varint(out, self.newest.0);
            write_varint(out, self.values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(versions: &[(bool, u64, bool)]) -> Option<Figures> {
        let mut tally = Tally::default();
        versions.iter().for_each(|(is_new, lsn, is_tombstone)| tally.add(*is_new, Lsn(*lsn), *is_tombstone));
        let mut bytes = Vec::new();
        tally.encode(&mut bytes);
        Figures::decode(&bytes).expect("they can be read")
    }

    #[test]
    fn a_row_counts_as_its_newest_version_says() {
        let deleted = [(true, 9, true), (false, 4, false)];
        assert_eq!(figures(&deleted), Some(Figures { newest: Lsn(9), values: 0 }));
        let again = [(true, 9, false), (false, 4, true), (true, 300, false), (true, 2, true)];
        assert_eq!(figures(&again), Some(Figures { newest: Lsn(300), values: 2 }));
    }

    #[test]
    fn a_block_that_begins_within_a_row_has_none() {
        assert_eq!(figures(&[(false, 9, false), (true, 4, false)]), None);
    }

    #[test]
    fn figures_that_are_no_figures_are_damage() {
        for bytes in [&[1][..], &[1, 2, 3], &[0x80, 1]] {
            assert!(Figures::decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
