//! Walking rows in order, forward or backward: one merge of the memtable and the runs, each row once, at one LSN.

use std::collections::btree_map;
use std::ops::Bound;
use std::rc::Rc;

use super::block::{self, Block, BlockCursor};
use super::data_blocks::data_blocks;
use super::fault::{Attempt, BlockReference, Fault};
use super::range::RowRange;
use super::run::RunDescription;
use super::tree::{Found, TreeView};
use crate::types::row::{LSN_BYTES, push_lsn, split_internal};
use crate::types::{Bytes, Lsn};

/// How many neighbours of a missing block are fetched with it.
const READ_AHEAD: usize = 16;
/// The same of all runs together that are walked side by side, whose blocks are all held.
const MERGE_AHEAD: usize = 64;
/// How many blocks of a run are listed at a time: a walk that ends early does not pay for the whole index.
const LISTED: usize = 64;

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
    /// Finds its current key, unless it has not been reached yet.
    fn ready(&mut self) -> Attempt<()> {
        match self {
            Source::Memory(_) => Ok(()),
            Source::Run(source) => source.ready(),
        }
    }

    /// Its current key, or a bound of all its keys where it has not been reached yet. `None`: it is at its end.
    fn key(&self) -> Option<&[u8]> {
        match self {
            Source::Memory(source) => source.current.map(|(internal, _)| &internal[..]),
            Source::Run(source) => (!source.done).then_some(&source.key[..]),
        }
    }

    /// Whether its key is a bound only: nothing has been read of it. It is reached now.
    fn reach(&mut self) -> bool {
        match self {
            Source::Memory(_) => false,
            Source::Run(source) => source.reach(),
        }
    }

    fn value(&self) -> Bytes {
        match self {
            Source::Memory(source) => source.current.expect("BUG: a value after a key").1.clone(),
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

/// The entries of a run in a range, one block after the other. Nothing is read of it before the walk comes to it.
struct RunSource<'a> {
    view: TreeView<'a>,
    run: Rc<RunDescription>,
    range: RowRange,
    reverse: bool,
    is_reached: bool,
    /// How many neighbours of a missing block are fetched with it.
    ahead: usize,
    /// The entries of the current block that are still to come, the next one last.
    entries: Vec<(Vec<u8>, Bytes)>,
    /// Blocks still to come, the next one last.
    blocks: Vec<BlockReference>,
    /// Where blocks that are not listed yet lie.
    rest: Option<RowRange>,
    forward: Option<BlockCursor>,
    /// The current internal key, with the LSN of the commit where the run is a commit's own. Before the run is reached:
    /// a bound of all its keys.
    key: Vec<u8>,
    done: bool,
}

impl<'a> RunSource<'a> {
    fn new(view: TreeView<'a>, run: Rc<RunDescription>, range: RowRange, reverse: bool) -> RunSource<'a> {
        // Rows before the first one were moved, and may be there still.
        let range = RowRange { from: range.from.max(run.first.clone()), ..range };
        let key = match reverse {
            false => range.from.clone(),
            true => [&run.last[..], &[0xff; LSN_BYTES + 1]].concat().min(range.before.clone()),
        };
        RunSource {
            view,
            run,
            rest: Some(range.clone()),
            range,
            reverse,
            is_reached: false,
            ahead: READ_AHEAD,
            entries: Vec::new(),
            blocks: Vec::new(),
            forward: None,
            key,
            done: false,
        }
    }

    fn reach(&mut self) -> bool {
        let is_first = !std::mem::replace(&mut self.is_reached, true);
        if is_first {
            self.key.clear();
        }
        is_first
    }

    fn next_block(&mut self) -> Attempt<Option<Rc<Block>>> {
        while self.blocks.is_empty() {
            let Some(rest) = &self.rest else { return Ok(None) };
            let listed = data_blocks(self.view, &self.run, rest, LISTED, self.reverse)?;
            self.blocks = listed.references;
            if !self.reverse {
                self.blocks.reverse();
            }
            self.rest = listed.rest;
        }
        let next = self.blocks.last().expect("BUG: just listed");
        match self.view.block(*next) {
            Ok(block) => {
                self.blocks.pop();
                Ok(Some(block))
            }
            Err(Fault::Need(_)) => {
                let ahead = self.blocks.iter().rev().take(self.ahead);
                Err(Fault::blocks(ahead.filter(|reference| !self.view.has(reference.address)).copied()))
            }
            Err(error) => Err(error),
        }
    }

    fn ready(&mut self) -> Attempt<()> {
        while self.is_reached && !self.done && self.key.is_empty() {
            if self.reverse { self.fill_backward()? } else { self.fill_forward()? }
        }
        Ok(())
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
    last: usize,
}

impl<'a> VersionCursor<'a> {
    pub fn new(view: TreeView<'a>, runs: &[Rc<RunDescription>], range: &RowRange) -> VersionCursor<'a> {
        let ahead = (MERGE_AHEAD / runs.len().max(1)).clamp(1, READ_AHEAD);
        let source = |run: &Rc<RunDescription>| {
            Source::Run(Box::new(RunSource { ahead, ..RunSource::new(view, run.clone(), range.clone(), false) }))
        };
        VersionCursor { sources: runs.iter().map(source).collect(), last: 0 }
    }

    /// Those of all runs and of the log.
    pub fn everywhere(view: TreeView<'a>, range: &RowRange) -> VersionCursor<'a> {
        VersionCursor { sources: sources(view, range, Lsn::MAX, false), last: 0 }
    }

    /// The next version and its internal key.
    pub fn next_version(&mut self) -> Attempt<Option<(Vec<u8>, Bytes)>> {
        let Some(least) = pick(&mut self.sources, |a, b| a < b)? else { return Ok(None) };
        let source = &mut self.sources[least];
        let internal = source.key().expect("BUG: picked").to_vec();
        let encoded = source.value();
        source.advance()?;
        self.last = least;
        Ok(Some((internal, encoded)))
    }

    /// Which of the runs the last version was found in.
    pub fn last_source(&self) -> usize {
        self.last
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
        for run in view.tree.runs() {
            if Lsn(run.oldest) <= at && run.overlaps(&range.from, &range.before) {
                let source = RunSource::new(view, run.clone(), range.clone(), reverse);
                sources.push(Source::Run(Box::new(source)));
            }
        }
    }
    sources
}

/// The source whose current key is nearest, once it is known that no other has a nearer one.
fn pick(sources: &mut [Source<'_>], is_nearer: impl Fn(&[u8], &[u8]) -> bool) -> Attempt<Option<usize>> {
    loop {
        for source in &mut *sources {
            source.ready()?;
        }
        let mut nearest: Option<(usize, &[u8])> = None;
        for (index, source) in sources.iter().enumerate() {
            if let Some(key) = source.key().filter(|key| nearest.is_none_or(|(_, other)| is_nearer(key, other))) {
                nearest = Some((index, key));
            }
        }
        let Some((index, _)) = nearest else { return Ok(None) };
        if !sources[index].reach() {
            return Ok(Some(index));
        }
    }
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

    /// All rows of a range, of which none is dated `above` or earlier: runs that end by then are not looked at.
    pub fn above(view: TreeView<'a>, range: &RowRange, above: Lsn) -> RowCursor<'a> {
        let mut cursor = RowCursor::new(view, range, Lsn::MAX, false);
        cursor.sources.retain(|source| match source {
            Source::Memory(_) => true,
            Source::Run(source) => Lsn(source.run.newest) > above,
        });
        cursor
    }

    /// The next row that has a version, tombstone or not, at the cursor's LSN.
    pub fn next_row(&mut self) -> Attempt<Option<TreeRow>> {
        if self.reverse { self.next_backward() } else { self.next_forward() }
    }

    fn next_forward(&mut self) -> Attempt<Option<TreeRow>> {
        loop {
            let Some(least) = pick(&mut self.sources, |a, b| a < b)? else { return Ok(None) };
            let source = &mut self.sources[least];
            let (row, lsn) = split_internal(source.key().expect("BUG: picked"));
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
            let (row, lsn) = split_internal(source.key().expect("BUG: picked"));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsm::cache::Kept;
    use crate::lsm::fault::Need;
    use crate::lsm::run_writer::RunWriter;
    use crate::lsm::segment;
    use crate::lsm::tree::{Loaded, Tree};
    use crate::types::Version;

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
            let all = data_blocks(view, &run, &range, usize::MAX, false).unwrap().references;
            for (limit, reverse) in [(1, false), (1, true), (2, true), (7, false), (7, true), (50, false), (50, true)] {
                let (mut found, mut rest) = (Vec::new(), Some(range.clone()));
                while let Some(range) = rest {
                    let listed = data_blocks(view, &run, &range, limit, reverse).unwrap();
                    assert!(listed.references.len() <= limit);
                    if reverse {
                        found.splice(0..0, listed.references)
                    } else {
                        found.splice(found.len().., listed.references)
                    };
                    rest = listed.rest;
                }
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
