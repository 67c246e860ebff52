//! Damage: told when it is met, never built on, and opened around by `repair`.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::Poll;

use offshoot::engine::{OpenOptions, Store, Testimony};
use offshoot::error::{Error, ErrorCode};
use offshoot::platform::Platform;
use offshoot::storage::{Batch, Durability, ListRange, LocalFuture, MemoryDisk, MemoryStorage, Space};
use offshoot::types::Lsn;
use serde_json::json;
use xxhash_rust::xxh64::xxh64;

use crate::support::disk::Dying;
use crate::support::{Db, World, open_in, pause, run, say, try_open_in};

const EVERYTHING: ListRange = ListRange { from: None, before: None, limit: usize::MAX };

/// Nothing of a store is left, as after a host has wiped it.
fn wipe(disk: &MemoryDisk) {
    disk.turn_into(&MemoryDisk::new());
}

fn lose(disk: &MemoryDisk, space: Space, name: &str) {
    disk.write(Batch { delete: vec![(space, name.to_string())], ..Batch::default() });
}

fn flip(disk: &MemoryDisk, space: Space, name: &str) {
    let mut bytes = disk.read(space, name).expect("the record is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    disk.write(Batch { put: vec![(space, name.to_string(), bytes)], ..Batch::default() });
}

/// Damage to the first block of a segment.
fn flip_first(disk: &MemoryDisk, space: Space, name: &str) {
    let mut bytes = disk.read(space, name).expect("the record is there");
    let place = bytes.len() / 40;
    bytes[place] ^= 4;
    disk.write(Batch { put: vec![(space, name.to_string(), bytes)], ..Batch::default() });
}

fn names(disk: &MemoryDisk, space: Space) -> Vec<String> {
    disk.list(space, &EVERYTHING).into_iter().map(|(name, _)| name).collect()
}

async fn refusal(world: &World) -> Error {
    world.try_tab(OpenOptions::default()).await.err().expect("the store does not open")
}

async fn repaired(world: &World) -> Rc<Store> {
    let options = OpenOptions { repair: true, ..OpenOptions::default() };
    world.try_tab(options).await.expect("a repair opens what is left")
}

async fn put(db: &Db, id: &str) {
    db.ok(say::put(&[(id, json!({"id was": id}))])).await;
}

async fn put_strictly(db: &Db, id: &str) {
    db.0.run(say::put(&[(id, json!({}))]), Some(Durability::Strict)).await.expect("a commit");
}

/// Lets what was spawned write down what it knows.
async fn settle() {
    for _ in 0..20 {
        pause().await;
    }
}

fn watch(world: &World) {
    world.witness.replace(Some(Vec::new()));
}

/// After a repair the store opens as any other, takes commits, and gives no number twice.
async fn is_sound(world: &World, above: u64, left: &[&str]) {
    let store = repaired(world).await;
    let db = open_in(&store, "main").await;
    assert_eq!(db.ok(say::count()).await, json!(left.len()));
    for id in left {
        assert!(db.ok(say::get(id)).await.is_array(), "{id} is left");
    }
    let (_, lsn) = db.0.write(say::put(&[("new", json!({}))]), None).await.expect("a commit");
    assert!(lsn.expect("it wrote").0 > above, "{lsn:?} is above {above}");
    settle().await;
    let again = open_in(&world.tab().await, "main").await;
    assert_eq!(again.ok(say::count()).await, json!(left.len() + 1));
}

#[test]
fn a_wiped_store_is_told_and_not_made_anew() {
    run(async |world| {
        watch(&world);
        let db = world.main().await;
        put(&db, "a").await;
        settle().await;
        let head = db.0.version().0;
        wipe(&world.disk);
        let error = refusal(&world).await;
        assert_eq!(error.code(), ErrorCode::StorageCorrupt, "{error}");
        assert_eq!(names(&world.disk, Space::Meta), [""; 0], "nothing is written over it");
        is_sound(&world, head, &[]).await;
    });
}

#[test]
fn a_store_that_is_older_than_what_was_flushed_is_told() {
    run(async |world| {
        watch(&world);
        let db = world.main().await;
        put(&db, "a").await;
        let before = world.disk.copied();
        put_strictly(&db, "b").await;
        settle().await;
        let head = db.0.version().0;
        world.disk.turn_into(&before);
        let error = refusal(&world).await;
        assert_eq!(error.code(), ErrorCode::StorageCorrupt, "{error}");
        is_sound(&world, head, &["a"]).await;
    });
}

/// A power cut takes the two commits that came after a flushed one.
async fn lose_two(world: &World) {
    watch(world);
    let db = world.main().await;
    put_strictly(&db, "a").await;
    settle().await;
    let before = world.disk.copied();
    put(&db, "b").await;
    put(&db, "c").await;
    settle().await;
    world.disk.turn_into(&before);
}

#[test]
fn relaxed_commits_that_a_power_cut_took_are_no_damage_and_are_counted() {
    run(async |world| {
        lose_two(&world).await;
        let store = world.tab().await;
        assert_eq!(store.stats().await.unwrap().lost_commits, 2);
        assert!(store.stats().await.unwrap().witness);
        let db = open_in(&store, "main").await;
        assert_eq!(db.ok(say::count()).await, json!(1));
        // New commits get the numbers of the lost ones. The witness still knows the lost ones: that is no damage.
        for id in ["d", "e", "f"] {
            put(&db, id).await;
            settle().await;
            let again = world.tab().await;
            assert_eq!(again.stats().await.unwrap().lost_commits, 0);
        }
    });
}

#[test]
fn a_loss_that_an_opening_found_which_failed_is_told_by_the_next_one() {
    run(async |world| {
        lose_two(&world).await;
        let dying = Rc::new(Dying::new(&world.disk));
        dying.arm();
        let options = OpenOptions { retain: Some(7), ..OpenOptions::default() };
        assert!(world.open(dying, options).await.is_err(), "it dies at its first commit");
        assert_eq!(world.tab().await.stats().await.unwrap().lost_commits, 2);
        assert_eq!(world.tab().await.stats().await.unwrap().lost_commits, 0, "it is told once");
    });
}

/// A page that goes away right behind one of its texts: nothing that follows is done.
struct Leaving {
    inner: Rc<dyn Platform>,
    left: Cell<usize>,
}

impl Platform for Leaving {
    fn now(&self) -> u64 {
        self.inner.now()
    }

    fn random(&self) -> u64 {
        self.inner.random()
    }

    fn spawn(&self, task: LocalFuture<'static, ()>) {
        self.inner.spawn(task);
    }

    fn sleep(&self, milliseconds: u64) -> LocalFuture<'static, ()> {
        self.inner.sleep(milliseconds)
    }

    fn testimony(&self) -> LocalFuture<'static, Option<Vec<String>>> {
        self.inner.testimony()
    }

    fn testify(&self, add: Vec<String>, strike: Vec<String>) -> LocalFuture<'static, ()> {
        self.left.set(self.left.get().saturating_sub(1));
        let is_last = self.left.get() == 0;
        let written = self.inner.testify(add, strike);
        Box::pin(async move {
            written.await;
            if is_last {
                std::future::pending::<()>().await;
            }
        })
    }

    fn announce(&self, _: Lsn) {}
}

#[test]
fn a_loss_is_told_by_the_next_opening_wherever_the_one_that_found_it_was_cut_off() {
    run(async |world| {
        watch(&world);
        let db = world.main().await;
        put_strictly(&db, "a").await;
        settle().await;
        let before = world.disk.copied();
        put(&db, "b").await;
        put(&db, "c").await;
        settle().await;
        let texts = world.witness.borrow().clone();
        world.disk.turn_into(&before);
        let before = world.disk.copied();
        for last in 1.. {
            world.disk.turn_into(&before);
            world.witness.replace(texts.clone());
            let platform = Rc::new(Leaving { inner: world.platform(), left: Cell::new(last) });
            let storage = Rc::new(MemoryStorage::open(&world.disk));
            let mut opening = Box::pin(Store::open(platform, storage, OpenOptions::default()));
            let mut is_open = false;
            for _ in 0..100 {
                is_open = is_open || poll_fn(|context| Poll::Ready(opening.as_mut().poll(context).is_ready())).await;
                pause().await;
            }
            let is_told = world.witness.borrow().iter().flatten().all(|text| !text.starts_with("lost-"));
            if is_told {
                assert!(last > 2, "the witness is written a few times");
                break;
            }
            assert_eq!(world.tab().await.stats().await.unwrap().lost_commits, 2, "cut off behind text {last}");
        }
    });
}

#[test]
fn a_store_that_is_only_read_writes_nothing_down() {
    run(async |world| {
        watch(&world);
        put_strictly(&world.main().await, "a").await;
        settle().await;
        let before = world.witness.borrow().clone();
        let store = world.tab().await;
        assert_eq!(open_in(&store, "main").await.ok(say::count()).await, json!(1));
        store.witness_now().await;
        assert_eq!(*world.witness.borrow(), before);
    });
}

/// The same LSN with another hash: an old copy of the store was put back and written on.
#[test]
fn a_store_that_went_another_way_is_told() {
    run(async |world| {
        watch(&world);
        let db = world.main().await;
        let before = world.disk.copied();
        put(&db, "a").await;
        settle().await;
        let known = world.witness.take();
        world.disk.turn_into(&before);
        let other = world.main().await;
        put(&other, "another").await;
        world.witness.replace(known);
        assert_eq!(refusal(&world).await.code(), ErrorCode::StorageCorrupt);
    });
}

#[test]
fn a_store_that_was_destroyed_may_be_made_anew() {
    run(async |world| {
        watch(&world);
        put(&world.main().await, "a").await;
        settle().await;
        let texts = world.witness.borrow().clone().expect("a witness");
        let (marks, old) = Testimony::new(texts).destroyed(5);
        assert!(!old.is_empty());
        // Its last words come late, after everything was struck out.
        let late = world.witness.replace(Some(marks)).expect("a witness");
        wipe(&world.disk);
        world.witness.borrow_mut().as_mut().expect("a witness").extend(late);
        let db = world.main().await;
        assert_eq!(db.ok(say::count()).await, json!(0));
    });
}

#[test]
fn a_log_that_lost_its_last_record_is_told_without_any_witness() {
    run(async |world| {
        let db = world.main().await;
        put(&db, "a").await;
        put(&db, "b").await;
        let head = db.0.version().0;
        db.0.store().witness_now().await;
        let (number, _) = world.disk.log(0, usize::MAX).pop().expect("a record");
        world.disk.damage_log(number, None);
        assert_eq!(refusal(&world).await.code(), ErrorCode::StorageCorrupt);
        is_sound(&world, head, &["a"]).await;
    });
}

#[test]
fn a_repair_keeps_the_log_up_to_the_first_damaged_record() {
    for is_lost in [false, true] {
        run(async move |world| {
            let db = world.main().await;
            for id in ["a", "b", "c", "d"] {
                put(&db, id).await;
            }
            let head = db.0.version().0;
            let mut log = world.disk.log(0, usize::MAX);
            let (number, mut bytes) = log.remove(log.len() - 2);
            bytes[30] ^= 4;
            world.disk.damage_log(number, (!is_lost).then_some(bytes));
            let error = refusal(&world).await;
            assert_eq!(error.code(), ErrorCode::StorageCorrupt, "{error}");
            assert!(error.message().contains("record="), "it names the record: {error}");
            is_sound(&world, head, &["a", "b"]).await;
        });
    }
}

#[test]
fn a_repair_takes_the_copy_of_a_lost_manifest() {
    for damage in [flip, lose] {
        run(async |world| {
            let db = world.main().await;
            put(&db, "a").await;
            db.0.store().maintain().await.expect("a checkpoint");
            put(&db, "b").await;
            let head = db.0.version().0;
            let meta = names(&world.disk, Space::Meta);
            let manifest = meta.iter().find(|name| name.starts_with("manifest/")).expect("a manifest");
            damage(&world.disk, Space::Meta, manifest);
            assert_eq!(refusal(&world).await.code(), ErrorCode::StorageCorrupt);
            is_sound(&world, head, &["a", "b"]).await;
        });
    }
}

#[test]
fn without_any_manifest_a_repair_begins_anew_above_what_was() {
    run(async |world| {
        let db = world.main().await;
        put(&db, "a").await;
        db.0.store().maintain().await.expect("a checkpoint");
        put(&db, "b").await;
        let head = db.0.version().0;
        for name in names(&world.disk, Space::Meta) {
            lose(&world.disk, Space::Meta, &name);
        }
        assert_eq!(refusal(&world).await.code(), ErrorCode::StorageCorrupt);
        is_sound(&world, head, &[]).await;
    });
}

#[test]
fn calls_that_touch_a_damaged_block_reject_and_all_others_go_on() {
    for damage in [flip, lose] {
        run(async |world| {
            let db = world.main().await;
            put_many(&db, 400).await;
            db.0.store().maintain().await.expect("a checkpoint");
            let blocks = names(&world.disk, Space::Blocks);
            damage(&world.disk, Space::Blocks, &blocks[blocks.len() / 2]);
            let store = world.tab().await;
            let db = open_in(&store, "main").await;
            let error = db.run(say::find_behind(1000)).await.expect_err("a scan meets the damage");
            assert_eq!(error.code(), ErrorCode::StorageCorrupt);
            assert!(error.message().contains("block="), "it names the block: {error}");
            assert!(db.ok(say::get("0000")).await.is_array(), "a row elsewhere is readable");
            put(&db, "new").await;
            store.compact_all().await.expect("nothing is merged, and that is no error");
            let left = names(&world.disk, Space::Blocks);
            assert!(blocks.iter().filter(|name| !left.contains(name)).count() <= 1, "no block is compacted away");
            assert!(db.ok(say::get("new")).await.is_array());
        });
    }
}

/// Text that cannot be packed.
fn text(n: u64) -> String {
    (n * 31..n * 31 + 31).map(|n| format!("{:016x}", xxh64(&n.to_be_bytes(), n))).collect()
}

async fn put_many(db: &Db, count: u64) {
    let rows: Vec<_> = (0..count).map(|n| (format!("{n:04}"), json!({"text": text(n)}))).collect();
    let rows: Vec<_> = rows.iter().map(|(id, row)| (&id[..], row.clone())).collect();
    db.ok(say::put(&rows)).await;
}

/// A merge that took a lost block for one that another tab has merged began again, eight times, and told nobody.
#[test]
fn a_compaction_that_meets_a_lost_block_tells_of_it_and_moves_the_log_once() {
    for damage in [flip, lose] {
        run(async |world| {
            let options = || OpenOptions { retain: Some(0), ..OpenOptions::default() };
            let db = open_in(&world.try_tab(options()).await.expect("a store"), "main").await;
            put_many(&db, 400).await;
            db.0.store().maintain().await.expect("a checkpoint");
            put(&db, "a").await;
            let blocks = names(&world.disk, Space::Blocks);
            damage(&world.disk, Space::Blocks, &blocks[blocks.len() / 2]);
            let store = world.try_tab(options()).await.expect("the store opens");
            let error = store.compact_all().await.expect_err("it meets the damage");
            assert_eq!(error.code(), ErrorCode::StorageCorrupt, "{error}");
            assert!(error.message().contains("block="), "it names the block: {error}");
            let added = names(&world.disk, Space::Blocks).iter().filter(|name| !blocks.contains(name)).count();
            assert_eq!(added, 1, "the run that the log was moved into");
            store.compact_all().await.expect("nothing is merged, and that is no error");
        });
    }
}

/// A write to a collection reads the collection's own row, which may be lost where other rows are left.
#[test]
fn a_repaired_store_takes_writes_to_collections_whose_own_rows_are_lost() {
    for damage in [flip_first, lose] {
        run(async |world| {
            let main = world.main().await;
            let draft = main.clone_as("draft").await;
            // The rows of one of them come after those of the other one, in blocks that nothing else is read from.
            for db in [&main, &draft] {
                for n in 0..200 {
                    db.ok(say::kv_set(&format!("{n:04}"), json!(text(n)))).await;
                }
                put_many(db, 400).await;
            }
            main.0.store().maintain().await.expect("a checkpoint");
            let whole = world.disk.copied();
            let mut restored = 0;
            for block in names(&world.disk, Space::Blocks) {
                for name in ["main", "draft"] {
                    world.disk.turn_into(&whole);
                    damage(&world.disk, Space::Blocks, &block);
                    let Ok(db) = try_open_in(&world.tab().await, name).await else { continue };
                    let Err(error) = db.run(say::put(&[("new", json!({}))])).await else { continue };
                    assert_eq!(error.code(), ErrorCode::StorageCorrupt, "{error}");
                    let Ok(db) = try_open_in(&repaired(&world).await, name).await else { continue };
                    if db.run(say::put(&[("new", json!({}))])).await.is_err() {
                        // The index of the run is lost, and with it all rows.
                        continue;
                    }
                    restored += 1;
                    db.ok(say::kv_set("new", json!(1))).await;
                    let again = open_in(&world.tab().await, name).await;
                    assert!(again.ok(say::get("new")).await.is_array(), "it is there for others too");
                }
            }
            assert_eq!(restored, 1, "of one block");
        });
    }
}
