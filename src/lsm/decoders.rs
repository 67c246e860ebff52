//! Every decoder of this layer that has no other door, for the tests that feed it bytes of any kind: none may panic, or
//! take more memory than its bytes are worth.

use super::block::{Block, BlockBuilder, BlockCursor, entries};
use super::fault::{BlockAddress, BlockReference};
use super::head_mark::HeadMark;
use super::index::{decode_figures, decode_reference};
use super::segment;
use crate::types::Bytes;

/// A block of a few rows, as it is stored.
pub fn sample_block() -> Vec<u8> {
    let mut builder = BlockBuilder::default();
    for row in 0..40u8 {
        builder.push(&[b'a', row / 8, row % 8], &[row; 9]);
    }
    builder.finish().0
}

/// Opens a block, and reads it from its beginning and from a key.
pub fn block(stored: &[u8]) {
    let reference = BlockReference { address: BlockAddress { run: 1, number: 2 }, checksum: None };
    let Ok(block) = Block::open(stored, reference) else { return };
    let _ = entries(&block);
    for key in [&b"a\x02\x04"[..], &[], &[0xff; 9]] {
        let Ok(mut cursor) = BlockCursor::seek(block.clone(), key) else { continue };
        while cursor.key().is_some() {
            let value = Bytes::from(&cursor.value()[..]);
            let _ = (decode_reference(1, &value), decode_figures(&value));
            if cursor.advance().is_err() {
                break;
            }
        }
    }
}

/// The blocks of a segment.
pub fn segment(stored: &[u8]) {
    for range in segment::blocks(stored) {
        assert!(range.end <= stored.len(), "BUG: a block lies in its segment");
    }
}

pub fn head_mark(stored: &[u8]) {
    let _ = HeadMark::decode(stored);
}
