//! Databases as they were.

use offshoot::engine::When;
use offshoot::error::{Detail, ErrorCode};
use offshoot::lsm::Manifest;
use offshoot::storage::{Batch, ListRange, Space};
use offshoot::types::Lsn;
use serde_json::{Value, json};

use crate::support::memory::allocations;
use crate::support::{Db, World, read, run, say};

async fn count_at(db: &Db, when: When) -> Value {
    let snapshot = db.0.at(when).await.expect("history holds it");
    assert!(!snapshot.predates_clone());
    read(&snapshot, say::count()).await
}

/// SEMANTICS R6: every version of a root, a clone and a clone's clone, before and after a restart.
#[test]
fn any_database_can_be_read_as_it_was() {
    run(async |world| {
        let main = world.main().await;
        let mut line = vec![main];
        let mut expected = Vec::new();
        for depth in 0..3 {
            for n in 0..3 {
                line[depth].ok(say::insert(&[(&format!("{depth}-{n}"), json!({}))])).await;
                line[depth].ok(say::kv_set("last", json!([depth, n]))).await;
                expected.push((depth, line[depth].0.version(), 3 * depth + n + 1, json!([[depth, n]])));
            }
            line.push(line[depth].clone_as(&format!("clone{depth}")).await);
        }
        for (depth, lsn, count, last) in expected {
            for db in [&line[depth], &line[depth].reopened(&world).await] {
                let snapshot = db.0.at(When::Version(lsn)).await.unwrap();
                assert_eq!(snapshot.version(), lsn);
                assert_eq!(read(&snapshot, say::count()).await, json!(count));
                assert_eq!(read(&snapshot, say::kv_get("last")).await, last);
            }
        }
    });
}

/// SEMANTICS R6: a time names the last commit that is not after it, also where the clock went back.
#[test]
fn a_time_names_the_last_commit_that_is_not_after_it() {
    run(async |world| {
        let main = world.main().await;
        let begin = world.now.get();
        for (n, time) in [(1, 10), (2, 20), (3, 15), (4, 30)] {
            world.now.set(begin + time);
            main.ok(say::insert(&[(&n.to_string(), json!({}))])).await;
        }
        for (time, count) in [(9, 0), (10, 1), (14, 1), (15, 3), (19, 3), (20, 3), (29, 3), (30, 4), (9999, 4)] {
            assert_eq!(count_at(&main, When::Time(begin + time)).await, json!(count), "at {time}");
        }
    });
}

/// SEMANTICS R6: wherever the commits stand, and however the clock jumped.
#[test]
fn a_time_names_that_commit_in_a_long_history() {
    run(async |world| {
        let main = world.main().await;
        let begin = world.now.get();
        let mut times = Vec::new();
        for n in 0..150u64 {
            let time = if n % 50 == 33 { world.draw() % 200 } else { n + world.draw() % 20 };
            world.now.set(begin + time);
            main.ok(say::insert(&[(&n.to_string(), json!({}))])).await;
            times.push(time);
            if n % 60 == 40 {
                main.0.store().maintain().await.expect("a checkpoint");
            }
            if n == 110 {
                main.0.store().compact_all().await.expect("a compaction");
            }
        }
        let there = main.reopened(&world).await;
        for time in 0..220 {
            let count = times.iter().rposition(|other| *other <= time).map_or(0, |last| last + 1);
            assert_eq!(count_at(&there, When::Time(begin + time)).await, json!(count), "at {time} of {times:?}");
        }
    });
}

/// The cost of finding a time grows with the logarithm of the history. The test counts allocations.
#[test]
fn an_old_time_is_found_as_soon_in_a_history_four_times_as_long() {
    let mut work = Vec::new();
    for commits in [500, 2000] {
        run(async |world| {
            let main = world.main().await;
            let begin = world.now.get();
            for n in 1..=commits {
                world.now.set(begin + 10 * n);
                main.ok(say::kv_set("n", json!(n))).await;
            }
            main.0.store().compact_all().await.expect("a compaction");
            let db = main.reopened(&world).await;
            let _warm = db.0.at(When::Time(begin + 25)).await.expect("the past");
            let before = allocations();
            let snapshot = db.0.at(When::Time(begin + 25)).await.expect("the past");
            work.push(allocations() - before);
            assert_eq!(read(&snapshot, say::kv_get("n")).await, json!([2]));
        });
    }
    assert!(work[1] <= work[0] * 3 / 2, "{work:?} allocations");
}

/// SEMANTICS R6: a time before the clone was made reads as empty, and says so.
#[test]
fn a_time_before_the_clone_was_made_reads_as_empty() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({}))])).await;
        let (before, time) = (main.0.version(), world.now.get());
        world.now.set(time + 10);
        let clone = main.clone_as("clone").await;
        for db in [&clone, &clone.reopened(&world).await] {
            for when in [When::Version(before), When::Version(Lsn::ZERO), When::Time(time + 9), When::Time(0)] {
                let snapshot = db.0.at(when).await.expect("it is no error");
                assert!(snapshot.predates_clone(), "{when:?}");
                assert_eq!(read(&snapshot, say::get("a")).await, Value::Null);
                assert_eq!(read(&snapshot, say::find()).await, json!([]));
                assert_eq!(read(&snapshot, say::kv_list(true)).await, json!([]));
                assert_eq!(read(&snapshot, say::count()).await, json!(0));
            }
            assert_eq!(count_at(db, When::Version(before.next())).await, json!(1), "from its own commit on");
            assert_eq!(count_at(db, When::Time(time + 10)).await, json!(1));
        }
    });
}

/// SEMANTICS R6: a version that is yet to come is nobody's.
#[test]
fn a_version_of_the_future_is_refused() {
    run(async |world| {
        let (here, there) = (world.main().await, world.main().await);
        let error = here.0.at(When::Version(Lsn(2))).await.err().expect("there is none yet");
        assert_eq!(error.code(), ErrorCode::InvalidOption);
        there.ok(say::insert(&[("a", json!({}))])).await;
        assert_eq!(count_at(&here, When::Version(Lsn(2))).await, json!(1), "another tab made it: it is asked for");
    });
}

/// Raises the history floor, as a vacuum does before it drops versions.
fn raise_floor(world: &World, floor: u64) {
    let listing = ListRange { limit: 9, ..Manifest::listing() };
    let (name, bytes) = world.disk.list(Space::Meta, &listing).pop().expect("a manifest");
    let mut manifest = Manifest::decode(&bytes).unwrap();
    manifest.floor = floor;
    manifest.version += 1;
    let mut batch = Batch { delete: vec![(Space::Meta, name)], ..Batch::default() };
    let (space, name) = manifest.place();
    batch.put.push((space, name, manifest.encode()));
    assert!(world.disk.write(batch).is_written());
}

/// SEMANTICS R6: a point that history no longer holds is an error that names the oldest point, never a wrong answer.
#[test]
fn a_point_older_than_history_is_refused() {
    run(async |world| {
        let main = world.main().await;
        for n in 0..4 {
            main.ok(say::insert(&[(&n.to_string(), json!({}))])).await;
        }
        raise_floor(&world, 3);
        for db in [&main.reopened(&world).await, &main] {
            db.0.store().refresh().await.unwrap();
            let pruned = db.0.at(When::Version(Lsn(2))).await.err().expect("it is gone");
            assert_eq!(pruned.code(), ErrorCode::HistoryPruned);
            assert_eq!(pruned.details(), [("oldest", Detail::Text(Lsn(3).to_text()))]);
            let clone = db.clone_at("clone", When::Version(Lsn(2))).await.err().expect("it is gone");
            assert_eq!(clone.code(), ErrorCode::HistoryPruned);
            assert_eq!(count_at(db, When::Version(Lsn(3))).await, json!(2));
        }
    });
}

/// SEMANTICS R6, R4: a snapshot stays as it is, whatever is written, cloned or dropped after it.
#[test]
fn a_snapshot_does_not_move() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1})), ("b", json!({}))])).await;
        let clone = main.clone_as("clone").await;
        clone.ok(say::increment("a", 1)).await;
        let snapshots = [main.snapshot().await, clone.snapshot().await];
        for db in [&main, &clone] {
            db.ok(say::increment("a", 100)).await;
            db.ok(say::delete(&["b"])).await;
            db.ok(say::insert(&[("c", json!({}))])).await;
        }
        clone.0.drop_database().await.unwrap();
        for (n, snapshot) in snapshots.iter().enumerate() {
            assert_eq!(read(snapshot, say::find()).await, json!([["a", {"n": n + 1}], ["b", {}]]));
            let write = snapshot.run(say::put(&[("x", json!({}))])).await.expect_err("it is read only");
            assert_eq!(write.code(), ErrorCode::InvalidOption);
            snapshot.close();
            assert_eq!(snapshot.run(say::count()).await.err().unwrap().code(), ErrorCode::Closed);
        }
    });
}

/// SEMANTICS R6, C9: a dropped database has no past that its handle could go back to.
#[test]
fn going_back_on_the_handle_of_a_dropped_database_is_closed() {
    run(async |world| {
        let clone = world.main().await.clone_as("clone").await;
        let version = clone.0.version();
        let same = clone.reopened(&world).await;
        clone.0.drop_database().await.expect("nothing depends on it");
        assert_eq!(clone.0.at(When::Version(version)).await.err().expect("it fails").code(), ErrorCode::Closed);
        same.0.store().refresh().await.expect("it hears of the drop");
        assert_eq!(same.0.at(When::Version(version)).await.err().expect("it fails").code(), ErrorCode::Closed);
    });
}
