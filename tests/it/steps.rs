//! How much a call looks at, in one go and in all: counted, not timed.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use offshoot::engine::op::{Answer, Op};
use offshoot::engine::{AtOnce, Ended, OpenOptions, OpenTransaction, TransactionOptions};
use offshoot::error::{Error, ErrorCode};
use serde_json::{Value, json};

use crate::support::memory::{live, peak, reset_peak};
use crate::support::{Db, World, open_in, rest, run, say};

/// A synchronous answer, and each step of a longer one, looks at no more rows.
const STEP: u64 = 2000;
/// The last row of a step may have several versions, on several levels.
const SLACK: u64 = 64;

fn key(n: usize) -> String {
    format!("{n:06}")
}

async fn fill(db: &Db, rows: std::ops::Range<usize>) {
    let keys: Vec<usize> = rows.collect();
    for some in keys.chunks(1000) {
        let some: Vec<(String, Value)> = some.iter().map(|n| (key(*n), json!({"n": n}))).collect();
        db.ok(say::put(&some.iter().map(|(id, row)| (&id[..], row.clone())).collect::<Vec<_>>())).await;
    }
}

async fn delete(db: &Db, rows: std::ops::Range<usize>) {
    for n in rows {
        db.ok(say::delete(&[&key(n)])).await;
    }
}

fn first() -> Op {
    Op::Find { collection: say::collection("todos"), after: None, rest: None, skip: 0, limit: Some(1) }
}

/// The answer of a call, the most versions that it examined between two pauses, and all that it examined.
async fn measured<T>(db: &Db, call: impl Future<Output = T>) -> (T, u64, u64) {
    let store = db.0.store().clone();
    let begin = store.examined();
    let (mut call, mut most) = (pin!(call), 0);
    let answer = std::future::poll_fn(|context| {
        let before = store.examined();
        let polled = call.as_mut().poll(context);
        most = most.max(store.examined() - before);
        polled
    })
    .await;
    (answer, most, store.examined() - begin)
}

async fn head(db: &Db) -> (String, u64) {
    let (answer, _, all) = measured(db, db.0.run(first(), None)).await;
    let Answer::Documents(page) = answer.expect("it answers") else { panic!("documents") };
    (page.rows[0].0.clone(), all)
}

async fn overwritten(world: &World) -> Db {
    let main = world.main().await;
    fill(&main, 0..9000).await;
    // Each row has two versions, so that no figures are enough.
    fill(&main, 0..9000).await;
    main
}

#[test]
fn a_long_count_goes_on_in_steps_from_where_its_synchronous_part_ended() {
    run(async |world| {
        let main = overwritten(&world).await;
        for db in [main.clone(), main.clone_as("draft").await] {
            let begin = db.0.store().examined();
            let AtOnce::Unfinished(unfinished) = db.0.run_at_once(&say::count()).unwrap() else { panic!("too long") };
            let at_once = db.0.store().examined() - begin;
            assert!((STEP..STEP + SLACK).contains(&at_once), "{at_once}");
            // A row that is committed meanwhile is not counted: the call began before.
            db.ok(say::put(&[("zzz", json!({}))])).await;
            let (answer, most, all) = measured(&db, db.0.finish(say::count(), unfinished)).await;
            assert!(matches!(answer, Ok(Answer::Count(9000))), "{answer:?}");
            assert!(most < STEP + SLACK, "{most} between two pauses");
            assert!(all < 17_000, "it began again: {all}");
            db.ok(say::delete(&["zzz"])).await;
        }
    });
}

#[test]
fn long_reads_of_snapshots_and_transactions_are_done_in_steps() {
    run(async |world| {
        let main = overwritten(&world).await;
        let ids: Vec<String> = (0..9000).map(key).collect();
        let many = Op::GetMany { collection: say::collection("todos"), ids };
        let skipping =
            Op::Find { collection: say::collection("todos"), after: None, rest: None, skip: 8999, limit: None };
        let snapshot = main.snapshot().await;
        for op in [say::count(), many, skipping] {
            assert!(matches!(snapshot.run_at_once(&op), Ok(AtOnce::Unfinished(_))), "{:.60}", format!("{op:?}"));
            let (answer, most, _) = measured(&main, snapshot.run(op.clone())).await;
            assert!(answer.is_ok() && most < STEP + SLACK, "{most} for {op:?}");
            let body = async |open: std::rc::Rc<offshoot::engine::OpenTransaction>| {
                let AtOnce::Unfinished(unfinished) = open.run_at_once(&op)? else { panic!("too long for one go") };
                let (answer, most, _) = measured(&main, open.finish(op.clone(), unfinished)).await;
                assert!(answer.is_ok() && most < STEP + SLACK, "{most} for {op:?}");
                Ok::<_, offshoot::error::Error>(())
            };
            main.0.transact(TransactionOptions::default(), body).await.unwrap();
        }
    });
}

/// Rows that came after a snapshot was taken are not visible in it, and are walked all the same.
#[test]
fn rows_that_a_snapshot_does_not_see_are_walked_in_steps_too() {
    run(async |world| {
        let main = world.main().await;
        for n in [0, 9999] {
            main.ok(say::kv_set(&key(n), json!(n))).await;
        }
        let before = main.snapshot().await;
        let later: Vec<usize> = (1..9000).collect();
        for some in later.chunks(1000) {
            let entries: Vec<_> = some.iter().map(|n| (key(*n), json!(n))).collect();
            let entries: Vec<_> = entries.iter().map(|(key, value)| (&key[..], value.clone())).collect();
            main.ok(say::kv_set_many(&entries)).await;
        }
        for is_compacted in [false, true] {
            if is_compacted {
                main.0.store().compact_all().await.expect("a compaction");
                rest().await;
            }
            for op in [say::kv_count(), say::kv_list(false), say::kv_list(true)] {
                let begin = main.0.store().examined();
                let at_once = before.run_at_once(&op).unwrap();
                let examined = main.0.store().examined() - begin;
                assert!(examined < STEP + SLACK, "{examined} for {op:?}");
                match at_once {
                    // The page ends where the step does.
                    AtOnce::Done(Answer::Entries(page)) => assert!(page.rows.len() == 1 && page.rest.is_some()),
                    AtOnce::Done(other) => panic!("{other:?}"),
                    AtOnce::Unfinished(unfinished) => {
                        let (answer, most, all) = measured(&main, before.finish(unfinished)).await;
                        assert!(matches!(answer, Ok(Answer::Count(2))), "{answer:?}");
                        assert!(most < STEP + SLACK, "{most} between two pauses");
                        assert!(all < 12_000, "{all} in all");
                    }
                }
            }
        }
    });
}

#[test]
fn the_head_of_a_queue_costs_the_same_however_much_was_deleted_before_it() {
    run(async |world| {
        let main = world.main().await;
        fill(&main, 0..6000).await;
        for done in (0..5000).step_by(50) {
            assert_eq!(head(&main).await.0, key(done));
            delete(&main, done..done + 50).await;
            let (found, all) = head(&main).await;
            assert_eq!(found, key(done + 50));
            assert!(all <= 150, "{all} looked at behind {done} deleted rows");
        }
        // Jobs that come at the end, so many that they are a run of their own, bring nothing back.
        let text = "x".repeat(1000);
        let more: Vec<_> = (6000..8000).map(|n| (key(n), json!({"text": text}))).collect();
        main.ok(say::put(&more.iter().map(|(id, row)| (&id[..], row.clone())).collect::<Vec<_>>())).await;
        let (found, all) = head(&main).await;
        assert!(found == key(5000) && all <= 150, "{all} looked at behind a run");
        // A row that comes back is found.
        main.ok(say::put(&[(&key(17), json!({"again": true}))])).await;
        assert_eq!(head(&main).await.0, key(17));
        delete(&main, 17..18).await;
        assert_eq!(head(&main).await.0, key(5000));
        let draft = main.clone_as("draft").await;
        assert_eq!(head(&draft).await.0, key(5000));
        draft.ok(say::put(&[(&key(3), json!({"again": true}))])).await;
        assert_eq!(head(&draft).await.0, key(3));
        assert_eq!(head(&main).await.0, key(5000));
    });
}

#[test]
fn blocks_of_deleted_rows_are_not_read() {
    run(async |world| {
        let options = || OpenOptions { cache_bytes: 1, ..OpenOptions::default() };
        let main = open_in(&world.try_tab(options()).await.unwrap(), "main").await;
        fill(&main, 0..40_000).await;
        let before = main.snapshot().await;
        for from in (0..39_000).step_by(1000) {
            let ids: Vec<String> = (from..from + 1000).map(key).collect();
            main.ok(say::delete(&ids.iter().map(|id| &id[..]).collect::<Vec<_>>())).await;
        }
        main.0.store().compact_all().await.expect("a compaction");
        rest().await;
        let (found, all) = head(&main).await;
        assert_eq!(found, key(39_000));
        assert!(all < 1500, "{all} looked at");
        assert_eq!(main.ok(say::count()).await, json!(1000));
        // History holds them.
        let Answer::Count(count) = before.run(say::count()).await.unwrap() else { panic!("a count") };
        assert_eq!(count, 40_000);
    });
}

#[test]
fn a_count_of_rows_that_nothing_lies_over_reads_their_index() {
    run(async |world| {
        let main = world.main().await;
        fill(&main, 0..60_000).await;
        main.0.store().compact_all().await.expect("a compaction");
        rest().await;
        let (answer, _, all) = measured(&main, main.0.run(say::count(), None)).await;
        assert!(matches!(answer, Ok(Answer::Count(60_000))), "{answer:?}");
        assert!(all < 6000, "{all} looked at");
        // A few changes cost a few blocks.
        main.ok(say::put(&[("030000", json!({"n": 0})), ("030000b", json!({"n": 0}))])).await;
        main.ok(say::delete(&["010000"])).await;
        let (answer, _, all) = measured(&main, main.0.run(say::count(), None)).await;
        assert!(matches!(answer, Ok(Answer::Count(60_000))), "{answer:?}");
        assert!(all < 8000, "{all} looked at");
        let draft = main.clone_as("draft").await;
        draft.ok(say::delete(&["020000", "040000"])).await;
        let (answer, _, all) = measured(&draft, draft.0.run(say::count(), None)).await;
        assert!(matches!(answer, Ok(Answer::Count(59_998))), "{answer:?}");
        assert!(all < 10_000, "{all} looked at");
    });
}

/// A row that is written again and again is one row to a walk.
#[test]
fn a_row_of_many_versions_costs_little_to_walk_past() {
    run(async |world| {
        let main = world.main().await;
        for n in 0..10 {
            main.ok(say::kv_set(&key(n), json!(n))).await;
        }
        let before = main.snapshot().await;
        for n in 0..3000 {
            main.ok(say::kv_set(&key(5), json!(n))).await;
        }
        for compacted in [false, true] {
            if compacted {
                main.0.store().compact_all().await.expect("a compaction");
            }
            for reverse in [false, true] {
                for snapshot in [&before, &main.snapshot().await] {
                    let (answer, _, all) = measured(&main, snapshot.run(say::kv_list(reverse))).await;
                    let Ok(Answer::Entries(page)) = answer else { panic!("entries") };
                    assert_eq!(page.rows.len(), 10);
                    assert!(all < 100, "{all} looked at, reverse={reverse}");
                }
            }
        }
    });
}

/// SEMANTICS W6, W7, R5: of two calls that a body makes at once one comes first, and the other sees all that it wrote.
#[test]
fn a_call_of_a_transaction_never_sees_a_part_of_another_one() {
    run(async |world| {
        let main = overwritten(&world).await;
        let rows: Vec<(String, Value)> = (0..9000).map(|n| (key(n), json!({"n": n}))).collect();
        let insert = say::insert(&rows.iter().map(|(id, row)| (&id[..], row.clone())).collect::<Vec<_>>());
        let delete =
            Op::Delete { collection: say::collection("todos"), ids: rows.into_iter().map(|(id, _)| id).collect() };
        let body = async |open: Rc<OpenTransaction>| {
            // A row comes where the count has been, and another one goes where it comes later.
            let AtOnce::Unfinished(unfinished) = open.run_at_once(&say::count())? else {
                panic!("too long for one go")
            };
            open.run(say::put(&[("000003b", json!({}))])).await?;
            open.run(say::delete(&[&key(8999)])).await?;
            let counted = open.finish(say::count(), unfinished).await?;
            assert!(matches!(counted, Answer::Count(9000)), "{counted:?}");
            // Another call puts two rows while all rows are deleted: both of them are deleted, or none.
            open.run(delete.clone()).await?;
            let two = say::put(&[(&key(3), json!({})), (&key(8999), json!({}))]);
            let (deleted, written) = beside(open.run(delete.clone()), open.run(two)).await;
            written?;
            assert!(matches!(deleted?, Answer::Count(0 | 2)));
            // An insert that was under way does not overwrite the row that another call puts.
            open.run(delete.clone()).await?;
            let (inserted, written) =
                beside(open.run(insert.clone()), open.run(say::put(&[(&key(3), json!({}))]))).await;
            written?;
            let code = inserted.expect_err("the row is there").code();
            assert_eq!(code, ErrorCode::KeyExists);
            Ok::<_, offshoot::error::Error>(())
        };
        main.0.transact(TransactionOptions::default(), body).await.unwrap();
    });
}

/// The answers of two calls. The second call begins once the first one has taken a step.
async fn beside<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> (A, B) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let early = std::future::poll_fn(|context| Poll::Ready(one.as_mut().poll(context))).await;
    let second = other.as_mut().await;
    match early {
        Poll::Ready(first) => (first, second),
        Poll::Pending => (one.await, second),
    }
}

/// Each call of a body would look at all that the body wrote before.
#[test]
fn a_read_beside_many_writes_of_its_body_holds_little() {
    run(async |world| {
        let main = world.main().await;
        let body = async |transaction: Rc<OpenTransaction>| {
            for from in (0..20_000).step_by(1000) {
                let some: Vec<(String, Value)> = (from..from + 1000).map(|n| (key(n), json!({}))).collect();
                let some: Vec<(&str, Value)> = some.iter().map(|(id, row)| (&id[..], row.clone())).collect();
                transaction.run(say::put(&some)).await?;
            }
            let before = live();
            reset_peak();
            transaction.run(first()).await?;
            Ok::<_, Error>(peak() - before)
        };
        let ended = main.0.transact(TransactionOptions::default(), body).await.expect("it commits");
        let Ended::Committed(held, _) = ended else { panic!("it commits") };
        assert!(held < 64 * 1024, "it holds {held} bytes to find one row");
    });
}
