//! The callers that wait for the pipeline make it go on. A host may end any of its requests where it stands, and work
//! that such a request was to do for others is never done. So no caller's answer depends on another caller's task: each
//! caller that waits polls the work itself, and each step wakes them all.
//!
//! The callers own the work together. When the last of them leaves, the work is dropped where it stands. Commits that
//! the work had staged are taken back; a record that it was appending counts or not, as that of any other tab.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
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
    /// Does all that is queued.
    fn pump(self: Rc<Self>) -> LocalFuture<'static, ()>;
    /// Drops jobs that are not begun and that nobody waits for.
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

#[derive(Default)]
struct Work {
    /// Taken out while it is polled.
    steps: RefCell<Option<LocalFuture<'static, ()>>>,
    is_polled: Cell<bool>,
    waiters: Arc<Waiters>,
    /// The number that the next caller is given.
    given: Cell<u64>,
}

/// The callers that wait, in the order in which they came.
#[derive(Default)]
struct Waiters {
    /// The work can go on, and nobody has polled it since.
    is_woken: AtomicBool,
    wakers: Mutex<Vec<(u64, Waker)>>,
}

impl Waiters {
    fn register(&self, number: u64, waker: &Waker) {
        let mut wakers = self.wakers.lock().expect("BUG: nothing panics under the lock");
        match wakers.binary_search_by_key(&number, |(other, _)| *other) {
            Ok(place) => wakers[place].1.clone_from(waker),
            Err(place) => wakers.insert(place, (number, waker.clone())),
        }
    }

    /// True: nobody is left.
    fn leave(&self, number: u64) -> bool {
        let mut wakers = self.wakers.lock().expect("BUG: nothing panics under the lock");
        if let Ok(place) = wakers.binary_search_by_key(&number, |(other, _)| *other) {
            wakers.remove(place);
        }
        wakers.is_empty()
    }
}

impl Wake for Waiters {
    fn wake(self: Arc<Waiters>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Waiters>) {
        self.is_woken.store(true, Ordering::Relaxed);
        let wakers = self.wakers.lock().expect("BUG: nothing panics under the lock");
        let wakers: Vec<Waker> = wakers.iter().map(|(_, waker)| waker.clone()).collect();
        wakers.into_iter().for_each(Waker::wake);
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
            let work = Rc::new(Work::default());
            *slot = Rc::downgrade(&work);
            work
        });
        let number = work.given.get();
        work.given.set(number + 1);
        Waiting { pumped, work, number, answer, timer: None, has_begun: false, is_answered: false }
    }
}

impl Work {
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
    number: u64,
    answer: oneshot::Receiver<Answer>,
    /// This caller's timer for a nap of the work, by the nap's number.
    timer: Option<(u64, LocalFuture<'static, ()>)>,
    has_begun: bool,
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
        self.work.waiters.register(self.number, context.waker());
        if !std::mem::replace(&mut self.has_begun, true) {
            // Calls that are made in one go share one record: the first caller lets the others queue before it polls.
            if self.work.is_due() || self.pumped.nap().is_some() {
                context.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        self.work.drive(&self.pumped);
        // A timer that fires at once ends one nap only, because a caller keeps the host no longer than one step.
        if self.ends_nap(context) {
            context.waker().wake_by_ref();
        }
        self.poll_answer(context)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let is_last = self.work.waiters.leave(self.number);
        if self.is_answered {
            return;
        }
        // Nobody waits for this job any more: if it is not begun, it is not done.
        self.answer.close();
        self.pumped.forget_cancelled();
        if !is_last {
            self.work.waiters.wake_by_ref();
        }
    }
}
