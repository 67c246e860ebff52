//! Nobody's call hangs on another's: transactions inside transactions end, bodies that wait delay nobody, and what a
//! caller leaves half done is taken over by those who wait.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_channel::oneshot;
use offshoot::engine::op::Op;
use offshoot::engine::{Ended, OpenOptions, OpenTransaction, Store, TransactionOptions};
use offshoot::error::{Error, ErrorCode, Result};
use offshoot::platform::{Lease, Platform};
use offshoot::storage::{Capacity, LocalFuture};
use offshoot::types::Lsn;
use serde_json::{Value, json};

use crate::support::disk::Watched;
use crate::support::{Db, World, json as told, open_in, pause, rest, run, say};

/// More turns of all tasks than any test here needs.
const TURNS: usize = 20_000;

/// Runs a task beside the test.
pub fn start<T: 'static>(world: &World, task: impl Future<Output = T> + 'static) -> oneshot::Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    world.spawn(async move {
        let _ = sender.send(task.await);
    });
    receiver
}

/// Runs a task beside the test, which fails if the task does not end.
async fn ends<T: 'static>(world: &World, task: impl Future<Output = T> + 'static) -> T {
    ended(start(world, task)).await
}

pub async fn ended<T>(mut receiver: oneshot::Receiver<T>) -> T {
    for _ in 0..TURNS {
        if let Some(value) = receiver.try_recv().expect("the task does not vanish") {
            return value;
        }
        pause().await;
    }
    panic!("it does not end");
}

async fn filled(world: &World) -> Db {
    let main = world.main().await;
    main.ok(say::insert(&[("a", json!({"n": 0})), ("b", json!({"n": 0}))])).await;
    main
}

async fn n(db: &Db, id: &str) -> i64 {
    db.ok(say::get(id)).await[0]["n"].as_i64().expect("a number")
}

/// Adds to a document by reading and writing it. Its first `disturbed` runs lose.
async fn add(db: &Db, id: &str, by: i64, disturbed: u32, inside: impl AsyncFn() -> Result<()>) -> Result<u32> {
    let tries = Cell::new(0);
    let body = async |transaction: Rc<OpenTransaction>| {
        tries.set(tries.get() + 1);
        let before = told(transaction.run(say::get(id)).await?)[0]["n"].as_i64().expect("a number");
        if tries.get() <= disturbed {
            db.ok(say::increment(id, 1)).await;
        }
        inside().await?;
        transaction.run(say::put(&[(id, json!({"n": before + by}))])).await.map(drop)
    };
    match db.0.transact(TransactionOptions::default(), body).await? {
        Ended::Committed(..) => Ok(tries.get()),
        Ended::Failed(error) => Err(error),
    }
}

/// SEMANTICS W8: a body that starts another transaction on the same store, where both lose twice.
#[test]
fn a_transaction_inside_a_transaction_ends() {
    for inner in ["a", "b"] {
        run(async |world| {
            let db = filled(&world).await;
            let led = db.clone();
            let outcome = ends(&world, async move {
                let inside = async || add(&led, inner, 1, 2, async || Ok(())).await.map(drop);
                add(&led, "a", 100, 3, inside).await.map_err(|error| error.code())
            });
            let outcome = outcome.await;
            if inner == "a" {
                assert_eq!(outcome, Err(ErrorCode::Conflict), "each run of the outer one loses to its own inner one");
                return;
            }
            assert_eq!(outcome, Ok(4));
            // Each run of the outer one ran the inner one, which adds 1, and lost to two increments.
            assert_eq!((n(&db, "a").await, n(&db, "b").await), (103, 4 * 3));
        });
    }
}

/// SEMANTICS W8: a body that waits for ever, in its first run or in one after it lost twice, delays nobody.
#[test]
fn a_body_that_waits_delays_nobody() {
    for disturbed in [0, 2, 4] {
        run(async |world| {
            let db = filled(&world).await;
            let (waiting, runs) = (db.clone(), Rc::new(Cell::new(0)));
            let counted = runs.clone();
            world.spawn(async move {
                let inside = async || {
                    counted.set(counted.get() + 1);
                    if counted.get() > disturbed { std::future::pending().await } else { Ok(()) }
                };
                let _ = add(&waiting, "a", 100, disturbed, inside).await;
            });
            while runs.get() <= disturbed {
                pause().await;
            }
            for lost in [0, 3] {
                let other = db.clone();
                let tries = ends(&world, async move { add(&other, "a", 10, lost, async || Ok(())).await });
                assert_eq!(tries.await.expect("it commits"), lost + 1);
            }
            assert_eq!(db.ok(say::increment("a", 1)).await, json!(true));
        });
    }
}

/// SEMANTICS W8: whoever lost twice commits before another one that would make it lose again.
#[test]
fn whoever_lost_twice_goes_first() {
    run(async |world| {
        let db = filled(&world).await;
        let (here, order) = (db.clone(), Rc::new(RefCell::new(Vec::new())));
        let (runs, noted) = (Rc::new(Cell::new(0)), order.clone());
        let counted = runs.clone();
        let losing = async move {
            let inside = async || {
                counted.set(counted.get() + 1);
                // The third run lets the other one get ready to commit.
                for _ in 0..if counted.get() == 3 { 4 } else { 0 } {
                    pause().await;
                }
                Ok(())
            };
            let tries = add(&here, "a", 100, 2, inside).await.expect("it commits");
            noted.borrow_mut().push("the one that lost");
            tries
        };
        let (other, noted, ahead) = (db.clone(), order.clone(), runs.clone());
        let fresh = async move {
            while ahead.get() < 3 {
                pause().await;
            }
            add(&other, "a", 10, 0, async || Ok(())).await.expect("it commits");
            noted.borrow_mut().push("the other one");
        };
        let (losing, fresh) = (start(&world, losing), start(&world, fresh));
        assert_eq!(ended(losing).await, 3, "it does not lose a third time");
        ended(fresh).await;
        assert_eq!(*order.borrow(), ["the one that lost", "the other one"]);
        assert_eq!(n(&db, "a").await, 112);
    });
}

pub type Call = Pin<Box<dyn Future<Output = Result<Value>>>>;

pub fn call(db: &Db, op: Op) -> Call {
    let db = db.clone();
    Box::pin(async move { db.run(op).await })
}

/// Polls it so often, as a request does that is then killed: nobody learns of its wakers.
fn poll<T>(call: &mut Pin<Box<dyn Future<Output = T>>>, times: usize) -> bool {
    (0..times).any(|_| call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready())
}

/// SEMANTICS W8: a caller is gone, or is never polled again, at any point of its commit. Others go on.
#[test]
fn what_a_caller_leaves_half_done_is_taken_over() {
    for (polls, is_dropped) in (0..14).flat_map(|polls| [(polls, false), (polls, true)]) {
        run(async |world| {
            filled(&world).await;
            let db = open_in(&world.slow_tab().await, "main").await;
            let mut left = call(&db, say::increment("a", 1));
            let is_done = poll(&mut left, polls);
            if is_dropped {
                drop(std::mem::replace(&mut left, Box::pin(std::future::pending())));
            }
            for _ in 0..3 {
                let other = db.clone();
                let done = ends(&world, async move { other.run(say::increment("a", 1)).await });
                assert_eq!(done.await.expect("no error"), json!(true), "after {polls} polls");
            }
            let other = db.clone();
            ends(&world, async move { other.0.store().refresh().await }).await.expect("no error");
            let (here, there) = (n(&db, "a").await, n(&db.reopened(&world).await, "a").await);
            assert_eq!(here, there, "what is seen is what is stored");
            assert!((3..=4).contains(&here) && (here == 4 || !is_done), "{here} after {polls} polls");
            if !is_dropped && !is_done {
                assert!(poll(&mut left, 100), "who comes back finds its answer");
                assert_eq!(n(&db, "a").await, 4);
            }
        });
    }
}

/// SEMANTICS W8: six callers at once, of whom every other one is killed after some polls.
#[test]
fn of_six_callers_three_are_killed_and_three_answered() {
    for polls in 0..12 {
        for is_dropped in [false, true] {
            run(async |world| {
                filled(&world).await;
                let db = open_in(&world.slow_tab().await, "main").await;
                let mut killed: Vec<Call> = (0..3).map(|_| call(&db, say::increment("a", 1))).collect();
                let mut answers = Vec::new();
                for killed in &mut killed {
                    poll(killed, polls);
                    answers.push(start(&world, call(&db, say::increment("a", 1))));
                }
                if is_dropped {
                    killed.clear();
                }
                for answer in answers {
                    assert_eq!(ended(answer).await.expect("no error"), json!(true), "after {polls} polls");
                }
                assert!((3..=6).contains(&n(&db, "a").await));
                assert_eq!(n(&db, "a").await, n(&db.reopened(&world).await, "a").await);
            });
        }
    }
}

/// Work of the whole store, in a request that is killed after some polls, if it has not ended. It is never dropped.
fn kill(work: impl Future<Output = Result<()>> + 'static, polls: usize) {
    let mut work: Pin<Box<dyn Future<Output = Result<()>>>> = Box::pin(work);
    poll(&mut work, polls);
    std::mem::forget(work);
}

/// Nobody else waits for more than a minute, neither for a compaction nor for what follows an opening.
#[test]
fn work_of_the_whole_store_that_was_killed_is_taken_over() {
    for polls in 1..8 {
        run(async |world| {
            filled(&world).await;
            let store = world.slow_tab().await;
            let (listing, compacting) = (store.clone(), store.clone());
            kill(async move { listing.databases(false).await.map(drop) }, polls);
            kill(async move { compacting.compact_all().await }, polls);
            world.steady.set(world.steady.get() + 60_000);
            let other = store.clone();
            let listed = ends(&world, async move { other.databases(false).await }).await.expect("a list");
            assert_eq!(listed.len(), 1);
            let other = store.clone();
            ends(&world, async move { other.compact_all().await }).await.expect("it compacts");
            assert_eq!(store.stats().await.expect("figures").log_entries, 0);
        });
    }
}

/// A store lets go of its work with the last caller, and can be closed.
#[test]
fn a_store_whose_callers_are_gone_is_freed() {
    run(async |world| {
        filled(&world).await;
        let store = world.slow_tab().await;
        let db = open_in(&store, "main").await;
        let mut left: Vec<Call> = (0..3).map(|_| call(&db, say::increment("a", 1))).collect();
        assert!(!left.iter_mut().any(|left| poll(left, 3)));
        left.clear();
        store.close(Error::new(ErrorCode::Closed, "the store is closed")).await.expect("it closes");
        let weak = Rc::downgrade(&store);
        drop((store, db));
        for _ in 0..200 {
            pause().await;
        }
        assert!(weak.upgrade().is_none(), "nothing holds the store");
    });
}

/// A call is pending at its first poll, so that calls of one moment share a record, and done at its second.
#[test]
fn a_call_on_a_fast_disk_is_done_after_two_polls() {
    run(async |world| {
        let db = filled(&world).await;
        let mut called = call(&db, say::increment("a", 1));
        assert!(!poll(&mut called, 1), "those who call at once share a record");
        let second = called.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(second, Poll::Ready(Ok(_))), "no other task is needed");
    });
}

/// A long call begins again at each write of its own body, and would never end beside one that writes without a pause.
#[test]
fn a_long_call_beside_writes_of_its_body_ends() {
    let ids: Vec<String> = (0..6000).map(|n| format!("{n:06}")).collect();
    let rows: Vec<(&str, Value)> = ids.iter().map(|id| (&id[..], json!({}))).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let calls = [
        (say::count(), json!(6001)),
        (say::get_many(&ids), json!(vec![json!([{}]); 6000])),
        (say::put(&rows), json!(ids)),
        (say::delete(&ids), json!(6000)),
    ];
    for (call, answer) in calls {
        let rows = rows.clone();
        run(async |world| {
            let main = world.main().await;
            for rows in rows.chunks(1000) {
                main.ok(say::put(rows)).await;
            }
            let (world, writes, call) = (&world, Cell::new(0), &call);
            let body = async |transaction: Rc<OpenTransaction>| {
                let (long, made) = (transaction.clone(), call.clone());
                let mut long = start(world, async move { long.run(made).await.map(told) });
                while writes.get() < 2000 {
                    writes.set(writes.get() + 1);
                    transaction.run(say::put(&[("same", json!({"n": writes.get()}))])).await?;
                    if let Some(answer) = long.try_recv().expect("the task does not vanish") {
                        return answer;
                    }
                    pause().await;
                }
                panic!("a call of {} rows has begun again {} times", call.named(), writes.get());
            };
            let Ok(Ended::Committed(found, _)) = main.0.transact(TransactionOptions::default(), body).await else {
                panic!("it commits")
            };
            assert_eq!(found, answer);
        });
    }
}

/// A write that nobody awaited waits until a long call of its body ends, and then takes its turn before later writes.
#[test]
fn a_write_that_waits_for_a_long_call_of_its_body_does_not_overwrite_a_later_one() {
    run(async |world| {
        let main = world.main().await;
        let ids: Vec<String> = (0..6000).map(|n| format!("{n:06}")).collect();
        let rows: Vec<(&str, Value)> = ids.iter().map(|id| (&id[..], json!({}))).collect();
        for rows in rows.chunks(1000) {
            main.ok(say::put(rows)).await;
        }
        let world = &world;
        let put = |n: u32| say::put(&[("same", json!({"n": n}))]);
        let body = async |transaction: Rc<OpenTransaction>| {
            let counting = transaction.clone();
            let mut count: Call = Box::pin(async move { counting.run(say::count()).await.map(told) });
            // Once a write is not done at once, the count goes first.
            let mut n = 0;
            let earlier = loop {
                n += 1;
                assert!(!poll(&mut count, 1), "the count begins again at each write");
                let (writing, put) = (transaction.clone(), put(n));
                let mut write: Call = Box::pin(async move { writing.run(put).await.map(told) });
                if !poll(&mut write, 1) {
                    break start(world, write);
                }
            };
            while !poll(&mut count, 1) {
                pause().await;
            }
            transaction.run(put(n + 1)).await?;
            ended(earlier).await?;
            Ok::<u32, Error>(n + 1)
        };
        let Ok(Ended::Committed(last, _)) = main.0.transact(TransactionOptions::default(), body).await else {
            panic!("it commits")
        };
        assert_eq!(n(&main, "same").await, i64::from(last));
    });
}

/// A request that may be killed. From then on its timers do not fire, and what it spawned does not run.
struct Killable {
    inner: Rc<dyn Platform>,
    is_killed: Rc<Cell<bool>>,
}

impl Platform for Killable {
    fn now(&self) -> u64 {
        self.inner.now()
    }
    fn steady(&self) -> u64 {
        self.inner.steady()
    }
    fn ends_requests(&self) -> bool {
        self.inner.ends_requests()
    }
    fn random(&self) -> u64 {
        self.inner.random()
    }
    fn spawn(&self, task: LocalFuture<'static, ()>) {
        if self.is_killed.get() { std::mem::forget(task) } else { self.inner.spawn(task) }
    }
    fn sleep(&self, milliseconds: u64) -> LocalFuture<'static, ()> {
        if self.is_killed.get() { Box::pin(std::future::pending()) } else { self.inner.sleep(milliseconds) }
    }
    fn try_lease(&self, name: &str) -> LocalFuture<'static, Option<Lease>> {
        self.inner.try_lease(name)
    }
    fn announce(&self, head: Lsn) {
        self.inner.announce(head);
    }
}

/// A store whose commits are held back: the request in which maintenance began was killed, so maintenance stands still
/// and the log has grown.
pub async fn held_back(world: &World, storage: Watched) -> (Db, Rc<Cell<bool>>) {
    let is_killed = Rc::new(Cell::new(false));
    world.disk.set_capacity(Some(Capacity::of(64 * 1024 * 1024)));
    let platform = Rc::new(Killable { inner: world.platform(), is_killed: is_killed.clone() });
    let options = OpenOptions { retain: Some(0), ..OpenOptions::default() };
    let store = Store::open(platform, Rc::new(storage), options).await.expect("the store opens");
    rest().await;
    let main = open_in(&store, "main").await;
    is_killed.set(true);
    let mut n = 0;
    while store.stats().await.expect("figures").log_bytes <= 1024 * 1024 {
        let text: String = (0..6000).map(|_| format!("{:016x}", world.draw())).collect();
        main.ok(say::put(&[(&format!("{n}"), json!({"text": text}))])).await;
        n += 1;
    }
    (main, is_killed)
}

/// Two callers look at the log again and again, and a look at the log goes before the commits that are held back.
#[test]
fn commits_that_are_held_back_go_on_beside_callers_that_look_at_the_log_all_the_time() {
    run(async |world| {
        let (main, is_killed) = held_back(&world, Watched::new(&world.disk, None).late(2)).await;
        is_killed.set(false);
        let is_over = Rc::new(Cell::new(false));
        for _ in 0..2 {
            let (main, is_over) = (main.clone(), is_over.clone());
            world.spawn(async move {
                while !is_over.get() {
                    main.0.store().refresh().await.expect("it looks at the log");
                }
            });
        }
        ends(&world, async move { main.ok(say::put(&[("held", json!({}))])).await }).await;
        is_over.set(true);
    });
}

/// Commits are held back in work that the callers share, and its timer was one of the request that is killed here.
#[test]
fn a_caller_that_is_killed_while_commits_are_held_back_is_taken_over() {
    for waits_before in [false, true] {
        run(async |world| {
            let (main, is_killed) = held_back(&world, Watched::new(&world.disk, None)).await;
            let other = main.clone();
            let mut killed = Box::pin(async move { other.run(say::put(&[("killed", json!({}))])).await });
            let mut late = None;
            if waits_before {
                let main = main.clone();
                late = Some(start(&world, async move { main.ok(say::put(&[("other", json!({}))])).await }));
            }
            for _ in 0..4 {
                assert!(killed.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            }
            is_killed.set(false);
            let late = late.unwrap_or_else(|| {
                let main = main.clone();
                start(&world, async move { main.ok(say::put(&[("other", json!({}))])).await })
            });
            ended(late).await;
            drop(killed);
        });
    }
}
