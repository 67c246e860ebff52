//! Merges of runs in slices: another tab takes one over, each byte is written once, a row's versions stay together.

use std::cell::Cell;
use std::rc::Rc;

use futures_channel::oneshot;
use offshoot::engine::{OpenOptions, Store, When};
use offshoot::error::{Error, ErrorCode};
use offshoot::lsm::Manifest;
use offshoot::storage::{Capacity, MemoryDisk, Space};
use serde_json::{Value, json};

use crate::support::disk::{Figures, Watched};
use crate::support::{Db, World, open_in, pause, read, rest, run, say};

const MIB: usize = 1024 * 1024;
/// Some slices of a merge: one has two MiB at least.
const ROWS: usize = 3000;

/// More turns than any merge here takes.
const TURNS: usize = 1_000_000;

fn manifest(disk: &MemoryDisk) -> Manifest {
    let listed = disk.list(Space::Meta, &Manifest::listing());
    Manifest::decode(&listed[0].1).expect("a manifest")
}

/// All blocks that the manifest names.
fn stored(disk: &MemoryDisk) -> usize {
    manifest(disk).runs.iter().map(|run| run.bytes as usize).sum()
}

fn text(world: &World) -> String {
    (0..256).map(|_| format!("{:016x}", world.draw())).collect()
}

fn key(n: usize) -> String {
    format!("{n:06}")
}

/// Rows of 4 KB, moved into runs: fewer than are merged by themselves.
async fn fill(world: &World, store: &Rc<Store>) -> Db {
    let main = open_in(store, "main").await;
    for from in (0..ROWS).step_by(100) {
        let some: Vec<(String, Value)> =
            (from..from + 100).map(|n| (key(n), json!({"n": n, "text": text(world)}))).collect();
        main.ok(say::put(&some.iter().map(|(id, row)| (&id[..], row.clone())).collect::<Vec<_>>())).await;
        if from % 1000 == 900 {
            store.maintain().await.expect("maintenance");
        }
    }
    assert_eq!(manifest(&world.disk).runs.len(), 3);
    main
}

/// A tab whose storage answers late, and what goes over it.
async fn watched_tab(world: &World, turns: u64) -> (Rc<Store>, Rc<Cell<Figures>>) {
    let storage = Watched::new(&world.disk, None).late(turns);
    let figures = storage.figures();
    (world.open(Rc::new(storage), OpenOptions::default()).await.expect("the store opens"), figures)
}

/// Begins to compact everything; the answer tells that it is done.
fn compact(world: &World, store: &Rc<Store>) -> oneshot::Receiver<()> {
    let (store, (sender, receiver)) = (store.clone(), oneshot::channel());
    world.spawn(async move {
        store.compact_all().await.expect("a compaction");
        let _ = sender.send(());
    });
    receiver
}

async fn ended(mut receiver: oneshot::Receiver<()>) {
    for _ in 0..TURNS {
        if receiver.try_recv().expect("the task does not vanish").is_some() {
            return;
        }
        pause().await;
    }
    panic!("it does not end");
}

/// Waits until a merge has so many runs behind it.
async fn until_merged(world: &World, runs: usize) {
    for _ in 0..TURNS {
        let Manifest { merging, runs: all, .. } = manifest(&world.disk);
        let of_merge = |group| all.iter().filter(|run| run.group == Some(group)).count();
        if merging.is_some_and(|merging| of_merge(merging.group) >= runs) {
            return;
        }
        pause().await;
    }
    panic!("no merge comes so far");
}

async fn check(main: &Db) {
    assert_eq!(main.ok(say::count()).await, json!(ROWS));
    for n in (0..ROWS).step_by(97) {
        assert_eq!(main.ok(say::get(&key(n))).await[0]["n"], json!(n));
    }
}

/// A compaction writes the rows of all runs once, whatever the same tab commits meanwhile.
#[test]
fn a_compaction_writes_each_byte_once() {
    run(async |world| {
        fill(&world, &world.tab().await).await;
        let (store, figures) = watched_tab(&world, 3).await;
        let main = open_in(&store, "main").await;
        let before = figures.get().bytes;
        let compacted = compact(&world, &store);
        until_merged(&world, 1).await;
        main.ok(say::put(&[("new", json!({}))])).await;
        ended(compacted).await;
        let (written, stored) = (figures.get().bytes - before, stored(&world.disk));
        assert!(written < stored * 11 / 10, "{written} bytes are written, {stored} are stored");
        main.ok(say::delete(&["new"])).await;
        check(&main).await;
    });
}

/// Two tabs go on with one merge: at each slice one tab is first, and the other one stops. A tab that moves the log
/// meanwhile takes no slice from any tab.
#[test]
fn two_tabs_that_compact_at_once_write_little_twice() {
    for turns in [[3, 3], [2, 5], [5, 2]] {
        run(async |world| {
            world.has_turns.set(true);
            fill(&world, &world.tab().await).await;
            let (mut ends, mut written) = (Vec::new(), Vec::new());
            for turns in turns {
                let (store, figures) = watched_tab(&world, turns).await;
                written.push((figures.get().bytes, figures));
                ends.push(compact(&world, &store));
            }
            until_merged(&world, 2).await;
            let other = world.main().await;
            other.ok(say::put(&[("new", json!({}))])).await;
            other.0.store().maintain().await.expect("maintenance");
            for end in ends {
                ended(end).await;
            }
            let written = written.iter().map(|(before, figures)| figures.get().bytes - before).sum::<usize>();
            let stored = stored(&world.disk);
            assert!(written < stored * 3 / 2, "{written} bytes are written, {stored} are stored");
            assert_eq!(manifest(&world.disk).merging, None);
            other.ok(say::delete(&["new"])).await;
            check(&other).await;
        });
    }
}

/// Where a tab stops in the middle of a merge another one goes on behind its last slice.
#[test]
fn a_merge_is_taken_over_where_another_tab_has_left_it() {
    run(async |world| {
        fill(&world, &world.tab().await).await;
        let (store, _) = watched_tab(&world, 3).await;
        let compacting = store.clone();
        world.spawn(async move { drop(compacting.compact_all().await) });
        until_merged(&world, 4).await;
        store.close(Error::new(ErrorCode::Closed, "the tab is gone")).await.expect("it closes");
        rest().await;
        let left = manifest(&world.disk);
        let merging = left.merging.expect("a merge is under way");
        let is_left = |id: &u64| merging.inputs.contains(id);
        let to_do = left.runs.iter().filter(|run| is_left(&run.id)).map(|run| run.bytes as usize).sum::<usize>();
        assert!(to_do > 2 * MIB && to_do < stored(&world.disk) * 3 / 4, "{to_do} bytes are left");
        let (other, figures) = watched_tab(&world, 0).await;
        let before = figures.get().bytes;
        other.maintain().await.expect("maintenance");
        let written = figures.get().bytes - before;
        assert!(written < to_do * 11 / 10, "{written} bytes are written, {to_do} were left");
        assert!(manifest(&world.disk).runs.iter().all(|run| run.group == Some(merging.group)), "one group is left");
        check(&open_in(&other, "main").await).await;
    });
}

/// Each slice adds a run. So slices that were small while there was little room grow again once there is more.
#[test]
fn a_merge_that_has_found_room_again_writes_large_slices() {
    run(async |world| {
        fill(&world, &world.tab().await).await;
        let (store, _) = watched_tab(&world, 1).await;
        let room = MIB as u64 / 2;
        world.disk.set_capacity(Some(Capacity::before_deletions(world.disk.used() + room)));
        let compacted = compact(&world, &store);
        until_merged(&world, 2).await;
        world.disk.set_capacity(None);
        ended(compacted).await;
        let manifest = manifest(&world.disk);
        assert_eq!(manifest.merging, None);
        assert!(manifest.runs.len() < 20, "{} runs", manifest.runs.len());
        check(&open_in(&store, "main").await).await;
    });
}

/// The next slice begins with a row, and the one before has all versions of the rows before it.
#[test]
fn a_slice_is_never_cut_between_versions_of_one_row() {
    run(async |world| {
        let store = world.tab().await;
        let main = open_in(&store, "main").await;
        // Two MiB of versions of each row, which an hour of history keeps: a slice is full in the middle of a row.
        let (rows, versions) = (6, 550);
        let mut past = Vec::new();
        for version in 0..versions {
            let all: Vec<(String, Value)> =
                (0..rows).map(|n| (key(n), json!({"n": version, "text": text(&world)}))).collect();
            main.ok(say::put(&all.iter().map(|(id, row)| (&id[..], row.clone())).collect::<Vec<_>>())).await;
            past.push(main.0.version());
            if version % 200 == 199 {
                store.maintain().await.expect("maintenance");
            }
        }
        store.compact_all().await.expect("a compaction");
        let Manifest { runs, merging, .. } = manifest(&world.disk);
        assert_eq!(merging, None);
        assert!(runs.len() > 3, "{} runs", runs.len());
        let mut bounds: Vec<_> = runs.iter().map(|run| (&run.first, &run.last)).collect();
        bounds.sort_unstable();
        for pair in bounds.windows(2) {
            assert!(pair[0].1 < pair[1].0, "a row stands in two runs: {pair:?}");
        }
        for (version, lsn) in past.iter().enumerate().step_by(50) {
            let then = main.0.at(When::Version(*lsn)).await.expect("an hour is kept");
            for n in 0..rows {
                assert_eq!(read(&then, say::get(&key(n))).await[0]["n"], json!(version));
            }
        }
    });
}
