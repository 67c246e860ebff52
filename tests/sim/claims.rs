//! Answers that callers were given: it is done, it is refused, there is nothing to do. Each answer must have been true
//! at some LSN between the call and the answer.

use offshoot::engine::Existing;
use offshoot::error::ErrorCode;
use offshoot::types::limits;

use crate::call::{Call, Observed};
use crate::history::{Act, Check, Event, Identity, Outcome, Violation, violation};
use crate::journal::{CatalogChange, Logged};
use crate::model::{ModelDatabase, State, difference};
use crate::moved;
use crate::oracle::{Oracle, check_of};
use crate::transfer::meets;

pub fn check_all(oracle: &Oracle<'_>) -> Result<(), Violation> {
    for (index, event) in oracle.history.events.iter().enumerate() {
        let about = |mut found: Violation| {
            found.what = format!("event {index}: {}", found.what);
            found
        };
        if let Act::Transaction { database, attempts, .. } = &event.act {
            for attempt in attempts {
                oracle.check_attempt(database, attempt).map_err(about)?;
            }
        }
        if let Some(lsn) = oracle.commits[index] {
            moved::count(oracle, event, lsn);
        }
        match &event.outcome {
            Outcome::Done { observed, .. } if oracle.commits[index].is_none() => {
                check_done(oracle, event, observed).map_err(about)?;
            }
            Outcome::Refused(code) => check_refused(oracle, event, *code).map_err(about)?,
            _ => {}
        }
    }
    Ok(())
}

fn somewhere(oracle: &Oracle<'_>, event: &Event, holds: impl FnMut(u64) -> bool) -> bool {
    (event.from..=event.to.min(oracle.last())).any(holds)
}

/// Told as done, and no commit is there: then there was nothing to write.
fn check_done(oracle: &Oracle<'_>, event: &Event, observed: &Observed) -> Result<(), Violation> {
    match &event.act {
        _ if matches!(event.outcome, Outcome::Done { lsn: Some(_), .. }) => {
            Err(violation(Check::Durability, format!("it was told as a commit and is not there: {event:?}")))
        }
        Act::Call { database, call } => {
            if somewhere(oracle, event, |lsn| answers_without_writing(oracle, database, call, observed, lsn)) {
                return Ok(());
            }
            let found = oracle.find(database, event.from);
            let check = found.map_or(Check::Catalog, |found| check_of(found, Check::Serializability));
            Err(violation(check, format!("nowhere does it answer this and write nothing: {event:?}")))
        }
        Act::Transaction { database, attempts, .. } => {
            let attempt = attempts.last().expect("BUG: it was committed, so it ran");
            let found = oracle.find(database, attempt.snapshot).expect("BUG: checked before");
            let after = found.after(&found.rows, attempt, attempt.snapshot);
            if difference(&found.rows, &after).is_empty() {
                return Ok(());
            }
            Err(violation(Check::Durability, format!("it wrote, and was told that it did not: {event:?}")))
        }
        Act::Clone { origin, made, existing, .. } => {
            // A clone that was materialized meanwhile was a clone of this origin once.
            let find = |lsn: usize| made.name.as_ref().and_then(|name| oracle.states[lsn].databases.get(name));
            let is_there = |lsn: u64| {
                find(lsn as usize).is_some_and(|now| {
                    (now.created as usize..=lsn as usize).filter_map(find).any(|then| {
                        then.created == now.created && then.origin.as_ref().is_some_and(|(of, _)| *of == origin.name)
                    })
                })
            };
            if *existing == Existing::Open && somewhere(oracle, event, is_there) {
                return Ok(());
            }
            Err(violation(Check::Durability, format!("the clone was told as made and is not there: {event:?}")))
        }
        Act::Move { .. } => moved::check_done(oracle, event, observed),
        Act::Import { documents, entries, .. } if documents.is_empty() && entries.is_empty() => Ok(()),
        Act::Import { .. } => {
            Err(violation(Check::Durability, format!("the import was told as done and is not there: {event:?}")))
        }
        // Another tab may have been first.
        Act::Materialize { database } => {
            let is_root = |lsn: u64| oracle.find(database, lsn).is_some_and(|found| !found.is_clone());
            if somewhere(oracle, event, is_root) {
                return Ok(());
            }
            Err(violation(Check::Durability, format!("the link was told as cut and is there: {event:?}")))
        }
        Act::Drop { .. } | Act::DropByForce { .. } => {
            Err(violation(Check::Durability, format!("the drop was told as done and is not there: {event:?}")))
        }
    }
}

fn answers_without_writing(
    oracle: &Oracle<'_>,
    database: &Identity,
    call: &Call,
    observed: &Observed,
    lsn: u64,
) -> bool {
    let Some(found) = oracle.find(database, lsn) else { return false };
    let mut rows = (*found.rows).clone();
    found.perform(&mut rows, call, lsn) == *observed && rows == *found.rows
}

/// A call that fails has a reason to.
fn check_refused(oracle: &Oracle<'_>, event: &Event, code: ErrorCode) -> Result<(), Violation> {
    // `World::excuses` has judged such an error when the call failed: an error of damage names a damaged block.
    if matches!(code, ErrorCode::QuotaExceeded | ErrorCode::StorageCorrupt) {
        return Ok(());
    }
    // The storage failed, which is noted when it does.
    if matches!(code, ErrorCode::StorageUnavailable | ErrorCode::Timeout) {
        return Ok(());
    }
    let state = |lsn: u64| &oracle.states[lsn as usize];
    let is_right = match (&event.act, code) {
        (Act::Transaction { .. }, ErrorCode::Conflict | ErrorCode::Aborted) => true,
        (Act::Move { .. }, _) => moved::is_right_to_fail(oracle, event, code),
        (
            Act::Call { database, .. }
            | Act::Transaction { database, .. }
            | Act::Clone { origin: database, .. }
            | Act::Drop { database }
            | Act::DropByForce { database }
            | Act::Materialize { database }
            | Act::Import { database, .. },
            ErrorCode::Closed,
        ) => somewhere(oracle, event, |lsn| oracle.find(database, lsn).is_none()),
        (Act::Call { database, call }, ErrorCode::KeyExists) => {
            let observed = Observed::Failed(code);
            somewhere(oracle, event, |lsn| answers_without_writing(oracle, database, call, &observed, lsn))
        }
        (Act::Clone { made, .. }, ErrorCode::DatabaseExists) => somewhere(oracle, event, |lsn| {
            made.name.as_ref().is_some_and(|name| state(lsn).databases.contains_key(name))
        }),
        // Its watcher ended it, or a clock that jumped made others give up its runs, again and again.
        (Act::Materialize { .. }, ErrorCode::Aborted) => true,
        (Act::Materialize { .. } | Act::DropByForce { .. }, ErrorCode::Conflict) => true,
        // The database was moved, or the history that the import began in was dropped.
        (Act::Import { .. }, ErrorCode::Conflict) => event.from < event.to || oracle.report.has("clock jumps"),
        (Act::Import { database, documents, entries, replaces: false }, ErrorCode::KeyExists) => {
            let meets = |lsn| oracle.find(database, lsn).is_some_and(|found| meets(found, documents, entries));
            somewhere(oracle, event, meets)
        }
        (Act::DropByForce { database }, ErrorCode::NotAClone) => database.name == "main",
        (Act::Clone { origin, at: Some(at), .. }, ErrorCode::InvalidOption) => oracle.find(origin, *at).is_none(),
        (Act::Clone { origin, .. }, ErrorCode::CloneDepthExceeded) => somewhere(oracle, event, |lsn| {
            oracle.find(origin, lsn).is_some_and(|found| found.depth >= limits::CLONE_DEPTH)
        }),
        // A tab learns of the floor with the manifest, and may refuse before a reader here would.
        (Act::Clone { at: Some(at), .. }, ErrorCode::HistoryPruned) => *at < oracle.journal.floor,
        (Act::Drop { database }, ErrorCode::NotAClone) => database.name == "main",
        (Act::Drop { database }, ErrorCode::CloneDependency) => {
            somewhere(oracle, event, |lsn| !state(lsn).dependents(&database.name).is_empty())
        }
        _ => false,
    };
    if is_right {
        return Ok(());
    }
    Err(violation(Check::Refusals, format!("there was no reason to fail with {}: {event:?}", code.as_str())))
}

/// The state after a clone was made as `lsn`: a whole copy of its origin as it was.
pub fn clone_effect(oracle: &Oracle<'_>, event: &Event, lsn: u64) -> Result<State, Violation> {
    let Act::Clone { origin, made, at, .. } = &event.act else { unreachable!("BUG: only clones come here") };
    oracle.alive(origin, lsn)?;
    let as_of = at.unwrap_or(lsn - 1);
    let Some(then) = oracle.find(origin, as_of) else {
        let what = format!("commit {lsn} makes a clone of {origin:?}, which was not there at {as_of}");
        return Err(violation(Check::Catalog, what));
    };
    let mut state = oracle.states[lsn as usize - 1].clone();
    let logged = &oracle.journal.commits[&lsn];
    let change = logged.catalog_changes().into_iter().find_map(|change| match change {
        CatalogChange::Made { name, layer, .. } => Some((name, layer)),
        _ => None,
    });
    let Some((name, layer)) = change else {
        return Err(violation(Check::Atomicity, format!("commit {lsn} makes no database")));
    };
    let is_named = made.name.as_ref().map_or(name.starts_with("temporary-"), |wanted| *wanted == name);
    if !is_named {
        return Err(violation(Check::Atomicity, format!("commit {lsn} makes {name}, not {made:?}")));
    }
    let mut copy = then.copy(&origin.name, as_of, lsn, layer);
    copy.goes = made.expires || made.name.is_none();
    copy.background = made.background;
    let replaced = state.databases.insert(name.clone(), copy);
    if replaced.is_some() {
        return Err(violation(Check::Catalog, format!("commit {lsn} makes {name}, which is there")));
    }
    Ok(state)
}

/// Checks that the catalog's changes on the disk are those that lead from `before` to `state`.
pub fn check_catalog(lsn: u64, logged: &Logged, before: &State, state: &State) -> Result<(), Violation> {
    let mut expected = Vec::new();
    for (name, database) in &state.databases {
        let ModelDatabase { layer, origin, .. } = database;
        let layer = *layer;
        let old = before.databases.get(name);
        if old.is_none_or(|old| old.created != database.created) {
            expected.push(CatalogChange::Made { name: name.clone(), layer, origin: origin.clone() });
        } else if old.is_some_and(ModelDatabase::is_clone) && origin.is_none() {
            expected.push(CatalogChange::Cut { name: name.clone(), layer });
        }
    }
    let dropped = before.databases.keys().filter(|name| !state.databases.contains_key(*name));
    expected.extend(dropped.map(|name| CatalogChange::Dropped { name: name.clone() }));
    let changes = logged.catalog_changes();
    let is_same = changes.len() == expected.len() && expected.iter().all(|change| changes.contains(change));
    if is_same && logged.rows().is_empty() {
        return Ok(());
    }
    Err(violation(Check::Atomicity, format!("commit {lsn} changed {changes:?} in the catalog, not {expected:?}")))
}
