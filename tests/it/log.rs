//! Which records of the log count: a tab appends without asking, so some are of tabs that came too late.

use std::cell::Cell;
use std::rc::Rc;

use futures_channel::oneshot;
use offshoot::engine::{OpenOptions, Store};
use offshoot::error::{Error, ErrorCode, Result};
use offshoot::lsm::{Record, join};
use offshoot::storage::{
    Batch, ListRange, Listed, LocalFuture, Logged, MemoryDisk, MemoryStorage, Outcome, Space, Storage,
};
use offshoot::types::limits::RECORD_BYTES;
use serde_json::json;

use crate::materialize::materialize;
use crate::support::{World, open_in, pause, run, say};

/// The last record of the log, and the hash that the next one is chained to.
fn last(disk: &MemoryDisk) -> (Record, u64) {
    let parts = disk.log(0, usize::MAX);
    let joined = join(&parts[parts.len() - 1..], true).expect("it is whole").expect("it is one part");
    (joined.record, joined.hash)
}

/// The batch of a tab that sleeps from now on and appends when it wakes: the last commit once more, as its own.
fn late(disk: &MemoryDisk) -> Batch {
    let (mut record, hash) = last(disk);
    record.first = record.last().0 + 1;
    record.previous = hash;
    record.commits[0].id += 1;
    let (body, hash) = record.encode();
    Batch { append: offshoot::lsm::split(&body, hash, RECORD_BYTES), ..Batch::default() }
}

async fn put(store: &Rc<Store>, id: &str, n: u64) {
    open_in(store, "main").await.ok(say::put(&[(id, json!({"n": n}))])).await;
}

async fn holds(store: &Rc<Store>, rows: &[(&str, u64)]) {
    let db = open_in(store, "main").await;
    for (id, n) in rows {
        assert_eq!(db.ok(say::get(id)).await, json!([{"n": n}]), "{id}");
    }
    assert_eq!(db.ok(say::count()).await, json!(rows.len()));
}

/// A record chained to what others have overtaken is void, whether they still have it in the log or not.
#[test]
fn a_record_of_a_tab_that_slept_counts_for_nobody() {
    for trims in [false, true] {
        run(async move |world: Rc<World>| {
            let (awake, asleep) = (world.tab().await, world.tab().await);
            put(&awake, "a", 1).await;
            asleep.refresh().await.expect("it is told");
            let late = late(&world.disk);
            put(&awake, "a", 2).await;
            if trims {
                awake.maintain().await.expect("a checkpoint");
                assert_eq!(world.disk.log(0, 9), [], "all is trimmed");
            }
            assert!(world.disk.write(late).is_written());
            // The other one slept as long, and finds nothing but the late record behind what it knows.
            asleep.refresh().await.expect("it is told");
            holds(&asleep, &[("a", 2)]).await;
            put(&asleep, "b", 3).await;
            put(&awake, "c", 4).await;
            for store in [&awake, &world.tab().await] {
                holds(store, &[("a", 2), ("b", 3), ("c", 4)]).await;
            }
        });
    }
}

/// Nothing is lost with a record that did not count.
#[test]
fn a_void_record_that_is_damaged_is_no_damage() {
    for is_lost in [false, true] {
        run(async move |world: Rc<World>| {
            let store = world.tab().await;
            put(&store, "a", 1).await;
            let late = late(&world.disk);
            put(&store, "a", 2).await;
            let Outcome::Written(number) = world.disk.write(late) else { panic!("it has no guards") };
            put(&store, "b", 3).await;
            put(&store, "c", 4).await;
            world.disk.damage_log(number, (!is_lost).then(|| vec![7; 40]));
            holds(&world.tab().await, &[("a", 2), ("b", 3), ("c", 4)]).await;
        });
    }
}

/// If the record that won cannot be read any more, the record that lost to it does not take its place.
#[test]
fn a_void_record_does_not_come_back_when_the_one_that_won_is_damaged() {
    run(async |world| {
        let (store, other) = (world.tab().await, world.tab().await);
        put(&store, "a", 1).await;
        other.refresh().await.expect("it is told");
        let late = late(&world.disk);
        put(&store, "a", 2).await;
        let (number, _) = world.disk.log(0, usize::MAX).pop().expect("a record");
        world.disk.write(late);
        world.disk.damage_log(number, Some(vec![7; 40]));
        let code = |error: Error| error.code();
        let opened = world.try_tab(OpenOptions::default()).await;
        assert_eq!(opened.err().map(code), Some(ErrorCode::StorageCorrupt));
        // It is told every time, and nothing is committed on top of it.
        for _ in 0..2 {
            assert_eq!(other.refresh().await.map_err(code), Err(ErrorCode::StorageCorrupt));
            let written = open_in(&other, "main").await.run(say::put(&[("b", json!({}))])).await;
            assert_eq!(written.map_err(code), Err(ErrorCode::StorageCorrupt));
        }
    });
}

/// A tab that knows more than a repair could find is not believed, and does not believe itself.
#[test]
fn a_tab_that_is_open_while_another_repairs_commits_nothing_more() {
    run(async |world| {
        let (store, asleep) = (world.tab().await, world.tab().await);
        for (id, n) in [("a", 1), ("b", 2), ("c", 3)] {
            put(&store, id, n).await;
        }
        asleep.refresh().await.expect("it is told");
        let (number, _) = world.disk.log(0, usize::MAX).remove(2);
        world.disk.damage_log(number, None);
        let options = OpenOptions { repair: true, ..OpenOptions::default() };
        let repaired = world.try_tab(options).await.expect("what is left opens");
        holds(&repaired, &[("a", 1)]).await;
        for tab in [&store, &asleep] {
            let written = open_in(tab, "main").await.run(say::put(&[("late", json!({}))])).await;
            assert_eq!(written.map_err(|error| error.code()), Err(ErrorCode::Closed));
        }
        put(&repaired, "d", 4).await;
        holds(&world.tab().await, &[("a", 1), ("d", 4)]).await;
    });
}

/// SEMANTICS R6: history is closed by a commit that changes nothing; a tab that has not read it commits all the same.
#[test]
fn a_tab_that_has_not_seen_a_raised_floor_commits_above_it() {
    run(async |world| {
        let (one, other) = (world.tab().await, world.tab().await);
        put(&one, "a", 1).await;
        other.refresh().await.expect("it is told");
        one.maintain().await.expect("a checkpoint");
        let options = OpenOptions { retain: Some(0), ..OpenOptions::default() };
        let strict = world.try_tab(options).await.expect("it opens");
        strict.maintain().await.expect("a raised floor");
        assert!(last(&world.disk).0.commits[0].changes.rows().next().is_none(), "the log tells of it");
        put(&other, "b", 2).await;
        for store in [&one, &other, &strict] {
            store.refresh().await.expect("it is told");
            holds(store, &[("a", 1), ("b", 2)]).await;
        }
    });
}

/// Storage that lists records and reads the log in two calls. Once it is armed, the so-many-th reading of the log waits
/// until it is let go on.
struct TwoCalls {
    inner: MemoryStorage,
    held: Cell<usize>,
    waits: Rc<Cell<bool>>,
}

impl Storage for TwoCalls {
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
        Box::pin(async move {
            let held = self.held.replace(self.held.get().saturating_sub(1));
            self.waits.set(held == 1);
            while self.waits.get() {
                pause().await;
            }
            self.inner.log(after, limit).await
        })
    }

    fn write(&self, batch: Batch) -> LocalFuture<'_, Result<Outcome>> {
        self.inner.write(batch)
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.inner.close()
    }
}

/// SEMANTICS C6: the commit that cuts a copied clone's link is not read without the manifest that names the copies,
/// where both come between two readings of one look: after the list, or after the first page of a long log.
#[test]
fn a_clone_that_another_tab_copies_while_this_one_looks_loses_no_row() {
    for (commits, held) in [(1, 1), (300, 2)] {
        run(async move |world: Rc<World>| {
            let other = world.tab().await;
            let main = open_in(&other, "main").await;
            main.ok(say::put(&[("a", json!({"n": 1}))])).await;
            let draft = main.clone_as("draft").await;
            let waits = Rc::new(Cell::new(false));
            let held_back =
                Rc::new(TwoCalls { inner: MemoryStorage::open(&world.disk), held: Cell::new(0), waits: waits.clone() });
            let reader = world.open(held_back.clone(), OpenOptions::default()).await.expect("the store opens");
            let read = open_in(&reader, "draft").await;
            for n in 0..commits {
                put(&other, "b", n).await;
            }
            held_back.held.set(held);
            let (looking, (sender, mut looked)) = (reader.clone(), oneshot::channel());
            world.spawn(async move { drop(sender.send(looking.refresh().await)) });
            while !waits.get() {
                pause().await;
            }
            materialize(&draft).await;
            waits.set(false);
            while looked.try_recv().expect("it does not vanish").is_none() {
                pause().await;
            }
            assert_eq!(read.ok(say::get("a")).await, json!([{"n": 1}]), "{commits} commits");
        });
    }
}
