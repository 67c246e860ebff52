//! All versions of a store as a reader finds them: the memtable over the runs. Everything here is synchronous.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use xxhash_rust::xxh64::xxh64;

use super::block::{Block, BlockCursor};
use super::cache::{BlockCache, Kept};
use super::fault::{Attempt, BlockAddress, BlockReference, Fault, Need};
use super::index::decode_reference;
use super::lone::{LayerBytes, LoneBlocks};
use super::memtable::Memtable;
use super::run::{RunDescription, pieces};
use crate::error::{Error, Result};
use crate::planted::{self, Bug};
use crate::types::row::{LAYER_BYTES, internal, is_collection, split_internal};
use crate::types::{Base, Bytes, Lsn, Overflow, SortedMap, Version};

/// Blocks that one call has fetched: they stay until it ends, however small the cache is, so that it always gets on.
#[derive(Default)]
pub struct Loaded {
    blocks: RefCell<SortedMap<BlockAddress, Kept>>,
    around: Option<Rc<GivenUp>>,
    bytes: Cell<usize>,
    /// The call takes its rows in portions: once this is full, it makes do with the rows that it has.
    has_portions: Cell<bool>,
    /// For a call that looks up many rows in their order: the block of each run that its last lookup came to.
    near: RefCell<Option<Vec<Near>>>,
}

/// A block of a run, in which all keys up to `last` are looked up that are not less than the last one that was.
struct Near {
    run: u64,
    from: Vec<u8>,
    last: Vec<u8>,
    reference: BlockReference,
    /// At the first entry that is not less than `from`, once the block was there.
    cursor: Option<BlockCursor>,
}

/// The most runs of which the block of the last lookup is kept.
const NEAR: usize = 16;

/// How much is held at a time by a call that takes portions, beside one row of any size.
pub const PORTION_BYTES: usize = 4 * 1024 * 1024;
/// How many records are read at first, while nobody knows how large they are.
const FIRST_SEGMENTS: usize = 16;

/// Blocks that cannot be read, for a reader that goes around them: they read as if they were empty. In order.
#[derive(Default)]
pub struct GivenUp(RefCell<Vec<BlockAddress>>);

impl GivenUp {
    pub fn insert(&self, address: BlockAddress) {
        let mut addresses = self.0.borrow_mut();
        if let Err(place) = addresses.binary_search(&address) {
            addresses.insert(place, address);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    pub fn addresses(&self) -> Vec<BlockAddress> {
        self.0.borrow().clone()
    }
}

impl Loaded {
    /// For a reader that goes around blocks that cannot be read.
    pub fn around(given_up: Rc<GivenUp>) -> Loaded {
        Loaded { around: Some(given_up), ..Loaded::default() }
    }

    /// True if the reader goes around blocks that cannot be read.
    pub fn goes_around(&self) -> bool {
        self.around.is_some()
    }

    fn is_given_up(&self, address: BlockAddress) -> bool {
        self.around.as_ref().is_some_and(|given_up| given_up.0.borrow().binary_search(&address).is_ok())
    }

    /// False: this reader does not go around damage.
    fn give_up(&self, address: BlockAddress) -> bool {
        self.around.as_ref().map(|given_up| given_up.insert(address)).is_some()
    }

    /// Lets go of all that was fetched: the next step of the work needs other blocks.
    pub fn let_go(&self) {
        self.blocks.borrow_mut().clear();
        self.bytes.set(0);
    }

    /// From here on the call takes portions.
    pub fn in_portions(&self) {
        self.has_portions.set(true);
    }

    /// From here on the call looks up rows in their order, so that the next one is often in the same block.
    pub fn in_order(&self) {
        self.near.borrow_mut().get_or_insert_default();
    }

    fn note_near(&self, run: u64, from: &[u8], last: &[u8], reference: BlockReference) {
        if let Some(near) = &mut *self.near.borrow_mut() {
            // A call on a clone looks up each row in several layers, and their rows may lie in one run.
            let is_other = |near: &Near| near.run != run || near.from[..LAYER_BYTES] != from[..LAYER_BYTES];
            near.retain(is_other);
            near.truncate(NEAR - 1);
            near.push(Near { run, from: from.to_vec(), last: last.to_vec(), reference, cursor: None });
        }
    }

    pub fn bytes(&self) -> usize {
        self.bytes.get()
    }

    pub fn is_full(&self) -> bool {
        self.has_portions.get() && self.bytes.get() >= PORTION_BYTES
    }

    /// How many of the stored records are to be read next that this call needs.
    pub(super) fn most_segments(&self) -> usize {
        let (count, bytes) = (self.blocks.borrow().len(), self.bytes.get());
        match self.has_portions.get() {
            false => usize::MAX,
            true if count == 0 => FIRST_SEGMENTS,
            true => (count * PORTION_BYTES / bytes.max(1)).clamp(1, 4 * FIRST_SEGMENTS),
        }
    }

    pub fn keep(&self, address: BlockAddress, kept: Kept) {
        self.bytes.set(self.bytes.get() + kept.size());
        self.blocks.borrow_mut().insert(address, kept);
    }

    fn has(&self, address: BlockAddress) -> bool {
        self.blocks.borrow().contains_key(&address) || self.is_given_up(address)
    }

    /// True if all of these blocks were fetched: a call that asks for them again goes round in circles.
    pub fn has_all(&self, needed: &[Need]) -> bool {
        needed.iter().all(|Need::Block(reference)| self.has(reference.address))
    }

    fn get(&self, reference: BlockReference) -> Result<Option<Rc<Block>>> {
        let mut blocks = self.blocks.borrow_mut();
        let Some(kept) = blocks.get_mut(&reference.address) else { return Ok(None) };
        let packed = kept.size();
        let block = kept.open(reference)?;
        self.bytes.set((self.bytes.get() + kept.size()).saturating_sub(packed));
        Ok(Some(block))
    }
}

/// A version as it was found.
#[derive(Clone, Debug)]
pub struct Found {
    pub lsn: Lsn,
    pub version: Version,
}

impl Found {
    /// The LSN of the version that was first replaced, if any was.
    pub fn base(&self) -> Option<Lsn> {
        self.version.base.map(|base| match base {
            Base::At(lsn) => lsn,
            Base::OwnCommit => self.lsn,
        })
    }

    /// The value of a version that was found whole and is no tombstone.
    pub fn value(&self) -> &Bytes {
        self.version.here().expect("BUG: a visible row was read whole")
    }
}

/// The versions of a store: those of the log in the memtable, all others in runs.
pub struct Tree {
    pub memtable: Memtable,
    /// The last commit that is complete; the versions above it are being written.
    pub head: Lsn,
    /// Newest first, by their newest LSN. Each change to the list forgets which rows are noted as deleted.
    runs: Vec<Rc<RunDescription>>,
    pub cache: BlockCache,
    pub(super) lone: LoneBlocks,
    /// Blocks that a repair has given up: the rows of collections in them are gone.
    pub(super) given_up: Vec<BlockAddress>,
    /// How often versions came or went: what was read between two equal counts still stands.
    pub changes: u64,
    /// How many versions and spans reads have examined. A long call asks for it, and ends its step in time.
    examined: Cell<u64>,
}

/// A reader's hold on the tree: the blocks that it needs are in the cache, or were loaded for it.
#[derive(Clone, Copy)]
pub struct TreeView<'a> {
    pub tree: &'a Tree,
    pub loaded: &'a Loaded,
    /// The reader looks for the rows of collections alone: what a repair has given up reads as empty.
    is_of_collections: bool,
}

impl Tree {
    pub fn new(cache_bytes: usize) -> Tree {
        let (memtable, lone) = (Memtable::default(), LoneBlocks::default());
        Tree {
            memtable,
            head: Lsn::ZERO,
            runs: Vec::new(),
            cache: BlockCache::new(cache_bytes),
            lone,
            given_up: Vec::new(),
            changes: 0,
            examined: Cell::new(0),
        }
    }

    pub fn runs(&self) -> &[Rc<RunDescription>] {
        &self.runs
    }

    /// `has_same_rows`: these runs and the log hold the same visible rows as before.
    pub fn set_runs(&mut self, runs: impl Iterator<Item = Rc<RunDescription>>, has_same_rows: bool) {
        if !has_same_rows {
            self.memtable.forget_dead();
        }
        self.runs.clear();
        runs.for_each(|run| self.insert_run(run));
    }

    pub fn drop_runs(&mut self, is_dropped: impl Fn(&RunDescription) -> bool) {
        self.memtable.forget_dead();
        self.runs.retain(|run| !is_dropped(run));
    }

    pub fn add_run(&mut self, run: Rc<RunDescription>) {
        self.memtable.cut_dead(&run.first, &run.last);
        self.insert_run(run);
    }

    fn insert_run(&mut self, run: Rc<RunDescription>) {
        let at = self.runs.partition_point(|other| other.newest >= run.newest);
        self.runs.insert(at, run);
    }
}

impl Tree {
    /// Counts one version, span or row that a read has examined.
    pub fn examine(&self) {
        self.examined.set(self.examined.get() + 1);
    }

    pub fn examined(&self) -> u64 {
        self.examined.get()
    }
}

impl<'a> TreeView<'a> {
    pub fn new(tree: &'a Tree, loaded: &'a Loaded) -> TreeView<'a> {
        TreeView { tree, loaded, is_of_collections: false }
    }

    /// The same view, for a reader of the rows from one to the other alone.
    pub(super) fn over(self, from: &[u8], to: &[u8]) -> TreeView<'a> {
        let is_of_collections = is_collection(from) && is_collection(to) && from[..LAYER_BYTES] == to[..LAYER_BYTES];
        TreeView { is_of_collections, ..self }
    }

    pub fn block(&self, reference: BlockReference) -> Attempt<Rc<Block>> {
        if self.loaded.is_given_up(reference.address) {
            return Ok(Block::empty());
        }
        if self.tree.given_up.contains(&reference.address) {
            // Other rows than those of collections are lost, and that is told.
            let is_empty = self.is_of_collections || self.loaded.give_up(reference.address);
            return if is_empty { Ok(Block::empty()) } else { Err(reference.lost().into()) };
        }
        let found = match self.loaded.get(reference) {
            Ok(Some(block)) => {
                self.tree.cache.note_hit();
                self.tree.cache.keep(reference.address, Kept::Open(block.clone()));
                return Ok(block);
            }
            Ok(None) => self.tree.cache.get(reference),
            Err(error) => Err(error),
        };
        match found {
            Ok(block) => block.ok_or_else(|| Fault::blocks([reference])),
            Err(_) if self.loaded.give_up(reference.address) => Ok(Block::empty()),
            Err(_) if planted::is(Bug::DamagedBlockReadAsEmpty) => Ok(Block::empty()),
            Err(error) => Err(error.into()),
        }
    }

    /// True if the block is in memory, or given up, and need not be fetched.
    pub fn has(&self, address: BlockAddress) -> bool {
        self.loaded.has(address) || self.tree.cache.has(address) || self.tree.given_up.contains(&address)
    }

    /// The newest version of `row` that is not newer than `at`.
    pub fn get(&self, row: &[u8], at: Lsn) -> Attempt<Option<Found>> {
        self.find(row, at)?.map(|(lsn, encoded)| self.whole(lsn, &encoded)).transpose()
    }

    /// As `get`, as it is stored: a large value stays where it is.
    pub fn find(&self, row: &[u8], at: Lsn) -> Attempt<Option<(Lsn, Bytes)>> {
        let view = self.over(row, row);
        let target = internal(row, at);
        let mut best = self.tree.memtable.get(&target);
        let mut needed = Vec::new();
        for run in &self.tree.runs {
            let newest = Lsn(run.newest);
            if best.as_ref().is_some_and(|(lsn, _)| *lsn >= newest) {
                break;
            }
            if Lsn(run.oldest) > at || !run.may_hold(row) {
                continue;
            }
            match view.get_in_run(run, &target) {
                Ok(found) => best = best.into_iter().chain(found).max_by_key(|(lsn, _)| *lsn),
                // The blocks that the older runs lack are fetched in the same go.
                Err(Fault::Need(blocks)) => needed.extend(blocks),
                Err(error) => return Err(error),
            }
        }
        if !needed.is_empty() {
            return Err(Fault::Need(needed));
        }
        Ok(best)
    }

    /// True if the run has a version of `row`. The run may be one that nothing names yet.
    pub fn is_in_run(&self, run: &RunDescription, row: &[u8]) -> Attempt<bool> {
        Ok(run.may_hold(row) && self.get_in_run(run, &internal(row, Lsn::MAX))?.is_some())
    }

    /// The LSN of the newest version of `row`, whatever it says; its value is not looked at.
    pub fn newest(&self, row: &[u8], above: Lsn) -> Attempt<Option<Lsn>> {
        let view = self.over(row, row);
        let target = internal(row, Lsn::MAX);
        let mut best = self.tree.memtable.get(&target).map(|(lsn, _)| lsn);
        for run in &self.tree.runs {
            if Lsn(run.newest) <= above || best.is_some_and(|lsn| lsn >= Lsn(run.newest)) {
                break;
            }
            if run.may_hold(row) {
                let found = view.get_in_run(run, &target)?;
                best = best.max(found.map(|(lsn, _)| lsn));
            }
        }
        Ok(best)
    }

    fn get_in_run(&self, run: &RunDescription, target: &[u8]) -> Attempt<Option<(Lsn, Bytes)>> {
        let row = split_internal(target).0;
        // All versions of a commit's own run are dated by the commit that names it.
        let dated = run.fixed.map(|_| internal(row, Lsn::MAX));
        let target = dated.as_deref().unwrap_or(target);
        let take = |cursor: &BlockCursor| {
            let (found, lsn) = split_internal(cursor.key()?);
            (found == row).then(|| (run.fixed().unwrap_or(lsn), cursor.value()))
        };
        // A block that reads as empty here is not to be remembered for other rows.
        if !self.is_of_collections
            && let Some(found) = self.near(run.id, target, take)?
        {
            return Ok(found);
        }
        Ok(self.seek(run, target)?.as_ref().and_then(take))
    }

    /// The result of `take` on the entry at or after a key, if the key's block is the one that the last lookup in the
    /// run came to. A caller that looks up neighbours goes from one to the next, and does not search.
    fn near<T>(
        &self,
        run: u64,
        target: &[u8],
        take: impl FnOnce(&BlockCursor) -> Option<T>,
    ) -> Attempt<Option<Option<T>>> {
        let mut all = self.loaded.near.borrow_mut();
        let is_near = |near: &&mut Near| near.run == run && near.from[..] <= *target && *target <= near.last[..];
        let Some(Near { from, reference, cursor, .. }) = all.iter_mut().flatten().find(is_near) else {
            return Ok(None);
        };
        let cursor = match cursor {
            Some(cursor) => {
                self.tree.cache.note_hit();
                cursor.go_to(target)?;
                cursor
            }
            None => cursor.insert(BlockCursor::seek(self.block(*reference)?, target)?),
        };
        from.clear();
        from.extend_from_slice(target);
        Ok(Some(take(cursor)))
    }

    /// The first entry of `run` at or after `target`: down from the root, one block a level.
    fn seek(&self, run: &RunDescription, target: &[u8]) -> Attempt<Option<BlockCursor>> {
        let layer: LayerBytes = target[..LAYER_BYTES].try_into().expect("BUG: a row begins with its layer");
        let known = self.tree.lone.get(run.id, layer);
        if let Some(Some(reference)) = known {
            return Ok(Some(BlockCursor::seek(self.block(reference)?, target)?));
        }
        let mut reference = run.root();
        let mut index = None;
        for _ in 0..run.height {
            let cursor = BlockCursor::seek(self.block(reference)?, target)?;
            if cursor.key().is_none() {
                return Ok(None);
            }
            reference = decode_reference(run.id, &cursor.value())?;
            index = Some(cursor);
        }
        if let Some(last) = index.as_ref().and_then(BlockCursor::key) {
            self.loaded.note_near(run.id, target, last, reference);
        }
        if let (None, Some(index)) = (known, &index) {
            let is_lone = is_lone(run, index, layer)?;
            self.tree.lone.note(run.id, layer, is_lone.then_some(reference));
        }
        match (self.block(reference), index) {
            (Err(Fault::Need(_)), Some(index)) => Err(Fault::blocks(self.with_neighbours(run, index)?)),
            (block, _) => Ok(Some(BlockCursor::seek(block?, target)?)),
        }
    }

    /// A missing data block and its neighbours. A fetch costs more than the bytes, so where all that is stored has its
    /// place in the cache, each miss brings more than the one before: those behind it, and then those that the same
    /// index block names before it.
    fn with_neighbours(&self, run: &RunDescription, missing: BlockCursor) -> Attempt<Vec<BlockReference>> {
        let mut needed = Vec::new();
        let count = self.tree.cache.read_ahead(self.tree.runs.iter().map(|run| run.unpacked).sum());
        let from = missing.key().unwrap_or_default().to_vec();
        for (mut index, before) in [(missing.rewound()?, Some(from)), (missing, None)].into_iter().rev() {
            while needed.len() < count {
                // Blocks before the run's first row were moved, and may be gone.
                let is_there = index.key().is_some_and(|key| *key >= run.first[..]);
                let is_in = |key: &[u8]| before.as_ref().is_none_or(|before| key < &before[..]);
                if !index.key().is_some_and(is_in) {
                    break;
                }
                let reference = decode_reference(run.id, &index.value())?;
                if is_there && !self.has(reference.address) {
                    needed.push(reference);
                }
                index.advance()?;
            }
        }
        Ok(needed)
    }

    /// The version that `encoded` holds, its value brought here if it is stored apart.
    pub fn whole(&self, lsn: Lsn, encoded: &Bytes) -> Attempt<Found> {
        let unreadable = || Error::corrupt(format!("a version cannot be decoded. lsn={lsn}"));
        let version = Version::decode(encoded).ok_or_else(unreadable)?;
        let version = match version.overflow() {
            Some(overflow) => version.brought_back(self.gather(overflow)?),
            None => version,
        };
        Ok(Found { lsn, version })
    }

    fn gather(&self, overflow: Overflow) -> Attempt<Bytes> {
        let mut value = Vec::new();
        let mut missing = Vec::new();
        for reference in pieces(overflow) {
            match self.block(reference) {
                Ok(block) => value.extend_from_slice(&BlockCursor::first(block)?.value()),
                Err(Fault::Need(more)) => missing.extend(more),
                Err(error) => return Err(error),
            }
        }
        if !missing.is_empty() {
            return Err(Fault::Need(missing));
        }
        if value.len() as u64 != overflow.bytes || xxh64(&value, 0) != overflow.checksum {
            let address = BlockAddress::new(overflow.run, overflow.first, 0);
            let message = format!("a value stored apart is damaged. block={}", address.name());
            return Err(Error::corrupt(message).with_text("block", address.name()).into());
        }
        Ok(value.into())
    }
}

/// True if all rows of a layer that a run has lie in the block that an index names where it stands: the blocks before
/// it end before the layer, and it ends behind the layer.
fn is_lone(run: &RunDescription, index: &BlockCursor, layer: LayerBytes) -> Result<bool> {
    // An index keeps a short key in place of a block's last one.
    let ends_behind = index.key().is_some_and(|last| *last > layer[..] && !last.starts_with(&layer));
    // Where the block before it ends may stand in another index block.
    let is_first = run.height > 1 && index.rewound()?.key() == index.key();
    Ok(ends_behind && !is_first && index.sought(&layer)?.key() == index.key())
}
