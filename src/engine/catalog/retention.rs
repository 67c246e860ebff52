//! The versions that must stay readable: all from the history floor on, and below it those that the links of clones
//! pin.

use crate::engine::catalog::{self, DatabaseRow};
use crate::error::Error;
use crate::lsm::{Attempt, Retention, RowRange, TreeView, VersionCursor};
use crate::planted::{self, Bug};
use crate::types::row::{prefix, prefix_end, row, split_internal};
use crate::types::{DatabaseName, Kind, LayerId, Lsn, Version};

/// The pins of all catalog versions that can still be read. A commit that pins more must first find the floor as it is:
/// raising it closed the epoch, so no commit that did not see it can follow.
pub fn retention(view: TreeView<'_>, floor: Lsn) -> Attempt<Retention> {
    let mut retention = Retention::new(floor);
    retention.layer(LayerId::CATALOG);
    let range = RowRange {
        from: row(LayerId::CATALOG, &prefix(catalog::DATABASES, Kind::Catalog)),
        before: row(LayerId::CATALOG, &prefix_end(catalog::DATABASES, Kind::Catalog)),
    };
    // A layer that was whole at the floor is read without what lies below it by everybody; before, only by some.
    let whole_layers = catalog::whole_layers(view)?;
    let is_whole = |layer: LayerId| whole_layers.get(&layer).is_some_and(|lsn| *lsn <= floor);
    let mut versions = VersionCursor::everywhere(view, &range);
    // Of each name the versions come newest first; below the floor only the first one is read.
    let mut name = Vec::new();
    let mut is_below = false;
    while let Some((internal, encoded)) = versions.next_version()? {
        let (found, lsn) = split_internal(&internal);
        if found != &name[..] {
            name = found.to_vec();
            is_below = false;
        }
        if !std::mem::replace(&mut is_below, lsn <= floor) || lsn > floor {
            if Version::is_encoded_tombstone(&encoded) {
                continue;
            }
            let row = DatabaseRow::decode(&view.whole(lsn, &encoded)?)?;
            pin(view, &mut retention, row, &is_whole)?;
        }
    }
    for layer in whole_layers.keys().copied().filter(|layer| !retention.names(*layer)).collect::<Vec<_>>() {
        retention.forget(catalog::whole_row(layer));
    }
    Ok(retention)
}

/// Pins what a database reads: its layer from the floor on, and each layer below at the link's LSN, with the catalog
/// that resolves the link.
fn pin(
    view: TreeView<'_>,
    retention: &mut Retention,
    database: DatabaseRow,
    is_whole: &impl Fn(LayerId) -> bool,
) -> Attempt<()> {
    let mut at = None;
    let mut row = database;
    loop {
        if is_whole(row.layer()) {
            row.origin = None;
        }
        let pins = retention.layer(row.layer());
        pins.is_root &= row.origin.is_none();
        if let Some(at) = at.filter(|_| !planted::is(Bug::PinnedVersionVacuumed)) {
            pins.pin(at);
        }
        let Some(origin) = row.origin else { return Ok(()) };
        let as_of = Lsn(origin.as_of);
        retention.layer(LayerId::CATALOG).pin(as_of);
        let name = DatabaseName::new(&origin.name)?;
        let lost = || Error::corrupt(format!("a clone's origin is gone. origin={name}, version={as_of}"));
        row = catalog::find(view, &name, as_of)?.ok_or_else(lost)?.row;
        at = Some(as_of);
    }
}
