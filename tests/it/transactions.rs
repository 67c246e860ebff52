//! Transactions: one snapshot, all or nothing, and what happens when others are faster.

use std::cell::Cell;
use std::rc::Rc;

use offshoot::engine::op::Condition;
use offshoot::engine::{CloneOptions, Ended, Isolation, OpenTransaction, TransactionOptions};
use offshoot::error::{Error, ErrorCode};
use serde_json::{Value, json};

use crate::support::place::everywhere;
use crate::support::script::Script;
use crate::support::{Db, json as told, once, run, say};

/// SEMANTICS W8: a transaction sees its own writes at once, and nobody else sees them before it commits.
#[test]
fn a_transaction_sees_its_own_writes_and_nobody_else_does() {
    everywhere(&[say::insert(&[("a", json!({"n": 1})), ("b", json!({}))])], async |place| {
        let open = Script::begin(&place.world, place.db(), once(Isolation::Serializable)).await;
        assert_eq!(open.ok(say::increment("a", 1)).await, json!(true));
        assert_eq!(open.ok(say::delete(&["b"])).await, json!(1));
        assert_eq!(open.ok(say::insert(&[("c", json!({}))])).await, json!(["c"]));
        assert_eq!(open.ok(say::kv_set("k", json!(1))).await, json!(true));
        assert_eq!(open.ok(say::kv_set_field("m", "n", Some(json!(1)))).await, Value::Null);
        assert_eq!(open.ok(say::get("a")).await, json!([{"n": 2}]));
        assert_eq!(open.ok(say::find()).await, json!([["a", {"n": 2}], ["c", {}]]));
        assert_eq!(open.ok(say::count()).await, json!(2));
        assert_eq!(open.ok(say::kv_list(true)).await, json!([["m", {"n": 1}], ["k", 1]]));
        place.reads(say::find(), json!([["a", {"n": 1}], ["b", {}]])).await;
        place.reads(say::kv_count(), json!(0)).await;
        let before = place.db().0.version();
        assert!(open.commits().await);
        assert_eq!(place.db().0.version(), before.next(), "all of it is one commit");
        place.reads(say::find(), json!([["a", {"n": 2}], ["c", {}]])).await;
        place.reads(say::kv_list(false), json!([["k", 1], ["m", {"n": 1}]])).await;
        place.origins_read(say::find(), json!([["a", {"n": 1}], ["b", {}]])).await;
    });
}

/// SEMANTICS W8: a body that fails has written nothing, and its own error comes out.
#[test]
fn what_a_body_throws_undoes_it() {
    everywhere(&[say::insert(&[("a", json!({"n": 1}))])], async |place| {
        let before = place.db().0.version();
        let body = async |transaction: Rc<OpenTransaction>| {
            transaction.run(say::increment("a", 1)).await.map_err(|_| "a call")?;
            transaction.run(say::kv_set("k", json!(1))).await.map_err(|_| "a call")?;
            Err::<(), _>("the body's own")
        };
        let ended = place.db().0.transact(TransactionOptions::default(), body).await.unwrap();
        assert!(matches!(ended, Ended::Failed("the body's own")));
        assert_eq!(place.db().0.version(), before);
        place.reads(say::find(), json!([["a", {"n": 1}]])).await;
        place.reads(say::kv_count(), json!(0)).await;
    });
}

/// SEMANTICS W6, W8: a call that fails leaves nothing in a transaction that catches the error and goes on.
#[test]
fn a_call_that_failed_leaves_nothing_in_its_transaction() {
    everywhere(&[say::insert(&[("a", json!({"n": "text"})), ("b", json!({}))])], async |place| {
        let open = Script::begin(&place.world, place.db(), once(Isolation::Serializable)).await;
        open.ok(say::put(&[("c", json!({"n": 1}))])).await;
        let taken = open.run(say::insert(&[("d", json!({})), ("c", json!({}))])).await.unwrap_err();
        assert_eq!(taken.code(), ErrorCode::KeyExists);
        assert_eq!(open.run(say::increment("a", 1)).await.unwrap_err().code(), ErrorCode::NotANumber);
        assert_eq!(open.ok(say::find()).await, json!([["a", {"n": "text"}], ["b", {}], ["c", {"n": 1}]]));
        assert!(open.commits().await);
        place.reads(say::find(), json!([["a", {"n": "text"}], ["b", {}], ["c", {"n": 1}]])).await;
    });
}

/// SEMANTICS W8: once its body is over, a transaction is closed.
#[test]
fn a_transaction_ends_with_its_body() {
    run(async |world| {
        let main = world.main().await;
        let kept = Cell::new(None);
        let body = async |transaction: Rc<OpenTransaction>| {
            kept.set(Some(transaction));
            Ok::<_, Error>(())
        };
        main.0.transact(TransactionOptions::default(), body).await.unwrap();
        let transaction = kept.take().expect("it ran");
        for op in [say::get("a"), say::put(&[("a", json!({}))])] {
            assert_eq!(transaction.run(op.clone()).await.err().unwrap().code(), ErrorCode::Closed);
            assert_eq!(transaction.run_at_once(&op).err().unwrap().code(), ErrorCode::Closed);
        }
    });
}

/// How often a body ran that increments `a`, while another increments it in its first `disturbed` runs.
async fn attempts(db: &Db, disturbed: u32, options: TransactionOptions) -> (u32, Result<(), ErrorCode>) {
    let tries = Cell::new(0);
    let body = async |transaction: Rc<OpenTransaction>| {
        tries.set(tries.get() + 1);
        let before = told(transaction.run(say::get("a")).await?);
        if tries.get() <= disturbed {
            db.ok(say::increment("a", 1)).await;
        }
        let n = before[0]["n"].as_i64().expect("a number");
        transaction.run(say::put(&[("a", json!({"n": n + 100}))])).await
    };
    let outcome = db.0.transact(options, body).await;
    (tries.get(), outcome.map(drop).map_err(|error| error.code()))
}

/// SEMANTICS W8: after a conflict the body runs again on what is there now; eight times more, unless told otherwise.
#[test]
fn a_body_that_lost_runs_again() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 0}))])).await;
        assert_eq!(attempts(&main, 3, TransactionOptions::default()).await, (4, Ok(())));
        assert_eq!(main.ok(say::get("a")).await, json!([{"n": 103}]));
        assert_eq!(attempts(&main, 99, TransactionOptions::default()).await, (9, Err(ErrorCode::Conflict)));
        assert_eq!(main.ok(say::get("a")).await, json!([{"n": 112}]));
        assert_eq!(attempts(&main, 99, once(Isolation::Serializable)).await, (1, Err(ErrorCode::Conflict)));
        assert_eq!(attempts(&main, 0, once(Isolation::Serializable)).await, (1, Ok(())));
    });
}

/// SEMANTICS W8: one that read nothing that changed does not lose.
#[test]
fn transactions_on_different_rows_do_not_meet() {
    everywhere(&[say::insert(&[("a", json!({"n": 1})), ("b", json!({"n": 1}))])], async |place| {
        let open = Script::begin(&place.world, place.db(), once(Isolation::Serializable)).await;
        open.ok(say::increment("a", 1)).await;
        open.ok(say::get("absent")).await;
        place.ok(say::increment("b", 1)).await;
        place.ok(say::insert(&[("c", json!({}))])).await;
        place.ok(say::kv_set("a", json!(1))).await;
        for origin in place.origins() {
            origin.ok(say::put(&[("a", json!({"n": 50}))])).await;
        }
        assert!(open.commits().await, "what an origin writes is not below this one");
        place.reads(say::find(), json!([["a", {"n": 2}], ["b", {"n": 2}], ["c", {}]])).await;
    });
}

/// SEMANTICS W8, W3: a row, a tombstone or a collection that was read as absent is checked too.
#[test]
fn what_was_absent_is_checked() {
    everywhere(&[say::insert(&[("a", json!({}))])], async |place| {
        for (reads, disturbs) in [
            (say::get("b"), say::insert(&[("b", json!({}))])),
            (say::increment("c", 1), say::insert(&[("c", json!({}))])),
            (say::delete(&["d"]), say::insert(&[("d", json!({}))])),
            (say::get("a"), say::delete(&["a"])),
            (say::kv_get("k"), say::kv_set("k", json!(1))),
            (say::kv_has("l"), say::kv_set("l", json!(1))),
            (say::kv_set_field("m", "x", None), say::kv_set("m", json!({}))),
            (say::find_in("new"), say::put_in("new", &[("x", json!({}))])),
        ] {
            let open = Script::begin(&place.world, place.db(), once(Isolation::Serializable)).await;
            open.ok(reads.clone()).await;
            open.ok(say::put(&[("own", json!({}))])).await;
            place.ok(disturbs).await;
            assert!(!open.commits().await, "{reads:?}");
        }
        place.reads(say::get("own"), Value::Null).await;
    });
}

/// SEMANTICS W12: a database that was dropped, or dropped and made again, under a transaction.
#[test]
fn a_transaction_whose_database_was_dropped_does_not_commit() {
    for remade in [false, true] {
        run(async |world| {
            let main = world.main().await;
            main.ok(say::insert(&[("a", json!({"n": 1}))])).await;
            let clone = main.clone_as("clone").await;
            let other = crate::support::open_in(&world.tab().await, "clone").await;
            let (blind, reading) = (
                Script::begin(&world, &clone, TransactionOptions::default()).await,
                Script::begin(&world, &clone, once(Isolation::Snapshot)).await,
            );
            blind.ok(say::put(&[("b", json!({}))])).await;
            reading.ok(say::increment("a", 1)).await;
            other.0.drop_database().await.unwrap();
            if remade {
                other.0.store().refresh().await.unwrap();
                crate::support::open_in(other.0.store(), "main").await.clone_as("clone").await;
            }
            assert!(!reading.commits().await, "it does not commit on what it read");
            // With retries left it runs again, and finds that its handle's database is gone.
            let error = blind.end(Ok(())).await.err().expect("the database is gone");
            assert_eq!(error.code(), ErrorCode::Closed);
            if remade {
                let again = main.clone_as("other").await.reopened(&world).await;
                assert_eq!(again.ok(say::find()).await, json!([["a", {"n": 1}]]));
                let again = crate::support::open_in(&world.tab().await, "clone").await;
                assert_eq!(again.ok(say::find()).await, json!([["a", {"n": 1}]]), "nothing reached the new one");
            }
        });
    }
}

/// SEMANTICS W12: a transaction on a database that is cloned or whose clones change goes on.
#[test]
fn clones_come_and_go_without_disturbing_their_origin() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1}))])).await;
        let open = Script::begin(&world, &main, once(Isolation::Serializable)).await;
        open.ok(say::find()).await;
        let clone = main.clone_as("clone").await;
        clone.ok(say::increment("a", 1)).await;
        clone.0.drop_database().await.unwrap();
        open.ok(say::increment("a", 1)).await;
        assert!(open.commits().await);
    });
}

/// SEMANTICS W8: a transaction that only reads never loses, and reads one moment.
#[test]
fn reading_never_conflicts() {
    everywhere(&[say::insert(&[("a", json!({"n": 1})), ("b", json!({"n": 1}))])], async |place| {
        let open = Script::begin(&place.world, place.db(), once(Isolation::Serializable)).await;
        assert_eq!(open.ok(say::get("a")).await, json!([{"n": 1}]));
        place.ok(say::put(&[("a", json!({"n": 2})), ("b", json!({"n": 2}))])).await;
        assert_eq!(open.ok(say::get("b")).await, json!([{"n": 1}]), "of the same moment");
        assert!(open.commits().await);
    });
}

/// SEMANTICS W8: a transaction that writes nothing makes no commit.
#[test]
fn a_transaction_that_writes_nothing_leaves_no_trace() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1}))])).await;
        let before = main.0.version();
        let ops =
            [say::get("a"), say::increment("b", 1), say::delete(&["c"]), say::update("a", json!({"$set": {"n": 1}}))];
        assert_eq!(main.transact(&ops).await.unwrap(), [json!([{"n": 1}]), json!(false), json!(0), json!(true)]);
        assert_eq!(main.0.version(), before);
    });
}

/// SEMANTICS W8: a clone that is made while a transaction runs has none of the transaction's writes.
#[test]
fn a_clone_made_during_a_transaction_has_none_of_it() {
    run(async |world| {
        let main = world.main().await;
        let open = Script::begin(&world, &main, once(Isolation::Serializable)).await;
        open.ok(say::insert(&[("a", json!({}))])).await;
        let clone = main.try_clone("clone", CloneOptions::default()).await.unwrap();
        assert!(open.commits().await);
        assert_eq!((main.ok(say::count()).await, clone.ok(say::count()).await), (json!(1), json!(0)));
    });
}

/// SEMANTICS W8, W3, W7: under `snapshot` too, what a call itself looks up before it writes is checked.
#[test]
fn what_a_call_looks_up_itself_is_checked_in_every_isolation() {
    everywhere(&[say::insert(&[("a", json!({}))])], async |place| {
        let taken = say::kv_set_if("o", json!(1), Condition::IfPresent);
        for (looks, disturbs) in [
            (say::increment("c", 1), say::insert(&[("c", json!({}))])),
            (say::delete(&["d"]), say::insert(&[("d", json!({}))])),
            (say::insert(&[("e", json!({}))]), say::insert(&[("e", json!({}))])),
            (say::kv_delete(&["k"]), say::kv_set("k", json!(1))),
            (taken, say::kv_set("o", json!(1))),
            (say::kv_set_field("m", "x", None), say::kv_set("m", json!({}))),
            (say::put_in("new", &[("x", json!({}))]), say::put_in("new", &[("y", json!({}))])),
        ] {
            let open = Script::begin(&place.world, place.db(), once(Isolation::Snapshot)).await;
            open.ok(looks.clone()).await;
            open.ok(say::put(&[("own", json!({}))])).await;
            place.ok(disturbs).await;
            assert!(!open.commits().await, "{looks:?}");
        }
        place.reads(say::get("own"), Value::Null).await;
    });
}
