//! A future that ends once the host calls a function.
//!
//! A promise would do as well, but whoever has waited for a promise is kept in memory until the promise settles, and
//! the promise of a timer that was taken back never does. So each wait would leave some memory behind for ever.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use wasm_bindgen::prelude::*;

#[derive(Default)]
struct State {
    was_called: bool,
    waker: Option<Waker>,
}

/// Whoever gives the function to the host takes it back before the signal is dropped: the function goes with it.
pub struct Signal {
    state: Rc<RefCell<State>>,
    function: Closure<dyn FnMut()>,
}

impl Signal {
    pub fn new() -> Signal {
        let state = Rc::new(RefCell::new(State::default()));
        let called = state.clone();
        let function = Closure::new(move || {
            let waker = {
                let mut state = called.borrow_mut();
                state.was_called = true;
                state.waker.take()
            };
            waker.into_iter().for_each(Waker::wake);
        });
        Signal { state, function }
    }

    /// The function that ends the wait.
    pub fn function(&self) -> &JsValue {
        self.function.as_ref()
    }
}

impl Future for Signal {
    type Output = ();

    fn poll(self: Pin<&mut Signal>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        if state.was_called {
            return Poll::Ready(());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
