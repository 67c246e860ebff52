//! Serves the steps of work inside the map, a merge of runs for one. Whoever does such work pauses by itself, for the
//! map has no clock.

use std::convert::Infallible;

use super::fault::{Attempt, Fault, Need};
use super::store::{Lsm, gone};
use super::tree::{Loaded, TreeView};
use crate::drive::{self, Fetched, Server, Step};
use crate::error::Result;
use crate::planted::{self, Bug};
use crate::storage::LocalFuture;

/// The answer of a step of reading to the loop that drives it.
pub type ReadStep = Step<Vec<Need>, Infallible>;

/// Turns an attempt into a step: the blocks that it lacks are asked for, and an error ends the work.
pub fn step_of(attempt: Attempt<ReadStep>) -> Result<ReadStep> {
    match attempt {
        Ok(step) => Ok(step),
        Err(Fault::Need(needed)) => Ok(Step::Need(needed)),
        Err(Fault::Pause) => Ok(Step::Pause),
        Err(Fault::Error(error)) => Err(error),
    }
}

/// Blocks go into `loaded`. One that is gone ends the work: the block is lost, or another tab has compacted its run.
struct Fetching<'a> {
    lsm: &'a Lsm,
    loaded: &'a Loaded,
}

impl Server<Vec<Need>, Infallible> for Fetching<'_> {
    fn fetch(&self, needed: Vec<Need>) -> LocalFuture<'_, Result<Fetched>> {
        Box::pin(async move {
            match self.lsm.load(&needed, self.loaded).await? {
                Some(reference) => {
                    if !planted::is(Bug::LossNotToldByMerge) {
                        self.lsm.check_lost(reference).await?;
                    }
                    Err(gone(reference))
                }
                None => Ok(Fetched::Here),
            }
        })
    }

    fn write(&self, what: Infallible) -> LocalFuture<'_, Result<()>> {
        match what {}
    }

    fn pause(&self) -> LocalFuture<'_, ()> {
        self.loaded.let_go();
        Box::pin(async {})
    }
}

impl Lsm {
    /// Makes an attempt until it has what it needs.
    pub(super) async fn attempt(&self, attempt: &mut dyn FnMut(TreeView<'_>) -> Attempt<()>) -> Result<()> {
        let loaded = Loaded::default();
        let mut step = || {
            let done = self.with(|state| attempt(TreeView::new(&state.tree, &loaded)));
            step_of(done.map(|()| Step::Done))
        };
        drive::drive(&Fetching { lsm: self, loaded: &loaded }, &mut step).await
    }
}
