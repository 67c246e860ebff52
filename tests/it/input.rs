//! Wrong input: each with its code, and a message that names the place.

use offshoot::engine::op::NewDocument;
use offshoot::engine::{Op, OpenOptions};
use offshoot::error::{Detail, ErrorCode};
use offshoot::lsm::Manifest;
use offshoot::query::Update;
use offshoot::storage::{Batch, ListRange, Space};
use offshoot::types::limits::{KEY_BYTES, KEY_PARTS, VALUE_DEPTH};
use offshoot::types::{CollectionName, Key, KeyPart};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::place::everywhere;
use crate::support::{pack, run, say, try_open_in};

fn refused(call: Value) -> (ErrorCode, String) {
    let error = Op::decode(&pack(&call)).expect_err("it is no call");
    (error.code(), error.message().to_string())
}

/// SEMANTICS W8: a call that is none is refused before anything begins.
#[test]
fn a_call_that_is_none_is_refused() {
    for (call, code, place) in [
        (json!([]), ErrorCode::InvalidOption, "a call has"),
        (json!(["get"]), ErrorCode::InvalidOption, "a call has"),
        (json!(["fetch", "todos"]), ErrorCode::InvalidOption, "fetch"),
        (json!(["kvFetch", "kv"]), ErrorCode::InvalidOption, "kvFetch"),
        (json!(["get", "todos", "a", "b"]), ErrorCode::InvalidOption, "more arguments"),
        (json!(["get", "", "a"]), ErrorCode::InvalidName, "collection"),
        (json!(["get", "a/b", "a"]), ErrorCode::InvalidName, "a/b"),
        (json!(["insert", "todos", [["a", 7]]]), ErrorCode::InvalidValue, "object"),
        (json!(["insert", "todos", [["a", [1]]]]), ErrorCode::InvalidValue, "object"),
        (json!(["insert", "todos", [[null, null]]]), ErrorCode::InvalidValue, "object"),
        (json!(["kvGet", "kv", null]), ErrorCode::InvalidKey, "key"),
        (json!(["kvGet", "kv", {"a": 1}]), ErrorCode::InvalidKey, "key"),
        (json!(["kvGet", "kv", [1, [2]]]), ErrorCode::InvalidKey, "key"),
        (json!(["kvGet", "kv", []]), ErrorCode::InvalidKey, "parts"),
        (json!(["kvGet", "kv", vec![1; KEY_PARTS + 1]]), ErrorCode::InvalidKey, "parts"),
        (json!(["kvGet", "kv", "x".repeat(KEY_BYTES + 1)]), ErrorCode::TooLarge, "1024"),
        (json!(["kvSet", "kv", [["a", 1]], 9]), ErrorCode::InvalidOption, "condition"),
        (json!(["kvList", "kv", [1, null, null, null], false, null, null]), ErrorCode::InvalidKey, "prefix"),
        (json!(["find", "todos", null, -1, null]), ErrorCode::InvalidOption, "negative"),
        (json!(["update", "todos", "a", {"$push": {"a": 1}}]), ErrorCode::InvalidUpdate, "$push"),
        (json!(["update", "todos", "a", {"$inc": {"a": "1"}}]), ErrorCode::InvalidUpdate, "number"),
        (json!(["update", "todos", "a", {"$set": {"id": "b"}}]), ErrorCode::InvalidUpdate, "id"),
        (json!(["update", "todos", "a", {"$set": {"a..b": 1}}]), ErrorCode::InvalidUpdate, "a..b"),
        (json!(["update", "todos", "a", {"$set": {"a": 1, "a.b": 1}}]), ErrorCode::InvalidUpdate, "a.b"),
        (json!(["update", "todos", "a", {"$set": {"a": 1}, "$unset": {"a": 1}}]), ErrorCode::InvalidUpdate, "meet"),
    ] {
        let shown = call.to_string().chars().take(90).collect::<String>();
        let (found, message) = refused(call);
        assert_eq!(found, code, "{shown}: {message}");
        assert!(message.contains(place), "{shown}: {message}");
    }
}

proptest! {
    /// SEMANTICS W8: whatever comes for a call is a call or an error.
    #[test]
    fn any_bytes_are_a_call_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Op::decode(&bytes);
    }

    /// SEMANTICS W8: the same of bytes that are nearly a call.
    #[test]
    fn any_byte_of_a_call_can_be_wrong(which in 0..5usize, at in 0..60usize, byte in any::<u8>()) {
        let calls = [
            json!(["insert", "todos", [["a", {"n": 1, "m": [1, {}]}], [null, {}]]]),
            json!(["kvList", "kv", [["a", 1], "b", null, "z"], true, 9, ["a", 2]]),
            json!(["update", "todos", "a", {"$set": {"a.b": 1}, "$inc": {"n": 1.5}, "$unset": {"m": 1}}]),
            json!(["kvSet", "kv", [[["a", 1], {"n": null}], ["b", 7]], 1]),
            json!(["kvSetField", "kv", "a", "f", [{"n": -1}]]),
        ];
        let mut bytes = pack(&calls[which]);
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = Op::decode(&bytes);
    }
}

/// SEMANTICS W8: keys and ids to the limit, and one byte over it; both count the encoded key.
#[test]
fn keys_have_a_limit() {
    // A text takes a byte before it and two behind it.
    let (fits, over) = ("k".repeat(KEY_BYTES - 3), "k".repeat(KEY_BYTES - 2));
    everywhere(&[], async |place| {
        place.ok(say::put(&[(&fits, json!({}))])).await;
        place.ok(say::kv_set(&fits, json!(1))).await;
        place.reads(say::get(&fits), json!([{}])).await;
        place.reads(say::kv_list(true), json!([[fits, 1]])).await;
        for op in [say::get(&over), say::put(&[(&over, json!({}))]), say::increment(&over, 1), say::delete(&[&over])] {
            assert_eq!(place.code(op).await, ErrorCode::TooLarge);
        }
        assert_eq!(Key::text(&over).encode().unwrap_err().code(), ErrorCode::TooLarge);
        let nul = "\0".repeat(KEY_BYTES / 2);
        assert_eq!(Key::text(&nul).encode().unwrap_err().code(), ErrorCode::TooLarge);
        assert_eq!(place.code(say::get(&nul)).await, ErrorCode::TooLarge);
        place.reads(say::count(), json!(1)).await;
    });
    let parts = |count: usize| Key::Many(vec![KeyPart::Number(1.0); count]).encode().map_err(|error| error.code());
    assert!(parts(KEY_PARTS).is_ok());
    assert_eq!(parts(KEY_PARTS + 1), Err(ErrorCode::InvalidKey));
}

fn nested(depth: usize) -> Value {
    (1..depth).fold(json!([]), |inside, _| json!([inside]))
}

/// SEMANTICS W8: values as deep as they may be, and one deeper, however they get so deep.
#[test]
fn values_have_a_depth() {
    everywhere(&[say::insert(&[("a", json!({}))])], async |place| {
        let fits = json!({"v": nested(VALUE_DEPTH - 1)});
        place.ok(say::put(&[("deep", fits.clone())])).await;
        place.reads(say::get("deep"), json!([fits])).await;
        place.ok(say::kv_set("deep", nested(VALUE_DEPTH))).await;
        for op in [
            say::update("a", json!({"$set": {"x.y": nested(VALUE_DEPTH - 1)}})),
            say::kv_set("b", nested(VALUE_DEPTH + 1)),
            say::kv_set_field("b", "f", Some(nested(VALUE_DEPTH))),
        ] {
            let error = place.run(op.clone()).await.expect_err("it is too deep");
            assert_eq!(error.code(), ErrorCode::TooLarge, "{op:?}");
            assert!(error.message().contains("64"), "{error}");
        }
        place.reads(say::count(), json!(2)).await;
        place.reads(say::kv_count(), json!(1)).await;
    });
    let error = NewDocument::new(None, &pack(&json!({"v": nested(VALUE_DEPTH)}))).expect_err("it is too deep");
    assert_eq!(error.code(), ErrorCode::TooLarge);
    let path = vec!["p"; VALUE_DEPTH + 1].join(".");
    let error = Update::read(&pack(&json!({"$set": {path: 1}}))).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidUpdate);
}

/// SEMANTICS W8: names of collections, as those of databases.
#[test]
fn a_collections_name_has_rules() {
    for bad in ["", ".x", "a b", "ä", "a\0b", &"x".repeat(65)] {
        let error = CollectionName::new(bad).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidName, "{bad:?}");
        assert_eq!(error.details(), [("name", Detail::Text(bad.to_string()))]);
    }
}

/// SEMANTICS W7: one name is one kind, in a clone too; a read of a collection that is not there makes none.
#[test]
fn one_name_is_one_kind() {
    let key = || vec![say::key("a")];
    everywhere(&[say::insert(&[("a", json!({}))]), say::kv_set("a", json!(1))], async |place| {
        let as_entries = [
            Op::EntrySet {
                collection: say::collection("todos"),
                entries: vec![(say::key("a"), pack(&json!(1)))],
                condition: Default::default(),
            },
            Op::EntryGet { collection: say::collection("todos"), keys: key(), one: true },
            Op::EntryDelete { collection: say::collection("todos"), keys: key() },
            say::kv_list_in("todos", false),
        ];
        let as_documents = [say::put_in("kv", &[("a", json!({}))]), say::find_in("kv")];
        for (op, name) in as_entries.into_iter().map(|op| (op, "todos")).chain(as_documents.map(|op| (op, "kv"))) {
            let error = place.run(op.clone()).await.expect_err("it is of the other kind");
            assert_eq!(error.code(), ErrorCode::WrongKind, "{op:?}");
            assert_eq!(error.details(), [("collection", Detail::Text(name.into()))], "{op:?}");
        }
        assert_eq!(place.ok(say::find_in("new")).await, json!([]));
        assert_eq!(place.ok(say::kv_list_in("new", false)).await, json!([]), "nobody has made it");
        place.reads(say::find(), json!([["a", {}]])).await;
        place.reads(say::kv_list(false), json!([["a", 1]])).await;
    });
}

/// SEMANTICS W8: two documents of one call with one id.
#[test]
fn ids_of_one_call_are_unique() {
    everywhere(&[], async |place| {
        for op in [say::insert, say::put] {
            let error = place.run(op(&[("a", json!({})), ("b", json!({})), ("a", json!({}))])).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::KeyExists);
            assert_eq!(error.details(), [("key", Detail::Text("a".into()))]);
        }
        place.reads(say::count(), json!(0)).await;
    });
}

/// SEMANTICS C9: the error of an open names the database that does not exist.
#[test]
fn a_database_that_does_not_exist_is_named() {
    run(async |world| {
        let tab = world.tab().await;
        let error = try_open_in(&tab, "nowhere").await.err().expect("there is none");
        assert_eq!(error.code(), ErrorCode::DatabaseNotFound);
        assert_eq!(error.details(), [("name", Detail::Text("nowhere".into()))]);
        assert_eq!(try_open_in(&tab, "no where").await.err().unwrap().code(), ErrorCode::InvalidName);
    });
}

/// FAULTS: a store of a newer format is told as such, and left as it is.
#[test]
fn a_store_of_a_newer_format_is_left_untouched() {
    run(async |world| {
        world.main().await.ok(say::insert(&[("a", json!({}))])).await;
        let everything = || {
            let range = ListRange { limit: usize::MAX, ..ListRange::default() };
            (Space::ALL.map(|space| world.disk.list(space, &range)), world.disk.log(0, usize::MAX))
        };
        let (name, mut bytes) = world.disk.list(Space::Meta, &ListRange { limit: 9, ..Manifest::listing() }).remove(0);
        bytes[2] += 1;
        bytes[3] = !bytes[2];
        assert!(world.disk.write(Batch { put: vec![(Space::Meta, name, bytes)], ..Batch::default() }).is_written());
        let before = everything();
        let error = world.try_tab(OpenOptions::default()).await.err().expect("it is newer");
        assert_eq!(error.code(), ErrorCode::FormatTooNew);
        assert_eq!(everything(), before);
    });
}
