//! Reading is synchronous over the blocks in memory; a block that is not there is named, fetched, and the reading done
//! again.

use crate::error::Error;

/// A block's place: its run, and its number in it, which says the segment that it is stored in and where in that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlockAddress {
    pub run: u64,
    pub number: u32,
}

/// So many bits of a block's number count the blocks of its segment.
const INDEX_BITS: u32 = 8;

/// Where a block stands and what it must hold: kept by the block above it, or by the manifest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockReference {
    pub address: BlockAddress,
    /// None: a piece of a value stored apart, whose reference holds the checksum of the whole value.
    pub checksum: Option<u64>,
}

/// Something that a synchronous attempt found missing in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    Block(BlockReference),
}

/// Why a synchronous attempt ended.
#[derive(Debug)]
pub enum Fault {
    /// All of this is needed first. The attempt has changed nothing and can be made again.
    Need(Vec<Need>),
    /// The attempt has examined as much as one step may, and keeps what it has found. Others have their turn before it
    /// goes on. Only an attempt that keeps a position gives this.
    Pause,
    Error(Error),
}

pub type Attempt<T> = Result<T, Fault>;

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Error(error)
    }
}

impl Fault {
    /// Blocks are needed first.
    pub fn blocks(references: impl IntoIterator<Item = BlockReference>) -> Fault {
        Fault::Need(references.into_iter().map(Need::Block).collect())
    }
}

impl BlockReference {
    /// The error of a call that needs the block, which is lost.
    pub fn lost(self) -> Error {
        let name = self.address.name();
        Error::corrupt(format!("a block is gone. block={name}")).with_text("block", name)
    }
}

impl BlockAddress {
    pub fn new(run: u64, segment: u32, index: usize) -> BlockAddress {
        BlockAddress { run, number: segment << INDEX_BITS | index as u32 }
    }

    /// Another block of its segment.
    pub fn beside(self, index: usize) -> BlockAddress {
        BlockAddress::new(self.run, self.segment(), index)
    }

    /// The number of its segment in the run.
    pub fn segment(self) -> u32 {
        self.number >> INDEX_BITS
    }

    /// Which of its segment's blocks it is.
    pub fn index(self) -> usize {
        (self.number & ((1 << INDEX_BITS) - 1)) as usize
    }

    /// The name of its segment's record: all of a run are neighbours.
    pub fn name(self) -> String {
        format!("{:016x}-{:06x}", self.run, self.segment())
    }
}
