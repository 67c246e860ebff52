//! Waits for the host, each with a time limit: some hosts never answer a call.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use js_sys::{Array, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::js::globals::{clear_timeout, function, set_pause, set_timeout};
use crate::storage::LocalFuture;

/// Milliseconds after which a wait for the host ends in TIMEOUT.
pub const WAIT: u64 = 20_000;

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

/// The result of `work`, or `None` if `over` resolves first.
pub fn before<T>(over: Promise, mut work: Pin<&mut dyn Future<Output = T>>) -> impl Future<Output = Option<T>> {
    let mut over = JsFuture::from(over);
    poll_fn(move |context| match work.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Pin::new(&mut over).poll(context).map(|_| None),
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
