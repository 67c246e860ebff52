//! An estimate of the bytes that a merge of all runs would give back. It is made from the descriptions of runs and from
//! their indexes: no row is looked at.

use super::block::BlockCursor;
use super::fault::Attempt;
use super::index::decode_reference;
use super::run::RunDescription;
use super::tree::TreeView;
use super::vacuum::Retention;
use crate::types::row::{LAYER_BYTES, split_internal, split_row};
use crate::types::{LayerId, Lsn, Version};

/// Bytes as they are stored.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Footprint {
    pub total: u64,
    /// Bytes of versions that a newer one replaces, of tombstones and rows that they hide, and of layers that nobody
    /// names.
    pub reclaimable: u64,
}

impl TreeView<'_> {
    /// The bytes of the store, and those that `retention` lets go, of versions that are no newer than `up_to`.
    pub fn footprint(&self, retention: &Retention, up_to: Lsn) -> Attempt<Footprint> {
        let mut space = Footprint::default();
        let runs = || self.tree.runs().iter();
        let entry_bytes = |run: &RunDescription| run.bytes / run.entries.max(1);
        for run in runs() {
            let mut dead = self.dead_bytes(run, retention)?;
            if Lsn(run.newest) <= up_to {
                dead += run.packed(run.superseded);
                let (entries, bytes) = runs()
                    .filter(|other| other.id != run.id && other.oldest <= run.newest)
                    .fold((0, 0), |(entries, bytes), other| (entries + other.entries, bytes + other.bytes));
                let hidden = run.tombstones.min(entries);
                dead += run.tombstones * entry_bytes(run) + hidden * (bytes / entries.max(1));
            }
            space.total += run.bytes;
            space.reclaimable += dead;
        }
        self.add_logged(&mut space, up_to);
        space.reclaimable = space.reclaimable.min(space.total);
        Ok(space)
    }

    /// Adds the bytes of the log, unpacked, and of the rows in runs that the log's tombstones hide.
    fn add_logged(&self, space: &mut Footprint, up_to: Lsn) {
        let memtable = &self.tree.memtable;
        space.total += memtable.bytes() as u64;
        space.reclaimable += memtable.superseded() as u64;
        let mut tombstones = 0;
        for entry in memtable.iter() {
            if Version::hides_own_layer(entry.encoded()) && split_internal(entry.internal()).1 <= up_to {
                tombstones += 1;
                space.reclaimable += entry.bytes() as u64;
            }
        }
        let entries = self.tree.runs().iter().map(|run| run.entries).sum::<u64>();
        let bytes = self.tree.runs().iter().map(|run| run.bytes).sum::<u64>();
        space.reclaimable += u64::min(tombstones, entries) * (bytes / entries.max(1));
    }

    /// About how many bytes of a run are of layers that nobody names: its index says between which rows a block lies.
    fn dead_bytes(&self, run: &RunDescription, retention: &Retention) -> Attempt<u64> {
        let layer = |key: &[u8]| {
            // Keys in an index are as short as tells two blocks apart.
            let mut bytes = [0; LAYER_BYTES];
            let known = key.len().min(LAYER_BYTES);
            bytes[..known].copy_from_slice(&key[..known]);
            LayerId(u64::from_be_bytes(bytes))
        };
        let (first, last) = (split_row(&run.first).0, split_row(&run.last).0);
        if !retention.names_any(first, last) {
            return Ok(run.bytes);
        }
        let mut level = vec![run.root()];
        let (mut blocks, mut dead) = (0, 0);
        for height in (1..=run.height).rev() {
            let mut below = Vec::new();
            let mut from = first;
            for reference in level {
                let mut index = BlockCursor::seek(self.block(reference)?, &run.first)?;
                while let Some(key) = index.key() {
                    let to = layer(key).min(last);
                    if height == 1 {
                        blocks += 1;
                        dead += u64::from(!retention.names_any(from, to));
                    } else {
                        below.push(decode_reference(run.id, &index.value())?);
                    }
                    from = to;
                    index.advance()?;
                }
            }
            level = below;
        }
        Ok((run.bytes as f64 * dead as f64 / f64::from(blocks.max(1))) as u64)
    }
}
