//! The planted bug `HalfRecordTakenForWhole`: a record of several parts is written as two records.

use super::changes::Changes;
use super::record::{self, Record};
use super::state::State;
use super::store::{Lsm, Sought, Written};
use crate::error::Result;
use crate::storage::Batch;

impl Lsm {
    /// Writes half of the rows in each record.
    pub(super) async fn write_halves(&self, mut record: Record, batch: Batch) -> Result<Written> {
        let mut rest = record.clone();
        for (first, rest) in record.commits.iter_mut().zip(&mut rest.commits) {
            let all: Vec<_> = rest.changes.iter().collect();
            let (one, other) = all.split_at(all.len().div_ceil(2));
            first.changes = Changes::of(one);
            rest.changes = Changes::of(other);
        }
        self.with_mut(State::unstage);
        let record_bytes = self.storage().record_bytes();
        let (body, hash) = record.encode();
        let last = Some(self.with(|state| state.log_head().number));
        let first = Batch { append: record::split(&body, hash, record_bytes), last, ..batch };
        if self.storage().write(first).await?.is_written() {
            rest.previous = hash;
            let (body, hash) = rest.encode();
            let second = Batch { append: record::split(&body, hash, record_bytes), ..Batch::default() };
            self.storage().write(second).await?;
        }
        self.refresh().await?;
        let is_there = self.seek_commit(record.commits[0].id, record.first()) == Sought::There;
        Ok(if is_there { Written::Complete(self.head()) } else { Written::Collided })
    }
}
