//! The plain model: a store whose clones are physical copies, in which one thing happens after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use offshoot::engine::op::Condition;
use offshoot::error::ErrorCode;

use crate::call::{Call, Content, Id, Observed, Shelf};
use crate::history::{Attempt, Difference};

pub type Place = (Shelf, Id);

/// A row as it stands in one database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// `None`: deleted here, which matters for what a later write is based on.
    pub value: Option<Content>,
    pub lsn: u64,
    /// The version that the first write over a copied row replaced.
    pub base: Option<u64>,
    /// Written by this database, not copied from its origin.
    pub own: bool,
    pub mark: Mark,
}

/// From where on a row's `n` was only incremented: two marks of one id came from one value by increments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    pub id: u64,
    /// The value of `n` at the point from which it was only incremented.
    pub start: Option<i64>,
    pub is_counted: bool,
    /// The value that `n` was set to last, even if that is its value below; and the commit that set it.
    pub set: Option<i64>,
    pub set_at: u64,
}

impl Mark {
    /// Of a count that the commit `lsn` set: a new one, unless it is what it is below.
    pub fn set(lsn: u64, n: Option<i64>, below: Option<&Row>) -> Mark {
        match below {
            Some(below) if below.value.is_some_and(|value| value.n == n) => Mark { set: n, set_at: lsn, ..below.mark },
            _ => Mark { id: lsn, start: n, is_counted: false, set: n, set_at: lsn },
        }
    }

    /// As an increment leaves it. A count that is not there is zero.
    fn counted(self, below: Option<&Row>) -> Mark {
        let is_zero = |below: &&Row| {
            let n = below.value.and_then(|value| value.n);
            n.is_none() != self.start.is_none() && n.unwrap_or(0) == self.start.unwrap_or(0)
        };
        match below.filter(is_zero) {
            Some(below) => Mark { set: self.set, set_at: self.set_at, is_counted: true, ..below.mark },
            None => Mark { is_counted: true, ..self },
        }
    }
}

/// The effect of a write on a row's count.
#[derive(Clone, Copy)]
enum Count {
    Set,
    Incremented,
    Left,
}

pub fn visible_at<'a>(rows: &'a Rows, place: &Place) -> Option<&'a Row> {
    rows.get(place).filter(|row| row.value.is_some())
}

/// The base of a version that is written over a row.
pub fn base_of(rows: &Rows, place: &Place, is_clone: bool) -> Option<u64> {
    match rows.get(place) {
        Some(row) if row.own => row.base,
        Some(row) if is_clone => row.value.map(|_| row.lsn),
        _ => None,
    }
}

pub type Rows = BTreeMap<Place, Row>;

#[derive(Clone, Debug)]
pub struct ModelDatabase {
    pub created: u64,
    pub layer: u64,
    pub origin: Option<(String, u64)>,
    pub depth: usize,
    /// Where the links began that it was made over, its own last: copies of rows below are dated so.
    pub links: Vec<u64>,
    /// It may go without a call, or become a root without one.
    pub goes: bool,
    pub background: bool,
    /// The rows of the origin that it was copied from, as they were then.
    pub copied: Rc<Rows>,
    pub rows: Rc<Rows>,
    /// Rows that clash with the origin's and wait, each with its ancestor: the row that both sides are compared with.
    pub parked: Rc<BTreeMap<Place, Option<Row>>>,
}

/// A whole store at one LSN.
#[derive(Clone, Default, Debug)]
pub struct State {
    pub databases: BTreeMap<String, ModelDatabase>,
    /// Layers that hold everything.
    pub whole: BTreeSet<u64>,
}

impl State {
    /// Makes a clone a root of its own; what is in it stays.
    pub fn cut(&mut self, name: &str) {
        let database = self.databases.get_mut(name).expect("BUG: it was found before");
        database.origin = None;
        database.background = false;
        database.parked = Rc::default();
        self.whole.insert(database.layer);
    }

    /// The clones of a database, by name.
    pub fn dependents(&self, name: &str) -> Vec<String> {
        let reads_it = |other: &&ModelDatabase| other.origin.as_ref().is_some_and(|(origin, _)| origin == name);
        self.databases.iter().filter(|(_, other)| reads_it(other)).map(|(name, _)| name.clone()).collect()
    }
}

impl ModelDatabase {
    pub fn is_clone(&self) -> bool {
        self.origin.is_some()
    }

    /// A physical copy, as the clone that the commit `created` makes.
    pub fn copy(&self, name: &str, as_of: u64, created: u64, layer: u64) -> ModelDatabase {
        let copied = self.copied_rows();
        let origin = Some((name.to_string(), as_of));
        let links = self.links_over(as_of);
        let (depth, rows) = (self.depth + 1, copied.clone());
        let (goes, background, parked) = (false, false, Rc::default());
        ModelDatabase { created, layer, origin, depth, links, goes, background, rows, copied, parked }
    }

    /// The links of what is made over it as of an LSN.
    pub fn links_over(&self, as_of: u64) -> Vec<u64> {
        self.links.iter().copied().chain([as_of]).collect()
    }

    /// True if a row's base is the one that the model expects, or the copy of that which a materialization made.
    pub fn is_base(&self, expected: Option<u64>, found: Option<u64>) -> bool {
        let is_copy = |base: u64| self.links.split_last().is_some_and(|(_, below)| below.contains(&base));
        expected == found || expected.is_some() && found.is_some_and(is_copy)
    }

    /// The rows that a clone of this database begins with.
    pub fn copied_rows(&self) -> Rc<Rows> {
        let visible = self.rows.iter().filter(|(_, row)| row.value.is_some());
        Rc::new(visible.map(|(place, row)| (*place, Row { base: None, own: false, ..*row })).collect())
    }

    /// Makes the call on `rows` and gives its answer. A call that fails changes nothing.
    pub fn perform(&self, rows: &mut Rows, call: &Call, lsn: u64) -> Observed {
        Work { rows, lsn, is_clone: self.is_clone(), below: &self.copied }.perform(call)
    }

    /// The rows after all of an attempt's writes.
    pub fn after(&self, rows: &Rows, attempt: &Attempt, lsn: u64) -> Rows {
        let mut rows = rows.clone();
        for (call, _) in &attempt.steps {
            self.perform(&mut rows, call, lsn);
        }
        rows
    }
}

struct Work<'a> {
    rows: &'a mut Rows,
    lsn: u64,
    is_clone: bool,
    below: &'a Rows,
}

fn visible(rows: &Rows, shelf: Shelf) -> impl DoubleEndedIterator<Item = (String, Content)> + '_ {
    let all = rows.iter().filter(move |((of, _), _)| *of == shelf);
    all.filter_map(|((_, id), row)| row.value.map(|value| (id.to_string(), value)))
}

/// The differences of the rows of `after` to those of `before`.
pub fn difference(before: &Rows, after: &Rows) -> Vec<Difference> {
    let value = |rows: &Rows, place: &Place| rows.get(place).and_then(|row| row.value);
    let mut places: Vec<&Place> = before.keys().chain(after.keys()).collect();
    places.sort();
    places.dedup();
    let both = places.into_iter().map(|place| (place, value(before, place), value(after, place)));
    both.filter(|(_, before, after)| before != after)
        .map(|((shelf, id), before, after)| (*shelf, id.to_string(), before, after))
        .collect()
}

impl Work<'_> {
    fn get(&self, shelf: Shelf, id: Id) -> Option<Content> {
        self.rows.get(&(shelf, id)).and_then(|row| row.value)
    }

    fn write(&mut self, shelf: Shelf, id: Id, value: Option<Content>, count: Count) {
        let place = (shelf, id);
        let base = base_of(self.rows, &place, self.is_clone);
        let below = visible_at(self.below, &place);
        let mark = match (visible_at(self.rows, &place), count) {
            (Some(row), Count::Incremented) => row.mark.counted(below),
            (Some(row), Count::Left) => row.mark,
            _ => Mark::set(self.lsn, value.and_then(|value| value.n), below),
        };
        self.rows.insert(place, Row { value, lsn: self.lsn, base, own: true, mark });
    }

    fn perform(&mut self, call: &Call) -> Observed {
        match call {
            Call::Get(shelf, id) => Observed::Value(self.get(*shelf, id)),
            Call::GetMany(shelf, ids) => Observed::Values(ids.iter().map(|id| self.get(*shelf, id)).collect()),
            Call::Count(shelf) => Observed::Count(visible(self.rows, *shelf).count() as u64),
            Call::List(shelf) => Observed::Rows(visible(self.rows, *shelf).collect()),
            Call::First(shelf, limit) => Observed::Rows(visible(self.rows, *shelf).take(*limit).collect()),
            Call::Last(limit) => Observed::Rows(visible(self.rows, Shelf::Entries).rev().take(*limit).collect()),
            Call::Insert(rows) => {
                if rows.iter().any(|(id, _)| self.get(Shelf::Documents, id).is_some()) {
                    return Observed::Failed(ErrorCode::KeyExists);
                }
                self.put(Shelf::Documents, rows)
            }
            Call::Put(shelf, rows) => self.put(*shelf, rows),
            Call::SetIf(id, content, condition) => {
                let is_there = self.get(Shelf::Entries, id).is_some();
                let holds = *condition == Condition::None || is_there == (*condition == Condition::IfPresent);
                if holds {
                    self.write(Shelf::Entries, id, Some(*content), Count::Set);
                }
                Observed::Flag(holds)
            }
            Call::Change(..) | Call::Unset(..) => self.change(call),
            Call::Delete(shelf, ids) => {
                let there: Vec<Id> = ids.iter().copied().filter(|id| self.get(*shelf, id).is_some()).collect();
                for id in &there {
                    self.write(*shelf, id, None, Count::Set);
                }
                Observed::Count(there.len() as u64)
            }
        }
    }

    fn put(&mut self, shelf: Shelf, rows: &[(Id, Content)]) -> Observed {
        for (id, content) in rows {
            self.write(shelf, id, Some(*content), Count::Set);
        }
        match shelf {
            Shelf::Documents => Observed::Ids(rows.iter().map(|(id, _)| id.to_string()).collect()),
            Shelf::Entries => Observed::Flag(true),
        }
    }

    fn change(&mut self, call: &Call) -> Observed {
        match call {
            Call::Change(Shelf::Documents, id, add, by) => {
                let Some(found) = self.get(Shelf::Documents, id) else { return Observed::Flag(false) };
                let changed = Content { n: Some(found.n.unwrap_or(0) + add), by: Some(*by), ..found };
                self.write(Shelf::Documents, id, Some(changed), Count::Incremented);
                Observed::Flag(true)
            }
            Call::Change(Shelf::Entries, id, _, by) => {
                let found = self.get(Shelf::Entries, id).unwrap_or_default();
                self.write(Shelf::Entries, id, Some(Content { by: Some(*by), ..found }), Count::Left);
                Observed::Nothing
            }
            Call::Unset(shelf, id) => {
                let found = self.get(*shelf, id);
                // An update that changes nothing writes nothing.
                if let Some(found) = found.filter(|found| found.n.is_some()) {
                    self.write(*shelf, id, Some(Content { n: None, ..found }), Count::Set);
                }
                if *shelf == Shelf::Documents { Observed::Flag(found.is_some()) } else { Observed::Nothing }
            }
            _ => unreachable!("BUG: only changes come here"),
        }
    }
}
