//! Making a clone a root of its own: what it lacks is copied into its layer, then its link is cut (SEMANTICS C6, C8).

use std::rc::Rc;

use super::copying::{
    CopyJob, Link, Pace, Progress, Watch, aborted, copy_all, copy_job, forget_copies, readable_since,
};
use crate::engine::catalog::{self, DatabaseRow, Entry, Origin};
use crate::engine::core::Core;
use crate::engine::core::job::Present;
use crate::engine::door::Effects;
use crate::engine::handle::Handle;
use crate::error::{ErrorCode, Result};
use crate::lsm::{Attempt, TreeView};
use crate::platform::Lease;
use crate::types::{DatabaseName, Lsn};

/// How long to wait between two looks at what another tab copies, in milliseconds.
const LOOK: u64 = 250;
/// After so many looks without progress the other tab is taken for frozen. Two tabs that copy do no harm.
const PATIENCE: u32 = 20;

/// The name of the lease under which a clone's rows are copied.
pub fn lease_name(link: &Link) -> String {
    format!("materialize-{:016x}", link.layer.0)
}

/// The row of a database whose link is cut. It still says of which database it was a clone.
fn cut(view: TreeView<'_>, entry: &Entry) -> Attempt<DatabaseRow> {
    let created = Some(entry.created().0);
    let copied_from = match &entry.row.origin {
        Some(Origin { name, as_of }) => catalog::find(view, &DatabaseName::new(name)?, Lsn(*as_of))?,
        None => None,
    };
    let copied_from = copied_from.map(|origin| origin.row.id);
    let row = entry.row.clone();
    let (origin, began) = (None, Some(entry.began().0));
    let (materialized, background, parked) = (true, false, false);
    Ok(DatabaseRow { origin, created, began, materialized, background, parked, copied_from, ..row })
}

/// Cuts a database's link, in the commit that is given.
pub fn put_cut(view: TreeView<'_>, entry: &Entry, effects: &mut Effects) -> Attempt<()> {
    effects.put_in_catalog(catalog::database_row(&entry.name), &cut(view, entry)?.encode());
    let whole = catalog::encode_whole(entry.row.origin.as_ref());
    effects.put_in_catalog(catalog::whole_row(entry.row.layer()), &whole);
    Ok(())
}

/// Copies every row that the clone sees and its layer lacks, then cuts its link (SEMANTICS C6). `watch` is told how
/// far it is, and ends it with ABORTED by answering false; a later call goes on from there. False: the
/// database lies on nothing, and is left as it is.
pub async fn materialize(handle: &Rc<Handle>, watch: &Watch<'_>) -> Result<bool> {
    handle.check_open()?;
    handle.core.refresh().await?;
    loop {
        handle.check_open()?;
        let links = handle.core.read(|state, view| {
            let link = Link::of(&handle.entry(view, state.head)?);
            readable_since(view, state.manifest.floor(), link.into_iter().collect())
        });
        let Some(link) = links.await?.pop() else { return Ok(false) };
        if copy_in_turn(&handle.core, &link, watch).await? && cut_link(&handle.core, &link.0).await? {
            return Ok(true);
        }
    }
}

/// Copies what the link's clone lacks, unless another tab does: then it waits for that one, and goes on by itself
/// when that one seems to be frozen. False: the link stands no more.
pub async fn copy_in_turn(core: &Rc<Core>, link: &(Link, Lsn), watch: &Watch<'_>) -> Result<bool> {
    let Some(lease) = turn_to_copy(core, &link.0, watch).await? else { return Ok(false) };
    let copied = copy_again(core, link, Pace::Foreground, watch).await;
    drop(lease);
    copied
}

/// As `copy_all`, again from the last place written down when a run was taken for abandoned meanwhile.
pub async fn copy_again(core: &Rc<Core>, link: &(Link, Lsn), pace: Pace, watch: &Watch<'_>) -> Result<bool> {
    let mut tries = 0;
    loop {
        let copied = copy_all(core, link, pace, watch).await;
        core.sweep_strays().await;
        match copied {
            Err(error) if error.code() == ErrorCode::Conflict && tries < 3 => tries += 1,
            copied => return copied,
        }
    }
}

/// The lease, or leave to go on without it; `None`: the link stands no more.
async fn turn_to_copy(core: &Rc<Core>, link: &Link, watch: &Watch<'_>) -> Result<Option<Option<Lease>>> {
    let mut last: Option<CopyJob> = None;
    let mut waited = 0;
    loop {
        let lease = core.try_lease(&lease_name(link)).await;
        if lease.is_some() || waited >= PATIENCE {
            return Ok(Some(lease));
        }
        let job = copy_job(core, link).await?;
        if !watch(job.as_ref().map_or_else(Progress::default, CopyJob::progress)) {
            return Err(aborted());
        }
        waited = if job == last { waited + 1 } else { 0 };
        last = job;
        core.platform.sleep(LOOK).await;
        core.refresh().await?;
        if core.read(|state, view| link.find(view, state.head)).await?.is_none() {
            return Ok(None);
        }
    }
}

/// Cuts the link of a clone whose layer holds everything. False: it stood no more.
pub async fn cut_link(core: &Rc<Core>, link: &Link) -> Result<bool> {
    let cut = link.clone();
    let evaluate = move |present: &Present<'_>| {
        let mut effects = Effects::default();
        if let Some(entry) = cut.find(present.view, present.at)? {
            put_cut(present.view, &entry, &mut effects)?;
        }
        Ok(((), effects))
    };
    let ((), lsn) = core.commit(core.durability, evaluate).await?;
    // A record that stays behind is swept in time.
    let _ = forget_copies(core, std::iter::once(link.layer)).await;
    Ok(lsn.is_some())
}
