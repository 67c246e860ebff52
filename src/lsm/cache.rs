//! Blocks in memory, up to a budget. The oldest go first, but for those used since they were last looked at: they get a
//! second chance, so that a hit costs no bookkeeping.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::block::Block;
use super::fault::{BlockAddress, BlockReference};
use crate::error::Result;
use crate::planted::{self, Bug};
use crate::types::SortedMap;

/// The most blocks that a miss of a point read brings.
const READ_AHEAD: usize = 1024;

/// A block as it is stored, or unpacked and checked: that costs its time, and many that come ahead are never asked for.
pub enum Kept {
    Sealed(Rc<[u8]>),
    Open(Rc<Block>),
}

impl Kept {
    /// The block, which must be the one that the reference names. Whoever keeps it keeps it unpacked from here on.
    pub fn open(&mut self, reference: BlockReference) -> Result<Rc<Block>> {
        if let Kept::Sealed(bytes) = self {
            *self = Kept::Open(Block::open(bytes, reference)?);
        }
        match self {
            Kept::Open(block) => Ok(block.clone()),
            Kept::Sealed(_) => unreachable!("BUG: it was just opened"),
        }
    }

    pub(super) fn size(&self) -> usize {
        match self {
            Kept::Sealed(bytes) => bytes.len(),
            Kept::Open(block) => block.size(),
        }
    }
}

struct Slot {
    kept: Kept,
    is_used: bool,
}

#[derive(Default)]
struct Held {
    slots: SortedMap<BlockAddress, Slot>,
    /// The addresses of all slots, the next to be looked at first.
    queue: VecDeque<BlockAddress>,
    bytes: usize,
    hits: u64,
    misses: u64,
    /// How many blocks the last fetch for a point read brought, and whether the next one is for a point read too.
    read_ahead: usize,
    is_asked: bool,
}

impl Held {
    fn forget(&mut self, address: BlockAddress) {
        if let Some(slot) = self.slots.remove(&address) {
            self.bytes -= slot.kept.size();
            self.queue.retain(|other| *other != address);
        }
    }

    fn make_room(&mut self, budget: usize) {
        while self.bytes > budget && !planted::is(Bug::CacheMakesNoRoom) {
            let Some(oldest) = self.queue.pop_front() else { break };
            let slot = self.slots.get_mut(&oldest).expect("BUG: what is queued has its slot");
            if std::mem::take(&mut slot.is_used) {
                self.queue.push_back(oldest);
            } else {
                self.bytes -= slot.kept.size();
                self.slots.remove(&oldest);
            }
        }
    }
}

pub struct BlockCache {
    budget: usize,
    content: RefCell<Held>,
}

/// The figures of the cache that `stats()` tells.
#[derive(Clone, Copy, Default, Debug)]
pub struct CacheFigures {
    pub bytes: usize,
    pub hits: u64,
    pub misses: u64,
}

impl BlockCache {
    pub fn new(budget: usize) -> BlockCache {
        BlockCache { budget, content: RefCell::default() }
    }

    pub fn has(&self, address: BlockAddress) -> bool {
        self.content.borrow().slots.contains_key(&address)
    }

    /// The block that is kept under this address, which must be the one that the reference names.
    pub fn get(&self, reference: BlockReference) -> Result<Option<Rc<Block>>> {
        let content = &mut *self.content.borrow_mut();
        let Some(slot) = content.slots.get_mut(&reference.address) else {
            content.misses += 1;
            return Ok(None);
        };
        slot.is_used = true;
        content.hits += 1;
        let before = slot.kept.size();
        let block = match slot.kept.open(reference) {
            Ok(block) => block,
            Err(_) => {
                // It may have been read badly: storage is asked once more, and what it gives then is believed.
                content.forget(reference.address);
                content.hits -= 1;
                content.misses += 1;
                return Ok(None);
            }
        };
        content.bytes += block.size();
        content.bytes -= before;
        if block.size() > before {
            content.make_room(self.budget);
        }
        Ok(Some(block))
    }

    /// A block was needed that the call has fetched before, and so was not asked for here.
    pub fn note_hit(&self) {
        self.content.borrow_mut().hits += 1;
    }

    /// Keeps a block under its address. One that is sealed never takes the place of one that is not.
    pub fn keep(&self, address: BlockAddress, kept: Kept) {
        let content = &mut *self.content.borrow_mut();
        if let Some(slot) = content.slots.get_mut(&address) {
            if let (Kept::Sealed(_), Kept::Open(_)) = (&slot.kept, &kept) {
                content.bytes += kept.size();
                content.bytes -= std::mem::replace(&mut slot.kept, kept).size();
                content.make_room(self.budget);
            }
            return;
        }
        content.bytes += kept.size();
        content.make_room(self.budget);
        content.queue.push_back(address);
        content.slots.insert(address, Slot { kept, is_used: false });
    }

    /// The number of blocks that a miss should bring, where `stored` bytes are stored in all: one, four and so on while
    /// there is room for everything. Until blocks are fetched, a second call is of the same miss.
    pub fn read_ahead(&self, stored: u64) -> usize {
        let content = &mut *self.content.borrow_mut();
        if stored > self.budget as u64 {
            return 1;
        }
        content.is_asked = true;
        (content.read_ahead * 8).clamp(1, READ_AHEAD)
    }

    /// Notes that the blocks of a miss were fetched.
    pub fn fetched(&self) {
        let content = &mut *self.content.borrow_mut();
        if std::mem::take(&mut content.is_asked) {
            content.read_ahead = (content.read_ahead * 8).clamp(1, READ_AHEAD);
        }
    }

    /// Forgets the blocks of runs that are gone.
    pub fn retain_runs(&self, keep: impl Fn(u64) -> bool) {
        let content = &mut *self.content.borrow_mut();
        let Held { slots, queue, bytes, .. } = content;
        queue.retain(|address| {
            let is_kept = keep(address.run);
            if !is_kept {
                let slot = slots.remove(address).expect("BUG: what is queued has its slot");
                *bytes -= slot.kept.size();
            }
            is_kept
        });
    }

    pub fn figures(&self) -> CacheFigures {
        let content = self.content.borrow();
        CacheFigures { bytes: content.bytes, hits: content.hits, misses: content.misses }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsm::block::BlockBuilder;

    fn named(address: BlockAddress) -> BlockReference {
        BlockReference { address, checksum: None }
    }

    fn block(address: BlockAddress) -> Rc<Block> {
        let mut builder = BlockBuilder::default();
        builder.push(b"key", &[0; 1000]);
        Block::open(&builder.finish().0, named(address)).unwrap()
    }

    #[test]
    fn a_block_that_was_read_badly_is_asked_for_once_more() {
        let (cache, address) = (BlockCache::new(10_000), BlockAddress { run: 1, number: 0 });
        let sealed: Rc<[u8]> = vec![7; 100].into();
        cache.keep(address, Kept::Sealed(sealed));
        let reference = BlockReference { address, checksum: Some(1) };
        assert!(cache.get(reference).expect("it is no error yet").is_none());
        assert!(!cache.has(address), "what is bad is not kept");
        let figures = cache.figures();
        assert_eq!((figures.bytes, figures.hits, figures.misses), (0, 0, 1));
    }

    #[test]
    fn the_budget_holds_and_what_is_used_stays() {
        let size = block(BlockAddress { run: 1, number: 0 }).size();
        let cache = BlockCache::new(size * 10);
        let hot = BlockAddress { run: 1, number: 0 };
        for number in 0..1000 {
            let address = BlockAddress { run: 1, number };
            cache.keep(address, Kept::Open(block(address)));
            assert!(cache.get(named(hot)).unwrap().is_some(), "the hot block stays");
            assert!(cache.figures().bytes <= size * 10);
        }
        assert!(!cache.has(BlockAddress { run: 1, number: 500 }));
        cache.retain_runs(|_| false);
        assert_eq!(cache.figures().bytes, 0);
    }
}
