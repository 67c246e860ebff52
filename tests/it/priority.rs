//! A commit that loses to others goes first after a while: beside a tab that commits at every turn, and as a
//! transaction beside such tabs and beside single calls.

use std::cell::Cell;
use std::rc::Rc;

use offshoot::engine::{Ended, OpenOptions, OpenTransaction, TransactionOptions};
use offshoot::error::Result;
use offshoot::lsm::{Commit, Manifest, Record, join, split};
use offshoot::storage::{Batch, Space};
use serde_json::{Value, json};

use crate::support::disk::{Figures, Watched};
use crate::support::{Db, World, json as told, open_in, pause, rest, run, say};

/// Batches that a commit sends at most while `tabs` other ones commit: it loses three times, pleads, loses to each
/// once more, and is there.
fn most_batches(tabs: usize) -> usize {
    3 + 1 + tabs + 1
}

/// A tab whose storage answers so many turns late on each way, and what goes over it.
async fn late_tab(world: &World, turns: u64) -> (Db, Rc<Cell<Figures>>) {
    let storage = Watched::new(&world.disk, None).late(turns);
    let figures = storage.figures();
    let store = world.open(Rc::new(storage), OpenOptions::default()).await.expect("the store opens");
    (open_in(&store, "main").await, figures)
}

/// Writes one row again and again, at every turn, until the cell says that it is enough.
fn write_at_every_turn(world: &World, db: Db, row: &'static str, is_enough: Rc<Cell<bool>>) -> Rc<Cell<u64>> {
    let writes = Rc::new(Cell::new(0));
    let counted = writes.clone();
    world.spawn(async move {
        while !is_enough.get() {
            db.ok(say::put(&[(row, json!({"n": counted.get()}))])).await;
            counted.set(counted.get() + 1);
            pause().await;
        }
    });
    writes
}

#[test]
fn a_commit_beside_a_tab_that_commits_at_every_turn_is_there_after_a_few_appends() {
    for text in ["small".to_string(), "x".repeat(100_000), "x".repeat(1_500_000)] {
        for turns in [1, 2, 5] {
            run(async |world| {
                world.has_turns.set(true);
                let quick = world.main().await;
                let (slow, figures) = late_tab(&world, turns).await;
                let is_enough = Rc::new(Cell::new(false));
                let writes = write_at_every_turn(&world, quick.clone(), "quick", is_enough.clone());
                for number in 0..3 {
                    let before = figures.get().batches;
                    let ahead = if text.len() > 1_000_000 { 100 } else { 0 };
                    slow.ok(say::put(&[("slow", json!({"n": number, "text": text}))])).await;
                    let batches = figures.get().batches - before;
                    assert!(batches <= most_batches(1) + ahead, "{batches} batches, {turns} turns late");
                }
                is_enough.set(true);
                assert!(writes.get() > 3, "the other one committed meanwhile");
                slow.0.store().refresh().await.expect("it reads");
                assert_eq!(slow.ok(say::get("slow")).await[0]["n"], json!(2));
            });
        }
    }
}

/// A swap of the manifest that ends history appends a commit, which loses as any other does, and pleads.
#[test]
fn history_is_ended_beside_a_tab_that_commits_at_every_turn() {
    for turns in [1, 2, 5] {
        run(async |world| {
            world.has_turns.set(true);
            let quick = world.main().await;
            let storage = Watched::new(&world.disk, None).late(turns);
            let options = OpenOptions { retain: Some(0), ..OpenOptions::default() };
            let slow = world.open(Rc::new(storage), options).await.expect("the store opens");
            let is_enough = Rc::new(Cell::new(false));
            write_at_every_turn(&world, quick, "quick", is_enough.clone());
            for _ in 0..3 {
                let floor = |world: &World| {
                    let listed = world.disk.list(Space::Meta, &Manifest::listing());
                    Manifest::decode(&listed[0].1).expect("a manifest").floor()
                };
                let before = floor(&world);
                slow.maintain().await.expect("maintenance");
                assert!(floor(&world) > before, "history goes on, {turns} turns late");
            }
            is_enough.set(true);
        });
    }
}

#[test]
fn tabs_of_any_pace_are_all_served() {
    run(async |world| {
        world.has_turns.set(true);
        let quick = world.main().await;
        let is_enough = Rc::new(Cell::new(false));
        write_at_every_turn(&world, quick.clone(), "quick", is_enough.clone());
        let left = Rc::new(Cell::new(3));
        for turns in [1, 3, 7] {
            let (tab, figures) = late_tab(&world, turns).await;
            let left = left.clone();
            world.spawn(async move {
                for number in 0..5 {
                    let before = figures.get().batches;
                    tab.ok(say::put(&[("slow", json!({"n": number}))])).await;
                    let batches = figures.get().batches - before;
                    // A commit that lost or held back three times pleads, and pleads again after three more times.
                    assert!(batches <= most_batches(3) + 2, "{batches} batches, {turns} turns late");
                }
                left.set(left.get() - 1);
            });
        }
        while left.get() > 0 {
            pause().await;
        }
        is_enough.set(true);
    });
}

/// Appends a plea of a tab that is no more.
fn plead_and_die(world: &World, id: u64) {
    let log = world.disk.log(0, 1);
    let store = join(&log, true).expect("it is whole").expect("there is a record").record.store;
    let commits = vec![Commit { id, ..Commit::default() }];
    let (body, hash) = Record { store, first: 1, previous: u64::MAX, commits }.encode();
    world.disk.write(Batch { append: split(&body, hash, 4096), ..Batch::default() });
}

#[test]
fn a_plea_of_a_dead_tab_costs_every_other_one_a_short_wait_and_no_second_one() {
    run(async |world| {
        world.has_turns.set(true);
        let mut tabs = Vec::new();
        for _ in 0..2 {
            tabs.push(late_tab(&world, 0).await);
        }
        // The work that follows an opening reads, too.
        rest().await;
        plead_and_die(&world, 77);
        for (tab, figures) in &tabs {
            let mut reads = Vec::new();
            for number in 0..4 {
                let before = figures.get().reads;
                tab.ok(say::put(&[("a", json!({"n": number}))])).await;
                reads.push(figures.get().reads - before);
            }
            // The first append finds the plea, by three reads. Then the tab looks for the pleaded commit eight times,
            // by two reads each.
            assert_eq!(reads.iter().sum::<usize>(), 3 + 2 * 8, "{reads:?}");
            assert_eq!(reads[2..], [0, 0], "it is not waited for again");
        }
        let (later, figures) = late_tab(&world, 0).await;
        let before = figures.get().reads;
        later.ok(say::put(&[("a", json!({}))])).await;
        assert_eq!(figures.get().reads - before, 0, "whoever opens later holds back for nobody");
    });
}

/// Adds one to a row in a transaction whose body takes so many turns; gives the number of runs.
async fn add_slowly(db: &Db, turns: u64) -> Result<u32> {
    let runs = Cell::new(0);
    let body = async |transaction: Rc<OpenTransaction>| -> Result<Value> {
        runs.set(runs.get() + 1);
        let n = told(transaction.run(say::get("a")).await?)[0]["n"].as_i64().expect("a number");
        for _ in 0..turns {
            pause().await;
        }
        transaction.run(say::put(&[("a", json!({"n": n + 1}))])).await.map(told)
    };
    match db.0.transact(TransactionOptions::default(), body).await? {
        Ended::Committed(..) => Ok(runs.get()),
        Ended::Failed(error) => Err(error),
    }
}

#[test]
fn a_transaction_beside_another_tab_that_writes_what_it_reads_commits() {
    run(async |world| {
        world.has_turns.set(true);
        let quick = world.main().await;
        quick.ok(say::put(&[("a", json!({"n": 0}))])).await;
        let (slow, _) = late_tab(&world, 2).await;
        let is_enough = Rc::new(Cell::new(false));
        write_at_every_turn(&world, quick, "a", is_enough.clone());
        for _ in 0..3 {
            let runs = add_slowly(&slow, 10).await.expect("it commits");
            assert!(runs <= 4, "it ran {runs} times");
        }
        is_enough.set(true);
    });
}

#[test]
fn a_transaction_beside_single_calls_of_its_own_tab_commits() {
    run(async |world| {
        world.has_turns.set(true);
        let db = world.main().await;
        db.ok(say::put(&[("a", json!({"n": 0})), ("b", json!({"n": 0}))])).await;
        let is_enough = Rc::new(Cell::new(false));
        write_at_every_turn(&world, db.clone(), "a", is_enough.clone());
        let others = write_at_every_turn(&world, db.clone(), "b", is_enough.clone());
        for _ in 0..3 {
            let runs = add_slowly(&db, 10).await.expect("it commits");
            assert!(runs <= 3, "it ran {runs} times");
        }
        is_enough.set(true);
        assert!(others.get() > 30, "those that it does not meet wait for nothing");
    });
}
