//! Which keys of a run a block covers, from the index above it.
//!
//! ```text
//! index:  …c → block 1    …m → block 2    …t → block 3      each entry has the last key of its block
//! block 2 covers what lies behind …c, up to …m
//! ```
//! So the last key of one entry is the lower bound of the next block; the first block begins with the run itself.

use super::block::BlockCursor;
use super::fault::{Attempt, BlockAddress, BlockReference};
use super::index::decode_reference;
use super::run::RunDescription;
use super::tree::TreeView;
use crate::types::row::LSN_BYTES;

/// Internal keys, both bounds included. Either may be cut short.
pub struct Covered {
    pub from: Vec<u8>,
    pub to: Vec<u8>,
}

/// `None`: no index names the block, as it is with pieces of values stored apart, and with blocks below an index that
/// cannot be read.
pub fn covered(view: TreeView<'_>, run: &RunDescription, address: BlockAddress) -> Attempt<Option<Covered>> {
    let last = [&run.last[..], &[0xff; LSN_BYTES]].concat();
    let mut open: Vec<(BlockReference, u8, Covered)> =
        vec![(run.root(), run.height, Covered { from: run.first.clone(), to: last })];
    while let Some((reference, height, of_block)) = open.pop() {
        if reference.address == address {
            return Ok(Some(of_block));
        }
        if height == 0 {
            continue;
        }
        let mut index = BlockCursor::seek(view.block(reference)?, &run.first)?;
        let mut from = of_block.from;
        while let Some(last) = index.key() {
            let below = decode_reference(run.id, &index.value())?;
            open.push((below, height - 1, Covered { from, to: last.to_vec() }));
            from = last.to_vec();
            index.advance()?;
        }
    }
    Ok(None)
}
