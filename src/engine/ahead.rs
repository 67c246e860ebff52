//! What a large commit writes, gathered row by row: a little of it stays in memory for the log, more is written ahead
//! as a run. So memory stays bounded, and others read and write meanwhile.

use super::pipeline::Effects;
use super::store::Store;
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{BlockSink, Change, RunWriter};
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

/// Takes the rows of one layer, in rising order.
pub struct AheadWriter<'a> {
    store: &'a Store,
    layer: LayerId,
    changes: Vec<Change>,
    bytes: usize,
    run: Option<Run<'a>>,
}

struct Run<'a> {
    id: u64,
    writer: RunWriter,
    sink: BlockSink<'a>,
    /// When it was last said that the run is being written.
    renewed: u64,
}

impl Run<'_> {
    async fn push(&mut self, Change(mut internal, version): Change) -> Result<()> {
        push_lsn(&mut internal, Lsn::ZERO);
        self.writer.push(&internal, &version)?;
        self.sink.take(&mut self.writer).await
    }
}

impl<'a> AheadWriter<'a> {
    pub fn new(store: &'a Store, layer: LayerId) -> AheadWriter<'a> {
        AheadWriter { store, layer, changes: Vec::new(), bytes: 0, run: None }
    }

    pub fn store(&self) -> &'a Store {
        self.store
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
            let id = self.store.platform.random();
            let now = self.store.platform.now();
            let sink = BlockSink::new(&self.store.lsm, id, now);
            self.run = Some(Run { id, writer: RunWriter::new(id), sink, renewed: now });
        }
        if let Some(run) = &mut self.run {
            for change in std::mem::take(&mut self.changes) {
                run.push(change).await?;
            }
        }
        Ok(())
    }

    /// To be called now and then while rows are long in coming, so that what is written is not taken for abandoned.
    pub async fn keep(&mut self) -> Result<()> {
        let now = self.store.platform.now();
        let Some(run) = self.run.as_mut().filter(|run| now > run.renewed + RENEW) else { return Ok(()) };
        run.renewed = now;
        if run.sink.renew(now).await? {
            return Ok(());
        }
        Err(Error::new(ErrorCode::Conflict, "what was written ahead was taken for abandoned"))
    }

    /// What is left for the commit to write, or to name. If that fails, what was written is taken back.
    pub async fn finish(mut self) -> Result<Effects> {
        if let Err(error) = self.flush().await {
            self.abandon().await;
            return Err(error);
        }
        let Some(Run { id, writer, sink, .. }) = self.run else {
            return Ok(Effects { changes: self.changes, runs: Vec::new() });
        };
        let (run, blocks) = writer.finish();
        if let Err(error) = sink.finish(blocks).await {
            self.store.lsm.abandon_run(id).await;
            return Err(error);
        }
        Ok(Effects { changes: Vec::new(), runs: vec![run] })
    }

    /// Takes back what was written. What fails here is left for the next sweep.
    pub async fn abandon(self) {
        if let Some(Run { id, sink, .. }) = self.run {
            // Nothing of it may come after it was taken back.
            let _ = sink.finish(Vec::new()).await;
            self.store.lsm.abandon_run(id).await;
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

impl Store {
    /// Takes back what was written ahead of a commit that will not come.
    pub(super) async fn take_back(&self, effects: &Effects) {
        for run in &effects.runs {
            self.lsm.abandon_run(run.id).await;
        }
    }
}
