//! Increments of two sides add up wherever both only incremented, however the clones were moved meanwhile.

use std::rc::Rc;

use offshoot::engine::{MergeOptions, MergeOutcome, OpenOptions, Policy, Resolution, Selected, When};
use serde_json::json;

use crate::support::merging::{always, merge, merge_with, only, rebase, told};
use crate::support::{Db, open_in, run, say};

fn nothing_of(id: &'static str) -> MergeOptions {
    only(move |other| if other == id { Selected::Nothing } else { Selected::All })
}

async fn n(db: &Db, id: &str) -> serde_json::Value {
    db.ok(say::get(id)).await[0]["n"].clone()
}

/// SEMANTICS C12: a field that was set and left out of a merge is not taken for the origin's by a later increment.
#[test]
fn what_was_set_and_left_out_is_not_lost_by_an_increment() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 0})), ("b", json!({"n": 0}))])).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::put(&[("a", json!({"n": 5})), ("b", json!({"n": 5}))])).await;
        merge_with(&draft, nothing_of("a")).await;
        draft.ok(say::increment("a", 1)).await;
        main.ok(say::increment("a", 10)).await;
        assert_eq!(told(&merge(&draft).await), ["field todos/a n: 0/6/10"]);
        assert_eq!(told(&rebase(&draft).await), ["field todos/a n: 0/6/10"]);
        merge_with(&draft, always(Resolution::Clone)).await;
        assert_eq!(n(&main, "a").await, json!(6));
    });
}

/// SEMANTICS C12: equal increments of a clone's clone and of the clone add up, though the clone was merged, rebased or
/// reset in between.
#[test]
fn a_clone_that_moved_goes_on_counting() {
    for moved in ["merged", "rebased", "reset"] {
        run(async |world| {
            let main = world.main().await;
            main.ok(say::insert(&[("a", json!({"n": 10}))])).await;
            let draft = main.clone_as("draft").await;
            draft.ok(say::increment("a", 1)).await;
            let inner = draft.clone_as("inner").await;
            draft.ok(say::increment("a", 1)).await;
            match moved {
                "merged" => drop(merge(&draft).await),
                "rebased" => drop(rebase(&draft).await),
                _ => drop(draft.0.reset(None).await.expect("a reset")),
            }
            let stands = n(&draft, "a").await;
            inner.ok(say::increment("a", 1)).await;
            assert_eq!(merge(&inner).await.outcome, MergeOutcome::Merged, "{moved}");
            assert_eq!(n(&draft, "a").await, json!(stands.as_i64().expect("a number") + 1), "{moved}");
        });
    }
}

/// SEMANTICS C12, C13: a rebase that brings another number into a clone sets it. The increments of a clone's clone that
/// began before are not added to that number.
#[test]
fn what_a_rebase_brought_is_no_increment() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 0}))])).await;
        let draft = main.clone_as("draft").await;
        let inner = draft.clone_as("inner").await;
        main.ok(say::put(&[("a", json!({"n": 50}))])).await;
        rebase(&draft).await;
        draft.ok(say::increment("a", 1)).await;
        rebase(&draft).await;
        inner.ok(say::increment("a", 3)).await;
        assert_eq!(told(&merge(&inner).await), ["field todos/a n: 0/3/51"]);
    });
}

/// SEMANTICS C12: a number that was set back to an earlier value below a clone is set all the same, and incremented by
/// nobody.
#[test]
fn what_was_set_back_below_is_no_increment() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 0}))])).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::increment("a", -1)).await;
        let inner = draft.clone_as("inner").await;
        merge(&draft).await;
        main.ok(say::put(&[("a", json!({"n": 0}))])).await;
        rebase(&draft).await;
        assert_eq!(n(&draft, "a").await, json!(0));
        inner.ok(say::increment("a", -1)).await;
        assert_eq!(told(&merge(&inner).await), ["field todos/a n: -1/-2/0"]);
    });
}

/// SEMANTICS C12: a write of another field below a clone leaves the count. Where history is gone such a write may have
/// set the count, so the merge tells a conflict.
#[test]
fn a_row_written_for_another_field_below_leaves_the_count() {
    for (is_written, is_pruned) in [(true, false), (false, true), (true, true)] {
        run(async |world| {
            let retain = is_pruned.then_some(0);
            let store = world.try_tab(OpenOptions { retain, ..OpenOptions::default() }).await.expect("a store");
            let main = open_in(&store, "main").await;
            main.ok(say::insert(&[("a", json!({"n": 0}))])).await;
            let draft = main.clone_as("draft").await;
            draft.ok(say::increment("a", 1)).await;
            let inner = draft.clone_as("inner").await;
            if is_written {
                main.ok(say::update("a", json!({"$set": {"m": 1}}))).await;
            }
            main.ok(say::increment("a", 10)).await;
            rebase(&draft).await;
            assert_eq!(n(&draft, "a").await, json!(11));
            inner.ok(say::increment("a", 100)).await;
            store.compact_all().await.expect("a compaction");
            let merged = merge(&inner).await;
            if is_written && is_pruned {
                assert_eq!(told(&merged), ["field todos/a n: 1/101/11"]);
            } else {
                assert_eq!(merged.outcome, MergeOutcome::Merged, "written {is_written}, pruned {is_pruned}");
                assert_eq!(n(&draft, "a").await, json!(111));
            }
        });
    }
}

/// SEMANTICS C12: an increment counts wherever it stands in its transaction.
#[test]
fn an_increment_counts_beside_other_updates_of_its_transaction() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 0}))])).await;
        let draft = main.clone_as("draft").await;
        for db in [&main, &draft] {
            db.transact(&[say::update("a", json!({"$set": {"m": 1}})), say::increment("a", 1)])
                .await
                .expect("a commit");
        }
        merge(&draft).await;
        assert_eq!(n(&main, "a").await, json!(2));
        // A transaction that sets a field and increments it then does not count on from the field's old value.
        for db in [&main, &draft] {
            db.transact(&[say::update("a", json!({"$set": {"n": 7}})), say::increment("a", 1)])
                .await
                .expect("a commit");
            db.ok(say::increment("a", 1)).await;
        }
        main.ok(say::increment("a", 1)).await;
        assert_eq!(told(&merge(&draft).await), ["field todos/a n: 2/9/10"]);
    });
}

/// SEMANTICS C12: a restore leaves alone what counts on, and a field that it leaves alone counts on.
#[test]
fn a_restore_of_other_fields_leaves_the_count() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 0, "m": 0}))])).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::increment("a", 1)).await;
        main.ok(say::increment("a", 1)).await;
        let then = main.0.version();
        main.ok(say::update("a", json!({"$set": {"m": 1}}))).await;
        main.0.restore(When::Version(then), None).await.expect("a restore");
        merge(&draft).await;
        assert_eq!(n(&main, "a").await, json!(2));
    });
}

/// SEMANTICS C15: a number that a revert takes back by choice is set, and increments from before do not add to it.
#[test]
fn a_revert_by_choice_is_no_increment() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1}))])).await;
        main.ok(say::update("a", json!({"$set": {"n": 5}}))).await;
        let set = main.0.version();
        main.ok(say::increment("a", 1)).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::increment("a", 3)).await;
        main.0.revert(&[set], &Policy::Always(Resolution::Origin), false).await.expect("a revert");
        assert_eq!(n(&main, "a").await, json!(1));
        assert_eq!(told(&merge(&draft).await), ["field todos/a n: 6/9/1"]);
    });
}

/// SEMANTICS C12: a row that was deleted on one side is settled as a whole; its increments are not added once more.
#[test]
fn a_row_that_came_back_counts_from_there() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 0}))])).await;
        let (one, two) = (main.clone_as("one").await, main.clone_as("two").await);
        for draft in [&one, &two] {
            draft.ok(say::increment("a", -1)).await;
        }
        main.ok(say::delete(&["a"])).await;
        merge_with(&one, always(Resolution::Clone)).await;
        assert_eq!(n(&main, "a").await, json!(-1));
        merge(&two).await;
        assert_eq!(n(&main, "a").await, json!(-1), "both say so");
    });
}

/// SEMANTICS W12: a transaction that increments what it wrote itself still loses to whoever wrote it meanwhile.
#[test]
fn counting_reads_are_checked() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 0}))])).await;
        let other = main.reopened(&world).await;
        let mut runs = 0;
        let body = async |transaction: Rc<offshoot::engine::OpenTransaction>, is_first: bool| {
            transaction.run(say::update("a", json!({"$set": {"m": 1}}))).await?;
            if is_first {
                other.ok(say::increment("a", 1)).await;
            }
            transaction.run(say::increment("a", 1)).await.map(drop)
        };
        main.0
            .transact(Default::default(), |transaction| {
                runs += 1;
                body(transaction, runs == 1)
            })
            .await
            .expect("it commits in the end");
        assert_eq!((runs, n(&main, "a").await), (2, json!(2)));
    });
}
