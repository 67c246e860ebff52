//! Reads of the engine: rows in memory are read at once, and all others by steps that the one loop (`drive/`) serves.

use std::convert::Infallible;
use std::rc::Rc;

use super::Core;
use crate::drive::{self, Fetched, Server, Step};
use crate::error::{ErrorCode, Result};
use crate::lsm::{
    Attempt, BlockReference, Fault, GivenUp, Loaded, Need, PORTION_BYTES, ReadStep, State, TreeView, step_of,
};
use crate::storage::LocalFuture;

/// A function of a view. It is called again after the blocks that it needed were fetched.
pub type Read<'a> = dyn FnMut(&State, TreeView<'_>) -> Attempt<()> + 'a;

/// One step of a long read, which keeps its own position.
pub type LongRead<'a> = dyn FnMut(&State, TreeView<'_>) -> Attempt<ReadStep> + 'a;

/// Fetches blocks for one read.
struct Reading<'a> {
    core: &'a Rc<Core>,
    loaded: Loaded,
    /// Blocks that cannot be read, for a read that goes around them.
    around: Option<&'a Rc<GivenUp>>,
}

impl Server<Vec<Need>, Infallible> for Reading<'_> {
    fn fetch(&self, needed: Vec<Need>) -> LocalFuture<'_, Result<Fetched>> {
        Box::pin(async move {
            let found = self.core.lsm.load(&needed, &self.loaded).await;
            let found = if self.around.is_some() { found } else { self.core.note_damage(found) };
            match found? {
                Some(gone) => self.moved(gone).await,
                None => Ok(Fetched::Here),
            }
        })
    }

    fn write(&self, what: Infallible) -> LocalFuture<'_, Result<()>> {
        match what {}
    }

    fn pause(&self) -> LocalFuture<'_, ()> {
        // The next step reads on in the blocks that were fetched ahead.
        if self.loaded.bytes() >= PORTION_BYTES {
            self.loaded.let_go();
        }
        self.core.platform.pause()
    }
}

impl Reading<'_> {
    /// A block was not found. Another tab may have compacted its run, which the present manifest says.
    async fn moved(&self, gone: BlockReference) -> Result<Fetched> {
        // Taking in another manifest is the pipeline's turn; whether the block is lost is asked after it.
        self.core.refresh().await?;
        let lost = self.core.lsm.check_lost(gone).await;
        match (self.core.note_damage(lost), self.around) {
            (Err(error), Some(given_up)) if error.code() == ErrorCode::StorageCorrupt => {
                // The read gets on: it does not ask for this block again.
                given_up.insert(gone.address);
                Ok(Fetched::Here)
            }
            (checked, _) => checked.map(|()| Fetched::Moved),
        }
    }

    fn step(&self, read: &mut LongRead<'_>) -> Result<ReadStep> {
        self.core.check_open()?;
        let tried = self.core.lsm.with(|state| read(state, TreeView::new(&state.tree, &self.loaded)));
        if self.around.is_some_and(|given_up| !given_up.is_empty()) {
            // A read that goes around a block returns no error, so the damage is noted here.
            self.core.is_damaged.set(true);
        }
        self.core.note_damage(step_of(tried))
    }
}

impl Core {
    /// Reads what is in memory now; `None`: more is needed first.
    pub fn read_now<T>(&self, read: impl FnOnce(&State, TreeView<'_>) -> Attempt<T>) -> Option<Result<T>> {
        if let Err(error) = self.check_open() {
            return Some(Err(error));
        }
        let loaded = Loaded::default();
        match self.lsm.with(|state| read(state, TreeView::new(&state.tree, &loaded))) {
            Ok(value) => Some(Ok(value)),
            Err(Fault::Error(error)) => Some(self.note_damage(Err(error))),
            Err(Fault::Need(_) | Fault::Pause) => None,
        }
    }

    /// Reads, fetching what is needed. `read` is asked again after each fetch.
    pub async fn read<T>(self: &Rc<Core>, mut read: impl FnMut(&State, TreeView<'_>) -> Attempt<T>) -> Result<T> {
        let mut found = None;
        let mut read = |state: &State, view: TreeView<'_>| {
            found = Some(read(state, view)?);
            Ok(Step::Done)
        };
        self.read_long(None, &mut read).await?;
        Ok(found.expect("BUG: a read that succeeded has found something"))
    }

    /// As `read`, of work that is done in steps. `step` keeps its position between them, and the last one gives the
    /// result.
    pub async fn read_in_steps<T>(
        self: &Rc<Core>,
        mut step: impl FnMut(&State, TreeView<'_>) -> Attempt<Option<T>>,
    ) -> Result<T> {
        let mut found = None;
        let mut read = |state: &State, view: TreeView<'_>| {
            found = step(state, view)?;
            Ok(if found.is_some() { Step::Done } else { Step::Pause })
        };
        self.read_long(None, &mut read).await?;
        Ok(found.expect("BUG: the last step has found something"))
    }

    /// As `read`, and around blocks that are damaged or gone where that is asked for.
    pub async fn read_around(self: &Rc<Core>, around: Option<&Rc<GivenUp>>, read: &mut Read<'_>) -> Result<()> {
        self.read_long(around, &mut |state, view| read(state, view).map(|()| Step::Done)).await
    }

    /// Takes the steps of a long read, and lets others go first where a step says so. Boxed: `read` is in the module
    /// once for each type that it gives, and this is not.
    pub fn read_long<'a>(
        self: &'a Rc<Core>,
        around: Option<&'a Rc<GivenUp>>,
        read: &'a mut LongRead<'_>,
    ) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            let loaded = around.map_or_else(Loaded::default, |given_up| Loaded::around(given_up.clone()));
            let reading = Reading { core: self, loaded, around };
            drive::drive(&reading, &mut || reading.step(read)).await
        })
    }
}
