//! The increments that `$inc` made to a row. They are kept beside its value, so that those of two sides add up in a
//! merge.
//!
//! A field is a counter from one version of the row on for as long as nothing but `$inc` changes it.
//!
//! ```text
//! counters = [[path, LSN of the version that the first increment replaced (see `Since`), sum of the increments], …]
//! ```

use super::names::Names;
use super::update::{Operator, Step, Update};
use crate::error::{Error, Result};
use crate::types::fields::Field;
use crate::types::number::Number;
use crate::types::{Bytes, Lsn};

/// From where on nothing but `$inc` has changed a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Since {
    /// Since the layer of the version began, on what lay below it.
    Layer,
    /// Since the version of this LSN.
    At(Lsn),
    /// Since the commit that wrote the version: it had no LSN yet when the version was written.
    OwnCommit,
}

impl Since {
    /// As it is stored. Of two it tells which came first.
    pub fn lsn(self) -> Lsn {
        match self {
            Since::Layer => Lsn::ZERO,
            Since::At(lsn) => lsn,
            Since::OwnCommit => Lsn::MAX,
        }
    }

    /// Reads the number that a version of `lsn` stores for a counter. `None`: the version is not committed yet.
    fn stored(number: u64, lsn: Option<Lsn>) -> Since {
        match (Lsn(number), lsn) {
            (Lsn::ZERO, _) => Since::Layer,
            (Lsn::MAX, None) => Since::OwnCommit,
            (stored, lsn) => Since::At(stored.min(lsn.unwrap_or(stored))),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counter {
    /// Dotted.
    pub path: String,
    pub since: Since,
    /// A number, as MessagePack.
    pub sum: Vec<u8>,
}

/// In the order of their paths.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Counters(Vec<Counter>);

/// The sum of two encoded numbers; `None`: they do not add up to one.
pub fn add(a: &[u8], b: &[u8]) -> Result<Option<Vec<u8>>> {
    let (Some(a), Some(b)) = (Number::read(a)?, Number::read(b)?) else { return Ok(None) };
    let Ok(sum) = a.plus(&b) else { return Ok(None) };
    let mut out = Vec::new();
    sum.write(&mut out);
    Ok(Some(out))
}

/// The number that makes `a` when it is added to `b`, thus `a - b`; `None`: the two are not numbers of one kind.
pub fn subtract(a: &[u8], b: &[u8]) -> Result<Option<Vec<u8>>> {
    add(a, &negated(b)?)
}

fn negated(number: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    if let Some(number) = Number::read(number)? {
        number.negated().write(&mut out);
    }
    Ok(out)
}

impl Counters {
    pub fn of(counters: Vec<Counter>) -> Counters {
        let is_sorted = counters.is_sorted_by(|one, other| one.path < other.path);
        if is_sorted {
            return Counters(counters);
        }
        let places: Vec<usize> = Names::of(&mut counters.iter().map(|counter| &counter.path[..])).places().collect();
        let mut left: Vec<Option<Counter>> = counters.into_iter().map(Some).collect();
        Counters(places.into_iter().filter_map(|place| left[place].take()).collect())
    }

    /// The counters of a version that was committed at `lsn`: a counter that the version's own commit began counts from
    /// that LSN. `None`: the version is not committed.
    pub fn decode(delta: Option<&Bytes>, lsn: Option<Lsn>) -> Result<Counters> {
        let Some(delta) = delta else { return Ok(Counters::default()) };
        let read = || {
            Field::decode(delta)?.lists(|mut counter| {
                let path = counter.text()?.to_string();
                let since = Since::stored(counter.number()?, lsn);
                Some(Counter { path, since, sum: counter.bytes()?.to_vec() })
            })
        };
        read().map(Counters::of).ok_or_else(|| Error::corrupt("the counters of a version cannot be read"))
    }

    pub fn encode(&self) -> Option<Bytes> {
        let counter = |counter: &'_ Counter| -> Vec<u8> {
            let (path, sum) = (Field::Text(&counter.path), Field::Bytes(&counter.sum));
            Field::List(vec![path, Field::Number(counter.since.lsn().0), sum]).encode()
        };
        if self.0.is_empty() {
            return None;
        }
        // A list of lists, the inner ones encoded already.
        let mut out = Vec::new();
        crate::types::pack::write_array(&mut out, self.0.len());
        self.0.iter().for_each(|one| out.extend_from_slice(&counter(one)));
        Some(out.into())
    }

    /// The same counts, from `since` on.
    pub fn since(mut self, since: Since) -> Counters {
        self.0.iter_mut().for_each(|counter| counter.since = since);
        self
    }

    pub fn iter(&self) -> impl Iterator<Item = &Counter> {
        self.0.iter()
    }

    pub fn get(&self, path: &str) -> Option<&Counter> {
        let place = self.0.binary_search_by(|counter| counter.path[..].cmp(path)).ok()?;
        Some(&self.0[place])
    }

    /// As an update leaves them. `since` says from where on a field counts that was no counter before.
    pub fn updated<E: From<Error>>(
        self,
        update: &Update,
        since: impl Fn(&str) -> std::result::Result<Since, E>,
    ) -> std::result::Result<Counters, E> {
        let steps: Vec<&Step> = update.steps().iter().filter(|step| step.operator == Operator::Inc).collect();
        let added = Names::of(&mut steps.iter().map(|step| &step.path[..]));
        let set = Names::of(&mut update.sets());
        let mut is_known = vec![false; steps.len()];
        let mut counters = Vec::with_capacity(self.0.len() + steps.len());
        for counter in self.0 {
            match added.place(&counter.path) {
                Some(place) => {
                    is_known[place] = true;
                    let sum = add(&counter.sum, &steps[place].value)?;
                    counters.extend(sum.map(|sum| Counter { sum, ..counter }));
                }
                None if set.meets(&counter.path) => {}
                None => counters.push(counter),
            }
        }
        for (step, _) in steps.into_iter().zip(is_known).filter(|(_, is_known)| !is_known) {
            let since = since(&step.path)?;
            counters.push(Counter { path: step.path.clone(), since, sum: step.value.clone() });
        }
        Ok(Counters::of(counters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::pack::{write_integer, write_map, write_text};

    fn number(n: i64) -> Vec<u8> {
        let mut out = Vec::new();
        write_integer(&mut out, n);
        out
    }

    fn at(lsn: u64) -> impl Fn(&str) -> Result<Since> {
        move |_| Ok(Since::At(Lsn(lsn)))
    }

    fn update(operator: &str, path: &str, by: i64) -> Update {
        let mut out = Vec::new();
        write_map(&mut out, 1);
        write_text(&mut out, operator);
        write_map(&mut out, 1);
        write_text(&mut out, path);
        write_integer(&mut out, by);
        Update::read(&out).unwrap()
    }

    #[test]
    fn a_field_is_a_counter_until_it_is_set() {
        let counters = Counters::default().updated(&update("$inc", "n", 2), at(4)).unwrap();
        let counters = counters.updated(&update("$inc", "n", 3), at(5)).unwrap();
        assert_eq!(counters.0, [Counter { path: "n".into(), since: Since::At(Lsn(4)), sum: number(5) }]);
        assert_eq!(Counters::decode(counters.encode().as_ref(), Some(Lsn(9))).unwrap(), counters);
        let other = counters.clone().updated(&update("$set", "nn", 3), at(6)).unwrap();
        assert_eq!(other, counters);
        assert_eq!(counters.updated(&update("$set", "n.m", 3), at(6)).unwrap(), Counters::default());
    }
}
