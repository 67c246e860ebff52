//! Every call ends: each call under way is watched, by the requests that its tab sends and by the time that passes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::executor::Owner;

/// Requests that a tab sends at most while one call is under way, those of its other calls among them. Those of tasks
/// that the engine began itself are no call's. A thousand seeds come to less than half of it.
pub const REQUESTS: u64 = 8_000;
/// The same once all faults have ended and no call is under way.
pub const QUIET_REQUESTS: u64 = 600;
/// Simulated microseconds that a call takes at most: its requests, the pauses between tries, and a tab that is frozen.
pub const TIME: u64 = 40_000_000;

/// Checkpoints that a tab writes at most while one maintenance is under way, nobody commits, and no other tab and no
/// other call is at the same work. Each commit may make the log large enough for another one. Where the tab was told
/// that there is no room, the log is moved in pieces, of one record at least: a checkpoint for each.
const CHECKPOINTS: u64 = 4;
/// The calls that maintain the store.
const MAINTAINS: [&str; 2] = ["maintenance", "a race"];

struct Watched {
    tab: Owner,
    what: &'static str,
    checkpoints: u64,
    /// How many pieces the log may be moved in: none if the tab was not told that there is no room.
    pieces: u64,
    /// The tab's requests, and the time, when it began.
    requests: u64,
    time: u64,
}

#[derive(Default)]
pub struct Watches {
    numbers: Cell<u64>,
    under_way: RefCell<BTreeMap<u64, Watched>>,
    requests: RefCell<BTreeMap<Owner, u64>>,
    is_quiet: Cell<bool>,
}

/// A call under way, until this is dropped.
pub struct Watch {
    watches: Rc<Watches>,
    number: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watches.under_way.borrow_mut().remove(&self.number);
    }
}

impl Watches {
    pub fn begin(self: &Rc<Watches>, tab: Owner, what: &'static str, time: u64) -> Watch {
        self.numbers.set(self.numbers.get() + 1);
        let number = self.numbers.get();
        let requests = self.requests_of(tab);
        self.under_way.borrow_mut().insert(number, Watched { tab, what, checkpoints: 0, pieces: 0, requests, time });
        Watch { watches: self.clone(), number }
    }

    /// Faults have ended.
    pub fn quieten(&self) {
        self.is_quiet.set(true);
    }

    pub fn is_quiet(&self) -> bool {
        self.is_quiet.get()
    }

    fn requests_of(&self, tab: Owner) -> u64 {
        self.requests.borrow().get(&tab).copied().unwrap_or(0)
    }

    /// A tab sends a request for one of its calls: the most that one of them has come to, and the calls for which it is
    /// too many.
    pub fn request(&self, tab: Owner) -> (u64, Vec<String>) {
        let sent = self.requests_of(tab) + 1;
        self.requests.borrow_mut().insert(tab, sent);
        let most = if self.is_quiet.get() { QUIET_REQUESTS } else { REQUESTS };
        let under_way = self.under_way.borrow();
        let of_tab = || under_way.values().filter(|watched| watched.tab == tab);
        let since = |watched: &Watched| sent - watched.requests;
        // Told once, by the request that is the first too many.
        let over = of_tab().filter(|watched| since(watched) == most + 1);
        let told = over.map(|watched| format!("tab {tab}: {} sends {most} requests and more", watched.what)).collect();
        (of_tab().map(since).max().unwrap_or(0), told)
    }

    /// A tab has written a checkpoint: how many a maintenance has come to that is at it alone, and whether they are too
    /// many.
    pub fn checkpoint(&self, tab: Owner) -> (u64, Option<String>) {
        let mut under_way = self.under_way.borrow_mut();
        let mut maintaining: Vec<_> =
            under_way.values_mut().filter(|watched| MAINTAINS.contains(&watched.what)).collect();
        match &mut maintaining[..] {
            [alone] if alone.tab == tab => {
                alone.checkpoints += 1;
                let is_over = alone.checkpoints == CHECKPOINTS + alone.pieces + 1;
                let told = || format!("tab {tab}: {} writes {} checkpoints", alone.what, alone.checkpoints);
                (alone.checkpoints, is_over.then(told))
            }
            all => {
                all.iter_mut().for_each(|watched| watched.checkpoints = 0);
                (0, None)
            }
        }
    }

    /// A tab was told that there is no room, while the log had so many records.
    pub fn no_room(&self, tab: Owner, records: u64) {
        let mut under_way = self.under_way.borrow_mut();
        let of_tab = under_way.values_mut().filter(|watched| watched.tab == tab);
        of_tab.for_each(|watched| watched.pieces = watched.pieces.max(records));
    }

    /// A commit is complete, and maintenance has more to do.
    pub fn commit(&self) {
        self.under_way.borrow_mut().values_mut().for_each(|watched| watched.checkpoints = 0);
    }

    /// The longest that a call has been under way, and those for which it is too long.
    pub fn look(&self, now: u64) -> (u64, Vec<String>) {
        let under_way = self.under_way.borrow();
        let took = |watched: &Watched| now - watched.time;
        let told =
            |watched: &Watched| format!("tab {}: {} takes {} seconds", watched.tab, watched.what, TIME / 1_000_000);
        let over = under_way.values().filter(|watched| took(watched) > TIME).map(told).collect();
        (under_way.values().map(took).max().unwrap_or(0), over)
    }

    /// When the oldest call of a tab that has not ended began.
    pub fn oldest(&self, tab: Owner) -> Option<u64> {
        self.under_way.borrow().values().filter(|watched| watched.tab == tab).map(|watched| watched.time).min()
    }

    /// The calls of a tab that have not ended.
    pub fn under_way(&self, tab: Owner) -> Vec<&'static str> {
        self.under_way.borrow().values().filter(|watched| watched.tab == tab).map(|watched| watched.what).collect()
    }
}
