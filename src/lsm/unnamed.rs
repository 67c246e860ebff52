//! A run that nothing names yet, neither a manifest nor a log record. One guard owns it from its first block on:
//!
//! ```text
//! NewRun::begin -> push, push, ... -> finish -> UnnamedRun -> is_named
//! ```
//! Whoever lets go of it earlier gives it up, however that comes about: by an error, a conflict, a full disk, or
//! because the caller is gone. Nothing can be awaited while a value is dropped, so the guard only notes the run as a
//! stray then; `Lsm::sweep_strays` deletes its blocks.
//!
//! Blocks are written in small transactions, the first of them with the run's job record; no others are sent before
//! that is there, and all of them only while it is. Whoever names the run removes the record in the same transaction,
//! and so does whoever gives it up: of the two only one succeeds.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use super::fault::BlockAddress;
use super::reserve::{Reserve, Room};
use super::run::RunDescription;
use super::run_writer::RunWriter;
use super::store::Lsm;
use super::strays::{Stray, Strays, Write};
use crate::error::{Error, ErrorCode, Result};
use crate::planted::{self, Bug};
use crate::storage::{Batch, LocalFuture, Place, Space, Storage};

/// Blocks are written in transactions of about this size, so that nobody waits long.
const SLICE_BYTES: usize = 512 * 1024;
/// So many of them are written while the next one is made.
const IN_FLIGHT: usize = 3;

/// The record of a run being written: while it stands, the run's blocks are somebody's.
pub fn job_place(run: u64) -> Place {
    (Space::Jobs, format!("run-{run:016x}"))
}

/// The error of a writer whose run another tab has taken for abandoned.
fn abandoned() -> Error {
    Error::new(ErrorCode::Conflict, "what was written ahead was taken for abandoned")
}

/// Writes blocks under the job record of their run, and notes the run as a stray if it is dropped before it is named.
struct Claim {
    run: u64,
    began: u64,
    storage: Rc<dyn Storage>,
    strays: Rc<Strays>,
    reserve: Rc<Reserve>,
    room: Room,
    /// True once the job record was sent (`is_sent`), and once it is known to be there (`is_begun`).
    is_sent: bool,
    is_begun: bool,
    is_named: Cell<bool>,
    on_their_way: VecDeque<Write>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.is_sent && !self.is_named.get() {
            let on_their_way = std::mem::take(&mut self.on_their_way);
            self.strays.note(Stray { run: self.run, on_their_way });
        }
    }
}

impl Claim {
    /// Sends whole segments, in transactions of about one slice each.
    async fn send(&mut self, blocks: Vec<(BlockAddress, Vec<u8>)>) -> Result<()> {
        let mut blocks = blocks.into_iter().peekable();
        while blocks.peek().is_some() {
            let (mut put, mut bytes) = (Vec::new(), 0);
            while let Some((address, segment)) = blocks.next_if(|_| bytes < SLICE_BYTES) {
                bytes += segment.len();
                put.push((Space::Blocks, address.name(), segment));
            }
            self.send_slice(put).await?;
        }
        Ok(())
    }

    async fn send_slice(&mut self, mut put: Vec<(Space, String, Vec<u8>)>) -> Result<()> {
        if self.is_sent && !self.is_begun {
            self.wait(0).await?;
            self.is_begun = true;
        }
        let mut present = Vec::new();
        if self.is_begun {
            // Blocks that come after the run was taken for abandoned would be nobody's.
            present.push(job_place(self.run));
        } else {
            let (space, name) = job_place(self.run);
            put.push((space, name, self.began.to_be_bytes().to_vec()));
        }
        self.is_sent = true;
        let batch = Batch { put, present, ..Batch::default() };
        self.on_their_way.push_back(self.reserve.write(batch, self.room));
        self.wait(IN_FLIGHT).await
    }

    /// Starts what is not started, and waits until no more than `left` are on their way; after a failure, for all.
    async fn wait(&mut self, left: usize) -> Result<()> {
        let mut outcome = Ok(());
        poll_fn(|context| {
            self.on_their_way.retain_mut(|write| match write.as_mut().poll(context) {
                Poll::Pending => true,
                Poll::Ready(Ok(written)) => {
                    if !written.is_written() {
                        outcome = Err(abandoned());
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

/// A run that is being written.
pub struct NewRun {
    writer: RunWriter,
    claim: Claim,
}

impl NewRun {
    /// `now` is written down beside it: a run whose writer is gone for long is taken for abandoned.
    pub fn begin(lsm: &Lsm, id: u64, now: u64, room: Room) -> NewRun {
        let claim = Claim {
            run: id,
            began: now,
            storage: lsm.storage().clone(),
            strays: lsm.strays().clone(),
            reserve: lsm.reserve().clone(),
            room,
            is_sent: false,
            is_begun: false,
            is_named: Cell::new(false),
            on_their_way: VecDeque::new(),
        };
        let writer = RunWriter::new(id).with_records_of(lsm.storage().record_bytes());
        NewRun { writer, claim }
    }

    /// Adds a version as `RunWriter::push` does, and writes the segments that are ready.
    pub async fn push(&mut self, internal: &[u8], version: &[u8]) -> Result<()> {
        self.writer.push(internal, version)?;
        self.flush().await
    }

    pub(super) fn id(&self) -> u64 {
        self.claim.run
    }

    /// The stored bytes of the run so far.
    pub(super) fn bytes(&self) -> u64 {
        self.writer.bytes()
    }

    /// The writer itself, for those who add versions where nothing can be awaited. They `flush` after that.
    pub(super) fn writer(&mut self) -> &mut RunWriter {
        &mut self.writer
    }

    /// Writes the segments that are ready, once they are a slice. Boxed, as all that waits here is: several tasks share
    /// the code.
    pub async fn flush(&mut self) -> Result<()> {
        if self.writer.ready_bytes() < SLICE_BYTES {
            return Ok(());
        }
        let ready = self.writer.take_ready();
        let sent: LocalFuture<'_, Result<()>> = Box::pin(self.claim.send(ready));
        sent.await
    }

    /// Says again, at `now`, that the run is being written. CONFLICT: it was taken for abandoned.
    pub async fn renew(&mut self, now: u64) -> Result<()> {
        self.claim.began = now;
        if !self.claim.is_begun {
            return Ok(());
        }
        let (space, name) = job_place(self.claim.run);
        let put = vec![(space, name.clone(), now.to_be_bytes().to_vec())];
        let batch = Batch { put, present: vec![(space, name)], ..Batch::default() };
        if self.claim.storage.write(batch).await?.is_written() { Ok(()) } else { Err(abandoned()) }
    }

    /// Writes the last blocks, and waits until all are there. `None`: it has no versions, and nothing was written.
    pub fn finish(self) -> LocalFuture<'static, Result<Option<Rc<UnnamedRun>>>> {
        self.finish_in_group(None)
    }

    /// The same, of one of the runs that a merge writes side by side.
    pub(super) fn finish_in(self, group: u64) -> LocalFuture<'static, Result<Option<Rc<UnnamedRun>>>> {
        self.finish_in_group(Some(group))
    }

    fn finish_in_group(self, group: Option<u64>) -> LocalFuture<'static, Result<Option<Rc<UnnamedRun>>>> {
        Box::pin(async move {
            let NewRun { writer, mut claim } = self;
            if writer.is_empty() {
                return Ok(None);
            }
            let (description, blocks) = writer.finish();
            let description = RunDescription { group, ..description };
            claim.send(blocks).await?;
            claim.wait(0).await?;
            Ok(Some(Rc::new(UnnamedRun { description: Rc::new(description), claim })))
        })
    }
}

/// A run that is written, and that a manifest or a log record may name now. With the last hold on it it is given up,
/// unless it was named.
pub struct UnnamedRun {
    pub description: Rc<RunDescription>,
    claim: Claim,
}

impl UnnamedRun {
    /// Lets the batch that names the run delete the run's job record. The batch is refused if that record is gone,
    /// because the run was taken for abandoned.
    pub fn name_in(&self, batch: &mut Batch) {
        batch.present.push(job_place(self.claim.run));
        batch.delete.push(job_place(self.claim.run));
    }

    /// That transaction is complete.
    pub fn is_named(&self) {
        self.claim.is_named.set(true);
    }

    /// CONFLICT: another tab has taken the run for abandoned, or has named it.
    pub async fn check_own(&self) -> Result<()> {
        let (space, name) = job_place(self.claim.run);
        let found = self.claim.storage.read(space, &[name]).await?;
        if found.iter().all(Option::is_some) { Ok(()) } else { Err(abandoned()) }
    }
}

impl Lsm {
    /// True if `sweep_strays` has any run to delete.
    pub fn has_strays(&self) -> bool {
        !self.strays().is_empty()
    }

    /// Deletes the blocks of runs that were given up here. A run whose job record is gone stays: it was named after
    /// all, or another tab has swept it. A run that cannot be deleted now is noted again.
    pub async fn sweep_strays(&self) -> Result<()> {
        while let Some(mut stray) = self.strays().take() {
            // Blocks that came after the run's blocks were deleted would be nobody's.
            while let Some(write) = stray.on_their_way.pop_front() {
                let _ = write.await;
            }
            if planted::is(Bug::GivenUpBlocksLeft) {
                self.storage().write(Batch { delete: vec![job_place(stray.run)], ..Batch::default() }).await?;
                continue;
            }
            if let Err(error) = self.delete_run(stray.run, job_place(stray.run)).await {
                self.strays().note(stray);
                return Err(error);
            }
        }
        Ok(())
    }
}
