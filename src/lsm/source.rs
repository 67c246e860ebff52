//! The sources that a walk merges: the memtable, and runs, block by block. No block is read before a walk comes to it.
//!
//! ```text
//! run      a b c | f g h | m n        the index keeps d and i, which lie between the blocks
//! forward        ^ before f g h: the source's key is d, and no key that is left is less
//! ```

use std::rc::Rc;

use super::block::{self, BlockCursor};
use super::changes::Entry;
use super::data_blocks::{Listed, data_blocks};
use super::fault::{Attempt, Fault};
use super::range::RowRange;
use super::run::RunDescription;
use super::tree::TreeView;
use crate::planted::{self, Bug};
use crate::types::row::{LSN_BYTES, push_lsn};
use crate::types::{Bytes, Lsn, SortedRange};

/// How many neighbours of a missing block are fetched with it.
pub const READ_AHEAD: usize = 16;
/// How many blocks of a run are listed at a time: a walk that ends early does not pay for the whole index.
const LISTED: usize = if planted::HAS_FEW_ROWS { 16 } else { 64 };

/// Rows that a walk need not read one by one: so many of them are values, and the others are deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// Where the span begins, in the order of the walk.
    pub from: Vec<u8>,
    /// Where the rows behind the span begin: forward, the first of them may be `until` itself; backward, all are less.
    pub until: Vec<u8>,
    pub values: u64,
}

pub enum Source<'a> {
    Memory(MemorySource<'a>),
    Run(Box<RunSource<'a>>),
}

impl<'a> Source<'a> {
    /// Finds the source's current key, unless the source is before a block.
    pub fn ready(&mut self) -> Attempt<()> {
        match self {
            Source::Memory(_) => Ok(()),
            Source::Run(source) => source.ready(),
        }
    }

    /// The source's current key; before a block, a bound of all its keys. `None`: the source is at its end.
    pub fn key(&self) -> Option<&[u8]> {
        match self {
            Source::Memory(source) => source.current.map(Entry::internal),
            Source::Run(source) => (source.reach != Reach::End).then_some(&source.key[..]),
        }
    }

    /// The run, if it is before a block.
    pub fn before_block(&mut self) -> Option<&mut RunSource<'a>> {
        match self {
            Source::Run(source) if source.reach == Reach::Before => Some(source),
            _ => None,
        }
    }

    /// From here on the walk passes blocks that hold nothing newer than `above`. False: all of the source is older.
    pub fn pass_older(&mut self, above: Lsn) -> bool {
        match self {
            Source::Memory(_) => true,
            Source::Run(source) => {
                source.above = above;
                Lsn(source.run.newest) > above
            }
        }
    }

    pub fn value(&self) -> Bytes {
        match self {
            Source::Memory(source) => source.current.expect("BUG: a value after a key").version(),
            Source::Run(source) => source.value(),
        }
    }

    pub fn advance(&mut self) -> Attempt<()> {
        match self {
            Source::Memory(source) => {
                source.advance();
                Ok(())
            }
            Source::Run(source) => source.advance(),
        }
    }
}

pub struct MemorySource<'a> {
    range: SortedRange<'a, Entry, ()>,
    current: Option<&'a Entry>,
    reverse: bool,
}

impl<'a> MemorySource<'a> {
    pub fn new(range: SortedRange<'a, Entry, ()>, reverse: bool) -> MemorySource<'a> {
        let mut source = MemorySource { range, current: None, reverse };
        source.advance();
        source
    }

    fn advance(&mut self) {
        let next = if self.reverse { self.range.next_back() } else { self.range.next() };
        self.current = next.map(|(entry, ())| entry);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Before the next block, of which nothing was read.
    Before,
    Within,
    End,
}

/// The entries of a run in a range, one block after the other.
pub struct RunSource<'a> {
    view: TreeView<'a>,
    run: Rc<RunDescription>,
    range: RowRange,
    reverse: bool,
    /// Blocks that hold nothing newer are not listed.
    above: Lsn,
    reach: Reach,
    /// How many neighbours of a missing block are fetched with it.
    ahead: usize,
    /// Blocks still to come, the next one last.
    listed: Vec<Listed>,
    /// Where blocks that are not listed yet lie.
    rest: Option<RowRange>,
    has_listed: bool,
    /// Forward, the place in the block; backward, the entries of the block that are still to come, the next one last.
    forward: Option<BlockCursor>,
    entries: Vec<(Vec<u8>, Bytes)>,
    /// Within a block the current internal key, with the LSN of the commit where the run is a commit's own, or nothing
    /// where it must be found first. Before a block: a bound of all that is left.
    key: Vec<u8>,
    /// The bound of all keys behind the current block; `None`: the run has none there.
    behind: Option<Vec<u8>>,
}

impl<'a> RunSource<'a> {
    pub fn new(view: TreeView<'a>, run: Rc<RunDescription>, range: RowRange, reverse: bool) -> RunSource<'a> {
        // Rows before the first one were moved, and may be there still.
        let range = RowRange { from: range.from.max(run.first.clone()), ..range };
        let key = match reverse {
            false => range.from.clone(),
            true => [&run.last[..], &[0xff; LSN_BYTES + 1]].concat().min(range.before.clone()),
        };
        RunSource {
            view: view.over(&range.from, &range.before),
            run,
            rest: Some(range.clone()),
            range,
            reverse,
            above: Lsn::ZERO,
            reach: Reach::Before,
            ahead: READ_AHEAD,
            listed: Vec::new(),
            has_listed: false,
            forward: None,
            entries: Vec::new(),
            key,
            behind: None,
        }
    }

    pub fn reading_ahead(self, ahead: usize) -> RunSource<'a> {
        RunSource { ahead, ..self }
    }

    /// Makes sure that the next block is listed, if there is one.
    fn list(&mut self) -> Attempt<()> {
        while let (true, Some(rest)) = (self.listed.is_empty(), &self.rest) {
            let found = data_blocks(self.view, &self.run, rest, LISTED, (self.above, self.reverse))?;
            let mut blocks = found.blocks;
            // The block before the first one was listed before, or will be listed after these.
            if let Some(first) = blocks.first_mut() {
                first.after = match (self.reverse, &found.rest) {
                    (true, Some(rest)) => Some(rest.before.clone()),
                    (false, _) if self.has_listed => rest.from.split_last().map(|(_, last)| last.to_vec()),
                    _ => None,
                };
            }
            if !self.reverse {
                blocks.reverse();
            }
            (self.listed, self.rest, self.has_listed) = (blocks, found.rest, true);
        }
        Ok(())
    }

    /// The rows of the next block as a span, if the block's figures say how many of them are visible at an LSN.
    pub fn span(&mut self, at: Lsn) -> Attempt<Option<Span>> {
        self.list()?;
        let Some(Listed { after: Some(after), last, figures, .. }) = self.listed.last() else { return Ok(None) };
        let Some(values) = figures.values else { return Ok(None) };
        let newest = self.run.fixed().unwrap_or(figures.newest);
        if newest > at && !planted::is(Bug::FiguresReadTooEarly) || *last >= self.range.before {
            return Ok(None);
        }
        let (from, until) = if self.reverse { (last, after) } else { (after, last) };
        Ok(Some(Span { from: from.clone(), until: until.clone(), values }))
    }

    /// Goes behind the next block without reading it.
    pub fn pass(&mut self) {
        if let Some(passed) = self.listed.pop() {
            self.behind = self.bound_behind(passed);
        }
        self.leave();
    }

    fn bound_behind(&self, block: Listed) -> Option<Vec<u8>> {
        let has_more = !self.listed.is_empty() || self.rest.is_some();
        if self.reverse { block.after } else { Some(block.last) }.filter(|_| has_more)
    }

    /// Goes from the end of a block to the place before the next one.
    fn leave(&mut self) {
        (self.reach, self.key) = match self.behind.take() {
            Some(bound) => (Reach::Before, bound),
            None => (Reach::End, Vec::new()),
        };
    }

    /// Reads the next block.
    pub fn enter(&mut self) -> Attempt<()> {
        self.list()?;
        let Some(next) = self.listed.last() else {
            self.reach = Reach::End;
            return Ok(());
        };
        let block = match self.view.block(next.reference) {
            Ok(block) => block,
            Err(Fault::Need(_)) => {
                let ahead = self.listed.iter().rev().take(self.ahead).map(|listed| listed.reference);
                return Err(Fault::blocks(ahead.filter(|reference| !self.view.has(reference.address))));
            }
            Err(error) => return Err(error),
        };
        if self.reverse {
            self.entries = block::entries(&block)?;
            self.entries.retain(|(key, _)| key[..] < self.range.before[..]);
        } else {
            self.forward = Some(BlockCursor::seek(block, &self.range.from)?);
        }
        let entered = self.listed.pop().expect("BUG: it was there");
        self.behind = self.bound_behind(entered);
        self.reach = Reach::Within;
        self.key.clear();
        Ok(())
    }

    fn ready(&mut self) -> Attempt<()> {
        while self.reach == Reach::Within && self.key.is_empty() {
            let next = match (&self.forward, self.entries.last()) {
                (Some(cursor), _) => cursor.key(),
                (None, Some((key, _))) => Some(&key[..]),
                (None, None) => None,
            };
            let Some(next) = next else {
                self.leave();
                return Ok(());
            };
            let is_over = if self.reverse { *next < self.range.from[..] } else { *next >= self.range.before[..] };
            if is_over {
                self.reach = Reach::End;
                return Ok(());
            }
            self.key.extend_from_slice(next);
            self.date();
            // Only its date puts a version of a commit's own run before the range's begin.
            if !self.reverse && self.key < self.range.from {
                self.advance()?;
            }
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
            (None, None) => panic!("BUG: a value after a key"),
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
