//! A full disk: a call that finds no room leaves nothing behind, and a call that frees room needs none.

use std::cell::Cell;
use std::rc::Rc;

use offshoot::engine::{OpenOptions, Store};
use offshoot::error::{Error, ErrorCode};
use offshoot::storage::{Capacity, ListRange, Space};
use serde_json::{Value, json};

use crate::support::disk::Watched;
use crate::support::{Db, World, open_in, pause, rest, run, say};

const MIB: u64 = 1024 * 1024;

fn options() -> OpenOptions {
    OpenOptions { retain: Some(0), ..OpenOptions::default() }
}

/// With the room that is kept for what frees some.
async fn store(world: &World) -> Rc<Store> {
    let store = world.try_tab(options()).await.expect("the store opens");
    rest().await;
    assert!(reserve(world) > 0, "the reserve is there");
    store
}

/// Bytes that are kept for what frees room.
fn reserve(world: &World) -> u64 {
    let range = ListRange { from: Some("reserve/".into()), before: Some("reserve0".into()), limit: usize::MAX };
    world.disk.list(Space::Meta, &range).iter().map(|(name, bytes)| (name.len() + bytes.len()) as u64).sum()
}

/// Leaves room on the disk for so many more bytes.
fn leave(world: &World, bytes: u64) {
    world.disk.set_capacity(Some(Capacity::before_deletions(world.disk.used() + bytes)));
}

/// Text that does not pack well, so that a byte is a byte.
fn text(world: &World, bytes: u64) -> String {
    (0..bytes / 16).map(|_| format!("{:016x}", world.draw())).collect()
}

fn key(n: usize) -> String {
    format!("{n:06}")
}

/// Documents of 4 KB, some in each call, until the disk holds so many bytes.
async fn fill(world: &World, db: &Db, bytes: u64) -> usize {
    let mut count = 0;
    while world.disk.used() < bytes {
        let rows: Vec<(String, Value)> =
            (count..count + 50).map(|n| (key(n), json!({"text": text(world, 4000)}))).collect();
        let rows: Vec<(&str, Value)> = rows.iter().map(|(id, row)| (&id[..], row.clone())).collect();
        db.ok(say::put(&rows)).await;
        count += 50;
    }
    rest().await;
    count
}

/// A checkpoint, in a tab whose storage has no room for a second slice of it.
#[test]
fn a_checkpoint_that_finds_no_room_leaves_no_blocks() {
    run(async |world| {
        let store = store(&world).await;
        let main = open_in(&store, "main").await;
        fill(&world, &main, 5 * MIB).await;
        store.maintain().await.expect("there is room");
        // Less than what is moved of itself.
        fill(&world, &main, world.disk.used() + MIB).await;
        let before = world.disk.used();
        leave(&world, MIB / 4);
        assert_eq!(store.maintain().await.expect_err("there is no room").code(), ErrorCode::QuotaExceeded);
        assert_eq!(world.disk.used(), before, "what was written of the run is gone");
        world.disk.set_capacity(None);
        let logged = store.stats().await.expect("figures").log_bytes;
        assert!(logged > MIB / 2, "{logged}");
        store.maintain().await.expect("there is room");
        let logged = store.stats().await.expect("figures").log_bytes;
        assert!(logged < MIB / 16, "the log is a run, not {logged} bytes");
    });
}

/// A commit of more than the log takes.
#[test]
fn a_large_commit_that_finds_no_room_leaves_no_blocks() {
    run(async |world| {
        let store = store(&world).await;
        let main = open_in(&store, "main").await;
        main.ok(say::put(&[("a", json!({}))])).await;
        let before = world.disk.used();
        leave(&world, MIB);
        let value = json!({"text": text(&world, 3 * MIB)});
        assert_eq!(main.code(say::put(&[("large", value.clone())])).await, ErrorCode::QuotaExceeded);
        rest().await;
        assert_eq!(world.disk.used(), before, "what was written of the run is gone");
        world.disk.set_capacity(None);
        main.ok(say::put(&[("large", value)])).await;
    });
}

/// A merge, whose rows are written ahead by its own writer.
#[test]
fn a_merge_that_finds_no_room_leaves_no_blocks() {
    run(async |world| {
        let store = store(&world).await;
        let main = open_in(&store, "main").await;
        let draft = main.clone_as("draft").await;
        fill(&world, &draft, 3 * MIB).await;
        let before = world.disk.used();
        leave(&world, MIB);
        let merged = draft.0.merge(offshoot::engine::MergeOptions::default()).await;
        assert_eq!(merged.expect_err("there is no room").code(), ErrorCode::QuotaExceeded);
        rest().await;
        assert_eq!(world.disk.used(), before, "what was written of the run is gone");
    });
}

/// SEMANTICS C10: a compaction that finds no room leaves what was there; once half is deleted it needs little.
#[test]
fn a_compaction_that_finds_no_room_leaves_no_blocks() {
    run(async |world| {
        let store = store(&world).await;
        let main = open_in(&store, "main").await;
        let count = fill(&world, &main, 9 * MIB).await;
        store.compact_all().await.expect("there is room");
        let held = || world.disk.used() - reserve(&world);
        let before = held();
        leave(&world, MIB / 16);
        assert_eq!(store.compact_all().await.expect_err("there is no room").code(), ErrorCode::QuotaExceeded);
        assert!(held() < before + 1024, "{} of {before}", held());
        leave(&world, MIB);
        let half: Vec<String> = (0..count).step_by(2).map(key).collect();
        let ids: Vec<&str> = half.iter().map(String::as_str).collect();
        assert_eq!(main.ok(say::delete(&ids)).await, json!(half.len()));
        store.compact_all().await.expect("a slice at a time has room");
        assert!(held() * 100 < before * 55, "{} of {before}", held());
        assert_eq!(main.ok(say::count()).await, json!(count - half.len()));
    });
}

/// A merge that fails is not tried again with every commit, but after a rest.
#[test]
fn a_merge_that_finds_no_room_rests() {
    run(async |world| {
        let watched = Rc::new(Watched::new(&world.disk, None));
        let figures = watched.figures();
        let store = world.open(watched, options()).await.expect("the store opens");
        let main = open_in(&store, "main").await;
        for n in 0..4 {
            main.ok(say::put(&[(&key(n), json!({"text": text(&world, MIB)}))])).await;
            rest().await;
        }
        leave(&world, MIB / 4);
        let commits = async |from: usize| {
            let before = figures.get().batches;
            for n in from..from + 40 {
                main.ok(say::put(&[("small", json!({"n": n}))])).await;
                rest().await;
            }
            figures.get().batches - before
        };
        for n in 0..4 {
            let _ = main.run(say::put(&[(&key(n), json!({"text": text(&world, 2 * MIB)}))])).await;
        }
        commits(0).await;
        let resting = commits(40).await;
        assert!(resting <= 80, "a commit is one or two batches. batches={resting}");
    });
}

/// Documents of 40,000 bytes, until no more has room; how many there are then.
async fn fill_up(world: &World, db: &Db, from: usize) -> usize {
    for n in from..from + 1000 {
        match db.run(say::put(&[(&key(n), json!({"text": text(world, 40_000)}))])).await {
            Ok(_) => rest().await,
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::QuotaExceeded);
                return n;
            }
        }
    }
    panic!("the disk is never full");
}

async fn delete(db: &Db, numbers: impl Iterator<Item = usize>) -> Value {
    let keys: Vec<String> = numbers.map(key).collect();
    db.ok(say::delete(&keys.iter().map(String::as_str).collect::<Vec<_>>())).await
}

/// SEMANTICS C10: also where a batch is judged before its deletions, and where the store was opened on a full disk.
#[test]
fn what_frees_room_needs_none_on_a_full_disk() {
    run(async |world| {
        for (capacity, is_opened_anew) in [
            (Capacity::of(8 * MIB), false),
            (Capacity::before_deletions(8 * MIB), false),
            (Capacity::before_deletions(8 * MIB), true),
        ] {
            let world = world.elsewhere();
            world.disk.set_capacity(Some(capacity));
            let mut tab = store(&world).await;
            let mut main = open_in(&tab, "main").await;
            let draft = main.clone_as("draft").await;
            draft.ok(say::put(&[("mine", json!({}))])).await;
            let count = fill_up(&world, &main, 0).await;
            assert!(count > 80, "{count} documents");
            if is_opened_anew {
                tab = store(&world).await;
                main = open_in(&tab, "main").await;
            }
            let draft = open_in(&tab, "draft").await;
            assert_eq!(delete(&main, 0..1).await, json!(1));
            assert_eq!(delete(&main, (1..count).step_by(2)).await, json!(count / 2));
            draft.0.drop_database().await.expect("a drop needs no room");
            let full = world.disk.used() - reserve(&world);
            tab.compact_all().await.expect("a compaction needs no room");
            let half = world.disk.used() - reserve(&world);
            assert!(half * 100 < full * 60, "{half} of {full}");
            assert_eq!(main.ok(say::count()).await, json!(count - 1 - count / 2));
            assert!(reserve(&world) > 0, "the reserve is back");
            let again = fill_up(&world, &main, count).await - count;
            assert!(again * 5 > count * 2, "{again} of {count} have room again");
            delete(&main, 0..count + again).await;
            tab.compact_all().await.expect("a compaction needs no room");
            assert!(world.disk.used() - reserve(&world) < 64 * 1024, "all of it is free");
            let last = fill_up(&world, &main, 0).await;
            assert!(last * 10 > count * 9, "{last} of {count}");
        }
    });
}

/// The disk is full, half of the store is deleted, and nobody compacts. True if a large value finds room in the end.
async fn comes_back(world: &World, is_frozen: bool) -> bool {
    world.disk.set_capacity(Some(Capacity::of(8 * MIB)));
    let tab = store(world).await;
    let main = open_in(&tab, "main").await;
    let count = fill_up(world, &main, 0).await;
    let _frozen = is_frozen.then(|| world.leases.take("maintain").expect("it is free"));
    delete(&main, (0..count).step_by(2)).await;
    for _ in 0..20 {
        world.steady.set(world.steady.get() + 1000);
        if main.run(say::put(&[("again", json!({"text": text(world, 200_000)}))])).await.is_ok() {
            return true;
        }
        rest().await;
    }
    false
}

/// A frozen tab keeps its lock, for as long as it is frozen.
#[test]
fn room_comes_back_beside_a_frozen_tab_that_has_the_lease() {
    run(async |world| {
        for is_frozen in [false, true] {
            assert!(comes_back(&world.elsewhere(), is_frozen).await, "is_frozen={is_frozen}");
        }
    });
}

/// Another tab gives some of it up, and is gone before there is room to put it back.
#[test]
fn a_reserve_that_another_tab_gave_up_comes_back() {
    run(async |world| {
        let here = store(&world).await;
        fill(&world, &open_in(&here, "main").await, 2 * MIB).await;
        here.maintain().await.expect("there is room");
        let before = reserve(&world);
        let there = store(&world).await;
        leave(&world, 0);
        delete(&open_in(&there, "main").await, 0..1).await;
        there.close(Error::new(ErrorCode::Closed, "the tab is gone")).await.expect("it is closed");
        rest().await;
        assert!(reserve(&world) < before, "it was given up");
        world.disk.set_capacity(None);
        here.maintain().await.expect("there is room");
        assert_eq!(reserve(&world), before);
    });
}

/// Maintenance has failed so often that it rests for a quarter of an hour. Then somebody else makes room.
#[test]
fn the_log_has_a_bounded_share_soon_after_a_full_disk_has_room_again() {
    run(async |world| {
        world.disk.set_capacity(Some(Capacity::of(8 * MIB)));
        let store = store(&world).await;
        let main = open_in(&store, "main").await;
        let count = fill_up(&world, &main, 0).await;
        for _ in 0..12 {
            world.steady.set(world.steady.get() + 2_000_000);
            assert_eq!(
                main.code(say::put(&[("more", json!({"text": text(&world, 40_000)}))])).await,
                ErrorCode::QuotaExceeded
            );
            rest().await;
        }
        world.disk.set_capacity(Some(Capacity::of(128 * MIB)));
        let mut most = 0;
        for n in 0..800 {
            main.ok(say::put(&[(&key(count + n), json!({"text": text(&world, 40_000)}))])).await;
            rest().await;
            world.steady.set(world.steady.get() + 100);
            if n % 20 == 0 {
                most = most.max(store.stats().await.expect("figures").log_bytes);
            }
        }
        assert!(most < 18 * MIB, "the log has {most} bytes");
    });
}

/// Three quarters of a disk are one store, and the rest is somebody else's. A compaction that finds no room leaves what
/// was there.
#[test]
fn a_store_of_three_quarters_of_its_disk_is_compacted_once_half_of_it_is_deleted() {
    run(async |world| {
        let capacity = 12 * MIB;
        world.disk.set_capacity(Some(Capacity::before_deletions(capacity)));
        let store = store(&world).await;
        let main = open_in(&store, "main").await;
        let count = fill(&world, &main, capacity * 3 / 4).await;
        store.maintain().await.expect("there is room for the log");
        let before = world.disk.used();
        leave(&world, 0);
        assert_eq!(store.compact_all().await.expect_err("there is no room").code(), ErrorCode::QuotaExceeded);
        assert_eq!(world.disk.used(), before, "what was written is gone, and what was given up is back");
        assert_eq!(delete(&main, (0..count).step_by(2)).await, json!(count / 2));
        store.compact_all().await.expect("a compaction needs no room");
        assert!(world.disk.used() * 100 < before * 62, "{} of {before}", world.disk.used());
        assert_eq!(main.ok(say::count()).await, json!(count - count / 2));
    });
}

/// Each writer writes as soon as its last write is answered, and a record of the log takes as long as one block of a
/// run. So the log would grow for as long as a merge takes.
#[test]
fn the_log_of_quick_writers_has_a_bounded_share() {
    run(async |world| {
        let (writers, rounds, row) = (16, 40, 40_000);
        // A commit is held back for a second, in which the storage answers hundreds of times.
        world.has_turns.set(true);
        world.disk.set_capacity(Some(Capacity::of(64 * MIB)));
        let storage = Watched::new(&world.disk, None).late(2);
        let store = world.open(Rc::new(storage), options()).await.expect("the store opens");
        let left = Rc::new(Cell::new(writers));
        pauses(1000).await;
        for writer in 0..writers {
            let (db, left, around) = (open_in(&store, "main").await, left.clone(), world.elsewhere());
            world.spawn(async move {
                for round in 0..rounds {
                    let text = text(&around, row);
                    db.ok(say::put(&[(&key(writer * rounds + round), json!({"text": text}))])).await;
                }
                left.set(left.get() - 1);
            });
        }
        let (mut most, mut runs) = (0, 0);
        while left.get() > 0 {
            let stats = store.stats().await.expect("figures");
            runs = runs.max(stats.block_bytes);
            // A sixteenth of what the host allows, and at first less, as long as runs are small.
            let share = (runs / 2).clamp(MIB, 4 * MIB);
            most = most.max(stats.log_bytes * 100 / share);
            pauses(1).await;
        }
        assert!(runs > 8 * MIB, "{runs}");
        // Records of all the writers may be admitted below twice the share.
        assert!(most < 300, "the log had {most}% of its share");
        // Maintenance that is under way when the writers end looks again for what they have written meanwhile.
        pauses(20_000).await;
        let stats = store.stats().await.expect("figures");
        assert!(stats.log_bytes <= 4 * MIB, "{} bytes stay in the log", stats.log_bytes);
    });
}

/// Each maintenance that ends has left enough in the log for the next one, which begins at once.
#[test]
fn a_compaction_begins_beside_writers_that_never_rest() {
    run(async |world| {
        world.disk.set_capacity(Some(Capacity::of(64 * MIB)));
        let storage = Watched::new(&world.disk, None).late(2);
        let store = world.open(Rc::new(storage), options()).await.expect("the store opens");
        let (is_over, written) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
        pauses(1000).await;
        for writer in 0..16 {
            let (db, around) = (open_in(&store, "main").await, world.elsewhere());
            let (is_over, written) = (is_over.clone(), written.clone());
            world.spawn(async move {
                while !is_over.get() {
                    let text = text(&around, 40_000);
                    db.ok(say::put(&[(&key(writer), json!({"text": text}))])).await;
                    written.set(written.get() + 1);
                }
            });
        }
        while written.get() < 200 {
            pause().await;
        }
        let (compacting, is_done) = (store.clone(), Rc::new(Cell::new(false)));
        let done = is_done.clone();
        world.spawn(async move {
            compacting.compact_all().await.expect("a compaction");
            done.set(true);
        });
        while !is_done.get() && written.get() < 5_000 {
            pause().await;
        }
        is_over.set(true);
        assert!(is_done.get(), "the compaction still waits after {} writes", written.get());
    });
}

async fn pauses(count: usize) {
    for _ in 0..count {
        pause().await;
    }
}

/// A store pays for the reserve as it grows, and one that is nearly empty next to nothing.
#[test]
fn the_reserve_grows_with_the_store() {
    run(async |world| {
        let store = store(&world).await;
        let main = open_in(&store, "main").await;
        main.ok(say::put(&[("small", json!({}))])).await;
        store.maintain().await.expect("maintenance");
        assert!(reserve(&world) < 17 * 1024, "{} bytes", reserve(&world));
        for (stored, least, most) in [(2 * MIB, MIB / 4, MIB * 3 / 4), (9 * MIB, MIB * 5 / 4, MIB * 8 / 5)] {
            fill(&world, &main, stored).await;
            store.maintain().await.expect("maintenance");
            let kept = reserve(&world);
            assert!(kept > least && kept < most, "{kept} bytes beside {stored}");
        }
    });
}
