//! What a group of jobs is to write: each is evaluated on what those before it wrote, and staged.

use std::rc::Rc;

use super::Core;
use super::job::{Effects, Evaluate, Exclusive, Job, Pleading, Present, Work, size};
use super::pump::{Answer, Done};
use crate::engine::catalog;
use crate::error::{Error, Result};
use crate::lsm::{BlockReference, Commit, Fault, Loaded, TreeView, UnnamedRun};
use crate::storage::{Batch, Durability};
use crate::types::{Lsn, limits};

enum Evaluated {
    Effects(Effects),
    Failed(Error),
    /// A block is gone: the manifest may be old.
    Stale(BlockReference),
}

/// What of a group is staged.
pub(super) struct Stage {
    pub results: Vec<Answer>,
    pub staged: usize,
    pub durability: Durability,
    pub batch: Batch,
    /// The runs that the commits name.
    pub runs: Vec<Rc<UnnamedRun>>,
    pub stale: Option<BlockReference>,
}

impl Stage {
    /// The plea of the first job that wrote something.
    pub fn first<'a>(&self, jobs: &'a mut [Job]) -> &'a mut Option<Rc<Pleading>> {
        let first = self.results.iter().position(|result| matches!(result, Ok(Done::Committed(_))));
        &mut jobs[first.expect("BUG: what is staged has a job")].plea
    }

    /// The commit's record names these runs.
    fn name(&mut self, runs: Vec<Rc<UnnamedRun>>) {
        runs.iter().for_each(|run| run.name_in(&mut self.batch));
        self.runs.extend(runs);
    }
}

impl Core {
    /// Evaluates jobs in order and stages what they write, until one record is full. Jobs without a result wait.
    pub(super) async fn stage(self: &Rc<Core>, jobs: &mut [Job]) -> Stage {
        let (durability, batch) = (Durability::Relaxed, Batch::default());
        let mut stage = Stage { results: Vec::new(), staged: 0, durability, batch, runs: Vec::new(), stale: None };
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
            let evaluated = match job.failed.clone() {
                Some(error) => Evaluated::Failed(error),
                None => self.evaluate(evaluate).await,
            };
            let Effects { changes, mut runs } = match evaluated {
                Evaluated::Effects(effects) => effects,
                Evaluated::Failed(error) => {
                    // What was written ahead for another outcome than this one is given up.
                    job.ahead = None;
                    stage.results.push(Err(error));
                    continue;
                }
                Evaluated::Stale(gone) => {
                    stage.stale = Some(gone);
                    return stage;
                }
            };
            if changes.is_empty() && runs.is_empty() {
                stage.results.push(Ok(Done::Nothing));
                continue;
            }
            let size = size(&changes);
            if stage.staged > 0 && bytes + size > limits::COMMIT_IN_LOG_BYTES {
                return stage;
            }
            bytes += size;
            let id = job.plea.as_ref().map_or_else(|| self.platform.random(), |plea| plea.id);
            let time = self.platform.now();
            let touches_catalog = catalog::touches(&changes, &runs);
            let mut commit = Commit { id, time, changes, runs: Vec::new(), unsent: false, touches_catalog };
            let ahead = match check_own(&runs).await {
                Ok(()) if size > limits::COMMIT_IN_LOG_BYTES => {
                    self.write_ahead(&mut job.ahead, std::mem::take(&mut commit.changes)).await.map(Some)
                }
                checked => checked.map(|()| None),
            };
            match ahead {
                Ok(run) => runs.extend(run),
                Err(error) => {
                    stage.results.push(Err(error));
                    continue;
                }
            }
            commit.runs = runs.iter().map(|run| (*run.description).clone()).collect();
            stage.name(runs);
            stage.durability = stage.durability.max(job.durability);
            let lsn = self.lsm.with_mut(|state| state.stage(commit));
            stage.results.push(Ok(Done::Committed(lsn)));
            stage.staged += 1;
        }
        stage
    }

    async fn evaluate(self: &Rc<Core>, evaluate: &mut Evaluate) -> Evaluated {
        let loaded = Loaded::default();
        loop {
            let attempt = self.lsm.with(|state| {
                let view = TreeView { tree: &state.tree, loaded: &loaded };
                evaluate(&Present { view, state, at: Lsn(state.next().0 - 1) })
            });
            let needed = match attempt {
                Ok(effects) => return Evaluated::Effects(effects),
                Err(Fault::Error(error)) => {
                    let _ = self.note_damage::<()>(Err(error.clone()));
                    return Evaluated::Failed(error);
                }
                Err(Fault::Need(needed)) => needed,
                Err(Fault::Pause) => unreachable!("BUG: what is evaluated for a commit is one step"),
            };
            // Each round brings blocks that the one before did not have, so there are no more rounds than blocks.
            assert!(!loaded.has_all(&needed), "BUG: a job asks for blocks that it was given");
            let found = self.lsm.load(&needed, &loaded).await;
            match self.note_damage(found) {
                Ok(None) => {}
                Ok(Some(gone)) => return Evaluated::Stale(gone),
                Err(error) => return Evaluated::Failed(error),
            }
        }
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
