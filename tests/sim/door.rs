//! The write door is judged: each commit on the disk is what passed the door under its LSN, and the old and new
//! versions that the door tells are those of the model before and after the commit.

use std::collections::{BTreeMap, BTreeSet};

use offshoot::engine::{Told, ToldRow};
use offshoot::types::row::{row, split_suffix};
use offshoot::types::{Bytes, Version, key};

use crate::call::{Content, IDS, Shelf};
use crate::history::{Act, Check, Move, Violation, violation};
use crate::journal::Logged;
use crate::model::{ModelDatabase, Place, State};
use crate::oracle::Oracle;

/// Holds what the door told against what the replay made of the disk.
pub fn check(oracle: &Oracle<'_>, told: &[Told]) -> Result<(), Violation> {
    // A commit that is staged again has passed the door again: the last time counts.
    let mut commits: BTreeMap<(u64, u64), &Told> = BTreeMap::new();
    for told in told {
        match told.commit {
            Some(id) => drop(commits.insert((told.lsn.0, id), told)),
            None => told.rows.iter().try_for_each(|row| check_copy(oracle, row))?,
        }
    }
    for (lsn, logged) in &oracle.journal.commits {
        let nothing = logged.commit.changes.rows().next().is_none() && logged.commit.runs.is_empty();
        match commits.get(&(*lsn, logged.commit.id)) {
            Some(told) => check_commit(oracle, *lsn, logged, told)?,
            // The first commit is made before there is a pipeline.
            None if nothing || *lsn == 1 => {}
            None => return Err(wrong(*lsn, "has not passed the door")),
        }
    }
    for (event, _) in oracle.history.events.iter().zip(&oracle.commits).filter(|(_, lsn)| lsn.is_some()) {
        oracle.report.count(match event.act {
            Act::Call { .. } => "calls through the door",
            Act::Transaction { .. } => "transactions through the door",
            Act::Import { .. } => "imports through the door",
            Act::Move { what: Move::Merge(..), .. } => "merges through the door",
            Act::Move { what: Move::Rebase(_), .. } => "rebases through the door",
            Act::Move { what: Move::Reset(_), .. } => "resets through the door",
            Act::Move { what: Move::Revert(..), .. } => "reverts through the door",
            Act::Move { what: Move::Restore(_), .. } => "restores through the door",
            _ => "moves of the catalog through the door",
        });
    }
    Ok(())
}

fn wrong(lsn: u64, what: &str) -> Violation {
    violation(Check::Door, format!("commit {lsn} {what}"))
}

fn check_commit(oracle: &Oracle<'_>, lsn: u64, logged: &Logged, told: &Told) -> Result<(), Violation> {
    let passed: BTreeSet<_> =
        told.rows.iter().map(|told| (row(told.layer, &told.suffix), told.after.clone())).collect();
    let written: BTreeSet<_> =
        logged.commit.changes.iter().map(|(row, version)| (row.to_vec(), version.to_vec())).collect();
    let in_runs: u64 = logged.commit.runs.iter().map(|run| run.entries).sum();
    if !written.is_subset(&passed) || passed.len() as u64 != written.len() as u64 + in_runs {
        let what = format!("wrote {} rows and {in_runs} ahead; through the door went {}", written.len(), passed.len());
        return Err(wrong(lsn, &what));
    }
    let (before, after) = (&oracle.states[lsn as usize - 1], &oracle.states[lsn as usize]);
    told.rows.iter().try_for_each(|row| check_row(oracle, lsn, row, (before, after)))
}

fn check_row(
    oracle: &Oracle<'_>,
    lsn: u64,
    told: &ToldRow,
    (before, after): (&State, &State),
) -> Result<(), Violation> {
    // The model may have made the database what it is now under another layer's number in the same commit.
    let (Some(place), Some(now)) = (place(told), with_layer(after, told.layer.0)) else { return Ok(()) };
    let new = content(&told.after);
    if visible(now, &place) != new {
        return Err(wrong(
            lsn,
            &format!("wrote {place:?}; the door told {new:?}, the model {:?}", visible(now, &place)),
        ));
    }
    let below = now.copied.get(&place).and_then(|row| row.value);
    let old = match with_layer(before, told.layer.0) {
        Some(then) => visible(then, &place),
        None => below,
    };
    for (side, told, model) in [("over", &told.before, old), ("above", &told.below, below)] {
        let Some(told) = told else {
            oracle.report.count("old versions at the door that were not in memory");
            continue;
        };
        // A database that was cut off lies on nothing, whatever its layer was copied from.
        if side == "above" && !now.is_clone() {
            continue;
        }
        let told = told.as_ref().map(|value| Content::decode(value));
        if told != model {
            let what = format!("wrote {place:?} {side} {model:?}, and the door told {told:?}");
            return Err(wrong(lsn, &what));
        }
        oracle.report.count("old versions at the door");
    }
    Ok(())
}

fn check_copy(oracle: &Oracle<'_>, told: &ToldRow) -> Result<(), Violation> {
    let Some(place) = place(told) else { return Ok(()) };
    let Some(found) = oracle.states.iter().find_map(|state| with_layer(state, told.layer.0)) else {
        return Err(violation(Check::Door, format!("a copy of {place:?} is taken in over a link that nobody made")));
    };
    let model = found.copied.get(&place).and_then(|row| row.value);
    if model != content(&told.after) {
        let what = format!("a copy of {place:?} is {:?}, the model's {model:?}", content(&told.after));
        return Err(violation(Check::Door, what));
    }
    oracle.report.count("copies through the door");
    Ok(())
}

fn with_layer(state: &State, layer: u64) -> Option<&ModelDatabase> {
    state.databases.values().find(|database| database.layer == layer)
}

fn visible(database: &ModelDatabase, place: &Place) -> Option<Content> {
    database.rows.get(place).and_then(|row| row.value)
}

fn content(version: &[u8]) -> Option<Content> {
    let version = Version::decode(&Bytes::from(version)).expect("a version can be read");
    version.here().map(|value| Content::decode(value))
}

/// Where a document or an entry is in the model.
fn place(told: &ToldRow) -> Option<Place> {
    let (_, kind, encoded) = split_suffix(&told.suffix).expect("a row comes apart");
    let shelf = Shelf::of(kind)?;
    let text = key::read_id(encoded).expect("a text key");
    Some((shelf, IDS.into_iter().find(|id| *id == text).expect("a key of the workload")))
}
