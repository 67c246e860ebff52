//! Reading is synchronous over what is in memory; what is not there is named, fetched, and the reading done again.

use crate::error::Error;

/// A block's place: its run, and its number in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlockAddress {
    pub run: u64,
    pub number: u32,
}

/// Where a block stands and what it must hold: kept by the block above it, or by the manifest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockReference {
    pub address: BlockAddress,
    /// None: a piece of a value stored apart, whose reference holds the checksum of the whole value.
    pub checksum: Option<u64>,
}

/// Why a synchronous attempt ended.
#[derive(Debug)]
pub enum Fault {
    /// These blocks are needed first. The attempt has changed nothing and can be made again.
    Need(Vec<BlockReference>),
    Error(Error),
}

pub type Attempt<T> = Result<T, Fault>;

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Error(error)
    }
}

impl BlockAddress {
    /// The record's name: all blocks of a run are neighbours.
    pub fn name(self) -> String {
        format!("{:016x}-{:08x}", self.run, self.number)
    }
}
