//! The effects of a commit, which are its changes and runs, and the copy of a row that a materialization takes in.

use std::rc::Rc;

use super::story::Story;
use super::{Before, Passing, Writes};
use crate::engine::catalog;
use crate::lsm::{Attempt, Change, Need, TreeView, UnnamedRun};
use crate::planted::{self, Bug};
use crate::types::row::{push_lsn, row, split_row};
use crate::types::{LayerId, Lsn, SortedBytes, Version};

/// So many changes are put in among others one by one.
const FEW: usize = 16;

/// The effects of a commit: changes for the log, in the order of their rows, and rows that were written ahead of the
/// commit as runs.
#[derive(Clone, Default)]
pub struct Effects {
    changes: Vec<Change>,
    runs: Vec<Rc<UnnamedRun>>,
    story: Story,
}

/// The parts of a commit's effects, for the code that stages the commit.
pub struct Parts {
    pub changes: Vec<Change>,
    pub runs: Vec<Rc<UnnamedRun>>,
    pub story: Story,
}

impl Effects {
    /// The effects of a commit that writes the rows of a transaction.
    pub fn of(writes: &Writes) -> Effects {
        let Some(top) = writes.path.top() else { return Effects::default() };
        let change = |(suffix, version): (&crate::types::Suffix, &Version)| {
            Change(row(top.layer, suffix.as_bytes()), version.encode())
        };
        let changes = writes.rows.iter().map(change).collect();
        Effects { changes, runs: Vec::new(), story: writes.story.clone() }
    }

    /// A row of the catalog passes the door.
    pub fn of_catalog(row: Vec<u8>, version: &Version) -> Effects {
        let mut effects = Effects::default();
        effects.put_in_catalog(row, version);
        effects
    }

    /// As `of_catalog`, beside other changes.
    pub fn put_in_catalog(&mut self, row: Vec<u8>, version: &Version) {
        let (layer, suffix) = split_row(&row);
        self.story.note(&Passing { layer, suffix, before: Before::InCatalog, after: version });
        self.insert(Change(row, version.encode()));
    }

    /// A row passes the door. Gives its size.
    pub fn put(&mut self, layer: LayerId, suffix: &[u8], version: &Version, before: Before<'_>) -> usize {
        if !planted::is(Bug::RowsPastTheDoor) {
            self.story.note(&Passing { layer, suffix, before, after: version });
        }
        let change = Change(row(layer, suffix), version.encode());
        let size = change.0.len() + change.1.len();
        self.insert(change);
        size
    }

    /// Puts a change where its row belongs, which is the end where rows come in their order.
    fn insert(&mut self, change: Change) {
        let is_last = self.changes.last().is_none_or(|Change(last, _)| *last < change.0);
        let at =
            if is_last { self.changes.len() } else { self.changes.partition_point(|Change(row, _)| *row < change.0) };
        self.changes.insert(at, change);
    }

    /// Takes the changes out, for who writes them ahead as a run.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// The changes that were taken out are in this run.
    pub fn add_run(&mut self, run: Rc<UnnamedRun>) {
        self.runs.push(run);
    }

    /// Both, in the order of their rows.
    pub fn and(mut self, other: Effects) -> Effects {
        if other.changes.len() <= FEW {
            other.changes.into_iter().for_each(|change| self.insert(change));
        } else {
            let mut sorted = SortedBytes::new();
            for Change(row, version) in self.changes.into_iter().chain(other.changes) {
                sorted.insert(row, version.into());
            }
            self.changes = sorted.into_iter().map(|(row, version)| Change(row, version.to_vec())).collect();
        }
        self.runs.extend(other.runs);
        self.story.and(other.story);
        self
    }

    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.runs.is_empty()
    }

    /// True if the commit writes nothing but tombstones.
    pub fn only_deletes(&self) -> bool {
        self.runs.is_empty() && self.changes.iter().all(|Change(_, version)| Version::is_encoded_tombstone(version))
    }

    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// True if a commit with these effects writes the row.
    pub fn has(&self, view: TreeView<'_>, row: &[u8]) -> Attempt<bool> {
        if self.changes.binary_search_by(|Change(other, _)| other[..].cmp(row)).is_ok() {
            return Ok(true);
        }
        for run in &self.runs {
            if view.is_in_run(&run.description, row)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// True if any of the needed blocks belongs to a run that was written ahead.
    pub fn has_any_of(&self, needed: &[Need]) -> bool {
        let is_own = |run: u64| self.runs.iter().any(|own| own.description.id == run);
        needed.iter().any(|Need::Block(reference)| is_own(reference.address.run))
    }

    /// True if the commit writes a row of the catalog.
    pub fn touches_catalog(&self) -> bool {
        catalog::touches(&self.changes, &self.runs)
    }

    pub fn into_parts(self) -> Parts {
        Parts { changes: self.changes, runs: self.runs, story: self.story }
    }
}

/// A copy of a row below a layer that has passed the door.
pub struct Copy {
    internal: Vec<u8>,
    version: Vec<u8>,
    story: Story,
}

impl Copy {
    /// A copy passes the door. It is dated at `link`, so no reader of the layer sees another value than before.
    pub fn of(layer: LayerId, suffix: &[u8], version: &Version, (before, link): (Before<'_>, Lsn)) -> Copy {
        let mut story = Story::default();
        story.note(&Passing { layer, suffix, before, after: version });
        let mut internal = row(layer, suffix);
        push_lsn(&mut internal, link);
        Copy { internal, version: version.encode(), story }
    }

    pub fn internal(&self) -> &[u8] {
        &self.internal
    }

    pub fn version(&self) -> &[u8] {
        &self.version
    }

    pub fn bytes(&self) -> usize {
        self.internal.len() + self.version.len()
    }

    /// The row as the door tells of it once the copy is taken in.
    pub fn into_story(self) -> Story {
        self.story
    }
}
