//! Calls over many keys: all that their rows lack is asked for at once, so storage is read a few times, whatever the
//! number of keys, and no row is searched for again and again.

use std::cell::Cell;
use std::rc::Rc;

use offshoot::engine::op::{Condition, Op};
use offshoot::engine::{OpenOptions, Store};
use offshoot::storage::MemoryDisk;
use serde_json::{Value, json};

use crate::support::disk::{Figures, Watched};
use crate::support::{Db, World, open_in, run, say};

const ROWS: usize = 6_000;
/// The most calls of storage for a thousand keys, each in a block of its own.
const MOST_READS: usize = 20;

fn id(n: usize) -> String {
    format!("{n:06}")
}

/// Ids that are there, `count` of them, all over the collection.
fn scattered(count: usize) -> Vec<String> {
    (0..count).map(|n| id(n * 2_741 % ROWS)).collect()
}

/// Documents and entries of about a kilobyte that does not pack well.
async fn fill(world: &World) {
    let store = world.tab().await;
    let db = open_in(&store, "main").await;
    for start in (0..ROWS).step_by(1000) {
        let text = || (0..60).map(|_| format!("{:016x}", world.draw())).collect::<String>();
        let rows: Vec<(String, Value)> = (start..start + 1000).map(|n| (id(n), json!({"text": text()}))).collect();
        let rows: Vec<(&str, Value)> = rows.iter().map(|(id, row)| (&id[..], row.clone())).collect();
        db.ok(say::put(&rows)).await;
        db.ok(say::kv_set_many(&rows)).await;
    }
    store.compact_all().await.unwrap();
    db.clone_as("draft").await;
}

/// A tab that holds next to nothing in memory.
async fn cold(world: &World) -> (Rc<Store>, Rc<Cell<Figures>>) {
    let storage = Watched::new(&world.disk, None);
    let figures = storage.figures();
    let options = OpenOptions { cache_bytes: 256 * 1024, ..OpenOptions::default() };
    (world.open(Rc::new(storage), options).await.expect("the store opens"), figures)
}

fn borrowed(ids: &[String]) -> Vec<&str> {
    ids.iter().map(String::as_str).collect()
}

fn rows<'a>(ids: &[&'a str]) -> Vec<(&'a str, Value)> {
    ids.iter().map(|id| (*id, json!({"n": 1}))).collect()
}

/// The calls over many keys, each with a set of ids.
type Call = (&'static str, fn(&[&str]) -> Op);

fn new_documents(ids: &[&str]) -> Op {
    // Between those that are there, so that each must be looked for in another block.
    let ids: Vec<String> = ids.iter().map(|id| format!("{id}-new")).collect();
    say::insert(&rows(&borrowed(&ids)))
}

fn set_if_present(ids: &[&str]) -> Op {
    match say::kv_set_many(&rows(ids)) {
        Op::EntrySet { collection, entries, .. } => {
            Op::EntrySet { collection, entries, condition: Condition::IfPresent }
        }
        _ => unreachable!(),
    }
}

const CALLS: [Call; 8] = [
    ("getMany", |ids| say::get_many(ids)),
    ("insertMany", new_documents),
    ("putMany", |ids| say::put(&rows(ids))),
    ("deleteMany", |ids| say::delete(ids)),
    ("kv.getMany", |ids| say::kv_get_many(ids)),
    ("kv.setMany", |ids| say::kv_set_many(&rows(ids))),
    ("kv.setMany if present", set_if_present),
    ("kv.deleteMany", |ids| say::kv_delete(ids)),
];

/// Calls of storage, and searches in blocks, of one call on a disk as it was filled.
async fn cost(world: &World, disk: &MemoryDisk, name: &str, op: Op) -> (usize, u64) {
    world.disk.turn_into(disk);
    let (store, figures) = cold(world).await;
    let db: Db = open_in(&store, name).await;
    let stats = store.stats().await.unwrap();
    let before = figures.get().reads;
    db.ok(op).await;
    let reads = figures.get().reads - before;
    let now = store.stats().await.unwrap();
    (reads, now.cache_hits + now.cache_misses - stats.cache_hits - stats.cache_misses)
}

#[test]
fn a_thousand_cold_keys_are_a_few_reads_of_storage() {
    run(async |world| {
        fill(&world).await;
        let disk = world.disk.copied();
        for (call, op) in CALLS {
            for name in ["main", "draft"] {
                let (reads, searches) = cost(&world, &disk, name, op(&borrowed(&scattered(1000)))).await;
                let (_, half) = cost(&world, &disk, name, op(&borrowed(&scattered(500)))).await;
                println!("{call} in {name}: {reads} reads, {half} and {searches} searches");
                assert!(reads <= MOST_READS, "{call} in {name}: {reads} reads");
                assert!(searches <= 3 * half, "{call} in {name}: {half} and {searches} searches");
            }
        }
    });
}
