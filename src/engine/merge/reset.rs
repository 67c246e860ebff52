//! A clone forgets its own changes, or a selection of them (SEMANTICS C13).

use std::rc::Rc;

use super::Select;
use super::Selected;
use super::commit::{self, LayerWriter};
use super::counting::added_over;
use super::leave::{anew, is_object, no_fields, object, version, with_fields};
use super::rows::{Collections, ComparedRow};
use super::settle::{self, Added, carried};
use super::stand::{self, Point, Stand, not_a_clone};
use crate::engine::clones::clone::draw_layer;
use crate::engine::compare::diff;
use crate::engine::core::job::Present;
use crate::engine::handle::Handle;
use crate::error::Result;
use crate::planted::{self, Bug};
use crate::query;
use crate::types::Lsn;

/// Forgets this clone's own changes, or those that are selected: it reads as its origin where it began.
/// Gives its commit; `None`: there was nothing to forget.
pub async fn reset(handle: &Rc<Handle>, only: Option<Select>) -> Result<Option<Lsn>> {
    handle.check_open()?;
    let Some(select) = only else {
        let (this, layer) = (handle.clone(), draw_layer(&*handle.core.platform));
        let evaluate = move |present: &Present<'_>| {
            let own = this.entry(present.view, present.at)?;
            let Some(origin) = own.row.origin.clone() else {
                return Err(not_a_clone(&own.name).into());
            };
            let row = commit::flipped(&own, layer, Some(origin), false);
            Ok(((), commit::moved(&own, &row)))
        };
        return Ok(handle.core.commit(handle.core.durability, evaluate).await?.1);
    };
    commit::retried(handle, &|| Box::pin(try_reset(handle, &select))).await
}

async fn try_reset(handle: &Rc<Handle>, select: &Select) -> Result<Option<Lsn>> {
    let stand = stand::stand(handle, None, Point::Link).await?;
    let mut left = LayerWriter::new(&handle.core, draw_layer(&*handle.core.platform), stand.paths.below.clone());
    if !keep_unselected(handle, &stand, select, &mut left).await? {
        return Ok(None);
    }
    stand.keep_collections(&Collections::default(), &mut left)?;
    let (layer, parked) = (left.layer(), left.has_parked);
    let effects = left.finish().await?;
    let check = move |present: &Present<'_>| {
        stand.check(present)?;
        let row = commit::flipped(&stand.own, layer, Some(stand.link.clone()), parked);
        Ok(commit::moved(&stand.own, &row))
    };
    commit::commit_checked(handle, effects, check).await.map(Some)
}

/// True: something was selected.
async fn keep_unselected(
    handle: &Rc<Handle>,
    stand: &Stand,
    select: &Select,
    left: &mut LayerWriter<'_>,
) -> Result<bool> {
    let (mut after, mut is_changed) = (None, false);
    loop {
        let page = stand::page(handle, stand, after.as_ref()).await?;
        let (mut changes, mut rows) = (Vec::new(), Vec::new());
        for row in &page.rows {
            if let Some(change) = diff::change(&row.suffix, row.below.clone(), row.now.value.clone())? {
                changes.push(change);
                rows.push(row);
            }
        }
        for (row, selected) in rows.into_iter().zip(settle::select(select, changes).await?) {
            is_changed |= selected != Selected::Nothing;
            keep_part(row, &selected, stand.own.began(), left)?;
        }
        left.flush().await?;
        after = page.next;
        if after.is_none() {
            return Ok(is_changed);
        }
    }
}

/// Keeps of a row what was not selected to be forgotten. The layer that it leaves began at `began`.
fn keep_part(row: &ComparedRow, selected: &Selected, began: Lsn, left: &mut LayerWriter<'_>) -> Result<()> {
    let now = &row.now;
    let fields = match selected {
        Selected::All => return Ok(()),
        Selected::Nothing => &[][..],
        Selected::Fields(fields) => &fields[..],
    };
    let value = match (&now.value, &row.below) {
        (Some(value), Some(below)) if is_object(value)? && is_object(below)? => {
            Some(with_fields(value, below, fields)?)
        }
        _ if fields.is_empty() => now.value.clone(),
        _ => return Err(no_fields()),
    };
    if query::is_same(value.as_deref(), row.below.as_deref())? {
        return Ok(());
    }
    let version = if row.is_parked {
        // It goes on counting from what it is compared with.
        let counters = carried(now, value.as_ref(), &Added::new(), None)?;
        version(value, &counters)
    } else {
        let added = added_over(now, row.below.as_deref())?;
        anew(row.below.as_ref(), value, &added, (now, began))?
    };
    left.push(&row.suffix, &version.expiring(now.expiry).based_on(now.base));
    if row.is_parked && !planted::is(Bug::AncestorLostByReset) {
        let ancestor = match &row.below {
            Some(below) if !fields.is_empty() => Some(with_fields(object(row.base.as_deref())?, below, fields)?),
            _ => row.base.clone(),
        };
        left.park(&row.suffix, ancestor.as_deref());
    }
    Ok(())
}
