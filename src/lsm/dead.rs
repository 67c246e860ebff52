//! The rows that walks have found deleted, so that the next walk passes them at once. Without it each read of the head
//! of a queue walks all that was deleted before the head.
//!
//! A span says: at the LSN `at` and at each later one, no row of the span is a value. It was true when it was noted,
//! because the walk had met every version of these rows, and none was newer than `at`. It stays true as long as
//!
//! 1. no run comes or goes, except one that a checkpoint or a merge of this tab has made of versions that were here
//!    before. A run that comes with a commit cuts the spans of its rows, and any other change to the list of runs
//!    forgets all spans (`tree.rs`);
//! 2. no value comes into the memtable, whatever its LSN, and no version is taken out of the memtable: both cut the
//!    span at that row (`memtable.rs`).
//!
//! Versions are in these two places only, so none of them can become visible within a span in another way.

use std::ops::Bound;

use crate::planted::{self, Bug};
use crate::types::{Lsn, SortedMap};

/// So many spans are kept: a queue needs one, or two for a moment.
const MOST: usize = 64;
/// So many deleted rows in a row are worth a note.
const WORTH_NOTING: usize = if planted::HAS_FEW_ROWS { 2 } else { 16 };

/// The deleted rows that a walk has passed without a value between them.
pub struct Trail {
    /// Where they begin, in the order of the walk, and where they end so far.
    from: Vec<u8>,
    to: Vec<u8>,
    rows: usize,
    /// No version among them is newer than the walk's LSN.
    pub is_clean: bool,
}

impl Trail {
    pub fn new(from: Vec<u8>) -> Trail {
        Trail { to: from.clone(), from, rows: 0, is_clean: true }
    }

    /// The trail goes on to `to`, with nothing deleted on the way.
    pub fn reach(&mut self, to: Vec<u8>) {
        self.to = to;
    }

    pub fn add_row(&mut self, to: Vec<u8>) {
        self.to = to;
        self.rows += 1;
    }

    /// As `add_row`, of a span that is worth a note by itself.
    pub fn add_span(&mut self, to: Vec<u8>) {
        self.to = to;
        self.rows = (self.rows + 1).next_multiple_of(WORTH_NOTING);
    }

    pub fn end(&self) -> &[u8] {
        &self.to
    }

    /// True each time that so many more rows were deleted that another walk may have noted the next ones.
    pub fn may_be_noted(&self) -> bool {
        self.rows > 0 && self.rows.is_multiple_of(WORTH_NOTING)
    }

    /// The range in which all rows stay deleted, if they are worth a note. `reverse`: the walk goes backward.
    pub fn deleted(&self, reverse: bool) -> Option<(&[u8], &[u8])> {
        let (from, before) = if reverse { (&self.to, &self.from) } else { (&self.from, &self.to) };
        (self.rows >= WORTH_NOTING && self.is_clean).then_some((from, before))
    }
}

/// Spans that do not touch, each from its first row up to, not with, the end that is kept here.
#[derive(Default)]
pub struct DeadRows {
    spans: SortedMap<Vec<u8>, (Vec<u8>, Lsn)>,
}

impl DeadRows {
    /// Notes a span, as one with those that it touches.
    pub fn note(&mut self, mut from: Vec<u8>, mut before: Vec<u8>, mut at: Lsn) {
        while let Some((other, (end, lsn))) = self.spans.up_to(&before).next_back()
            && *end >= from
        {
            let other = other.clone();
            (before, at) = (before.max(end.clone()), at.max(*lsn));
            self.spans.remove(&other);
            from = from.min(other);
        }
        self.keep(from, before, at);
    }

    /// Where there are too many spans, the one that was noted at the oldest LSN goes.
    fn keep(&mut self, from: Vec<u8>, before: Vec<u8>, at: Lsn) {
        if self.spans.len() >= MOST {
            let oldest = self.spans.iter().min_by_key(|(_, (_, lsn))| *lsn).map(|(from, _)| from.clone());
            oldest.map(|oldest| self.spans.remove(&oldest));
        }
        self.spans.insert(from, (before, at));
    }

    /// The span around a row, or the one that ends there where a walk comes from behind.
    pub fn around(&self, row: &[u8], at: Lsn, reverse: bool) -> Option<(&[u8], &[u8])> {
        let end = if reverse { Bound::Excluded(row) } else { Bound::Included(row) };
        let (from, (before, lsn)) = self.spans.range::<[u8]>((Bound::Unbounded, end)).next_back()?;
        let is_around = if reverse { *row <= before[..] } else { *row < before[..] };
        (is_around && *lsn <= at).then_some((&from[..], &before[..]))
    }

    /// The row is deleted no more, or may not be.
    pub fn cut(&mut self, row: &[u8]) {
        if self.spans.is_empty() || planted::is(Bug::DeadRowsNotCut) {
            return;
        }
        let up_to_row = (Bound::Unbounded, Bound::Included(row));
        let found = self.spans.range::<[u8]>(up_to_row).next_back().filter(|(_, (before, _))| *row < before[..]);
        let Some((from, (before, at))) = found else { return };
        let (from, before, at) = (from.clone(), before.clone(), *at);
        let behind = [row, &[0xff; 9]].concat();
        self.spans.remove(&from);
        if behind < before {
            self.keep(behind, before, at);
        }
        if from[..] < *row {
            self.keep(from, row.to_vec(), at);
        }
    }

    /// Rows from `first` to `last` may be deleted no more. A span that they touch goes as a whole.
    pub fn cut_all(&mut self, first: &[u8], last: &[u8]) {
        self.spans.retain(|from, (before, _)| before[..] <= *first || from[..] > *last);
    }

    pub fn clear(&mut self) {
        self.spans.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(dead: &DeadRows, row: &str, at: u64, reverse: bool) -> Option<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_string();
        dead.around(row.as_bytes(), Lsn(at), reverse).map(|(from, before)| (text(from), text(before)))
    }

    #[test]
    fn spans_that_touch_are_one() {
        let mut dead = DeadRows::default();
        for (from, before, at) in [("a", "c", 5), ("f", "h", 6), ("c", "f", 4), ("x", "z", 7)] {
            dead.note(from.into(), before.into(), Lsn(at));
        }
        let all = Some(("a".to_string(), "h".to_string()));
        assert_eq!(around(&dead, "d", 6, false), all);
        assert_eq!(around(&dead, "d", 5, false), None, "at an older LSN other rows are there");
        assert_eq!((around(&dead, "h", 9, false), around(&dead, "h", 9, true)), (None, all));
        assert_eq!((around(&dead, "a", 9, true), around(&dead, "m", 9, false)), (None, None));
    }

    #[test]
    fn a_row_that_comes_back_cuts_its_span() {
        let mut dead = DeadRows::default();
        dead.note("a".into(), "z".into(), Lsn(5));
        dead.cut(b"m");
        assert_eq!(around(&dead, "b", 5, false), Some(("a".into(), "m".into())));
        assert_eq!(around(&dead, "m", 5, false), None);
        assert!(dead.around(b"n", Lsn(5), false).is_some());
        dead.cut(b"zz");
        dead.cut(b"a");
        assert_eq!(around(&dead, "a", 5, false), None);
        dead.cut_all(b"b", b"c");
        assert_eq!(around(&dead, "d", 5, false), None);
        dead.cut_all(b"a", b"m");
        dead.cut_all(b"z", b"zz");
        assert!(dead.around(b"n", Lsn(5), false).is_some());
    }

    #[test]
    fn there_are_never_many() {
        let mut dead = DeadRows::default();
        for n in 0..200u8 {
            dead.note(vec![n, 0], vec![n, 1], Lsn(1));
            dead.cut(&[n, 0]);
        }
        dead.note(vec![0], vec![255], Lsn(1));
        (0..250).for_each(|n| dead.cut(&[n, 7]));
        assert!(dead.spans.len() <= MOST);
        // One more takes the place of an old one.
        dead.note(vec![255, 1], vec![255, 2], Lsn(9));
        assert!(dead.around(&[255, 1], Lsn(9), false).is_some() && dead.spans.len() <= MOST);
    }
}
