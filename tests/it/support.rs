//! What the tests share: a disk with tabs on it, a clock that obeys, and a short way to say documents.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;

use futures_executor::{LocalPool, LocalSpawner};
use futures_task::{LocalFutureObj, LocalSpawn};
use offshoot::engine::op::{Answer, Condition, KeyRange, NewDocument, Op};
use offshoot::engine::{CloneOptions, Database, OpenOptions, Snapshot, Store};
use offshoot::error::{ErrorCode, Result};
use offshoot::platform::Platform;
use offshoot::query::Update;
use offshoot::storage::{LocalFuture, MemoryDisk, MemoryStorage};
use offshoot::types::{CollectionName, DatabaseName, Key, Lsn};
use serde_json::Value;

/// A clock that stands still until it is told to move, and random numbers that are the same in every run.
pub struct TestPlatform {
    spawner: LocalSpawner,
    now: Rc<Cell<u64>>,
    random: Rc<Cell<u64>>,
}

impl Platform for TestPlatform {
    fn now(&self) -> u64 {
        self.now.get()
    }

    fn random(&self) -> u64 {
        // SplitMix64: small, and good enough to tell things apart.
        let state = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn spawn(&self, task: LocalFuture<'static, ()>) {
        self.spawner.spawn_local_obj(LocalFutureObj::new(task)).expect("the pool runs");
    }

    fn sleep(&self, _: u64) -> LocalFuture<'static, ()> {
        Box::pin(async {})
    }

    fn announce(&self, _: Lsn) {}
}

/// A disk, and the means to open tabs on it.
pub struct World {
    pub disk: MemoryDisk,
    pub now: Rc<Cell<u64>>,
    random: Rc<Cell<u64>>,
    spawner: LocalSpawner,
}

impl World {
    pub fn platform(&self) -> Rc<dyn Platform> {
        let (now, random) = (self.now.clone(), self.random.clone());
        Rc::new(TestPlatform { spawner: self.spawner.clone(), now, random })
    }

    /// Opens the store as another tab would.
    pub async fn tab(&self) -> Rc<Store> {
        self.try_tab(OpenOptions::default()).await.expect("the store opens")
    }

    pub async fn try_tab(&self, options: OpenOptions) -> Result<Rc<Store>> {
        Store::open(self.platform(), Rc::new(MemoryStorage::open(&self.disk)), options).await
    }

    pub async fn main(&self) -> Db {
        Db(self.tab().await.database(&DatabaseName::main()).await.expect("main is there"))
    }

    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.spawner.spawn_local_obj(LocalFutureObj::new(Box::new(task))).expect("the pool runs");
    }
}

/// Runs a test's body, and all that it spawned, to the end.
pub fn run<F: Future<Output = ()>>(body: impl FnOnce(Rc<World>) -> F) {
    let mut pool = LocalPool::new();
    let (now, random) = (Rc::new(Cell::new(1_700_000_000_000)), Rc::new(Cell::new(7)));
    let world = Rc::new(World { disk: MemoryDisk::new(), now, random, spawner: pool.spawner() });
    pool.run_until(body(world));
}

pub fn pack(value: &Value) -> Vec<u8> {
    rmp_serde::to_vec_named(value).expect("JSON is MessagePack")
}

pub fn unpack(bytes: &[u8]) -> Value {
    rmp_serde::from_slice(bytes).expect("what JSON wrote reads as JSON")
}

pub fn collection(name: &str) -> CollectionName {
    CollectionName::new(name).expect("a good name")
}

pub fn key(text: &str) -> Vec<u8> {
    Key::text(text).encode().expect("a good key")
}

pub fn documents(rows: &[(&str, Value)]) -> Vec<NewDocument> {
    rows.iter().map(|(id, fields)| NewDocument { id: Some(id.to_string()), fields: pack(fields) }).collect()
}

/// What a test says to a database, a snapshot or a transaction: calls on the collection `todos`, or `kv` for entries.
pub mod say {
    use super::*;

    pub fn get(id: &str) -> Op {
        Op::Get { collection: collection("todos"), id: id.into() }
    }

    pub fn insert(rows: &[(&str, Value)]) -> Op {
        Op::Insert { collection: collection("todos"), documents: documents(rows) }
    }

    pub fn put(rows: &[(&str, Value)]) -> Op {
        Op::Put { collection: collection("todos"), documents: documents(rows) }
    }

    pub fn update(id: &str, operators: Value) -> Op {
        let update = Update::read(&pack(&operators)).expect("a good update");
        Op::Update { collection: collection("todos"), id: id.into(), update }
    }

    pub fn delete(ids: &[&str]) -> Op {
        Op::Delete { collection: collection("todos"), ids: ids.iter().map(|id| id.to_string()).collect() }
    }

    pub fn find() -> Op {
        Op::Find { collection: collection("todos"), after: None, skip: 0, limit: None }
    }

    pub fn count() -> Op {
        Op::Count { collection: collection("todos"), after: None, counted: 0 }
    }

    pub fn kv_get(text: &str) -> Op {
        Op::EntryGet { collection: collection("kv"), keys: vec![key(text)], one: true }
    }

    pub fn kv_set(text: &str, value: Value) -> Op {
        kv_set_if(text, value, Condition::None)
    }

    pub fn kv_set_if(text: &str, value: Value, condition: Condition) -> Op {
        Op::EntrySet { collection: collection("kv"), entries: vec![(key(text), pack(&value))], condition }
    }

    pub fn kv_delete(texts: &[&str]) -> Op {
        Op::EntryDelete { collection: collection("kv"), keys: texts.iter().map(|text| key(text)).collect() }
    }

    pub fn kv_set_field(text: &str, field: &str, value: Option<Value>) -> Op {
        let value = value.map(|value| pack(&value));
        Op::EntrySetField { collection: collection("kv"), key: key(text), field: field.into(), value }
    }

    pub fn kv_list(reverse: bool) -> Op {
        let range = KeyRange::default();
        Op::EntryList { collection: collection("kv"), range, reverse, limit: None, after: None }
    }
}

/// What was answered, as JSON: `Null` stands for absent, and an array of one for a value.
pub fn json(answer: Answer) -> Value {
    let text = |key: &[u8]| offshoot::types::key::read_id(key).expect("a text key");
    match answer {
        Answer::Nothing => Value::Null,
        Answer::Flag(flag) => flag.into(),
        Answer::Count(count) => count.into(),
        Answer::Value(value) => value.map_or(Value::Null, |value| Value::Array(vec![unpack(&value)])),
        Answer::Values(values) => values.into_iter().map(|value| json(Answer::Value(value))).collect(),
        Answer::Ids(ids) => ids.into(),
        Answer::Documents(page) => {
            assert!(page.next.is_none(), "small enough for one page");
            page.rows.into_iter().map(|(id, fields)| serde_json::json!([id, unpack(&fields)])).collect()
        }
        Answer::Entries(page) => {
            assert!(page.next.is_none(), "small enough for one page");
            page.rows.into_iter().map(|(key, value)| serde_json::json!([text(&key), unpack(&value)])).collect()
        }
    }
}

/// A database's handle, with shorter words.
#[derive(Clone)]
pub struct Db(pub Rc<Database>);

impl Db {
    pub async fn run(&self, op: Op) -> Result<Value> {
        self.0.run(op, None).await.map(json)
    }

    pub async fn ok(&self, op: Op) -> Value {
        self.run(op).await.expect("the call succeeds")
    }

    pub async fn code(&self, op: Op) -> ErrorCode {
        self.run(op).await.expect_err("the call fails").code()
    }

    pub async fn clone_as(&self, name: &str) -> Db {
        let name = DatabaseName::new(name).expect("a good name");
        let made = self.0.create_clone(Some(name), CloneOptions::default()).await.expect("a clone");
        Db(self.0.store().database(&made).await.expect("it is there"))
    }

    pub async fn path(&self) -> String {
        self.0.snapshot().await.expect("a snapshot").path().to_string()
    }

    pub async fn snapshot(&self) -> Snapshot {
        self.0.snapshot().await.expect("a snapshot")
    }
}
