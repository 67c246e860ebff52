//! Transactions that a body runs in: begin, let it read and write, commit, and begin again after a conflict.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;

use super::claim::{Claimed, Claims};
use super::conflict::Checking;
use crate::engine::core::hold::Hold;
use crate::engine::core::job::{Pleading, Present};
use crate::engine::core::{Core, closed};
use crate::engine::handle::Handle;
use crate::engine::handle::snapshot::{AtOnce, Unfinished};
use crate::engine::op::context::{self, Context};
use crate::engine::op::known::Known;
use crate::engine::op::transaction::{Isolation, Transaction};
use crate::engine::op::{Answer, Op, Step, steps};
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Attempt, State, TreeView};
use crate::planted::{self, Bug};
use crate::storage::Durability;
use crate::types::{Lsn, Suffix};

/// How often a body runs again after a conflict, unless its options say otherwise.
const RETRIES: u32 = 8;

#[derive(Clone, Debug)]
pub struct TransactionOptions {
    pub isolation: Isolation,
    pub retries: u32,
    pub durability: Option<Durability>,
}

impl Default for TransactionOptions {
    fn default() -> TransactionOptions {
        TransactionOptions { isolation: Isolation::Serializable, retries: RETRIES, durability: None }
    }
}

/// A call of a body that other calls of the body have made begin again so often keeps them from writing until it ends.
const BEGINNINGS: u32 = 8;

/// The transaction that a body works on. It ends with its body: later calls fail with CLOSED.
pub struct OpenTransaction {
    core: Rc<Core>,
    version: Lsn,
    transaction: RefCell<Option<Transaction>>,
    /// A call in the body failed with CONFLICT, so the transaction cannot commit. The body runs again even if it caught
    /// that error: what it would return rests on reads that no longer hold.
    is_doomed: Cell<bool>,
    /// True while one call keeps the others of the body from writing.
    is_quiet: Cell<bool>,
    /// Writes that wait for such a call, each by a number, in the order in which they were made.
    waiting: RefCell<Vec<u64>>,
    _hold: Hold,
}

/// While this lives no other call of the body writes. It ends also where its call is dropped.
struct Quiet<'a>(&'a Cell<bool>);

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// A place among the writes that wait. Its call keeps the place until it ends or is dropped: without that an earlier
/// write that nobody awaited would overwrite a later one.
struct Place<'a>(&'a RefCell<Vec<u64>>, u64);

impl Place<'_> {
    fn last(waiting: &RefCell<Vec<u64>>) -> Place<'_> {
        let number = waiting.borrow().last().map_or(0, |last| last + 1);
        waiting.borrow_mut().push(number);
        Place(waiting, number)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().retain(|number| *number != self.1);
    }
}

impl OpenTransaction {
    /// True if a write must wait for a call that goes first, or for an earlier write that does.
    fn must_wait(&self, place: Option<&Place<'_>>) -> bool {
        let first = self.waiting.borrow().first().copied();
        self.is_quiet.get() || first.is_some() && first != place.map(|place| place.1)
    }

    pub fn version(&self) -> Lsn {
        self.version
    }

    /// Runs one step of a call on what is in memory.
    pub fn run_at_once(&self, op: &Op) -> Result<AtOnce> {
        let mut slot = self.transaction.borrow_mut();
        let Some(transaction) = slot.as_mut() else { return Err(closed("the transaction")) };
        if steps::names_many(op) || op.is_write() && self.must_wait(None) {
            return Ok(AtOnce::unfinished(op, None));
        }
        let (mut rest, mut known, mut until) = (None, Known::default(), None);
        let changes = transaction.changes();
        let unfinished = |rest: Option<Op>| {
            AtOnce::Unfinished(Unfinished { op: rest.unwrap_or_else(|| op.clone()), at: None, changes })
        };
        loop {
            let op = rest.as_ref().unwrap_or(op);
            let taken = self.core.read_now(|state, view| {
                let until = *until.get_or_insert_with(|| context::step_end(view));
                let step = attempt((state, view), transaction, (op, &mut known), (&self.core, until))?;
                Ok((step, view.tree.examined() >= until))
            });
            match taken {
                Some(Err(error)) => return Err(self.note(error)),
                Some(Ok((Step::Done(answer), _))) => return Ok(AtOnce::Done(answer)),
                Some(Ok((Step::More(next), false))) => rest = Some(next),
                Some(Ok((Step::More(next), true))) => return Ok(unfinished(Some(next))),
                None => return Ok(unfinished(rest)),
            }
        }
    }

    /// Goes on with a call, which is `op` as a whole.
    pub fn finish(&self, op: Op, unfinished: Unfinished) -> impl Future<Output = Result<Answer>> {
        self.go_on(op, Some(unfinished.op), unfinished.changes)
    }

    /// Runs a call, a long one in steps, between which others have their turn.
    pub fn run(&self, op: Op) -> impl Future<Output = Result<Answer>> {
        self.go_on(op, None, 0)
    }

    /// `rest` is left of the call since the transaction had made `changes`. Where another call of the same body writes
    /// between two steps, the call begins again: its answer would mix what was there before with what is there now.
    async fn go_on(&self, op: Op, mut rest: Option<Op>, mut changes: u64) -> Result<Answer> {
        let mut known = Known::default();
        let (mut beginnings, mut quiet, mut place) = (0, None, None);
        let step = |state: &State, view: TreeView<'_>| {
            if op.is_write() && quiet.is_none() && self.must_wait(place.as_ref()) {
                place.get_or_insert_with(|| Place::last(&self.waiting));
                return Ok(None);
            }
            let mut slot = self.transaction.borrow_mut();
            let Some(transaction) = slot.as_mut() else { return Err(closed("the transaction").into()) };
            let until = context::step_end(view);
            let now = transaction.changes();
            if std::mem::replace(&mut changes, now) != now {
                rest = None;
                beginnings += 1;
            }
            // One call at most is let through, so that no two wait for each other.
            if beginnings > BEGINNINGS && !self.is_quiet.replace(true) {
                quiet = Some(Quiet(&self.is_quiet));
            }
            let op = rest.as_ref().unwrap_or(&op);
            match attempt((state, view), transaction, (op, &mut known), (&self.core, until))? {
                Step::Done(answer) => Ok(Some(answer)),
                Step::More(next) => {
                    rest = Some(next);
                    Ok(None)
                }
            }
        };
        self.core.read_in_steps(step).await.map_err(|error| self.note(error))
    }

    /// A call inside fails with CONFLICT only if the commit must fail too.
    fn note(&self, error: Error) -> Error {
        if error.code() == ErrorCode::Conflict {
            self.is_doomed.set(true);
        }
        error
    }

    fn end(&self) -> Option<Transaction> {
        self.transaction.borrow_mut().take()
    }
}

/// One try of one call: what it wrote before it failed, or before a block was missing, is taken back.
fn attempt(
    (state, view): (&State, TreeView<'_>),
    transaction: &mut Transaction,
    (op, known): (&Op, &mut Known),
    (core, until): (&Core, u64),
) -> Attempt<Step> {
    if transaction.snapshot_lsn() < state.manifest.floor() {
        let message = "the history that the transaction reads was dropped in another tab";
        return Err(Error::new(ErrorCode::Conflict, message).into());
    }
    transaction.savepoint();
    let result = op.apply(&mut Context::writing(view, transaction).up_to(until), &core.ids, known);
    if result.is_err() {
        transaction.roll_back();
    }
    result
}

/// How a transaction ended.
pub enum Ended<R, E> {
    /// The body's value, and the commit's LSN unless it wrote nothing.
    Committed(R, Option<Lsn>),
    /// The error of the body itself: nothing was written.
    Failed(E),
}

/// Runs `body` in a transaction, again after a conflict. An error of the body undoes the transaction and is given back
/// unchanged.
pub async fn transact<R, E, F: Future<Output = std::result::Result<R, E>>>(
    handle: &Rc<Handle>,
    claims: &Rc<Claims>,
    options: TransactionOptions,
    mut body: impl FnMut(Rc<OpenTransaction>) -> F,
) -> Result<Ended<R, E>> {
    let durability = options.durability.unwrap_or(handle.core.durability);
    let mut claim: Option<Claimed> = None;
    for tries in 0.. {
        if tries > 0 {
            handle.core.refresh().await?;
        }
        if let Some(claimed) = &mut claim {
            claimed.plead().await?;
        }
        let began = if tries > 0 { handle.core.platform.steady() } else { 0 };
        let transaction = handle.begin(options.isolation).await?;
        if planted::is(Bug::HoldKeptAfterEnd) {
            std::mem::forget(handle.core.hold(transaction.snapshot_lsn()));
        }
        let open = Rc::new(OpenTransaction {
            core: handle.core.clone(),
            version: transaction.snapshot_lsn(),
            _hold: handle.core.hold(transaction.snapshot_lsn()),
            transaction: RefCell::new(Some(transaction)),
            is_doomed: Cell::new(false),
            is_quiet: Cell::new(false),
            waiting: RefCell::default(),
        });
        let outcome = body(open.clone()).await;
        let Some(mut transaction) = open.end() else { return Err(closed("the transaction")) };
        transaction.end();
        let transaction = Rc::new(transaction);
        match outcome {
            _ if open.is_doomed.get() => {}
            Err(error) => return Ok(Ended::Failed(error)),
            Ok(value) => {
                let plea = claim.as_ref().and_then(Claimed::plea);
                let_first(claims, &transaction, claim.as_ref()).await;
                match commit_transaction(handle, transaction.clone(), durability, plea).await {
                    Err(error) if error.code() == ErrorCode::Conflict => {}
                    committed => return committed.map(|lsn| Ended::Committed(value, lsn)),
                }
            }
        }
        if tries >= options.retries {
            break;
        }
        claim = if tries > 0 { claims.claim(transaction, began, claim) } else { None };
    }
    let message = "the transaction lost to other writes every time. A body that waits for a write outside of its \
                   transaction, to what it has read, loses to itself";
    Err(Error::new(ErrorCode::Conflict, format!("{message}. tries={}", options.retries + 1)))
}

async fn let_first(claims: &Claims, transaction: &Transaction, own: Option<&Claimed>) {
    if let Some(level) = transaction.path.top()
        && !claims.is_empty()
    {
        let rows: Vec<Suffix> = transaction.writes().keys().cloned().collect();
        claims.let_first(level.layer, &rows, own).await;
    }
}

async fn commit_transaction(
    handle: &Rc<Handle>,
    transaction: Rc<Transaction>,
    durability: Durability,
    plea: Option<Rc<Pleading>>,
) -> Result<Option<Lsn>> {
    if transaction.writes().is_empty() {
        return Ok(None);
    }
    if transaction.path.top().is_none() {
        return Err(closed("the database"));
    }
    let mut checking = Checking::new(transaction);
    let check = move |present: &Present<'_>| {
        checking.check(present.view, present.state)?;
        Ok(((), checking.transaction().effects()))
    };
    handle.core.commit_pleaded(durability, plea, check).await.map(|((), lsn)| lsn)
}
