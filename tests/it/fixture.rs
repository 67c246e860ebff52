//! The present format, as a store wrote it: what is written today has the shape of `tests/fixtures/format-7.bin`, and
//! that opens. Until 1.0 a change of the shape raises the format's number and replaces the fixture; older stores are
//! refused. From 1.0 on it adds a fixture and never touches an old one.

use std::path::PathBuf;
use std::rc::Rc;

use offshoot::engine::OpenOptions;
use offshoot::error::ErrorCode;
use offshoot::storage::{Batch, ListRange, MemoryDisk, Outcome, Space};
use serde_json::{Value, json};

use crate::support::{Db, World, open_in, rest, run, say};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-7.bin")
}

/// One of everything that the format has: runs, a large value stored apart, a commit written ahead, a log, clones.
async fn fill(world: &Rc<World>) {
    let main = world.main().await;
    main.ok(say::put(&[("a", json!({"n": 1, "nested": {"deep": [null, true, "é"]}})), ("b", json!({"n": 2}))])).await;
    main.ok(say::put(&[("large", json!({"text": "0123456789".repeat(3000)}))])).await;
    main.ok(say::kv_set("key", json!("value"))).await;
    let draft = main.clone_as("draft").await;
    draft.ok(say::update("a", json!({"$inc": {"n": 10}}))).await;
    draft.ok(say::delete(&["b"])).await;
    main.0.store().maintain().await.expect("a checkpoint");
    let many: Vec<_> = (0..1100).map(|n| (format!("many-{n:04}"), json!({"text": "x".repeat(1000)}))).collect();
    let many: Vec<_> = many.iter().map(|(id, row)| (&id[..], row.clone())).collect();
    main.ok(say::put(&many)).await;
    main.ok(say::update("a", json!({"$set": {"n": 100}}))).await;
    draft.clone_as("grandchild").await.ok(say::put(&[("c", json!({"n": 3}))])).await;
    rest().await;
}

/// All but the reserve, which says nothing.
fn records(disk: &MemoryDisk) -> Vec<(u8, String, Vec<u8>)> {
    let everything = ListRange { from: None, before: None, limit: usize::MAX };
    let listed =
        |space: Space| disk.list(space, &everything).into_iter().map(move |(name, bytes)| (space as u8, name, bytes));
    let log = disk.log(0, usize::MAX).into_iter();
    let log = log.map(|(number, bytes)| (Space::Log as u8, number.to_string(), bytes));
    let all = Space::ALL.into_iter().flat_map(listed).chain(log);
    all.filter(|(_, name, _)| !name.starts_with("reserve/")).collect()
}

/// Puts the fixture's records on a disk, those of the log under their numbers.
fn restore(disk: &MemoryDisk) {
    let mut last = 0;
    for (space, name, bytes) in fixture() {
        let space = Space::ALL[space as usize];
        if space != Space::Log {
            disk.write(Batch { put: vec![(space, name, bytes)], ..Batch::default() });
            continue;
        }
        let number: u64 = name.parse().expect("a number");
        if last == 0 {
            let before = vec![Vec::new(); number as usize - 1];
            disk.write(Batch { append: before, ..Batch::default() });
            disk.write(Batch { trim: number - 1, ..Batch::default() });
        }
        last = number;
        assert_eq!(disk.write(Batch { append: vec![bytes], ..Batch::default() }), Outcome::Written(number));
    }
}

fn fixture() -> Vec<(u8, String, Vec<u8>)> {
    let bytes = std::fs::read(path()).expect("the fixture is there");
    let records: Vec<(u8, String, serde_bytes::ByteBuf)> = rmp_serde::from_slice(&bytes).expect("a list of records");
    records.into_iter().map(|(space, name, bytes)| (space, name, bytes.into_vec())).collect()
}

#[test]
fn a_store_of_this_format_opens_and_holds_what_it_held() {
    run(async |world| {
        restore(&world.disk);
        let store = world.tab().await;
        let (main, draft) = (open_in(&store, "main").await, open_in(&store, "draft").await);
        let n = async |db: &Db, id: &str| db.ok(say::get(id)).await[0]["n"].clone();
        assert_eq!((n(&main, "a").await, n(&draft, "a").await), (json!(100), json!(11)));
        assert_eq!((n(&main, "b").await, draft.ok(say::get("b")).await), (json!(2), Value::Null));
        assert_eq!(main.ok(say::get("large")).await[0]["text"], json!("0123456789".repeat(3000)));
        assert_eq!(main.ok(say::count()).await, json!(1103));
        assert_eq!(draft.ok(say::count()).await, json!(2));
        assert_eq!(draft.ok(say::kv_get("key")).await, json!(["value"]));
        let grandchild = open_in(&store, "grandchild").await;
        assert_eq!(grandchild.path().await.matches('>').count(), 2);
        assert_eq!((n(&grandchild, "a").await, n(&grandchild, "c").await), (json!(11), json!(3)));
        store.compact_all().await.expect("an old store is compacted as any other");
        main.ok(say::put(&[("new", json!({}))])).await;
        assert_eq!(open_in(&world.tab().await, "main").await.ok(say::count()).await, json!(1104));
    });
}

/// Nothing is damaged, so no repair goes over it either.
#[test]
fn a_store_of_another_format_is_refused_and_left_as_it_is() {
    for (format, code) in [(2, ErrorCode::FormatTooOld), (99, ErrorCode::FormatTooNew)] {
        run(async |world| {
            restore(&world.disk);
            let everything = ListRange { from: None, before: None, limit: usize::MAX };
            for (name, mut bytes) in world.disk.list(Space::Meta, &everything) {
                if name.starts_with("manifest/") || name.starts_with("copy/") {
                    bytes[2..4].copy_from_slice(&[format, !format]);
                    world.disk.write(Batch { put: vec![(Space::Meta, name, bytes)], ..Batch::default() });
                }
            }
            let before = records(&world.disk);
            for repair in [false, true] {
                let options = OpenOptions { repair, ..OpenOptions::default() };
                let refused = world.try_tab(options).await.err().expect("it is not opened");
                assert_eq!(refused.code(), code, "repair: {repair}");
                assert!(!refused.is_retryable());
                assert!(records(&world.disk) == before, "the store is touched. repair: {repair}");
            }
        });
    }
}

#[test]
fn what_is_written_today_has_the_shape_of_the_fixture() {
    run(async |world| {
        fill(&world).await;
        let written = records(&world.disk);
        if std::env::var_os("WRITE_FIXTURE").is_some() {
            let records = written.iter().map(|(space, name, bytes)| (space, name, serde_bytes::Bytes::new(bytes)));
            let bytes = rmp_serde::to_vec(&records.collect::<Vec<_>>()).expect("records are plain data");
            std::fs::write(path(), bytes).expect("the fixture is written");
        }
        let kept = fixture();
        let names = |records: &[(u8, String, Vec<u8>)]| {
            records.iter().map(|(space, name, _)| format!("{space}/{name}")).collect::<Vec<_>>()
        };
        assert_eq!(names(&written), names(&kept));
        for ((_, name, today), (_, _, then)) in written.iter().zip(&kept) {
            assert!(
                today == then,
                "{name} is written in another shape: raise the format's number, replace the fixture"
            );
        }
    });
}
