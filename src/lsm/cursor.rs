//! Walking rows in order, forward or backward: each row once, at one LSN. `versions.rs` merges the memtable and the runs
//! below the walk.

use super::fault::Attempt;
use super::range::RowRange;
use super::source::{RunSource, Source, Span};
use super::tree::{Found, TreeView};
use super::versions::{Spans, pick, sources};
use crate::types::row::split_internal;
use crate::types::{Bytes, Lsn};

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

/// What a walk gives.
pub enum Item {
    Row(TreeRow),
    /// Whoever takes the walk tells it to pass the span or to enter it, and then the walk goes on.
    Span(Span),
}

/// The rows of a range at one LSN.
pub struct RowCursor<'a> {
    view: TreeView<'a>,
    sources: Vec<Source<'a>>,
    at: Lsn,
    reverse: bool,
    last: Vec<u8>,
    spans: Option<Spans>,
    /// The source whose next block is the span that the walk has given last.
    offered: Option<usize>,
}

impl<'a> RowCursor<'a> {
    pub fn new(view: TreeView<'a>, range: &RowRange, at: Lsn, reverse: bool) -> RowCursor<'a> {
        RowCursor {
            view,
            sources: sources(view, range, at, reverse),
            at,
            reverse,
            last: Vec::new(),
            spans: None,
            offered: None,
        }
    }

    /// A walk that gives spans.
    pub fn with_spans(view: TreeView<'a>, range: &RowRange, at: Lsn, reverse: bool, spans: Spans) -> RowCursor<'a> {
        RowCursor { spans: Some(spans), ..RowCursor::new(view, range, at, reverse) }
    }

    /// All rows of a range, of which none is dated `above` or earlier: runs that end by then are not looked at.
    pub fn above(view: TreeView<'a>, range: &RowRange, above: Lsn) -> RowCursor<'a> {
        let mut cursor = RowCursor::new(view, range, Lsn::MAX, false);
        cursor.sources.retain(|source| source.may_hold_above(above));
        cursor
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
        self.step()
    }

    /// Goes on behind the span that the walk has given.
    pub fn pass(&mut self) {
        self.offered().pass();
    }

    /// Goes on with the rows of the span that the walk has given.
    pub fn enter(&mut self) -> Attempt<()> {
        self.offered().enter()
    }

    fn offered(&mut self) -> &mut RunSource<'a> {
        let index = self.offered.take().expect("BUG: a span was offered");
        self.sources[index].before_block().expect("BUG: it was offered")
    }

    fn offer(&mut self, index: usize, span: Span) -> Attempt<Option<Item>> {
        self.offered = Some(index);
        Ok(Some(Item::Span(span)))
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
        loop {
            let index = match self.pick()? {
                None => return Ok(None),
                Some((index, Some(span))) => return self.offer(index, span),
                Some((index, None)) => index,
            };
            let source = &mut self.sources[index];
            let (row, lsn) = split_internal(source.key().expect("BUG: picked"));
            if lsn <= self.at && *row != self.last[..] {
                self.last.clear();
                self.last.extend_from_slice(row);
                let encoded = source.value();
                source.advance()?;
                return Ok(Some(Item::Row(TreeRow { row: self.last.clone(), lsn, encoded })));
            }
            source.advance()?;
        }
    }

    /// Backward, a row's versions come oldest first, so all of them are looked at before one is given.
    fn next_backward(&mut self) -> Attempt<Option<Item>> {
        let mut best: Option<TreeRow> = None;
        loop {
            let index = match self.pick()? {
                None => return Ok(best.map(Item::Row)),
                // The span comes again once the row before it was given.
                Some((_, Some(_))) if best.is_some() => return Ok(best.map(Item::Row)),
                Some((index, Some(span))) => return self.offer(index, span),
                Some((index, None)) => index,
            };
            let source = &mut self.sources[index];
            let (row, lsn) = split_internal(source.key().expect("BUG: picked"));
            if best.as_ref().is_some_and(|best| best.row != row) {
                return Ok(best.map(Item::Row));
            }
            if lsn <= self.at {
                best = Some(TreeRow { row: row.to_vec(), lsn, encoded: source.value() });
            }
            source.advance()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::lsm::cache::Kept;
    use crate::lsm::data_blocks::{Listed, data_blocks};
    use crate::lsm::fault::{Fault, Need};
    use crate::lsm::run::RunDescription;
    use crate::lsm::run_writer::RunWriter;
    use crate::lsm::segment;
    use crate::lsm::tree::{Loaded, Tree};
    use crate::types::Version;
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
        let view = TreeView { tree: &tree, loaded: &loaded };
        for (from, before) in [(0, 3000), (1234, 2345), (2999, 3000), (17, 18)] {
            let range = RowRange { from: key(from), before: key(before) };
            let all = data_blocks(view, &run, &range, usize::MAX, false).unwrap().blocks;
            for (limit, reverse) in [(1, false), (1, true), (2, true), (7, false), (7, true), (50, false), (50, true)] {
                let (mut found, mut rest) = (Vec::new(), Some(range.clone()));
                while let Some(range) = rest {
                    let listed = data_blocks(view, &run, &range, limit, reverse).unwrap();
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
        let view = TreeView { tree: &tree, loaded: &loaded };
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
