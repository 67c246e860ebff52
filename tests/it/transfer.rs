//! An export is a database as its reader sees it, and an import brings it back, anywhere.

use std::rc::Rc;

use offshoot::engine::op::{Condition, KeyRange};
use offshoot::engine::{Answer, ExportOptions, Imported, Op};
use offshoot::types::pack::write_bin;
use offshoot::types::{Key, KeyPart, limits};
use proptest::prelude::*;
use serde_json::json;

use crate::support::place::{document_row, own_version};
use crate::support::transfer::{Pieces, bodies, contents, export, export_of, import, import_from, try_import};
use crate::support::{Db, pack, run, say};

async fn fill(db: &Db) {
    db.ok(say::put(&[("a", json!({"n": 1, "nested": {"deep": [null, true, "é"]}})), ("b", json!({}))])).await;
    db.ok(say::put_in("other", &[("x", json!({"large": "0123456789".repeat(9000)})), ("y", json!({"n": 2}))])).await;
    db.ok(say::kv_set("key", json!("value"))).await;
    db.ok(say::kv_set_many(&[("null", json!(null)), ("nothing", json!("")), ("list", json!([1, [2.5, -3]]))])).await;
    db.ok(say::put_in("empty", &[("gone", json!({}))])).await;
    db.ok(Op::Delete { collection: say::collection("empty"), ids: vec!["gone".into()] }).await;
}

#[test]
fn what_was_exported_is_there_after_an_import_elsewhere() {
    run(async |world| {
        let main = world.main().await;
        fill(&main).await;
        for is_checkpointed in [false, true] {
            if is_checkpointed {
                main.0.store().maintain().await.expect("a checkpoint");
            }
            let bytes = export(&main).await;
            let elsewhere = world.elsewhere();
            let other = elsewhere.main().await;
            assert_eq!(import(&other, &bytes).await, Imported { documents: 4, entries: 4, skipped: None });
            assert_eq!(contents(&other).await, contents(&main).await);
            assert_eq!(contents(&other.reopened(&elsewhere).await).await, contents(&main).await);
            assert_eq!(bodies(&export(&other).await)[1..], bodies(&bytes)[1..], "all but the header");
        }
    });
}

/// A step of an export may pass nothing but deleted rows, because it has examined enough, or a block is missing behind
/// them. The rows behind them are exported all the same.
#[test]
fn rows_behind_many_deleted_ones_are_exported() {
    run(async |world| {
        const ROWS: usize = 12_000;
        let main = world.main().await;
        let ids: Vec<String> = (0..ROWS).map(|n| format!("{n:05}")).collect();
        let rows: Vec<_> = ids.iter().map(|id| (&id[..], json!({"text": "x".repeat(20)}))).collect();
        main.ok(say::put(&rows)).await;
        main.0.store().maintain().await.expect("a checkpoint");
        let head = ids[..ROWS - 2].to_vec();
        main.ok(Op::Delete { collection: say::collection("todos"), ids: head }).await;
        for is_checkpointed in [false, true] {
            if is_checkpointed {
                main.0.store().maintain().await.expect("a checkpoint");
            }
            let cold = main.reopened(&world).await;
            let other = world.elsewhere().main().await;
            assert_eq!(import(&other, &export(&cold).await).await.documents, 2);
            assert_eq!(contents(&other).await, contents(&main).await);
        }
    });
}

/// SEMANTICS R1, R2, R3: through all levels, tombstones and copies of rows included; the export needs no origin.
#[test]
fn a_clone_is_exported_as_its_reader_sees_it() {
    run(async |world| {
        let main = world.main().await;
        fill(&main).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::update("a", json!({"$set": {"n": 10}}))).await;
        draft.ok(say::delete(&["b"])).await;
        draft.ok(say::kv_set("list", json!({"x": 1}))).await;
        let leaf = draft.clone_as("leaf").await;
        leaf.ok(say::put(&[("b", json!({"back": true})), ("c", json!({}))])).await;
        leaf.ok(say::kv_delete(&["key"])).await;
        main.ok(say::put(&[("later", json!({}))])).await;
        for db in [&main, &draft, &leaf] {
            let bytes = export(db).await;
            let other = world.elsewhere().main().await;
            import(&other, &bytes).await;
            assert_eq!(contents(&other).await, contents(db).await, "{}", db.0.name());
        }
    });
}

/// SEMANTICS R4, R6: of one point, whatever is written meanwhile; of the past too.
#[test]
fn an_export_is_one_snapshot() {
    run(async |world| {
        let main = world.main().await;
        let rows: Vec<_> = (0..3000).map(|n| (format!("{n:05}"), json!({"n": n, "text": "x".repeat(100)}))).collect();
        let rows: Vec<_> = rows.iter().map(|(id, row)| (&id[..], row.clone())).collect();
        main.ok(say::put(&rows)).await;
        let then = Rc::new(main.snapshot().await);
        let before = export(&main).await;
        let mut running = then.export("main", ExportOptions::default());
        let mut bytes = running.next().await.expect("a piece").expect("the first one");
        main.ok(say::delete(&["00001", "02999"])).await;
        main.ok(say::put(&[("02998", json!({})), ("new", json!({}))])).await;
        main.0.store().compact_all().await.expect("a compaction");
        while let Some(piece) = running.next().await.expect("a piece") {
            assert!(piece.len() < 100_000, "a piece is small: {}", piece.len());
            bytes.extend(piece);
        }
        assert!(bytes == before);
        assert_eq!(running.rows(), 3000);
        let past = main.0.at(offshoot::engine::When::Version(then.version())).await.expect("it is held");
        assert!(export_of(past, "main", ExportOptions::default()).await.expect("an export") == before);
    });
}

#[test]
fn an_empty_database_is_an_export_too() {
    run(async |world| {
        let main = world.main().await;
        let bytes = export(&main).await;
        assert_eq!(bodies(&bytes).len(), 2, "a header and an end");
        let before = main.0.version();
        assert_eq!(import(&main, &bytes).await, Imported { documents: 0, entries: 0, skipped: None });
        assert_eq!(main.0.version(), before, "there was nothing to commit");
    });
}

#[test]
fn an_import_is_one_commit_whatever_the_size_of_its_pieces() {
    run(async |world| {
        let main = world.main().await;
        fill(&main).await;
        let bytes = export(&main).await;
        for size in [1, 2, 7, 4096, bytes.len()] {
            let other = world.elsewhere().main().await;
            let before = other.0.version();
            let mut pieces = Pieces::of(&bytes, size);
            // Pieces may also be empty.
            pieces.0.insert(1.min(pieces.0.len()), Ok(Vec::new()));
            import_from(&other.0, &mut pieces, false).await.expect("an import");
            assert_eq!(other.0.version().0, before.0 + 1);
            assert_eq!(contents(&other).await, contents(&main).await, "pieces of {size} bytes");
        }
    });
}

/// SEMANTICS W9: over an origin's rows; the origin stays as it is, and the changes are what was imported.
#[test]
fn an_import_into_a_clone_remembers_what_it_replaced() {
    run(async |world| {
        let source = world.elsewhere().main().await;
        let new = [("a", json!({"n": "imported"})), ("b", json!({"n": "imported"})), ("c", json!({"n": "imported"}))];
        source.ok(say::put(&new)).await;
        source.ok(say::put(&[("same", json!({"n": 4}))])).await;
        let bytes = export(&source).await;
        let main = world.main().await;
        main.ok(say::put(&[("a", json!({"n": 1})), ("b", json!({"n": 2})), ("same", json!({"n": 4}))])).await;
        let before = contents(&main).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::delete(&["b"])).await;
        assert_eq!(try_import(&draft, &bytes, true).await.expect("an import").documents, 4);
        let changes = draft.0.diff(offshoot::engine::Side::Origin).await.expect("a diff");
        let told: Vec<_> = changes.iter().map(offshoot::engine::Difference::operation).collect();
        assert_eq!(told, ["update", "update", "insert"]);
        assert_eq!(contents(&main).await, before);
        for (id, is_based) in [("a", true), ("b", true), ("c", false), ("same", true)] {
            let (_, version) = own_version(&world, &draft, &document_row(id)).await.expect("it is in the layer");
            assert_eq!(version.base.is_some(), is_based, "{id}");
        }
    });
}

/// The largest value has a frame to itself, and fits.
#[test]
fn a_value_of_any_size_comes_back() {
    run(async |world| {
        let main = world.main().await;
        let sizes = [60_000, 64 * 1024, 70_000, 1_200_000, limits::VALUE_BYTES];
        for (n, size) in sizes.into_iter().enumerate() {
            let mut value = Vec::new();
            write_bin(&mut value, &vec![n as u8; size - if size > 0xffff { 5 } else { 3 }]);
            assert!(value.len().abs_diff(size) <= 2, "about the size that is meant");
            let (collection, key) = (say::collection("kv"), say::key(&format!("{n}")));
            main.ok(Op::EntrySet { collection, entries: vec![(key, value)], condition: Condition::None }).await;
        }
        let bytes = export(&main).await;
        let other = world.elsewhere().main().await;
        assert_eq!(import(&other, &bytes).await.entries, 5);
        for (n, size) in sizes.into_iter().enumerate() {
            assert!(entry(&other, n).await == entry(&main, n).await, "{size} bytes");
        }
    });
}

async fn entry(db: &Db, n: usize) -> Vec<u8> {
    let get = Op::EntryGet { collection: say::collection("kv"), keys: vec![say::key(&format!("{n}"))], one: true };
    match db.0.run(get, None).await.expect("a read") {
        Answer::Value(Some(value)) => value.to_vec(),
        other => panic!("a value, not {other:?}"),
    }
}

fn part() -> impl Strategy<Value = KeyPart> {
    prop_oneof![
        any::<f64>().prop_filter("no NaN", |n| !n.is_nan()).prop_map(|n| KeyPart::Number(n + 0.0)),
        (-40i32..40).prop_map(|n| KeyPart::Number(n.into())),
        "[\\x00-\\x02a-bé😀]{0,4}".prop_map(KeyPart::Text),
        proptest::collection::vec(any::<u8>(), 0..5).prop_map(KeyPart::Bytes),
    ]
}

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![part().prop_map(Key::One), proptest::collection::vec(part(), 1..4).prop_map(Key::Many)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// SEMANTICS R9: keys of every kind, in their order.
    #[test]
    fn entries_under_any_keys_come_back(keys in proptest::collection::vec(key(), 1..30), size in 1usize..300) {
        run(async |world| {
            let entries = keys.iter().enumerate().map(|(n, key)| (key.encode().expect("a key"), pack(&json!(n))));
            let (collection, condition) = (say::collection("kv"), Condition::None);
            let set = Op::EntrySet { collection, entries: entries.collect(), condition };
            let main = world.main().await;
            main.ok(set).await;
            let bytes = export(&main).await;
            let other = world.elsewhere().main().await;
            import_from(&other.0, &mut Pieces::of(&bytes, size), false).await.expect("an import");
            assert_eq!(entries_of(&other).await, entries_of(&main).await);
        });
    }
}

async fn entries_of(db: &Db) -> Vec<(Vec<u8>, Vec<u8>)> {
    let range = KeyRange::default();
    let list = Op::EntryList {
        collection: say::collection("kv"),
        range,
        reverse: false,
        limit: None,
        after: None,
        rest: None,
    };
    match db.0.run(list, None).await.expect("a list") {
        Answer::Entries(page) => page.rows.into_iter().map(|(key, value)| (key, value.to_vec())).collect(),
        other => panic!("entries, not {other:?}"),
    }
}
