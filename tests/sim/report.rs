//! Counts of events that a run met. A run that never met a crash has shown nothing about crashes, so some counts must
//! not stay 0.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

/// Events that every whole run must have met.
const NEEDED: [&str; 61] = [
    "big commits",
    "body failures",
    "calls",
    "calls through the door",
    "clock jumps",
    "checkpoints",
    "clones",
    "clones of clones",
    "clones of the past",
    "clones materialized behind",
    "clones that went",
    "collisions",
    "commits",
    "compactions",
    "conflicts",
    "copies through the door",
    "crashes",
    "crashes while writing",
    "diffs",
    "drops",
    "drops by force",
    "errors after the effect",
    "errors before the effect",
    "errors while reading",
    "failures without an effect",
    "floors raised",
    "freezes",
    "groups",
    "late effects",
    "materializations",
    "lost announcements",
    "merge conflicts",
    "merges",
    "merges of parked rows",
    "merges of the past",
    "merges through the door",
    "old versions at the door",
    "pruned history",
    "pleas",
    "quota errors",
    "races",
    "rebases",
    "rebases through the door",
    "resets",
    "resets of a selection",
    "resets that left parked rows",
    "resets through the door",
    "restores",
    "restores through the door",
    "reverts",
    "reverts through the door",
    "selections",
    "selections that parked rows",
    "snapshots",
    "split records",
    "temporary clones",
    "transactions",
    "transactions through the door",
    "unknown outcomes that were commits",
    "wrecks that cost nothing, or what was not promised",
    "wrecks that were told",
];

#[derive(Default)]
pub struct Report {
    counts: RefCell<BTreeMap<&'static str, u64>>,
    /// The most that something came to.
    most: RefCell<BTreeMap<&'static str, u64>>,
}

impl Report {
    pub fn count(&self, what: &'static str) {
        *self.counts.borrow_mut().entry(what).or_default() += 1;
    }

    pub fn note_most(&self, what: &'static str, value: u64) {
        let mut most = self.most.borrow_mut();
        let noted = most.entry(what).or_default();
        *noted = value.max(*noted);
    }

    pub fn has(&self, what: &str) -> bool {
        self.counts.borrow().contains_key(what)
    }

    pub fn add(&self, other: &Report) {
        for (what, count) in other.counts.borrow().iter() {
            *self.counts.borrow_mut().entry(what).or_default() += count;
        }
        other.most.borrow().iter().for_each(|(what, value)| self.note_most(what, *value));
    }

    /// The events that a whole run should have met and did not.
    pub fn unmet(&self) -> Vec<&'static str> {
        NEEDED.into_iter().filter(|what| !self.counts.borrow().contains_key(what)).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts.borrow();
        let words: Vec<String> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
        let most = self.most.borrow();
        let bounds: Vec<String> = most.iter().map(|(what, value)| format!("{value} {what}")).collect();
        write!(f, "{}; at most: {}", words.join(", "), bounds.join(", "))
    }
}
