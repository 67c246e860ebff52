//! Key-value entries that are written: in a root, in a clone and in a clone's clone, in both ways.

use offshoot::engine::op::{Condition, KeyRange, Op};
use offshoot::error::ErrorCode;
use offshoot::types::{Key, KeyPart};
use serde_json::{Value, json};

use crate::support::place::{entry_row, everywhere, in_clones};
use crate::support::{pack, say};

/// SEMANTICS W7, W11: an entry that was set is read, by key, in a list and in a count.
#[test]
fn an_entry_that_was_set_is_read() {
    everywhere(&[say::kv_set("o", json!(1))], async |place| {
        assert_eq!(place.ok(say::kv_set("a", json!({"n": 1}))).await, json!(true));
        assert_eq!(place.commits(say::kv_set_many(&[("b", json!(2)), ("o", json!(3))])).await, (json!(true), 1));
        place.reads(say::kv_get("a"), json!([{"n": 1}])).await;
        place.reads(say::kv_get("c"), Value::Null).await;
        place.reads(say::kv_get_many(&["b", "c", "o"]), json!([[2], null, [3]])).await;
        place.reads(say::kv_has("a"), json!(true)).await;
        place.reads(say::kv_has("c"), json!(false)).await;
        place.reads(say::kv_count(), json!(3)).await;
        place.reads(say::kv_list(false), json!([["a", {"n": 1}], ["b", 2], ["o", 3]])).await;
        place.reads(say::kv_list(true), json!([["o", 3], ["b", 2], ["a", {"n": 1}]])).await;
        place.origins_read(say::kv_list(false), json!([["o", 1]])).await;
    });
}

/// SEMANTICS W5: the whole value comes up, with the field set, in one commit.
#[test]
fn setting_a_field_copies_the_whole_value_up() {
    let before = json!({"theme": "dark", "inside": {"deep": [1, null]}});
    in_clones(&[say::kv_set("a", before.clone())], async |place| {
        assert_eq!(place.commits(say::kv_set_field("a", "theme", Some(json!("light")))).await, (Value::Null, 1));
        let after = json!({"theme": "light", "inside": {"deep": [1, null]}});
        place.reads(say::kv_get("a"), json!([after])).await;
        place.reads(say::kv_field("a", "theme"), json!(["light"])).await;
        place.reads(say::kv_field("a", "nothing"), Value::Null).await;
        place.origins_read(say::kv_get("a"), json!([before])).await;
        let (_, copy) = place.own_version(&entry_row("a")).await.expect("the copy");
        assert!(copy.base.is_some(), "it knows what it replaced");
        for origin in place.origins() {
            origin.ok(say::kv_delete(&["a"])).await;
        }
        place.reads(say::kv_get("a"), json!([after])).await;
    });
}

/// SEMANTICS W5: on an absent key, also one that was deleted here, a map with that field is made.
#[test]
fn setting_a_field_of_an_absent_entry_makes_it() {
    everywhere(&[say::kv_set("a", json!({"old": 1}))], async |place| {
        place.ok(say::kv_set_field("new", "n", Some(json!(1)))).await;
        place.ok(say::kv_delete(&["a"])).await;
        place.ok(say::kv_set_field("a", "n", Some(json!(2)))).await;
        assert_eq!(place.commits(say::kv_set_field("absent", "n", None)).await, (Value::Null, 0));
        place.reads(say::kv_list(false), json!([["a", {"n": 2}], ["new", {"n": 1}]])).await;
        place.origins_read(say::kv_list(false), json!([["a", {"old": 1}]])).await;
    });
}

/// SEMANTICS W5, W8: a field is taken away; a value that is no object is refused and stays.
#[test]
fn a_field_can_be_removed_and_a_scalar_has_none() {
    let seed = [say::kv_set("a", json!({"n": 1, "m": 2})), say::kv_set("scalar", json!(7))];
    everywhere(&seed, async |place| {
        assert_eq!(place.commits(say::kv_set_field("a", "n", None)).await.1, 1);
        assert_eq!(place.commits(say::kv_set_field("a", "n", None)).await.1, 0, "it is gone already");
        assert_eq!(place.commits(say::kv_set_field("a", "m", Some(json!(2)))).await.1, 0, "it has that value already");
        assert_eq!(place.code(say::kv_set_field("scalar", "n", Some(json!(1)))).await, ErrorCode::WrongKind);
        assert_eq!(place.code(say::kv_field("scalar", "n")).await, ErrorCode::WrongKind);
        place.reads(say::kv_list(false), json!([["a", {"m": 2}], ["scalar", 7]])).await;
    });
}

/// SEMANTICS W6: each key leaves a tombstone, all in one commit, and the count says how many were visible.
#[test]
fn deleting_many_counts_those_that_were_visible() {
    let seed = say::kv_set_many(&[("a", json!(1)), ("b", Value::Null), ("c", json!("")), ("d", json!(4))]);
    everywhere(&[seed], async |place| {
        place.ok(say::kv_set("own", json!(5))).await;
        let deleted = place.commits(say::kv_delete(&["a", "nowhere", "b", "own", "a"])).await;
        assert_eq!(deleted, (json!(3), 1));
        for key in ["a", "b", "own"] {
            assert!(place.own_version(&entry_row(key)).await.expect("a version").1.is_tombstone());
        }
        assert!(place.own_version(&entry_row("nowhere")).await.is_none());
        assert_eq!(place.commits(say::kv_delete(&["a", "b", "own"])).await, (json!(0), 0));
        place.reads(say::kv_list(false), json!([["c", ""], ["d", 4]])).await;
        place.reads(say::kv_count(), json!(2)).await;
        place.origins_read(say::kv_count(), json!(4)).await;
    });
}

/// SEMANTICS W6: if one key cannot be, none is deleted.
#[test]
fn deleting_many_in_the_wrong_collection_leaves_all() {
    everywhere(&[say::insert(&[("a", json!({}))]), say::kv_set("a", json!(1))], async |place| {
        let keys = vec![say::key("a"), say::key("b")];
        let wrong = Op::EntryDelete { collection: say::collection("todos"), keys };
        assert_eq!(place.code(wrong).await, ErrorCode::WrongKind);
        place.reads(say::find(), json!([["a", {}]])).await;
        place.reads(say::kv_get("a"), json!([1])).await;
    });
}

/// SEMANTICS W7: the conditions look at the merged rows.
#[test]
fn conditions_see_what_is_visible() {
    everywhere(&[say::kv_set("a", json!(1))], async |place| {
        let set = |key, value: i64, condition| say::kv_set_if(key, json!(value), condition);
        assert_eq!(place.commits(set("a", 2, Condition::IfAbsent)).await, (json!(false), 0));
        assert_eq!(place.commits(set("b", 2, Condition::IfPresent)).await, (json!(false), 0));
        assert_eq!(place.ok(set("a", 3, Condition::IfPresent)).await, json!(true));
        place.ok(say::kv_delete(&["a"])).await;
        assert_eq!(place.commits(set("a", 4, Condition::IfPresent)).await, (json!(false), 0));
        assert_eq!(place.ok(set("a", 5, Condition::IfAbsent)).await, json!(true));
        place.reads(say::kv_list(false), json!([["a", 5]])).await;
        place.origins_read(say::kv_list(false), json!([["a", 1]])).await;
    });
}

fn keys() -> Vec<Key> {
    let (number, text) = (|n: f64| KeyPart::Number(n), |text: &str| KeyPart::Text(text.into()));
    let bytes = |bytes: &[u8]| KeyPart::Bytes(bytes.to_vec());
    let mut keys: Vec<Key> = [f64::NEG_INFINITY, -1.5, 0.0, 1.0, 2.0, 10.0, 1e300].map(|n| Key::One(number(n))).into();
    keys.extend(["", "\0", "\0\0", "a", "a\0", "a\0b", "ab", "b", "\u{ffff}", "\u{10ffff}"].map(|t| Key::One(text(t))));
    keys.extend([&[][..], &[0], &[0, 0], &[0, 255], &[1], &[255], &[255, 255]].map(|b| Key::One(bytes(b))));
    keys.push(Key::Many(vec![number(1.0)]));
    keys.push(Key::Many(vec![text("a")]));
    keys.push(Key::Many(vec![text("a"), number(1.0)]));
    keys.push(Key::Many(vec![text("a"), text("")]));
    keys.push(Key::Many(vec![text("a\0")]));
    keys
}

/// SEMANTICS R9: keys that are hard to tell apart stay apart, in the order of type and value, and so do tombstones.
#[test]
fn different_keys_never_share_a_version_or_a_tombstone() {
    let encoded: Vec<Vec<u8>> = keys().iter().map(|key| key.encode().expect("a key")).collect();
    let collection = || say::collection("kv");
    let entries = encoded.iter().enumerate().map(|(n, key)| (key.clone(), pack(&json!(n)))).collect();
    let seed = Op::EntrySet { collection: collection(), entries, condition: Condition::None };
    everywhere(&[seed], async |place| {
        let list = async |reverse: bool| -> Vec<Vec<u8>> {
            let op = Op::EntryList {
                collection: collection(),
                range: KeyRange::default(),
                reverse,
                limit: None,
                after: None,
                rest: None,
            };
            let answer = place.db().snapshot().await.run(op).await.expect("a page");
            let offshoot::engine::Answer::Entries(page) = answer else { panic!("entries") };
            page.rows.into_iter().map(|(key, _)| key).collect()
        };
        assert_eq!(list(false).await, encoded, "in their order");
        for (n, key) in encoded.iter().enumerate().step_by(2) {
            let keys = vec![key.clone()];
            assert_eq!(place.ok(Op::EntryDelete { collection: collection(), keys }).await, json!(1), "{n}");
        }
        let mut left: Vec<_> = encoded.iter().skip(1).step_by(2).cloned().collect();
        assert_eq!(list(false).await, left);
        left.reverse();
        assert_eq!(list(true).await, left);
        for (n, key) in encoded.iter().enumerate() {
            let one = Op::EntryGet { collection: collection(), keys: vec![key.clone()], one: true };
            let expected = if n % 2 == 0 { Value::Null } else { json!([n]) };
            assert_eq!(place.ok(one).await, expected, "key {n}");
        }
    });
}
