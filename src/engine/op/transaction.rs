//! The rows that a transaction read, which its commit must check, and the rows that its commit will write.

use std::ops::Bound;

use crate::engine::door::{Effects, Replaced, Writes};
use crate::engine::rows::path::Path;
use crate::engine::rows::read::SuffixRange;
use crate::error::{Error, ErrorCode, Result};
use crate::planted::{self, Bug};
use crate::types::{DatabaseName, Lsn, SortedMap, SortedSet, Suffix, Version, limits};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Isolation {
    /// As if transactions ran one after the other: all that was read is checked.
    #[default]
    Serializable,
    /// Reads come from one snapshot; only rows that both wrote, and what the engine read itself, are checked.
    Snapshot,
}

/// The database's catalog row as it was read: a commit that moves the path conflicts with everything open on it.
#[derive(Clone, Debug)]
pub struct Guard {
    pub name: DatabaseName,
    pub lsn: Lsn,
}

/// The keys and ranges that were read of the topmost level; the levels below are fixed and need no check.
#[derive(Clone, Default, Debug)]
pub struct ReadSet {
    keys: SortedSet<Suffix>,
    /// No two of them touch: each begin has its end.
    ranges: SortedMap<Vec<u8>, Vec<u8>>,
}

impl ReadSet {
    fn check_size(&self) -> Result<()> {
        if self.count() <= limits::READ_SET_ENTRIES {
            return Ok(());
        }
        let message = format!("a transaction reads at most {} keys and ranges", limits::READ_SET_ENTRIES);
        Err(Error::new(ErrorCode::TooLarge, message))
    }

    /// Keys and ranges.
    pub fn count(&self) -> usize {
        self.keys.len() + self.ranges.len()
    }

    /// True if the row is among those that were read.
    pub fn has(&self, suffix: &[u8]) -> bool {
        let begun = self.ranges.up_to(suffix).next_back();
        begun.is_some_and(|(_, before)| suffix < &before[..]) || self.keys.contains(suffix)
    }

    /// The keys that are not less than `from`, in their order.
    pub fn keys_from(&self, from: &[u8]) -> impl Iterator<Item = &Suffix> {
        self.keys.at_least(from)
    }

    /// Begin and end of each range, in their order.
    pub fn ranges(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.ranges.iter().map(|(from, before)| (&from[..], &before[..]))
    }

    /// Ranges that touch become one, as the pages of a scan do.
    fn add_range(&mut self, SuffixRange { mut from, mut before }: SuffixRange) {
        if from >= before {
            return;
        }
        let begun = self.ranges.up_to(&from[..]).next_back();
        if let Some((begin, end)) = begun.filter(|(_, end)| **end >= from) {
            if *end >= before {
                return;
            }
            from = begin.clone();
        }
        let touching = |ranges: &SortedMap<Vec<u8>, Vec<u8>>, before: &[u8]| {
            let behind = (Bound::Included(&from[..]), Bound::Included(before));
            ranges.range::<[u8]>(behind).next().map(|(begin, _)| begin.clone())
        };
        while let Some(begin) = touching(&self.ranges, &before) {
            let end = self.ranges.remove(&begin).expect("BUG: just found");
            before = before.max(end);
        }
        self.ranges.insert(from, before);
    }
}

/// The reader: reads of a body are checked as its isolation says, reads of the engine always.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadBy {
    Body,
    Engine,
}

/// The bytes that a write counts toward the limit of a commit's size.
fn cost(suffix: &Suffix, version: &Version) -> usize {
    suffix.as_bytes().len() + version.here().map_or(0, |value| value.len()) + 16
}

/// The data that takes one step back.
#[derive(Debug)]
enum Undo {
    /// A write.
    Write(Suffix, Replaced),
    /// The fields that were noted of a row before; `None`: none were noted.
    Noted(Suffix, Option<SortedSet<String>>),
    /// The fields that were added to those noted of a row.
    Added(Suffix, Vec<String>),
}

#[derive(Debug)]
pub struct Transaction {
    pub path: Path,
    pub guard: Guard,
    pub isolation: Isolation,
    /// False for a call that runs inside the commit itself: nothing can come between, so nothing is noted.
    records: bool,
    pub reads: ReadSet,
    writes: Writes,
    write_bytes: usize,
    /// How often a write was added, of those that were not taken back.
    changes: u64,
    /// `changes` at the last savepoint.
    changes_before: u64,
    undo: Vec<Undo>,
    /// Rows that were only updated here, with the fields that were set.
    updated: SortedMap<Suffix, SortedSet<String>>,
}

impl Transaction {
    pub fn new(path: Path, guard: Guard, isolation: Isolation) -> Transaction {
        Transaction {
            writes: Writes::on(path.clone()),
            path,
            guard,
            isolation,
            records: true,
            reads: ReadSet::default(),
            write_bytes: 0,
            changes: 0,
            changes_before: 0,
            undo: Vec::new(),
            updated: SortedMap::new(),
        }
    }

    /// A single call, run where no other commit can come between its reads and its writes.
    pub fn immediate(path: Path, guard: Guard) -> Transaction {
        Transaction { records: false, ..Transaction::new(path, guard, Isolation::Serializable) }
    }

    pub fn is_immediate(&self) -> bool {
        !self.records
    }

    pub fn snapshot_lsn(&self) -> Lsn {
        self.path.top().map_or(Lsn::ZERO, |level| level.lsn)
    }

    pub fn writes(&self) -> &SortedMap<Suffix, Version> {
        self.writes.rows()
    }

    /// The effects of a commit of this transaction.
    pub fn effects(&self) -> Effects {
        Effects::of(&self.writes)
    }

    pub fn write_bytes(&self) -> usize {
        self.write_bytes
    }

    /// Two calls see the same writes where this is the same.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    pub fn record_key(&mut self, suffix: &Suffix, by: ReadBy) -> Result<()> {
        if planted::is(Bug::KeysNotValidated) {
            return Ok(());
        }
        if self.records && self.is_checked(by) && !self.reads.keys.contains(suffix.as_bytes()) {
            self.reads.keys.insert(suffix.clone());
            self.reads.check_size()?;
        }
        Ok(())
    }

    pub fn record_range(&mut self, range: SuffixRange, by: ReadBy) -> Result<()> {
        if planted::is(Bug::RangesNotValidated) {
            return Ok(());
        }
        if self.records && self.is_checked(by) {
            self.reads.add_range(range);
            self.reads.check_size()?;
        }
        Ok(())
    }

    fn is_checked(&self, by: ReadBy) -> bool {
        by == ReadBy::Engine || self.isolation == Isolation::Serializable
    }

    /// Writes a row. A call in which this fails is taken back whole, this write included.
    pub fn write(&mut self, suffix: Suffix, version: Version) -> Result<()> {
        self.changes += 1;
        self.write_bytes += cost(&suffix, &version);
        let replaced = self.writes.put(suffix.clone(), version);
        self.write_bytes -= replaced.version().map_or(0, |before| cost(&suffix, before));
        self.undo.push(Undo::Write(suffix, replaced));
        if self.write_bytes <= limits::COMMIT_BYTES {
            return Ok(());
        }
        let message = format!("a commit writes at most {} bytes", limits::COMMIT_BYTES);
        Err(Error::new(ErrorCode::TooLarge, message))
    }

    /// Notes the fields that an update sets in a row; `is_first`: the transaction had not written the row.
    pub fn note_updated<'a>(&mut self, suffix: &Suffix, is_first: bool, fields: impl Iterator<Item = &'a str>) {
        if is_first {
            let before = self.updated.insert(suffix.clone(), SortedSet::new());
            self.undo.push(Undo::Noted(suffix.clone(), before));
        }
        if let Some(known) = self.updated.get_mut(suffix) {
            let added: Vec<String> = fields.filter(|field| !known.contains(*field)).map(String::from).collect();
            known.extend(added.iter().cloned());
            if !is_first {
                self.undo.push(Undo::Added(suffix.clone(), added));
            }
        }
    }

    /// Notes that a row was replaced.
    pub fn note_replaced(&mut self, suffix: &Suffix) {
        if let Some(before) = self.updated.remove(suffix) {
            self.undo.push(Undo::Noted(suffix.clone(), Some(before)));
        }
    }

    /// The fields that were set in a row that this transaction has only updated; `None`: it wrote the whole row, or
    /// nothing.
    pub fn updated(&self, suffix: &Suffix) -> Option<&SortedSet<String>> {
        self.updated.get(suffix)
    }

    /// Ends the body. Under snapshot isolation no read is checked, so the rows that the transaction wrote over are
    /// noted as read: the commit then fails if another commit wrote one of them.
    pub fn end(&mut self) {
        self.undo.clear();
        if self.isolation == Isolation::Snapshot {
            self.reads.keys.extend(self.writes.rows().keys().cloned());
        }
    }

    /// Begins a savepoint: `roll_back` undoes the writes from here on, and keeps those before.
    pub fn savepoint(&mut self) {
        self.undo.clear();
        self.changes_before = self.changes;
    }

    /// Takes back the writes of a call that then failed: any failure leaves none of them (SEMANTICS W6, W8).
    pub fn roll_back(&mut self) {
        self.changes = self.changes_before;
        for step in std::mem::take(&mut self.undo).into_iter().rev() {
            match step {
                Undo::Write(suffix, replaced) => self.take_back(suffix, replaced),
                Undo::Noted(suffix, Some(before)) => drop(self.updated.insert(suffix, before)),
                Undo::Noted(suffix, None) => drop(self.updated.remove(&suffix)),
                Undo::Added(suffix, fields) => {
                    let known = self.updated.get_mut(&suffix).expect("BUG: what was added to is noted");
                    for field in &fields {
                        known.remove(field);
                    }
                }
            }
        }
    }

    fn take_back(&mut self, suffix: Suffix, replaced: Replaced) {
        self.write_bytes += replaced.version().map_or(0, |before| cost(&suffix, before));
        let undone = self.writes.take_back(&suffix, replaced).expect("BUG: what is undone was written");
        self.write_bytes -= cost(&suffix, &undone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Against a set of points, for ranges in any order.
    #[test]
    fn ranges_that_touch_are_one() {
        let mut state = 7u64;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..300 {
            let (mut reads, mut points) = (ReadSet::default(), BTreeSet::new());
            for _ in 0..12 {
                let from = draw(40) as u8;
                let before = from + draw(9) as u8;
                reads.add_range(SuffixRange { from: vec![from], before: vec![before] });
                points.extend(from..before);
            }
            for point in 0..60 {
                assert_eq!(reads.has(&[point]), points.contains(&point), "{point} of {points:?} in {reads:?}");
            }
            let ends: Vec<_> = reads.ranges().collect();
            assert!(ends.windows(2).all(|two| two[0].1 < two[1].0), "{ends:?}");
        }
    }

    #[test]
    fn what_a_call_noted_that_failed_is_taken_back() {
        let guard = Guard { name: DatabaseName::main(), lsn: Lsn(1) };
        let mut transaction = Transaction::new(Path::nowhere(), guard, Isolation::Serializable);
        let [one, other] = ["one", "other"].map(|name| Suffix::from_bytes(name.into()));
        let write = |transaction: &mut Transaction, suffix: &Suffix| {
            transaction.write(suffix.clone(), Version::tombstone()).expect("it is small");
        };
        transaction.note_updated(&one, true, ["a"].into_iter());
        write(&mut transaction, &one);
        for is_replaced in [false, true] {
            transaction.savepoint();
            transaction.note_updated(&one, false, ["a", "b"].into_iter());
            write(&mut transaction, &one);
            transaction.note_updated(&other, true, ["c"].into_iter());
            write(&mut transaction, &other);
            if is_replaced {
                transaction.note_replaced(&one);
                transaction.note_replaced(&other);
            }
            transaction.roll_back();
            let noted = |suffix| transaction.updated(suffix).map(|fields| fields.iter().cloned().collect::<Vec<_>>());
            assert_eq!(noted(&one), Some(vec!["a".to_string()]));
            assert_eq!(noted(&other), None);
            assert_eq!(transaction.writes().len(), 1);
        }
    }
}
