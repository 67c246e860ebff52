//! Making, listing and dropping clones.

use std::rc::Rc;

use offshoot::engine::{CloneOptions, Existing, OpenOptions, Status, When};
use offshoot::error::{Detail, ErrorCode};
use offshoot::storage::Storage;
use offshoot::types::Lsn;
use serde_json::{Value, json};

use crate::support::disk::Watched;
use crate::support::script::Script;
use crate::support::{Db, once, open_in, rest, run, say, try_open_in};

async fn names(db: &Db) -> Vec<String> {
    db.0.store().databases(false).await.unwrap().into_iter().map(|info| info.name.to_string()).collect()
}

/// SEMANTICS C1: one batch of one small record, whatever the origin holds.
#[test]
fn a_clone_costs_the_same_however_large_its_origin_is() {
    run(async |world| {
        let mut costs = Vec::new();
        for (size, name) in [(1, "small"), (3000, "large")] {
            let world = world.elsewhere();
            let main = world.main().await;
            for part in 0..size {
                let row = json!({"n": part, "text": "x".repeat(100)});
                main.ok(say::put(&[(&format!("{part:05}"), row)])).await;
            }
            let watched = Rc::new(Watched::new(&world.disk, None));
            let figures = watched.figures();
            let store = world.open(watched as Rc<dyn Storage>, OpenOptions::default()).await.unwrap();
            let main = open_in(&store, "main").await;
            rest().await;
            let before = figures.get();
            main.clone_as(name).await;
            rest().await;
            let after = figures.get();
            costs.push((after.batches - before.batches, after.records - before.records, after.reads - before.reads));
            assert!(after.bytes - before.bytes < 1024, "{} bytes", after.bytes - before.bytes);
        }
        // A batch of one record, and the head mark once that is written.
        assert_eq!(costs, [(2, 2, 0), (2, 2, 0)]);
    });
}

/// SEMANTICS C1: from a version of the past, or from a time.
#[test]
fn a_clone_can_begin_in_the_past() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1}))])).await;
        let (then, time) = (main.0.version(), world.now.get());
        world.now.set(time + 1000);
        main.ok(say::increment("a", 1)).await;
        main.ok(say::insert(&[("b", json!({}))])).await;
        for (name, when) in [("by-version", When::Version(then)), ("by-time", When::Time(time + 500))] {
            let clone = main.clone_at(name, when).await.unwrap();
            for db in [&clone, &clone.reopened(&world).await] {
                assert_eq!(db.ok(say::find()).await, json!([["a", {"n": 1}]]), "{name}");
            }
            assert_eq!(clone.ok(say::increment("a", 10)).await, json!(true));
            let below = clone.clone_at(&format!("{name}-2"), When::Version(clone.0.version())).await.unwrap();
            assert_eq!(below.ok(say::find()).await, json!([["a", {"n": 11}]]));
        }
        assert_eq!(main.ok(say::find()).await, json!([["a", {"n": 2}], ["b", {}]]));
    });
}

/// SEMANTICS C1, R4: a clone's clone in the past reads what its origin read then, through all links.
#[test]
fn a_clones_clone_can_begin_in_the_past() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1}))])).await;
        let middle = main.clone_as("middle").await;
        let fresh = middle.0.version();
        middle.ok(say::delete(&["a"])).await;
        main.ok(say::increment("a", 1)).await;
        let leaf = middle.clone_at("leaf", When::Version(fresh)).await.unwrap();
        assert_eq!(leaf.ok(say::get("a")).await, json!([{"n": 1}]));
        assert_eq!(middle.ok(say::get("a")).await, Value::Null);
        let early = middle.clone_at("early", When::Version(Lsn(fresh.0 - 1))).await.err().expect("too early");
        assert_eq!(early.code(), ErrorCode::InvalidOption);
        let late = middle.clone_at("late", When::Version(Lsn(9999))).await.err().expect("not yet");
        assert_eq!(late.code(), ErrorCode::InvalidOption);
        assert_eq!(names(&main).await, ["leaf", "main", "middle"], "what failed left nothing");
    });
}

/// SEMANTICS C2: a transaction that is open while its database is cloned commits, and readers read on.
#[test]
fn cloning_stops_no_writer_and_no_reader() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1}))])).await;
        let (snapshot, writer) = (main.snapshot().await, Script::begin(&world, &main, once(Default::default())).await);
        assert_eq!(writer.ok(say::increment("a", 1)).await, json!(true));
        let clone = main.clone_as("clone").await;
        assert_eq!(writer.ok(say::insert(&[("b", json!({}))])).await, json!(["b"]));
        assert!(writer.commits().await, "it lost to nobody");
        assert_eq!(crate::support::read(&snapshot, say::find()).await, json!([["a", {"n": 1}]]));
        assert_eq!(clone.ok(say::find()).await, json!([["a", {"n": 1}]]), "what was open is not in it");
        assert_eq!(main.ok(say::find()).await, json!([["a", {"n": 2}], ["b", {}]]));
    });
}

/// SEMANTICS C3: eight links; the ninth fails and names the clone to materialize.
#[test]
fn clones_of_clones_go_eight_deep() {
    run(async |world| {
        let mut line = vec![world.main().await];
        line[0].ok(say::insert(&[("a", json!({"n": 0}))])).await;
        for depth in 1..=8 {
            let next = line[depth - 1].clone_as(&format!("clone{depth}")).await;
            assert_eq!(next.ok(say::increment("a", 1)).await, json!(true));
            line.push(next);
        }
        let error = line[8].try_clone("clone9", CloneOptions::default()).await.err().expect("it is too deep");
        assert_eq!(error.code(), ErrorCode::CloneDepthExceeded);
        assert_eq!(error.details(), [("materialize", Detail::Text("clone8".into()))]);
        for (depth, db) in line.iter().enumerate() {
            assert_eq!(db.reopened(&world).await.ok(say::get("a")).await, json!([{"n": depth}]));
        }
        line[7].clone_as("sibling").await;
    });
}

/// SEMANTICS C4: this database first, the root last, each with its point, its creation and its status.
#[test]
fn lineage_goes_from_here_to_the_root() {
    run(async |world| {
        let main = world.main().await;
        let begin = world.now.get();
        main.ok(say::insert(&[("a", json!({}))])).await;
        world.now.set(begin + 10);
        let middle = main.clone_as("middle").await;
        world.now.set(begin + 20);
        let leaf = middle.clone_at("leaf", When::Version(Lsn(3))).await.unwrap();
        for db in [&leaf, &leaf.reopened(&world).await] {
            let lineage = db.0.lineage().await.unwrap();
            let found: Vec<_> = lineage
                .iter()
                .map(|entry| (entry.name.as_str(), entry.as_of, entry.created, entry.created_at - begin, entry.status))
                .collect();
            let expected = [
                ("leaf", Some(Lsn(3)), Lsn(4), 20, Status::Shadowed),
                ("middle", Some(Lsn(2)), Lsn(3), 10, Status::Shadowed),
                ("main", None, Lsn(1), 0, Status::Root),
            ];
            assert_eq!(found, expected);
        }
        assert_eq!(main.0.lineage().await.unwrap().len(), 1, "a root gives one entry");
    });
}

/// SEMANTICS C5: a clone is shadowed from its first moment, also when it has rows of its own.
#[test]
fn a_clone_is_shadowed_and_a_root_is_a_root() {
    run(async |world| {
        let main = world.main().await;
        let clone = main.clone_as("clone").await;
        clone.ok(say::insert(&[("a", json!({}))])).await;
        assert_eq!(main.0.status().await.unwrap(), Status::Root);
        assert_eq!(clone.0.status().await.unwrap(), Status::Shadowed);
        let infos = world.tab().await.databases(true).await.unwrap();
        let found: Vec<_> =
            infos.iter().map(|i| (i.name.as_str(), i.status, i.origin.as_deref(), &i.dependents[..])).collect();
        let of_main = ["clone".to_string()];
        assert_eq!(found, [("clone", Status::Shadowed, Some("main"), &[][..]), ("main", Status::Root, None, &of_main)]);
        assert!(infos[0].own_bytes > Some(0) && infos[1].own_bytes == Some(0), "{infos:?}");
        let infos = world.tab().await.databases(false).await.unwrap();
        assert!(infos.iter().all(|info| info.own_bytes.is_none()), "{infos:?}");
    });
}

/// SEMANTICS C8: the error names the clones; once they are gone, their origin can go.
#[test]
fn a_database_with_clones_cannot_be_dropped() {
    run(async |world| {
        let main = world.main().await;
        let origin = main.clone_as("origin").await;
        let (b, a) = (origin.clone_as("b").await, origin.clone_as("a").await);
        let below = a.clone_as("below").await;
        let error = origin.0.drop_database().await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::CloneDependency);
        assert_eq!(error.details(), [("dependents", Detail::Texts(vec!["a".into(), "b".into()]))]);
        for db in [&below, &a, &b, &origin] {
            db.0.drop_database().await.unwrap();
            assert_eq!(db.code(say::get("x")).await, ErrorCode::Closed, "its handle is closed");
        }
        assert_eq!(names(&main).await, ["main"]);
        let reopened = world.tab().await;
        assert_eq!(try_open_in(&reopened, "origin").await.err().unwrap().code(), ErrorCode::DatabaseNotFound);
    });
}

/// SEMANTICS C9: with clones or without.
#[test]
fn main_cannot_be_dropped() {
    run(async |world| {
        let main = world.main().await;
        assert_eq!(main.0.drop_database().await.unwrap_err().code(), ErrorCode::NotAClone);
        main.clone_as("clone").await;
        assert_eq!(main.0.drop_database().await.unwrap_err().code(), ErrorCode::NotAClone);
        main.ok(say::insert(&[("a", json!({}))])).await;
    });
}

/// SEMANTICS C9: a name is taken once, also by two tabs at a time; a clone that is there can be opened instead.
#[test]
fn names_are_unique() {
    run(async |world| {
        let (here, there) = (world.main().await, world.main().await);
        let clone = here.clone_as("draft").await;
        clone.ok(say::insert(&[("a", json!({}))])).await;
        for db in [&here, &there, &clone] {
            for name in ["draft", "main"] {
                let error = db.try_clone(name, CloneOptions::default()).await.err().expect("the name is taken");
                assert_eq!(error.code(), ErrorCode::DatabaseExists, "{name}");
                assert_eq!(error.details(), [("name", Detail::Text(name.into()))]);
            }
        }
        let existing = CloneOptions { existing: Existing::Open, ..CloneOptions::default() };
        let opened = there.try_clone("draft", existing.clone()).await.unwrap();
        assert_eq!(opened.ok(say::count()).await, json!(1), "it is the one that is there");
        let other = clone.try_clone("draft", existing.clone()).await.err().expect("it is no clone of this one");
        assert_eq!(other.code(), ErrorCode::DatabaseExists);
        // Once it is materialized it is still a clone of this one, but not of one made later under that name.
        let middle = here.clone_as("middle").await;
        let inner = middle.clone_as("inner").await;
        inner.0.materialize(&|_| true).await.expect("a copy");
        middle.try_clone("inner", existing.clone()).await.expect("it is the one that is there");
        here.try_clone("inner", existing.clone()).await.err().expect("it is no clone of this one");
        middle.0.drop_database().await.expect("nothing lies on it");
        let reborn = here.clone_as("middle").await;
        reborn.try_clone("inner", existing).await.err().expect("it is no clone of this one");
    });
}

/// SEMANTICS C9: the characters of a name, and how many.
#[test]
fn a_name_that_is_none_is_refused() {
    run(async |world| {
        let main = world.main().await;
        for bad in ["", ".", ".hidden", "a b", "a/b", "ä", "a\0", &"x".repeat(65)] {
            let error = main.try_clone(bad, CloneOptions::default()).await.err().expect("it is no name");
            assert_eq!(error.code(), ErrorCode::InvalidName, "{bad:?}");
        }
        for good in ["a", "ab", "A.b-c_9", "-", &"x".repeat(64)] {
            main.clone_as(good).await.ok(say::insert(&[("a", json!({}))])).await;
        }
        let mut sorted = ["-", "A.b-c_9", "a", "ab", "main", &"x".repeat(64)].map(String::from);
        sorted.sort();
        assert_eq!(names(&main.reopened(&world).await).await, sorted, "by name");
    });
}

/// SEMANTICS C9, R6: a database made under a dropped one's name is another database.
#[test]
fn a_name_can_be_used_again_and_nothing_comes_back() {
    run(async |world| {
        let main = world.main().await;
        let first = main.clone_as("draft").await;
        first.ok(say::insert(&[("a", json!({"n": 1}))])).await;
        let held = first.snapshot().await;
        first.0.drop_database().await.unwrap();
        let second = main.clone_as("draft").await;
        for db in [&second, &second.reopened(&world).await] {
            assert_eq!(db.ok(say::find()).await, json!([]));
        }
        assert_eq!(first.code(say::put(&[("b", json!({}))])).await, ErrorCode::Closed);
        assert_eq!(crate::support::read(&held, say::count()).await, json!(1), "an open snapshot reads on");
        let past = second.0.at(When::Version(held.version())).await.unwrap();
        assert!(past.predates_clone(), "the other database's past is not its own");
        assert_eq!(crate::support::read(&past, say::count()).await, json!(0));
    });
}

/// SEMANTICS C1: a clone without a name gets one of its own.
#[test]
fn a_clone_without_a_name_is_made_all_the_same() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({}))])).await;
        let one = main.0.create_clone(None, CloneOptions::default()).await.unwrap();
        let other = main.0.create_clone(None, CloneOptions::default()).await.unwrap();
        assert_ne!(one, other);
        assert_eq!(open_in(main.0.store(), one.as_str()).await.ok(say::count()).await, json!(1));
    });
}
