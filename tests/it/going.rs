//! Clones that go by themselves: temporary ones, and those whose time is up.

use std::rc::Rc;

use offshoot::engine::{CloneOptions, OpenOptions, Status, Store};
use offshoot::error::{Error, ErrorCode};
use serde_json::json;

use crate::support::{Db, World, open_in, rest, run, say};

const HOUR: u64 = 60 * 60 * 1000;

async fn names(store: &Rc<Store>) -> Vec<String> {
    store.databases(false).await.unwrap().into_iter().map(|info| info.name.to_string()).collect()
}

async fn temporary(db: &Db) -> Db {
    let name = db.0.create_clone(None, CloneOptions::default()).await.expect("a clone");
    open_in(db.0.store(), name.as_str()).await
}

async fn die(world: &World, store: &Rc<Store>) {
    store.close(Error::new(ErrorCode::Closed, "the tab has died")).await.unwrap();
    rest().await;
    world.leases.forget();
}

/// SEMANTICS C15: it goes with the last handle on it.
#[test]
fn a_temporary_clone_goes_with_its_last_handle() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::put(&[("a", json!({}))])).await;
        let one = temporary(&main).await;
        let other = open_in(main.0.store(), one.0.name().as_str()).await;
        assert!(world.leases.is_held("temporary-"));
        one.ok(say::delete(&["a"])).await;
        one.0.leave().await;
        assert_eq!(one.code(say::count()).await, ErrorCode::Closed);
        assert_eq!(other.ok(say::count()).await, json!(0), "the other handle goes on");
        other.0.leave().await;
        assert_eq!(names(main.0.store()).await, ["main"]);
        assert!(!world.leases.is_held("temporary-"));
        main.0.leave().await;
        assert_eq!(names(&world.tab().await).await, ["main"], "a database with a name stays");
    });
}

/// SEMANTICS C15: the next opening drops it when its tab is gone, and lets it be while that lives.
#[test]
fn a_temporary_clone_goes_at_the_next_open_once_its_tab_is_gone() {
    run(async |world| {
        let first = world.tab().await;
        let main = open_in(&first, "main").await;
        let draft = temporary(&main).await;
        let name = draft.0.name().to_string();
        draft.ok(say::put(&[("a", json!({}))])).await;
        let second = world.tab().await;
        assert_eq!(names(&second).await.len(), 2, "its tab lives");
        second.maintain().await.unwrap();
        assert_eq!(draft.ok(say::count()).await, json!(1));
        die(&world, &first).await;
        let third = world.tab().await;
        assert_eq!(names(&third).await, ["main"]);
        assert_eq!(crate::support::try_open_in(&third, &name).await.err().unwrap().code(), ErrorCode::DatabaseNotFound);
    });
}

/// SEMANTICS C15: where a host cannot tell which tabs live, it goes once it is a day old by the clocks of two openings.
#[test]
fn a_temporary_clone_is_let_be_where_nobody_can_tell_whether_its_tab_lives() {
    run(async |world| {
        let begin = world.now.get();
        world.leases.are_shared.set(true);
        let main = world.main().await;
        let draft = temporary(&main).await;
        draft.ok(say::put(&[("a", json!({}))])).await;
        for hours in [0, 23, 24] {
            world.now.set(begin + hours * HOUR);
            assert_eq!(names(&world.tab().await).await.len(), 2, "after {hours} hours");
        }
        assert_eq!(draft.ok(say::count()).await, json!(1));
        world.now.set(begin + 25 * HOUR);
        assert_eq!(names(&world.tab().await).await, ["main"], "the second opening that finds so");
        let draft = temporary(&main).await;
        draft.0.leave().await;
        assert_eq!(names(main.0.store()).await, ["main"], "its last handle still drops it");
    });
}

/// SEMANTICS C15, C8: one that others read through goes once they are gone.
#[test]
fn a_temporary_clone_with_clones_goes_later() {
    run(async |world| {
        let store = world.tab().await;
        let main = open_in(&store, "main").await;
        let draft = temporary(&main).await;
        draft.ok(say::put(&[("a", json!({}))])).await;
        let kept = draft.clone_as("kept").await;
        draft.0.leave().await;
        assert_eq!(kept.ok(say::count()).await, json!(1));
        assert_eq!(names(&store).await.len(), 3);
        kept.0.drop_database().await.unwrap();
        store.maintain().await.unwrap();
        assert_eq!(names(&store).await, ["main"]);
    });
}

/// SEMANTICS C15, C6: materialized, it lets its origin go.
#[test]
fn a_temporary_clone_lets_go_of_what_was_materialized() {
    run(async |world| {
        let store = world.tab().await;
        let main = open_in(&store, "main").await;
        main.ok(say::put(&[("a", json!({}))])).await;
        let draft = temporary(&main).await;
        let kept = draft.clone_as("kept").await;
        draft.0.leave().await;
        assert_eq!(kept.0.materialize(&|_| true).await.unwrap(), Status::Materialized);
        assert_eq!(names(&world.tab().await).await, ["kept", "main"]);
        assert_eq!(kept.reopened(&world).await.ok(say::count()).await, json!(1));
    });
}

/// SEMANTICS C15, C8: it goes when its time has passed, by the clocks of two openings; not while others need it.
#[test]
fn a_clone_goes_when_its_time_is_up() {
    run(async |world| {
        let begin = world.now.get();
        let main = world.main().await;
        main.ok(say::put(&[("a", json!({}))])).await;
        let options = |ttl: u64| CloneOptions { ttl: Some(ttl), ..CloneOptions::default() };
        let short = main.try_clone("short", options(HOUR)).await.unwrap();
        main.try_clone("long", options(9 * HOUR)).await.unwrap();
        main.try_clone("endless", options(u64::MAX)).await.unwrap();
        let infos = main.0.store().databases(false).await.unwrap();
        let times: Vec<_> = infos.iter().map(|info| info.expires_at).collect();
        assert_eq!(times, [None, Some(begin + 9 * HOUR), None, Some(begin + HOUR)]);
        let needs = short.clone_as("needs").await;
        world.now.set(begin + 2 * HOUR);
        assert_eq!(short.ok(say::count()).await, json!(1), "until it is looked after it is there");
        for _ in 0..3 {
            assert_eq!(names(&world.tab().await).await.len(), 5, "another one needs it");
        }
        needs.0.drop_database().await.unwrap();
        assert_eq!(names(&world.tab().await).await, ["endless", "long", "main"]);
        main.0.store().refresh().await.unwrap();
        rest().await;
        assert_eq!(short.code(say::count()).await, ErrorCode::Closed);
    });
}

/// SEMANTICS C15: a clock that jumps ends nothing, until a later opening agrees.
#[test]
fn a_clock_that_jumps_drops_no_clone() {
    run(async |world| {
        let begin = world.now.get();
        let main = world.main().await;
        let options = CloneOptions { ttl: Some(HOUR), ..CloneOptions::default() };
        main.try_clone("draft", options).await.unwrap();
        main.0.store().maintain().await.unwrap();
        world.now.set(begin + 1000 * HOUR);
        let wrong = world.tab().await;
        for _ in 0..3 {
            wrong.maintain().await.unwrap();
            assert_eq!(names(&wrong).await, ["draft", "main"], "one opening alone");
        }
        world.now.set(begin + 1000);
        for _ in 0..3 {
            let right = world.tab().await;
            right.maintain().await.unwrap();
            assert_eq!(names(&right).await, ["draft", "main"], "the clock was wrong");
        }
        world.now.set(begin + 2 * HOUR);
        let first = world.tab().await;
        assert_eq!(names(&first).await, ["draft", "main"]);
        world.now.set(begin + 2 * HOUR + 1);
        assert_eq!(names(&world.tab().await).await, ["main"], "the second one that finds so");
    });
}

/// SEMANTICS C15, R6: a store that stays open drops clones and history by the time that passed on its steady clock,
/// whatever the wall clock says.
#[test]
fn a_store_that_stays_open_lets_clones_and_history_go() {
    run(async |world| {
        let begin = world.now.get();
        let main = world.main().await;
        let store = main.0.store().clone();
        main.ok(say::put(&[("a", json!({"n": 1}))])).await;
        let options = CloneOptions { ttl: Some(HOUR), ..CloneOptions::default() };
        main.try_clone("draft", options).await.unwrap();
        let then = main.0.version();
        let is_held = async || main.0.at(offshoot::engine::When::Version(then)).await.is_ok();
        for (steady, wall) in [(0, 1000), (1, 1), (0, 0)] {
            world.steady.set(steady * HOUR / 2);
            world.now.set(begin + wall * HOUR);
            main.ok(say::increment("a", 1)).await;
            store.maintain().await.unwrap();
            assert_eq!(names(&store).await, ["draft", "main"]);
            assert!(is_held().await);
        }
        world.steady.set(2 * HOUR);
        world.now.set(begin + 2 * HOUR);
        main.ok(say::increment("a", 1)).await;
        store.maintain().await.unwrap();
        store.maintain().await.unwrap();
        assert_eq!(names(&store).await, ["main"]);
        assert!(!is_held().await);
        assert_eq!(main.ok(say::get("a")).await, json!([{"n": 5}]));
    });
}

/// SEMANTICS C15, R6: one that falls back and returns ends neither what was young before nor what was made meanwhile.
#[test]
fn a_clock_that_falls_back_ends_nothing() {
    run(async |world| {
        let begin = world.now.get();
        let main = world.main().await;
        let store = main.0.store().clone();
        main.ok(say::put(&[("a", json!({"n": 1}))])).await;
        let then = main.0.version();
        main.ok(say::increment("a", 1)).await;
        world.now.set(begin - 3 * HOUR);
        main.ok(say::increment("a", 1)).await;
        let options = CloneOptions { ttl: Some(HOUR), ..CloneOptions::default() };
        main.try_clone("draft", options).await.unwrap();
        for round in 1..4 {
            world.steady.set(round * 1000);
            world.now.set(begin + round * 1000);
            main.ok(say::increment("a", 1)).await;
            store.maintain().await.unwrap();
            assert_eq!(names(&store).await, ["draft", "main"]);
            let past = main.0.at(offshoot::engine::When::Version(then)).await.expect("it is seconds old");
            assert_eq!(crate::support::read(&past, say::get("a")).await, json!([{"n": 1}]));
        }
    });
}

/// SEMANTICS R6: nor does it end history.
#[test]
fn a_clock_that_jumps_prunes_no_history() {
    run(async |world| {
        let begin = world.now.get();
        let store = world.try_tab(OpenOptions::default()).await.unwrap();
        let main = open_in(&store, "main").await;
        main.ok(say::put(&[("a", json!({"n": 1}))])).await;
        let then = main.0.version();
        main.ok(say::increment("a", 1)).await;
        store.maintain().await.unwrap();
        world.now.set(begin + 1000 * HOUR);
        let wrong = open_in(&world.tab().await, "main").await;
        for n in 0..3 {
            wrong.ok(say::put(&[(&format!("b{n}"), json!({}))])).await;
            wrong.0.store().compact_all().await.unwrap();
        }
        let past = wrong.0.at(offshoot::engine::When::Version(then)).await.expect("one opening alone ends nothing");
        assert_eq!(crate::support::read(&past, say::get("a")).await, json!([{"n": 1}]));
    });
}

/// SEMANTICS C8: of clones of each other whose time is past, all go at once.
#[test]
fn what_only_an_expired_clone_holds_goes_with_it() {
    run(async |world| {
        let main = world.main().await;
        let options = CloneOptions { ttl: Some(HOUR), ..CloneOptions::default() };
        let a = main.try_clone("a", options.clone()).await.expect("a clone");
        a.try_clone("b", options).await.expect("a clone");
        world.now.set(world.now.get() + 2 * HOUR);
        world.steady.set(world.steady.get() + 2 * HOUR);
        let store = main.0.store().clone();
        store.compact_all().await.expect("a compaction");
        assert_eq!(names(&store).await, ["main"]);
    });
}
