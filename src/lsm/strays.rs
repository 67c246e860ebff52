//! Runs that were given up before they were named, until their blocks are deleted (`unnamed.rs`).

use std::cell::RefCell;
use std::collections::VecDeque;

use crate::error::Result;
use crate::storage::{LocalFuture, Outcome};

/// So many strays are noted. More of them are left to the sweep of runs that were abandoned long ago.
const MOST_STRAYS: usize = 256;

/// A write that was sent, and whose outcome is not known yet.
pub type Write = LocalFuture<'static, Result<Outcome>>;

/// Runs of this engine that were given up and whose blocks are still there.
#[derive(Default)]
pub struct Strays(RefCell<Vec<Stray>>);

pub struct Stray {
    pub run: u64,
    /// The writes of its blocks that are not answered yet.
    pub on_their_way: VecDeque<Write>,
}

impl Strays {
    pub fn note(&self, stray: Stray) {
        let mut strays = self.0.borrow_mut();
        if strays.len() < MOST_STRAYS {
            strays.push(stray);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    pub fn take(&self) -> Option<Stray> {
        self.0.borrow_mut().pop()
    }
}
