//! Which fields of a row were only incremented, and what that leaves when a clone comes to stand on other rows.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::model::{Database, Model, Origin};
use crate::moves::Pick;
use crate::rows::Key;
use crate::three_way::{COUNTERS, Mark, Merged, Row, counts, counts_since, field, mark, summed, with};

/// For each of `COUNTERS`, true if the field was only incremented.
pub type Counting = [bool; COUNTERS.len()];

/// The counters that a clone only incremented since `base`. For a parked row the last set of the field decides
/// (`counts_since`), also where it set the value that stands below.
pub fn clone_counts([base, clone, _]: [Option<&Row>; 3], is_parked: bool) -> Counting {
    let counts = if is_parked { counts_since } else { counts };
    std::array::from_fn(|counter| counts(clone, base, counter))
}

pub fn both(one: Counting, other: Counting) -> Counting {
    std::array::from_fn(|counter| one[counter] && other[counter])
}

/// A row of a clone that comes to stand on other rows.
pub struct Leaving<'a> {
    /// The row that `now` is compared with: the difference is the clone's own change.
    pub base: Option<&'a Row>,
    pub now: Option<&'a Row>,
    pub below_then: Option<&'a Row>,
    pub below: Option<&'a Row>,
    /// The counters that the clone only incremented since `base`.
    pub has_counted: Counting,
    /// The layer that the clone leaves.
    pub layer: u64,
}

/// An id that all rows of a layer share.
fn layer_id(layer: u64) -> u64 {
    layer + (1 << 32)
}

/// The counters that a clone only incremented beside the chosen part or after it: chosen, now.
pub fn counted_on(picked: Pick, [chosen, now, _]: [Option<&Row>; 3]) -> Counting {
    std::array::from_fn(|counter| {
        let is_taken = picked == Pick::All || picked == Pick::Field(COUNTERS[counter][0]);
        let counts_on = if is_taken { counts_since } else { counts };
        counts_on(now, chosen, counter)
    })
}

/// The counters whose landed value is the chosen one plus increments: base, chosen, landed.
pub fn landed_counts([base, chosen, landed]: [Option<&Row>; 3], of_origin: Counting, are_counts: Counting) -> Counting {
    std::array::from_fn(|counter| {
        let is_as_chosen = |row| field(row, counter) == field(chosen, counter);
        is_as_chosen(landed) || is_as_chosen(base) && of_origin[counter] || are_counts[counter]
    })
}

/// A row of another database, which a field counts on from.
struct Under {
    name: String,
    as_of: u64,
    row: Row,
}

impl Model {
    /// The rows below, level by level, that a field of a row counts on from.
    fn under(&self, name: &str, lsn: u64, key: &Key, counter: usize) -> Vec<Under> {
        let mut under = Vec::new();
        let mut database = self.at(name, lsn);
        while let Some((row, link)) = database.and_then(|it| it.content.row(key).zip(it.beneath())) {
            let Some(below) = link.content.row(key) else { break };
            let marks = mark(Some(&row), counter).zip(mark(Some(&below), counter));
            if !marks.is_some_and(|(own, below)| own.is_one_with(below)) {
                break;
            }
            under.push(Under { name: link.name.clone(), as_of: link.as_of, row: below });
            database = self.at(&link.name, link.as_of);
        }
        under
    }

    /// The counters that an origin at `to` only incremented since its clone began at `link`. The base of a parked row
    /// may be another row than the one at `link`: then only the marks of base and origin decide.
    pub fn origin_counts(&self, [base, origin]: [Option<&Row>; 2], key: &Key, (link, to): (&Origin, u64)) -> Counting {
        let is_base = base == link.content.row(key).as_ref();
        // The mark has the id of the layer that the origin had at `link`: the origin has left that layer, and had not
        // set the field in it.
        let left = self.at(&link.name, link.as_of).map(|then| layer_id(then.layer));
        let is_left = |counter| mark(origin, counter).zip(left).is_some_and(|(mark, left)| mark.ids.contains(&left));
        std::array::from_fn(|counter| {
            counts(origin, base, counter)
                || is_base && is_left(counter)
                || is_base && self.counts_under(&link.name, [link.as_of, to], key, counter)
        })
    }

    /// True if a row below the database at `now` counts on from a row below it at `then`: their marks share an id, or
    /// the field had the later mark's first value all the time in between.
    fn counts_under(&self, name: &str, [then, now]: [u64; 2], key: &Key, counter: usize) -> bool {
        let (then, now) = (self.under(name, then, key, counter), self.under(name, now, key, counter));
        now.iter().any(|now| {
            then.iter().filter(|then| then.name == now.name).any(|then| {
                let (later, earlier) = if then.as_of <= now.as_of { (now, then) } else { (then, now) };
                let is_one = mark(Some(&later.row), counter)
                    .zip(mark(Some(&earlier.row), counter))
                    .is_some_and(|(later, earlier)| later.is_one_with(earlier));
                is_one || self.has_stayed(later, earlier, key, counter)
            })
        })
    }

    /// True if the field had the value that the later row's mark began with at each LSN from the earlier row on, until
    /// that mark began.
    fn has_stayed(&self, later: &Under, earlier: &Under, key: &Key, counter: usize) -> bool {
        let then = |lsn| self.at(&later.name, lsn).and_then(|database| database.content.row(key));
        let is_of_later = |lsn: &u64| {
            let marks = mark(Some(&later.row), counter).cloned().zip(mark(then(*lsn).as_ref(), counter).cloned());
            marks.is_some_and(|(later, then)| later.is_one_with(&then))
        };
        let mut before = (earlier.as_of..later.as_of).rev().skip_while(is_of_later);
        counts(Some(&later.row), Some(&earlier.row), counter)
            && before.all(|lsn| counts(Some(&later.row), then(lsn).as_ref(), counter))
    }

    /// A row that was merged into `over`: fields that were left alone or incremented keep their marks, others get new
    /// ones.
    pub fn landed(&self, merged: &Merged, over: Option<&Row>, added: Option<&Row>, below: Option<&Row>) -> Option<Row> {
        let value = merged.value.clone()?;
        let marks = std::array::from_fn(|counter| {
            let is_as_before = over.is_some_and(|over| field(Some(over), counter) == at_counter(&value, counter));
            if merged.sums[counter] {
                return summed(over, added, counter)
                    .map(|mark| Mark { is_counted: mark.is_counted || !is_as_before, ..mark });
            }
            if is_as_before {
                return mark(over, counter).cloned();
            }
            self.numbers.mark(Some(&value), counter, below)
        });
        Some(Row { value, marks })
    }

    /// A row that stays the clone's own over `below`: a field that equals the one below gets that one's mark, others
    /// keep the clone's.
    pub fn kept(&self, merged: &Merged, leaving: &Leaving<'_>) -> Option<Row> {
        let Leaving { base, now, below_then, below, has_counted, layer } = *leaving;
        let value = merged.value.clone()?;
        let marks = std::array::from_fn(|counter| {
            let is_as_below = below.is_some_and(|below| field(Some(below), counter) == at_counter(&value, counter));
            if is_as_below {
                return mark(below, counter).cloned();
            }
            // Below it is what the clone counts from, whoever set it to that.
            let number = |row| field(row, counter).map_or(Some(0), Value::as_i64);
            let is_over =
                has_counted[counter] && below.is_some() && number(base).is_some() && number(base) == number(below);
            if merged.sums[counter] || is_over {
                return summed(below, now, counter);
            }
            let Some(of_now) = mark(now, counter) else { return self.numbers.mark(Some(&value), counter, below) };
            let below_then =
                below_then.filter(|below| mark(Some(below), counter).map(|mark| mark.set.0) == Some(of_now.set.0));
            let (ids, start) = match below_then {
                Some(below) => ([layer_id(layer)].into(), field(Some(below), counter).cloned()),
                // The field was set to the value below of that time, which need not be the value below now.
                None => (of_now.ids.clone(), of_now.set.1.clone()),
            };
            let (number, _) = self.numbers.mark(None, counter, None).expect("a mark").set;
            let set = (number, start.clone());
            Some(Mark { ids, lent: BTreeSet::new(), start, set, ..of_now.clone() })
        });
        Some(Row { value, marks })
    }

    /// The base of a parked row: the row that landed in the origin, but at each clash the value that both began with.
    pub fn ancestor(&self, rest: &Merged, chosen: Option<&Row>, landed: Option<&Row>) -> Option<Row> {
        let mut value = landed.map(|row| row.value.clone());
        for (path, [base, ..]) in &rest.clashes {
            value = with(value, path, base.clone());
        }
        let value = value?;
        let marks = std::array::from_fn(|counter| match clashes(rest, counter) {
            true => self.numbers.mark(Some(&value), counter, None),
            false => mark(landed, counter).or(mark(chosen, counter)).cloned(),
        });
        Some(Row { value, marks })
    }

    /// As `kept`, but a field that clashed and was only incremented since the clash goes on counting from there.
    pub fn parked(&self, rest: &Merged, leaving: &Leaving<'_>) -> Option<Row> {
        let mut kept = self.kept(rest, leaving)?;
        for counter in 0..COUNTERS.len() {
            if clashes(rest, counter) && counts_since(leaving.now, leaving.base, counter) {
                let anew = self.numbers.mark(leaving.base.map(|chosen| &chosen.value), counter, None).expect("a mark");
                let Some(kept) = &mut kept.marks[counter] else { continue };
                *kept = Mark { start: anew.start, set: anew.set, ..kept.clone() };
            }
        }
        Some(kept)
    }
}

/// A row where a clone began.
pub fn lower(database: &Database, key: &Key) -> Option<Row> {
    database.beneath().and_then(|origin| origin.content.row(key))
}

pub fn at_counter(value: &Value, counter: usize) -> Option<&Value> {
    crate::three_way::at(Some(value), COUNTERS[counter])
}

/// True if the two sides clash at a counter's path, at one above it or at one below it.
pub fn clashes(merged: &Merged, counter: usize) -> bool {
    merged.clashes.iter().any(|(path, _)| path.iter().zip(COUNTERS[counter]).all(|(one, other)| one == other))
}
