//! When maintenance is due, and how long it rests after it has failed.

use super::Upkeep;
use super::room::run_bytes;
use crate::error::Result;
use crate::lsm::{State, choose};

/// The log is moved into a run when it is larger than this, or has more records than that.
const LOG_BYTES: u64 = 4 * 1024 * 1024;
const LOG_ENTRIES: u64 = 2000;
/// From so many times the size on, a tab does it without the lease: whoever has that may be frozen.
pub const URGENT: u64 = 4;
/// From so many times the size on, it is moved between two slices of a merge, and commits wait until it is.
pub const AMID_MERGE: u64 = 2;
/// Milliseconds that maintenance rests after a failure, and how often they are doubled at most.
const REST: u64 = 1000;
const MOST_DOUBLED: u32 = 10;
/// Milliseconds that maintenance rests at most once the log has `URGENT` times its share and room is not short. The
/// disk may have got room back, and the log would grow for a quarter of an hour.
const REST_OF_URGENT: u64 = 30_000;
/// Milliseconds between two runs of maintenance that are made only because room is short.
const PAUSE: u64 = 1000;

impl Upkeep {
    /// True if the log has more than `times` its share, or if runs are to be merged and `times` is 1.
    pub fn is_due(&self, state: &State, times: u64) -> bool {
        // On a full disk maintenance waits until something was deleted.
        !self.core.lsm.reserve().is_short()
            && (self.is_log_over(state, times)
                || times == 1 && (state.manifest.merging.is_some() || !choose(state.tree.runs()).is_empty()))
    }

    /// True if the log has more than `times` its share.
    pub fn is_log_over(&self, state: &State, times: u64) -> bool {
        let share = self.core.lsm.reserve().log_bytes(LOG_BYTES, run_bytes(state));
        state.log_bytes() > share * times || state.log_entries() > LOG_ENTRIES * times
    }

    /// True if commits are to wait for maintenance that is under way: a writer that is quicker than maintenance would
    /// make the log as large as the store.
    pub fn holds_back(&self) -> bool {
        self.maintaining.is_running(self.core.platform.steady())
            && self.core.lsm.with(|state| self.is_log_over(state, AMID_MERGE))
    }

    /// True while maintenance rests, after a failure or on a full disk.
    pub fn is_resting(&self) -> bool {
        let now = self.core.platform.steady();
        let is_urgent = || self.core.lsm.with(|state| self.is_due(state, URGENT));
        now < self.rests_until.get() && !(now >= self.rests_since.get() + REST_OF_URGENT && is_urgent())
    }

    /// After each failure in a row maintenance rests twice as long as after the one before.
    pub fn rest_after(&self, maintained: &Result<()>) {
        let failures = if maintained.is_ok() { 0 } else { self.failures.get() + 1 };
        self.failures.set(failures);
        let rest = match failures {
            0 if self.core.lsm.reserve().is_short() => PAUSE,
            0 => 0,
            _ => REST << (failures - 1).min(MOST_DOUBLED),
        };
        self.rests_since.set(self.core.platform.steady());
        self.rests_until.set(self.core.platform.steady() + rest);
    }

    /// True if commits on a full disk wait for room that maintenance may give back. After a deletion maintenance rests
    /// no longer than a moment, however often it has failed before.
    pub fn is_room_due(&self) -> bool {
        if self.core.lsm.reserve().has_freed() {
            self.failures.set(0);
            self.rests_until.set(self.rests_until.get().min(self.core.platform.steady() + PAUSE));
        }
        self.core.lsm.reserve().is_waited_for()
    }
}
