//! Going back: which LSN a time names, and a database as it was then.

use std::rc::Rc;

use super::Handle;
use super::snapshot::{Pinned, pruned};
use crate::engine::catalog;
use crate::engine::rows::path::Path;
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Attempt, State, TreeView, newest_until};
use crate::types::Lsn;

/// A point of a store's history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    Version(Lsn),
    /// Milliseconds since 1970.
    Time(u64),
}

impl Handle {
    /// The LSN that `when` names: of a time, the greatest whose commit is not after it.
    pub async fn resolve(self: &Rc<Handle>, when: When) -> Result<Lsn> {
        match when {
            When::Version(lsn) => {
                if lsn > self.core.head() {
                    self.core.refresh().await?;
                }
                if lsn > self.core.head() {
                    let message = format!("the store has no such version yet. version={}", lsn.to_text());
                    return Err(Error::new(ErrorCode::InvalidOption, message));
                }
                Ok(lsn)
            }
            When::Time(time) => self.core.read(|state, view| find_time(state, view, time)).await,
        }
    }

    /// The database as it was. Before it was made, it reads as empty (SEMANTICS R6).
    pub async fn at(self: &Rc<Handle>, when: When) -> Result<Pinned> {
        self.check_open()?;
        let lsn = self.resolve(when).await?;
        let path = self
            .core
            .read(|state, view| {
                self.entry(view, state.head)?;
                if lsn < state.manifest.floor() {
                    return Err(pruned(state).into());
                }
                let then = catalog::find(view, self.name(), lsn)?.filter(|entry| self.is_own(entry));
                then.map(|entry| Path::from_entry(view, entry, lsn)).transpose()
            })
            .await?;
        Ok(match path {
            Some(path) => Pinned::new(self.core.clone(), path, false),
            None => Pinned::before_creation(self.core.clone(), Path::nowhere(), lsn),
        })
    }
}

/// Times need not rise with LSNs: from the newest commit back, the first that is not after `time` is the greatest.
pub fn find_time(state: &State, view: TreeView<'_>, time: u64) -> Attempt<Lsn> {
    if let Some(note) = state.notes.iter().rev().find(|note| note.time <= time) {
        return Ok(note.lsn);
    }
    let (floor, checkpoint) = (state.manifest.floor(), state.manifest.checkpoint());
    match newest_until(view, time, floor, checkpoint)? {
        Some(lsn) => Ok(lsn),
        None if floor == Lsn::ZERO => Ok(Lsn::ZERO),
        None => Err(pruned(state).into()),
    }
}
