//! A full disk: what finds no room leaves nothing behind.

use std::rc::Rc;

use offshoot::engine::{OpenOptions, Store};
use offshoot::error::ErrorCode;
use offshoot::storage::Capacity;
use serde_json::{Value, json};

use crate::support::disk::Watched;
use crate::support::{Db, World, open_in, rest, run, say};

const MIB: u64 = 1024 * 1024;

fn options() -> OpenOptions {
    OpenOptions { retain: Some(0), ..OpenOptions::default() }
}

async fn store(world: &World) -> Rc<Store> {
    world.try_tab(options()).await.expect("the store opens")
}

/// From here on so many bytes more find room.
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
        fill(&world, &main, 3 * MIB).await;
        let before = world.disk.used();
        leave(&world, MIB);
        assert_eq!(store.maintain().await.expect_err("there is no room").code(), ErrorCode::QuotaExceeded);
        assert_eq!(world.disk.used(), before, "what was written of the run is gone");
        world.disk.set_capacity(None);
        store.maintain().await.expect("there is room");
        assert!(world.disk.used() < before, "the log is a run");
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
        let before = world.disk.used();
        leave(&world, MIB / 16);
        assert_eq!(store.compact_all().await.expect_err("there is no room").code(), ErrorCode::QuotaExceeded);
        assert!(world.disk.used() < before + 1024, "{} of {before}", world.disk.used());
        leave(&world, MIB);
        let half: Vec<String> = (0..count).step_by(2).map(key).collect();
        let ids: Vec<&str> = half.iter().map(String::as_str).collect();
        assert_eq!(main.ok(say::delete(&ids)).await, json!(half.len()));
        store.compact_all().await.expect("a slice at a time has room");
        assert!(world.disk.used() * 100 < before * 55, "{} of {before}", world.disk.used());
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
