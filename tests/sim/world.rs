//! One simulated store with its tabs, and what befalls them: crashes, freezes, clocks that jump.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::{Rc, Weak};

use offshoot::engine::{Database, OpenOptions, Store};
use offshoot::error::{Error, ErrorCode};

use crate::bounds;
use crate::damage::Damage;
use crate::executor::{Executor, Owner, WORLD};
use crate::history::{Act, Attempt, Check, Event, History, Identity, Outcome, Reading, Seen, violation};
use crate::plan::Plan;
use crate::platform::SimulatedPlatform;
use crate::power::Promised;
use crate::random::Random;
use crate::report::Report;
use crate::storage::{Faults, RUSHING, SimulatedDisk, SimulatedStorage};
use crate::trace::Trace;
use crate::watch::Watch;
use crate::workload;

/// How often a tab tries to open its store before it gives up.
const OPENINGS: u32 = 30;
const YEAR: u64 = 365 * 24 * 60 * 60 * 1000;

#[derive(Clone)]
pub struct Handle {
    pub database: Rc<Database>,
    pub identity: Identity,
}

pub struct Tab {
    pub number: Owner,
    pub store: RefCell<Option<Rc<Store>>>,
    pub handles: RefCell<BTreeMap<String, Handle>>,
    alive: Rc<Cell<bool>>,
    pub skew: Rc<Cell<u64>>,
    /// The newest head that anybody has seen here.
    seen: Cell<u64>,
    unfinished: Cell<u64>,
}

pub struct World {
    pub executor: Rc<Executor>,
    pub random: Rc<Random>,
    pub trace: Rc<Trace>,
    pub report: Rc<Report>,
    pub disk: Rc<SimulatedDisk>,
    pub plan: Plan,
    pub history: RefCell<History>,
    tabs: RefCell<BTreeMap<Owner, Rc<Tab>>>,
    numbers: Cell<Owner>,
    marks: Cell<i64>,
    /// Who holds which lease.
    pub leases: Rc<RefCell<BTreeMap<String, Owner>>>,
    /// The texts that the tabs have written down outside of the store; these outlive all tabs.
    pub witness: RefCell<BTreeSet<String>>,
    pub promised: Promised,
    this: Weak<World>,
}

impl World {
    pub fn new(seed: u64, print: bool) -> Rc<World> {
        let (random, trace) = (Rc::new(Random::new(seed)), Rc::new(Trace::new(print)));
        let executor = Rc::new(Executor::new(random.clone(), trace.clone()));
        let report = Rc::new(Report::default());
        let plan = Plan::draw(seed, &random);
        trace.say(0, format_args!("seed {seed}: {plan:?}"));
        let disk = SimulatedDisk::new(executor.clone(), random.clone(), trace.clone(), report.clone(), &plan);
        Rc::new_cyclic(|this| World {
            executor,
            random,
            trace,
            report,
            disk: Rc::new(disk),
            plan,
            history: RefCell::default(),
            tabs: RefCell::default(),
            numbers: Cell::new(WORLD),
            marks: Cell::new(0),
            leases: Rc::default(),
            witness: RefCell::default(),
            promised: Promised::default(),
            this: this.clone(),
        })
    }

    fn rc(&self) -> Rc<World> {
        self.this.upgrade().expect("BUG: the world is alive while it works")
    }

    /// A number that no other write of the seed carries.
    pub fn mark(&self) -> i64 {
        self.marks.set(self.marks.get() + 1);
        self.marks.get()
    }

    pub fn tabs(&self) -> Vec<Rc<Tab>> {
        self.tabs.borrow().values().cloned().collect()
    }

    pub fn others(&self, number: Owner) -> Vec<Rc<Tab>> {
        self.tabs().into_iter().filter(|tab| tab.number != number).collect()
    }

    pub fn say(&self, what: std::fmt::Arguments<'_>) {
        self.trace.say(self.executor.now(), what);
    }

    pub fn violate(&self, check: Check, what: String) {
        self.say(format_args!("violation: {what}"));
        self.history.borrow_mut().violations.push(violation(check, what));
    }

    /// Opens the store in a new tab, with as many actors as are given; each performs its actions beside the others.
    pub fn open_tab(&self, actors: u64) -> Rc<Tab> {
        let number = self.numbers.get() + 1;
        self.numbers.set(number);
        let rushes = self.plan.rush && number == RUSHING;
        let tab = Rc::new(Tab {
            number,
            store: RefCell::default(),
            handles: RefCell::default(),
            alive: Rc::new(Cell::new(true)),
            skew: Rc::default(),
            seen: Cell::new(0),
            unfinished: Cell::new(actors + u64::from(rushes) + 1),
        });
        self.tabs.borrow_mut().insert(number, tab.clone());
        let (world, opened) = (self.rc(), tab.clone());
        let begin = async move {
            let watch = world.watch(&opened, "an opening");
            let is_open = world.open_store(&opened).await;
            drop(watch);
            if is_open {
                for _ in 0..actors {
                    let actor = workload::actor(world.clone(), opened.clone());
                    world.executor.spawn(opened.number, Box::pin(actor));
                }
                if rushes {
                    let rush = workload::rush(world.clone(), opened.clone());
                    world.executor.spawn(opened.number, Box::pin(rush));
                }
                opened.finish();
            }
        };
        self.executor.spawn(number, Box::pin(begin));
        tab
    }

    async fn open_store(&self, tab: &Rc<Tab>) -> bool {
        let platform = Rc::new(SimulatedPlatform { world: self.this.clone(), tab: tab.number, skew: tab.skew.clone() });
        for _ in 0..OPENINGS {
            let storage = Rc::new(SimulatedStorage::open(&self.disk, tab.number, &tab.alive));
            let Plan { cache_bytes, retain, .. } = self.plan;
            let options = OpenOptions { cache_bytes, retain, ..OpenOptions::default() };
            match Store::open(platform.clone(), storage, options).await {
                Ok(store) => {
                    self.say(format_args!("tab {}: opened, head={}", tab.number, store.head()));
                    tab.store.replace(Some(store));
                    return true;
                }
                Err(error) if is_storage_trouble(&error) => self.executor.sleep(20_000).await,
                Err(error) if self.excuses(tab, &error) => {
                    // A block that every opening needs is lost. The caller was told, and nothing is left to wait for.
                    self.report.count("openings on damage");
                    tab.unfinished.set(0);
                    break;
                }
                Err(error) => {
                    self.violate(Check::Recovery, format!("tab {}: the store does not open. {error}", tab.number));
                    break;
                }
            }
        }
        false
    }

    /// Crashes and freezes tabs, and makes their clocks jump, while they work.
    pub async fn trouble(self: Rc<World>) {
        let Plan { crashes, freezes, jumps, .. } = self.plan;
        let mut left = crashes + freezes + jumps;
        while left > 0 {
            self.executor.sleep(self.random.below(40_000)).await;
            let tabs = self.tabs();
            if tabs.is_empty() {
                return;
            }
            let tab = self.random.pick(&tabs).clone();
            match self.random.below(crashes + freezes + jumps) {
                drawn if drawn < crashes => {
                    self.crash(&tab);
                    self.executor.sleep(self.random.below(20_000)).await;
                    self.open_tab(self.plan.actors);
                }
                drawn if drawn < crashes + freezes => self.freeze(&tab),
                _ => {
                    self.report.count("clock jumps");
                    tab.skew.set(self.random.below(YEAR));
                }
            }
            left -= 1;
        }
    }

    pub fn crash(&self, tab: &Rc<Tab>) {
        self.say(format_args!("tab {}: crashes", tab.number));
        self.report.count("crashes");
        tab.alive.set(false);
        self.tabs.borrow_mut().remove(&tab.number);
        self.executor.kill(tab.number);
        tab.forget();
    }

    fn freeze(&self, tab: &Rc<Tab>) {
        self.say(format_args!("tab {}: freezes", tab.number));
        self.report.count("freezes");
        let (world, number) = (self.rc(), tab.number);
        let wait = self.executor.sleep(self.random.below(300_000));
        let thaw = async move {
            wait.await;
            world.say(format_args!("tab {number}: thaws"));
            world.executor.thaw(number);
        };
        self.executor.freeze(tab.number);
        self.executor.spawn(WORLD, Box::pin(thaw));
    }

    /// Runs until all is done. Whatever still waits then, waits for ever.
    pub fn run(&self) {
        if !self.executor.run() {
            self.violate(Check::Liveness, "the tabs go round in circles".to_string());
        }
        self.check_that_all_ended();
        bounds::check_steps(self);
    }

    fn check_that_all_ended(&self) {
        for tab in self.tabs() {
            if tab.unfinished.get() > 0 {
                let waits = self.disk.watches.under_way(tab.number);
                self.violate(Check::Liveness, format!("tab {}: what never ends is {waits:?}", tab.number));
            }
        }
    }

    /// From here on storage carries out all requests, and soon. Damaged blocks stay damaged.
    pub fn end_faults(&self) {
        self.disk.faults.set(Faults { delay: 100, ..Faults::default() });
        self.disk.damage.iter().for_each(Damage::end);
        self.disk.watches.quieten();
    }

    /// Watches a call until the answer is dropped.
    pub fn watch(&self, tab: &Tab, what: &'static str) -> Watch {
        self.disk.watches.begin(tab.number, what, self.executor.now())
    }

    /// Once faults have ended, storage is an excuse no more; but a disk may be full.
    fn is_quiet(&self, error: &Error) -> bool {
        let is_full = error.code() == ErrorCode::QuotaExceeded && self.plan.capacity.is_some();
        self.disk.watches.is_quiet() && !is_full
    }

    /// True if a call that failed had a reason to: its storage failed, or a block that the error names is damaged.
    pub fn excuses(&self, tab: &Tab, error: &Error) -> bool {
        let began = self.disk.watches.oldest(tab.number).unwrap_or(0);
        let is_trouble = is_storage_trouble(error) && !self.is_quiet(error);
        is_trouble || self.disk.damage.as_ref().is_some_and(|damage| damage.excuses(error, began))
    }

    /// Lets go of everything, in spite of all the circles.
    pub fn clear(&self) {
        for tab in self.tabs() {
            tab.forget();
        }
        self.tabs.borrow_mut().clear();
        self.executor.clear();
    }

    pub fn begin(&self, tab: &Tab, act: Act) -> usize {
        let mut history = self.history.borrow_mut();
        let number = history.events.len();
        self.say(format_args!("tab {}: {number} begins: {act:?}", tab.number));
        history.events.push(Event { tab: tab.number, act, from: tab.head(), to: 0, outcome: Outcome::Pending });
        number
    }

    pub fn end(&self, tab: &Tab, number: usize, outcome: Outcome) {
        self.say(format_args!("tab {}: {number} ends: {outcome:?}", tab.number));
        if let Outcome::Done { lsn: Some(lsn), .. } = outcome
            && tab.head() < lsn
        {
            let what = format!("tab {}: its head {} is behind its own commit {lsn}", tab.number, tab.head());
            self.violate(Check::MonotonicReads, what);
        }
        self.see(tab, tab.head());
        let event = &mut self.history.borrow_mut().events[number];
        event.to = tab.head();
        event.outcome = outcome;
    }

    /// Notes a head that was seen in a tab: none may be older than one seen before.
    pub fn see(&self, tab: &Tab, head: u64) {
        if head < tab.seen.get() {
            self.violate(Check::MonotonicReads, format!("tab {}: {head} is read after {}", tab.number, tab.seen.get()));
        }
        tab.seen.set(tab.seen.get().max(head));
    }

    pub fn attempt(&self, number: usize, snapshot: u64) {
        self.say(format_args!("{number} runs at {snapshot}"));
        if let Act::Transaction { attempts, .. } = &mut self.history.borrow_mut().events[number].act {
            attempts.push(Attempt { snapshot, steps: Vec::new() });
        }
    }

    pub fn step(&self, number: usize, call: crate::call::Call, observed: crate::call::Observed) {
        if let Act::Transaction { attempts, .. } = &mut self.history.borrow_mut().events[number].act {
            self.trace.say(self.executor.now(), format_args!("{number} {call:?} saw {observed:?}"));
            attempts.last_mut().expect("BUG: a body runs").steps.push((call, observed));
        }
    }

    pub fn reading(&self, tab: &Tab, database: &Identity, seen: Seen, from: u64, to: u64) {
        self.say(format_args!("tab {}: {} at {from}..{to} shows {seen:?}", tab.number, database.name));
        let reading = Reading { database: database.clone(), seen, from, to };
        self.history.borrow_mut().readings.push(reading);
    }
}

impl Tab {
    /// A tab that has a store open already, beside those of the world.
    pub fn of(number: Owner, store: Rc<Store>) -> Tab {
        Tab {
            number,
            store: RefCell::new(Some(store)),
            handles: RefCell::default(),
            alive: Rc::new(Cell::new(true)),
            skew: Rc::default(),
            seen: Cell::new(0),
            unfinished: Cell::new(0),
        }
    }

    pub fn store(&self) -> Rc<Store> {
        self.store.borrow().clone().expect("BUG: actors begin when the store is open")
    }

    pub fn head(&self) -> u64 {
        self.store.borrow().as_ref().map_or(0, |store| store.head().0)
    }

    pub fn is_alive(&self) -> bool {
        self.alive.get()
    }

    /// True while an actor or another task of the tab is not finished.
    pub fn is_at_work(&self) -> bool {
        self.unfinished.get() > 0
    }

    pub fn finish(&self) {
        self.unfinished.set(self.unfinished.get() - 1);
    }

    /// Makes the world wait for one more task of the tab.
    pub fn expect_one_more(&self) {
        self.unfinished.set(self.unfinished.get() + 1);
    }

    fn forget(&self) {
        self.handles.borrow_mut().clear();
        self.store.replace(None);
    }
}

/// True if a call failed because the storage did, which is no fault of the engine.
fn is_storage_trouble(error: &Error) -> bool {
    matches!(error.code(), ErrorCode::StorageUnavailable | ErrorCode::QuotaExceeded | ErrorCode::Timeout)
}
