//! Dropping what others read through.

use std::cell::Cell;
use std::rc::Rc;

use offshoot::engine::{Progress, Status, When};
use offshoot::error::ErrorCode;
use serde_json::{Value, json};

use crate::materialize::{eager, everything, fill, go_on, materialize, whole};
use crate::support::{open_in, read, run, say};

/// SEMANTICS C8: each clone is materialized first, then all links are cut and the database goes, in one commit.
#[test]
fn a_forced_drop_leaves_its_clones_whole() {
    run(async |world| {
        let store = eager(&world).await;
        let main = open_in(&store, "main").await;
        fill(&main, 0, 1500).await;
        let origin = main.clone_as("origin").await;
        fill(&origin, 1500, 1600).await;
        let (a, b) = (origin.clone_as("a").await, origin.clone_as("b").await);
        a.ok(say::delete(&["00000"])).await;
        let below = a.clone_as("below").await;
        let then = [everything(&a).await, everything(&b).await, everything(&below).await];
        let refused = origin.0.drop_by_force(&|p| p.rows_done < 1000).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Aborted);
        assert_eq!(origin.ok(say::count()).await, json!(1600), "all or nothing");
        assert_eq!(main.0.drop_by_force(&go_on).await.unwrap_err().code(), ErrorCode::NotAClone);
        let before = origin.0.version();
        origin.0.drop_by_force(&go_on).await.unwrap();
        assert_eq!(store.head(), before.next(), "one commit");
        assert_eq!(origin.code(say::count()).await, ErrorCode::Closed);
        for _ in 0..2 {
            for (db, then) in [&a, &b, &below].iter().zip(&then) {
                assert_eq!(everything(&db.reopened(&world).await).await, *then);
            }
            store.compact_all().await.unwrap();
        }
        let infos = store.databases(false).await.unwrap();
        let names: Vec<&str> = infos.iter().map(|info| info.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "below", "main"]);
        assert_eq!(a.0.status().await.unwrap(), Status::Materialized);
        assert_eq!(below.0.lineage().await.unwrap().len(), 2);
        a.0.drop_by_force(&go_on).await.unwrap();
        assert_eq!(everything(&below).await, then[2]);
    });
}

/// SEMANTICS C8: a clone that is made meanwhile is materialized too.
#[test]
fn a_forced_drop_begins_anew_for_a_clone_made_meanwhile() {
    run(async |world| {
        let main = world.main().await;
        fill(&main, 0, 1500).await;
        let origin = main.clone_as("origin").await;
        let first = origin.clone_as("first").await;
        let there = Rc::new(open_in(&world.tab().await, "origin").await);
        let is_made = Rc::new(Cell::new(false));
        let watch = |_: Progress| {
            if !is_made.replace(true) {
                let there = there.clone();
                world.spawn(async move { drop(there.clone_as("late").await) });
            }
            true
        };
        origin.0.drop_by_force(&watch).await.unwrap();
        let tab = world.tab().await;
        for name in ["first", "late"] {
            let db = open_in(&tab, name).await;
            assert_eq!(db.0.status().await.unwrap(), Status::Materialized, "{name}");
            assert_eq!(db.ok(say::count()).await, json!(1500));
        }
        assert_eq!(whole(&first).await, whole(&main).await);
    });
}

/// SEMANTICS C6, C8, R6: the rows of a dropped origin are still read by the past of its former clones.
#[test]
fn a_dropped_origin_is_read_by_the_past_of_its_clones() {
    for is_materialized in [false, true] {
        run(async |world| {
            let store = world.tab().await;
            let main = open_in(&store, "main").await;
            fill(&main, 0, 100).await;
            let origin = main.clone_as("origin").await;
            origin.ok(say::delete(&["00001"])).await;
            if is_materialized {
                materialize(&origin).await;
            }
            let clone = origin.clone_as("clone").await;
            clone.ok(say::delete(&["00002"])).await;
            let then = clone.0.version();
            let below = clone.clone_as("below").await;
            clone.ok(say::delete(&["00003"])).await;
            materialize(&clone).await;
            origin.0.drop_database().await.unwrap();
            let again = main.clone_as("origin").await;
            again.ok(say::put(&[("00001", json!({"n": "another"}))])).await;
            main.ok(say::delete(&["00004", "00005"])).await;
            for _ in 0..3 {
                store.compact_all().await.unwrap();
                let tab = world.tab().await;
                let past = open_in(&tab, "clone").await.0.at(When::Version(then)).await.unwrap();
                assert_eq!(read(&past, say::count()).await, json!(98));
                assert_eq!(open_in(&tab, "below").await.ok(say::count()).await, json!(98));
                assert_eq!(below.ok(say::get("00001")).await, Value::Null);
                assert_eq!(open_in(&tab, "clone").await.ok(say::count()).await, json!(97));
            }
            let eager = eager(&world).await;
            eager.compact_all().await.unwrap();
            eager.compact_all().await.unwrap();
            assert_eq!(open_in(&eager, "below").await.ok(say::count()).await, json!(98));
            assert_eq!(open_in(&eager, "clone").await.ok(say::count()).await, json!(97));
            assert_eq!(open_in(&eager, "origin").await.ok(say::count()).await, json!(100));
        });
    }
}
