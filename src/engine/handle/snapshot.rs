//! A database as it was at one LSN: read only, for as long as history holds it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::engine::core::hold::Hold;
use crate::engine::core::id::IdMaker;
use crate::engine::core::{Core, closed};
use crate::engine::op::context::Context;
use crate::engine::op::known::Known;
use crate::engine::op::{Answer, Op, Step};
use crate::engine::rows::path::Path;
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Attempt, State};
use crate::types::Lsn;

pub struct Pinned {
    core: Rc<Core>,
    path: Path,
    version: Lsn,
    predates_clone: bool,
    closed: Cell<bool>,
    hold: RefCell<Option<Hold>>,
}

impl Pinned {
    pub fn new(core: Rc<Core>, path: Path, predates_clone: bool) -> Pinned {
        let version = path.top().map_or(Lsn::ZERO, |level| level.lsn);
        let hold = RefCell::new(Some(core.hold(version)));
        Pinned { core, path, version, predates_clone, closed: Cell::new(false), hold }
    }

    /// The state before a database was made: empty, and it says so (SEMANTICS R6).
    pub fn before_creation(core: Rc<Core>, path: Path, version: Lsn) -> Pinned {
        let hold = RefCell::new(Some(core.hold(version)));
        Pinned { version, hold, ..Pinned::new(core, path, true) }
    }

    pub fn core(&self) -> &Rc<Core> {
        &self.core
    }

    pub fn version(&self) -> Lsn {
        self.version
    }

    pub fn predates_clone(&self) -> bool {
        self.predates_clone
    }

    /// What it reads, as long as history holds it (another tab's vacuum may not spare it).
    pub fn path(&self, state: &State) -> Result<Path> {
        if self.version < state.manifest.floor() && !self.predates_clone {
            return Err(pruned(state));
        }
        Ok(self.path.clone())
    }

    /// The levels that this snapshot reads, in one short line: `draft@57 > main@42`.
    pub async fn describe(&self) -> Result<String> {
        self.core.read(|state, _| Ok(self.path(state)?.to_string())).await
    }

    pub fn close(&self) {
        self.closed.set(true);
        self.hold.take();
    }

    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    pub fn check_open(&self) -> Result<()> {
        if self.closed.get() { Err(closed("the snapshot")) } else { self.core.check_open() }
    }

    pub fn run_now(&self, op: &Op) -> Option<Result<Answer>> {
        if let Err(error) = self.check_open().and_then(|()| check_reads(op)) {
            return Some(Err(error));
        }
        self.core.read_now(|state, view| step_now(&mut Context::reading(view, self.path(state)?), op, &self.core.ids))
    }

    /// Runs a reading call, a long one in steps, each on blocks of its own.
    pub async fn run(&self, mut op: Op) -> Result<Answer> {
        check_reads(&op)?;
        let mut known = Known::default();
        loop {
            self.check_open()?;
            let step = self.core.read(|state, view| {
                op.apply(&mut Context::reading(view, self.path(state)?), &self.core.ids, &mut known)
            });
            match step.await? {
                Step::Done(answer) => return Ok(answer),
                Step::More(next) => op = next,
            }
        }
    }
}

/// A point older than what history still holds.
pub fn pruned(state: &State) -> Error {
    let oldest = state.manifest.floor();
    Error::new(ErrorCode::HistoryPruned, format!("history that old is gone. oldest={oldest}"))
        .with_text("oldest", oldest.to_text())
}

fn check_reads(op: &Op) -> Result<()> {
    if op.is_write() {
        return Err(Error::new(ErrorCode::InvalidOption, "a snapshot is read only"));
    }
    Ok(())
}

/// Runs all steps of a call in one go.
pub fn step_now(context: &mut Context<'_>, op: &Op, ids: &IdMaker) -> Attempt<Answer> {
    let mut known = Known::default();
    let mut step = op.apply(context, ids, &mut known)?;
    loop {
        match step {
            Step::Done(answer) => return Ok(answer),
            Step::More(next) => step = next.apply(context, ids, &mut known)?,
        }
    }
}
