//! A database as it was at one LSN: read only, for as long as history holds it.

use std::cell::Cell;
use std::rc::Rc;

use super::context::Context;
use super::database::step_now;
use super::op::{Answer, Op, Step};
use super::path::Path;
use super::store::{Store, closed};
use crate::error::Result;
use crate::types::Lsn;

pub struct Snapshot {
    pub(super) store: Rc<Store>,
    pub(super) path: Path,
    version: Lsn,
    predates_clone: bool,
    closed: Cell<bool>,
}

impl Snapshot {
    pub(super) fn new(store: Rc<Store>, path: Path, predates_clone: bool) -> Snapshot {
        let version = path.top().map_or(Lsn::ZERO, |level| level.lsn);
        Snapshot { store, path, version, predates_clone, closed: Cell::new(false) }
    }

    /// The state before a database was made: empty, and it says so (SEMANTICS R6).
    pub(super) fn before_creation(store: Rc<Store>, path: Path, version: Lsn) -> Snapshot {
        Snapshot { version, ..Snapshot::new(store, path, true) }
    }

    pub fn version(&self) -> Lsn {
        self.version
    }

    pub fn predates_clone(&self) -> bool {
        self.predates_clone
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn close(&self) {
        self.closed.set(true);
    }

    pub(super) fn check_open(&self) -> Result<()> {
        if self.closed.get() { Err(closed("the snapshot")) } else { self.store.check_open() }
    }

    pub fn run_now(&self, op: &Op) -> Option<Result<Answer>> {
        if let Err(error) = self.check_open().and_then(|()| check_reads(op)) {
            return Some(Err(error));
        }
        self.store.read_now(|_, view| step_now(&mut Context::reading(view, self.path.clone()), op, &self.store))
    }

    /// Runs a reading call, a long one in steps, each on blocks of its own.
    pub async fn run(&self, mut op: Op) -> Result<Answer> {
        check_reads(&op)?;
        loop {
            self.check_open()?;
            let step =
                self.store.read(|_, view| op.apply(&mut Context::reading(view, self.path.clone()), &self.store.ids));
            match step.await? {
                Step::Done(answer) => return Ok(answer),
                Step::More(next) => op = next,
            }
        }
    }
}

fn check_reads(op: &Op) -> Result<()> {
    if op.is_write() {
        let code = crate::error::ErrorCode::InvalidOption;
        return Err(crate::error::Error::new(code, "a snapshot is read only"));
    }
    Ok(())
}
