//! What `$inc` did to a row, noted beside its value, so that increments of two sides add up in a merge.
//!
//! A field is a counter from one version of the row on for as long as nothing but `$inc` changes it.
//!
//! ```text
//! counters = [[path, LSN of the version that the first increment replaced, the sum of the increments], …]
//! ```

use super::edit::at_path;
use super::merge::is_same;
use super::update::{Operator, Update};
use crate::error::{Error, Result};
use crate::types::fields::Field;
use crate::types::number::Number;
use crate::types::{Bytes, Lsn};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counter {
    /// Dotted.
    pub path: String,
    pub since: Lsn,
    /// A number, as MessagePack.
    pub sum: Vec<u8>,
}

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

/// What is to be added to `b` for `a`; `None`: they are no numbers of one kind.
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

/// Whether one path is the other, or lies inside it.
pub fn meets(a: &str, b: &str) -> bool {
    let inside = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    inside(a, b) || inside(b, a)
}

impl Counters {
    pub fn of(counters: Vec<Counter>) -> Counters {
        Counters(counters)
    }

    pub fn decode(delta: Option<&Bytes>) -> Result<Counters> {
        let Some(delta) = delta else { return Ok(Counters::default()) };
        let read = || {
            Field::decode(delta)?.lists(|mut counter| {
                let path = counter.text()?.to_string();
                Some(Counter { path, since: Lsn(counter.number()?), sum: counter.bytes()?.to_vec() })
            })
        };
        read().map(Counters).ok_or_else(|| Error::corrupt("the counters of a version cannot be read"))
    }

    pub fn encode(&self) -> Option<Bytes> {
        let counter = |counter: &'_ Counter| -> Vec<u8> {
            let (path, sum) = (Field::Text(&counter.path), Field::Bytes(&counter.sum));
            Field::List(vec![path, Field::Number(counter.since.0), sum]).encode()
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

    pub fn iter(&self) -> impl Iterator<Item = &Counter> {
        self.0.iter()
    }

    pub fn get(&self, path: &str) -> Option<&Counter> {
        self.0.iter().find(|counter| counter.path == path)
    }

    /// As an update of `current` leaves them. `replaced` is the version below it that is stored, with its LSN: a field
    /// that is in `current` as it is there becomes a counter from there on.
    pub fn updated(mut self, update: &Update, current: &[u8], replaced: Option<(Lsn, &[u8])>) -> Result<Counters> {
        for step in update.steps() {
            let place = self.0.iter().position(|counter| counter.path == step.path);
            match (step.operator, place) {
                (Operator::Inc, Some(place)) => match add(&self.0[place].sum, &step.value)? {
                    Some(sum) => self.0[place].sum = sum,
                    None => drop(self.0.remove(place)),
                },
                (Operator::Inc, None) => {
                    if let Some((since, stored)) = replaced
                        && is_same(at_path(current, &step.path)?, at_path(stored, &step.path)?)?
                    {
                        self.0.push(Counter { path: step.path.clone(), since, sum: step.value.clone() });
                    }
                }
                _ => self.0.retain(|counter| !meets(&counter.path, &step.path)),
            }
        }
        Ok(self)
    }

    /// What was added to each counter after `point`. `then` are the counters of the version at that point, where both
    /// are of one layer.
    pub fn increments(&self, then: Option<&Counters>, point: Lsn) -> Result<Vec<(String, Vec<u8>)>> {
        let mut found = Vec::new();
        for counter in &self.0 {
            let before = then.and_then(|then| then.get(&counter.path)).filter(|before| before.since == counter.since);
            let sum = match before {
                Some(before) => subtract(&counter.sum, &before.sum)?,
                None => (counter.since <= point).then(|| counter.sum.clone()),
            };
            found.extend(sum.map(|sum| (counter.path.clone(), sum)));
        }
        Ok(found)
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
        let empty = [0x80];
        let counters = Counters::default().updated(&update("$inc", "n", 2), &empty, Some((Lsn(4), &empty))).unwrap();
        let counters = counters.updated(&update("$inc", "n", 3), &empty, Some((Lsn(5), &empty))).unwrap();
        assert_eq!(counters.0, [Counter { path: "n".into(), since: Lsn(4), sum: number(5) }]);
        assert_eq!(Counters::decode(counters.encode().as_ref()).unwrap(), counters);
        let other = counters.clone().updated(&update("$set", "nn", 3), &empty, None).unwrap();
        assert_eq!(other, counters);
        assert_eq!(counters.updated(&update("$set", "n.m", 3), &empty, None).unwrap(), Counters::default());
    }

    #[test]
    fn what_was_added_since_a_point_is_told() {
        let then = Counters(vec![Counter { path: "n".into(), since: Lsn(4), sum: number(5) }]);
        let counter = |path: &str, since, sum| Counter { path: path.into(), since: Lsn(since), sum: number(sum) };
        let now = Counters(vec![counter("n", 4, 7), counter("early", 8, 1), counter("late", 12, 1)]);
        let added = now.increments(Some(&then), Lsn(9)).unwrap();
        assert_eq!(added, [("n".to_string(), number(2)), ("early".to_string(), number(1))]);
    }
}
