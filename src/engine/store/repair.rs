//! A repair lets collections be written to again whose own rows were lost with a block.
//!
//! A write to a collection reads the row of the collection itself, and so does a merge. Where the block of that row
//! cannot be read, every such write would fail, though other rows of the collection are left; and so would the first
//! write to any new collection whose name lies in the range of the block.
//!
//! Rows that are left tell the name and the kind of their collection, so its row is written again. Then the blocks that
//! may hold rows of collections and cannot be read are given up: from there on a collection whose row is not found is
//! one that is not there, and the next write makes it anew. Only rows of collections read so. Every other row in such a
//! block is lost, and a call that needs it is told (`lsm/tree.rs`), so no older version takes its place.
//!
//! Rows of the old collection cannot pass for rows of the new one. If some can be read, they have given their kind to
//! the row that was written again, so the new collection is the old one. If none can be read, all rows of the old one
//! are in lost blocks, which stay lost. Where the new collection is of the same kind, a read that meets such a block is
//! told. Where it is of another kind, no read looks for the old rows, because the kind is part of each key.

use std::ops::ControlFlow;
use std::rc::Rc;

use crate::drive::Step;
use crate::engine::catalog;
use crate::engine::core::Core;
use crate::engine::core::job::Present;
use crate::engine::door::{Before, Effects};
use crate::engine::op::context::step_end;
use crate::engine::rows::collections::{collection_row, collections};
use crate::engine::rows::path::Path;
use crate::engine::rows::read::{self, Position, Scan, Seen, SuffixRange, Walked};
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Attempt, GivenUp, Installation, Spans, State, TreeView};
use crate::types::row::{prefix_end, split_suffix};
use crate::types::{CollectionName, DatabaseName, Kind, Version};

/// A repair tries again at most so often, where another tab has swapped the manifest first.
const TRIES: u32 = 8;

/// Goes from collection to collection of each database, around what cannot be read. A database whose own row is lost
/// stays as it is.
pub(super) async fn restore_collections(core: &Rc<Core>) -> Result<()> {
    let (around, lost) = (Rc::new(GivenUp::default()), Rc::new(GivenUp::default()));
    let mut databases = Vec::new();
    let mut list = |state: &State, view: TreeView<'_>| {
        databases = catalog::list(view, state.head)?;
        Ok(())
    };
    core.read_around(Some(&around), &mut list).await?;
    for database in databases {
        match restore_in(core, (&around, &lost), &database.name).await {
            Err(error) if error.code() != ErrorCode::StorageCorrupt => return Err(error),
            _ => {}
        }
    }
    give_up(core, &lost).await
}

/// Has the manifest say that these blocks are given up.
async fn give_up(core: &Rc<Core>, lost: &GivenUp) -> Result<()> {
    for _ in 0..TRIES {
        let mut installation = Installation::new(core.lsm.with(|state| state.manifest.clone()));
        installation.give_up(lost.addresses());
        if installation.is_idle() || core.install(installation).await? {
            return Ok(());
        }
    }
    Err(Error::new(ErrorCode::Conflict, "other tabs change the store faster than it can be repaired"))
}

async fn restore_in(
    core: &Rc<Core>,
    (around, lost): (&Rc<GivenUp>, &Rc<GivenUp>),
    database: &DatabaseName,
) -> Result<()> {
    // Names are not empty, so the rows of the collections themselves, under the empty name, come before.
    let mut left = SuffixRange { from: vec![1], before: vec![0xff] };
    loop {
        let mut first = None;
        let mut look = |state: &State, view: TreeView<'_>| {
            let path = Path::resolve(view, database, state.head)?;
            let (levels, until) = (path.levels(), Some(step_end(view)));
            let scan = Scan { view, levels, own: None, range: &left, reverse: false, spans: Spans::Dead, until };
            let mut position = Position::default();
            let walked = read::walk(scan, &mut position, &mut |seen| {
                if let Seen::Row(row) = seen {
                    first = Some(row.suffix.to_vec());
                }
                Ok(ControlFlow::Break(()))
            })?;
            match position.rest(&left, false) {
                Some(rest) if walked == Walked::Part && first.is_none() => left = rest,
                _ => return Ok(Step::Done),
            }
            Ok(Step::Pause)
        };
        core.read_long(Some(around), &mut look).await?;
        let Some(suffix) = first else { break };
        let unreadable = || Error::corrupt("a row's collection cannot be read");
        let (name, kind, _) = split_suffix(&suffix).ok_or_else(unreadable)?;
        if matches!(kind, Kind::Document | Kind::Entry) {
            restore(core, database, &CollectionName::new(name)?, kind).await?;
        }
        left = SuffixRange { from: prefix_end(name, kind), before: vec![0xff] };
    }
    let mut find_lost =
        |state: &State, view: TreeView<'_>| collections(view, &Path::resolve(view, database, state.head)?).map(drop);
    core.read_around(Some(lost), &mut find_lost).await
}

async fn restore(core: &Rc<Core>, database: &DatabaseName, name: &CollectionName, kind: Kind) -> Result<()> {
    let suffix = collection_row(name);
    let found = core
        .read(|state, view| {
            let path = Path::resolve(view, database, state.head)?;
            read::topmost(view, path.levels(), suffix.as_bytes())
        })
        .await;
    match found {
        Ok(Some(found)) if found.version.here().is_some_and(|row| row.first() == Some(&(kind as u8))) => return Ok(()),
        Err(error) if error.code() != ErrorCode::StorageCorrupt => return Err(error),
        _ => {}
    }
    let database = database.clone();
    let write = move |present: &Present<'_>| -> Attempt<((), Effects)> {
        let path = Path::resolve(present.view, &database, present.at)?;
        let mut effects = Effects::default();
        if let Some(top) = path.top() {
            effects.put(top.layer, suffix.as_bytes(), &Version::value(vec![kind as u8]), Before::On(&path));
        }
        Ok(((), effects))
    };
    core.commit(core.durability, write).await.map(drop)
}
