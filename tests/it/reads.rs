//! A database reads its own layer first, then its origin's, and so on to the root.

use std::rc::Rc;

use offshoot::engine::{Op, OpenOptions};
use offshoot::storage::{Batch, ListRange, Space, Storage};
use serde_json::{Value, json};

use crate::support::disk::Watched;
use crate::support::place::{everywhere, in_clones};
use crate::support::{open_in, run, say};

/// SEMANTICS R1: the layer answers first, then each origin as it was when it was cloned.
#[test]
fn a_read_falls_through_to_the_first_layer_that_answers() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"t": "of main"}))])).await;
        main.ok(say::insert(&[("b", json!({"t": "of main"})), ("c", json!({"t": "of main"}))])).await;
        let middle = main.clone_as("middle").await;
        middle.ok(say::put(&[("b", json!({"t": "of middle"}))])).await;
        middle.ok(say::delete(&["c"])).await;
        let leaf = middle.clone_as("leaf").await;
        leaf.ok(say::put(&[("d", json!({"t": "of leaf"}))])).await;
        assert_eq!(leaf.path().await, "leaf@8 > middle@6 > main@3");
        for db in [&leaf, &leaf.reopened(&world).await] {
            let all = json!([[{"t": "of main"}], [{"t": "of middle"}], null, [{"t": "of leaf"}]]);
            assert_eq!(db.ok(say::get_many(&["a", "b", "c", "d"])).await, all);
        }
        main.ok(say::put(&[("a", json!({"t": "later"}))])).await;
        assert_eq!(leaf.ok(say::get("a")).await, json!([{"t": "of main"}]), "at the clone's point, not the head");
    });
}

/// SEMANTICS R2: a tombstone hides all versions below it from all descendants, in documents and in KV.
#[test]
fn a_tombstone_in_any_layer_hides_what_is_below() {
    let seed = [say::insert(&[("a", json!({}))]), say::kv_set("a", json!(1))];
    in_clones(&seed, async |place| {
        for op in [say::delete(&["a"]), say::kv_delete(&["a"])] {
            place.ok(op).await;
        }
        let mut line = vec![place.db().clone()];
        for depth in 0..3 {
            line.push(line[depth].clone_as(&format!("below{depth}")).await);
        }
        for db in &line {
            for db in [db, &db.reopened(&place.world).await] {
                for (op, expected) in [
                    (say::get("a"), Value::Null),
                    (say::find(), json!([])),
                    (say::count(), json!(0)),
                    (say::kv_get("a"), Value::Null),
                    (say::kv_has("a"), json!(false)),
                    (say::kv_list(false), json!([])),
                    (say::kv_list(true), json!([])),
                    (say::kv_count(), json!(0)),
                ] {
                    assert_eq!(db.ok(op.clone()).await, expected, "{op:?} in {}", db.path().await);
                }
            }
        }
        place.origins_read(say::count(), json!(1)).await;
        place.origins_read(say::kv_count(), json!(1)).await;
    });
}

/// SEMANTICS R3: each key once, in order, the topmost version; skip, limit and count go by the merged rows.
#[test]
fn a_scan_is_one_merge_over_all_layers() {
    run(async |world| {
        let main = world.main().await;
        let rows = |keys: &str, n: i64| -> Vec<Op> {
            let row = |key: char| say::put(&[(&key.to_string()[..], json!({"n": n}))]);
            keys.chars().map(row).chain(keys.chars().map(|key| say::kv_set(&key.to_string(), json!(n)))).collect()
        };
        for op in rows("adgh", 1) {
            main.ok(op).await;
        }
        let middle = main.clone_as("middle").await;
        for op in rows("bdh", 2).into_iter().chain([say::delete(&["g"]), say::kv_delete(&["g"])]) {
            middle.ok(op).await;
        }
        let leaf = middle.clone_as("leaf").await;
        for op in rows("cgd", 3).into_iter().chain([say::delete(&["b"]), say::kv_delete(&["b"])]) {
            leaf.ok(op).await;
        }
        let merged = [("a", 1), ("c", 3), ("d", 3), ("g", 3), ("h", 2)];
        let documents: Vec<Value> = merged.iter().map(|(key, n)| json!([key, {"n": n}])).collect();
        let mut entries: Vec<Value> = merged.iter().map(|(key, n)| json!([key, n])).collect();
        assert_eq!(leaf.ok(say::find()).await, json!(documents));
        assert_eq!((leaf.ok(say::count()).await, leaf.ok(say::kv_count()).await), (json!(5), json!(5)));
        assert_eq!(leaf.ok(say::kv_list(false)).await, json!(entries));
        entries.reverse();
        assert_eq!(leaf.ok(say::kv_list(true)).await, json!(entries));
        let snapshot = leaf.snapshot().await;
        for (skip, limit) in (0..7).flat_map(|skip| (0..7).map(move |limit| (skip, limit))) {
            let find =
                Op::Find { collection: say::collection("todos"), after: None, rest: None, skip, limit: Some(limit) };
            let offshoot::engine::Answer::Documents(page) = snapshot.run(find).await.unwrap() else { panic!() };
            let found: Vec<_> = page.rows.iter().map(|(id, _)| json!(id)).collect();
            let expected: Vec<_> = documents.iter().skip(skip as usize).take(limit).map(|row| row[0].clone()).collect();
            assert_eq!(found, expected, "skip {skip}, limit {limit}");
        }
    });
}

/// SEMANTICS R4: nothing that the origin does later is seen, however it is asked for.
#[test]
fn a_clone_is_an_exact_snapshot_of_its_origin() {
    let rows = [("a", json!({"n": 1})), ("b", json!({"n": 2})), ("c", json!({"n": 3}))];
    let seed = [say::insert(&rows), say::kv_set_many(&rows)];
    in_clones(&seed, async |place| {
        for origin in place.origins() {
            origin.ok(say::insert(&[("aa", json!({}))])).await;
            origin.ok(say::increment("b", 100)).await;
            origin.ok(say::put(&[("a", json!({"n": 100}))])).await;
            origin.ok(say::delete(&["c"])).await;
            origin.ok(say::kv_set("aa", json!({}))).await;
            origin.ok(say::kv_set("a", json!({"n": 100}))).await;
            origin.ok(say::kv_set_field("b", "n", Some(json!(100)))).await;
            origin.ok(say::kv_delete(&["c"])).await;
            origin.ok(say::put_in("new", &[("x", json!({}))])).await;
        }
        let all: Vec<Value> = rows.iter().map(|(key, value)| json!([key, value])).collect();
        let backward: Vec<Value> = all.iter().rev().cloned().collect();
        place.reads(say::get_many(&["a", "aa", "b", "c"]), json!([[{"n": 1}], null, [{"n": 2}], [{"n": 3}]])).await;
        place.reads(say::find(), json!(all)).await;
        place.reads(say::count(), json!(3)).await;
        place.reads(say::kv_get_many(&["a", "aa", "b", "c"]), json!([[{"n": 1}], null, [{"n": 2}], [{"n": 3}]])).await;
        place.reads(say::kv_list(false), json!(all)).await;
        place.reads(say::kv_list(true), json!(backward)).await;
        place.reads(say::kv_count(), json!(3)).await;
        let names: Vec<_> = place.db().0.collections().await.unwrap().into_iter().map(|found| found.name).collect();
        assert_eq!(names, ["kv", "todos"]);
    });
}

/// SEMANTICS R7: a database that is no clone reads one layer, and a hot read asks the storage for nothing.
#[test]
fn a_root_reads_its_own_layer_only() {
    run(async |world| {
        let watched = Rc::new(Watched::new(&world.disk, None));
        let figures = watched.figures();
        let store = world.open(watched as Rc<dyn Storage>, OpenOptions::default()).await.unwrap();
        let main = open_in(&store, "main").await;
        main.ok(say::insert(&[("a", json!({"n": 1}))])).await;
        main.clone_as("clone").await;
        assert_eq!(main.path().await, "main@3");
        let before = figures.get();
        for op in [say::get("a"), say::find(), say::count(), say::get("nowhere")] {
            main.0.run_now(&op).expect("all is in memory").expect("it answers");
            main.ok(op).await;
        }
        assert_eq!(figures.get(), before);
    });
}

/// An opening asks for the manifest and the log. The blocks that it needs lie beside them in one record; if that is
/// damaged, the opening reads the blocks themselves.
#[test]
fn an_opening_reads_no_block_where_the_last_maintenance_left_them_in_one_place() {
    for (is_damaged, segments_read) in [(false, 0), (true, 1)] {
        run(async move |world| {
            let main = world.main().await;
            let rows: Vec<_> = (0..2000).map(|n| (format!("{n:04}"), json!({"text": "x".repeat(100)}))).collect();
            let rows: Vec<_> = rows.iter().map(|(id, row)| (&id[..], row.clone())).collect();
            main.ok(say::put(&rows)).await;
            main.ok(say::put(&[("large", json!({"text": "y".repeat(2_000_000)}))])).await;
            for n in 0..50 {
                main.ok(say::kv_set("key", json!(n))).await;
            }
            main.0.store().maintain().await.expect("a checkpoint");
            if is_damaged {
                let range = ListRange { from: Some("hot/".into()), before: Some("hot0".into()), limit: 9 };
                let (name, mut bytes) = world.disk.list(Space::Meta, &range).remove(0);
                bytes[20] ^= 1;
                world.disk.write(Batch { put: vec![(Space::Meta, name, bytes)], ..Batch::default() });
            }
            let watched = Rc::new(Watched::new(&world.disk, None));
            let figures = watched.figures();
            let store = world.open(watched as Rc<dyn Storage>, OpenOptions::default()).await.unwrap();
            let main = open_in(&store, "main").await;
            // The manifest, the log.
            assert_eq!(figures.get().reads, 2 + segments_read);
            assert_eq!(main.ok(say::count()).await, json!(2001));
        });
    }
}

/// SEMANTICS R8: nothing, in whatever form, is a value; only a missing key and a tombstone are absent.
#[test]
fn empty_values_are_values() {
    let empty = [Value::Null, json!(""), json!([]), json!({}), json!(false), json!(0)];
    let names = ["null", "text", "array", "object", "false", "zero"];
    let entries: Vec<_> = names.into_iter().zip(empty.clone()).collect();
    everywhere(&[say::kv_set_many(&entries), say::insert(&[("", json!({}))])], async |place| {
        for (name, value) in &entries {
            place.reads(say::kv_get(name), json!([value])).await;
            place.reads(say::kv_has(name), json!(true)).await;
        }
        place.reads(say::kv_count(), json!(6)).await;
        place.reads(say::get(""), json!([{}])).await;
        place.reads(say::kv_get("absent"), Value::Null).await;
        assert_eq!(place.ok(say::kv_delete(&["null", "absent"])).await, json!(1));
        place.reads(say::kv_get("null"), Value::Null).await;
        place.reads(say::kv_has("null"), json!(false)).await;
    });
}

/// SEMANTICS R8: bytes and extensions, also empty ones, come back byte for byte.
#[test]
fn every_value_comes_back_byte_for_byte() {
    use offshoot::engine::op::Condition;
    let values: [&[u8]; 9] = [
        &[0xc4, 0],
        &[0xc4, 2, 0, 255],
        &[0xcb, 0x80, 0, 0, 0, 0, 0, 0, 0],
        &[0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 1],
        &[0xd4, 1, 0x80],
        &[0xc7, 0, 5],
        &[0x81, 0xa9, b'_', b'_', b'p', b'r', b'o', b't', b'o', b'_', b'_', 0xc0],
        &[0xcc, 1],
        &[0x92, 0x90, 0x80],
    ];
    let entries = values.iter().enumerate().map(|(n, value)| (say::key(&n.to_string()), value.to_vec())).collect();
    let seed = Op::EntrySet { collection: say::collection("kv"), entries, condition: Condition::None };
    everywhere(&[seed], async |place| {
        for db in [place.db(), &place.db().reopened(&place.world).await] {
            for (n, value) in values.iter().enumerate() {
                let answer = db.0.run(say::kv_get(&n.to_string()), None).await.unwrap();
                let offshoot::engine::Answer::Value(Some(found)) = answer else { panic!("a value") };
                assert_eq!(&found[..], *value);
            }
        }
    });
}
