//! Everything that was read, held against the model as of the LSN, or one of the LSNs, that it can have been read at.

use crate::call::Observed;
use crate::history::{Check, Identity, Reading, Seen, Violation, violation};
use crate::model::{Rows, difference};
use crate::oracle::{Oracle, check_of};
use offshoot::error::ErrorCode;

pub fn check_all(oracle: &Oracle<'_>) -> Result<(), Violation> {
    for reading in &oracle.history.readings {
        let to = reading.to.min(oracle.last());
        if (reading.from..=to).any(|lsn| holds(oracle, reading, lsn)) {
            continue;
        }
        let found = oracle.find(&reading.database, reading.from);
        let check = found.map_or(Check::Snapshots, |found| check_of(found, Check::Snapshots));
        let model = expected(oracle, reading);
        return Err(violation(check, format!("{reading:?} is not so; the model has {model}")));
    }
    Ok(())
}

fn holds(oracle: &Oracle<'_>, reading: &Reading, lsn: u64) -> bool {
    let identity = &reading.database;
    match &reading.seen {
        Seen::Answer(_, Observed::Failed(ErrorCode::Closed)) => oracle.find(identity, lsn).is_none(),
        Seen::Pruned => lsn < oracle.journal.floor,
        Seen::Answer(call, observed) => {
            let nothing = Rows::new();
            let Some(found) = oracle.find(identity, lsn) else {
                // Before a database was made, it reads as empty.
                let main = &oracle.states[lsn.max(1) as usize].databases["main"];
                return main.perform(&mut nothing.clone(), call, lsn) == *observed;
            };
            found.perform(&mut (*found.rows).clone(), call, lsn) == *observed
        }
        Seen::DifferenceToOrigin(seen) => {
            oracle.find(identity, lsn).is_some_and(|found| difference(&found.copied, &found.rows) == *seen)
        }
        Seen::NoOrigin => oracle.find(identity, lsn).is_some_and(|found| !found.is_clone()),
        Seen::DifferenceSince(older, seen) => {
            let (before, after) = (oracle.find(identity, *older), oracle.find(identity, lsn));
            before.zip(after).is_some_and(|(before, after)| difference(&before.rows, &after.rows) == *seen)
        }
        Seen::Names(names) => {
            let there = oracle.states[lsn as usize].databases.keys();
            there.eq(names)
        }
        Seen::Lineage(seen) => lineage(oracle, identity, lsn).is_some_and(|expected| expected == *seen),
    }
}

fn lineage(oracle: &Oracle<'_>, identity: &Identity, lsn: u64) -> Option<Vec<(String, Option<u64>)>> {
    let mut found = oracle.find(identity, lsn)?;
    let mut name = &identity.name;
    let mut entries = Vec::new();
    loop {
        // Links that were made before their origin became a root lead to a root all the same.
        let is_whole = oracle.states[lsn as usize].whole.contains(&found.layer);
        let origin = found.origin.as_ref().filter(|_| !is_whole);
        entries.push((name.clone(), origin.map(|(_, as_of)| *as_of)));
        let Some((origin, as_of)) = origin else { return Some(entries) };
        found = oracle.states[*as_of as usize].databases.get(origin)?;
        name = origin;
    }
}

/// The model's answer to a reading, as text for a person to compare.
fn expected(oracle: &Oracle<'_>, reading: &Reading) -> String {
    let at = reading.from.min(oracle.last());
    let Some(found) = oracle.find(&reading.database, at) else { return "no such database".to_string() };
    match &reading.seen {
        Seen::Answer(call, _) => format!("{:?}", found.perform(&mut (*found.rows).clone(), call, at)),
        Seen::DifferenceToOrigin(_) => format!("{:?}", difference(&found.copied, &found.rows)),
        _ => format!("{:?}", found.origin),
    }
}
