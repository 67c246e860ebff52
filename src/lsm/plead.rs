//! Appending a plea (`plea.rs`).

use super::store::Lsm;
use super::{plea, record};
use crate::error::Result;
use crate::storage::Batch;

impl Lsm {
    /// Appends a plea for the commit `id`, and takes in what stands before it.
    pub async fn plead(&self, id: u64) -> Result<()> {
        let store = self.with(|state| state.manifest.store);
        let (body, hash) = plea::record_of(store, id).encode();
        let append = record::split(&body, hash, self.storage().record_bytes());
        self.storage().write(Batch { append, ..Batch::default() }).await?;
        self.refresh().await.map(drop)
    }
}
