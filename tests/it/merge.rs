//! A clone's changes into its origin, and its origin's into a clone.

use std::cell::RefCell;
use std::rc::Rc;

use offshoot::engine::{MergeOptions, MergeOutcome, Policy, RebaseOptions, Resolution, When};
use offshoot::error::{ErrorCode, Result};
use offshoot::types::key::read_id;
use serde_json::{Value, json};

use crate::support::merging::{always, changed, counts, merge, merge_with, rebase, told};
use crate::support::{pack, pause, run, say, unpack};

/// SEMANTICS C12: inserts, updates, deletes and entries go over in one commit, beside what the origin did; afterwards
/// the clone has no changes, and stands on the origin as merged.
#[test]
fn a_merge_brings_a_clones_changes_into_its_origin() {
    run(async |world| {
        let main = world.main().await;
        let rows = [("a", json!({"n": 1, "m": 1})), ("b", json!({"n": 1})), ("c", json!({"n": 1}))];
        main.ok(say::insert(&rows)).await;
        main.ok(say::kv_set_many(&rows)).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::update("a", json!({"$set": {"n": 2}}))).await;
        draft.ok(say::delete(&["b"])).await;
        draft.ok(say::insert(&[("d", json!({"n": 4}))])).await;
        draft.ok(say::kv_set("a", json!("text"))).await;
        draft.ok(say::insert_in("other", &[("x", json!({"new": true}))])).await;
        main.ok(say::update("a", json!({"$set": {"m": 2}}))).await;
        main.ok(say::insert(&[("e", json!({"n": 5}))])).await;
        let before = main.0.version();
        let report = merge(&draft).await;
        assert_eq!((report.outcome, counts(&report)), (MergeOutcome::Merged, (2, 2, 1)));
        assert_eq!(report.version, before.next(), "one commit");
        let expected = json!([
            ["a", {"n": 2, "m": 2}], ["c", {"n": 1}], ["d", {"n": 4}], ["e", {"n": 5}]
        ]);
        for db in [&main, &draft, &main.reopened(&world).await, &draft.reopened(&world).await] {
            assert_eq!(db.ok(say::find()).await, expected);
            assert_eq!(db.ok(say::kv_get("a")).await, json!(["text"]));
            assert_eq!(db.ok(say::find_in("other")).await, json!([["x", {"new": true}]]));
        }
        assert_eq!(changed(&draft).await, [] as [&str; 0]);
        assert_eq!(merge(&draft).await.outcome, MergeOutcome::Nothing);
        assert_eq!(draft.0.version(), report.version, "nothing was committed for nothing");
        assert_eq!(main.0.merge(MergeOptions::default()).await.unwrap_err().code(), ErrorCode::NotAClone);
    });
}

/// SEMANTICS C12: without a policy conflicts stop it with nothing written; each is told with its three sides.
#[test]
fn conflicts_are_all_told_and_nothing_is_written() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1, "o": {"x": 1, "y": 1}})), ("b", json!({"n": 1}))])).await;
        main.ok(say::kv_set("k", json!(1))).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::update("a", json!({"$set": {"n": 2, "o.x": 2}}))).await;
        draft.ok(say::delete(&["b"])).await;
        draft.ok(say::kv_set("k", json!(2))).await;
        draft.ok(say::insert(&[("c", json!({"n": 1}))])).await;
        main.ok(say::update("a", json!({"$set": {"n": 3, "o.y": 3}}))).await;
        main.ok(say::update("b", json!({"$set": {"n": 9}}))).await;
        main.ok(say::kv_set("k", json!(3))).await;
        let version = main.0.version();
        let expected = ["row kv/k : 1/2/3", "field todos/a n: 1/2/3", "row todos/b : {\"n\":1}/-/{\"n\":9}"];
        for options in [MergeOptions::default(), MergeOptions { dry_run: true, ..MergeOptions::default() }] {
            let report = merge_with(&draft, options).await;
            assert_eq!((report.outcome, told(&report)), (MergeOutcome::Conflict, expected.map(String::from).to_vec()));
            assert_eq!(main.0.version(), version);
        }
        let dry = merge_with(&draft, MergeOptions { dry_run: true, ..always(Resolution::Clone) }).await;
        assert_eq!((dry.outcome, counts(&dry), dry.conflicts.len()), (MergeOutcome::Merged, (1, 2, 1), 3));
        assert_eq!(main.0.version(), version, "a dry run writes nothing");
        let report = merge_with(&draft, always(Resolution::Clone)).await;
        assert_eq!((report.outcome, report.conflicts), (dry.outcome, dry.conflicts));
        assert_eq!(main.ok(say::get("a")).await, json!([{"n": 2, "o": {"x": 2, "y": 3}}]));
        assert_eq!(main.ok(say::get("b")).await, Value::Null);
        assert_eq!(main.ok(say::kv_get("k")).await, json!([2]));
    });
}

/// SEMANTICS C12: a policy is a side, a value or a function, which may wait for anything.
#[test]
fn a_policy_settles_conflicts() {
    let outcome = |options: fn() -> MergeOptions| {
        let found = Rc::new(RefCell::new(Value::Null));
        let out = found.clone();
        run(async move |world| {
            let main = world.main().await;
            main.ok(say::insert(&[("a", json!({"n": 1})), ("b", json!({"n": 1}))])).await;
            let draft = main.clone_as("draft").await;
            draft.ok(say::put(&[("a", json!({"n": 2})), ("b", json!({"n": 2}))])).await;
            main.ok(say::put(&[("a", json!({"n": 3})), ("b", json!({"n": 3}))])).await;
            merge_with(&draft, options()).await;
            assert_eq!(main.ok(say::find()).await, draft.ok(say::find()).await);
            out.replace(main.ok(say::find()).await);
        });
        found.take()
    };
    assert_eq!(outcome(|| always(Resolution::Clone)), json!([["a", {"n": 2}], ["b", {"n": 2}]]));
    assert_eq!(outcome(|| always(Resolution::Origin)), json!([["a", {"n": 3}], ["b", {"n": 3}]]));
    let seven = || always(Resolution::Value(Some(pack(&json!(7)).into())));
    assert_eq!(outcome(seven), json!([["a", {"n": 7}], ["b", {"n": 7}]]));
    assert_eq!(outcome(|| always(Resolution::Value(None))), json!([["a", {}], ["b", {}]]));
    let asked = || MergeOptions {
        policy: Policy::Ask(Rc::new(|conflicts| {
            Box::pin(async move {
                pause().await;
                let is_a = |key: &[u8]| read_id(key).as_deref() == Some("a");
                Ok(conflicts
                    .iter()
                    .map(|conflict| if is_a(&conflict.key) { Resolution::Clone } else { Resolution::Origin })
                    .collect())
            })
        })),
        ..MergeOptions::default()
    };
    assert_eq!(outcome(asked), json!([["a", {"n": 2}], ["b", {"n": 3}]]));
}

/// SEMANTICS C12: increments of both sides add up, also when they are equal; a field that one side set does not.
#[test]
fn increments_of_both_sides_add_up() {
    run(async |world| {
        let main = world.main().await;
        let rows = ["a", "b", "c", "d", "e"].map(|id| (id, json!({"n": 10, "m": 1})));
        main.ok(say::insert(&rows)).await;
        main.ok(say::increment("a", 5)).await;
        let draft = main.clone_as("draft").await;
        for db in [&main, &draft] {
            for id in ["a", "b", "c", "d"] {
                db.ok(say::increment(id, 1)).await;
            }
            db.ok(say::increment("a", 2)).await;
            db.ok(say::update("e", json!({"$inc": {"fresh": 4}}))).await;
        }
        main.ok(say::update("c", json!({"$set": {"n": 50}}))).await;
        main.ok(say::increment("c", 1)).await;
        draft.ok(say::update("d", json!({"$set": {"m": 2}}))).await;
        let report = merge(&draft).await;
        assert_eq!(told(&report), ["field todos/c n: 10/11/51"]);
        let report = merge_with(&draft, always(Resolution::Origin)).await;
        assert_eq!(report.outcome, MergeOutcome::Merged);
        let expected = [("a", 21), ("b", 12), ("c", 51), ("d", 12)];
        for (id, n) in expected {
            assert_eq!(main.ok(say::get(id)).await[0]["n"], json!(n), "{id}");
        }
        assert_eq!(main.ok(say::get("e")).await[0]["fresh"], json!(8));
        // The increments that were merged before are not added again.
        draft.ok(say::increment("a", 100)).await;
        main.ok(say::increment("a", 1000)).await;
        merge(&draft).await;
        assert_eq!(main.ok(say::get("a")).await[0]["n"], json!(1121));
    });
}

/// SEMANTICS C12: three clones of one point that all count: their merges add up one after the other.
#[test]
fn increments_of_many_clones_add_up() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 0}))])).await;
        let mut drafts = Vec::new();
        for name in ["x", "y", "z"] {
            drafts.push(main.clone_as(name).await);
        }
        for (draft, by) in drafts.iter().zip([1, 10, 100]) {
            draft.ok(say::increment("a", by)).await;
        }
        for draft in &drafts {
            assert_eq!(merge(draft).await.outcome, MergeOutcome::Merged);
        }
        assert_eq!(main.ok(say::get("a")).await, json!([{"n": 111}]));
    });
}

/// SEMANTICS C12: ten times merged, edited and merged again, with rebases in between, it never meets its own merges.
#[test]
fn a_clone_can_be_merged_again_and_again() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 0, "theirs": 0})), ("b", json!({"n": 0}))])).await;
        let draft = main.clone_as("draft").await;
        for round in 1..=10 {
            draft.ok(say::update("a", json!({"$set": {"n": round}}))).await;
            draft.ok(say::put(&[("b", json!({"n": round * 2}))])).await;
            main.ok(say::update("a", json!({"$set": {"theirs": round}}))).await;
            if round % 3 == 0 {
                assert_eq!(rebase(&draft).await.outcome, MergeOutcome::Merged);
                assert_eq!(draft.ok(say::get("a")).await, json!([{"n": round, "theirs": round}]));
                assert_eq!(changed(&draft).await, ["a", "b"]);
            }
            let report = merge(&draft).await;
            assert_eq!((report.outcome, counts(&report), report.conflicts.len()), (MergeOutcome::Merged, (0, 2, 0), 0));
            for db in [&main, &draft] {
                assert_eq!(db.ok(say::get("a")).await, json!([{"n": round, "theirs": round}]));
                assert_eq!(db.ok(say::get("b")).await, json!([{"n": round * 2}]));
            }
        }
    });
}

/// SEMANTICS C13: a rebase takes the origin's present under the clone's own changes.
#[test]
fn a_rebase_moves_a_clone_onto_its_origins_present() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1, "m": 1})), ("b", json!({"n": 1})), ("c", json!({}))])).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::update("a", json!({"$set": {"n": 2}}))).await;
        draft.ok(say::insert(&[("mine", json!({}))])).await;
        let before = draft.snapshot().await;
        main.ok(say::update("a", json!({"$set": {"m": 2}}))).await;
        main.ok(say::delete(&["b"])).await;
        main.ok(say::insert(&[("theirs", json!({}))])).await;
        let grandchild = draft.clone_as("grandchild").await;
        assert_eq!(rebase(&draft).await.outcome, MergeOutcome::Merged);
        let expected = json!([["a", {"n": 2, "m": 2}], ["c", {}], ["mine", {}], ["theirs", {}]]);
        let old = json!([["a", {"n": 2, "m": 1}], ["b", {"n": 1}], ["c", {}], ["mine", {}]]);
        assert_eq!(draft.ok(say::find()).await, expected);
        assert_eq!(draft.reopened(&world).await.ok(say::find()).await, expected);
        assert_eq!(grandchild.ok(say::find()).await, old, "whoever reads the clone as it was goes on");
        assert_eq!(crate::support::read(&before, say::find()).await, old);
        assert_eq!(changed(&draft).await, ["a", "mine"]);
        assert_eq!(main.ok(say::get("a")).await, json!([{"n": 1, "m": 2}]), "the origin is as it was");
        assert_eq!(rebase(&grandchild).await.outcome, MergeOutcome::Merged);
        assert_eq!(grandchild.ok(say::find()).await, expected);
        assert_eq!(main.0.rebase(RebaseOptions::default()).await.unwrap_err().code(), ErrorCode::NotAClone);
    });
}

/// SEMANTICS C13: onto a chosen point, forward only; conflicts as in a merge.
#[test]
fn a_rebase_has_a_point_and_a_policy() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1}))])).await;
        let early = main.0.version();
        let draft = main.clone_as("draft").await;
        draft.ok(say::put(&[("a", json!({"n": 2}))])).await;
        main.ok(say::insert(&[("b", json!({}))])).await;
        let middle = main.0.version();
        main.ok(say::put(&[("a", json!({"n": 3}))])).await;
        let to = |lsn| RebaseOptions { to: Some(When::Version(lsn)), ..RebaseOptions::default() };
        assert_eq!(draft.0.rebase(to(middle)).await.expect("a rebase").outcome, MergeOutcome::Merged);
        assert_eq!(draft.ok(say::find()).await, json!([["a", {"n": 2}], ["b", {}]]));
        assert_eq!(draft.0.rebase(to(early)).await.unwrap_err().code(), ErrorCode::InvalidOption);
        let version = draft.0.version();
        let report = rebase(&draft).await;
        assert_eq!(
            (report.outcome, told(&report)),
            (MergeOutcome::Conflict, vec!["field todos/a n: 1/2/3".to_string()])
        );
        assert_eq!(draft.0.version(), version);
        let policy = Policy::Always(Resolution::Origin);
        let report = draft.0.rebase(RebaseOptions { policy, ..RebaseOptions::default() }).await.expect("a rebase");
        assert_eq!((report.outcome, report.conflicts.len()), (MergeOutcome::Merged, 1));
        assert_eq!(draft.ok(say::get("a")).await, json!([{"n": 3}]));
        assert_eq!(changed(&draft).await, [] as [&str; 0]);
    });
}

/// SEMANTICS C12: the policy runs before the commit, and again if the origin moved while it ran.
#[test]
fn a_merge_starts_over_if_its_origin_moved() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1})), ("z", json!({}))])).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::put(&[("a", json!({"n": 2}))])).await;
        main.ok(say::put(&[("a", json!({"n": 3}))])).await;
        let other = main.reopened(&world).await;
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (asked, beside) = (seen.clone(), other.clone());
        let policy = Policy::Ask(Rc::new(move |conflicts| {
            let (asked, beside) = (asked.clone(), beside.clone());
            Box::pin(async move {
                let rounds = asked.borrow().len();
                asked.borrow_mut().push(unpack(conflicts[0].origin.as_ref().expect("a value")));
                if rounds == 0 {
                    beside.ok(say::put(&[("a", json!({"n": 4}))])).await;
                } else {
                    // A row that the clone did not touch is in no conflict, so this write makes no second round.
                    beside.ok(say::put(&[("z", json!({"rounds": rounds}))])).await;
                }
                Ok::<_, offshoot::error::Error>(vec![Resolution::Clone])
            })
        }));
        let report = merge_with(&draft, MergeOptions { policy, ..MergeOptions::default() }).await;
        assert_eq!(report.outcome, MergeOutcome::Merged);
        assert_eq!(*seen.borrow(), [json!(3), json!(4)]);
        assert_eq!(main.ok(say::find()).await, json!([["a", {"n": 2}], ["z", {"rounds": 1}]]));
    });
}

/// SEMANTICS W12: whoever had read the clone or the origin before a merge does not commit on that.
#[test]
fn transactions_open_over_a_merge_run_again() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1}))])).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::increment("a", 1)).await;
        for db in [&main, &draft] {
            let mut runs = 0;
            let body = async |transaction: Rc<offshoot::engine::OpenTransaction>, is_first: bool| -> Result<()> {
                transaction.run(say::get("a")).await?;
                if is_first {
                    draft.ok(say::increment("a", 1)).await;
                    merge(&draft).await;
                }
                transaction.run(say::increment("a", 10)).await.map(drop)
            };
            db.0.transact(Default::default(), |transaction| {
                runs += 1;
                body(transaction, runs == 1)
            })
            .await
            .expect("it commits in the end");
            assert_eq!(runs, 2);
        }
        assert_eq!(main.ok(say::get("a")).await, json!([{"n": 14}]));
        assert_eq!(draft.ok(say::get("a")).await, json!([{"n": 24}]));
    });
}

/// SEMANTICS C12, C3: into a clone that is itself one, and from there into the root.
#[test]
fn a_merge_goes_up_level_by_level() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1})), ("b", json!({"n": 1})), ("c", json!({"n": 1}))])).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::update("a", json!({"$set": {"n": 2}}))).await;
        let inner = draft.clone_as("inner").await;
        inner.ok(say::update("b", json!({"$set": {"n": 3}}))).await;
        inner.ok(say::delete(&["c"])).await;
        assert_eq!(counts(&merge(&inner).await), (0, 1, 1));
        let expected = json!([["a", {"n": 2}], ["b", {"n": 3}]]);
        assert_eq!(draft.ok(say::find()).await, expected);
        assert_eq!(main.ok(say::count()).await, json!(3));
        assert_eq!(changed(&draft).await, ["a", "b", "c"]);
        assert_eq!(counts(&merge(&draft).await), (0, 2, 1));
        assert_eq!(main.ok(say::find()).await, expected);
        assert_eq!(inner.ok(say::find()).await, expected);
        assert_eq!(rebase(&inner).await.outcome, MergeOutcome::Nothing, "what it stands on reads as before");
        assert_eq!(changed(&inner).await, [] as [&str; 0]);
    });
}

/// A name that holds documents on one side and entries on the other cannot be merged.
#[test]
fn collections_of_two_kinds_do_not_merge() {
    run(async |world| {
        let main = world.main().await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::insert_in("kv", &[("a", json!({}))])).await;
        main.ok(say::kv_set("a", json!(1))).await;
        let version = main.0.version();
        assert_eq!(draft.0.merge(MergeOptions::default()).await.unwrap_err().code(), ErrorCode::WrongKind);
        assert_eq!(main.0.version(), version);
    });
}

/// SEMANTICS C12: a conflict that comes after many rows stops them too, and what is told counts none of them.
#[test]
fn a_conflict_among_many_rows_is_told_with_nothing_written() {
    run(async |world| {
        let main = world.main().await;
        let ids: Vec<String> = (0..600).map(|n| format!("{n:03}")).collect();
        let rows = |n: u64| ids.iter().map(|id| (&id[..], json!({"n": n}))).collect::<Vec<_>>();
        main.ok(say::put(&rows(0))).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::put(&rows(1))).await;
        main.ok(say::put(&[("599", json!({"n": 2}))])).await;
        let (version, collections) = (main.0.version(), main.0.collections().await.expect("a list"));
        for report in [merge(&draft).await, rebase(&draft).await] {
            assert_eq!((report.outcome, counts(&report)), (MergeOutcome::Conflict, (0, 0, 0)));
            assert_eq!(told(&report), ["field todos/599 n: 0/1/2"]);
        }
        assert_eq!((main.0.version(), main.0.collections().await.expect("a list")), (version, collections));
        assert_eq!(counts(&merge_with(&draft, always(Resolution::Clone)).await), (0, 600, 0));
    });
}
