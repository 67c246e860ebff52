//! Opening a store that is there, making one that is not, and going on with the rest of a damaged one.

use std::rc::Rc;

use super::checkpoint::Part;
use super::fault::Need;
use super::head_mark::HeadMark;
use super::install::Installation;
use super::manifest::Manifest;
use super::record::{self, Commit, Record};
use super::state::State;
use super::store::Lsm;
use super::tail::{self, Beginning, Tail};
use super::tree::Loaded;
use crate::error::{Error, ErrorCode, Result};
use crate::planted::{self, Bug};
use crate::storage::{Batch, Durability, ListRange, Place, Space, Storage};
use crate::types::Lsn;

/// An opening begins again at most so many times because another tab has changed the store meanwhile.
const TRIES: usize = 8;
/// Names to list at a time when all names of a space are wanted.
const NAMES_AT_ONCE: usize = 256;
/// Topmost blocks that are read while a store opens.
const ROOTS: usize = 16;

/// A record that is there from a store's first moment on, and for ever.
const BORN: &str = "born";

/// How a store is opened.
pub struct Opening {
    /// The number of a store that is made.
    pub store: u64,
    pub genesis: Commit,
    pub cache_bytes: usize,
    /// The row that every opening reads first (`hot.rs`).
    pub hot_row: Vec<u8>,
    /// True if a store that is not there may be made. Where the store was there before, that would hide its loss.
    pub may_create: bool,
    /// Go on with the rest of a damaged store. Numbers up to the one given were used, and are not used again.
    pub repair: Option<Lsn>,
}

impl Lsm {
    /// Opens the store on `storage`; makes it, with its first commit, if there is none.
    pub async fn open(storage: Rc<dyn Storage>, opening: &Opening) -> Result<Lsm> {
        // Between not finding a store and making it another tab can make it: then it is there the next time.
        let mut is_lost = false;
        for _ in 0..TRIES {
            let Beginning { manifest, mark, hot, log } = tail::beginning(&*storage, 0).await?;
            let Some(manifest) = or_restored(&*storage, opening, manifest).await? else {
                if !opening.may_create && opening.repair.is_none() {
                    return Err(Error::corrupt("the store was here before, and is gone"));
                }
                is_lost = !create(&*storage, opening).await?;
                continue;
            };
            is_lost = false;
            let mark = mark.filter(|mark| mark.store == manifest.store);
            let lsm = Lsm::on(storage.clone(), opening.hot_row.clone(), State::new(manifest, opening.cache_bytes));
            if let Some(hot) = hot {
                lsm.take_hot(&hot);
            }
            let error = match lsm.read_tail(log).await? {
                Tail::Trimmed => continue,
                Tail::Records { records, head, gap, .. } => {
                    // Pleas that stand in the log already are not heeded: their writers have not lost to this tab.
                    lsm.with_mut(|state| state.take_in(records, &[], head.number));
                    gap
                }
            };
            let error = error.or_else(|| check_mark(mark, &lsm));
            // A log that another tab trimmed between the two looks is shorter, and not damaged.
            let is_doubtful = error.is_some() || mark.is_none();
            if is_doubtful && !tail::is_present(&*storage, lsm.with(|state| state.manifest.version)).await? {
                continue;
            }
            match error {
                None if opening.repair.is_none_or(|used| used <= lsm.head()) => {
                    lsm.load_roots().await;
                    return Ok(lsm);
                }
                Some(error) if opening.repair.is_none() => return Err(error),
                _ => {}
            }
            lsm.close_gap(mark, opening).await?;
        }
        if is_lost {
            return Err(Error::new(ErrorCode::StorageCorrupt, "the store is there and its manifest is not"));
        }
        Err(Error::new(ErrorCode::StorageUnavailable, "the store changes faster than it can be opened"))
    }

    /// Brings the topmost blocks of the runs into memory, in one go: without them nothing is found in any.
    async fn load_roots(&self) {
        let roots: Vec<_> = self.with(|state| {
            let roots = state.tree.runs().iter().take(ROOTS).map(|run| run.root());
            roots.filter(|root| !state.tree.cache.has(root.address)).map(Need::Block).collect()
        });
        if !roots.is_empty() {
            // A block that is gone or damaged is told to whoever needs it.
            let _ = self.load(&roots, &Loaded::default()).await;
        }
    }

    /// Moves the readable commits of the log into a run, and trims the log with its unreadable records. The numbers of
    /// lost commits are not used again: others may have heard of them. Then the store is opened as any other, whoever
    /// was first.
    async fn close_gap(&self, mark: Option<HeadMark>, opening: &Opening) -> Result<()> {
        let log = Log::read(&**self.storage()).await?;
        let used = log.used(mark, opening).max(self.head());
        let installation = self.checkpoint(opening.genesis.id, opening.genesis.time, Part::Whole).await?;
        let mut installation =
            installation.unwrap_or_else(|| Installation::new(self.with(|state| state.manifest.clone())));
        installation.begin_anew(opening.store, used, log.last);
        let batch = installation.batch(self.with(State::log_head), opening.genesis.time);
        self.storage().write(batch).await.map(drop)
    }
}

/// The mark is read before the log is, which only grows: a log that ends below the mark has lost its end.
fn check_mark(mark: Option<HeadMark>, lsm: &Lsm) -> Option<Error> {
    let mark = mark?;
    let is_other = lsm.with(|state| state.hash_of(mark.head).is_some_and(|hash| hash != mark.hash));
    if mark.head <= lsm.head() && !is_other {
        return None;
    }
    let message = format!("the log has lost its end. last={}, found={}", mark.head, lsm.head());
    Some(Error::corrupt(message).with_text("record", mark.head.to_text()))
}

/// The manifest that was found, or `None` where there is no store. A repair takes its copy for one that cannot be read.
async fn or_restored(
    storage: &dyn Storage,
    opening: &Opening,
    found: Result<Option<Manifest>>,
) -> Result<Option<Manifest>> {
    match found {
        Ok(None) if opening.repair.is_some() => restore_manifest(storage).await,
        Err(error) if opening.repair.is_some() && error.code() == ErrorCode::StorageCorrupt => {
            restore_manifest(storage).await
        }
        found => found,
    }
}

async fn restore_manifest(storage: &dyn Storage) -> Result<Option<Manifest>> {
    if planted::is(Bug::CopyOfManifestNotRead) {
        return Ok(None);
    }
    let copies = storage.list(Space::Meta, Manifest::copies()).await?;
    let Some(manifest) = copies.iter().rev().find_map(|(_, bytes)| Manifest::decode(bytes).ok()) else {
        return Ok(None);
    };
    let (space, name) = manifest.place();
    storage.write(Batch { put: vec![(space, name, manifest.encode())], ..Batch::default() }).await?;
    Ok(Some(manifest))
}

/// False: another tab made the store first, or there is one without its manifest.
async fn create(storage: &dyn Storage, opening: &Opening) -> Result<bool> {
    let mut manifest = Manifest::first(opening.store);
    let mut batch = Batch { durability: Durability::Strict, ..Batch::default() };
    if opening.repair.is_some() {
        clear_away(storage, opening, &mut manifest, &mut batch).await?;
    } else if !storage.log(0, 1).await?.is_empty() {
        return Ok(false);
    }
    let record = Record {
        store: manifest.store,
        first: manifest.checkpoint + 1,
        previous: manifest.hash,
        commits: vec![opening.genesis.clone()],
    };
    let (body, hash) = record.encode();
    let born: Place = (Space::Meta, BORN.to_string());
    let (space, name) = manifest.place();
    batch.append = record::split(&body, hash, storage.record_bytes());
    if opening.repair.is_some() {
        batch.last = Some(manifest.log);
    } else {
        // The log and this manifest are gone again after the first checkpoint, which a slow tab may have slept through.
        batch.absent.push(born.clone());
        batch.absent.push((space, name.clone()));
    }
    batch.put.push((born.0, born.1, Vec::new()));
    let (_, copy) = manifest.copy_place();
    batch.put.push((space, copy, manifest.encode()));
    batch.put.push((space, name, manifest.encode()));
    batch.put.push(HeadMark { store: manifest.store, head: record.last(), hash }.record());
    Ok(storage.write(batch).await?.is_written())
}

/// Clears away a store whose manifest and its copy are lost. Its blocks stay where they are, read by nobody; its other
/// records make room.
async fn clear_away(
    storage: &dyn Storage,
    opening: &Opening,
    manifest: &mut Manifest,
    batch: &mut Batch,
) -> Result<()> {
    let log = Log::read(storage).await?;
    manifest.leave_out(log.used(tail::beginning(storage, 0).await?.mark, opening));
    manifest.hash = opening.store;
    manifest.log = log.last;
    batch.trim = log.last;
    let mut from = None;
    loop {
        let page = storage.names(Space::Meta, ListRange { from, before: None, limit: NAMES_AT_ONCE }).await?;
        // The least name behind the last one.
        from = page.last().map(|name| format!("{name}\0"));
        let is_last = page.len() < NAMES_AT_ONCE;
        batch.delete.extend(page.into_iter().map(|name| (Space::Meta, name)));
        if is_last {
            return Ok(());
        }
    }
}

/// The numbers that a log still tells which has lost some of its records.
struct Log {
    /// The number of its last record.
    last: u64,
    /// The greatest LSN of a commit in the records that can be read.
    greatest: Option<Lsn>,
}

impl Log {
    async fn read(storage: &dyn Storage) -> Result<Log> {
        let mut log = Log { last: 0, greatest: None };
        let mut parts = Vec::new();
        loop {
            let page = storage.log(log.last, tail::RECORDS_AT_ONCE).await?;
            let is_last_page = page.len() < tail::RECORDS_AT_ONCE;
            log.last = page.last().map_or(log.last, |(number, _)| *number);
            parts.extend(page);
            let mut taken = 0;
            while taken < parts.len() {
                taken += match record::join(&parts[taken..], is_last_page) {
                    Ok(Some(joined)) => {
                        log.greatest = log.greatest.max(Some(joined.record.last()));
                        joined.parts
                    }
                    Ok(None) => break,
                    Err(_) => 1,
                };
            }
            parts.drain(..taken);
            if is_last_page {
                return Ok(log);
            }
        }
    }

    /// The greatest number that was given to a commit, as far as anything still tells.
    fn used(&self, mark: Option<HeadMark>, opening: &Opening) -> Lsn {
        let known = [self.greatest, mark.map(|mark| mark.head), opening.repair];
        known.into_iter().flatten().max().unwrap_or(Lsn::ZERO)
    }
}
