//! Merge, rebase, reset, revert and restore in the model.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use offshoot::error::ErrorCode;
use serde_json::{Value, json};

use crate::content::Content;
use crate::counting::{Counting, Leaving, at_counter, both, clone_counts, counted_on, landed_counts, lower};
use crate::model::{Database, Model, Origin};
use crate::rows::{DOCUMENTS, KEYS, Key};
use crate::three_way::{COUNTERS, Clash, Marks, Merged, Row, Winner, counts, field, mark, merge, with};

/// The selected part of a change. Where one side is no object, a change whose field is selected is selected whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pick {
    All,
    Nothing,
    Field(&'static str),
}

/// Picks in turn, by the place of a row.
pub type Picks = Vec<Pick>;

pub fn pick(picks: &Picks, key: &Key, before: Option<&Value>, after: Option<&Value>) -> Pick {
    let collection = DOCUMENTS.iter().position(|name| *name == key.0).unwrap_or(DOCUMENTS.len());
    let place = KEYS.iter().position(|name| *name == key.1).unwrap_or(KEYS.len());
    let are_objects = before.is_some_and(Value::is_object) && after.is_some_and(Value::is_object);
    match picks[(collection * (KEYS.len() + 1) + place) % picks.len()] {
        Pick::Field(_) if !are_objects => Pick::All,
        pick => pick,
    }
}

/// The side that wins each conflict; `None`: conflicts are not settled.
pub type Policy = Option<Winner>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Merged,
    Nothing,
    Conflict,
}

/// A conflict: its row, its path, and base, clone and origin.
pub type Told = (Key, Clash);

#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    pub outcome: Outcome,
    /// Inserted, updated, deleted.
    pub counts: [u64; 3],
    pub conflicts: Vec<Told>,
}

/// A merge being worked out.
#[derive(Default)]
struct Tally {
    counts: [u64; 3],
    conflicts: Vec<Told>,
    has_changes: bool,
}

impl Tally {
    fn count(&mut self, before: Option<&Value>, after: Option<&Value>) {
        match (before, after) {
            _ if before == after => {}
            (None, _) => self.counts[0] += 1,
            (_, Some(_)) => self.counts[1] += 1,
            (_, None) => self.counts[2] += 1,
        }
    }

    fn told(&mut self, key: &Key, merged: &Merged) {
        self.conflicts.extend(merged.clashes.iter().map(|clash| (key.clone(), clash.clone())));
    }

    fn report(self, policy: Policy) -> Report {
        let outcome = match (policy, self.conflicts.is_empty(), self.has_changes) {
            (None, false, _) => Outcome::Conflict,
            (_, _, true) => Outcome::Merged,
            (_, _, false) => Outcome::Nothing,
        };
        let counts = if outcome == Outcome::Conflict { [0; 3] } else { self.counts };
        Report { outcome, counts, conflicts: self.conflicts }
    }
}

pub struct MergeAs<'a> {
    pub policy: Policy,
    pub only: Option<&'a Picks>,
    pub at: Option<u64>,
    pub is_dry: bool,
}

/// A row with the part of its change that is merged.
fn chosen(picked: Pick, base: &Option<Row>, was: &Option<Row>) -> Option<Row> {
    match (picked, was) {
        (Pick::All, _) => was.clone(),
        (Pick::Field(name), Some(was)) => Some(with_field(base.as_ref(), was, name)),
        _ => base.clone(),
    }
}

fn values(row: &Option<Row>) -> Option<&Value> {
    row.as_ref().map(|row| &row.value)
}

/// `row` with one field as another row has it.
fn with_field(row: Option<&Row>, other: &Row, name: &str) -> Row {
    let mut marks: Marks = row.map(|row| row.marks.clone()).unwrap_or_default();
    for (counter, path) in COUNTERS.iter().enumerate() {
        if path[0] == name {
            marks[counter] = other.marks[counter].clone();
        }
    }
    let value = row.map(|row| row.value.clone()).filter(Value::is_object).or(Some(json!({})));
    let value = with(value, &[name.to_string()], other.value.get(name).cloned());
    Row { value: value.expect("an object"), marks }
}

/// True if both hold the same rows and the same collections.
fn is_equal(one: &Content, other: &Content) -> bool {
    one.collections == other.collections && one.rows == other.rows
}

fn all_keys(contents: &[&Content], parked: &Database) -> BTreeSet<Key> {
    let rows = contents.iter().flat_map(|content| content.rows.keys());
    rows.chain(parked.parked.keys()).cloned().collect()
}

impl Model {
    pub fn merge(&mut self, name: &str, how: &MergeAs<'_>) -> Result<Report, ErrorCode> {
        let clone = self.get(name).clone();
        let link = clone.origin.clone().ok_or(ErrorCode::NotAClone)?;
        let target = self.get(&link.name).clone();
        let then = match how.at {
            None => &clone,
            Some(lsn) => {
                let then = self.at(name, lsn).filter(|then| then.layer == clone.layer);
                then.ok_or(ErrorCode::InvalidOption)?
            }
        }
        .clone();
        let (mut into, mut left) = ((*target.content).clone(), Content::default());
        let (mut tally, mut parked) = (Tally::default(), BTreeMap::new());
        let contents = [&*clone.content, &*then.content, &*link.content, &*target.content];
        for key in all_keys(&contents, &clone) {
            let [now, was, below, origin] = contents.map(|content| content.row(&key));
            let base = clone.parked.get(&key).cloned().unwrap_or_else(|| below.clone());
            let picked = match how.only {
                Some(picks) if values(&below) != values(&was) => pick(picks, &key, values(&below), values(&was)),
                _ => Pick::All,
            };
            let chosen = chosen(picked, &base, &was);
            tally.has_changes |= values(&chosen) != values(&base);
            let winner = how.policy.unwrap_or(Winner::Clone);
            let sides = [base.as_ref(), chosen.as_ref(), origin.as_ref()];
            let of_origin = self.origin_counts([base.as_ref(), origin.as_ref()], &key, (&link, self.head()));
            let are_counts = both(of_origin, clone_counts(sides, clone.parked.contains_key(&key)));
            let merged = merge(sides, winner, |counter| are_counts[counter]);
            tally.told(&key, &merged);
            tally.count(values(&origin), merged.value.as_ref());
            let is_written = merged.value.as_ref() != values(&origin);
            let landed = if is_written {
                self.landed(&merged, origin.as_ref(), chosen.as_ref(), lower(&target, &key).as_ref())
            } else {
                origin.clone()
            };
            if is_written && landed.is_some() {
                into.collections.insert(key.0);
            }
            into.set(&key, landed.clone());
            let counting = landed_counts([base.as_ref(), chosen.as_ref(), landed.as_ref()], of_origin, are_counts);
            let sides = [chosen.as_ref(), now.as_ref(), landed.as_ref()];
            let has_counted = counted_on(picked, sides);
            let rest = merge(sides, Winner::Clone, |counter| has_counted[counter] && counting[counter]);
            if !rest.clashes.is_empty() {
                parked.insert(key.clone(), self.ancestor(&rest, chosen.as_ref(), landed.as_ref()));
            }
            let leaving = Leaving {
                base: chosen.as_ref(),
                now: now.as_ref(),
                below_then: below.as_ref(),
                below: landed.as_ref(),
                has_counted,
                layer: clone.layer,
            };
            let kept = self.parked(&rest, &leaving);
            left.set(&key, kept);
        }
        let report = tally.report(how.policy);
        if report.outcome != Outcome::Merged || how.is_dry {
            return Ok(report);
        }
        if how.only.is_none() {
            into.collections.extend(&clone.made);
        }
        self.land(name, into, left, parked);
        Ok(report)
    }

    /// The commit of a merge: the origin's rows, and the clone's, which stands on them.
    fn land(&mut self, name: &str, into: Content, mut left: Content, parked: BTreeMap<Key, Option<Row>>) {
        let clone = self.get(name).clone();
        let held: BTreeSet<_> = left.rows.keys().map(|key| key.0).chain(clone.made.iter().copied()).collect();
        left.collections = into.collections.union(&held).copied().collect();
        let made = held.difference(&into.collections).copied().collect();
        let as_of = self.head() + 1;
        let link = clone.origin.clone().expect("a clone has an origin");
        let into = Rc::new(into);
        let origin = Some(Origin { content: into.clone(), as_of, ..link.clone() });
        let moved = Database { layer: as_of, content: Rc::new(left), made, origin, parked, ..clone };
        self.commit(|databases| {
            let target = databases.get_mut(&link.name).expect("an origin stays");
            target.made.extend(into.collections.difference(&target.content.collections));
            target.content = into;
            databases.insert(name.to_string(), moved);
        });
    }

    pub fn rebase(&mut self, name: &str, policy: Policy, to: Option<u64>, is_dry: bool) -> Result<Report, ErrorCode> {
        let clone = self.get(name).clone();
        let link = clone.origin.clone().ok_or(ErrorCode::NotAClone)?;
        let to = to.unwrap_or(self.head());
        if to < link.as_of {
            return Err(ErrorCode::InvalidOption);
        }
        let target = self.at(&link.name, to).expect("it was there before the clone").content.clone();
        let mut content = (*target).clone();
        let mut tally = Tally { has_changes: true, ..Tally::default() };
        if clone.parked.is_empty() && is_equal(&target, &link.content) {
            return Ok(Tally::default().report(policy));
        }
        for key in all_keys(&[&*clone.content, &*link.content, &*target], &clone) {
            let [now, below, origin] = [&*clone.content, &*link.content, &*target].map(|content| content.row(&key));
            let base = clone.parked.get(&key).cloned().unwrap_or(below.clone());
            let winner = policy.unwrap_or(Winner::Clone);
            let sides = [base.as_ref(), now.as_ref(), origin.as_ref()];
            let of_origin = self.origin_counts([base.as_ref(), origin.as_ref()], &key, (&link, to));
            let of_clone = clone_counts(sides, clone.parked.contains_key(&key));
            let are_counts = both(of_origin, of_clone);
            let merged = merge(sides, winner, |counter| are_counts[counter]);
            tally.told(&key, &merged);
            tally.count(values(&origin), merged.value.as_ref());
            let leaving = Leaving {
                base: base.as_ref(),
                now: now.as_ref(),
                below_then: below.as_ref(),
                below: origin.as_ref(),
                has_counted: of_clone,
                layer: clone.layer,
            };
            content.set(&key, self.kept(&merged, &leaving));
        }
        let report = tally.report(policy);
        if report.outcome == Outcome::Merged && !is_dry {
            let held: BTreeSet<_> = content.rows.keys().map(|key| key.0).chain(clone.made.iter().copied()).collect();
            content.collections.extend(&held);
            let made = held.difference(&target.collections).copied().collect();
            let origin = Origin { as_of: to, content: target, ..link };
            self.flip(name, Database { content: Rc::new(content), made, origin: Some(origin), ..clone });
        }
        Ok(report)
    }

    /// Nothing is parked any more, unless `database` says what is.
    fn flip(&mut self, name: &str, database: Database) {
        let layer = self.head() + 1;
        let moved = Database { layer, parked: Default::default(), ..database };
        self.commit(|databases| drop(databases.insert(name.to_string(), moved)));
    }

    pub fn reset(&mut self, name: &str, only: Option<&Picks>) -> Result<(), ErrorCode> {
        let clone = self.get(name).clone();
        let link = clone.origin.clone().ok_or(ErrorCode::NotAClone)?;
        let Some(picks) = only else {
            let content = link.content.clone();
            self.flip(name, Database { content, made: Default::default(), ..clone });
            return Ok(());
        };
        let mut content = (*clone.content).clone();
        let mut parked = clone.parked.clone();
        let mut is_changed = false;
        for key in all_keys(&[&*clone.content, &*link.content], &clone) {
            let (now, below) = (clone.content.row(&key), link.content.row(&key));
            if values(&now) == values(&below) {
                parked.remove(&key);
                content.set(&key, below);
                continue;
            }
            let picked = pick(picks, &key, values(&below), values(&now));
            is_changed |= picked != Pick::Nothing;
            let mut row = match (picked, &now, &below) {
                (Pick::Nothing, ..) => now.clone(),
                (Pick::Field(name), Some(now), Some(below)) => {
                    if let Some(base) = parked.get_mut(&key) {
                        *base = Some(with_field(base.as_ref(), below, name));
                    }
                    Some(with_field(Some(now), below, name))
                }
                _ => below.clone(),
            };
            if values(&row) == values(&below) {
                parked.remove(&key);
            }
            // A field that equals the field below counts on as that one does.
            for counter in 0..COUNTERS.len() {
                if let (Some(row), Some(below), false) = (&mut row, &below, parked.contains_key(&key))
                    && field(Some(row), counter) == field(Some(below), counter)
                {
                    row.marks[counter] = below.marks[counter].clone();
                }
            }
            content.set(&key, row);
        }
        if is_changed {
            let layer = self.head() + 1;
            let moved = Database { layer, parked, content: Rc::new(content), ..clone };
            self.commit(|databases| drop(databases.insert(name.to_string(), moved)));
        }
        Ok(())
    }

    pub fn revert(&mut self, name: &str, commits: &[u64], policy: Policy, is_dry: bool) -> Result<Report, ErrorCode> {
        let commits: BTreeSet<u64> = commits.iter().copied().collect();
        let mut undone = Vec::new();
        for lsn in commits.into_iter().rev() {
            let before = self.at(name, lsn.saturating_sub(1)).ok_or(ErrorCode::InvalidOption)?;
            let after = self.at(name, lsn).ok_or(ErrorCode::InvalidOption)?;
            let is_moved = [before.layer, after.layer].iter().any(|layer| *layer != self.get(name).layer);
            undone.push((before.content.clone(), after.content.clone(), is_moved));
        }
        let now = self.get(name).content.clone();
        let (mut tally, mut content) = (Tally::default(), (*now).clone());
        // The fields that nothing came to but increments, also while the commits are undone one after the other.
        let mut counts: BTreeMap<Key, Counting> = BTreeMap::new();
        for (before, after, is_moved) in &undone {
            for key in all_keys(&[before, after], self.get(name)) {
                let [before, after] = [before, after].map(|content| content.row(&key));
                if values(&before) == values(&after) {
                    continue;
                }
                let (row, present) = (content.row(&key), now.row(&key));
                let (base, clone, origin) = (after.as_ref(), row.as_ref(), before.as_ref());
                // Counts add up only if the commit itself and all commits since did nothing but increment.
                let still = counts.entry(key.clone()).or_insert([true; COUNTERS.len()]);
                let added = |counter: usize| {
                    let both = |side| mark(base, counter).zip(mark(side, counter));
                    let is_one = |side| both(side).is_some_and(|(base, side)| base.is_one_with(side));
                    !is_moved && still[counter] && is_one(present.as_ref()) && is_one(origin)
                };
                let merged = merge([base, clone, origin], policy.unwrap_or(Winner::Clone), added);
                tally.told(&key, &merged);
                for (counter, still) in still.iter_mut().enumerate() {
                    let is_same =
                        field(clone, counter) == merged.value.as_ref().and_then(|value| at_counter(value, counter));
                    *still &= is_same || merged.sums[counter];
                }
                content.set(&key, self.landed(&merged, row.as_ref(), None, lower(self.get(name), &key).as_ref()));
            }
        }
        for key in all_keys(&[&*now, &content], self.get(name)) {
            tally.count(now.rows.get(&key), content.rows.get(&key));
            let (before, after) = (now.row(&key), content.row(&key));
            let Some(mut after) = after.filter(|_| before.is_some()) else { continue };
            // A field that has its old value in the end counts on as before.
            for counter in 0..COUNTERS.len() {
                if field(before.as_ref(), counter) == field(Some(&after), counter) {
                    after.marks[counter] = mark(before.as_ref(), counter).cloned();
                }
            }
            content.set(&key, Some(after));
        }
        tally.has_changes = tally.counts != [0; 3];
        let report = tally.report(policy);
        if report.outcome == Outcome::Merged && !is_dry {
            content.collections.extend(content.rows.keys().map(|key| key.0));
            self.replace(name, content);
        }
        Ok(report)
    }

    pub fn restore(&mut self, name: &str, lsn: u64, keep: Option<&str>) -> Result<(), ErrorCode> {
        let now = self.get(name).clone();
        let then = self.at(name, lsn).ok_or(ErrorCode::InvalidOption)?.clone();
        // A database that holds all its rows itself keeps its layer.
        let is_in_place = now.layer == then.layer || now.origin.is_none();
        let is_same = now.rows() == then.rows() && now.content.collections == then.content.collections;
        if is_in_place && is_same && keep.is_none() {
            return Ok(());
        }
        if keep.is_some_and(|keep| self.databases().contains_key(keep)) {
            return Err(ErrorCode::DatabaseExists);
        }
        let kept = keep.map(|keep| self.begun(name, None).map(|made| (keep.to_string(), made))).transpose()?;
        let mut content = (*then.content).clone();
        // A restore sets fields to the values that they had: that is no increment.
        let goes_on = if is_in_place { Some(&now.content) } else { then.beneath().map(|origin| &origin.content) };
        for key in then.rows().keys() {
            let before = goes_on.and_then(|content| content.row(key));
            let mut row = then.content.row(key).expect("it is there");
            let below = lower(if is_in_place { &now } else { &then }, key);
            for counter in 0..COUNTERS.len() {
                let is_one = counts(Some(&row), before.as_ref(), counter);
                let is_same = before.is_some() && field(before.as_ref(), counter) == field(Some(&row), counter);
                if is_in_place && is_same {
                    row.marks[counter] = mark(before.as_ref(), counter).cloned();
                } else if is_in_place || !is_one {
                    row.marks[counter] = self.numbers.mark(Some(&row.value), counter, below.as_ref());
                }
            }
            content.set(key, Some(row));
        }
        let layer = if is_in_place { now.layer } else { self.head() + 1 };
        let content = Rc::new(content);
        let moved = match is_in_place && now.origin.is_none() {
            true => Database { content, made: then.content.collections.clone(), ..now },
            false => Database { layer, content, ..then },
        };
        self.commit(|databases| {
            databases.insert(name.to_string(), moved);
            databases.extend(kept);
        });
        Ok(())
    }
}
