//! The work that nobody calls for, and when it runs: the log, runs, history, clones that are to go.
//!
//! It does not know: rows, op, handle, witness, compare, transact, merge, transfer, store.

pub mod chores;
pub mod maintain;
pub mod reclaim;
pub mod retain;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use futures_channel::oneshot;

use crate::engine::core::Core;
use crate::types::DatabaseName;

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Look {
    #[default]
    Due,
    UnderWay,
    Done,
}

pub struct Upkeep {
    core: Rc<Core>,
    maintaining: Cell<bool>,
    /// Whether the store was looked after since it is open.
    look: Cell<Look>,
    waiting: RefCell<Vec<oneshot::Sender<()>>>,
    /// Clones to be materialized in the background.
    background: RefCell<BTreeSet<DatabaseName>>,
    is_copying: Cell<bool>,
    /// The store's bytes after all runs were merged and too little of them was freed; 0: enough was. Until the store
    /// has grown to twice as much, no such merge is tried again: each would rewrite everything and free nothing.
    left_bytes: Cell<u64>,
    /// How often in a row maintenance has failed, and until when it rests, by the steady clock.
    failures: Cell<u32>,
    rests_until: Cell<u64>,
}

impl Upkeep {
    pub fn new(core: Rc<Core>) -> Upkeep {
        Upkeep {
            core,
            maintaining: Cell::new(false),
            look: Cell::default(),
            waiting: RefCell::default(),
            background: RefCell::default(),
            is_copying: Cell::new(false),
            left_bytes: Cell::new(0),
            failures: Cell::new(0),
            rests_until: Cell::new(0),
        }
    }
}
