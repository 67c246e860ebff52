//! Staging: the jobs of a group are evaluated one after the other, each on the rows that the jobs before it wrote.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;

use super::Core;
use super::job::{Ahead, Evaluate, Exclusive, Job, Pleading, Present, Work, size};
use super::pump::{Answer, Done};
use crate::drive::{self, Fetched, Server, Step};
use crate::engine::door::{Effects, Parts, Story};
use crate::error::{Error, Result};
use crate::lsm::{BlockReference, Change, Commit, Loaded, Need, Room, TreeView, UnnamedRun, gone, step_of};
use crate::storage::{Batch, Durability, LocalFuture};
use crate::types::Lsn;

enum Evaluated {
    Effects(Effects),
    Failed(Error),
    /// A block is gone: the manifest may be old.
    Stale(BlockReference),
}

/// The jobs of a group that are staged, and the batch that writes their commits.
pub(super) struct Stage {
    pub results: Vec<Answer>,
    pub staged: usize,
    pub durability: Durability,
    pub batch: Batch,
    /// The runs that the commits name.
    pub runs: Vec<Rc<UnnamedRun>>,
    /// `Frees` if all staged commits only delete.
    pub room: Room,
    /// True if room was short when the first commit was staged: a commit that takes room is then staged alone.
    pub is_short: bool,
    pub stale: Option<BlockReference>,
}

impl Stage {
    fn new(is_short: bool) -> Stage {
        let (results, runs, batch) = (Vec::new(), Vec::new(), Batch::default());
        let (durability, room) = (Durability::Relaxed, Room::Frees);
        Stage { results, staged: 0, durability, batch, runs, room, is_short, stale: None }
    }

    /// True if a commit may be staged with those already staged. Where room is short, all of them must only delete.
    fn may_take(&self, room: Room) -> bool {
        self.staged == 0 || !self.is_short || room == Room::Frees && self.room == Room::Frees
    }

    /// After a write that found no room: one commit may have room where all together have none, and a commit that only
    /// deletes has the reserve.
    pub fn may_be_parted(&self, error: &Error) -> bool {
        error.is_full() && !self.is_short && self.staged > 1
    }

    /// The plea of the first job that wrote something.
    pub fn first<'a>(&self, jobs: &'a mut [Job]) -> &'a mut Option<Rc<Pleading>> {
        let first = self.results.iter().position(|result| matches!(result, Ok(Done::Committed(_))));
        &mut jobs[first.expect("BUG: what is staged has a job")].plea
    }

    /// Another commit is staged, whose record names these runs.
    fn add(&mut self, lsn: Lsn, runs: Vec<Rc<UnnamedRun>>, (durability, room): (Durability, Room)) {
        runs.iter().for_each(|run| run.name_in(&mut self.batch));
        self.runs.extend(runs);
        self.durability = self.durability.max(durability);
        self.room = if room == Room::Takes { room } else { self.room };
        self.results.push(Ok(Done::Committed(lsn)));
        self.staged += 1;
    }
}

/// Fetches blocks for one job of a group. A block that is gone ends its evaluation: the pipeline alone can take in
/// another manifest, once nothing is staged.
struct Evaluating<'a> {
    core: &'a Core,
    loaded: Loaded,
    gone: Cell<Option<BlockReference>>,
}

impl Server<Vec<Need>, Infallible> for Evaluating<'_> {
    fn fetch(&self, needed: Vec<Need>) -> LocalFuture<'_, Result<Fetched>> {
        // Each round brings blocks that the one before did not have, so there are no more rounds than blocks.
        assert!(!self.loaded.has_all(&needed), "BUG: a job asks for blocks that it was given");
        Box::pin(async move {
            let found = self.core.lsm.load(&needed, &self.loaded).await;
            match self.core.note_damage(found)? {
                None => Ok(Fetched::Here),
                Some(reference) => {
                    self.gone.set(Some(reference));
                    Err(gone(reference))
                }
            }
        })
    }

    fn write(&self, what: Infallible) -> LocalFuture<'_, Result<()>> {
        match what {}
    }

    fn pause(&self) -> LocalFuture<'_, ()> {
        unreachable!("BUG: what is evaluated for a commit is one step")
    }
}

impl Core {
    /// Evaluates jobs in order and stages what they write, until one record is full. Jobs without a result wait.
    pub(super) async fn stage(self: &Rc<Core>, jobs: &mut [Job]) -> Stage {
        let is_short = self.lsm.reserve().is_short();
        let mut stage = Stage::new(is_short);
        let most = self.lsm.reserve().commit_in_log_bytes();
        let mut bytes = 0;
        for job in jobs {
            let evaluate = match &mut job.work {
                Work::Commit(evaluate) => evaluate,
                // It comes alone: what is before it is answered first.
                Work::Exclusive(_) if !stage.results.is_empty() => return stage,
                Work::Exclusive(work) => {
                    let work = work.take().expect("BUG: such a job is done once");
                    let answer = self.exclude(work).await;
                    stage.results.push(answer.map(Done::Exclusively));
                    return stage;
                }
            };
            let effects = match self.evaluate(evaluate, job.failed.clone()).await {
                Evaluated::Effects(effects) => effects,
                Evaluated::Failed(error) => {
                    // Rows that were written ahead for an earlier outcome of the job are given up.
                    job.ahead = None;
                    stage.results.push(Err(error));
                    continue;
                }
                Evaluated::Stale(gone) => {
                    stage.stale = Some(gone);
                    return stage;
                }
            };
            if effects.is_empty() {
                stage.results.push(Ok(Done::Nothing));
                continue;
            }
            let size = size(effects.changes());
            // A commit that only deletes frees room, once a compaction comes.
            let room = if effects.only_deletes() { Room::Frees } else { Room::Takes };
            if !stage.may_take(room) || stage.staged > 0 && bytes + size > most {
                return stage;
            }
            if let Err(error) = self.check_room(is_short, room).await {
                stage.results.push(Err(error));
                continue;
            }
            bytes += size;
            let id = job.plea.as_ref().map_or_else(|| self.platform.random(), |plea| plea.id);
            let time = self.platform.now();
            let touches_catalog = effects.touches_catalog();
            let Parts { mut changes, mut runs, story } = effects.into_parts();
            let large = (size > most).then_some(&mut changes);
            match self.ahead(&mut job.ahead, large, &runs, room).await {
                Ok(run) => runs.extend(run),
                // It is evaluated again, and takes the reserve.
                Err(error) if error.is_full() && room == Room::Frees && !is_short => return stage,
                Err(error) => {
                    stage.results.push(Err(error));
                    continue;
                }
            }
            let (changes, named) = (changes.into_iter().collect(), runs.iter().map(|run| (*run.description).clone()));
            let commit = Commit { id, time, changes, runs: named.collect(), unsent: false, touches_catalog };
            let lsn = self.put_on_stage(commit, story);
            stage.add(lsn, runs, (job.durability, room));
        }
        stage
    }

    /// From here on the commit's LSN is known, and the door tells with it what has passed.
    fn put_on_stage(&self, commit: Commit, story: Story) -> Lsn {
        let id = commit.id;
        self.lsm.with_mut(|state| {
            let lsn = state.stage(commit);
            story.tell(id, lsn, TreeView::new(&state.tree, &Loaded::default()));
            lsn
        })
    }

    /// Evaluates a job on what stands before its commit.
    async fn evaluate(&self, evaluate: &mut Evaluate, failed: Option<Error>) -> Evaluated {
        if let Some(error) = failed {
            return Evaluated::Failed(error);
        }
        let evaluating = Evaluating { core: self, loaded: Loaded::default(), gone: Cell::default() };
        let mut effects = None;
        let mut step = || {
            let tried = self.lsm.with(|state| {
                let view = TreeView::new(&state.tree, &evaluating.loaded);
                evaluate(&Present { view, state, at: Lsn(state.next().0 - 1) })
            });
            self.note_damage(step_of(tried.map(|made| {
                effects = Some(made);
                Step::Done
            })))
        };
        let ended = drive::drive(&evaluating, &mut step).await;
        match (evaluating.gone.get(), ended) {
            (Some(gone), _) => Evaluated::Stale(gone),
            (None, Err(error)) => Evaluated::Failed(error),
            (None, Ok(())) => Evaluated::Effects(effects.expect("BUG: the last step has effects")),
        }
    }

    /// Writes the rows of a large commit ahead, once the runs that it brings are known to be its own.
    async fn ahead(
        &self,
        ahead: &mut Option<Ahead>,
        large: Option<&mut Vec<Change>>,
        runs: &[Rc<UnnamedRun>],
        room: Room,
    ) -> Result<Option<Rc<UnnamedRun>>> {
        check_own(runs).await?;
        match large {
            Some(changes) => self.write_ahead(ahead, std::mem::take(changes), room).await.map(Some),
            None => Ok(None),
        }
    }

    /// Where room is short, a commit that takes some waits until there is as much as is kept for those that free some.
    async fn check_room(&self, is_short: bool, room: Room) -> Result<()> {
        if !is_short || room != Room::Takes {
            return Ok(());
        }
        let made = self.lsm.reserve().make().await;
        made.inspect_err(|error| self.lsm.reserve().note_full(error))
    }

    async fn exclude(self: &Rc<Core>, work: Exclusive) -> Result<bool> {
        match work {
            Exclusive::Refresh => self.look_at_log().await,
            Exclusive::Install(installation) => self.swap(*installation).await,
            Exclusive::Plead(id) => self.plead(id).await.map(|()| true),
        }
    }
}

/// Runs that a commit's evaluation brings must still be its writer's own.
async fn check_own(runs: &[Rc<UnnamedRun>]) -> Result<()> {
    for run in runs {
        run.check_own().await?;
    }
    Ok(())
}
