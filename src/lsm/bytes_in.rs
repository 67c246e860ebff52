//! How many bytes the versions of a range take, told from what runs say of themselves and from their indexes.

use std::ops::Bound;

use super::block::BlockCursor;
use super::data_blocks::data_blocks;
use super::fault::Attempt;
use super::range::RowRange;
use super::run::RunDescription;
use super::tree::TreeView;
use crate::types::Lsn;

impl TreeView<'_> {
    /// About how many bytes the versions of a range take where they are stored: in the log exactly, in runs packed.
    pub fn bytes_in(&self, range: &RowRange) -> Attempt<u64> {
        let bounds = (Bound::Included(&range.from[..]), Bound::Excluded(&range.before[..]));
        let logged = self.tree.memtable.range(bounds).map(|(entry, ())| entry.bytes());
        let mut bytes = logged.sum::<usize>() as u64;
        for run in self.tree.runs().iter().filter(|run| run.overlaps(&range.from, &range.before)) {
            if run.first[..] >= range.from[..] && run.last[..] < range.before[..] {
                bytes += run.bytes;
            } else {
                bytes += run.packed(self.bytes_in_part(run, range)?);
            }
        }
        Ok(bytes)
    }

    /// The bytes of a run's entries in a range, unpacked: those of its first and last block are counted, the rest is
    /// estimated.
    fn bytes_in_part(&self, run: &RunDescription, range: &RowRange) -> Attempt<u64> {
        let blocks = data_blocks(*self, run, range, usize::MAX, (Lsn::ZERO, false))?.blocks;
        let last = blocks.len().saturating_sub(1);
        let mut bytes = run.unpacked / u64::from(run.blocks) * last.saturating_sub(1) as u64;
        for listed in blocks.iter().take(1).chain(blocks.iter().skip(last.max(1))) {
            let mut entries = BlockCursor::seek(self.block(listed.reference)?, &range.from)?;
            while let Some(key) = entries.key().filter(|key| **key < range.before[..]) {
                bytes += (key.len() + entries.value().len()) as u64;
                entries.advance()?;
            }
        }
        Ok(bytes)
    }
}
