//! The content of one database: its rows, and marks that tell which fields were only incremented, and since when.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::Value;

use crate::rows::{Key, Rows, Write};
use crate::three_way::{COUNTERS, Mark, Marks, Row, at, field};

#[derive(Clone, Default, Debug)]
pub struct Content {
    pub rows: Rows,
    marks: BTreeMap<Key, Marks>,
    pub collections: BTreeSet<&'static str>,
}

/// Numbers that were never given before.
#[derive(Clone, Default)]
pub struct Numbers(Rc<Cell<u64>>);

impl Numbers {
    /// The mark of a field that was set: a new one; and where it is what it is below, the one from there as well.
    pub fn mark(&self, row: Option<&Value>, counter: usize, below: Option<&Row>) -> Option<Mark> {
        let start = at(row, COUNTERS[counter]);
        self.0.set(self.0.get() + 1);
        let set = (self.0.get(), start.cloned());
        if let Some(below) = below
            && field(Some(below), counter) == start
        {
            return below.marks[counter].clone().map(|mark| mark.set(set));
        }
        let (ids, lent) = ([set.0].into(), BTreeSet::new());
        Some(Mark { ids, lent, start: start.cloned(), is_counted: false, set })
    }
}

impl Content {
    pub fn row(&self, key: &Key) -> Option<Row> {
        let value = self.rows.get(key)?.clone();
        Some(Row { value, marks: self.marks.get(key).cloned().unwrap_or_default() })
    }

    pub fn set(&mut self, key: &Key, row: Option<Row>) {
        match row {
            Some(Row { value, marks }) => {
                self.rows.insert(key.clone(), value);
                self.marks.insert(key.clone(), marks);
            }
            None => {
                self.rows.remove(key);
                self.marks.remove(key);
            }
        }
    }

    /// Notes that a call did something to the rows.
    pub fn note(&mut self, write: &Write, numbers: &Numbers, below: Option<&Content>) {
        for (key, sets) in write.sets() {
            let Some(value) = self.rows.get(&key) else {
                self.marks.remove(&key);
                continue;
            };
            self.collections.insert(key.0);
            let below = below.and_then(|below| below.row(&key));
            let marks = self.marks.entry(key).or_default();
            for counter in 0..COUNTERS.len() {
                if sets[counter] || marks[counter].is_none() {
                    marks[counter] = numbers.mark(Some(value), counter, below.as_ref());
                }
                if let Some(mark) = &mut marks[counter]
                    && write.increments() == Some(counter)
                {
                    // A field that is not there counts as zero, once it is incremented.
                    let number = |value: Option<&Value>| value.cloned().unwrap_or(0.into());
                    if let Some(below) = &below
                        && mark.start.is_none() != field(Some(below), counter).is_none()
                        && number(mark.start.as_ref()) == number(field(Some(below), counter))
                    {
                        let below = below.marks[counter].clone().expect("a row has marks");
                        *mark = below.set(mark.set.clone());
                    }
                    mark.is_counted = true;
                }
            }
        }
    }
}
