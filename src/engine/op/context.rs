//! The context of an operation: a path to read, and, where it may write, the transaction that takes the writes.

use std::ops::ControlFlow;

use super::known::{Known, ReadPoint};
use super::transaction::{ReadBy, Transaction};
use crate::engine::rows::collections::{collection_row, decode_collection};
use crate::engine::rows::lacking::Lacking;
use crate::engine::rows::path::Path;
use crate::engine::rows::read::{self, Placed, Position, Scan, Seen, Standing, SuffixRange, Visible, Walked};
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Attempt, Fault, PORTION_BYTES, Spans, TreeView};
use crate::planted;
use crate::query::{self, Counters, Since, Update};
use crate::types::{Base, Bytes, CollectionName, Kind, Lsn, SortedSet, Suffix, Version, limits};

pub struct Context<'a> {
    view: TreeView<'a>,
    path: Path,
    transaction: Option<&'a mut Transaction>,
    /// The call ends its step once the tree has counted so many examined versions; `None`: it takes one step only.
    until: Option<u64>,
}

/// A step examines so many versions, and spans of rows: a few milliseconds of work.
pub const STEP_ROWS: u64 = if planted::HAS_FEW_ROWS { 40 } else { 2000 };

/// The tree's count of examined versions at which a step ends that begins now.
pub fn step_end(view: TreeView<'_>) -> u64 {
    view.tree.examined() + STEP_ROWS
}

/// A visible row.
pub struct Current {
    pub value: Bytes,
    /// `None`: the transaction wrote it itself.
    lsn: Option<Lsn>,
    level: usize,
    /// Its counters, if it is of the topmost level.
    delta: Option<Bytes>,
}

impl Current {
    fn is_uncommitted(&self) -> bool {
        self.lsn.is_none()
    }
}

/// A page of a scan. A page without rows need not be the last one: a scan also ends where a block is missing, or where
/// it has examined enough, and then all rows so far may have been deleted ones.
#[derive(Debug)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// The part of the range that is left; `None`: the range is exhausted.
    pub rest: Option<SuffixRange>,
}

/// How much one page may hold.
#[derive(Clone, Copy, Debug)]
pub struct PageLimits {
    pub rows: usize,
    pub bytes: usize,
}

impl PageLimits {
    pub fn up_to(rows: Option<usize>) -> PageLimits {
        PageLimits { rows: rows.unwrap_or(usize::MAX).min(limits::PAGE_ROWS), bytes: limits::PAGE_BYTES }
    }
}

impl<'a> Context<'a> {
    pub fn reading(view: TreeView<'a>, path: Path) -> Context<'a> {
        Context { view, path, transaction: None, until: None }
    }

    pub fn writing(view: TreeView<'a>, transaction: &'a mut Transaction) -> Context<'a> {
        Context { view, path: transaction.path.clone(), transaction: Some(transaction), until: None }
    }

    /// A context for one step of a call, which begins now. The call says where the next step goes on.
    pub fn in_steps(self) -> Context<'a> {
        let until = step_end(self.view);
        self.up_to(until)
    }

    /// As `in_steps`, of a step that began before and ends at `until`.
    pub fn up_to(self, until: u64) -> Context<'a> {
        Context { until: Some(until), ..self }
    }

    /// True if the step has examined as many versions as one step may.
    pub fn is_over(&self) -> bool {
        self.until.is_some_and(|until| self.view.tree.examined() >= until)
    }

    fn own(&self, suffix: &Suffix) -> Option<&Version> {
        self.transaction.as_ref()?.writes().get(suffix)
    }

    fn record(&mut self, suffix: &Suffix, by: ReadBy) -> Result<()> {
        match &mut self.transaction {
            Some(transaction) => transaction.record_key(suffix, by),
            None => Ok(()),
        }
    }

    /// The value of a row, or `None` where it is absent (SEMANTICS R1, R8).
    pub fn get(&mut self, suffix: &Suffix, by: ReadBy) -> Attempt<Option<Bytes>> {
        Ok(self.current(suffix, by)?.map(|current| current.value))
    }

    /// As `get`, with what an update of the row must know.
    pub fn current(&mut self, suffix: &Suffix, by: ReadBy) -> Attempt<Option<Current>> {
        if let Some(version) = self.own(suffix) {
            let delta = version.delta.clone();
            return Ok(version.here().cloned().map(|value| Current { value, lsn: None, level: 0, delta }));
        }
        self.record(suffix, by)?;
        let Some(Placed { level, found }) = self.placed(suffix)? else { return Ok(None) };
        // Increments that a level below made are part of its value, and no difference from it.
        let delta = found.version.delta.clone().filter(|_| level == 0);
        let lsn = Some(found.lsn);
        Ok(found.version.here().cloned().map(|value| Current { value, lsn, level, delta }))
    }

    /// Finds the values of many rows.
    pub fn values(&mut self, known: &mut Known, suffixes: &mut dyn Iterator<Item = Result<Suffix>>) -> Attempt<()> {
        known.begin(self.read_point(), suffixes)?;
        known.values.resize(known.suffixes.len(), None);
        self.many(known, |context, known, place| {
            known.values[place] = context.get(&known.suffixes[place], ReadBy::Body)?.map(Bytes::alone);
            Ok(())
        })
    }

    /// Finds how many rows stand that are to be written.
    pub fn standings(&mut self, known: &mut Known, suffixes: &mut dyn Iterator<Item = Result<Suffix>>) -> Attempt<()> {
        known.begin(self.read_point(), suffixes)?;
        known.standings.resize(known.suffixes.len(), Standing::default());
        self.many(known, |context, known, place| {
            known.standings[place] = context.standing(&known.suffixes[place])?;
            Ok(())
        })
    }

    /// Looks at the rows that were not looked at yet. All that they lack is asked for in one go, up to a bound; what
    /// earlier ones were read from is let go once it is much.
    fn many(
        &mut self,
        known: &mut Known,
        mut look: impl FnMut(&mut Self, &mut Known, usize) -> Attempt<()>,
    ) -> Attempt<()> {
        let (mut lacking, mut has_got_on) = (Lacking::default(), false);
        self.view.loaded.in_order();
        for place in known.rest() {
            if lacking.is_full() {
                break;
            }
            if has_got_on && self.is_over() {
                lacking.check()?;
                return Err(Fault::Pause);
            }
            self.view.tree.examine();
            // A row behind one that lacks something is looked at for what it lacks itself.
            if lacking.take(look(self, known, place))? {
                known.note_looked_at();
                has_got_on = true;
            }
        }
        if has_got_on && !lacking.is_empty() && self.view.loaded.bytes() >= PORTION_BYTES {
            self.view.loaded.let_go();
        }
        lacking.check()
    }

    /// Where this reads. A snapshot always reads the same. Beside a call of a transaction another one of its calls may
    /// write; a call inside the commit reads what stands before it, which may have been written anew.
    fn read_point(&self) -> ReadPoint {
        match &self.transaction {
            Some(transaction) if transaction.is_immediate() => (transaction.snapshot_lsn(), self.view.tree.changes),
            Some(transaction) => (Lsn::ZERO, transaction.changes()),
            None => (Lsn::ZERO, 0),
        }
    }

    fn standing(&mut self, suffix: &Suffix) -> Attempt<Standing> {
        if let Some(version) = self.own(suffix) {
            let base = if let Some(Base::At(lsn)) = version.base { Some(lsn) } else { None };
            return Ok(Standing { is_there: !version.is_tombstone(), base });
        }
        self.record(suffix, ReadBy::Engine)?;
        read::standing(self.view, &self.path, suffix.as_bytes())
    }

    /// True if the path has levels below the topmost one.
    pub fn has_below(&self) -> bool {
        !self.path.below().is_empty()
    }

    /// True if the transaction itself has deleted the row.
    pub fn has_deleted(&self, suffix: &Suffix) -> bool {
        self.own(suffix).is_some_and(Version::is_tombstone)
    }

    /// Walks visible rows in order and gathers a page of what `keep` makes of them.
    pub fn scan<T>(
        &mut self,
        range: &SuffixRange,
        reverse: bool,
        page: PageLimits,
        mut keep: impl FnMut(&Visible<'_>) -> Attempt<Option<(T, usize)>>,
    ) -> Attempt<Page<T>> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        if page.rows == 0 {
            return Ok(Page { rows, rest: None });
        }
        let rest = self.walk(range, reverse, Spans::Dead, &mut |seen| {
            let Seen::Row(row) = seen else { unreachable!("BUG: a page is of rows") };
            if let Some((item, size)) = keep(&row)? {
                rows.push(item);
                bytes += size;
            }
            let is_full = rows.len() >= page.rows || bytes >= page.bytes;
            Ok(if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(Page { rows, rest })
    }

    /// How many rows of a range are visible, and what is left of the range.
    pub fn count(&mut self, range: &SuffixRange) -> Attempt<(u64, Option<SuffixRange>)> {
        let mut counted = 0;
        let rest = self.walk(range, false, Spans::Counted, &mut |seen| {
            counted += if let Seen::Rows(rows) = seen { rows } else { 1 };
            Ok(ControlFlow::Continue(()))
        })?;
        Ok((counted, rest))
    }

    fn walk(
        &mut self,
        range: &SuffixRange,
        reverse: bool,
        spans: Spans,
        visit: &mut dyn FnMut(Seen<'_>) -> Attempt<ControlFlow<()>>,
    ) -> Attempt<Option<SuffixRange>> {
        let own = self.transaction.as_ref().map(|transaction| transaction.writes());
        let (view, levels, until) = (self.view, self.path.levels(), self.until);
        let mut position = Position::default();
        let scan = Scan { view, levels, own, range, reverse, spans, until };
        let rest = match read::walk(scan, &mut position, visit) {
            Ok(Walked::All) => None,
            Ok(Walked::Part) => position.rest(range, reverse),
            // The rows that were walked before the missing block stay walked; the rest begins where the block is
            // needed.
            Err(Fault::Need(blocks)) => Some(position.rest(range, reverse).ok_or(Fault::Need(blocks))?),
            Err(error) => return Err(error),
        };
        if let Some(transaction) = &mut self.transaction {
            transaction.record_range(covered(range, reverse, rest.as_ref()), ReadBy::Body)?;
        }
        Ok(rest)
    }

    /// Fails with WRONG_KIND if the collection exists and is of the other kind.
    pub fn check_kind(&mut self, collection: &CollectionName, kind: Kind) -> Attempt<()> {
        self.kind_of(collection, kind, ReadBy::Body).map(drop)
    }

    fn kind_of(&mut self, collection: &CollectionName, kind: Kind, by: ReadBy) -> Attempt<bool> {
        let Some(row) = self.get(&collection_row(collection), by)? else { return Ok(false) };
        if decode_collection(&row)? == kind {
            return Ok(true);
        }
        let other = if kind == Kind::Document { "key-value entries" } else { "documents" };
        let message = format!("the collection holds {other}. collection={collection}");
        Err(Error::new(ErrorCode::WrongKind, message).with_text("collection", collection.as_str()).into())
    }

    /// Makes the collection with its first row; one name is one kind.
    pub fn ensure_collection(&mut self, collection: &CollectionName, kind: Kind) -> Attempt<()> {
        if !self.kind_of(collection, kind, ReadBy::Engine)? {
            self.put(collection_row(collection), vec![kind as u8].into())?;
        }
        Ok(())
    }

    /// Writes a value over whatever is there (SEMANTICS W7, W9).
    pub fn put(&mut self, suffix: Suffix, value: Bytes) -> Attempt<()> {
        let base = self.base(&suffix)?;
        self.put_over(suffix, value, base)
    }

    /// As `put`, of a row whose base is known.
    pub fn put_over(&mut self, suffix: Suffix, value: Bytes, base: Option<Lsn>) -> Attempt<()> {
        self.replaced(&suffix);
        self.write(suffix, Version::value(value).based_on(base))
    }

    fn replaced(&mut self, suffix: &Suffix) {
        if let Some(transaction) = &mut self.transaction {
            transaction.note_replaced(suffix);
        }
    }

    /// As `put`, of a row that an update changed.
    pub fn put_updated(&mut self, suffix: Suffix, value: Bytes, replaced: &Current, update: &Update) -> Attempt<()> {
        let base = self.base(&suffix)?;
        let counters = Counters::decode(replaced.delta.as_ref(), replaced.lsn)?;
        let counters = counters.updated(update, |field| self.counts_since(&suffix, replaced, field))?;
        if let Some(transaction) = &mut self.transaction {
            transaction.note_updated(&suffix, !replaced.is_uncommitted(), update.sets());
        }
        self.write(suffix, Version::value(value).based_on(base).counting(counters.encode()))
    }

    /// The version that is visible; a copy of what lies below counts as that.
    fn placed(&self, suffix: &Suffix) -> Attempt<Option<Placed>> {
        let bytes = suffix.as_bytes();
        let Some(mut placed) = read::placed(self.view, self.path.levels(), bytes)? else { return Ok(None) };
        if placed.level == 0 && read::is_copy(self.view, &self.path, bytes, &placed.found)? {
            placed.level = 1;
        }
        Ok(Some(placed))
    }

    /// An increment of a field counts from the version that it replaces, or, if that is of a level below, from the
    /// beginning of the layer, so that all increments since then are known as such. A value that the transaction itself
    /// updated counts from where the value before it counted from, unless the field was set.
    fn counts_since(&self, suffix: &Suffix, replaced: &Current, field: &str) -> Attempt<Since> {
        let since = |level: usize, lsn: Lsn| if level == 0 { Since::At(lsn) } else { Since::Layer };
        if let Some(lsn) = replaced.lsn {
            return Ok(since(replaced.level, lsn));
        }
        let updated = self.transaction.as_ref().and_then(|transaction| transaction.updated(suffix));
        let is_set = |sets: &SortedSet<String>| {
            let behind = |from: &str| sets.at_least(from).next();
            query::meets_any(field, &|from| behind(from).map(String::as_str))
        };
        if updated.is_some_and(|sets| !is_set(sets))
            && let Some(Placed { level, found }) = self.placed(suffix)?
        {
            return Ok(since(level, found.lsn));
        }
        Ok(Since::OwnCommit)
    }

    /// Writes a tombstone over a row that is visible and whose base is known (SEMANTICS W4).
    pub fn delete_over(&mut self, suffix: Suffix, base: Option<Lsn>) -> Attempt<()> {
        self.replaced(&suffix);
        self.write(suffix, Version::tombstone().based_on(base))
    }

    /// Deletes those rows that are there, each once, and says how many that were.
    pub fn delete_all(&mut self, known: &Known) -> Attempt<u64> {
        let mut deleted = 0;
        for (suffix, standing) in known.suffixes.iter().zip(&known.standings) {
            if standing.is_there && !self.has_deleted(suffix) {
                self.delete_over(suffix.clone(), standing.base)?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    fn write(&mut self, suffix: Suffix, version: Version) -> Attempt<()> {
        let transaction = self.transaction.as_mut().expect("BUG: operations that write are given a transaction");
        Ok(transaction.write(suffix, version)?)
    }

    /// The LSN, below this layer, of the version first replaced. In a root there is nothing below and nothing to look
    /// up.
    fn base(&mut self, suffix: &Suffix) -> Attempt<Option<Lsn>> {
        if self.path.below().is_empty() {
            return Ok(None);
        }
        Ok(self.standing(suffix)?.base)
    }
}

/// The part of the range that a walk has looked at, which is the part that its transaction depends on.
fn covered(range: &SuffixRange, reverse: bool, rest: Option<&SuffixRange>) -> SuffixRange {
    let mut covered = range.clone();
    match rest {
        Some(rest) if reverse => covered.from.clone_from(&rest.before),
        Some(rest) => covered.before.clone_from(&rest.from),
        None => {}
    }
    covered
}
