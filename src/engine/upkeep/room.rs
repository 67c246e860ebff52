//! Upkeep when room on the disk is short: the log moves in pieces that need little room, deleted rows are dropped on
//! the way, and the reserve is put back.

use std::rc::Rc;

use super::Upkeep;
use crate::error::{Error, Result};
use crate::lsm::{Installation, Part, State};
use crate::storage::LocalFuture;
use crate::types::{Lsn, limits};

/// How often other tabs may be first while the log moves in pieces.
const TRIES: u32 = 8;
/// After a piece that found no room one of so many times less is tried, and after one that did of twice as much.
const SMALLER: u64 = 4;
const LARGER: u64 = 2;
/// Where a piece of so little found no room, nothing does.
const LEAST: u64 = 4 * 1024;

impl Upkeep {
    /// Raises the history floor to where it may be by now, and moves the log into runs, its oldest records first and
    /// without versions that nobody reads any more. False: another tab was first.
    pub async fn move_log_in_pieces(self: &Rc<Upkeep>) -> Result<bool> {
        let (head, clock) = self.core.lsm.with(|state| (state.head, self.core.clock.agreed(state)));
        let mut raising = Installation::new(self.core.lsm.with(|state| state.manifest.clone()));
        raising.raise_floor(self.next_floor(head, clock).await?);
        raising.set_clock(self.core.clock.opened_at());
        if !raising.is_idle() && !self.core.install(raising).await? {
            return Ok(false);
        }
        let mut bytes = self.core.lsm.reserve().bytes() / 2;
        let mut lost = 0;
        while self.core.lsm.with(|state| state.log_entries() > 0 && state.manifest.checkpoint() < head) {
            self.maintaining.sign(self.core.platform.steady());
            // A run with a row above the floor would not be taken for one that gives room back.
            match self.move_piece(bytes, head).await {
                Ok(true) => bytes = (bytes * LARGER).min(limits::COMMIT_IN_LOG_BYTES as u64),
                Ok(false) => {
                    lost += 1;
                    if lost == TRIES {
                        return Ok(false);
                    }
                }
                Err(error) if error.is_full() && bytes / SMALLER >= LEAST => bytes /= SMALLER,
                Err(error) => return Err(error),
            }
            self.core.sweep_strays().await;
            // Others go first between two pieces.
            self.core.platform.sleep(0).await;
            self.core.check_open()?;
        }
        Ok(true)
    }

    async fn move_piece(self: &Rc<Upkeep>, bytes: u64, to: Lsn) -> Result<bool> {
        // Whatever was committed before the floor was raised must be known: another tab may have made a clone below it.
        self.core.refresh().await?;
        let retention = self.retention_to_drop_by().await?;
        let part = Part::Oldest(bytes, to, &retention);
        match self.core.lsm.checkpoint(self.core.platform.random(), self.core.platform.now(), part).await? {
            Some(installation) => self.core.install(installation).await,
            None => Ok(true),
        }
    }

    /// Looks whether room is still short, where it was. The error says that it is.
    pub async fn look_for_room(&self) -> Option<Error> {
        if self.core.lsm.reserve().is_short() { self.core.lsm.reserve().look_for_room().await.err() } else { None }
    }

    /// Puts the reserve where it is missing. The next time makes up for a failure.
    pub fn keep_reserve(&self) -> LocalFuture<'_, ()> {
        let stored = self.core.lsm.with(|state| run_bytes(state) + state.log_bytes());
        Box::pin(async move { drop(self.core.lsm.reserve().keep(stored).await) })
    }
}

pub fn run_bytes(state: &State) -> u64 {
    state.tree.runs().iter().map(|run| run.bytes).sum()
}
