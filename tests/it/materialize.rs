//! Materializing: everything is copied, nobody reads anything else, and the link is cut.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use offshoot::engine::{CloneOptions, OpenOptions, Progress, Side, Status, Store, When};
use offshoot::error::ErrorCode;
use offshoot::storage::{ListRange, Space};
use serde_json::{Value, json};

use crate::support::script::Script;
use crate::support::{Db, World, once, open_in, pause, read, rest, run, say};

pub fn id(n: usize) -> String {
    format!("{n:05}")
}

pub async fn fill(db: &Db, from: usize, to: usize) {
    let rows: Vec<(String, Value)> = (from..to).map(|n| (id(n), json!({"n": n, "text": "x".repeat(n % 90)}))).collect();
    for part in rows.chunks(500) {
        let part: Vec<(&str, Value)> = part.iter().map(|(id, row)| (&id[..], row.clone())).collect();
        db.ok(say::put(&part)).await;
    }
}

/// Everything that a database holds, in pages, documents and entries.
pub async fn everything(db: &Db) -> (Value, Value, Value) {
    (db.ok(say::count()).await, db.ok(say::kv_get("key")).await, whole(db).await)
}

pub async fn whole(db: &Db) -> Value {
    let ids: Vec<String> = (0..5000).map(id).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    db.ok(say::get_many(&ids)).await
}

pub fn go_on(_: Progress) -> bool {
    true
}

pub async fn materialize(db: &Db) {
    assert_eq!(db.0.materialize(&go_on).await.expect("it ends"), Status::Materialized);
}

async fn jobs(world: &World) -> usize {
    world.disk.list(Space::Jobs, &ListRange { limit: usize::MAX, ..ListRange::default() }).len()
}

pub async fn eager(world: &World) -> Rc<Store> {
    world.try_tab(OpenOptions { retain: Some(0), ..OpenOptions::default() }).await.expect("the store opens")
}

/// SEMANTICS C6: through all ancestors, their tombstones respected; afterwards it is a root of its own.
#[test]
fn a_clone_of_clones_becomes_a_root() {
    run(async |world| {
        let main = world.main().await;
        fill(&main, 0, 3000).await;
        main.ok(say::kv_set("key", json!("value"))).await;
        let middle = main.clone_as("middle").await;
        fill(&middle, 2900, 3100).await;
        middle.ok(say::delete(&["00001", "00002"])).await;
        let leaf = middle.clone_as("leaf").await;
        leaf.ok(say::delete(&["00003"])).await;
        leaf.ok(say::update("00004", json!({"$set": {"n": "own"}}))).await;
        main.ok(say::delete(&["00005"])).await;
        middle.ok(say::put(&[("00001", json!({}))])).await;
        let before = everything(&leaf).await;
        let seen = RefCell::new(Vec::new());
        let watch = |progress| {
            seen.borrow_mut().push(progress);
            true
        };
        assert_eq!(leaf.0.materialize(&watch).await.unwrap(), Status::Materialized);
        for db in [&leaf, &leaf.reopened(&world).await] {
            assert_eq!(everything(db).await, before);
            assert_eq!(db.0.lineage().await.unwrap().len(), 1);
            assert_eq!(db.0.status().await.unwrap(), Status::Materialized);
            assert_eq!(db.path().await.matches('>').count(), 0, "reading looks at no lineage");
            assert_eq!(db.0.diff(Side::Origin).await.err().unwrap().code(), ErrorCode::NotAClone);
        }
        let seen = seen.into_inner();
        let last = seen.last().expect("it told how far it was");
        // 3,098 documents, and the entry.
        assert_eq!((last.rows_done, last.rows_total), (3099, Some(3099)));
        assert!(last.bytes_done > 100_000 && seen.len() > 3, "{seen:?}");
        assert!(seen.windows(2).all(|pair| pair[0].rows_done <= pair[1].rows_done), "it goes on, never back");
        assert_eq!(jobs(&world).await, 0, "nothing is left of the work");
        main.ok(say::insert(&[("new", json!({}))])).await;
        assert_eq!(leaf.ok(say::count()).await, before.0);
        assert_eq!(leaf.0.materialize(&go_on).await.unwrap(), Status::Materialized, "again it is nothing");
        assert_eq!(main.0.materialize(&go_on).await.unwrap(), Status::Root, "so it is in a root");
    });
}

/// SEMANTICS C6, C10: older grandchildren read the same before, during and after, and pin the grandparent no more.
#[test]
fn grandchildren_read_the_same_and_let_the_grandparent_go() {
    run(async |world| {
        let store = eager(&world).await;
        let main = open_in(&store, "main").await;
        fill(&main, 0, 2000).await;
        let middle = main.clone_as("middle").await;
        let old = middle.clone_as("old").await;
        middle.ok(say::delete(&["00000"])).await;
        middle.ok(say::update("00001", json!({"$inc": {"n": 1000}}))).await;
        let young = middle.clone_as("young").await;
        middle.ok(say::update("00002", json!({"$inc": {"n": 1000}}))).await;
        let then = [everything(&old).await, everything(&young).await, everything(&middle).await];
        let all = [&old, &young, &middle];
        let watch = |progress: Progress| progress.rows_done < 1500;
        assert_eq!(middle.0.materialize(&watch).await.unwrap_err().code(), ErrorCode::Aborted);
        store.compact_all().await.unwrap();
        for (db, then) in all.iter().zip(&then) {
            assert_eq!(everything(&db.reopened(&world).await).await, *then, "half way");
        }
        materialize(&middle).await;
        main.ok(say::delete(&(0..2000).map(id).collect::<Vec<_>>().iter().map(|id| &id[..]).collect::<Vec<_>>())).await;
        for round in 0..3 {
            for (db, then) in all.iter().zip(&then) {
                assert_eq!(everything(db).await, *then, "round {round}");
                assert_eq!(everything(&db.reopened(&world).await).await, *then, "round {round}");
            }
            store.compact_all().await.unwrap();
        }
        assert_eq!(old.path().await.matches('>').count(), 1, "{}", old.path().await);
        assert_eq!(old.0.lineage().await.unwrap().len(), 2);
        assert_eq!(main.0.store().databases(false).await.unwrap()[0].dependents.len(), 0, "main has none");
        let own = store.databases(true).await.unwrap();
        let main_info = own.iter().find(|info| info.name.as_str() == "main").unwrap();
        assert!(main_info.own_bytes < Some(2000), "what main deleted is gone: {main_info:?}");
        middle.ok(say::delete(&["00009"])).await;
        store.compact_all().await.unwrap();
        assert_eq!(middle.reopened(&world).await.ok(say::get("00009")).await, Value::Null);
        assert_eq!(old.ok(say::get("00009")).await[0]["n"], json!(9));
    });
}

/// SEMANTICS C6: it stops when it is told to, says how far it is, and goes on from there, in another tab too.
#[test]
fn it_resumes_where_it_stopped() {
    run(async |world| {
        let main = world.main().await;
        fill(&main, 0, 4000).await;
        let clone = main.clone_as("draft").await;
        assert_eq!(clone.0.materialize(&|p| p.rows_done < 2000).await.unwrap_err().code(), ErrorCode::Aborted);
        let status = clone.0.status().await.unwrap();
        let Status::Materializing { rows_done, rows_total, bytes_done } = status else { panic!("{status:?}") };
        assert!((2000..4000).contains(&rows_done) && rows_total == 4000 && bytes_done > 0, "{status:?}");
        assert_eq!(clone.0.lineage().await.unwrap()[0].status, status);
        assert_eq!(main.0.store().databases(false).await.unwrap()[0].status, status);
        let again = clone.reopened(&world).await;
        let first = Cell::new(None);
        let watch = |progress: Progress| {
            first.set(first.get().or(Some(progress.rows_done)));
            true
        };
        assert_eq!(again.0.materialize(&watch).await.unwrap(), Status::Materialized);
        assert!(first.get().unwrap() > rows_done, "it did not begin anew");
        assert_eq!(whole(&clone).await, whole(&main).await);
        assert_eq!(again.0.diff(Side::Snapshot(&main.snapshot().await)).await.unwrap(), []);
    });
}

/// SEMANTICS C6, W8, W12: a row that is deleted or changed meanwhile stays so, and no commit is lost to the copying.
#[test]
fn a_clone_is_written_while_it_is_materialized() {
    run(async |world| {
        world.main().await.ok(say::kv_set("key", json!(1))).await;
        let seed = world.main().await;
        fill(&seed, 0, 3000).await;
        let main = open_in(&world.slow_tab().await, "main").await;
        let clone = main.clone_as("draft").await;
        let open = Script::begin(&world, &clone, once(Default::default())).await;
        assert_eq!(open.ok(say::update("00100", json!({"$set": {"n": "open"}}))).await, json!(true));
        let is_done = Rc::new(Cell::new(false));
        let (writer, done) = (open_in(&world.slow_tab().await, "draft").await, is_done.clone());
        world.spawn(async move {
            for n in (0..3000).step_by(61) {
                if n % 2 == 0 {
                    assert_eq!(writer.ok(say::delete(&[&id(n)])).await, json!(1));
                } else {
                    assert_eq!(writer.ok(say::update(&id(n), json!({"$inc": {"n": 10_000}}))).await, json!(true));
                }
            }
            done.set(true);
        });
        materialize(&clone).await;
        while !is_done.get() {
            pause().await;
        }
        assert!(open.commits().await, "a transaction that was open when the link was cut");
        clone.0.store().compact_all().await.unwrap();
        for db in [&clone.reopened(&world).await, &open_in(&eager(&world).await, "draft").await] {
            for n in (0..3000).step_by(61) {
                let expected = if n % 2 == 0 { Value::Null } else { json!(n + 10_000) };
                assert_eq!(db.ok(say::get(&id(n))).await.get(0).map_or(Value::Null, |row| row["n"].clone()), expected);
            }
            assert_eq!(db.ok(say::get("00100")).await[0]["n"], json!("open"));
            assert_eq!(db.ok(say::count()).await, json!(3000 - 25));
            db.0.store().compact_all().await.unwrap();
        }
    });
}

/// SEMANTICS C6, W9: a row that was copied and then changed is a change of the clone's, over the version it replaced.
#[test]
fn a_copy_is_no_change_of_the_clones() {
    run(async |world| {
        let main = world.main().await;
        fill(&main, 0, 2500).await;
        let clone = main.clone_as("draft").await;
        assert_eq!(clone.0.materialize(&|p| p.rows_done < 1500).await.unwrap_err().code(), ErrorCode::Aborted);
        assert_eq!(clone.0.diff(Side::Origin).await.unwrap(), [], "copies are no difference");
        clone.ok(say::delete(&["00010"])).await;
        clone.ok(say::update("00011", json!({"$inc": {"n": 1}}))).await;
        let changes = clone.0.diff(Side::Origin).await.unwrap();
        assert_eq!(changes.iter().map(|change| change.operation()).collect::<Vec<_>>(), ["delete", "update"]);
        let store = eager(&world).await;
        store.compact_all().await.unwrap();
        store.compact_all().await.unwrap();
        let again = open_in(&store, "draft").await;
        assert_eq!(again.ok(say::get("00010")).await, Value::Null, "the tombstone hides the origin's row for ever");
        materialize(&again).await;
        store.compact_all().await.unwrap();
        assert_eq!(again.ok(say::get("00010")).await, Value::Null);
        assert_eq!(again.ok(say::count()).await, json!(2499));
    });
}

/// SEMANTICS C6: two tabs that both do it, and one that was frozen half way, do no harm.
#[test]
fn a_tab_that_comes_late_brings_nothing_back() {
    run(async |world| {
        let main = world.main().await;
        fill(&main, 0, 3000).await;
        let clone = main.clone_as("draft").await;
        let slow = open_in(&world.slow_tab().await, "draft").await;
        let (frozen, ended) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(None)));
        let (is_frozen, outcome) = (frozen.clone(), ended.clone());
        // It copies in the background of its tab, and stands still from its second slice on.
        world.spawn(async move {
            let calls = Cell::new(0);
            let watch = |_: Progress| {
                calls.set(calls.get() + 1);
                is_frozen.set(calls.get() >= 2);
                true
            };
            outcome.set(Some(slow.0.materialize(&watch).await.map_err(|error| error.code())));
        });
        while !frozen.get() {
            pause().await;
        }
        world.leases.forget();
        let store = eager(&world).await;
        let here = open_in(&store, "draft").await;
        materialize(&here).await;
        here.ok(say::delete(&(0..3000).map(id).collect::<Vec<_>>().iter().map(|id| &id[..]).collect::<Vec<_>>())).await;
        store.compact_all().await.unwrap();
        while ended.take().is_none() {
            pause().await;
        }
        for db in [&here, &clone, &open_in(&eager(&world).await, "draft").await] {
            db.0.store().refresh().await.unwrap();
            assert_eq!(db.ok(say::count()).await, json!(0));
            db.0.store().compact_all().await.unwrap();
            assert_eq!(db.ok(say::count()).await, json!(0));
        }
    });
}

/// SEMANTICS C3, C6: a materialized database does not count, also for the clones that were made before.
#[test]
fn materializing_makes_room_for_deeper_clones() {
    run(async |world| {
        let mut line = vec![world.main().await];
        line[0].ok(say::insert(&[("a", json!({"n": 0}))])).await;
        for depth in 1..=8 {
            let next = line[depth - 1].clone_as(&format!("clone{depth}")).await;
            next.ok(say::increment("a", 1)).await;
            line.push(next);
        }
        assert!(line[8].try_clone("deeper", CloneOptions::default()).await.is_err());
        materialize(&line[4]).await;
        let mut last = line[8].clone();
        for depth in 9..=12 {
            last = last.clone_as(&format!("clone{depth}")).await;
        }
        assert!(last.try_clone("too-deep", CloneOptions::default()).await.is_err(), "eight above the materialized one");
        assert_eq!(last.reopened(&world).await.ok(say::get("a")).await, json!([{"n": 8}]));
        assert_eq!(last.0.lineage().await.unwrap().len(), 9);
    });
}

/// SEMANTICS C6, R6: the past of a materialized clone is what it was.
#[test]
fn the_past_of_a_materialized_clone_stays() {
    run(async |world| {
        let main = world.main().await;
        fill(&main, 0, 300).await;
        let clone = main.clone_as("draft").await;
        clone.ok(say::delete(&["00001"])).await;
        let then = clone.0.version();
        clone.ok(say::delete(&["00002"])).await;
        materialize(&clone).await;
        main.ok(say::delete(&(0..300).map(id).collect::<Vec<_>>().iter().map(|id| &id[..]).collect::<Vec<_>>())).await;
        world.now.set(world.now.get() + 1000);
        clone.0.store().compact_all().await.unwrap();
        let past = clone.0.at(When::Version(then)).await.unwrap();
        assert_eq!(read(&past, say::count()).await, json!(299));
        assert_eq!(past.describe().await.unwrap().matches('>').count(), 0);
        let again = clone.clone_at("again", When::Version(then)).await.unwrap();
        assert_eq!(again.ok(say::get("00002")).await[0]["n"], json!(2));
    });
}

/// SEMANTICS C7: nobody calls for it, one tab does it, and an opening goes on with what another one began.
#[test]
fn a_clone_is_materialized_in_the_background() {
    run(async |world| {
        let main = open_in(&world.slow_tab().await, "main").await;
        fill(&main, 0, 3000).await;
        let options = CloneOptions { background: true, ..CloneOptions::default() };
        let clone = main.try_clone("draft", options.clone()).await.unwrap();
        let other = world.main().await;
        let before = whole(&other).await;
        for n in 0..40 {
            clone.ok(say::put(&[(&format!("own{n}"), json!({}))])).await;
        }
        for _ in 0..20_000 {
            if clone.0.status().await.unwrap() == Status::Materialized {
                break;
            }
            pause().await;
        }
        assert_eq!(clone.0.status().await.unwrap(), Status::Materialized);
        assert_eq!(clone.ok(say::count()).await, json!(3040));
        assert_eq!(whole(&clone).await, before);
        assert_eq!(main.0.status().await.unwrap(), Status::Root);
        // The tab that began another one dies at once; the next opening does it.
        let second = main.try_clone("second", options).await.unwrap();
        main.0.store().close(offshoot::error::Error::new(ErrorCode::Closed, "the tab has died")).await.unwrap();
        rest().await;
        world.leases.forget();
        assert_eq!(second.code(say::count()).await, ErrorCode::Closed);
        let next = open_in(&world.tab().await, "second").await;
        for _ in 0..20_000 {
            if next.0.status().await.unwrap() == Status::Materialized {
                break;
            }
            pause().await;
        }
        assert_eq!(next.0.status().await.unwrap(), Status::Materialized);
    });
}

/// SEMANTICS C6, C8: a crash at any step leaves everything readable, and the next call goes on.
#[test]
fn a_crash_at_any_step_loses_nothing() {
    for steps in (0..120).step_by(7) {
        run(async |world| {
            let seed = world.main().await;
            fill(&seed, 0, 2500).await;
            let middle = seed.clone_as("middle").await;
            middle.ok(say::delete(&["00007"])).await;
            let leaf = middle.clone_as("leaf").await;
            middle.ok(say::update("00008", json!({"$set": {"n": "own"}}))).await;
            let then = [whole(&middle).await, whole(&leaf).await];
            let dying = world.slow_tab().await;
            let (one, is_forced) = (open_in(&dying, "middle").await, steps % 2 == 0);
            world.spawn(async move {
                let _ = if is_forced {
                    one.0.drop_by_force(&go_on).await
                } else {
                    one.0.materialize(&go_on).await.map(drop)
                };
            });
            for _ in 0..steps {
                pause().await;
            }
            let died = offshoot::error::Error::new(ErrorCode::Closed, "the tab has died");
            dying.close(died).await.unwrap();
            rest().await;
            world.leases.forget();
            let tab = world.tab().await;
            let leaf = open_in(&tab, "leaf").await;
            assert_eq!(whole(&leaf).await, then[1], "step {steps}");
            if let Ok(middle) = crate::support::try_open_in(&tab, "middle").await {
                assert_eq!(whole(&middle).await, then[0], "step {steps}");
                tab.compact_all().await.unwrap();
                materialize(&middle).await;
                assert_eq!(whole(&middle).await, then[0], "step {steps}");
            } else {
                assert_eq!(leaf.0.status().await.unwrap(), Status::Materialized, "all or nothing");
            }
            tab.compact_all().await.unwrap();
            assert_eq!(whole(&leaf.reopened(&world).await).await, then[1], "step {steps}");
        });
    }
}
