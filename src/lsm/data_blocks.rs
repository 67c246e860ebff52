//! Which data blocks of a run a range touches, as its index blocks tell.

use std::collections::VecDeque;

use super::block::BlockCursor;
use super::fault::{Attempt, BlockReference, Fault};
use super::figures::Figures;
use super::index::{decode_figures, decode_reference};
use super::range::RowRange;
use super::run::RunDescription;
use super::tree::TreeView;
use crate::types::Lsn;

/// So many index blocks are fetched at once where each of them is needed.
const AHEAD: usize = 16;

/// A data block as its index names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    pub reference: BlockReference,
    /// All keys of the block are greater; `None`: the listing does not say where the block begins.
    pub after: Option<Vec<u8>>,
    /// No key of the block is greater. It is as short as separates the block from the next one.
    pub last: Vec<u8>,
    pub figures: Figures,
}

/// Some of the data blocks of a run that a range touches, in order, and where the listing goes on.
pub struct DataBlocks {
    pub blocks: Vec<Listed>,
    /// The range that is left, if there is more.
    pub rest: Option<RowRange>,
}

/// The data blocks of a run that the range touches, found in its index blocks: at most so many, the first ones, or the
/// last ones where the walk goes backward. Those that hold nothing newer than `above` are left out.
pub fn data_blocks(
    view: TreeView<'_>,
    run: &RunDescription,
    range: &RowRange,
    limit: usize,
    (above, reverse): (Lsn, bool),
) -> Attempt<DataBlocks> {
    let from = (&range.from).max(&run.first);
    let figures = Figures { newest: Lsn(run.newest), values: None };
    let root = Listed { reference: run.root(), after: None, last: Vec::new(), figures };
    let mut level = vec![root];
    let mut rest = None;
    for _ in 0..run.height {
        let mut below: VecDeque<Listed> = VecDeque::new();
        let mut after: Option<Vec<u8>> = None;
        'level: for Listed { reference, .. } in &level {
            let block = match view.block(*reference) {
                // Each of them has something newer below it, so all are read.
                Err(Fault::Need(_)) if above > Lsn::ZERO => {
                    let references = level.iter().map(|listed| listed.reference);
                    let missing = references.filter(|reference| !view.has(reference.address));
                    return Err(Fault::blocks(missing.take(AHEAD)));
                }
                block => block?,
            };
            let mut index = BlockCursor::seek(block, from)?;
            while let Some(last) = index.key() {
                let value = index.value();
                let figures = decode_figures(&value)?;
                let is_last = last >= &range.before[..];
                let before = after.replace(last.to_vec());
                // All versions of a commit's own run are of that commit, whatever its blocks say.
                let is_passed = run.fixed.is_none() && figures.newest <= above;
                if !is_passed && below.len() == limit {
                    // A block is found by its last key, so such a key bounds the part of the range that is left out.
                    if !reverse {
                        let from = [&below.back().expect("BUG: it is full").last[..], &[0]].concat();
                        rest = Some(RowRange { from, before: range.before.clone() });
                        break 'level;
                    }
                    let before = below.pop_front().expect("BUG: it is full").last;
                    rest = Some(RowRange { from: range.from.clone(), before });
                }
                if !is_passed {
                    let reference = decode_reference(run.id, &value)?;
                    below.push_back(Listed { reference, after: before, last: last.to_vec(), figures });
                }
                if is_last {
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
