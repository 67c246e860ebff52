//! Merge: a clone's changes into its origin (SEMANTICS C12).

use std::rc::Rc;

use super::commit::{self, LayerWriter};
use super::leave::{self, Chosen, keep};
use super::rows::ComparedRow;
use super::settle::{self, ThreeWay, adding_up, carried, settle};
use super::stand::{Point, Stand, page, stand, wrong_kind};
use super::{MergeOptions, MergeReport, Selected, Tally};
use crate::engine::catalog::Origin;
use crate::engine::clones::clone::draw_layer;
use crate::engine::compare::diff;
use crate::engine::core::job::Present;
use crate::engine::door::Effects;
use crate::engine::handle::Handle;
use crate::engine::rows::read;
use crate::error::Result;
use crate::planted::{self, Bug};
use crate::query;
use crate::types::row::{row, split_suffix};
use crate::types::{Base, Bytes, Kind, Lsn};

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
    let mut merge = IntoOrigin {
        into: LayerWriter::new(store, target_layer, stand.paths.origin.clone()),
        left: LayerWriter::new(store, draw_layer(&*store.platform), stand.paths.origin.clone()),
        tally: Tally::default(),
        stand,
        options,
    };
    let merged = all_rows(handle, &mut merge).await;
    let IntoOrigin { into, left, tally, stand, .. } = merge;
    merged?;
    if tally.is_stuck() || options.dry_run || !tally.has_changes {
        return Ok(tally.report(stand.head));
    }
    super::check_wanted(&options.heed)?;
    let (layer, parked) = (left.layer(), left.has_parked);
    let effects = into.finish().await?.and(left.finish().await?);
    let check = move |present: &Present<'_>| {
        stand.check(present)?;
        let own = stand.paths.layer();
        commit::check_row(present, &stand.target)?;
        commit::check_layer(present, target_layer, stand.head, |suffix| {
            if planted::is(Bug::MergedRowsNotValidated) {
                return Ok(false);
            }
            // A copy of the origin's value is no change of the clone's own.
            let is_ours = match present.view.get(&row(own, suffix), stand.head)? {
                Some(found) => !read::is_copy(present.view, &stand.paths.now, suffix, &found)?,
                None => false,
            };
            Ok(is_ours || matches!(split_suffix(suffix), Some((_, Kind::Collection, _))))
        })?;
        if planted::is(Bug::MergedCloneNotMoved) {
            return Ok(Effects::default());
        }
        let origin = Origin { name: stand.link.name.clone(), as_of: present.at.next().0 };
        let row = commit::flipped(&stand.own, layer, Some(origin), parked);
        Ok(commit::moved(&stand.own, &row))
    };
    let version = commit::commit_checked(handle, effects, check).await?;
    Ok(tally.report(version))
}

async fn all_rows(handle: &Rc<Handle>, merge: &mut IntoOrigin<'_>) -> Result<()> {
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

/// A merge under way.
struct IntoOrigin<'a> {
    stand: Stand,
    options: &'a MergeOptions,
    /// The rows that go into the origin, and the rows that the clone keeps.
    into: LayerWriter<'a>,
    left: LayerWriter<'a>,
    tally: Tally,
}

impl IntoOrigin<'_> {
    async fn take(&mut self, rows: Vec<ComparedRow>) -> Result<()> {
        let selected = self.select(&rows).await?;
        let mut merging = Vec::with_capacity(rows.len());
        let mut chosen = Vec::with_capacity(rows.len());
        for (row, selected) in rows.iter().zip(&selected) {
            let part = Chosen::of(row, selected)?;
            self.tally.has_changes |= !query::is_same(part.value.as_deref(), row.base.as_deref())?;
            merging.push(ThreeWay {
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

    /// Asks which part of each row's change is to be merged.
    async fn select(&self, rows: &[ComparedRow]) -> Result<Vec<Selected>> {
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

    fn put(&mut self, row: &ComparedRow, part: &Chosen, merged: Option<Bytes>) -> Result<()> {
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
        let base = if is_written { Some(Base::OwnCommit) } else { row.origin.lsn.map(Base::At) };
        let base = base.filter(|_| below.is_some());
        if let Some(kept) = keep(row, part, below.as_ref(), base, self.stand.own.began())? {
            self.left.push_above(&row.suffix, &kept.version, below.as_ref());
            if let Some(ancestor) = kept.ancestor
                && !planted::is(Bug::AncestorNotKept)
            {
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
