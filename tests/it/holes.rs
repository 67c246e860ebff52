//! Holes that a second look at merging has found, each closed.

use std::rc::Rc;

use offshoot::engine::{MergeOptions, Progress, Selected, Side, Store, When};
use offshoot::error::ErrorCode;
use offshoot::storage::{ListRange, Space};
use offshoot::types::DatabaseName;
use serde_json::{Value, json};

use crate::materialize::{eager, fill, id};
use crate::support::merging::merge;
use crate::support::{Db, open_in, pause, run, say};

async fn put_all(db: &Db, n: usize, mark: &str) {
    let rows: Vec<(String, Value)> =
        (0..n).map(|k| (id(k), json!({"m": mark, "n": k, "t": "x".repeat(400)}))).collect();
    for part in rows.chunks(400) {
        let part: Vec<(&str, Value)> = part.iter().map(|(id, row)| (&id[..], row.clone())).collect();
        db.ok(say::put(&part)).await;
    }
}

fn noise(k: usize, n: usize) -> String {
    let mut x = k as u64 * 7919 + 12345;
    (0..n)
        .map(|_| {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            char::from(b'!' + ((x >> 33) % 90) as u8)
        })
        .collect()
}

/// SEMANTICS C11, C15: large commits that wrote the same rows leave none of them out of a diff or a restore.
#[test]
fn rows_that_two_large_commits_wrote_are_all_found() {
    run(async |world| {
        let main = world.main().await;
        put_all(&main, 2000, "a").await;
        let before = main.0.version();
        let snap = main.snapshot().await;
        let draft = main.clone_as("draft").await;
        for mark in ["b", "c"] {
            put_all(&draft, 2000, mark).await;
            assert_eq!(merge(&draft).await.updated, 2000);
        }
        let changes = main.0.diff(Side::Snapshot(&snap)).await.unwrap();
        main.0.restore(When::Version(before), None).await.expect("a restore");
        let found = main
            .ok(say::get_many(&(0..2000).map(id).collect::<Vec<_>>().iter().map(|s| &s[..]).collect::<Vec<_>>()))
            .await;
        let wrong = found.as_array().unwrap().iter().filter(|row| row.to_string().contains("\"m\":\"c\"")).count();
        assert_eq!((changes.len(), wrong), (2000, 0));
    });
}

async fn half_materialize(draft: &Db) {
    draft.0.materialize(&|progress: Progress| progress.rows_done < 1500).await.unwrap_err();
}

/// A row of the clone's that is deleted does not come back, however often everything is merged.
async fn stays_deleted(store: &Rc<Store>, main: &Db, draft: &Db) {
    draft.ok(say::delete(&["00001"])).await;
    assert_eq!(draft.ok(say::get("00001")).await, Value::Null);
    for _ in 0..3 {
        store.compact_all().await.unwrap();
        main.ok(say::put(&[("other", json!({}))])).await;
    }
    assert_eq!(draft.ok(say::get("00001")).await, Value::Null, "resurrected");
}

/// SEMANTICS W4, C6: a row that a materialization copied is no insert of the clone's, also once a restore copied its
/// layer.
#[test]
fn a_restored_clone_takes_no_copies_for_its_own() {
    run(async |world| {
        let store = eager(&world).await;
        let main = open_in(&store, "main").await;
        fill(&main, 0, 2000).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::put(&[("zzz", json!({}))])).await;
        half_materialize(&draft).await;
        let then = draft.0.version();
        draft.0.reset(None).await.unwrap();
        draft.0.restore(When::Version(then), None).await.expect("a restore");
        stays_deleted(&store, &main, &draft).await;
    });
}

/// SEMANTICS W4, C6: nor where an import replaces it.
#[test]
fn an_import_takes_no_copies_for_its_own() {
    run(async |world| {
        let store = eager(&world).await;
        let main = open_in(&store, "main").await;
        fill(&main, 0, 2000).await;
        let bytes = crate::support::transfer::export(&main).await;
        let draft = main.clone_as("draft").await;
        half_materialize(&draft).await;
        crate::support::transfer::try_import(&draft, &bytes, true).await.unwrap();
        stays_deleted(&store, &main, &draft).await;
    });
}

/// SEMANTICS C12, R6: a point that was named is held while it is merged, however long a selection takes.
#[test]
fn what_was_reviewed_is_merged_whole_or_not_at_all() {
    run(async |world| {
        let store = eager(&world).await;
        let main = open_in(&store, "main").await;
        main.ok(say::put(&[("seed", json!({}))])).await;
        let draft = main.clone_as("draft").await;
        fill(&draft, 0, 1000).await;
        let then = draft.0.version();
        for part in 0..2 {
            let rows: Vec<(String, Value)> =
                (part * 500..part * 500 + 500).map(|k| (id(k), json!({"later": k}))).collect();
            let rows: Vec<(&str, Value)> = rows.iter().map(|(a, b)| (&a[..], b.clone())).collect();
            draft.ok(say::put(&rows)).await;
        }
        let st = store.clone();
        let only: offshoot::engine::Select = Rc::new(move |changes| {
            let st = st.clone();
            Box::pin(async move {
                st.compact_all().await.unwrap();
                Ok(vec![Selected::All; changes.len()])
            })
        });
        let report = draft
            .0
            .merge(MergeOptions { at: Some(When::Version(then)), only: Some(only), ..MergeOptions::default() })
            .await;
        match report {
            Ok(report) => {
                assert_eq!(report.inserted, 1000);
            }
            Err(error) => eprintln!("refused: {error:?}"),
        }
    });
}

/// SEMANTICS C12: runs that were written ahead are given up after an hour. They leave nothing behind, and the policy is
/// not asked again.
#[test]
fn a_policy_may_take_hours() {
    let found = [false, true].map(|sweeps| {
        let out = Rc::new(std::cell::Cell::new((0, 0)));
        let told = out.clone();
        run(async move |world| {
            let main = world.main().await;
            let put = async |db: &Db, mark: usize| {
                let rows: Vec<(String, Value)> =
                    (0..2000).map(|k| (id(k), json!({"m": mark, "t": noise(k + mark * 10000, 1000)}))).collect();
                for part in rows.chunks(300) {
                    let part: Vec<(&str, Value)> = part.iter().map(|(id, row)| (&id[..], row.clone())).collect();
                    db.ok(say::put(&part)).await;
                }
            };
            put(&main, 1).await;
            let draft = main.clone_as("draft").await;
            put(&draft, 2).await;
            main.ok(say::update(&id(1500), json!({"$set": {"m": "z"}}))).await;
            let other = world.tab().await;
            let now = world.now.clone();
            let asked = Rc::new(std::cell::Cell::new(0));
            let count = asked.clone();
            let policy = offshoot::engine::Policy::Ask(Rc::new(move |conflicts| {
                let (other, now, count) = (other.clone(), now.clone(), count.clone());
                Box::pin(async move {
                    count.set(count.get() + 1);
                    if sweeps && count.get() < 3 {
                        now.set(now.get() + 2 * 60 * 60 * 1000);
                        other.compact_all().await.unwrap();
                    }
                    Ok(vec![offshoot::engine::Resolution::Clone; conflicts.len()])
                })
            }));
            draft.0.merge(MergeOptions { policy, ..MergeOptions::default() }).await.expect("a merge");
            let list = |space| {
                world.disk.list(space, &offshoot::storage::ListRange { limit: usize::MAX, ..Default::default() })
            };
            main.0.store().compact_all().await.unwrap();
            world.now.set(world.now.get() + 3 * 60 * 60 * 1000);
            main.0.store().compact_all().await.unwrap();
            let mut runs: Vec<String> = list(offshoot::storage::Space::Blocks)
                .iter()
                .map(|(n, _)| n.split('-').next().unwrap().to_string())
                .collect();
            runs.dedup();
            told.set((asked.get(), runs.len()));
        });
        out.get()
    });
    assert_eq!(found[0], found[1], "asked, runs with blocks: without and with sweeps");
}

/// SEMANTICS C13: a name that holds documents in the clone and entries in its origin cannot be rebased.
#[test]
fn a_rebase_does_not_mix_two_kinds() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 0}))])).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::insert_in("late", &[("x", json!({}))])).await;
        main.ok(match say::kv_set("k", json!(1)) {
            offshoot::engine::Op::EntrySet { entries, condition, .. } => {
                offshoot::engine::Op::EntrySet { collection: say::collection("late"), entries, condition }
            }
            _ => unreachable!(),
        })
        .await;
        let refused = draft.0.rebase(Default::default()).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::WrongKind);
        let bytes = crate::support::transfer::export(&draft).await;
        let elsewhere = world.elsewhere().main().await;
        crate::support::transfer::try_import(&elsewhere, &bytes, false).await.expect("an import");
    });
}

/// SEMANTICS W12: transactions that lost twice do not wait for a merge that asks its caller.
#[test]
fn nobody_waits_for_a_policy() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 0})), ("b", json!({"n": 0}))])).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::put(&[("a", json!({"n": 1}))])).await;
        main.ok(say::put(&[("a", json!({"n": 2}))])).await;
        let asked = Rc::new(std::cell::Cell::new(0));
        let stuck = Rc::new(std::cell::Cell::new(false));
        let (w, m, count, st) = (world.clone(), main.0.clone(), asked.clone(), stuck.clone());
        let policy = offshoot::engine::Policy::Ask(Rc::new(move |conflicts| {
            let (w, m, count, st) = (w.clone(), m.clone(), count.clone(), st.clone());
            Box::pin(async move {
                count.set(count.get() + 1);
                let main = Db(m);
                if count.get() < 3 {
                    // Somebody else is faster, twice.
                    main.ok(say::put(&[("a", json!({"n": 2 + count.get()}))])).await;
                } else {
                    // A transaction elsewhere in the app loses twice while a person thinks.
                    let done = Rc::new(std::cell::Cell::new(false));
                    let (flag, main) = (done.clone(), main.0.clone());
                    w.spawn(async move {
                        let tries = std::cell::Cell::new(0);
                        let db = &main;
                        let tries = &tries;
                        let ended = db
                            .transact(Default::default(), |tx| async move {
                                tries.set(tries.get() + 1);
                                tx.run(say::get("b")).await?;
                                if tries.get() < 3 {
                                    Db(db.clone()).ok(say::increment("b", 1)).await;
                                }
                                tx.run(say::put(&[("c", json!({}))])).await
                            })
                            .await;
                        assert!(ended.is_ok());
                        flag.set(true);
                    });
                    for _ in 0..20000 {
                        pause().await;
                    }
                    st.set(!done.get());
                }
                Ok(vec![offshoot::engine::Resolution::Clone; conflicts.len()])
            })
        }));
        draft.0.merge(MergeOptions { policy, ..MergeOptions::default() }).await.expect("a merge");
        assert!(!stuck.get(), "a transaction waits until the policy has answered");
    });
}

/// A restore that its name for the present stops takes back what it wrote ahead.
#[test]
fn a_restore_that_is_refused_leaves_nothing_written() {
    run(async |world| {
        let main = world.main().await;
        put_all(&main, 2000, "a").await;
        let then = main.0.version();
        put_all(&main, 2000, "b").await;
        main.clone_as("taken").await;
        let keep = DatabaseName::new("taken").expect("a name");
        let refused = main.0.restore(When::Version(then), Some(keep)).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::DatabaseExists);
        let all = ListRange { limit: usize::MAX, ..ListRange::default() };
        let jobs = world.disk.list(Space::Jobs, &all);
        assert!(jobs.iter().all(|(name, _)| !name.starts_with("run-")), "{jobs:?}");
    });
}
