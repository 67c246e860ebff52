//! Copying into a clone's layer what it reads below: rows dated at the link's LSN, in runs that a manifest swap takes
//! in together with the place where the copying goes on (SEMANTICS C6).
//!
//! A copy lies beneath everything that the clone wrote itself, and says what a read found below; so it changes no
//! answer, whoever writes meanwhile, and two tabs that copy one row do no harm.

use std::rc::Rc;

use super::walk::Walk;
use crate::engine::catalog::retention::retention;
use crate::engine::catalog::{self, Entry};
use crate::engine::core::Core;
use crate::engine::core::ahead::CopyWriter;
use crate::engine::rows::path::Path;
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Attempt, Installation, TreeView};
use crate::planted::{self, Bug};
use crate::storage::{Batch, ListRange, Place, Space};
use crate::types::fields::Field;
use crate::types::{DatabaseName, LayerId, Lsn, SortedMap, SortedSet};

/// Copies are taken in when there are about so many bytes of them.
const BATCH_BYTES: usize = if planted::HAS_FEW_ROWS { 64 } else { 4 * 1024 * 1024 };
/// How job records of copies are named: this, and the layer.
const COPY: &str = "copy-";
/// So many of them are listed at a time: there is one for each clone that is being copied.
const LISTED: usize = if planted::HAS_FEW_ROWS { 1 } else { 1024 };

/// How far a materialization is. Rows are those that the clone sees below its layer, whoever copied them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    pub rows_done: u64,
    /// `None` while they are being counted.
    pub rows_total: Option<u64>,
    /// Bytes of the copies, as they were written.
    pub bytes_done: u64,
}

/// Told after every slice; false ends the work there.
pub type Watch<'a> = dyn Fn(Progress) -> bool + 'a;

/// The pace of the copying: how much of it is done in one go depends on who waits for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    Foreground,
    /// Nobody waits: whoever reads or writes goes first.
    Background,
}

impl Pace {
    fn rows(self) -> usize {
        match self {
            _ if planted::HAS_FEW_ROWS => 2,
            Pace::Foreground => 1024,
            Pace::Background => 256,
        }
    }

    fn bytes(self) -> usize {
        if self == Pace::Foreground { 512 * 1024 } else { 64 * 1024 }
    }
}

/// The progress of each copying, by the layer that is copied into and the LSN of its link.
pub type Copies = SortedMap<(LayerId, Lsn), Progress>;

/// A clone's link as it was when the copying began. Copies are taken in only while it stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Link {
    pub name: DatabaseName,
    id: u64,
    pub layer: LayerId,
    origin: String,
    as_of: Lsn,
}

impl Link {
    /// `None`: the database lies on nothing.
    pub fn of(entry: &Entry) -> Option<Link> {
        let origin = entry.row.origin.as_ref()?;
        Some(Link {
            name: entry.name.clone(),
            id: entry.row.id,
            layer: entry.row.layer(),
            origin: origin.name.clone(),
            as_of: Lsn(origin.as_of),
        })
    }

    /// The database's row at `at`, if the link still stands there.
    pub fn find(&self, view: TreeView<'_>, at: Lsn) -> Attempt<Option<Entry>> {
        let found = catalog::find(view, &self.name, at)?;
        Ok(found.filter(|entry| Link::of(entry).as_ref() == Some(self)))
    }

    fn place(&self) -> Place {
        copy_place(self.layer)
    }
}

fn copy_place(layer: LayerId) -> Place {
    (Space::Jobs, format!("{COPY}{:016x}", layer.0))
}

/// The job record of a copying: all rows up to `position` are in the layer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyJob {
    as_of: u64,
    position: Vec<u8>,
    rows_done: u64,
    rows_total: u64,
    bytes_done: u64,
}

impl CopyJob {
    fn encode(&self) -> Vec<u8> {
        Field::List(vec![
            Field::Number(self.as_of),
            Field::Bytes(&self.position),
            Field::Number(self.rows_done),
            Field::Number(self.rows_total),
            Field::Number(self.bytes_done),
        ])
        .encode()
    }

    fn decode(bytes: &[u8]) -> Option<CopyJob> {
        let mut fields = Field::decode(bytes)?;
        Some(CopyJob {
            as_of: fields.number()?,
            position: fields.bytes()?.to_vec(),
            rows_done: fields.number()?,
            rows_total: fields.number()?,
            bytes_done: fields.number()?,
        })
    }

    pub fn progress(&self) -> Progress {
        let CopyJob { rows_done, rows_total, bytes_done, .. } = *self;
        Progress { rows_done, rows_total: Some(rows_total), bytes_done }
    }
}

pub fn aborted() -> Error {
    Error::new(ErrorCode::Aborted, "the materialization was aborted; it goes on from here when it is called again")
}

/// The job record of copying over this link, if there is one.
pub async fn copy_job(core: &Core, link: &Link) -> Result<Option<CopyJob>> {
    let (space, name) = link.place();
    let found = core.lsm.storage().read(space, &[name]).await?.pop().flatten();
    Ok(found.and_then(|bytes| CopyJob::decode(&bytes)).filter(|job| Lsn(job.as_of) == link.as_of))
}

/// All that is written down of copying, by layer, with the link's LSN.
pub async fn copy_jobs(core: &Core) -> Result<Copies> {
    let read = |(name, bytes): &(String, Vec<u8>)| {
        let layer = u64::from_str_radix(name.strip_prefix(COPY)?, 16).ok()?;
        let job = CopyJob::decode(bytes)?;
        Some(((LayerId(layer), Lsn(job.as_of)), job.progress()))
    };
    let (mut jobs, mut from) = (Copies::new(), COPY.to_string());
    loop {
        let range = ListRange { from: Some(from), before: Some("copy.".into()), limit: LISTED };
        let listed = core.lsm.storage().list(Space::Jobs, range).await?;
        jobs.extend(listed.iter().filter_map(read));
        match listed.last().filter(|_| listed.len() == LISTED) {
            Some((name, _)) => from = format!("{name}0"),
            None => return Ok(jobs),
        }
    }
}

/// Deletes the job records of copying into these layers.
pub async fn forget_copies(core: &Core, layers: impl Iterator<Item = LayerId>) -> Result<()> {
    let places: Vec<_> = layers.map(copy_place).collect();
    for places in places.chunks(LISTED) {
        let batch = Batch { delete: places.to_vec(), ..Batch::default() };
        core.lsm.storage().write(batch).await?;
    }
    Ok(())
}

/// Links that stand, each with the oldest LSN at which somebody can read its clone's layer. To know this the whole
/// catalog is read, once for all of them. It stays true: only a newer LSN can be pinned later.
pub fn readable_since(view: TreeView<'_>, floor: Lsn, links: Vec<Link>) -> Attempt<Vec<(Link, Lsn)>> {
    let retention = retention(view, floor)?;
    // The layer was made no earlier than where its link leads.
    let oldest = |link: &Link| retention.oldest(link.layer).max(link.as_of);
    Ok(links.into_iter().map(|link| (oldest(&link), link)).map(|(oldest, link)| (link, oldest)).collect())
}

/// Copies everything that the link's clone sees below and its layer lacks, from where an earlier copying stopped.
/// Nobody reads the layer at an LSN before `oldest`. False: the link stands no more. ABORTED: `watch` has said so.
pub async fn copy_all(core: &Rc<Core>, (link, oldest): &(Link, Lsn), pace: Pace, watch: &Watch<'_>) -> Result<bool> {
    let looked = core.read(|state, view| {
        let entry = link.find(view, state.head)?;
        entry.map(|entry| Path::from_entry(view, entry, state.head)).transpose()
    });
    let Some(path) = looked.await? else { return Ok(false) };
    let (max_rows, max_bytes) = (pace.rows(), pace.bytes());
    let walk = Walk { path: &path, layer: link.layer, oldest: *oldest, max_rows, max_bytes };
    let mut job = match copy_job(core, link).await? {
        Some(job) => job,
        None => begin_copy(core, link, &walk, pace, watch).await?,
    };
    let mut pending: Option<CopyWriter> = None;
    loop {
        let slice = core.read(|_, view| walk.copy(view, &job.position)).await?;
        job.rows_done += slice.rows;
        job.bytes_done += slice.bytes as u64;
        if slice.walked > 0 {
            job.position = slice.position;
        }
        if !slice.copies.is_empty() {
            let pending = pending.get_or_insert_with(|| CopyWriter::begin(core));
            for copy in slice.copies {
                pending.push(copy).await?;
            }
        }
        let goes_on = watch(job.progress());
        let is_full = pending.as_ref().is_some_and(|pending| pending.bytes >= BATCH_BYTES);
        if (is_full || slice.is_last || !goes_on) && !take_in(core, link, &job, pending.take()).await? {
            return Ok(false);
        }
        if !goes_on {
            return Err(aborted());
        }
        if slice.is_last {
            return Ok(true);
        }
        give_way(core, pace).await?;
    }
}

/// Counts what there is to copy, and writes down that the copying has begun.
async fn begin_copy(core: &Rc<Core>, link: &Link, walk: &Walk<'_>, pace: Pace, watch: &Watch<'_>) -> Result<CopyJob> {
    let mut job = CopyJob { as_of: link.as_of.0, position: Vec::new(), rows_done: 0, rows_total: 0, bytes_done: 0 };
    let mut after = Vec::new();
    loop {
        let slice = core.read(|_, view| walk.count(view, &after)).await?;
        job.rows_total += slice.rows;
        if slice.is_last {
            break;
        }
        after = slice.position;
        if !watch(Progress::default()) {
            return Err(aborted());
        }
        give_way(core, pace).await?;
    }
    let (space, name) = link.place();
    let put = vec![(space, name, job.encode())];
    core.lsm.storage().write(Batch { put, ..Batch::default() }).await?;
    Ok(job)
}

/// Has the manifest name the copies, and writes down how far they go, in one swap. False: the link stands no more.
///
/// A cut link lets vacuum drop tombstones that a late copy would undo. So the link is looked at under the very
/// manifest that is replaced: what was vacuumed since came with another one, and then the swap is refused.
async fn take_in(core: &Rc<Core>, link: &Link, job: &CopyJob, pending: Option<CopyWriter>) -> Result<bool> {
    let (run, story) = match pending {
        Some(pending) => pending.finish().await?,
        None => Default::default(),
    };
    let is_blind = planted::is(Bug::AbandonedJobServed);
    loop {
        core.refresh().await?;
        let looked = core.read(|state, view| {
            let stands = is_blind || link.find(view, state.head)?.is_some();
            Ok(stands.then(|| state.manifest.clone()))
        });
        let Some(manifest) = looked.await? else { return Ok(false) };
        let mut installation = Installation::new(manifest);
        installation.only_over_its_base();
        installation.takes_room();
        if let Some(run) = &run {
            installation.name(run.clone());
        }
        installation.put(link.place(), job.encode());
        if core.install(installation).await? {
            story.tell_copies(link.as_of);
            return Ok(true);
        }
        if let Some(run) = &run {
            run.check_own().await?;
        }
    }
}

/// Between two slices: everybody else has a turn.
async fn give_way(core: &Core, pace: Pace) -> Result<()> {
    core.platform.sleep(0).await;
    if pace == Pace::Background {
        core.platform.sleep(1).await;
        for _ in 0..50 {
            if !core.is_committing() {
                break;
            }
            core.platform.sleep(5).await;
        }
    }
    core.check_open()
}

/// Forgets what is written down of copying over links that stand no more.
pub async fn sweep_copies(core: &Rc<Core>) -> Result<()> {
    let jobs = copy_jobs(core).await?;
    if jobs.is_empty() {
        return Ok(());
    }
    core.refresh().await?;
    let links =
        core.read(|state, view| Ok(catalog::list(view, state.head)?.iter().filter_map(Link::of).collect::<Vec<_>>()));
    let links = links.await?;
    let stand: SortedSet<_> = links.iter().map(|link| (link.layer, link.as_of)).collect();
    forget_copies(core, jobs.keys().filter(|job| !stand.contains(job)).map(|(layer, _)| *layer)).await
}
