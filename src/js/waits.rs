//! Waits for the host, each with a time limit: some hosts never answer a call.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use js_sys::{Array, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::js::globals::{clear_timeout, function, set_pause, set_timeout};
use crate::js::signal::Signal;
use crate::storage::LocalFuture;

/// Milliseconds after which a wait for the host ends in TIMEOUT.
pub const WAIT: u64 = 20_000;

pub fn sleep(milliseconds: u64) -> impl Future<Output = ()> {
    Timer::new(milliseconds)
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
    before(Timer::new(milliseconds), pin!(work)).await
}

/// The result of `work`, or `None` if `over` ends first.
pub fn before<T>(
    mut over: impl Future<Output = ()> + Unpin,
    mut work: Pin<&mut dyn Future<Output = T>>,
) -> impl Future<Output = Option<T>> {
    poll_fn(move |context| match work.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Pin::new(&mut over).poll(context).map(|()| None),
    })
}

/// Calls a method that gives a promise, and waits. `None`: there is no such method, or it failed, or did not answer in
/// time. Boxed, because it is awaited in many places.
pub fn call<'a>(object: &'a JsValue, name: &'a str, arguments: &'a [JsValue]) -> LocalFuture<'a, Option<JsValue>> {
    Box::pin(async move {
        let arguments: Array = arguments.iter().collect();
        let called = function(object, name)?.apply(object, &arguments).ok()?;
        within(WAIT, JsFuture::from(Promise::resolve(&called))).await?.ok()
    })
}

/// Ends after a time; a timer that nobody waits for any more is taken back.
struct Timer {
    over: Signal,
    timer: JsValue,
}

impl Timer {
    fn new(milliseconds: u64) -> Timer {
        let over = Signal::new();
        let timer = set_timeout(over.function(), milliseconds as f64).unwrap_or_default();
        Timer { over, timer }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Timer>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.over).poll(context)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let _ = clear_timeout(&self.timer);
    }
}
