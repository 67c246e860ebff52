//! Finding out if a commit whose append failed counts.

use super::record::Commit;
use super::reserve::Room;
use super::state::State;
use super::store::{Lsm, Sought};
use crate::error::Result;
use crate::storage::{Batch, Durability};
use crate::types::Lsn;

/// How often the LSN of a commit whose outcome is unknown may be taken by nobody.
const TRIES: u32 = 4;

impl Lsm {
    /// Looks for the commit `id`, which counts under `lsn` or not at all. Refresh first.
    pub fn seek_commit(&self, id: u64, lsn: Lsn) -> Sought {
        self.with(|state| {
            if state.head < lsn {
                return Sought::NotYet;
            }
            let noted = state.notes.iter().find(|note| note.lsn == lsn).map(|note| note.id);
            let trimmed = || state.manifest.trimmed.iter().find(|(_, other)| *other == lsn.0).map(|(id, _)| *id);
            match noted.or_else(trimmed) {
                Some(found) if found == id => Sought::There,
                Some(_) => Sought::Void,
                None => Sought::Forgotten,
            }
        })
    }

    /// As `seek_commit`, for certain where it can be: if nobody has the LSN, a commit that changes nothing takes it.
    pub async fn decide_commit(&self, id: u64, lsn: Lsn, filler: Commit) -> Result<Sought> {
        for _ in 0..TRIES {
            self.refresh().await?;
            let sought = self.seek_commit(id, lsn);
            if sought != Sought::NotYet {
                return Ok(sought);
            }
            self.with_mut(|state| state.stage(filler.clone()));
            let written = self.write_staged(Durability::Relaxed, Batch::default(), Room::Takes).await;
            // A record that failed is not staged any more, and may still come: then it takes the LSN all the same.
            self.with_mut(State::unstage);
            written?;
        }
        Ok(self.seek_commit(id, lsn))
    }
}
