//! Which data blocks of a run a range touches, as its index blocks tell.

use std::collections::VecDeque;

use super::block::BlockCursor;
use super::fault::{Attempt, BlockReference};
use super::figures::Figures;
use super::index::{decode_figures, decode_reference};
use super::range::RowRange;
use super::run::RunDescription;
use super::tree::TreeView;

/// A data block as its index names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    pub reference: BlockReference,
    /// All keys of the block are greater; `None`: the listing does not say where the block begins.
    pub after: Option<Vec<u8>>,
    /// No key of the block is greater. It is as short as separates the block from the next one.
    pub last: Vec<u8>,
    pub figures: Option<Figures>,
}

/// Some of the data blocks of a run that a range touches, in order, and where the listing goes on.
pub struct DataBlocks {
    pub blocks: Vec<Listed>,
    /// The range that is left, if there is more.
    pub rest: Option<RowRange>,
}

/// The data blocks of a run that the range touches, found in its index blocks: at most so many, the first ones, or the
/// last ones where the walk goes backward.
pub fn data_blocks(
    view: TreeView<'_>,
    run: &RunDescription,
    range: &RowRange,
    limit: usize,
    reverse: bool,
) -> Attempt<DataBlocks> {
    let from = (&range.from).max(&run.first);
    let root = Listed { reference: run.root(), after: None, last: Vec::new(), figures: None };
    let mut level = vec![root];
    let mut rest = None;
    for height in (0..run.height).rev() {
        let mut below: VecDeque<Listed> = VecDeque::new();
        let mut after: Option<Vec<u8>> = None;
        'level: for Listed { reference, .. } in level {
            let mut index = BlockCursor::seek(view.block(reference)?, from)?;
            while let Some(last) = index.key() {
                if below.len() == limit {
                    // What is left out is named by its neighbour: a block is found by its last key.
                    if !reverse {
                        let from = [&below.back().expect("BUG: it is full").last[..], &[0]].concat();
                        rest = Some(RowRange { from, before: range.before.clone() });
                        break 'level;
                    }
                    let before = below.pop_front().expect("BUG: it is full").last;
                    rest = Some(RowRange { from: range.from.clone(), before });
                }
                let value = index.value();
                let figures = if height == 0 { decode_figures(&value)? } else { None };
                let reference = decode_reference(run.id, &value)?;
                let after = after.replace(last.to_vec());
                below.push_back(Listed { reference, after, last: last.to_vec(), figures });
                if last >= &range.before[..] {
                    break;
                }
                index.advance()?;
            }
        }
        level = below.into();
    }
    // Cut at a level above, the rest begins where the blocks that were found end.
    if let (Some(rest), false, Some(listed)) = (&mut rest, reverse, level.last()) {
        rest.from = [&listed.last[..], &[0]].concat();
    }
    Ok(DataBlocks { blocks: level, rest })
}
