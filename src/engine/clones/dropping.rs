//! Databases that are dropped. One that others read through stays, or these are materialized first (SEMANTICS C8, C9).

use std::rc::Rc;

use crate::engine::catalog::{self, Entry};
use crate::engine::copy::copying::{Link, Watch, forget_copies, readable_since};
use crate::engine::copy::materialize::{copy_in_turn, put_cut};
use crate::engine::core::Core;
use crate::engine::core::job::Present;
use crate::engine::door::Effects;
use crate::engine::handle::Handle;
use crate::error::{Detail, Error, ErrorCode, Result};
use crate::lsm::Attempt;
use crate::types::{DatabaseName, SortedSet, Version};

/// Removes this database; with `force` its clones are materialized first, and all of it happens or nothing does
/// (SEMANTICS C8). `watch` is told of one clone after the other. The catalog is listed once a round, and a second round
/// is needed only for clones that were made meanwhile: the work is linear in the clones.
pub async fn drop_by_force(handle: &Rc<Handle>, watch: &Watch<'_>) -> Result<()> {
    check_droppable(handle)?;
    // A copy is never lost while its link stands, so the copy of a link that still does is complete.
    let mut copied: SortedSet<Link> = SortedSet::new();
    loop {
        let links = handle.core.read(|state, view| {
            let own = handle.entry(view, state.head)?;
            let links = links_to(&catalog::list(view, state.head)?, &own.name);
            readable_since(view, state.manifest.floor(), links)
        });
        for link in links.await? {
            handle.check_open()?;
            if !copied.contains(&link.0) && copy_in_turn(&handle.core, &link, watch).await? {
                copied.insert(link.0);
            }
        }
        handle.check_open()?;
        let (given, is_dropped) = drop_with(handle, copied).await?;
        copied = given;
        if is_dropped {
            // A record that stays behind is swept in time.
            let _ = forget_copies(&handle.core, copied.iter().map(|link| link.layer)).await;
            return Ok(());
        }
    }
}

/// Cuts the links and removes the database in one commit, and gives the links back. False: a link stands that was not
/// copied.
async fn drop_with(handle: &Rc<Handle>, copied: SortedSet<Link>) -> Result<(SortedSet<Link>, bool)> {
    let copied = Rc::new(copied);
    let (this, known) = (handle.clone(), copied.clone());
    let evaluate = move |present: &Present<'_>| {
        let own = this.entry(present.view, present.at)?;
        let mut effects = Effects::default();
        for entry in clones_of(&catalog::list(present.view, present.at)?, &own.name) {
            if Link::of(entry).is_none_or(|link| !known.contains(&link)) {
                return Ok((false, Effects::default()));
            }
            put_cut(present.view, entry, &mut effects)?;
        }
        effects.put_in_catalog(catalog::database_row(&own.name), &Version::tombstone());
        Ok((true, effects))
    };
    let (is_dropped, _) = handle.core.commit(handle.core.durability, evaluate).await?;
    Ok((Rc::unwrap_or_clone(copied), is_dropped))
}

pub fn check_droppable(handle: &Handle) -> Result<()> {
    handle.check_open()?;
    if *handle.name() == DatabaseName::main() {
        return Err(Error::new(ErrorCode::NotAClone, "the root database main cannot be dropped"));
    }
    Ok(())
}

/// Removes this database. One that others read through stays, and the error names them (SEMANTICS C8, C9).
pub async fn drop_database(handle: &Rc<Handle>) -> Result<()> {
    check_droppable(handle)?;
    let this = handle.clone();
    let evaluate = move |present: &Present<'_>| {
        let own = this.entry(present.view, present.at)?;
        Ok(((), dropped(present, &own)?))
    };
    handle.core.commit(handle.core.durability, evaluate).await.map(drop)
}

/// Drops a clone that is to go, unless others read through it: then it goes later.
pub async fn drop_unused(core: &Rc<Core>, name: &DatabaseName, id: u64) {
    let name = name.clone();
    let evaluate = move |present: &Present<'_>| {
        let found = catalog::find(present.view, &name, present.at)?.filter(|found| found.row.id == id);
        let effects = found.map(|found| dropped(present, &found)).transpose()?;
        Ok(((), effects.unwrap_or_default()))
    };
    let _ = core.commit(core.durability, evaluate).await;
}

/// The databases that read through `name`.
fn clones_of<'a>(all: &'a [Entry], name: &'a DatabaseName) -> impl Iterator<Item = &'a Entry> {
    all.iter().filter(|entry| entry.row.origin.as_ref().is_some_and(|origin| origin.name == name.as_str()))
}

fn links_to(all: &[Entry], name: &DatabaseName) -> Vec<Link> {
    clones_of(all, name).filter_map(Link::of).collect()
}

/// The rows that a commit writes to drop a database. Fails with CLONE_DEPENDENCY if clones read through it.
fn dropped(present: &Present<'_>, entry: &Entry) -> Attempt<Effects> {
    let dependents = catalog::dependents(&catalog::list(present.view, present.at)?, &entry.name);
    if !dependents.is_empty() {
        return Err(dependency(&entry.name, dependents).into());
    }
    Ok(Effects::of_catalog(catalog::database_row(&entry.name), &Version::tombstone()))
}

/// The error of dropping a database that others read through.
fn dependency(name: &DatabaseName, dependents: Vec<String>) -> Error {
    let message = format!("other databases are clones of it. name={name}, clones={}", dependents.join(", "));
    Error::new(ErrorCode::CloneDependency, message).with("dependents", Detail::Texts(dependents))
}
