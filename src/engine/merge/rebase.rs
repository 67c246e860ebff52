//! Rebase: a clone's changes onto its origin's present, or a later point of its origin (SEMANTICS C13).

use std::rc::Rc;

use super::commit::{self, LayerWriter};
use super::counting::added_over;
use super::leave;
use super::rows::{Collections, collections};
use super::settle::{self, ThreeWay, adding_up, settle};
use super::stand::{Point, Stand, page, stand};
use super::{MergeReport, RebaseOptions, Tally};
use crate::engine::catalog::Origin;
use crate::engine::clones::clone::draw_layer;
use crate::engine::compare::candidates::{self, Candidates, Gathered};
use crate::engine::compare::diff;
use crate::engine::core::job::Present;
use crate::engine::handle::Handle;
use crate::engine::rows::read::SuffixRange;
use crate::error::Result;
use crate::lsm::{State, TreeView};
use crate::query;
use crate::types::Lsn;

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
    let mut left = LayerWriter::new(&handle.core, draw_layer(&*handle.core.platform), stand.paths.origin.clone());
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
    let check = move |present: &Present<'_>| {
        stand.check(present)?;
        let origin = Origin { name: stand.link.name.clone(), as_of: stand.to.0 };
        let row = commit::flipped(&stand.own, layer, Some(origin), false);
        Ok(commit::moved(&stand.own, &row))
    };
    let version = commit::commit_checked(handle, effects, check).await?;
    Ok(tally.report(version))
}

/// True if the origin differs, or may differ, from the point where the clone stands.
async fn has_moved(handle: &Rc<Handle>, stand: &Stand) -> Result<bool> {
    let (origin, below) = (&stand.paths.origin, &stand.paths.below);
    if handle.core.read(|_, view| collections(view, below)).await? != stand.origin_collections {
        return Ok(true);
    }
    let gather = |state: &State, view: TreeView<'_>, ranges: &[SuffixRange], found: &mut Gathered| {
        commit::check_floor(state, stand.head)?;
        diff::gather_candidates(state, view, (origin, below), ranges, found)
    };
    let mut candidates = Candidates::new(None, None);
    loop {
        let mut page = candidates.take(&handle.core, candidates::COMPARED_AT_ONCE, &gather).await?;
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
            let merging = ThreeWay {
                suffix: row.suffix.clone(),
                base: row.base.clone(),
                clone: row.now.value.clone(),
                origin: row.origin.value.clone(),
                added: adding_up(&added, &row.counting),
                unsure: row.unsure.clone(),
            };
            rows.push((merging, added));
        }
        let merging: Vec<ThreeWay> = rows.iter().map(|(merging, _)| merging.clone()).collect();
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
