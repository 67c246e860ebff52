//! Moving the log into a run. Blocks are written first, in small transactions (`unnamed.rs`); then the manifest is
//! swapped in one small transaction that also trims the log.

use std::rc::Rc;

use super::feed;
use super::install::Installation;
use super::manifest::Manifest;
use super::reserve::Room;
use super::run::RunDescription;
use super::state::{Logged, Note, State};
use super::store::Lsm;
use super::times::Earliest;
use super::unnamed::NewRun;
use super::vacuum::{Retention, Vacuum};
use crate::error::Result;
use crate::planted::{self, Bug};
use crate::types::row::split_internal;
use crate::types::{Bytes, Lsn, SortedBytes};

/// Everything that a checkpoint moves, taken in one look at the state.
struct Moved {
    manifest: Manifest,
    up_to: Lsn,
    hash: u64,
    time: u64,
    earliest: Earliest,
    versions: SortedBytes,
    ahead: Vec<Rc<RunDescription>>,
    ids: Vec<(u64, u64)>,
    number: u64,
}

/// The part of the log that a checkpoint moves.
#[derive(Clone, Copy)]
pub enum Part<'a> {
    Whole,
    /// The oldest records, of about so many bytes and none above this LSN, without what nobody reads any more.
    Oldest(u64, Lsn, &'a Retention),
}

impl Lsm {
    /// Writes versions of the log as a run and gives the manifest that names it; `None`: the log is empty.
    pub async fn checkpoint(&self, run: u64, now: u64, part: Part<'_>) -> Result<Option<Installation>> {
        let Some(mut moved) = self.moved(part) else { return Ok(None) };
        let mut written = NewRun::begin(self, run, now, Room::Moves);
        for (internal, version) in std::mem::take(&mut moved.versions) {
            written.push(&internal, &version).await?;
        }
        let written = written.finish().await?;
        let mut manifest = moved.manifest.clone();
        manifest.runs.extend(moved.ahead);
        manifest.checkpoint = moved.up_to.0;
        manifest.hash = moved.hash;
        manifest.time = moved.time;
        manifest.earliest = moved.earliest;
        manifest.remember(moved.ids.into_iter());
        let mut installation = Installation::between(moved.manifest, manifest);
        installation.trim(moved.number);
        installation.keeps_rows();
        if matches!(part, Part::Oldest(..)) {
            // A tombstone was dropped because no run that is there holds an older version of its row.
            installation.only_over_its_base();
        }
        written.into_iter().for_each(|run| installation.name(run));
        Ok(Some(installation))
    }

    fn moved(&self, part: Part<'_>) -> Option<Moved> {
        self.with(|state| {
            let last = match part {
                Part::Whole => state.records.last()?,
                Part::Oldest(bytes, to, _) => oldest(&state.records, bytes, to)?,
            };
            let notes = &state.notes[..state.notes.partition_point(|note| note.lsn <= last.last)];
            let mut earliest = state.manifest.earliest.clone();
            let versions = match part {
                Part::Oldest(_, _, retention) if !planted::is(Bug::DeletedKeptByCheckpoint) => {
                    read_versions(state, (notes, &mut earliest), last.last, retention)
                }
                _ => versions(state, (notes, &mut earliest), last.last),
            };
            Some(Moved {
                manifest: state.manifest.clone(),
                up_to: last.last,
                hash: last.hash,
                time: notes.last().map_or(0, |note| note.time),
                earliest,
                versions,
                ahead: notes.iter().flat_map(|note| note.runs.iter().cloned()).collect(),
                ids: notes.iter().map(|note| (note.id, note.lsn.0)).collect(),
                number: last.number,
            })
        })
    }
}

/// The last of the oldest records that have so many bytes and none above an LSN; one at least.
fn oldest(records: &[Logged], bytes: u64, to: Lsn) -> Option<&Logged> {
    let mut sum = 0;
    let fits = records.iter().take_while(|record| {
        sum += record.bytes as u64;
        sum <= bytes && record.last <= to
    });
    fits.last().or(records.first())
}

/// The versions of the log up to an LSN, and the feed's rows of its commits.
fn versions(state: &State, (notes, earliest): (&[Note], &mut Earliest), up_to: Lsn) -> SortedBytes {
    let mut versions = SortedBytes::default();
    let logged = state.tree.memtable.iter().filter(|entry| split_internal(entry.internal()).1 <= up_to);
    for entry in logged {
        versions.insert(entry.internal().to_vec(), entry.version());
    }
    for row in feed::rows_of(notes, earliest) {
        versions.insert(row.internal, row.version);
    }
    versions
}

/// The same, of what is read. A version is dropped for a newer one also where that stays in the log:
///
/// ```text
/// log     1: a = x    2: b = y    3: a and b are deleted    the floor is 3
/// moved   1 and 2, and of them nothing is written
/// ```
/// If 3 were not looked at, the rows that make a log large would need their room once more before they go.
fn read_versions(
    state: &State,
    (notes, earliest): (&[Note], &mut Earliest),
    up_to: Lsn,
    retention: &Retention,
) -> SortedBytes {
    let all = versions(state, (notes, earliest), state.head);
    let mut read = SortedBytes::default();
    let mut keep = |internal: &[u8], version: &Bytes, _: bool| {
        if split_internal(internal).1 <= up_to {
            read.insert(internal.to_vec(), version.clone());
        }
        Ok(())
    };
    let mut vacuum = Vacuum::new(retention, state.tree.runs());
    let done = all.iter().try_for_each(|(internal, version)| vacuum.push(internal, version, &mut keep));
    done.and_then(|()| vacuum.finish(&mut keep)).expect("BUG: to keep a version in memory fails nowhere");
    read
}
