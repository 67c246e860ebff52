//! The least time that it can be now. Retention goes by this time, so one clock that jumped destroys no history.

use std::cell::Cell;
use std::rc::Rc;

use crate::lsm::State;
use crate::platform::Platform;

/// The clocks of one opening.
pub struct Clock {
    platform: Rc<dyn Platform>,
    /// The clock when this engine opened.
    opened_at: u64,
    /// The time that this opening and one before it agreed on, when this one began.
    agreed: u64,
    /// The reading of the clock that cannot jump, when this engine opened.
    steady: u64,
    /// The time that the last opening before this one has written down.
    before: Cell<u64>,
}

impl Clock {
    /// The clocks of an opening at `opened_at`, by both clocks, of a store in which the time `told` is written down.
    pub fn new(platform: Rc<dyn Platform>, (opened_at, steady): (u64, u64), told: u64, is_new: bool) -> Clock {
        // In a store that was just made nothing is older than this opening.
        let agreed = if is_new { opened_at } else { told.min(opened_at) };
        Clock { platform, opened_at, agreed, steady, before: Cell::new(told) }
    }

    pub fn opened_at(&self) -> u64 {
        self.opened_at
    }

    /// The least time that it can be: two openings agree on it. While this engine is open, a clock that cannot jump
    /// measures the time that has passed.
    pub fn agreed(&self, state: &State) -> u64 {
        let told = state.manifest.clock;
        let told = if told == self.opened_at { self.before.get() } else { told };
        told.min(self.opened_at).max(self.steady()).min(self.platform.now())
    }

    /// The time that was agreed on when this engine opened, plus the time that has passed since.
    pub fn steady(&self) -> u64 {
        self.agreed.saturating_add(self.platform.steady().saturating_sub(self.steady))
    }

    /// Keeps the time that the manifest tells, before another manifest takes its place.
    pub fn note_told(&self, told: u64) {
        if told != self.opened_at {
            self.before.set(told);
        }
    }
}
