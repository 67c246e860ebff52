//! Room that is kept for writes that free room. A deletion appends to the log, and a compaction writes before it
//! deletes: on a full disk neither would get through, and such a store could never be emptied. So some records that say
//! nothing lie on the disk. When a write that frees room finds none, they are deleted, and the write is tried again.
//!
//! They are deleted in a transaction of their own, because a host may judge a transaction before its deletions count,
//! and Chromium does. All other writes leave them alone. Where another tab or a crash has left the store without them,
//! it works as one that never had them, until there is room to put them back.

use std::cell::Cell;
use std::rc::Rc;

use crate::error::{Error, Result};
use crate::planted::{self, Bug};
use crate::storage::{Batch, ListRange, LocalFuture, Outcome, Space, Storage};
use crate::types::limits;

/// One part in so many of what is stored is kept, so that a small store pays little.
const STORED_SHARE: u64 = 4;
/// And no more than one part in so many of what the host allows, but this at least, and this at most.
const SHARE: u64 = 32;
/// This takes a manifest, its copy, and one slice of a merge.
const LEAST: u64 = if planted::HAS_FEW_ROWS { 16 * 1024 } else { 256 * 1024 };
/// The largest record of the log is moved into a run with this.
const MOST: u64 = if planted::HAS_FEW_ROWS { 192 * 1024 } else { 1536 * 1024 };
/// The first record of the reserve takes a deletion and two small manifests. An empty store has no other one.
const FIRST_BYTES: usize = 16 * 1024;
/// The log has one part in so many of what the host allows, but no less than this.
const LOG_SHARE: u64 = 16;
const LEAST_LOG: u64 = if planted::HAS_FEW_ROWS { 4 * 1024 } else { 128 * 1024 };
/// However small the runs are.
const LEAST_BESIDE_RUNS: u64 = 512 * 1024;
/// A record of the log has one part in so many, but no less than this.
const RECORD_SHARE: u64 = 64;
const LEAST_RECORD: u64 = if planted::HAS_FEW_ROWS { 1024 * 1024 } else { 64 * 1024 };
const MOST_RECORDS: usize = 64;
/// How many records of the reserve are given up for one write. Another task may put some back in between.
const TRIES: usize = 2 * MOST_RECORDS;
const PREFIX: &str = "reserve/";
const BEHIND: &str = "reserve0";
/// One record more, which tells whether there is room. Where a crash leaves it, it is one of the reserve.
const PROBE: &str = "reserve/probe";

/// How a write changes the room on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    Takes,
    /// It writes again what is deleted elsewhere once it is done. It leaves the last record of the reserve to those
    /// that delete: some hosts give the room of what it replaces back much later.
    Moves,
    /// It deletes, or it is a small write that the deleting waits for.
    Frees,
}

pub struct Reserve {
    storage: Rc<dyn Storage>,
    /// The bytes that the host allows this storage, as far as they are known.
    quota: Cell<Option<u64>>,
    /// The number of records that the reserve should have, and the number that it had when this tab listed it last.
    wanted: Cell<usize>,
    there: Cell<usize>,
    /// A write has found no room, and none that takes room has succeeded since.
    is_short: Cell<bool>,
    /// While room was short something was deleted, and nobody has asked since.
    has_freed: Cell<bool>,
    /// While room was short a write has failed, and nobody has asked since.
    has_failed: Cell<bool>,
}

fn is_full<T>(result: &Result<T>) -> bool {
    result.as_ref().is_err_and(Error::is_full)
}

impl Reserve {
    pub(super) fn of(storage: Rc<dyn Storage>) -> Reserve {
        Reserve {
            storage,
            quota: Cell::default(),
            wanted: Cell::new(1),
            there: Cell::default(),
            is_short: Cell::default(),
            has_freed: Cell::default(),
            has_failed: Cell::default(),
        }
    }

    /// True if a write has found no room, and no write that takes room has succeeded since.
    pub fn is_short(&self) -> bool {
        self.is_short.get()
    }

    /// A commit has deleted something.
    pub fn note_freed(&self) {
        self.has_freed.set(self.is_short());
    }

    /// A commit has found no room. Maintenance may give some back.
    pub fn note_full(&self, error: &Error) {
        self.has_failed.set(self.has_failed.get() || error.is_full());
    }

    /// True if a commit has deleted something while room was short, and no maintenance has begun since.
    pub fn has_freed(&self) -> bool {
        self.is_short() && self.has_freed.get()
    }

    /// True if commits wait for room, and maintenance may give some back.
    pub fn is_waited_for(&self) -> bool {
        self.is_short() && (self.has_freed.get() || self.has_failed.get())
    }

    /// Maintenance begins.
    pub fn begin(&self) {
        self.has_freed.set(false);
        self.has_failed.set(false);
    }

    /// A write that takes room has succeeded.
    pub fn has_room(&self) {
        self.is_short.set(false);
    }

    /// How large the log may grow of itself over runs of so many bytes, and `most` where nothing limits the store.
    /// Chromium tells pages a quota that is not the one it holds them to, so the log has a third of a store at most.
    pub fn log_bytes(&self, most: u64, runs: u64) -> u64 {
        let Some(quota) = self.quota.get() else { return most };
        let beside_runs = (runs / 2).max(LEAST_BESIDE_RUNS);
        (quota / LOG_SHARE).max(LEAST_LOG).min(beside_runs).min(most)
    }

    /// How much of a commit may be one record of the log. The room that a record takes must be enough to move it.
    pub fn commit_in_log_bytes(&self) -> usize {
        let most = limits::COMMIT_IN_LOG_BYTES as u64;
        let allowed = self.quota.get().map_or(most, |quota| quota / RECORD_SHARE);
        allowed.clamp(LEAST_RECORD, most) as usize
    }

    fn record_bytes(&self, number: usize) -> usize {
        if number == 0 { FIRST_BYTES } else { self.storage.spare_bytes() }
    }

    /// About how much can be written with the reserve alone.
    pub fn bytes(&self) -> u64 {
        (0..self.wanted.get()).map(|number| self.record_bytes(number) as u64).sum()
    }

    fn wanted_for(&self, stored: u64) -> usize {
        let most = self.quota.get().map_or(MOST, |quota| (quota / SHARE).clamp(LEAST, MOST));
        1 + (stored / STORED_SHARE).min(most) as usize / self.storage.spare_bytes()
    }

    /// Writes a batch. One that frees room takes the reserve's, record by record, until it fits.
    pub fn write(self: &Rc<Reserve>, batch: Batch, room: Room) -> LocalFuture<'static, Result<Outcome>> {
        let this = self.clone();
        Box::pin(async move {
            let room = if planted::is(Bug::ReserveForAnyWrite) { Room::Frees } else { room };
            // A batch that moves is large, so it is copied only where room is known to be short.
            let is_kept = room == Room::Frees || room == Room::Moves && this.is_short.get();
            let spare = is_kept.then(|| batch.clone());
            let mut written = this.storage.write(batch).await;
            for _ in 0..TRIES {
                if !is_full(&written) {
                    break;
                }
                this.is_short.set(true);
                let Some(batch) = &spare else { break };
                // A record that cannot be given up gives no room, and the write has failed for the want of room.
                if !this.give_up(room).await.unwrap_or(false) {
                    break;
                }
                written = this.storage.write(batch.clone()).await;
            }
            written
        })
    }

    /// Deletes one record of the reserve. False: there is none for such a write.
    async fn give_up(&self, room: Room) -> Result<bool> {
        self.there.set(0);
        let mut found = self.records().await?;
        // A tab that has opened the store lately may not know how many other tabs have made.
        let made = found.iter().filter(|name| *name != PROBE).count();
        self.wanted.set(self.wanted.get().max(made));
        let Some(last) = found.pop().filter(|_| room == Room::Frees || !found.is_empty()) else { return Ok(false) };
        self.storage.write(Batch { delete: vec![(Space::Meta, last)], ..Batch::default() }).await?;
        Ok(true)
    }

    async fn records(&self) -> Result<Vec<String>> {
        let range = ListRange { from: Some(PREFIX.into()), before: Some(BEHIND.into()), limit: MOST_RECORDS };
        self.storage.names(Space::Meta, range).await
    }

    /// Makes the reserve of a store that has so many bytes, where some of it is missing. It grows with the store.
    pub async fn keep(&self, stored: u64) -> Result<()> {
        // Another tab may have given up some records, and may have died before it put them back.
        self.there.set(self.records().await?.len());
        if self.there.get() < self.wanted_for(stored) {
            self.quota.set(self.storage.quota().await);
        }
        self.wanted.set(self.wanted_for(stored).max(self.wanted.get()));
        match self.is_short() {
            true => self.look_for_room().await,
            false if self.there.get() < self.wanted.get() => self.make().await,
            false => Ok(()),
        }
    }

    /// Puts what is missing of the reserve, or as much of it as has room: one record at a time, so that no commit waits
    /// for more than one. QUOTA_EXCEEDED: something is still missing.
    pub fn make(&self) -> LocalFuture<'_, Result<()>> {
        Box::pin(async move {
            if !self.storage.is_lasting() || planted::is(Bug::ReserveNotMadeAgain) && self.is_short.get() {
                return Ok(());
            }
            let (wanted, found) = (self.wanted.get(), self.records().await?);
            for number in 0..wanted {
                let name = format!("{PREFIX}{number:04}");
                if !found.contains(&name) {
                    // Refused: another tab has just made it.
                    let made = self.put(name, number).await;
                    self.is_short.set(self.is_short() || is_full(&made));
                    made?;
                }
            }
            self.there.set(wanted);
            Ok(())
        })
    }

    /// Looks whether the reserve and one record more have room, and then takes room for no longer short.
    pub async fn look_for_room(&self) -> Result<()> {
        self.make().await?;
        self.put(PROBE.into(), 1).await?;
        self.storage.write(Batch { delete: vec![(Space::Meta, PROBE.into())], ..Batch::default() }).await?;
        self.has_room();
        Ok(())
    }

    async fn put(&self, name: String, number: usize) -> Result<Outcome> {
        let absent = vec![(Space::Meta, name.clone())];
        // A host that packs what it stores would keep nothing of zeros.
        let put = vec![(Space::Meta, name, noise(number as u64, self.record_bytes(number)))];
        self.storage.write(Batch { put, absent, ..Batch::default() }).await
    }
}

/// Bytes that nothing packs.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed;
    let mut word = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state ^ (state >> 33)).to_be_bytes()
    };
    (0..bytes.div_ceil(8)).flat_map(|_| word()).take(bytes).collect()
}
