//! The anomalies that Hermitage catalogues, over two tabs: serializable prevents them all.
//!
//! Rows 1 and 2 hold 10 and 20. A scripted transaction loses at its first conflict, so that a test sees who lost.

use offshoot::engine::{Isolation, Op};
use serde_json::{Value, json};

use crate::support::script::Script;
use crate::support::{Db, World, once, run, say};

/// Two tabs on one store, each with a transaction open.
struct Two {
    db: [Db; 2],
    open: [Option<Script>; 2],
}

impl Two {
    async fn begin(world: &World, isolation: Isolation) -> Two {
        let first = world.main().await;
        first.ok(say::put(&[("1", json!({"n": 10})), ("2", json!({"n": 20}))])).await;
        let db = [first, world.main().await];
        let open = [
            Some(Script::begin(world, &db[0], once(isolation)).await),
            Some(Script::begin(world, &db[1], once(isolation)).await),
        ];
        Two { db, open }
    }

    async fn ok(&self, who: usize, op: Op) -> Value {
        self.open[who].as_ref().expect("it is open").ok(op).await
    }

    /// Row `id` as `who` sees it.
    async fn sees(&self, who: usize, id: &str, n: i64) {
        assert_eq!(self.ok(who, say::get(id)).await, json!([{"n": n}]), "row {id} in transaction {who}");
    }

    async fn sets(&self, who: usize, id: &str, n: i64) {
        self.ok(who, say::put(&[(id, json!({"n": n}))])).await;
    }

    async fn commits(&mut self, who: usize) -> bool {
        self.open[who].take().expect("it is open").commits().await
    }

    async fn fails(&mut self, who: usize) {
        self.open[who].take().expect("it is open").fail().await;
    }

    /// Rows 1 and 2 at the end, the same in both tabs.
    async fn rows(&self) -> (i64, i64) {
        let mut seen = Vec::new();
        for db in &self.db {
            db.0.store().refresh().await.expect("a refresh");
            let rows = db.ok(say::get_many(&["1", "2"])).await;
            seen.push((rows[0][0]["n"].as_i64().expect("a number"), rows[1][0]["n"].as_i64().expect("a number")));
        }
        assert_eq!(seen[0], seen[1], "both tabs see the same");
        seen[0]
    }
}

const BOTH: [Isolation; 2] = [Isolation::Serializable, Isolation::Snapshot];

/// SEMANTICS W8: G0, write cycles: the writes of two transactions never mix.
#[test]
fn writes_of_two_transactions_do_not_mix() {
    for isolation in BOTH {
        run(async |world| {
            let mut two = Two::begin(&world, isolation).await;
            two.sets(0, "1", 11).await;
            two.sets(1, "1", 12).await;
            two.sets(0, "2", 21).await;
            assert!(two.commits(0).await);
            two.sets(1, "2", 22).await;
            let expected = if two.commits(1).await { (12, 22) } else { (11, 21) };
            assert_eq!(two.rows().await, expected);
        });
    }
}

/// SEMANTICS W8: G1a, aborted reads: no other transaction sees a write of one that fails.
#[test]
fn what_is_taken_back_is_never_seen() {
    for isolation in BOTH {
        run(async |world| {
            let mut two = Two::begin(&world, isolation).await;
            two.sets(0, "1", 101).await;
            two.sees(1, "1", 10).await;
            two.fails(0).await;
            two.sees(1, "1", 10).await;
            assert!(two.commits(1).await);
            assert_eq!(two.rows().await, (10, 20));
        });
    }
}

/// SEMANTICS W8: G1b, intermediate reads: only what a transaction ends with is seen.
#[test]
fn what_is_overwritten_before_the_commit_is_never_seen() {
    for isolation in BOTH {
        run(async |world| {
            let mut two = Two::begin(&world, isolation).await;
            two.sets(0, "1", 101).await;
            two.sees(1, "1", 10).await;
            two.sets(0, "1", 11).await;
            assert!(two.commits(0).await);
            two.db[1].0.store().refresh().await.unwrap();
            two.sees(1, "1", 10).await;
            assert!(two.commits(1).await);
            assert_eq!(two.rows().await, (11, 20));
        });
    }
}

/// SEMANTICS W8: G1c, circular information flow: two cannot each have read what the other wrote, nor miss both.
#[test]
fn information_does_not_flow_in_circles() {
    run(async |world| {
        let mut two = Two::begin(&world, Isolation::Serializable).await;
        two.sets(0, "1", 11).await;
        two.sets(1, "2", 22).await;
        two.sees(0, "2", 20).await;
        two.sees(1, "1", 10).await;
        assert!(two.commits(0).await);
        assert!(!two.commits(1).await, "it read row 1 as it was before");
        assert_eq!(two.rows().await, (11, 20));
    });
}

/// SEMANTICS W8: OTV, an observed transaction does not vanish: a reader sees all of a commit or none of it.
#[test]
fn an_observed_transaction_does_not_vanish() {
    for isolation in BOTH {
        run(async |world| {
            let mut two = Two::begin(&world, isolation).await;
            two.sets(0, "1", 11).await;
            two.sets(0, "2", 19).await;
            two.sets(1, "1", 12).await;
            assert!(two.commits(0).await);
            let reader = Script::begin(&world, &two.db[0], once(isolation)).await;
            assert_eq!(reader.ok(say::get("1")).await, json!([{"n": 11}]));
            two.sets(1, "2", 18).await;
            let second = two.commits(1).await;
            two.db[0].0.store().refresh().await.unwrap();
            assert_eq!(reader.ok(say::get("2")).await, json!([{"n": 19}]));
            assert_eq!(reader.ok(say::get("1")).await, json!([{"n": 11}]));
            assert!(reader.commits().await);
            assert_eq!(two.rows().await, if second { (12, 18) } else { (11, 19) });
        });
    }
}

/// SEMANTICS W8: PMP, predicate-many-preceders: a scan that is made again finds the same, and its writer loses.
#[test]
fn a_scan_does_not_change_under_its_transaction() {
    for (writes, commits) in [(false, true), (true, false)] {
        run(async |world| {
            let mut two = Two::begin(&world, Isolation::Serializable).await;
            assert_eq!(two.ok(0, say::find()).await, json!([["1", {"n": 10}], ["2", {"n": 20}]]));
            two.ok(1, say::insert(&[("3", json!({"n": 30}))])).await;
            assert!(two.commits(1).await);
            two.db[0].0.store().refresh().await.unwrap();
            assert_eq!(two.ok(0, say::find()).await, json!([["1", {"n": 10}], ["2", {"n": 20}]]));
            assert_eq!(two.ok(0, say::count()).await, json!(2));
            if writes {
                two.sets(0, "sum", 30).await;
            }
            assert_eq!(two.commits(0).await, commits);
        });
    }
}

/// SEMANTICS W8: PMP for a write: deleting what a scan found loses to one that changed what the scan would find.
#[test]
fn a_write_that_follows_from_a_scan_loses_to_one_that_changed_it() {
    run(async |world| {
        let mut two = Two::begin(&world, Isolation::Serializable).await;
        two.ok(0, say::increment("1", 10)).await;
        two.ok(0, say::increment("2", 10)).await;
        let rows = two.ok(1, say::find()).await;
        let twenty: Vec<_> = rows.as_array().unwrap().iter().filter(|row| row[1]["n"] == 20).collect();
        two.ok(1, say::delete(&[twenty[0][0].as_str().unwrap()])).await;
        assert!(two.commits(0).await);
        assert!(!two.commits(1).await);
        assert_eq!(two.rows().await, (20, 30));
    });
}

/// SEMANTICS W8: P4, lost update: of two that read and then write one row, the second loses, in both isolations.
#[test]
fn no_update_is_lost() {
    for isolation in BOTH {
        run(async |world| {
            let mut two = Two::begin(&world, isolation).await;
            two.sees(0, "1", 10).await;
            two.sees(1, "1", 10).await;
            two.sets(0, "1", 11).await;
            two.sets(1, "1", 11).await;
            assert!(two.commits(0).await);
            assert!(!two.commits(1).await);
            assert_eq!(two.rows().await, (11, 20));
        });
    }
}

/// SEMANTICS W8: G-single, read skew: both reads are of one moment, and what follows from them loses.
#[test]
fn reads_do_not_skew() {
    for isolation in BOTH {
        run(async |world| {
            let mut two = Two::begin(&world, isolation).await;
            two.sees(0, "1", 10).await;
            two.sees(1, "1", 10).await;
            two.sees(1, "2", 20).await;
            two.sets(1, "1", 12).await;
            two.sets(1, "2", 18).await;
            assert!(two.commits(1).await);
            two.db[0].0.store().refresh().await.unwrap();
            two.sees(0, "2", 20).await;
            two.ok(0, say::delete(&["2"])).await;
            assert!(!two.commits(0).await);
            assert_eq!(two.rows().await, (12, 18));
        });
    }
}

/// SEMANTICS W8: G2-item, write skew: prevented by serializable, and what `snapshot` allows.
#[test]
fn writes_do_not_skew_unless_a_snapshot_is_enough() {
    for (isolation, both) in [(Isolation::Serializable, false), (Isolation::Snapshot, true)] {
        run(async |world| {
            let mut two = Two::begin(&world, isolation).await;
            for who in [0, 1] {
                two.sees(who, "1", 10).await;
                two.sees(who, "2", 20).await;
            }
            two.sets(0, "1", 11).await;
            two.sets(1, "2", 21).await;
            assert!(two.commits(0).await);
            assert_eq!(two.commits(1).await, both, "{isolation:?}");
            assert_eq!(two.rows().await, if both { (11, 21) } else { (11, 20) });
        });
    }
}

/// SEMANTICS W8: G2, anti-dependency cycles over a scan: two that both found nothing cannot both insert.
#[test]
fn two_that_found_nothing_cannot_both_fill_the_gap() {
    for (isolation, both) in [(Isolation::Serializable, false), (Isolation::Snapshot, true)] {
        run(async |world| {
            let mut two = Two::begin(&world, isolation).await;
            assert_eq!(two.ok(0, say::count()).await, json!(2));
            assert_eq!(two.ok(1, say::count()).await, json!(2));
            two.ok(0, say::insert(&[("3", json!({"n": 30}))])).await;
            two.ok(1, say::insert(&[("4", json!({"n": 42}))])).await;
            assert!(two.commits(0).await);
            assert_eq!(two.commits(1).await, both, "{isolation:?}");
            let count = two.db[1].ok(say::count()).await;
            assert_eq!(count, json!(if both { 4 } else { 3 }));
        });
    }
}

/// SEMANTICS W8: G2 with two edges: one that only reads sees a serial order of the others.
#[test]
fn a_reader_between_two_writers_sees_an_order() {
    run(async |world| {
        let mut two = Two::begin(&world, Isolation::Serializable).await;
        two.ok(0, say::find()).await;
        two.sets(1, "2", 25).await;
        assert!(two.commits(1).await);
        two.db[0].0.store().refresh().await.unwrap();
        let reader = Script::begin(&world, &two.db[0], once(Isolation::Serializable)).await;
        assert_eq!(reader.ok(say::find()).await, json!([["1", {"n": 10}], ["2", {"n": 25}]]));
        assert!(reader.commits().await);
        two.sets(0, "1", 0).await;
        assert!(!two.commits(0).await, "the reader saw row 2 changed and row 1 not");
        assert_eq!(two.rows().await, (10, 25));
    });
}
