//! Moves are judged: their commits on the disk and their reports must be those of the model.

use std::fmt;

use offshoot::error::ErrorCode;

use crate::call::Observed;
use crate::history::{Act, Check, Event, Identity, Move, Outcome, Part, Settled, Told, Violation, violation};
use crate::journal::{CatalogChange, Logged, Written};
use crate::merging::{Landing, effect, is_as_it_was};
use crate::model::{ModelDatabase, Place, Row, State};
use crate::oracle::Oracle;

fn parts(event: &Event) -> (&Identity, Move) {
    let Act::Move { database, what } = &event.act else { unreachable!("BUG: only moves come here") };
    (database, *what)
}

/// The state after a move that commits as `lsn`.
pub fn move_effect(oracle: &Oracle<'_>, event: &Event, lsn: u64) -> Result<State, Violation> {
    let (database, what) = parts(event);
    let found = oracle.alive(database, lsn)?;
    let before = &oracle.states[lsn as usize - 1];
    let changes = oracle.journal.commits[&lsn].catalog_changes();
    let landing = changes.iter().find_map(|change| match change {
        CatalogChange::Made { name, layer, origin } if *name == database.name => {
            let as_of = origin.as_ref().map_or(0, |(_, as_of)| *as_of);
            Some(Landing { lsn, layer: *layer, as_of })
        }
        // A restore leaves a materialized database materialized: its new layer is cut too.
        CatalogChange::Cut { name, layer } if *name == database.name && !found.is_clone() => {
            Some(Landing { lsn, layer: *layer, as_of: 0 })
        }
        _ => None,
    });
    let landing = match (landing, what) {
        (Some(landing), _) => landing,
        (None, Move::Revert(..)) => Landing { lsn, layer: found.layer, as_of: 0 },
        (None, _) => return Err(violation(Check::Atomicity, format!("commit {lsn} leaves {database:?} where it is"))),
    };
    if matches!(what, Move::Rebase(_)) && !(event.from..lsn).contains(&landing.as_of) {
        let what = format!("commit {lsn} rebases onto {}, which was not the present", landing.as_of);
        return Err(violation(Check::Merges, what));
    }
    let moved = effect(&oracle.states, before, database, what, landing);
    let Some((told, state)) = moved.and_then(|moved| Some((moved.told, moved.state?))) else {
        return Err(violation(Check::Merges, format!("commit {lsn}: {what:?} of {database:?} writes nothing there")));
    };
    if let Outcome::Done { observed: Observed::Told(observed), .. } = &event.outcome
        && *observed != told
    {
        let what = format!("commit {lsn}: {what:?} of {database:?} told {observed:?}, the model {told:?}");
        return Err(violation(Check::Merges, what));
    }
    Ok(state)
}

/// Checks that a move's commit holds all of the move, in both databases, and nothing else.
pub fn check_move(
    lsn: u64,
    logged: &Logged,
    (before, state): (&State, &State),
    event: &Event,
) -> Result<(), Violation> {
    let (database, what) = parts(event);
    let made = &state.databases[&database.name];
    let name = database.name.clone();
    let expected = match what {
        Move::Revert(..) => Vec::new(),
        Move::Restore(_) if state.whole.contains(&made.layer) => vec![CatalogChange::Cut { name, layer: made.layer }],
        _ => vec![CatalogChange::Made { name, layer: made.layer, origin: made.origin.clone() }],
    };
    let changes = logged.catalog_changes();
    if changes != expected {
        let what = format!("commit {lsn} changed {changes:?} in the catalog, not {expected:?}");
        return Err(violation(Check::Atomicity, what));
    }
    let mut expected = Vec::new();
    for database in state.databases.values() {
        let written = database.rows.iter().filter(|(_, row)| row.own && row.lsn == lsn);
        expected.extend(written.map(|(place, row)| Expected { database, place: *place, row: *row }));
    }
    let written = logged.rows();
    // The rows that lie in runs are looked at by all readings that come after.
    let is_written = |row: &Expected<'_>| written.iter().any(|one| row.is_written_as(one));
    // The vacuum may have dropped tombstones of a past layer that hide nothing: a restore of it need not write them.
    let may_be_gone = |row: &&Expected<'_>| {
        matches!(what, Move::Restore(_)) && row.row.value.is_none() && row.row.base.is_none() && !is_written(row)
    };
    let gone = expected.iter().filter(may_be_gone).count();
    let all_there = logged.is_big() || expected.iter().all(|row| may_be_gone(&row) || is_written(row));
    let none_else = written.iter().all(|one| expected.iter().any(|row| row.is_written_as(one)));
    if !all_there || !none_else || !logged.is_big() && written.len() + gone != expected.len() {
        let wrote: Vec<_> = written.iter().map(|row| (row.layer, row.shelf, row.id, row.value)).collect();
        let what = format!("commit {lsn}: {what:?} of {database:?} wrote {wrote:?}; the model: {expected:?}");
        return Err(violation(Check::Merges, what));
    }
    // A base of the same commit is written as zero: the commit has no LSN yet.
    let base = |one: &Written| one.base.map(|base| if base == 0 { lsn } else { base });
    check_ancestors(lsn, logged, &before.databases[&database.name], made)?;
    let is_based_so = |row: &&Expected<'_>| {
        before.whole.contains(&row.database.layer)
            || written.iter().all(|one| !row.is_written_as(one) || row.database.is_base(row.row.base, base(one)))
    };
    match expected.iter().find(|row| !is_based_so(row)) {
        None => Ok(()),
        Some(row) => {
            let bases: Vec<_> = written.iter().filter(|one| row.is_written_as(one)).map(|one| one.base).collect();
            Err(violation(Check::Bases, format!("commit {lsn}: a move based {row:?} on {bases:?}")))
        }
    }
}

/// Checks that a clone's new layer has the ancestors of the rows that are parked there, and no others.
fn check_ancestors(lsn: u64, logged: &Logged, before: &ModelDatabase, made: &ModelDatabase) -> Result<(), Violation> {
    if logged.is_big() {
        return Ok(());
    }
    let parked = made.parked.iter().filter(|_| before.layer != made.layer);
    let expected: Vec<_> = parked.map(|(place, row)| (made.layer, *place, row.and_then(|row| row.value))).collect();
    let written = logged.ancestors();
    if written == expected {
        return Ok(());
    }
    Err(violation(Check::Merges, format!("commit {lsn} wrote the ancestors {written:?}; the model: {expected:?}")))
}

/// Counts a commit that merged or reset a selection, merged the past, or what earlier selections had left.
pub fn count(oracle: &Oracle<'_>, event: &Event, lsn: u64) {
    let Act::Move { database, what } = &event.act else { return };
    let has_parked = |lsn| oracle.find(database, lsn).is_some_and(|found| !found.parked.is_empty());
    let (only, at) = match what {
        Move::Merge(_, Part { only, at }) => (only, at),
        Move::Reset(Some(_)) => {
            oracle.report.count("resets of a selection");
            if has_parked(lsn) {
                oracle.report.count("resets that left parked rows");
            }
            return;
        }
        _ => return,
    };
    if at.is_some_and(|at| is_another(oracle, database, at, lsn - 1)) {
        oracle.report.count("merges of the past");
    }
    if only.is_some() {
        oracle.report.count("selections");
        if has_parked(lsn) {
            oracle.report.count("selections that parked rows");
        }
    }
    if has_parked(lsn - 1) {
        oracle.report.count("merges of parked rows");
    }
}

/// True if the database has other rows at one LSN than at the other.
fn is_another(oracle: &Oracle<'_>, database: &Identity, one: u64, other: u64) -> bool {
    let rows = |lsn| oracle.find(database, lsn).map(|found| &found.rows);
    rows(one) != rows(other)
}

/// A row that a move writes, by the model.
struct Expected<'a> {
    database: &'a ModelDatabase,
    place: Place,
    row: Row,
}

impl Expected<'_> {
    fn is_written_as(&self, one: &Written) -> bool {
        one.layer == self.database.layer && (one.shelf, one.id) == self.place && one.value == self.row.value
    }
}

impl fmt::Debug for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of layer {}: {:?}", self.place, self.database.layer, self.row)
    }
}

/// Told as done without a commit: somewhere there was nothing to write.
pub fn check_done(oracle: &Oracle<'_>, event: &Event, observed: &Observed) -> Result<(), Violation> {
    let (database, what) = parts(event);
    let is_so = |lsn: u64| {
        let state = &oracle.states[lsn as usize];
        let layer = state.databases.get(&database.name).map_or(0, |found| found.layer);
        if matches!(what, Move::Rebase(_)) && is_as_it_was(state, &database.name) {
            let nothing = Told { settled: Settled::Nothing, ..Told::default() };
            return *observed == Observed::Told(nothing);
        }
        let landing = Landing { lsn: lsn + 1, layer, as_of: lsn };
        let Some(moved) = effect(&oracle.states, state, database, what, landing) else { return false };
        match (what, moved.state, observed) {
            (Move::Reset(only), after, _) => only.is_some() && after.is_none(),
            (Move::Restore(_), Some(after), _) => {
                let rows = |state: &State| state.databases[&database.name].rows.clone();
                rows(state) == rows(&after)
            }
            (_, None, Observed::Told(told)) => *told == moved.told,
            _ => false,
        }
    };
    if (event.from..=event.to.min(oracle.last())).any(is_so) {
        return Ok(());
    }
    Err(violation(Check::Merges, format!("nowhere does it tell this and write nothing: {event:?}")))
}

/// True if a move that failed with this code had a reason to.
pub fn is_right_to_fail(oracle: &Oracle<'_>, event: &Event, code: ErrorCode) -> bool {
    let (database, what) = parts(event);
    match (what, code) {
        (_, ErrorCode::Closed) => (event.from..=event.to).any(|lsn| oracle.find(database, lsn).is_none()),
        // The move lost again and again: to others' commits, or to a tab that took its runs for abandoned.
        (_, ErrorCode::Conflict) => event.from < event.to || oracle.report.has("clock jumps"),
        (Move::Merge(..) | Move::Rebase(_) | Move::Reset(_), ErrorCode::NotAClone) => {
            (event.from..=event.to).any(|lsn| oracle.find(database, lsn).is_some_and(|found| !found.is_clone()))
        }
        (Move::Merge(_, Part { at: Some(at), .. }), ErrorCode::InvalidOption) => {
            // The clone was not there then, or stood on another layer.
            let layer = |lsn| oracle.find(database, lsn).map(|found| found.layer);
            layer(at).is_none() || (event.from..=event.to).any(|lsn| layer(lsn) != layer(at))
        }
        (Move::Merge(_, Part { at: Some(at), .. }), ErrorCode::HistoryPruned) => at < oracle.journal.floor,
        (Move::Revert(commit, _), ErrorCode::InvalidOption) => {
            commit == 0 || oracle.find(database, commit - 1).is_none() || oracle.find(database, commit).is_none()
        }
        (Move::Restore(at), ErrorCode::InvalidOption) => oracle.find(database, at).is_none(),
        (Move::Revert(commit, _), ErrorCode::HistoryPruned) => commit <= oracle.journal.floor,
        (Move::Restore(at), ErrorCode::HistoryPruned) => at < oracle.journal.floor,
        _ => false,
    }
}
