//! The rows in which paths may differ, in their order, gathered many at a time: where a large commit's rows lie in the
//! change feed, each look at it goes through all of them.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use crate::engine::core::Core;
use crate::engine::rows::read::{SuffixRange, just_after};
use crate::error::Result;
use crate::lsm::{Attempt, Fault, PORTION_BYTES, State, TreeView};
use crate::planted;
use crate::types::row::{prefix, prefix_end};
use crate::types::{CollectionName, Kind, Suffix};

/// Candidates looked at for one page.
pub const COMPARED_AT_ONCE: usize = 512;

/// Gathered first: a small difference, and the first page of a large one, are not to wait.
const FIRST: usize = if planted::HAS_FEW_ROWS { 2 } else { COMPARED_AT_ONCE };
/// Gathered at most: where large commits were written ahead, their blocks are all held meanwhile.
const MOST: usize = 16 * FIRST;

/// Adds the candidates in some ranges, of which only the first so many are kept.
pub type Gather<'a> = &'a dyn Fn(&State, TreeView<'_>, &[SuffixRange], usize, &mut BTreeSet<Suffix>) -> Attempt<()>;

pub struct Candidates {
    collection: Option<CollectionName>,
    queue: VecDeque<Suffix>,
    /// The last one that was gathered. `None`: it begins with the first.
    behind: Option<Suffix>,
    is_all: bool,
    many: usize,
}

impl Candidates {
    /// Those of one collection, or of all, behind `after`.
    pub fn new(collection: Option<&CollectionName>, after: Option<&Suffix>) -> Candidates {
        let (collection, behind) = (collection.cloned(), after.cloned());
        Candidates { collection, queue: VecDeque::new(), behind, is_all: false, many: FIRST }
    }

    /// The next ones, at most `limit`; none: that was all.
    pub async fn take(&mut self, core: &Rc<Core>, limit: usize, gather: Gather<'_>) -> Result<Vec<Suffix>> {
        while self.queue.is_empty() && !self.is_all {
            let (ranges, many) = (ranges(self.collection.as_ref(), self.behind.as_ref()), self.many);
            let read = |state: &State, view: TreeView<'_>| {
                let mut found = BTreeSet::new();
                gather(state, view, &ranges, many, &mut found)?;
                Ok(found.into_iter().collect::<VecDeque<_>>())
            };
            self.queue = core.read(read).await?;
            self.is_all = self.queue.len() < many;
            self.behind = self.queue.back().cloned();
            self.many = (many * 4).min(MOST);
        }
        Ok(self.queue.drain(..self.queue.len().min(limit)).collect())
    }

    /// Takes back those that were not looked at, the first of what `take` gives next.
    pub fn give_back(&mut self, rest: Vec<Suffix>) {
        rest.into_iter().rev().for_each(|suffix| self.queue.push_front(suffix));
    }

    pub fn has_more(&self) -> bool {
        !self.queue.is_empty() || !self.is_all
    }
}

/// The rows that can be changes: documents and entries, not what is derived from them.
fn ranges(collection: Option<&CollectionName>, after: Option<&Suffix>) -> Vec<SuffixRange> {
    let mut ranges = match collection {
        Some(name) => [Kind::Document, Kind::Entry]
            .map(|kind| SuffixRange { from: prefix(name.as_str(), kind), before: prefix_end(name.as_str(), kind) })
            .to_vec(),
        // Names are not empty, so the rows of the collections themselves, under the empty name, come before.
        None => vec![SuffixRange { from: vec![1], before: vec![0xff] }],
    };
    if let Some(after) = after {
        let from = just_after(after.as_bytes());
        for range in &mut ranges {
            range.from = range.from.clone().max(from.clone());
        }
    }
    ranges
}

/// What is found by the first of some attempts: all of them, or as many as can be held at a time, one at least. What
/// the others need is fetched in the same go.
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
