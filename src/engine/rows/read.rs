//! Reading over a path: one loop for a point read, one ordered merge for a scan. No recursion, whatever the depth.

use std::ops::{Bound, ControlFlow};

use super::path::{Level, Path};
use crate::error::Error;
use crate::lsm::{Attempt, Fault, Found, Item, RowCursor, RowRange, Span, Spans, TreeRow, TreeView};
use crate::planted::{self, Bug};
use crate::types::row::{LAYER_BYTES, row, split_suffix};
use crate::types::{Kind, Lsn, SortedMap, SortedRange, Suffix, Version};

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

/// True if the row is a document or an entry.
pub fn is_content(suffix: &[u8]) -> bool {
    matches!(split_suffix(suffix), Some((_, Kind::Document | Kind::Entry, _)))
}

/// True of a row beside one that a merge left in conflict: it belongs to that one clone's layer alone.
pub fn is_ancestor(suffix: &[u8]) -> bool {
    matches!(split_suffix(suffix), Some((_, Kind::Ancestor, _)))
}

/// A version with the place of its level in the path.
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

/// The answer of the first level that has one. Where a level lacks blocks and cannot answer yet, the levels below are
/// asked for the blocks that they lack too, so that all of them are fetched in one go.
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

/// The facts about a row that a write must know. Values stay where they are stored.
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

/// True if a version of the topmost layer may be a copy that a materialization made, and no change of the layer's own:
/// its LSN is not above the link's, and it has no base. It is a copy if a row is visible below.
pub fn may_be_copy(path: &Path, lsn: Lsn, version: &Version) -> bool {
    let is_old = path.below().first().is_some_and(|link| lsn <= link.lsn);
    is_old && version.base.is_none() && !version.is_tombstone()
}

pub fn is_copy(view: TreeView<'_>, path: &Path, suffix: &[u8], found: &Found) -> Attempt<bool> {
    // The origin may have an ancestor of the same row, for a conflict of its own: that is another row.
    if !may_be_copy(path, found.lsn, &found.version) || is_ancestor(suffix) {
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
    next: Option<Item>,
}

impl Lane<'_> {
    /// Where its next row is, or its next span begins, without the layer.
    fn place(&self) -> Option<&[u8]> {
        match &self.next {
            None => None,
            Some(Item::Row(row)) => Some(&row.row[LAYER_BYTES..]),
            Some(Item::Span(span)) => Some(&span.from[LAYER_BYTES..]),
        }
    }

    fn span(&self) -> Option<&Span> {
        if let Some(Item::Span(span)) = &self.next { Some(span) } else { None }
    }

    /// True if all rows of this lane lie behind a span that another lane has come to. Forward, a row at `until` lies
    /// behind the span; backward, such a row may be in the span.
    fn is_behind(&self, until: &[u8], reverse: bool) -> bool {
        self.place().is_none_or(|place| match reverse {
            false => place >= until,
            true => place < until || place == until && self.span().is_some(),
        })
    }
}

/// The arguments of a walk over a path.
#[derive(Clone, Copy)]
pub struct Scan<'a> {
    pub view: TreeView<'a>,
    pub levels: &'a [Level],
    /// A transaction's writes, above all levels.
    pub own: Option<&'a SortedMap<Suffix, Version>>,
    pub range: &'a SuffixRange,
    pub reverse: bool,
    /// `Spans::Counted`: the visitor takes rows by their number alone.
    pub spans: Spans,
    /// The walk ends early once the tree has counted so many examined versions.
    pub until: Option<u64>,
}

/// The items that a walk over a path gives to its visitor.
pub enum Seen<'a> {
    Row(Visible<'a>),
    /// This many visible rows, which were counted and not read.
    Rows(u64),
}

/// How far a walk has come.
#[derive(Default)]
pub struct Position {
    suffix: Vec<u8>,
    /// `suffix` is the last row that was walked, so the next rows come after it. Otherwise it is a bound between rows.
    is_row: bool,
    has_begun: bool,
}

impl Position {
    /// The part of the range that is left; `None`: the walk has not got on at all.
    pub fn rest(&self, range: &SuffixRange, reverse: bool) -> Option<SuffixRange> {
        let mut rest = range.clone();
        match (reverse, self.is_row) {
            (true, _) => rest.before = self.suffix.clone(),
            (false, true) => rest.from = just_after(&self.suffix),
            (false, false) => rest.from = self.suffix.clone(),
        }
        self.has_begun.then_some(rest)
    }

    fn note(&mut self, suffix: &[u8], is_row: bool) {
        self.suffix.clear();
        self.suffix.extend_from_slice(suffix);
        (self.is_row, self.has_begun) = (is_row, true);
    }
}

/// How a walk ended that met no fault.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Walked {
    All,
    /// The visitor had enough, or the walk has come to `until`.
    Part,
}

/// Walks the visible rows of `range` in order: each key once, the topmost version wins, tombstones hide (SEMANTICS R2,
/// R3). `own` are a transaction's writes, above all levels.
pub fn scan(
    view: TreeView<'_>,
    levels: &[Level],
    own: Option<&SortedMap<Suffix, Version>>,
    range: &SuffixRange,
    reverse: bool,
    mut visit: impl FnMut(Visible<'_>) -> Attempt<ControlFlow<()>>,
) -> Attempt<()> {
    let scan = Scan { view, levels, own, range, reverse, spans: Spans::Dead, until: None };
    walk(scan, &mut Position::default(), &mut |seen| match seen {
        Seen::Row(row) => visit(row),
        Seen::Rows(_) => unreachable!("BUG: rows are not counted here"),
    })?;
    Ok(())
}

/// As `scan`; `position` says how far the walk has come. A visitor that breaks has taken the row that it was given. The
/// visitor is no type parameter, so the module holds this code once.
pub fn walk(
    scan: Scan<'_>,
    position: &mut Position,
    visit: &mut dyn FnMut(Seen<'_>) -> Attempt<ControlFlow<()>>,
) -> Attempt<Walked> {
    let Scan { view, range, reverse, .. } = scan;
    let mut lanes = Vec::with_capacity(scan.levels.len());
    for level in scan.levels {
        let rows = RowRange { from: row(level.layer, &range.from), before: row(level.layer, &range.before) };
        let mut cursor = RowCursor::with_spans(view, &rows, level.lsn, reverse, scan.spans);
        let next = cursor.next_item()?;
        lanes.push(Lane { cursor, next });
    }
    let mut own = OwnRows::new(scan.own, range, reverse);
    loop {
        if position.has_begun && scan.until.is_some_and(|until| view.tree.examined() >= until) {
            return Ok(Walked::Part);
        }
        let nearer = |a: &[u8], b: &[u8]| if reverse { a > b } else { a < b };
        let mut nearest: Option<&[u8]> = own.peek();
        let mut of_span = None;
        for (index, lane) in lanes.iter().enumerate() {
            let Some(place) = lane.place() else { continue };
            // A span that begins where another lane's row is comes first: backward, the row may be in the span.
            if nearest.is_none_or(|other| nearer(place, other) || place == other && lane.span().is_some()) {
                nearest = Some(place);
                of_span = lane.span().is_some().then_some(index);
            }
        }
        if let Some(index) = of_span {
            if pass_span(&mut lanes, index, &own, reverse, position, visit)?.is_break() {
                return Ok(Walked::Part);
            }
            continue;
        }
        let Some(suffix) = nearest.map(<[u8]>::to_vec) else { return Ok(Walked::All) };
        let mut winner: Option<TreeRow> = None;
        for lane in &mut lanes {
            if matches!(&lane.next, Some(Item::Row(next)) if next.row[LAYER_BYTES..] == suffix[..]) {
                let taken = lane.next.take();
                lane.next = lane.cursor.next_item()?;
                if let (None, Some(Item::Row(row))) = (&winner, taken) {
                    winner = Some(row);
                }
            }
        }
        let flow = match (own.take(&suffix), &winner) {
            (Some(version), _) if version.is_tombstone() => ControlFlow::Continue(()),
            (Some(version), _) => visit(Seen::Row(Visible { suffix: &suffix, source: Source::Own(version), view }))?,
            (None, Some(row)) if is_tombstone(row) => ControlFlow::Continue(()),
            (None, Some(row)) => visit(Seen::Row(Visible { suffix: &suffix, source: Source::Stored(row), view }))?,
            (None, None) => unreachable!("BUG: a row comes from somewhere"),
        };
        position.note(&suffix, true);
        if flow.is_break() {
            return Ok(Walked::Part);
        }
    }
}

/// Passes the span that a lane has come to, if the rows of all other lanes lie behind it. Then no row hides one of the
/// span, and the deleted rows of the span hide none. Otherwise the rows of the span are walked one by one.
fn pass_span(
    lanes: &mut [Lane<'_>],
    index: usize,
    own: &OwnRows<'_>,
    reverse: bool,
    position: &mut Position,
    visit: &mut dyn FnMut(Seen<'_>) -> Attempt<ControlFlow<()>>,
) -> Attempt<ControlFlow<()>> {
    let Some(Item::Span(span)) = lanes[index].next.take() else { unreachable!("BUG: it has come to a span") };
    let until = &span.until[LAYER_BYTES..];
    let mut others = lanes.iter().enumerate().filter(|(other, _)| *other != index);
    let is_alone = others.all(|(_, lane)| lane.is_behind(until, reverse)) || planted::is(Bug::SpanOverOtherLevels);
    let is_behind_own = own.peek().is_none_or(|row| if reverse { row < until } else { row >= until });
    let lane = &mut lanes[index];
    let mut flow = ControlFlow::Continue(());
    if is_alone && is_behind_own {
        if span.values > 0 {
            flow = visit(Seen::Rows(span.values))?;
        }
        position.note(until, false);
        lane.cursor.pass(span);
    } else {
        lane.cursor.enter()?;
    }
    lane.next = lane.cursor.next_item()?;
    Ok(flow)
}

/// Without decoding the rest: a count looks at nothing else.
fn is_tombstone(row: &TreeRow) -> bool {
    Version::is_encoded_tombstone(&row.encoded)
}

/// A transaction's own writes in a range, in the order of the walk. The walk takes them from the map one by one: a list
/// of all of them would be made anew by each call of a body that has written many rows.
struct OwnRows<'a> {
    rest: Option<SortedRange<'a, Suffix, Version>>,
    next: Option<(&'a Suffix, &'a Version)>,
    reverse: bool,
}

impl<'a> OwnRows<'a> {
    fn new(own: Option<&'a SortedMap<Suffix, Version>>, range: &SuffixRange, reverse: bool) -> OwnRows<'a> {
        let bounds = (Bound::Included(&range.from[..]), Bound::Excluded(&range.before[..]));
        let rest = own.filter(|_| range.from < range.before).map(|own| own.range::<[u8]>(bounds));
        let mut rows = OwnRows { rest, next: None, reverse };
        rows.advance();
        rows
    }

    fn advance(&mut self) {
        let reverse = self.reverse;
        self.next = self.rest.as_mut().and_then(|rest| if reverse { rest.next_back() } else { rest.next() });
    }

    fn peek(&self) -> Option<&'a [u8]> {
        self.next.map(|(suffix, _)| suffix.as_bytes())
    }

    fn take(&mut self, suffix: &[u8]) -> Option<&'a Version> {
        let (_, version) = self.next.filter(|(own, _)| own.as_bytes() == suffix)?;
        self.advance();
        Some(version)
    }
}
