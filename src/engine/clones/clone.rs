//! Clones: one catalog row each, whatever the origin's size.

use std::rc::Rc;

use crate::engine::catalog::{self, DatabaseRow, Entry, Origin};
use crate::engine::copy::copying::{Copies, Progress, copy_jobs};
use crate::engine::core::job::Present;
use crate::engine::door::Effects;
use crate::engine::handle::Handle;
use crate::engine::handle::history::When;
use crate::engine::rows::path::Path;
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::Attempt;
use crate::platform::Platform;
use crate::types::{DatabaseName, LayerId, Lsn, limits};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Existing {
    #[default]
    Fail,
    Open,
}

#[derive(Clone, Debug, Default)]
pub struct CloneOptions {
    pub at: Option<When>,
    pub existing: Existing,
    /// Milliseconds after which the clone drops itself.
    pub ttl: Option<u64>,
    /// The clone is materialized by and by, while nobody else has work.
    pub background: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    Root,
    /// Its rows come from its origin, but for its own.
    Shadowed,
    /// Rows were copied; so many bytes of so many rows.
    Materializing {
        rows_done: u64,
        rows_total: u64,
        bytes_done: u64,
    },
    Materialized,
}

#[derive(Clone, Debug)]
pub struct LineageEntry {
    pub name: DatabaseName,
    pub as_of: Option<Lsn>,
    pub created_at: u64,
    pub created: Lsn,
    pub status: Status,
}

/// A layer's number: random, so that no two tabs draw the same; never the catalog's.
pub fn draw_layer(platform: &dyn Platform) -> LayerId {
    LayerId((platform.random() >> 1) | 1)
}

/// The lease on a temporary clone: who has a handle on the clone holds it, and no other engine drops the clone.
pub fn temporary_lease(id: u64) -> String {
    format!("temporary-{id:016x}")
}

pub fn status_of(row: &DatabaseRow, copies: &Copies) -> Status {
    let Some(origin) = &row.origin else {
        return if row.materialized { Status::Materialized } else { Status::Root };
    };
    match copies.get(&(row.layer(), Lsn(origin.as_of))) {
        Some(Progress { rows_done, rows_total, bytes_done }) => Status::Materializing {
            rows_done: *rows_done,
            rows_total: rows_total.unwrap_or_default(),
            bytes_done: *bytes_done,
        },
        None => Status::Shadowed,
    }
}

/// Makes a clone of this database (SEMANTICS C1) and returns its name.
pub async fn create_clone(
    handle: &Rc<Handle>,
    name: Option<DatabaseName>,
    options: CloneOptions,
) -> Result<DatabaseName> {
    handle.check_open()?;
    let at = match options.at {
        Some(when) => Some(handle.resolve(when).await?),
        None => None,
    };
    let this = handle.clone();
    let temporary = name.is_none();
    let name = match name {
        Some(name) => name,
        None => DatabaseName::new(&format!("temporary-{:016x}", handle.core.platform.random()))?,
    };
    let (id, layer) = (handle.core.platform.random(), draw_layer(&*handle.core.platform));
    // A clock that has fallen behind does not shorten the time that is left.
    let created_at = handle.core.platform.now().max(handle.core.clock.steady());
    // A clone whose time would end later than a number can say never ends.
    let expires_at = options.ttl.and_then(|ttl| created_at.checked_add(ttl));
    if temporary {
        handle.core.keep_lease(temporary_lease(id)).await;
    }
    let made = name.clone();
    let evaluate = move |present: &Present<'_>| {
        let own = this.entry(present.view, present.at)?;
        if let Some(other) = catalog::find(present.view, &made, present.at)? {
            return check_existing(&own, &other, options.existing);
        }
        let as_of = check_point(&this, present, at, &own)?;
        let origin = Origin { name: own.name.to_string(), as_of: as_of.0 };
        let row = DatabaseRow {
            expires_at,
            temporary,
            background: options.background,
            ..DatabaseRow::clone_of(id, layer, origin, created_at)
        };
        Ok(((), Effects::of_catalog(catalog::database_row(&made), &row.encode())))
    };
    let made = handle.core.commit(handle.core.durability, evaluate).await;
    if made.is_err() {
        handle.core.release_lease(&temporary_lease(id));
    }
    made.map(|_| name)
}

/// The LSN that a clone begins at: history still holds it, this database existed, and the depth allows it.
pub fn check_point(handle: &Handle, present: &Present<'_>, at: Option<Lsn>, own: &Entry) -> Attempt<Lsn> {
    let as_of = at.unwrap_or(present.at);
    if as_of < present.state.manifest.floor() {
        return Err(crate::engine::handle::snapshot::pruned(present.state).into());
    }
    let then = catalog::find(present.view, &own.name, as_of)?.filter(|entry| handle.is_own(entry));
    let Some(then) = then else {
        let message = format!("the database did not exist at that point. name={}, version={as_of}", own.name);
        return Err(Error::new(ErrorCode::InvalidOption, message).into());
    };
    check_depth(&Path::from_entry(present.view, then, as_of)?)?;
    Ok(as_of)
}

/// This database first, the root last (SEMANTICS C4).
pub async fn lineage(handle: &Rc<Handle>) -> Result<Vec<LineageEntry>> {
    handle.check_open()?;
    let copies = copy_jobs(&handle.core).await?;
    handle
        .core
        .read(|state, view| {
            let mut entry = handle.entry(view, state.head)?;
            let mut lineage = Vec::new();
            loop {
                if catalog::is_whole(view, entry.row.layer())? {
                    // It was materialized after the link that leads here was made.
                    (entry.row.origin, entry.row.materialized) = (None, true);
                }
                let origin = entry.row.origin.clone();
                lineage.push(LineageEntry {
                    as_of: origin.as_ref().map(|origin| Lsn(origin.as_of)),
                    created_at: entry.row.created_at,
                    created: entry.created(),
                    status: status_of(&entry.row, &copies),
                    name: entry.name,
                });
                let Some(origin) = origin else { return Ok(lineage) };
                entry = catalog::get(view, &DatabaseName::new(&origin.name)?, Lsn(origin.as_of))?;
            }
        })
        .await
}

pub async fn status(handle: &Rc<Handle>) -> Result<Status> {
    handle.check_open()?;
    let copies = copy_jobs(&handle.core).await?;
    handle.core.read(|state, view| Ok(status_of(&handle.entry(view, state.head)?.row, &copies))).await
}

/// Fails if a clone on this path would lie too deep.
pub fn check_depth(path: &Path) -> Result<()> {
    let Some(top) = path.top().filter(|_| path.levels().len() > limits::CLONE_DEPTH) else { return Ok(()) };
    let message = format!(
        "clones of clones go {} deep at most: materialize one on the way. name={}, path={path}",
        limits::CLONE_DEPTH,
        top.name
    );
    Err(Error::new(ErrorCode::CloneDepthExceeded, message).with_text("materialize", top.name.as_str()))
}

/// A clone under a name that is taken: an error, or the one that is there, if it is a clone of the same database.
fn check_existing(own: &Entry, other: &Entry, existing: Existing) -> Attempt<((), Effects)> {
    let is_on_own = other.row.origin.as_ref().is_some_and(|origin| origin.name == own.name.as_str());
    let was_on_own = other.row.materialized && other.row.copied_from == Some(own.row.id);
    match existing {
        Existing::Open if is_on_own || was_on_own => Ok(((), Effects::default())),
        Existing::Open => {
            let message =
                format!("the database with this name is no clone of this one. name={}, this={}", other.name, own.name);
            Err(taken(&other.name, message).into())
        }
        Existing::Fail => Err(exists(&other.name).into()),
    }
}

pub fn exists(name: &DatabaseName) -> Error {
    taken(name, format!("there is a database with this name. name={name}"))
}

fn taken(name: &DatabaseName, message: String) -> Error {
    Error::new(ErrorCode::DatabaseExists, message).with_text("name", name.as_str())
}
