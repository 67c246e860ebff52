//! A copy of the blocks that every opening reads first, in one record beside the manifest: each run's topmost block,
//! and the blocks on the way down to one row that the store's user names. An opening reads them with the manifest, and
//! need not ask twice more. The record is written when runs come or go.
//!
//! Nothing rests on the record. It may be missing, old or damaged: then the blocks are read where they are.

use std::rc::Rc;

use xxhash_rust::xxh64::xxh64;

use super::block::{Block, BlockCursor};
use super::cache::Kept;
use super::fault::{BlockAddress, BlockReference, Fault, Need};
use super::index::decode_reference;
use super::run::RunDescription;
use super::store::Lsm;
use super::tree::{Loaded, TreeView};
use crate::error::Result;
use crate::storage::Batch;
use crate::types::fields::Field;
use crate::types::row::push_lsn;
use crate::types::{Lsn, limits};

/// With room for the names of the blocks and for the checksum.
const ROOM: usize = limits::RECORD_BYTES - 2048;
const MOST_RUNS: usize = 32;
const CHECKSUM_BYTES: usize = 8;

impl Lsm {
    /// Writes it for the runs that are there now, where another commit has brought one.
    pub async fn write_hot(&self) -> Result<()> {
        let (place, manifest, runs) =
            self.with(|state| (state.manifest.hot_place(), state.manifest.place(), state.tree.runs().to_vec()));
        let Some(hot) = self.pack_hot(&runs).await else { return Ok(()) };
        let put = vec![(place.0, place.1, hot)];
        self.storage().write(Batch { put, present: vec![manifest], ..Batch::default() }).await.map(drop)
    }

    /// The record for these runs; `None` where there is no use for one, or a block cannot be read.
    pub(super) async fn pack_hot(&self, runs: &[Rc<RunDescription>]) -> Option<Vec<u8>> {
        // On a full disk its room is for what must be written.
        if !self.storage().is_lasting() || runs.is_empty() || self.reserve().is_short() {
            return None;
        }
        let (mut blocks, mut room) = (Vec::new(), ROOM);
        for run in runs.iter().rev().take(MOST_RUNS) {
            self.gather(run, &mut blocks, &mut room).await.ok()?;
        }
        let list = Field::list(&blocks, |(BlockAddress { run, number }, block)| {
            Field::List(vec![Field::Number(*run), Field::Number((*number).into()), Field::Bytes(block)])
        });
        let mut bytes = list.encode();
        bytes.extend_from_slice(&xxh64(&bytes, 0).to_be_bytes());
        Some(bytes)
    }

    /// A run's topmost block, and where it may hold the row that every opening reads, those that lead to it.
    async fn gather(
        &self,
        run: &RunDescription,
        blocks: &mut Vec<(BlockAddress, Vec<u8>)>,
        room: &mut usize,
    ) -> Result<()> {
        let mut target = self.hot_row().to_vec();
        push_lsn(&mut target, Lsn::MAX);
        let loaded = Loaded::default();
        let mut reference = run.root();
        for height in (0..=run.height).rev() {
            if self.with(|state| !state.tree.cache.has(reference.address)) {
                self.load(&[Need::Block(reference)], &loaded).await?;
            }
            let found = self.with(|state| TreeView::new(&state.tree, &loaded).block(reference));
            let block = match found {
                Ok(block) => block,
                Err(Fault::Need(_) | Fault::Pause) => return Ok(()),
                Err(Fault::Error(error)) => return Err(error),
            };
            let sealed = block.sealed();
            let Some(left) = room.checked_sub(sealed.len()) else { return Ok(()) };
            *room = left;
            blocks.push((reference.address, sealed));
            if height == 0 || !run.may_hold(self.hot_row()) {
                return Ok(());
            }
            let index = BlockCursor::seek(block, &target)?;
            if index.key().is_none() {
                return Ok(());
            }
            reference = decode_reference(run.id, &index.value())?;
        }
        Ok(())
    }

    /// Takes its blocks into the cache.
    pub(super) fn take_hot(&self, bytes: &[u8]) {
        let Some((body, checksum)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else { return };
        if xxh64(body, 0).to_be_bytes() != *checksum {
            return;
        }
        let blocks = Field::decode(body).and_then(|list| {
            list.lists(|mut block| {
                let address = BlockAddress { run: block.number()?, number: block.number()?.try_into().ok()? };
                Some((address, Block::open(block.bytes()?, BlockReference { address, checksum: None }).ok()?))
            })
        });
        self.with(|state| {
            for (address, block) in blocks.into_iter().flatten() {
                state.tree.cache.keep(address, Kept::Open(block));
            }
        });
    }
}
