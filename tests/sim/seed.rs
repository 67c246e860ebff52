//! One seed from its beginning to its verdict.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use offshoot::engine::take_told;
use offshoot::planted::{self, Bug};
use offshoot::types::DatabaseName;

use crate::bounds;
use crate::call::{Call, Shelf};
use crate::cloning;
use crate::executor::WORLD;
use crate::history::{Check, Identity, Seen, Violation, violation};
use crate::oracle::judge;
use crate::report::Report;
use crate::space;
use crate::workload;
use crate::world::{Tab, World};
use crate::wreck;

pub struct Verdict {
    pub violations: Vec<Violation>,
    pub report: Rc<Report>,
    pub trace: u64,
}

/// Runs a seed with a bug planted, or none.
pub fn run(seed: u64, bug: Option<Bug>, print: bool) -> Verdict {
    planted::plant(bug);
    take_told();
    let world = World::new(seed, print);
    let simulated = catch_unwind(AssertUnwindSafe(|| simulate(&world)));
    planted::plant(None);
    let violations = match simulated {
        Ok(()) => judge(&world.history.borrow(), &world.disk, &world.report, &take_told()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
            vec![violation(Check::Panics, text.unwrap_or_default())]
        }
    };
    let verdict = Verdict { violations, report: world.report.clone(), trace: world.trace.digest() };
    world.clear();
    verdict
}

fn simulate(world: &Rc<World>) {
    for _ in 0..world.plan.tabs {
        world.open_tab(world.plan.actors);
    }
    world.executor.spawn(WORLD, Box::pin(world.clone().trouble()));
    if world.plan.power {
        world.executor.spawn(WORLD, Box::pin(world.clone().power_trouble()));
    }
    world.run();
    if world.history.borrow().violations.is_empty() {
        inspect(world);
    }
    if world.plan.frees && world.history.borrow().violations.is_empty() {
        fill_and_free(world);
    }
    if world.plan.leftovers && world.history.borrow().violations.is_empty() {
        space::check_leftovers(world);
    }
    if world.plan.wrecks && world.history.borrow().violations.is_empty() {
        wreck::wreck(world);
    }
}

fn fill_and_free(world: &Rc<World>) {
    let Some(tab) = world.tabs().pop() else { return };
    tab.expect_one_more();
    let (around, filler) = (world.clone(), tab.clone());
    let fill = async move {
        if filler.store.borrow().is_some() {
            space::fill_and_free(&around, &filler).await;
        }
        filler.finish();
    };
    world.executor.spawn(tab.number, Box::pin(fill));
    world.run();
}

/// When all is quiet and healthy again: every tab that lives, and one that opens now, reads everything.
fn inspect(world: &Rc<World>) {
    world.end_faults();
    world.open_tab(0);
    world.run();
    for tab in world.tabs() {
        tab.expect_one_more();
        let (observer, inspector) = (world.clone(), tab.clone());
        let read = async move {
            let watch = observer.watch(&inspector, "an inspection");
            read_everything(&observer, &inspector).await;
            drop(watch);
            inspector.finish();
        };
        world.executor.spawn(tab.number, Box::pin(read));
    }
    world.run();
}

async fn read_everything(world: &Rc<World>, tab: &Rc<Tab>) {
    let Some(store) = tab.store.borrow().clone() else {
        // It gave up opening while the storage was failing.
        return;
    };
    let listed = match store.refresh().await {
        Ok(()) => store.databases(false).await,
        Err(error) => Err(error),
    };
    let names: Vec<DatabaseName> = match listed {
        Ok(databases) => databases.into_iter().map(|database| database.name).collect(),
        Err(error) if world.excuses(tab, &error) => return,
        Err(error) => return world.violate(Check::Recovery, format!("tab {}: {error}", tab.number)),
    };
    bounds::check_cache(world, tab).await;
    let head = tab.head();
    let main = Identity { name: "main".to_string(), created: 1 };
    let texts = names.iter().map(|name| name.to_string()).collect();
    world.reading(tab, &main, Seen::Names(texts), head, head);
    for name in names {
        tab.handles.borrow_mut().clear();
        let Some(handle) = workload::handle(world, tab, name.as_str()).await else { continue };
        cloning::lineage(world, tab, &handle).await;
        let snapshot = match handle.database.snapshot().await {
            Ok(snapshot) => snapshot,
            Err(error) if world.excuses(tab, &error) => continue,
            Err(error) => return world.violate(Check::Recovery, format!("tab {}: {error}", tab.number)),
        };
        for shelf in [Shelf::Documents, Shelf::Entries] {
            workload::read_snapshot(world, tab, &handle.identity, &snapshot, Call::List(shelf)).await;
        }
        workload::differences(world, tab, &handle.identity, &snapshot, None).await;
    }
}
