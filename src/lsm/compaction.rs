//! Merging runs into a group of runs, without the versions that nobody reads.
//!
//! A merge goes from row to row, in slices. Each slice writes one run, and one swap of the manifest names it and says
//! from which row on the inputs still count; what they hold before that is deleted. So memory and the room that a merge
//! needs are those of one slice, and whoever is interrupted loses one slice:
//!
//! ```text
//! inputs    a........m........z        a........m........z
//! group                           ->   [a......m]
//! inputs count from   a                          m
//! ```

use std::rc::Rc;

use xxhash_rust::xxh64::Xxh64;

use super::block::BlockCursor;
use super::choose::MANY_RUNS;
use super::data_blocks::data_blocks;
use super::fault::{Attempt, BlockReference, Fault};
use super::install::Installation;
use super::manifest::{Manifest, Merging};
use super::range::RowRange;
use super::reserve::Room;
use super::run::{RunDescription, pieces};
use super::store::Lsm;
use super::tree::TreeView;
use super::unnamed::NewRun;
use super::vacuum::{Retention, Vacuum};
use super::versions::VersionCursor;
use crate::error::{Error, ErrorCode, Result};
use crate::planted::{self, Bug};
use crate::storage::{Batch, Space};
use crate::types::row::split_internal;
use crate::types::{Bytes, Lsn, Overflow, Version};

/// A merge has about so many slices.
const SLICES: u64 = 16;
/// A slice writes so much at least.
const SLICE_BYTES: u64 = if planted::HAS_FEW_ROWS { 1024 } else { 2 * 1024 * 1024 };
/// Where that finds no room, so many times less is tried, down to so many bytes.
const SMALLER: u64 = 4;
const LEAST_BYTES: u64 = if planted::HAS_FEW_ROWS { 64 } else { 128 * 1024 };
/// A slice looks at so many times what it may write, where most of that is dropped.
const READ_TIMES: u64 = 4;
/// A step takes so many versions, or so many bytes of them or of pieces of a value stored apart: what it needs is all
/// in memory.
const STEP_VERSIONS: usize = 2000;
const STEP_BYTES: usize = 512 * 1024;
/// Segments deleted in one transaction.
const DELETE: u32 = 256;

impl Merging {
    pub fn of(inputs: &[Rc<RunDescription>], group: u64) -> Merging {
        let bytes = inputs.iter().map(|run| run.bytes).sum::<u64>();
        let slice_bytes = (bytes / SLICES).max(SLICE_BYTES);
        Merging { group, slice_bytes, from: Vec::new(), inputs: inputs.iter().map(|run| run.id).collect() }
    }

    /// The merge as far as the manifest has it by now: another tab may have gone on with it. CONFLICT: the manifest has
    /// another merge. One that replaced it would leave inputs behind of which nobody knows which rows were moved.
    fn as_it_is(&self, manifest: &Manifest) -> Result<Merging> {
        match &manifest.merging {
            None => Ok(self.clone()),
            Some(present) if present.group == self.group => Ok(present.clone()),
            Some(_) => Err(merged_meanwhile()),
        }
    }
}

fn merged_meanwhile() -> Error {
    Error::new(ErrorCode::Conflict, "a run was merged meanwhile")
}

/// The result of one slice of a merge.
pub struct Slice {
    pub installation: Installation,
    pub is_last: bool,
    /// Of each input that goes on: its id, and the first and the end of the segments that nobody reads any more.
    trimmed: Vec<(u64, u32, u32)>,
}

impl Lsm {
    /// The bytes to write at once where a slice of `slice_bytes` has found no room; `None`: slices are as small as they
    /// may be, or there are as many runs as a manifest holds, and each slice adds one.
    pub fn smaller_slice(&self, slice_bytes: u64) -> Option<u64> {
        let has_many_runs = self.with(|state| state.manifest.runs.len() >= MANY_RUNS);
        Some(slice_bytes / SMALLER).filter(|bytes| *bytes >= LEAST_BYTES && !has_many_runs)
    }

    /// The bytes to write at once where slices of `slice_bytes` have found room.
    pub fn larger_slice(&self, merging: &Merging, slice_bytes: u64) -> u64 {
        let has_many_runs = self.with(|state| state.manifest.runs.len() >= MANY_RUNS);
        if has_many_runs { merging.slice_bytes } else { (slice_bytes * SMALLER).min(merging.slice_bytes) }
    }

    /// Merges some rows, about `slice_bytes` of them, and gives the manifest that names them in their new run.
    /// CONFLICT: the inputs are not there, or another tab has begun another merge.
    pub async fn merge_slice(
        &self,
        merging: &Merging,
        (slice_bytes, room): (u64, Room),
        retention: &Retention,
        id: u64,
        now: u64,
    ) -> Result<Slice> {
        let manifest = self.with(|state| state.manifest.clone());
        let merging = &merging.as_it_is(&manifest)?;
        let mut inputs = Vec::new();
        for id in &merging.inputs {
            let found = manifest.runs.iter().find(|run| run.id == *id);
            inputs.push(found.ok_or_else(merged_meanwhile)?.clone());
        }
        let is_input = |run: &RunDescription| merging.inputs.contains(&run.id);
        let others: Vec<_> = manifest.runs.iter().filter(|run| !is_input(run)).cloned().collect();
        let written = NewRun::begin(self, id, now, room);
        let vacuum = Vacuum::new(retention, &others);
        let mut merge = MergeSlice::new(&inputs, (&merging.from, slice_bytes), vacuum, written);
        while self.merge_step(&mut merge).await? {
            merge.written.flush().await?;
        }
        let MergeSlice { written, end, taken, .. } = merge;
        let written = written.finish_in(merging.group).await?;
        let trimmed = match &end {
            Some(end) => self.trimmed(&inputs, end).await?,
            None => Vec::new(),
        };
        let mut installation = Installation::between(manifest.clone(), Manifest { runs: others, ..manifest });
        installation.keeps_rows();
        written.into_iter().for_each(|run| installation.name(run));
        go_on(&mut installation, merging, &inputs, (&taken, &trimmed), end.as_deref());
        let before = |run: &u64| inputs.iter().find(|input| input.id == *run).map_or(0, |input| input.dropped);
        let trimmed = trimmed.into_iter().map(|(run, to)| (run, before(&run), to)).collect();
        Ok(Slice { installation, is_last: end.is_none(), trimmed })
    }

    /// Works through some versions. False: the slice is done.
    async fn merge_step(&self, merge: &mut MergeSlice<'_>) -> Result<bool> {
        let mut has_more = false;
        let mut step = |view: TreeView<'_>| {
            has_more = merge.step(view)?;
            Ok(())
        };
        self.attempt(&mut step).await?;
        Ok(has_more)
    }

    /// Of each input, the first segment that is still read where its rows count from `end` on: that of the block which
    /// holds `end`, or of the first piece of a value that stands apart from the rest of this block's rows.
    ///
    /// ```text
    /// segments   0: piece of a    1: piece of b    2: piece of c    3: block with a, b and c    4: index
    /// end is b   0 goes
    /// ```
    /// A writer sends a block's pieces before the block, and a block before those of later rows. So whatever comes
    /// before belongs to rows before `end`, or to indexes of such rows alone.
    async fn trimmed(&self, inputs: &[Rc<RunDescription>], end: &[u8]) -> Result<Vec<(u64, u32)>> {
        let mut trimmed = Vec::new();
        for run in inputs {
            let range = RowRange { from: run.first.clone(), before: end.to_vec() };
            let mut to = run.dropped;
            let mut look = |view: TreeView<'_>| {
                let Some(block) = data_blocks(view, run, &range, 1, (Lsn::ZERO, true))?.blocks.pop() else {
                    return Ok(());
                };
                to = to.max(block.reference.address.segment().min(first_piece(view, block.reference, end)?));
                Ok(())
            };
            self.attempt(&mut look).await?;
            trimmed.push((run.id, to));
        }
        Ok(trimmed)
    }

    /// Deletes the segments of rows that were moved from the inputs, once the slice is installed. Segments that are not
    /// deleted here are deleted with the rest of their run.
    pub async fn delete_moved(&self, slice: &[(u64, u32, u32)]) -> Result<()> {
        for (run, from, to) in slice {
            for start in (*from..*to).step_by(DELETE as usize) {
                let segments = start..(*to).min(start + DELETE);
                let name = |segment| super::fault::BlockAddress::new(*run, segment, 0).name();
                let delete = segments.map(|segment| (Space::Blocks, name(segment))).collect();
                self.storage().write(Batch { delete, ..Batch::default() }).await?;
            }
        }
        Ok(())
    }
}

/// The segment of the first piece that a block's rows from `end` on refer to.
fn first_piece(view: TreeView<'_>, block: BlockReference, end: &[u8]) -> Attempt<u32> {
    let mut rows = BlockCursor::seek(view.block(block)?, end)?;
    while rows.key().is_some() {
        if let Some(overflow) = Version::decode(&rows.value()).and_then(|version| version.overflow()) {
            return Ok(overflow.first);
        }
        rows.advance()?;
    }
    Ok(u32::MAX)
}

impl Slice {
    /// The installation of the slice, and the segments to delete once it is installed.
    pub fn take(self) -> (Installation, Vec<(u64, u32, u32)>) {
        (self.installation, self.trimmed)
    }
}

/// Puts the rest of the inputs into the next manifest.
fn go_on(
    installation: &mut Installation,
    merging: &Merging,
    inputs: &[Rc<RunDescription>],
    (taken, trimmed): (&[u64], &[(u64, u32)]),
    end: Option<&[u8]>,
) {
    let mut left = Vec::new();
    for (index, run) in inputs.iter().enumerate() {
        let rest = end.filter(|end| *end <= &run.last[..] && taken[index] < run.entries);
        match rest {
            Some(end) => left.push(Rc::new(run.without(taken[index], end, trimmed[index].1))),
            None => installation.drop_run(run.id),
        }
    }
    let next = |from: &[u8]| Merging {
        from: from.to_vec(),
        inputs: left.iter().map(|run| run.id).collect(),
        ..merging.clone()
    };
    installation.go_on_with(end.filter(|_| !left.is_empty()).map(next), left.clone());
}

/// All internal keys from `from` on.
fn rest(from: &[u8]) -> RowRange {
    RowRange { from: from.to_vec(), before: vec![0xff; 9] }
}

/// A value stored apart, on its way from one run to the other.
struct Moving {
    internal: Vec<u8>,
    version: Version,
    is_pinned: bool,
    from: Overflow,
    first: u32,
    done: u32,
    hasher: Xxh64,
}

/// One slice of a merge, with its position.
struct MergeSlice<'a> {
    inputs: &'a [Rc<RunDescription>],
    vacuum: Vacuum<'a>,
    written: NewRun,
    slice_bytes: u64,
    /// The last row that was looked at: all its versions are of one slice.
    row: Vec<u8>,
    /// The internal key to go on from.
    resume: Vec<u8>,
    read_bytes: u64,
    /// How many versions were taken from each input.
    taken: Vec<u64>,
    moving: Option<Moving>,
    /// The row that the next slice begins with.
    end: Option<Vec<u8>>,
}

impl<'a> MergeSlice<'a> {
    fn new(
        inputs: &'a [Rc<RunDescription>],
        (from, slice_bytes): (&[u8], u64),
        vacuum: Vacuum<'a>,
        written: NewRun,
    ) -> MergeSlice<'a> {
        let taken = vec![0; inputs.len()];
        MergeSlice {
            inputs,
            vacuum,
            written,
            slice_bytes,
            row: Vec::new(),
            resume: from.to_vec(),
            read_bytes: 0,
            taken,
            moving: None,
            end: None,
        }
    }

    /// Each version is taken for good once it is past: a missing block ends the step where the next one begins. False:
    /// the slice is done.
    fn step(&mut self, view: TreeView<'_>) -> Attempt<bool> {
        if let Some(moving) = &mut self.moving {
            if moving.step(view, &mut self.written)? {
                return Ok(true);
            }
            self.moving = None;
        }
        let mut cursor = VersionCursor::new(view, self.inputs, &rest(&self.resume));
        let before = self.read_bytes;
        for _ in 0..STEP_VERSIONS {
            let Some((internal, encoded)) = cursor.next_version()? else {
                let written = &mut self.written;
                self.vacuum.finish(&mut |internal, version, is_pinned| keep(written, internal, version, is_pinned))?;
                return Ok(false);
            };
            if self.is_full() && split_internal(&internal).0 != &self.row[..] {
                let written = &mut self.written;
                self.vacuum.finish(&mut |internal, version, is_pinned| keep(written, internal, version, is_pinned))?;
                self.end = Some(split_internal(&internal).0.to_vec());
                return Ok(false);
            }
            self.take(&internal, &encoded)?;
            self.taken[cursor.last_source()] += 1;
            self.read_bytes += (internal.len() + encoded.len()) as u64;
            self.row = split_internal(&internal).0.to_vec();
            self.resume = internal;
            self.resume.push(0);
            if self.moving.is_some() || self.read_bytes - before >= STEP_BYTES as u64 {
                break;
            }
        }
        Ok(true)
    }

    fn is_full(&self) -> bool {
        let written = self.written.bytes();
        written >= self.slice_bytes || self.read_bytes >= READ_TIMES * self.slice_bytes
    }

    fn take(&mut self, internal: &[u8], encoded: &Bytes) -> Result<()> {
        let unreadable = || Error::corrupt("a version to be merged cannot be decoded");
        let mut encoded = encoded.clone();
        if planted::is(Bug::BaseLostAtCompaction) {
            encoded = Version::decode(&encoded).ok_or_else(unreadable)?.based_on(None).encode().into();
        }
        let MergeSlice { vacuum, written, moving, .. } = self;
        let mut keep_or_move = |internal: &[u8], version: &Bytes, is_pinned: bool| {
            let decoded = Version::decode(version).ok_or_else(unreadable)?;
            match decoded.overflow() {
                None => keep(written, internal, version, is_pinned),
                Some(from) => {
                    let first = written.writer().begin_apart();
                    let (internal, hasher) = (internal.to_vec(), Xxh64::new(0));
                    *moving = Some(Moving { internal, version: decoded, is_pinned, from, first, done: 0, hasher });
                    Ok(())
                }
            }
        };
        vacuum.push(internal, &encoded, &mut keep_or_move)
    }
}

fn keep(written: &mut NewRun, internal: &[u8], version: &[u8], is_pinned: bool) -> Result<()> {
    let writer = written.writer();
    if is_pinned { writer.push_pinned(internal, version) } else { writer.push(internal, version) }
}

impl Moving {
    /// Copies some pieces. False: the value is there, and so is its version.
    fn step(&mut self, view: TreeView<'_>, written: &mut NewRun) -> Attempt<bool> {
        let piece_bytes = self.from.bytes.div_ceil(u64::from(self.from.blocks.max(1))).max(1);
        let at_once = (STEP_BYTES as u64 / piece_bytes).max(1) as usize;
        let next: Vec<_> = pieces(self.from).skip(self.done as usize).take(at_once).collect();
        let missing: Vec<_> = next.iter().filter(|piece| !view.has(piece.address)).copied().collect();
        if !missing.is_empty() {
            return Err(Fault::blocks(missing));
        }
        let mut values = Vec::new();
        for piece in next {
            values.push(BlockCursor::first(view.block(piece)?)?.value());
        }
        for value in values {
            self.hasher.update(&value);
            written.writer().push_piece(&value);
            self.done += 1;
        }
        if self.done < self.from.blocks {
            return Ok(true);
        }
        if self.hasher.digest() != self.from.checksum {
            let name = pieces(self.from).next().map(|piece| piece.address.name()).unwrap_or_default();
            let message = format!("a value stored apart is damaged. block={name}");
            return Err(Error::corrupt(message).with_text("block", name).into());
        }
        let moved = Overflow { run: written.id(), first: self.first, ..self.from };
        written.writer().push_moved(&self.internal, &self.version.moved_to(moved), self.is_pinned)?;
        Ok(false)
    }
}

impl Lsm {
    /// The manifest without the runs of which nobody reads a row; `None`: there are none. Nothing is written for it.
    pub fn without_dead(&self, retention: &Retention) -> Option<Installation> {
        let manifest = self.with(|state| state.manifest.clone());
        let layer = |row: &[u8]| crate::types::row::split_row(row).0;
        let is_read = |run: &Rc<RunDescription>| retention.names_any(layer(&run.first), layer(&run.last));
        let (runs, dead): (Vec<_>, Vec<_>) = manifest.runs.iter().cloned().partition(is_read);
        let merging = manifest.merging.clone().map(|merging| {
            let inputs = merging.inputs.iter().filter(|id| runs.iter().any(|run| run.id == **id)).copied().collect();
            Merging { inputs, ..merging }
        });
        let merging = merging.filter(|merging| !merging.inputs.is_empty());
        let mut installation = Installation::between(manifest.clone(), Manifest { runs, merging, ..manifest });
        dead.iter().for_each(|run| installation.drop_run(run.id));
        (!dead.is_empty()).then_some(installation)
    }

    /// The runs of which a merge goes on, or `None`.
    pub fn merging(&self) -> Option<Merging> {
        self.with(|state| state.manifest.merging.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_goes_on_where_the_manifest_has_it_and_never_takes_the_place_of_another() {
        let mut manifest = Manifest::first(1);
        let merging = Merging { group: 7, slice_bytes: 100, from: Vec::new(), inputs: vec![1, 2] };
        assert_eq!(merging.as_it_is(&manifest).unwrap(), merging);
        manifest.merging = Some(Merging { from: b"m".to_vec(), inputs: vec![2], ..merging.clone() });
        assert_eq!(Some(merging.as_it_is(&manifest).unwrap()), manifest.merging);
        let other = Merging { group: 8, ..merging };
        assert_eq!(other.as_it_is(&manifest).unwrap_err().code(), ErrorCode::Conflict);
    }
}
