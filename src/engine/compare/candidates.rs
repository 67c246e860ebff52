//! The rows in which paths may differ, in their order, gathered many at a time: where a large commit's rows lie in the
//! change feed, each look at it goes through all of them.

use std::rc::Rc;

use crate::engine::core::Core;
use crate::engine::rows::read::{SuffixRange, just_after};
use crate::error::Result;
use crate::lsm::{Attempt, Fault, PORTION_BYTES, State, TreeView};
use crate::planted;
use crate::types::row::{prefix, prefix_end};
use crate::types::{CollectionName, Kind, SortedSet, Suffix};

/// Candidates looked at for one page.
pub const COMPARED_AT_ONCE: usize = 512;

/// Gathered first: a small difference, and the first page of a large one, are not to wait.
const FIRST: usize = if planted::HAS_FEW_ROWS { 2 } else { COMPARED_AT_ONCE };
/// Gathered at most: where large commits were written ahead, their blocks are all held meanwhile.
const MOST: usize = 16 * FIRST;

/// Adds the candidates in some ranges.
pub type Gather<'a> = &'a dyn Fn(&State, TreeView<'_>, &[SuffixRange], &mut Gathered) -> Attempt<()>;

/// The first candidates of some ranges: so many of them, or as many as can be found in what is held at a time.
pub struct Gathered {
    rows: SortedSet<Suffix>,
    many: usize,
    /// Candidates from here on are gathered later. `None`: these are all.
    rest: Option<Vec<u8>>,
}

impl Gathered {
    fn new(many: usize) -> Gathered {
        Gathered { rows: SortedSet::new(), many, rest: None }
    }

    /// A source that finds rows in their order adds so many of them at most. The last one shows where the portion ends.
    pub fn most(&self) -> usize {
        self.many + 1
    }

    /// True: the row belongs to this portion. Later rows are gathered with the next one.
    pub fn takes(&self, suffix: &[u8]) -> bool {
        self.rest.as_ref().is_none_or(|rest| *suffix < rest[..])
    }

    pub fn insert(&mut self, suffix: &[u8]) {
        if self.takes(suffix) {
            self.rows.insert(Suffix::from_bytes(suffix.to_vec()));
            if self.rows.len() > self.many {
                self.rest = self.rows.pop_last().map(|last| last.as_bytes().to_vec());
            }
        }
    }

    /// Leaves what comes from `suffix` on to be gathered later.
    pub fn cut(&mut self, suffix: &[u8]) {
        if self.takes(suffix) {
            self.rows.retain(|row| row.as_bytes() < suffix);
            self.rest = Some(suffix.to_vec());
        }
    }
}

pub struct Candidates {
    collection: Option<CollectionName>,
    queue: Vec<Suffix>,
    /// The first row that is not gathered yet; `None`: all rows are gathered.
    rest: Option<Vec<u8>>,
    many: usize,
}

impl Candidates {
    /// The candidates of one collection, or of all, behind `after`.
    pub fn new(collection: Option<&CollectionName>, after: Option<&Suffix>) -> Candidates {
        let rest = after.map_or_else(Vec::new, |after| just_after(after.as_bytes()));
        Candidates { collection: collection.cloned(), queue: Vec::new(), rest: Some(rest), many: FIRST }
    }

    /// The next ones, at most `limit`; none: that was all.
    pub async fn take(&mut self, core: &Rc<Core>, limit: usize, gather: Gather<'_>) -> Result<Vec<Suffix>> {
        while let (true, Some(rest)) = (self.queue.is_empty(), &self.rest) {
            let (ranges, many) = (ranges(self.collection.as_ref(), rest), self.many);
            let read = |state: &State, view: TreeView<'_>| {
                let mut found = Gathered::new(many);
                view.loaded.in_portions();
                gather(state, view, &ranges, &mut found)?;
                Ok(found)
            };
            let Gathered { rows, rest, .. } = core.read(read).await?;
            (self.queue, self.rest) = (rows.into_iter().collect(), rest);
            self.many = (many * 4).min(MOST);
        }
        let rest = self.queue.split_off(self.queue.len().min(limit));
        Ok(std::mem::replace(&mut self.queue, rest))
    }

    /// Takes back those that were not looked at, the first of what `take` gives next.
    pub fn give_back(&mut self, mut rest: Vec<Suffix>) {
        rest.append(&mut self.queue);
        self.queue = rest;
    }

    pub fn has_more(&self) -> bool {
        !self.queue.is_empty() || self.rest.is_some()
    }
}

/// The rows that can be changes: documents and entries, not what is derived from them.
fn ranges(collection: Option<&CollectionName>, from: &[u8]) -> Vec<SuffixRange> {
    let mut ranges = match collection {
        Some(name) => [Kind::Document, Kind::Entry]
            .map(|kind| SuffixRange { from: prefix(name.as_str(), kind), before: prefix_end(name.as_str(), kind) })
            .to_vec(),
        // Names are not empty, so the rows of the collections themselves, under the empty name, come before.
        None => vec![SuffixRange { from: vec![1], before: vec![0xff] }],
    };
    for range in &mut ranges {
        range.from = (&range.from[..]).max(from).to_vec();
    }
    ranges
}

/// The results of the first of some attempts: of all, or of as many as can be held at a time, one at least. The blocks
/// that the other attempts need are fetched in the same go.
pub fn portion<T>(
    view: TreeView<'_>,
    attempts: impl Iterator<Item = Attempt<T>>,
    size: impl Fn(&T) -> usize,
) -> Attempt<Vec<T>> {
    let (mut found, mut needed, mut bytes) = (Vec::new(), Vec::new(), 0);
    view.loaded.in_portions();
    for attempt in attempts {
        match attempt {
            Ok(item) if needed.is_empty() => {
                bytes += size(&item);
                found.push(item);
            }
            Ok(_) => {}
            Err(Fault::Need(blocks)) => needed.extend(blocks),
            Err(error) => return Err(error),
        }
        if bytes >= PORTION_BYTES || view.loaded.is_full() {
            break;
        }
    }
    let is_done = needed.is_empty() || view.loaded.is_full() && !found.is_empty();
    if is_done { Ok(found) } else { Err(Fault::Need(needed)) }
}
