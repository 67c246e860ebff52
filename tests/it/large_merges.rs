//! Merges and restores of many rows: one commit, whose rows were written ahead of it.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

use offshoot::engine::{MergeOptions, MergeOutcome, OpenOptions, Selected, Side, Store, When};
use offshoot::storage::{ListRange, MemoryDisk, Space};
use offshoot::types::key::read_id;
use serde_json::{Value, json};

use crate::support::disk::{Steps, Watched};
use crate::support::merging::{counts, only};
use crate::support::{Db, World, open_in, pause, run, say};

const ROWS: usize = 20_000;

fn id(n: usize) -> String {
    format!("{n:05}")
}

/// Writes all rows, some in each call.
async fn fill(db: &Db, value: i64) {
    for from in (0..ROWS).step_by(2000) {
        let ids: Vec<String> = (from..from + 2000).map(id).collect();
        let row = || json!({"n": value, "text": "as long as such rows are, in the middle of a field of them"});
        db.ok(say::put(&ids.iter().map(|id| (&id[..], row())).collect::<Vec<_>>())).await;
    }
}

/// The first rows, some from the middle and the last ones.
fn samples() -> Vec<String> {
    [0, 1, 255, 256, 4097, ROWS / 2, ROWS / 2 + 1, ROWS - 2, ROWS - 1].map(id).to_vec()
}

async fn sampled(db: &Db) -> Vec<Value> {
    let ids = samples();
    let ids: Vec<&str> = ids.iter().map(|id| &id[..]).collect();
    let found = db.ok(say::get_many(&ids)).await;
    found.as_array().expect("a list").iter().map(|found| found[0]["n"].clone()).collect()
}

/// Even rows are merged, odd ones stay: so the commit brings a run for the origin, and one for the clone.
fn every_other() -> MergeOptions {
    let choose =
        |id: &str| if id.parse::<usize>().expect("a number") % 2 == 0 { Selected::All } else { Selected::Nothing };
    only(choose)
}

fn expected_of_main(is_merged: bool) -> Vec<Value> {
    let of = |id: String| {
        let is_even = id.parse::<usize>().expect("a number") % 2 == 0;
        json!(if is_merged && is_even { 2 } else { 1 })
    };
    samples().into_iter().map(of).collect()
}

/// A root and a clone of it, of many rows that differ.
async fn filled(world: &World) -> Rc<Store> {
    let store = world.tab().await;
    let main = open_in(&store, "main").await;
    fill(&main, 1).await;
    fill(&main.clone_as("draft").await, 2).await;
    store.compact_all().await.expect("a compaction");
    store
}

fn runs(disk: &MemoryDisk) -> BTreeSet<String> {
    let blocks = disk.list(Space::Blocks, &ListRange { limit: usize::MAX, ..ListRange::default() });
    blocks.into_iter().map(|(name, _)| name.split('-').next().expect("a run's number").to_string()).collect()
}

async fn kept_steps(world: &World) -> (Rc<Store>, Steps) {
    let (storage, steps) = Watched::new(&world.disk, None).keeping_steps();
    (world.open(Rc::new(storage), OpenOptions::default()).await.expect("the store opens"), steps)
}

/// Opens the store as each write left it: nothing of the commit is there, or all. Runs that were left behind are swept.
async fn cut_at_every_write(
    world: &World,
    steps: &[MemoryDisk],
    before: &BTreeSet<String>,
    is_done: impl AsyncFn(&Rc<Store>) -> bool,
) {
    let written: BTreeSet<String> = steps.iter().flat_map(runs).filter(|run| !before.contains(run)).collect();
    assert!(!written.is_empty(), "rows were written ahead");
    let mut seen = Vec::new();
    for (step, disk) in steps.iter().enumerate() {
        let elsewhere = world.elsewhere();
        elsewhere.disk.turn_into(disk);
        let store = elsewhere.tab().await;
        let done = is_done(&store).await;
        seen.push(done);
        // Old enough to be nobody's.
        elsewhere.now.set(elsewhere.now.get() + 2 * 60 * 60 * 1000);
        store.maintain().await.expect("maintenance");
        assert_eq!(is_done(&store).await, done, "step {step}");
        assert_eq!(is_done(&elsewhere.tab().await).await, done, "step {step}");
        let jobs = elsewhere.disk.list(Space::Jobs, &ListRange { limit: 9, ..ListRange::default() });
        assert!(jobs.is_empty(), "step {step}: {jobs:?}");
        if !done {
            let left: Vec<_> = runs(&elsewhere.disk).intersection(&written).cloned().collect();
            assert!(left.is_empty(), "step {step}: blocks of {left:?} are left");
        }
    }
    assert!(seen.is_sorted() && seen.contains(&true) && seen.contains(&false), "once done it stays done: {seen:?}");
}

/// SEMANTICS C11: `diff` finds the rows that a merge wrote ahead, before and after they are compacted.
#[test]
fn a_large_merge_is_in_the_feed_before_and_after_it_is_compacted() {
    run(async |world| {
        let main = world.main().await;
        let draft = main.clone_as("draft").await;
        fill(&draft, 1).await;
        let before = main.snapshot().await;
        draft.0.merge(MergeOptions::default()).await.expect("a merge");
        for round in 0..3 {
            let changes = main.0.diff(Side::Snapshot(&before)).await.expect("a diff");
            assert_eq!(changes.len(), ROWS, "round {round}");
            main.0.store().compact_all().await.expect("a compaction");
        }
    });
}

/// SEMANTICS C12, W8: two runs in one commit; cut off at any write, both databases have all of it, or nothing.
#[test]
fn a_large_merge_that_is_cut_off_leaves_nothing_or_all() {
    run(async |world| {
        drop(filled(&world).await);
        let before = runs(&world.disk);
        let (store, steps) = kept_steps(&world).await;
        let draft = open_in(&store, "draft").await;
        let version = draft.0.version();
        let report = draft.0.merge(every_other()).await.expect("a merge");
        assert_eq!((report.outcome, counts(&report)), (MergeOutcome::Merged, (0, ROWS as u64 / 2, 0)));
        assert_eq!(report.version, version.next(), "one commit");
        let new: Vec<_> = runs(&world.disk).difference(&before).cloned().collect();
        assert_eq!(new.len(), 2, "one for the origin and one for the clone");
        cut_at_every_write(&world, &steps.take(), &before, async |store| {
            let (main, draft) = (open_in(store, "main").await, open_in(store, "draft").await);
            let is_merged = draft.path().await.ends_with(&format!("main@{}", report.version));
            assert_eq!(sampled(&main).await, expected_of_main(is_merged));
            assert_eq!(sampled(&draft).await, vec![json!(2); samples().len()]);
            is_merged
        })
        .await;
        let changes = draft.0.diff(offshoot::engine::Side::Origin).await.expect("a diff");
        assert_eq!(changes.len(), ROWS / 2);
        assert!(
            changes.iter().all(|change| read_id(&change.key).is_some_and(|id| id.ends_with(['1', '3', '5', '7', '9'])))
        );
    });
}

/// SEMANTICS W8: so is a restore.
#[test]
fn a_large_restore_that_is_cut_off_leaves_nothing_or_all() {
    run(async |world| {
        let store = filled(&world).await;
        let main = open_in(&store, "main").await;
        let then = main.0.version();
        fill(&main, 3).await;
        let before = runs(&world.disk);
        let (store, steps) = kept_steps(&world).await;
        let version = main.0.version();
        let main = open_in(&store, "main").await;
        main.0.restore(When::Version(then), None).await.expect("a restore");
        assert_eq!(main.0.version(), version.next(), "one commit");
        cut_at_every_write(&world, &steps.take(), &before, async |store| {
            let found = sampled(&open_in(store, "main").await).await;
            let is_restored = found[0] == json!(1);
            assert_eq!(found, vec![json!(if is_restored { 1 } else { 3 }); samples().len()]);
            is_restored
        })
        .await;
    });
}

/// SEMANTICS C12, R10: another tab reads none of it or all, and reads and writes on while it is under way.
#[test]
fn others_read_and_write_on_during_a_large_merge() {
    run(async |world| {
        drop(filled(&world).await);
        let draft = open_in(&world.slow_tab().await, "draft").await;
        let other = open_in(&world.tab().await, "main").await;
        let (is_done, rounds) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
        let (until, count) = (is_done.clone(), rounds.clone());
        world.spawn(async move {
            other.ok(say::put_in("others", &[("x", json!({"n": 0}))])).await;
            let mut was_merged = false;
            while !until.get() {
                let found = sampled(&other).await;
                let is_merged = found[0] == json!(2);
                assert_eq!(found, expected_of_main(is_merged));
                assert!(is_merged || !was_merged, "it does not go away again");
                was_merged = is_merged;
                let update = offshoot::query::Update::read(&crate::support::pack(&json!({"$inc": {"n": 1}})));
                let op = offshoot::engine::Op::Update {
                    collection: say::collection("others"),
                    id: "x".into(),
                    update: update.expect("a good update"),
                };
                other.ok(op).await;
                count.set(count.get() + 1);
                // A tab that writes without a pause would leave a slow one no moment for its commit.
                for _ in 0..10 {
                    pause().await;
                }
            }
        });
        let report = draft.0.merge(every_other()).await.expect("a merge");
        is_done.set(true);
        assert_eq!(report.outcome, MergeOutcome::Merged);
        assert!(rounds.get() > 10, "the other tab went on: {}", rounds.get());
        let main = world.main().await;
        assert_eq!(sampled(&main).await, expected_of_main(true));
        assert!(main.ok(say::find_in("others")).await[0][1]["n"].as_i64() >= Some(10));
    });
}
