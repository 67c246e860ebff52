//! Swapping the manifest: one small transaction, guarded by the version of the one that it replaces.

use super::checkpoint::{drop_place, job_place};
use super::head_mark::HeadMark;
use super::manifest::Manifest;
use super::store::Lsm;
use crate::error::Result;
use crate::storage::{Batch, Durability, ListRange, Space};
use crate::types::Lsn;

/// Blocks deleted in one transaction.
const DELETE: usize = 256;

/// The next manifest, and what goes with it in the same transaction.
pub struct Installation {
    manifest: Manifest,
    base: u64,
    batch: Batch,
}

impl Installation {
    /// `manifest` is made from the present one; it gets the next version and a new epoch, so that whoever stands on the
    /// old one must look again before it commits.
    pub fn new(mut manifest: Manifest) -> Installation {
        let mut batch = Batch { durability: Durability::Strict, ..Batch::default() };
        let (space, name) = manifest.fence();
        batch.put.push((space, name, Vec::new()));
        batch.delete.push(manifest.place());
        batch.delete.push(manifest.copy_place());
        batch.present.push(manifest.place());
        let base = manifest.version;
        manifest.version += 1;
        manifest.epoch += 1;
        batch.absent.push(manifest.place());
        Installation { manifest, base, batch }
    }

    /// History below `floor` is gone from here on; whoever would pin it must look again first.
    pub fn raise_floor(&mut self, floor: Lsn) {
        self.manifest.floor = self.manifest.floor.max(floor.0);
    }

    /// Numbers up to `used` were given to commits, of which some are lost: the next one gets a number above.
    pub fn skip_to(&mut self, used: Lsn, hash: u64) {
        if used.0 > self.manifest.checkpoint {
            self.manifest.checkpoint = used.0;
            self.manifest.hash = hash;
            let (space, name) = HeadMark::place();
            self.batch.put.push((space, name, HeadMark { head: used, hash }.encode()));
        }
    }

    /// The checkpoint that this installation makes.
    pub fn checkpoint(&self) -> Lsn {
        self.manifest.checkpoint()
    }

    pub fn set_clock(&mut self, clock: u64) {
        self.manifest.clock = clock;
    }

    pub fn trim(&mut self, names: Vec<String>) {
        self.batch.delete.extend(names.into_iter().map(|name| (Space::Log, name)));
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
        let Installation { manifest, base, mut batch } = installation;
        if self.with(|state| state.manifest.version) != base {
            return Ok(false);
        }
        let (space, name) = manifest.place();
        let bytes = manifest.encode();
        let (_, copy) = manifest.copy_place();
        batch.put.push((space, copy, bytes.clone()));
        batch.put.push((space, name, bytes));
        if !self.storage().write(batch).await? {
            return Ok(false);
        }
        self.adopt(manifest)?;
        Ok(true)
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
        self.storage().write(Batch { present: vec![place.clone()], delete: vec![place], ..Batch::default() }).await
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
