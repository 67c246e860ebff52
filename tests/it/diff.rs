//! The changes of a clone, as `diff` finds them.

use offshoot::engine::{Difference, Side, Snapshot, When};
use offshoot::error::ErrorCode;
use offshoot::types::key::read_id;
use offshoot::types::{Bytes, Kind};
use serde_json::{Value, json};

use crate::support::place::in_clones;
use crate::support::{run, say, unpack};

fn told(change: Difference) -> Value {
    let side = |side: &Option<Bytes>| side.as_ref().map(|value| unpack(value));
    let key = read_id(&change.key).expect("a text");
    let kind = if change.kind == Kind::Document { "documents" } else { "kv" };
    let operation = change.operation();
    json!([operation, kind, change.collection, key, side(&change.before), side(&change.after), change.fields])
}

async fn diff(snapshot: &Snapshot, against: Side<'_>, collection: Option<&str>, page: usize) -> Vec<Value> {
    let collection = collection.map(say::collection);
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let found = snapshot.diff(against, collection.as_ref(), after.as_ref(), page).await.expect("a page");
        assert!(found.changes.len() <= page);
        all.extend(found.changes.into_iter().map(told));
        after = found.next;
        if after.is_none() {
            return all;
        }
    }
}

/// SEMANTICS C11: each row that differs, with its kind, both sides and the fields; rows that are equal again are none.
#[test]
fn a_diff_tells_what_a_clone_changed() {
    let rows = [("a", json!({"n": 1, "m": 1})), ("b", json!({"n": 2})), ("c", json!({"n": 3}))];
    in_clones(&[say::insert(&rows), say::kv_set_many(&rows)], async |place| {
        for op in [
            say::update("a", json!({"$inc": {"n": 5}, "$unset": {"m": true}, "$set": {"new": true}})),
            say::delete(&["b"]),
            say::put(&[("c", json!({"n": 4}))]),
            say::put(&[("c", json!({"n": 3}))]),
            say::insert(&[("d", json!({}))]),
            say::insert(&[("e", json!({}))]),
            say::delete(&["e"]),
            say::kv_set("a", Value::Null),
            say::kv_delete(&["c"]),
        ] {
            place.ok(op).await;
        }
        place.origins()[0].ok(say::put(&[("z", json!({"later": true}))])).await;
        let expected = vec![
            json!(["update", "kv", "kv", "a", {"n": 1, "m": 1}, null, []]),
            json!(["delete", "kv", "kv", "c", {"n": 3}, null, []]),
            json!(["update", "documents", "todos", "a", {"n": 1, "m": 1}, {"n": 6, "new": true}, ["n", "new", "m"]]),
            json!(["delete", "documents", "todos", "b", {"n": 2}, null, []]),
            json!(["insert", "documents", "todos", "d", null, {}, []]),
        ];
        for db in [place.db(), &place.db().reopened(&place.world).await] {
            let snapshot = db.snapshot().await;
            for page in [1, 2, 512] {
                assert_eq!(diff(&snapshot, Side::Origin, None, page).await, expected, "pages of {page}");
            }
            assert_eq!(diff(&snapshot, Side::Origin, Some("kv"), 9).await, expected[..2]);
            assert_eq!(diff(&snapshot, Side::Origin, Some("todos"), 9).await, expected[2..]);
            assert_eq!(diff(&snapshot, Side::Origin, Some("to"), 9).await, [] as [Value; 0]);
        }
    });
}

/// SEMANTICS C11: against its own past, its origin's present, and a clone beside it.
#[test]
fn a_diff_can_be_against_any_other_point() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1})), ("b", json!({"n": 1}))])).await;
        let (one, other) = (main.clone_as("one").await, main.clone_as("other").await);
        one.ok(say::increment("a", 1)).await;
        let then = one.0.version();
        one.ok(say::delete(&["a"])).await;
        other.ok(say::increment("b", 1)).await;
        main.ok(say::insert(&[("c", json!({}))])).await;
        let now = one.snapshot().await;
        let deleted = |n: i64| json!(["delete", "documents", "todos", "a", {"n": n}, null, []]);
        let past = one.0.at(When::Version(then)).await.unwrap();
        assert_eq!(diff(&now, Side::Snapshot(&past), None, 9).await, [deleted(2)]);
        let origin = main.snapshot().await;
        let gone = json!(["delete", "documents", "todos", "c", {}, null, []]);
        assert_eq!(diff(&now, Side::Snapshot(&origin), None, 9).await, [deleted(1), gone]);
        let beside = other.snapshot().await;
        let lower = json!(["update", "documents", "todos", "b", {"n": 2}, {"n": 1}, ["n"]]);
        assert_eq!(diff(&now, Side::Snapshot(&beside), None, 9).await, [deleted(1), lower]);
        assert_eq!(diff(&now, Side::Snapshot(&now), None, 9).await, [] as [Value; 0]);
        let error = origin.diff(Side::Origin, None, None, 9).await.err().expect("a root has no origin");
        assert_eq!(error.code(), ErrorCode::NotAClone);
    });
}

/// SEMANTICS C11: more changes than one page holds, and rows in between that are the same.
#[test]
fn a_long_diff_comes_in_pages() {
    run(async |world| {
        let main = world.main().await;
        let name = |n: i64| format!("{n:05}");
        let names: Vec<String> = (0..3000).map(name).collect();
        let rows: Vec<_> = names.iter().map(|name| (&name[..], json!({"n": 0}))).collect();
        main.ok(say::insert(&rows)).await;
        let clone = main.clone_as("clone").await;
        let changed: Vec<_> = names.iter().step_by(2).map(|name| (&name[..], json!({"n": 1}))).collect();
        clone.ok(say::put(&changed)).await;
        let same: Vec<_> = names.iter().skip(1).step_by(4).map(|name| (&name[..], json!({"n": 0}))).collect();
        clone.ok(say::put(&same)).await;
        let deleted: Vec<&str> = names.iter().skip(3).step_by(4).map(|name| &name[..]).collect();
        assert_eq!(clone.ok(say::delete(&deleted)).await, json!(750));
        let all = clone.0.diff(Side::Origin).await.unwrap();
        let keys: Vec<_> = all.iter().map(|change| read_id(&change.key).unwrap()).collect();
        let expected: Vec<_> = (0..3000).filter(|n| n % 4 != 1).map(name).collect();
        assert_eq!(keys, expected);
        assert_eq!(all.iter().filter(|change| change.operation() == "delete").count(), 750);
    });
}

/// SEMANTICS C11: the same fields in another order are no change, at any depth.
#[test]
fn the_order_of_fields_is_no_change() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1, "o": {"x": 1, "y": 1}}))])).await;
        let clone = main.clone_as("clone").await;
        for (unset, set) in [("n", json!({"n": 1})), ("o.x", json!({"o.x": 1}))] {
            clone.ok(say::update("a", json!({"$unset": {unset: true}}))).await;
            clone.ok(say::update("a", json!({"$set": set}))).await;
        }
        assert_eq!(diff(&clone.snapshot().await, Side::Origin, None, 9).await, [] as [Value; 0]);
        clone.ok(say::update("a", json!({"$set": {"m": 1}}))).await;
        let found = diff(&clone.snapshot().await, Side::Origin, None, 9).await;
        assert_eq!(found[0][6], json!(["m"]));
    });
}
