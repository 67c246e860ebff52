//! The services that the engine needs from outside, beside storage: the clock, randomness, time passing, other tabs.
//!
//! Nothing else may ask the host for these, so the simulator can stand in for all of it.

use std::any::Any;

use crate::storage::LocalFuture;
use crate::types::Lsn;

/// Held until it is dropped.
pub struct Lease {
    #[allow(dead_code, reason = "it is held for its drop")]
    held: Box<dyn Any>,
    is_sole: bool,
}

impl Lease {
    /// No other tab has it, as long as `held` is not dropped.
    pub fn sole(held: impl Any) -> Lease {
        Lease { held: Box::new(held), is_sole: true }
    }

    /// A lease of a host that cannot tell if other tabs have it too.
    pub fn shared() -> Lease {
        Lease { held: Box::new(()), is_sole: false }
    }

    pub fn is_sole(&self) -> bool {
        self.is_sole
    }
}

pub trait Platform {
    /// Milliseconds since 1970. It may jump; nothing is ordered by it.
    fn now(&self) -> u64;
    /// Milliseconds of a clock that never jumps, from any beginning; it may be slow, or stand still.
    fn steady(&self) -> u64 {
        0
    }
    /// True if the host may end a request where it stands: tasks that it began are then neither polled again nor
    /// dropped. Where many calls wait at once, each costs more on such a host.
    fn ends_requests(&self) -> bool {
        true
    }
    /// A random number, unlike any other drawn anywhere.
    fn random(&self) -> u64;
    /// Runs a task to its end, beside everything else, on this thread.
    fn spawn(&self, task: LocalFuture<'static, ()>);
    fn sleep(&self, milliseconds: u64) -> LocalFuture<'static, ()>;
    /// Lets whatever else the host has to do go first, and no longer.
    fn pause(&self) -> LocalFuture<'static, ()> {
        self.sleep(0)
    }
    /// Takes the lease `name` of this store, if no other tab has it; dropping the lease gives it back. A host without
    /// tabs always gives it. Leases save work that two tabs would do twice, and no promise rests on them, with one
    /// exception: a tab holds a lease for each temporary clone that it made, and whoever then gets a *sole* lease for
    /// that clone knows that the tab is gone, and drops the clone.
    fn try_lease(&self, name: &str) -> LocalFuture<'static, Option<Lease>> {
        let _ = name;
        Box::pin(async { Some(Lease::sole(())) })
    }
    /// The texts about the store that are kept outside of it, where every tab sees them; `None`: the host has no such
    /// place.
    fn testimony(&self) -> LocalFuture<'static, Option<Vec<String>>> {
        Box::pin(async { None })
    }
    /// Writes texts to that place, then strikes out old ones. A failure is made up for by the next call.
    fn testify(&self, add: Vec<String>, strike: Vec<String>) -> LocalFuture<'static, ()> {
        let _ = (add, strike);
        Box::pin(async {})
    }
    /// Tells the store's other tabs that there are commits up to `head`. A hint: it may be lost.
    fn announce(&self, head: Lsn);
}
