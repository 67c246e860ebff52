//! Documents that are written: in a root, in a clone and in a clone's clone, by single calls and inside transactions.

use offshoot::engine::op::NewDocument;
use offshoot::error::ErrorCode;
use offshoot::types::{Base, Version};
use serde_json::{Value, json};

use crate::support::place::{Way, document_row, everywhere, in_clones};
use crate::support::{pack, run, say};

/// SEMANTICS W7, W11: a document that was written is read, and an id that is taken cannot be inserted.
#[test]
fn a_document_that_was_written_is_read() {
    everywhere(&[], async |place| {
        assert_eq!(place.ok(say::insert(&[("a", json!({"n": 1})), ("b", json!({"n": 2}))])).await, json!(["a", "b"]));
        assert_eq!(place.code(say::insert(&[("c", json!({})), ("a", json!({}))])).await, ErrorCode::KeyExists);
        assert_eq!(place.ok(say::put(&[("b", json!({"n": 3})), ("d", json!({"n": 4}))])).await, json!(["b", "d"]));
        place.reads(say::get("a"), json!([{"n": 1}])).await;
        place.reads(say::get("c"), Value::Null).await;
        place.reads(say::count(), json!(3)).await;
        place.reads(say::find(), json!([["a", {"n": 1}], ["b", {"n": 3}], ["d", {"n": 4}]])).await;
        place.origins_read(say::find(), json!([])).await;
    });
}

/// SEMANTICS W1: the row comes up whole, changed, in one commit; the origin never changes.
#[test]
fn an_update_of_an_origins_document_copies_it_up() {
    let before = json!({"n": 1, "text": "as it was", "inside": {"list": [1, 2]}});
    in_clones(&[say::insert(&[("a", before.clone()), ("b", json!({"n": 0}))])], async |place| {
        let change = json!({"$inc": {"n": 5}, "$set": {"inside.more": true}, "$unset": {"text": 1}});
        assert_eq!(place.commits(say::update("a", change)).await, (json!(true), 1));
        let after = json!({"n": 6, "inside": {"list": [1, 2], "more": true}});
        place.reads(say::get("a"), json!([after])).await;
        place.reads(say::find(), json!([["a", after], ["b", {"n": 0}]])).await;
        place.origins_read(say::get("a"), json!([before])).await;
        let (_, copy) = place.own_version(&document_row("a")).await.expect("the copy");
        assert!(copy.here().is_some_and(|value| crate::support::unpack(value) == after));
        assert!(place.own_version(&document_row("b")).await.is_none(), "nothing else is copied");
    });
}

/// SEMANTICS W2: a document of the layer is updated there, whatever its origin's copy becomes.
#[test]
fn an_update_of_the_layers_own_document_does_not_ask_the_origin() {
    in_clones(&[say::insert(&[("a", json!({"n": 1}))])], async |place| {
        place.ok(say::put(&[("a", json!({"n": 10}))])).await;
        for origin in place.origins() {
            origin.ok(say::delete(&["a"])).await;
        }
        assert_eq!(place.commits(say::increment("a", 1)).await, (json!(true), 1));
        place.reads(say::get("a"), json!([{"n": 11}])).await;
        place.origins_read(say::get("a"), Value::Null).await;
    });
}

/// SEMANTICS W3: an absent document is not matched, and nothing is written.
#[test]
fn an_update_of_an_absent_document_changes_nothing() {
    everywhere(&[say::insert(&[("a", json!({"n": 1}))])], async |place| {
        assert_eq!(place.commits(say::increment("nowhere", 1)).await, (json!(false), 0));
        place.ok(say::delete(&["a"])).await;
        assert_eq!(place.commits(say::increment("a", 1)).await, (json!(false), 0), "it does not come back");
        place.reads(say::find(), json!([])).await;
        place.origins_read(say::get("a"), json!([{"n": 1}])).await;
    });
}

/// SEMANTICS W3, R2: a row that a clone in the middle deleted is absent from its clones, for updates too.
#[test]
fn a_deleted_row_stays_deleted_in_a_grandchild() {
    for way in Way::ALL {
        run(async |world| {
            let main = world.main().await;
            main.ok(say::insert(&[("a", json!({"n": 1})), ("b", json!({"n": 1}))])).await;
            let middle = main.clone_as("middle").await;
            assert_eq!(way.run(&middle, say::delete(&["a"])).await.unwrap(), json!(1));
            let leaf = middle.clone_as("leaf").await.clone_as("leaf2").await;
            assert_eq!(way.run(&leaf, say::increment("a", 1)).await.unwrap(), json!(false));
            assert_eq!(way.run(&leaf, say::delete(&["a"])).await.unwrap(), json!(0));
            for db in [&leaf, &leaf.reopened(&world).await, &middle] {
                assert_eq!(db.ok(say::get("a")).await, Value::Null);
                assert_eq!(db.ok(say::find()).await, json!([["b", {"n": 1}]]));
                assert_eq!(db.ok(say::count()).await, json!(1));
            }
            assert_eq!(way.run(&leaf, say::insert(&[("a", json!({"n": 9}))])).await.unwrap(), json!(["a"]));
            assert_eq!(leaf.ok(say::get("a")).await, json!([{"n": 9}]));
            assert_eq!(middle.ok(say::get("a")).await, Value::Null);
            assert_eq!(main.ok(say::get("a")).await, json!([{"n": 1}]));
        });
    }
}

/// SEMANTICS W4: a visible document leaves a tombstone, wherever it came from, and the count is true.
#[test]
fn a_delete_leaves_a_tombstone_and_counts_what_was_visible() {
    let seed = say::insert(&[("a", json!({"n": 1})), ("b", json!({"n": 2})), ("c", json!({"n": 3}))]);
    everywhere(&[seed], async |place| {
        place.ok(say::put(&[("own", json!({}))])).await;
        let all = place.commits(say::delete(&["a", "own", "nowhere", "a"])).await;
        assert_eq!(all, (json!(2), 1), "twice named is deleted once");
        for id in ["a", "own"] {
            let (_, version) = place.own_version(&document_row(id)).await.expect("a version");
            assert!(version.is_tombstone(), "{id}");
        }
        assert_eq!(place.commits(say::delete(&["a", "own", "nowhere"])).await, (json!(0), 0));
        assert!(place.own_version(&document_row("nowhere")).await.is_none(), "nothing is written for nothing");
        place.reads(say::find(), json!([["b", {"n": 2}], ["c", {"n": 3}]])).await;
        place.origins_read(say::count(), json!(3)).await;
    });
}

/// SEMANTICS W7: an insert sees the merged rows, those of every origin too.
#[test]
fn an_insert_of_a_key_that_an_origin_shows_fails() {
    everywhere(&[say::insert(&[("a", json!({"n": 1}))])], async |place| {
        let error = place.run(say::insert(&[("b", json!({})), ("a", json!({}))])).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::KeyExists);
        assert!(error.message().contains("\"a\""), "it names the key: {error}");
        place.reads(say::find(), json!([["a", {"n": 1}]])).await;
        place.ok(say::delete(&["a"])).await;
        assert_eq!(place.ok(say::insert(&[("a", json!({"n": 2}))])).await, json!(["a"]));
        assert_eq!(place.code(say::insert(&[("a", json!({}))])).await, ErrorCode::KeyExists);
        place.reads(say::find(), json!([["a", {"n": 2}]])).await;
        place.origins_read(say::find(), json!([["a", {"n": 1}]])).await;
    });
}

/// SEMANTICS W7: a put replaces all of a document, without anything of the origin's.
#[test]
fn a_put_replaces_the_whole_document() {
    everywhere(&[say::insert(&[("a", json!({"old": 1, "n": 1}))])], async |place| {
        assert_eq!(place.commits(say::put(&[("a", json!({"n": 2}))])).await, (json!(["a"]), 1));
        place.reads(say::get("a"), json!([{"n": 2}])).await;
        place.origins_read(say::get("a"), json!([{"old": 1, "n": 1}])).await;
    });
}

/// SEMANTICS W9: a version over an origin's row keeps the LSN of what it first replaced; an insert keeps none.
#[test]
fn a_version_remembers_what_it_replaced() {
    let seed = [say::insert(&[("a", json!({"n": 1})), ("b", json!({"n": 1}))]), say::increment("a", 1)];
    in_clones(&seed, async |place| {
        // The store's first commit made `main`; these are the two of the seed.
        let (inserted, updated) = (2, 3);
        let base = async |id: &str| -> Option<u64> {
            let (_, version): (_, Version) = place.own_version(&document_row(id)).await.expect("a version");
            version.base.map(Base::number)
        };
        place.ok(say::increment("a", 1)).await;
        place.ok(say::put(&[("b", json!({}))])).await;
        place.ok(say::put(&[("new", json!({}))])).await;
        assert_eq!((base("a").await, base("b").await, base("new").await), (Some(updated), Some(inserted), None));
        place.ok(say::increment("a", 1)).await;
        place.ok(say::delete(&["b"])).await;
        place.ok(say::delete(&["new"])).await;
        assert_eq!((base("a").await, base("b").await, base("new").await), (Some(updated), Some(inserted), None));
        place.ok(say::insert(&[("b", json!({"n": 5}))])).await;
        assert_eq!(base("b").await, Some(inserted), "a row that came back replaced the same version");
    });
}

/// SEMANTICS W9: in a clone's clone, the base is the version of the nearest origin that has one.
#[test]
fn the_base_is_the_nearest_origins_version() {
    for way in Way::ALL {
        run(async |world| {
            let main = world.main().await;
            main.ok(say::insert(&[("a", json!({"n": 1})), ("b", json!({"n": 1}))])).await;
            let middle = main.clone_as("middle").await;
            middle.ok(say::increment("a", 1)).await;
            let copied = middle.0.version();
            middle.ok(say::delete(&["b"])).await;
            let leaf = middle.clone_as("leaf").await;
            way.run(&leaf, say::increment("a", 1)).await.unwrap();
            way.run(&leaf, say::insert(&[("b", json!({}))])).await.unwrap();
            let version = crate::support::place::own_version(&world, &leaf, &document_row("a")).await;
            assert_eq!(version.expect("a version").1.base, Some(Base::At(copied)));
            let version = crate::support::place::own_version(&world, &leaf, &document_row("b")).await;
            assert_eq!(version.expect("a version").1.base, None, "over a tombstone it is an insert");
        });
    }
}

/// SEMANTICS W8: a call that fails in the middle leaves nothing, in a transaction that goes on too.
#[test]
fn a_call_that_fails_leaves_nothing_of_itself() {
    let seed = say::insert(&[("a", json!({"n": 1})), ("text", json!({"n": "no number"}))]);
    everywhere(&[seed], async |place| {
        let before = place.db().0.version();
        assert_eq!(place.code(say::increment("text", 1)).await, ErrorCode::NotANumber);
        assert_eq!(place.code(say::insert(&[("x", json!({})), ("a", json!({}))])).await, ErrorCode::KeyExists);
        assert_eq!(place.db().0.version(), before, "nothing was committed");
        place.reads(say::find(), json!([["a", {"n": 1}], ["text", {"n": "no number"}]])).await;
    });
}

/// SEMANTICS W7: documents that come without an id get one that sorts after those made before.
#[test]
fn ids_that_are_made_sort_as_they_were_made() {
    everywhere(&[], async |place| {
        let new = |n: i64| NewDocument::new(None, &pack(&json!({"n": n}))).expect("a good document");
        let mut made = Vec::new();
        for n in 0..3 {
            let documents = vec![new(2 * n), new(2 * n + 1)];
            let op = offshoot::engine::Op::Insert { collection: say::collection("todos"), documents };
            made.extend(place.ok(op).await.as_array().expect("ids").clone());
        }
        let expected: Vec<_> = made.iter().enumerate().map(|(n, id)| json!([id, {"n": n}])).collect();
        place.reads(say::find(), json!(expected)).await;
    });
}
