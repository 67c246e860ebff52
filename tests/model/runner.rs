//! Runs a program on the engine and on the model, and compares everything after each step.

use std::collections::BTreeMap;
use std::rc::Rc;

use offshoot::engine::op::{Answer, KeyRange, Op};
use offshoot::engine::{Ended, OpenOptions, Side, Snapshot, Store, TransactionOptions, When};
use offshoot::error::{Error, ErrorCode};
use offshoot::types::{Lsn, key::read_id};
use serde_json::{Value, json};

use crate::content::Content;
use crate::model::Model;
use crate::program::{NAMES, Step};
use crate::rows::{BULK, DOCUMENTS, Difference, ENTRIES, KEYS, Rows, Write, difference, kind};
use crate::support::{Db, World, json as as_json, open_in, say, unpack};

const SNAPSHOTS: usize = 4;
/// Changes of one page: few, so that there are several pages.
const CHANGES: usize = 5;

pub struct Tab {
    pub store: Rc<Store>,
    /// Handles as this tab opened them, with the model's id of what they were opened on.
    handles: BTreeMap<String, (u64, Db)>,
}

struct Taken {
    snapshot: Snapshot,
    content: Rc<Content>,
}

pub struct Runner {
    world: Rc<World>,
    pub tabs: Vec<Tab>,
    pub model: Model,
    taken: Vec<Taken>,
}

/// Without a cache every block is fetched whenever it is needed.
async fn tab(world: &World, cache: bool) -> Tab {
    let options = OpenOptions { cache_bytes: if cache { 1 << 24 } else { 0 }, ..OpenOptions::default() };
    Tab { store: world.try_tab(options).await.expect("the store opens"), handles: BTreeMap::new() }
}

impl Runner {
    pub async fn new(world: Rc<World>) -> Runner {
        let tabs = vec![tab(&world, true).await, tab(&world, false).await];
        Runner { world, tabs, model: Model::new(), taken: Vec::new() }
    }

    pub async fn run(&mut self, program: &[Step]) {
        for step in program {
            let acting = self.step(step).await;
            self.compare(acting).await;
        }
        // At the end each tab, and one that opens now, has seen it all.
        self.tabs.push(tab(&self.world, true).await);
        for number in 0..self.tabs.len() {
            self.tabs[number].store.refresh().await.expect("a refresh");
            self.compare(number).await;
        }
    }

    pub async fn handle(&mut self, tab: usize, name: &str, may_be_stale: bool) -> Db {
        let id = self.model.get(name).id;
        let tab = &mut self.tabs[tab];
        if may_be_stale
            && let Some((known, handle)) = tab.handles.get(name)
            && *known == id
        {
            return handle.clone();
        }
        tab.store.refresh().await.expect("a refresh");
        let handle = open_in(&tab.store, name).await;
        tab.handles.insert(name.to_string(), (id, handle.clone()));
        handle
    }

    /// Takes a step, and says which tab took it: it has seen what it did.
    async fn step(&mut self, step: &Step) -> usize {
        match step {
            Step::Write { tab, database, write, stale } => {
                let name = self.model.pick(*database);
                let db = self.handle(*tab, &name, *stale && write.is_blind()).await;
                let expected = self.model.write(&name, write);
                same(db.run(write.op()).await, expected, write);
                *tab
            }
            Step::Transaction { tab, database, writes, between, beside, fails } => {
                let name = self.model.pick(*database);
                let db = self.handle(*tab, &name, false).await;
                let other = self.handle(*beside, &name, false).await;
                self.transaction(&db, &other, (writes, between, *fails)).await;
                // If the transaction wrote nothing, its tab need not know the other tab's commits. Make it read them.
                self.refresh(*tab).await;
                *tab
            }
            Step::Clone { tab, database, name, at } => {
                let (origin, name) = (self.model.pick(*database), NAMES[*name]);
                let db = self.handle(*tab, &origin, false).await;
                let at = at.map(|at| at % (self.model.head() + 1));
                let expected = self.model.clone_database(&origin, name, at);
                let made = match at {
                    Some(at) => db.clone_at(name, When::Version(Lsn(at))).await,
                    None => db.try_clone(name, Default::default()).await,
                };
                same(made.map(drop), expected, step);
                *tab
            }
            Step::Drop { tab, database } => {
                let name = self.model.pick(*database);
                let db = self.handle(*tab, &name, false).await;
                let expected = self.model.drop_database(&name);
                same(db.0.drop_database().await, expected, step);
                *tab
            }
            Step::Snapshot { tab, database, at } => {
                let name = self.model.pick(*database);
                self.snapshot(*tab, &name, at.map(|at| at % (self.model.head() + 1))).await;
                *tab
            }
            Step::Diff { tab, database, snapshot } => {
                let name = self.model.pick(*database);
                let db = self.handle(*tab, &name, false).await;
                let count = self.taken.len().max(1);
                if let Some(taken) = self.taken.get(snapshot % count) {
                    let found = differences(&db.snapshot().await, Some(&taken.snapshot)).await;
                    assert_eq!(found, difference(&taken.content.rows, self.model.get(&name).rows()), "{name} {step:?}");
                }
                *tab
            }
            Step::Reopen { tab: number, cache } => {
                self.tabs[*number] = tab(&self.world, *cache).await;
                *number
            }
            Step::Materialize { tab, clone, is_cut_off } => self.materialize(*tab, *clone, *is_cut_off).await,
            Step::Merge(merging) => self.merge(merging).await,
            Step::Rebase { .. } | Step::Reset { .. } => self.rebase_or_reset(step).await,
            Step::Revert { .. } | Step::Restore { .. } => self.go_back(step).await,
            Step::Maintain { tab, all } => {
                self.refresh(*tab).await;
                let store = &self.tabs[*tab].store;
                if *all { store.compact_all().await } else { store.maintain().await }.expect("maintenance");
                *tab
            }
        }
    }

    async fn materialize(&mut self, tab: usize, clone: usize, is_cut_off: bool) -> usize {
        let name = self.model.pick_clone(clone);
        let db = self.handle(tab, &name, false).await;
        let is_ended = is_cut_off && self.model.get(&name).origin.is_some();
        let expected = if is_ended { Err(ErrorCode::Aborted) } else { Ok(()) };
        same(db.0.materialize(&|_| !is_cut_off).await.map(drop), expected, &("materialize", name.clone()));
        if !is_ended {
            self.model.materialize(&name);
        }
        tab
    }

    async fn transaction(&mut self, db: &Db, other: &Db, (writes, between, fails): (&[Write], &[Write], bool)) {
        let name = db.0.name().as_str();
        let mut is_first = true;
        let outcome = db.0.transact(TransactionOptions::default(), |transaction| {
            let is_first = std::mem::replace(&mut is_first, false);
            async move {
                let mut answers = Vec::new();
                for write in writes {
                    answers.push(as_json(transaction.run(write.op()).await?));
                }
                let between = if is_first { between } else { Default::default() };
                for write in between {
                    // The answer is not compared: the model repeats the write below, and its rows are compared.
                    let _ = other.run(write.op()).await;
                }
                if fails { Err(Error::new(ErrorCode::Aborted, "the body fails")) } else { Ok(answers) }
            }
        });
        let outcome = outcome.await.expect("a transaction that may run again succeeds");
        let outcome = match outcome {
            Ended::Committed(answers, _) => Ok(answers),
            Ended::Failed(error) => Err(error),
        };
        let before = self.model.attempt(name, writes);
        let expected = match before {
            Err(code) => Err(code),
            Ok((answers, rows)) => {
                for write in between {
                    let _ = self.model.write(name, write);
                }
                match (fails, rows) {
                    (true, _) => Err(ErrorCode::Aborted),
                    (false, None) => Ok(answers),
                    (false, Some(_)) => self.model.attempt(name, writes).map(|(answers, rows)| {
                        if let Some(rows) = rows {
                            self.model.replace(name, rows);
                        }
                        answers
                    }),
                }
            }
        };
        same(outcome, expected, &writes);
    }

    async fn snapshot(&mut self, tab: usize, name: &str, at: Option<u64>) {
        let db = self.handle(tab, name, false).await;
        let snapshot = match at {
            Some(lsn) => db.0.at(When::Version(Lsn(lsn))).await.expect("history holds it"),
            None => db.snapshot().await,
        };
        let then = self.model.at(name, at.unwrap_or(self.model.head()));
        assert_eq!(snapshot.predates_clone(), then.is_none(), "{name}@{at:?}");
        let content = then.map_or_else(Rc::default, |then| then.content.clone());
        if self.taken.len() == SNAPSHOTS {
            self.taken.remove(0);
        }
        self.taken.push(Taken { snapshot, content });
    }

    async fn compare(&mut self, tab: usize) {
        assert_eq!(self.tabs[tab].store.head().0, self.model.head(), "one commit is one LSN, and nothing is none");
        let infos = self.tabs[tab].store.databases(false).await.expect("a list");
        let found: Vec<_> = infos
            .into_iter()
            .map(|info| (info.name.to_string(), info.origin, info.as_of.map(|lsn| lsn.0), info.dependents))
            .collect();
        let expected = self.model.databases().iter().map(|(name, database)| {
            let origin = database.origin.as_ref();
            (name.clone(), origin.map(|o| o.name.clone()), origin.map(|o| o.as_of), self.model.dependents(name))
        });
        assert_eq!(found, expected.collect::<Vec<_>>(), "the catalog");
        for (name, database) in self.model.databases() {
            let db = open_in(&self.tabs[tab].store, name).await;
            let collections = db.0.collections().await.expect("a list");
            let named: Vec<_> = collections.iter().map(|found| &found.name[..]).collect();
            assert!(named.iter().eq(&database.content.collections), "the collections of {name}: {named:?}");
            let snapshot = db.snapshot().await;
            holds(&snapshot, database.rows()).await;
            match &database.origin {
                Some(origin) => {
                    let expected = difference(&origin.content.rows, database.rows());
                    assert_eq!(differences(&snapshot, None).await, expected, "{name} and its origin");
                }
                None => {
                    let error = snapshot.diff(Side::Origin, None, None, CHANGES).await.err().expect("it has no origin");
                    assert_eq!(error.code(), ErrorCode::NotAClone);
                }
            }
        }
        for taken in &self.taken {
            holds(&taken.snapshot, &taken.content.rows).await;
        }
    }
}

pub fn same<T: PartialEq + std::fmt::Debug>(
    found: Result<T, Error>,
    expected: Result<T, ErrorCode>,
    what: &impl std::fmt::Debug,
) {
    match (found, expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{what:?}"),
        (Err(found), Err(expected)) => assert_eq!(found.code(), expected, "{what:?}: {found}"),
        (found, expected) => panic!("{what:?}: found {found:?}, expected {expected:?}"),
    }
}

/// All documents of a collection, page by page.
async fn documents(snapshot: &Snapshot, name: &str) -> Vec<(String, Value)> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let op = Op::Find { collection: say::collection(name), after, rest: None, skip: 0, limit: None };
        let Answer::Documents(page) = snapshot.run(op).await.expect("a page") else { panic!("documents") };
        after = say::behind(&say::collection(name), &page);
        all.extend(page.rows.into_iter().map(|(id, fields)| (id, unpack(&fields))));
        if after.is_none() {
            return all;
        }
    }
}

async fn entries(snapshot: &Snapshot, reverse: bool) -> Vec<(String, Value)> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let range = KeyRange::default();
        let op = Op::EntryList { collection: say::collection(ENTRIES), range, reverse, limit: None, after, rest: None };
        let Answer::Entries(page) = snapshot.run(op).await.expect("a page") else { panic!("entries") };
        after = page.rows.last().map(|(key, _)| key.clone());
        all.extend(page.rows.into_iter().map(|(key, value)| (read_id(&key).expect("a text"), unpack(&value))));
        if page.rest.is_none() {
            return all;
        }
    }
}

/// Point reads, scans both ways and counts all say the same as the model.
pub async fn holds(snapshot: &Snapshot, rows: &Rows) {
    let path = snapshot.describe().await.expect("a path");
    let of = |name: &str| -> Vec<(String, Value)> {
        rows.iter().filter(|((c, _), _)| *c == name).map(|((_, key), value)| (key.clone(), value.clone())).collect()
    };
    let answer = async |op: Op| as_json(snapshot.run(op).await.expect("it answers"));
    let wanted = |name: &'static str, keys: &[&str]| -> Value {
        let value = |key: &&str| rows.get(&(name, key.to_string())).map_or(Value::Null, |value| json!([value]));
        keys.iter().map(value).collect()
    };
    for name in DOCUMENTS {
        assert_eq!(documents(snapshot, name).await, of(name), "all of {name} in {path}");
        let count = Op::Count { collection: say::collection(name), rest: None, counted: 0 };
        assert_eq!(answer(count).await, json!(of(name).len()), "the count of {name} in {path}");
        let ids: Vec<&str> = KEYS.into_iter().chain(BULK).collect();
        let many = ids.iter().map(|id| id.to_string()).collect();
        let many = Op::GetMany { collection: say::collection(name), ids: many };
        assert_eq!(answer(many).await, wanted(name, &ids), "{name} one by one in {path}");
    }
    let forward = of(ENTRIES);
    assert_eq!(entries(snapshot, false).await, forward, "all entries in {path}");
    let backward: Vec<_> = forward.iter().rev().cloned().collect();
    assert_eq!(entries(snapshot, true).await, backward, "all entries backwards in {path}");
    assert_eq!(answer(say::kv_count()).await, json!(forward.len()), "the count of entries in {path}");
    assert_eq!(answer(say::kv_get_many(&KEYS)).await, wanted(ENTRIES, &KEYS), "entries one by one in {path}");
}

/// The changes that `diff` finds against a snapshot, or against the origin if that is `None`.
pub async fn differences(snapshot: &Snapshot, against: Option<&Snapshot>) -> Vec<Difference> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let side = against.map_or(Side::Origin, Side::Snapshot);
        let page = snapshot.diff(side, None, after.as_ref(), CHANGES).await.expect("a page of changes");
        for change in page.changes {
            let name = DOCUMENTS.into_iter().chain([ENTRIES]).find(|name| *name == change.collection);
            let name = name.expect("a collection of ours");
            assert_eq!(change.kind, kind(name));
            let value = |side: &Option<offshoot::types::Bytes>| side.as_ref().map(|value| unpack(value));
            let (before, after) = (value(&change.before), value(&change.after));
            let mut named = change.fields;
            named.sort();
            assert_eq!(named, fields(before.as_ref(), after.as_ref()), "the changed fields");
            all.push((name, read_id(&change.key).expect("a text"), before, after));
        }
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

/// The fields that differ, by name.
fn fields(before: Option<&Value>, after: Option<&Value>) -> Vec<String> {
    let (Some(Value::Object(before)), Some(Value::Object(after))) = (before, after) else { return Vec::new() };
    let names: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    names.into_iter().filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}
