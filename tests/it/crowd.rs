//! Thousands of calls at once: none waits for a caller that has left, and each is polled a few times only.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use offshoot::engine::OpenOptions;
use serde_json::{Value, json};

use crate::support::disk::Watched;
use crate::support::{Db, World, open_in, pause, run, say};
use crate::taken_over::{Call, call, held_back};

/// More turns of all tasks than pass here while no caller is woken.
const TURNS: usize = 2_000;

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Woken>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Caller {
    id: String,
    /// `None`: the caller was answered, or has left.
    call: Option<Call>,
    woken: Arc<Woken>,
    /// The caller is never polled again, and nobody drops it.
    is_killed: bool,
}

/// Callers that are polled when they were woken, and at no other time.
struct Crowd {
    db: Db,
    callers: Vec<Caller>,
    polls: usize,
}

impl Crowd {
    fn new(db: &Db, callers: usize) -> Crowd {
        let mut crowd = Crowd { db: db.clone(), callers: Vec::new(), polls: 0 };
        (0..callers).for_each(|_| crowd.join());
        crowd
    }

    fn join(&mut self) {
        let id = format!("{:06}", self.callers.len());
        let call = Some(call(&self.db, say::insert(&[(&id, json!({}))])));
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        self.callers.push(Caller { id, call, woken, is_killed: false });
    }

    /// The callers that wait, in the order in which they came.
    fn waiting(&self) -> Vec<usize> {
        let waits = |place: &usize| self.callers[*place].call.is_some() && !self.callers[*place].is_killed;
        (0..self.callers.len()).filter(waits).collect()
    }

    fn is_woken(&self, place: usize) -> bool {
        self.callers[place].woken.0.load(Ordering::Relaxed)
    }

    fn poll(&mut self, place: usize) {
        let caller = &mut self.callers[place];
        caller.woken.0.store(false, Ordering::Relaxed);
        self.polls += 1;
        let waker = Waker::from(caller.woken.clone());
        let call = caller.call.as_mut().expect("it waits");
        if let Poll::Ready(answer) = call.as_mut().poll(&mut Context::from_waker(&waker)) {
            assert_eq!(answer.expect("no error"), json!([caller.id]));
            caller.call = None;
        }
    }

    /// Polls whoever was woken until all that wait are answered. Before each poll `befall` may remove callers, or add.
    async fn run(&mut self, mut befall: impl FnMut(&mut Crowd, &[usize])) {
        let mut idle = 0;
        loop {
            let waiting = self.waiting();
            if waiting.is_empty() {
                return;
            }
            let woken: Vec<usize> = waiting.into_iter().filter(|place| self.is_woken(*place)).collect();
            idle = if woken.is_empty() { idle + 1 } else { 0 };
            assert!(idle < TURNS, "{} callers wait, and nobody wakes one", self.waiting().len());
            for place in &woken {
                befall(self, &woken);
                let Caller { call, is_killed, .. } = &self.callers[*place];
                if call.is_some() && !is_killed {
                    self.poll(*place);
                }
            }
            pause().await;
        }
    }
}

async fn opened(world: &World, pauses: u64) -> Db {
    let storage = Watched::new(&world.disk, None).late(pauses);
    let store = world.open(Rc::new(storage), OpenOptions::default()).await.expect("the store opens");
    open_in(&store, "main").await
}

/// On a host that ends no requests the work wakes one caller, so the calls cost as much as they are many.
#[test]
fn a_crowd_of_calls_is_polled_a_few_times_each() {
    run(async |world| {
        world.ends_requests.set(false);
        for (callers, pauses) in [(2_000, 1), (4_000, 1), (4_000, 5)] {
            let db = opened(&world.elsewhere(), pauses).await;
            let mut crowd = Crowd::new(&db, callers);
            crowd.run(|_, _| {}).await;
            println!("{callers} callers, {pauses} pauses: {} polls", crowd.polls);
            assert!(crowd.polls <= 3 * callers + 1000, "{callers} callers, {pauses} pauses: {} polls", crowd.polls);
        }
    });
}

/// The fate of callers while they wait.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Fate {
    /// The first of them leaves, again and again.
    First,
    /// All but the last leave.
    ButLast,
    /// Some leave, at random.
    Some,
}

/// Callers leave at random moments, also between being woken and being polled. Where the host ends requests, others are
/// never polled again. Everybody who stays is answered.
async fn befall(world: &World, db: &Db, fate: Fate, callers: usize) -> usize {
    let mut crowd = Crowd::new(db, callers);
    let (left, joined) = (Cell::new(callers - 1), Cell::new(0));
    let random = Rc::new(RefCell::new(world.draw()));
    crowd
        .run(|crowd, woken| {
            let mut random = random.borrow_mut();
            *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let drawn = (*random >> 33) as usize;
            if joined.get() < callers / 2 && drawn.is_multiple_of(5) {
                joined.set(joined.get() + 1);
                crowd.join();
            }
            let waiting = crowd.waiting();
            if left.get() == 0 || waiting.len() < 2 || !drawn.is_multiple_of(7) {
                return;
            }
            let leaving = match fate {
                Fate::First => vec![waiting[0]],
                Fate::ButLast => waiting[..waiting.len() - 1].to_vec(),
                Fate::Some if drawn.is_multiple_of(2) => vec![woken[drawn % woken.len()]],
                Fate::Some => vec![waiting[drawn % waiting.len()]],
            };
            for place in leaving.into_iter().take(left.get()) {
                left.set(left.get() - 1);
                if world.ends_requests.get() && (drawn + place).is_multiple_of(2) {
                    crowd.callers[place].is_killed = true;
                } else {
                    crowd.callers[place].call = None;
                }
            }
        })
        .await;
    crowd.polls
}

#[test]
fn callers_that_leave_or_are_killed_keep_nobody_waiting() {
    for (ends_requests, fate) in [false, true].into_iter().flat_map(|ends| FATES.map(|fate| (ends, fate))) {
        for round in 0..30 {
            run(async |world| {
                world.ends_requests.set(ends_requests);
                (0..round).for_each(|_| _ = world.draw());
                let db = opened(&world, round % 4).await;
                befall(&world, &db, fate, 2 + round as usize % 12).await;
            });
        }
    }
}

const FATES: [Fate; 3] = [Fate::First, Fate::ButLast, Fate::Some];

/// The same while commits are held back, where the work waits for the timer of a caller.
#[test]
fn callers_that_leave_while_commits_are_held_back_keep_nobody_waiting() {
    for (ends_requests, fate) in [false, true].into_iter().flat_map(|ends| FATES.map(|fate| (ends, fate))) {
        run(async |world| {
            world.ends_requests.set(ends_requests);
            let (db, is_killed) = held_back(&world, Watched::new(&world.disk, None)).await;
            is_killed.set(false);
            let polls = befall(&world, &db, fate, 12).await;
            println!("{fate:?}, ends requests: {ends_requests}: {polls} polls");
        });
    }
}

/// A nap is over when one timer fires, so a host that ends no requests is asked for one timer each.
#[test]
fn a_crowd_that_is_held_back_is_polled_a_few_times_each() {
    run(async |world| {
        world.ends_requests.set(false);
        let (db, is_killed) = held_back(&world, Watched::new(&world.disk, None)).await;
        is_killed.set(false);
        let mut crowd = Crowd::new(&db, 1000);
        crowd.run(|_, _| {}).await;
        println!("{} polls", crowd.polls);
        assert!(crowd.polls <= 3 * 1000 + 1000, "{} polls", crowd.polls);
    });
}

/// Those who leave together look at the queue once for many of them, and no job of theirs is done.
#[test]
fn a_crowd_that_leaves_writes_nothing() {
    for ends_requests in [false, true] {
        run(async |world| {
            world.ends_requests.set(ends_requests);
            let db = opened(&world, 1).await;
            let mut crowd = Crowd::new(&db, 4000);
            (0..4000).for_each(|place| crowd.poll(place));
            for place in (0..4000).filter(|place| *place != 1234) {
                crowd.callers[place].call = None;
            }
            crowd.run(|_, _| {}).await;
            assert_eq!(db.ok(say::count()).await, Value::from(1));
        });
    }
}
