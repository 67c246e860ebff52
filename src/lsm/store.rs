//! The state of one opened store and the ways in which it changes: opening, staging, writing, taking in others'
//! commits.
//!
//! Only one task at a time may stage, write or refresh (the engine's pipeline is that task); reading needs no such
//! order.

use std::cell::RefCell;
use std::rc::Rc;

use super::fault::BlockReference;
use super::head_mark::HeadMark;
use super::manifest::Manifest;
use super::record::{self, Change, Commit, Record};
use super::run::RunDescription;
use super::tail;
use super::tree::{Loaded, Tree};
use crate::error::{Error, ErrorCode, Result};
use crate::planted::{self, Bug};
use crate::storage::{Batch, Durability, Space, Storage};
use crate::types::{Bytes, Lsn};

/// What is kept in memory of a commit that the log still holds.
#[derive(Clone, Debug)]
pub struct Note {
    pub lsn: Lsn,
    pub id: u64,
    pub time: u64,
    pub rows: Rc<[Vec<u8>]>,
    pub run: Option<Rc<RunDescription>>,
}

/// A record of the log, as far as trimming it must know.
pub struct Logged {
    first: Lsn,
    pub last: Lsn,
    /// Of its body.
    bytes: usize,
    pub hash: u64,
}

impl Logged {
    /// The names of its parts.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let first = self.first;
        (0..record::parts(self.bytes)).map(move |part| record::part_name(first, part))
    }
}

pub struct State {
    pub tree: Tree,
    pub manifest: Manifest,
    /// The last commit that this engine knows to be complete.
    pub head: Lsn,
    head_hash: u64,
    /// Commits of the log, oldest first.
    pub notes: Vec<Note>,
    /// Commits being written: their versions are in the memtable above the head, where no snapshot reads.
    staged: Vec<Commit>,
    /// The log's records, oldest first.
    pub records: Vec<Logged>,
    /// The last commit that changed the catalog's layer.
    pub catalog_changed: Lsn,
}

/// How writing the staged commits ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// All are complete, the last at this LSN.
    Complete(Lsn),
    /// Another tab was first, or the epoch is closed: nothing is written, nothing is staged any more. Refresh, try
    /// again.
    Collided,
}

pub struct Lsm {
    storage: Rc<dyn Storage>,
    state: RefCell<State>,
}

impl State {
    pub(super) fn new(manifest: Manifest, cache_bytes: usize) -> State {
        let mut tree = Tree::new(cache_bytes);
        tree.set_runs(manifest.runs.iter().cloned());
        let (head, head_hash) = (manifest.checkpoint(), manifest.hash);
        State {
            tree,
            manifest,
            head,
            head_hash,
            notes: Vec::new(),
            staged: Vec::new(),
            records: Vec::new(),
            catalog_changed: head,
        }
    }

    pub fn log_entries(&self) -> u64 {
        self.records.len() as u64
    }

    /// The bytes of the log's records, without their parts' headers.
    pub fn log_bytes(&self) -> u64 {
        self.records.iter().map(|record| record.bytes as u64).sum()
    }

    /// The LSN that the next staged commit gets.
    pub fn next(&self) -> Lsn {
        self.head.plus(self.staged.len() as u64 + 1)
    }

    /// Puts a commit's versions above the head, where the commits staged after it see them.
    pub fn stage(&mut self, commit: Commit) -> Lsn {
        let lsn = self.next();
        self.insert(lsn, &commit);
        self.staged.push(commit);
        lsn
    }

    fn insert(&mut self, lsn: Lsn, commit: &Commit) {
        for Change(row, version) in &commit.changes {
            self.tree.memtable.insert(row, lsn, Bytes::from(&version[..]));
        }
        if let Some(run) = &commit.run {
            self.tree.add_run(Rc::new(run.clone().at(lsn)));
        }
    }

    /// Takes back all that is staged.
    pub fn unstage(&mut self) -> Vec<Commit> {
        let staged = std::mem::take(&mut self.staged);
        for (index, commit) in staged.iter().enumerate() {
            let lsn = self.head.plus(index as u64 + 1);
            for Change(row, _) in &commit.changes {
                self.tree.memtable.remove(row, lsn);
            }
            if let Some(run) = &commit.run {
                self.tree.runs.retain(|other| other.id != run.id);
            }
        }
        staged
    }

    /// Takes complete commits into the head: what they wrote is visible from here on.
    fn publish(&mut self, record: Record, hash: u64, bytes: usize) {
        let first = record.first();
        for (index, commit) in record.commits.into_iter().enumerate() {
            let lsn = Lsn(record.first + index as u64);
            if commit.changes.iter().any(|Change(row, _)| row.starts_with(&[0; 8])) {
                self.catalog_changed = lsn;
            }
            let rows = commit.changes.into_iter().map(|Change(row, _)| row).collect();
            let run = commit.run.map(|run| Rc::new(run.at(lsn)));
            self.notes.push(Note { lsn, id: commit.id, time: commit.time, rows, run });
            self.head = lsn;
        }
        self.head_hash = hash;
        self.records.push(Logged { first, last: self.head, bytes, hash });
    }

    /// The hash of the last record.
    pub fn head_hash(&self) -> u64 {
        self.head_hash
    }

    /// The hash of the record that ends at `lsn`, if it is still known.
    pub fn hash_of(&self, lsn: Lsn) -> Option<u64> {
        if lsn == self.manifest.checkpoint() {
            return Some(self.manifest.hash);
        }
        self.records.iter().find(|record| record.last == lsn).map(|record| record.hash)
    }

    /// Takes in records that other tabs wrote, up to the first that does not follow.
    pub(super) fn take_in(&mut self, records: Vec<tail::TailRecord>) -> Result<()> {
        assert!(self.staged.is_empty(), "BUG: others' commits are taken in while none is staged");
        for tail::TailRecord { record, hash, bytes } in records {
            if record.previous != self.head_hash {
                let message = format!("the log's chain is broken. record={}", record.first().to_text());
                return Err(Error::corrupt(message).with_text("record", record.first().to_text()));
            }
            for (index, commit) in record.commits.iter().enumerate() {
                self.insert(Lsn(record.first + index as u64), commit);
            }
            self.publish(record, hash, bytes);
        }
        Ok(())
    }

    pub fn staged(&self) -> &[Commit] {
        &self.staged
    }
}

impl Lsm {
    pub(super) fn on(storage: Rc<dyn Storage>, state: State) -> Lsm {
        Lsm { storage, state: RefCell::new(state) }
    }

    pub fn storage(&self) -> &Rc<dyn Storage> {
        &self.storage
    }

    /// Looks at the state. Nothing may be awaited inside.
    pub fn with<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.borrow())
    }

    pub fn with_mut<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.borrow_mut())
    }

    pub fn head(&self) -> Lsn {
        self.state.borrow().head
    }

    /// Writes what is staged as one record under the next LSN. On an error the outcome is unknown: see `find_commit`.
    pub async fn write_staged(&self, durability: Durability, mut batch: Batch) -> Result<Written> {
        let (record, fence) = {
            let state = self.state.borrow();
            assert!(!state.staged.is_empty(), "BUG: nothing is staged");
            let first = state.head.next().0;
            let record = Record { first, previous: state.head_hash, commits: state.staged.clone() };
            (record, state.manifest.fence())
        };
        let (body, hash) = record.encode();
        let parts = record::split(record.first(), &body, hash);
        batch.absent.push((Space::Log, parts[0].0.clone()));
        if !planted::is(Bug::TrimmedLsnReused) {
            batch.absent.push(fence);
        }
        batch.put.extend(parts.into_iter().map(|(name, bytes)| (Space::Log, name, bytes)));
        let (space, name) = HeadMark::place();
        batch.put.push((space, name, HeadMark { head: record.last(), hash }.encode()));
        batch.durability = durability;
        if planted::is(Bug::HalfRecordTakenForWhole) && !self.write_half(&record, &mut batch).await? {
            return Ok(Written::Collided);
        }
        let written = self.storage.write(batch).await?;
        let mut state = self.state.borrow_mut();
        if !written {
            state.unstage();
            return Ok(Written::Collided);
        }
        state.staged.clear();
        state.publish(record, hash, body.len());
        Ok(Written::Complete(state.head))
    }

    /// The planted bug: of a record of several parts, half of the rows are written first, as a record of their own.
    async fn write_half(&self, record: &Record, batch: &mut Batch) -> Result<bool> {
        if batch.put.iter().filter(|(space, ..)| *space == Space::Log).count() < 2 {
            return Ok(true);
        }
        let mut half = record.clone();
        for commit in &mut half.commits {
            commit.changes.truncate(commit.changes.len().div_ceil(2));
        }
        let (body, hash) = half.encode();
        let parts = record::split(half.first(), &body, hash);
        let put = parts.into_iter().map(|(name, bytes)| (Space::Log, name, bytes)).collect();
        let written = self.storage.write(Batch { put, ..batch.clone() }).await?;
        batch.absent.clear();
        if !written {
            self.state.borrow_mut().unstage();
        }
        Ok(written)
    }

    /// Takes in what other tabs wrote since. True: there was something.
    pub async fn refresh(&self) -> Result<bool> {
        let before = self.head();
        for _ in 0..8 {
            let Some(manifest) = tail::read_manifest(&*self.storage).await? else {
                return Err(Error::new(ErrorCode::Closed, "the store was deleted"));
            };
            self.adopt(manifest)?;
            match self.read_tail().await? {
                tail::Tail::Records { records, gap } => {
                    self.state.borrow_mut().take_in(records)?;
                    return gap.map_or_else(|| Ok(self.head() > before), Err);
                }
                tail::Tail::Trimmed => continue,
            }
        }
        Err(Error::new(ErrorCode::StorageUnavailable, "the log is trimmed faster than it can be read"))
    }

    /// Goes over to a newer manifest: its runs hold what the memtable held up to its checkpoint.
    pub(super) fn adopt(&self, manifest: Manifest) -> Result<()> {
        let mut state = self.state.borrow_mut();
        if manifest.store != state.manifest.store {
            return Err(Error::new(ErrorCode::Closed, "the store was deleted and made anew"));
        }
        if manifest.version <= state.manifest.version {
            return Ok(());
        }
        assert!(state.staged.is_empty(), "BUG: a manifest is adopted while nothing is staged");
        let checkpoint = manifest.checkpoint();
        if checkpoint > state.head {
            state.head = checkpoint;
            state.head_hash = manifest.hash;
            state.catalog_changed = checkpoint;
        }
        let from_log = state.notes.iter().filter(|note| note.lsn > checkpoint).filter_map(|note| note.run.clone());
        let runs: Vec<_> = manifest.runs.iter().cloned().chain(from_log).collect();
        state.tree.set_runs(runs.into_iter());
        state.tree.memtable.forget_up_to(checkpoint);
        state.notes.retain(|note| note.lsn > checkpoint);
        state.records.retain(|record| record.first > checkpoint);
        let State { tree, .. } = &*state;
        tree.cache.retain_runs(|id| tree.runs.iter().any(|run| run.id == id));
        state.manifest = manifest;
        Ok(())
    }

    pub(super) async fn read_tail(&self) -> Result<tail::Tail> {
        let (head, version) = self.with(|state| (state.head, state.manifest.version));
        tail::read(&*self.storage, head, version).await
    }

    /// Fetches blocks into the cache and into `loaded`. A block that is not there is given back: the manifest may be
    /// old.
    pub async fn load(&self, needed: &[BlockReference], loaded: &Loaded) -> Result<Option<BlockReference>> {
        let names: Vec<String> = needed.iter().map(|reference| reference.address.name()).collect();
        let found = self.storage.read(Space::Blocks, &names).await?;
        let state = self.state.borrow();
        let mut gone = None;
        for (reference, bytes) in needed.iter().zip(found) {
            match bytes {
                Some(bytes) => {
                    let block = super::block::Block::open(bytes, *reference)?;
                    state.tree.cache.insert(reference.address, block.clone());
                    loaded.insert(reference.address, block);
                }
                None => gone = Some(*reference),
            }
        }
        Ok(gone)
    }

    /// Fails with STORAGE_CORRUPT if a block that was not found is lost: its run is named, and the manifest that names
    /// it is the present one. Manifest and block are looked at in one transaction.
    pub async fn check_lost(&self, reference: BlockReference) -> Result<()> {
        let (named, manifest) = self.with(|state| {
            let named = state.tree.runs.iter().any(|run| run.id == reference.address.run);
            (named, state.manifest.place())
        });
        let absent = vec![(Space::Blocks, reference.address.name())];
        let check = Batch { present: vec![manifest], absent, ..Batch::default() };
        if named && self.storage.write(check).await? {
            let name = reference.address.name();
            return Err(Error::corrupt(format!("a block is gone. block={name}")).with_text("block", name));
        }
        Ok(())
    }

    /// The LSN of the commit with this id, among the log's and those trimmed lately. Refresh first.
    pub fn find_commit(&self, id: u64) -> Option<Lsn> {
        self.with(|state| {
            let noted = state.notes.iter().find(|note| note.id == id).map(|note| note.lsn);
            noted.or_else(|| state.manifest.trimmed.iter().find(|(other, _)| *other == id).map(|(_, lsn)| Lsn(*lsn)))
        })
    }
}

/// A named block that was not found while blocks were read for a compaction: another tab has compacted its run.
pub fn gone(reference: BlockReference) -> Error {
    let name = reference.address.name();
    Error::new(ErrorCode::Conflict, format!("a run was compacted meanwhile. block={name}"))
}
