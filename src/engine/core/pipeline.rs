//! The one place of an engine that commits. Calls and transactions queue here; those that wait together are written as
//! one record. Each is evaluated right where its commit stands, on what stands before it, so a single call never
//! conflicts.

use std::cell::RefCell;
use std::rc::Rc;

use futures_channel::oneshot;

use super::Core;
use super::job::{Exclusive, Job, Pleading, Present, Work};
use super::pump::{Answer, Done, Pumped};
use crate::engine::door::Effects;
use crate::error::{Error, ErrorCode, FailureOutcome, Result};
use crate::lsm::{Attempt, BlockReference, Commit, Installation, Room, Sought, State, UnnamedRun, Written};
use crate::planted::{self, Bug};
use crate::storage::{Durability, LocalFuture};
use crate::types::Lsn;

/// Commits that one record may hold.
const GROUP: usize = 1024;
/// How often an unknown outcome is looked up before it is told as unknown.
const LOOKUPS: u32 = 4;
/// How often in one group blocks may be gone because another tab compacts them.
const LOOKS: u32 = 8;
/// Milliseconds that commits are held back at a time until the log is moved, and how often, or how many jobs go before
/// them, until some are let through: maintenance may be stuck.
const HOLD: u64 = 10;
const HOLDS: u32 = 100;

fn check_looks(looks: u32) -> Result<()> {
    let message = "runs are compacted faster than their blocks can be read";
    if looks <= LOOKS { Ok(()) } else { Err(Error::new(ErrorCode::StorageUnavailable, message)) }
}

impl Pumped for Core {
    fn has_work(&self) -> bool {
        !self.queue.borrow().is_empty()
    }

    fn loses_callers(&self) -> bool {
        self.platform.ends_requests()
    }

    fn forget_cancelled(&self) {
        self.cancelled.set(self.cancelled.get() + 1);
        let waiting = self.queue.borrow().len();
        // Thousands may be cancelled one after the other, and each look at all jobs costs as much as there are.
        if 2 * self.cancelled.get() >= waiting {
            self.cancelled.set(0);
            let jobs = self.take_jobs(waiting);
            self.requeue(jobs);
        }
    }

    fn nap(&self) -> Option<u64> {
        self.nap.under_way().map(|(number, _)| number)
    }

    fn timer(&self) -> LocalFuture<'static, ()> {
        let left = self.nap.under_way().map_or(0, |(_, until)| until.saturating_sub(self.platform.steady()));
        self.platform.sleep(left)
    }

    fn end_nap(&self, number: u64) {
        self.nap.end(number);
    }

    fn pump(self: Rc<Core>) -> LocalFuture<'static, ()> {
        Box::pin(async move {
            let mut held = 0;
            while self.has_work() {
                if let Err(error) = self.check_open() {
                    for job in self.queue.take() {
                        let _ = job.reply.send(Err(error.clone()));
                    }
                    break;
                }
                let is_held = held < HOLDS && self.listener().is_some_and(|listener| listener.holds_back());
                held = if is_held { held + 1 } else { 0 };
                if is_held && !self.lets_first() {
                    self.take_nap(HOLD).await;
                    continue;
                }
                self.group().await;
                self.tell(|listener| listener.has_taken_in());
            }
        })
    }
}

impl Core {
    /// Queues `evaluate` and waits until what it wrote is complete. The LSN is `None` when it wrote nothing.
    pub fn commit<T: 'static>(
        self: &Rc<Core>,
        durability: Durability,
        evaluate: impl FnMut(&Present<'_>) -> Attempt<(T, Effects)> + 'static,
    ) -> impl Future<Output = Result<(T, Option<Lsn>)>> {
        self.commit_pleaded(durability, None, evaluate)
    }

    /// As `commit`, of what has pleaded to go first. This is no async function, because each type of `evaluate` has a
    /// copy of this code, and `evaluate` would be a part of the function's state.
    pub fn commit_pleaded<T: 'static>(
        self: &Rc<Core>,
        durability: Durability,
        plea: Option<Rc<Pleading>>,
        mut evaluate: impl FnMut(&Present<'_>) -> Attempt<(T, Effects)> + 'static,
    ) -> impl Future<Output = Result<(T, Option<Lsn>)>> {
        let slot = Rc::new(RefCell::new(None));
        let filled = slot.clone();
        let work = Work::Commit(Box::new(move |present| {
            let (value, effects) = evaluate(present)?;
            *filled.borrow_mut() = Some(value);
            Ok(effects)
        }));
        let done = self.submit(work, durability, plea);
        async move {
            let lsn = done.await?.lsn();
            let value = slot.take().expect("BUG: a job that succeeded was evaluated");
            Ok((value, lsn))
        }
    }

    /// Takes in the commits that other tabs have made since.
    pub async fn refresh(self: &Rc<Core>) -> Result<()> {
        self.exclusively(Exclusive::Refresh).await.map(drop)
    }

    pub async fn exclusively(self: &Rc<Core>, work: Exclusive) -> Result<bool> {
        let done = self.submit(Work::Exclusive(Some(work)), Durability::Relaxed, None).await?;
        Ok(matches!(done, Done::Exclusively(true)))
    }

    /// Boxed, so that callers of every type share its code.
    fn submit(
        self: &Rc<Core>,
        work: Work,
        durability: Durability,
        plea: Option<Rc<Pleading>>,
    ) -> LocalFuture<'_, Answer> {
        Box::pin(async move {
            self.check_open()?;
            let (reply, answer) = oneshot::channel();
            self.queue.borrow_mut().push_back(Job { work, durability, reply, ahead: None, failed: None, plea });
            self.pump.wait(self.clone(), answer).await
        })
    }

    /// Swaps the manifest, which the host flushes: all up to its checkpoint is durable from then on.
    pub async fn install(self: &Rc<Core>, installation: Installation) -> Result<bool> {
        let checkpoint = installation.checkpoint();
        self.clock.note_told(self.lsm.with(|state| state.manifest.clock));
        let installed = self.exclusively(Exclusive::Install(Box::new(installation))).await?;
        if let Some(listener) = self.listener().filter(|_| installed) {
            listener.flushed(checkpoint).await;
        }
        Ok(installed)
    }

    /// Deletes the runs that were written here for commits that did not come. Runs that cannot be deleted now are
    /// deleted next time.
    pub async fn sweep_strays(&self) {
        let _ = self.lsm.sweep_strays().await;
    }

    /// A commit that names these runs is complete.
    fn note_named(self: &Rc<Core>, runs: &[Rc<UnnamedRun>]) {
        if !runs.is_empty() {
            runs.iter().for_each(|run| run.is_named());
            self.write_hot_soon();
        }
    }

    /// A commit is complete.
    fn note_room(self: &Rc<Core>, room: Room) {
        if room == Room::Takes {
            self.lsm.reserve().has_room();
        } else if self.lsm.reserve().is_short() {
            self.lsm.reserve().note_freed();
            // Before another tab takes the room that is left of it.
            let core = self.clone();
            self.platform.spawn(Box::pin(async move { drop(core.lsm.reserve().make().await) }));
        }
    }

    /// After a commit that brought a run of its own.
    fn write_hot_soon(self: &Rc<Core>) {
        let core = self.clone();
        // A failure here costs the next opening a little time.
        self.platform.spawn(Box::pin(async move { drop(core.lsm.write_hot().await) }));
    }

    /// Lets so many milliseconds pass in the pipeline's work.
    pub(super) async fn take_nap(&self, milliseconds: u64) {
        self.nap.take(self.platform.steady() + milliseconds).await;
    }

    /// While commits are held back, a job of maintenance goes first. False: none is queued.
    fn lets_first(&self) -> bool {
        let mut queue = self.queue.borrow_mut();
        let found = queue.iter().position(|job| matches!(job.work, Work::Exclusive(_)));
        let Some(job) = found.and_then(|at| queue.remove(at)) else { return false };
        queue.push_front(job);
        true
    }

    /// Takes so many jobs from the queue. Those among them that nobody waits for are dropped.
    fn take_jobs(&self, most: usize) -> Vec<Job> {
        let mut queue = self.queue.borrow_mut();
        let (mut jobs, mut gone) = (Vec::new(), Vec::new());
        for _ in 0..most {
            match queue.pop_front() {
                Some(job) if !job.reply.is_canceled() => jobs.push(job),
                Some(job) => gone.push(job),
                None => break,
            }
        }
        // A job may hold the last reference to a handle, and the end of the handle may look at the queue.
        drop(queue);
        drop(gone);
        jobs
    }

    /// Evaluates the jobs that wait, writes what they want as one record, and answers them.
    async fn group(self: &Rc<Core>) {
        let mut jobs = self.take_jobs(GROUP);
        let _staged = Staged(self.clone());
        let (mut late, mut looks) = (0, 0);
        let mut has_looked = false;
        loop {
            let mut stage = self.stage(&mut jobs).await;
            if let Some(gone) = stage.stale {
                looks += 1;
                self.find_again(&mut jobs[stage.results.len()], gone, looks).await;
                continue;
            }
            self.requeue(jobs.split_off(stage.results.len()));
            if stage.staged == 0 {
                // A job that writes nothing meets no other tab's commit by itself, and yet is answered from the
                // present.
                if !has_looked && jobs.iter().any(|job| matches!(job.work, Work::Commit(_))) {
                    has_looked = true;
                    match self.look_at_log().await {
                        Ok(true) => continue,
                        Ok(false) => {}
                        Err(error) => return answer_all(jobs, |_| Err(error.clone())),
                    }
                }
                return answer(jobs, stage.results);
            }
            if self.lsm.with(|state| state.pleas.to_heed()).is_some() {
                self.lsm.with_mut(State::unstage);
                late += 1;
                if let Err(error) = self.let_plea_first(late, stage.first(&mut jobs)).await {
                    return answer_all(jobs, |_| Err(error.clone()));
                }
                continue;
            }
            let first = self.lsm.with(|state| (state.head, state.staged()[0].id));
            let batch = std::mem::take(&mut stage.batch);
            if planted::is(Bug::AcknowledgedBeforeComplete) {
                acknowledge(&mut jobs, &stage.results);
            }
            let written = self.lsm.write_staged(stage.durability, batch, stage.room).await;
            match self.note_damage(written) {
                Ok(Written::Complete(head)) => {
                    self.platform.announce(head);
                    self.note_room(stage.room);
                    self.note_named(&stage.runs);
                    self.tell(|listener| listener.written(stage.durability, head));
                    return answer(jobs, stage.results);
                }
                Ok(Written::Collided) => {
                    late += 1;
                    if let Err(error) = self.after_loss(late, stage.first(&mut jobs)).await {
                        return answer_all(jobs, |_| Err(error.clone()));
                    }
                }
                Err(error) => {
                    self.lsm.with_mut(State::unstage);
                    if stage.may_be_parted(&error) {
                        return self.requeue(jobs);
                    }
                    self.lsm.reserve().note_full(&error);
                    return self.answer_failed_write(jobs, stage.results, first, error).await;
                }
            }
        }
    }

    /// Takes in what other tabs wrote; damage that is met there is remembered.
    pub(super) async fn look_at_log(&self) -> Result<bool> {
        self.note_damage(self.lsm.refresh().await)
    }

    /// A block that a job needs was not found, for the so-many-th time in its group. Only this job fails if it cannot
    /// be had: those before it are evaluated again, those after it wait.
    async fn find_again(self: &Rc<Core>, job: &mut Job, gone: BlockReference, looks: u32) {
        self.lsm.with_mut(State::unstage);
        let looked = self.look_again(gone).await;
        let failed = looked.and_then(|()| check_looks(looks)).err();
        job.failed = failed.filter(|_| !planted::is(Bug::FailedJobPutBack));
    }

    /// A named block was not found: takes in the present manifest, or says that the block is lost.
    pub async fn look_again(self: &Rc<Core>, gone: BlockReference) -> Result<()> {
        self.look_at_log().await?;
        let lost = self.lsm.check_lost(gone).await;
        self.note_damage(lost)
    }

    fn requeue(&self, jobs: Vec<Job>) {
        let mut queue = self.queue.borrow_mut();
        for job in jobs.into_iter().rev() {
            queue.push_front(job);
        }
    }

    /// After a failed write: finds out whether the commits are there, so that nothing is lost and nothing done twice.
    async fn answer_failed_write(
        self: &Rc<Core>,
        jobs: Vec<Job>,
        results: Vec<Answer>,
        first: (Lsn, u64),
        error: Error,
    ) {
        let (head, id) = first;
        // The LSNs that were foretold hold: a record is written under them or not at all.
        let sought =
            if planted::is(Bug::UnknownToldAsNone) { Sought::Void } else { self.seek(id, head.next(), &error).await };
        let error = match sought {
            Sought::There => return answer(jobs, results),
            Sought::Void => error,
            Sought::NotYet | Sought::Forgotten => error.of_unknown_outcome(),
        };
        // A job that wrote nothing may have read versions that are now taken back: the job is evaluated again.
        let mut again = Vec::new();
        for (job, result) in jobs.into_iter().zip(results) {
            match result {
                Ok(Done::Committed(_)) => drop(job.reply.send(Err(error.clone()))),
                _ => again.push(job),
            }
        }
        self.requeue(again);
    }
}

impl Core {
    /// Finds out if a commit whose write failed is in the log.
    async fn seek(&self, id: u64, lsn: Lsn, error: &Error) -> Sought {
        if matches!(error.code(), ErrorCode::QuotaExceeded | ErrorCode::TooLarge) {
            return Sought::Void;
        }
        if error.outcome() == FailureOutcome::Unknown || error.code() == ErrorCode::Closed {
            return Sought::Forgotten;
        }
        let (random, time) = (self.platform.random(), self.platform.now());
        let filler = Commit { id: random, time, ..Commit::default() };
        for wait in 0..LOOKUPS {
            let sought = self.lsm.decide_commit(id, lsn, filler.clone()).await;
            match self.note_damage(sought) {
                Ok(sought) => return sought,
                Err(_) => self.take_nap(50 << (2 * wait)).await,
            }
        }
        Sought::NotYet
    }
}

/// Held while a group may be staged. When its work is dropped where it stands, what is staged is taken back.
struct Staged(Rc<Core>);

impl Drop for Staged {
    fn drop(&mut self) {
        self.0.lsm.with_mut(State::unstage);
    }
}

/// The planted bug: the answers are given while the write is under way.
fn acknowledge(jobs: &mut [Job], results: &[Answer]) {
    for (job, result) in jobs.iter_mut().zip(results) {
        let reply = std::mem::replace(&mut job.reply, oneshot::channel().0);
        let _ = reply.send(result.clone());
    }
}

fn answer(jobs: Vec<Job>, results: Vec<Answer>) {
    for (job, result) in jobs.into_iter().zip(results) {
        // A caller that is gone does not want its answer.
        let _ = job.reply.send(result);
    }
}

fn answer_all(jobs: Vec<Job>, result: impl Fn(&Job) -> Answer) {
    for job in jobs {
        let result = result(&job);
        let _ = job.reply.send(result);
    }
}
