//! Makes the present equal to a past: the rows that differ are written, or, where a clone has moved since, its
//! layer of that time is copied and stands on the link of that time again.

use std::rc::Rc;

use super::commit::{self, LayerWriter};
use super::counting::added_over;
use super::leave::version;
use super::rows::{collections, own_collections, own_rows};
use super::settle::{Added, carried};
use super::shown::shown;
use crate::engine::catalog::{self, DatabaseRow, Entry, Origin};
use crate::engine::clones::clone::{check_point, draw_layer, exists};
use crate::engine::compare::candidates::{self, Candidates, Gathered, portion};
use crate::engine::compare::diff;
use crate::engine::core::job::Present;
use crate::engine::door::{Before, Effects};
use crate::engine::handle::Handle;
use crate::engine::handle::history::When;
use crate::engine::handle::snapshot::pruned;
use crate::engine::rows::collections::collection_row;
use crate::engine::rows::path::Path;
use crate::engine::rows::read::{self, SuffixRange};
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Attempt, Fault, State, TreeView};
use crate::planted::{self, Bug};
use crate::query::{self, Counter, Counters, Since};
use crate::types::row::LAYER_BYTES;
use crate::types::{CollectionName, DatabaseName, Lsn, Suffix, Version};

/// The present and a past of one database.
struct Then {
    head: Lsn,
    lsn: Lsn,
    own: Entry,
    then: Entry,
    now_path: Path,
    then_path: Path,
}

impl Then {
    /// True if the layer is that of the past, or has no origin: the rows that differ are then written into it.
    fn is_in_place(&self) -> bool {
        self.own.row.layer == self.then.row.layer || self.own.row.origin.is_none()
    }
}

/// Makes the present equal to the database as it was at `when`, in one commit, which can itself be undone.
/// `keep_as` clones the present first. Gives the commit; `None`: the present is as it was.
pub async fn restore(handle: &Rc<Handle>, when: When, keep_as: Option<DatabaseName>) -> Result<Option<Lsn>> {
    handle.check_open()?;
    let lsn = handle.resolve(when).await?;
    commit::retried(handle, &|| Box::pin(try_restore(handle, lsn, keep_as.as_ref()))).await
}

async fn try_restore(handle: &Rc<Handle>, lsn: Lsn, keep_as: Option<&DatabaseName>) -> Result<Option<Lsn>> {
    handle.check_open()?;
    handle.core.catch_up().await?;
    let hold = handle.core.hold(handle.core.head().min(lsn));
    let then = then(handle, lsn).await?;
    let layer = if then.is_in_place() { then.own.row.layer() } else { draw_layer(&*handle.core.platform) };
    let path = if then.is_in_place() { then.now_path.clone() } else { Path::of(then.then_path.below()) };
    let mut writer = LayerWriter::new(&handle.core, layer, path);
    let written = match then.is_in_place() {
        true => write_difference(handle, &then, &mut writer).await,
        false => copy_layer(handle, &then, &mut writer).await.map(|()| Some(Effects::default())),
    };
    let gone = match written? {
        None if keep_as.is_none() => return Ok(None),
        gone => gone.unwrap_or_default(),
    };
    let effects = writer.finish().await?;
    let keep = keep_as.map(|name| (name.clone(), handle.core.platform.random(), draw_layer(&*handle.core.platform)));
    let (this, created_at) = (handle.clone(), handle.core.platform.now());
    let check = move |present: &Present<'_>| {
        then.check(present)?;
        let (origin, parked) = match then.is_in_place() {
            true => (then.own.row.origin.clone(), then.own.row.parked),
            false if planted::is(Bug::RestoreKeepsTheLink) => (then.own.row.origin.clone(), then.then.row.parked),
            false => (then.then.row.origin.clone(), then.then.row.parked),
        };
        // Whoever has read the database must read it again.
        let restored = then.own.row.restored + 1;
        let began = then.is_in_place().then(|| then.own.began().0);
        let row = DatabaseRow { restored, began, ..commit::flipped(&then.own, layer, origin, parked) };
        let mut effects = gone.clone().and(commit::moved(&then.own, &row));
        if let Some((name, id, layer)) = &keep {
            let as_of = check_point(&this, present, None, &then.own)?;
            if let Some(other) = catalog::find(present.view, name, present.at)? {
                return Err(exists(&other.name).into());
            }
            let origin = Origin { name: then.own.name.to_string(), as_of: as_of.0 };
            let row = DatabaseRow::clone_of(*id, *layer, origin, created_at);
            effects.put_in_catalog(catalog::database_row(name), &row.encode());
        }
        Ok(effects)
    };
    let version = commit::commit_checked(handle, effects, check).await?;
    drop(hold);
    Ok(Some(version))
}

async fn then(handle: &Rc<Handle>, lsn: Lsn) -> Result<Then> {
    handle
        .core
        .read(|state, view| {
            if lsn < state.manifest.floor() {
                return Err(pruned(state).into());
            }
            let head = state.head;
            let own = handle.entry(view, head)?;
            let then = catalog::find(view, handle.name(), lsn)?.filter(|entry| handle.is_own(entry));
            let Some(then) = then else {
                let message = format!("the database did not exist at that version. version={}", lsn.to_text());
                return Err(Error::new(ErrorCode::InvalidOption, message).into());
            };
            let now_path = Path::from_entry(view, own.clone(), head)?;
            let then_path = Path::from_entry(view, then.clone(), lsn)?;
            Ok(Then { head, lsn, own, then, now_path, then_path })
        })
        .await
}

/// Writes the rows that differ into the layer as it is, and gives the tombstones of collections that were not there
/// then. `None`: nothing differs.
async fn write_difference(handle: &Rc<Handle>, then: &Then, writer: &mut LayerWriter<'_>) -> Result<Option<Effects>> {
    let has_below = !then.now_path.below().is_empty();
    let mut candidates = Candidates::new(None, None);
    let gather = |state: &State, view: TreeView<'_>, ranges: &[SuffixRange], found: &mut Gathered| {
        commit::check_floor(state, then.lsn)?;
        diff::gather_candidates(state, view, (&then.now_path, &then.then_path), ranges, found)
    };
    let mut is_changed = false;
    loop {
        let mut page = candidates.take(&handle.core, candidates::COMPARED_AT_ONCE, &gather).await?;
        if page.is_empty() {
            break;
        }
        let read = |state: &State, view: TreeView<'_>| {
            commit::check_floor(state, then.lsn)?;
            let sides = page.iter().map(|suffix| {
                let now = shown(view, &then.now_path, suffix.as_bytes())?;
                Ok((now, shown(view, &then.then_path, suffix.as_bytes())?))
            });
            portion(view, sides, |(now, past)| now.bytes_held() + past.bytes_held())
        };
        let sides = handle.core.read(read).await?;
        candidates.give_back(page.split_off(sides.len()));
        let rows = page.into_iter().zip(sides);
        for (suffix, (now, past)) in rows {
            let is_same = query::is_same(now.bytes(), past.bytes())?
                || planted::is(Bug::RestoreLeavesInserted) && past.value.is_none();
            if !is_same || now.expiry != past.expiry {
                is_changed = true;
                let counters = carried(&now, past.value.as_ref(), &Added::new(), None)?;
                let version = version(past.value, &counters).expiring(past.expiry);
                writer.push(&suffix, &version.based_on(now.base_above(has_below)));
            }
        }
        writer.flush().await?;
    }
    let gone = restore_collections(handle, then, writer).await?;
    let is_changed = is_changed || !gone.is_empty() || !writer.made().is_empty();
    Ok(is_changed.then_some(gone))
}

async fn restore_collections(handle: &Rc<Handle>, then: &Then, writer: &mut LayerWriter<'_>) -> Result<Effects> {
    let read =
        |_: &State, view: TreeView<'_>| Ok((collections(view, &then.now_path)?, collections(view, &then.then_path)?));
    let (now, past) = handle.core.read(read).await?;
    for (name, kind) in past.iter() {
        if now.kind(name) != Some(kind) {
            writer.make(name, kind);
        }
    }
    let mut gone = Effects::default();
    for name in now.iter().map(|(name, _)| name).filter(|name| past.kind(name).is_none()) {
        let suffix = collection_row(&CollectionName::new(name)?);
        let base = handle.core.read(|_, view| shown(view, &then.now_path, suffix.as_bytes())).await?;
        let tombstone = Version::tombstone().based_on(base.base_above(!then.now_path.below().is_empty()));
        gone.put(then.own.row.layer(), suffix.as_bytes(), &tombstone, Before::On(&then.now_path));
    }
    Ok(gone)
}

/// Copies the rows that the clone had written by then into a new layer.
async fn copy_layer(handle: &Rc<Handle>, then: &Then, writer: &mut LayerWriter<'_>) -> Result<()> {
    let mut after: Option<Suffix> = None;
    loop {
        let look = |state: &State, view: TreeView<'_>| {
            commit::check_floor(state, then.lsn)?;
            let mut cursor = own_rows(view, then.then.row.layer(), then.lsn, after.as_ref());
            let mut rows = Vec::new();
            view.loaded.in_portions();
            while rows.len() < candidates::COMPARED_AT_ONCE
                && let Some(next) = cursor.next_row()?
            {
                if view.loaded.is_full() && !rows.is_empty() {
                    return Ok((rows, false));
                }
                let found = match next.found(view) {
                    // The rows so far are taken first; the block is fetched for the next portion.
                    Err(Fault::Need(_)) if !rows.is_empty() => return Ok((rows, false)),
                    found => found?,
                };
                let base = found.base();
                let suffix = Suffix::from_bytes(next.row[LAYER_BYTES..].to_vec());
                if read::is_copy(view, &then.then_path, suffix.as_bytes(), &found)? {
                    rows.push((suffix, None));
                    continue;
                }
                let mut version = found.version.based_on(base);
                if version.delta.is_some() {
                    version = version.counting(counted_from_below(view, &then.then_path, &suffix)?.encode());
                }
                rows.push((suffix, Some(version)));
            }
            let is_last = rows.len() < candidates::COMPARED_AT_ONCE;
            Ok((rows, is_last))
        };
        let (rows, is_last) = handle.core.read(look).await?;
        for (suffix, version) in rows {
            if let Some(version) = version {
                writer.push(&suffix, &version);
            }
            after = Some(suffix);
        }
        writer.flush().await?;
        if is_last {
            break;
        }
    }
    let own = handle.core.read(|_, view| own_collections(view, &then.then_path)).await?;
    own.iter().for_each(|(name, kind)| writer.make(name, kind));
    Ok(())
}

/// The counters of a clone's row whose value still is the value below plus increments.
fn counted_from_below(view: TreeView<'_>, path: &Path, suffix: &Suffix) -> Attempt<Counters> {
    let own = shown(view, path, suffix.as_bytes())?;
    let below = shown(view, &Path::of(path.below()), suffix.as_bytes())?;
    let added = added_over(&own, below.bytes())?;
    let counter = |(path, sum)| Counter { path, since: Since::Layer, sum };
    Ok(Counters::of(added.into_iter().map(counter).collect()))
}

impl Then {
    fn check(&self, present: &Present<'_>) -> Attempt<()> {
        if self.lsn < present.state.manifest.floor() {
            return Err(pruned(present.state).into());
        }
        commit::check_row(present, &self.own)?;
        commit::check_layer(present, self.own.row.layer(), self.head, |_| Ok(true))
    }
}
