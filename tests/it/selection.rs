//! A part of a clone's changes is merged; the rest waits.

use offshoot::engine::{MergeOptions, MergeOutcome, Resolution, Selected, Side, When};
use offshoot::error::ErrorCode;
use offshoot::types::key::read_id;
use serde_json::json;

use crate::support::merging::{always, changed, counts, merge, merge_with, only, rebase, told};
use crate::support::{run, say};

/// SEMANTICS C12: a selection is merged, by row and by field; the rest stays the clone's change.
#[test]
fn a_selection_is_merged_and_the_rest_stays() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1, "m": 1})), ("b", json!({"n": 1})), ("c", json!({"n": 1}))])).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::put(&[("a", json!({"n": 2, "m": 2})), ("b", json!({"n": 2}))])).await;
        draft.ok(say::delete(&["c"])).await;
        let fields = |names: &[&str]| Selected::Fields(names.iter().map(|name| name.to_string()).collect());
        let names = fields(&["n"]);
        let options = only(move |id| if id == "a" { names.clone() } else { Selected::Nothing });
        let report = merge_with(&draft, options).await;
        assert_eq!((report.outcome, counts(&report)), (MergeOutcome::Merged, (0, 1, 0)));
        let of_main = json!([["a", {"n": 2, "m": 1}], ["b", {"n": 1}], ["c", {"n": 1}]]);
        let of_draft = json!([["a", {"n": 2, "m": 2}], ["b", {"n": 2}]]);
        assert_eq!(main.ok(say::find()).await, of_main);
        assert_eq!(draft.ok(say::find()).await, of_draft);
        let changes = draft.0.diff(Side::Origin).await.expect("a diff");
        let fields_of_a = changes.iter().find(|change| read_id(&change.key).as_deref() == Some("a"));
        assert_eq!(fields_of_a.expect("a change").fields, ["m"]);
        assert_eq!(changed(&draft).await, ["a", "b", "c"]);
        let nothing = merge_with(&draft, only(|_| Selected::Nothing)).await;
        assert_eq!(nothing.outcome, MergeOutcome::Nothing);
        merge(&draft).await;
        assert_eq!(main.ok(say::find()).await, of_draft);
        let refused = draft.0.merge(only(|_| Selected::Fields(vec!["n".into()]))).await;
        assert_eq!(refused.expect("nothing to select").outcome, MergeOutcome::Nothing);
        draft.ok(say::delete(&["a"])).await;
        let refused = draft.0.merge(only(|_| Selected::Fields(vec!["n".into()]))).await;
        assert_eq!(refused.unwrap_err().code(), ErrorCode::InvalidOption, "a delete has no fields");
    });
}

/// SEMANTICS C12: a change that was left out of a selection and clashes with the origin stays a conflict, however often
/// the other changes are merged. Its base is the value that both sides began with.
#[test]
fn a_conflict_that_was_not_selected_waits() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1, "m": 1, "o": 1})), ("b", json!({"n": 1}))])).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::put(&[("a", json!({"n": 2, "m": 2, "o": 1})), ("b", json!({"n": 2}))])).await;
        main.ok(say::put(&[("a", json!({"n": 3, "m": 1, "o": 3})), ("b", json!({"n": 3}))])).await;
        let m = || only(|id| if id == "a" { Selected::Fields(vec!["m".into()]) } else { Selected::Nothing });
        assert_eq!(merge_with(&draft, m()).await.outcome, MergeOutcome::Merged);
        assert_eq!(main.ok(say::get("a")).await, json!([{"n": 3, "m": 2, "o": 3}]));
        assert_eq!(draft.ok(say::get("a")).await, json!([{"n": 2, "m": 2, "o": 3}]));
        let expected = ["field todos/a n: 1/2/3", "field todos/b n: 1/2/3"];
        assert_eq!(told(&merge(&draft).await), expected);
        // Neither the origin's next steps nor the clone's make it forget.
        main.ok(say::update("a", json!({"$set": {"o": 4, "m": 5}}))).await;
        draft.ok(say::insert(&[("c", json!({}))])).await;
        assert_eq!(
            merge_with(&draft, only(|id| if id == "c" { Selected::All } else { Selected::Nothing })).await.inserted,
            1
        );
        assert_eq!(told(&merge(&draft).await), expected);
        let draft = draft.reopened(&world).await;
        assert_eq!(told(&rebase(&draft).await), expected);
        assert_eq!(merge_with(&draft, always(Resolution::Clone)).await.outcome, MergeOutcome::Merged);
        let main = main.reopened(&world).await;
        assert_eq!(main.ok(say::get("a")).await, json!([{"n": 2, "m": 5, "o": 4}]));
        assert_eq!(main.ok(say::get("b")).await, json!([{"n": 2}]));
        assert_eq!(changed(&draft).await, [] as [&str; 0]);
    });
}

/// SEMANTICS C12: a row deleted in the clone and changed in the origin waits in the same way, and so does one that both
/// inserted.
#[test]
fn whole_rows_wait_too() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("gone", json!({"n": 1})), ("x", json!({}))])).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::delete(&["gone", "x"])).await;
        draft.ok(say::insert(&[("new", json!({"n": 2}))])).await;
        main.ok(say::update("gone", json!({"$set": {"n": 3}}))).await;
        main.ok(say::insert(&[("new", json!({"n": 3}))])).await;
        let x = || only(|id| if id == "x" { Selected::All } else { Selected::Nothing });
        assert_eq!(counts(&merge_with(&draft, x()).await), (0, 0, 1));
        assert_eq!(draft.ok(say::find()).await, json!([["new", {"n": 2}]]));
        let expected = ["row todos/gone : {\"n\":1}/-/{\"n\":3}", "field todos/new n: -/2/3"];
        assert_eq!(told(&merge(&draft).await), expected);
        let report = merge_with(&draft, always(Resolution::Origin)).await;
        assert_eq!(told(&report), expected);
        assert_eq!(draft.ok(say::find()).await, json!([["gone", {"n": 3}], ["new", {"n": 3}]]));
    });
}

/// SEMANTICS C12: a clone and its origin may both have left one row in conflict. A restore of the clone brings back the
/// clone's own base of that row.
#[test]
fn a_restored_clone_has_its_own_base_of_a_row_that_waits_in_its_origin_too() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1})), ("b", json!({"n": 1}))])).await;
        let b = || only(|id| if id == "b" { Selected::All } else { Selected::Nothing });
        let middle = main.clone_as("middle").await;
        middle.ok(say::put(&[("a", json!({"n": 2})), ("b", json!({"n": 2}))])).await;
        main.ok(say::put(&[("a", json!({"n": 3}))])).await;
        merge_with(&middle, b()).await;
        let inner = middle.clone_as("inner").await;
        inner.ok(say::put(&[("a", json!({"n": 4})), ("b", json!({"n": 4}))])).await;
        middle.ok(say::put(&[("a", json!({"n": 5}))])).await;
        merge_with(&inner, b()).await;
        let (version, expected) = (inner.0.version(), ["field todos/a n: 2/4/5"]);
        assert_eq!(told(&merge(&inner).await), expected);
        inner.0.reset(None).await.expect("a reset");
        inner.0.restore(When::Version(version), None).await.expect("a restore");
        assert_eq!(told(&merge(&inner).await), expected);
    });
}

/// SEMANTICS C12: `at` merges the clone as it was reviewed; its later changes stay its own.
#[test]
fn a_clone_is_merged_as_it_was_reviewed() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1, "m": 1})), ("b", json!({"n": 1, "c": 0})), ("c", json!({}))])).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::update("a", json!({"$set": {"n": 2}}))).await;
        draft.ok(say::update("b", json!({"$inc": {"c": 1}}))).await;
        let reviewed = draft.0.version();
        draft.ok(say::update("a", json!({"$set": {"n": 3, "m": 3}}))).await;
        draft.ok(say::update("b", json!({"$inc": {"c": 10}}))).await;
        draft.ok(say::delete(&["c"])).await;
        main.ok(say::update("b", json!({"$inc": {"c": 100}}))).await;
        let at = |lsn| MergeOptions { at: Some(When::Version(lsn)), ..MergeOptions::default() };
        assert_eq!(counts(&merge_with(&draft, at(reviewed)).await), (0, 2, 0));
        let of_main = json!([["a", {"n": 2, "m": 1}], ["b", {"n": 1, "c": 101}], ["c", {}]]);
        assert_eq!(main.ok(say::find()).await, of_main);
        let of_draft = json!([["a", {"n": 3, "m": 3}], ["b", {"n": 1, "c": 111}]]);
        assert_eq!(draft.ok(say::find()).await, of_draft);
        assert_eq!(changed(&draft).await, ["a", "b", "c"]);
        let refused = draft.0.merge(at(reviewed)).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidOption, "it stands on another layer now");
        main.ok(say::update("b", json!({"$inc": {"c": 1000}}))).await;
        merge(&draft).await;
        assert_eq!(main.ok(say::get("b")).await, json!([{"n": 1, "c": 1111}]));
    });
}

/// SEMANTICS C6, C12: the base that a clone keeps of a parked row is no row: its clones neither copy nor count it.
#[test]
fn what_waits_is_not_materialized() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("a", json!({"n": 1})), ("b", json!({"n": 1}))])).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::put(&[("a", json!({"n": 2})), ("b", json!({"n": 2}))])).await;
        main.ok(say::put(&[("a", json!({"n": 3}))])).await;
        merge_with(&draft, only(|id| if id == "b" { Selected::All } else { Selected::Nothing })).await;
        let inner = draft.clone_as("inner").await;
        let total = std::cell::Cell::new(None);
        let watch = |progress: offshoot::engine::Progress| {
            total.set(progress.rows_total.or(total.get()));
            true
        };
        inner.0.materialize(&watch).await.expect("a materialization");
        assert_eq!(total.get(), Some(2), "two documents, and nothing that waits");
        let expected = json!([["a", {"n": 2}], ["b", {"n": 2}]]);
        assert_eq!(inner.ok(say::find()).await, expected);
        assert_eq!(told(&merge(&draft).await), ["field todos/a n: 1/2/3"], "and it waits on");
        assert_eq!(merge_with(&draft, always(Resolution::Origin)).await.outcome, MergeOutcome::Merged);
        assert_eq!(inner.ok(say::find()).await, expected);
    });
}

/// SEMANTICS C6, C12, C13: a clone that is half materialized is merged, rebased and reset as any; the copied rows are
/// no changes, and are not taken along to another point.
#[test]
fn a_half_materialized_clone_is_merged_and_rebased() {
    run(async |world| {
        let main = world.main().await;
        let rows: Vec<_> = (0..50).map(|n| (format!("{n:02}"), json!({"n": 1}))).collect();
        let rows: Vec<_> = rows.iter().map(|(id, row)| (&id[..], row.clone())).collect();
        main.ok(say::insert(&rows)).await;
        for (round, how) in ["merge", "rebase", "reset"].into_iter().enumerate() {
            let draft = main.clone_as(how).await;
            let stop = |progress: offshoot::engine::Progress| progress.rows_done < 10;
            let stopped = draft.0.materialize(&stop).await.unwrap_err();
            assert_eq!(stopped.code(), ErrorCode::Aborted);
            draft.ok(say::put(&[("03", json!({"n": how}))])).await;
            draft.ok(say::delete(&["04"])).await;
            main.ok(say::put(&[("05", json!({"n": round})), ("06", json!({"n": round}))])).await;
            assert_eq!(changed(&draft).await, ["03", "04"]);
            match how {
                "merge" => assert_eq!(counts(&merge(&draft).await), (0, 1, 1)),
                "rebase" => drop(rebase(&draft).await),
                _ => drop(draft.0.reset(None).await.expect("a reset")),
            }
            let theirs = if how == "reset" { json!([{"n": round - 1}]) } else { json!([{"n": round}]) };
            assert_eq!(draft.ok(say::get("05")).await, theirs, "{how}");
            draft.0.materialize(&|_| true).await.expect("a materialization");
            assert_eq!(draft.ok(say::get("05")).await, theirs, "{how}");
            assert_eq!(draft.reopened(&world).await.ok(say::count()).await, draft.ok(say::count()).await);
            main.ok(say::put(&[("04", json!({"n": 1}))])).await;
        }
    });
}

/// SEMANTICS C12: a row that both inserted and that waits can be selected by field, as the update that its diff says.
#[test]
fn a_row_that_both_inserted_is_selected_by_field() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::insert(&[("x", json!({}))])).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::insert(&[("new", json!({"n": 2, "m": 2}))])).await;
        draft.ok(say::delete(&["x"])).await;
        main.ok(say::insert(&[("new", json!({"n": 3, "m": 3}))])).await;
        merge_with(&draft, only(|id| if id == "x" { Selected::All } else { Selected::Nothing })).await;
        let fields = |name: &'static str| only(move |_| Selected::Fields(vec![name.to_string()]));
        assert_eq!(told(&merge_with(&draft, fields("n")).await), ["field todos/new n: -/2/3"]);
        let options = MergeOptions { policy: always(Resolution::Clone).policy, ..fields("n") };
        assert_eq!(merge_with(&draft, options).await.outcome, MergeOutcome::Merged);
        assert_eq!(main.ok(say::get("new")).await, json!([{"n": 2, "m": 3}]));
        assert_eq!(told(&merge(&draft).await), ["field todos/new m: -/2/3"]);
        // Reset by field, it is the origin's.
        let m = crate::support::merging::select(|_| Selected::Fields(vec!["m".into()]));
        draft.0.reset(Some(m)).await.expect("a reset");
        main.ok(say::update("new", json!({"$set": {"m": 4}}))).await;
        assert_eq!(told(&rebase(&draft).await), [""; 0]);
        assert_eq!(draft.ok(say::get("new")).await, json!([{"n": 2, "m": 4}]));
    });
}

/// A value that has no fields cannot be selected by field.
#[test]
fn a_scalar_has_no_fields_to_select() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::kv_set("k", json!(1))).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::kv_set("k", json!(2))).await;
        let refused = draft.0.merge(only(|_| Selected::Fields(vec!["n".into()]))).await;
        assert_eq!(refused.unwrap_err().code(), ErrorCode::InvalidOption);
        let n = crate::support::merging::select(|_| Selected::Fields(vec!["n".into()]));
        assert_eq!(draft.0.reset(Some(n)).await.unwrap_err().code(), ErrorCode::InvalidOption);
    });
}
