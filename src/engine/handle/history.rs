//! Going back: which LSN a time names, and a database as it was then.

use std::rc::Rc;

use super::snapshot::Snapshot;
use crate::engine::catalog;
use crate::engine::rows::path::Path;
use crate::engine::store::database::Database;
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Attempt, RowCursor, State, TreeView, decode_feed, feed_range};
use crate::types::{LayerId, Lsn};

/// A point of a store's history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    Version(Lsn),
    /// Milliseconds since 1970.
    Time(u64),
}

/// A point older than what history still holds.
pub fn pruned(state: &State) -> Error {
    let oldest = state.manifest.floor();
    Error::new(ErrorCode::HistoryPruned, format!("history that old is gone. oldest={oldest}"))
        .with_text("oldest", oldest.to_text())
}

impl Database {
    /// The LSN that `when` names: of a time, the greatest whose commit is not after it.
    pub(in crate::engine) async fn resolve(self: &Rc<Database>, when: When) -> Result<Lsn> {
        match when {
            When::Version(lsn) => {
                if lsn > self.store.head() {
                    self.store.refresh().await?;
                }
                if lsn > self.store.head() {
                    let message = format!("the store has no such version yet. version={}", lsn.to_text());
                    return Err(Error::new(ErrorCode::InvalidOption, message));
                }
                Ok(lsn)
            }
            When::Time(time) => self.store.read(|state, view| find_time(state, view, time)).await,
        }
    }

    /// The database as it was. Before it was made, it reads as empty (SEMANTICS R6).
    pub async fn at(self: &Rc<Database>, when: When) -> Result<Snapshot> {
        self.check_open()?;
        let lsn = self.resolve(when).await?;
        let path = self
            .store
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
            Some(path) => Snapshot::new(self.store.clone(), path, false),
            None => Snapshot::before_creation(self.store.clone(), Path::nowhere(), lsn),
        })
    }
}

/// Times need not rise with LSNs: from the newest commit back, the first that is not after `time` is the greatest.
pub fn find_time(state: &State, view: TreeView<'_>, time: u64) -> Attempt<Lsn> {
    if let Some(note) = state.notes.iter().rev().find(|note| note.time <= time) {
        return Ok(note.lsn);
    }
    let (floor, checkpoint) = (state.manifest.floor(), state.manifest.checkpoint());
    let range = feed_range(LayerId::CATALOG, floor, checkpoint.next());
    let mut cursor = RowCursor::new(view, &range, Lsn::MAX, true);
    while let Some(row) = cursor.next_row()? {
        let (lsn, written) = decode_feed(&row.row, &row.found(view)?.version)?;
        if written.time <= time {
            return Ok(lsn);
        }
    }
    if floor == Lsn::ZERO { Ok(Lsn::ZERO) } else { Err(pruned(state).into()) }
}
