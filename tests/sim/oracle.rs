//! The judge: replays the commits that reached the disk, in the order of their LSNs, on the plain model, and holds
//! every call, every transaction and every reading against it.

use std::rc::Rc;

use offshoot::engine::{Isolation, Told};

use crate::claims;
use crate::door;
use crate::history::{Act, Attempt, Check, Event, History, Identity, Outcome, Violation, violation};
use crate::journal::{CatalogChange, Journal, Logged};
use crate::model::{ModelDatabase, Rows, State};
use crate::moved;
use crate::readings;
use crate::report::Report;
use crate::storage::SimulatedDisk;
use crate::transfer::{imported, meets};

pub struct Oracle<'a> {
    pub history: &'a History,
    pub journal: &'a Journal,
    /// The store as the model has it after each LSN; the first is before any commit.
    pub states: Vec<State>,
    /// The commit that each event turned out to be.
    pub commits: Vec<Option<u64>>,
    pub report: &'a Report,
}

type Verdict<T> = Result<T, Violation>;

/// Everything that was broken, the replay's first finding only: what comes after it stands on a wrong state.
pub fn judge(history: &History, disk: &SimulatedDisk, report: &Report, told: &[Told]) -> Vec<Violation> {
    let journal = &*disk.journal.borrow();
    let mut found = history.violations.clone();
    found.extend(disk.violations.borrow().iter().cloned());
    for lsn in &journal.rewritten {
        found.push(violation(Check::Durability, format!("another commit was written over {lsn}")));
    }
    let mut oracle = Oracle::new(history, journal, report);
    found.extend(replay(&mut oracle).and_then(|()| door::check(&oracle, told)).err());
    found
}

/// Replays all commits, and looks at all that was told and read.
pub fn replay(oracle: &mut Oracle<'_>) -> Verdict<()> {
    oracle.replay()?;
    claims::check_all(oracle)?;
    readings::check_all(oracle)
}

/// The check that a read or a write of this database belongs to.
pub fn check_of(database: &ModelDatabase, otherwise: Check) -> Check {
    // A database that was a clone once must go on reading as a physical copy would.
    if database.links.is_empty() { otherwise } else { Check::CloneIsolation }
}

impl<'a> Oracle<'a> {
    pub fn new(history: &'a History, journal: &'a Journal, report: &'a Report) -> Oracle<'a> {
        let commits = vec![None; history.events.len()];
        Oracle { history, journal, states: vec![State::default()], commits, report }
    }
}

impl Oracle<'_> {
    pub fn last(&self) -> u64 {
        self.states.len() as u64 - 1
    }

    pub fn find(&self, identity: &Identity, lsn: u64) -> Option<&ModelDatabase> {
        let found = self.states.get(lsn as usize)?.databases.get(&identity.name)?;
        (found.created == identity.created).then_some(found)
    }

    fn replay(&mut self) -> Verdict<()> {
        let last = self.journal.commits.keys().last().copied().unwrap_or(0);
        for lsn in 1..=last {
            let Some(logged) = self.journal.commits.get(&lsn) else {
                return Err(violation(Check::Durability, format!("there is no commit {lsn}, and later ones are")));
            };
            let state = if lsn == 1 { genesis(logged)? } else { self.commit(lsn, logged)? };
            self.states.push(state);
        }
        Ok(())
    }

    /// The state after `lsn`, once the commit there is what exactly one event did.
    fn commit(&mut self, lsn: u64, logged: &Logged) -> Verdict<State> {
        let events = self.history.events.iter().enumerate();
        let told: Vec<usize> = events
            .filter(|(_, event)| matches!(event.outcome, Outcome::Done { lsn: Some(told), .. } if told == lsn))
            .map(|(index, _)| index)
            .collect();
        match told[..] {
            [] if logged.is_housekeeping() => Ok(self.states[lsn as usize - 1].clone()),
            [] => self.attribute(lsn, logged),
            [index] => {
                let event = &self.history.events[index];
                if event.tab != logged.tab {
                    let what = format!("event {index} was told that it is commit {lsn}, which another tab wrote");
                    return Err(violation(Check::Durability, what));
                }
                let state = self.effect(event, lsn)?;
                self.check_written(lsn, logged, &state, event)?;
                self.commits[index] = Some(lsn);
                Ok(state)
            }
            _ => Err(violation(Check::Durability, format!("events {told:?} were all told that they are commit {lsn}"))),
        }
    }

    /// Finds whose commit it is that nobody was told of: a clone's or a drop's, whose callers learn no LSN, or one of
    /// those whose answer was lost. Of those that fit, the one that was answered first. Two imports of the same rows
    /// may both fit, and the later answer leaves a later commit to the other one.
    fn attribute(&mut self, lsn: u64, logged: &Logged) -> Verdict<State> {
        let mut unfit = Vec::new();
        let (mut certain, mut possible) = (Vec::new(), Vec::new());
        for (index, event) in self.history.events.iter().enumerate() {
            if event.tab != logged.tab || self.commits[index].is_some() {
                continue;
            }
            match event.outcome {
                Outcome::Done { lsn: None, .. } if tells_no_lsn(&event.act) && event.from < lsn && lsn <= event.to => {
                    certain.push(index);
                }
                Outcome::Pending | Outcome::Unknown(_) if event.from < lsn => possible.push(index),
                _ => {}
            }
        }
        certain.sort_by_key(|index| self.history.events[*index].to);
        for index in certain.into_iter().chain(possible) {
            let event = &self.history.events[index];
            let fits = self.effect(event, lsn).and_then(|state| {
                self.check_written(lsn, logged, &state, event)?;
                Ok(state)
            });
            match fits {
                Ok(state) => {
                    if !matches!(event.outcome, Outcome::Done { .. }) {
                        self.report.count("unknown outcomes that were commits");
                    }
                    self.commits[index] = Some(lsn);
                    return Ok(state);
                }
                Err(reason) => unfit.push((index, reason)),
            }
        }
        let wrote: Vec<String> = logged.rows().iter().map(|row| format!("{:?} {}", row.shelf, row.id)).collect();
        let catalog = logged.catalog_changes();
        if let Some(state) = self.effect_without_a_call(lsn, logged) {
            return Ok(state);
        }
        let what = format!(
            "commit {lsn} of tab {} is no call's whole work: it wrote {wrote:?} {catalog:?}; candidates: {unfit:?}",
            logged.tab
        );
        Err(violation(Check::Atomicity, what))
    }

    /// The effect of a commit that no call made: a clone goes when its time is up, or becomes a root in the background.
    fn effect_without_a_call(&self, lsn: u64, logged: &Logged) -> Option<State> {
        let mut state = self.states[lsn as usize - 1].clone();
        match &logged.catalog_changes()[..] {
            [CatalogChange::Cut { name, layer }] => {
                let found = state.databases.get(name)?;
                if !found.background || !found.is_clone() || found.layer != *layer {
                    return None;
                }
                self.report.count("clones materialized behind");
                state.cut(name);
            }
            [CatalogChange::Dropped { name }] => {
                if !state.databases.get(name)?.goes || !state.dependents(name).is_empty() {
                    return None;
                }
                self.report.count("clones that went");
                state.databases.remove(name);
            }
            _ => return None,
        }
        logged.rows().is_empty().then_some(state)
    }

    /// The model's state after an event that commits as `lsn`. The event's answers must be those of the model there.
    fn effect(&self, event: &Event, lsn: u64) -> Verdict<State> {
        let before = &self.states[lsn as usize - 1];
        match &event.act {
            Act::Call { database, call } => {
                let found = self.alive(database, lsn)?;
                let mut rows = (*found.rows).clone();
                let answer = found.perform(&mut rows, call, lsn);
                if let Outcome::Done { observed, .. } = &event.outcome
                    && *observed != answer
                {
                    let what = format!("commit {lsn}: {call:?} answered {observed:?}, the model {answer:?}");
                    return Err(violation(check_of(found, Check::Serializability), what));
                }
                Ok(with_rows(before, &database.name, rows))
            }
            Act::Transaction { database, isolation, attempts } => {
                let found = self.alive(database, lsn)?;
                let Some(attempt) = attempts.last() else {
                    return Err(violation(Check::Atomicity, "a transaction that never ran is there"));
                };
                self.check_attempt(database, attempt)?;
                let rows = perform_at_commit(found, attempt, *isolation, lsn)?;
                Ok(with_rows(before, &database.name, rows))
            }
            Act::Clone { .. } => claims::clone_effect(self, event, lsn),
            Act::Drop { database } => {
                self.alive(database, lsn)?;
                let mut state = before.clone();
                if !state.dependents(&database.name).is_empty() {
                    let what = format!("commit {lsn} drops {} under its clones", database.name);
                    return Err(violation(Check::Catalog, what));
                }
                state.databases.remove(&database.name);
                Ok(state)
            }
            Act::DropByForce { database } => {
                self.alive(database, lsn)?;
                let mut state = before.clone();
                state.dependents(&database.name).iter().for_each(|name| state.cut(name));
                state.databases.remove(&database.name);
                Ok(state)
            }
            Act::Materialize { database } => {
                if !self.alive(database, lsn)?.is_clone() {
                    return Err(violation(Check::Catalog, format!("commit {lsn} cuts a link that is not there")));
                }
                let mut state = before.clone();
                state.cut(&database.name);
                Ok(state)
            }
            Act::Move { .. } => moved::move_effect(self, event, lsn),
            Act::Import { database, documents, entries, replaces } => {
                let found = self.alive(database, lsn)?;
                if !replaces && meets(found, documents, entries) {
                    let what = format!("commit {lsn} brings rows over others, which it must not replace");
                    return Err(violation(Check::Transfers, what));
                }
                Ok(with_rows(before, &database.name, imported(found, documents, entries, lsn)))
            }
        }
    }

    pub fn alive(&self, identity: &Identity, lsn: u64) -> Verdict<&ModelDatabase> {
        self.find(identity, lsn - 1).ok_or_else(|| {
            let what = format!("commit {lsn} is on {identity:?}, which is not there before it");
            violation(Check::Catalog, what)
        })
    }

    /// A body reads its snapshot, and over it what it wrote itself.
    pub fn check_attempt(&self, identity: &Identity, attempt: &Attempt) -> Verdict<()> {
        let at = attempt.snapshot;
        let Some(found) = self.find(identity, at) else {
            let what = format!("a transaction ran at {at} on {identity:?}, which is not there then");
            return Err(violation(Check::Catalog, what));
        };
        let mut rows = (*found.rows).clone();
        for (call, observed) in &attempt.steps {
            let answer = found.perform(&mut rows, call, at);
            if answer != *observed {
                let what =
                    format!("at {at} of {}: {call:?} answered {observed:?}, the model {answer:?}", identity.name);
                return Err(violation(check_of(found, Check::Snapshots), what));
            }
        }
        Ok(())
    }

    /// Checks that the commit `lsn` on the disk leads to `state`: it has all of the event's writes, and nothing else.
    fn check_written(&self, lsn: u64, logged: &Logged, state: &State, event: &Event) -> Verdict<()> {
        let before = &self.states[lsn as usize - 1];
        let name = match &event.act {
            Act::Call { database, .. } | Act::Transaction { database, .. } | Act::Import { database, .. } => {
                &database.name
            }
            Act::Move { .. } => return moved::check_move(lsn, logged, (before, state), event),
            _ => return claims::check_catalog(lsn, logged, before, state),
        };
        if !logged.catalog_changes().is_empty() {
            return Err(violation(Check::Atomicity, format!("commit {lsn} moved the catalog")));
        }
        let (old, new) = (&before.databases[name], &state.databases[name]);
        let expected: Rows =
            new.rows.iter().filter(|(_, row)| row.own && row.lsn == lsn).map(|(p, r)| (*p, *r)).collect();
        if logged.is_big() {
            // Its rows lie in a run: they are looked at by all readings that come after.
            let padding: usize = expected.values().filter_map(|row| row.value).map(|value| value.padding).sum();
            let is_whole = || logged.is_in_layer(old.layer) && logged.rows_anywhere() == expected.len() as u64;
            let fits = if matches!(event.act, Act::Import { .. }) { is_whole() } else { padding > 900_000 };
            let what = || violation(Check::Atomicity, format!("commit {lsn} is large, and its call is not"));
            return if fits { Ok(()) } else { Err(what()) };
        }
        let written = logged.rows();
        if written.iter().any(|row| row.layer != old.layer) {
            let what = format!("commit {lsn} on {name} wrote another database's layer");
            return Err(violation(Check::CloneIsolation, what));
        }
        let same = |row: &&crate::journal::Written| {
            expected.get(&(row.shelf, row.id)).is_some_and(|other| other.value == row.value)
        };
        let matching = written.iter().filter(same).count();
        if matching == written.len() && matching == expected.len() {
            // A write that began over a link may be committed after the link was cut: then its bases matter no more.
            let is_whole = before.whole.contains(&old.layer);
            let is_base =
                |row: &crate::journal::Written| is_whole || old.is_base(expected[&(row.shelf, row.id)].base, row.base);
            let lost = written.iter().find(|row| !is_base(row));
            let what = |row: &crate::journal::Written| {
                let base = expected[&(row.shelf, row.id)].base;
                format!("commit {lsn}: the base of {:?} {} is {:?}, the model's {base:?}", row.shelf, row.id, row.base)
            };
            return lost.map_or(Ok(()), |row| Err(violation(Check::Bases, what(row))));
        }
        let check = match matching {
            0 if !written.is_empty() && !expected.is_empty() => check_of(old, Check::Serializability),
            all if all == written.len() => Check::Atomicity,
            _ => check_of(old, Check::Serializability),
        };
        let what = format!("commit {lsn} on {name} wrote {} rows, of {} as expected", written.len(), expected.len());
        Err(violation(check, format!("{what}, {matching} of them right")))
    }
}

fn tells_no_lsn(act: &Act) -> bool {
    !matches!(act, Act::Call { .. } | Act::Transaction { .. } | Act::Move { .. })
}

fn with_rows(before: &State, name: &str, rows: Rows) -> State {
    let mut state = before.clone();
    state.databases.get_mut(name).expect("BUG: it was found before").rows = Rc::new(rows);
    state
}

/// A transaction as if all of it had happened at its commit: what it saw then must be what it saw.
fn perform_at_commit(found: &ModelDatabase, attempt: &Attempt, isolation: Isolation, lsn: u64) -> Verdict<Rows> {
    let mut rows = (*found.rows).clone();
    for (call, observed) in &attempt.steps {
        let answer = found.perform(&mut rows, call, lsn);
        // Under the weaker isolation only what the engine read for its writes is checked.
        let is_checked = isolation == Isolation::Serializable || call.is_write();
        if is_checked && answer != *observed {
            let what = format!("commit {lsn}: {call:?} saw {observed:?}; at its commit it would see {answer:?}");
            return Err(violation(Check::Serializability, what));
        }
    }
    Ok(rows)
}

fn genesis(logged: &Logged) -> Verdict<State> {
    let mut state = State::default();
    match &logged.catalog_changes()[..] {
        [CatalogChange::Made { name, layer, origin: None }] if name == "main" => {
            let empty = Rc::new(Rows::new());
            let (copied, rows) = (empty.clone(), empty);
            let (links, goes, background) = (Vec::new(), false, false);
            let main = ModelDatabase {
                created: 1,
                layer: *layer,
                origin: None,
                depth: 0,
                links,
                goes,
                background,
                copied,
                rows,
                parked: Rc::default(),
            };
            state.databases.insert(name.clone(), main);
            Ok(state)
        }
        other => Err(violation(Check::Atomicity, format!("the first commit does not make main: {other:?}"))),
    }
}
