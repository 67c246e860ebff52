//! The work that nobody waits for: moving the log into runs, merging runs, dropping what nobody can read.
//!
//! It runs beside commits and reads, in slices, and touches what they see only by swapping the manifest, in the
//! pipeline's turn. Two tabs that do it at once lose only work: the manifest's version guards every swap.

use std::rc::Rc;

use super::catalog;
use super::pipeline::Exclusive;
use super::retention::retention;
use super::store::{RETAIN, RETAIN_SETTING, Store};
use crate::error::{ErrorCode, Result};
use crate::lsm::{Attempt, Installation, RowCursor, RunDescription, State, TreeView, choose, decode_feed, feed_range};
use crate::planted::{self, Bug};
use crate::platform::Lease;
use crate::types::{LayerId, Lsn};

/// The log is moved into a run when it is larger than this, or has more records than that.
const LOG_BYTES: u64 = 4 * 1024 * 1024;
const LOG_ENTRIES: u64 = 2000;
/// From so many times the size on, a tab does it without the lease: whoever has that may be frozen.
const URGENT: u64 = 4;
const LEASE: &str = "maintain";
/// Milliseconds after which a run that was never named is taken for abandoned.
const ABANDONED: u64 = 60 * 60 * 1000;
/// Milliseconds ahead of what openings agree on, from which on a commit's time is not believed.
const FAR_AHEAD: u64 = 24 * 60 * 60 * 1000;

impl Store {
    /// Starts maintenance if it is due and not under way.
    pub(super) fn maintain_soon(self: &Rc<Store>) {
        if self.lsm.has_strays() && self.check_open().is_ok() {
            let store = self.clone();
            self.platform.spawn(Box::pin(async move { store.sweep_strays().await }));
        }
        let is_due = self.lsm.with(|state| is_due(state, 1));
        if is_due && self.check_open().is_ok() && !self.maintaining.replace(true) {
            let store = self.clone();
            self.platform.spawn(Box::pin(async move {
                // What fails here is nobody's call; the next commit that finds the work still due tries again.
                let _ = store.maintain_if_free(false).await;
                store.maintaining.set(false);
            }));
        }
    }

    /// `is_worth`: much would come back, whether or not the log is due.
    pub(super) async fn maintain_if_free(self: &Rc<Store>, is_worth: bool) -> Result<()> {
        let lease: Option<Lease> = self.try_lease(LEASE).await;
        if lease.is_none() && !self.lsm.with(|state| is_due(state, URGENT)) {
            return Ok(());
        }
        self.refresh().await?;
        if is_worth || self.lsm.with(|state| is_due(state, 1)) {
            self.maintain().await?;
        }
        drop(lease);
        Ok(())
    }

    /// Moves the log into a run, raises the history floor, merges what is worth merging.
    pub async fn maintain(self: &Rc<Store>) -> Result<()> {
        let maintained = self.maintain_runs().await;
        self.sweep_strays().await;
        maintained?;
        self.sweep().await?;
        self.look_after().await
    }

    /// Deletes what nobody names.
    pub(super) async fn sweep(self: &Rc<Store>) -> Result<()> {
        if self.is_damaged.get() {
            return Ok(());
        }
        self.lsm.sweep(self.platform.now().saturating_sub(ABANDONED)).await?;
        self.sweep_copies().await
    }

    /// Deletes what was written here for commits that did not come. What fails is made up for by the next time.
    pub(super) async fn sweep_strays(&self) {
        let _ = self.lsm.sweep_strays().await;
    }

    /// After a commit that brought a run of its own.
    pub(super) fn write_hot_soon(self: &Rc<Store>) {
        let store = self.clone();
        // What fails here costs the next opening a little time.
        self.platform.spawn(Box::pin(async move { drop(store.lsm.write_hot().await) }));
    }

    /// False: another one was first, and the log is where it was.
    pub(super) async fn maintain_runs(self: &Rc<Store>) -> Result<bool> {
        let checkpoint = self.lsm.checkpoint(self.platform.random(), self.platform.now()).await?;
        let mut installation = match checkpoint {
            Some(installation) => installation,
            None => Installation::new(self.lsm.with(|state| state.manifest.clone())),
        };
        if !self.is_damaged.get() && !planted::is(Bug::FloorRaisedAfterDropping) {
            let clock = self.lsm.with(|state| self.agreed_clock(state));
            let floor = self.next_floor(installation.checkpoint(), clock).await?;
            installation.raise_floor(floor);
        }
        installation.set_clock(self.opened_at);
        if !self.install(installation).await? {
            return Ok(false);
        }
        if self.is_damaged.get() {
            return Ok(true);
        }
        self.reclaim().await?;
        loop {
            let inputs = choose(&self.lsm.with(|state| state.manifest.runs.clone()));
            if inputs.is_empty() || !self.merge(&inputs).await? {
                break;
            }
        }
        Ok(true)
    }

    /// False: another tab was first.
    pub(super) async fn merge(self: &Rc<Store>, inputs: &[Rc<RunDescription>]) -> Result<bool> {
        if inputs.is_empty() || self.is_damaged.get() {
            return Ok(!self.is_damaged.get());
        }
        // Whatever was committed before the floor was raised must be known: another tab may have made a clone below it.
        self.refresh().await?;
        let floor = self.floor_to_drop_by().await?;
        let retention = self.read(|_, view| retention(view, floor)).await?;
        let ids = [self.platform.random(), self.platform.random()];
        match self.lsm.compact(inputs, &retention, ids, self.platform.now()).await {
            Ok((mut installation, _)) => {
                installation.set_clock(self.opened_at);
                let installed = self.install(installation).await?;
                if planted::is(Bug::FloorRaisedAfterDropping) {
                    let mut late = Installation::new(self.lsm.with(|state| state.manifest.clone()));
                    late.raise_floor(floor);
                    self.install(late).await?;
                }
                Ok(installed)
            }
            Err(error) if error.code() == ErrorCode::Conflict => Ok(false),
            Err(error) => self.note_damage(Err(error)),
        }
    }

    /// The floor as every tab knows it; with the planted bug the one that is to come.
    async fn floor_to_drop_by(self: &Rc<Store>) -> Result<Lsn> {
        let (floor, checkpoint) = self.lsm.with(|state| (state.manifest.floor(), state.manifest.checkpoint()));
        if !planted::is(Bug::FloorRaisedAfterDropping) {
            return Ok(floor);
        }
        let clock = self.lsm.with(|state| self.agreed_clock(state));
        self.next_floor(checkpoint, clock).await
    }

    /// Swaps the manifest, which the host flushes: all up to its checkpoint is durable from then on.
    pub(super) async fn install(self: &Rc<Store>, installation: Installation) -> Result<bool> {
        let checkpoint = installation.checkpoint();
        let clock = self.lsm.with(|state| state.manifest.clock);
        if clock != self.opened_at {
            self.clock_before.set(clock);
        }
        let installed = self.exclusively(Exclusive::Install(Box::new(installation))).await?;
        if installed {
            self.witness.flushed(checkpoint);
            self.witness_now().await;
        }
        Ok(installed)
    }

    /// Where history may end at the time `clock`: what the retention says, and never above what this engine's own
    /// snapshots read or what is in runs.
    pub(super) async fn next_floor(self: &Rc<Store>, checkpoint: Lsn, clock: u64) -> Result<Lsn> {
        let floor = self
            .read(|state, view| {
                let retain = catalog::setting(view, RETAIN_SETTING, state.head)?.unwrap_or(RETAIN);
                if retain == 0 {
                    return Ok(checkpoint);
                }
                oldest_kept(state, view, clock, retain)
            })
            .await?;
        let reading = self.reading.borrow().iter().min().copied().unwrap_or(Lsn::MAX);
        Ok(floor.min(checkpoint).min(reading))
    }
}

/// The newest commit from before `clock - retain`: history is cut there. Times need not rise with LSNs, so commits are
/// read from the floor up, and the first young one ends the search.
///
/// ```text
/// retained from time 100 on    LSN 1: 90    LSN 2: 120    LSN 3: 95    gives LSN 1
/// ```
/// LSN 2 is to be kept, so nothing above LSN 1 may go: at LSN 3 the clock had fallen back. A time far ahead of `clock`
/// ends nothing: a clock that was wrong once would otherwise keep all history from then on.
fn oldest_kept(state: &State, view: TreeView<'_>, clock: u64, retain: u64) -> Attempt<Lsn> {
    let (floor, checkpoint) = (state.manifest.floor(), state.manifest.checkpoint());
    let young = clock.saturating_sub(retain).saturating_add(1)..=clock.saturating_add(FAR_AHEAD);
    let mut last = floor;
    let mut cursor =
        RowCursor::new(view, &feed_range(LayerId::CATALOG, floor.next(), checkpoint.next()), Lsn::MAX, false);
    while let Some(row) = cursor.next_row()? {
        let (lsn, written) = decode_feed(&row.row, &row.found(view)?.version)?;
        if young.contains(&written.time) {
            return Ok(last);
        }
        if written.time < *young.start() {
            last = lsn;
        }
    }
    let logged = state.notes.iter().filter(|note| note.lsn > checkpoint);
    let old = logged.take_while(|note| !young.contains(&note.time)).filter(|note| note.time < *young.start());
    Ok(old.last().map_or(last, |note| note.lsn))
}

fn is_due(state: &State, times: u64) -> bool {
    state.log_bytes() > LOG_BYTES * times
        || state.log_entries() > LOG_ENTRIES * times
        || times == 1 && !choose(&state.tree.runs).is_empty()
}
