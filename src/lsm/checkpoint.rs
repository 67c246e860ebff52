//! Moving the log into a run. Blocks are written first, in small transactions under a job record; then the manifest is
//! swapped in one small transaction that also trims the log.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use super::fault::BlockAddress;
use super::feed;
use super::install::Installation;
use super::manifest::Manifest;
use super::run::{RunDescription, RunWriter};
use super::store::Lsm;
use crate::error::{Error, ErrorCode, Result};
use crate::storage::{Batch, LocalFuture, Outcome, Place, Space};
use crate::types::row::split_internal;
use crate::types::{Lsn, SortedBytes};

/// Blocks are written in transactions of about this size, so that nobody waits long.
pub const SLICE_BYTES: usize = 512 * 1024;
/// So many of them are written while the next one is made.
const IN_FLIGHT: usize = 3;

/// The record of a run being written: while it stands, the run's blocks are somebody's.
pub fn job_place(run: u64) -> Place {
    (Space::Jobs, format!("run-{run:016x}"))
}

/// The record of a run whose blocks are nobody's any more, until they are deleted.
pub fn drop_place(run: u64) -> Place {
    (Space::Jobs, format!("drop-{run:016x}"))
}

/// Writes a run's blocks as they become ready, the first of them with the run's job record: no others are sent before
/// that is there. The next ones are made while some are still on their way.
pub struct BlockSink<'a> {
    lsm: &'a Lsm,
    run: u64,
    /// The job's record, until it is written.
    job: Option<(Space, String, Vec<u8>)>,
    /// Whether the job's record is there.
    is_begun: bool,
    on_their_way: VecDeque<LocalFuture<'a, Result<Outcome>>>,
}

impl<'a> BlockSink<'a> {
    pub fn new(lsm: &'a Lsm, run: u64, now: u64) -> BlockSink<'a> {
        let (space, name) = job_place(run);
        let job = Some((space, name, now.to_be_bytes().to_vec()));
        BlockSink { lsm, run, job, is_begun: false, on_their_way: VecDeque::new() }
    }

    /// Says again, at `now`, that the run is being written. False: it was taken for abandoned.
    pub async fn renew(&mut self, now: u64) -> Result<bool> {
        if !self.is_begun {
            return Ok(true);
        }
        let (space, name) = job_place(self.run);
        let put = vec![(space, name.clone(), now.to_be_bytes().to_vec())];
        let batch = Batch { put, present: vec![(space, name)], ..Batch::default() };
        Ok(self.lsm.storage().write(batch).await?.is_written())
    }

    pub async fn take(&mut self, writer: &mut RunWriter) -> Result<()> {
        if writer.ready_bytes() >= SLICE_BYTES {
            self.send(writer.take_ready()).await?;
        }
        Ok(())
    }

    /// Writes the last blocks, and waits until all are there. Boxed, as `send` is: several tasks share the code.
    pub fn finish(mut self, blocks: Vec<(BlockAddress, Vec<u8>)>) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            let sent = self.send(blocks).await;
            let waited = self.wait(0).await;
            sent.and(waited)
        })
    }

    fn send(&mut self, blocks: Vec<(BlockAddress, Vec<u8>)>) -> LocalFuture<'_, Result<()>> {
        Box::pin(async move {
            let put = blocks.into_iter().map(|(address, bytes)| (Space::Blocks, address.name(), bytes));
            if self.job.is_none() && !self.is_begun {
                self.wait(0).await?;
                self.is_begun = true;
            }
            // What comes after the job was taken for abandoned would be nobody's.
            let present = if self.is_begun { vec![job_place(self.run)] } else { Vec::new() };
            let put = self.job.take().into_iter().chain(put).collect();
            let batch = Batch { put, present, ..Batch::default() };
            self.on_their_way.push_back(self.lsm.storage().write(batch));
            self.wait(IN_FLIGHT).await
        })
    }

    /// Starts what is not started, and waits until no more than `left` are on their way. After a failure it waits for
    /// all: what is still written must not come after the run was given up.
    async fn wait(&mut self, left: usize) -> Result<()> {
        let mut outcome = Ok(());
        poll_fn(|context| {
            self.on_their_way.retain_mut(|write| match write.as_mut().poll(context) {
                Poll::Pending => true,
                Poll::Ready(Ok(written)) => {
                    if !written.is_written() {
                        let message = "what was written ahead was taken for abandoned";
                        outcome = Err(Error::new(ErrorCode::Conflict, message));
                    }
                    false
                }
                Poll::Ready(Err(error)) => {
                    outcome = Err(error);
                    false
                }
            });
            let left = if outcome.is_err() { 0 } else { left };
            if self.on_their_way.len() <= left { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        outcome
    }
}

/// Everything that a checkpoint moves, taken in one look at the state.
struct Moved {
    manifest: Manifest,
    up_to: Lsn,
    hash: u64,
    time: u64,
    versions: SortedBytes,
    ahead: Vec<Rc<RunDescription>>,
    ids: Vec<(u64, u64)>,
    number: u64,
}

impl Lsm {
    /// Writes the log's versions as a run and gives the manifest that names it; `None`: the log is empty.
    pub async fn checkpoint(&self, run: u64, now: u64) -> Result<Option<Installation>> {
        let Some(mut moved) = self.moved() else { return Ok(None) };
        let mut sink = BlockSink::new(self, run, now);
        let mut writer = RunWriter::new(run);
        for (internal, version) in std::mem::take(&mut moved.versions) {
            writer.push(&internal, &version)?;
            sink.take(&mut writer).await?;
        }
        let written = if writer.is_empty() {
            None
        } else {
            let (description, blocks) = writer.finish();
            sink.finish(blocks).await?;
            Some(Rc::new(description))
        };
        let mut manifest = moved.manifest;
        manifest.runs.extend(moved.ahead);
        manifest.runs.extend(written.iter().cloned());
        manifest.checkpoint = moved.up_to.0;
        manifest.hash = moved.hash;
        manifest.time = moved.time;
        manifest.remember(moved.ids.into_iter());
        let mut installation = Installation::new(manifest);
        installation.trim(moved.number);
        if written.is_some() {
            installation.finish_job(run);
        }
        Ok(Some(installation))
    }

    fn moved(&self) -> Option<Moved> {
        self.with(|state| {
            let last = state.records.last()?;
            let logged = state.tree.memtable.iter().filter(|(internal, _)| split_internal(internal).1 <= state.head);
            let mut versions = SortedBytes::default();
            for (internal, version) in logged {
                versions.insert(internal.clone(), version.clone());
            }
            for row in feed::rows_of(&state.notes) {
                versions.insert(row.internal, row.version);
            }
            Some(Moved {
                manifest: state.manifest.clone(),
                up_to: state.head,
                hash: last.hash,
                time: state.notes.last().map_or(0, |note| note.time),
                versions,
                ahead: state.notes.iter().flat_map(|note| note.runs.iter().cloned()).collect(),
                ids: state.notes.iter().map(|note| (note.id, note.lsn.0)).collect(),
                number: last.number,
            })
        })
    }
}
