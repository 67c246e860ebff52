//! Going back: resetting a clone, undoing commits, restoring a past.

use offshoot::engine::{MergeOptions, MergeOutcome, MergeReport, Policy, Resolution, Selected, When};
use offshoot::error::ErrorCode;
use offshoot::types::{DatabaseName, Lsn};
use serde_json::{Value, json};

use crate::support::merging::{changed, select};
use crate::support::place::in_clones;
use crate::support::{Db, open_in, run, say};

async fn revert(db: &Db, commits: &[Lsn]) -> MergeReport {
    db.0.revert(commits, &Policy::default(), false).await.expect("a revert")
}

async fn restore(db: &Db, lsn: Lsn) {
    db.0.restore(When::Version(lsn), None).await.expect("a restore");
}

/// SEMANTICS C13, W12: a reset clone reads as its origin where it began, also after a restart; a snapshot and a clone
/// of it from before the reset read on.
#[test]
fn a_reset_forgets_the_clones_own_changes() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1})), ("b", json!({"n": 1}))])).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::increment("a", 1)).await;
        draft.ok(say::delete(&["b"])).await;
        draft.ok(say::insert_in("mine", &[("x", json!({}))])).await;
        main.ok(say::increment("a", 10)).await;
        let (before, grandchild) = (draft.snapshot().await, draft.clone_as("grandchild").await);
        let changed_then = json!([["a", {"n": 2}]]);
        draft.0.reset(None).await.expect("a reset");
        let expected = json!([["a", {"n": 1}], ["b", {"n": 1}]]);
        assert_eq!(draft.ok(say::find()).await, expected);
        assert_eq!(draft.reopened(&world).await.ok(say::find()).await, expected);
        assert_eq!(draft.0.collections().await.expect("collections").len(), 1);
        assert_eq!(changed(&draft).await, [] as [&str; 0]);
        assert_eq!(crate::support::read(&before, say::find()).await, changed_then);
        assert_eq!(grandchild.ok(say::find()).await, changed_then);
        assert_eq!(main.0.reset(None).await.unwrap_err().code(), ErrorCode::NotAClone);
    });
}

/// SEMANTICS C13: a reset of a selection, by row and by field.
#[test]
fn a_selection_is_reset() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1, "m": 1})), ("b", json!({"n": 1})), ("c", json!({}))])).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::put(&[("a", json!({"n": 2, "m": 2})), ("b", json!({"n": 2}))])).await;
        draft.ok(say::delete(&["c"])).await;
        draft.ok(say::insert(&[("d", json!({}))])).await;
        let choose = select(|id| match id {
            "a" => Selected::Fields(vec!["m".to_string()]),
            "b" | "d" => Selected::All,
            _ => Selected::Nothing,
        });
        draft.0.reset(Some(choose)).await.expect("a reset");
        let expected = json!([["a", {"n": 2, "m": 1}], ["b", {"n": 1}]]);
        assert_eq!(draft.ok(say::find()).await, expected);
        assert_eq!(changed(&draft).await, ["a", "c"]);
        let version = draft.0.version();
        draft.0.reset(Some(select(|_| Selected::Nothing))).await.expect("nothing to do");
        assert_eq!(draft.0.version(), version);
        assert_eq!(draft.0.merge(MergeOptions::default()).await.expect("a merge").outcome, MergeOutcome::Merged);
        assert_eq!(main.ok(say::find()).await, expected);
    });
}

/// SEMANTICS C15: a commit is undone and what came later stays; undoing that does it again. In roots and in clones.
#[test]
fn a_commit_is_undone_beside_what_came_later() {
    let rows = [("a", json!({"n": 1, "m": 1})), ("b", json!({"n": 1})), ("c", json!({"n": 1}))];
    in_clones(&[say::insert(&rows)], async |place| {
        let db = place.db();
        db.transact(&[
            say::update("a", json!({"$set": {"n": 2}})),
            say::delete(&["b"]),
            say::insert(&[("d", json!({}))]),
            say::increment("c", 5),
        ])
        .await
        .expect("a commit");
        let undone = db.0.version();
        db.ok(say::update("a", json!({"$set": {"m": 9}}))).await;
        db.ok(say::increment("c", 100)).await;
        let report = revert(db, &[undone]).await;
        assert_eq!((report.inserted, report.updated, report.deleted), (1, 2, 1));
        let without = json!([["a", {"n": 1, "m": 9}], ["b", {"n": 1}], ["c", {"n": 101}]]);
        assert_eq!(db.ok(say::find()).await, without);
        let again = revert(db, &[report.version]).await;
        assert_eq!(again.outcome, MergeOutcome::Merged);
        let with = json!([["a", {"n": 2, "m": 9}], ["c", {"n": 106}], ["d", {}]]);
        assert_eq!(db.reopened(&place.world).await.ok(say::find()).await, with);
        revert(db, &[again.version]).await;
        assert_eq!(db.ok(say::find()).await, without);
    });
}

/// SEMANTICS C15: a revert of a commit that is undone already, or whose conflicts are all left as they are, makes no
/// commit: a redo would take that commit for its own.
#[test]
fn a_revert_that_changes_nothing_is_no_commit() {
    in_clones(&[say::insert(&[("a", json!({"n": 1})), ("b", json!({}))])], async |place| {
        let db = place.db();
        db.transact(&[
            say::update("a", json!({"$set": {"n": 2}})),
            say::delete(&["b"]),
            say::insert(&[("c", json!({}))]),
        ])
        .await
        .expect("a commit");
        let undone = db.0.version();
        revert(db, &[undone]).await;
        db.ok(say::insert(&[("d", json!({}))])).await;
        let version = db.0.version();
        for is_dry in [true, false] {
            let nothing = db.0.revert(&[undone], &Policy::default(), is_dry).await.expect("a revert");
            assert_eq!((nothing.outcome, nothing.version), (MergeOutcome::Nothing, version));
        }
        db.ok(say::update("a", json!({"$set": {"n": 3}}))).await;
        let version = db.0.version();
        let present = Policy::Always(Resolution::Clone);
        let left = db.0.revert(&[undone], &present, false).await.expect("a revert");
        assert_eq!((left.outcome, left.conflicts.len(), left.version), (MergeOutcome::Nothing, 1, version));
        assert_eq!(db.0.version(), version);
    });
}

/// SEMANTICS C15: several commits at once, the newest first, whatever their order; a commit of another database is
/// nothing to undo.
#[test]
fn several_commits_are_undone_together() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 0, "m": 0}))])).await;
        let mut commits = Vec::new();
        for round in 1..=4 {
            main.ok(say::update("a", json!({"$set": {"n": round}, "$inc": {"m": 1}}))).await;
            commits.push(main.0.version());
        }
        let draft = main.clone_as("draft").await;
        draft.ok(say::insert(&[("x", json!({}))])).await;
        let elsewhere = draft.0.version();
        assert_eq!(revert(&main, &[elsewhere]).await.outcome, MergeOutcome::Nothing);
        revert(&main, &[commits[1], commits[3], commits[2], commits[3]]).await;
        assert_eq!(main.ok(say::get("a")).await, json!([{"n": 1, "m": 1}]));
        let report = revert(&main, &[commits[3]]).await;
        assert_eq!(report.outcome, MergeOutcome::Conflict, "what it set is not there any more");
        assert_eq!(main.ok(say::get("a")).await, json!([{"n": 1, "m": 1}]));
        let origin = Policy::Always(Resolution::Origin);
        let report = main.0.revert(&[commits[3]], &origin, true).await.expect("a dry run");
        assert_eq!((report.outcome, report.conflicts.len()), (MergeOutcome::Merged, 1));
        main.0.revert(&[commits[3]], &origin, false).await.expect("a revert");
        assert_eq!(main.ok(say::get("a")).await[0]["n"], json!(3));
    });
}

/// SEMANTICS C15: merges and rebases are commits too, and can be undone.
#[test]
fn a_merge_can_be_undone_in_its_origin() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1})), ("b", json!({"n": 1}))])).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::put(&[("a", json!({"n": 2}))])).await;
        let merged = draft.0.merge(MergeOptions::default()).await.expect("a merge").version;
        main.ok(say::put(&[("b", json!({"n": 5}))])).await;
        revert(&main, &[merged]).await;
        assert_eq!(main.ok(say::find()).await, json!([["a", {"n": 1}], ["b", {"n": 5}]]));
        assert_eq!(draft.ok(say::find()).await, json!([["a", {"n": 2}], ["b", {"n": 1}]]), "as it was merged");
        draft.0.rebase(Default::default()).await.expect("a rebase");
        assert_eq!(draft.ok(say::find()).await, json!([["a", {"n": 1}], ["b", {"n": 5}]]));
        let early = main.0.revert(&[Lsn(1)], &Policy::default(), false).await.unwrap_err();
        assert_eq!(early.code(), ErrorCode::InvalidOption, "the commit that made it");
    });
}

/// The present becomes equal to a past in one commit, which is undone as any; `keep_as` keeps what was there.
#[test]
fn a_restore_makes_the_present_equal_a_past() {
    let rows = [("a", json!({"n": 1})), ("b", json!({"n": 1})), ("c", json!({"n": 1}))];
    in_clones(&[say::insert(&rows), say::kv_set("k", json!(1))], async |place| {
        let db = place.db();
        db.ok(say::update("a", json!({"$set": {"n": 2}}))).await;
        let (then, before) = (db.0.version(), db.ok(say::find()).await);
        db.ok(say::put(&[("a", json!({"n": 3})), ("d", json!({}))])).await;
        db.ok(say::delete(&["b"])).await;
        db.ok(say::kv_delete(&["k"])).await;
        db.ok(say::insert_in("later", &[("x", json!({}))])).await;
        let (present, now) = (db.0.version(), db.ok(say::find()).await);
        let keep = DatabaseName::new("kept").expect("a name");
        db.0.restore(When::Version(then), Some(keep.clone())).await.expect("a restore");
        assert_eq!(db.0.version(), present.next(), "one commit");
        let kept = open_in(db.0.store(), "kept").await;
        for (db, expected, entry) in [(db, &before, json!([1])), (&kept, &now, Value::Null)] {
            for db in [db, &db.reopened(&place.world).await] {
                assert_eq!(db.ok(say::find()).await, *expected);
                assert_eq!(db.ok(say::kv_get("k")).await, entry);
            }
        }
        assert!(db.0.collections().await.expect("collections").iter().all(|found| found.name != "later"));
        restore(db, present).await;
        assert_eq!(db.ok(say::find()).await, now);
        assert_eq!(db.ok(say::find_in("later")).await, json!([["x", {}]]));
        let version = db.0.version();
        restore(db, version).await;
        assert_eq!(db.0.version(), version, "nothing to do");
        let taken = db.0.restore(When::Version(then), Some(keep)).await.unwrap_err();
        assert_eq!(taken.code(), ErrorCode::DatabaseExists);
        assert_eq!(db.ok(say::find()).await, now, "nothing of it was done");
    });
}

/// A clone that was merged, rebased or reset since is restored with the link that it had: its changes are those that
/// were its changes then, and no others.
#[test]
fn a_restored_clone_stands_where_it_stood() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1})), ("b", json!({"n": 1}))])).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::put(&[("a", json!({"n": 2}))])).await;
        let (then, rows) = (draft.0.version(), draft.ok(say::find()).await);
        main.ok(say::put(&[("b", json!({"n": 3}))])).await;
        for step in 0..3 {
            match step {
                0 => drop(draft.0.rebase(Default::default()).await.expect("a rebase")),
                1 => drop(draft.0.reset(None).await.expect("a reset")),
                _ => drop(draft.0.merge(MergeOptions::default()).await.expect("a merge")),
            }
            draft.ok(say::insert(&[("later", json!({}))])).await;
            restore(&draft, then).await;
            assert_eq!(draft.ok(say::find()).await, rows);
            assert_eq!(changed(&draft).await, ["a"], "step {step}");
        }
        draft.0.merge(MergeOptions::default()).await.expect("a merge");
        assert_eq!(main.ok(say::find()).await, json!([["a", {"n": 2}], ["b", {"n": 3}]]));
        let early = draft.0.restore(When::Version(Lsn(1)), None).await.unwrap_err();
        assert_eq!(early.code(), ErrorCode::InvalidOption, "it did not exist");
    });
}

/// SEMANTICS C13: rows that a clone keeps over an origin that lost their collection bring it.
#[test]
fn what_a_rebase_keeps_is_in_a_collection() {
    run(async |world| {
        let main = world.main().await;
        let empty = main.0.version();
        main.ok(say::insert(&[("a", json!({"n": 1}))])).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::put(&[("a", json!({"n": 2}))])).await;
        restore(&main, empty).await;
        let policy = Policy::Always(Resolution::Clone);
        draft.0.rebase(offshoot::engine::RebaseOptions { policy, ..Default::default() }).await.expect("a rebase");
        assert_eq!(draft.ok(say::find()).await, json!([["a", {"n": 2}]]));
        assert_eq!(draft.0.collections().await.expect("a list").len(), 1);
        assert_eq!(draft.code(say::kv_list_in("todos", false)).await, ErrorCode::WrongKind);
    });
}
