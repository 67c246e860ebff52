//! Priority for whoever lost twice. A transaction that runs again after two conflicts claims what it read the last
//! time. Another one that is ready to commit, and writes some of that, looks a few times whether the claim still
//! stands, and then commits all the same.
//!
//! A claim holds nothing: it costs others at most the sum of a few short sleeps, also when its transaction never ends,
//! or waits for the very one that gives way. Only a body that ran quickly may claim, so a slow one delays nobody.
//! Whoever gives way sleeps and looks by itself: its own request makes it go on.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::conflict;
use crate::engine::op::transaction::Transaction;
use crate::engine::store::Store;

/// Milliseconds that a run may have taken to be worth waiting for, and that its claim stands at most.
const QUICK: u64 = 100;
/// How often others look before they go on. They sleep 1, 2, 4, ... milliseconds in between.
const LOOKS: u32 = 6;

/// The claims of one engine, in no order.
#[derive(Default)]
pub struct Claims {
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
    store: Rc<Store>,
    number: u64,
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let number = self.number;
        self.store.claims.standing.borrow_mut().retain(|claim| claim.number != number);
    }
}

impl Claims {
    /// Whether somebody claims what the transaction writes; of two that claim, the one that did so first goes first.
    fn stand_against(&self, transaction: &Transaction, own: Option<u64>, now: u64) -> bool {
        let layer = |of: &Transaction| of.path.top().map(|level| level.layer);
        self.standing.borrow().iter().any(|claim| {
            claim.until >= now
                && own.is_none_or(|own| claim.number < own)
                && layer(&claim.lost) == layer(transaction)
                && transaction.writes().keys().any(|suffix| conflict::depends_on(&claim.lost, suffix))
        })
    }
}

impl Store {
    /// Claims what a transaction read that lost, for its next run; `began`: when the lost one did. It keeps the place
    /// among the claims that it had.
    pub(in crate::engine) fn claim(
        self: &Rc<Store>,
        lost: Rc<Transaction>,
        began: u64,
        before: Option<Claimed>,
    ) -> Option<Claimed> {
        let now = self.platform.steady();
        if now > began + QUICK {
            return None;
        }
        let claims = &self.claims;
        let number = before.as_ref().map_or(claims.given.get(), |claimed| claimed.number);
        claims.given.set(claims.given.get().max(number + 1));
        drop(before);
        claims.standing.borrow_mut().push(Claim { number, lost, until: now + QUICK });
        Some(Claimed { store: self.clone(), number })
    }

    /// Lets those go first who claim what the transaction is about to write, for a moment.
    pub(in crate::engine) async fn let_first(&self, transaction: &Transaction, own: Option<&Claimed>) {
        for look in 0..LOOKS {
            let has_claims = !self.claims.standing.borrow().is_empty();
            let own = own.map(|claimed| claimed.number);
            if !has_claims || !self.claims.stand_against(transaction, own, self.platform.steady()) {
                return;
            }
            self.platform.sleep(1 << look).await;
        }
    }
}
