//! Swapping the manifest: one small transaction, guarded by the version of the one that it replaces.
//!
//! A swap that raises the history floor appends a commit that changes nothing. A tab which has not read it appends what
//! does not count, so no commit can rest on what lies below the floor without having seen the floor.

use std::rc::Rc;

use super::head_mark::HeadMark;
use super::manifest::{Manifest, Merging};
use super::record::{self, Commit, Head, Record};
use super::run::RunDescription;
use super::state::State;
use super::store::Lsm;
use super::unnamed::UnnamedRun;
use crate::error::Result;
use crate::planted::{self, Bug};
use crate::storage::{Batch, Durability, ListRange, Place, Space};
use crate::types::{Lsn, limits};

/// The record of a run whose blocks are nobody's any more, until they are deleted.
pub fn drop_place(run: u64) -> Place {
    (Space::Jobs, format!("drop-{run:016x}"))
}

/// Runs swept at once.
const SWEEP: usize = 256;
/// How often other tabs' commits may come between.
const TRIES: usize = 8;

/// The next manifest, and what goes with it in the same transaction.
pub struct Installation {
    manifest: Manifest,
    base: u64,
    batch: Batch,
    /// Runs that the manifest names from then on.
    named: Vec<Rc<UnnamedRun>>,
    floor_before: u64,
    /// Whether no commit may follow that has not seen it.
    closes: bool,
}

impl Installation {
    /// `manifest` is made from the present one, and gets the next version.
    pub fn new(mut manifest: Manifest) -> Installation {
        let mut batch = Batch { durability: Durability::Strict, ..Batch::default() };
        batch.delete.push(manifest.place());
        batch.delete.push(manifest.copy_place());
        batch.delete.push(manifest.hot_place());
        batch.present.push(manifest.place());
        let base = manifest.version;
        manifest.version += 1;
        batch.absent.push(manifest.place());
        let floor_before = manifest.floor;
        Installation { manifest, base, batch, named: Vec::new(), floor_before, closes: false }
    }

    /// History below `floor` is gone from here on; whoever would pin it must look again first.
    pub fn raise_floor(&mut self, floor: Lsn) {
        self.closes |= floor > self.manifest.floor();
        self.manifest.floor = self.manifest.floor.max(floor.0);
    }

    /// What could not be read of the log is given up: its numbers, up to `used` for commits and up to `number` for
    /// records, are not given again, and as another store it is left by every tab that knows more of it than is left.
    pub fn begin_anew(&mut self, store: u64, used: Lsn, number: u64) {
        self.manifest.store = store;
        self.manifest.leave_out(used);
        self.manifest.hash = store;
        self.trim(number);
        self.closes = true;
    }

    /// The checkpoint that this installation makes.
    pub fn checkpoint(&self) -> Lsn {
        self.manifest.checkpoint()
    }

    pub fn set_clock(&mut self, clock: u64) {
        self.manifest.clock = clock;
    }

    /// All of the log up to `number` stands in runs, or cannot be read.
    pub fn trim(&mut self, number: u64) {
        self.manifest.log = self.manifest.log.max(number);
    }

    /// The manifest names the run from here on. If it was taken for abandoned, nothing is installed.
    pub fn name(&mut self, run: Rc<UnnamedRun>) {
        self.manifest.runs.push(run.description.clone());
        if !planted::is(Bug::AbandonedJobServed) {
            run.name_in(&mut self.batch);
        }
        self.named.push(run);
    }

    /// A merge goes on so, with these of its inputs left; `None`: it is at its end.
    pub(super) fn go_on_with(&mut self, merging: Option<Merging>, left: Vec<Rc<RunDescription>>) {
        self.manifest.merging = merging;
        self.manifest.runs.extend(left);
    }

    /// A record that goes with the swap.
    pub fn put(&mut self, (space, name): Place, bytes: Vec<u8>) {
        self.batch.put.push((space, name, bytes));
    }

    /// The run is named no more: its blocks are to be deleted, by whoever gets to it.
    pub fn drop_run(&mut self, run: u64) {
        if planted::is(Bug::MergedRunsForgotten) {
            return;
        }
        let (space, name) = drop_place(run);
        self.batch.put.push((space, name, Vec::new()));
    }

    /// The floor stays where it was.
    fn leave_floor(&mut self) {
        self.manifest.floor = self.floor_before;
        self.closes = false;
    }

    /// All that is written at once, for a log that stands at `head`.
    pub(super) fn batch(&self, head: Head, time: u64) -> Batch {
        let mut batch = self.batch.clone();
        let (space, name) = self.manifest.place();
        let bytes = self.manifest.encode();
        let (_, copy) = self.manifest.copy_place();
        batch.put.push((space, copy, bytes.clone()));
        batch.put.push((space, name, bytes));
        batch.trim = self.manifest.log;
        let of_manifest = self.manifest.head();
        let is_ahead = head.store == of_manifest.store && head.lsn > of_manifest.lsn;
        let head = Head { number: head.number.max(of_manifest.number), ..if is_ahead { head } else { of_manifest } };
        batch.put.push(HeadMark::of(head).record());
        if self.closes {
            batch.last = Some(head.number);
            batch.append = closing_record(head, time);
        }
        batch
    }
}

/// A commit that changes nothing: whoever has not read it appends what does not count.
fn closing_record(head: Head, time: u64) -> Vec<Vec<u8>> {
    let commits = vec![Commit { time, ..Commit::default() }];
    let record = Record { store: head.store, first: head.lsn.next().0, previous: head.hash, commits };
    let (body, hash) = record.encode();
    record::split(&body, hash, limits::RECORD_BYTES)
}

impl Lsm {
    /// Swaps the manifest. False: another tab was first, and nothing is changed. Only with nothing staged.
    pub async fn install(&self, mut installation: Installation) -> Result<bool> {
        if let Some(hot) = self.pack_hot(&installation.manifest.runs).await {
            let (space, name) = installation.manifest.hot_place();
            installation.batch.put.push((space, name, hot));
        }
        for attempt in 0..2 * TRIES {
            if self.with(|state| state.manifest.version) != installation.base {
                return Ok(false);
            }
            if attempt == TRIES {
                // Others commit without a pause. The log must be trimmed all the same; history can wait.
                installation.leave_floor();
            }
            let (head, time) = self.with(|state| {
                let time = state.notes.last().map_or(state.manifest.time, |note| note.time);
                (state.log_head(), time)
            });
            if self.storage().write(installation.batch(head, time)).await?.is_written() {
                let Installation { manifest, closes, named, .. } = installation;
                named.iter().for_each(|run| run.is_named());
                self.adopt(manifest)?;
                if closes {
                    self.refresh().await?;
                }
                return Ok(true);
            }
            // Another tab has swapped it or swept its run, or has only committed meanwhile.
            self.refresh().await?;
            if !installation.closes {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Writes down which record is the last, apart from the log.
    pub async fn mark_head(&self, durability: Durability) -> Result<()> {
        let put = vec![HeadMark::of(self.with(State::log_head)).record()];
        self.storage().write(Batch { put, durability, ..Batch::default() }).await.map(drop)
    }

    /// Deletes the blocks of runs that are named no more, and of runs whose writer is gone since before `abandoned`.
    pub async fn sweep(&self, abandoned: u64) -> Result<()> {
        let range = ListRange { from: Some("drop-".into()), before: Some("run.".into()), limit: SWEEP };
        let jobs = self.storage().list(Space::Jobs, range).await?;
        for (name, bytes) in jobs {
            let began = bytes.try_into().map_or(0, u64::from_be_bytes);
            let run = name.rsplit('-').next().and_then(|id| u64::from_str_radix(id, 16).ok());
            let Some(run) = run else { continue };
            let is_named = self.with(|state| state.tree.runs.iter().any(|other| other.id == run));
            let is_named = is_named || planted::is(Bug::AbandonedTakenForWritten) && name.starts_with("run-");
            let is_abandoned = name.starts_with("run-") && began < abandoned;
            if !is_named && (is_abandoned || name.starts_with("drop-")) {
                self.delete_run(run, (Space::Jobs, name)).await?;
            }
        }
        Ok(())
    }

    /// Deletes a run's job record and with it all of its blocks, of which none is read. Without its job record the run
    /// can never be named; and blocks that stayed without a record would be found by nobody. Where the record is gone,
    /// another tab has named the run or deleted it, and nothing is done.
    pub(super) async fn delete_run(&self, run: u64, job: Place) -> Result<()> {
        let delete_range = vec![(Space::Blocks, format!("{run:016x}-"), format!("{run:016x}."))];
        let batch = Batch { present: vec![job.clone()], delete: vec![job], delete_range, ..Batch::default() };
        self.storage().write(batch).await.map(drop)
    }
}
