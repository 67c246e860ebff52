//! Every way to write, on every state that a row can be in: a clone does what a full physical copy would do.

use offshoot::engine::Op;
use offshoot::engine::op::Condition;
use serde_json::{Value, json};

use crate::support::place::Way;
use crate::support::{Db, World, run, say};

fn document_shapes() -> Vec<Op> {
    let update = |operators: Value| say::update("k", operators);
    vec![
        say::insert(&[("k", json!({"n": 7}))]),
        say::insert(&[("j", json!({})), ("k", json!({}))]),
        say::put(&[("k", json!({"n": 8}))]),
        say::put(&[("j", json!({})), ("k", json!({}))]),
        update(json!({"$set": {"n": 9, "inside.x": null}})),
        update(json!({"$unset": {"n": true, "nothing": true}})),
        update(json!({"$inc": {"n": 1}})),
        update(json!({"$inc": {"text": 1}})),
        update(json!({"$set": {"text.x": 1}})),
        update(json!({})),
        say::delete(&["k"]),
        say::delete(&["k", "j", "k"]),
    ]
}

fn entry_shapes() -> Vec<Op> {
    let set = |value: Value, condition| say::kv_set_if("k", value, condition);
    vec![
        set(json!({"n": 7}), Condition::None),
        set(Value::Null, Condition::IfAbsent),
        set(json!(""), Condition::IfPresent),
        say::kv_set_many(&[("j", json!(1)), ("k", json!(2))]),
        say::kv_set_field("k", "n", Some(json!(9))),
        say::kv_set_field("k", "n", None),
        say::kv_set_field("k", "new", Some(json!({"x": []}))),
        say::kv_set_field("k", "new", None),
        say::kv_delete(&["k"]),
        say::kv_delete(&["k", "j", "k"]),
    ]
}

/// A layer's version of a row: none, a value or a tombstone.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Saying {
    Nothing,
    Value(i64),
    Deleted,
}

/// Writes such a version of the document and of the entry `k` in a database.
async fn say_in(db: &Db, saying: Saying) {
    match saying {
        Saying::Nothing => {}
        Saying::Value(n) => {
            let value = json!({"n": n, "text": "t"});
            db.ok(say::put(&[("k", value.clone())])).await;
            db.ok(say::kv_set("k", value)).await;
        }
        Saying::Deleted => {
            db.ok(say::delete(&["k"])).await;
            db.ok(say::kv_delete(&["k"])).await;
        }
    }
}

async fn all(db: &Db) -> (Value, Value) {
    (db.ok(say::find()).await, db.ok(say::kv_list(false)).await)
}

/// A database without an origin that holds what `line` shows.
async fn copy(world: &World, shown: &(Value, Value)) -> Db {
    let flat = world.main().await;
    for row in shown.0.as_array().expect("rows") {
        flat.ok(say::insert(&[(row[0].as_str().expect("an id"), row[1].clone())])).await;
    }
    for row in shown.1.as_array().expect("rows") {
        flat.ok(say::kv_set(row[0].as_str().expect("a key"), row[1].clone())).await;
    }
    flat
}

fn compare(way: Way, sayings: [Saying; 3], op: &Op) {
    run(async |world| {
        let mut line = vec![world.main().await];
        for (depth, saying) in sayings.into_iter().enumerate() {
            if depth > 0 {
                line.push(line[depth - 1].clone_as(&format!("clone{depth}")).await);
            }
            say_in(&line[depth], saying).await;
        }
        let leaf = &line[2];
        let shown = all(leaf).await;
        let below = (all(&line[0]).await, all(&line[1]).await);
        let flat = copy(&world.elsewhere(), &shown).await;
        let place = format!("{way:?} {sayings:?} {op:?}");
        assert_eq!(way.run(leaf, op.clone()).await, way.run(&flat, op.clone()).await, "{place}");
        assert_eq!(all(leaf).await, all(&flat).await, "{place}");
        assert_eq!((all(&line[0]).await, all(&line[1]).await), below, "the origins: {place}");
        assert_eq!(all(&leaf.reopened(&world).await).await, all(leaf).await, "after opening again");
    });
}

fn compare_all(shapes: &[Op]) {
    let mut sayings = Vec::new();
    for root in [Saying::Nothing, Saying::Value(1)] {
        for middle in [Saying::Nothing, Saying::Value(2), Saying::Deleted] {
            for leaf in [Saying::Nothing, Saying::Value(3), Saying::Deleted] {
                sayings.push([root, middle, leaf]);
            }
        }
    }
    for (op, sayings) in shapes.iter().flat_map(|op| sayings.iter().map(move |sayings| (op, *sayings))) {
        for way in Way::ALL {
            compare(way, sayings, op);
        }
    }
}

/// SEMANTICS W10, R5, W1, W2, W3, W4, W7: documents.
#[test]
fn every_write_of_a_document_does_on_a_clone_what_it_does_on_a_copy() {
    compare_all(&document_shapes());
}

/// SEMANTICS W10, R5, W5, W6, W7: entries.
#[test]
fn every_write_of_an_entry_does_on_a_clone_what_it_does_on_a_copy() {
    compare_all(&entry_shapes());
}

/// SEMANTICS W10: at the greatest depth that there can be.
#[test]
fn every_write_works_eight_clones_deep() {
    for op in document_shapes().into_iter().chain(entry_shapes()) {
        run(async |world| {
            let mut db = world.main().await;
            say_in(&db, Saying::Value(1)).await;
            for depth in 0..8 {
                db = db.clone_as(&format!("clone{depth}")).await;
            }
            let shown = all(&db).await;
            let flat = copy(&world.elsewhere(), &shown).await;
            assert_eq!(db.run(op.clone()).await, flat.run(op.clone()).await, "{op:?}");
            assert_eq!(all(&db).await, all(&flat).await, "{op:?}");
        });
    }
}
