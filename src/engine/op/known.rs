//! The rows that a call over many keys has looked up so far. The call is made again after each fetch. It does not look
//! up a row in `Known` again, and the blocks that the row was read from can be let go.

use crate::engine::rows::read::Standing;
use crate::error::Result;
use crate::types::sort::places_in_order;
use crate::types::{Bytes, Lsn, Suffix};

/// Where a call reads: two are alike if nothing was written between them.
pub type ReadPoint = (Lsn, u64);

/// The rows of a call: first its keys, and of each what it found there.
#[derive(Default)]
pub struct Known {
    read_at: Option<ReadPoint>,
    /// The rows, as the call names them.
    pub suffixes: Vec<Suffix>,
    /// Their places in the order of their keys: neighbours lie in one block, which is then read once.
    order: Vec<u32>,
    /// So many of them, in that order, were looked at.
    looked_at: usize,
    /// For a call that reads.
    pub values: Vec<Option<Bytes>>,
    /// For a call that writes.
    pub standings: Vec<Standing>,
}

impl Known {
    /// Takes the keys of a call that is made for the first time, and forgets what was read where other rows may stand
    /// by now.
    pub fn begin(&mut self, point: ReadPoint, suffixes: &mut dyn Iterator<Item = Result<Suffix>>) -> Result<()> {
        if self.read_at.is_none() {
            self.suffixes = suffixes.collect::<Result<_>>()?;
            self.order = order_of(&self.suffixes);
        }
        if self.read_at.replace(point) != Some(point) {
            self.looked_at = 0;
        }
        Ok(())
    }

    /// The places of the rows that were not looked at, in the order of their keys.
    pub fn rest(&self) -> Vec<usize> {
        self.order[self.looked_at..].iter().map(|place| *place as usize).collect()
    }

    pub fn note_looked_at(&mut self) {
        self.looked_at += 1;
    }
}

/// The places of the rows in the order of their keys.
fn order_of(suffixes: &[Suffix]) -> Vec<u32> {
    places_in_order(suffixes.len(), &|one, other| suffixes[one].cmp(&suffixes[other]))
}
