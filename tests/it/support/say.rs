//! Calls of the tests on a database, a snapshot or a transaction: on the collection `todos`, or `kv` for entries.

use offshoot::engine::op::{Condition, KeyRange, NewDocument, Op, Page};
use offshoot::query::Update;
use offshoot::types::{CollectionName, Key, Suffix};
use serde_json::Value;

use super::pack;

pub fn collection(name: &str) -> CollectionName {
    CollectionName::new(name).expect("a good name")
}

pub fn key(text: &str) -> Vec<u8> {
    Key::text(text).encode().expect("a good key")
}

/// The documents behind this page's last one; `None`: the page is the last one.
pub fn behind<T>(collection: &CollectionName, page: &Page<(String, T)>) -> Option<Suffix> {
    let (id, _) = page.rows.last().filter(|_| page.rest.is_some())?;
    Some(Suffix::document(collection, &key(id)))
}

fn todos() -> CollectionName {
    collection("todos")
}

fn kv() -> CollectionName {
    collection("kv")
}

pub fn documents(rows: &[(&str, Value)]) -> Vec<NewDocument> {
    let document = |(id, fields): &(&str, Value)| NewDocument::new(Some(id.to_string()), &pack(fields));
    rows.iter().map(document).collect::<Result<_, _>>().expect("good documents")
}

pub fn get(id: &str) -> Op {
    Op::Get { collection: todos(), id: id.into() }
}

pub fn get_many(ids: &[&str]) -> Op {
    Op::GetMany { collection: todos(), ids: ids.iter().map(|id| id.to_string()).collect() }
}

pub fn insert(rows: &[(&str, Value)]) -> Op {
    insert_in("todos", rows)
}

pub fn insert_in(name: &str, rows: &[(&str, Value)]) -> Op {
    Op::Insert { collection: collection(name), documents: documents(rows) }
}

pub fn put(rows: &[(&str, Value)]) -> Op {
    put_in("todos", rows)
}

pub fn put_in(name: &str, rows: &[(&str, Value)]) -> Op {
    Op::Put { collection: collection(name), documents: documents(rows) }
}

pub fn update(id: &str, operators: Value) -> Op {
    let update = Update::read(&pack(&operators)).expect("a good update");
    Op::Update { collection: todos(), id: id.into(), update }
}

pub fn increment(id: &str, by: i64) -> Op {
    update(id, serde_json::json!({"$inc": {"n": by}}))
}

pub fn delete(ids: &[&str]) -> Op {
    Op::Delete { collection: todos(), ids: ids.iter().map(|id| id.to_string()).collect() }
}

pub fn find() -> Op {
    find_in("todos")
}

pub fn find_in(name: &str) -> Op {
    Op::Find { collection: collection(name), after: None, rest: None, skip: 0, limit: None }
}

/// Reads all rows where there are fewer than that.
pub fn find_behind(skip: u64) -> Op {
    Op::Find { collection: todos(), after: None, rest: None, skip, limit: None }
}

pub fn count() -> Op {
    Op::Count { collection: todos(), rest: None, counted: 0 }
}

pub fn kv_get(text: &str) -> Op {
    Op::EntryGet { collection: kv(), keys: vec![key(text)], one: true }
}

pub fn kv_get_many(texts: &[&str]) -> Op {
    Op::EntryGet { collection: kv(), keys: texts.iter().map(|text| key(text)).collect(), one: false }
}

pub fn kv_has(text: &str) -> Op {
    Op::EntryHas { collection: kv(), key: key(text) }
}

pub fn kv_field(text: &str, field: &str) -> Op {
    Op::EntryField { collection: kv(), key: key(text), field: field.into() }
}

pub fn kv_set(text: &str, value: Value) -> Op {
    kv_set_if(text, value, Condition::None)
}

pub fn kv_set_if(text: &str, value: Value, condition: Condition) -> Op {
    Op::EntrySet { collection: kv(), entries: vec![(key(text), pack(&value))], condition }
}

pub fn kv_set_many(entries: &[(&str, Value)]) -> Op {
    let entries = entries.iter().map(|(text, value)| (key(text), pack(value))).collect();
    Op::EntrySet { collection: kv(), entries, condition: Condition::None }
}

pub fn kv_delete(texts: &[&str]) -> Op {
    Op::EntryDelete { collection: kv(), keys: texts.iter().map(|text| key(text)).collect() }
}

pub fn kv_set_field(text: &str, field: &str, value: Option<Value>) -> Op {
    let value = value.map(|value| pack(&value));
    Op::EntrySetField { collection: kv(), key: key(text), field: field.into(), value }
}

pub fn kv_list(reverse: bool) -> Op {
    kv_list_in("kv", reverse)
}

pub fn kv_list_in(name: &str, reverse: bool) -> Op {
    let range = KeyRange::default();
    Op::EntryList { collection: collection(name), range, reverse, limit: None, after: None, rest: None }
}

pub fn kv_count() -> Op {
    Op::EntryCount { collection: kv(), range: KeyRange::default(), rest: None, counted: 0 }
}
