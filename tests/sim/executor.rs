//! One thread, one clock: which task runs next is drawn from the seed, and time passes when nothing can run.
//!
//! Every task belongs to an owner, a tab or the world itself, so that a tab can be stopped, or killed, as a whole.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use offshoot::storage::LocalFuture;

use crate::memory;
use crate::random::Random;
use crate::trace::Trace;

pub type Owner = u32;

/// The owner of what is no tab's: the disk, and what befalls the tabs.
pub const WORLD: Owner = 0;
/// More steps than any seed takes: one that takes more goes round in circles.
const STEPS: u64 = 400_000;

/// Microseconds that pass at most while a task could run.
const WHILE_WAITING: u64 = 100_000;

type Ready = Arc<Mutex<BTreeSet<u64>>>;

struct Task {
    owner: Owner,
    future: LocalFuture<'static, ()>,
    waker: Waker,
    /// An engine began it, and no call waits for it.
    is_behind: bool,
}

struct WakeTask {
    number: u64,
    ready: Ready,
}

impl Wake for WakeTask {
    fn wake(self: Arc<WakeTask>) {
        self.ready.lock().expect("no task panics while it wakes another").insert(self.number);
    }
}

pub struct Executor {
    random: Rc<Random>,
    trace: Rc<Trace>,
    tasks: RefCell<BTreeMap<u64, Task>>,
    ready: Ready,
    timers: RefCell<BTreeMap<(u64, u64), Waker>>,
    frozen: RefCell<BTreeSet<Owner>>,
    now: Cell<u64>,
    counter: Cell<u64>,
    /// True while a task runs that an engine began.
    is_behind: Cell<bool>,
    /// The most bytes that a tab's task held in one step beyond those before it.
    pub heaviest: Cell<u64>,
}

impl Executor {
    pub fn new(random: Rc<Random>, trace: Rc<Trace>) -> Executor {
        Executor {
            random,
            trace,
            tasks: RefCell::default(),
            ready: Ready::default(),
            timers: RefCell::default(),
            frozen: RefCell::default(),
            now: Cell::new(0),
            counter: Cell::new(0),
            is_behind: Cell::new(false),
            heaviest: Cell::new(0),
        }
    }

    /// Simulated microseconds since the seed began.
    pub fn now(&self) -> u64 {
        self.now.get()
    }

    fn count(&self) -> u64 {
        self.counter.set(self.counter.get() + 1);
        self.counter.get()
    }

    pub fn spawn(&self, owner: Owner, future: LocalFuture<'static, ()>) -> u64 {
        self.begin(owner, future, false)
    }

    /// Begins a task of an engine: its requests to the storage count for no call.
    pub fn spawn_behind(&self, owner: Owner, future: LocalFuture<'static, ()>) {
        self.begin(owner, future, true);
    }

    /// True if an engine began the task that runs now, so that no call waits for it.
    pub fn is_behind(&self) -> bool {
        self.is_behind.get()
    }

    fn begin(&self, owner: Owner, future: LocalFuture<'static, ()>, is_behind: bool) -> u64 {
        let number = self.count();
        let waker = Waker::from(Arc::new(WakeTask { number, ready: self.ready.clone() }));
        waker.wake_by_ref();
        self.tasks.borrow_mut().insert(number, Task { owner, future, waker, is_behind });
        number
    }

    /// Ends one task where it stands.
    pub fn end_task(&self, number: u64) {
        let task = self.tasks.borrow_mut().remove(&number);
        // Dropped when no borrow is held: what it holds may wake others.
        drop(task);
    }

    pub fn sleep(self: &Rc<Executor>, microseconds: u64) -> Sleep {
        Sleep { executor: self.clone(), due: self.now() + microseconds, waits: false }
    }

    /// The tab's tasks run no more until it thaws.
    pub fn freeze(&self, owner: Owner) {
        self.frozen.borrow_mut().insert(owner);
    }

    pub fn thaw(&self, owner: Owner) {
        self.frozen.borrow_mut().remove(&owner);
    }

    /// Ends all of a tab's tasks where they stand.
    pub fn kill(&self, owner: Owner) {
        let mut killed = Vec::new();
        self.tasks.borrow_mut().retain(|_, task| {
            let stays = task.owner != owner;
            if !stays {
                killed.push(std::mem::replace(&mut task.future, Box::pin(async {})));
            }
            stays
        });
        // Dropped when no borrow is held: what they hold may wake others.
        drop(killed);
        self.thaw(owner);
    }

    /// Ends everything, so that nothing that a task holds outlives the seed.
    pub fn clear(&self) {
        let tasks = std::mem::take(&mut *self.tasks.borrow_mut());
        drop(tasks);
        self.timers.borrow_mut().clear();
    }

    /// Runs until nothing is left that could run. False: it does not come to an end.
    pub fn run(&self) -> bool {
        for _ in 0..STEPS {
            let next = self.choose();
            // A processor is not infinitely fast: now and then time passes while tasks wait for their turn.
            if next.is_none() || self.random.chance(60) {
                let passed = self.pass_time(if next.is_none() { u64::MAX } else { WHILE_WAITING });
                if next.is_none() && !passed {
                    return true;
                }
            }
            if let Some(number) = next {
                self.poll(number);
            }
        }
        false
    }

    fn choose(&self) -> Option<u64> {
        let (tasks, frozen) = (self.tasks.borrow(), self.frozen.borrow());
        let mut ready = self.ready.lock().expect("no task panics while it wakes another");
        ready.retain(|number| tasks.contains_key(number));
        let runs = |number: &&u64| !frozen.contains(&tasks[*number].owner);
        let count = if frozen.is_empty() { ready.len() } else { ready.iter().filter(runs).count() };
        if count == 0 {
            return None;
        }
        let place = self.random.below(count as u64) as usize;
        let number = *ready.iter().filter(runs).nth(place).expect("BUG: counted just now");
        ready.remove(&number);
        Some(number)
    }

    fn poll(&self, number: u64) {
        let Some(mut task) = self.tasks.borrow_mut().remove(&number) else { return };
        self.trace.step(self.now(), number);
        self.is_behind.set(task.is_behind);
        let step = || task.future.as_mut().poll(&mut Context::from_waker(&task.waker));
        let (polled, bytes) = memory::measure(step);
        if task.owner != WORLD {
            self.heaviest.set(self.heaviest.get().max(bytes));
        }
        match polled {
            Poll::Pending => drop(self.tasks.borrow_mut().insert(number, task)),
            Poll::Ready(()) => {}
        }
    }

    /// Goes on to the next moment for which something waits, if that is no more than `most` away.
    fn pass_time(&self, most: u64) -> bool {
        let mut timers = self.timers.borrow_mut();
        let is_near = |((due, _), _): &(&(u64, u64), &Waker)| *due <= self.now().saturating_add(most);
        if !timers.first_key_value().as_ref().is_some_and(is_near) {
            return false;
        }
        let ((due, _), waker) = timers.pop_first().expect("BUG: looked at just now");
        self.now.set(self.now().max(due));
        waker.wake();
        true
    }
}

pub struct Sleep {
    executor: Rc<Executor>,
    due: u64,
    waits: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Sleep>, context: &mut Context<'_>) -> Poll<()> {
        if self.executor.now() >= self.due && self.waits {
            return Poll::Ready(());
        }
        if !self.waits {
            self.waits = true;
            let place = (self.due, self.executor.count());
            self.executor.timers.borrow_mut().insert(place, context.waker().clone());
        }
        Poll::Pending
    }
}
