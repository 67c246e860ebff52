//! The rows that differ between two sides, at a cost that grows with the change (SEMANTICS C11).
//! Two paths are aligned from the bottom. A level that both share at one LSN cannot differ and is not looked at. Of a
//! level that they share at two LSNs the rows written between the two are candidates; of all levels above, every row
//! is.

use std::cell::RefCell;
use std::rc::Rc;

use super::candidates::{COMPARED_AT_ONCE, Candidates, Gathered, portion};
use crate::engine::handle::Handle;
use crate::engine::handle::snapshot::Pinned;
use crate::engine::rows::path::{Level, Path};
use crate::engine::rows::read::{self, SuffixRange, is_content};
use crate::engine::rows::written::{self, Between};
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Attempt, Fault, RowCursor, RowRange, State, TreeView};
use crate::query::{self, Fields};
use crate::types::pack::{Reader as PackReader, Shape};
use crate::types::row::{LAYER_BYTES, row, split_suffix};
use crate::types::{Bytes, CollectionName, Kind, Lsn, Suffix};

/// One row that differs; the public API calls it a change. `before` is the other side's, `after` this side's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    pub kind: Kind,
    pub collection: String,
    pub key: Vec<u8>,
    pub before: Option<Bytes>,
    pub after: Option<Bytes>,
    /// Top-level fields that differ, where both sides are objects.
    pub fields: Vec<String>,
}

impl Difference {
    /// The public API's word for the change of the row.
    pub fn operation(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "insert",
            (Some(_), Some(_)) => "update",
            (Some(_), None) => "delete",
        }
    }
}

pub struct DifferencePage {
    pub changes: Vec<Difference>,
    /// Where the next page begins; `None`: there is none.
    pub next: Option<Suffix>,
}

/// The database, or the point of one, that a database is compared with.
#[derive(Clone, Copy)]
pub enum Against<'a> {
    /// The origin where the clone began; a root has none.
    Origin,
    Pinned(&'a Pinned),
}

/// One page of the changes from `against` to `pinned`, in the order of their rows: those of one collection or of all,
/// after a suffix. `kept`: the last comparison, which goes on if this is its next page.
pub async fn page(
    pinned: &Pinned,
    kept: &RefCell<Option<Comparing>>,
    against: Against<'_>,
    (collection, after): (Option<&CollectionName>, Option<&Suffix>),
    limit: usize,
) -> Result<DifferencePage> {
    pinned.check_open()?;
    let core = pinned.core();
    let sides = |state: &State| {
        let path = pinned.path(state)?;
        let other = match against {
            Against::Origin if path.levels().len() == 1 => return Err(not_a_clone(&path)),
            Against::Origin => Path::of(path.below()),
            Against::Pinned(other) => other.path(state)?,
        };
        Ok((path, other))
    };
    let (path, other) = core.read(|state, _| Ok(sides(state)?)).await?;
    let begun = kept.take().filter(|begun| begun.goes_on(&other, collection, after));
    let mut comparing = begun.unwrap_or_else(|| Comparing::new(&other, collection, after));
    let gather = |state: &State, view: TreeView<'_>, ranges: &[SuffixRange], found: &mut Gathered| {
        sides(state)?;
        gather_candidates(state, view, (&path, &other), ranges, found)
    };
    let mut candidates = comparing.candidates.take(core, limit.clamp(1, COMPARED_AT_ONCE), &gather).await?;
    let compare = |state: &State, view: TreeView<'_>| {
        sides(state)?;
        compare_all(view, &path, &other, &candidates)
    };
    let compared = core.read(compare).await?;
    comparing.candidates.give_back(candidates.split_off(compared.len()));
    let changes = compared.into_iter().flatten().collect();
    let next = candidates.last().filter(|_| comparing.candidates.has_more()).cloned();
    comparing.after.clone_from(&next);
    if next.is_some() && !pinned.is_closed() {
        kept.replace(Some(comparing));
    }
    Ok(DifferencePage { changes, next })
}

/// All pages, of the database now.
pub async fn all(handle: &Rc<Handle>, against: Against<'_>) -> Result<Vec<Difference>> {
    let pinned = handle.snapshot().await?;
    let (mut all, mut after, kept) = (Vec::new(), None, RefCell::default());
    loop {
        let page = page(&pinned, &kept, against, (None, after.as_ref()), COMPARED_AT_ONCE).await?;
        all.extend(page.changes);
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

/// A comparison whose next page somebody may ask for.
pub struct Comparing {
    other: Path,
    collection: Option<CollectionName>,
    /// The row that the last page ended with, as the caller was told.
    after: Option<Suffix>,
    candidates: Candidates,
}

impl Comparing {
    fn new(other: &Path, collection: Option<&CollectionName>, after: Option<&Suffix>) -> Comparing {
        let candidates = Candidates::new(collection, after);
        Comparing { other: other.clone(), collection: collection.cloned(), after: after.cloned(), candidates }
    }

    fn goes_on(&self, other: &Path, collection: Option<&CollectionName>, after: Option<&Suffix>) -> bool {
        self.other == *other && self.collection.as_ref() == collection && self.after.as_ref() == after
    }
}

fn not_a_clone(path: &Path) -> Error {
    let message = format!("the database is no clone: say what to compare it with. path={path}");
    Error::new(ErrorCode::NotAClone, message)
}

struct Aligned<'a> {
    whole: Vec<&'a Level>,
    between: Vec<Between>,
}

fn align<'a>(one: &'a Path, other: &'a Path) -> Aligned<'a> {
    let (mut left, mut right) = (one.levels(), other.levels());
    let mut between = Vec::new();
    // A clone before it was materialized and after: what its origin gave stands in its layer as well.
    if let ([a], [b, ..]) | ([b, ..], [a]) = (left, right)
        && a.layer == b.layer
    {
        (left, right) = (&left[..1], &right[..1]);
    }
    while let (Some((a, above_left)), Some((b, above_right))) = (left.split_last(), right.split_last()) {
        if a.layer != b.layer {
            break;
        }
        if a.lsn != b.lsn {
            between.push(Between { layer: a.layer, older: a.lsn.min(b.lsn), newer: a.lsn.max(b.lsn) });
        }
        (left, right) = (above_left, above_right);
    }
    Aligned { whole: left.iter().chain(right).collect(), between }
}

/// The differences of the first of some candidates; `None`: the row is the same on both sides.
pub fn compare_all(
    view: TreeView<'_>,
    one: &Path,
    other: &Path,
    candidates: &[Suffix],
) -> Attempt<Vec<Option<Difference>>> {
    let bytes = |side: &Option<Bytes>| side.as_ref().map_or(0, |side| side.len());
    let size = |change: &Option<Difference>| change.as_ref().map_or(0, |it| bytes(&it.before) + bytes(&it.after));
    portion(view, candidates.iter().map(|suffix| compare(view, one, other, suffix)), size)
}

/// Adds the rows in which two paths may differ.
pub fn gather_candidates(
    state: &State,
    view: TreeView<'_>,
    (one, other): (&Path, &Path),
    ranges: &[SuffixRange],
    candidates: &mut Gathered,
) -> Attempt<()> {
    let Aligned { whole, between } = align(one, other);
    // The feed ends at the floor. Below it a clone's pin keeps the version that it reads of each row, and the newer
    // ones that hide it, tombstones too.
    let (fed, older): (Vec<_>, Vec<_>) = between.into_iter().partition(|it| it.older >= state.manifest.floor());
    let whole = whole.iter().map(|level| Between { layer: level.layer, older: Lsn::ZERO, newer: level.lsn });
    let ranges = || ranges.iter().filter(|range| range.from < range.before);
    for walked in whole.chain(older) {
        ranges().try_for_each(|range| gather(view, walked, range, candidates))?;
    }
    // The feed is read as a whole. It comes last, because behind it there is no room for what the walks hold.
    for fed in fed {
        for range in ranges() {
            let most = candidates.most();
            let rest = written::visit(state, view, fed, range, most, &mut |suffix| {
                if is_content(suffix) {
                    candidates.insert(suffix);
                }
                Ok(())
            })?;
            rest.iter().for_each(|rest| candidates.cut(rest));
        }
    }
    Ok(())
}

/// Adds the rows of a layer whose newest version is one of those. Blocks that hold nothing newer than the older LSN are
/// not read. Where what was read is as much as is held at a time, the rows behind that are left for later.
fn gather(
    view: TreeView<'_>,
    Between { layer, older, newer }: Between,
    range: &SuffixRange,
    candidates: &mut Gathered,
) -> Attempt<()> {
    let rows = RowRange { from: row(layer, &range.from), before: row(layer, &range.before) };
    let mut cursor = RowCursor::above(view, &rows, older, newer);
    loop {
        let next = match cursor.next_row() {
            Err(Fault::Need(_)) if view.loaded.is_full() && cursor.place() > rows.from => {
                candidates.cut(&cursor.place()[LAYER_BYTES..]);
                return Ok(());
            }
            next => next?,
        };
        let Some(next) = next.filter(|next| candidates.takes(&next.row[LAYER_BYTES..])) else { return Ok(()) };
        if next.lsn > older && is_content(&next.row[LAYER_BYTES..]) {
            candidates.insert(&next.row[LAYER_BYTES..]);
        }
    }
}

fn compare(view: TreeView<'_>, one: &Path, other: &Path, suffix: &Suffix) -> Attempt<Option<Difference>> {
    let value = |path: &Path| -> Attempt<Option<Bytes>> {
        let found = read::topmost(view, path.levels(), suffix.as_bytes())?;
        Ok(found.and_then(|found| found.version.here().cloned()))
    };
    Ok(change(suffix, value(other)?, value(one)?)?)
}

/// The difference between two values of a document or an entry; `None`: there is none. The same fields in another order
/// are no change.
pub fn change(suffix: &Suffix, before: Option<Bytes>, after: Option<Bytes>) -> Result<Option<Difference>> {
    if query::is_same(before.as_deref(), after.as_deref())? {
        return Ok(None);
    }
    let (collection, kind, key) = split_suffix(suffix.as_bytes()).expect("BUG: a candidate is content");
    let fields = match (&before, &after) {
        (Some(before), Some(after)) => changed_fields(before, after)?,
        _ => Vec::new(),
    };
    Ok(Some(Difference { kind, collection: collection.to_string(), key: key.to_vec(), before, after, fields }))
}

/// The names of the fields that differ, those of the new side first.
fn changed_fields(before: &[u8], after: &[u8]) -> Result<Vec<String>> {
    let is_map = |value: &[u8]| PackReader::new(value).shape().is_ok_and(|shape| shape == Shape::Map);
    let mut changed = Vec::new();
    if !is_map(before) || !is_map(after) {
        return Ok(changed);
    }
    let (before, after) = (Fields::read(before)?, Fields::read(after)?);
    for (name, value) in &after.list {
        if !query::is_same(before.get(name), Some(value))? {
            changed.push(name.to_string());
        }
    }
    let gone = before.list.iter().filter(|(name, _)| after.get(name).is_none());
    changed.extend(gone.map(|(name, _)| name.to_string()));
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::pack::{write_integer, write_map, write_text};
    use crate::types::work::steps_of;

    fn document(numbers: impl Iterator<Item = usize> + Clone, value: i64) -> Bytes {
        let mut out = Vec::new();
        write_map(&mut out, numbers.clone().count());
        for number in numbers {
            write_text(&mut out, &format!("field{number:05}"));
            write_integer(&mut out, value);
        }
        out.into()
    }

    #[test]
    fn the_fields_that_differ_are_found_in_steps_that_grow_with_them() {
        let steps = |n: usize| {
            let (before, after) = (document(0..2 * n, 1), document((n..3 * n).rev(), 2));
            steps_of(|| assert_eq!(changed_fields(&before, &after).unwrap().len(), 3 * n))
        };
        let (few, many) = (steps(500), steps(4000));
        assert!(few >= 2000, "the work is counted. steps={few}");
        assert!(many <= 16 * few, "a search through all fields for each takes 64 times. few={few}, many={many}");
    }
}
