//! Walking rows in order, forward or backward: one merge of the memtable and the runs, each row once, at one LSN.

use std::collections::btree_map;
use std::ops::Bound;
use std::rc::Rc;

use super::block::{self, Block, BlockCursor};
use super::fault::{Attempt, BlockReference, Fault};
use super::run::{RunDescription, decode_reference};
use super::tree::{Found, TreeView};
use crate::types::row::{LSN_BYTES, push_lsn, split_internal};
use crate::types::{Bytes, Lsn};

/// How many neighbours of a missing block are fetched with it.
const READ_AHEAD: usize = 16;

/// Rows from `from` (included) to `before` (not included).
#[derive(Clone, Debug)]
pub struct RowRange {
    pub from: Vec<u8>,
    pub before: Vec<u8>,
}

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

enum Source<'a> {
    Memory(MemorySource<'a>),
    Run(Box<RunSource<'a>>),
}

impl Source<'_> {
    fn peek(&mut self) -> Attempt<Option<&[u8]>> {
        match self {
            Source::Memory(source) => Ok(source.current.map(|(internal, _)| &internal[..])),
            Source::Run(source) => source.peek(),
        }
    }

    fn value(&self) -> Bytes {
        match self {
            Source::Memory(source) => source.current.expect("BUG: a value after a peek").1.clone(),
            Source::Run(source) => source.value(),
        }
    }

    fn advance(&mut self) -> Attempt<()> {
        match self {
            Source::Memory(source) => {
                source.advance();
                Ok(())
            }
            Source::Run(source) => source.advance(),
        }
    }
}

struct MemorySource<'a> {
    range: btree_map::Range<'a, Vec<u8>, Bytes>,
    current: Option<(&'a Vec<u8>, &'a Bytes)>,
    reverse: bool,
}

impl MemorySource<'_> {
    fn advance(&mut self) {
        self.current = if self.reverse { self.range.next_back() } else { self.range.next() };
    }
}

/// The data blocks of a run that the range touches, in order, found in its index blocks.
pub fn data_blocks(view: TreeView<'_>, run: &RunDescription, range: &RowRange) -> Attempt<Vec<BlockReference>> {
    let mut level = vec![run.root()];
    for _ in 0..run.height {
        let mut below = Vec::new();
        for reference in level {
            let mut index = BlockCursor::seek(view.block(reference)?, &range.from)?;
            while let Some(last) = index.key() {
                let is_last = last >= &range.before[..];
                below.push(decode_reference(run.id, &index.value())?);
                if is_last {
                    break;
                }
                index.advance()?;
            }
        }
        level = below;
    }
    Ok(level)
}

/// The entries of a run in a range, one block after the other.
struct RunSource<'a> {
    view: TreeView<'a>,
    run: Rc<RunDescription>,
    range: RowRange,
    reverse: bool,
    /// The entries of the current block that are still to come, the next one last.
    entries: Vec<(Vec<u8>, Bytes)>,
    /// The blocks still to come, the next one last; `None` before the first look.
    blocks: Option<Vec<BlockReference>>,
    forward: Option<BlockCursor>,
    /// The current internal key, with the LSN of the commit where the run is a commit's own.
    key: Vec<u8>,
    done: bool,
}

impl<'a> RunSource<'a> {
    fn new(view: TreeView<'a>, run: Rc<RunDescription>, range: RowRange, reverse: bool) -> RunSource<'a> {
        let (entries, blocks) = (Vec::new(), None);
        RunSource { view, run, range, reverse, entries, blocks, forward: None, key: Vec::new(), done: false }
    }

    fn next_block(&mut self) -> Attempt<Option<Rc<Block>>> {
        if self.blocks.is_none() {
            let mut blocks = data_blocks(self.view, &self.run, &self.range)?;
            if !self.reverse {
                blocks.reverse();
            }
            self.blocks = Some(blocks);
        }
        let blocks = self.blocks.as_mut().expect("BUG: just found");
        let Some(next) = blocks.last() else { return Ok(None) };
        match self.view.block(*next) {
            Ok(block) => {
                blocks.pop();
                Ok(Some(block))
            }
            Err(Fault::Need(_)) => {
                let ahead = blocks.iter().rev().take(READ_AHEAD);
                Err(Fault::Need(ahead.filter(|r| self.view.block(**r).is_err()).copied().collect()))
            }
            Err(error) => Err(error),
        }
    }

    fn peek(&mut self) -> Attempt<Option<&[u8]>> {
        while !self.done && self.key.is_empty() {
            if self.reverse { self.fill_backward()? } else { self.fill_forward()? }
        }
        Ok((!self.done).then_some(&self.key[..]))
    }

    fn fill_forward(&mut self) -> Attempt<()> {
        if let Some(key) = self.forward.as_ref().and_then(BlockCursor::key) {
            if key >= &self.range.before[..] {
                self.done = true;
                return Ok(());
            }
            self.key.extend_from_slice(key);
            self.date();
            // Only its date puts a version of a commit's own run before the range's begin.
            if self.key < self.range.from {
                self.advance()?;
            }
            return Ok(());
        }
        match self.next_block()? {
            Some(block) => self.forward = Some(BlockCursor::seek(block, &self.range.from)?),
            None => self.done = true,
        }
        Ok(())
    }

    fn fill_backward(&mut self) -> Attempt<()> {
        if let Some((key, _)) = self.entries.last() {
            if key[..] < self.range.from[..] {
                self.done = true;
            } else {
                self.key.extend_from_slice(key);
                self.date();
            }
            return Ok(());
        }
        match self.next_block()? {
            Some(block) => {
                self.entries = block::entries(&block)?;
                self.entries.retain(|(key, _)| key[..] < self.range.before[..]);
            }
            None => self.done = true,
        }
        Ok(())
    }

    /// Gives the versions of a commit's own run that commit's LSN.
    fn date(&mut self) {
        if let Some(lsn) = self.run.fixed() {
            self.key.truncate(self.key.len() - LSN_BYTES);
            push_lsn(&mut self.key, lsn);
        }
    }

    fn value(&self) -> Bytes {
        match (&self.forward, self.entries.last()) {
            (Some(cursor), _) => cursor.value(),
            (None, Some((_, value))) => value.clone(),
            (None, None) => panic!("BUG: a value after a peek"),
        }
    }

    fn advance(&mut self) -> Attempt<()> {
        self.key.clear();
        match &mut self.forward {
            Some(cursor) => cursor.advance()?,
            None => drop(self.entries.pop()),
        }
        Ok(())
    }
}

/// All versions of some runs in a range, by internal key: what a compaction walks.
pub struct VersionCursor<'a> {
    sources: Vec<Source<'a>>,
}

impl<'a> VersionCursor<'a> {
    pub fn new(view: TreeView<'a>, runs: &[Rc<RunDescription>], range: &RowRange) -> VersionCursor<'a> {
        let source =
            |run: &Rc<RunDescription>| Source::Run(Box::new(RunSource::new(view, run.clone(), range.clone(), false)));
        VersionCursor { sources: runs.iter().map(source).collect() }
    }

    /// Those of all runs and of the log.
    pub fn everywhere(view: TreeView<'a>, range: &RowRange) -> VersionCursor<'a> {
        VersionCursor { sources: sources(view, range, Lsn::MAX, false) }
    }

    /// The next version and its internal key.
    pub fn next_version(&mut self) -> Attempt<Option<(Vec<u8>, Bytes)>> {
        let Some(least) = pick(&mut self.sources, |a, b| a < b)? else { return Ok(None) };
        let source = &mut self.sources[least];
        let internal = source.peek()?.expect("BUG: picked").to_vec();
        let encoded = source.value();
        source.advance()?;
        Ok(Some((internal, encoded)))
    }
}

/// The memtable, and the runs that may hold versions of the range up to `at`.
fn sources<'a>(view: TreeView<'a>, range: &RowRange, at: Lsn, reverse: bool) -> Vec<Source<'a>> {
    let mut sources = Vec::new();
    if range.from < range.before {
        let bounds = (Bound::Included(&range.from[..]), Bound::Excluded(&range.before[..]));
        let mut memory = MemorySource { range: view.tree.memtable.range(bounds), current: None, reverse };
        memory.advance();
        sources.push(Source::Memory(memory));
        for run in &view.tree.runs {
            if Lsn(run.oldest) <= at && run.overlaps(&range.from, &range.before) {
                let source = RunSource::new(view, run.clone(), range.clone(), reverse);
                sources.push(Source::Run(Box::new(source)));
            }
        }
    }
    sources
}

/// The source whose current key is nearest.
fn pick(sources: &mut [Source<'_>], is_nearer: impl Fn(&[u8], &[u8]) -> bool) -> Attempt<Option<usize>> {
    let mut nearest: Option<usize> = None;
    for index in 0..sources.len() {
        let (before, rest) = sources.split_at_mut(index);
        let Some(key) = rest[0].peek()? else { continue };
        let nearer = match nearest {
            None => true,
            Some(other) => is_nearer(key, before[other].peek()?.expect("BUG: peeked before")),
        };
        if nearer {
            nearest = Some(index);
        }
    }
    Ok(nearest)
}

/// The rows of a range at one LSN.
pub struct RowCursor<'a> {
    sources: Vec<Source<'a>>,
    at: Lsn,
    reverse: bool,
    last: Vec<u8>,
}

impl<'a> RowCursor<'a> {
    pub fn new(view: TreeView<'a>, range: &RowRange, at: Lsn, reverse: bool) -> RowCursor<'a> {
        RowCursor { sources: sources(view, range, at, reverse), at, reverse, last: Vec::new() }
    }

    /// The next row that has a version, tombstone or not, at the cursor's LSN.
    pub fn next_row(&mut self) -> Attempt<Option<TreeRow>> {
        if self.reverse { self.next_backward() } else { self.next_forward() }
    }

    fn next_forward(&mut self) -> Attempt<Option<TreeRow>> {
        loop {
            let Some(least) = pick(&mut self.sources, |a, b| a < b)? else { return Ok(None) };
            let source = &mut self.sources[least];
            let (row, lsn) = split_internal(source.peek()?.expect("BUG: picked"));
            let is_news = lsn <= self.at && row != &self.last[..];
            if is_news {
                self.last.clear();
                self.last.extend_from_slice(row);
                let encoded = source.value();
                source.advance()?;
                return Ok(Some(TreeRow { row: self.last.clone(), lsn, encoded }));
            }
            source.advance()?;
        }
    }

    /// Backward, a row's versions come oldest first, so all of them are looked at before one is given.
    fn next_backward(&mut self) -> Attempt<Option<TreeRow>> {
        let mut best: Option<TreeRow> = None;
        loop {
            let greatest = pick(&mut self.sources, |a, b| a > b)?;
            let Some(greatest) = greatest else { return Ok(best) };
            let source = &mut self.sources[greatest];
            let (row, lsn) = split_internal(source.peek()?.expect("BUG: picked"));
            if best.as_ref().is_some_and(|best| best.row != row) {
                return Ok(best);
            }
            if lsn <= self.at && best.as_ref().is_none_or(|best| best.lsn < lsn) {
                best = Some(TreeRow { row: row.to_vec(), lsn, encoded: source.value() });
            }
            source.advance()?;
        }
    }
}
