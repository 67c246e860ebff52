//! Swapping the manifest: one small transaction, guarded by the version of the one that it replaces.
//!
//! A swap that raises the history floor appends a commit that changes nothing. A tab which has not read it appends what
//! does not count, so no commit can rest on what lies below the floor without having seen the floor.

use super::checkpoint::{drop_place, job_place};
use super::head_mark::HeadMark;
use super::hot;
use super::manifest::Manifest;
use super::record::{self, Commit, Head, Record};
use super::store::Lsm;
use crate::error::Result;
use crate::storage::{Batch, Durability, ListRange, Space};
use crate::types::Lsn;

/// Blocks deleted in one transaction.
const DELETE: usize = 256;
/// How often other tabs' commits may come between.
const TRIES: usize = 8;

/// The next manifest, and what goes with it in the same transaction.
pub struct Installation {
    manifest: Manifest,
    base: u64,
    batch: Batch,
    /// Whether no commit may follow that has not seen it.
    closes: bool,
}

impl Installation {
    /// `manifest` is made from the present one, and gets the next version.
    pub fn new(mut manifest: Manifest) -> Installation {
        let mut batch = Batch { durability: Durability::Strict, ..Batch::default() };
        batch.delete.push(manifest.place());
        batch.delete.push(manifest.copy_place());
        batch.delete.push(hot::place(&manifest));
        batch.present.push(manifest.place());
        let base = manifest.version;
        manifest.version += 1;
        batch.absent.push(manifest.place());
        Installation { manifest, base, batch, closes: false }
    }

    /// History below `floor` is gone from here on; whoever would pin it must look again first.
    pub fn raise_floor(&mut self, floor: Lsn) {
        self.closes |= floor > self.manifest.floor();
        self.manifest.floor = self.manifest.floor.max(floor.0);
    }

    /// Numbers up to `used` were given to commits, of which some are lost: the next one gets a number above.
    pub fn skip_to(&mut self, used: Lsn, hash: u64) {
        if used.0 > self.manifest.checkpoint {
            self.manifest.checkpoint = used.0;
            self.manifest.hash = hash;
        }
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

    /// The run is named by the manifest from here on; if its job was swept, nothing is installed.
    pub fn finish_job(&mut self, run: u64) {
        self.batch.present.push(job_place(run));
        self.batch.delete.push(job_place(run));
    }

    /// The run is named no more: its blocks are to be deleted, by whoever gets to it.
    pub fn drop_run(&mut self, run: u64) {
        let (space, name) = drop_place(run);
        self.batch.put.push((space, name, Vec::new()));
    }
}

impl Lsm {
    /// Swaps the manifest. False: another tab was first, and nothing is changed. Only with nothing staged.
    pub async fn install(&self, installation: Installation) -> Result<bool> {
        let Installation { manifest, base, mut batch, closes } = installation;
        let (space, name) = manifest.place();
        let bytes = manifest.encode();
        let (_, copy) = manifest.copy_place();
        batch.put.push((space, copy, bytes.clone()));
        batch.put.push((space, name, bytes));
        batch.trim = manifest.log;
        for _ in 0..TRIES {
            if self.with(|state| state.manifest.version) != base {
                return Ok(false);
            }
            let mut batch = batch.clone();
            let mark = self.head_mark();
            let is_behind = mark.head < manifest.checkpoint();
            let of_manifest = || HeadMark { head: manifest.checkpoint(), hash: manifest.hash };
            batch.put.push(if is_behind { of_manifest() } else { mark }.record());
            if closes {
                let head = self.with(|state| state.log_head());
                batch.last = Some(head.number);
                batch.append = self.closing_record(head);
            }
            if self.storage().write(batch).await?.is_written() {
                self.adopt(manifest)?;
                if closes {
                    self.refresh().await?;
                }
                return Ok(true);
            }
            // Another tab has swapped it, or has only committed meanwhile.
            self.refresh().await?;
        }
        Ok(false)
    }

    fn head_mark(&self) -> HeadMark {
        self.with(|state| HeadMark { head: state.head, hash: state.head_hash() })
    }

    /// Writes down which record is the last, apart from the log.
    pub async fn mark_head(&self, durability: Durability) -> Result<()> {
        let put = vec![self.head_mark().record()];
        self.storage().write(Batch { put, durability, ..Batch::default() }).await.map(drop)
    }

    fn closing_record(&self, head: Head) -> Vec<Vec<u8>> {
        let time = self.with(|state| state.notes.last().map_or(state.manifest.time, |note| note.time));
        let commit = Commit { id: 0, time, changes: Vec::new(), run: None, unsent: false };
        let record = Record { first: head.lsn.next().0, previous: head.hash, commits: vec![commit] };
        let (body, hash) = record.encode();
        record::split(&body, hash)
    }

    /// Deletes the blocks of runs that are named no more, and of runs whose writer is gone since before `abandoned`.
    pub async fn sweep(&self, abandoned: u64) -> Result<()> {
        let jobs = self.storage().list(Space::Jobs, ListRange { limit: DELETE, ..ListRange::default() }).await?;
        for (name, bytes) in jobs {
            let began = bytes.try_into().map_or(0, u64::from_be_bytes);
            let run = name.rsplit('-').next().and_then(|id| u64::from_str_radix(id, 16).ok());
            let Some(run) = run else { continue };
            let is_named = self.with(|state| state.tree.runs.iter().any(|other| other.id == run));
            if name.starts_with("drop-") && !is_named {
                self.delete_blocks(run).await?;
                self.forget_job(name).await?;
            } else if name.starts_with("run-") && !is_named && began < abandoned && self.forget_job(name).await? {
                // Without its job record the run can never be named: its writer must begin anew.
                self.delete_blocks(run).await?;
            }
        }
        Ok(())
    }

    /// Whether the run that is being written is still its writer's.
    pub async fn has_job(&self, run: u64) -> Result<bool> {
        let (space, name) = job_place(run);
        Ok(self.storage().read(space, &[name]).await?.iter().all(Option::is_some))
    }

    /// Takes back a run whose commit will not come. What fails here is left for the next sweep.
    pub async fn abandon_run(&self, run: u64) {
        let (_, name) = job_place(run);
        if self.forget_job(name).await.is_ok() {
            let _ = self.delete_blocks(run).await;
        }
    }

    async fn forget_job(&self, name: String) -> Result<bool> {
        let place = (Space::Jobs, name);
        let batch = Batch { present: vec![place.clone()], delete: vec![place], ..Batch::default() };
        Ok(self.storage().write(batch).await?.is_written())
    }

    /// Deletes all blocks of a run that nobody names.
    pub async fn delete_blocks(&self, run: u64) -> Result<()> {
        let range =
            ListRange { from: Some(format!("{run:016x}-")), before: Some(format!("{run:016x}.")), limit: DELETE };
        loop {
            let listed = self.storage().list(Space::Blocks, range.clone()).await?;
            if listed.is_empty() {
                return Ok(());
            }
            let delete = listed.into_iter().map(|(name, _)| (Space::Blocks, name)).collect();
            self.storage().write(Batch { delete, ..Batch::default() }).await?;
        }
    }
}
