//! How much a call looks at: counted, not timed.

use std::future::Future;

use offshoot::engine::OpenOptions;
use offshoot::engine::op::{Answer, Op};
use serde_json::{Value, json};

use crate::support::{Db, open_in, rest, run, say};

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

/// What a call answers, and how much it looked at.
async fn measured<T>(db: &Db, call: impl Future<Output = T>) -> (T, u64) {
    let begin = db.0.store().examined();
    let answer = call.await;
    (answer, db.0.store().examined() - begin)
}

async fn head(db: &Db) -> (String, u64) {
    let (answer, all) = measured(db, db.0.run(first(), None)).await;
    let Answer::Documents(page) = answer.expect("it answers") else { panic!("documents") };
    (page.rows[0].0.clone(), all)
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
        // Whatever comes back is found.
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
        let (answer, all) = measured(&main, main.0.run(say::count(), None)).await;
        assert!(matches!(answer, Ok(Answer::Count(60_000))), "{answer:?}");
        assert!(all < 6000, "{all} looked at");
        // A few changes cost a few blocks.
        main.ok(say::put(&[("030000", json!({"n": 0})), ("030000b", json!({"n": 0}))])).await;
        main.ok(say::delete(&["010000"])).await;
        let (answer, all) = measured(&main, main.0.run(say::count(), None)).await;
        assert!(matches!(answer, Ok(Answer::Count(60_000))), "{answer:?}");
        assert!(all < 8000, "{all} looked at");
        let draft = main.clone_as("draft").await;
        draft.ok(say::delete(&["020000", "040000"])).await;
        let (answer, all) = measured(&draft, draft.0.run(say::count(), None)).await;
        assert!(matches!(answer, Ok(Answer::Count(59_998))), "{answer:?}");
        assert!(all < 10_000, "{all} looked at");
    });
}
