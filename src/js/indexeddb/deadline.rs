//! The time limit of a transaction: a frozen tab can hold one for ever.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use indexed_db_futures::internals::SystemRepr;
use indexed_db_futures::transaction::Transaction;
use wasm_bindgen::prelude::*;

use crate::js::globals::{clear_timeout, function, set_timeout};
use crate::js::signal::Signal;
use crate::js::waits::WAIT;

pub type System = <Transaction<'static> as SystemRepr>::Repr;

/// Aborts a transaction that has not ended in time. Then it is certain that nothing of it is written.
pub struct Deadline {
    over: Rc<Cell<bool>>,
    timer: JsValue,
    _callback: Closure<dyn FnMut()>,
}

impl Deadline {
    pub fn of(transaction: &System) -> Deadline {
        let over = Rc::new(Cell::new(false));
        let (reached, transaction) = (over.clone(), transaction.clone());
        let callback = Closure::<dyn FnMut()>::new(move || {
            // A transaction that has just ended refuses, and has ended well or ill by itself.
            reached.set(transaction.abort().is_ok());
        });
        let timer = set_timeout(callback.as_ref(), WAIT as f64).unwrap_or_default();
        Deadline { over, timer, _callback: callback }
    }

    pub fn is_over(&self) -> bool {
        self.over.get()
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        let _ = clear_timeout(&self.timer);
    }
}

/// Ends when the transaction is aborted.
pub struct Aborted {
    signal: Signal,
    transaction: System,
}

impl Aborted {
    pub fn of(transaction: &System) -> Aborted {
        let aborted = Aborted { signal: Signal::new(), transaction: transaction.clone() };
        aborted.listen("addEventListener");
        aborted
    }

    fn listen(&self, method: &str) {
        let listens = function(&self.transaction, method);
        let _ = listens.map(|listen| listen.call2(&self.transaction, &"abort".into(), self.signal.function()));
    }
}

impl Future for Aborted {
    type Output = ();

    fn poll(mut self: Pin<&mut Aborted>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.signal).poll(context)
    }
}

impl Drop for Aborted {
    fn drop(&mut self) {
        self.listen("removeEventListener");
    }
}
