//! The work that nobody calls for, and when it runs: the log, runs, history, clones that are to go.
//!
//! It does not know: rows, op, handle, witness, compare, transact, merge, transfer, store.

pub mod chores;
mod due;
pub mod maintain;
pub mod reclaim;
pub mod retain;
mod room;
mod sole;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use self::sole::Sole;
use crate::engine::core::Core;
use crate::error::Result;
use crate::types::{DatabaseName, SortedSet};

pub struct Upkeep {
    core: Rc<Core>,
    maintaining: Rc<Sole>,
    /// Until then, by the steady clock, no maintenance begins by itself, because a call waits for its turn.
    awaited_until: Cell<u64>,
    /// The number of compactions of everything that have begun, and the last one that ended, with its outcome.
    compactions: Cell<u64>,
    compacted: RefCell<Option<(u64, Result<()>)>>,
    /// True once the store was looked after since it is open.
    is_looked_after: Cell<bool>,
    looking: Rc<Sole>,
    /// Clones to be materialized in the background.
    background: RefCell<SortedSet<DatabaseName>>,
    copying: Rc<Sole>,
    /// The store's bytes after all runs were merged and too little of them was freed; 0: enough was. Until the store
    /// has grown to twice as much, no such merge is tried again: each would rewrite everything and free nothing.
    left_bytes: Cell<u64>,
    /// The number of failures of maintenance in a row, and the times at which its rest begins and ends, by the steady
    /// clock.
    failures: Cell<u32>,
    rests_since: Cell<u64>,
    rests_until: Cell<u64>,
    /// Refusals of the lease in a row, up to `REFUSALS`.
    refused: Cell<u32>,
}

impl Upkeep {
    pub fn new(core: Rc<Core>) -> Upkeep {
        Upkeep {
            core,
            maintaining: Rc::default(),
            awaited_until: Cell::new(0),
            compactions: Cell::new(0),
            compacted: RefCell::default(),
            is_looked_after: Cell::new(false),
            looking: Rc::default(),
            background: RefCell::default(),
            copying: Rc::default(),
            left_bytes: Cell::new(0),
            failures: Cell::new(0),
            rests_since: Cell::new(0),
            rests_until: Cell::new(0),
            refused: Cell::new(0),
        }
    }
}
