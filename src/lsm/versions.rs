//! The versions of the memtable and of runs, merged by their internal keys.
//!
//! A walk may pass a whole block without reading it, where the block's figures (`figures.rs`) say all that the walk
//! needs. The block must be alone: if another source has a key between the block's bounds, that key may be another
//! version of one of the block's rows, so the block is read and its rows are walked one by one.
//!
//! ```text
//! memtable               k                    the block f g h is alone
//! run 2      a b c | f g h | k m              the block k m is not: the memtable may have deleted k, or hide it
//! ```

use std::ops::Bound;
use std::rc::Rc;

use super::fault::Attempt;
use super::range::RowRange;
use super::run::RunDescription;
use super::source::{MemorySource, READ_AHEAD, RunSource, Source, Span};
use super::tree::TreeView;
use crate::planted::{self, Bug};
use crate::types::{Bytes, Lsn};

/// So many blocks are fetched at once for all runs of a merge together, because the blocks of all runs are held.
const MERGE_AHEAD: usize = 64;

/// All versions of some runs in a range, by internal key: what a compaction walks.
pub struct VersionCursor<'a> {
    sources: Vec<Source<'a>>,
    last: usize,
}

impl<'a> VersionCursor<'a> {
    pub fn new(view: TreeView<'a>, runs: &[Rc<RunDescription>], range: &RowRange) -> VersionCursor<'a> {
        let ahead = (MERGE_AHEAD / runs.len().max(1)).clamp(1, READ_AHEAD);
        let source = |run: &Rc<RunDescription>| {
            Source::Run(Box::new(RunSource::new(view, run.clone(), range.clone(), false).reading_ahead(ahead)))
        };
        VersionCursor { sources: runs.iter().map(source).collect(), last: 0 }
    }

    /// The versions of all runs and of the memtable.
    pub fn everywhere(view: TreeView<'a>, range: &RowRange) -> VersionCursor<'a> {
        VersionCursor { sources: sources(view, range, Lsn::NEWEST, false), last: 0 }
    }

    /// The next version and its internal key.
    pub fn next_version(&mut self) -> Attempt<Option<(Vec<u8>, Bytes)>> {
        let Some((least, _)) = pick(&mut self.sources, false, None)? else { return Ok(None) };
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
pub fn sources<'a>(view: TreeView<'a>, range: &RowRange, at: Lsn, reverse: bool) -> Vec<Source<'a>> {
    let mut sources = Vec::new();
    if range.from < range.before {
        let bounds = (Bound::Included(&range.from[..]), Bound::Excluded(&range.before[..]));
        sources.push(Source::Memory(MemorySource::new(view.tree.memtable.range(bounds), reverse)));
        for run in view.tree.runs() {
            if Lsn(run.oldest) <= at && run.overlaps(&range.from, &range.before) {
                let source = RunSource::new(view, run.clone(), range.clone(), reverse);
                sources.push(Source::Run(Box::new(source)));
            }
        }
    }
    sources
}

/// The spans that a walk can make use of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Spans {
    /// Spans whose rows are all deleted.
    Dead,
    /// All spans, for a walk that counts.
    Counted,
}

/// The source whose current key is nearest, once it is known that no other has a nearer one. Where `spans` are asked
/// for, it may also be the source that is before a block, with the span that the block is.
pub fn pick(
    sources: &mut [Source<'_>],
    reverse: bool,
    spans: Option<(Spans, Lsn)>,
) -> Attempt<Option<(usize, Option<Span>)>> {
    loop {
        for source in &mut *sources {
            source.ready()?;
        }
        let is_nearer = |a: &[u8], b: &[u8]| if reverse { a > b } else { a < b };
        let mut nearest: Option<(usize, &[u8])> = None;
        for (index, source) in sources.iter().enumerate() {
            if let Some(key) = source.key().filter(|key| nearest.is_none_or(|(_, other)| is_nearer(key, other))) {
                nearest = Some((index, key));
            }
        }
        let Some((index, _)) = nearest else { return Ok(None) };
        let Some(run) = sources[index].before_block() else { return Ok(Some((index, None))) };
        if let Some((wanted, at)) = spans
            && let Some(span) = run.span(at)?
            && (span.values == 0 || wanted == Spans::Counted)
            && is_alone(sources, index, &span, reverse)
        {
            return Ok(Some((index, Some(span))));
        }
        if let Some(run) = sources[index].before_block() {
            run.enter()?;
        }
    }
}

/// True if no other source can have a key between the bounds of a span.
fn is_alone(sources: &[Source<'_>], own: usize, span: &Span, reverse: bool) -> bool {
    let is_behind = |key: &[u8]| if reverse { *key <= span.until[..] } else { *key >= span.until[..] };
    let mut others = sources.iter().enumerate().filter(|(index, _)| *index != own);
    others.all(|(_, other)| other.key().is_none_or(is_behind)) || planted::is(Bug::SpanOverOtherRuns)
}
