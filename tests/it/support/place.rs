//! The places where a promise must hold: a root, a clone and a clone of a clone, each called in both ways.

use std::rc::Rc;

use offshoot::engine::Op;
use offshoot::error::{ErrorCode, Result};
use offshoot::lsm::{Attempt, Commit, Loaded, Lsm, Opening, RowCursor, RowRange, TreeView};
use offshoot::storage::{MemoryStorage, Storage};
use offshoot::types::row::{prefix, prefix_end, row, split_row, split_suffix};
use offshoot::types::{Kind, LayerId, Lsn, Suffix, Version};
use serde_json::Value;

use super::{Db, World, run};

/// The way in which a call is made: by itself, or in a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    Single,
    Transaction,
}

impl Way {
    pub const ALL: [Way; 2] = [Way::Single, Way::Transaction];

    pub async fn run(self, db: &Db, op: Op) -> Result<Value> {
        match self {
            Way::Single => db.run(op).await,
            Way::Transaction => db.transact(&[op]).await.map(|mut answers| answers.remove(0)),
        }
    }
}

/// A database at some depth, over origins that hold what the test put into the root.
pub struct Place {
    pub world: Rc<World>,
    pub way: Way,
    /// The root first, this database last.
    pub line: Vec<Db>,
}

/// Runs `body` in every place: `seed` is done in the root before it is cloned.
pub fn everywhere(seed: &[Op], body: impl AsyncFn(&Place)) {
    at_depths(0..3, seed, body);
}

/// As `everywhere`, but only where there is an origin.
pub fn in_clones(seed: &[Op], body: impl AsyncFn(&Place)) {
    at_depths(1..4, seed, body);
}

fn at_depths(depths: std::ops::Range<usize>, seed: &[Op], body: impl AsyncFn(&Place)) {
    for (depth, way) in depths.flat_map(|depth| Way::ALL.map(|way| (depth, way))) {
        run(async |world| {
            let mut line = vec![world.main().await];
            for op in seed {
                line[0].ok(op.clone()).await;
            }
            for generation in 1..=depth {
                line.push(line[generation - 1].clone_as(&format!("clone{generation}")).await);
            }
            body(&Place { world, way, line }).await;
        });
    }
}

impl Place {
    pub fn db(&self) -> &Db {
        self.line.last().expect("there is a root")
    }

    pub fn origins(&self) -> &[Db] {
        &self.line[..self.line.len() - 1]
    }

    pub async fn run(&self, op: Op) -> Result<Value> {
        self.way.run(self.db(), op).await
    }

    pub async fn ok(&self, op: Op) -> Value {
        self.run(op).await.expect("the call succeeds")
    }

    pub async fn code(&self, op: Op) -> ErrorCode {
        self.run(op).await.expect_err("the call fails").code()
    }

    /// A call that writes, and how many commits it made.
    pub async fn commits(&self, op: Op) -> (Value, u64) {
        let before = self.db().0.version();
        let answer = self.ok(op).await;
        (answer, self.db().0.version().0 - before.0)
    }

    /// Checks the answer of a read of this database: at once, in a transaction, and once the store is opened again.
    pub async fn reads(&self, op: Op, expected: Value) {
        let again = self.db().reopened(&self.world).await;
        for (db, when) in [(self.db(), "at once"), (&again, "after opening again")] {
            assert_eq!(db.ok(op.clone()).await, expected, "{when}, {:?}, {}", self.way, db.path().await);
            let inside = Way::Transaction.run(db, op.clone()).await.expect("the call succeeds");
            assert_eq!(inside, expected, "{when}, inside a transaction, {}", db.path().await);
        }
    }

    /// Every origin reads this, whatever was done here.
    pub async fn origins_read(&self, op: Op, expected: Value) {
        for origin in self.origins() {
            assert_eq!(origin.ok(op.clone()).await, expected, "{:?}, {}", self.way, origin.path().await);
        }
    }

    /// The version of a row that the database's own layer holds, tombstone or not.
    pub async fn own_version(&self, suffix: &Suffix) -> Option<(Lsn, Version)> {
        own_version(&self.world, self.db(), suffix).await
    }
}

/// The version of a row that the layer of `db` itself holds. The store must be small enough to be in its log.
pub async fn own_version(world: &World, db: &Db, suffix: &Suffix) -> Option<(Lsn, Version)> {
    let lsm = open_lsm(Rc::new(MemoryStorage::open(&world.disk))).await;
    let loaded = Loaded::default();
    let found = lsm.with(|state| {
        let view = TreeView::new(&state.tree, &loaded);
        let layer = layer(view, db.0.name().as_str())?;
        view.get(&row(layer, suffix.as_bytes()), Lsn::MAX)
    });
    found.expect("it is in the log").map(|found| (found.lsn, found.version))
}

/// The map below a store that is there.
pub async fn open_lsm(storage: Rc<dyn Storage>) -> Lsm {
    let genesis = Commit::default();
    let opening = Opening { store: 0, genesis, cache_bytes: 0, hot_row: Vec::new(), may_create: false, repair: None };
    Lsm::open(storage, &opening).await.expect("the store is there")
}

/// A database's layer, from its row in the catalog.
fn layer(view: TreeView<'_>, name: &str) -> Attempt<LayerId> {
    let range = RowRange {
        from: row(LayerId::CATALOG, &prefix("databases", Kind::Catalog)),
        before: row(LayerId::CATALOG, &prefix_end("databases", Kind::Catalog)),
    };
    let mut cursor = RowCursor::new(view, &range, Lsn::MAX, false);
    while let Some(next) = cursor.next_row()? {
        let (_, _, key) = split_suffix(split_row(&next.row).1).expect("a catalog row");
        if key.strip_suffix(&[0]).unwrap_or(key) == name.as_bytes() {
            let found = next.found(view)?.version;
            let fields: Vec<Value> = rmp_serde::from_slice(found.here().expect("a value")).expect("a catalog row");
            return Ok(LayerId(fields[1].as_u64().expect("a layer's number")));
        }
    }
    panic!("the catalog has no such database. name={name}")
}

/// The place of a document of `todos` in any layer.
pub fn document_row(id: &str) -> Suffix {
    Suffix::document(&super::say::collection("todos"), &super::say::key(id))
}

/// The place of an entry of `kv` in any layer.
pub fn entry_row(key: &str) -> Suffix {
    Suffix::entry(&super::say::collection("kv"), &super::say::key(key))
}
