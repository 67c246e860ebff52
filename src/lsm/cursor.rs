//! Walking rows in order, forward or backward: each row once, at one LSN. `versions.rs` merges the memtable and runs
//! below the walk.

use std::rc::Rc;

use super::dead::Trail;
use super::fault::Attempt;
use super::range::RowRange;
use super::run::RunDescription;
use super::source::{Source, Span};
use super::tree::{Found, TreeView};
use super::versions::{Spans, pick, sources};
use crate::types::row::split_internal;
use crate::types::{Bytes, Lsn, Version};

/// So many versions of one row are walked one by one; then the walk looks the row up, and goes on behind it.
const VERSIONS: usize = 8;
/// So many rows in a row that have no version at the walk's LSN are walked in one go; then the walk says how far it is,
/// so that whoever takes it can pause.
const HIDDEN: usize = 16;

/// A row and its version at the cursor's LSN, tombstones included.
pub struct TreeRow {
    pub row: Vec<u8>,
    pub lsn: Lsn,
    pub encoded: Bytes,
}

impl TreeRow {
    pub fn found(&self, view: TreeView<'_>) -> Attempt<Found> {
        view.whole(self.lsn, &self.encoded)
    }
}

/// An item of a walk.
pub enum Item {
    Row(TreeRow),
    /// Whoever takes the walk tells it to pass the span or to enter it, and then the walk goes on.
    Span(Span),
}

/// The origin of the span that the walk has given last.
enum Offered {
    /// It is the next block of this source.
    Block(usize),
    /// An earlier walk has noted its rows as deleted.
    Noted,
    /// It is empty: the walk has only told how far it is.
    Empty,
}

/// The row that a walk is at, and how many rows in a row it has met that have no version at its LSN.
#[derive(Default)]
struct Met {
    row: Vec<u8>,
    versions: usize,
    hidden: usize,
}

impl Met {
    /// Notes another version. True: the walk goes on behind the row, which has many.
    fn note(&mut self, row: &[u8], is_hidden: bool) -> bool {
        if *row != self.row[..] {
            self.row.clear();
            self.row.extend_from_slice(row);
            self.versions = 0;
            self.hidden += usize::from(is_hidden);
        }
        self.versions += 1;
        self.versions >= VERSIONS
    }
}

fn behind(row: &[u8]) -> Vec<u8> {
    [row, &[0xff; 9]].concat()
}

/// The rows of a range at one LSN.
pub struct RowCursor<'a> {
    view: TreeView<'a>,
    range: RowRange,
    sources: Vec<Source<'a>>,
    at: Lsn,
    above: Lsn,
    reverse: bool,
    last: Vec<u8>,
    spans: Option<Spans>,
    offered: Option<Offered>,
    /// The walk looks up which rows earlier walks have found deleted, and notes those that it finds itself.
    takes_notes: bool,
    has_begun: bool,
    trail: Trail,
}

impl<'a> RowCursor<'a> {
    pub fn new(view: TreeView<'a>, range: &RowRange, at: Lsn, reverse: bool) -> RowCursor<'a> {
        let edge = if reverse { &range.before } else { &range.from };
        RowCursor {
            view,
            range: range.clone(),
            sources: sources(view, range, at, reverse),
            at,
            above: Lsn::ZERO,
            reverse,
            last: Vec::new(),
            spans: None,
            offered: None,
            takes_notes: false,
            has_begun: false,
            trail: Trail::new(edge.clone()),
        }
    }

    /// A walk that gives spans.
    pub fn with_spans(view: TreeView<'a>, range: &RowRange, at: Lsn, reverse: bool, spans: Spans) -> RowCursor<'a> {
        // The walk does not meet the versions of a run that is newer than its LSN, so it knows nothing of later LSNs.
        let is_newer = |run: &Rc<RunDescription>| Lsn(run.oldest) > at && run.overlaps(&range.from, &range.before);
        let takes_notes = !view.loaded.goes_around() && !view.tree.runs().iter().any(is_newer);
        let mut cursor = RowCursor::new(view, range, at, reverse);
        (cursor.spans, cursor.takes_notes) = (Some(spans), takes_notes);
        cursor
    }

    /// The rows of a range that were written after `above`, and some of the others: runs and blocks that hold nothing
    /// newer are not read.
    pub fn above(view: TreeView<'a>, range: &RowRange, above: Lsn, at: Lsn) -> RowCursor<'a> {
        let mut cursor = RowCursor::new(view, range, at, false);
        cursor.above = above;
        cursor.pass_older();
        cursor
    }

    fn pass_older(&mut self) {
        let above = self.above;
        self.sources.retain_mut(|source| source.pass_older(above));
    }

    /// Where the rows begin that the walk has not given yet. For a walk that goes forward.
    pub fn place(&self) -> Vec<u8> {
        let nearest = self.sources.iter().filter_map(Source::key).min().unwrap_or(&self.range.before);
        if self.last.is_empty() { nearest.to_vec() } else { behind(&self.last).max(nearest.to_vec()) }
    }

    /// The next row that has a version, tombstone or not, at the cursor's LSN.
    pub fn next_row(&mut self) -> Attempt<Option<TreeRow>> {
        match self.step()? {
            None => Ok(None),
            Some(Item::Row(row)) => Ok(Some(row)),
            Some(Item::Span(_)) => unreachable!("BUG: a walk that asks for no spans is given none"),
        }
    }

    /// As `next_row`, of a walk that gives spans.
    pub fn next_item(&mut self) -> Attempt<Option<Item>> {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        if self.takes_notes
            && (is_first || self.trail.may_be_noted())
            && let Some(span) = self.noted()
        {
            self.view.tree.examine();
            return self.offer(Offered::Noted, span);
        }
        let item = self.step()?;
        match &item {
            Some(Item::Row(row)) if Version::is_encoded_tombstone(&row.encoded) => {
                let to = if self.reverse { row.row.clone() } else { behind(&row.row) };
                self.trail.add_row(to);
            }
            Some(Item::Row(row)) => {
                let (front, back) = (row.row.clone(), behind(&row.row));
                let (to, from) = if self.reverse { (back, front) } else { (front, back) };
                self.end_trail(to, from);
            }
            Some(Item::Span(_)) => {}
            None => {
                let end = if self.reverse { self.range.from.clone() } else { self.range.before.clone() };
                self.end_trail(end.clone(), end);
            }
        }
        Ok(item)
    }

    /// The walk has met nothing but deleted rows up to `to`. The next trail begins at `from`.
    fn end_trail(&mut self, to: Vec<u8>, from: Vec<u8>) {
        self.trail.reach(to);
        self.note_trail();
        self.trail = Trail::new(from);
    }

    fn note_trail(&self) {
        if self.takes_notes
            && let Some((from, before)) = self.trail.deleted(self.reverse)
        {
            self.view.tree.memtable.note_dead(from, before, self.at);
        }
    }

    /// The span that an earlier walk has noted where this one is.
    fn noted(&self) -> Option<Span> {
        let here = self.trail.end();
        let (from, before) = self.view.tree.memtable.dead_around(here, self.at, self.reverse)?;
        let until =
            if self.reverse { from.max(self.range.from.clone()) } else { before.min(self.range.before.clone()) };
        let goes_on = if self.reverse { until[..] < *here } else { until[..] > *here };
        goes_on.then(|| Span { from: here.to_vec(), until, values: 0 })
    }

    fn offer(&mut self, offered: Offered, span: Span) -> Attempt<Option<Item>> {
        self.offered = Some(offered);
        Ok(Some(Item::Span(span)))
    }

    fn offer_empty(&mut self, place: Vec<u8>) -> Attempt<Option<Item>> {
        self.offer(Offered::Empty, Span { from: place.clone(), until: place, values: 0 })
    }

    /// Goes on behind the span that the walk has given.
    pub fn pass(&mut self, span: Span) {
        match self.offered.take().expect("BUG: a span was offered") {
            Offered::Empty => return self.trail.reach(span.until),
            Offered::Noted => self.go_on_at(&span.until),
            Offered::Block(index) => self.sources[index].before_block().expect("BUG: it was offered").pass(),
        }
        if span.values > 0 {
            self.end_trail(span.from, span.until);
        } else {
            self.trail.add_span(span.until);
        }
    }

    /// Goes on with the rows of the span that the walk has given.
    pub fn enter(&mut self) -> Attempt<()> {
        match self.offered.take().expect("BUG: a span was offered") {
            Offered::Empty => {}
            Offered::Noted => self.takes_notes = false,
            Offered::Block(index) => self.sources[index].before_block().expect("BUG: it was offered").enter()?,
        }
        Ok(())
    }

    fn go_on_at(&mut self, bound: &[u8]) {
        let edge = if self.reverse { &mut self.range.before } else { &mut self.range.from };
        edge.clear();
        edge.extend_from_slice(bound);
        self.sources = sources(self.view, &self.range, self.at, self.reverse);
        self.pass_older();
    }

    fn step(&mut self) -> Attempt<Option<Item>> {
        if self.reverse { self.next_backward() } else { self.next_forward() }
    }

    fn pick(&mut self) -> Attempt<Option<(usize, Option<Span>)>> {
        let picked = pick(&mut self.sources, self.reverse, self.spans.map(|spans| (spans, self.at)))?;
        self.view.tree.examine();
        Ok(picked)
    }

    fn next_forward(&mut self) -> Attempt<Option<Item>> {
        let mut met = Met::default();
        loop {
            let index = match self.pick()? {
                None => return Ok(None),
                Some((index, Some(span))) => return self.offer(Offered::Block(index), span),
                Some((index, None)) => index,
            };
            let source = &mut self.sources[index];
            let (row, lsn) = split_internal(source.key().expect("BUG: picked"));
            let is_last = *row == self.last[..];
            self.trail.is_clean &= lsn <= self.at;
            if lsn <= self.at && !is_last {
                self.last.clear();
                self.last.extend_from_slice(row);
                let encoded = source.value();
                source.advance()?;
                return Ok(Some(Item::Row(TreeRow { row: self.last.clone(), lsn, encoded })));
            }
            if met.note(row, !is_last) {
                let found = if is_last { None } else { self.view.find(&met.row, self.at)? };
                self.go_on_at(&behind(&met.row));
                if let Some((lsn, encoded)) = found {
                    self.last.clone_from(&met.row);
                    return Ok(Some(Item::Row(TreeRow { row: met.row, lsn, encoded })));
                }
                continue;
            }
            if met.hidden > HIDDEN && self.spans.is_some() {
                return self.offer_empty(met.row);
            }
            source.advance()?;
        }
    }

    /// Backward, a row's versions come oldest first, so all of them are looked at before one is given.
    fn next_backward(&mut self) -> Attempt<Option<Item>> {
        let mut best: Option<TreeRow> = None;
        let mut met = Met::default();
        loop {
            let index = match self.pick()? {
                None => return Ok(best.map(Item::Row)),
                // The span comes again once the row before it was given.
                Some((_, Some(_))) if best.is_some() => return Ok(best.map(Item::Row)),
                Some((index, Some(span))) => return self.offer(Offered::Block(index), span),
                Some((index, None)) => index,
            };
            let source = &mut self.sources[index];
            let (row, lsn) = split_internal(source.key().expect("BUG: picked"));
            if best.as_ref().is_some_and(|best| best.row != row) {
                return Ok(best.map(Item::Row));
            }
            self.trail.is_clean &= lsn <= self.at;
            if met.note(row, lsn > self.at) {
                // The walk has not met all versions of this row, so it cannot say that the row stays deleted.
                self.trail.is_clean = false;
                let found = self.view.find(&met.row, self.at)?;
                self.go_on_at(&met.row);
                if let Some((lsn, encoded)) = found {
                    return Ok(Some(Item::Row(TreeRow { row: met.row, lsn, encoded })));
                }
                continue;
            }
            if met.hidden > HIDDEN && best.is_none() && self.spans.is_some() {
                return self.offer_empty(behind(&met.row));
            }
            if lsn <= self.at && best.as_ref().is_none_or(|best| best.lsn < lsn) {
                best = Some(TreeRow { row: row.to_vec(), lsn, encoded: source.value() });
            }
            source.advance()?;
        }
    }
}

/// A walk that ends among deleted rows has found some for the next one.
impl Drop for RowCursor<'_> {
    fn drop(&mut self) {
        self.note_trail();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsm::cache::Kept;
    use crate::lsm::data_blocks::{Listed, data_blocks};
    use crate::lsm::fault::{Fault, Need};
    use crate::lsm::run_writer::RunWriter;
    use crate::lsm::segment;
    use crate::lsm::tree::{Loaded, Tree};
    use crate::types::row::push_lsn;

    /// Keys so long that many blocks are needed.
    fn key(n: usize) -> Vec<u8> {
        format!("{n:08}{}", "k".repeat(900)).into_bytes()
    }

    fn tree(rows: usize) -> (Tree, Rc<RunDescription>) {
        let mut tree = Tree::new(usize::MAX);
        let mut writer = RunWriter::with_small_indexes(1);
        for n in 0..rows {
            let mut internal = key(n);
            push_lsn(&mut internal, Lsn(1));
            writer.push(&internal, &Version::value(vec![0]).encode()).unwrap();
        }
        let (run, blocks) = writer.finish();
        for (address, bytes) in blocks {
            for (index, range) in segment::blocks(&bytes).into_iter().enumerate() {
                tree.cache.keep(address.beside(index), Kept::Sealed(bytes[range].into()));
            }
        }
        let run = Rc::new(run);
        tree.add_run(run.clone());
        (tree, run)
    }

    #[test]
    fn blocks_listed_a_few_at_a_time_are_all_of_them() {
        let (tree, run) = tree(3000);
        assert!(run.height >= 2, "there are indexes of indexes");
        let loaded = Loaded::default();
        let view = TreeView::new(&tree, &loaded);
        for (from, before) in [(0, 3000), (1234, 2345), (2999, 3000), (17, 18)] {
            let range = RowRange { from: key(from), before: key(before) };
            let all = data_blocks(view, &run, &range, usize::MAX, (Lsn::ZERO, false)).unwrap().blocks;
            for (limit, reverse) in [(1, false), (1, true), (2, true), (7, false), (7, true), (50, false), (50, true)] {
                let (mut found, mut rest) = (Vec::new(), Some(range.clone()));
                while let Some(range) = rest {
                    let listed = data_blocks(view, &run, &range, limit, (Lsn::ZERO, reverse)).unwrap();
                    assert!(listed.blocks.len() <= limit);
                    if reverse {
                        found.splice(0..0, listed.blocks)
                    } else {
                        found.splice(found.len().., listed.blocks)
                    };
                    rest = listed.rest;
                }
                let references = |blocks: &[Listed]| blocks.iter().map(|listed| listed.reference).collect::<Vec<_>>();
                let (found, all) = (references(&found), references(&all));
                assert_eq!(found, all, "from {from} before {before}, {limit} at a time, reverse={reverse}");
            }
        }
    }

    #[test]
    fn a_run_is_not_read_before_the_walk_comes_to_it() {
        let (mut tree, _) = tree(100);
        let mut far = RunWriter::new(2);
        let mut internal = key(500);
        push_lsn(&mut internal, Lsn(2));
        far.push(&internal, &Version::value(vec![0]).encode()).unwrap();
        tree.add_run(Rc::new(far.finish().0));
        let loaded = Loaded::default();
        let view = TreeView::new(&tree, &loaded);
        let range = RowRange { from: key(0), before: key(1000) };
        let mut cursor = RowCursor::new(view, &range, Lsn::MAX, false);
        for n in 0..100 {
            assert_eq!(cursor.next_row().unwrap().expect("a row").row, key(n));
        }
        let far = cursor.next_row().err().expect("the far run's block is not there");
        let Fault::Need(needed) = far else { panic!("a block is needed") };
        assert!(matches!(needed[..], [Need::Block(reference)] if reference.address.run == 2));
    }
}
