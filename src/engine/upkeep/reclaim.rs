//! Footprint that comes back: what is worth a merge of all runs, and the figures that tell it (SEMANTICS C10).

use std::rc::Rc;

use super::Upkeep;
use super::room::run_bytes;
use crate::engine::catalog::retention::retention;
use crate::error::{Error, Result};
use crate::lsm::{Footprint, Manifest, State, TreeView, choose_all};
use crate::types::Lsn;

/// Less than this is worth no merge of everything.
const WORTH_BYTES: u64 = 1024 * 1024;
/// One part in so many is worth one on a full disk.
const WORTH_PART: u64 = 16;
/// How often another tab may be first, before `compact` leaves it to that one.
const TRIES: u32 = 8;

/// The figures that `stats()` tells.
#[derive(Clone, Copy, Default, Debug)]
pub struct Stats {
    /// Versions in runs and in the log, tombstones too.
    pub rows: u64,
    pub blocks: u64,
    pub block_bytes: u64,
    /// Bytes of what is read; the rest goes at a compaction, once history has passed it: versions that newer ones
    /// replace, as far as runs tell, deleted rows, layers that nobody names.
    pub live_bytes: u64,
    pub reclaimable_bytes: u64,
    pub log_entries: u64,
    pub log_bytes: u64,
    pub cache_hits: u64,
    pub cache_misses: u64,
    pub cached_bytes: u64,
    /// True if the host has a place outside of the store that would tell if the store was wiped.
    pub witness: bool,
    /// Commits that the host lost, unpromised, before the store was opened: `relaxed` ones, at a power cut.
    pub lost_commits: u64,
}

/// The manifest's checkpoint and groups that a compaction found once the log was moved.
struct Begun {
    checkpoint: u64,
    groups: Vec<u64>,
}

impl Begun {
    fn of(manifest: &Manifest) -> Begun {
        let groups = manifest.runs.iter().map(|run| run.group());
        let merging = manifest.merging.iter().map(|merging| merging.group);
        Begun { checkpoint: manifest.checkpoint, groups: groups.chain(merging).collect() }
    }

    /// True if the runs up to that checkpoint are all in one merge that has begun since, whichever tab has made that
    /// merge: a second merge would write all of them again.
    fn is_merged_in(&self, manifest: &Manifest) -> bool {
        let mut groups = manifest.runs.iter().filter(|run| run.oldest <= self.checkpoint).map(|run| run.group());
        let first = groups.next();
        manifest.merging.is_none()
            && groups.all(|group| Some(group) == first)
            && first.is_none_or(|group| !self.groups.contains(&group))
    }
}

impl Upkeep {
    /// `witness`: whether there is one, and how many commits it says were lost.
    pub async fn stats(&self, witness: (bool, u64)) -> Result<Stats> {
        self.core
            .read(|state, view| {
                let cache = state.tree.cache.figures();
                let runs = || state.tree.runs().iter();
                let space = view.footprint(&retention(view, state.head)?, Lsn::NEWEST)?;
                Ok(Stats {
                    rows: runs().map(|run| run.entries).sum::<u64>() + state.tree.memtable.len() as u64,
                    blocks: runs().map(|run| u64::from(run.blocks)).sum(),
                    block_bytes: runs().map(|run| run.bytes).sum(),
                    live_bytes: space.total - space.reclaimable,
                    reclaimable_bytes: space.reclaimable,
                    log_entries: state.log_entries(),
                    log_bytes: state.log_bytes(),
                    cache_hits: cache.hits,
                    cache_misses: cache.misses,
                    cached_bytes: cache.bytes as u64,
                    witness: witness.0,
                    lost_commits: witness.1,
                })
            })
            .await
    }

    /// Moves the log into a run, ends history where the retention says, merges all runs into one, and drops everything
    /// that nobody can read. Calls that wait for the same turn share one compaction, and its outcome.
    pub async fn compact_all(self: &Rc<Upkeep>) -> Result<()> {
        let begun = self.compactions.get();
        self.looked_after().await;
        // Maintenance that is under way would move the rest of the log into a run without this compaction's knowledge.
        let _alone = self.alone().await?;
        // A compaction that began after this call has merged all that the call found. Each further one would write
        // everything again, and calls that wait behind one another would wait for many of them.
        if let Some((number, compacted)) = &*self.compacted.borrow()
            && *number > begun
        {
            return compacted.clone();
        }
        let number = self.compactions.get() + 1;
        self.compactions.set(number);
        let compacted = self.compact_now().await;
        self.compacted.replace(Some((number, compacted.clone())));
        compacted
    }

    async fn compact_now(self: &Rc<Upkeep>) -> Result<()> {
        self.core.lsm.reserve().begin();
        let was_short = self.core.lsm.reserve().is_short();
        let mut compacted = self.compact_runs().await;
        self.core.sweep_strays().await;
        // The compaction that found out that the disk is full was not told to take the reserve.
        if !was_short && compacted.as_ref().is_err_and(Error::is_full) {
            compacted = self.compact_runs().await;
            self.core.sweep_strays().await;
        }
        self.keep_reserve().await;
        compacted
    }

    async fn compact_runs(self: &Rc<Upkeep>) -> Result<()> {
        let (mut begun, mut full) = (None, None);
        for round in 1..=TRIES {
            // Nothing else is merged: all of it would be written again by the merge of everything.
            let mut is_first = match self.move_log().await {
                Ok(is_moved) => {
                    full = full.filter(|_| !is_moved);
                    is_moved
                }
                // The runs may give back enough for the log the next time.
                Err(error) if error.is_full() && full.is_none() => full.insert(error).is_full(),
                Err(error) => return Err(error),
            };
            if is_first {
                if full.is_none() {
                    begun.get_or_insert_with(|| self.core.lsm.with(|state| Begun::of(&state.manifest)));
                }
                // Another tab may have merged everything while this one rested.
                if !self.has_merged(&begun) {
                    let runs = self.core.lsm.with(|state| choose_all(&state.manifest.runs));
                    is_first = self.merge(&runs).await?;
                }
            }
            let is_done = self.has_merged(&begun) || is_first && self.is_emptied().await?;
            if self.core.is_damaged() || full.is_none() && is_done {
                break;
            }
            if !is_first {
                self.rest_between(round).await;
                self.core.check_open()?;
            }
        }
        if let Some(error) = full {
            return Err(error);
        }
        self.sweep().await?;
        self.look_after().await
    }

    fn has_merged(&self, begun: &Option<Begun>) -> bool {
        let is_merged = |begun: &Begun| self.core.lsm.with(|state| begun.is_merged_in(&state.manifest));
        begun.as_ref().is_some_and(is_merged)
    }

    /// Merges everything if more than half of it would go, where history ends at `floor`.
    pub async fn reclaim(self: &Rc<Upkeep>) -> Result<()> {
        let floor = self.core.lsm.with(|state| state.manifest.floor());
        let space = self.footprint_below(floor).await?;
        if !self.is_worth(space) || space.total <= 2 * self.left_bytes.get() {
            return Ok(());
        }
        let runs = self.core.lsm.with(|state| choose_all(&state.manifest.runs));
        if self.merge(&runs).await? {
            // A merge that gave too little back is not repeated until the store is twice as large.
            let left = self.footprint_below(floor).await?;
            self.left_bytes.set(if self.is_worth(left) { left.total } else { 0 });
        }
        Ok(())
    }

    /// Once the store is open: the room of rows that were deleted long ago comes back without a call.
    pub async fn reclaim_if_worth(self: &Rc<Upkeep>) -> Result<()> {
        let bytes = self.core.lsm.with(run_bytes);
        if bytes <= WORTH_BYTES || self.core.is_damaged() {
            return Ok(());
        }
        let clock = self.core.lsm.with(|state| self.core.clock.agreed(state));
        if self.is_worth_at(clock).await? {
            if let Some(_running) = self.maintaining.begin(self.core.platform.steady()) {
                let done = self.maintain_if_free(true).await;
                self.rest_after(&done);
                return done;
            }
        } else if self.is_worth_at(self.core.clock.opened_at()).await? {
            self.write_clock().await?;
        }
        Ok(())
    }

    /// True if a merge would give much room back if the clock were this time.
    pub(super) async fn is_worth_at(self: &Rc<Upkeep>, clock: u64) -> Result<bool> {
        let floor = self.next_floor(self.core.head(), clock).await?;
        Ok(self.is_worth(self.footprint_below(floor).await?))
    }

    /// True if a merge of everything would give some room back.
    pub(super) async fn gives_back(self: &Rc<Upkeep>) -> Result<bool> {
        let floor = self.core.lsm.with(|state| state.manifest.floor());
        Ok(self.is_worth(self.footprint_below(floor).await?))
    }

    /// True if the disk is full, and a merge of everything would give no room back.
    pub(super) async fn is_emptied(self: &Rc<Upkeep>) -> Result<bool> {
        Ok(self.core.lsm.reserve().is_short() && !self.gives_back().await?)
    }

    fn is_worth(&self, space: Footprint) -> bool {
        if self.core.lsm.reserve().is_short() {
            return space.reclaimable > space.total / WORTH_PART;
        }
        space.reclaimable > WORTH_BYTES && space.reclaimable > space.total / 2
    }

    /// As it would be with the floor there, or where the floor is by now: the catalog is not kept whole below that.
    fn footprint_below(self: &Rc<Upkeep>, floor: Lsn) -> impl Future<Output = Result<Footprint>> {
        let read = move |state: &State, view: TreeView<'_>| {
            let floor = floor.max(state.manifest.floor());
            view.footprint(&retention(view, floor)?, floor)
        };
        self.core.read(read)
    }
}
