//! Programs: sequences of steps that two tabs take on one store.

use offshoot::engine::op::Condition;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::moves::{Pick, Picks, Policy};
use crate::rows::{DOCUMENTS, KEYS, Write};
use crate::three_way::Winner;

/// Numbers that name a database, a tab, a snapshot or a past LSN are taken modulo how many there are.
#[derive(Clone, Debug)]
pub enum Step {
    Write {
        tab: usize,
        database: usize,
        write: Write,
        stale: bool,
    },
    /// `between`: writes that another transaction commits after the calls of the body's first run.
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
    Merge(Merging),
    Rebase {
        tab: usize,
        clone: usize,
        policy: Policy,
        to: Option<u64>,
        is_dry: bool,
    },
    Reset {
        tab: usize,
        clone: usize,
        only: Option<Picks>,
    },
    Revert {
        tab: usize,
        database: usize,
        commits: Vec<u64>,
        policy: Policy,
        is_dry: bool,
    },
    Restore {
        tab: usize,
        database: usize,
        at: u64,
        keep: Option<usize>,
    },
    /// `is_cut_off`: it is ended before it is done.
    Materialize {
        tab: usize,
        clone: usize,
        is_cut_off: bool,
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

#[derive(Clone, Debug)]
pub struct Merging {
    pub tab: usize,
    pub clone: usize,
    pub policy: Policy,
    pub only: Option<Picks>,
    pub at: Option<u64>,
    pub is_dry: bool,
    /// Writes of another tab to the clone, or to its origin, while a selection is made for the first time.
    pub between: Vec<Write>,
    pub beside: usize,
    pub in_origin: bool,
}

/// Names of databases. Some names begin others.
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
        6 => (place.clone(), -2..3i64).prop_map(|((c, key), by)| Write::IncrementInside(c, key, by)),
        8 => (place.clone(), 0..4i64).prop_map(|((c, key), m)| Write::Label(c, key, m)),
        8 => (place.clone(), 0..4i64).prop_map(|((c, key), n)| Write::SetInside(c, key, n)),
        8 => place.prop_map(|(c, key)| Write::Unset(c, key)),
        16 => (collection.clone(), vec(key.clone(), 1..4)).prop_map(|(c, keys)| Write::Delete(c, keys)),
        1 => (collection, 0..4i64).prop_map(|(c, n)| Write::Bulk(c, n)),
        16 => (key.clone(), entry(), condition()).prop_map(|(key, value, when)| Write::Set(key, value, when)),
        16 => (key.clone(), prop::option::weighted(0.8, 0..4i64)).prop_map(|(key, n)| Write::SetField(key, n)),
        10 => vec(key, 1..4).prop_map(Write::DeleteEntries),
    ]
}

fn picks() -> impl Strategy<Value = Picks> {
    let field = prop_oneof![Just("n"), Just("m"), Just("inside")];
    vec(prop_oneof![3 => Just(Pick::All), 3 => Just(Pick::Nothing), 2 => field.prop_map(Pick::Field)], 1..7)
}

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![2 => Just(None), 2 => Just(Some(Winner::Clone)), 1 => Just(Some(Winner::Origin))]
}

fn merging(write: BoxedStrategy<Write>) -> impl Strategy<Value = Merging> {
    let who = (0..2usize, 0..8usize, 0..2usize);
    let options = (policy(), prop::option::of(picks()), prop::option::weighted(0.3, any::<u64>()));
    let between = prop_oneof![2 => Just(Vec::new()), 1 => vec(write, 1..3)];
    (who, options, prop::bool::weighted(0.1), between, any::<bool>()).prop_map(
        |((tab, clone, beside), (policy, only, at), is_dry, between, in_origin)| Merging {
            tab,
            clone,
            policy,
            only,
            at,
            is_dry,
            between,
            beside,
            in_origin,
        },
    )
}

fn moving(write: BoxedStrategy<Write>, names: usize) -> impl Strategy<Value = Step> {
    let (tab, clone, is_dry) = (0..2usize, 0..8usize, prop::bool::weighted(0.1));
    let (to, keep) = (prop::option::weighted(0.4, any::<u64>()), prop::option::weighted(0.3, 0..names));
    prop_oneof![
        6 => merging(write).prop_map(Step::Merge),
        3 => (tab.clone(), clone.clone(), policy(), to, is_dry)
            .prop_map(|(tab, clone, policy, to, is_dry)| Step::Rebase { tab, clone, policy, to, is_dry }),
        2 => (tab.clone(), clone.clone(), prop::option::weighted(0.7, picks()))
            .prop_map(|(tab, clone, only)| Step::Reset { tab, clone, only }),
        3 => (tab.clone(), clone.clone(), vec(any::<u64>(), 1..3), policy(), is_dry)
            .prop_map(|(tab, database, commits, policy, is_dry)| {
                Step::Revert { tab, database, commits, policy, is_dry }
            }),
        3 => (tab, clone, any::<u64>(), keep)
            .prop_map(|(tab, database, at, keep)| Step::Restore { tab, database, at, keep }),
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
        20 => moving(write().boxed(), NAMES.len()),
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

/// Writes that meet: few rows, and mostly their fields.
fn near_write() -> impl Strategy<Value = Write> {
    let by = || prop_oneof![Just(-1i64), Just(1), Just(2)];
    let key = || prop_oneof![4 => Just(1usize), 1 => Just(2usize)];
    prop_oneof![
        2 => (key(), 0..3i64).prop_map(|(key, n)| Write::Put(1, key, json!({"n": n, "m": 0}))),
        1 => (key(), document()).prop_map(|(key, value)| Write::Put(1, key, value)),
        12 => (key(), by()).prop_map(|(key, by)| Write::Increment(1, key, by)),
        3 => (key(), by()).prop_map(|(key, by)| Write::IncrementInside(1, key, by)),
        4 => (key(), 0..3i64).prop_map(|(key, m)| Write::Label(1, key, m)),
        3 => (key(), 0..3i64).prop_map(|(key, n)| Write::SetN(1, key, n)),
        1 => (key(), 0..3i64).prop_map(|(key, n)| Write::SetInside(1, key, n)),
        1 => key().prop_map(|key| Write::Unset(1, key)),
        2 => key().prop_map(|key| Write::Delete(1, vec![key])),
        1 => (key(), document()).prop_map(|(key, value)| Write::Insert(0, key, value)),
        1 => (key(), entry()).prop_map(|(key, value)| Write::Set(key, value, Condition::None)),
        1 => (key(), 0..3i64).prop_map(|(key, n)| Write::SetField(key, Some(n))),
        1 => key().prop_map(|key| Write::DeleteEntries(vec![key])),
    ]
}

fn near_step() -> impl Strategy<Value = Step> {
    let (tab, database) = (0..2usize, 0..8usize);
    let past = prop::option::weighted(0.2, any::<u64>());
    prop_oneof![
        24 => (tab.clone(), database.clone(), near_write())
            .prop_map(|(tab, database, write)| Step::Write { tab, database, write, stale: false }),
        3 => (tab.clone(), database.clone(), vec(near_write(), 1..4))
            .prop_map(|(tab, database, writes)| Step::Transaction {
                tab, database, writes, between: Vec::new(), beside: tab, fails: false,
            }),
        4 => (tab.clone(), database.clone(), 0..2usize, past)
            .prop_map(|(tab, database, name, at)| Step::Clone { tab, database, name, at }),
        1 => (tab.clone(), any::<bool>()).prop_map(|(tab, all)| Step::Maintain { tab, all }),
        16 => moving(near_write().boxed(), 2),
    ]
}

fn begun(steps: impl Strategy<Value = Vec<Step>>) -> impl Strategy<Value = Vec<Step>> {
    let begin = [
        Step::Write { tab: 0, database: 0, write: Write::Put(1, 1, json!({"n": 0, "m": 0})), stale: false },
        Step::Clone { tab: 0, database: 0, name: 0, at: None },
    ];
    steps.prop_map(move |steps| begin.iter().cloned().chain(steps).collect())
}

/// Programs in which clones meet their origins as often as can be.
pub fn merging_program() -> impl Strategy<Value = Vec<Step>> {
    begun(vec(near_step(), 1..40))
}

/// As `merging_program`, in which clones are materialized, too.
pub fn copying_program() -> impl Strategy<Value = Vec<Step>> {
    let copy = (0..2usize, 0..8usize, any::<bool>()).prop_map(|(tab, clone, is_cut_off)| Step::Materialize {
        tab,
        clone,
        is_cut_off,
    });
    begun(vec(prop_oneof![14 => near_step(), 1 => copy], 1..40))
}

pub fn program() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..40)
}
