//! Space that comes back, and what a thousand clones cost.

use std::cell::Cell;
use std::rc::Rc;

use offshoot::engine::{OpenOptions, Store};
use offshoot::storage::{ListRange, Space, Storage};
use serde_json::{Value, json};

use crate::support::disk::Watched;
use crate::support::{Db, World, open_in, pause, rest, run, say};

const HOUR: u64 = 60 * 60 * 1000;

/// Documents whose text does not pack well, so that a byte is a byte.
async fn fill(world: &World, db: &Db, from: usize, to: usize) {
    for start in (from..to).step_by(1000) {
        let text = || (0..6).map(|_| format!("{:016x}", world.draw())).collect::<String>();
        let rows: Vec<(String, Value)> =
            (start..to.min(start + 1000)).map(|n| (format!("{n:06}"), json!({"n": n, "text": text()}))).collect();
        let rows: Vec<(&str, Value)> = rows.iter().map(|(id, row)| (&id[..], row.clone())).collect();
        db.ok(say::put(&rows)).await;
    }
}

async fn delete_all(db: &Db, count: usize) {
    let ids: Vec<String> = (0..count).map(|n| format!("{n:06}")).collect();
    assert_eq!(db.ok(say::delete(&ids.iter().map(String::as_str).collect::<Vec<_>>())).await, json!(count));
}

fn bytes(world: &World) -> usize {
    let blocks = world.disk.list(Space::Blocks, &ListRange { limit: usize::MAX, ..ListRange::default() });
    let logged = world.disk.log(0, usize::MAX);
    blocks.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() + logged.iter().map(|(_, b)| b.len()).sum::<usize>()
}

async fn eager(world: &World) -> Rc<Store> {
    world.try_tab(OpenOptions { retain: Some(0), ..OpenOptions::default() }).await.expect("the store opens")
}

/// SEMANTICS C10: at least 95% of the bytes of what was deleted, and the figures say so before and after.
#[test]
fn deleted_documents_give_their_space_back() {
    run(async |world| {
        let store = eager(&world).await;
        let main = open_in(&store, "main").await;
        fill(&world, &main, 0, 30_000).await;
        store.compact_all().await.unwrap();
        let full = bytes(&world);
        let before = store.stats().await.unwrap();
        assert!(before.reclaimable_bytes * 50 < before.live_bytes, "{before:?}");
        delete_all(&main, 30_000).await;
        let deleted = store.stats().await.unwrap();
        assert!(deleted.live_bytes * 4 < before.live_bytes, "{deleted:?}");
        assert!(deleted.reclaimable_bytes * 10 > before.live_bytes * 9, "{deleted:?}");
        store.compact_all().await.unwrap();
        assert!(bytes(&world) * 20 < full, "{} of {full}", bytes(&world));
        let after = store.stats().await.unwrap();
        assert!(after.live_bytes + after.reclaimable_bytes < before.live_bytes / 20, "{after:?}");
    });
}

/// SEMANTICS C10: also beside another tab's maintenance, which may move the log first.
#[test]
fn compaction_beside_maintenance_gives_all_back() {
    run(async |world| {
        for late in 0..40 {
            let world = world.elsewhere();
            let options = || OpenOptions { retain: Some(0), ..OpenOptions::default() };
            let storage = || Rc::new(Watched::new(&world.disk, Some(Rc::new(Cell::new(late)))));
            let store = world.open(storage(), options()).await.expect("the store opens");
            let main = open_in(&store, "main").await;
            fill(&world, &main, 0, 200).await;
            let other = world.open(storage(), options()).await.expect("the store opens");
            other.refresh().await.unwrap();
            world.spawn(async move { other.maintain().await.expect("maintenance") });
            for _ in 0..late {
                pause().await;
            }
            delete_all(&main, 200).await;
            store.compact_all().await.unwrap();
            rest().await;
            store.refresh().await.unwrap();
            let stats = store.stats().await.unwrap();
            assert!(stats.rows < 20, "{late}: {stats:?}");
        }
    });
}

/// SEMANTICS C10: a dropped clone's, and what it alone has pinned; a clone that is left keeps what it needs.
#[test]
fn a_dropped_clone_gives_its_space_back() {
    run(async |world| {
        let store = eager(&world).await;
        let main = open_in(&store, "main").await;
        fill(&world, &main, 0, 3000).await;
        store.compact_all().await.unwrap();
        let before = bytes(&world);
        let (draft, kept) = (main.clone_as("draft").await, main.clone_as("kept").await);
        fill(&world, &draft, 3000, 20_000).await;
        store.compact_all().await.unwrap();
        let full = bytes(&world);
        draft.0.drop_database().await.unwrap();
        let stats = store.stats().await.unwrap();
        assert!(stats.reclaimable_bytes as usize * 10 > (full - before) * 8, "{stats:?} of {full}");
        store.compact_all().await.unwrap();
        assert!(bytes(&world).saturating_sub(before) * 20 < full - before, "{} of {full}", bytes(&world));
        fill(&world, &main, 0, 3000).await;
        store.compact_all().await.unwrap();
        assert!(bytes(&world) > before * 19 / 10, "what the clone reads stays");
        kept.0.drop_database().await.unwrap();
        store.compact_all().await.unwrap();
        assert!(bytes(&world) < before * 11 / 10, "{} of {before}", bytes(&world));
    });
}

/// SEMANTICS C10: by itself, once retention has passed and two openings agree on the time; and then it rests.
#[test]
fn space_comes_back_by_itself() {
    run(async |world| {
        let main = world.main().await;
        fill(&world, &main, 0, 10_000).await;
        main.0.store().compact_all().await.unwrap();
        let full = bytes(&world);
        delete_all(&main, 10_000).await;
        for hours in 1..=3 {
            world.now.set(world.now.get() + 2 * HOUR);
            let store = world.tab().await;
            rest().await;
            for _ in 0..200 {
                rest().await;
            }
            assert!(hours > 1 || bytes(&world) > full / 2, "history is still kept");
            drop(store);
        }
        assert!(bytes(&world) * 20 < full, "{} of {full}", bytes(&world));
        let watched = Rc::new(Watched::new(&world.disk, None));
        let figures = watched.figures();
        let _store = world.open(watched as Rc<dyn Storage>, OpenOptions::default()).await.unwrap();
        for _ in 0..200 {
            rest().await;
        }
        assert_eq!(figures.get().batches, 0, "there is nothing left to do");
    });
}

/// SEMANTICS C10: versions that clones pin are not reclaimable, and no merge of runs is tried for them again and again.
#[test]
fn what_is_pinned_is_not_taken_for_reclaimable() {
    run(async |world| {
        let store = eager(&world).await;
        let main = open_in(&store, "main").await;
        fill(&world, &main, 0, 10_000).await;
        let _clone = main.clone_as("draft").await;
        delete_all(&main, 10_000).await;
        store.compact_all().await.unwrap();
        let stats = store.stats().await.unwrap();
        assert!(stats.reclaimable_bytes * 10 < stats.live_bytes, "{stats:?}");
        let watched = Rc::new(Watched::new(&world.disk, None));
        let figures = watched.figures();
        let again = world.open(watched as Rc<dyn Storage>, OpenOptions::default()).await.unwrap();
        for _ in 0..100 {
            rest().await;
        }
        assert_eq!(figures.get().batches, 0, "no merge is tried");
        drop(again);
    });
}

/// The costs of opening the store, of one read and of ten commits: reads, batches and bytes of storage.
async fn costs(world: &World) -> [usize; 6] {
    let watched = Rc::new(Watched::new(&world.disk, None));
    let figures = watched.figures();
    let store = world.open(watched as Rc<dyn Storage>, OpenOptions::default()).await.expect("it opens");
    let main = open_in(&store, "main").await;
    let opened = figures.get();
    assert_eq!(main.ok(say::get("000007")).await[0]["n"], json!(7));
    let read = figures.get();
    for n in 0..10 {
        main.ok(say::update("000008", json!({"$set": {"n": n}}))).await;
    }
    let written = figures.get();
    rest().await;
    [
        opened.reads,
        opened.batches,
        read.reads - opened.reads,
        written.reads - read.reads,
        written.batches - read.batches,
        written.bytes - read.bytes,
    ]
}

/// SEMANTICS C14: a store with a thousand clones costs no more than one with one; and each clone that changed ten
/// documents takes at most 64 KiB.
#[test]
fn a_thousand_clones_cost_no_more_than_one() {
    run(async |world| {
        let mut found = Vec::new();
        for clones in [1, 1000] {
            let world = world.elsewhere();
            let store = eager(&world).await;
            let main = open_in(&store, "main").await;
            fill(&world, &main, 0, 1000).await;
            store.compact_all().await.unwrap();
            let before = bytes(&world);
            for number in 0..clones {
                let clone = main.clone_as(&format!("clone{number}")).await;
                let changed: Vec<(String, Value)> =
                    (0..10).map(|n| (format!("{:06}", number % 900 + n), json!({"own": number}))).collect();
                let changed: Vec<(&str, Value)> = changed.iter().map(|(id, row)| (&id[..], row.clone())).collect();
                clone.ok(say::put(&changed)).await;
            }
            assert!(bytes(&world) - before < clones * 64 * 1024);
            store.compact_all().await.unwrap();
            assert!(bytes(&world) - before < clones * 4 * 1024, "{} bytes", bytes(&world) - before);
            let infos = store.databases(true).await.unwrap();
            assert_eq!(infos.len(), clones + 1);
            assert!(infos.iter().all(|info| info.own_bytes.is_some_and(|bytes| bytes < 1024 * 1024)));
            found.push(costs(&world).await);
            let last = open_in(&store, &format!("clone{}", clones - 1)).await;
            last.0.materialize(&|_| true).await.unwrap();
            last.0.drop_database().await.unwrap();
        }
        let [one, thousand] = found[..] else { panic!("two stores") };
        for (one, thousand) in one.into_iter().zip(thousand) {
            assert!(thousand <= one + one / 2 + 1, "one: {one}, a thousand: {thousand}, of {found:?}");
        }
    });
}
