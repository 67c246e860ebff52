//! The list of a store's databases, and how many bytes each wrote itself.
//!
//! The list is told from the catalog alone. A size is told from the indexes of all runs, and from the blocks where a
//! database's rows begin and end; so it is found out only where it is asked for.

use std::rc::Rc;

use super::clone::{Status, status_of};
use crate::engine::catalog::{self, Entry};
use crate::engine::copy::copying::copy_jobs;
use crate::engine::core::Core;
use crate::engine::rows::lacking::Lacking;
use crate::error::Result;
use crate::lsm::{Attempt, PORTION_BYTES, RowRange, TreeView};
use crate::types::{DatabaseName, LayerId, Lsn, SortedMap};

#[derive(Clone, Debug)]
pub struct DatabaseInfo {
    pub name: DatabaseName,
    pub origin: Option<String>,
    pub as_of: Option<Lsn>,
    pub created_at: u64,
    pub expires_at: Option<u64>,
    pub status: Status,
    pub dependents: Vec<String>,
    /// About how many bytes of versions the database wrote itself; `None` where no sizes were asked for.
    pub own_bytes: Option<u64>,
}

/// All databases, by name.
pub async fn databases(core: &Rc<Core>, sizes: bool) -> Result<Vec<DatabaseInfo>> {
    let copies = copy_jobs(core).await?;
    let entries = core.read(|state, view| catalog::list(view, state.head)).await?;
    let sizes = if sizes { own_sizes(core, &entries).await? } else { Vec::new() };
    let mut dependents: SortedMap<String, Vec<String>> = SortedMap::new();
    for entry in &entries {
        if let Some(origin) = &entry.row.origin {
            dependents.or_default(origin.name.clone()).push(entry.name.to_string());
        }
    }
    let mut sizes = sizes.into_iter();
    let info = |entry: Entry| DatabaseInfo {
        status: status_of(&entry.row, &copies),
        dependents: dependents.remove(entry.name.as_str()).unwrap_or_default(),
        name: entry.name,
        as_of: entry.row.origin.as_ref().map(|origin| Lsn(origin.as_of)),
        origin: entry.row.origin.map(|origin| origin.name),
        created_at: entry.row.created_at,
        expires_at: entry.row.expires_at,
        own_bytes: sizes.next(),
    };
    Ok(entries.into_iter().map(info).collect())
}

/// The sizes of databases, in their order. The blocks that many of them lack are fetched at once.
async fn own_sizes(core: &Rc<Core>, entries: &[Entry]) -> Result<Vec<u64>> {
    let mut sizes = Vec::with_capacity(entries.len());
    core.read(|_, view| measure(view, entries, &mut sizes)).await?;
    Ok(sizes)
}

/// Goes on behind the sizes that are known already.
fn measure(view: TreeView<'_>, entries: &[Entry], sizes: &mut Vec<u64>) -> Attempt<()> {
    let (mut lacking, known) = (Lacking::default(), sizes.len());
    for entry in &entries[known..] {
        let mut bytes = 0;
        let measured = view.bytes_in(&rows_of(entry.row.layer())).map(|found| bytes = found);
        if lacking.take(measured)? {
            sizes.push(bytes);
        }
        if lacking.is_full() {
            break;
        }
    }
    if !lacking.is_empty() && sizes.len() > known && view.loaded.bytes() >= PORTION_BYTES {
        view.loaded.let_go();
    }
    lacking.check()
}

/// All rows of a layer.
fn rows_of(layer: LayerId) -> RowRange {
    RowRange { from: layer.0.to_be_bytes().to_vec(), before: (layer.0 + 1).to_be_bytes().to_vec() }
}
