//! The mirror of `Platform`: a clock that jumps, randomness from the seed, simulated time, news that gets lost.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use offshoot::platform::{Lease, Platform};
use offshoot::storage::LocalFuture;
use offshoot::types::Lsn;

use crate::executor::{Owner, WORLD};
use crate::world::World;

const BEGINNING: u64 = 1_700_000_000_000;

pub struct SimulatedPlatform {
    pub world: Weak<World>,
    pub tab: Owner,
    /// How far this tab's clock is ahead of the others', in milliseconds.
    pub skew: Rc<Cell<u64>>,
}

/// A lease, given back when it is dropped, also by a tab's death.
struct Held {
    leases: Rc<RefCell<BTreeMap<String, Owner>>>,
    name: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.leases.borrow_mut().remove(&self.name);
    }
}

impl SimulatedPlatform {
    fn world(&self) -> Rc<World> {
        self.world.upgrade().expect("BUG: the world outlives its tabs")
    }
}

impl Platform for SimulatedPlatform {
    fn now(&self) -> u64 {
        BEGINNING + self.world().executor.now() / 1000 + self.skew.get()
    }

    fn steady(&self) -> u64 {
        self.world().executor.now() / 1000
    }

    fn random(&self) -> u64 {
        self.world().random.next()
    }

    fn spawn(&self, task: LocalFuture<'static, ()>) {
        self.world().executor.spawn_behind(self.tab, task);
    }

    fn sleep(&self, milliseconds: u64) -> LocalFuture<'static, ()> {
        Box::pin(self.world().executor.sleep(milliseconds * 1000))
    }

    fn try_lease(&self, name: &str) -> LocalFuture<'static, Option<Lease>> {
        let leases = self.world().leases.clone();
        let (name, tab) = (name.to_string(), self.tab);
        // Nothing may rest on a lease: a browser may take it away from a tab that it has frozen.
        let is_worthless = self.world().plan.races && name.starts_with("materialize-");
        Box::pin(async move {
            if is_worthless {
                return Some(Lease::sole(()));
            }
            if leases.borrow().contains_key(&name) {
                return None;
            }
            leases.borrow_mut().insert(name.clone(), tab);
            Some(Lease::sole(Held { leases, name }))
        })
    }

    fn testimony(&self) -> LocalFuture<'static, Option<Vec<String>>> {
        let world = self.world();
        Box::pin(async move {
            world.executor.sleep(world.random.below(5_000)).await;
            let texts = world.witness.borrow().iter().cloned().collect();
            Some(texts)
        })
    }

    fn testify(&self, add: Vec<String>, strike: Vec<String>) -> LocalFuture<'static, ()> {
        let world = self.world();
        Box::pin(async move {
            world.executor.sleep(world.random.below(5_000)).await;
            world.witness.borrow_mut().extend(add);
            world.executor.sleep(world.random.below(5_000)).await;
            world.witness.borrow_mut().retain(|text| !strike.contains(text));
        })
    }

    fn announce(&self, head: Lsn) {
        let world = self.world();
        for tab in world.others(self.tab) {
            if world.random.chance(world.plan.deafness) {
                world.report.count("lost announcements");
                continue;
            }
            let delay = world.executor.sleep(world.random.below(30_000));
            let executor = world.executor.clone();
            let deliver = async move {
                delay.await;
                let Some(store) = tab.store.borrow().clone() else { return };
                // A refresh that fails is made up for by the next one.
                let refresh = async move { drop(store.hear(head).await) };
                executor.spawn(tab.number, Box::pin(refresh));
            };
            world.executor.spawn(WORLD, Box::pin(deliver));
        }
    }
}
