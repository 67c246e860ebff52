//! Bounds that no step, batch or list may exceed.

use offshoot::storage::Batch;

use crate::executor::Owner;
use crate::history::Check;
use crate::journal::Effect;
use crate::storage::SimulatedDisk;
use crate::world::{Tab, World};

/// Bytes of one batch.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a manifest: it is one record, which LevelDB keeps in one piece.
const MANIFEST_BYTES: usize = 60_000;
/// Runs of a manifest. A tier is merged once it has four, and the workload's stores have one tier; a merge that others
/// keep from its end comes later.
const RUNS: usize = 64;
/// Bytes of one block in memory: rows of the workload that are stored in one piece, and what it shares them with.
const BLOCK_BYTES: usize = 64 * 1024;
/// Bytes that one step of a tab's task holds beyond those before it.
const STEP_BYTES: u64 = 8 * 1024 * 1024;

pub fn check_batch(disk: &SimulatedDisk, tab: Owner, batch: &Batch) {
    let put = batch.put.iter().map(|(_, name, bytes)| name.len() + bytes.len()).sum::<usize>();
    let bytes = put + batch.append.iter().map(Vec::len).sum::<usize>();
    disk.report.note_most("bytes of a batch", bytes as u64);
    if bytes > BATCH_BYTES {
        disk.violate(Check::Bounds, format!("tab {tab}: a batch has {bytes} bytes"));
    }
}

pub fn check_manifest(disk: &SimulatedDisk, tab: Owner, effect: &Effect) {
    let Effect { manifest_bytes, runs, .. } = *effect;
    disk.report.note_most("bytes of a manifest", manifest_bytes as u64);
    disk.report.note_most("runs", runs as u64);
    if manifest_bytes > MANIFEST_BYTES || runs > RUNS {
        disk.violate(Check::Bounds, format!("tab {tab}: a manifest has {manifest_bytes} bytes and {runs} runs"));
    }
}

/// A tab's cache keeps to its budget. The last block that came may be larger than all of it.
pub async fn check_cache(world: &World, tab: &Tab) {
    let store = tab.store();
    let Ok(stats) = store.stats().await else { return };
    let most = (world.plan.cache_bytes + BLOCK_BYTES) as u64;
    if stats.cached_bytes > most {
        let what = format!("tab {}: the cache keeps {} bytes, of at most {most}", tab.number, stats.cached_bytes);
        world.violate(Check::Bounds, what);
    }
}

/// Once tabs have run: how heavy their steps were.
pub fn check_steps(world: &World) {
    let bytes = world.executor.heaviest.get();
    world.report.note_most("bytes in a step", bytes);
    if bytes > STEP_BYTES {
        world.violate(Check::Bounds, format!("a step holds {bytes} bytes"));
    }
}

/// Checks the time that a call took, when it ends.
pub fn check_time(world: &World) {
    let (most, over) = world.disk.watches.look(world.executor.now());
    world.report.note_most("microseconds of a call", most);
    for what in over {
        world.violate(Check::Liveness, what);
    }
}
