//! Commits are undone beside other people's work, by three-way merge (SEMANTICS C15).

use std::rc::Rc;

use super::commit::{self, LayerWriter};
use super::counting::only_counted;
use super::leave::version;
use super::rows::{Collections, collections};
use super::settle::{self, Added, ThreeWay, carried, settle};
use super::shown::{Shown, shown};
use super::stand::wrong_kind;
use super::{MergeReport, Policy, Tally};
use crate::engine::catalog;
use crate::engine::compare::candidates::{self, Candidates, Gathered, portion};
use crate::engine::compare::diff;
use crate::engine::core::job::Present;
use crate::engine::door::Effects;
use crate::engine::handle::Handle;
use crate::engine::handle::history::When;
use crate::engine::handle::snapshot::pruned;
use crate::engine::rows::path::Path;
use crate::engine::rows::read::{self, SuffixRange};
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Attempt, State, TreeView};
use crate::query::{self, Counters, Lookup, Names};
use crate::types::row::split_suffix;
use crate::types::{Bytes, Kind, Lsn, SortedSet, Suffix};

/// A row as some commits found it and left it, newest commit first.
struct Undo {
    suffix: Suffix,
    present: Shown,
    steps: Vec<Undoing>,
}

/// The change of one of the commits to a row.
struct Undoing {
    /// The commit's place among all.
    commit: usize,
    before: Shown,
    after: Shown,
    /// Fields that the commit only incremented, and that were only incremented since.
    counting: Vec<String>,
}

/// A commit to undo: the database before it and after it.
struct Undone {
    lsn: Lsn,
    before: Path,
    after: Path,
}

/// Undoes commits and keeps later changes, by three-way merge (SEMANTICS C15). In its conflicts `base` is the
/// value that the commit left, `clone` the present value, and `origin` the value before the commit.
pub async fn revert(handle: &Rc<Handle>, commits: &[Lsn], policy: &Policy, dry_run: bool) -> Result<MergeReport> {
    handle.check_open()?;
    for lsn in commits {
        handle.resolve(When::Version(*lsn)).await?;
    }
    // The newest first, each once.
    let mut newest_first: Vec<Lsn> = Vec::with_capacity(commits.len());
    for lsn in commits {
        let at = newest_first.partition_point(|other| other > lsn);
        if newest_first.get(at) != Some(lsn) {
            newest_first.insert(at, *lsn);
        }
    }
    commit::retried(handle, &|| Box::pin(try_revert(handle, &newest_first, policy, dry_run))).await
}

async fn try_revert(handle: &Rc<Handle>, commits: &[Lsn], policy: &Policy, dry_run: bool) -> Result<MergeReport> {
    handle.check_open()?;
    handle.core.catch_up().await?;
    let hold = handle.core.hold(handle.core.head());
    let head = hold.lsn();
    let read = |state: &State, view: TreeView<'_>| {
        let own = handle.entry(view, head)?;
        let now = Path::from_entry(view, own.clone(), head)?;
        let undone = commits.iter().map(|lsn| undone(handle, state, view, *lsn)).collect::<Attempt<Vec<_>>>()?;
        let known = collections(view, &now)?;
        Ok((own, now, undone, known))
    };
    let (own, now, undone, known) = handle.core.read(read).await?;
    let mut writer = LayerWriter::new(&handle.core, own.row.layer(), now.clone());
    let (mut tally, mut candidates) = (Tally::default(), Candidates::new(None, None));
    let reverted: Result<()> = async {
        loop {
            let rows = undo_page(handle, (head, &now), &undone, &mut candidates).await?;
            if rows.is_empty() {
                return Ok(());
            }
            let all = undo(&rows, undone.len(), policy, &mut tally).await?;
            for (row, back) in rows.iter().zip(all) {
                tally.has_changes |= !row.steps.is_empty();
                let is_same = query::is_same(back.value.as_deref(), row.present.bytes())?;
                if !tally.is_stuck() && !is_same {
                    tally.count(row.present.value.as_ref(), back.value.as_ref());
                    write_back(row, &back, (&now, &known), &mut writer)?;
                }
            }
            writer.flush().await?;
        }
    }
    .await;
    let changes = tally.inserted + tally.updated + tally.deleted;
    // A revert that changes no row makes no commit: each row was undone before, or its conflict left it as it is.
    tally.has_changes &= changes > 0;
    reverted?;
    if tally.is_stuck() || dry_run || changes == 0 {
        return Ok(tally.report(head));
    }
    let effects = writer.finish().await?;
    let check = move |present: &Present<'_>| {
        commit::check_floor(present.state, head)?;
        commit::check_row(present, &own)?;
        let layer = own.row.layer();
        commit::check_layer(present, layer, head, |suffix| {
            let is_collection = matches!(split_suffix(suffix), Some((_, Kind::Collection, _)));
            Ok(is_collection || is_pruned(present.state, &undone) || is_undone(present.view, &undone, suffix)?)
        })?;
        Ok(Effects::default())
    };
    let version = commit::commit_checked(handle, effects, check).await?;
    drop(hold);
    Ok(tally.report(version))
}

fn undone(handle: &Handle, state: &State, view: TreeView<'_>, lsn: Lsn) -> Attempt<Undone> {
    let before = Lsn(lsn.0.saturating_sub(1));
    if before < state.manifest.floor() {
        return Err(pruned(state).into());
    }
    let path = |at: Lsn| -> Attempt<Option<Path>> {
        let then = catalog::find(view, handle.name(), at)?.filter(|entry| handle.is_own(entry));
        then.map(|entry| Path::from_entry(view, entry, at)).transpose()
    };
    match (path(before)?, path(lsn)?) {
        (Some(before), Some(after)) => Ok(Undone { lsn, before, after }),
        _ => {
            let message = format!("the database did not exist before that commit. version={}", lsn.to_text());
            Err(Error::new(ErrorCode::InvalidOption, message).into())
        }
    }
}

async fn undo_page(
    handle: &Rc<Handle>,
    (head, now): (Lsn, &Path),
    undone: &[Undone],
    candidates: &mut Candidates,
) -> Result<Vec<Undo>> {
    let check = |state: &State| -> Attempt<()> {
        commit::check_floor(state, head)?;
        if is_pruned(state, undone) { Err(pruned(state).into()) } else { Ok(()) }
    };
    let gather = |state: &State, view: TreeView<'_>, ranges: &[SuffixRange], found: &mut Gathered| {
        check(state)?;
        undone.iter().try_for_each(|Undone { before, after, .. }| {
            diff::gather_candidates(state, view, (after, before), ranges, found)
        })
    };
    let mut page = candidates.take(&handle.core, candidates::COMPARED_AT_ONCE, &gather).await?;
    let read = |state: &State, view: TreeView<'_>| {
        check(state)?;
        let rows = page.iter().map(|suffix| undo_row((state, view), now, undone, suffix));
        portion(view, rows, |row| {
            let steps = row.steps.iter().map(|step| step.before.bytes_held() + step.after.bytes_held());
            row.present.bytes_held() + steps.sum::<usize>()
        })
    };
    let rows = handle.core.read(read).await?;
    candidates.give_back(page.split_off(rows.len()));
    Ok(rows)
}

/// True if history no longer holds the state before one of the commits.
fn is_pruned(state: &State, undone: &[Undone]) -> bool {
    undone.iter().any(|step| step.lsn.0 <= state.manifest.floor().0)
}

/// True if one of the commits changed the row.
fn is_undone(view: TreeView<'_>, undone: &[Undone], suffix: &[u8]) -> Attempt<bool> {
    for step in undone {
        let (before, after) = (shown(view, &step.before, suffix)?, shown(view, &step.after, suffix)?);
        if !query::is_same(before.bytes(), after.bytes())? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn undo_row(reading: (&State, TreeView<'_>), now: &Path, undone: &[Undone], suffix: &Suffix) -> Attempt<Undo> {
    let (_, view) = reading;
    let bytes = suffix.as_bytes();
    let present = shown(view, now, bytes)?;
    let mut steps = Vec::new();
    for (commit, step) in undone.iter().enumerate() {
        let (before, after) = (shown(view, &step.before, bytes)?, shown(view, &step.after, bytes)?);
        if query::is_same(before.bytes(), after.bytes())? {
            continue;
        }
        // Once a clone stands elsewhere, the increments made there and those made here are not one count.
        let is_one_layer = [&step.before, now]
            .iter()
            .all(|path| path.top().map(|top| top.layer) == step.after.top().map(|top| top.layer));
        let noted = if is_one_layer { noted(view, &[&step.before, &step.after, now], bytes)? } else { Vec::new() };
        let mut counting = noted;
        for (later, earlier) in [(&step.after, &step.before), (now, &step.after)] {
            let fields: Vec<&str> = counting.iter().map(|field| &field[..]).collect();
            let mut is_counted = only_counted(reading, (later, earlier), bytes, &fields)?.into_iter();
            counting.retain(|_| is_counted.next() == Some(true));
        }
        steps.push(Undoing { commit, before, after, counting });
    }
    Ok(Undo { suffix: suffix.clone(), present, steps })
}

/// The counters of a row in any of these.
fn noted(view: TreeView<'_>, paths: &[&Path], suffix: &[u8]) -> Attempt<Vec<String>> {
    let mut noted = SortedSet::new();
    for path in paths {
        if let Some(found) = read::topmost(view, path.levels(), suffix)? {
            let counters = Counters::decode(found.version.delta.as_ref(), Some(found.lsn))?;
            noted.extend(counters.iter().map(|counter| counter.path.clone()));
        }
    }
    Ok(noted.into_iter().collect())
}

/// The number, as MessagePack.
const ZERO: [u8; 1] = [0];

/// A row on its way back, and the sums that were added to its counters, while nothing else changed them.
struct Back {
    value: Option<Bytes>,
    added: Vec<(String, Option<Vec<u8>>)>,
}

impl Back {
    fn of(row: &Undo) -> Back {
        let mut fields: SortedSet<&str> =
            row.steps.iter().flat_map(|step| &step.counting).map(|field| &field[..]).collect();
        fields.extend(row.present.counters.iter().map(|counter| &counter.path[..]));
        let none = |field: &str| (field.to_string(), None);
        Back { value: row.present.value.clone(), added: fields.into_iter().map(none).collect() }
    }

    /// The sums that were added to the commit's counters since.
    fn since(&self, step: &Undoing) -> Result<Added> {
        let mut added = Added::new();
        let counted = Names::of(&mut self.added.iter().map(|(field, _)| &field[..]));
        let (now, then) = (Lookup::new(self.value.as_deref()), Lookup::new(step.after.bytes()));
        for field in &step.counting {
            // A field that is not there counts as zero.
            let by = match (now.at(field)?, then.at(field)?) {
                _ if !counted.has(field) => None,
                (None, None) => Some(ZERO.to_vec()),
                (None, Some(_)) => None,
                (Some(now), None) => Some(now.to_vec()),
                (Some(now), Some(then)) => query::subtract(now, then)?,
            };
            added.extend(by.map(|by| (field.clone(), by)));
        }
        Ok(added)
    }

    /// Sets the row to `value`: a counter whose value did not come of adding up is counted no more.
    fn becomes(&mut self, value: Option<Bytes>, step: &Undoing, added: &Added) -> Result<()> {
        let names = settle::names_of(added);
        let (was, is) = (Lookup::new(self.value.as_deref()), Lookup::new(value.as_deref()));
        let before = Lookup::new(step.before.bytes());
        for (field, total) in std::mem::take(&mut self.added) {
            let (was, is) = (was.at(&field)?, is.at(&field)?);
            if was == is {
                self.added.push((field, total));
                continue;
            }
            let sum = match (names.place(&field), before.at(&field)?) {
                (Some(place), Some(before)) => query::add(before, &added[place].1)?,
                _ => None,
            };
            if let Some(is) = is
                && sum.as_deref() == Some(is)
                && let Some(by) = query::subtract(is, was.unwrap_or(&ZERO))?
            {
                let total = total.map_or(Ok(Some(by.clone())), |total| query::add(&total, &by))?;
                self.added.push((field, total));
            }
        }
        self.value = value;
        Ok(())
    }
}

/// The value of each row without the changes of the commits; the newest commit is undone first.
async fn undo(rows: &[Undo], count: usize, policy: &Policy, tally: &mut Tally) -> Result<Vec<Back>> {
    let mut back: Vec<Back> = rows.iter().map(Back::of).collect();
    for commit in 0..count {
        let (mut merging, mut steps) = (Vec::new(), Vec::new());
        for (place, row) in rows.iter().enumerate() {
            let Some(step) = row.steps.iter().find(|step| step.commit == commit) else { continue };
            let (base, origin) = (step.after.value.clone(), step.before.value.clone());
            let (clone, added) = (back[place].value.clone(), back[place].since(step)?);
            merging.push(ThreeWay { suffix: row.suffix.clone(), base, clone, origin, added, unsure: Vec::new() });
            steps.push((place, step));
        }
        let settled = settle(&merging, policy, tally).await?;
        for (((place, step), merging), value) in steps.into_iter().zip(&merging).zip(settled) {
            back[place].becomes(value, step, &merging.added)?;
        }
    }
    Ok(back)
}

fn write_back(
    row: &Undo,
    back: &Back,
    (now, known): (&Path, &Collections),
    writer: &mut LayerWriter<'_>,
) -> Result<()> {
    let value = back.value.clone();
    let added = back.added.iter().filter_map(|(field, by)| Some((field.clone(), by.clone()?))).collect();
    let counters = carried(&row.present, value.as_ref(), &added, row.present.since())?;
    let then = row.steps.iter().rev().map(|step| &step.before).find(|before| before.value == value);
    let expiry = then.map_or(row.present.expiry, |before| before.expiry);
    let base = row.present.base_above(!now.below().is_empty());
    ensure(&row.suffix, value.is_some(), known, writer)?;
    writer.push(&row.suffix, &version(value, &counters).expiring(expiry).based_on(base));
    Ok(())
}

/// A row that comes back brings its collection, if that is gone.
fn ensure(suffix: &Suffix, is_there: bool, known: &Collections, writer: &mut LayerWriter<'_>) -> Result<()> {
    let (collection, kind, _) = split_suffix(suffix.as_bytes()).expect("BUG: a row is content");
    match known.kind(collection) {
        None if is_there => writer.make(collection, kind),
        Some(other) if is_there && other != kind => return Err(wrong_kind(collection)),
        _ => {}
    }
    Ok(())
}
