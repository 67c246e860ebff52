//! The calls of the engine to storage, and its answers when storage is full or has lost something.

use std::rc::Rc;

use offshoot::engine::OpenOptions;
use offshoot::error::ErrorCode;
use offshoot::storage::{Batch, Capacity, ListRange, Space, Storage};
use serde_json::json;

use crate::support::disk::{Fault, Watched};
use crate::support::place::open_lsm;
use crate::support::{open_in, run, say};

/// A call on a full disk fails and leaves nothing behind; with room again the same call succeeds.
#[test]
fn a_call_on_a_full_disk_fails_and_succeeds_with_room() {
    run(async |world| {
        let main = world.main().await;
        main.ok(say::put(&[("a", json!({"n": 1}))])).await;
        for capacity in [Capacity::of(world.disk.used() + 10), Capacity::before_deletions(0)] {
            world.disk.set_capacity(Some(capacity));
            let used = world.disk.used();
            assert_eq!(main.code(say::put(&[("b", json!({"n": 2}))])).await, ErrorCode::QuotaExceeded);
            assert_eq!(world.disk.used(), used);
            assert_eq!(main.ok(say::count()).await, json!(1), "reads go on");
        }
        world.disk.set_capacity(None);
        main.ok(say::put(&[("b", json!({"n": 2}))])).await;
        assert_eq!(main.reopened(&world).await.ok(say::count()).await, json!(2));
    });
}

/// A fault that a test plans happens at the read that it names, to that record, for every tab.
#[test]
fn a_planned_fault_is_met_at_its_read() {
    run(async |world| {
        let names = |count: usize| (0..count).map(|n| format!("block-{n}")).collect::<Vec<_>>();
        let put = names(4).into_iter().map(|name| (Space::Blocks, name, vec![7])).collect();
        world.disk.write(Batch { put, ..Batch::default() });
        let watched = Watched::new(&world.disk, None);
        let fault = |read, is_lost| Fault { space: Space::Blocks, prefix: "block-".into(), read, is_lost };
        watched.plan(fault(2, true));
        watched.plan(fault(5, false));
        assert_eq!(watched.read(Space::Blocks, &names(2)).await.unwrap(), [Some(vec![7]), None]);
        assert_eq!(watched.read(Space::Meta, &names(1)).await.unwrap(), [None], "of another space");
        assert_eq!(watched.read(Space::Blocks, &names(4)).await.unwrap()[3], Some(vec![7]));
        assert_eq!(watched.read(Space::Blocks, &names(1)).await.unwrap(), [Some(vec![6])]);
        assert_eq!(world.disk.read(Space::Blocks, "block-0"), Some(vec![6]));
        let figures = watched.figures().get();
        assert_eq!((figures.calls(), figures.bytes_read), (4, 5));
        assert_eq!(watched.write(Batch::default()).await.map(|outcome| outcome.is_written()), Ok(true));
        assert_eq!(watched.figures().get().calls(), 5);
    });
}

/// Blocks of runs that nobody names are deleted, and the log is trimmed, without a byte of them being read.
#[test]
fn deleting_runs_and_trimming_the_log_read_no_bytes() {
    run(async |world| {
        let watched = Rc::new(Watched::new(&world.disk, None));
        let figures = watched.figures();
        let store = world.open(watched.clone(), OpenOptions::default()).await.expect("a store");
        let main = open_in(&store, "main").await;
        for n in 0..200 {
            main.ok(say::put(&[(&format!("{n:03}"), json!({"text": "x".repeat(4000)}))])).await;
        }
        let before = figures.get().bytes_read;
        store.maintain().await.expect("a checkpoint");
        assert_eq!(world.disk.log(0, 9), [], "the log is trimmed");
        let log_bytes = 200 * 4000;
        assert!(figures.get().bytes_read - before < log_bytes / 8, "only the blocks that every opening reads");

        let nobodys = (0..600).map(|n| (Space::Blocks, format!("{:016x}-{n:06x}", 7), vec![0; 10_000]));
        let job = (Space::Jobs, format!("drop-{:016x}", 7), Vec::new());
        world.disk.write(Batch { put: nobodys.chain([job]).collect(), ..Batch::default() });
        let lsm = open_lsm(watched).await;
        let before = figures.get();
        lsm.sweep(0).await.expect("a sweep");
        let range = ListRange { from: Some(format!("{:016x}", 7)), before: Some(format!("{:016x}", 8)), limit: 9 };
        assert_eq!(world.disk.names(Space::Blocks, &range), [""; 0]);
        assert_eq!(world.disk.names(Space::Jobs, &ListRange { limit: 9, ..ListRange::default() }), [""; 0]);
        assert_eq!(figures.get().bytes_read, before.bytes_read);
        assert!(figures.get().calls() - before.calls() <= 3, "one list, one batch for the blocks, one for the job");
        drop(store);
    });
}
