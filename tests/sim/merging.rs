//! Merge, rebase, reset, revert and restore in the plain model.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::call::Content;
use crate::history::{Identity, Move, Part, Pick, Picks, Settled, Told, Winner};
use crate::model::{Mark, ModelDatabase, Place, Row, Rows, State, base_of, visible_at};
use crate::three_way::{
    Merged, adds_up, chosen, counts, counts_between, counts_since, kept, landed, merge, n_of, not_reset, parked,
};

/// The effect of a move: its report, and the state after it; `None`: it writes nothing.
pub struct Moved {
    pub told: Told,
    pub state: Option<State>,
}

/// Where a clone's new layer lies, and the point of its origin that it stands on, as the commit says.
#[derive(Clone, Copy, Debug)]
pub struct Landing {
    pub lsn: u64,
    pub layer: u64,
    pub as_of: u64,
}

#[derive(Default)]
struct Tally {
    told: Told,
    has_changes: bool,
}

impl Tally {
    fn count(&mut self, before: Option<Content>, after: Option<Content>) {
        match (before, after) {
            _ if before == after => {}
            (None, _) => self.told.inserted += 1,
            (_, Some(_)) => self.told.updated += 1,
            (_, None) => self.told.deleted += 1,
        }
    }

    /// The report of the move, and true if it writes: not where a conflict stops it, nor where nothing changes.
    fn settle(self, winner: Winner) -> (Told, bool) {
        if winner == Winner::Nobody && self.told.conflicts > 0 {
            let told = Told { settled: Settled::Conflict, conflicts: self.told.conflicts, ..Told::default() };
            return (told, false);
        }
        let settled = if self.has_changes { Settled::Merged } else { Settled::Nothing };
        (Told { settled, ..self.told }, self.has_changes)
    }
}

fn places(all: &[&Rows]) -> BTreeSet<Place> {
    all.iter().flat_map(|rows| rows.keys()).copied().collect()
}

impl ModelDatabase {
    fn below(&self, place: &Place) -> Option<&Row> {
        self.copied.get(place)
    }

    /// The row that both sides are compared with.
    fn base(&self, place: &Place) -> Option<&Row> {
        self.parked.get(place).map_or_else(|| visible_at(&self.copied, place), Option::as_ref)
    }

    /// The part of a row's change until `then` that a selection takes. It is not asked about a row that was as where
    /// the clone began.
    fn picked(&self, place: &Place, then: &Rows, only: Option<Picks>) -> Pick {
        let value = |rows: &Rows| rows.get(place).and_then(|row| row.value);
        let (below, then) = (value(&self.copied), value(then));
        match only {
            Some(picks) if below != then => picks.of(*place, below.is_some() && then.is_some()),
            _ => Pick::All,
        }
    }

    /// The same database on another layer, over what is below. Nothing is parked there.
    fn flipped(&self, below: Below, own: Rows, landing: Landing) -> ModelDatabase {
        let Below { origin, copied, links } = below;
        let mut rows = (*copied).clone();
        rows.extend(own);
        let parked = Rc::default();
        ModelDatabase { layer: landing.layer, origin, links, copied, rows: Rc::new(rows), parked, ..self.clone() }
    }

    fn over_what_it_was(&self) -> Below {
        Below { origin: self.origin.clone(), copied: self.copied.clone(), links: self.links.clone() }
    }

    fn over(&self, name: String, as_of: u64) -> Below {
        Below { origin: Some((name, as_of)), copied: self.copied_rows(), links: self.links_over(as_of) }
    }
}

/// The origin, the rows and the links that a clone stands on.
struct Below {
    origin: Option<(String, u64)>,
    copied: Rc<Rows>,
    links: Vec<u64>,
}

/// Base, clone, origin; `then`: the clone's rows that are merged.
fn sides<'a>((clone, then): (&'a ModelDatabase, &'a Rows), origin: &'a Rows, place: &Place) -> [Option<&'a Row>; 3] {
    [clone.base(place), visible_at(then, place), visible_at(origin, place)]
}

fn values(sides: [Option<&Row>; 3]) -> [Option<Content>; 3] {
    sides.map(|side| side.and_then(|row| row.value))
}

/// True if the clone's count is the base's plus increments.
fn has_counted(clone: &ModelDatabase, place: &Place, [base, of_clone, _]: [Option<&Row>; 3]) -> bool {
    if clone.parked.contains_key(place) { counts_since(of_clone, base) } else { counts(of_clone, base) }
}

/// Of the part of a row's count that a merge leaves to the clone: true if it is increments alone, and true if they add
/// up with what the origin then has. `now`: the clone's row; `sides`: those that are merged.
fn counts_on(
    clone: &ModelDatabase,
    place: &Place,
    (sides, now): ([Option<&Row>; 3], Option<&Row>),
    takes_count: bool,
) -> (bool, bool) {
    let [base, then, of_origin] = sides;
    let goes_on = counts(of_origin, base);
    if !takes_count {
        return (has_counted(clone, place, [base, now, of_origin]), goes_on);
    }
    let is_as_merged = has_counted(clone, place, sides) || n_of(then) == n_of(base);
    (counts_between(now, then), goes_on && is_as_merged)
}

pub fn merge_into_origin(
    states: &[State],
    before: &State,
    identity: &Identity,
    (winner, Part { only, at }): (Winner, Part),
    landing: Landing,
) -> Option<Moved> {
    let clone = &before.databases[&identity.name];
    let (target, _) = clone.origin.clone()?;
    let origin = &before.databases[&target];
    let then = match at {
        Some(at) => find(states, identity, at).filter(|then| then.layer == clone.layer)?,
        None => clone,
    };
    let (mut tally, mut rows) = (Tally::default(), (*origin.rows).clone());
    let (mut left, mut waiting) = (Rows::new(), BTreeMap::new());
    for place in places(&[&clone.copied, &clone.rows, &origin.rows]) {
        let all = sides((clone, &then.rows), &origin.rows, &place);
        let ([base, of_then, of_origin], now) = (all, visible_at(&clone.rows, &place));
        let adds = has_counted(clone, &place, all) && counts(of_origin, base);
        let pick = clone.picked(&place, &then.rows, only);
        let takes_count = matches!(pick, Pick::All | Pick::Field("n"));
        let chosen = chosen(pick, base, of_then);
        let merging = [base, chosen.as_ref(), of_origin];
        tally.has_changes |= values(merging)[0] != values(merging)[1];
        let merged = merge(values(merging), winner, adds && takes_count);
        tally.told.conflicts += merged.conflicts;
        tally.count(values(all)[2], merged.value);
        if merged.value != values(all)[2] {
            let mark = landed(&merged, of_origin, chosen.as_ref(), origin.below(&place), landing.lsn);
            let base = base_of(&origin.rows, &place, origin.is_clone());
            rows.insert(place, Row { value: merged.value, lsn: landing.lsn, base, own: true, mark });
        }
        let leaving = [chosen.as_ref(), now, visible_at(&rows, &place)];
        let (is_counted, goes_on) = counts_on(clone, &place, (all, now), takes_count);
        let rest = merge(values(leaving), Winner::Clone, is_counted && goes_on);
        let rest = Merged { is_sum: is_counted && adds_up(&rest, values(leaving)), ..rest };
        if rest.conflicts > 0 {
            let (row, ancestor) = parked(&rest, leaving, is_counted, landing.lsn);
            left.insert(place, row);
            waiting.insert(place, ancestor);
        } else if rest.value != values(leaving)[2] {
            left.insert(place, kept(&rest, leaving, landing.lsn));
        }
    }
    let (told, commits) = tally.settle(winner);
    let state = commits.then(|| {
        let mut state = before.clone();
        let origin = ModelDatabase { rows: Rc::new(rows), ..origin.clone() };
        let moved = clone.flipped(origin.over(target.clone(), landing.lsn), left, landing);
        state.databases.insert(target, origin);
        state.databases.insert(identity.name.clone(), ModelDatabase { parked: Rc::new(waiting), ..moved });
        state
    });
    Some(Moved { told, state })
}

pub fn rebase(states: &[State], before: &State, name: &str, winner: Winner, landing: Landing) -> Option<Moved> {
    let clone = &before.databases[name];
    let (target, as_of) = clone.origin.clone()?;
    let origin = states.get(landing.as_of as usize)?.databases.get(&target)?;
    let has_changes = landing.as_of > as_of || !clone.parked.is_empty();
    let mut tally = Tally { has_changes, ..Tally::default() };
    let mut own = Rows::new();
    for place in places(&[&clone.copied, &clone.rows, &origin.rows]) {
        let all = sides((clone, &clone.rows), &origin.rows, &place);
        let [base, _, of_origin] = all;
        let adds = has_counted(clone, &place, all) && counts(of_origin, base);
        let merged = merge(values(all), winner, adds);
        tally.told.conflicts += merged.conflicts;
        tally.count(values(all)[2], merged.value);
        if merged.value != values(all)[2] {
            own.insert(place, kept(&merged, all, landing.lsn));
        }
    }
    let (told, commits) = tally.settle(winner);
    let state = commits.then(|| {
        let mut state = before.clone();
        let moved = clone.flipped(origin.over(target, landing.as_of), own, landing);
        state.databases.insert(name.to_string(), moved);
        state
    });
    Some(Moved { told, state })
}

/// True if a clone's origin still holds the rows that it held where the clone stands, and no row of the clone is
/// parked.
pub fn is_as_it_was(state: &State, name: &str) -> bool {
    let Some(clone) = state.databases.get(name) else { return false };
    let origin = clone.origin.as_ref().and_then(|(target, _)| state.databases.get(target));
    let visible = |rows: &Rows| -> Vec<_> {
        rows.iter().filter_map(|(place, row)| row.value.map(|value| (*place, value))).collect()
    };
    clone.parked.is_empty() && origin.is_some_and(|origin| visible(&origin.rows) == visible(&clone.copied))
}

/// Where nothing is picked, nothing is written.
pub fn reset(before: &State, name: &str, only: Option<Picks>, landing: Landing) -> Option<Moved> {
    let clone = &before.databases[name];
    clone.origin.as_ref()?;
    let (mut own, mut parked) = (Rows::new(), BTreeMap::new());
    let mut commits = only.is_none();
    for (place, row) in clone.rows.iter() {
        let below = visible_at(&clone.copied, place);
        if row.value == below.and_then(|below| below.value) {
            continue;
        }
        let (pick, ancestor) = (clone.picked(place, &clone.rows, only), clone.parked.get(place));
        commits |= pick != Pick::Nothing;
        if let Some((row, ancestor)) = not_reset(pick, (row, below), ancestor, landing.lsn) {
            own.insert(*place, row);
            parked.extend(ancestor.map(|ancestor| (*place, ancestor)));
        }
    }
    let state = commits.then(|| {
        let mut state = before.clone();
        let moved = clone.flipped(clone.over_what_it_was(), own, landing);
        state.databases.insert(name.to_string(), ModelDatabase { parked: Rc::new(parked), ..moved });
        state
    });
    Some(Moved { told: Told::default(), state })
}

fn find<'a>(states: &'a [State], identity: &Identity, lsn: u64) -> Option<&'a ModelDatabase> {
    let found = states.get(lsn as usize)?.databases.get(&identity.name)?;
    (found.created == identity.created).then_some(found)
}

/// Writes one row over what is there.
fn write_over(rows: &mut Rows, place: Place, value: Option<Content>, mark: Mark, lsn: u64, is_clone: bool) {
    let base = base_of(rows, &place, is_clone);
    rows.insert(place, Row { value, lsn, base, own: true, mark });
}

pub fn revert(
    states: &[State],
    before: &State,
    identity: &Identity,
    (commit, winner): (u64, Winner),
    lsn: u64,
) -> Option<Moved> {
    let now = before.databases.get(&identity.name)?;
    let (earlier, later) = (find(states, identity, commit - 1)?, find(states, identity, commit)?);
    let is_one_layer = earlier.layer == now.layer && later.layer == now.layer;
    let (mut tally, mut rows) = (Tally::default(), (*now.rows).clone());
    for place in places(&[&earlier.rows, &later.rows]) {
        let all = [&later.rows, &now.rows, &earlier.rows].map(|rows| visible_at(rows, &place));
        if values(all)[0] == values(all)[2] {
            continue;
        }
        let [base, present, _] = all;
        let id = |row: Option<&Row>| row.map(|row| row.mark.id);
        let adds = is_one_layer && base.is_some() && all.iter().all(|row| id(*row) == id(base));
        let merged = merge(values(all), winner, adds);
        tally.told.conflicts += merged.conflicts;
        tally.count(values(all)[1], merged.value);
        if merged.value != values(all)[1] {
            let mark = landed(&merged, present, None, now.below(&place), lsn);
            write_over(&mut rows, place, merged.value, mark, lsn, now.is_clone());
        }
    }
    tally.has_changes = tally.told.inserted + tally.told.updated + tally.told.deleted > 0;
    let (told, commits) = tally.settle(winner);
    let state = commits.then(|| with_rows(before, &identity.name, rows));
    Some(Moved { told, state })
}

fn with_rows(before: &State, name: &str, rows: Rows) -> State {
    let mut state = before.clone();
    state.databases.get_mut(name).expect("it was found before").rows = Rc::new(rows);
    state
}

/// A restore may commit only for the sake of collections, which the model does not have. So `state` is always there.
pub fn restore(states: &[State], before: &State, identity: &Identity, at: u64, landing: Landing) -> Option<Moved> {
    let now = before.databases.get(&identity.name)?;
    let then = find(states, identity, at)?;
    let told = Told::default();
    if now.layer != then.layer && now.is_clone() {
        let own = then.rows.iter().filter(|(_, row)| row.own).map(|(place, row)| {
            let below = then.below(place);
            let n = row.value.and_then(|value| value.n);
            let goes_on = below.is_some_and(|below| below.mark.id == row.mark.id);
            let mark = if goes_on { row.mark } else { Mark::set(landing.lsn, n, below) };
            (*place, Row { lsn: landing.lsn, mark, ..*row })
        });
        let mut state = before.clone();
        let moved = now.flipped(then.over_what_it_was(), own.collect(), landing);
        let moved = ModelDatabase { parked: then.parked.clone(), ..moved };
        state.databases.insert(identity.name.clone(), moved);
        return Some(Moved { told, state: Some(state) });
    }
    let mut rows = (*now.rows).clone();
    for place in places(&[&now.rows, &then.rows]) {
        let (present, past) = (visible_at(&now.rows, &place), visible_at(&then.rows, &place));
        let value = past.and_then(|row| row.value);
        if value == present.and_then(|row| row.value) {
            continue;
        }
        let n = value.and_then(|value| value.n);
        let mark = match present {
            Some(present) if value.is_some() && n_of(Some(present)) == n => present.mark,
            _ => Mark::set(landing.lsn, n, now.below(&place)),
        };
        write_over(&mut rows, place, value, mark, landing.lsn, now.is_clone());
    }
    Some(Moved { told, state: Some(with_rows(before, &identity.name, rows)) })
}

/// The effect of a move on the store `before`; `None`: the move cannot be made there.
pub fn effect(states: &[State], before: &State, identity: &Identity, act: Move, landing: Landing) -> Option<Moved> {
    let found = before.databases.get(&identity.name)?;
    if found.created != identity.created {
        return None;
    }
    let name = &identity.name;
    match act {
        Move::Merge(winner, part) => merge_into_origin(states, before, identity, (winner, part), landing),
        Move::Rebase(winner) => rebase(states, before, name, winner, landing),
        Move::Reset(only) => reset(before, name, only, landing),
        Move::Revert(commit, winner) => revert(states, before, identity, (commit, winner), landing.lsn),
        Move::Restore(at) => restore(states, before, identity, at, landing),
    }
}
