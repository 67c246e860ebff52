//! Several tabs on one store, whose storages answer late, so that everything meets everything.

use std::cell::Cell;
use std::rc::Rc;

use futures_channel::oneshot;
use offshoot::engine::{OpenOptions, OpenTransaction, TransactionOptions};
use offshoot::error::{Error, ErrorCode};
use serde_json::{Value, json};

use crate::support::{Db, World, json as told, open_in, pause, run, say, try_open_in};

async fn tabs(world: &World, count: usize, name: &str) -> Vec<Db> {
    let mut tabs = Vec::new();
    for _ in 0..count {
        tabs.push(open_in(&world.slow_tab().await, name).await);
    }
    tabs
}

/// Starts a task, whose value is awaited later.
fn start<T: 'static>(world: &World, task: impl Future<Output = T> + 'static) -> oneshot::Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    world.spawn(async move {
        let _ = sender.send(task.await);
    });
    receiver
}

/// SEMANTICS W12, W8: in a root, a clone and a clone's clone, without an error.
#[test]
fn a_hundred_increments_in_each_of_two_tabs_all_count() {
    for depth in 0..3 {
        run(async |world| {
            let mut db = world.main().await;
            db.ok(say::insert(&[("a", json!({"n": 0}))])).await;
            db.ok(say::kv_set("a", json!({}))).await;
            for generation in 0..depth {
                db = db.clone_as(&format!("clone{generation}")).await;
            }
            let mut answers = Vec::new();
            for (number, tab) in tabs(&world, 2, db.0.name().as_str()).await.into_iter().enumerate() {
                for n in 0..100 {
                    let tab = tab.clone();
                    answers.push(start(&world, async move {
                        let field = format!("{number}-{n}");
                        tab.run(say::kv_set_field("a", &field, Some(json!(n)))).await?;
                        tab.run(say::increment("a", 1)).await
                    }));
                }
            }
            for answer in answers {
                assert_eq!(answer.await.expect("it ends").expect("no error"), json!(true));
            }
            let again = db.reopened(&world).await;
            assert_eq!(again.ok(say::get("a")).await, json!([{"n": 200}]));
            let fields = again.ok(say::kv_get("a")).await;
            assert_eq!(fields[0].as_object().expect("an object").len(), 200, "each field was set on the one before");
            assert_eq!(world.main().await.ok(say::get("a")).await, json!([{"n": if depth == 0 { 200 } else { 0 }}]));
        });
    }
}

/// SEMANTICS W12, W8: read-modify-write in transactions, which run again or take turns, but lose nothing.
#[test]
fn transactions_of_several_tabs_lose_nothing() {
    run(async |world| {
        world.main().await.ok(say::insert(&[("a", json!({"n": 0}))])).await;
        let mut answers = Vec::new();
        let options = TransactionOptions { retries: 1000, ..TransactionOptions::default() };
        for tab in tabs(&world, 3, "main").await {
            for _ in 0..10 {
                let (tab, options) = (tab.clone(), options.clone());
                answers.push(start(&world, async move {
                    let body = async |transaction: Rc<OpenTransaction>| {
                        let before = told(transaction.run(say::get("a")).await?);
                        pause().await;
                        let n = before[0]["n"].as_i64().expect("a number");
                        transaction.run(say::put(&[("a", json!({"n": n + 1}))])).await
                    };
                    tab.0.transact(options, body).await.map(drop)
                }));
            }
        }
        for answer in answers {
            answer.await.expect("it ends").expect("no error");
        }
        assert_eq!(world.main().await.ok(say::get("a")).await, json!([{"n": 30}]));
    });
}

/// SEMANTICS R10: another tab's commit is seen after being told, or at this tab's next commit; one's own at once.
#[test]
fn a_commit_is_seen_here_at_once_and_there_when_it_is_told() {
    run(async |world| {
        let (here, there) = (world.main().await, world.main().await);
        here.ok(say::insert(&[("a", json!({"n": 1}))])).await;
        assert_eq!(here.ok(say::get("a")).await, json!([{"n": 1}]), "its own, without being told");
        there.0.store().refresh().await.unwrap();
        assert_eq!(there.ok(say::get("a")).await, json!([{"n": 1}]), "it was told");
        here.ok(say::increment("a", 1)).await;
        there.ok(say::insert(&[("b", json!({}))])).await;
        assert_eq!(there.ok(say::get("a")).await, json!([{"n": 2}]), "it has committed since");
        assert_eq!(there.0.version(), here.0.version().next());
    });
}

/// SEMANTICS R10: while others write and this tab takes it in, what it reads never goes back.
#[test]
fn reads_never_go_backwards() {
    run(async |world| {
        world.main().await.ok(say::insert(&[("a", json!({"n": 0})), ("b", json!({"n": 0}))])).await;
        let tabs = tabs(&world, 2, "main").await;
        let (writer, reader) = (tabs[0].clone(), tabs[1].clone());
        let done = Rc::new(Cell::new(false));
        let is_done = done.clone();
        let writing = start(&world, async move {
            for n in 1..=60 {
                writer.ok(say::put(&[("a", json!({"n": n})), ("b", json!({"n": n}))])).await;
            }
            is_done.set(true);
        });
        let (mut last, mut seen) = (0, std::collections::BTreeSet::new());
        while !done.get() {
            reader.0.store().refresh().await.unwrap();
            let rows = reader.ok(say::get_many(&["a", "b"])).await;
            let n = rows[0][0]["n"].as_i64().expect("a number");
            assert_eq!(rows[0], rows[1], "one commit is seen whole");
            assert!(n >= last, "{n} after {last}");
            last = n;
            seen.insert(n);
            pause().await;
        }
        writing.await.expect("it ends");
        assert!(seen.len() > 5, "it read in between: {seen:?}");
    });
}

/// SEMANTICS C9, W8: of many tabs that make one clone, one does.
#[test]
fn one_of_many_makes_the_clone() {
    run(async |world| {
        world.main().await.ok(say::insert(&[("a", json!({}))])).await;
        let mut answers = Vec::new();
        for tab in tabs(&world, 4, "main").await {
            answers.push(start(&world, async move { tab.try_clone("draft", Default::default()).await.map(|_| ()) }));
        }
        let mut made = 0;
        for answer in answers {
            match answer.await.expect("it ends") {
                Ok(()) => made += 1,
                Err(error) => assert_eq!(error.code(), ErrorCode::DatabaseExists),
            }
        }
        assert_eq!(made, 1);
        assert_eq!(open_in(&world.tab().await, "draft").await.ok(say::count()).await, json!(1));
    });
}

/// SEMANTICS C8: a clone that is made while its origin is dropped: either one happens, never both.
#[test]
fn an_origin_is_not_dropped_under_a_clone_that_is_being_made() {
    for round in 0..12 {
        run(async |world| {
            for _ in 0..round {
                world.draw();
            }
            world.main().await.clone_as("origin").await;
            let tabs = tabs(&world, 2, "origin").await;
            let (dropping, cloning) = (tabs[0].clone(), tabs[1].clone());
            let dropped = start(&world, async move { dropping.0.drop_database().await });
            let cloned = start(&world, async move { cloning.try_clone("clone", Default::default()).await.map(|_| ()) });
            let (dropped, cloned) = (dropped.await.unwrap(), cloned.await.unwrap());
            assert_ne!(dropped.is_ok(), cloned.is_ok(), "{dropped:?} {cloned:?}");
            let store = world.tab().await;
            assert_eq!(try_open_in(&store, "clone").await.is_ok(), cloned.is_ok());
            assert_eq!(try_open_in(&store, "origin").await.is_ok(), cloned.is_ok());
        });
    }
}

/// SEMANTICS W8: calls that a tab makes at once share a record, and one call's failure is its own.
#[test]
fn calls_that_wait_together_fail_alone() {
    run(async |world| {
        let tab = tabs(&world, 1, "main").await.remove(0);
        let mut answers = Vec::new();
        for n in 0..60 {
            let tab = tab.clone();
            answers.push(start(&world, async move {
                tab.run(say::insert(&[(&(n % 20).to_string(), json!({"n": n}))])).await
            }));
        }
        let mut outcomes = Vec::new();
        for answer in answers {
            outcomes.push(answer.await.expect("it ends").map_err(|error: Error| error.code()));
        }
        for (n, outcome) in outcomes.into_iter().enumerate() {
            let expected = if n < 20 { Ok(json!([n.to_string()])) } else { Err(ErrorCode::KeyExists) };
            assert_eq!(outcome, expected, "call {n}");
        }
        let again = tab.reopened(&world).await;
        assert_eq!(again.ok(say::count()).await, json!(20));
        assert_eq!(again.ok(say::get("7")).await, json!([{"n": 7}]));
    });
}

/// SEMANTICS R10: a store that is closed answers no call, and does not disturb the others.
#[test]
fn a_closed_tab_says_so() {
    run(async |world| {
        let (here, there) = (world.main().await, world.main().await);
        here.ok(say::insert(&[("a", json!({}))])).await;
        here.0.store().close(Error::new(ErrorCode::Closed, "the store is closed")).await.unwrap();
        for op in [say::get("a"), say::put(&[("b", json!({}))])] {
            assert_eq!(here.code(op).await, ErrorCode::Closed);
        }
        there.ok(say::insert(&[("c", json!({}))])).await;
        there.0.close();
        assert_eq!(there.code(say::get("a")).await, ErrorCode::Closed);
        let again = world.main().await;
        assert_eq!(again.ok(say::find()).await, json!([["a", {}], ["c", {}]]));
        assert_eq!(again.ok(say::get("b")).await, Value::Null);
    });
}

/// SEMANTICS R10: whoever reads after the tab was told waits for what it was told of.
#[test]
fn a_tab_that_was_told_of_a_commit_shows_it_at_its_next_read() {
    run(async |world| {
        let [writer, reader] = &tabs(&world, 2, "main").await[..] else { panic!("two tabs") };
        writer.ok(say::put(&[("a", json!({"n": 1}))])).await;
        assert!(reader.0.run_now(&say::get("a")).is_some(), "a tab that was told nothing answers from memory");
        let (store, head) = (reader.0.store().clone(), writer.0.version());
        let heard = start(&world, async move { store.hear(head).await });
        pause().await;
        assert!(reader.0.run_now(&say::get("a")).is_none(), "it knows that it is behind");
        assert_eq!(reader.ok(say::get("a")).await, json!([{"n": 1}]));
        heard.await.expect("it ends").expect("no error");
        assert!(reader.0.run_now(&say::get("a")).is_some());
    });
}

/// SEMANTICS W7, R10: a call that ends up writing nothing has looked at what the other tab wrote.
#[test]
fn a_call_that_writes_nothing_is_answered_from_the_present() {
    run(async |world| {
        let [one, other] = &tabs(&world, 2, "main").await[..] else { panic!("two tabs") };
        one.ok(say::put(&[("a", json!({}))])).await;
        assert_eq!(other.code(say::insert(&[("a", json!({}))])).await, ErrorCode::KeyExists);
        other.ok(say::delete(&["a"])).await;
        one.ok(say::insert(&[("a", json!({}))])).await;
        assert_eq!(other.ok(say::delete(&["a"])).await, json!(1));
        assert_eq!(one.ok(say::delete(&["a"])).await, json!(0));
    });
}

/// SEMANTICS W12: the history that a transaction reads is dropped under it; whatever its body makes of the error, it
/// runs again.
#[test]
fn a_transaction_whose_history_was_dropped_runs_again_even_if_its_body_hides_the_error() {
    run(async |world| {
        let options = OpenOptions { retain: Some(0), ..OpenOptions::default() };
        let vacuuming = world.try_tab(options).await.expect("a tab");
        let other = open_in(&vacuuming, "main").await;
        other.ok(say::put(&[("a", json!({"n": 1}))])).await;
        let db = world.main().await;
        let tries = Cell::new(0);
        let body = async |transaction: Rc<OpenTransaction>| {
            tries.set(tries.get() + 1);
            transaction.run(say::get("a")).await?;
            if tries.get() == 1 {
                other.ok(say::put(&[("a", json!({"n": 2}))])).await;
                vacuuming.maintain().await?;
                db.0.store().refresh().await?;
            }
            let found = transaction.run(say::get("a")).await.map(told).unwrap_or(Value::Null);
            transaction.run(say::put(&[("copy", json!({"of": found}))])).await.map(drop).or(Ok::<(), Error>(()))
        };
        db.0.transact(TransactionOptions::default(), body).await.expect("it commits in the end");
        assert_eq!(tries.get(), 2);
        assert_eq!(db.ok(say::get("copy")).await, json!([{"of": [{"n": 2}]}]));
    });
}
