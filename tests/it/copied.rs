//! Rows that a clone copied from its origin, all or some, are no changes of its own, and count on as in the origin.

use std::cell::Cell;
use std::rc::Rc;

use offshoot::engine::{MergeOptions, MergeOutcome, OpenOptions, Select, Selected, Store};
use serde_json::{Value, json};

use crate::support::merging::{merge, rebase, told};
use crate::support::{Db, World, open_in, run, say, transfer};

/// How much of a clone is copied.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Copied {
    Nothing,
    Some,
    All,
}

async fn copy(db: &Db, copied: Copied) {
    match copied {
        Copied::Nothing => {}
        Copied::Some => drop(db.0.materialize(&|_| false).await.expect_err("it is ended")),
        Copied::All => drop(db.0.materialize(&|_| true).await.expect("all of it")),
    }
}

const ALL: [Copied; 3] = [Copied::Nothing, Copied::Some, Copied::All];

async fn n(db: &Db) -> Value {
    db.ok(say::get("a")).await[0]["n"].clone()
}

async fn begun(world: &World) -> (Db, Db) {
    let main = world.main().await;
    main.ok(say::insert(&[("a", json!({"n": 10}))])).await;
    let draft = main.clone_as("draft").await;
    (main, draft)
}

/// SEMANTICS C6, C12: equal increments add up, though one is of what was copied.
#[test]
fn increments_below_a_copy_add_up() {
    for copied in ALL {
        run(async |world| {
            let (main, draft) = begun(&world).await;
            let inner = draft.clone_as("inner").await;
            main.ok(say::increment("a", 1)).await;
            rebase(&draft).await;
            copy(&draft, copied).await;
            inner.ok(say::increment("a", 1)).await;
            assert_eq!(merge(&inner).await.outcome, MergeOutcome::Merged, "{copied:?}");
            assert_eq!(n(&draft).await, json!(12), "{copied:?}");
            draft.ok(say::increment("a", 1)).await;
            inner.ok(say::increment("a", 1)).await;
            merge(&inner).await;
            assert_eq!(n(&draft).await, json!(14), "{copied:?}");
        });
    }
}

/// SEMANTICS C6, C12: as above, of a clone's own increments before it was copied, while it was, and after.
#[test]
fn increments_over_a_copy_add_up() {
    for (copied, is_early) in ALL.into_iter().flat_map(|copied| [(copied, false), (copied, true)]) {
        run(async |world| {
            let (main, draft) = begun(&world).await;
            if is_early {
                copy(&draft, if copied == Copied::All { Copied::Some } else { copied }).await;
            }
            draft.ok(say::increment("a", 1)).await;
            let inner = draft.clone_as("inner").await;
            main.ok(say::insert(&[("b", json!({"n": 1}))])).await;
            rebase(&draft).await;
            draft.ok(say::increment("a", 1)).await;
            copy(&draft, copied).await;
            inner.ok(say::increment("a", 1)).await;
            assert_eq!(told(&merge(&inner).await), [] as [&str; 0], "{copied:?}");
            assert_eq!(n(&draft).await, json!(13), "{copied:?}");
        });
    }
}

/// SEMANTICS C8, C12: nor does a forced drop of what lies between lose any.
#[test]
fn increments_add_up_after_a_forced_drop() {
    for is_dropped in [false, true] {
        run(async |world| {
            let (_main, top) = begun(&world).await;
            let draft = top.clone_as("inside").await;
            let inner = draft.clone_as("inner").await;
            draft.ok(say::increment("a", 1)).await;
            merge(&draft).await;
            if is_dropped {
                top.0.drop_by_force(&|_| true).await.expect("it is dropped");
            }
            inner.ok(say::increment("a", 1)).await;
            merge(&inner).await;
            assert_eq!(n(&draft).await, json!(12), "dropped: {is_dropped}");
        });
    }
}

/// SEMANTICS C12: where history does not tell any more what a copy came from, equal increments are told as a conflict:
/// one of them would be lost.
#[test]
fn a_count_that_is_lost_is_told() {
    for is_held in [true, false] {
        run(async |world| {
            let options = OpenOptions { retain: (!is_held).then_some(0), ..OpenOptions::default() };
            let store: Rc<Store> = world.try_tab(options).await.expect("a store");
            let main = open_in(&store, "main").await;
            main.ok(say::insert(&[("a", json!({"n": 10}))])).await;
            let draft = main.clone_as("draft").await;
            draft.ok(say::increment("a", 1)).await;
            let inner = draft.clone_as("inner").await;
            main.ok(say::insert(&[("b", json!({"n": 1}))])).await;
            rebase(&draft).await;
            draft.ok(say::increment("a", 1)).await;
            copy(&draft, Copied::All).await;
            // One compaction cuts the history off, the next one drops it.
            for _ in 0..3 {
                draft.ok(say::put_in("others", &[("x", json!({}))])).await;
                store.compact_all().await.expect("a compaction");
            }
            inner.ok(say::increment("a", 1)).await;
            let merged = merge(&inner).await;
            if is_held {
                assert_eq!(n(&draft).await, json!(13));
            } else {
                assert_eq!(told(&merged), ["field todos/a n: 11/12/12"]);
            }
        });
    }
}

/// SEMANTICS C6, C12: a copy is no change, and what the origin does to such a row meanwhile takes nothing from a merge.
#[test]
fn a_copy_is_no_change_of_a_clone() {
    for is_copied in [false, true] {
        run(async |world| {
            let main = world.main().await;
            main.ok(say::insert(&[("a", json!({"n": 1})), ("b", json!({"n": 1}))])).await;
            let draft = main.clone_as("draft").await;
            draft.ok(say::update("a", json!({"$set": {"n": 2}}))).await;
            copy(&draft, if is_copied { Copied::Some } else { Copied::Nothing }).await;
            let (beside, runs) = (main.clone(), Rc::new(Cell::new(0)));
            let count = runs.clone();
            let select: Select = Rc::new(move |changes| {
                count.set(count.get() + 1);
                let (beside, n) = (beside.clone(), count.get());
                Box::pin(async move {
                    beside.ok(say::update("b", json!({"$set": {"n": n + 10}}))).await;
                    Ok(changes.iter().map(|_| Selected::All).collect())
                })
            });
            let merged = draft.0.merge(MergeOptions { only: Some(select), ..MergeOptions::default() }).await;
            assert_eq!(merged.expect("nothing clashes").outcome, MergeOutcome::Merged, "copied: {is_copied}");
            assert_eq!(runs.get(), 1, "copied: {is_copied}");
        });
    }
}

/// SEMANTICS C6, W10: an import goes on while the clone that it goes into is materialized.
#[test]
fn an_import_goes_on_while_its_clone_is_materialized() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1}))])).await;
        let exported = transfer::export(&main).await;
        let into = main.clone_as("draft").await;
        into.ok(say::delete(&["a"])).await;
        let (draft, mut step) = (into.clone(), 0);
        let mut source = transfer::Made(async |_| {
            step += 1;
            if step == 2 {
                draft.0.materialize(&|_| true).await?;
            }
            let half = exported.len() / 2;
            Ok(match step {
                1 => Some(exported[..half].to_vec()),
                2 => Some(exported[half..].to_vec()),
                _ => None,
            })
        });
        let imported = transfer::import_from(&into.0, &mut source, false).await.expect("an import");
        assert_eq!(imported.documents, 1);
        assert_eq!(n(&into).await, json!(1));
    });
}
