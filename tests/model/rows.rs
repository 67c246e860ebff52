//! The rows of one database as a plain map, and what each call that writes does to them.

use std::collections::BTreeMap;

use offshoot::engine::Op;
use offshoot::engine::op::Condition;
use offshoot::error::ErrorCode;
use offshoot::query::Update;
use offshoot::types::Kind;
use serde_json::{Map, Value, json};

use crate::support::{pack, say};

/// One name begins another on purpose.
pub const DOCUMENTS: [&str; 2] = ["to", "todos"];
pub const ENTRIES: &str = "kv";
pub const KEYS: [&str; 5] = ["", "a", "a\0", "b", "\u{10ffff}"];
/// Rows of a bulk write: together over the size of a log record, each over the size of a block.
pub const BULK: [&str; 4] = ["bulk0", "bulk1", "bulk2", "bulk3"];
const BULK_BYTES: usize = 270_000;

/// A collection and a key.
pub type Key = (&'static str, String);

pub type Rows = BTreeMap<Key, Value>;

/// A row that differs: collection, key, before, after.
pub type Difference = (&'static str, String, Option<Value>, Option<Value>);

#[derive(Clone, Debug)]
pub enum Write {
    Put(usize, usize, Value),
    Insert(usize, usize, Value),
    Increment(usize, usize, i64),
    IncrementInside(usize, usize, i64),
    Label(usize, usize, i64),
    SetN(usize, usize, i64),
    SetInside(usize, usize, i64),
    Unset(usize, usize),
    Delete(usize, Vec<usize>),
    Bulk(usize, i64),
    Set(usize, Value, Condition),
    SetField(usize, Option<i64>),
    DeleteEntries(Vec<usize>),
}

/// The effect of a call: its answer, and true if it writes anything at all.
pub struct Effect {
    pub answer: Value,
    pub writes: bool,
}

fn effect(answer: impl Into<Value>, writes: bool) -> Result<Effect, ErrorCode> {
    Ok(Effect { answer: answer.into(), writes })
}

fn names(places: &[usize]) -> Vec<&'static str> {
    places.iter().map(|place| KEYS[*place]).collect()
}

fn bulk(n: i64) -> Vec<(&'static str, Value)> {
    BULK.iter().map(|id| (*id, json!({"n": n, "filling": "x".repeat(BULK_BYTES)}))).collect()
}

impl Write {
    /// True if the call writes the same whatever rows are there.
    pub fn is_blind(&self) -> bool {
        matches!(self, Write::Put(..) | Write::Bulk(..) | Write::Set(_, _, Condition::None))
    }

    pub fn op(&self) -> Op {
        let update = |collection: &usize, key: &usize, operators: Value| {
            let update = Update::read(&pack(&operators)).expect("a good update");
            Op::Update { collection: say::collection(DOCUMENTS[*collection]), id: KEYS[*key].into(), update }
        };
        match self {
            Write::Put(c, key, value) => say::put_in(DOCUMENTS[*c], &[(KEYS[*key], value.clone())]),
            Write::Insert(c, key, value) => say::insert_in(DOCUMENTS[*c], &[(KEYS[*key], value.clone())]),
            Write::Increment(c, key, by) => update(c, key, json!({"$inc": {"n": by}})),
            Write::IncrementInside(c, key, by) => update(c, key, json!({"$inc": {"inside.n": by}})),
            Write::Label(c, key, m) => update(c, key, json!({"$set": {"m": m}})),
            Write::SetN(c, key, n) => update(c, key, json!({"$set": {"n": n}})),
            Write::SetInside(c, key, n) => update(c, key, json!({"$set": {"inside.n": n}})),
            Write::Unset(c, key) => update(c, key, json!({"$unset": {"n": true, "inside.n": true}})),
            Write::Delete(c, keys) => {
                let ids = names(keys).into_iter().map(String::from).collect();
                Op::Delete { collection: say::collection(DOCUMENTS[*c]), ids }
            }
            Write::Bulk(c, n) => say::put_in(DOCUMENTS[*c], &bulk(*n)),
            Write::Set(key, value, condition) => say::kv_set_if(KEYS[*key], value.clone(), *condition),
            Write::SetField(key, n) => say::kv_set_field(KEYS[*key], "n", n.map(Value::from)),
            Write::DeleteEntries(keys) => say::kv_delete(&names(keys)),
        }
    }

    /// The counter that it increments.
    pub fn increments(&self) -> Option<usize> {
        match self {
            Write::Increment(..) => Some(0),
            Write::IncrementInside(..) => Some(1),
            _ => None,
        }
    }

    /// The rows that it writes, where it writes any, and which of their counters by other means than increments.
    pub fn sets(&self) -> Vec<(Key, [bool; 2])> {
        let document = |c: &usize, id: &str, sets| ((DOCUMENTS[*c], id.to_string()), sets);
        let (all, none) = ([true, true], [false, false]);
        match self {
            Write::Put(c, key, _) | Write::Insert(c, key, _) | Write::Unset(c, key) => {
                vec![document(c, KEYS[*key], all)]
            }
            Write::Increment(c, key, _) | Write::IncrementInside(c, key, _) | Write::Label(c, key, _) => {
                vec![document(c, KEYS[*key], none)]
            }
            Write::SetN(c, key, _) => vec![document(c, KEYS[*key], [true, false])],
            Write::SetInside(c, key, _) => vec![document(c, KEYS[*key], [false, true])],
            Write::Delete(c, keys) => keys.iter().map(|key| document(c, KEYS[*key], all)).collect(),
            Write::Bulk(c, _) => BULK.iter().map(|id| document(c, id, all)).collect(),
            Write::Set(key, ..) | Write::SetField(key, _) => vec![((ENTRIES, KEYS[*key].to_string()), all)],
            Write::DeleteEntries(keys) => keys.iter().map(|key| ((ENTRIES, KEYS[*key].to_string()), all)).collect(),
        }
    }

    /// Does to plain rows what the call does to a database. After an error they may be half done: take a copy.
    pub fn apply(&self, rows: &mut Rows) -> Result<Effect, ErrorCode> {
        let document = |c: &usize, key: &usize| (DOCUMENTS[*c], KEYS[*key].to_string());
        match self {
            Write::Put(c, key, value) => {
                rows.insert(document(c, key), value.clone());
                effect(json!([KEYS[*key]]), true)
            }
            Write::Insert(c, key, value) => match rows.insert(document(c, key), value.clone()) {
                None => effect(json!([KEYS[*key]]), true),
                Some(_) => Err(ErrorCode::KeyExists),
            },
            Write::Increment(c, key, by) => change(rows, document(c, key), |fields| {
                let before = fields.get("n").map(|n| n.as_i64().ok_or(ErrorCode::NotANumber)).transpose()?;
                fields.insert("n".into(), (before.unwrap_or(0) + by).into());
                Ok(())
            }),
            Write::IncrementInside(c, key, by) => change(rows, document(c, key), |fields| {
                let inside = fields.entry("inside").or_insert_with(|| json!({}));
                let before = inside.get("n").and_then(Value::as_i64);
                inside["n"] = (before.unwrap_or(0) + by).into();
                Ok(())
            }),
            Write::Label(c, key, m) => change(rows, document(c, key), |fields| {
                fields.insert("m".into(), (*m).into());
                Ok(())
            }),
            Write::SetN(c, key, n) => change(rows, document(c, key), |fields| {
                fields.insert("n".into(), (*n).into());
                Ok(())
            }),
            Write::SetInside(c, key, n) => change(rows, document(c, key), |fields| {
                let inside = fields.entry("inside").or_insert_with(|| json!({}));
                inside["n"] = (*n).into();
                Ok(())
            }),
            Write::Unset(c, key) => change(rows, document(c, key), |fields| {
                fields.remove("n");
                if let Some(inside) = fields.get_mut("inside").and_then(Value::as_object_mut) {
                    inside.remove("n");
                }
                Ok(())
            }),
            Write::Delete(c, keys) => delete(rows, DOCUMENTS[*c], keys),
            Write::Bulk(c, n) => {
                for (id, value) in bulk(*n) {
                    rows.insert((DOCUMENTS[*c], id.to_string()), value);
                }
                effect(json!(BULK), true)
            }
            Write::Set(key, value, condition) => {
                let row = (ENTRIES, KEYS[*key].to_string());
                let refused = match condition {
                    Condition::None => false,
                    Condition::IfAbsent => rows.contains_key(&row),
                    Condition::IfPresent => !rows.contains_key(&row),
                };
                if !refused {
                    rows.insert(row, value.clone());
                }
                effect(!refused, !refused)
            }
            Write::SetField(key, n) => set_field(rows, KEYS[*key], *n),
            Write::DeleteEntries(keys) => delete(rows, ENTRIES, keys),
        }
    }
}

fn change(
    rows: &mut Rows,
    row: (&'static str, String),
    edit: impl FnOnce(&mut Map<String, Value>) -> Result<(), ErrorCode>,
) -> Result<Effect, ErrorCode> {
    let Some(value) = rows.get_mut(&row) else { return effect(false, false) };
    let before = value.clone();
    edit(value.as_object_mut().expect("a document is an object"))?;
    effect(true, *value != before)
}

fn delete(rows: &mut Rows, collection: &'static str, keys: &[usize]) -> Result<Effect, ErrorCode> {
    let gone = names(keys).into_iter().filter(|key| rows.remove(&(collection, key.to_string())).is_some()).count();
    effect(gone, gone > 0)
}

fn set_field(rows: &mut Rows, key: &str, n: Option<i64>) -> Result<Effect, ErrorCode> {
    let row = (ENTRIES, key.to_string());
    let before = rows.get(&row).cloned();
    let mut after = match (&before, n) {
        (None, None) => return effect(Value::Null, false),
        (None, Some(_)) => json!({}),
        (Some(before), _) => before.clone(),
    };
    let fields = after.as_object_mut().ok_or(ErrorCode::WrongKind)?;
    match n {
        Some(n) => drop(fields.insert("n".into(), n.into())),
        None => drop(fields.remove("n")),
    }
    let writes = before.as_ref() != Some(&after);
    rows.insert(row, after);
    effect(Value::Null, writes)
}

/// A plain comparison of two maps, in the order of their rows.
pub fn difference(before: &Rows, after: &Rows) -> Vec<Difference> {
    let rows: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let differ = rows.into_iter().filter(|row| before.get(row) != after.get(row));
    differ.map(|row| (row.0, row.1.clone(), before.get(row).cloned(), after.get(row).cloned())).collect()
}

pub fn kind(collection: &str) -> Kind {
    if collection == ENTRIES { Kind::Entry } else { Kind::Document }
}
