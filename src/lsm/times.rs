//! How a time finds its commit. Clocks go back, so times need not rise with LSNs: the newest commit that is not after a
//! time is sought, and whatever came later is after it.
//!
//! A commit's row in the change feed holds its own time. Where 2 divides its LSN it also holds the earliest time of the
//! last 2 commits, where 4 does that of the last 4, and so on:
//!
//! ```text
//! commit            9     10    11    12    13
//! time              50    20    60    70    80
//! earliest of 2           20          60
//! earliest of 4                       20
//! ```
//! Which one is the newest that is not after 30? Commit 13 is not it, nor 12, nor one of the last 2 before 13; of the
//! last 4 one is: it is 10, or one before it. And 10 is it. Each row that is read halves what is left.

use crate::types::Lsn;
use crate::types::fields::{Field, Fields};

/// The earliest time in each of the spans that the commits so far are made of, the longest span first: of 13 commits
/// those of the first 8, the next 4, and the last one.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Earliest(pub Vec<u64>);

impl Earliest {
    pub fn to_field(&self) -> Field<'_> {
        Field::List(self.0.iter().map(|time| Field::Number(*time)).collect())
    }

    pub fn from_fields(mut fields: Fields<'_>) -> Option<Earliest> {
        let mut times = Vec::new();
        while !fields.is_empty() {
            times.push(fields.number()?);
        }
        Some(Earliest(times))
    }

    /// True if these are the times of so many commits.
    pub fn is_of(&self, commits: u64) -> bool {
        self.0.len() == commits.count_ones() as usize
    }

    /// Takes in the next commit, and says what its row holds: the earliest time of the last 2 commits, 4, 8 and so on.
    pub fn push(&mut self, lsn: Lsn, time: u64) -> Vec<u64> {
        let mut earliest = time;
        let mut spans = Vec::new();
        for _ in 0..(lsn.0 - 1).trailing_ones() {
            earliest = earliest.min(self.0.pop().expect("BUG: every commit was taken in"));
            spans.push(earliest);
        }
        self.0.push(earliest);
        spans
    }

    /// A repair leaves the LSNs between out: nothing was committed under them.
    pub fn skip(&mut self, from: Lsn, to: Lsn) {
        let Some(differs) = (from.0 ^ to.0).checked_ilog2().filter(|_| from < to) else { return };
        // Spans longer than the first one that is new stay as they are, and that one holds all the rest.
        let alike = if differs == 63 { 0 } else { (from.0 >> (differs + 1)).count_ones() };
        let rest = self.0.split_off(alike as usize);
        self.0.push(rest.into_iter().min().unwrap_or(u64::MAX));
        self.0.resize(to.0.count_ones() as usize, u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As if each commit that was left out had been made at the end of time.
    #[test]
    fn what_was_left_out_is_after_every_time() {
        for (from, to) in [(0, 1), (0, 200), (5, 12), (13, 14), (13, 13), (100, 255), (127, 128), (200, 1000)] {
            let (mut skipped, mut told) = (Earliest::default(), Earliest::default());
            for lsn in 1..=from {
                skipped.push(Lsn(lsn), 1000 - lsn);
                told.push(Lsn(lsn), 1000 - lsn);
            }
            skipped.skip(Lsn(from), Lsn(to));
            (from + 1..=to).for_each(|lsn| drop(told.push(Lsn(lsn), u64::MAX)));
            assert_eq!(skipped, told, "from {from} to {to}");
            assert!(skipped.is_of(to));
        }
    }

    /// The row of a commit holds, for each span, the least of the times that the span covers.
    #[test]
    fn rows_hold_the_earliest_times_of_the_last_commits() {
        let times: Vec<u64> = (0..200u64).map(|n| (n * 7919) % 211).collect();
        let mut earliest = Earliest::default();
        for (lsn, time) in (1u64..).zip(&times) {
            let spans = earliest.push(Lsn(lsn), *time);
            assert_eq!(spans.len(), lsn.trailing_zeros() as usize);
            for (length, span) in (1..).map(|power| 1 << power).zip(&spans) {
                assert_eq!(times[lsn as usize - length..lsn as usize].iter().min(), Some(span), "{length} up to {lsn}");
            }
            assert!(earliest.is_of(lsn));
        }
    }
}
