//! Many databases: the list of them, and the drop of one that many are clones of.

use std::rc::Rc;

use offshoot::engine::OpenOptions;
use offshoot::storage::Storage;
use serde_json::json;

use crate::materialize::go_on;
use crate::support::disk::Watched;
use crate::support::memory::allocations;
use crate::support::{Db, World, open_in, run, say};

fn name(n: usize) -> String {
    format!("draft-of-a-longer-name-{n:04}")
}

/// Makes clones, each with a document of its own, in runs that are merged.
async fn grow(world: &World, origin: &Db, clones: usize) {
    for n in 0..clones {
        let clone = origin.clone_as(&name(n)).await;
        clone.ok(say::insert(&[("own", json!({"n": n}))])).await;
    }
    let store = world.tab().await;
    store.compact_all().await.expect("a compaction");
}

/// A thousand clones are listed, with their sizes too, in a few reads of cold storage.
#[test]
fn a_thousand_databases_are_listed_in_a_few_reads() {
    run(async |world| {
        let main = world.main().await;
        grow(&world, &main, 1000).await;
        for (sizes, most) in [(false, 20), (true, 40)] {
            let watched = Rc::new(Watched::new(&world.disk, None));
            let figures = watched.figures();
            let cold = OpenOptions { cache_bytes: 0, ..OpenOptions::default() };
            let store = world.open(watched as Rc<dyn Storage>, cold).await.expect("the store opens");
            let before = figures.get().reads;
            let infos = store.databases(sizes).await.expect("a list");
            let reads = figures.get().reads - before;
            assert_eq!(infos.len(), 1001);
            assert!(infos.windows(2).all(|two| two[0].name < two[1].name), "by name");
            let clones = infos.iter().filter(|info| info.origin.is_some());
            assert!(clones.clone().all(|info| info.own_bytes.is_some() == sizes));
            assert!(!sizes || clones.clone().all(|info| info.own_bytes.is_some_and(|bytes| bytes > 0 && bytes < 1000)));
            assert!(reads <= most, "{reads} reads for a list, sizes: {sizes}");
        }
    });
}

/// The work of a forced drop is linear in the clones. It is measured by what is allocated: each row of the catalog that
/// is read allocates.
#[test]
fn a_forced_drop_of_twice_the_clones_is_twice_the_work() {
    let mut work = Vec::new();
    for clones in [200, 400] {
        run(async |world| {
            let main = world.main().await;
            let origin = main.clone_as("origin").await;
            grow(&world, &origin, clones).await;
            let store = world.tab().await;
            let here = open_in(&store, "origin").await;
            let before = allocations();
            here.0.drop_by_force(&go_on).await.expect("it is dropped");
            work.push(allocations() - before);
            assert_eq!(store.databases(false).await.expect("a list").len(), clones + 1);
        });
    }
    assert!(work[1] <= work[0] * 5 / 2, "{work:?} allocations");
}
