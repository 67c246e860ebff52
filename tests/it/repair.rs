//! Collections whose own rows are lost, after a repair: they are what is left of them, and every write goes on.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;

use offshoot::engine::op::Op;
use offshoot::engine::{MergeOptions, OpenOptions};
use offshoot::error::ErrorCode;
use offshoot::storage::{Batch, ListRange, MemoryDisk, Space};
use serde_json::json;

use crate::support::{Db, World, open_in, run, say, try_open_in};

const COLLECTIONS: usize = 700;
/// A block is smaller than this part of its record.
const PARTS: usize = 8;

fn name(n: usize) -> String {
    format!("collection-{n:03}")
}

/// Damages one part of a record of blocks; beyond all of them: the record is lost.
fn harm(disk: &MemoryDisk, record: &str, part: usize) {
    let mut bytes = disk.read(Space::Blocks, record).expect("the record is there");
    let (space, record) = (Space::Blocks, record.to_string());
    let batch = if part == PARTS {
        Batch { delete: vec![(space, record)], ..Batch::default() }
    } else {
        let place = bytes.len() * (2 * part + 1) / (2 * PARTS);
        bytes[place] ^= 4;
        Batch { put: vec![(space, record, bytes)], ..Batch::default() }
    };
    disk.write(batch);
}

async fn delete(db: &Db, name: &str) {
    db.ok(Op::Delete { collection: say::collection(name), ids: vec!["a".to_string()] }).await;
}

/// Every collection takes a document, those that were there before and others.
async fn takes_writes(world: &World, context: &str) {
    let options = OpenOptions { repair: true, ..OpenOptions::default() };
    let store = world.try_tab(options).await.expect("a repair opens what is left");
    // Where the row of the database is lost, nothing of it can be found.
    let Ok(db) = try_open_in(&store, "main").await else { return };
    let names = (0..COLLECTIONS).step_by(9).flat_map(|n| [name(n), format!("{}-new", name(n))]);
    for name in names.clone() {
        if let Err(error) = db.run(say::put_in(&name, &[("new", json!({"is": "new"}))])).await {
            panic!("{context}: {name}: {error}");
        }
    }
    let kind = db.run(say::kv_set("key", json!(1))).await;
    assert!(kind.is_ok(), "{context}: {kind:?}");
    let listed = db.0.collections().await.expect("collections can be listed");
    let has = |name: &str| listed.iter().any(|info| info.name == name);
    assert!(names.clone().all(|name| has(&name)), "{context}: not all are listed");
    let draft = db.clone_as("draft").await;
    // In a clone a write looks for the row that it replaces, so it goes where no row was.
    let put = draft.run(say::put_in("others", &[("of draft", json!({}))])).await;
    assert!(put.is_ok(), "{context}: {put:?}");
    let merged = draft.0.merge(MergeOptions::default()).await;
    assert!(merged.is_ok(), "{context}: {merged:?}");
    let again = open_in(&world.tab().await, "main").await;
    for name in names {
        let get = Op::Get { collection: say::collection(&name), id: "new".to_string() };
        assert!(again.ok(get).await.is_array(), "{context}: {name} has the document for others too");
    }
}

#[test]
fn a_repaired_store_takes_writes_to_collections_of_which_nothing_is_left() {
    run(async |world| {
        let db = world.main().await;
        for n in 0..COLLECTIONS {
            db.ok(say::put_in(&name(n), &[("a", json!({"n": n}))])).await;
            if n % 2 == 0 {
                delete(&db, &name(n)).await;
            }
        }
        db.0.store().maintain().await.expect("a checkpoint");
        let whole = world.disk.copied();
        let everything = ListRange { from: None, before: None, limit: usize::MAX };
        let mut refused = 0;
        for (record, _) in whole.list(Space::Blocks, &everything) {
            for part in 0..=PARTS {
                world.disk.turn_into(&whole);
                harm(&world.disk, &record, part);
                if let Ok(db) = try_open_in(&world.tab().await, "main").await {
                    let empty = say::put_in(&name(350), &[("new", json!({}))]);
                    let error = db.run(empty).await.err();
                    refused += u32::from(error.is_some_and(|error| error.code() == ErrorCode::StorageCorrupt));
                }
                world.disk.turn_into(&whole);
                harm(&world.disk, &record, part);
                takes_writes(&world, &format!("part {part} of {record}")).await;
            }
        }
        assert!(refused > 1, "{refused} times a write was refused before the repair");
    });
}

/// How often a repair is polled where so many rows were deleted.
fn polls_beside(deleted: usize) -> usize {
    let polls = Rc::new(Cell::new(0));
    let counted = polls.clone();
    run(async move |world| {
        let db = world.main().await;
        let ids: Vec<String> = (0..deleted).map(|n| format!("{n:05}")).collect();
        let rows: Vec<_> = ids.iter().map(|id| (&id[..], json!({}))).collect();
        db.ok(say::put(&rows)).await;
        db.ok(Op::Delete { collection: say::collection("todos"), ids }).await;
        let mut repair = pin!(world.try_tab(OpenOptions { repair: true, ..OpenOptions::default() }));
        let repaired = poll_fn(|context| {
            counted.set(counted.get() + 1);
            repair.as_mut().poll(context)
        });
        repaired.await.expect("a repair");
    });
    polls.get()
}

#[test]
fn a_repair_pauses_between_many_rows() {
    let (few, many) = (polls_beside(10), polls_beside(10_000));
    assert!(many >= few + 4, "{many} polls beside {few}");
}
