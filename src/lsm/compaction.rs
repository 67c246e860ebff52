//! Merging runs into one, without the versions that nobody reads. Tiered: runs of about the same size are merged when
//! there are enough of them, so that a version is rewritten as often as its size has been multiplied.

use std::rc::Rc;

use super::cursor::{RowRange, VersionCursor};
use super::fault::Attempt;
use super::feed::Chunks;
use super::install::Installation;
use super::run::RunDescription;
use super::store::Lsm;
use super::tree::TreeView;
use super::unnamed::{NewRun, UnnamedRun};
use super::vacuum::{Retention, Vacuum};
use crate::error::Result;
use crate::planted::{self, Bug};
use crate::types::row::{split_internal, split_row};
use crate::types::{Bytes, LayerId, SortedBytes, Version};

/// So many runs of about one size are merged.
const FAN_IN: usize = 4;
/// Runs up to here count as of one size; above it, sizes are told apart by factors of `FAN_IN`.
const SMALL_BYTES: u64 = 4 * 1024 * 1024;
/// What is worked through between two pauses.
const SLICE_VERSIONS: usize = 2000;

/// The runs to merge next: the smallest tier that is full.
pub fn choose(runs: &[Rc<RunDescription>]) -> Vec<Rc<RunDescription>> {
    let tier = |run: &RunDescription| {
        let mut tier = 0;
        let mut bytes = run.bytes / SMALL_BYTES;
        while bytes > 0 {
            tier += 1;
            bytes /= FAN_IN as u64;
        }
        tier
    };
    let mut tiers: Vec<Vec<Rc<RunDescription>>> = Vec::new();
    for run in runs {
        let tier = tier(run);
        if tiers.len() <= tier {
            tiers.resize(tier + 1, Vec::new());
        }
        tiers[tier].push(run.clone());
    }
    tiers.into_iter().find(|tier| tier.len() >= FAN_IN).unwrap_or_default()
}

/// What a compaction did.
#[derive(Clone, Copy, Default, Debug)]
pub struct Compacted {
    pub kept: u64,
    pub dropped: u64,
}

impl Lsm {
    /// Merges `inputs` into a new run and gives the manifest that names it in their place.
    pub async fn compact(
        &self,
        inputs: &[Rc<RunDescription>],
        retention: &Retention,
        ids: [u64; 2],
        now: u64,
    ) -> Result<(Installation, Compacted)> {
        let is_input = |id: u64| inputs.iter().any(|run| run.id == id);
        let mut manifest = self.with(|state| state.manifest.clone());
        if let Some(run) = inputs.iter().find(|input| manifest.runs.iter().all(|run| run.id != input.id)) {
            // Since the inputs were chosen another tab has merged them, and what they hold stands in another run.
            return Err(super::store::gone(run.root()));
        }
        let others: Vec<_> = manifest.runs.iter().filter(|run| !is_input(run.id)).cloned().collect();
        let feed = self.write_feeds(inputs, retention, ids[1], now).await?;
        let mut merge = Merge::new(inputs, retention, &others, NewRun::begin(self, ids[0], now));
        while self.merge_slice(&mut merge).await? {
            merge.written.flush().await?;
        }
        let compacted = Compacted { kept: merge.kept, dropped: merge.vacuum.dropped };
        let written = merge.written.finish().await?;
        manifest.runs = others.clone();
        let mut installation = Installation::new(manifest);
        written.into_iter().chain(feed).for_each(|run| installation.name(run));
        inputs.iter().for_each(|run| installation.drop_run(run.id));
        Ok((installation, compacted))
    }

    /// Works through some versions. False: there are no more.
    async fn merge_slice(&self, merge: &mut Merge<'_>) -> Result<bool> {
        let mut has_more = false;
        let mut step = |view: TreeView<'_>| {
            has_more = merge.step(view)?;
            Ok(())
        };
        self.attempt(&mut step).await?;
        Ok(has_more)
    }

    /// A run that a commit wrote ahead is its own feed; before it is merged into others, the feed's rows are written.
    async fn write_feeds(
        &self,
        inputs: &[Rc<RunDescription>],
        retention: &Retention,
        id: u64,
        now: u64,
    ) -> Result<Option<Rc<UnnamedRun>>> {
        let mut rows = SortedBytes::default();
        for run in inputs.iter().filter(|run| run.fixed().is_some_and(|lsn| lsn > retention.floor)) {
            let mut listing = Listing { run: run.clone(), resume: Vec::new(), chunks: Vec::new() };
            while self.list_slice(&mut listing).await? {}
            for row in listing.chunks.into_iter().flat_map(Chunks::finish) {
                rows.insert(row.internal, row.version);
            }
        }
        let mut written = NewRun::begin(self, id, now);
        for (internal, version) in rows {
            written.push(&internal, &version).await?;
        }
        written.finish().await
    }

    async fn list_slice(&self, listing: &mut Listing) -> Result<bool> {
        let mut has_more = false;
        let mut step = |view: TreeView<'_>| {
            has_more = listing.step(view)?;
            Ok(())
        };
        self.attempt(&mut step).await?;
        Ok(has_more)
    }
}

/// All internal keys from `from` on.
fn rest(from: &[u8]) -> RowRange {
    RowRange { from: from.to_vec(), before: vec![0xff; 9] }
}

struct Merge<'a> {
    inputs: &'a [Rc<RunDescription>],
    vacuum: Vacuum<'a>,
    written: NewRun,
    resume: Vec<u8>,
    kept: u64,
}

impl<'a> Merge<'a> {
    fn new(
        inputs: &'a [Rc<RunDescription>],
        retention: &'a Retention,
        others: &'a [Rc<RunDescription>],
        written: NewRun,
    ) -> Merge<'a> {
        let vacuum = Vacuum::new(retention, others);
        Merge { inputs, vacuum, written, resume: Vec::new(), kept: 0 }
    }

    /// Each version is taken for good once it is past: a missing block ends the step where the next one begins.
    fn step(&mut self, view: TreeView<'_>) -> Attempt<bool> {
        let Merge { inputs, vacuum, written, resume, kept } = self;
        let writer = written.writer();
        let mut cursor = VersionCursor::new(view, inputs, &rest(resume));
        let mut keep = |internal: &[u8], version: &Bytes, is_pinned: bool| -> Attempt<()> {
            *kept += 1;
            let pushed = if is_pinned { writer.push_pinned(internal, version) } else { writer.push(internal, version) };
            Ok(pushed?)
        };
        for _ in 0..SLICE_VERSIONS {
            let Some((internal, encoded)) = cursor.next_version()? else {
                vacuum.finish(&mut keep)?;
                return Ok(false);
            };
            // What is stored apart in an input is brought here: the new run stores it apart itself.
            let found = view.whole(split_internal(&internal).1, &encoded)?;
            let whole = match Version::decode(&encoded) {
                Some(version) if version.overflow().is_some() => found.version.encode().into(),
                _ => encoded,
            };
            let whole = match planted::is(Bug::BaseLostAtCompaction) {
                true => found.version.based_on(None).encode().into(),
                false => whole,
            };
            vacuum.push(&internal, &whole, &mut keep)?;
            *resume = internal;
            resume.push(0);
        }
        Ok(true)
    }
}

/// Lists the keys of a run that a commit wrote ahead.
struct Listing {
    run: Rc<RunDescription>,
    resume: Vec<u8>,
    chunks: Vec<Chunks>,
}

impl Listing {
    fn step(&mut self, view: TreeView<'_>) -> Attempt<bool> {
        let lsn = self.run.fixed().expect("BUG: only such runs are listed");
        let runs = [self.run.clone()];
        let mut cursor = VersionCursor::new(view, &runs, &rest(&self.resume));
        for _ in 0..SLICE_VERSIONS {
            let Some((internal, _)) = cursor.next_version()? else { return Ok(false) };
            let (row, _) = split_internal(&internal);
            let (layer, suffix) = split_row(row);
            if layer != LayerId::CATALOG {
                if self.chunks.last().is_none_or(|chunks| chunks.layer() != layer) {
                    self.chunks.push(Chunks::of_run(self.run.id, layer, lsn));
                }
                self.chunks.last_mut().expect("BUG: just pushed").push(suffix);
            }
            self.resume = internal;
            self.resume.push(0);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsm::run::RunWriter;
    use crate::types::Lsn;
    use crate::types::row::push_lsn;

    fn run(id: u64, bytes: u64) -> Rc<RunDescription> {
        let mut writer = RunWriter::new(id);
        let mut internal = vec![0; 12];
        push_lsn(&mut internal, Lsn(1));
        writer.push(&internal, &Version::value(vec![]).encode()).unwrap();
        Rc::new(RunDescription { bytes, ..writer.finish().0 })
    }

    #[test]
    fn runs_are_merged_when_there_are_enough_of_one_size() {
        const MIB: u64 = 1024 * 1024;
        let sizes = |runs: &[u64]| {
            let runs: Vec<_> = runs.iter().zip(1..).map(|(bytes, id)| run(id, bytes * MIB)).collect();
            choose(&runs).iter().map(|run| run.bytes / MIB).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&[1, 2, 3]), [0; 0]);
        assert_eq!(sizes(&[1, 2, 3, 100, 1]), [1, 2, 3, 1]);
        assert_eq!(sizes(&[5, 6, 7, 1, 15, 1]), [5, 6, 7, 15]);
        assert_eq!(sizes(&[5, 20, 80, 320]), [0; 0]);
    }
}
