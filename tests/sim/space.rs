//! Room on the disk: full disks are emptied, and no record is left that nobody names.

use std::collections::BTreeSet;
use std::rc::Rc;

use offshoot::error::ErrorCode;
use offshoot::storage::{ListRange, Space};

use crate::call::{Call, IDS, Shelf};
use crate::cloning;
use crate::draw::draw_filling;
use crate::history::{Check, Outcome};
use crate::workload::{self, CLONES};
use crate::world::{Handle, Tab, World};

/// Writes that fill a disk, at most.
const FILLINGS: usize = 400;
/// Microseconds after which a full disk is looked at again, and how often, until it has come to rest.
const REST: u64 = 1_000_000;
const RESTS: usize = 60;
/// Milliseconds after which runs that are written ahead are nobody's, also if the clock of their tab was a year ahead.
const ABANDONED: u64 = 2 * 365 * 24 * 60 * 60 * 1000;

/// Once all is quiet, a maintenance sweeps the records that nobody names. None of these must be left.
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

/// Fills the disk until nothing more fits. Deletions get through all the same, and then there is room again.
pub async fn fill_and_free(world: &Rc<World>, tab: &Rc<Tab>) {
    let Some(main) = workload::handle(world, tab, "main").await else { return };
    cloning::make_clone(world, tab, &main).await;
    if world.disk.is_damaged() {
        return;
    }
    if reserve(world) == 0 {
        // The disk was full before anything was kept for this.
        return world.report.count("full disks without a reserve");
    }
    // The reserve is made again as large as it was: by the second time it has grown with the store.
    for _ in 0..2 {
        if !fill(world, tab, &main).await || !free(world, tab, &main).await {
            return;
        }
    }
}

/// Frees room on a full disk. False: not all of it comes back.
async fn free(world: &Rc<World>, tab: &Rc<Tab>, main: &Handle) -> bool {
    world.report.count("full disks");
    wait_for_reserve(world, 1).await;
    let before = reserve(world);
    if before == 0 {
        world.violate(Check::Space, format!("tab {}: a full disk has no reserve", tab.number));
        return false;
    }
    // A clone of a clone goes before its origin.
    for name in CLONES.repeat(CLONES.len()) {
        let Some(handle) = workload::handle(world, tab, name).await else { continue };
        if cloning::drop_one(world, tab, &handle).await == Outcome::Refused(ErrorCode::QuotaExceeded) {
            world.violate(Check::Space, format!("tab {}: a drop on a full disk", tab.number));
        }
    }
    for shelf in [Shelf::Documents, Shelf::Entries] {
        for ids in [vec![IDS[0]], IDS.to_vec()] {
            let outcome = workload::perform(world, tab, main, Call::Delete(shelf, ids)).await;
            if !matches!(outcome, Outcome::Done { .. }) {
                world.violate(Check::Space, format!("tab {}: a delete on a full disk: {outcome:?}", tab.number));
            }
        }
    }
    // Other clones, kept history and bodies that wait still read deleted rows.
    let left = tab.store().databases(false).await.map_or(0, |all| all.len());
    let is_let_go = world.plan.retain == Some(0) && !world.plan.waits && left == 1;
    if let Err(error) = tab.store().compact_all().await {
        // No room comes back while deleted rows are still read.
        if is_let_go || !error.is_full() {
            world.violate(Check::Space, format!("tab {}: a compaction of a full disk: {error}", tab.number));
        }
        return false;
    }
    if is_let_go {
        world.report.count("full disks that were emptied");
        wait_for_reserve(world, before).await;
        let after = reserve(world);
        if after < before {
            let what = format!("tab {}: of the reserve {after} of {before} records are put back", tab.number);
            world.violate(Check::Space, what);
        }
        let outcome = workload::perform(world, tab, main, draw_filling(world)).await;
        if !matches!(outcome, Outcome::Done { .. }) {
            world.violate(Check::Space, format!("tab {}: a write to an emptied disk: {outcome:?}", tab.number));
        }
    }
    is_let_go
}

/// Waits until the reserve has so many records. Maintenance that was under way, in any tab, puts back at its end what
/// it took.
async fn wait_for_reserve(world: &World, records: usize) {
    for _ in 0..RESTS {
        if reserve(world) >= records {
            break;
        }
        world.executor.sleep(REST).await;
    }
}

/// False: there is room for more than this writes.
async fn fill(world: &Rc<World>, tab: &Rc<Tab>, main: &Handle) -> bool {
    for _ in 0..FILLINGS {
        let outcome = workload::perform(world, tab, main, draw_filling(world)).await;
        if matches!(outcome, Outcome::Refused(_)) {
            return true;
        }
    }
    false
}

/// How many records are kept for what frees room. A probe for room that a crash has left counts for none.
fn reserve(world: &World) -> usize {
    let range = ListRange { from: Some("reserve/".into()), before: Some("reserve/p".into()), limit: usize::MAX };
    world.disk.names(Space::Meta, &range).len()
}
