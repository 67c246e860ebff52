//! Checkpoints, compaction and vacuum: nobody's reads change, and what nobody can read goes.

use std::rc::Rc;

use offshoot::engine::op::Page;
use offshoot::engine::{Answer, Op, OpenOptions, Side, When};
use offshoot::error::ErrorCode;
use offshoot::storage::{ListRange, Space};
use serde_json::{Value, json};

use crate::support::disk::Watched;
use crate::support::{Db, World, json as in_json, open_in, pause, read, run, say};
use crate::taken_over::{ended, start};

/// All documents: from runs they come in more pages than from the log.
async fn everything(db: &Db) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut op = say::find();
    loop {
        let Ok(Answer::Documents(page)) = db.0.run(op, None).await else { panic!("a page of documents") };
        let next = say::behind(&say::collection("todos"), &page);
        let whole = Answer::Documents(Page { rest: None, ..page });
        rows.extend(in_json(whole).as_array().expect("rows").clone());
        if next.is_none() {
            return rows;
        }
        op = Op::Find { collection: say::collection("todos"), after: next, rest: None, skip: 0, limit: None };
    }
}

async fn fill(db: &Db, from: usize, to: usize) {
    for n in from..to {
        let id = format!("{n:04}");
        db.ok(say::put(&[(&id, json!({"n": n, "text": "x".repeat(n % 50)}))])).await;
    }
}

async fn records(world: &World, space: Space) -> usize {
    world.disk.list(space, &ListRange { limit: usize::MAX, ..ListRange::default() }).len()
}

/// SEMANTICS R1, R3: rows of the log read the same once they are in runs, in this tab and in one opened after.
#[test]
fn a_checkpoint_changes_no_answer_and_empties_the_log() {
    run(async |world| {
        let db = world.main().await;
        fill(&db, 0, 300).await;
        let clone = db.clone_as("draft").await;
        clone.ok(say::delete(&["0001"])).await;
        clone.ok(say::update("0002", json!({"$set": {"n": "changed"}}))).await;
        let (before, in_clone) = (everything(&db).await, everything(&clone).await);
        db.0.store().maintain().await.expect("a checkpoint");
        assert_eq!(world.disk.log(0, 9), [], "the log is trimmed");
        assert_eq!(everything(&db).await, before);
        assert_eq!(everything(&clone).await, in_clone);
        fill(&db, 300, 310).await;
        let tab = world.tab().await;
        assert_eq!(open_in(&tab, "main").await.ok(say::count()).await, json!(310));
        assert_eq!(everything(&open_in(&tab, "draft").await).await, in_clone);
    });
}

/// A tab that knows nothing of another's checkpoint neither loses a commit nor takes an LSN twice.
#[test]
fn a_tab_that_slept_through_checkpoints_commits_on_the_present() {
    run(async |world| {
        let (awake, asleep) = (world.main().await, world.main().await);
        fill(&awake, 0, 10).await;
        awake.0.store().maintain().await.expect("a checkpoint");
        fill(&awake, 10, 20).await;
        awake.0.store().maintain().await.expect("another");
        asleep.ok(say::put(&[("zzzz", json!({"late": true}))])).await;
        awake.0.store().refresh().await.expect("news");
        assert_eq!(awake.ok(say::count()).await, json!(21));
        assert_eq!(asleep.ok(say::count()).await, json!(21));
        assert_eq!(awake.0.version(), asleep.0.version());
    });
}

/// A tab whose blocks were compacted away reads on.
#[test]
fn a_reader_of_runs_that_are_gone_reads_on() {
    run(async |world| {
        let writer = world.main().await;
        for round in 0..4 {
            fill(&writer, round * 50, round * 50 + 50).await;
            writer.0.store().maintain().await.expect("a checkpoint");
        }
        let reader = world.main().await;
        let snapshot = reader.snapshot().await;
        fill(&writer, 0, 10).await;
        writer.0.store().compact_all().await.expect("a compaction");
        assert_eq!(read(&snapshot, say::count()).await, json!(200));
        assert_eq!(reader.ok(say::get("0150")).await[0]["n"], json!(150));
        assert_eq!(reader.ok(say::count()).await, json!(200));
    });
}

/// SEMANTICS R4: a clone reads what its origin was, also when the origin's history is long gone.
#[test]
fn vacuum_spares_what_a_clone_pins() {
    run(async |world| {
        let options = || OpenOptions { retain: Some(0), ..OpenOptions::default() };
        let store = world.try_tab(options()).await.expect("a store");
        let db = open_in(&store, "main").await;
        fill(&db, 0, 60).await;
        let clone = db.clone_as("draft").await;
        let grandchild = clone.clone_as("fix").await;
        let then = everything(&db).await;
        fill(&db, 0, 30).await;
        db.ok(say::delete(&["0040", "0041"])).await;
        clone.ok(say::delete(&["0050"])).await;
        let oldest = db.0.version();
        db.ok(say::put(&[("0000", json!({"last": 1}))])).await;
        store.compact_all().await.expect("a compaction");
        assert_eq!(everything(&grandchild).await, then);
        assert_eq!(clone.ok(say::count()).await, json!(59));
        assert_eq!(db.ok(say::count()).await, json!(58));
        let error = db.0.at(When::Version(oldest)).await.err().expect("that history is gone");
        assert_eq!(error.code(), ErrorCode::HistoryPruned);
        let again = world.try_tab(options()).await.expect("a store");
        assert_eq!(everything(&open_in(&again, "fix").await).await, then);
    });
}

/// SEMANTICS W4: a tombstone that hides nothing goes, and so does all that it hid.
#[test]
fn deleting_everything_gives_its_space_back() {
    run(async |world| {
        let store = world.try_tab(OpenOptions { retain: Some(0), ..OpenOptions::default() }).await.expect("a store");
        let db = open_in(&store, "main").await;
        fill(&db, 0, 500).await;
        store.compact_all().await.expect("a compaction");
        let full = store.stats().await.unwrap().block_bytes;
        let ids: Vec<String> = (0..500).map(|n| format!("{n:04}")).collect();
        db.ok(say::delete(&ids.iter().map(String::as_str).collect::<Vec<_>>())).await;
        store.compact_all().await.expect("a compaction");
        assert!(
            store.stats().await.unwrap().block_bytes * 20 < full,
            "{} of {full}",
            store.stats().await.unwrap().block_bytes
        );
        assert_eq!(db.ok(say::count()).await, json!(0));
        assert!(records(&world, Space::Jobs).await == 0, "nothing is left to sweep");
    });
}

/// SEMANTICS R6, C11: times and differences are found in the feed when the log holds them no more.
#[test]
fn history_is_found_after_the_log_is_trimmed() {
    run(async |world| {
        let db = world.main().await;
        let start = world.now.get();
        for n in 0..40u64 {
            world.now.set(start + n * 1000);
            db.ok(say::put(&[(&format!("k{n:02}"), json!({"n": n}))])).await;
        }
        let version = db.0.version();
        db.0.store().maintain().await.expect("a checkpoint");
        let snapshot = db.0.at(When::Time(start + 10_500)).await.expect("an hour is kept");
        assert_eq!(read(&snapshot, say::count()).await, json!(11));
        db.ok(say::put(&[("late", json!({}))])).await;
        let changes = db.0.diff(Side::Snapshot(&snapshot)).await.expect("a diff");
        assert_eq!(changes.len(), 30);
        let then = db.0.at(When::Version(version)).await.expect("a version");
        assert_eq!(db.0.diff(Side::Snapshot(&then)).await.expect("a diff").len(), 1);
        assert_eq!(read(&then, say::get("late")).await, Value::Null);
    });
}

/// SEMANTICS W9: `diff` finds the rows of a large commit, before and after they are compacted.
#[test]
fn a_large_commit_is_in_the_feed_before_and_after_it_is_compacted() {
    run(async |world| {
        let db = world.main().await;
        let before = db.snapshot().await;
        let rows: Vec<(String, Value)> =
            (0..3000).map(|n| (format!("r{n:05}"), json!({"t": "y".repeat(500)}))).collect();
        let rows: Vec<(&str, Value)> = rows.iter().map(|(id, value)| (&id[..], value.clone())).collect();
        db.ok(say::put(&rows)).await;
        db.ok(say::delete(&["r00007"])).await;
        for round in 0..3 {
            let changes = db.0.diff(Side::Snapshot(&before)).await.expect("a diff");
            assert_eq!(changes.len(), 2999, "round {round}");
            db.0.store().compact_all().await.expect("a compaction");
        }
    });
}

/// History cannot end above a snapshot that is open, so nothing above it is looked at.
#[test]
fn maintenance_walks_no_history_above_a_snapshot() {
    run(async |world| {
        let store = world.tab().await;
        let main = open_in(&store, "main").await;
        main.ok(say::put(&[("a", json!({}))])).await;
        let _held = main.snapshot().await;
        for _ in 0..500 {
            main.ok(say::increment("a", 1)).await;
        }
        store.maintain().await.expect("maintenance");
        // All that was committed is older than what is kept.
        world.now.set(world.now.get() + 2 * 60 * 60 * 1000);
        world.steady.set(world.steady.get() + 2 * 60 * 60 * 1000);
        let before = store.examined();
        store.maintain().await.expect("maintenance");
        let examined = store.examined() - before;
        assert!(examined < 100, "{examined} versions were examined");
    });
}

/// Bytes that are written from the first of so many compactions on until all of them have ended. Each was called while
/// the first one was under way, after one more commit.
async fn bytes_of_compactions(world: &World, calls: usize) -> usize {
    let storage = Watched::new(&world.disk, None).late(2);
    let figures = storage.figures();
    let store = world.open(Rc::new(storage), OpenOptions::default()).await.expect("the store opens");
    let db = open_in(&store, "main").await;
    fill(&db, 0, 400).await;
    let before = figures.get().bytes;
    let mut under_way = Vec::new();
    for n in 0..calls {
        let called = store.clone();
        under_way.push(start(world, async move { called.compact_all().await }));
        for _ in 0..4 {
            pause().await;
        }
        if n + 1 < calls {
            fill(&db, 400 + n, 401 + n).await;
        }
    }
    for compaction in under_way {
        ended(compaction).await.expect("a compaction");
    }
    assert_eq!(store.stats().await.expect("figures").log_entries, 0, "all that was written before a call is in runs");
    figures.get().bytes - before
}

/// Those who call while a compaction is under way share the next one: no call waits for more than two.
#[test]
fn compactions_that_wait_for_one_another_are_one() {
    run(async |world| {
        let (two, five) =
            (bytes_of_compactions(&world.elsewhere(), 2).await, bytes_of_compactions(&world.elsewhere(), 5).await);
        assert!(five < two + two / 4, "{two} bytes by two calls, {five} by five");
    });
}
