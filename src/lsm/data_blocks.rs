//! Which data blocks of a run a range touches, as its index blocks tell.

use std::collections::VecDeque;

use super::block::BlockCursor;
use super::fault::{Attempt, BlockReference};
use super::index::decode_reference;
use super::range::RowRange;
use super::run::RunDescription;
use super::tree::TreeView;

/// Some of the data blocks of a run that a range touches, in order, and where the listing goes on.
pub struct DataBlocks {
    pub references: Vec<BlockReference>,
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
    let mut level = vec![(Vec::new(), run.root())];
    let mut rest = None;
    for _ in 0..run.height {
        let mut below: VecDeque<(Vec<u8>, BlockReference)> = VecDeque::new();
        'level: for (_, reference) in level {
            let mut index = BlockCursor::seek(view.block(reference)?, from)?;
            while let Some(last) = index.key() {
                if below.len() == limit {
                    // What is left out is named by its neighbour: a block is found by its last key.
                    if !reverse {
                        let from = [&below.back().expect("BUG: it is full").0[..], &[0]].concat();
                        rest = Some(RowRange { from, before: range.before.clone() });
                        break 'level;
                    }
                    let (before, _) = below.pop_front().expect("BUG: it is full");
                    rest = Some(RowRange { from: range.from.clone(), before });
                }
                below.push_back((last.to_vec(), decode_reference(run.id, &index.value())?));
                if last >= &range.before[..] {
                    break;
                }
                index.advance()?;
            }
        }
        level = below.into();
    }
    // Cut at a level above, the rest begins where the blocks that were found end.
    if let (Some(rest), false, Some((last, _))) = (&mut rest, reverse, level.last()) {
        rest.from = [&last[..], &[0]].concat();
    }
    Ok(DataBlocks { references: level.into_iter().map(|(_, reference)| reference).collect(), rest })
}
