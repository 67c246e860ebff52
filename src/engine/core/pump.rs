//! The callers that wait for the pipeline make it go on: each step of the work wakes the caller that came first, and
//! the next one takes over when that caller leaves. So a step costs the same however many wait.
//!
//! Some hosts end a request where it stands, and work that such a request was to do for others is never done. There no
//! caller's answer depends on another caller's task: each caller that waits polls the work itself, and each step wakes
//! them all.
//!
//! The callers own the work together. When the last of them leaves, the work is dropped where it stands. Commits that
//! the work had staged are taken back; a record that it was appending counts or not, as that of any other tab.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};

use futures_channel::oneshot;

use crate::error::{Error, ErrorCode, Result};
use crate::storage::LocalFuture;
use crate::types::Lsn;

/// The end of a job that did not fail.
#[derive(Clone, Copy)]
pub enum Done {
    /// Its commit is complete, under this LSN.
    Committed(Lsn),
    /// It had nothing to write.
    Nothing,
    /// It had the log and the manifest to itself; true if it did anything.
    Exclusively(bool),
}

impl Done {
    /// The LSN of the commit, where one was made.
    pub fn lsn(self) -> Option<Lsn> {
        if let Done::Committed(lsn) = self { Some(lsn) } else { None }
    }
}

/// The result that a job is answered with.
pub type Answer = Result<Done>;

/// The pipeline, as the callers see it that make it go on.
pub trait Pumped {
    fn has_work(&self) -> bool;
    /// True if a caller that waits may never be polled again, nor dropped.
    fn loses_callers(&self) -> bool;
    /// Does all that is queued.
    fn pump(self: Rc<Self>) -> LocalFuture<'static, ()>;
    /// Nobody waits for one more job. Once half of the jobs that wait may be such ones, they are dropped.
    fn forget_cancelled(&self);
    /// The number of the nap that the work takes.
    fn nap(&self) -> Option<u64>;
    /// Fires when the nap is over.
    fn timer(&self) -> LocalFuture<'static, ()>;
    fn end_nap(&self, number: u64);
}

/// The work under way, if anybody waits for it.
#[derive(Default)]
pub struct Pump(RefCell<Weak<Work>>);

struct Work {
    /// Taken out while it is polled.
    steps: RefCell<Option<LocalFuture<'static, ()>>>,
    is_polled: Cell<bool>,
    waiters: Arc<Waiters>,
    /// The number that the next caller is given.
    given: Cell<u64>,
}

/// The callers that wait.
struct Waiters {
    /// The work can go on, and nobody has polled it since.
    is_woken: AtomicBool,
    /// Each step of the work wakes all callers, because any of them may never be polled again.
    wakes_all: bool,
    wakers: Mutex<Wakers>,
}

/// The wakers of the callers by their numbers, in the order in which they came. A caller that has left leaves a gap,
/// because thousands may leave one after the other. The first place is never a gap, and at most half of all places are.
#[derive(Default)]
struct Wakers {
    places: VecDeque<(u64, Option<Waker>)>,
    gaps: usize,
}

impl Wakers {
    fn place(&mut self, number: u64) -> Option<&mut Option<Waker>> {
        let place = self.places.binary_search_by_key(&number, |(other, _)| *other).ok()?;
        Some(&mut self.places[place].1)
    }

    fn set(&mut self, number: u64, waker: &Waker) {
        match self.place(number) {
            Some(place) => *place = Some(waker.clone()),
            None => self.places.push_back((number, Some(waker.clone()))),
        }
    }

    fn remove(&mut self, number: u64) {
        if self.place(number).and_then(Option::take).is_none() {
            return;
        }
        self.gaps += 1;
        while matches!(self.places.front(), Some((_, None))) {
            self.places.pop_front();
            self.gaps -= 1;
        }
        if 2 * self.gaps > self.places.len() {
            self.places.retain(|(_, waker)| waker.is_some());
            self.gaps = 0;
        }
    }
}

impl Waiters {
    fn new(wakes_all: bool) -> Waiters {
        Waiters { is_woken: AtomicBool::new(false), wakes_all, wakers: Mutex::default() }
    }

    fn wakers(&self) -> MutexGuard<'_, Wakers> {
        self.wakers.lock().expect("BUG: nothing panics under the lock")
    }

    /// True if a step of the work wakes this caller.
    fn is_called(&self, number: u64) -> bool {
        self.wakes_all || self.wakers().places.front().is_some_and(|(first, _)| *first == number)
    }

    /// True if the next caller is to do what this one was woken for.
    fn leave(&self, number: u64) -> bool {
        let is_missed = !self.wakes_all && self.is_called(number);
        self.wakers().remove(number);
        is_missed
    }

    /// Wakes the callers that are to poll the work next.
    fn call(&self) {
        let most = if self.wakes_all { usize::MAX } else { 1 };
        let called: Vec<Waker> =
            self.wakers().places.iter().filter_map(|(_, waker)| waker.clone()).take(most).collect();
        called.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Waiters {
    fn wake(self: Arc<Waiters>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Waiters>) {
        self.is_woken.store(true, Ordering::Relaxed);
        self.call();
    }
}

impl Pump {
    /// True if a commit is under way.
    pub fn is_at_work(&self) -> bool {
        self.0.borrow().strong_count() > 0
    }

    /// Waits for the answer of a job that is queued, and makes the pipeline go on meanwhile.
    pub fn wait(
        &self,
        pumped: Rc<dyn Pumped>,
        answer: oneshot::Receiver<Answer>,
    ) -> impl Future<Output = Answer> + use<> {
        let mut slot = self.0.borrow_mut();
        let work = slot.upgrade().unwrap_or_else(|| {
            let work = Rc::new(Work::new(pumped.loses_callers()));
            *slot = Rc::downgrade(&work);
            work
        });
        Waiting { pumped, work, number: None, answer, timer: None, is_answered: false }
    }
}

impl Work {
    fn new(wakes_all: bool) -> Work {
        let waiters = Arc::new(Waiters::new(wakes_all));
        Work { steps: RefCell::default(), is_polled: Cell::default(), waiters, given: Cell::default() }
    }

    /// True if a caller that comes now must poll the work itself, because nothing else will wake that caller.
    fn is_due(&self) -> bool {
        self.steps.borrow().is_none() || self.waiters.is_woken.load(Ordering::Relaxed)
    }

    /// Goes on as far as it can be gone on without waiting.
    fn drive(&self, pumped: &Rc<dyn Pumped>) {
        if self.is_polled.get() {
            return;
        }
        let is_woken = self.waiters.is_woken.swap(false, Ordering::Relaxed);
        let under_way = self.steps.take();
        let mut steps = match under_way {
            Some(steps) if !is_woken => return drop(self.steps.replace(Some(steps))),
            Some(steps) => steps,
            None if !pumped.has_work() => return,
            None => pumped.clone().pump(),
        };
        self.is_polled.set(true);
        let waker = Waker::from(self.waiters.clone());
        let polled = steps.as_mut().poll(&mut Context::from_waker(&waker));
        self.is_polled.set(false);
        if polled.is_pending() {
            self.steps.replace(Some(steps));
        }
    }
}

/// A caller that waits.
struct Waiting {
    pumped: Rc<dyn Pumped>,
    work: Rc<Work>,
    /// Given at the first poll.
    number: Option<u64>,
    answer: oneshot::Receiver<Answer>,
    /// This caller's timer for a nap of the work, by the nap's number.
    timer: Option<(u64, LocalFuture<'static, ()>)>,
    is_answered: bool,
}

impl Waiting {
    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Answer> {
        let answer = Pin::new(&mut self.answer).poll(context);
        self.is_answered = answer.is_ready();
        let gone = |_| Err(Error::new(ErrorCode::Closed, "the store was closed"));
        answer.map(|answer| answer.unwrap_or_else(gone))
    }
}

impl Waiting {
    /// True if the work took a nap that this caller's timer has ended.
    fn ends_nap(&mut self, context: &mut Context<'_>) -> bool {
        let Some(number) = self.pumped.nap() else {
            self.timer = None;
            return false;
        };
        if self.timer.as_ref().is_none_or(|(other, _)| *other != number) {
            self.timer = Some((number, self.pumped.timer()));
        }
        let has_fired = self.timer.as_mut().is_some_and(|(_, timer)| timer.as_mut().poll(context).is_ready());
        if has_fired {
            self.timer = None;
            self.pumped.end_nap(number);
            self.work.waiters.is_woken.store(true, Ordering::Relaxed);
        }
        has_fired
    }
}

impl Future for Waiting {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Waiting>, context: &mut Context<'_>) -> Poll<Answer> {
        if let Poll::Ready(answer) = self.poll_answer(context) {
            return Poll::Ready(answer);
        }
        let number = self.number.unwrap_or_else(|| self.work.given.replace(self.work.given.get() + 1));
        self.work.waiters.wakers().set(number, context.waker());
        let is_called = self.work.waiters.is_called(number);
        if self.number.replace(number).is_none() {
            // Calls that are made in one go share one record: the first caller lets the others queue before it polls.
            if self.work.is_due() || is_called && self.pumped.nap().is_some() {
                context.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        self.work.drive(&self.pumped);
        // A timer that fires at once ends one nap only, because a caller keeps the host no longer than one step.
        if is_called && self.ends_nap(context) {
            context.waker().wake_by_ref();
        }
        self.poll_answer(context)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let waiters = &self.work.waiters;
        let is_missed = self.number.is_some_and(|number| waiters.leave(number));
        if !self.is_answered {
            // Nobody waits for this job any more: if it is not begun, it is not done.
            self.answer.close();
            self.pumped.forget_cancelled();
        }
        // This caller was woken and has not polled the work, or had the timer that ends the work's nap. The others
        // would wait for ever.
        if is_missed && (waiters.is_woken.load(Ordering::Relaxed) || self.pumped.nap().is_some()) {
            waiters.call();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_that_have_left_take_no_more_room_than_those_who_wait() {
        let orders: [fn(u64) -> u64; 4] = [|n| n, |n| 999 - n, |n| n * 7 % 1000, |n| n * 501 % 1000];
        for order in orders {
            let mut wakers = Wakers::default();
            (0..1000).for_each(|number| wakers.set(number, Waker::noop()));
            for (gone, number) in (0..1000).map(order).enumerate() {
                wakers.remove(number);
                wakers.remove(number);
                let waiting = 999 - gone;
                assert!(wakers.places.len() <= 2 * waiting, "{} places for {waiting} callers", wakers.places.len());
                assert!(wakers.places.front().is_none_or(|(_, waker)| waker.is_some()));
            }
        }
    }
}
