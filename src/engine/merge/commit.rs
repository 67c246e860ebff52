//! The last step of a merge: the rows that were worked out on a snapshot are written in one commit, if the databases
//! have not moved since; else all of it starts over.

use std::rc::Rc;

use super::rows::{self, Collections};
use crate::engine::catalog::{self, DatabaseRow, Entry, Origin};
use crate::engine::core::Core;
use crate::engine::core::ahead::AheadWriter;
use crate::engine::core::job::Present;
use crate::engine::door::{Before, Effects};
use crate::engine::handle::Handle;
use crate::engine::rows::collections::collection_row;
use crate::engine::rows::path::Path;
use crate::engine::rows::read::SuffixRange;
use crate::engine::rows::written::{self, Between};
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Attempt, Fault, State};
use crate::planted::{self, Bug};
use crate::storage::LocalFuture;
use crate::types::row::split_suffix;
use crate::types::{Bytes, CollectionName, Kind, LayerId, Lsn, Suffix, Version};

/// How often all of it starts over before it fails with CONFLICT.
const RETRIES: u32 = 8;

pub fn conflict(what: &str) -> Fault {
    Error::new(ErrorCode::Conflict, format!("{what} meanwhile")).into()
}

/// Fails if history below the snapshot was dropped: the rows that were read of it may be incomplete.
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

/// The effects of a commit that gives a database this row.
pub fn moved(own: &Entry, row: &DatabaseRow) -> Effects {
    Effects::of_catalog(catalog::database_row(&own.name), &row.encode())
}

/// Rows for one layer, in rising order, and the collections that they need.
pub struct LayerWriter<'a> {
    layer: LayerId,
    /// The path that the layer is the topmost of, or, where the layer is new, that lies below it.
    path: Path,
    rows: AheadWriter<'a>,
    ancestors: AheadWriter<'a>,
    /// The collections to be made, each noted with its first row: their rows are written at the end.
    made: Collections,
    /// The collections of the rows that were written.
    pub held: Collections,
    pub has_parked: bool,
}

impl<'a> LayerWriter<'a> {
    pub fn new(core: &'a Core, layer: LayerId, path: Path) -> LayerWriter<'a> {
        let (rows, ancestors) = (AheadWriter::new(core, layer), AheadWriter::new(core, layer));
        let (made, held) = (Collections::default(), Collections::default());
        LayerWriter { layer, path, rows, ancestors, made, held, has_parked: false }
    }

    pub fn layer(&self) -> LayerId {
        self.layer
    }

    pub fn push(&mut self, suffix: &Suffix, version: &Version) {
        self.hold(suffix, version);
        let is_mistold = planted::is(Bug::OldVersionsMistold);
        let before = if is_mistold { Before::Above(None) } else { Before::On(&self.path) };
        self.rows.push(suffix.as_bytes(), version, before);
    }

    /// As `push`, of a row of a new layer below which the same commit leaves this value.
    pub fn push_above(&mut self, suffix: &Suffix, version: &Version, below: Option<&Bytes>) {
        self.hold(suffix, version);
        self.rows.push(suffix.as_bytes(), version, Before::Above(below));
    }

    fn hold(&mut self, suffix: &Suffix, version: &Version) {
        if let (false, Some((name, kind @ (Kind::Document | Kind::Entry), _))) =
            (version.is_tombstone(), split_suffix(suffix.as_bytes()))
        {
            self.held.add(name, kind);
        }
    }

    /// Writes the ancestor of a parked row: the value that both sides are compared with. `None`: there was no row.
    pub fn park(&mut self, suffix: &Suffix, ancestor: Option<&[u8]>) {
        self.has_parked = true;
        let beside = rows::ancestor_suffix(suffix.as_bytes());
        // No path shows an ancestor.
        self.ancestors.push(beside.as_bytes(), &rows::encode_ancestor(ancestor), Before::Above(None));
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
        let mut made = Effects::default();
        for (name, kind) in self.made.iter() {
            let suffix = collection_row(&CollectionName::new(name)?);
            let version = Version::value(vec![kind as u8]);
            made.put(self.layer, suffix.as_bytes(), &version, Before::On(&self.path));
        }
        let rows = self.rows.finish().await?;
        Ok(rows.and(self.ancestors.finish().await?).and(made))
    }
}

/// Fails if the database has moved; otherwise gives the effects that a commit adds to the rows written ahead.
type Check = Box<dyn Fn(&Present<'_>) -> Attempt<Effects>>;

/// One try of an action that may lose to other commits.
pub type Try<'a, T> = &'a dyn Fn() -> LocalFuture<'a, Result<T>>;

/// Commits the rows that were written ahead, with the effects that `check` adds if nothing has moved.
pub(super) fn commit_checked<'a>(
    handle: &'a Rc<Handle>,
    effects: Effects,
    check: impl Fn(&Present<'_>) -> Attempt<Effects> + 'static,
) -> LocalFuture<'a, Result<Lsn>> {
    Box::pin(committed(handle, effects, Box::new(check)))
}

async fn committed(handle: &Rc<Handle>, effects: Effects, check: Check) -> Result<Lsn> {
    let evaluate = move |present: &Present<'_>| {
        let added = check(present)?;
        Ok(((), effects.clone().and(added)))
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
