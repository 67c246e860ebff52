//! A wait of the pipeline's work for time to pass.
//!
//! The host of a Worker drops the timers of a request that it ends. The callers own the work together, so the work has
//! no timer: each caller that the work wakes has one of its own while a nap lasts, and the first timer that fires ends
//! the nap.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::Poll;

/// The nap that the work takes. It takes one at a time.
#[derive(Default)]
pub struct Nap {
    number: Cell<u64>,
    /// When the nap ends, by the steady clock.
    until: Cell<Option<u64>>,
}

/// Ends the nap where the work is dropped.
struct Ends<'a>(&'a Nap, u64);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end(self.1);
    }
}

impl Nap {
    /// Waits until a caller ends the nap.
    pub async fn take(&self, until: u64) {
        let number = self.number.get() + 1;
        self.number.set(number);
        self.until.set(Some(until));
        let _ends = Ends(self, number);
        let mut has_begun = false;
        poll_fn(|context| {
            if self.under_way().is_none_or(|(other, _)| other != number) {
                return Poll::Ready(());
            }
            // The callers that are woken are polled once, so that each starts a timer of its own.
            if !std::mem::replace(&mut has_begun, true) {
                context.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await;
    }

    /// The nap's number, and when the nap ends.
    pub fn under_way(&self) -> Option<(u64, u64)> {
        self.until.get().map(|until| (self.number.get(), until))
    }

    pub fn end(&self, number: u64) {
        if number == self.number.get() {
            self.until.set(None);
        }
    }
}
