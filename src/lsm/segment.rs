//! One stored record of a run: neighbouring blocks, as many as fit. Storage asks its price by the record, so blocks
//! share one; each keeps its own checksum and is unpacked by itself.
//!
//! ```text
//! segment = SEGMENT (1 byte), number of blocks less one (1 byte), size of each (u32, little endian), the blocks
//! ```

use std::ops::Range;

use crate::types::limits;

const SEGMENT: u8 = 1;
const HEAD_BYTES: usize = 2;
const SIZE_BYTES: usize = 4;
/// The most blocks of a segment that an address can count.
const MOST_BLOCKS: usize = 256;

/// Gathers blocks until no more fit.
#[derive(Default)]
pub struct SegmentBuilder {
    blocks: Vec<Vec<u8>>,
    bytes: usize,
}

impl SegmentBuilder {
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    pub fn has_room(&self, block: &[u8]) -> bool {
        let with_it = HEAD_BYTES + self.bytes + SIZE_BYTES + block.len();
        self.blocks.len() < MOST_BLOCKS && with_it <= limits::RECORD_BYTES
    }

    pub fn push(&mut self, block: Vec<u8>) {
        self.bytes += SIZE_BYTES + block.len();
        self.blocks.push(block);
    }

    pub fn finish(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.bytes);
        bytes.extend_from_slice(&[SEGMENT, (self.blocks.len() - 1) as u8]);
        for block in &self.blocks {
            bytes.extend_from_slice(&(block.len() as u32).to_le_bytes());
        }
        self.blocks.iter().for_each(|block| bytes.extend_from_slice(block));
        bytes
    }
}

/// The range of each block in a stored segment. A segment that cannot be read has no blocks: whoever needs one finds it
/// damaged.
pub fn blocks(segment: &[u8]) -> Vec<Range<usize>> {
    let read = || {
        let count = usize::from(*segment.get(1).filter(|_| segment[0] == SEGMENT)?) + 1;
        let mut start = HEAD_BYTES + count * SIZE_BYTES;
        let mut ranges = Vec::with_capacity(count);
        for index in 0..count {
            let at = HEAD_BYTES + index * SIZE_BYTES;
            let size = u32::from_le_bytes(segment.get(at..at + SIZE_BYTES)?.try_into().ok()?) as usize;
            let end = start.checked_add(size).filter(|end| *end <= segment.len())?;
            ranges.push(start..end);
            start = end;
        }
        Some(ranges)
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn blocks_come_back_in_their_order(
            blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..20),
        ) {
            let mut builder = SegmentBuilder::default();
            blocks.iter().for_each(|block| builder.push(block.clone()));
            let bytes = builder.finish();
            let found: Vec<_> = super::blocks(&bytes).into_iter().map(|range| bytes[range].to_vec()).collect();
            prop_assert_eq!(found, blocks);
        }

        #[test]
        fn any_bytes_are_blocks_or_none(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            blocks(&bytes).into_iter().for_each(|range| drop(bytes[range].to_vec()));
        }
    }

    #[test]
    fn a_segment_is_full_before_it_is_too_large_to_be_stored() {
        let mut builder = SegmentBuilder::default();
        while builder.has_room(&[7; 10_000]) {
            builder.push(vec![7; 10_000]);
        }
        assert_eq!(builder.len(), 5);
        assert!(builder.finish().len() <= limits::RECORD_BYTES);
    }
}
