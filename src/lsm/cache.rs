//! Blocks in memory, up to a budget: the least recently used go first, at the latest when the next one comes.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::block::Block;
use super::fault::BlockAddress;

struct Slot {
    block: Rc<Block>,
    used: u64,
}

#[derive(Default)]
struct State {
    slots: HashMap<BlockAddress, Slot>,
    by_use: BTreeMap<u64, BlockAddress>,
    bytes: usize,
    clock: u64,
    hits: u64,
    misses: u64,
}

pub struct BlockCache {
    budget: usize,
    state: RefCell<State>,
}

/// What `stats()` tells of the cache.
#[derive(Clone, Copy, Default, Debug)]
pub struct CacheFigures {
    pub bytes: usize,
    pub hits: u64,
    pub misses: u64,
}

impl BlockCache {
    pub fn new(budget: usize) -> BlockCache {
        BlockCache { budget, state: RefCell::default() }
    }

    pub fn get(&self, address: BlockAddress) -> Option<Rc<Block>> {
        let state = &mut *self.state.borrow_mut();
        let Some(slot) = state.slots.get_mut(&address) else {
            state.misses += 1;
            return None;
        };
        state.hits += 1;
        state.clock += 1;
        // Within the newest few the order does not matter, and a hot block is spared the bookkeeping.
        if state.clock - slot.used > 64 {
            state.by_use.remove(&slot.used);
            slot.used = state.clock;
            state.by_use.insert(slot.used, address);
        }
        Some(slot.block.clone())
    }

    pub fn insert(&self, address: BlockAddress, block: Rc<Block>) {
        let state = &mut *self.state.borrow_mut();
        if state.slots.contains_key(&address) {
            return;
        }
        state.clock += 1;
        let used = state.clock;
        state.bytes += block.size();
        state.by_use.insert(used, address);
        state.slots.insert(address, Slot { block, used });
        while state.bytes > self.budget && state.slots.len() > 1 {
            let (_, oldest) = state.by_use.pop_first().expect("BUG: every slot has its use");
            let slot = state.slots.remove(&oldest).expect("BUG: every use has its slot");
            state.bytes -= slot.block.size();
        }
    }

    /// Forgets the blocks of runs that are gone.
    pub fn retain_runs(&self, keep: impl Fn(u64) -> bool) {
        let state = &mut *self.state.borrow_mut();
        let State { slots, by_use, bytes, .. } = state;
        slots.retain(|address, slot| {
            let kept = keep(address.run);
            if !kept {
                by_use.remove(&slot.used);
                *bytes -= slot.block.size();
            }
            kept
        });
    }

    pub fn figures(&self) -> CacheFigures {
        let state = self.state.borrow();
        CacheFigures { bytes: state.bytes, hits: state.hits, misses: state.misses }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsm::block::BlockBuilder;
    use crate::lsm::fault::BlockReference;

    fn block(address: BlockAddress) -> Rc<Block> {
        let mut builder = BlockBuilder::default();
        builder.push(b"key", &[0; 1000]);
        Block::open(builder.finish().0, BlockReference { address, checksum: None }).unwrap()
    }

    #[test]
    fn the_budget_holds_and_what_is_used_stays() {
        let size = block(BlockAddress { run: 1, number: 0 }).size();
        let cache = BlockCache::new(size * 10);
        let hot = BlockAddress { run: 1, number: 0 };
        for number in 0..1000 {
            let address = BlockAddress { run: 1, number };
            cache.insert(address, block(address));
            for _ in 0..70 {
                assert!(cache.get(hot).is_some(), "the hot block stays");
            }
            assert!(cache.figures().bytes <= size * 10);
        }
        assert!(cache.get(BlockAddress { run: 1, number: 500 }).is_none());
        cache.retain_runs(|_| false);
        assert_eq!(cache.figures().bytes, 0);
    }
}
