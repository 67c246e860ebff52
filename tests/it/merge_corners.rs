//! Merges of what is rarely merged: too much for one row, sums that are none, other kinds, names with dots.

use std::cell::Cell;
use std::rc::Rc;

use offshoot::engine::{Heed, MergeOptions, MergeOutcome, Op, Policy, RebaseOptions, Resolution, Selected, When};
use offshoot::error::{Error, ErrorCode};
use serde_json::{Value, json};

use crate::support::merging::{always, changed, merge, merge_with, only, rebase, select, told};
use crate::support::{Db, World, run, say, transfer};

async fn both(world: &World, row: Value) -> (Db, Db) {
    let main = world.main().await;
    main.ok(say::insert(&[("a", row)])).await;
    let draft = main.clone_as("draft").await;
    (main, draft)
}

/// SEMANTICS C12: the fields of both sides may be too large for one row, though neither side is.
#[test]
fn a_merged_row_has_the_limit_of_any() {
    run(async |world| {
        let (main, draft) = both(&world, json!({"n": 1})).await;
        let long = "x".repeat(9 * 1024 * 1024);
        draft.ok(say::update("a", json!({"$set": {"mine": long}}))).await;
        main.ok(say::update("a", json!({"$set": {"theirs": long}}))).await;
        let merged = draft.0.merge(MergeOptions::default()).await.expect_err("it is too large");
        assert_eq!(merged.code(), ErrorCode::TooLarge);
        let rebased = draft.0.rebase(RebaseOptions::default()).await.expect_err("it is too large");
        assert_eq!(rebased.code(), ErrorCode::TooLarge);
    });
}

/// SEMANTICS C12: a field whose name has a dot and a field inside another are two conflicts, each with its answer.
#[test]
fn a_dotted_name_and_a_path_are_two_conflicts() {
    run(async |world| {
        let (main, draft) = both(&world, json!({"x.y": 1, "x": {"y": 1}})).await;
        draft.ok(say::put(&[("a", json!({"x.y": 2, "x": {"y": 20}}))])).await;
        main.ok(say::put(&[("a", json!({"x.y": 3, "x": {"y": 30}}))])).await;
        // The first one of both is answered by the clone, the other one by the origin.
        let policy = Policy::Ask(Rc::new(|conflicts| {
            let answer = |place: usize| if place == 0 { Resolution::Clone } else { Resolution::Origin };
            let answers = (0..conflicts.len()).map(answer).collect();
            Box::pin(async move { Ok(answers) })
        }));
        let report = merge_with(&draft, MergeOptions { policy, ..MergeOptions::default() }).await;
        assert_eq!(report.outcome, MergeOutcome::Merged, "{:?}", told(&report));
        let found = main.ok(say::get("a")).await;
        assert!(
            found == json!([{"x.y": 2, "x": {"y": 30}}]) || found == json!([{"x.y": 3, "x": {"y": 20}}]),
            "{found}"
        );
    });
}

/// SEMANTICS C3: a rebase and a merge go no deeper than a clone may lie.
#[test]
fn a_rebase_goes_no_deeper_than_a_clone() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1}))])).await;
        let c1 = main.clone_as("c1").await;
        c1.ok(say::insert(&[("b", json!({"n": 1}))])).await;
        let c2 = c1.clone_as("c2").await;
        c2.ok(say::insert(&[("c", json!({"n": 1}))])).await;
        let deep = c2.0.version();
        main.ok(say::insert(&[("d", json!({"n": 1}))])).await;
        rebase(&c1).await;
        c1.0.materialize(&|_| true).await.expect("a root of its own");
        rebase(&c2).await;
        let mut line = vec![c2.clone()];
        for n in 3..=9 {
            let next = line[line.len() - 1].clone_as(&format!("c{n}")).await;
            line.push(next);
        }
        c2.0.restore(When::Version(deep), None).await.expect("a restore");
        let mut refused = 0;
        for db in &line[1..] {
            if let Err(error) = db.0.rebase(RebaseOptions::default()).await {
                assert_eq!(error.code(), ErrorCode::CloneDepthExceeded);
                db.ok(say::put(&[("x", json!({}))])).await;
                let merged = db.0.merge(MergeOptions::default()).await.expect_err("it lies too deep");
                assert_eq!(merged.code(), ErrorCode::CloneDepthExceeded);
                refused += 1;
            }
        }
        assert!(refused > 0, "the last one lies too deep");
        assert_eq!(line[7].run(say::count()).await.expect("it reads as before"), json!(5));
    });
}

/// SEMANTICS C12: a sum that no number can hold is a conflict, also where both sides did the same.
#[test]
fn a_sum_that_overflows_is_told() {
    run(async |world| {
        let most = 9_007_199_254_740_991_i64;
        let (main, draft) = both(&world, json!({"n": most - 1})).await;
        draft.ok(say::increment("a", 1)).await;
        main.ok(say::increment("a", 1)).await;
        match draft.0.merge(MergeOptions::default()).await {
            Ok(report) => assert_eq!(report.outcome, MergeOutcome::Conflict),
            Err(error) => assert_eq!(error.code(), ErrorCode::Overflow),
        }
        assert_eq!(main.ok(say::get("a")).await, json!([{"n": most}]));
        merge_with(&draft, always(Resolution::Origin)).await;
    });
}

/// SEMANTICS C12: an array is one value. Equal increments in it are no equal change, and cannot add up.
#[test]
fn increments_in_an_array_clash() {
    run(async |world| {
        let (main, draft) = both(&world, json!({"votes": [0, 0]})).await;
        for db in [&main, &draft] {
            db.ok(say::update("a", json!({"$inc": {"votes.0": 1}}))).await;
        }
        assert_eq!(told(&merge(&draft).await), ["field todos/a votes: [0,0]/[1,0]/[1,0]"]);
    });
}

/// SEMANTICS C12: a row that the origin did not touch is taken as it is, to the last bit.
#[test]
fn what_only_the_clone_counted_is_taken_as_it_is() {
    run(async |world| {
        let (main, draft) = both(&world, json!({"n": 0.1})).await;
        draft.ok(say::update("a", json!({"$inc": {"n": 0.2}}))).await;
        draft.ok(say::update("a", json!({"$inc": {"n": 0.3}}))).await;
        let was = draft.ok(say::get("a")).await;
        merge(&draft).await;
        assert_eq!(main.ok(say::get("a")).await, was);
    });
}

/// SEMANTICS C12, C13: a collection that is of another kind in the origin stops nothing once no row of it is left.
#[test]
fn an_emptied_collection_of_another_kind_is_no_obstacle() {
    for is_reset in [false, true] {
        run(async |world| {
            let (main, draft) = both(&world, json!({"n": 1})).await;
            draft.ok(say::insert_in("kv", &[("x", json!({"n": 1}))])).await;
            draft.ok(say::update("a", json!({"$set": {"n": 2}}))).await;
            main.ok(say::kv_set("k", json!(1))).await;
            let error = draft.0.merge(MergeOptions::default()).await.expect_err("one name is one kind");
            assert_eq!(error.code(), ErrorCode::WrongKind);
            if is_reset {
                let of_x = select(|id| if id == "x" { Selected::All } else { Selected::Nothing });
                draft.0.reset(Some(of_x)).await.expect("a reset");
                rebase(&draft).await;
            } else {
                draft.ok(Op::Delete { collection: say::collection("kv"), ids: vec!["x".into()] }).await;
            }
            assert_eq!(changed(&draft).await, ["a"]);
            assert_eq!(merge(&draft).await.outcome, MergeOutcome::Merged);
            assert_eq!(draft.ok(say::kv_get("k")).await, json!([1]));
        });
    }
}

/// SEMANTICS C12, C13: no field of a change is nothing of it, whatever the change is.
#[test]
fn no_field_of_an_insert_is_nothing_of_it() {
    run(async |world| {
        let (main, draft) = both(&world, json!({"n": 1})).await;
        draft.ok(say::update("a", json!({"$set": {"n": 2}}))).await;
        draft.ok(say::insert(&[("b", json!({"n": 2}))])).await;
        let choose = |id: &str| if id == "a" { Selected::All } else { Selected::Fields(Vec::new()) };
        draft.0.reset(Some(select(choose))).await.expect("a reset");
        assert_eq!(changed(&draft).await, ["b"]);
        draft.ok(say::update("a", json!({"$set": {"n": 2}}))).await;
        draft.0.merge(only(choose)).await.expect("a merge");
        assert_eq!(changed(&draft).await, ["b"]);
        assert_eq!(main.ok(say::find()).await, json!([["a", {"n": 2}]]));
    });
}

/// SEMANTICS C10: a merge that is ended at the very last leaves nothing in storage.
#[test]
fn an_abort_behind_the_last_page_leaves_nothing() {
    run(async |world| {
        let main = world.main().await;
        let draft = main.clone_as("draft").await;
        for n in 0..8 {
            let text: String = (0..6000).map(|_| format!("{:016x}", world.draw())).collect();
            draft.ok(say::insert(&[(&format!("{n}"), json!({"text": text}))])).await;
        }
        let before = transfer::leftovers(&world);
        let mut is_last = false;
        for patience in 1.. {
            let calls = Rc::new(Cell::new(0));
            let heed: Heed = Rc::new(move || {
                calls.set(calls.get() + 1);
                if calls.get() < patience { Ok(()) } else { Err(Error::new(ErrorCode::Aborted, "enough")) }
            });
            if draft.0.merge(MergeOptions { heed: Some(heed), ..MergeOptions::default() }).await.is_ok() {
                break;
            }
            assert_eq!(transfer::leftovers(&world), before);
            is_last = patience > 1;
        }
        assert!(is_last, "it was ended more than once");
    });
}
