//! Merge and rebase: a clone's changes into its origin, or onto what the origin is now (SEMANTICS C12, C13).

use std::collections::BTreeSet;
use std::rc::Rc;

use super::commit::{self, LayerWriter};
use super::counting::added_over;
use super::leave::{self, Chosen, keep};
use super::rows::{Collections, Paths, Row, RowPage, collections, own_collections};
use super::settle::{self, Merging, adding_up, carried, settle};
use super::{MergeOptions, MergeReport, RebaseOptions, Selected, Tally};
use crate::engine::catalog::{self, Entry, Origin};
use crate::engine::clones::clone::{check_depth, draw_layer};
use crate::engine::compare::candidates::{self, Candidates};
use crate::engine::compare::diff;
use crate::engine::core::hold::Hold;
use crate::engine::core::job::Frame;
use crate::engine::handle::Handle;
use crate::engine::handle::snapshot::pruned;
use crate::engine::rows::path::Path;
use crate::engine::rows::read::{self, SuffixRange};
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Attempt, State, TreeView};
use crate::planted::{self, Bug};
use crate::query;
use crate::types::row::{row, split_suffix};
use crate::types::{Bytes, DatabaseName, Kind, Lsn, Suffix};

/// Which point of the origin a clone is compared with.
#[derive(Clone, Copy)]
pub(super) enum Point {
    Present,
    At(Lsn),
    /// Where the clone began.
    Link,
}

/// Everything that a comparison stands on, as of one LSN.
pub(super) struct Stand {
    pub head: Lsn,
    /// The oldest point that the caller has named.
    chosen: Option<Lsn>,
    pub own: Entry,
    /// Where the clone began.
    pub link: Origin,
    /// The origin now.
    target: Entry,
    pub paths: Paths,
    own_collections: Collections,
    origin_collections: Collections,
    /// The point of the origin that rows are compared with.
    to: Lsn,
    _hold: Hold,
}

/// What the caller has named is gone for good once it is below the floor; the rest is looked at once more.
fn check_history(state: &State, head: Lsn, chosen: Option<Lsn>) -> Attempt<()> {
    if chosen.is_some_and(|lsn| lsn < state.manifest.floor()) {
        return Err(pruned(state).into());
    }
    commit::check_floor(state, head)
}

impl Stand {
    fn as_of(&self) -> Lsn {
        Lsn(self.link.as_of)
    }
}

/// One name is one kind.
pub(super) fn wrong_kind(collection: &str) -> Error {
    let message = format!("the collection holds documents on one side and entries on the other. name={collection}");
    Error::new(ErrorCode::WrongKind, message).with_text("collection", collection)
}

pub(super) fn not_a_clone(name: &DatabaseName) -> Error {
    Error::new(ErrorCode::NotAClone, format!("the database is no clone. name={name}"))
}

/// The clone as it is now and as it was at `at`, and its origin at `to`.
pub(super) async fn stand(handle: &Rc<Handle>, at: Option<Lsn>, to: Point) -> Result<Stand> {
    handle.check_open()?;
    handle.core.catch_up().await?;
    // What is read from here on, this engine's own vacuum spares.
    let head = handle.core.head();
    let chosen = at.into_iter().chain(if let Point::At(lsn) = to { Some(lsn) } else { None }).min();
    let hold = handle.core.hold(chosen.unwrap_or(head).min(head));
    let read = |state: &State, view: TreeView<'_>| {
        check_history(state, head, chosen)?;
        let own = handle.entry(view, head)?;
        let Some(link) = own.row.origin.clone() else { return Err(not_a_clone(&own.name).into()) };
        let target = catalog::get(view, &DatabaseName::new(&link.name)?, head)?;
        let is_to_move = !matches!(to, Point::Link);
        let to = match to {
            Point::Present => head,
            Point::At(lsn) => lsn,
            Point::Link => Lsn(link.as_of),
        };
        let now = Path::from_entry(view, own.clone(), head)?;
        if now.below().is_empty() {
            return Err(commit::conflict("its link was cut meanwhile"));
        }
        let then = match at {
            Some(at) => path_then(handle, state, view, at, &now)?,
            None => now.clone(),
        };
        let origin = Path::resolve(view, &target.name, to)?;
        if is_to_move {
            check_depth(&origin)?;
        }
        let is_wrong = planted::is(Bug::BaseFromTheWrongSide);
        let below = if is_wrong { origin.clone() } else { Path::of(now.below()) };
        let paths = Paths { then, now, below, origin, has_parked: own.row.parked };
        let own_collections = own_collections(view, &paths.now)?;
        let origin_collections = collections(view, &paths.origin)?;
        Ok((own, link, target, to, paths, own_collections, origin_collections))
    };
    let (own, link, target, to, paths, own_collections, origin_collections) = handle.core.read(read).await?;
    Ok(Stand { head, chosen, own, link, target, paths, own_collections, origin_collections, to, _hold: hold })
}

/// The clone as it was: of the layer that it still has.
fn path_then(handle: &Handle, state: &State, view: TreeView<'_>, at: Lsn, now: &Path) -> Attempt<Path> {
    if at < state.manifest.floor() {
        return Err(pruned(state).into());
    }
    let then = catalog::find(view, handle.name(), at)?.filter(|entry| handle.is_own(entry));
    let path = then.map(|entry| Path::from_entry(view, entry, at)).transpose()?;
    match path {
        Some(path) if path.levels()[0].layer == now.levels()[0].layer => Ok(path),
        _ => {
            let message =
                format!("the clone was not there yet, or merged, rebased or reset since. version={}", at.to_text());
            Err(Error::new(ErrorCode::InvalidOption, message).into())
        }
    }
}

/// Brings this clone's changes into its origin in one commit (SEMANTICS C12). Afterwards the clone stands on the
/// origin as merged.
pub async fn merge(handle: &Rc<Handle>, mut options: MergeOptions) -> Result<MergeReport> {
    handle.check_open()?;
    options.policy = settle::remembering(&options.policy);
    let at = match options.at {
        Some(when) => Some(handle.resolve(when).await?),
        None => None,
    };
    commit::retried(handle, &|| Box::pin(try_merge(handle, &options, at))).await
}

async fn try_merge(handle: &Rc<Handle>, options: &MergeOptions, at: Option<Lsn>) -> Result<MergeReport> {
    let stand = stand(handle, at, Point::Present).await?;
    let store = &*handle.core;
    let target_layer = stand.paths.origin.levels()[0].layer;
    let mut merge = Merge {
        into: LayerWriter::new(store, target_layer),
        left: LayerWriter::new(store, draw_layer(&*store.platform)),
        tally: Tally::default(),
        stand,
        options,
    };
    let merged = all_rows(handle, &mut merge).await;
    let Merge { into, left, tally, stand, .. } = merge;
    merged?;
    if tally.is_stuck() || options.dry_run || !tally.has_changes {
        return Ok(tally.report(stand.head));
    }
    super::check_wanted(&options.heed)?;
    let (layer, parked) = (left.layer(), left.has_parked);
    let effects = into.finish().await?.and(left.finish().await?);
    let check = move |frame: &Frame<'_>| {
        stand.check(frame)?;
        let own = stand.paths.layer();
        commit::check_row(frame, &stand.target)?;
        commit::check_layer(frame, target_layer, stand.head, |suffix| {
            if planted::is(Bug::MergedRowsNotValidated) {
                return Ok(false);
            }
            // A copy of what the origin has is nothing of the clone's own.
            let is_ours = match frame.view.get(&row(own, suffix), stand.head)? {
                Some(found) => !read::is_copy(frame.view, &stand.paths.now, suffix, &found)?,
                None => false,
            };
            Ok(is_ours || matches!(split_suffix(suffix), Some((_, Kind::Collection, _))))
        })?;
        if planted::is(Bug::MergedCloneNotMoved) {
            return Ok(Vec::new());
        }
        let origin = Origin { name: stand.link.name.clone(), as_of: frame.at.next().0 };
        let row = commit::flipped(&stand.own, layer, Some(origin), parked);
        Ok(vec![commit::catalog_change(&stand.own, &row)])
    };
    let version = commit::commit_checked(handle, effects, check).await?;
    Ok(tally.report(version))
}

async fn all_rows(handle: &Rc<Handle>, merge: &mut Merge<'_>) -> Result<()> {
    let mut after = None;
    loop {
        super::check_wanted(&merge.options.heed)?;
        let page = page(handle, &merge.stand, after.as_ref()).await?;
        merge.take(page.rows).await?;
        after = page.next;
        if after.is_none() {
            return merge.take_collections();
        }
    }
}

pub(super) async fn page(handle: &Rc<Handle>, stand: &Stand, after: Option<&Suffix>) -> Result<RowPage> {
    handle
        .core
        .read(|state, view| {
            check_history(state, stand.head, stand.chosen)?;
            stand.paths.page(state, view, after)
        })
        .await
}

/// Moves this clone onto its origin's present, or another later point of it, under its own changes (SEMANTICS C13).
pub async fn rebase(handle: &Rc<Handle>, mut options: RebaseOptions) -> Result<MergeReport> {
    handle.check_open()?;
    options.policy = settle::remembering(&options.policy);
    let to = match options.to {
        Some(when) => Some(handle.resolve(when).await?),
        None => None,
    };
    commit::retried(handle, &|| Box::pin(try_rebase(handle, &options, to))).await
}

async fn try_rebase(handle: &Rc<Handle>, options: &RebaseOptions, to: Option<Lsn>) -> Result<MergeReport> {
    let stand = stand(handle, None, to.map_or(Point::Present, Point::At)).await?;
    stand.check_forward()?;
    let mut left = LayerWriter::new(&handle.core, draw_layer(&*handle.core.platform));
    let has_changes = stand.own.row.parked || has_moved(handle, &stand).await?;
    let mut tally = Tally { has_changes, ..Tally::default() };
    let rebased = match has_changes {
        true => rebase_rows(handle, &stand, options, &mut left, &mut tally).await,
        false => Ok(()),
    };
    rebased?;
    if tally.is_stuck() || options.dry_run || !tally.has_changes {
        return Ok(tally.report(stand.head));
    }
    let layer = left.layer();
    let effects = left.finish().await?;
    let check = move |frame: &Frame<'_>| {
        stand.check(frame)?;
        let origin = Origin { name: stand.link.name.clone(), as_of: stand.to.0 };
        let row = commit::flipped(&stand.own, layer, Some(origin), false);
        Ok(vec![commit::catalog_change(&stand.own, &row)])
    };
    let version = commit::commit_checked(handle, effects, check).await?;
    Ok(tally.report(version))
}

/// Whether the origin differs, or may, from what it was where the clone stands.
async fn has_moved(handle: &Rc<Handle>, stand: &Stand) -> Result<bool> {
    let (origin, below) = (&stand.paths.origin, &stand.paths.below);
    if handle.core.read(|_, view| collections(view, below)).await? != stand.origin_collections {
        return Ok(true);
    }
    let gather = |state: &State, view: TreeView<'_>, ranges: &[SuffixRange], many, found: &mut BTreeSet<Suffix>| {
        commit::check_floor(state, stand.head)?;
        diff::gather_candidates(state, view, (origin, below), ranges, many, found)
    };
    let mut candidates = Candidates::new(None, None);
    loop {
        let mut page = candidates.take(&handle.core, candidates::PAGE, &gather).await?;
        let compare = |state: &State, view: TreeView<'_>| {
            commit::check_floor(state, stand.head)?;
            diff::compare_all(view, origin, below, &page)
        };
        let compared = handle.core.read(compare).await?;
        let is_moved = compared.iter().any(Option::is_some);
        if is_moved || page.is_empty() {
            return Ok(is_moved);
        }
        candidates.give_back(page.split_off(compared.len()));
    }
}

async fn rebase_rows(
    handle: &Rc<Handle>,
    stand: &Stand,
    options: &RebaseOptions,
    left: &mut LayerWriter<'_>,
    tally: &mut Tally,
) -> Result<()> {
    let mut after = None;
    loop {
        super::check_wanted(&options.heed)?;
        let page = page(handle, stand, after.as_ref()).await?;
        let mut rows = Vec::with_capacity(page.rows.len());
        for row in &page.rows {
            let added = added_over(&row.now, row.base.as_deref())?;
            let merging = Merging {
                suffix: row.suffix.clone(),
                base: row.base.clone(),
                clone: row.now.value.clone(),
                origin: row.origin.value.clone(),
                added: adding_up(&added, &row.counting),
                unsure: row.unsure.clone(),
            };
            rows.push((merging, added));
        }
        let merging: Vec<Merging> = rows.iter().map(|(merging, _)| merging.clone()).collect();
        let settled = settle(&merging, &options.policy, tally).await?;
        for ((row, (_, added)), value) in page.rows.iter().zip(rows).zip(settled) {
            if tally.is_stuck() || query::is_same(value.as_deref(), row.origin.bytes())? {
                continue;
            }
            tally.count(row.origin.value.as_ref(), value.as_ref());
            let expiry = if value == row.now.value { row.now.expiry } else { row.origin.expiry };
            let base = row.origin.lsn.filter(|_| row.origin.value.is_some());
            let version = leave::anew(row.origin.value.as_ref(), value, &added, (&row.now, stand.own.began()))?
                .expiring(expiry)
                .based_on(base);
            left.push(&row.suffix, &version);
        }
        left.flush().await?;
        after = page.next;
        if after.is_none() {
            return stand.keep_collections(&Collections::default(), left);
        }
    }
}

impl Stand {
    /// What every commit that flips the clone rests on.
    pub(super) fn check(&self, frame: &Frame<'_>) -> Attempt<()> {
        check_history(frame.state, self.head, self.chosen)?;
        commit::check_row(frame, &self.own)?;
        commit::check_layer(frame, self.paths.layer(), self.head, |_| Ok(true))
    }

    fn check_forward(&self) -> Result<()> {
        if self.to >= self.as_of() {
            return Ok(());
        }
        let message = format!("a clone is rebased forward only. asOf={}", self.as_of().to_text());
        Err(Error::new(ErrorCode::InvalidOption, message))
    }

    /// The clone's collections that its origin has not stay its own; so do those of its rows. One of another kind goes,
    /// if no row of it is kept.
    pub(super) fn keep_collections(&self, made: &Collections, left: &mut LayerWriter<'_>) -> Result<()> {
        let held = std::mem::take(&mut left.held);
        for (name, kind) in held.iter().chain(self.own_collections.iter()) {
            let below = made.kind(name).or_else(|| self.origin_collections.kind(name));
            match below {
                None => left.make(name, kind),
                Some(other) if other != kind && held.kind(name).is_some() => return Err(wrong_kind(name)),
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// A merge under way.
struct Merge<'a> {
    stand: Stand,
    options: &'a MergeOptions,
    /// What goes into the origin, and what the clone keeps.
    into: LayerWriter<'a>,
    left: LayerWriter<'a>,
    tally: Tally,
}

impl Merge<'_> {
    async fn take(&mut self, rows: Vec<Row>) -> Result<()> {
        let selected = self.select(&rows).await?;
        let mut merging = Vec::with_capacity(rows.len());
        let mut chosen = Vec::with_capacity(rows.len());
        for (row, selected) in rows.iter().zip(&selected) {
            let part = Chosen::of(row, selected)?;
            self.tally.has_changes |= !query::is_same(part.value.as_deref(), row.base.as_deref())?;
            merging.push(Merging {
                suffix: row.suffix.clone(),
                base: row.base.clone(),
                clone: part.value.clone(),
                origin: row.origin.value.clone(),
                added: adding_up(&part.added, &row.counting),
                unsure: row.unsure.clone(),
            });
            chosen.push(part);
        }
        let settled = settle(&merging, &self.options.policy, &mut self.tally).await?;
        for ((row, part), merged) in rows.iter().zip(&chosen).zip(settled) {
            if !self.tally.is_stuck() {
                self.put(row, part, merged)?;
            }
        }
        self.into.flush().await?;
        self.left.flush().await
    }

    /// What of each row's change is taken.
    async fn select(&self, rows: &[Row]) -> Result<Vec<Selected>> {
        let Some(select) = &self.options.only else { return Ok(vec![Selected::All; rows.len()]) };
        let mut selected = vec![Selected::All; rows.len()];
        let (mut changes, mut places) = (Vec::new(), Vec::new());
        for (place, row) in rows.iter().enumerate() {
            if let Some(change) = diff::change(&row.suffix, row.below.clone(), row.then.value.clone())? {
                changes.push(change);
                places.push(place);
            }
        }
        for (place, answer) in places.into_iter().zip(settle::select(select, changes).await?) {
            selected[place] = answer;
        }
        Ok(selected)
    }

    fn put(&mut self, row: &Row, part: &Chosen, merged: Option<Bytes>) -> Result<()> {
        let has_below = !self.stand.paths.origin.below().is_empty();
        let is_written = merged != row.origin.value && !query::is_same(merged.as_deref(), row.origin.bytes())?;
        if is_written {
            self.tally.count(row.origin.value.as_ref(), merged.as_ref());
            let (collection, kind, _) = split_suffix(row.suffix.as_bytes()).expect("BUG: a row is content");
            self.ensure(collection, kind)?;
            let counters =
                carried(&row.origin, merged.as_ref(), &adding_up(&part.added, &row.counting), row.origin.since())?;
            let expiry = if merged == row.then.value { row.then.expiry } else { row.origin.expiry };
            let version = leave::version(merged.clone(), &counters).expiring(expiry);
            self.into.push(&row.suffix, &version.based_on(row.origin.base_above(has_below)));
        }
        let below = if is_written { merged } else { row.origin.value.clone() };
        let base = if is_written { Some(Lsn::ZERO) } else { row.origin.lsn };
        let base = base.filter(|_| below.is_some());
        if let Some(kept) = keep(row, part, below.as_ref(), base, self.stand.own.began())? {
            self.left.push(&row.suffix, &kept.version);
            if let Some(ancestor) = kept.ancestor {
                self.left.park(&row.suffix, ancestor.as_deref());
            }
        }
        Ok(())
    }

    /// The origin gets a collection with its first row; one name is one kind.
    fn ensure(&mut self, collection: &str, kind: Kind) -> Result<()> {
        match self.stand.origin_collections.kind(collection) {
            None => self.into.make(collection, kind),
            Some(other) if other == kind => {}
            Some(_) => return Err(wrong_kind(collection)),
        }
        Ok(())
    }

    /// Collections without rows go over too, unless there was a selection.
    fn take_collections(&mut self) -> Result<()> {
        if self.options.only.is_none() && self.tally.has_changes {
            for (name, kind) in self.stand.own_collections.clone().iter() {
                if self.stand.origin_collections.kind(name).is_none() {
                    self.ensure(name, kind)?;
                }
            }
        }
        self.stand.keep_collections(self.into.made(), &mut self.left)
    }
}
