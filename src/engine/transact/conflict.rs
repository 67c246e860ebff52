//! Checks that the rows which a transaction read are still as it read them: no commit since its snapshot wrote any of
//! them.
//! No row is read again. The rows are compared with the keys that were written since, so the cost grows with those
//! keys:
//!
//! ```text
//! commits      1   2   3   snapshot   4   5   6   7   8
//! keys are in  -   -   -              the change  the log's notes,
//!                                     feed        then what is staged
//! ```
//! A large commit's keys stand in the run that it wrote, until the run is merged; from then on they are in the feed.

use std::rc::Rc;

use crate::engine::catalog;
use crate::engine::op::transaction::{ReadSet, Transaction};
use crate::engine::rows::lacking::Lacking;
use crate::engine::rows::read::just_after;
use crate::error::{Error, ErrorCode};
use crate::lsm::{
    Attempt, Fault, PORTION_BYTES, RowCursor, RowRange, RunDescription, State, TreeView, VersionCursor, decode_feed,
    feed_range,
};
use crate::planted::{self, Bug};
use crate::types::row::{row, split_internal, split_row};
use crate::types::{LayerId, Lsn, SortedMap};

fn conflict(what: &str, lsn: Lsn) -> Fault {
    Error::new(ErrorCode::Conflict, format!("{what} after the snapshot. lsn={lsn}")).into()
}

fn written(lsn: Lsn) -> Fault {
    conflict("a row that was read was written", lsn)
}

/// Checks one transaction, and keeps its place: a check is made again after each fetch, and when another tab was
/// first. Commits never change, so what was compared once stays compared.
pub struct Checking {
    transaction: Rc<Transaction>,
    /// All commits up to here were compared, but for what stands in runs of their own.
    up_to: Lsn,
    /// Where the feed goes on, behind `up_to`.
    feed: Vec<u8>,
    /// The runs of large commits, as far as they were compared.
    runs: SortedMap<u64, InRun>,
    /// True if the place has moved since blocks were asked for: the blocks before it can be let go.
    has_moved: bool,
}

/// How far a run was compared.
#[derive(Default)]
struct InRun {
    /// All keys up to this one.
    keys: Vec<u8>,
    /// So many of the ranges that were read.
    ranges: usize,
    is_done: bool,
    has_moved: bool,
}

impl Checking {
    pub fn new(transaction: Rc<Transaction>) -> Checking {
        let up_to = transaction.snapshot_lsn();
        Checking { transaction, up_to, feed: Vec::new(), runs: SortedMap::new(), has_moved: false }
    }

    pub fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// Fails with CONFLICT if any commit after the transaction's snapshot, staged ones too, wrote a row that it read.
    pub fn check(&mut self, view: TreeView<'_>, state: &State) -> Attempt<()> {
        let snapshot = self.transaction.snapshot_lsn();
        if snapshot.next() >= state.next() {
            return Ok(());
        }
        check_guard(view, &self.transaction)?;
        if snapshot < state.manifest.floor() {
            return Err(conflict("history was dropped", state.manifest.floor()));
        }
        let Some(layer) = self.transaction.path.top().map(|level| level.layer) else { return Ok(()) };
        self.has_moved = false;
        let checked = self.check_layer(view, state, layer);
        let is_lacking = matches!(checked, Err(Fault::Need(_)));
        if is_lacking && self.has_moved && view.loaded.bytes() >= PORTION_BYTES {
            view.loaded.let_go();
        }
        checked
    }

    /// Runs come first: one that is merged while this waits for a block has its keys in the feed by then, where the
    /// place has not come yet.
    fn check_layer(&mut self, view: TreeView<'_>, state: &State, layer: LayerId) -> Attempt<()> {
        let snapshot = self.transaction.snapshot_lsn();
        self.runs.retain(|id, _| view.tree.runs().iter().any(|run| run.id == *id));
        for run in view.tree.runs() {
            if let Some(lsn) = run.own_feed().filter(|lsn| *lsn > snapshot)
                && !planted::is(Bug::LargeCommitsNotValidated)
            {
                let place = self.runs.or_default(run.id);
                let was_read = InOneRun { view, run, layer, reads: &self.transaction.reads }.was_read(place);
                self.has_moved |= std::mem::take(&mut place.has_moved);
                if was_read? {
                    return Err(written(lsn));
                }
            }
        }
        self.check_feed(view, state.manifest.checkpoint(), layer)?;
        self.check_notes(state, layer)?;
        check_staged(state, &self.transaction.reads, layer)
    }

    fn check_feed(&mut self, view: TreeView<'_>, checkpoint: Lsn, layer: LayerId) -> Attempt<()> {
        if self.up_to >= checkpoint {
            return Ok(());
        }
        let RowRange { from, before } = feed_range(layer, self.up_to.next(), checkpoint.next());
        let from = from.max(self.feed.clone());
        let mut cursor = RowCursor::above(view, &RowRange { from, before }, self.up_to, Lsn::MAX);
        while let Some(next) = cursor.next_row()?
            && !planted::is(Bug::FeedNotValidated)
        {
            let (lsn, commit) = decode_feed(&next.row, &next.found(view)?.version)?;
            if commit.suffixes.iter().any(|suffix| self.transaction.reads.has(suffix)) {
                return Err(written(lsn));
            }
            self.feed = just_after(&next.row);
            self.has_moved = true;
        }
        self.up_to = checkpoint;
        Ok(())
    }

    fn check_notes(&mut self, state: &State, layer: LayerId) -> Attempt<()> {
        let since = state.notes.partition_point(|note| note.lsn <= self.up_to);
        for note in &state.notes[since..] {
            check_rows(note.changes.rows(), note.lsn, &self.transaction.reads, layer)?;
        }
        self.up_to = state.head.max(self.up_to);
        Ok(())
    }
}

/// A commit that moves or drops the database ends what is open on it.
fn check_guard(view: TreeView<'_>, transaction: &Transaction) -> Attempt<()> {
    let guard = &transaction.guard;
    let moved = view.newest(&catalog::database_row(&guard.name), guard.lsn)?.filter(|lsn| *lsn > guard.lsn);
    match moved.filter(|_| !planted::is(Bug::CatalogRowNotValidated)) {
        Some(lsn) if !reads_on(view, transaction)? => Err(conflict("the database was moved or dropped", lsn)),
        _ => Ok(()),
    }
}

/// True if the database's catalog row was written, but the rows that are read through it are the same: a clone's link
/// was cut.
fn reads_on(view: TreeView<'_>, transaction: &Transaction) -> Attempt<bool> {
    let guard = &transaction.guard;
    let (then, now) = (catalog::find(view, &guard.name, guard.lsn)?, catalog::find(view, &guard.name, Lsn::NEWEST)?);
    Ok(then.zip(now).is_some_and(|(then, now)| catalog::reads_alike(&then.row, &now.row)))
}

fn check_rows<'a>(rows: impl Iterator<Item = &'a [u8]>, lsn: Lsn, reads: &ReadSet, layer: LayerId) -> Attempt<()> {
    for row in rows {
        let (of, suffix) = split_row(row);
        if of == layer && reads.has(suffix) {
            return Err(written(lsn));
        }
    }
    Ok(())
}

/// Compares the commits that are staged before this one, for the same record. They may be taken back, so they are
/// compared each time.
fn check_staged(state: &State, reads: &ReadSet, layer: LayerId) -> Attempt<()> {
    let members = state.staged().iter().zip(1..).filter(|_| !planted::is(Bug::GroupLoserTakenAlong));
    for (commit, place) in members {
        check_rows(commit.changes.rows(), state.head.plus(place), reads, layer)?;
    }
    Ok(())
}

/// The run of a large commit, beside what a transaction read in a layer.
struct InOneRun<'a> {
    view: TreeView<'a>,
    run: &'a Rc<RunDescription>,
    layer: LayerId,
    reads: &'a ReadSet,
}

impl InOneRun<'_> {
    /// True if the run has a row that was read. Either each row of the run is looked for in the read set, or the other
    /// way round, whichever is less. Values that are stored apart are not fetched.
    fn was_read(&self, place: &mut InRun) -> Attempt<bool> {
        if place.is_done || !self.run.overlaps(&row(self.layer, &[]), &row(self.layer, &[0xff; 9])) {
            return Ok(false);
        }
        let was_read = if self.reads.count() as u64 > self.run.entries {
            self.has_any(place)?
        } else {
            self.has_key(place)? || self.has_row_in_range(place)?
        };
        // A transaction that lost is checked again where the group that it lost to was not written.
        place.is_done = !was_read;
        Ok(was_read)
    }

    /// Walks all rows of the run.
    fn has_any(&self, place: &mut InRun) -> Attempt<bool> {
        let rows = RowRange { from: row(self.layer, &after(&place.keys)), before: row(self.layer, &[0xff; 9]) };
        let mut cursor = VersionCursor::new(self.view, std::slice::from_ref(self.run), &rows);
        while let Some((internal, _)) = cursor.next_version()? {
            let (_, suffix) = split_row(split_internal(&internal).0);
            if self.reads.has(suffix) {
                return Ok(true);
            }
            place.keys = suffix.to_vec();
            place.has_moved = true;
        }
        Ok(false)
    }

    /// Looks for the keys that were read. All that they lack is asked for in one go, up to a bound.
    fn has_key(&self, place: &mut InRun) -> Attempt<bool> {
        let (mut lacking, mut last, mut is_there) = (Lacking::default(), None, false);
        for suffix in self.reads.keys_from(&after(&place.keys)) {
            let row = row(self.layer, suffix.as_bytes());
            if lacking.is_full() || row[..] > self.run.last[..] {
                break;
            }
            let looked = self.view.is_in_run(self.run, &row).map(|found| is_there |= found);
            if lacking.take(looked)? {
                last = Some(suffix);
            }
            if is_there {
                return Ok(true);
            }
        }
        if let Some(last) = last {
            place.keys = last.as_bytes().to_vec();
            place.has_moved = true;
        }
        lacking.check()?;
        Ok(false)
    }

    fn has_row_in_range(&self, place: &mut InRun) -> Attempt<bool> {
        for (from, before) in self.reads.ranges().skip(place.ranges) {
            let rows = RowRange { from: row(self.layer, from), before: row(self.layer, before) };
            if self.run.overlaps(&rows.from, &rows.before) {
                let mut cursor = VersionCursor::new(self.view, std::slice::from_ref(self.run), &rows);
                if cursor.next_version()?.is_some() {
                    return Ok(true);
                }
            }
            place.ranges += 1;
            place.has_moved = true;
        }
        Ok(false)
    }
}

/// The least key behind a key that was compared and all of its versions; the least of all keys if none was compared.
fn after(key: &[u8]) -> Vec<u8> {
    if key.is_empty() { Vec::new() } else { just_after(key) }
}
