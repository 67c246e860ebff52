//! Rows of megabytes are compared and moved a few at a time.

use std::cell::Cell;
use std::rc::Rc;

use offshoot::engine::{MergeOptions, MergeOutcome, OpenOptions, Policy, Side, When};
use serde_json::json;

use crate::support::disk::Watched;
use crate::support::memory::live;
use crate::support::{Db, World, open_in, pause, run, say};

const MIB: isize = 1024 * 1024;
const ROWS: usize = 12;

/// The answer of `work`, and the most memory that was live while it ran, beyond the memory that was live before.
async fn peak_of<T>(world: &World, work: impl Future<Output = T>) -> (T, isize) {
    let (peak, done) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let (seen, until, before) = (peak.clone(), done.clone(), live());
    world.spawn(async move {
        while !until.get() {
            seen.set(seen.get().max(live() - before));
            pause().await;
        }
    });
    let value = work.await;
    done.set(true);
    (value, peak.get())
}

async fn fill(db: &Db, letter: &str) {
    for n in 0..ROWS {
        db.ok(say::put(&[(&format!("{n:04}"), json!({"text": letter.repeat(3 * MIB as usize)}))])).await;
    }
}

/// SEMANTICS C12, C15: not all the rows that differ are held at a time, however large they are.
#[test]
fn large_rows_are_moved_a_few_at_a_time() {
    run(async |world| {
        let options = OpenOptions { cache_bytes: MIB as usize, ..OpenOptions::default() };
        let storage = Watched::new(&world.disk, Some(Rc::new(Cell::new(7))));
        let store = world.open(Rc::new(storage), options).await.expect("it opens");
        let main = open_in(&store, "main").await;
        fill(&main, "x").await;
        let then = main.0.version();
        let draft = main.clone_as("draft").await;
        fill(&draft, "y").await;
        store.compact_all().await.expect("a compaction");
        let all = ROWS as isize * 3 * MIB;
        let bound = all / 2;
        let (changes, peak) = peak_of(&world, async {
            let (snapshot, mut after, mut changes) = (draft.snapshot().await, None, 0);
            loop {
                let page = snapshot.diff(Side::Origin, None, after.as_ref(), 512).await.expect("a page");
                changes += page.changes.len();
                after = page.next;
                if after.is_none() {
                    return changes;
                }
            }
        })
        .await;
        assert_eq!(changes, ROWS);
        assert!(peak < bound, "diff: {} MiB", peak / MIB);
        let (merged, peak) = peak_of(&world, draft.0.merge(MergeOptions::default())).await;
        let merged = merged.expect("a merge");
        assert_eq!((merged.outcome, merged.updated), (MergeOutcome::Merged, ROWS as u64));
        assert!(peak < bound, "merge: {} MiB", peak / MIB);
        let (reverted, peak) = peak_of(&world, main.0.revert(&[merged.version], &Policy::default(), false)).await;
        assert_eq!(reverted.expect("a revert").updated, ROWS as u64);
        assert!(peak < bound, "revert: {} MiB", peak / MIB);
        let (restored, peak) = peak_of(&world, main.0.restore(When::Version(merged.version), None)).await;
        restored.expect("a restore").expect("it differs");
        assert!(peak < bound, "restore: {} MiB", peak / MIB);
        main.0.restore(When::Version(then), None).await.expect("a restore").expect("it differs");
        assert_eq!(main.ok(say::get("0003")).await[0]["text"].as_str().expect("text").as_bytes()[0], b'x');
    });
}
