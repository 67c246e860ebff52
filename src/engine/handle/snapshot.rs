//! A database as it was at one LSN: read only, for as long as history holds it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::history::pruned;
use crate::engine::compare::diff::Comparing;
use crate::engine::op::context::Context;
use crate::engine::op::known::Known;
use crate::engine::op::{Answer, Op, Step};
use crate::engine::rows::path::Path;
use crate::engine::store::database::step_now;
use crate::engine::store::{Hold, Store, closed};
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::State;
use crate::types::Lsn;

pub struct Snapshot {
    pub(in crate::engine) store: Rc<Store>,
    path: Path,
    version: Lsn,
    predates_clone: bool,
    closed: Cell<bool>,
    hold: RefCell<Option<Hold>>,
    /// The last comparison, for the page that comes next.
    pub(in crate::engine) comparing: RefCell<Option<Comparing>>,
}

impl Snapshot {
    pub(in crate::engine) fn new(store: Rc<Store>, path: Path, predates_clone: bool) -> Snapshot {
        let version = path.top().map_or(Lsn::ZERO, |level| level.lsn);
        let hold = RefCell::new(Some(store.hold(version)));
        let comparing = RefCell::new(None);
        Snapshot { store, path, version, predates_clone, closed: Cell::new(false), hold, comparing }
    }

    /// The state before a database was made: empty, and it says so (SEMANTICS R6).
    pub(in crate::engine) fn before_creation(store: Rc<Store>, path: Path, version: Lsn) -> Snapshot {
        let hold = RefCell::new(Some(store.hold(version)));
        Snapshot { version, hold, ..Snapshot::new(store, path, true) }
    }

    pub fn version(&self) -> Lsn {
        self.version
    }

    pub fn predates_clone(&self) -> bool {
        self.predates_clone
    }

    /// What it reads, as long as history holds it (another tab's vacuum may not spare it).
    pub(in crate::engine) fn path(&self, state: &State) -> Result<Path> {
        if self.version < state.manifest.floor() && !self.predates_clone {
            return Err(pruned(state));
        }
        Ok(self.path.clone())
    }

    /// The levels that this snapshot reads, in one short line: `draft@57 > main@42`.
    pub async fn describe(&self) -> Result<String> {
        self.store.read(|state, _| Ok(self.path(state)?.to_string())).await
    }

    pub fn close(&self) {
        self.closed.set(true);
        self.hold.take();
        self.comparing.take();
    }

    pub(in crate::engine) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    pub(in crate::engine) fn check_open(&self) -> Result<()> {
        if self.closed.get() { Err(closed("the snapshot")) } else { self.store.check_open() }
    }

    pub fn run_now(&self, op: &Op) -> Option<Result<Answer>> {
        if let Err(error) = self.check_open().and_then(|()| check_reads(op)) {
            return Some(Err(error));
        }
        self.store.read_now(|state, view| step_now(&mut Context::reading(view, self.path(state)?), op, &self.store))
    }

    /// Runs a reading call, a long one in steps, each on blocks of its own.
    pub async fn run(&self, mut op: Op) -> Result<Answer> {
        check_reads(&op)?;
        let mut known = Known::default();
        loop {
            self.check_open()?;
            let step = self.store.read(|state, view| {
                op.apply(&mut Context::reading(view, self.path(state)?), &self.store.ids, &mut known)
            });
            match step.await? {
                Step::Done(answer) => return Ok(answer),
                Step::More(next) => op = next,
            }
        }
    }
}

fn check_reads(op: &Op) -> Result<()> {
    if op.is_write() {
        return Err(Error::new(ErrorCode::InvalidOption, "a snapshot is read only"));
    }
    Ok(())
}
