//! Room on the disk: what frees it, and what is left there that nobody names.

use std::collections::BTreeSet;
use std::rc::Rc;

use offshoot::storage::{ListRange, Space};

use crate::call::{Call, IDS, Shelf};
use crate::history::{Check, Outcome};
use crate::workload;
use crate::world::{Tab, World};

/// Writes that fill a disk, at most.
const FILLINGS: usize = 400;
/// Milliseconds after which what is being written is nobody's, also where the clock of its tab was a year ahead.
const ABANDONED: u64 = 2 * 365 * 24 * 60 * 60 * 1000;

/// Once all is quiet: what nobody names goes, and nothing else is left.
pub fn check_leftovers(world: &Rc<World>) {
    world.disk.set_capacity(None);
    let tab = world.open_tab(0);
    tab.skew.set(ABANDONED);
    world.run();
    let (sweeper, swept) = (world.clone(), tab.clone());
    tab.expect_one_more();
    let sweep = async move {
        let store = swept.store.borrow().clone();
        if let Some(store) = store {
            let done = store.maintain().await;
            if let Err(error) = done
                && !sweeper.excuses(&swept, &error)
            {
                sweeper.violate(Check::Recovery, format!("tab {}: {error}", swept.number));
            }
        }
        swept.finish();
    };
    world.executor.spawn(tab.number, Box::pin(sweep));
    world.run();
    check_floor(world);
    let named = world.disk.journal.borrow().named_runs();
    let left = leftovers(world, &named);
    if !left.is_empty() && !world.disk.is_damaged() {
        world.violate(Check::Space, format!("nobody names {left:?}"));
    }
}

/// Nothing is read any more, and no history is to be kept: each tab's maintenance lets all of it go.
fn check_floor(world: &Rc<World>) {
    if world.plan.retain != Some(0) || world.plan.waits || world.disk.is_damaged() {
        return;
    }
    for tab in world.tabs() {
        let Some(store) = tab.store.borrow().clone() else { continue };
        tab.expect_one_more();
        let (around, last) = (world.clone(), tab.clone());
        let maintain = async move {
            let head = store.refresh().await.map(|()| store.head().0);
            let done = store.maintain().await;
            let floor = around.disk.journal.borrow().floor;
            match head.and_then(|head| done.map(|()| head)) {
                Ok(head) if floor >= head => {}
                told => {
                    let what = format!("tab {}: history is kept from {floor} on; its head is {told:?}", last.number);
                    around.violate(Check::Space, what);
                }
            }
            last.finish();
        };
        world.executor.spawn(tab.number, Box::pin(maintain));
        world.run();
    }
}

/// The runs of blocks, and the jobs, that neither the manifest nor the log names.
fn leftovers(world: &World, named: &BTreeSet<u64>) -> BTreeSet<String> {
    let everything = ListRange { limit: usize::MAX, ..ListRange::default() };
    let of_run = |name: &str| u64::from_str_radix(name.split('-').next().unwrap_or_default(), 16);
    let blocks = world.disk.names(Space::Blocks, &everything).into_iter();
    let lost = blocks.filter(|name| !of_run(name).is_ok_and(|run| named.contains(&run)));
    let lost = lost.map(|name| name.split('-').next().unwrap_or_default().to_string());
    let jobs = world.disk.names(Space::Jobs, &everything).into_iter();
    lost.chain(jobs.filter(|name| name.starts_with("run-") || name.starts_with("drop-"))).collect()
}

/// Fills the disk until nothing more fits. What frees room gets through all the same.
pub async fn fill_and_free(world: &Rc<World>, tab: &Rc<Tab>) {
    let Some(main) = workload::handle(world, tab, "main").await else { return };
    let mut is_full = false;
    for _ in 0..FILLINGS {
        let outcome = workload::perform(world, tab, &main, crate::draw::draw_filling(world)).await;
        if matches!(outcome, Outcome::Refused(_)) {
            is_full = true;
            break;
        }
    }
    if !is_full {
        return;
    }
    world.report.count("full disks");
    for shelf in [Shelf::Documents, Shelf::Entries] {
        let outcome = workload::perform(world, tab, &main, Call::Delete(shelf, IDS.to_vec())).await;
        if !matches!(outcome, Outcome::Done { .. }) {
            world.violate(Check::Space, format!("tab {}: a delete on a full disk: {outcome:?}", tab.number));
        }
    }
    if let Err(error) = tab.store().compact_all().await {
        world.violate(Check::Space, format!("tab {}: a compaction of a full disk: {error}", tab.number));
    }
}
