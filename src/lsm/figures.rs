//! Figures that an index keeps of a block, so that a walk need not read the block.
//!
//! ```text
//! figures = newest LSN (varint), number of rows that are values (varint, of some data blocks)
//! ```
//! A walk that looks for what was written after some LSN passes each block whose newest version is not newer: of a data
//! block, and of an index block with all that is below it.
//!
//! A data block's values are counted if it holds all versions that the run has of each of its rows, and if the index's
//! key lies between its last row and the next block's first one. Then a read at the newest LSN or later sees so many
//! rows of the block, as long as no other run, and not the memtable, has a version of one of them. Where the number is
//! 0, all rows of the block are deleted.
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
    /// Rows whose newest version in the block is a value; `None`: they are not counted.
    pub values: Option<u64>,
}

impl Figures {
    pub fn decode(bytes: &[u8]) -> Result<Figures> {
        let mut at = 0;
        let newest = read_varint(bytes, &mut at).map(Lsn);
        let is_counted = at < bytes.len();
        let values = if is_counted { read_varint(bytes, &mut at) } else { None };
        match newest {
            Some(newest) if at == bytes.len() && values.is_some() == is_counted => Ok(Figures { newest, values }),
            _ => Err(Error::corrupt("the figures of a block cannot be read")),
        }
    }
}

/// Counts the versions of a data block as they are written.
#[derive(Default)]
pub struct Tally {
    values: u64,
    versions: u64,
    /// The block begins with older versions of a row that the block before it ends with.
    begins_within: bool,
}

impl Tally {
    pub fn add(&mut self, is_new_row: bool, is_tombstone: bool) {
        self.begins_within |= self.versions == 0 && !is_new_row;
        self.versions += 1;
        let is_value = !is_tombstone || planted::is(Bug::FiguresCountDeleted);
        self.values += u64::from(is_new_row && is_value);
    }

    /// Adds the count behind the newest LSN, where it may be told.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if !self.begins_within {
            write_varint(out, self.values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(versions: &[(bool, bool)]) -> Figures {
        let mut tally = Tally::default();
        versions.iter().for_each(|(is_new, is_tombstone)| tally.add(*is_new, *is_tombstone));
        let mut bytes = vec![9];
        tally.encode(&mut bytes);
        Figures::decode(&bytes).expect("they can be read")
    }

    #[test]
    fn a_row_counts_as_its_newest_version_says() {
        let deleted = [(true, true), (false, false)];
        assert_eq!(figures(&deleted), Figures { newest: Lsn(9), values: Some(0) });
        let again = [(true, false), (false, true), (true, false), (true, true)];
        assert_eq!(figures(&again), Figures { newest: Lsn(9), values: Some(2) });
    }

    #[test]
    fn a_block_that_begins_within_a_row_counts_none() {
        assert_eq!(figures(&[(false, false), (true, false)]), Figures { newest: Lsn(9), values: None });
    }

    #[test]
    fn figures_that_are_no_figures_are_damage() {
        for bytes in [&[][..], &[0x80], &[1, 2, 3], &[0x80, 1, 0x80]] {
            assert!(Figures::decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
