//! A walk over what a clone sees below its layer, and the copies made of it.

use std::ops::ControlFlow;

use crate::engine::door::{Before, Copy};
use crate::engine::rows::path::{Level, Path};
use crate::engine::rows::read::{self, SuffixRange, just_after};
use crate::engine::rows::read::{is_ancestor, is_content};
use crate::lsm::{Attempt, Fault, RowCursor, RowRange, TreeView};
use crate::planted::{self, Bug};
use crate::query::{Counters, Since};
use crate::types::row::{LAYER_BYTES, prefix, prefix_end, row};
use crate::types::{Kind, LayerId, Lsn, SortedMap, Suffix, Version};

/// A count looks at so many rows in one go.
const COUNTED_ROWS: usize = if planted::HAS_FEW_ROWS { 3 } else { 4096 };

/// The rows that a database holds, in their order: the collections' own, then documents and entries. The change feed
/// stands between them and is each layer's own.
fn ranges(after: &[u8]) -> Vec<SuffixRange> {
    let collections = SuffixRange { from: prefix("", Kind::Collection), before: prefix_end("", Kind::Collection) };
    let content = SuffixRange { from: vec![1], before: vec![0xff] };
    let mut left = vec![collections, content];
    if !after.is_empty() {
        left.iter_mut().for_each(|range| range.from = std::mem::take(&mut range.from).max(just_after(after)));
    }
    left.retain(|range| range.from < range.before);
    left
}

/// Some rows that a walk has come past, and the copies that it made of them.
#[derive(Default)]
pub struct Slice {
    pub walked: u64,
    /// The walked rows that are documents or entries.
    pub rows: u64,
    /// The last row walked.
    pub position: Vec<u8>,
    pub copies: Vec<Copy>,
    pub bytes: usize,
    pub is_last: bool,
}

/// A walk over the rows that a clone sees below its layer.
pub struct Walk<'a> {
    /// The clone's path.
    pub path: &'a Path,
    pub layer: LayerId,
    /// Nobody can read the layer at an older LSN.
    pub oldest: Lsn,
    pub max_rows: usize,
    pub max_bytes: usize,
}

impl Walk<'_> {
    /// Copies the rows behind `after`. Where a block is missing, the rows that were walked before it make the slice.
    pub fn copy(&self, view: TreeView<'_>, after: &[u8]) -> Attempt<Slice> {
        let mut slice = Slice::default();
        let mut is_full = false;
        let below = self.path.below();
        let link = below[0].lsn;
        let date = if planted::is(Bug::CopiesDatedNow) { view.tree.head } else { link };
        for range in ranges(after) {
            let hidden = planted_hidden(view, below, &range)?;
            let mut own = OwnRows::new(view, self.layer, &range, self.oldest);
            let walked = read::scan(view, below, hidden.as_ref(), &range, false, |row| {
                if is_full {
                    return Ok(ControlFlow::Break(()));
                }
                // An ancestor belongs to the clone that parked its row, and says nothing to a clone of that one.
                if is_ancestor(row.suffix) {
                    return Ok(ControlFlow::Continue(()));
                }
                // Where the layer has a version at the oldest LSN that can still be read, every reader of the layer
                // finds that one or a newer one: a copy from below would be seen by nobody.
                if !own.has(row.suffix)? {
                    let mut version = row.version()?;
                    // The copy keeps the counters of the row below, counted from the link's LSN. Without them
                    // increments on two sides would clash once the link is cut and the row below is gone.
                    let counters = Counters::decode(version.delta.as_ref(), Some(link))?.since(Since::At(link));
                    (version.base, version.delta) = (None, counters.encode());
                    let copy = Copy::of(self.layer, row.suffix, &version, (Before::On(self.path), date));
                    slice.bytes += row.suffix.len() + copy.version().len();
                    slice.copies.push(copy);
                }
                slice.walked += 1;
                slice.rows += u64::from(is_content(row.suffix));
                slice.position = row.suffix.to_vec();
                is_full = slice.walked as usize >= self.max_rows || slice.bytes >= self.max_bytes;
                Ok(ControlFlow::Continue(()))
            });
            match walked {
                Err(Fault::Need(blocks)) if slice.walked == 0 => return Err(Fault::Need(blocks)),
                Err(Fault::Need(_)) => return Ok(slice),
                Err(error) => return Err(error),
                Ok(()) if is_full => return Ok(slice),
                Ok(()) => {}
            }
        }
        slice.is_last = true;
        Ok(slice)
    }

    /// As `copy`, but only counts.
    pub fn count(&self, view: TreeView<'_>, after: &[u8]) -> Attempt<Slice> {
        let mut slice = Slice::default();
        for range in ranges(after) {
            let walked = read::scan(view, self.path.below(), None, &range, false, |row| {
                if slice.walked as usize >= COUNTED_ROWS {
                    return Ok(ControlFlow::Break(()));
                }
                if is_ancestor(row.suffix) {
                    return Ok(ControlFlow::Continue(()));
                }
                slice.walked += 1;
                slice.rows += u64::from(is_content(row.suffix));
                slice.position = row.suffix.to_vec();
                Ok(ControlFlow::Continue(()))
            });
            match walked {
                Err(Fault::Need(blocks)) if slice.walked == 0 => return Err(Fault::Need(blocks)),
                Err(Fault::Need(_)) => return Ok(slice),
                Err(error) => return Err(error),
                Ok(()) if slice.walked as usize >= COUNTED_ROWS => return Ok(slice),
                Ok(()) => {}
            }
        }
        slice.is_last = true;
        Ok(slice)
    }
}

/// The rows of a layer that have a version at an LSN, asked for in rising order.
struct OwnRows<'a> {
    cursor: RowCursor<'a>,
    next: Option<Vec<u8>>,
    is_begun: bool,
}

impl<'a> OwnRows<'a> {
    fn new(view: TreeView<'a>, layer: LayerId, range: &SuffixRange, at: Lsn) -> OwnRows<'a> {
        let rows = RowRange { from: row(layer, &range.from), before: row(layer, &range.before) };
        OwnRows { cursor: RowCursor::new(view, &rows, at, false), next: None, is_begun: false }
    }

    fn has(&mut self, suffix: &[u8]) -> Attempt<bool> {
        while !self.is_begun || self.next.as_ref().is_some_and(|next| next[LAYER_BYTES..] < *suffix) {
            self.next = self.cursor.next_row()?.map(|found| found.row);
            self.is_begun = true;
        }
        Ok(self.next.as_ref().is_some_and(|next| next[LAYER_BYTES..] == *suffix))
    }
}

/// The planted bug: a row of the root counts as visible although a clone on the way has deleted it.
fn planted_hidden(
    view: TreeView<'_>,
    below: &[Level],
    range: &SuffixRange,
) -> Attempt<Option<SortedMap<Suffix, Version>>> {
    if !planted::is(Bug::MiddleTombstoneCopiedOver) {
        return Ok(None);
    }
    let mut hidden = SortedMap::new();
    read::scan(view, &below[below.len() - 1..], None, range, false, |row| {
        if read::topmost(view, below, row.suffix)?.is_some_and(|found| found.version.is_tombstone()) {
            hidden.insert(Suffix::from_bytes(row.suffix.to_vec()), row.version()?);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Some(hidden))
}
