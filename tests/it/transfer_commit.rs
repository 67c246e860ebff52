//! An import is one commit: whatever happens beside it, or to it, all of it is there or nothing.

use std::cell::Cell;
use std::rc::Rc;

use offshoot::engine::{ExportOptions, ImportProgress, OpenOptions};
use offshoot::error::{Error, ErrorCode};
use offshoot::types::{limits, pack};
use serde_json::{Value, json};

use crate::support::disk::{Dying, Watched};
use crate::support::memory;
use crate::support::transfer::{Made, Pieces, assembled, contents, export, import, import_from, leftovers, try_import};
use crate::support::{Db, World, open_in, pause, run, say};

fn many(count: usize, text: &str) -> Vec<(String, Value)> {
    (0..count).map(|n| (format!("{n:06}"), json!({"n": n, "text": text}))).collect()
}

/// An export of so many documents, each with so much text.
async fn export_of_many(world: &World, count: usize, text: usize) -> Vec<u8> {
    let source = world.elsewhere().main().await;
    for rows in many(count, &"x".repeat(text)).chunks(5000) {
        let rows: Vec<_> = rows.iter().map(|(id, row)| (&id[..], row.clone())).collect();
        source.ok(say::put(&rows)).await;
    }
    export(&source).await
}

/// Imports in which the rows go into the log, and in which they are written ahead.
const SIZES: [(usize, usize); 2] = [(10, 10), (3000, 500)];

#[test]
fn a_row_that_is_there_fails_the_import_unless_it_is_to_be_replaced() {
    for (count, text) in SIZES {
        run(async move |world| {
            let bytes = export_of_many(&world, count, text).await;
            let main = world.main().await;
            let last = format!("{:06}", count - 1);
            main.ok(say::put(&[(&last, json!({"n": "mine"})), ("zz", json!({}))])).await;
            let draft = main.clone_as("draft").await;
            for db in [&main, &draft] {
                let before = (contents(db).await, db.0.version(), leftovers(&world));
                let error = try_import(db, &bytes, false).await.expect_err("a row is there");
                assert_eq!(error.code(), ErrorCode::KeyExists);
                assert!(error.message().contains(&last) && error.message().contains("todos"), "{error}");
                assert_eq!((contents(db).await, db.0.version(), leftovers(&world)), before);
            }
            for db in [&draft, &main] {
                try_import(db, &bytes, true).await.expect("it may replace");
                let again = db.reopened(&world).await;
                assert_eq!(again.ok(say::get(&last)).await[0]["n"], json!(count - 1));
                assert_eq!(again.ok(say::count()).await, json!(count + 1));
            }
            // A deleted row is in no import's way, be it a row of the layer or of the origin.
            draft.ok(say::delete(&[&last, "000001"])).await;
            assert_eq!(try_import(&draft, &bytes, false).await.expect_err("the others").code(), ErrorCode::KeyExists);
            let all: Vec<String> = (0..count).map(|n| format!("{n:06}")).collect();
            draft.ok(say::delete(&all.iter().map(|id| &id[..]).collect::<Vec<_>>())).await;
            import(&draft, &bytes).await;
            assert_eq!(draft.ok(say::count()).await, json!(count + 1));
        });
    }
}

/// One name is one kind, also where another tab made the collection meanwhile.
#[test]
fn a_collection_of_the_other_kind_fails_the_import() {
    run(async |world| {
        let source = world.elsewhere().main().await;
        source.ok(say::put_in("kv", &[("a", json!({}))])).await;
        let bytes = export(&source).await;
        let main = world.main().await;
        let other = world.main().await;
        let mut pieces = Pieces::of(&bytes, bytes.len()).0;
        let mut source = Made(async |_: ImportProgress| {
            let piece = pieces.pop_front().transpose();
            if pieces.is_empty() {
                other.ok(say::kv_set("a", json!(1))).await;
            }
            piece
        });
        let error = import_from(&main.0, &mut source, true).await.expect_err("it holds entries");
        assert_eq!(error.code(), ErrorCode::WrongKind, "{error}");
        assert_eq!(try_import(&main, &bytes, true).await.expect_err("it holds entries").code(), ErrorCode::WrongKind);
        assert_eq!(main.ok(say::kv_get("a")).await, json!([1]));
    });
}

/// Imports `bytes` while `meanwhile` is done once, after the first half has come.
async fn import_beside(
    db: &Db,
    bytes: &[u8],
    replace: bool,
    meanwhile: impl AsyncFnOnce(),
) -> Result<offshoot::engine::Imported, Error> {
    let mut pieces = Pieces::of(bytes, bytes.len() / 2 + 1).0;
    let mut meanwhile = Some(meanwhile);
    let mut source = Made(async |_: ImportProgress| {
        if pieces.len() == 1
            && let Some(meanwhile) = meanwhile.take()
        {
            meanwhile().await;
        }
        pieces.pop_front().transpose()
    });
    import_from(&db.0, &mut source, replace).await
}

/// SEMANTICS W8: nothing comes between, whoever writes and however it is stored by the time of the commit.
#[test]
fn what_another_tab_writes_meanwhile_is_met_at_the_commit() {
    let large = || json!({"text": "y".repeat(limits::COMMIT_IN_LOG_BYTES)});
    for (count, text) in SIZES {
        for (id, row, is_checkpointed) in [
            ("000003", json!({}), false),
            ("000003", json!({}), true),
            ("000003", large(), false),
            ("new", large(), true),
            ("new", json!({}), false),
        ] {
            run(async move |world| {
                let bytes = export_of_many(&world, count, text).await;
                let main = world.main().await;
                main.ok(say::put(&[("seed", json!({}))])).await;
                let other = world.main().await;
                let outcome = import_beside(&main, &bytes, false, async || {
                    other.ok(say::put(&[(id, row.clone())])).await;
                    assert_eq!(other.ok(say::count()).await, json!(2), "nothing of the import is there yet");
                    if is_checkpointed {
                        other.0.store().maintain().await.expect("a checkpoint");
                    }
                })
                .await;
                let again = main.reopened(&world).await;
                assert_eq!(again.ok(say::get(id)).await[0], row, "what was acknowledged stays");
                if id == "new" {
                    outcome.expect("they do not meet");
                    assert_eq!(again.ok(say::count()).await, json!(count + 2));
                } else {
                    let error = outcome.expect_err("they meet");
                    assert_eq!(error.code(), ErrorCode::KeyExists, "{error}");
                    assert_eq!(again.ok(say::count()).await, json!(2));
                }
            });
        }
    }
}

#[test]
fn a_row_that_another_tab_wrote_and_deleted_is_not_there() {
    for (count, text) in SIZES {
        run(async move |world| {
            let bytes = export_of_many(&world, count, text).await;
            let main = world.main().await;
            let other = world.main().await;
            import_beside(&main, &bytes, false, async || {
                other.ok(say::put(&[("000003", json!({"n": "other"}))])).await;
                other.ok(say::delete(&["000003"])).await;
            })
            .await
            .expect("it is gone again");
            assert_eq!(main.ok(say::get("000003")).await[0]["n"], json!(3));
        });
    }
}

/// An import that replaces stands where its commit stands: behind what was written meanwhile.
#[test]
fn an_import_that_replaces_comes_after_what_was_written_meanwhile() {
    for (count, text) in SIZES {
        run(async move |world| {
            let bytes = export_of_many(&world, count, text).await;
            let main = world.main().await;
            let other = world.main().await;
            import_beside(&main, &bytes, true, async || {
                other.ok(say::put(&[("000003", json!({"n": "other"})), ("new", json!({}))])).await;
            })
            .await
            .expect("it replaces");
            let again = main.reopened(&world).await;
            assert_eq!(again.ok(say::get("000003")).await[0]["n"], json!(3));
            assert_eq!(again.ok(say::count()).await, json!(count + 1));
        });
    }
}

/// SEMANTICS W12: a database that is dropped meanwhile takes nothing.
#[test]
fn a_database_that_was_dropped_meanwhile_fails_the_import() {
    for (count, text) in SIZES {
        run(async move |world| {
            let bytes = export_of_many(&world, count, text).await;
            let main = world.main().await;
            let draft = main.clone_as("draft").await;
            let other = open_in(&world.tab().await, "draft").await;
            let error = import_beside(&draft, &bytes, false, async || {
                other.0.drop_database().await.expect("it is dropped");
                main.clone_as("draft").await;
            })
            .await
            .expect_err("it is gone");
            assert_eq!(error.code(), ErrorCode::Closed, "{error}");
            assert_eq!(leftovers(&world), [""; 0]);
            assert_eq!(open_in(&world.tab().await, "draft").await.ok(say::count()).await, json!(0));
        });
    }
}

#[test]
fn a_source_that_fails_fails_the_import_and_leaves_nothing() {
    for (count, text) in SIZES {
        run(async move |world| {
            let bytes = export_of_many(&world, count, text).await;
            let main = world.main().await;
            for length in [0, 1, bytes.len() / 2, bytes.len()] {
                let mut source = Pieces::of(&bytes[..length], 9000).then_failing();
                let error = import_from(&main.0, &mut source, false).await.expect_err("the source failed");
                assert_eq!(error.code(), ErrorCode::Aborted);
                assert_eq!(leftovers(&world), [""; 0]);
                assert_eq!(main.ok(say::count()).await, json!(0));
            }
        });
    }
}

/// SEMANTICS W8: the import cannot learn if its commit was written. If it was, its rows must be there.
#[test]
fn an_import_whose_outcome_is_unknown_keeps_what_it_wrote_if_it_came() {
    for (count, text) in SIZES {
        run(async move |world| {
            let bytes = export_of_many(&world, count, text).await;
            let storage = Rc::new(Dying::new(&world.disk));
            let main =
                open_in(&world.open(storage.clone(), OpenOptions::default()).await.expect("a store"), "main").await;
            storage.arm();
            let error = try_import(&main, &bytes, false).await.expect_err("nobody knows");
            assert_eq!(error.code(), ErrorCode::StorageUnavailable, "{error}");
            let after = world.main().await;
            assert_eq!(after.ok(say::count()).await, json!(count));
            assert_eq!(export(&after).await.len(), bytes.len());
        });
    }
}

/// SEMANTICS W8: the tab dies at any piece; the runs that it wrote ahead are swept once they are too old for an import
/// that is under way.
#[test]
fn an_import_that_died_leaves_nothing_that_anybody_sees() {
    run(async |world| {
        let bytes = export_of_many(&world, 6000, 500).await;
        let total = bytes.len() / 90_000 + 1;
        for died_at in [1, total / 2, total] {
            let dying = world.main().await;
            let asked = Rc::new(Cell::new(0));
            let counted = asked.clone();
            let mut pieces = Pieces::of(&bytes, 90_000).0;
            let mut source = Made(async move |_: ImportProgress| {
                counted.set(counted.get() + 1);
                if counted.get() > died_at {
                    std::future::pending::<()>().await;
                }
                pieces.pop_front().transpose()
            });
            let mut import = Box::pin(import_from(&dying.0, &mut source, false));
            while asked.get() <= died_at {
                assert!(poll_once(&mut import).await.is_none(), "it waits");
                pause().await;
            }
            drop(import);
            let after = world.main().await;
            assert_eq!(after.ok(say::count()).await, json!(0), "died at piece {died_at}");
            world.now.set(world.now.get() + 2 * 60 * 60 * 1000);
            after.0.store().maintain().await.expect("a sweep");
            let left = leftovers(&world);
            assert!(left.iter().all(|name| !name.starts_with("run-")), "{left:?}");
        }
        let main = world.main().await;
        import(&main, &bytes).await;
        assert_eq!(main.reopened(&world).await.ok(say::count()).await, json!(6000));
    });
}

async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut polled = None;
    std::future::poll_fn(|context| {
        if let std::task::Poll::Ready(value) = std::pin::Pin::new(&mut *future).poll(context) {
            polled = Some(value);
        }
        std::task::Poll::Ready(())
    })
    .await;
    polled
}

/// A source may be slow: runs that were written ahead are not taken for abandoned while the import goes on.
#[test]
fn an_import_that_takes_hours_is_not_swept_away() {
    run(async |world| {
        let bytes = export_of_many(&world, 6000, 500).await;
        let (main, other) = (world.main().await, world.main().await);
        let mut pieces = Pieces::of(&bytes, 100_000).0;
        let mut source = Made(async |_: ImportProgress| {
            world.now.set(world.now.get() + 40 * 60 * 1000);
            other.ok(say::put(&[("beside", json!({}))])).await;
            other.0.store().maintain().await.expect("a sweep");
            pieces.pop_front().transpose()
        });
        import_from(&main.0, &mut source, true).await.expect("an import");
        assert_eq!(main.reopened(&world).await.ok(say::count()).await, json!(6001));
    });
}

/// Neither an export nor an import holds more memory for more rows. The test counts all memory of the thread but that
/// of the disk.
#[test]
fn memory_is_bounded_at_any_size() {
    const BOUND: isize = 5 * 1024 * 1024;
    run(async |world| {
        let options = || OpenOptions { cache_bytes: 512 * 1024, ..OpenOptions::default() };
        let storage = Rc::new(Watched::new(&world.disk, None));
        let written = storage.figures();
        let main = open_in(&world.open(storage, options()).await.expect("a store"), "main").await;
        let begin = (memory::live(), written.get().bytes);
        let held = || memory::live() - begin.0 - (written.get().bytes - begin.1) as isize;
        let mut made = Frames::new(50_000);
        let mut most = 0;
        let mut source = Made(async |_: ImportProgress| {
            most = most.max(held());
            Ok(made.next())
        });
        let imported = import_from(&main.0, &mut source, false).await.expect("an import");
        assert_eq!(imported.documents, 50_000);
        assert!(written.get().bytes > 3 * BOUND as usize, "there was enough of it: {}", written.get().bytes);
        assert!(most < BOUND, "an import held {most} bytes");
        let again = open_in(&world.try_tab(options()).await.expect("a store"), "main").await;
        let mut export = Rc::new(again.snapshot().await).export("main", ExportOptions::default());
        let before = memory::live();
        let (mut most, mut bytes) = (0, 0);
        while let Some(piece) = export.next().await.expect("a piece") {
            bytes += piece.len();
            most = most.max(memory::live() - before);
        }
        assert!(bytes > 3 * BOUND as usize);
        assert!(most < BOUND, "an export held {most} bytes");
    });
}

/// The frames of an export that is never whole in memory.
struct Frames {
    left: usize,
    total: usize,
    chain: Option<u64>,
    is_over: bool,
}

impl Frames {
    fn new(total: usize) -> Frames {
        Frames { left: total, total, chain: None, is_over: false }
    }

    fn framed(&mut self, body: Vec<u8>) -> Vec<u8> {
        let chain = xxhash_rust::xxh64::xxh64(&body, self.chain.expect("it has begun"));
        self.chain = Some(chain);
        [&(body.len() as u32).to_le_bytes()[..], &chain.to_le_bytes(), &body].concat()
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        if self.chain.is_none() {
            let mut frames = Vec::new();
            for (numbers, texts) in [(&[1][..], &["main", "0"][..]), (&[2], &["todos", "documents"])] {
                let mut body = Vec::new();
                pack::write_array(&mut body, if numbers == [1] { 4 } else { 3 });
                pack::write_integer(&mut body, numbers[0]);
                texts.iter().for_each(|text| pack::write_text(&mut body, text));
                if numbers == [1] {
                    pack::write_integer(&mut body, 5);
                }
                frames.push(body);
            }
            let begin = assembled(1, &frames);
            let at = begin.len() - frames[1].len() - 8;
            self.chain = Some(u64::from_le_bytes(begin[at..at + 8].try_into().expect("eight bytes")));
            return Some(begin);
        }
        if self.is_over {
            return None;
        }
        if self.left == 0 {
            self.is_over = true;
            pack::write_array(&mut body, 3);
            [4, self.total as i64, 0].iter().for_each(|number| pack::write_integer(&mut body, *number));
            return Some(self.framed(body));
        }
        let count = self.left.min(200);
        pack::write_array(&mut body, 2);
        pack::write_integer(&mut body, 3);
        pack::write_array(&mut body, count);
        for n in self.total - self.left..self.total - self.left + count {
            pack::write_array(&mut body, 2);
            pack::write_text(&mut body, &format!("{n:08}"));
            pack::write_map(&mut body, 1);
            pack::write_text(&mut body, "text");
            // Text that cannot be packed.
            let hash = |place: u64| format!("{:016x}", xxhash_rust::xxh64::xxh64(&n.to_le_bytes(), place));
            pack::write_text(&mut body, &(0..40).map(hash).collect::<String>());
        }
        self.left -= count;
        Some(self.framed(body))
    }
}
