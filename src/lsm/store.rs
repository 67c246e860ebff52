//! One opened store on its storage: writing staged commits, taking in others' commits, fetching blocks.
//!
//! Only one task at a time may stage, write or refresh (the engine's pipeline is that task); reading needs no such
//! order.

use std::cell::RefCell;
use std::rc::Rc;

use super::cache::Kept;
use super::fault::{BlockAddress, BlockReference, Need};
use super::manifest::Manifest;
use super::record::{self, Record};
use super::reserve::{Reserve, Room};
use super::run::RunDescription;
use super::state::State;
use super::strays::Strays;
use super::tree::Loaded;
use super::{segment, tail};
use crate::error::{Error, ErrorCode, Result};
use crate::planted::{self, Bug};
use crate::storage::{Batch, Durability, Outcome, Space, Storage};
use crate::types::{Lsn, SortedMap};

/// So many segments are read by one call of storage: a few MiB at most.
const READ_SEGMENTS: usize = 64;

/// A stored record, and the blocks that are wanted of it.
type Segment = (BlockAddress, Vec<BlockReference>);

/// How writing the staged commits ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// All are complete, the last at this LSN.
    Complete(Lsn),
    /// Another tab was first: what was written does not count, nothing is staged any more, and what came before it is
    /// taken in.
    Collided,
}

/// The fate of a commit whose append may have been done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sought {
    There,
    /// Another commit has its LSN, so it counts for nobody, whenever it comes.
    Void,
    /// Nobody has its LSN so far: it may still come.
    NotYet,
    /// The commit at its LSN is trimmed and forgotten.
    Forgotten,
}

pub struct Lsm {
    storage: Rc<dyn Storage>,
    /// The row that every opening reads.
    hot_row: Vec<u8>,
    strays: Rc<Strays>,
    reserve: Rc<Reserve>,
    state: RefCell<State>,
}

impl Lsm {
    pub(super) fn on(storage: Rc<dyn Storage>, hot_row: Vec<u8>, state: State) -> Lsm {
        let reserve = Rc::new(Reserve::of(storage.clone()));
        Lsm { storage, hot_row, strays: Rc::default(), reserve, state: RefCell::new(state) }
    }

    pub(super) fn hot_row(&self) -> &[u8] {
        &self.hot_row
    }

    pub(super) fn strays(&self) -> &Rc<Strays> {
        &self.strays
    }

    pub fn reserve(&self) -> &Rc<Reserve> {
        &self.reserve
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

    /// Appends the staged commits as one record under the next LSN. It counts if nobody else appended since this engine
    /// read the log; if somebody did, the log is read to see who was first. On an error the outcome is unknown: see
    /// `decide_commit`.
    pub async fn write_staged(&self, durability: Durability, mut batch: Batch, room: Room) -> Result<Written> {
        let (record, before) = {
            let state = self.state.borrow();
            assert!(!state.staged.is_empty(), "BUG: nothing is staged");
            let first = state.head.next().0;
            let (store, previous) = (state.manifest.store, state.head_hash);
            let record = Record { store, first, previous, commits: state.staged.clone() };
            // Changes beside the record must go with a record that counts, and a large record that does not count is a
            // waste.
            let has_more = !(batch.put.is_empty() && batch.delete.is_empty());
            if has_more || state.has_collided {
                batch.last = Some(state.read_up_to);
                batch.present.push(state.manifest.place());
            }
            (record, state.read_up_to)
        };
        let (body, hash) = record.encode();
        batch.append = record::split(&body, hash, self.storage.record_bytes());
        batch.durability = if planted::is(Bug::StrictWrittenRelaxed) { Durability::Relaxed } else { durability };
        if planted::is(Bug::HalfRecordTakenForWhole) && batch.append.len() > 1 {
            return self.write_halves(record, batch).await;
        }
        let parts = batch.append.len() as u64;
        let outcome = self.reserve.write(batch, room).await?;
        if outcome == Outcome::Written(before + parts) {
            let mut state = self.state.borrow_mut();
            state.staged.clear();
            state.has_collided = false;
            state.publish(tail::TailRecord { record, hash, bytes: body.len(), number: before + parts });
            return Ok(Written::Complete(state.head));
        }
        let (id, first, last) = (record.commits[0].id, record.first(), record.last());
        {
            let mut state = self.state.borrow_mut();
            state.unstage();
            state.has_collided = parts > 1;
        }
        if planted::is(Bug::TrimmedLsnReused) {
            let beginning = self.read_beginning().await?;
            self.take_in_tail(beginning.log).await?;
        } else {
            self.refresh().await?;
        }
        if outcome == Outcome::Refused {
            return Ok(Written::Collided);
        }
        match self.seek_commit(id, first) {
            Sought::There => Ok(Written::Complete(last)),
            Sought::Void => Ok(Written::Collided),
            Sought::NotYet | Sought::Forgotten => Err(forgotten()),
        }
    }

    /// Takes in the commits that other tabs have made since. True: there were some.
    pub async fn refresh(&self) -> Result<bool> {
        let before = self.head();
        for _ in 0..8 {
            let beginning = self.read_beginning().await?;
            let Some(manifest) = beginning.manifest? else {
                return Err(Error::new(ErrorCode::Closed, "the store was deleted"));
            };
            self.adopt(manifest, false)?;
            if self.take_in_tail(beginning.log).await? {
                return Ok(self.head() > before);
            }
        }
        Err(Error::new(ErrorCode::StorageUnavailable, "the log is trimmed faster than it can be read"))
    }

    /// Goes over to a newer manifest: its runs hold the versions of the memtable up to its checkpoint. `has_same_rows`:
    /// this tab made it from the present one, and has only moved versions.
    pub(super) fn adopt(&self, manifest: Manifest, has_same_rows: bool) -> Result<()> {
        let mut state = self.state.borrow_mut();
        if manifest.store != state.manifest.store {
            return Err(Error::new(ErrorCode::Closed, "the store was repaired, or deleted and made anew"));
        }
        if manifest.version <= state.manifest.version {
            return Ok(());
        }
        assert!(state.staged.is_empty(), "BUG: a manifest is adopted while nothing is staged");
        let checkpoint = manifest.checkpoint();
        if checkpoint > state.head {
            state.head = checkpoint;
            state.tree.head = checkpoint;
            state.head_hash = manifest.hash;
            state.catalog_changed = checkpoint;
        }
        state.read_up_to = state.read_up_to.max(manifest.log);
        state.void_bytes = 0;
        let from_log =
            state.notes.iter().filter(|note| note.lsn > checkpoint).flat_map(|note| note.runs.iter().cloned());
        let runs: Vec<_> = manifest.runs.iter().cloned().chain(from_log).collect();
        state.tree.set_runs(runs.into_iter(), has_same_rows);
        state.tree.memtable.forget_up_to(checkpoint);
        state.notes.retain(|note| note.lsn > checkpoint);
        state.records.retain(|record| record.first > checkpoint);
        let State { tree, .. } = &*state;
        tree.cache.retain_runs(|id| tree.runs().iter().any(|run| run.id == id));
        state.tree.given_up.clone_from(&manifest.given_up);
        state.manifest = manifest;
        Ok(())
    }

    async fn read_beginning(&self) -> Result<tail::Beginning> {
        let read_up_to = self.with(|state| state.read_up_to);
        tail::beginning(&*self.storage, read_up_to).await
    }

    /// Takes in the records of the log that this engine has not read yet. False: the log was trimmed past them, and
    /// there is a newer manifest.
    async fn take_in_tail(&self, page: tail::LogPage) -> Result<bool> {
        let tail::Tail::Records { records, pleas, head, void_bytes, gap } = self.read_tail(page).await? else {
            return Ok(false);
        };
        let mut state = self.state.borrow_mut();
        state.take_in(records, &pleas, head.number);
        state.void_bytes += void_bytes;
        gap.map_or(Ok(true), Err)
    }

    pub(super) async fn read_tail(&self, page: tail::LogPage) -> Result<tail::Tail> {
        let (head, version) = self.with(|state| (state.log_head(), state.manifest.version));
        tail::read(&*self.storage, page, head, version).await
    }

    /// Fetches blocks into the cache and into `loaded`. A block that is not there is given back: the manifest may be
    /// old.
    pub async fn load(&self, needed: &[Need], loaded: &Loaded) -> Result<Option<BlockReference>> {
        let mut places: SortedMap<BlockAddress, usize> = SortedMap::new();
        let mut segments: Vec<Segment> = Vec::new();
        let most = loaded.most_segments();
        for Need::Block(reference) in needed {
            let address = reference.address.beside(0);
            let place = places.get(&address).copied().unwrap_or(segments.len());
            if place == most {
                break;
            }
            if place == segments.len() {
                places.insert(address, place);
                segments.push((address, Vec::new()));
            }
            segments[place].1.push(*reference);
        }
        let mut gone = None;
        for segments in segments.chunks(READ_SEGMENTS) {
            gone = self.load_segments(segments, loaded).await?.or(gone);
        }
        Ok(gone)
    }

    async fn load_segments(&self, segments: &[Segment], loaded: &Loaded) -> Result<Option<BlockReference>> {
        let names: Vec<String> = segments.iter().map(|(address, _)| address.name()).collect();
        let found = self.storage.read(Space::Blocks, &names).await?;
        let state = self.state.borrow();
        state.tree.cache.fetched();
        let mut gone = None;
        for ((segment, wanted), bytes) in segments.iter().zip(found) {
            let Some(bytes) = bytes else {
                gone = wanted.first().copied();
                continue;
            };
            let blocks: Vec<Rc<[u8]>> = segment::blocks(&bytes).into_iter().map(|range| bytes[range].into()).collect();
            for reference in wanted {
                // A block that is not in its segment is damaged, and the damage is told as any other: by the code that
                // opens it.
                let sealed = blocks.get(reference.address.index()).cloned().unwrap_or_default();
                loaded.keep(reference.address, Kept::Sealed(sealed));
            }
            for (index, sealed) in blocks.into_iter().enumerate() {
                state.tree.cache.keep(segment.beside(index), Kept::Sealed(sealed));
            }
        }
        Ok(gone)
    }

    /// Fails with STORAGE_CORRUPT if a block that was not found is lost: its run is named, and the manifest that names
    /// it is the present one. Manifest and block are looked at in one transaction.
    pub async fn check_lost(&self, reference: BlockReference) -> Result<()> {
        let (named, manifest) = self.with(|state| {
            let BlockReference { address, .. } = reference;
            // Segments that a merge has moved are deleted while the rest of their run is still read.
            let names = |run: &Rc<RunDescription>| run.id == address.run && run.dropped <= address.segment();
            let named = state.tree.runs().iter().any(names);
            (named, state.manifest.place())
        });
        let absent = vec![(Space::Blocks, reference.address.name())];
        let check = Batch { present: vec![manifest], absent, ..Batch::default() };
        let named = named && !planted::is(Bug::LostBlockTakenForCompacted);
        if named && self.storage.write(check).await?.is_written() {
            return Err(reference.lost());
        }
        Ok(())
    }
}

/// The error for a commit that may or may not have counted, where the log was trimmed long ago.
fn forgotten() -> Error {
    let message = "what became of the commit cannot be told any more: others have committed too much since";
    Error::new(ErrorCode::StorageUnavailable, message).of_unknown_outcome()
}

/// A named block that was not found while blocks were read for a compaction: another tab has compacted its run.
pub fn gone(reference: BlockReference) -> Error {
    let name = reference.address.name();
    Error::new(ErrorCode::Conflict, format!("a run was compacted meanwhile. block={name}"))
}
