//! A transaction's reads are compared with the writes since its snapshot, wherever those stand by then, and no row is
//! read again.

use std::rc::Rc;

use offshoot::engine::{Isolation, OpenOptions};
use offshoot::storage::Storage;
use serde_json::{Value, json};

use crate::bounds::Measured;
use crate::support::disk::Watched;
use crate::support::memory::live;
use crate::support::script::Script;
use crate::support::{Db, World, once, open_in, rest, run, say};

/// Where the keys stand that were written after the snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stands {
    Log,
    Feed,
    RunOfLog,
    RunOfManifest,
    /// The run was merged, and its keys moved into the feed.
    MergedRun,
}

const STANDS: [Stands; 5] = [Stands::Log, Stands::Feed, Stands::RunOfLog, Stands::RunOfManifest, Stands::MergedRun];

impl Stands {
    fn is_large(self) -> bool {
        !matches!(self, Stands::Log | Stands::Feed)
    }

    /// Writes these documents in one commit, and has them moved to where they are to stand.
    async fn write(self, world: &World, db: &Db, ids: &[&str]) {
        let padding = if self.is_large() { 1_200_000 / ids.len() } else { 1 };
        let text = |id: &str| format!("{id}{}", "x".repeat(padding));
        let rows: Vec<(&str, Value)> = ids.iter().map(|id| (*id, json!({"text": text(id)}))).collect();
        let store = db.0.store();
        let head = store.head();
        db.ok(say::put(&rows)).await;
        assert_eq!(store.head(), head.next(), "one commit");
        rest().await;
        match self {
            Stands::Log | Stands::RunOfLog => {}
            Stands::Feed | Stands::RunOfManifest => store.maintain().await.expect("a checkpoint"),
            Stands::MergedRun => store.compact_all().await.expect("a compaction"),
        }
        drop(world.tab().await);
    }
}

/// The ids that the transaction reads, true if it counts all rows too, the ids that another tab then writes, and true
/// if the transaction loses.
const CASES: [(&[&str], bool, &[&str], bool); 7] = [
    (&["b"], false, &["b"], true),
    (&["b"], false, &["a", "c"], false),
    // Absent when it was read.
    (&["q"], false, &["q", "r"], true),
    (&[], true, &["zz"], true),
    (&["a", "b", "c", "q", "x"], false, &["m"], false),
    (&["a", "b", "c", "q", "x"], false, &["m", "x"], true),
    (&[], false, &["b"], false),
];

/// SEMANTICS W8, W12. Reading a document reads its collection's row too where the document is absent.
#[test]
fn what_was_read_is_compared_with_what_was_written_wherever_that_stands() {
    for stands in STANDS {
        for (reads, counts, writes, loses) in CASES {
            for isolation in [Isolation::Serializable, Isolation::Snapshot] {
                run(async |world| {
                    let cold = OpenOptions { cache_bytes: 0, ..OpenOptions::default() };
                    let store = world.try_tab(cold).await.expect("the store opens");
                    let main = open_in(&store, "main").await;
                    main.ok(say::put(&[("a", json!({})), ("b", json!({})), ("c", json!({}))])).await;
                    let open = Script::begin(&world, &main, once(isolation)).await;
                    for id in reads {
                        open.answer(say::get(id)).await.expect("it is read");
                    }
                    if counts {
                        open.ok(say::count()).await;
                    }
                    open.ok(say::kv_set("own", json!(1))).await;
                    stands.write(&world, &main, writes).await;
                    let commits = open.commits().await;
                    let is_checked = isolation == Isolation::Serializable;
                    assert_eq!(commits, !(loses && is_checked), "{stands:?} {reads:?} {writes:?} {isolation:?}");
                });
            }
        }
    }
}

/// SEMANTICS W8: of two that write one row the second loses, whatever its isolation; and so of two that make one
/// collection.
#[test]
fn what_both_wrote_is_compared_wherever_it_stands() {
    for stands in STANDS {
        for (own, loses) in [("b", true), ("d", false)] {
            run(async |world| {
                let main = world.main().await;
                main.ok(say::put(&[("a", json!({})), ("b", json!({}))])).await;
                let open = Script::begin(&world, &main, once(Isolation::Snapshot)).await;
                open.ok(say::put(&[(own, json!({"own": 1}))])).await;
                stands.write(&world, &main, &["b", "c"]).await;
                assert_eq!(open.commits().await, !loses, "{stands:?} {own}");
            });
        }
        run(async |world| {
            let main = world.main().await;
            let open = Script::begin(&world, &main, once(Isolation::Snapshot)).await;
            open.ok(say::put(&[("x", json!({}))])).await;
            stands.write(&world, &main, &["y"]).await;
            assert!(!open.commits().await, "{stands:?}: both made the collection");
        });
    }
}

/// SEMANTICS C6: a materialization says what was read already.
#[test]
fn copies_of_a_materialization_are_no_conflict() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::put(&[("a", json!({"n": 1})), ("b", json!({"n": 2}))])).await;
        let draft = main.clone_as("draft").await;
        let open = Script::begin(&world, &draft, once(Isolation::Serializable)).await;
        assert_eq!(open.ok(say::count()).await, json!(2));
        open.ok(say::update("a", json!({"$inc": {"n": 1}}))).await;
        let other = draft.reopened(&world).await;
        other.0.materialize(&|_| true).await.expect("it is copied");
        other.0.store().compact_all().await.expect("a compaction");
        assert!(open.commits().await);
        assert_eq!(draft.ok(say::get("a")).await, json!([{"n": 2}]));
    });
}

const ROWS: usize = 16_000;

/// Rows that cannot be packed.
async fn fill(world: &World, db: &Db) {
    let text = || (0..25).map(|_| format!("{:016x}", world.draw())).collect::<String>();
    for from in (0..ROWS).step_by(1000) {
        let rows: Vec<_> = (from..from + 1000).map(|n| (format!("{n:06}"), json!({"n": n, "text": text()}))).collect();
        db.ok(say::put(&rows.iter().map(|(id, row)| (&id[..], row.clone())).collect::<Vec<_>>())).await;
    }
}

/// The cost of a check grows with what was written since the snapshot, and not with what was read.
#[test]
fn a_transaction_that_read_much_reads_none_of_it_again() {
    let ids: Vec<String> = (0..ROWS).step_by(4).map(|n| format!("{n:06}")).collect();
    let ids: Vec<&str> = ids.iter().map(|id| &id[..]).collect();
    for reads in [say::get_many(&ids), say::count()] {
        run(async |world| {
            let main = world.main().await;
            fill(&world, &main).await;
            main.ok(say::kv_set("other", json!(0))).await;
            main.0.store().compact_all().await.expect("a compaction");
            let watched = Rc::new(Watched::new(&world.disk, None));
            let figures = watched.figures();
            let cold = OpenOptions { cache_bytes: 0, ..OpenOptions::default() };
            let store = world.open(watched as Rc<dyn Storage>, cold).await.expect("the store opens");
            let here = open_in(&store, "main").await;
            let open = Script::begin(&world, &here, once(Isolation::Serializable)).await;
            open.ok(reads.clone()).await;
            open.ok(say::kv_set("own", json!(1))).await;
            for n in 0..20 {
                main.ok(say::kv_set("other", json!(n))).await;
            }
            main.0.store().maintain().await.expect("a checkpoint");
            main.ok(say::kv_set("other", json!("last"))).await;
            store.refresh().await.expect("the others' commits are taken in");
            let (read, held) = (figures.get().bytes_read, live());
            assert!(open.commits().await, "nobody wrote what it read");
            let (read, held) = (figures.get().bytes_read - read, live() - held);
            // The index blocks of a run, and one block of its feed, with whatever shares a record with them.
            assert!(read < 200_000, "{read} bytes are read to check it");
            assert!(held < 500_000, "{held} bytes are held by what was checked");
        });
    }
}

/// A large commit whose rows lie between those that were read is compared in portions.
#[test]
fn a_large_commit_is_compared_in_little_memory() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::kv_set("first", json!(0))).await;
        main.0.store().maintain().await.expect("a checkpoint");
        let (storage, most) = Measured::new(&world.disk);
        let cold = OpenOptions { cache_bytes: 0, ..OpenOptions::default() };
        let store = world.open(Rc::new(storage), cold).await.expect("the store opens");
        let here = open_in(&store, "main").await;
        let open = Script::begin(&world, &here, once(Isolation::Serializable)).await;
        let absent: Vec<String> = (0..1500).map(|n| format!("{n:06}-absent")).collect();
        open.ok(say::kv_get_many(&absent.iter().map(|id| &id[..]).collect::<Vec<_>>())).await;
        open.ok(say::kv_set("own", json!(1))).await;
        let text = || (0..1000).map(|_| format!("{:016x}", world.draw())).collect::<String>();
        let rows: Vec<_> = (0..1500).map(|n| (format!("{n:06}"), json!(text()))).collect();
        main.ok(say::kv_set_many(&rows.iter().map(|(id, row)| (&id[..], row.clone())).collect::<Vec<_>>())).await;
        assert!(world.disk.used() > 10 << 20, "the commit is large: {}", world.disk.used());
        store.refresh().await.expect("it is taken in");
        let before = live() - world.disk.used() as isize;
        most.set(before);
        assert!(open.commits().await, "nobody wrote what it read");
        let held = most.get() - before;
        assert!(held < 8 << 20, "{held} bytes are held");
    });
}
