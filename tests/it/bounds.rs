//! Bounds on the cost of maintenance: memory, bytes of a transaction, work that an interruption loses.

use std::cell::Cell;
use std::rc::Rc;

use offshoot::engine::OpenOptions;
use offshoot::error::{ErrorCode, Result};
use offshoot::storage::{
    Batch, ListRange, Listed, LocalFuture, Logged, MemoryDisk, MemoryStorage, Outcome, Space, Storage,
};
use serde_json::{Value, json};

use crate::support::memory::{live, peak, reset_peak};
use crate::support::{Db, World, open_in, pause, rest, run, say};

const MIB: usize = 1024 * 1024;
const CACHE: usize = MIB;

/// Notes how much is held in memory, beside what the disk in memory holds, and how large the largest batch is.
pub struct Measured {
    inner: MemoryStorage,
    disk: MemoryDisk,
    most: Rc<Cell<isize>>,
    largest: Rc<Cell<usize>>,
}

impl Measured {
    /// With the most that was held, beside what the disk holds.
    pub fn new(disk: &MemoryDisk) -> (Measured, Rc<Cell<isize>>) {
        let (inner, most) = (MemoryStorage::open(disk), Rc::<Cell<isize>>::default());
        (Measured { inner, disk: disk.clone(), most: most.clone(), largest: Rc::default() }, most)
    }

    fn measure(&self) {
        let held = live() - self.disk.used() as isize;
        self.most.set(self.most.get().max(held));
    }
}

impl Storage for Measured {
    fn read<'a>(&'a self, space: Space, names: &'a [String]) -> LocalFuture<'a, Result<Vec<Option<Vec<u8>>>>> {
        self.measure();
        self.inner.read(space, names)
    }

    fn list<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Listed>> {
        self.inner.list(space, range)
    }

    fn names<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Vec<String>>> {
        self.inner.names(space, range)
    }

    fn log(&self, after: u64, limit: usize) -> LocalFuture<'_, Result<Logged>> {
        self.inner.log(after, limit)
    }

    fn write(&self, batch: Batch) -> LocalFuture<'_, Result<Outcome>> {
        self.measure();
        let put: usize = batch.put.iter().map(|(_, _, bytes)| bytes.len()).sum();
        self.largest.set(self.largest.get().max(put));
        self.inner.write(batch)
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.inner.close()
    }
}

fn text(world: &World, bytes: usize) -> String {
    (0..bytes / 16).map(|_| format!("{:016x}", world.draw())).collect()
}

fn key(n: usize) -> String {
    format!("{n:06}")
}

/// Rows of 4 KB, each time some of them, and large values between them.
async fn fill(world: &World, db: &Db, rows: usize, large: usize) {
    for from in (0..rows).step_by(100) {
        let some: Vec<(String, Value)> =
            (from..from + 100).map(|n| (key(n), json!({"n": n, "text": text(world, 4000)}))).collect();
        db.ok(say::put(&some.iter().map(|(id, row)| (&id[..], row.clone())).collect::<Vec<_>>())).await;
    }
    for n in 0..large {
        db.ok(say::put(&[(&format!("{n:03}large"), json!({"text": text(world, 3 * MIB)}))])).await;
    }
    rest().await;
}

fn small_cache() -> OpenOptions {
    OpenOptions { retain: Some(0), cache_bytes: CACHE, ..OpenOptions::default() }
}

/// A store of more than ten times the cache, with values of megabytes, is compacted in bounded memory and batches.
#[test]
fn a_compaction_of_cold_blocks_holds_little() {
    run(async |world| {
        let store = world.try_tab(small_cache()).await.expect("the store opens");
        fill(&world, &open_in(&store, "main").await, 2000, 4).await;
        drop(store);
        let (storage, most) = Measured::new(&world.disk);
        let largest = storage.largest.clone();
        let store = world.open(Rc::new(storage), small_cache()).await.expect("the store opens");
        store.maintain().await.expect("maintenance");
        assert!(world.disk.used() as usize > 16 * CACHE, "{}", world.disk.used());
        let before = live() - world.disk.used() as isize;
        most.set(before);
        largest.set(0);
        store.compact_all().await.expect("a compaction");
        let held = most.get() - before;
        assert!(held < (CACHE + 8 * MIB) as isize, "it holds {held} bytes");
        assert!(largest.get() < 4 * MIB, "a batch has {} bytes", largest.get());
        assert_eq!(open_in(&store, "main").await.ok(say::count()).await, json!(2004));
    });
}

/// Opens a log of so many rows of so many bytes, so many in a commit. Its bytes and the entries that are made of them
/// are not held side by side, and each row is held once.
fn open_log_of(rows: usize, bytes: usize, in_commit: usize) {
    run(async move |world| {
        // While another tab has the lease, nothing moves the log into a run.
        let lease = world.leases.take("maintain");
        let main = open_in(&world.tab().await, "main").await;
        for from in (0..rows).step_by(in_commit) {
            let ids: Vec<String> = (from..from + in_commit).map(key).collect();
            let put: Vec<_> = ids.iter().map(|id| (&id[..], json!({"text": text(&world, bytes)}))).collect();
            main.ok(say::put(&put)).await;
        }
        rest().await;
        let log: usize = world.disk.log(0, usize::MAX).iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(log > 11 * MIB, "{log} bytes");
        drop((main, lease));
        let before = live();
        reset_peak();
        let store = world.tab().await;
        let (most, held) = (peak() - before, live() - before);
        assert!(most.max(held) < (log * 3 / 2) as isize, "{most} bytes, then {held}, for a log of {log}");
        assert_eq!(open_in(&store, "main").await.ok(say::count()).await, json!(rows));
        let disk = world.disk.used() as isize;
        store.maintain().await.expect("a checkpoint");
        let left = live() - before - (world.disk.used() as isize - disk);
        assert!(left < (log / 4) as isize, "{left} bytes are left of a log of {log} that was moved");
    });
}

#[test]
fn an_opening_holds_little_more_than_its_log() {
    open_log_of(1200, 10_000, 10);
}

#[test]
fn an_opening_holds_little_more_than_a_log_of_small_rows() {
    open_log_of(90_000, 100, 1000);
}

/// A compaction that is cut off at any write loses nothing, and another tab goes on where it stopped.
#[test]
fn a_compaction_that_is_cut_off_goes_on() {
    run(async |world| {
        let store = world.try_tab(small_cache()).await.expect("the store opens");
        fill(&world, &open_in(&store, "main").await, 1500, 1).await;
        store.maintain().await.expect("maintenance");
        let (watched, steps) = crate::support::disk::Watched::new(&world.disk, None).keeping_steps();
        let figures = watched.figures();
        let store = world.open(Rc::new(watched), small_cache()).await.expect("the store opens");
        let before = figures.get().bytes;
        store.compact_all().await.expect("a compaction");
        let whole = figures.get().bytes - before;
        let steps = steps.take();
        for (step, disk) in steps.iter().enumerate().step_by(5) {
            let elsewhere = world.elsewhere();
            elsewhere.disk.turn_into(disk);
            let watched = Rc::new(crate::support::disk::Watched::new(&elsewhere.disk, None));
            let figures = watched.figures();
            let store = elsewhere.open(watched, small_cache()).await.expect("the store opens");
            let main = open_in(&store, "main").await;
            assert_eq!(main.ok(say::count()).await, json!(1501), "step {step} of {}", steps.len());
            store.maintain().await.expect("maintenance");
            // Maintenance writes the runs that are not merged yet, and once more the slice that was under way.
            if step > steps.len() * 3 / 4 {
                assert!(figures.get().bytes * 3 < whole * 2, "step {step}: {} of {whole}", figures.get().bytes);
            }
            assert_eq!(main.ok(say::count()).await, json!(1501), "step {step}");
            assert_eq!(main.ok(say::get("000777")).await[0]["n"], json!(777));
        }
    });
}

/// If a block is damaged, no runs are merged. Commits go on, and none of them swaps the manifest.
#[test]
fn maintenance_of_a_damaged_store_stops() {
    run(async |world| {
        let store = world.try_tab(OpenOptions::default()).await.expect("the store opens");
        let main = open_in(&store, "main").await;
        for n in 0..3 {
            main.ok(say::put(&[(&key(n), json!({"text": text(&world, 2 * MIB)}))])).await;
        }
        store.maintain().await.expect("maintenance");
        drop(store);
        let everything = ListRange { limit: usize::MAX, ..ListRange::default() };
        // Pieces of the large values come first in their run.
        let blocks = world.disk.list(Space::Blocks, &everything);
        for (name, mut bytes) in blocks.into_iter().filter(|(name, _)| name.ends_with("-000000")) {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            world.disk.damage(Space::Blocks, &name, Some(bytes));
        }
        let store = world.try_tab(OpenOptions::default()).await.expect("the store opens");
        let main = open_in(&store, "main").await;
        assert_eq!(main.code(say::get(&key(0))).await, ErrorCode::StorageCorrupt);
        let manifest = || {
            let listed =
                world.disk.list(Space::Meta, &ListRange { from: Some("manifest/".into()), ..everything.clone() });
            listed.first().map(|(name, _)| name.clone())
        };
        let before = manifest();
        for n in 0..500 {
            main.ok(say::kv_set("small", json!(n))).await;
            if n % 100 == 0 {
                main.ok(say::kv_set("large", json!(text(&world, 2 * MIB)))).await;
            }
            pause().await;
        }
        rest().await;
        assert_eq!(manifest(), before, "nothing is installed");
        assert_eq!(main.ok(say::kv_get("small")).await, json!([499]));
    });
}
