//! Promises of the engine's work. When the engine panics the instance is dead, so every promise that was still awaited
//! is rejected with INTERNAL, and so is every later call.

use std::cell::RefCell;
use std::future::{Future, poll_fn};

use js_sys::{Function, Promise, Set};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use super::clock;
use super::error::to_js;
use super::options::JsResult;
use crate::error::{Error, ErrorCode, Result};
use crate::storage::LocalFuture;

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    /// How to reject each promise that is under way.
    static PENDING: Set = Set::new(&JsValue::UNDEFINED);
}

/// Runs `work` beside everything else. Before each of its steps the users' own clocks are read.
pub fn spawn(work: impl Future<Output = ()> + 'static) {
    spawn_boxed(Box::pin(work));
}

fn spawn_boxed(mut work: LocalFuture<'static, ()>) {
    spawn_local(poll_fn(move |context| {
        clock::read_all();
        work.as_mut().poll(context)
    }));
}

/// To be said first by every synchronous call that enters the engine.
pub fn enter() -> JsResult<()> {
    check_alive()?;
    clock::read_all();
    Ok(())
}

/// Work that a promise is made of. All promises are driven by the same code, which is in the module once.
enum Work {
    OfEngine(LocalFuture<'static, Result<JsValue>>),
    OfJs(LocalFuture<'static, JsResult<JsValue>>),
}

/// A promise of the result of `work`; the engine's errors become plain objects.
pub fn promise(work: impl Future<Output = Result<JsValue>> + 'static) -> Promise {
    drive(Work::OfEngine(Box::pin(work)))
}

/// As `promise`, of work that also fails with errors that are not the engine's.
pub fn boxed(work: impl Future<Output = JsResult<JsValue>> + 'static) -> Promise {
    drive(Work::OfJs(Box::pin(work)))
}

fn drive(work: Work) -> Promise {
    let mut work = Some(work);
    Promise::new(&mut |resolve: Function, reject: Function| {
        let Some(work) = work.take() else { return };
        if let Err(error) = check_alive() {
            let _ = reject.call1(&JsValue::UNDEFINED, &error);
            return;
        }
        PENDING.with(|pending| pending.add(&reject));
        spawn(async move {
            let outcome = match work {
                Work::OfEngine(work) => work.await.map_err(|error| to_js(&error)),
                Work::OfJs(work) => work.await,
            };
            PENDING.with(|pending| pending.delete(&reject));
            let _ = match outcome {
                Ok(value) => resolve.call1(&JsValue::UNDEFINED, &value),
                Err(error) => reject.call1(&JsValue::UNDEFINED, &error),
            };
        });
    })
}

/// Fails with INTERNAL after a panic: the state of the instance is half done then.
pub fn check_alive() -> JsResult<()> {
    match last_panic() {
        Some(message) => Err(to_js(&Error::new(ErrorCode::Internal, message))),
        None => Ok(()),
    }
}

pub fn last_panic() -> Option<String> {
    PANIC.with_borrow(Option::clone)
}

/// Records the first panic and rejects the promises that are pending.
pub fn panicked(message: &str) {
    let is_first =
        PANIC.with(|panic| panic.try_borrow_mut().is_ok_and(|mut slot| slot.replace(message.into()).is_none()));
    if !is_first {
        return;
    }
    let error = to_js(&Error::new(ErrorCode::Internal, message));
    let pending = PENDING.with(|pending| js_sys::Array::from(pending));
    for reject in pending.iter() {
        let _ = Function::from(reject).call1(&JsValue::UNDEFINED, &error);
    }
}
