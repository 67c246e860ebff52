//! What a large commit writes, gathered row by row: a little of it stays in memory for the log, more is written ahead
//! as a run. So memory stays bounded, and others read and write meanwhile.

use std::rc::Rc;

use super::Core;
use super::job::{Ahead, Effects};
use crate::error::Result;
use crate::lsm::{Change, NewRun, Room, UnnamedRun};
use crate::planted;
use crate::storage::LocalFuture;
use crate::types::row::{push_lsn, row};
use crate::types::{LayerId, Lsn, SortedBytes, Version, limits};

/// What stays for the log: of two layers and the catalog together less than a record takes.
const IN_LOG_BYTES: usize = if planted::HAS_FEW_ROWS { 256 } else { limits::COMMIT_IN_LOG_BYTES / 4 };
/// Changes that are put in among others one by one.
const FEW: usize = 16;
/// Milliseconds after which it is said again that a run is being written.
const RENEW: u64 = 5 * 60 * 1000;

impl Core {
    /// Writes a large commit's rows as a run before its log record names it, unless that is done already.
    pub(super) async fn write_ahead(
        &self,
        ahead: &mut Option<Ahead>,
        changes: Vec<Change>,
        room: Room,
    ) -> Result<Rc<UnnamedRun>> {
        if let Some(ahead) = ahead
            && *ahead.changes == changes
            && ahead.run.check_own().await.is_ok()
        {
            return Ok(ahead.run.clone());
        }
        *ahead = None;
        let mut written = NewRun::begin(&self.lsm, self.platform.random(), self.platform.now(), room);
        let mut internal = Vec::new();
        for Change(row, version) in &changes {
            internal.clear();
            internal.extend_from_slice(row);
            push_lsn(&mut internal, Lsn::ZERO);
            written.push(&internal, version).await?;
        }
        let run = written.finish().await?.expect("BUG: a large commit has rows");
        *ahead = Some(Ahead { changes: Rc::new(changes), run: run.clone() });
        Ok(run)
    }
}

/// Takes the rows of one layer, in rising order.
pub struct AheadWriter<'a> {
    core: &'a Core,
    layer: LayerId,
    changes: Vec<Change>,
    bytes: usize,
    run: Option<Run>,
}

struct Run {
    written: NewRun,
    /// When it was last said that the run is being written.
    renewed: u64,
}

impl<'a> AheadWriter<'a> {
    pub fn new(core: &'a Core, layer: LayerId) -> AheadWriter<'a> {
        AheadWriter { core, layer, changes: Vec::new(), bytes: 0, run: None }
    }

    /// Takes one more row. It stays in memory until the next flush.
    pub fn push(&mut self, suffix: &[u8], version: &Version) {
        let change = Change(row(self.layer, suffix), version.encode());
        self.bytes += change.0.len() + change.1.len();
        self.changes.push(change);
    }

    /// Writes what is too much to be kept.
    pub fn flush(&mut self) -> LocalFuture<'_, Result<()>> {
        Box::pin(self.flushed())
    }

    async fn flushed(&mut self) -> Result<()> {
        if self.run.is_none() {
            if self.bytes <= IN_LOG_BYTES {
                return Ok(());
            }
            let now = self.core.platform.now();
            let written = NewRun::begin(&self.core.lsm, self.core.platform.random(), now, Room::Takes);
            self.run = Some(Run { written, renewed: now });
        }
        if let Some(run) = &mut self.run {
            for Change(mut internal, version) in std::mem::take(&mut self.changes) {
                push_lsn(&mut internal, Lsn::ZERO);
                run.written.push(&internal, &version).await?;
            }
        }
        Ok(())
    }

    /// To be called now and then while rows are long in coming, so that what is written is not taken for abandoned.
    pub async fn keep(&mut self) -> Result<()> {
        let now = self.core.platform.now();
        let Some(run) = self.run.as_mut().filter(|run| now > run.renewed + RENEW) else { return Ok(()) };
        run.renewed = now;
        run.written.renew(now).await
    }

    /// Writes the last rows, and gives the changes that the commit writes or the run that it names.
    pub async fn finish(mut self) -> Result<Effects> {
        self.flush().await?;
        match self.run {
            None => Ok(Effects { changes: self.changes, runs: Vec::new() }),
            Some(run) => Ok(Effects { changes: Vec::new(), runs: run.written.finish().await?.into_iter().collect() }),
        }
    }
}

impl Effects {
    /// Both, in the order of their rows.
    pub fn and(mut self, other: Effects) -> Effects {
        if other.changes.len() <= FEW {
            for change in other.changes {
                let at = self.changes.partition_point(|Change(row, _)| *row < change.0);
                self.changes.insert(at, change);
            }
        } else {
            let mut sorted = SortedBytes::new();
            for Change(row, version) in self.changes.into_iter().chain(other.changes) {
                sorted.insert(row, version.into());
            }
            self.changes = sorted.into_iter().map(|(row, version)| Change(row, version.to_vec())).collect();
        }
        self.runs.extend(other.runs);
        self
    }
}
