//! The last step of a merge: what was worked out on a snapshot is written in one commit, if what it rests on has not
//! moved; else all of it starts over.

use std::rc::Rc;

use super::rows::{self, Collections};
use crate::engine::catalog::{self, DatabaseRow, Entry, Origin};
use crate::engine::core::Core;
use crate::engine::core::ahead::AheadWriter;
use crate::engine::core::job::{Effects, Present};
use crate::engine::handle::Handle;
use crate::engine::rows::collections::collection_row;
use crate::engine::rows::read::SuffixRange;
use crate::engine::rows::written::{self, Between};
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Attempt, Change, Fault, State};
use crate::storage::LocalFuture;
use crate::types::row::{row, split_suffix};
use crate::types::{CollectionName, Kind, LayerId, Lsn, Suffix, Version};

/// How often all of it starts over before it fails with CONFLICT.
const RETRIES: u32 = 8;

pub fn conflict(what: &str) -> Fault {
    Error::new(ErrorCode::Conflict, format!("{what} meanwhile")).into()
}

/// Fails if history below the snapshot was dropped: what was read of it may be incomplete.
pub fn check_floor(state: &State, snapshot: Lsn) -> Attempt<()> {
    if snapshot < state.manifest.floor() { Err(conflict("history was dropped")) } else { Ok(()) }
}

/// Fails if a database was moved, dropped or made anew since its row was read.
pub fn check_row(present: &Present<'_>, entry: &Entry) -> Attempt<()> {
    let now = catalog::find(present.view, &entry.name, present.at)?;
    if now.is_some_and(|now| now.lsn == entry.lsn) { Ok(()) } else { Err(conflict("the database was moved")) }
}

/// Fails if a row of the layer for which `matters` was written after the snapshot.
pub fn check_layer(
    present: &Present<'_>,
    layer: LayerId,
    snapshot: Lsn,
    mut matters: impl FnMut(&[u8]) -> Attempt<bool>,
) -> Attempt<()> {
    if present.at == snapshot {
        return Ok(());
    }
    let all = SuffixRange { from: Vec::new(), before: vec![0xff] };
    let between = Between { layer, older: snapshot, newer: present.at };
    written::visit(present.state, present.view, between, &all, usize::MAX, &mut |suffix| {
        if matters(suffix)? { Err(conflict("what was read was written")) } else { Ok(()) }
    })?;
    Ok(())
}

/// A database's row that stands on another layer, or on another point of its origin.
pub fn flipped(own: &Entry, layer: LayerId, origin: Option<Origin>, parked: bool) -> DatabaseRow {
    let created = Some(own.created().0);
    DatabaseRow { layer: layer.0, origin, created, parked, began: None, ..own.row.clone() }
}

pub fn catalog_change(own: &Entry, row: &DatabaseRow) -> Change {
    Change(catalog::database_row(&own.name), row.encode().encode())
}

/// Rows for one layer, in rising order, and the collections that they need.
pub struct LayerWriter<'a> {
    layer: LayerId,
    rows: AheadWriter<'a>,
    ancestors: AheadWriter<'a>,
    /// Those to be made; made with their first row, they are written at the end.
    made: Collections,
    /// Those of the rows that were written.
    pub held: Collections,
    pub has_parked: bool,
}

impl<'a> LayerWriter<'a> {
    pub fn new(core: &'a Core, layer: LayerId) -> LayerWriter<'a> {
        let (rows, ancestors) = (AheadWriter::new(core, layer), AheadWriter::new(core, layer));
        let (made, held) = (Collections::default(), Collections::default());
        LayerWriter { layer, rows, ancestors, made, held, has_parked: false }
    }

    pub fn layer(&self) -> LayerId {
        self.layer
    }

    pub fn push(&mut self, suffix: &Suffix, version: &Version) {
        if let (false, Some((name, kind @ (Kind::Document | Kind::Entry), _))) =
            (version.is_tombstone(), split_suffix(suffix.as_bytes()))
        {
            self.held.add(name, kind);
        }
        self.rows.push(suffix.as_bytes(), version);
    }

    /// What a parked row is compared with.
    pub fn park(&mut self, suffix: &Suffix, ancestor: Option<&[u8]>) {
        self.has_parked = true;
        let beside = rows::ancestor_suffix(suffix.as_bytes());
        self.ancestors.push(beside.as_bytes(), &rows::encode_ancestor(ancestor));
    }

    /// After each page of rows.
    pub async fn flush(&mut self) -> Result<()> {
        for writer in [&mut self.rows, &mut self.ancestors] {
            writer.flush().await?;
            writer.keep().await?;
        }
        Ok(())
    }

    pub fn make(&mut self, collection: &str, kind: Kind) {
        self.made.add(collection, kind);
    }

    /// The collections that are to be made.
    pub fn made(&self) -> &Collections {
        &self.made
    }

    pub fn finish(self) -> LocalFuture<'a, Result<Effects>> {
        Box::pin(self.finished())
    }

    async fn finished(self) -> Result<Effects> {
        let mut made = Vec::new();
        for (name, kind) in self.made.iter() {
            let suffix = collection_row(&CollectionName::new(name)?);
            made.push(Change(row(self.layer, suffix.as_bytes()), Version::value(vec![kind as u8]).encode()));
        }
        let rows = self.rows.finish().await?;
        Ok(rows.and(self.ancestors.finish().await?).and(made.into()))
    }
}

/// What a commit adds to what was written ahead, if nothing has moved.
type Check = Box<dyn Fn(&Present<'_>) -> Attempt<Vec<Change>>>;

/// One try of something that may lose to others.
pub type Try<'a, T> = &'a dyn Fn() -> LocalFuture<'a, Result<T>>;

/// Commits what was written ahead, with the changes that `check` gives if nothing has moved.
pub(super) fn commit_checked<'a>(
    handle: &'a Rc<Handle>,
    effects: Effects,
    check: impl Fn(&Present<'_>) -> Attempt<Vec<Change>> + 'static,
) -> LocalFuture<'a, Result<Lsn>> {
    Box::pin(committed(handle, effects, Box::new(check)))
}

async fn committed(handle: &Rc<Handle>, effects: Effects, check: Check) -> Result<Lsn> {
    let evaluate = move |present: &Present<'_>| {
        let changes = check(present)?;
        let ahead = Effects { changes: effects.changes.clone(), runs: effects.runs.clone() };
        Ok(((), ahead.and(changes.into())))
    };
    let (_, lsn) = handle.core.commit(handle.core.durability, evaluate).await?;
    Ok(lsn.unwrap_or(handle.core.head()))
}

/// Runs `work` again while it loses to others.
pub(super) async fn retried<'a, T>(handle: &'a Rc<Handle>, work: Try<'a, T>) -> Result<T> {
    for tries in 0.. {
        if tries > 0 {
            handle.core.refresh().await?;
        }
        let outcome = work().await;
        handle.core.sweep_strays().await;
        match outcome {
            Err(error) if error.code() == ErrorCode::Conflict && tries < RETRIES => {}
            outcome => return outcome,
        }
    }
    unreachable!("BUG: the last try ends it")
}
