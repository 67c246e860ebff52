//! A repair writes the rows of collections again that were lost with a block.
//!
//! A write to a collection reads the row of the collection itself. Where that row cannot be read, every such write
//! would fail, though other rows of the collection are left. Those rows tell the name and the kind of the collection.

use std::ops::ControlFlow;
use std::rc::Rc;

use crate::engine::catalog;
use crate::engine::core::Core;
use crate::engine::core::job::Present;
use crate::engine::door::{Before, Effects};
use crate::engine::rows::collections::collection_row;
use crate::engine::rows::path::Path;
use crate::engine::rows::read::{self, SuffixRange};
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Attempt, GivenUp, State, TreeView};
use crate::types::row::{prefix_end, split_suffix};
use crate::types::{CollectionName, DatabaseName, Kind, Version};

/// Goes from collection to collection of each database, around what cannot be read. A database whose own row is lost
/// stays as it is.
pub(super) async fn restore_collections(core: &Rc<Core>) -> Result<()> {
    let around = Rc::new(GivenUp::default());
    let mut databases = Vec::new();
    let mut list = |state: &State, view: TreeView<'_>| {
        databases = catalog::list(view, state.head)?;
        Ok(())
    };
    core.read_around(Some(&around), &mut list).await?;
    for database in databases {
        match restore_in(core, &around, &database.name).await {
            Err(error) if error.code() != ErrorCode::StorageCorrupt => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

async fn restore_in(core: &Rc<Core>, around: &Rc<GivenUp>, database: &DatabaseName) -> Result<()> {
    // Names are not empty, so the rows of the collections themselves, under the empty name, come before.
    let mut range = SuffixRange { from: vec![1], before: vec![0xff] };
    loop {
        let mut first = None;
        let mut look = |state: &State, view: TreeView<'_>| {
            let path = Path::resolve(view, database, state.head)?;
            read::scan(view, path.levels(), None, &range, false, |row| {
                first = Some(row.suffix.to_vec());
                Ok(ControlFlow::Break(()))
            })
        };
        core.read_around(Some(around), &mut look).await?;
        let Some(suffix) = first else { return Ok(()) };
        let unreadable = || Error::corrupt("a row's collection cannot be read");
        let (name, kind, _) = split_suffix(&suffix).ok_or_else(unreadable)?;
        if matches!(kind, Kind::Document | Kind::Entry) {
            restore(core, database, &CollectionName::new(name)?, kind).await?;
        }
        range.from = prefix_end(name, kind);
    }
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
        Ok(Some(found)) if !found.version.is_tombstone() => return Ok(()),
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
