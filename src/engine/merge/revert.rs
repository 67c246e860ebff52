//! Commits are undone beside other people's work, by three-way merge (SEMANTICS C15).

use std::collections::BTreeSet;
use std::rc::Rc;

use super::commit::{self, LayerWriter};
use super::leave::version;
use super::rows::{Collections, Side, all, collections, side};
use super::settle::{Added, Merging, carried, settle};
use super::{MergeReport, Policy, Tally};
use crate::engine::catalog;
use crate::engine::database::Database;
use crate::engine::diff;
use crate::engine::history::{When, pruned};
use crate::engine::path::Path;
use crate::engine::pipeline::Frame;
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Attempt, State, TreeView};
use crate::query;
use crate::types::row::split_suffix;
use crate::types::{Bytes, Lsn, Suffix};

/// A row as some commits found it and left it, newest commit first.
struct Undo {
    suffix: Suffix,
    present: Side,
    steps: Vec<(usize, Side, Side)>,
}

/// A commit to undo: the database before it and after it.
struct Undone {
    lsn: Lsn,
    before: Path,
    after: Path,
}

struct UndoPage {
    rows: Vec<Undo>,
    next: Option<Suffix>,
}

impl Database {
    /// Undoes commits and keeps what came later, by three-way merge (SEMANTICS C15). In its conflicts `base` is what
    /// the commit left, `clone` the present, and `origin` what was there before the commit.
    pub async fn revert(self: &Rc<Database>, commits: &[Lsn], policy: &Policy, dry_run: bool) -> Result<MergeReport> {
        self.check_open()?;
        for lsn in commits {
            self.resolve(When::Version(*lsn)).await?;
        }
        // The newest first, each once.
        let mut newest_first: Vec<Lsn> = Vec::with_capacity(commits.len());
        for lsn in commits {
            let at = newest_first.partition_point(|other| other > lsn);
            if newest_first.get(at) != Some(lsn) {
                newest_first.insert(at, *lsn);
            }
        }
        self.retried(&|| Box::pin(self.try_revert(&newest_first, policy, dry_run))).await
    }

    async fn try_revert(self: &Rc<Database>, commits: &[Lsn], policy: &Policy, dry_run: bool) -> Result<MergeReport> {
        self.check_open()?;
        self.store.catch_up().await?;
        let hold = self.store.hold(self.store.head());
        let head = hold.lsn();
        let read = |state: &State, view: TreeView<'_>| {
            let own = self.entry(view, head)?;
            let now = Path::from_entry(view, own.clone(), head)?;
            let undone = commits.iter().map(|lsn| self.undone(state, view, *lsn)).collect::<Attempt<Vec<_>>>()?;
            let known = collections(view, &now)?;
            Ok((own, now, undone, known))
        };
        let (own, now, undone, known) = self.store.read(read).await?;
        let mut writer = LayerWriter::new(&self.store, own.row.layer());
        let (mut tally, mut written) = (Tally::default(), BTreeSet::new());
        let mut after = None;
        let reverted: Result<()> = async {
            loop {
                let page = self.undo_page((head, &now), &undone, after.as_ref()).await?;
                let values = undo(&page.rows, &undone, policy, &mut tally).await?;
                for (row, value) in page.rows.iter().zip(values) {
                    tally.has_changes |= !row.steps.is_empty();
                    if !tally.is_stuck() && value != row.present.value {
                        tally.count(row.present.value.as_ref(), value.as_ref());
                        write_back(row, value, (&now, &known), &mut writer)?;
                    }
                    written.insert(row.suffix.clone());
                }
                writer.flush().await?;
                after = page.next;
                if after.is_none() {
                    return Ok(());
                }
            }
        }
        .await;
        let changes = tally.inserted + tally.updated + tally.deleted;
        if reverted.is_err() || tally.is_stuck() || dry_run || changes == 0 {
            writer.abandon().await;
            reverted?;
            return Ok(tally.report(head));
        }
        let effects = writer.finish().await?;
        let check = move |frame: &Frame<'_>| {
            commit::check_floor(frame.state, head)?;
            commit::check_row(frame, &own)?;
            let layer = own.row.layer();
            commit::check_layer(frame, layer, head, |suffix| {
                Ok(written.contains(&Suffix::from_bytes(suffix.to_vec())))
            })?;
            Ok(Vec::new())
        };
        let version = self.commit_checked(effects, check).await?;
        drop(hold);
        Ok(tally.report(version))
    }

    fn undone(&self, state: &State, view: TreeView<'_>, lsn: Lsn) -> Attempt<Undone> {
        let before = Lsn(lsn.0.saturating_sub(1));
        if before < state.manifest.floor() {
            return Err(pruned(state).into());
        }
        let path = |at: Lsn| -> Attempt<Option<Path>> {
            let then = catalog::find(view, self.name(), at)?.filter(|entry| self.is_own(entry));
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
        self: &Rc<Database>,
        (head, now): (Lsn, &Path),
        undone: &[Undone],
        after: Option<&Suffix>,
    ) -> Result<UndoPage> {
        let ranges = diff::ranges(None, after);
        self.store
            .read(|state, view| {
                commit::check_floor(state, head)?;
                let mut candidates = BTreeSet::new();
                for Undone { before, after, lsn } in undone {
                    if lsn.0 <= state.manifest.floor().0 {
                        return Err(pruned(state).into());
                    }
                    diff::gather_candidates(state, view, (after, before), &ranges, &mut candidates)?;
                }
                let is_more = candidates.len() > diff::PAGE;
                let page: Vec<Suffix> = candidates.into_iter().take(diff::PAGE).collect();
                let rows = all(page.iter().map(|suffix| undo_row(view, now, undone, suffix)))?;
                Ok(UndoPage { rows, next: page.last().filter(|_| is_more).cloned() })
            })
            .await
    }
}

fn undo_row(view: TreeView<'_>, now: &Path, undone: &[Undone], suffix: &Suffix) -> Attempt<Undo> {
    let bytes = suffix.as_bytes();
    let mut steps = Vec::new();
    for (place, Undone { before, after, .. }) in undone.iter().enumerate() {
        let (before, after) = (side(view, before, bytes)?, side(view, after, bytes)?);
        if before.value != after.value {
            steps.push((place, before, after));
        }
    }
    Ok(Undo { suffix: suffix.clone(), present: side(view, now, bytes)?, steps })
}

/// What each row is without what the commits did, the newest of them first.
async fn undo(rows: &[Undo], undone: &[Undone], policy: &Policy, tally: &mut Tally) -> Result<Vec<Option<Bytes>>> {
    let mut values: Vec<Option<Bytes>> = rows.iter().map(|row| row.present.value.clone()).collect();
    for (place, commit) in undone.iter().enumerate() {
        let (mut merging, mut places) = (Vec::new(), Vec::new());
        for (at, row) in rows.iter().enumerate() {
            let Some((_, before, after)) = row.steps.iter().find(|(of, _, _)| *of == place) else { continue };
            let added = counted_since(row, before, after, values[at].as_ref(), commit.lsn)?;
            let (base, origin) = (after.value.clone(), before.value.clone());
            merging.push(Merging { suffix: row.suffix.clone(), base, clone: values[at].clone(), origin, added });
            places.push(at);
        }
        for (at, value) in places.into_iter().zip(settle(&merging, policy, tally).await?) {
            values[at] = value;
        }
    }
    Ok(values)
}

/// Of the counters that the commit only incremented, what was added to them since.
fn counted_since(row: &Undo, before: &Side, after: &Side, value: Option<&Bytes>, commit: Lsn) -> Result<Added> {
    let mut added = Added::new();
    let Some(value) = value else { return Ok(added) };
    for counter in after.counters.iter() {
        let was_counter = before.counters.get(&counter.path).is_some_and(|before| before.since == counter.since);
        let is_counter = row.present.counters.get(&counter.path).is_some_and(|present| present.since <= commit);
        if !is_counter || !(was_counter || before.lsn == Some(counter.since)) {
            continue;
        }
        let then = after.bytes().map_or(Ok(None), |after| query::at_path(after, &counter.path))?;
        if let (Some(now), Some(then)) = (query::at_path(value, &counter.path)?, then)
            && let Some(by) = query::subtract(now, then)?
        {
            added.push((counter.path.clone(), by));
        }
    }
    Ok(added)
}

fn write_back(
    row: &Undo,
    value: Option<Bytes>,
    (now, known): (&Path, &Collections),
    writer: &mut LayerWriter<'_>,
) -> Result<()> {
    let mut added = Added::new();
    for counter in row.present.counters.iter() {
        let at = |value: Option<&Bytes>| -> Result<Option<Vec<u8>>> {
            let found = value.map_or(Ok(None), |value| query::at_path(value, &counter.path))?;
            Ok(found.map(<[u8]>::to_vec))
        };
        if let (Some(is), Some(was)) = (at(value.as_ref())?, at(row.present.value.as_ref())?)
            && let Some(by) = query::subtract(&is, &was)?
        {
            added.push((counter.path.clone(), by));
        }
    }
    let counters = carried(&row.present, value.as_ref(), &added, None)?;
    let then = row.steps.iter().rev().map(|(_, before, _)| before).find(|before| before.value == value);
    let expiry = then.map_or(row.present.expiry, |before| before.expiry);
    let base = row.present.base_above(!now.below().is_empty());
    ensure(&row.suffix, value.is_some(), known, writer);
    writer.push(&row.suffix, &version(value, &counters).expiring(expiry).based_on(base));
    Ok(())
}

/// A row that comes back brings its collection, if that is gone.
fn ensure(suffix: &Suffix, is_there: bool, known: &Collections, writer: &mut LayerWriter<'_>) {
    let (collection, kind, _) = split_suffix(suffix.as_bytes()).expect("BUG: a row is content");
    if is_there && known.kind(collection).is_none() {
        writer.make(collection, kind);
    }
}
