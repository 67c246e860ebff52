//! Large values and large commits, which are written as a run ahead of the log: any tab reads them back the same.

use std::cell::Cell;
use std::rc::Rc;

use offshoot::engine::Op;
use offshoot::engine::op::NewDocument;
use offshoot::error::ErrorCode;
use offshoot::lsm::{Commit, NewRun, Room, Written};
use offshoot::storage::{Batch, Durability, ListRange, MemoryDisk, MemoryStorage, Space};
use offshoot::types::limits::{COMMIT_BYTES, COMMIT_IN_LOG_BYTES, RECORD_BYTES, VALUE_BYTES};
use offshoot::types::pack::{write_bin, write_map, write_text};
use offshoot::types::row::{push_lsn, row};
use offshoot::types::{Kind, LayerId, Lsn, Suffix, Version};
use serde_json::{Value, json};

use crate::support::place::{Way, in_clones, open_lsm};
use crate::support::script::Script;
use crate::support::{Db, World, once, pause, rest, run, say};

/// A document of exactly `size` bytes, no two of its stretches alike.
fn document(size: usize, fill: u8) -> Vec<u8> {
    let frame = |bytes: &[u8]| {
        let mut out = Vec::with_capacity(bytes.len() + 16);
        write_map(&mut out, 1);
        write_text(&mut out, "b");
        write_bin(&mut out, bytes);
        out
    };
    // The frame's length has the same size for all that are about as long.
    let mut content = vec![0; size - 8];
    content.truncate(size - (frame(&content).len() - content.len()));
    content.resize(size - (frame(&content).len() - content.len()), 0);
    for (n, stretch) in content.chunks_mut(251).enumerate() {
        stretch.fill(fill.wrapping_add(n as u8));
    }
    let made = frame(&content);
    assert_eq!(made.len(), size);
    made
}

fn put(id: &str, fields: Vec<u8>) -> Op {
    let document = NewDocument::new(Some(id.into()), &fields).expect("a good document");
    Op::Put { collection: say::collection("todos"), documents: vec![document] }
}

async fn bytes_of(db: &Db, id: &str) -> Vec<u8> {
    let answer = db.0.run(say::get(id), None).await.unwrap();
    let offshoot::engine::Answer::Value(Some(found)) = answer else { panic!("a value. id={id}") };
    found.to_vec()
}

/// How many records a space has, and the bytes of the largest.
fn records(world: &World, space: Space) -> (usize, usize) {
    let listed = world.disk.list(space, &ListRange { limit: usize::MAX, ..ListRange::default() });
    (listed.len(), listed.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or(0))
}

/// Where storage takes records of a megabyte, a commit that the log takes is one of them, and a large value needs few.
/// Storage in the cloud asks its price by the record.
#[test]
fn records_are_as_large_as_storage_takes_them() {
    run(async |world| {
        world.disk.set_record_bytes(2 * 1024 * 1024);
        let main = world.main().await;
        let before = world.disk.log(0, usize::MAX).len();
        main.run(put("log", document(900_000, 1))).await.unwrap();
        let log = world.disk.log(0, usize::MAX);
        assert_eq!(log.len() - before, 1, "one commit is one record");
        main.run(put("large", document(VALUE_BYTES, 2))).await.unwrap();
        let (count, largest) = records(&world, Space::Blocks);
        assert!(count <= VALUE_BYTES / (240 * 1024) + 3, "{count} records of blocks");
        assert!(largest <= 1024 * 1024, "{largest} bytes");
        main.0.store().compact_all().await.unwrap();
        assert!(bytes_of(&main, "large").await == document(VALUE_BYTES, 2));
        let reopened = main.reopened(&world).await;
        assert!(bytes_of(&reopened, "log").await == document(900_000, 1));
        assert!(bytes_of(&reopened, "large").await == document(VALUE_BYTES, 2));
    });
}

/// No stored record is larger than the backends bear, and once maintenance rests no job of a write is left.
async fn check_records(world: &World) {
    let has_job =
        |disk: &MemoryDisk| !disk.list(Space::Jobs, &ListRange { limit: 1, ..ListRange::default() }).is_empty();
    for _ in 0..10_000 {
        if !has_job(&world.disk) {
            break;
        }
        pause().await;
    }
    for space in Space::ALL {
        let range = ListRange { limit: usize::MAX, ..ListRange::default() };
        for (name, bytes) in world.disk.list(space, &range) {
            assert!(bytes.len() <= RECORD_BYTES, "{space:?} {name}: {} bytes", bytes.len());
            assert!(space != Space::Jobs, "a job is left: {name}");
        }
    }
}

/// SEMANTICS W1, W7: values about every boundary: of a block, of a record, of a log record, and the largest.
#[test]
fn a_value_of_any_size_comes_back() {
    let sizes = [16_000, 16 * 1024, 16 * 1024 + 1, RECORD_BYTES - 1, RECORD_BYTES, RECORD_BYTES + 1, 119_872, 300_000];
    let large = [COMMIT_IN_LOG_BYTES - 200, COMMIT_IN_LOG_BYTES, COMMIT_IN_LOG_BYTES + 1, 5_000_000, VALUE_BYTES];
    run(async |world| {
        let main = world.main().await;
        let clone = main.clone_as("clone").await;
        for (n, size) in sizes.into_iter().chain(large).enumerate() {
            for db in [&main, &clone] {
                db.ok(put(&size.to_string(), document(size, n as u8))).await;
                let read = bytes_of(db, &size.to_string()).await;
                assert!(read == document(size, n as u8), "{size} bytes at once");
            }
        }
        check_records(&world).await;
        for db in [&main.reopened(&world).await, &clone.reopened(&world).await, &clone.clone_as("leaf").await] {
            for (n, size) in sizes.into_iter().chain(large).enumerate() {
                assert!(bytes_of(db, &size.to_string()).await == document(size, n as u8), "{size} bytes later");
            }
            assert_eq!(db.ok(say::count()).await, json!(sizes.len() + large.len()));
        }
    });
}

/// SEMANTICS W8: one byte too many is refused, with nothing written.
#[test]
fn a_value_that_is_too_large_is_refused() {
    run(async |world| {
        let main = world.main().await;
        main.ok(put("a", document(VALUE_BYTES, 0))).await;
        let before = main.0.version();
        assert_eq!(main.code(put("b", document(VALUE_BYTES + 1, 0))).await, ErrorCode::TooLarge);
        assert_eq!(main.code(say::update("a", json!({"$set": {"n": 1}}))).await, ErrorCode::TooLarge);
        let text = json!("x".repeat(VALUE_BYTES));
        assert_eq!(main.code(say::kv_set("k", text.clone())).await, ErrorCode::TooLarge);
        assert_eq!(main.code(say::kv_set_field("k", "f", Some(text))).await, ErrorCode::TooLarge);
        assert_eq!(main.0.version(), before);
        assert_eq!(main.reopened(&world).await.ok(say::count()).await, json!(1));
    });
}

/// SEMANTICS W8, R3: thousands of rows in one commit, larger than a log record, over rows that are there.
#[test]
fn a_large_commit_is_one_commit() {
    let name = |n: usize| format!("{n:05}");
    let row = |n: usize| json!({"n": n, "text": "some text that takes its room ".repeat(9)});
    in_clones(&[say::insert(&[("00003", json!({"n": "old"})), ("zz", json!({}))])], async |place| {
        let names: Vec<String> = (0..6000).map(name).collect();
        let rows: Vec<_> = names.iter().enumerate().map(|(n, name)| (&name[..], row(n))).collect();
        assert_eq!(place.commits(say::put(&rows)).await.1, 1);
        check_records(&place.world).await;
        assert_eq!(place.ok(say::increment("00100", 1)).await, json!(true));
        assert_eq!(place.ok(say::delete(&["00101", "05999"])).await, json!(2));
        assert_eq!(place.code(say::insert(&[("02000", json!({}))])).await, ErrorCode::KeyExists);
        place.reads(say::count(), json!(5999)).await;
        place
            .reads(say::get_many(&["00003", "00101", "05998", "zz"]), json!([[row(3)], null, [row(5998)], [{}]]))
            .await;
        let clone = place.db().clone_as("below").await.reopened(&place.world).await;
        assert_eq!(clone.ok(say::get("00100")).await[0]["n"], json!(101));
        place.origins_read(say::count(), json!(2)).await;
    });
}

/// SEMANTICS W8, W9: a large commit in which the names of collections begin alike.
#[test]
fn a_large_commit_can_make_several_collections() {
    for way in Way::ALL {
        run(async |world| {
            let main = world.main().await;
            let text = json!({"text": "x".repeat(400_000)});
            let names = ["a", "ab", "a.b", "abc", "b"];
            let ops: Vec<Op> = names.iter().map(|name| say::insert_in(name, &[("x", text.clone())])).collect();
            match way {
                Way::Transaction => drop(main.transact(&ops).await.unwrap()),
                Way::Single => {
                    for op in ops {
                        main.ok(op).await;
                    }
                }
            }
            let clone = main.clone_as("clone").await.reopened(&world).await;
            let mut found: Vec<_> = clone.0.collections().await.unwrap().into_iter().map(|one| one.name).collect();
            assert!(found.is_sorted(), "by name: {found:?}");
            found.sort_by_key(|name| names.iter().position(|other| other == name));
            assert_eq!(found, names);
            for name in names {
                assert_eq!(clone.ok(say::find_in(name)).await, json!([["x", text]]), "{name}");
            }
        });
    }
}

/// SEMANTICS W8, W12: large commits are checked as small ones are.
#[test]
fn large_commits_conflict_as_small_ones_do() {
    run(async |world| {
        let main = world.main().await;
        let other = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1})), ("b", json!({"n": 1}))])).await;
        let big = || document(COMMIT_IN_LOG_BYTES + 9, 1);
        for (reads, writes, commits) in [("a", "a", false), ("a", "c", true), ("d", "d", false)] {
            let open = Script::begin(&world, &main, once(Default::default())).await;
            open.answer(say::get(reads)).await.unwrap();
            open.ok(put("own", big())).await;
            other.ok(put(writes, big())).await;
            assert_eq!(open.commits().await, commits, "read {reads}, another wrote {writes}");
        }
        let scan = Script::begin(&world, &main, once(Default::default())).await;
        scan.ok(say::count()).await;
        scan.ok(say::put(&[("small", json!({}))])).await;
        other.ok(put("e", big())).await;
        assert!(!scan.commits().await, "the scan's range was written");
        // Maintenance sweeps the runs that the losers wrote ahead, once they are too old for a commit under way.
        world.now.set(world.now.get() + 2 * 60 * 60 * 1000);
        main.0.store().maintain().await.unwrap();
        check_records(&world).await;
        let again = world.main().await;
        for id in ["a", "c", "d", "e", "own"] {
            assert!(bytes_of(&again, id).await == big(), "{id}");
        }
        assert_eq!(again.ok(say::get("small")).await, Value::Null);
    });
}

/// SEMANTICS W8: a row that a transaction writes over and over counts once.
#[test]
fn a_commits_size_is_that_of_what_it_leaves() {
    run(async |world| {
        let main = world.main().await;
        let open = Script::begin(&world, &main, once(Default::default())).await;
        for n in 0..COMMIT_BYTES / VALUE_BYTES + 2 {
            open.ok(put("a", document(VALUE_BYTES, n as u8))).await;
        }
        open.ok(put("a", document(100, 7))).await;
        assert!(open.commits().await);
        assert!(bytes_of(&main, "a").await == document(100, 7));
    });
}

/// SEMANTICS W8: a commit that is too large fails with the call that makes it so.
#[test]
fn a_commit_that_is_too_large_is_refused() {
    run(async |world| {
        let main = world.main().await;
        let open = Script::begin(&world, &main, once(Default::default())).await;
        let fits = COMMIT_BYTES / VALUE_BYTES - 1;
        for n in 0..fits {
            open.ok(put(&n.to_string(), document(VALUE_BYTES, n as u8))).await;
        }
        open.ok(put("last", document(VALUE_BYTES - 10_000, 0))).await;
        assert_eq!(open.run(put("more", document(VALUE_BYTES, 0))).await.unwrap_err().code(), ErrorCode::TooLarge);
        assert_eq!(open.ok(say::get("more")).await, Value::Null, "it left nothing");
        assert!(open.commits().await, "what fits is not lost");
        assert_eq!(main.ok(say::count()).await, json!(fits + 1));
        assert!(bytes_of(&main, "0").await == document(VALUE_BYTES, 0));
    });
}

/// SEMANTICS R10: a commit of another tab says that it touches the catalog, though its rows stand in a run that nobody
/// here has read.
#[test]
fn a_large_commit_that_drops_a_database_closes_its_handles() {
    run(async |world| {
        let main = world.main().await;
        let draft = main.clone_as("draft").await;
        let told = Rc::new(Cell::new(None));
        let tell = told.clone();
        draft.0.on_close(Box::new(move |error| tell.set(Some(error.code()))));
        let other = open_lsm(Rc::new(MemoryStorage::open(&world.disk))).await;
        let mut written = NewRun::begin(&other, world.draw(), 0, Room::Takes);
        let mut dropped = row(LayerId::CATALOG, Suffix::named("databases", Kind::Catalog, "draft").as_bytes());
        push_lsn(&mut dropped, Lsn::ZERO);
        written.push(&dropped, &Version::tombstone().encode()).await.expect("a row of a run");
        let ahead = written.finish().await.expect("a run is written").expect("it has a row");
        let (id, changes, runs) = (world.draw(), Vec::new(), vec![(*ahead.description).clone()]);
        let commit =
            Commit { id, time: 0, changes: changes.into_iter().collect(), runs, unsent: false, touches_catalog: true };
        let lsn = other.with_mut(|state| state.stage(commit));
        let mut batch = Batch::default();
        ahead.name_in(&mut batch);
        assert_eq!(other.write_staged(Durability::Relaxed, batch, Room::Takes).await.unwrap(), Written::Complete(lsn));
        ahead.is_named();
        main.0.store().refresh().await.expect("the other tab's commit is taken in");
        rest().await;
        assert_eq!(told.get(), Some(ErrorCode::Closed), "nobody called the handle");
    });
}
