//! The sides of a merge, a rebase or a reset: the clone, its origin and the point where it began, all as of one LSN.

use std::rc::Rc;

use super::commit::{self, LayerWriter};
use super::rows::{Collections, Paths, RowPage, collections, own_collections};
use crate::engine::catalog::{self, Entry, Origin};
use crate::engine::clones::clone::check_depth;
use crate::engine::core::hold::Hold;
use crate::engine::core::job::Present;
use crate::engine::handle::Handle;
use crate::engine::handle::snapshot::pruned;
use crate::engine::rows::path::Path;
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Attempt, State, TreeView};
use crate::planted::{self, Bug};
use crate::types::{DatabaseName, Lsn, Suffix};

/// Which point of the origin a clone is compared with.
#[derive(Clone, Copy)]
pub enum Point {
    Present,
    At(Lsn),
    /// Where the clone began.
    Link,
}

/// Everything that a comparison stands on, as of one LSN.
pub struct Stand {
    pub head: Lsn,
    /// The oldest point that the caller has named.
    chosen: Option<Lsn>,
    pub own: Entry,
    /// Where the clone began.
    pub link: Origin,
    /// The origin now.
    pub target: Entry,
    pub paths: Paths,
    pub own_collections: Collections,
    pub origin_collections: Collections,
    /// The point of the origin that rows are compared with.
    pub to: Lsn,
    _hold: Hold,
}

/// A point that the caller has named is gone for good once it is below the floor; other points are looked up once more.
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

    /// Fails if anything has changed that a commit which flips the clone rests on.
    pub fn check(&self, present: &Present<'_>) -> Attempt<()> {
        check_history(present.state, self.head, self.chosen)?;
        commit::check_row(present, &self.own)?;
        commit::check_layer(present, self.paths.layer(), self.head, |_| Ok(true))
    }

    pub fn check_forward(&self) -> Result<()> {
        if self.to >= self.as_of() {
            return Ok(());
        }
        let message = format!("a clone is rebased forward only. asOf={}", self.as_of().to_text());
        Err(Error::new(ErrorCode::InvalidOption, message))
    }

    /// The clone's collections that its origin has not stay its own; so do those of its rows. One of another kind goes,
    /// if no row of it is kept.
    pub fn keep_collections(&self, made: &Collections, left: &mut LayerWriter<'_>) -> Result<()> {
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

/// One name is one kind.
pub fn wrong_kind(collection: &str) -> Error {
    let message = format!("the collection holds documents on one side and entries on the other. name={collection}");
    Error::new(ErrorCode::WrongKind, message).with_text("collection", collection)
}

pub fn not_a_clone(name: &DatabaseName) -> Error {
    Error::new(ErrorCode::NotAClone, format!("the database is no clone. name={name}"))
}

/// The clone as it is now and as it was at `at`, and its origin at `to`.
pub async fn stand(handle: &Rc<Handle>, at: Option<Lsn>, to: Point) -> Result<Stand> {
    handle.check_open()?;
    handle.core.catch_up().await?;
    // This engine's own vacuum spares the versions that are read from here on.
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
            Some(at) if !planted::is(Bug::PastMergedAsPresent) => path_then(handle, state, view, at, &now)?,
            _ => now.clone(),
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

pub async fn page(handle: &Rc<Handle>, stand: &Stand, after: Option<&Suffix>) -> Result<RowPage> {
    handle
        .core
        .read(|state, view| {
            check_history(state, stand.head, stand.chosen)?;
            stand.paths.page(state, view, after)
        })
        .await
}
