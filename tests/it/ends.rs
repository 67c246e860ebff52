//! Every call ends, within a bounded number of storage calls, whatever storage does.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_channel::oneshot;
use offshoot::engine::{Op, OpenOptions};
use offshoot::error::{Error, ErrorCode, Result};
use offshoot::storage::{
    Batch, ListRange, Listed, LocalFuture, Logged, MemoryDisk, MemoryStorage, Outcome, Space, Storage,
};
use serde_json::{Value, json};

use crate::support::{Db, World, open_in, run, say};

/// More storage calls than any test here needs: whoever makes more goes round in circles.
const CALLS: u32 = 400;

/// Storage that counts its calls, and fails at some of them.
struct Counted {
    inner: MemoryStorage,
    calls: Cell<u32>,
    /// The calls that fail: from the first number on, as many as the second says.
    failing: Cell<(u32, u32)>,
    effect: Cell<Effect>,
    /// Writes that are yet to be done.
    late: RefCell<Vec<Batch>>,
}

/// The effect of a write that fails: it may be done in spite of its error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Effect {
    None,
    AtOnce,
    /// The write is done after the next call.
    Late,
}

impl Counted {
    fn new(disk: &MemoryDisk) -> Rc<Counted> {
        let (calls, failing, effect) = (Cell::new(0), Cell::new((0, 0)), Cell::new(Effect::None));
        Rc::new(Counted { inner: MemoryStorage::open(disk), calls, failing, effect, late: RefCell::default() })
    }

    /// Makes the call of this number fail, counted from 1 from now on, and so many calls in all.
    fn fail_at(&self, call: u32, times: u32, effect: Effect) {
        self.calls.set(0);
        self.failing.set((call, times));
        self.effect.set(effect);
    }

    fn count(&self) -> Result<()> {
        self.calls.set(self.calls.get() + 1);
        assert!(self.calls.get() < CALLS, "storage is asked without an end");
        let (first, times) = self.failing.get();
        let fails = first > 0 && (first..first + times).contains(&self.calls.get());
        if fails { Err(Error::new(ErrorCode::StorageUnavailable, "this call fails")) } else { Ok(()) }
    }
}

impl Counted {
    async fn do_late(&self) {
        let late = std::mem::take(&mut *self.late.borrow_mut());
        for batch in late {
            // Refused or not, nobody hears of it.
            let _ = self.inner.write(batch).await;
        }
    }
}

impl Storage for Counted {
    fn read<'a>(&'a self, space: Space, names: &'a [String]) -> LocalFuture<'a, Result<Vec<Option<Vec<u8>>>>> {
        let counted = self.count();
        Box::pin(async move { counted.and(self.inner.read(space, names).await) })
    }

    fn list<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Listed>> {
        let counted = self.count();
        Box::pin(async move { counted.and(self.inner.list(space, range).await) })
    }

    fn names<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Vec<String>>> {
        let counted = self.count();
        Box::pin(async move { counted.and(self.inner.names(space, range).await) })
    }

    fn log(&self, after: u64, limit: usize) -> LocalFuture<'_, Result<Logged>> {
        let counted = self.count();
        Box::pin(async move { counted.and(self.inner.log(after, limit).await) })
    }

    fn write(&self, batch: Batch) -> LocalFuture<'_, Result<Outcome>> {
        let counted = self.count();
        Box::pin(async move {
            let Err(error) = counted else {
                let written = self.inner.write(batch).await;
                self.do_late().await;
                return written;
            };
            self.do_late().await;
            match self.effect.get() {
                Effect::None => {}
                Effect::AtOnce => drop(self.inner.write(batch).await?),
                Effect::Late => self.late.borrow_mut().push(batch),
            }
            Err(error)
        })
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.inner.close()
    }
}

/// Starts calls that wait together, and gives what became of each.
async fn together(world: &World, db: &Db, ops: Vec<Op>) -> Vec<std::result::Result<Value, ErrorCode>> {
    let mut answers = Vec::new();
    for op in ops {
        let (sender, receiver) = oneshot::channel();
        let db = db.clone();
        world.spawn(async move {
            let _ = sender.send(db.run(op).await.map_err(|error| error.code()));
        });
        answers.push(receiver);
    }
    let mut outcomes = Vec::new();
    for answer in answers {
        outcomes.push(answer.await.expect("every call ends"));
    }
    outcomes
}

fn id(n: usize) -> String {
    format!("document-{n:04}")
}

/// A store whose documents fill several stored records, and which of them a cold tab reads.
async fn filled(world: &World) -> Vec<String> {
    let main = world.main().await;
    // Text that does not get smaller when it is packed.
    let padding = || (0..70).map(|_| format!("{:016x}", world.draw())).collect::<String>();
    let rows: Vec<_> = (0..600).map(|n| (id(n), json!({"n": 0, "text": padding()}))).collect();
    for rows in rows.chunks(50) {
        let rows: Vec<_> = rows.iter().map(|(id, row)| (&id[..], row.clone())).collect();
        main.ok(say::put(&rows)).await;
    }
    main.0.store().maintain().await.expect("a checkpoint");
    let everything = ListRange { from: None, before: None, limit: usize::MAX };
    world.disk.list(Space::Blocks, &everything).into_iter().map(|(name, _)| name).collect()
}

async fn cold(world: &World) -> (Db, Rc<Counted>) {
    let storage = Counted::new(&world.disk);
    let options = OpenOptions { cache_bytes: 0, ..OpenOptions::default() };
    let store = world.open(storage.clone(), options).await.expect("the store opens");
    (open_in(&store, "main").await, storage)
}

/// The last document that can be read, and the first behind it that cannot.
async fn border(world: &World) -> (String, String) {
    let (db, storage) = cold(world).await;
    let mut last = None;
    for n in 0..600 {
        storage.calls.set(0);
        match db.run(say::get(&id(n))).await {
            Ok(_) => last = Some(id(n)),
            Err(error) if last.is_some() => {
                assert_eq!(error.code(), ErrorCode::StorageCorrupt);
                return (last.expect("one was read"), id(n));
            }
            Err(_) => {}
        }
    }
    panic!("something is lost, and something is not");
}

/// SEMANTICS W8: a call that needs a lost block fails; those before and after it in its group do what they would.
#[test]
fn a_lost_block_stops_only_the_call_that_needs_it() {
    run(async |world| {
        let blocks = filled(&world).await;
        assert!(blocks.len() > 4, "{} records", blocks.len());
        let lost = (Space::Blocks, blocks[blocks.len() / 2].clone());
        world.disk.write(Batch { delete: vec![lost], ..Batch::default() });
        let (there, gone) = border(&world).await;
        let (db, storage) = cold(&world).await;
        storage.calls.set(0);
        let increments = [&there, &gone, &there, &gone].map(|id| say::increment(id, 1)).to_vec();
        let corrupt = Err(ErrorCode::StorageCorrupt);
        let done = Ok(json!(true));
        assert_eq!(together(&world, &db, increments).await, [done.clone(), corrupt.clone(), done, corrupt]);
        assert!(storage.calls.get() < 60, "{} storage calls", storage.calls.get());
        assert_eq!(db.ok(say::get(&there)).await[0]["n"], json!(2));
        // A read of the log, which waited behind the calls, goes on too.
        db.0.store().refresh().await.expect("the log can be read");
        assert_eq!(db.reopened(&world).await.ok(say::get(&there)).await[0]["n"], json!(2));
    });
}

/// A transaction that needs a lost block fails, and the one that waits behind it goes on.
#[test]
fn a_lost_block_stops_only_the_transaction_that_needs_it() {
    run(async |world| {
        let blocks = filled(&world).await;
        world.disk.write(Batch { delete: vec![(Space::Blocks, blocks[blocks.len() / 2].clone())], ..Batch::default() });
        let (there, gone) = border(&world).await;
        let (db, _) = cold(&world).await;
        for (id, expected) in [(&gone, Err(ErrorCode::StorageCorrupt)), (&there, Ok(()))] {
            let outcome = db.transact(&[say::put(&[("own", json!({}))]), say::increment(id, 1)]).await;
            assert_eq!(outcome.map(drop).map_err(|error| error.code()), expected, "{id}");
        }
    });
}

/// If any call of storage fails, or several in a row, each call of the database is answered, and later ones go on.
#[test]
fn every_call_is_answered_whichever_storage_call_fails() {
    let (none, at_once) = (Effect::None, Effect::AtOnce);
    for (times, effect) in [(1, none), (1, at_once), (3, none), (3, at_once), (1, Effect::Late), (9, none)] {
        run(async |world| {
            filled(&world).await;
            let (db, storage) = cold(&world).await;
            for call in 1..16 {
                storage.fail_at(call, times, effect);
                let ops = [0, 300, 599, 0].map(|n| say::increment(&id(n), 1)).to_vec();
                for outcome in together(&world, &db, ops).await {
                    let is_expected = matches!(outcome, Ok(_) | Err(ErrorCode::StorageUnavailable));
                    assert!(is_expected, "call {call}: {outcome:?}");
                }
                storage.fail_at(0, 0, none);
                assert_eq!(db.ok(say::increment(&id(1), 1)).await, json!(true), "later calls go on");
            }
        });
    }
}

/// A block that is gone under every manifest that is read: a tab that compacts faster than another can read.
#[test]
fn a_store_that_is_compacted_under_every_read_ends_the_call() {
    run(async |world| {
        let blocks = filled(&world).await;
        let lost = blocks[blocks.len() / 2].clone();
        let storage = Rc::new(Compacting { inner: MemoryStorage::open(&world.disk), lost, calls: Cell::new(0) });
        let options = OpenOptions { cache_bytes: 0, ..OpenOptions::default() };
        let db = open_in(&world.open(storage.clone(), options).await.expect("it opens"), "main").await;
        let mut gone = None;
        for n in 0..600 {
            storage.calls.set(0);
            if let Err(error) = db.run(say::get(&id(n))).await {
                assert_eq!(error.code(), ErrorCode::StorageUnavailable);
                gone.get_or_insert(id(n));
            }
        }
        storage.calls.set(0);
        let ops = [&id(0), &gone.expect("something is lost"), &id(0)].map(|id| say::increment(id, 1)).to_vec();
        let done = Ok(json!(true));
        assert_eq!(together(&world, &db, ops).await, [done.clone(), Err(ErrorCode::StorageUnavailable), done]);
    });
}

/// Storage that does not find one record of blocks, while the manifest that names it is never the present one.
struct Compacting {
    inner: MemoryStorage,
    lost: String,
    calls: Cell<u32>,
}

impl Storage for Compacting {
    fn read<'a>(&'a self, space: Space, names: &'a [String]) -> LocalFuture<'a, Result<Vec<Option<Vec<u8>>>>> {
        Box::pin(async move {
            let mut found = self.inner.read(space, names).await?;
            for (_, bytes) in names.iter().zip(&mut found).filter(|(name, _)| **name == self.lost) {
                self.calls.set(self.calls.get() + 1);
                assert!(self.calls.get() < CALLS, "storage is asked without an end");
                *bytes = None;
            }
            Ok(found)
        })
    }

    fn list<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Listed>> {
        self.inner.list(space, range)
    }

    fn names<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Vec<String>>> {
        self.inner.names(space, range)
    }

    fn log(&self, after: u64, limit: usize) -> LocalFuture<'_, Result<Logged>> {
        self.inner.log(after, limit)
    }

    fn write(&self, batch: Batch) -> LocalFuture<'_, Result<Outcome>> {
        let asks_for_lost = batch.absent.iter().any(|(_, name)| *name == self.lost);
        Box::pin(async move { if asks_for_lost { Ok(Outcome::Refused) } else { self.inner.write(batch).await } })
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.inner.close()
    }
}

/// An increment is done again only if its error says that it can be: none is done twice, and none is lost.
#[test]
fn what_is_retryable_is_not_done_twice() {
    let mut certain_after_late = 0;
    for (times, effect) in
        [1, 2, 5].into_iter().flat_map(|n| [Effect::None, Effect::AtOnce, Effect::Late].map(|e| (n, e)))
    {
        run(async |world| {
            world.main().await.ok(say::insert(&[("a", json!({"n": 0}))])).await;
            let (db, storage) = cold(&world).await;
            let (mut done, mut unknown) = (0, 0);
            for call in 1..12 {
                storage.fail_at(call, times, effect);
                let mut outcome = db.run(say::increment("a", 1)).await;
                storage.fail_at(0, 0, effect);
                while outcome.as_ref().is_err_and(Error::is_retryable) {
                    outcome = db.run(say::increment("a", 1)).await;
                }
                match outcome {
                    Ok(_) => done += 1,
                    Err(error) => {
                        assert_eq!(error.outcome(), offshoot::error::FailureOutcome::Unknown, "{error}");
                        unknown += 1;
                    }
                }
            }
            db.ok(say::put(&[("own", json!({}))])).await;
            let n = db.reopened(&world).await.ok(say::get("a")).await[0]["n"].as_u64().expect("a number");
            assert!((done..=done + unknown).contains(&n), "{n}, {done} done, {unknown} unknown, {times} {effect:?}");
            if effect == Effect::Late && times == 1 {
                assert_eq!(unknown, 0, "what may come late is made void");
                certain_after_late += done;
            }
        });
    }
    assert_eq!(certain_after_late, 11);
}

/// Storage that does a write that appends, and fails it once it is released.
struct Withheld {
    inner: MemoryStorage,
    is_armed: Cell<bool>,
    release: RefCell<Option<oneshot::Receiver<()>>>,
}

impl Storage for Withheld {
    fn read<'a>(&'a self, space: Space, names: &'a [String]) -> LocalFuture<'a, Result<Vec<Option<Vec<u8>>>>> {
        self.inner.read(space, names)
    }

    fn list<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Listed>> {
        self.inner.list(space, range)
    }

    fn names<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Vec<String>>> {
        self.inner.names(space, range)
    }

    fn log(&self, after: u64, limit: usize) -> LocalFuture<'_, Result<Logged>> {
        self.inner.log(after, limit)
    }

    fn write(&self, batch: Batch) -> LocalFuture<'_, Result<Outcome>> {
        let release = self.release.borrow_mut().take_if(|_| self.is_armed.get() && !batch.append.is_empty());
        Box::pin(async move {
            let written = self.inner.write(batch).await;
            let Some(release) = release else { return written };
            let _ = release.await;
            Err(Error::new(ErrorCode::StorageUnavailable, "the answer is lost"))
        })
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.inner.close()
    }
}

/// A commit whose answer is lost, behind so many others that its id is forgotten: it is not told as undone.
#[test]
fn a_commit_whose_id_is_forgotten_is_told_as_unknown() {
    for (others, expected) in [(3, None), (600, Some(offshoot::error::FailureOutcome::Unknown))] {
        run(async |world| {
            let main = world.main().await;
            main.ok(say::insert(&[("a", json!({"n": 0}))])).await;
            let (release, released) = oneshot::channel();
            let release_slot = RefCell::new(Some(released));
            let inner = MemoryStorage::open(&world.disk);
            let storage = Rc::new(Withheld { inner, is_armed: Cell::new(false), release: release_slot });
            let store = world.open(storage.clone(), OpenOptions::default()).await.expect("it opens");
            let db = open_in(&store, "main").await;
            storage.is_armed.set(true);
            let (sender, answer) = oneshot::channel();
            world.spawn(async move {
                let _ = sender.send(db.run(say::increment("a", 1)).await);
            });
            crate::support::rest().await;
            for n in 0..others {
                main.ok(say::put(&[("other", json!({"n": n}))])).await;
            }
            main.0.store().maintain().await.expect("a checkpoint");
            release.send(()).expect("it is awaited");
            let outcome = answer.await.expect("it ends").map_err(|error| (error.outcome(), error.is_retryable()));
            assert_eq!(outcome, expected.map_or(Ok(json!(true)), |outcome| Err((outcome, false))), "{others} others");
            assert_eq!(main.ok(say::get("a")).await, json!([{"n": 1}]), "it was done");
        });
    }
}
