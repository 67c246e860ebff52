//! Code that the tests share: a disk with tabs on it, a clock that obeys, and a short way to say documents.

pub mod disk;
pub mod leases;
pub mod memory;
pub mod merging;
pub mod place;
pub mod say;
pub mod script;
pub mod transfer;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;

use futures_executor::{LocalPool, LocalSpawner};
use futures_task::{LocalFutureObj, LocalSpawn};
use offshoot::engine::op::{Answer, Op};
use offshoot::engine::{CloneOptions, Database, Isolation, OpenOptions, Snapshot, Store, TransactionOptions, When};
use offshoot::error::{ErrorCode, Result};
use offshoot::platform::{Lease, Platform};
use offshoot::storage::{LocalFuture, MemoryDisk, Storage};
use offshoot::types::{DatabaseName, Lsn};
use serde_json::Value;

use leases::Leases;

/// A clock that stands still until it is told to move, and random numbers that are the same in every run.
pub struct TestPlatform {
    spawner: LocalSpawner,
    now: Rc<Cell<u64>>,
    steady: Rc<Cell<u64>>,
    random: Rc<Cell<u64>>,
    witness: Witness,
    leases: Rc<Leases>,
    has_turns: Rc<Cell<bool>>,
    ends_requests: Rc<Cell<bool>>,
}

/// The texts that were written down outside of the store; `None` inside: the host has no place for them.
pub type Witness = Rc<RefCell<Option<Vec<String>>>>;

impl Platform for TestPlatform {
    fn now(&self) -> u64 {
        self.now.get()
    }

    fn steady(&self) -> u64 {
        self.steady.get()
    }

    fn ends_requests(&self) -> bool {
        self.ends_requests.get()
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

    fn sleep(&self, milliseconds: u64) -> LocalFuture<'static, ()> {
        let turns = if self.has_turns.get() { milliseconds.max(1) } else { 1 };
        Box::pin(async move {
            for _ in 0..turns {
                pause().await;
            }
        })
    }

    fn try_lease(&self, name: &str) -> LocalFuture<'static, Option<Lease>> {
        let lease = self.leases.take(name);
        Box::pin(async move { lease })
    }

    fn testimony(&self) -> LocalFuture<'static, Option<Vec<String>>> {
        let texts = self.witness.borrow().clone();
        Box::pin(async move { texts })
    }

    fn testify(&self, add: Vec<String>, strike: Vec<String>) -> LocalFuture<'static, ()> {
        if let Some(texts) = &mut *self.witness.borrow_mut() {
            texts.extend(add);
            texts.retain(|text| !strike.contains(text));
        }
        Box::pin(async {})
    }

    fn announce(&self, _: Lsn) {}
}

/// A disk, and the means to open tabs on it.
pub struct World {
    pub disk: MemoryDisk,
    pub now: Rc<Cell<u64>>,
    /// The clock that does not jump.
    pub steady: Rc<Cell<u64>>,
    pub witness: Witness,
    pub leases: Rc<Leases>,
    /// True: a sleep takes one turn of all tasks per millisecond. False: every sleep takes one turn.
    pub has_turns: Rc<Cell<bool>>,
    /// True, as it is at first: a task may never be polled again.
    pub ends_requests: Rc<Cell<bool>>,
    random: Rc<Cell<u64>>,
    spawner: LocalSpawner,
}

impl World {
    pub fn platform(&self) -> Rc<dyn Platform> {
        Rc::new(TestPlatform {
            spawner: self.spawner.clone(),
            now: self.now.clone(),
            steady: self.steady.clone(),
            random: self.random.clone(),
            witness: self.witness.clone(),
            leases: self.leases.clone(),
            has_turns: self.has_turns.clone(),
            ends_requests: self.ends_requests.clone(),
        })
    }

    /// Opens the store as another tab would.
    pub async fn tab(&self) -> Rc<Store> {
        self.try_tab(OpenOptions::default()).await.expect("the store opens")
    }

    pub async fn try_tab(&self, options: OpenOptions) -> Result<Rc<Store>> {
        self.open(Rc::new(disk::Watched::new(&self.disk, None)), options).await
    }

    pub async fn open(&self, storage: Rc<dyn Storage>, options: OpenOptions) -> Result<Rc<Store>> {
        Store::open(self.platform(), storage, options).await
    }

    /// A tab whose storage answers late, so that what runs beside it gets its turn in between.
    pub async fn slow_tab(&self) -> Rc<Store> {
        let storage = disk::Watched::new(&self.disk, Some(self.random.clone()));
        self.open(Rc::new(storage), OpenOptions::default()).await.expect("the store opens")
    }

    /// A world with an empty disk, run by the same pool.
    pub fn elsewhere(&self) -> World {
        World {
            disk: MemoryDisk::new(),
            now: self.now.clone(),
            steady: self.steady.clone(),
            witness: Witness::default(),
            leases: Rc::default(),
            has_turns: self.has_turns.clone(),
            ends_requests: self.ends_requests.clone(),
            random: self.random.clone(),
            spawner: self.spawner.clone(),
        }
    }

    /// A random number, another one at each call.
    pub fn draw(&self) -> u64 {
        self.platform().random()
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
    let world = World {
        disk: MemoryDisk::new(),
        now: Rc::new(Cell::new(1_700_000_000_000)),
        steady: Rc::default(),
        witness: Witness::default(),
        leases: Rc::default(),
        has_turns: Rc::default(),
        ends_requests: Rc::new(Cell::new(true)),
        random: Rc::new(Cell::new(7)),
        spawner: pool.spawner(),
    };
    pool.run_until(body(Rc::new(world)));
}

pub fn pack(value: &Value) -> Vec<u8> {
    rmp_serde::to_vec_named(value).expect("JSON is MessagePack")
}

pub fn unpack(bytes: &[u8]) -> Value {
    rmp_serde::from_slice(bytes).expect("what JSON wrote reads as JSON")
}

/// An answer as JSON: `Null` stands for absent, and an array of one for a value.
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
            assert!(page.rest.is_none(), "small enough for one page");
            page.rows.into_iter().map(|(id, fields)| serde_json::json!([id, unpack(&fields)])).collect()
        }
        Answer::Entries(page) => {
            assert!(page.rest.is_none(), "small enough for one page");
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
        self.try_clone(name, CloneOptions::default()).await.expect("a clone")
    }

    pub async fn clone_at(&self, name: &str, when: When) -> Result<Db> {
        self.try_clone(name, CloneOptions { at: Some(when), ..CloneOptions::default() }).await
    }

    pub async fn try_clone(&self, name: &str, options: CloneOptions) -> Result<Db> {
        let made = self.0.create_clone(Some(DatabaseName::new(name)?), options).await?;
        Ok(Db(self.0.store().database(&made).await?))
    }

    /// The same database, as a tab sees it that was opened just now.
    pub async fn reopened(&self, world: &World) -> Db {
        open_in(&world.tab().await, self.0.name().as_str()).await
    }

    pub async fn path(&self) -> String {
        self.snapshot().await.describe().await.expect("a path")
    }

    pub async fn snapshot(&self) -> Snapshot {
        self.0.snapshot().await.expect("a snapshot")
    }

    /// The calls in one transaction: their answers, or the first failure, which undoes them all.
    pub async fn transact(&self, ops: &[Op]) -> Result<Vec<Value>> {
        let body = async |transaction: Rc<offshoot::engine::OpenTransaction>| {
            let mut answers = Vec::new();
            for op in ops {
                answers.push(json(transaction.run(op.clone()).await?));
            }
            Ok(answers)
        };
        match self.0.transact(TransactionOptions::default(), body).await? {
            offshoot::engine::Ended::Committed(answers, _) => Ok(answers),
            offshoot::engine::Ended::Failed(error) => Err(error),
        }
    }
}

/// Transactions that lose at their first conflict, so that a test sees it.
pub fn once(isolation: Isolation) -> TransactionOptions {
    TransactionOptions { isolation, retries: 0, durability: None }
}

pub async fn open_in(store: &Rc<Store>, name: &str) -> Db {
    try_open_in(store, name).await.expect("the database is there")
}

pub async fn try_open_in(store: &Rc<Store>, name: &str) -> Result<Db> {
    store.database(&DatabaseName::new(name)?).await.map(Db)
}

/// The answer of a snapshot, as JSON.
pub async fn read(snapshot: &Snapshot, op: Op) -> Value {
    snapshot.run(op).await.map(json).expect("the snapshot answers")
}

/// Lets everything else that runs take its turn.
pub async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// Waits until what is done once a store rests is done.
pub async fn rest() {
    for _ in 0..64 {
        pause().await;
    }
}
