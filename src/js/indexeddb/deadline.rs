//! Time limits: a frozen tab can hold a transaction for ever, and some hosts never answer an `open`.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use indexed_db_futures::internals::SystemRepr;
use indexed_db_futures::transaction::Transaction;
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::js::globals::{clear_timeout, function, set_pause, set_timeout};

/// Milliseconds after which a wait for the host ends in TIMEOUT.
pub const WAIT: u64 = 20_000;

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

pub async fn sleep(milliseconds: u64) {
    // A promise that only ever resolves.
    let _ = JsFuture::from(Timer::new(milliseconds).over.clone()).await;
}

/// Lets all other work of the host that waits now go first.
pub async fn pause() {
    let over = Promise::new(&mut |resolve, _| {
        if set_pause(&resolve).is_err() {
            let _ = set_timeout(&resolve, 0.0);
        }
    });
    let _ = JsFuture::from(over).await;
}

/// The result of `work`, or `None` after this many milliseconds.
pub async fn within<T>(milliseconds: u64, work: impl Future<Output = T>) -> Option<T> {
    let timer = Timer::new(milliseconds);
    before(timer.over.clone(), pin!(work)).await
}

/// Resolves when the transaction is aborted.
pub fn aborted(transaction: &System) -> Promise {
    Promise::new(&mut |resolve, _| {
        let _ = function(transaction, "addEventListener").map(|add| add.call2(transaction, &"abort".into(), &resolve));
    })
}

/// The result of `work`, or `None` if `over` resolves first.
pub fn before<T>(over: Promise, mut work: Pin<&mut dyn Future<Output = T>>) -> impl Future<Output = Option<T>> {
    let mut over = JsFuture::from(over);
    poll_fn(move |context| match work.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Pin::new(&mut over).poll(context).map(|_| None),
    })
}

/// A promise that resolves after a time; a timer that nobody waits for any more is taken back.
struct Timer {
    over: Promise,
    timer: JsValue,
}

impl Timer {
    fn new(milliseconds: u64) -> Timer {
        let mut timer = JsValue::UNDEFINED;
        let over = Promise::new(&mut |resolve, _| {
            timer = set_timeout(&resolve, milliseconds as f64).unwrap_or_default();
        });
        Timer { over, timer }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let _ = clear_timeout(&self.timer);
    }
}
