//! The mirror of `Platform`: a clock that jumps, randomness from the seed, simulated time, news that gets lost.

use std::cell::Cell;
use std::rc::{Rc, Weak};

use offshoot::platform::Platform;
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

impl SimulatedPlatform {
    fn world(&self) -> Rc<World> {
        self.world.upgrade().expect("BUG: the world outlives its tabs")
    }
}

impl Platform for SimulatedPlatform {
    fn now(&self) -> u64 {
        BEGINNING + self.world().executor.now() / 1000 + self.skew.get()
    }

    fn random(&self) -> u64 {
        self.world().random.next()
    }

    fn spawn(&self, task: LocalFuture<'static, ()>) {
        self.world().executor.spawn(self.tab, task);
    }

    fn sleep(&self, milliseconds: u64) -> LocalFuture<'static, ()> {
        Box::pin(self.world().executor.sleep(milliseconds * 1000))
    }

    fn announce(&self, _: Lsn) {
        let world = self.world();
        for tab in world.others(self.tab) {
            if world.random.chance(400) {
                world.report.count("lost announcements");
                continue;
            }
            let delay = world.executor.sleep(world.random.below(30_000));
            let executor = world.executor.clone();
            let deliver = async move {
                delay.await;
                let Some(store) = tab.store.borrow().clone() else { return };
                // A refresh that fails is made up for by the next one.
                let refresh = async move { drop(store.refresh().await) };
                executor.spawn(tab.number, Box::pin(refresh));
            };
            world.executor.spawn(WORLD, Box::pin(deliver));
        }
    }
}
