//! A plain three-way merge of three JSON values, written from the promises (SEMANTICS C12) and not from the engine.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The paths that programs increment.
pub const COUNTERS: [&[&str]; 2] = [&["n"], &["inside", "n"]];

/// From where on a field was only incremented: two sides whose marks share an id came from one value by increments.
#[derive(Clone, PartialEq, Debug)]
pub struct Mark {
    pub ids: BTreeSet<u64>,
    /// The ids of the row below, if the field was set to its value there: they count while the clone stands there.
    pub lent: BTreeSet<u64>,
    /// The field's value at the point from which it was only incremented.
    pub start: Option<Value>,
    /// True if the field was incremented since that point.
    pub is_counted: bool,
    /// The number of the last set of the field, even to its value below, and the value that it was set to.
    pub set: (u64, Option<Value>),
}

impl Mark {
    pub fn all_ids(&self) -> BTreeSet<u64> {
        &self.ids | &self.lent
    }

    /// The mark of a field that was set to its value below.
    pub fn set(self, set: (u64, Option<Value>)) -> Mark {
        Mark { ids: [set.0].into(), lent: self.all_ids(), set, ..self }
    }

    pub fn is_one_with(&self, other: &Mark) -> bool {
        !self.all_ids().is_disjoint(&other.all_ids())
    }
}

pub type Marks = [Option<Mark>; COUNTERS.len()];

/// A row of one side.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    pub value: Value,
    pub marks: Marks,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Winner {
    Clone,
    Origin,
}

/// A field that both sides changed: its path, and its values in base, clone and origin.
pub type Clash = (Vec<String>, [Option<Value>; 3]);

pub struct Merged {
    pub value: Option<Value>,
    pub clashes: Vec<Clash>,
    /// For each of `COUNTERS`, true if both sides were added up.
    pub sums: [bool; COUNTERS.len()],
}

pub fn at<'a>(value: Option<&'a Value>, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value?, |value, name| value.as_object()?.get(*name))
}

pub fn field(row: Option<&Row>, counter: usize) -> Option<&Value> {
    at(row.map(|row| &row.value), COUNTERS[counter])
}

pub fn mark(row: Option<&Row>, counter: usize) -> Option<&Mark> {
    row.and_then(|row| row.marks[counter].as_ref())
}

/// True if a side's field is the base's plus increments.
pub fn counts(side: Option<&Row>, base: Option<&Row>, counter: usize) -> bool {
    let (Some(side), Some(of_base)) = (mark(side, counter), mark(base, counter)) else { return false };
    let (start, from) = (side.start.as_ref(), field(base, counter));
    // A field that is not there counts as zero, once it is incremented.
    let number = |value: Option<&Value>| value.cloned().unwrap_or(0.into());
    let is_zero = number(start) == number(from) && side.is_counted;
    side.is_one_with(of_base) || start == from || is_zero
}

/// As `counts`, where the base is an earlier point of the same side.
pub fn counts_since(side: Option<&Row>, base: Option<&Row>, counter: usize) -> bool {
    let (Some(side), Some(of_base)) = (mark(side, counter), mark(base, counter)) else { return false };
    let (start, from) = (side.set.1.as_ref(), field(base, counter));
    let number = |value: Option<&Value>| value.cloned().unwrap_or(0.into());
    side.set.0 == of_base.set.0 || start == from || side.is_counted && number(start) == number(from)
}

/// The mark of a sum: as `over`, and incremented if the other side was.
pub fn summed(over: Option<&Row>, added: Option<&Row>, counter: usize) -> Option<Mark> {
    let over = mark(over, counter)?.clone();
    let is_counted = over.is_counted || mark(added, counter).is_some_and(|mark| mark.is_counted);
    Some(Mark { is_counted, ..over })
}

/// Merges rows: base, clone, origin. `added` says which counters add up.
pub fn merge(sides: [Option<&Row>; 3], winner: Winner, added: impl Fn(usize) -> bool) -> Merged {
    let added = std::array::from_fn(added);
    let mut merged = Merge { winner, added, clashes: Vec::new() };
    let value = merged.at(&mut Vec::new(), sides.map(|side| side.map(|row| &row.value)));
    // Also what only one side has: a field that is not there counts as zero.
    let sums = std::array::from_fn(|counter| {
        let number = |value: Option<&Value>| value.map_or(Some(0), Value::as_i64);
        let numbers = sides.map(|side| number(field(side, counter)));
        let sum = at(value.as_ref(), COUNTERS[counter]).and_then(Value::as_i64);
        match (added[counter], numbers, sum) {
            (true, [Some(base), Some(clone), Some(origin)], Some(sum)) => origin + clone - base == sum,
            _ => false,
        }
    });
    Merged { value, clashes: merged.clashes, sums }
}

struct Merge {
    winner: Winner,
    added: [bool; COUNTERS.len()],
    clashes: Vec<Clash>,
}

impl Merge {
    fn at(&mut self, path: &mut Vec<String>, sides: [Option<&Value>; 3]) -> Option<Value> {
        let [base, clone, origin] = sides;
        let counter = COUNTERS.iter().position(|counter| counter == path);
        if counter.is_some_and(|counter| self.added[counter])
            && let (Some(clone), Some(origin)) = (number(clone), number(origin))
            && let Some(base) = base.map_or(Some(0), |base| base.as_i64())
        {
            return Some((origin + clone - base).into());
        }
        if let (Some(Value::Object(clone)), Some(Value::Object(origin))) = (clone, origin) {
            return Some(self.fields(path, base.and_then(Value::as_object), clone, origin).into());
        }
        if clone == origin || clone == base {
            return origin.cloned();
        }
        if origin == base {
            return clone.cloned();
        }
        self.clashes.push((path.clone(), sides.map(|side| side.cloned())));
        if self.winner == Winner::Clone { clone.cloned() } else { origin.cloned() }
    }

    fn fields(
        &mut self,
        path: &mut Vec<String>,
        base: Option<&Map<String, Value>>,
        clone: &Map<String, Value>,
        origin: &Map<String, Value>,
    ) -> Map<String, Value> {
        let mut merged = Map::new();
        let names: BTreeSet<_> = clone.keys().chain(origin.keys()).collect();
        for name in names {
            path.push(name.clone());
            let sides = [base.and_then(|base| base.get(name)), clone.get(name), origin.get(name)];
            if let Some(value) = self.at(path, sides) {
                merged.insert(name.clone(), value);
            }
            path.pop();
        }
        merged
    }
}

fn number(value: Option<&Value>) -> Option<i64> {
    value.and_then(Value::as_i64)
}

/// `value` with what stands at a path replaced; nothing in its place removes it.
pub fn with(value: Option<Value>, path: &[String], new: Option<Value>) -> Option<Value> {
    let Some((name, rest)) = path.split_first() else { return new };
    let mut fields = value.and_then(|value| value.as_object().cloned()).unwrap_or_default();
    match with(fields.get(name).cloned(), rest, new) {
        Some(inner) => drop(fields.insert(name.clone(), inner)),
        None => drop(fields.remove(name)),
    }
    Some(fields.into())
}
