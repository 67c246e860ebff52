//! Reading over a path: one loop for a point read, one ordered merge for a scan. No recursion, whatever the depth.

use std::ops::ControlFlow;

use super::path::{Level, Path};
use crate::error::Error;
use crate::lsm::{Attempt, Fault, Found, RowCursor, RowRange, TreeRow, TreeView};
use crate::types::row::{LAYER_BYTES, row, split_suffix};
use crate::types::{Kind, Lsn, Suffix, Version};
use std::collections::BTreeMap;

/// Suffixes from `from` (included) to `before` (not included).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SuffixRange {
    pub from: Vec<u8>,
    pub before: Vec<u8>,
}

impl SuffixRange {
    pub fn contains(&self, suffix: &[u8]) -> bool {
        self.from[..] <= *suffix && *suffix < self.before[..]
    }
}

/// The least byte string above the row `suffix` and all its versions.
pub fn just_after(suffix: &[u8]) -> Vec<u8> {
    let mut after = suffix.to_vec();
    after.extend_from_slice(&[0xff; 9]);
    after
}

/// Whether a row is a document or an entry.
pub fn is_content(suffix: &[u8]) -> bool {
    matches!(split_suffix(suffix), Some((_, Kind::Document | Kind::Entry, _)))
}

/// A version, and which level of its path it is of.
#[derive(Clone, Debug)]
pub struct Placed {
    pub level: usize,
    pub found: Found,
}

/// The topmost version of a row, tombstone or not (SEMANTICS R1): each level is asked in turn, and the first answers.
pub fn placed(view: TreeView<'_>, levels: &[Level], suffix: &[u8]) -> Attempt<Option<Placed>> {
    first_of(levels, |place, level| {
        let found = view.get(&row(level.layer, suffix), level.lsn)?;
        Ok(found.map(|found| Placed { level: place, found }))
    })
}

/// What the first level answers that answers anything. Where one cannot answer yet, the next ones are asked for what
/// they lack, so that all of it is fetched in one go.
fn first_of<T>(levels: &[Level], mut ask: impl FnMut(usize, &Level) -> Attempt<Option<T>>) -> Attempt<Option<T>> {
    let mut needed = Vec::new();
    for (place, level) in levels.iter().enumerate() {
        match ask(place, level) {
            Ok(Some(found)) if needed.is_empty() => return Ok(Some(found)),
            Ok(None) => {}
            Err(Fault::Need(more)) => needed.extend(more),
            // The levels below may not be asked at all, so an error there is none yet.
            Ok(Some(_)) | Err(Fault::Error(_)) if !needed.is_empty() => break,
            Ok(Some(_)) => unreachable!("BUG: it was given above"),
            Err(error) => return Err(error),
        }
    }
    if needed.is_empty() { Ok(None) } else { Err(Fault::Need(needed)) }
}

/// What a write of a row must know of it. Values stay where they are stored.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Standing {
    pub is_there: bool,
    /// The LSN, below the topmost layer, of the version that the layer first replaced, or would replace now.
    pub base: Option<Lsn>,
}

/// How a row stands on a path (SEMANTICS W7, W9).
pub fn standing(view: TreeView<'_>, path: &Path, suffix: &[u8]) -> Attempt<Standing> {
    let Some((place, found)) = undisclosed(view, path.levels(), suffix)? else { return Ok(Standing::default()) };
    let is_there = !found.version.is_tombstone();
    if path.below().is_empty() {
        return Ok(Standing { is_there, base: None });
    }
    if place > 0 {
        return Ok(Standing { is_there, base: is_there.then_some(found.lsn) });
    }
    if may_be_copy(path, found.lsn, &found.version)
        && let Some((_, below)) = undisclosed(view, path.below(), suffix)?
        && !below.version.is_tombstone()
    {
        return Ok(Standing { is_there, base: Some(below.lsn) });
    }
    Ok(Standing { is_there, base: found.base() })
}

/// The topmost version of a row and its level, as it is stored: a large value is not brought here.
fn undisclosed(view: TreeView<'_>, levels: &[Level], suffix: &[u8]) -> Attempt<Option<(usize, Found)>> {
    first_of(levels, |place, level| {
        let Some((lsn, encoded)) = view.find(&row(level.layer, suffix), level.lsn)? else { return Ok(None) };
        let unreadable = || Error::corrupt(format!("a version cannot be decoded. lsn={lsn}"));
        let version = Version::decode(&encoded).ok_or_else(unreadable)?;
        Ok(Some((place, Found { lsn, version })))
    })
}

/// As `placed`, wherever it is.
pub fn topmost(view: TreeView<'_>, levels: &[Level], suffix: &[u8]) -> Attempt<Option<Found>> {
    Ok(placed(view, levels, suffix)?.map(|placed| placed.found))
}

/// Whether a version of the topmost layer may be a copy that a materialization made, and no change of the layer's own:
/// it is as old as the link, and has replaced nothing. It is one if a row is visible below.
pub fn may_be_copy(path: &Path, lsn: Lsn, version: &Version) -> bool {
    let is_old = path.below().first().is_some_and(|link| lsn <= link.lsn);
    is_old && version.base.is_none() && !version.is_tombstone()
}

pub fn is_copy(view: TreeView<'_>, path: &Path, suffix: &[u8], found: &Found) -> Attempt<bool> {
    if !may_be_copy(path, found.lsn, &found.version) {
        return Ok(false);
    }
    Ok(topmost(view, path.below(), suffix)?.is_some_and(|below| !below.version.is_tombstone()))
}

/// One visible row of a scan.
pub struct Visible<'a> {
    pub suffix: &'a [u8],
    source: Source<'a>,
    view: TreeView<'a>,
}

enum Source<'a> {
    Own(&'a Version),
    Stored(&'a TreeRow),
}

impl Visible<'_> {
    /// The row's version, its value brought here if it is stored apart.
    pub fn version(&self) -> Attempt<Version> {
        match &self.source {
            Source::Own(version) => Ok((*version).clone()),
            Source::Stored(row) => Ok(row.found(self.view)?.version),
        }
    }
}

/// A level's rows in a range, one ahead.
struct Lane<'a> {
    cursor: RowCursor<'a>,
    next: Option<TreeRow>,
}

/// Walks the visible rows of `range` in order: each key once, the topmost version wins, tombstones hide (SEMANTICS R2,
/// R3). `own` are a transaction's writes, above all levels.
pub fn scan(
    view: TreeView<'_>,
    levels: &[Level],
    own: Option<&BTreeMap<Suffix, Version>>,
    range: &SuffixRange,
    reverse: bool,
    mut visit: impl FnMut(Visible<'_>) -> Attempt<ControlFlow<()>>,
) -> Attempt<()> {
    walk(view, levels, own, range, reverse, &mut visit)
}

/// One for all visitors, so that it is in the module once.
fn walk(
    view: TreeView<'_>,
    levels: &[Level],
    own: Option<&BTreeMap<Suffix, Version>>,
    range: &SuffixRange,
    reverse: bool,
    visit: &mut dyn FnMut(Visible<'_>) -> Attempt<ControlFlow<()>>,
) -> Attempt<()> {
    let mut lanes = Vec::with_capacity(levels.len());
    for level in levels {
        let rows = RowRange { from: row(level.layer, &range.from), before: row(level.layer, &range.before) };
        let mut cursor = RowCursor::new(view, &rows, level.lsn, reverse);
        let next = cursor.next_row()?;
        lanes.push(Lane { cursor, next });
    }
    let mut own = OwnRows::new(own, range, reverse);
    loop {
        let nearer = |a: &[u8], b: &[u8]| if reverse { a > b } else { a < b };
        let mut nearest: Option<&[u8]> = own.peek();
        let stored = lanes.iter().filter_map(|lane| lane.next.as_ref()).map(|next| &next.row[LAYER_BYTES..]);
        for suffix in stored {
            if nearest.is_none_or(|other| nearer(suffix, other)) {
                nearest = Some(suffix);
            }
        }
        let Some(suffix) = nearest.map(<[u8]>::to_vec) else { return Ok(()) };
        let mut winner: Option<TreeRow> = None;
        for lane in &mut lanes {
            if lane.next.as_ref().is_some_and(|next| next.row[LAYER_BYTES..] == suffix[..]) {
                let taken = lane.next.take();
                lane.next = lane.cursor.next_row()?;
                winner = winner.or(taken);
            }
        }
        let flow = match (own.take(&suffix), &winner) {
            (Some(version), _) if version.is_tombstone() => ControlFlow::Continue(()),
            (Some(version), _) => visit(Visible { suffix: &suffix, source: Source::Own(version), view })?,
            (None, Some(row)) if is_tombstone(row) => ControlFlow::Continue(()),
            (None, Some(row)) => visit(Visible { suffix: &suffix, source: Source::Stored(row), view })?,
            (None, None) => unreachable!("BUG: a row comes from somewhere"),
        };
        if flow.is_break() {
            return Ok(());
        }
    }
}

/// Without decoding the rest: a count looks at nothing else.
fn is_tombstone(row: &TreeRow) -> bool {
    Version::is_encoded_tombstone(&row.encoded)
}

/// A transaction's own writes in a range, in the order of the walk.
struct OwnRows<'a> {
    rows: Vec<(&'a Suffix, &'a Version)>,
}

impl<'a> OwnRows<'a> {
    fn new(own: Option<&'a BTreeMap<Suffix, Version>>, range: &SuffixRange, reverse: bool) -> OwnRows<'a> {
        let mut rows: Vec<_> = match own {
            Some(own) if range.from < range.before => {
                let bounds = Suffix::from_bytes(range.from.clone())..Suffix::from_bytes(range.before.clone());
                own.range(bounds).collect()
            }
            _ => Vec::new(),
        };
        // The next one is last, where it is cheap to take.
        if !reverse {
            rows.reverse();
        }
        OwnRows { rows }
    }

    fn peek(&self) -> Option<&'a [u8]> {
        self.rows.last().map(|(suffix, _)| suffix.as_bytes())
    }

    fn take(&mut self, suffix: &[u8]) -> Option<&'a Version> {
        if self.peek() == Some(suffix) { self.rows.pop().map(|(_, version)| version) } else { None }
    }
}
