//! The work that nobody waits for: moving the log into runs, merging runs, dropping versions that nobody can read.
//!
//! It runs beside commits and reads, in slices, and touches what they see only by swapping the manifest, in the
//! pipeline's turn. The manifest's version guards every swap: of two tabs that write one slice at once the later one
//! loses that slice, and stops.

use std::rc::Rc;

use super::Upkeep;
use super::due::{AMID_MERGE, URGENT};
use super::retain::{RETAIN, RETAIN_SETTING};
use super::sole::Running;
use crate::engine::catalog;
use crate::engine::catalog::retention::retention;
use crate::engine::copy::copying::sweep_copies;
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{
    Attempt, Installation, MANY_RUNS, Merging, Part, Retention, Room, RowCursor, RunDescription, State, TreeView,
    choose, decode_feed, feed_range,
};
use crate::planted::{self, Bug};
use crate::platform::Lease;
use crate::storage::LocalFuture;
use crate::types::{LayerId, Lsn};

const LEASE: &str = "maintain";
/// Milliseconds after which a run that was never named is taken for abandoned.
const ABANDONED: u64 = 60 * 60 * 1000;
/// So many merges are made at once. A later maintenance makes those that are due then.
const MERGES: u32 = 4;
/// Milliseconds between two looks at whether maintenance is still under way.
const LOOK: u64 = 10;
/// Milliseconds after such a look in which no maintenance begins by itself. The timers of a hidden page take a second.
const TURN: u64 = 2000;
/// Milliseconds that a tab rests at most after another one was first, and how often they are doubled at most. A
/// compaction that loses every time rests for two seconds in all: others of its tab wait for it.
const WAIT: u64 = 20;
const WAIT_DOUBLED: u32 = 4;
/// Maintenance loses at most so many slices of a merge in a row, and writes a checkpoint again at most so often where
/// another tab has taken its run for abandoned.
const TRIES: u32 = 8;
/// After so many refusals in a row, a second apart, maintenance of a full disk goes on without the lease.
const REFUSALS: u32 = 8;
/// After so many slices that found room a larger one is tried again.
const WITH_ROOM: u32 = 4;
/// Milliseconds ahead of what openings agree on, from which on a commit's time is not believed.
const FAR_AHEAD: u64 = 24 * 60 * 60 * 1000;

/// While this is held no other maintenance of its engine begins. It is given back also where a caller is gone.
pub(super) struct Alone {
    _running: Running,
    _lease: Option<Lease>,
}

impl Upkeep {
    /// Starts maintenance if it is due and not under way.
    pub fn maintain_soon(self: &Rc<Upkeep>) {
        if self.core.lsm.has_strays() && self.core.check_open().is_ok() {
            let upkeep = self.clone();
            self.core.platform.spawn(Box::pin(async move { upkeep.core.sweep_strays().await }));
        }
        // On damage nothing is built; but a log that grows for ever could not be opened any more.
        let times = if self.core.is_damaged() { URGENT } else { 1 };
        let is_due = self
            .core
            .lsm
            .with(|state| self.is_due(state, times) && (times == 1 || state.manifest.runs.len() < MANY_RUNS));
        let is_room_due = self.is_room_due() && !self.core.is_damaged();
        if (is_due || is_room_due)
            && !self.is_resting()
            && self.core.platform.steady() >= self.awaited_until.get()
            && self.core.check_open().is_ok()
            && let Some(running) = self.maintaining.begin(self.core.platform.steady())
        {
            let upkeep = self.clone();
            self.core.platform.spawn(Box::pin(async move {
                // No call sees a failure here; a later commit that finds the work still due tries again.
                let version = upkeep.manifest_version();
                let maintained = upkeep.maintain_if_free(is_room_due).await;
                upkeep.rest_after(&maintained);
                drop(running);
                // Commits that came meanwhile are nobody's to move where no other follows. Maintenance that swapped
                // nothing has found nothing to do, and would find nothing the next time either.
                if maintained.is_ok() && upkeep.manifest_version() != version {
                    upkeep.maintain_soon();
                }
            }));
        }
    }

    fn manifest_version(&self) -> u64 {
        self.core.lsm.with(|state| state.manifest.version)
    }

    /// `is_worth`: much would come back, whether or not the log is due.
    pub async fn maintain_if_free(self: &Rc<Upkeep>, is_worth: bool) -> Result<()> {
        let lease: Option<Lease> = self.core.try_lease(LEASE).await;
        let is_refused = lease.is_none() && self.core.lsm.reserve().is_short();
        let refused = if is_refused { self.refused.get() + 1 } else { 0 };
        self.refused.set(refused % REFUSALS);
        // The tab that has the lease may be frozen. On a full disk `is_due` is false, so it cannot say that work is
        // urgent.
        let is_urgent = refused >= REFUSALS || self.core.lsm.with(|state| self.is_due(state, URGENT));
        if lease.is_none() && !is_urgent {
            return Ok(());
        }
        self.core.refresh().await?;
        if is_worth || self.core.lsm.with(|state| self.is_due(state, 1)) {
            self.maintain_now(true).await?;
        }
        drop(lease);
        Ok(())
    }

    /// Maintains the store whether or not that is due. Where maintenance of this engine is under way, merging is left
    /// to that one: its caller does not wait for a merge that is not its own.
    pub async fn maintain(self: &Rc<Upkeep>) -> Result<()> {
        if self.maintaining.is_running(self.core.platform.steady()) {
            return self.maintain_now(false).await;
        }
        let _alone = self.alone().await?;
        self.maintain_now(true).await
    }

    /// Waits until no maintenance of this engine is under way, and keeps others from beginning: two would write the
    /// same runs. With the lease, if it is free, it keeps the maintenance of other tabs away too.
    pub(super) async fn alone(self: &Rc<Upkeep>) -> Result<Alone> {
        loop {
            let now = self.core.platform.steady();
            if let Some(running) = self.maintaining.begin(now) {
                self.awaited_until.set(0);
                return Ok(Alone { _running: running, _lease: self.core.try_lease(LEASE).await });
            }
            // Beside writers that never rest, one maintenance follows the other without a gap.
            self.awaited_until.set(now + TURN);
            self.core.platform.sleep(LOOK).await;
            self.core.check_open()?;
        }
    }

    /// Moves the log into a run, raises the history floor, and merges the runs that are worth merging.
    async fn maintain_now(self: &Rc<Upkeep>, merges: bool) -> Result<()> {
        self.core.lsm.reserve().begin();
        let maintained = self.maintain_runs(merges).await;
        self.core.sweep_strays().await;
        self.keep_reserve().await;
        maintained?;
        self.sweep().await?;
        self.look_after().await
    }

    /// Deletes what nobody names.
    pub async fn sweep(self: &Rc<Upkeep>) -> Result<()> {
        if self.core.is_damaged() {
            return Ok(());
        }
        self.core.lsm.sweep(self.core.platform.now().saturating_sub(ABANDONED)).await?;
        sweep_copies(&self.core).await
    }

    /// Deletes the runs that the manifest names no more.
    async fn sweep_dropped(self: &Rc<Upkeep>) -> Result<()> {
        if self.core.is_damaged() { Ok(()) } else { self.core.lsm.sweep(0).await }
    }

    /// False: another one was first, and the log is where it was.
    async fn maintain_runs(self: &Rc<Upkeep>, merges: bool) -> Result<bool> {
        let moved = self.move_log().await;
        if matches!(moved, Ok(false)) || self.core.is_damaged() || !merges {
            return moved;
        }
        // A merge may give back enough for the log the next time.
        if moved.as_ref().is_ok() || moved.as_ref().is_err_and(Error::is_full) {
            self.reclaim().await?;
        }
        moved?;
        // Others write meanwhile: each merge may find that there are enough runs for another one.
        for _ in 0..MERGES {
            let inputs = self.core.lsm.with(|state| match &state.manifest.merging {
                Some(_) => state.manifest.runs.clone(),
                None => choose(&state.manifest.runs),
            });
            if inputs.is_empty() || !self.merge(&inputs).await? {
                break;
            }
        }
        Ok(true)
    }

    /// Moves the log into a run and raises the history floor. False: another one was first, and the log is where it
    /// was. A tab whose clock is ahead may take the run for abandoned while it is written: then the log is moved anew.
    ///
    /// Boxed, so that its callers share its code.
    pub fn move_log(self: &Rc<Upkeep>) -> LocalFuture<'_, Result<bool>> {
        Box::pin(async move {
            let mut lost = 0;
            loop {
                match self.try_to_move_log().await {
                    Err(error) if error.code() == ErrorCode::Conflict && lost < TRIES => lost += 1,
                    moved => return moved,
                }
                self.core.sweep_strays().await;
                self.rest_between(lost).await;
                self.core.check_open()?;
            }
        })
    }

    fn try_to_move_log(self: &Rc<Upkeep>) -> LocalFuture<'_, Result<bool>> {
        Box::pin(async move {
            // Deleting the records that nothing names any more makes room for the runs that follow.
            self.sweep_dropped().await?;
            if self.core.is_damaged() {
                return self.move_whole_log().await;
            }
            let mut full = self.look_for_room().await;
            if full.is_none() {
                match self.move_whole_log().await {
                    Err(error) if error.is_full() => full = Some(error),
                    moved => return moved,
                }
                self.core.sweep_strays().await;
            }
            // Where nothing would come back, a full disk has no room for writing all of it again.
            let clock = self.core.lsm.with(|state| self.core.clock.agreed(state));
            match full {
                Some(error) if !self.is_worth_at(clock).await? => Err(error),
                _ => self.move_log_in_pieces().await,
            }
        })
    }

    async fn move_whole_log(self: &Rc<Upkeep>) -> Result<bool> {
        let checkpoint =
            self.core.lsm.checkpoint(self.core.platform.random(), self.core.platform.now(), Part::Whole).await?;
        let mut installation = match checkpoint {
            Some(installation) => installation,
            None => Installation::new(self.core.lsm.with(|state| state.manifest.clone())),
        };
        if !self.core.is_damaged() && !planted::is(Bug::FloorRaisedAfterDropping) {
            let clock = self.core.lsm.with(|state| self.core.clock.agreed(state));
            let floor = self.next_floor(installation.checkpoint(), clock).await?;
            installation.raise_floor(floor);
        }
        installation.set_clock(self.core.clock.opened_at());
        if installation.is_idle() { Ok(true) } else { self.core.install(installation).await }
    }

    /// Merges these runs, after what an earlier merge has left to do. False: other tabs were first.
    pub async fn merge(self: &Rc<Upkeep>, inputs: &[Rc<RunDescription>]) -> Result<bool> {
        if inputs.is_empty() || self.core.is_damaged() {
            return Ok(!self.core.is_damaged());
        }
        let merged = self.merge_all(inputs).await;
        // Whatever is left of the blocks that were moved goes with the rest of their run.
        self.core.sweep_strays().await;
        match merged {
            Err(error) if error.code() == ErrorCode::Conflict => Ok(false),
            merged => self.core.note_damage(merged),
        }
    }

    async fn merge_all(self: &Rc<Upkeep>, inputs: &[Rc<RunDescription>]) -> Result<bool> {
        let is_short = self.core.lsm.reserve().is_short();
        if let Some(merging) = self.core.lsm.merging().filter(|_| !is_short) {
            return self.go_on_merging(merging).await;
        }
        let mut chosen: Vec<u64> = inputs.iter().map(|run| run.id).collect();
        // Whatever was committed before the floor was raised must be known: another tab may have made a clone below it.
        self.core.refresh().await?;
        if let Some(installation) = self.core.lsm.without_dead(&self.retention_to_drop_by().await?)
            && !self.core.install(installation).await?
        {
            return Ok(false);
        }
        // The log has moved, in pieces and without what nobody reads; writing the rest again would give nothing back.
        if self.is_emptied().await? {
            return Ok(true);
        }
        // On a full disk dead runs go first, because that needs no room.
        if let Some(merging) = self.core.lsm.merging().filter(|_| is_short) {
            return self.go_on_merging(merging).await;
        }
        let floor = self.core.lsm.with(|state| state.manifest.floor());
        let is_to_feed = |run: &Rc<RunDescription>| run.own_feed().is_some_and(|lsn| lsn > floor);
        for run in inputs.iter().filter(|run| is_to_feed(run)) {
            if !self.core.lsm.with(|state| state.manifest.runs.iter().any(|other| other.id == run.id)) {
                continue;
            }
            self.maintaining.sign(self.core.platform.steady());
            let feed = self.core.platform.random();
            let installation = self.core.lsm.write_feed(run, feed, self.core.platform.now()).await?;
            if !self.core.install(installation).await? {
                return Ok(false);
            }
            chosen.push(feed);
        }
        let runs = self.core.lsm.with(|state| state.manifest.runs.clone());
        let runs: Vec<_> = runs.into_iter().filter(|run| chosen.contains(&run.id)).collect();
        if runs.is_empty() {
            return Ok(true);
        }
        self.go_on_merging(Merging::of(&runs, self.core.platform.random())).await
    }

    /// Merges slice by slice to the end. False: another tab is at it, and this one leaves the merge to that one. Two
    /// that go on side by side would write each slice twice.
    async fn go_on_merging(self: &Rc<Upkeep>, mut merging: Merging) -> Result<bool> {
        let (mut lost, mut found_room, mut slice_bytes) = (0, 0, merging.slice_bytes);
        let (mut is_begun, mut room) = (false, Room::Moves);
        loop {
            self.maintaining.sign(self.core.platform.steady());
            self.core.refresh().await?;
            let before = self.core.lsm.merging();
            let retention = self.retention_to_drop_by().await?;
            let (id, now) = (self.core.platform.random(), self.core.platform.now());
            let merged = match self.core.lsm.merge_slice(&merging, (slice_bytes, room), &retention, id, now).await {
                Ok(slice) => {
                    let is_last = slice.is_last;
                    let (mut installation, moved) = slice.take();
                    installation.set_clock(self.core.clock.opened_at());
                    self.core.install(installation).await.map(|installed| (installed, is_last, moved))
                }
                Err(error) => Err(error),
            };
            let (installed, is_last, moved) = match merged {
                Err(error) if error.is_full() => {
                    self.core.sweep_strays().await;
                    // The reserve is for what gives room back. Other merges have what is free, a small slice at a time.
                    let gives_back = self.gives_back().await?;
                    room = if gives_back { Room::Moves } else { Room::Takes };
                    slice_bytes = match self.core.lsm.smaller_slice(slice_bytes) {
                        Some(smaller) => smaller,
                        None if is_begun && !gives_back => return Ok(true),
                        None => return Err(error),
                    };
                    found_room = 0;
                    continue;
                }
                merged => merged?,
            };
            if !installed {
                lost += 1;
                self.core.sweep_strays().await;
                if lost == TRIES || self.core.lsm.merging() != before {
                    return Ok(false);
                }
                self.rest_between(lost).await;
                continue;
            }
            is_begun = true;
            lost = 0;
            found_room += 1;
            if found_room % WITH_ROOM == 0 {
                slice_bytes = self.core.lsm.larger_slice(&merging, slice_bytes);
            }
            self.core.lsm.delete_moved(&moved).await?;
            self.sweep_dropped().await?;
            if planted::is(Bug::FloorRaisedAfterDropping) {
                let mut late = Installation::new(self.core.lsm.with(|state| state.manifest.clone()));
                late.raise_floor(retention.floor);
                self.core.install(late).await?;
            }
            match self.core.lsm.merging() {
                Some(next) if !is_last => merging = next,
                _ => return Ok(true),
            }
            // Others go first between two slices, and what they have written meanwhile need not wait for all of them.
            self.core.platform.sleep(0).await;
            self.core.check_open()?;
            self.move_log_amid_merge().await?;
        }
    }

    async fn move_log_amid_merge(self: &Rc<Upkeep>) -> Result<()> {
        if self.core.lsm.reserve().is_short() || !self.core.lsm.with(|state| self.is_log_over(state, AMID_MERGE)) {
            return Ok(());
        }
        match self.move_log().await {
            Err(error) if !error.is_full() => Err(error),
            _ => Ok(()),
        }
    }

    /// Rests after the so-many-th time that another tab was first: for a random time, so that two tabs do not meet
    /// again, and longer each time.
    pub(super) async fn rest_between(&self, lost: u32) {
        let platform = &self.core.platform;
        platform.sleep(1 + platform.random() % (WAIT << lost.min(WAIT_DOUBLED))).await;
    }

    /// The versions that stay. Where history ends at a later LSN before all of the catalog is read, the reading begins
    /// again with that floor: below it the catalog may lack the origin of a clone that was dropped, which would be
    /// taken for damage.
    pub(super) async fn retention_to_drop_by(self: &Rc<Upkeep>) -> Result<Retention> {
        for _ in 0..TRIES {
            let floor = self.floor_to_drop_by().await?;
            let read = self.core.read(|state, view| match state.manifest.floor() > floor {
                true => Ok(None),
                false => retention(view, floor).map(Some),
            });
            if let Some(retention) = read.await? {
                return Ok(retention);
            }
            // The commits before that floor must be known too.
            self.core.refresh().await?;
        }
        Err(Error::new(ErrorCode::Conflict, "history ends later and later while it is looked at what must stay"))
    }

    /// The floor as every tab knows it; with the planted bug the one that is to come.
    async fn floor_to_drop_by(self: &Rc<Upkeep>) -> Result<Lsn> {
        let (floor, checkpoint) = self.core.lsm.with(|state| (state.manifest.floor(), state.manifest.checkpoint()));
        if !planted::is(Bug::FloorRaisedAfterDropping) {
            return Ok(floor);
        }
        let clock = self.core.lsm.with(|state| self.core.clock.agreed(state));
        self.next_floor(checkpoint, clock).await
    }

    /// The LSN at which history may end at the time `clock`: the retention decides, but it is never above an LSN that
    /// this engine's own snapshots read, nor above the LSNs in runs.
    pub async fn next_floor(self: &Rc<Upkeep>, checkpoint: Lsn, clock: u64) -> Result<Lsn> {
        // Commits above the oldest snapshot cannot become the floor. Without the bound each maintenance would read the
        // feed of all of them again.
        let checkpoint = self.core.oldest_held().map_or(checkpoint, |held| checkpoint.min(held));
        let floor = self
            .core
            .read(|state, view| {
                let retain = catalog::setting(view, RETAIN_SETTING, state.head)?.unwrap_or(RETAIN);
                if retain == 0 {
                    return Ok(checkpoint);
                }
                oldest_kept(state, view, clock, (retain, checkpoint))
            })
            .await?;
        let kept = floor.min(checkpoint);
        Ok(self.core.oldest_held().map_or(kept, |held| kept.min(held)))
    }
}

/// The newest commit from before `clock - retain` that is no newer than `up_to`: history is cut there. Times need not
/// rise with LSNs, so commits are read from the floor up, and the first young one ends the search.
///
/// ```text
/// retained from time 100 on    LSN 1: 90    LSN 2: 120    LSN 3: 95    gives LSN 1
/// ```
/// LSN 2 is to be kept, so nothing above LSN 1 may go: at LSN 3 the clock had fallen back. A time far ahead of `clock`
/// ends nothing: a clock that was wrong once would otherwise keep all history from then on.
fn oldest_kept(state: &State, view: TreeView<'_>, clock: u64, (retain, up_to): (u64, Lsn)) -> Attempt<Lsn> {
    let (floor, checkpoint) = (state.manifest.floor(), state.manifest.checkpoint());
    let young = clock.saturating_sub(retain).saturating_add(1)..=clock.saturating_add(FAR_AHEAD);
    let mut last = floor;
    let range = feed_range(LayerId::CATALOG, floor.next(), checkpoint.min(up_to).next());
    let mut cursor = RowCursor::new(view, &range, Lsn::NEWEST, false);
    while let Some(row) = cursor.next_row()? {
        let (lsn, written) = decode_feed(&row.row, &row.found(view)?.version)?;
        if young.contains(&written.time) {
            return Ok(last);
        }
        if written.time < *young.start() {
            last = lsn;
        }
    }
    let logged = state.notes.iter().filter(|note| note.lsn > checkpoint && note.lsn <= up_to);
    let old = logged.take_while(|note| !young.contains(&note.time)).filter(|note| note.time < *young.start());
    Ok(old.last().map_or(last, |note| note.lsn))
}
