//! Which rows of a layer were written between two LSNs: from the log's notes, from the change feed, and from what large
//! commits wrote ahead.

use super::read::{SuffixRange, just_after};
use crate::engine::rows::read::is_content;
use crate::lsm::{Attempt, Fault, RowCursor, RowRange, State, TreeView, VersionCursor, decode_feed, feed_range};
use crate::types::row::{row, split_internal, split_row};
use crate::types::{LayerId, Lsn};

/// A layer, and the commits after `older` up to `newer`, staged ones too.
#[derive(Clone, Copy, Debug)]
pub struct Between {
    pub layer: LayerId,
    pub older: Lsn,
    pub newer: Lsn,
}

impl Between {
    fn has(&self, lsn: Lsn) -> bool {
        self.older < lsn && lsn <= self.newer
    }
}

/// Visits the suffixes in a range that were written, in no order, some of them again. Nothing of it may lie below the
/// history floor. Of what large commits wrote ahead only the first `limit` documents and entries are visited, and of a
/// read that takes portions, as many as can be held at a time; then the suffix from which on the others come is given.
pub fn visit(
    state: &State,
    view: TreeView<'_>,
    between: Between,
    range: &SuffixRange,
    limit: usize,
    visit: &mut dyn FnMut(&[u8]) -> Attempt<()>,
) -> Attempt<Option<Vec<u8>>> {
    let mut visit = |layer: LayerId, suffix: &[u8]| -> Attempt<()> {
        if layer == between.layer && range.contains(suffix) { visit(suffix) } else { Ok(()) }
    };
    let since = state.notes.partition_point(|note| note.lsn <= between.older);
    for note in state.notes[since..].iter().take_while(|note| note.lsn <= between.newer) {
        for written in note.changes.rows() {
            let (layer, suffix) = split_row(written);
            visit(layer, suffix)?;
        }
    }
    for (commit, place) in state.staged().iter().zip(1..) {
        if between.has(state.head.plus(place)) {
            for written in commit.changes.rows() {
                let (layer, suffix) = split_row(written);
                visit(layer, suffix)?;
            }
        }
    }
    let is_in = |lsn: Lsn| between.has(lsn);
    let ahead: Vec<_> = view.tree.runs().iter().filter(|run| run.own_feed().is_some_and(is_in)).cloned().collect();
    let rows = RowRange { from: row(between.layer, &range.from), before: row(between.layer, &range.before) };
    let mut versions = VersionCursor::new(view, &ahead, &rows);
    let (mut last, mut found) = (Vec::new(), 0);
    let rest = loop {
        let next = match versions.next_version() {
            _ if found >= limit => break Some(just_after(&last)),
            Err(Fault::Need(_)) if view.loaded.is_full() && !last.is_empty() => break Some(just_after(&last)),
            next => next?,
        };
        let Some((internal, _)) = next else { break None };
        let (layer, suffix) = split_row(split_internal(&internal).0);
        // Several commits may have written the same row.
        if *suffix != last[..] {
            visit(layer, suffix)?;
            found += usize::from(is_content(suffix));
            last = suffix.to_vec();
        }
    };
    let before = between.newer.min(state.manifest.checkpoint()).next();
    let feed = feed_range(between.layer, between.older.next(), before);
    let mut cursor = RowCursor::above(view, &feed, between.older, Lsn::MAX);
    while let Some(row) = cursor.next_row()? {
        let (_, written) = decode_feed(&row.row, &row.found(view)?.version)?;
        for suffix in &written.suffixes {
            visit(between.layer, suffix)?;
        }
    }
    Ok(rest)
}
