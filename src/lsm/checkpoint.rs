//! Moving the log into a run. Blocks are written first, in small transactions (`unnamed.rs`); then the manifest is
//! swapped in one small transaction that also trims the log.

use std::rc::Rc;

use super::feed;
use super::install::Installation;
use super::manifest::Manifest;
use super::run::RunDescription;
use super::store::Lsm;
use super::times::Earliest;
use super::unnamed::NewRun;
use crate::error::Result;
use crate::types::row::split_internal;
use crate::types::{Lsn, SortedBytes};

/// Everything that a checkpoint moves, taken in one look at the state.
struct Moved {
    manifest: Manifest,
    up_to: Lsn,
    hash: u64,
    time: u64,
    earliest: Earliest,
    versions: SortedBytes,
    ahead: Vec<Rc<RunDescription>>,
    ids: Vec<(u64, u64)>,
    number: u64,
}

impl Lsm {
    /// Writes the log's versions as a run and gives the manifest that names it; `None`: the log is empty.
    pub async fn checkpoint(&self, run: u64, now: u64) -> Result<Option<Installation>> {
        let Some(mut moved) = self.moved() else { return Ok(None) };
        let mut written = NewRun::begin(self, run, now);
        for (internal, version) in std::mem::take(&mut moved.versions) {
            written.push(&internal, &version).await?;
        }
        let written = written.finish().await?;
        let mut manifest = moved.manifest.clone();
        manifest.runs.extend(moved.ahead);
        manifest.checkpoint = moved.up_to.0;
        manifest.hash = moved.hash;
        manifest.time = moved.time;
        manifest.earliest = moved.earliest;
        manifest.remember(moved.ids.into_iter());
        let mut installation = Installation::between(moved.manifest, manifest);
        installation.trim(moved.number);
        installation.keeps_rows();
        written.into_iter().for_each(|run| installation.name(run));
        Ok(Some(installation))
    }

    fn moved(&self) -> Option<Moved> {
        self.with(|state| {
            let last = state.records.last()?;
            let logged = state.tree.memtable.iter().filter(|(internal, _)| split_internal(internal).1 <= state.head);
            let mut versions = SortedBytes::default();
            for (internal, version) in logged {
                versions.insert(internal.clone(), version.clone());
            }
            let mut earliest = state.manifest.earliest.clone();
            for row in feed::rows_of(&state.notes, &mut earliest) {
                versions.insert(row.internal, row.version);
            }
            Some(Moved {
                manifest: state.manifest.clone(),
                up_to: state.head,
                hash: last.hash,
                time: state.notes.last().map_or(0, |note| note.time),
                earliest,
                versions,
                ahead: state.notes.iter().flat_map(|note| note.runs.iter().cloned()).collect(),
                ids: state.notes.iter().map(|note| (note.id, note.lsn.0)).collect(),
                number: last.number,
            })
        })
    }
}
