//! Whether what a transaction read still holds: it does, if no commit since its snapshot wrote any of it.

use crate::engine::catalog;
use crate::engine::op::transaction::{Isolation, Transaction};
use crate::error::{Error, ErrorCode};
use crate::lsm::{Attempt, Change, Fault, RowCursor, RowRange, State, TreeView};
use crate::planted::{self, Bug};
use crate::types::row::{row, split_row};
use crate::types::{LayerId, Lsn, Suffix};

fn conflict(what: &str, lsn: Lsn) -> Fault {
    Error::new(ErrorCode::Conflict, format!("{what} after the snapshot. lsn={lsn}")).into()
}

/// Fails with CONFLICT if any commit after the transaction's snapshot, staged ones too, wrote what it read.
pub fn check(view: TreeView<'_>, state: &State, transaction: &Transaction) -> Attempt<()> {
    let snapshot = transaction.snapshot_lsn();
    if snapshot.next() >= state.next() {
        return Ok(());
    }
    let guard = &transaction.guard;
    let moved = view.newest(&catalog::database_row(&guard.name), guard.lsn)?.filter(|lsn| *lsn > guard.lsn);
    let moved = moved.filter(|_| !planted::is(Bug::CatalogRowNotValidated));
    if let Some(lsn) = moved
        && !reads_on(view, transaction)?
    {
        return Err(conflict("the database was moved or dropped", lsn));
    }
    if snapshot < state.manifest.floor() {
        return Err(conflict("history was dropped", state.manifest.floor()));
    }
    let Some(layer) = transaction.path.top().map(|level| level.layer) else { return Ok(()) };
    let in_notes = snapshot >= state.manifest.checkpoint()
        && state.notes.iter().all(|note| note.lsn <= snapshot || note.runs.is_empty())
        && state.staged().iter().all(|commit| commit.runs.is_empty());
    if in_notes { check_notes(state, transaction, layer) } else { check_versions(view, transaction, layer) }
}

/// Whether the database's catalog row was written without a change to what is read through it: a clone's link was cut.
fn reads_on(view: TreeView<'_>, transaction: &Transaction) -> Attempt<bool> {
    let guard = &transaction.guard;
    let (then, now) = (catalog::find(view, &guard.name, guard.lsn)?, catalog::find(view, &guard.name, Lsn::MAX)?);
    Ok(then.zip(now).is_some_and(|(then, now)| catalog::reads_alike(&then.row, &now.row)))
}

/// Whether a transaction rests on what a row of its topmost layer held when it was read.
pub fn depends_on(transaction: &Transaction, suffix: &Suffix) -> bool {
    transaction.reads.keys.contains(suffix)
        || transaction.reads.ranges.iter().any(|range| range.contains(suffix.as_bytes()))
        || transaction.isolation == Isolation::Snapshot && transaction.writes().contains_key(suffix)
}

/// The short way: the commits since the snapshot are all noted in memory, and are few.
fn check_notes(state: &State, transaction: &Transaction, layer: LayerId) -> Attempt<()> {
    let since = state.notes.partition_point(|note| note.lsn <= transaction.snapshot_lsn());
    let noted = state.notes[since..].iter().flat_map(|note| note.rows.iter().map(|row| (note.lsn, row)));
    let members = state.staged().iter().zip(1..).filter(|_| !planted::is(Bug::GroupLoserTakenAlong));
    let staged = members.flat_map(|(commit, place)| {
        let lsn = state.head.plus(place);
        commit.changes.iter().map(move |Change(row, _)| (lsn, row))
    });
    for (lsn, row) in noted.chain(staged) {
        let (written, suffix) = split_row(row);
        if written == layer && depends_on(transaction, &Suffix::from_bytes(suffix.to_vec())) {
            return Err(conflict("a row that was read was written", lsn));
        }
    }
    Ok(())
}

/// The long way: each row that was read is looked up for a newer version.
fn check_versions(view: TreeView<'_>, transaction: &Transaction, layer: LayerId) -> Attempt<()> {
    let snapshot = transaction.snapshot_lsn();
    let written = transaction.writes().keys().filter(|_| transaction.isolation == Isolation::Snapshot);
    for suffix in transaction.reads.keys.iter().chain(written) {
        if let Some(lsn) = view.newest(&row(layer, suffix.as_bytes()), snapshot)?.filter(|lsn| *lsn > snapshot) {
            return Err(conflict("a row that was read was written", lsn));
        }
    }
    for range in &transaction.reads.ranges {
        let rows = RowRange { from: row(layer, &range.from), before: row(layer, &range.before) };
        let mut cursor = RowCursor::new(view, &rows, Lsn::MAX, false);
        while let Some(next) = cursor.next_row()? {
            if next.lsn > snapshot {
                return Err(conflict("a range that was read was written", next.lsn));
            }
        }
    }
    Ok(())
}
