//! The costs of comparing a clone that is older than the history floor: reads and memory grow with the change, and not
//! with the size of the databases.

use std::rc::Rc;

use offshoot::engine::{OpenOptions, Side};
use offshoot::types::key::read_id;
use serde_json::{Value, json};

use crate::bounds::Measured;
use crate::support::disk::{Figures, Watched};
use crate::support::memory::live;
use crate::support::merging::rebase;
use crate::support::{Db, World, open_in, run, say};

const MIB: usize = 1024 * 1024;
/// The number of the origin's rows that are changed after the clone was made.
const CHANGED: usize = 20;

fn options() -> OpenOptions {
    OpenOptions { retain: Some(0), cache_bytes: 64 * 1024, ..OpenOptions::default() }
}

fn key(n: usize) -> String {
    format!("{n:06}")
}

/// Rows of 200 bytes that LZ4 cannot pack, each `step`th of those there are, in commits of a thousand.
async fn put(world: &World, db: &Db, (rows, step): (usize, usize), n: i64) {
    let keys: Vec<String> = (0..rows).step_by(step).map(key).collect();
    for keys in keys.chunks(1000) {
        let text = || (0..12).map(|_| format!("{:016x}", world.draw())).collect::<String>();
        let rows: Vec<(&str, Value)> = keys.iter().map(|key| (&key[..], json!({"n": n, "text": text()}))).collect();
        db.ok(say::put(&rows)).await;
    }
}

/// An origin of so many rows and a clone of it, of which every `step`th row was changed after the clone was made: some
/// are deleted, the others are new. The floor has passed all of it, and all is in one run.
async fn age(world: &World, rows: usize, step: usize) {
    let store = world.try_tab(options()).await.expect("the store opens");
    let main = open_in(&store, "main").await;
    put(world, &main, (rows, 1), 1).await;
    main.clone_as("draft").await.ok(say::put(&[("000001", json!({"mine": true}))])).await;
    put(world, &main, (rows, step), 2).await;
    main.ok(say::delete(&[&key(step), &key(rows - step)])).await;
    store.compact_all().await.expect("a compaction");
}

/// The reads of one call on a store that was just opened.
async fn reads(world: &World, call: impl AsyncFnOnce(&Db)) -> Figures {
    let storage = Watched::new(&world.disk, None);
    let figures = storage.figures();
    let store = world.open(Rc::new(storage), options()).await.expect("the store opens");
    let draft = open_in(&store, "draft").await;
    let before = figures.get();
    call(&draft).await;
    let after = figures.get();
    Figures { reads: after.reads - before.reads, bytes_read: after.bytes_read - before.bytes_read, ..after }
}

async fn diff(draft: &Db, rows: usize, step: usize) {
    let main = open_in(draft.0.store(), "main").await;
    let (now, origin) = (draft.snapshot().await, main.snapshot().await);
    let (mut changes, mut after) = (Vec::new(), None);
    loop {
        let page = now.diff(Side::Snapshot(&origin), None, after.as_ref(), 512).await.expect("a page");
        changes.extend(page.changes.into_iter().map(|change| read_id(&change.key).expect("a text")));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut expected: Vec<String> = (0..rows).step_by(step).map(key).collect();
    expected.insert(1, key(1));
    assert!(changes == expected, "{} of {} rows differ", changes.len(), expected.len());
}

/// SEMANTICS C11, C13: twenty changed rows cost as much in a store that is four times as large.
#[test]
fn a_clone_older_than_the_floor_is_compared_at_the_cost_of_the_change() {
    let mut costs = Vec::new();
    for rows in [10_000, 40_000] {
        run(async |world| {
            let step = rows / CHANGED;
            age(&world, rows, step).await;
            let diffed = reads(&world, async |draft| diff(draft, rows, step).await).await;
            let rebased = reads(&world, async |draft| {
                rebase(draft).await;
                assert_eq!(draft.ok(say::get(&key(2 * step))).await[0]["n"], json!(2));
                assert_eq!(draft.ok(say::get(&key(step))).await, Value::Null);
                assert_eq!(draft.ok(say::get("000001")).await, json!([{"mine": true}]));
            })
            .await;
            costs.push((diffed, rebased));
        });
    }
    let [(diff, rebase), (larger_diff, larger_rebase)] = costs[..] else { panic!("two sizes") };
    for (small, large) in [(diff, larger_diff), (rebase, larger_rebase)] {
        println!("{} reads of {} bytes, {} of {}", small.reads, small.bytes_read, large.reads, large.bytes_read);
        // A changed row lies in a segment of up to 60,000 bytes, which is read to find the row and to compare it.
        assert!(large.bytes_read < 3 * CHANGED * 60_000, "{} bytes", large.bytes_read);
        assert!(large.bytes_read < small.bytes_read * 3 / 2, "{} and {}", small.bytes_read, large.bytes_read);
        assert!(large.reads < small.reads + 10, "{} and {}", small.reads, large.reads);
    }
}

/// If a change touches every block, a comparison holds a portion of the versions at a time.
#[test]
fn a_large_change_below_the_floor_is_compared_in_bounded_memory() {
    run(async |world| {
        let (rows, step) = (50_000, 40);
        age(&world, rows, step).await;
        let (storage, most) = Measured::new(&world.disk);
        let store = world.open(Rc::new(storage), options()).await.expect("the store opens");
        let draft = open_in(&store, "draft").await;
        let before = live() - world.disk.used() as isize;
        most.set(before);
        diff(&draft, rows, step).await;
        let held = most.get() - before;
        println!("{held} bytes of {}", world.disk.used());
        assert!(world.disk.used() as usize > 9 * MIB, "{}", world.disk.used());
        assert!(held < (6 * MIB) as isize, "it holds {held} bytes");
    });
}
