//! A database as it was at one LSN: read only, for as long as history holds it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::engine::core::hold::Hold;
use crate::engine::core::{Core, closed};
use crate::engine::op::context::Context;
use crate::engine::op::known::Known;
use crate::engine::op::{Answer, Op, Step, steps};
use crate::engine::rows::path::Path;
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{State, TreeView};
use crate::types::Lsn;

/// How a call went that was to be answered at once, from memory.
pub enum AtOnce {
    Done(Answer),
    Unfinished(Unfinished),
}

/// A call that is not answered yet, and goes on in steps.
pub struct Unfinished {
    pub op: Op,
    /// Where the call has begun to read; `None`: it has read nothing, or its transaction or snapshot fixes the place.
    pub at: Option<Rc<Pinned>>,
    /// `Transaction::changes` where the call has begun to read, if it is one of a transaction.
    pub changes: u64,
}

impl AtOnce {
    /// `rest`: what is left of the call, if it got on.
    pub fn unfinished(op: &Op, rest: Option<Op>) -> AtOnce {
        AtOnce::Unfinished(Unfinished { op: rest.unwrap_or_else(|| op.clone()), at: None, changes: 0 })
    }
}

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

    /// The path that the snapshot reads. Fails if history no longer holds its LSN: another tab's vacuum may not spare
    /// it.
    pub fn path(&self, state: &State) -> Result<Path> {
        if self.version < state.manifest.floor() && !self.predates_clone {
            return Err(pruned(state));
        }
        Ok(self.path.clone())
    }

    /// The levels that this snapshot reads, in one short line: `draft@57 > main@42`.
    pub fn describe(&self) -> impl Future<Output = Result<String>> {
        self.core.read(|state, _| Ok(self.path(state)?.to_string()))
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

    /// Runs one step of a reading call on what is in memory.
    pub fn run_at_once(&self, op: &Op) -> Result<AtOnce> {
        self.check_open().and_then(|()| check_reads(op))?;
        if steps::names_many(op) {
            return Ok(AtOnce::unfinished(op, None));
        }
        let mut rest = None;
        let answer = self.core.read_now(|state, view| {
            steps::at_once(Context::reading(view, self.path(state)?), op, &self.core.ids, &mut rest)
        });
        Ok(match answer.transpose()? {
            Some(answer) => AtOnce::Done(answer),
            None => AtOnce::unfinished(op, rest),
        })
    }

    pub fn finish(&self, unfinished: Unfinished) -> impl Future<Output = Result<Answer>> {
        self.run(unfinished.op)
    }

    /// Runs a reading call, a long one in steps, between which others have their turn.
    pub async fn run(&self, mut op: Op) -> Result<Answer> {
        check_reads(&op)?;
        let mut known = Known::default();
        let step = |state: &State, view: TreeView<'_>| {
            self.check_open()?;
            match op.apply(&mut Context::reading(view, self.path(state)?).in_steps(), &self.core.ids, &mut known)? {
                Step::Done(answer) => Ok(Some(answer)),
                Step::More(next) => {
                    op = next;
                    Ok(None)
                }
            }
        };
        self.core.read_in_steps(step).await
    }
}

/// The error for a point that history does not hold any more.
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
