//! Gathers the rows that a large commit writes: few rows stay in memory for the log, more are written ahead as a run.
//! So memory stays bounded, and other calls read and write meanwhile.

use std::rc::Rc;

use super::Core;
use super::job::Ahead;
use crate::engine::door::{Before, Copy, Effects, Story};
use crate::error::{ErrorCode, Result};
use crate::lsm::{Change, NewRun, Room, UnnamedRun};
use crate::planted;
use crate::storage::LocalFuture;
use crate::types::row::push_lsn;
use crate::types::{LayerId, Lsn, Version, limits};

/// Bytes of rows that stay in memory for the log: those of two layers and the catalog take together less than a record.
const IN_LOG_BYTES: usize = if planted::HAS_FEW_ROWS { 256 } else { limits::COMMIT_IN_LOG_BYTES / 4 };
/// Milliseconds after which it is said again that a run is being written.
const RENEW: u64 = 5 * 60 * 1000;
/// A large commit writes its run again at most so often, where another tab has taken the run for abandoned.
const TRIES: u32 = 8;

impl Core {
    /// Writes a large commit's rows as a run before its log record names it, unless that is done already. A tab whose
    /// clock is ahead may take the run for abandoned while it is written: then it is written again.
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
        let mut lost = 0;
        let run = loop {
            match self.write_rows(&changes, room).await {
                Err(error) if error.code() == ErrorCode::Conflict && lost < TRIES => lost += 1,
                written => break written?,
            }
        };
        *ahead = Some(Ahead { changes: Rc::new(changes), run: run.clone() });
        Ok(run)
    }

    async fn write_rows(&self, changes: &[Change], room: Room) -> Result<Rc<UnnamedRun>> {
        let mut written = NewRun::begin(&self.lsm, self.platform.random(), self.platform.now(), room);
        let mut internal = Vec::new();
        for Change(row, version) in changes {
            internal.clear();
            internal.extend_from_slice(row);
            push_lsn(&mut internal, Lsn::ZERO);
            written.push(&internal, version).await?;
        }
        Ok(written.finish().await?.expect("BUG: a large commit has rows"))
    }
}

/// Takes the rows of one layer, in rising order.
pub struct AheadWriter<'a> {
    core: &'a Core,
    layer: LayerId,
    effects: Effects,
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
        AheadWriter { core, layer, effects: Effects::default(), bytes: 0, run: None }
    }

    /// Takes one more row. It stays in memory until the next flush.
    pub fn push(&mut self, suffix: &[u8], version: &Version, before: Before<'_>) {
        self.bytes += self.effects.put(self.layer, suffix, version, before);
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
            for Change(mut internal, version) in self.effects.take_changes() {
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

    /// Writes the last rows, and gives what the commit writes or names.
    pub async fn finish(mut self) -> Result<Effects> {
        self.flush().await?;
        if let Some(run) = self.run
            && let Some(run) = run.written.finish().await?
        {
            self.effects.add_run(run);
        }
        Ok(self.effects)
    }
}

/// Copies of rows below a layer, in rising order, on their way into a run. The manifest names the run, no commit does.
pub struct CopyWriter {
    written: NewRun,
    story: Story,
    pub bytes: usize,
}

impl CopyWriter {
    pub fn begin(core: &Core) -> CopyWriter {
        let written = NewRun::begin(&core.lsm, core.platform.random(), core.platform.now(), Room::Takes);
        CopyWriter { written, story: Story::default(), bytes: 0 }
    }

    pub async fn push(&mut self, copy: Copy) -> Result<()> {
        self.bytes += copy.bytes();
        self.written.push(copy.internal(), copy.version()).await?;
        self.story.and(copy.into_story());
        Ok(())
    }

    /// The run, and the rows that the door tells of once the manifest names the run.
    pub async fn finish(self) -> Result<(Option<Rc<UnnamedRun>>, Story)> {
        Ok((self.written.finish().await?, self.story))
    }
}
