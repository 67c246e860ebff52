//! Priority for transactions that lost twice. A transaction that runs again after two conflicts claims the rows that it
//! read the last time. Another transaction, or a single call, that is ready to commit and writes some of these rows
//! looks a few times if the claim still stands, and then commits all the same. Where another tab was first, the
//! transaction pleads too (`core/plea.rs`), and other tabs hold back their own commits.
//!
//! A claim holds nothing: it costs others at most the sum of a few short sleeps, also when its transaction never ends,
//! or waits for the very one that gives way. Only a body that ran quickly may claim, so a slow one delays nobody.
//! A commit that gives way sleeps and looks by itself: its own request makes it go on.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::engine::core::Core;
use crate::engine::core::job::{Exclusive, Pleading, Present};
use crate::engine::handle::Handle;
use crate::engine::op::Op;
use crate::engine::op::known::Known;
use crate::engine::op::transaction::Transaction;
use crate::error::Result;
use crate::lsm::Change;
use crate::types::row::split_row;
use crate::types::{LayerId, Lsn, Suffix};

/// Milliseconds that a run may have taken to be worth waiting for, and that its claim stands at most.
const QUICK: u64 = 100;
/// How often others look before they go on. They sleep 1, 2, 4, ... milliseconds in between.
const LOOKS: u32 = 6;

/// The claims of one engine, in no order.
pub struct Claims {
    core: Rc<Core>,
    standing: RefCell<Vec<Claim>>,
    given: Cell<u64>,
}

struct Claim {
    number: u64,
    /// The run that lost: the next one will read about the same.
    lost: Rc<Transaction>,
    /// By the clock that never jumps.
    until: u64,
}

/// A claim that stands until this is dropped, or its time is over.
pub struct Claimed {
    claims: Rc<Claims>,
    number: u64,
    /// The snapshot of the run that lost.
    snapshot: Lsn,
    /// The plea under which the transaction commits, once another tab was first.
    plea: Option<Rc<Pleading>>,
}

impl Claimed {
    pub(super) fn plea(&self) -> Option<Rc<Pleading>> {
        self.plea.clone()
    }

    /// Pleads that other tabs hold back, if it was another tab that went first. The plea stands for one run, so each
    /// run has one.
    pub(super) async fn plead(&mut self) -> Result<()> {
        let others = self.claims.core.lsm.with(|state| state.others);
        if others > self.snapshot && self.plea.is_none() {
            self.plea = Some(self.claims.core.pleading());
        }
        match &self.plea {
            Some(plea) => self.claims.core.exclusively(Exclusive::Plead(plea.id)).await.map(drop),
            None => Ok(()),
        }
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let number = self.number;
        self.claims.standing.borrow_mut().retain(|claim| claim.number != number);
    }
}

impl Claims {
    pub fn new(core: Rc<Core>) -> Claims {
        Claims { core, standing: RefCell::default(), given: Cell::new(0) }
    }

    /// Says if another transaction claims one of the rows that are about to be written. Of two transactions that claim,
    /// the one that claimed first goes first.
    fn stand_against(&self, layer: LayerId, rows: &[Suffix], own: Option<u64>, now: u64) -> bool {
        self.standing.borrow().iter().any(|claim| {
            claim.until >= now
                && own.is_none_or(|own| claim.number < own)
                && claim.lost.path.top().is_some_and(|level| level.layer == layer)
                && rows.iter().any(|suffix| claim.lost.reads.has(suffix.as_bytes()))
        })
    }

    pub fn is_empty(&self) -> bool {
        self.standing.borrow().is_empty()
    }

    /// Claims the rows that a transaction read which lost, for its next run; `began`: when the lost one did. It keeps
    /// the place among the claims that it had.
    pub fn claim(self: &Rc<Claims>, lost: Rc<Transaction>, began: u64, before: Option<Claimed>) -> Option<Claimed> {
        let now = self.core.platform.steady();
        if now > began + QUICK {
            return None;
        }
        let number = before.as_ref().map_or(self.given.get(), |claimed| claimed.number);
        self.given.set(self.given.get().max(number + 1));
        let plea = before.as_ref().and_then(|claimed| claimed.plea.clone());
        drop(before);
        let snapshot = lost.snapshot_lsn();
        self.standing.borrow_mut().push(Claim { number, lost, until: now + QUICK });
        Some(Claimed { claims: self.clone(), number, snapshot, plea })
    }

    /// Lets those go first who claim some of the rows that are about to be written, for a moment.
    pub async fn let_first(&self, layer: LayerId, rows: &[Suffix], own: Option<&Claimed>) {
        for look in 0..LOOKS {
            let own = own.map(|claimed| claimed.number);
            if !self.stand_against(layer, rows, own, self.core.platform.steady()) {
                return;
            }
            self.core.platform.sleep(1 << look).await;
        }
    }

    /// Lets transactions go first that claim a row which the call would write as things stand.
    pub async fn let_first_of_call(&self, handle: &Handle, op: &Op) -> Result<()> {
        let mut known = Known::default();
        let written = self.core.read(|state, view| {
            let (_, effects) = handle.evaluate(&Present { view, state, at: state.head }, op, &mut known)?;
            Ok(effects)
        });
        // A call that fails does so where it stands in the order of commits.
        let effects = written.await.unwrap_or_default();
        let mut rows = effects.changes().iter().map(|Change(row, _)| split_row(row)).peekable();
        let Some((layer, _)) = rows.peek().copied() else { return Ok(()) };
        let rows: Vec<Suffix> = rows.map(|(_, suffix)| Suffix::from_bytes(suffix.to_vec())).collect();
        self.let_first(layer, &rows, None).await;
        handle.check_open()
    }
}
