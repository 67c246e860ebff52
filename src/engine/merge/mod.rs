//! Three-way merging of databases: a clone's changes against its origin's changes since the clone began. Merge and
//! rebase are the same comparison, read in two directions; reset, revert and restore go back.
//!
//! Rows are compared page by page on one snapshot, and written into a layer of their own or ahead of their commit, so
//! memory stays bounded. The commit itself checks that nothing it rests on has moved since, and flips one catalog row.
//! If something has, all of it starts over.
//!
//! A merge may leave rows in the clone that clash with the origin: those that were not selected. They are *parked*:
//! beside such a row lies its *ancestor*, the row that both sides are compared with, until the clash is settled.
//!
//! It does not know: op, witness, copy, transact, transfer, upkeep, store.

mod commit;
mod counting;
mod forward;
mod leave;
mod rebase;
mod reset;
mod restore;
mod revert;
mod rows;
mod settle;
mod shown;
mod stand;

pub use forward::merge;
pub use rebase::rebase;
pub use reset::reset;
pub use restore::restore;
pub use revert::revert;

use std::rc::Rc;

use crate::engine::compare::diff::Difference;
use crate::engine::handle::history::When;
use crate::error::Result;
use crate::storage::LocalFuture;
use crate::types::{Bytes, Kind, Lsn};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Both sides changed a field, to different values.
    Field,
    /// One side deleted what the other changed, or both replaced a value that has no fields.
    Row,
}

/// The values of a row or a field that both sides changed. `None`: absent on that side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conflict {
    pub reason: Reason,
    pub kind: Kind,
    pub collection: String,
    pub key: Vec<u8>,
    /// Dotted, of a field's conflict.
    pub field: Option<String>,
    pub base: Option<Bytes>,
    pub clone: Option<Bytes>,
    pub origin: Option<Bytes>,
}

/// The side that wins, or the value that stands in its place; `Fail` leaves the clash a conflict.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Resolution {
    #[default]
    Fail,
    Clone,
    Origin,
    Value(Option<Bytes>),
}

/// Settles conflicts, one resolution for each. It runs before the commit and may wait for anything.
pub type Settle = Rc<dyn Fn(Vec<Conflict>) -> LocalFuture<'static, Result<Vec<Resolution>>>>;

#[derive(Clone)]
pub enum Policy {
    Always(Resolution),
    Ask(Settle),
}

impl Default for Policy {
    fn default() -> Policy {
        Policy::Always(Resolution::Fail)
    }
}

/// The part of a change that is merged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selected {
    All,
    Nothing,
    /// These top-level fields of an update.
    Fields(Vec<String>),
}

/// Selects among changes, one answer for each.
pub type Select = Rc<dyn Fn(Vec<Difference>) -> LocalFuture<'static, Result<Vec<Selected>>>>;

/// Fails once the caller does not want the result any more; asked before each page of rows.
pub type Heed = Rc<dyn Fn() -> Result<()>>;

#[derive(Clone, Default)]
pub struct MergeOptions {
    pub policy: Policy,
    pub only: Option<Select>,
    /// Merge the clone as it was then.
    pub at: Option<When>,
    pub dry_run: bool,
    pub heed: Option<Heed>,
}

#[derive(Clone, Default)]
pub struct RebaseOptions {
    pub policy: Policy,
    /// The point of the origin to stand on; `None`: its present.
    pub to: Option<When>,
    pub dry_run: bool,
    pub heed: Option<Heed>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MergeOutcome {
    Merged,
    Nothing,
    Conflict,
}

/// The changes that were made. Where the outcome is a conflict, nothing was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MergeReport {
    pub outcome: MergeOutcome,
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
    /// The conflicts that the policy settled; in a dry run, also those that the policy did not settle.
    pub conflicts: Vec<Conflict>,
    pub version: Lsn,
}

fn check_wanted(heed: &Option<Heed>) -> Result<()> {
    heed.as_ref().map_or(Ok(()), |heed| heed())
}

/// The changes and conflicts that a merge found so far.
#[derive(Default)]
struct Tally {
    inserted: u64,
    updated: u64,
    deleted: u64,
    settled: Vec<Conflict>,
    unsettled: Vec<Conflict>,
    /// True if there was any change to take.
    has_changes: bool,
}

impl Tally {
    fn count(&mut self, before: Option<&Bytes>, after: Option<&Bytes>) {
        match (before, after) {
            (None, Some(_)) => self.inserted += 1,
            (Some(_), Some(_)) => self.updated += 1,
            (Some(_), None) => self.deleted += 1,
            (None, None) => {}
        }
    }

    /// True if a conflict is not settled: then nothing may be written.
    fn is_stuck(&self) -> bool {
        !self.unsettled.is_empty()
    }

    fn report(self, version: Lsn) -> MergeReport {
        let outcome = match (self.is_stuck(), self.has_changes) {
            (true, _) => MergeOutcome::Conflict,
            (false, true) => MergeOutcome::Merged,
            (false, false) => MergeOutcome::Nothing,
        };
        // Rows that were compared before the conflict was met are not written either.
        let (inserted, updated, deleted) = match outcome {
            MergeOutcome::Conflict => (0, 0, 0),
            _ => (self.inserted, self.updated, self.deleted),
        };
        let Tally { settled, unsettled, .. } = self;
        let conflicts = settled.into_iter().chain(unsettled).collect();
        MergeReport { outcome, inserted, updated, deleted, conflicts, version }
    }
}
