//! The calls of a snapshot.

use std::cell::RefCell;
use std::rc::Rc;

use crate::engine::compare::diff::{self, Against, Comparing, DifferencePage};
use crate::engine::handle::snapshot::{AtOnce, Pinned, Unfinished};
use crate::engine::op::{Answer, Op};
use crate::engine::transfer::{Export, ExportOptions};
use crate::error::Result;
use crate::types::{CollectionName, Lsn, Suffix};

/// A database as it was at one LSN: read only, for as long as history holds it.
pub struct Snapshot {
    pinned: Rc<Pinned>,
    /// The last comparison, for the page that comes next.
    comparing: RefCell<Option<Comparing>>,
}

/// The side that a database is compared with.
#[derive(Clone, Copy)]
pub enum Side<'a> {
    /// The origin where the clone began; a root has none.
    Origin,
    Snapshot(&'a Snapshot),
}

impl Side<'_> {
    pub(super) fn against(&self) -> Against<'_> {
        match self {
            Side::Origin => Against::Origin,
            Side::Snapshot(snapshot) => Against::Pinned(&snapshot.pinned),
        }
    }
}

impl From<Pinned> for Snapshot {
    fn from(pinned: Pinned) -> Snapshot {
        Snapshot { pinned: Rc::new(pinned), comparing: RefCell::default() }
    }
}

impl Snapshot {
    pub fn version(&self) -> Lsn {
        self.pinned.version()
    }

    pub fn predates_clone(&self) -> bool {
        self.pinned.predates_clone()
    }

    /// The levels that this snapshot reads, in one short line: `draft@57 > main@42`.
    pub fn describe(&self) -> impl Future<Output = Result<String>> {
        self.pinned.describe()
    }

    /// Runs one step of a reading call on what is in memory.
    pub fn run_at_once(&self, op: &Op) -> Result<AtOnce> {
        self.pinned.run_at_once(op)
    }

    pub fn finish(&self, unfinished: Unfinished) -> impl Future<Output = Result<Answer>> {
        self.pinned.finish(unfinished)
    }

    /// Runs a reading call, a long one in steps, between which others have their turn.
    pub fn run(&self, op: Op) -> impl Future<Output = Result<Answer>> {
        self.pinned.run(op)
    }

    /// One page of the changes from `against` to here, in the order of their rows, after the suffix `after`.
    pub async fn diff(
        &self,
        against: Side<'_>,
        collection: Option<&CollectionName>,
        after: Option<&Suffix>,
        limit: usize,
    ) -> Result<DifferencePage> {
        let against = against.against();
        diff::page(&self.pinned, &self.comparing, against, (collection, after), limit).await
    }

    /// The rows that the snapshot reads, as the bytes of an export that names the database `name`.
    pub fn export(&self, name: &str, options: ExportOptions) -> Export {
        Export::new(self.pinned.clone(), name, options)
    }

    pub fn close(&self) {
        self.pinned.close();
        self.comparing.take();
    }
}
