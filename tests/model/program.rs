//! Programs: sequences of steps that two tabs take on one store.

use offshoot::engine::op::Condition;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::rows::{DOCUMENTS, KEYS, Write};

/// Numbers that name a database, a tab, a snapshot or a past LSN are taken modulo how many there are.
#[derive(Clone, Debug)]
pub enum Step {
    Write {
        tab: usize,
        database: usize,
        write: Write,
        stale: bool,
    },
    /// `between`: what another transaction commits after the body's calls, when it runs for the first time.
    Transaction {
        tab: usize,
        database: usize,
        writes: Vec<Write>,
        between: Vec<Write>,
        beside: usize,
        fails: bool,
    },
    Clone {
        tab: usize,
        database: usize,
        name: usize,
        at: Option<u64>,
    },
    Drop {
        tab: usize,
        database: usize,
    },
    Snapshot {
        tab: usize,
        database: usize,
        at: Option<u64>,
    },
    Diff {
        tab: usize,
        database: usize,
        snapshot: usize,
    },
    Reopen {
        tab: usize,
        cache: bool,
    },
    /// The log goes into runs; `all`: and all runs into one.
    Maintain {
        tab: usize,
        all: bool,
    },
}

/// Some begin as others do.
pub const NAMES: [&str; 6] = ["a", "ab", "draft", "draft.2", "m", "main2"];

fn document() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => (0..4i64).prop_map(|n| json!({"n": n})),
        1 => (0..4i64).prop_map(|n| json!({"inside": {"n": n, "m": null}})),
        1 => Just(json!({"n": "no number"})),
        1 => Just(json!({})),
    ]
}

fn entry() -> impl Strategy<Value = Value> {
    prop_oneof![Just(Value::Null), Just(json!("")), Just(json!(7)), (0..4i64).prop_map(|n| json!({"n": n, "m": 1}))]
}

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![3 => Just(Condition::None), 1 => Just(Condition::IfAbsent), 1 => Just(Condition::IfPresent)]
}

fn write() -> impl Strategy<Value = Write> {
    let (collection, key) = (0..DOCUMENTS.len(), 0..KEYS.len());
    let place = (collection.clone(), key.clone());
    prop_oneof![
        16 => (place.clone(), document()).prop_map(|((c, key), value)| Write::Put(c, key, value)),
        12 => (place.clone(), document()).prop_map(|((c, key), value)| Write::Insert(c, key, value)),
        20 => (place.clone(), -2..3i64).prop_map(|((c, key), by)| Write::Increment(c, key, by)),
        8 => (place.clone(), 0..4i64).prop_map(|((c, key), n)| Write::SetInside(c, key, n)),
        8 => place.prop_map(|(c, key)| Write::Unset(c, key)),
        16 => (collection.clone(), vec(key.clone(), 1..4)).prop_map(|(c, keys)| Write::Delete(c, keys)),
        1 => (collection, 0..4i64).prop_map(|(c, n)| Write::Bulk(c, n)),
        16 => (key.clone(), entry(), condition()).prop_map(|(key, value, when)| Write::Set(key, value, when)),
        16 => (key.clone(), prop::option::weighted(0.8, 0..4i64)).prop_map(|(key, n)| Write::SetField(key, n)),
        10 => vec(key, 1..4).prop_map(Write::DeleteEntries),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let (tab, database) = (0..2usize, 0..8usize);
    let (past, fails) = (prop::option::weighted(0.4, any::<u64>()), prop::bool::weighted(0.2));
    prop_oneof![
        24 => (tab.clone(), database.clone(), write(), any::<bool>())
            .prop_map(|(tab, database, write, stale)| Step::Write { tab, database, write, stale }),
        10 => (tab.clone(), database.clone(), vec(write(), 1..5), vec(write(), 0..3), 0..2usize, fails)
            .prop_map(|(tab, database, writes, between, beside, fails)| {
                Step::Transaction { tab, database, writes, between, beside, fails }
            }),
        8 => (tab.clone(), database.clone(), 0..NAMES.len(), past.clone())
            .prop_map(|(tab, database, name, at)| Step::Clone { tab, database, name, at }),
        3 => (tab.clone(), database.clone()).prop_map(|(tab, database)| Step::Drop { tab, database }),
        4 => (tab.clone(), database.clone(), past)
            .prop_map(|(tab, database, at)| Step::Snapshot { tab, database, at }),
        3 => (tab.clone(), database, 0..8usize)
            .prop_map(|(tab, database, snapshot)| Step::Diff { tab, database, snapshot }),
        3 => (tab.clone(), any::<bool>()).prop_map(|(tab, cache)| Step::Reopen { tab, cache }),
        3 => (tab, any::<bool>()).prop_map(|(tab, all)| Step::Maintain { tab, all }),
    ]
}

pub fn program() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..40)
}
