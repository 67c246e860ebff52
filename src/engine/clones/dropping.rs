//! Databases that are dropped. One that others read through stays, or these are materialized first (SEMANTICS C8, C9).

use std::rc::Rc;

use crate::engine::catalog::{self, Entry};
use crate::engine::copy::copying::{Link, Watch, forget_copy};
use crate::engine::copy::materialize::{copy_in_turn, cut_changes};
use crate::engine::core::Core;
use crate::engine::core::job::Present;
use crate::engine::handle::Handle;
use crate::error::{Detail, Error, ErrorCode, Result};
use crate::lsm::{Attempt, Change};
use crate::types::{DatabaseName, Version};

/// Removes this database; with `force` its clones are materialized first, and all of it happens or nothing does
/// (SEMANTICS C8). `watch` is told of one clone after the other.
pub async fn drop_by_force(handle: &Rc<Handle>, watch: &Watch<'_>) -> Result<()> {
    check_droppable(handle)?;
    let mut copied: Vec<Link> = Vec::new();
    loop {
        handle.check_open()?;
        let links = handle.core.read(|state, view| {
            let own = handle.entry(view, state.head)?;
            Ok(links_to(&catalog::list(view, state.head)?, &own.name))
        });
        let links = links.await?;
        copied.retain(|link| links.contains(link));
        // A copy is never lost while its link stands, so what was copied for one that still does is all there.
        if let Some(link) = links.iter().find(|link| !copied.contains(link)) {
            if copy_in_turn(&handle.core, link, watch).await? {
                copied.push(link.clone());
            }
            continue;
        }
        if drop_with(handle, copied.clone()).await? {
            for link in &copied {
                // A record that stays behind is swept in time.
                let _ = forget_copy(&handle.core, link.layer).await;
            }
            return Ok(());
        }
    }
}

/// Cuts the links and removes the database in one commit. False: another clone of it was made meanwhile.
async fn drop_with(handle: &Rc<Handle>, copied: Vec<Link>) -> Result<bool> {
    let this = handle.clone();
    let evaluate = move |present: &Present<'_>| {
        let own = this.entry(present.view, present.at)?;
        let all = catalog::list(present.view, present.at)?;
        let links = links_to(&all, &own.name);
        if links.iter().any(|link| !copied.contains(link)) {
            return Ok((false, Vec::new()));
        }
        let is_cut = |entry: &&Entry| Link::of(entry).is_some_and(|link| links.contains(&link));
        let mut changes = Vec::new();
        for entry in all.iter().filter(is_cut) {
            changes.extend(cut_changes(present.view, entry)?);
        }
        changes.push(Change(catalog::database_row(&own.name), Version::tombstone().encode()));
        Ok((true, changes))
    };
    let (is_dropped, _) = handle.core.commit(handle.core.durability, evaluate).await?;
    Ok(is_dropped)
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
        Ok(((), drop_changes(present, &own)?))
    };
    handle.core.commit(handle.core.durability, evaluate).await.map(drop)
}

/// Drops a clone that is to go, unless others read through it: then it goes later.
pub async fn drop_unused(core: &Rc<Core>, name: &DatabaseName, id: u64) {
    let name = name.clone();
    let evaluate = move |present: &Present<'_>| {
        let found = catalog::find(present.view, &name, present.at)?.filter(|found| found.row.id == id);
        let changes = found.map(|found| drop_changes(present, &found)).transpose()?;
        Ok(((), changes.unwrap_or_default()))
    };
    let _ = core.commit(core.durability, evaluate).await;
}

/// The links of the databases that read through `name`.
fn links_to(all: &[Entry], name: &DatabaseName) -> Vec<Link> {
    let reads_it = |entry: &&Entry| entry.row.origin.as_ref().is_some_and(|origin| origin.name == name.as_str());
    all.iter().filter(reads_it).filter_map(Link::of).collect()
}

/// What drops a database, unless others read through it.
pub fn drop_changes(present: &Present<'_>, entry: &Entry) -> Attempt<Vec<Change>> {
    let dependents = catalog::dependents(&catalog::list(present.view, present.at)?, &entry.name);
    if !dependents.is_empty() {
        return Err(dependency(&entry.name, dependents).into());
    }
    Ok(vec![Change(catalog::database_row(&entry.name), Version::tombstone().encode())])
}

/// The error of dropping what others read through.
fn dependency(name: &DatabaseName, dependents: Vec<String>) -> Error {
    let message = format!("other databases are clones of it. name={name}, clones={}", dependents.join(", "));
    Error::new(ErrorCode::CloneDependency, message).with("dependents", Detail::Texts(dependents))
}
