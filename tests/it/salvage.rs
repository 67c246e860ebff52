//! A salvage: an export of a damaged store, around what cannot be read.

use std::rc::Rc;

use offshoot::engine::{Answer, ExportOptions, Imported, Op, OpenOptions, Store};
use offshoot::error::ErrorCode;
use offshoot::storage::{Batch, ListRange, MemoryDisk, Space};
use serde_json::json;
use xxhash_rust::xxh64::xxh64;

use crate::support::transfer::{bodies, contents, export, export_of, import};
use crate::support::{Db, World, open_in, run, say};

const SALVAGE: ExportOptions = ExportOptions { salvage: true };

type Damage = fn(&MemoryDisk, &str);

fn lose(disk: &MemoryDisk, name: &str) {
    disk.write(Batch { delete: vec![(Space::Blocks, name.to_string())], ..Batch::default() });
}

fn flip(disk: &MemoryDisk, name: &str) {
    let mut bytes = disk.read(Space::Blocks, name).expect("the record is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    disk.write(Batch { put: vec![(Space::Blocks, name.to_string(), bytes)], ..Batch::default() });
}

fn cut(disk: &MemoryDisk, name: &str) {
    let mut bytes = disk.read(Space::Blocks, name).expect("the record is there");
    bytes.truncate(bytes.len() / 3);
    disk.write(Batch { put: vec![(Space::Blocks, name.to_string(), bytes)], ..Batch::default() });
}

fn blocks(disk: &MemoryDisk) -> Vec<String> {
    let everything = ListRange { limit: usize::MAX, ..ListRange::default() };
    disk.list(Space::Blocks, &everything).into_iter().map(|(name, _)| name).collect()
}

/// Text that cannot be packed.
fn text(n: u64) -> String {
    (n * 31..n * 31 + 31).map(|n| format!("{:016x}", xxh64(&n.to_be_bytes(), n))).collect()
}

async fn put_many(db: &Db, count: u64) {
    let rows: Vec<_> = (0..count).map(|n| (format!("{n:04}"), json!({"n": n, "text": text(n)}))).collect();
    let rows: Vec<_> = rows.iter().map(|(id, row)| (&id[..], row.clone())).collect();
    db.ok(say::put(&rows)).await;
    db.0.store().maintain().await.expect("a checkpoint");
}

async fn repaired(world: &World) -> Rc<Store> {
    let options = OpenOptions { repair: true, ..OpenOptions::default() };
    world.try_tab(options).await.expect("a repair opens what is left")
}

/// Imports a salvage of the database into another store. Gives that store's database, the import's report, and the body
/// of the salvage's last frame.
async fn salvaged(world: &World, db: &Db) -> (Db, Imported, Vec<u8>) {
    let name = db.0.name().to_string();
    let bytes = export_of(db.snapshot().await, &name, SALVAGE).await.expect("a salvage goes on");
    let other = world.elsewhere().main().await;
    let imported = import(&other, &bytes).await;
    (other, imported, bodies(&bytes).pop().expect("an end"))
}

/// The ids of all documents, page by page.
async fn ids(db: &Db) -> Vec<String> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let find = Op::Find { collection: say::collection("todos"), after, rest: None, skip: 0, limit: None };
        let Answer::Documents(page) = db.0.run(find, None).await.expect("a page") else { panic!("documents") };
        after = say::behind(&say::collection("todos"), &page);
        ids.extend(page.rows.into_iter().map(|(id, _)| id));
        if after.is_none() {
            return ids;
        }
    }
}

#[test]
fn of_an_undamaged_store_a_salvage_is_an_export_that_says_so() {
    run(async |world| {
        let main = world.main().await;
        put_many(&main, 100).await;
        let (other, imported, _) = salvaged(&world, &main).await;
        assert_eq!(imported, Imported { documents: 100, entries: 0, skipped: Some(0) });
        assert_eq!(contents(&other).await, contents(&main).await);
        let plain = export(&main).await;
        let salvage = export_of(main.snapshot().await, "main", SALVAGE).await.expect("a salvage");
        let (mut plain, mut salvage) = (bodies(&plain), bodies(&salvage));
        assert_ne!(plain.pop(), salvage.pop());
        assert_eq!(plain, salvage);
    });
}

#[test]
fn a_salvage_goes_on_behind_a_damaged_block_and_names_it() {
    for damage in [flip as Damage, lose, cut] {
        run(async move |world| {
            let main = world.main().await;
            put_many(&main, 400).await;
            let all = ids(&main).await;
            let names = blocks(&world.disk);
            let damaged = names[names.len() / 2].clone();
            damage(&world.disk, &damaged);
            let db = open_in(&repaired(&world).await, "main").await;
            let failed = export_of(db.snapshot().await, "main", ExportOptions::default()).await;
            assert_eq!(failed.expect_err("an export meets the damage").code(), ErrorCode::StorageCorrupt);
            let (other, imported, end) = salvaged(&world, &db).await;
            let left = ids(&other).await;
            assert!(left.len() >= 300 && left.len() < 400, "{} rows are left", left.len());
            assert_eq!(imported.documents, left.len() as u64);
            assert!(imported.skipped.is_some_and(|skipped| (1..5).contains(&skipped)), "{imported:?}");
            // The missing rows are one stretch, and the last frame tells its bounds.
            let lost: Vec<_> = all.into_iter().filter(|id| !left.contains(id)).collect();
            let numbers: Vec<u64> = lost.iter().map(|id| id.parse().expect("a number")).collect();
            assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{lost:?}");
            let told = String::from_utf8_lossy(&end).into_owned();
            for part in [&damaged, "todos", &lost[lost.len() - 1][..3]] {
                assert!(told.contains(part), "{part} is told: {told}");
            }
            // The rows that are left are as they were.
            for id in [&left[0], &left[left.len() - 1]] {
                assert_eq!(other.ok(say::get(id)).await, main.ok(say::get(id)).await);
            }
            // A salvage mends nothing: for all other calls the block that it skipped is damaged as before.
            assert!(db.run(say::find_behind(1000)).await.is_err(), "nothing was taken for empty that is not");
        });
    }
}

#[test]
fn a_value_that_is_damaged_costs_its_row_only() {
    for damage in [flip as Damage, lose] {
        run(async move |world| {
            let main = world.main().await;
            main.ok(say::put(&[("a", json!({"n": 1})), ("c", json!({"n": 3}))])).await;
            let value: String = (0..7).map(text).collect();
            main.ok(say::put(&[("b", json!({"text": value.repeat(40)}))])).await;
            main.0.store().maintain().await.expect("a checkpoint");
            // The pieces of the value come before the block that names them.
            let large = blocks(&world.disk)[0].clone();
            damage(&world.disk, &large);
            let db = open_in(&world.tab().await, "main").await;
            let (other, imported, end) = salvaged(&world, &db).await;
            assert_eq!(other.ok(say::find()).await, json!([["a", {"n": 1}], ["c", {"n": 3}]]));
            assert_eq!(imported.skipped, Some(1));
            assert!(String::from_utf8_lossy(&end).contains(&large), "the record is named");
        });
    }
}

/// The index of a run is lost with its root: the rows of the log and of other runs are left.
#[test]
fn a_run_whose_root_is_lost_is_skipped_whole() {
    run(async |world| {
        let main = world.main().await;
        put_many(&main, 400).await;
        let names = blocks(&world.disk);
        main.ok(say::put(&[("new", json!({})), ("0005", json!({"n": "newer"}))])).await;
        main.ok(say::kv_set("key", json!("value"))).await;
        lose(&world.disk, names.last().expect("a root"));
        let db = open_in(&repaired(&world).await, "main").await;
        let (other, imported, _) = salvaged(&world, &db).await;
        assert_eq!(other.ok(say::get_many(&["new", "0005"])).await, json!([[{}], [{"n": "newer"}]]));
        assert_eq!(other.ok(say::kv_get("key")).await, json!(["value"]));
        assert!(imported.skipped >= Some(1));
    });
}

#[test]
fn where_a_rows_newest_version_is_lost_the_one_before_is_given_and_the_place_is_told() {
    run(async |world| {
        let main = world.main().await;
        put_many(&main, 400).await;
        let before = blocks(&world.disk);
        let rows: Vec<_> = (0..400).map(|n| (format!("{n:04}"), json!({"newer": text(n)}))).collect();
        let rows: Vec<_> = rows.iter().map(|(id, row)| (&id[..], row.clone())).collect();
        main.ok(say::put(&rows)).await;
        main.0.store().maintain().await.expect("a checkpoint");
        let newer: Vec<_> = blocks(&world.disk).into_iter().filter(|name| !before.contains(name)).collect();
        let damaged = &newer[newer.len() / 2];
        lose(&world.disk, damaged);
        let db = open_in(&repaired(&world).await, "main").await;
        let (other, imported, end) = salvaged(&world, &db).await;
        let ids = ids(&other).await;
        assert_eq!(ids.len(), 400);
        let mut older = 0;
        for id in &ids {
            older += usize::from(other.ok(say::get(id)).await[0]["newer"].is_null());
        }
        assert!(older > 0 && older < 200, "{older} rows are older");
        assert!(imported.skipped >= Some(1) && String::from_utf8_lossy(&end).contains(damaged));
    });
}

/// SEMANTICS R1: around damage below it, a clone's own rows are whole.
#[test]
fn a_clone_over_a_damaged_origin_is_salvaged_too() {
    run(async |world| {
        let main = world.main().await;
        put_many(&main, 400).await;
        let names = blocks(&world.disk);
        let draft = main.clone_as("draft").await;
        draft.ok(say::put(&[("0200", json!({"n": "own"})), ("own", json!({}))])).await;
        draft.ok(say::delete(&["0000"])).await;
        lose(&world.disk, &names[names.len() / 2]);
        let db = open_in(&repaired(&world).await, "draft").await;
        let (other, imported, _) = salvaged(&world, &db).await;
        let left = ids(&other).await;
        assert!(left.contains(&"0200".into()) && left.contains(&"own".into()) && !left.contains(&"0000".into()));
        assert!(left.len() > 300 && left.len() < 400 && imported.skipped >= Some(1));
    });
}

/// Each record of a small store in turn: a salvage never fails, and gives no row that was not there.
#[test]
fn whichever_block_is_damaged_a_salvage_goes_on() {
    for damage in [flip as Damage, lose, cut] {
        run(async move |world| {
            let main = world.main().await;
            put_many(&main, 150).await;
            main.ok(say::update("0003", json!({"$set": {"n": "newer"}}))).await;
            main.0.store().maintain().await.expect("a checkpoint");
            let all = ids(&main).await;
            let whole = world.disk.copied();
            for name in blocks(&world.disk) {
                world.disk.turn_into(&whole);
                damage(&world.disk, &name);
                let Ok(store) = world.try_tab(OpenOptions { repair: true, ..OpenOptions::default() }).await else {
                    continue;
                };
                let Ok(db) = crate::support::try_open_in(&store, "main").await else { continue };
                let (other, imported, _) = salvaged(&world, &db).await;
                let left = ids(&other).await;
                assert!(left.iter().all(|id| all.contains(id)));
                assert!(left.len() == all.len() || imported.skipped > Some(0), "{name}: what is missing is told");
            }
        });
    }
}

/// A large value stands in many records, and a salvage gets on however many of them are lost.
#[test]
fn a_salvage_goes_on_past_hundreds_of_lost_blocks() {
    run(async |world| {
        let main = world.main().await;
        put_many(&main, 20).await;
        main.ok(say::put(&[("large", json!({"text": (0..20_000).map(text).collect::<String>()}))])).await;
        main.0.store().compact_all().await.expect("a compaction");
        let names = blocks(&world.disk);
        let lost: Vec<&String> = names.iter().step_by(2).collect();
        assert!(lost.len() > 80, "{} records are lost", lost.len());
        lost.into_iter().for_each(|name| lose(&world.disk, name));
        let store = repaired(&world).await;
        let (_, imported, _) = salvaged(&world, &open_in(&store, "main").await).await;
        assert!(imported.skipped > Some(0), "what is missing is told");
    });
}
