//! Long scans, page by page: every row once and in order, wherever the pages end.

use offshoot::engine::op::KeyRange;
use offshoot::engine::{Answer, Op, Snapshot};
use offshoot::types::limits::{PAGE_BYTES, PAGE_ROWS};
use offshoot::types::{Key, Suffix, key};
use serde_json::{Value, json};

use crate::support::{Db, run, say, unpack};

const ROWS: usize = 2600;

fn name(n: usize) -> String {
    format!("{n:05}")
}

/// A root, a clone and a clone's clone that together show rows 0 to `ROWS`, but for every 7th, each `n` its number.
async fn line(main: Db) -> Vec<Db> {
    let names: Vec<String> = (0..ROWS).map(name).collect();
    let of = |keep: &dyn Fn(usize) -> bool, wrong: bool| -> Vec<(&str, Value)> {
        let kept = (0..ROWS).filter(|n| keep(*n));
        kept.map(|n| (&names[n][..], json!({"n": if wrong { ROWS } else { n }}))).collect()
    };
    let write = async |db: &Db, rows: &[(&str, Value)]| {
        db.ok(say::put(rows)).await;
        db.ok(say::kv_set_many(rows)).await;
    };
    let delete = async |db: &Db, rows: &[(&str, Value)]| {
        let names: Vec<&str> = rows.iter().map(|(name, _)| *name).collect();
        db.ok(say::delete(&names)).await;
        db.ok(say::kv_delete(&names)).await;
    };
    write(&main, &of(&|n| n % 3 == 0 || n % 7 == 0, false)).await;
    write(&main, &of(&|n| n % 5 == 0, true)).await;
    let middle = main.clone_as("middle").await;
    write(&middle, &of(&|n| n % 3 == 1 || n % 5 == 0, false)).await;
    delete(&middle, &of(&|n| n % 7 == 0 && n % 2 == 0, false)).await;
    let leaf = middle.clone_as("leaf").await;
    write(&leaf, &of(&|n| n % 3 == 2, false)).await;
    delete(&leaf, &of(&|n| n % 7 == 0 && n % 2 == 1, false)).await;
    // The leaf wrote some rows over tombstones of the middle. They are not among the expected rows: delete them.
    delete(&leaf, &of(&|n| n % 7 == 0, false)).await;
    vec![main, middle, leaf]
}

fn expected() -> Vec<(String, Value)> {
    (0..ROWS).filter(|n| n % 7 != 0).map(|n| (name(n), json!({"n": n}))).collect()
}

/// Pages of documents until there are no more, and how many rows each had.
async fn find(snapshot: &Snapshot, skip: u64, limit: Option<usize>) -> (Vec<(String, Value)>, Vec<usize>) {
    let (mut rows, mut sizes, mut after, mut skip): (Vec<(String, Value)>, _, Option<Suffix>, _) =
        (Vec::new(), Vec::new(), None, skip);
    loop {
        let left = limit.map(|limit| limit - rows.len());
        let op = Op::Find { collection: say::collection("todos"), after, rest: None, skip, limit: left };
        let Answer::Documents(page) = snapshot.run(op).await.unwrap() else { panic!("documents") };
        sizes.push(page.rows.len());
        (after, skip) = (say::behind(&say::collection("todos"), &page), 0);
        rows.extend(page.rows.into_iter().map(|(id, fields)| (id, unpack(&fields))));
        if after.is_none() || limit == Some(rows.len()) {
            return (rows, sizes);
        }
    }
}

async fn list(snapshot: &Snapshot, range: &KeyRange, reverse: bool, page: usize) -> Vec<(String, Value)> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let (range, limit) = (range.clone(), Some(page));
        let op = Op::EntryList { collection: say::collection("kv"), range, reverse, limit, after, rest: None };
        let Answer::Entries(found) = snapshot.run(op).await.unwrap() else { panic!("entries") };
        assert!(found.rows.len() <= page.min(PAGE_ROWS));
        let is_more = found.rest.is_some();
        after = found.rows.last().map(|(key, _)| key.clone());
        rows.extend(found.rows.into_iter().map(|(key, value)| (key::read_id(&key).unwrap(), unpack(&value))));
        if !is_more {
            return rows;
        }
    }
}

/// SEMANTICS R3: pages join without a gap and without a row twice, over three layers.
#[test]
fn pages_hold_every_row_once() {
    run(async |world| {
        let leaf = line(world.main().await).await.remove(2);
        for db in [&leaf, &leaf.reopened(&world).await] {
            let snapshot = db.snapshot().await;
            let all = expected();
            let (found, sizes) = find(&snapshot, 0, None).await;
            assert_eq!(found, all);
            assert_eq!(sizes, [PAGE_ROWS, PAGE_ROWS, all.len() - 2 * PAGE_ROWS]);
            for (skip, limit) in [(0, 1), (1, 1023), (1000, 1025), (1024, 24), (2000, 5000), (9999, 3), (2220, 9)] {
                let (found, _) = find(&snapshot, skip, Some(limit)).await;
                let wanted: Vec<_> = all.iter().skip(skip as usize).take(limit).cloned().collect();
                assert_eq!(found, wanted, "skip {skip}, limit {limit}");
            }
            for op in [say::count(), say::kv_count()] {
                assert_eq!(db.ok(op).await, json!(all.len()));
            }
        }
    });
}

/// SEMANTICS R3: entries, forward and backward, in pages of any size.
#[test]
fn lists_hold_every_entry_once_in_both_directions() {
    run(async |world| {
        let leaf = line(world.main().await).await.remove(2);
        let snapshot = leaf.snapshot().await;
        let mut all = expected();
        for page in [7, 1000, PAGE_ROWS, 5000] {
            assert_eq!(list(&snapshot, &KeyRange::default(), false, page).await, all, "pages of {page}");
        }
        all.reverse();
        for page in [7, 1000, PAGE_ROWS, 5000] {
            assert_eq!(list(&snapshot, &KeyRange::default(), true, page).await, all, "pages of {page}, backward");
        }
    });
}

/// SEMANTICS R3: a range has exactly its rows, whichever way, and counts them.
#[test]
fn a_range_holds_exactly_its_rows() {
    run(async |world| {
        let leaf = line(world.main().await).await.remove(2);
        let snapshot = leaf.snapshot().await;
        let (low, high) = key::prefix_range(&Key::text("001")).unwrap();
        let at = |n: usize| Some(say::key(&name(n)));
        for (range, keep) in [
            (KeyRange { from: Some(low), after: None, before: Some(high) }, (100, 199)),
            (KeyRange { from: at(10), after: None, before: at(1500) }, (10, 1499)),
            (KeyRange { from: None, after: at(10), before: at(12) }, (11, 11)),
            (KeyRange { from: at(2000), after: at(1000), before: None }, (2000, ROWS)),
            (KeyRange { from: at(1000), after: at(2000), before: None }, (2001, ROWS)),
            (KeyRange { from: at(2000), after: None, before: at(2000) }, (1, 0)),
            (KeyRange { from: at(2000), after: None, before: at(100) }, (1, 0)),
        ] {
            let mut wanted = expected();
            wanted.retain(|(row, _)| (name(keep.0)..=name(keep.1)).contains(row));
            let count =
                Op::EntryCount { collection: say::collection("kv"), range: range.clone(), rest: None, counted: 0 };
            assert_eq!(leaf.ok(count).await, json!(wanted.len()), "{keep:?}");
            assert_eq!(list(&snapshot, &range, false, 100).await, wanted, "{keep:?}");
            wanted.reverse();
            assert_eq!(list(&snapshot, &range, true, 100).await, wanted, "{keep:?}");
        }
    });
}

/// SEMANTICS R3: a page of large values ends early, and holds at least one.
#[test]
fn pages_of_large_values_are_short() {
    run(async |world| {
        let main = world.main().await;
        for n in 0..9 {
            let value = json!({"n": n, "text": "x".repeat(400_000)});
            main.ok(say::put(&[(&name(n), value.clone())])).await;
            main.ok(say::kv_set(&name(n), value)).await;
        }
        let huge = json!({"n": 9, "text": "x".repeat(3 * PAGE_BYTES)});
        main.ok(say::put(&[(&name(9), huge.clone())])).await;
        main.ok(say::kv_set(&name(9), huge)).await;
        let clone = main.clone_as("clone").await;
        for db in [&clone, &clone.reopened(&world).await] {
            let snapshot = db.snapshot().await;
            let (found, sizes) = find(&snapshot, 0, None).await;
            let numbers = |rows: &[(String, Value)]| -> Vec<u64> {
                rows.iter().map(|(_, value)| value["n"].as_u64().unwrap()).collect()
            };
            assert_eq!(numbers(&found), (0..10).collect::<Vec<_>>());
            assert!(sizes.iter().all(|size| *size <= 3), "{sizes:?}");
            assert_eq!(numbers(&list(&snapshot, &KeyRange::default(), false, 99).await), (0..10).collect::<Vec<_>>());
            let backward = list(&snapshot, &KeyRange::default(), true, 99).await;
            assert_eq!(numbers(&backward), (0..10).rev().collect::<Vec<_>>());
            assert_eq!(db.ok(say::count()).await, json!(10));
        }
    });
}

/// SEMANTICS R3, W8: in a transaction the pages include its own writes, and what was read of them is checked.
#[test]
fn pages_in_a_transaction_include_its_own_writes() {
    use crate::support::{once, script::Script};
    run(async |world| {
        let leaf = line(world.main().await).await.remove(2);
        let all = expected();
        let own = [(name(0), json!({"own": true})), (name(ROWS + 1), json!({"own": true}))];
        for (disturbed, commits) in [("00005", false), ("02000", true)] {
            let open = Script::begin(&world, &leaf, once(Default::default())).await;
            open.ok(say::put(&own.clone().each_ref().map(|(id, value)| (&id[..], value.clone())))).await;
            open.ok(say::delete(&[&all[0].0, &all[2000].0])).await;
            let mut merged = all.clone();
            merged.remove(2000);
            merged[0] = own[0].clone();
            merged.push(own[1].clone());
            // Only the first page: rows behind it were not read.
            let op =
                Op::Find { collection: say::collection("todos"), after: None, rest: None, skip: 0, limit: Some(1000) };
            let found = open.page(op).await;
            assert_eq!(found, merged[..1000]);
            leaf.ok(say::increment(disturbed, 0)).await;
            leaf.ok(say::put(&[(disturbed, json!({"n": disturbed.parse::<usize>().unwrap()}))])).await;
            assert_eq!(open.commits().await, commits, "{disturbed}");
        }
        let count = leaf.ok(say::count()).await;
        assert_eq!(count, json!(all.len()), "two more and two fewer, once");
    });
}

/// SEMANTICS R3, W8: of a list that was read backward, what the page holds is checked and what lies before it is not.
#[test]
fn a_page_read_backward_is_checked_as_far_as_it_goes() {
    use crate::support::{once, script::Script};
    run(async |world| {
        let leaf = line(world.main().await).await.remove(2);
        for (disturbed, commits) in [("00005", true), ("02400", false), ("99999", false)] {
            let open = Script::begin(&world, &leaf, once(Default::default())).await;
            let range = KeyRange::default();
            let (reverse, limit) = (true, Some(500));
            let op =
                Op::EntryList { collection: say::collection("kv"), range, reverse, limit, after: None, rest: None };
            let Answer::Entries(page) = open.answer(op).await.unwrap() else { panic!("entries") };
            assert_eq!(page.rows.len(), 500);
            open.ok(say::put(&[("own", json!({}))])).await;
            leaf.ok(say::kv_set(disturbed, json!({"n": 0}))).await;
            assert_eq!(open.commits().await, commits, "{disturbed}");
        }
    });
}
