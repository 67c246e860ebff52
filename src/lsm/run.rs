//! A sorted set of blocks: what the manifest says of it, and how it is written.

use xxhash_rust::xxh64::xxh64;

use super::block::BlockBuilder;
use super::fault::{BlockAddress, BlockReference};
use super::segment::SegmentBuilder;
use crate::error::{Error, Result};
use crate::planted::{self, Bug};
use crate::types::fields::{Field, Fields};
use crate::types::row::{LAYER_BYTES, split_internal};
use crate::types::{Bytes, Lsn, Overflow, Version, limits, read_varint, write_varint};

/// A data block is cut when it reaches this size: large enough that one record carries many rows, small enough for a
/// read.
const BLOCK_BYTES: usize = 16 * 1024;
/// An index block may be larger: it is read for many rows, and each level less is a fetch less.
const INDEX_BYTES: usize = 40 * 1024;
/// A version larger than this lies in blocks of its own, so that every block stays a small record.
const OVERFLOW_BYTES: usize = 16 * 1024;
/// A piece of such a value, with room for a block's frame.
const PIECE_BYTES: usize = limits::RECORD_BYTES - 64;

/// What the manifest, or the log, says of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunDescription {
    pub id: u64,
    /// The topmost block: data (height 0), or an index of the blocks below it.
    pub root: u32,
    pub root_checksum: u64,
    pub height: u8,
    pub blocks: u32,
    /// As they are stored, and unpacked.
    pub bytes: u64,
    pub unpacked: u64,
    pub entries: u64,
    /// The first and the last row.
    pub first: Vec<u8>,
    pub last: Vec<u8>,
    pub oldest: u64,
    pub newest: u64,
    /// A run that one commit wrote ahead of its log record: all its versions are of this LSN, whatever its blocks say.
    pub fixed: Option<u64>,
    /// Bytes of versions that a newer one in this run replaces and no clone pins, unpacked.
    pub superseded: u64,
    /// Tombstones that hide an older version of their layer, which lies in another run.
    pub tombstones: u64,
    /// Which of several runs that a merge wrote side by side it is one of; `None`: it stands alone.
    pub group: Option<u64>,
    /// Segments before this one are deleted: their rows were moved, and `first` comes after them.
    pub dropped: u32,
    /// Of a run that a commit wrote ahead: its rows stand in the change feed, and are no feed themselves any more.
    pub is_fed: bool,
}

impl RunDescription {
    pub fn to_field(&self) -> Field<'_> {
        Field::List(vec![
            Field::Number(self.id),
            Field::Number(self.root.into()),
            Field::Number(self.root_checksum),
            Field::Number(self.height.into()),
            Field::Number(self.blocks.into()),
            Field::Number(self.bytes),
            Field::Number(self.unpacked),
            Field::Number(self.entries),
            Field::Bytes(below(&self.first)),
            Field::Bytes(&self.last),
            Field::Number(self.oldest),
            Field::Number(self.newest),
            Field::optional(self.fixed),
            Field::Number(self.superseded),
            Field::Number(self.tombstones),
            Field::optional(self.group),
            Field::Number(self.dropped.into()),
            Field::Flag(self.is_fed),
        ])
    }

    pub fn from_fields(mut fields: Fields<'_>) -> Option<RunDescription> {
        Some(RunDescription {
            id: fields.number()?,
            root: fields.number()?.try_into().ok()?,
            root_checksum: fields.number()?,
            height: fields.number()?.try_into().ok()?,
            blocks: fields.number()?.try_into().ok()?,
            bytes: fields.number()?,
            unpacked: fields.number()?,
            entries: fields.number()?,
            first: fields.bytes()?.to_vec(),
            last: fields.bytes()?.to_vec(),
            oldest: fields.number()?,
            newest: fields.number()?,
            fixed: fields.optional()?,
            superseded: fields.number()?,
            tombstones: fields.number()?,
            group: fields.optional()?,
            dropped: fields.number()?.try_into().ok()?,
            is_fed: fields.flag()?,
        })
    }

    pub fn root(&self) -> BlockReference {
        let address = BlockAddress { run: self.id, number: self.root };
        BlockReference { address, checksum: Some(self.root_checksum) }
    }

    pub fn fixed(&self) -> Option<Lsn> {
        self.fixed.map(Lsn)
    }

    /// Its commit's LSN, where its rows are the change feed of that commit.
    pub fn own_feed(&self) -> Option<Lsn> {
        self.fixed().filter(|_| !self.is_fed)
    }

    pub fn group(&self) -> u64 {
        self.group.unwrap_or(self.id)
    }

    /// What is left of it when `taken` versions of rows before `first` are moved, and with them the segments before
    /// `dropped`. Figures of what is left are estimated. Rows that were moved before stay moved: a run whose own first
    /// row comes later keeps it.
    pub fn without(&self, taken: u64, first: &[u8], dropped: u32) -> RunDescription {
        let entries = self.entries.saturating_sub(taken).max(1);
        let left = |all: u64| (all as f64 * entries as f64 / self.entries.max(1) as f64) as u64;
        RunDescription {
            first: first.max(&self.first).to_vec(),
            dropped,
            entries,
            blocks: (left(self.blocks.into()) as u32).max(1),
            bytes: left(self.bytes),
            unpacked: left(self.unpacked),
            superseded: left(self.superseded),
            tombstones: left(self.tombstones),
            ..self.clone()
        }
    }

    /// The same run, as the commit `lsn` that wrote it ahead.
    pub fn at(mut self, lsn: Lsn) -> RunDescription {
        self.fixed = Some(lsn.0);
        self.oldest = lsn.0;
        self.newest = lsn.0;
        self
    }

    /// What so many of its bytes take as they are stored: they are packed as all of it is.
    pub fn packed(&self, unpacked: u64) -> u64 {
        (unpacked as f64 * self.bytes as f64 / self.unpacked.max(1) as f64) as u64
    }

    pub fn may_hold(&self, row: &[u8]) -> bool {
        self.first[..] <= *row && *row <= self.last[..]
    }

    pub fn overlaps(&self, from: &[u8], before: &[u8]) -> bool {
        self.first[..] < *before && *from <= self.last[..]
    }
}

/// The references of the pieces of a value stored apart.
pub fn pieces(overflow: Overflow) -> impl Iterator<Item = BlockReference> {
    (0..overflow.blocks).map(move |piece| {
        let address = BlockAddress::new(overflow.run, overflow.first + piece, 0);
        BlockReference { address, checksum: None }
    })
}

/// A block's reference as an index block keeps it beside the block's last key.
pub fn decode_reference(run: u64, value: &Bytes) -> Result<BlockReference> {
    let mut position = 0;
    let number = read_varint(value, &mut position).and_then(|n| u32::try_from(n).ok());
    let checksum = value.get(position..position + 8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
    match (number, checksum) {
        (Some(number), checksum @ Some(_)) => Ok(BlockReference { address: BlockAddress { run, number }, checksum }),
        _ => Err(Error::corrupt(format!("an index block holds no reference. run={run:016x}"))),
    }
}

fn encode_reference(number: u32, checksum: u64) -> Vec<u8> {
    let mut value = Vec::with_capacity(13);
    write_varint(&mut value, number.into());
    value.extend_from_slice(&checksum.to_le_bytes());
    value
}

/// A short key that is not less than the last one of a block and less than the first one of the next. Versions of one
/// row are told apart by their whole keys.
fn separator<'a>(last: &'a [u8], next: &'a [u8]) -> &'a [u8] {
    let ((row, _), (next_row, _)) = (split_internal(last), split_internal(next));
    let alike = row.iter().zip(next_row).take_while(|(a, b)| a == b).count();
    if alike == row.len() || alike == next_row.len() { last } else { &next[..=alike] }
}

/// How much of a run's first and last row is kept: keys may be long, and the manifest holds many runs.
const BOUND_BYTES: usize = 48;

/// A short key that is not greater than a row.
fn below(row: &[u8]) -> &[u8] {
    &row[..row.len().min(BOUND_BYTES)]
}

/// A short key of the same layer that is not less than a row.
fn above(row: Vec<u8>) -> Vec<u8> {
    let short = &row[..row.len().min(BOUND_BYTES)];
    match short.iter().rposition(|byte| *byte < 0xff).filter(|at| *at >= LAYER_BYTES && row.len() > BOUND_BYTES) {
        None => row,
        Some(at) => [&short[..at], &[short[at] + 1]].concat(),
    }
}

/// Cuts rising versions into blocks, gathers those in segments and builds the index above them. It holds one block a
/// level, one segment, and what was not yet taken.
pub struct RunWriter {
    id: u64,
    index_bytes: usize,
    /// Data blocks first, then index blocks of rising height.
    levels: Vec<BlockBuilder>,
    /// The last data block that was cut, until it is known what follows it: its last key and its reference.
    cut: Option<(Vec<u8>, Vec<u8>)>,
    segment: SegmentBuilder,
    /// Whole segments, each with the address of its first block.
    ready: Vec<(BlockAddress, Vec<u8>)>,
    next_segment: u32,
    blocks: u32,
    bytes: u64,
    unpacked: u64,
    entries: u64,
    superseded: u64,
    tombstones: u64,
    /// The last version that was added is a tombstone of which nothing older has come yet.
    hides_other_run: bool,
    first: Option<Vec<u8>>,
    last: Vec<u8>,
    oldest: Lsn,
    newest: Lsn,
}

impl RunWriter {
    pub fn new(id: u64) -> RunWriter {
        RunWriter {
            id,
            index_bytes: INDEX_BYTES,
            levels: vec![BlockBuilder::default()],
            cut: None,
            segment: SegmentBuilder::default(),
            ready: Vec::new(),
            next_segment: 0,
            blocks: 0,
            bytes: 0,
            unpacked: 0,
            entries: 0,
            superseded: 0,
            tombstones: 0,
            hides_other_run: false,
            first: None,
            last: Vec::new(),
            oldest: Lsn::MAX,
            newest: Lsn::ZERO,
        }
    }

    /// With indexes so small that few rows need several levels of them.
    #[cfg(test)]
    pub fn with_small_indexes(id: u64) -> RunWriter {
        RunWriter { index_bytes: 512, ..RunWriter::new(id) }
    }

    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Adds a version; internal keys rise. Its value is whole, never one that is stored apart.
    pub fn push(&mut self, internal: &[u8], version: &[u8]) -> Result<()> {
        self.add_version(internal, version, false, version.len())
    }

    /// As `push`, of a version that a clone pins: a newer one does not make it superfluous.
    pub fn push_pinned(&mut self, internal: &[u8], version: &[u8]) -> Result<()> {
        self.add_version(internal, version, true, version.len())
    }

    /// The pieces of a value stored apart follow, and then its version. The number of the first of them.
    pub fn begin_apart(&mut self) -> u32 {
        // Pieces are found by their segments' numbers, so each has one to itself.
        self.end_segment();
        self.next_segment
    }

    pub fn push_piece(&mut self, piece: &[u8]) {
        let mut builder = BlockBuilder::default();
        builder.push(&[], piece);
        self.emit(builder);
        self.end_segment();
    }

    /// As `push`, of a version whose pieces stand before it in this run.
    pub fn push_moved(&mut self, internal: &[u8], version: &Version, is_pinned: bool) -> Result<()> {
        let apart = version.overflow().map_or(0, |overflow| overflow.bytes) as usize;
        self.add_version(internal, &version.encode(), is_pinned, apart)
    }

    /// `bytes`: what the version takes, wherever its value is.
    fn add_version(&mut self, internal: &[u8], version: &[u8], is_pinned: bool, bytes: usize) -> Result<()> {
        let (row, lsn) = split_internal(internal);
        let begins_block = self.entries > 0 && self.levels[0].last_key().is_empty();
        if planted::is(Bug::TombstoneLostAtBlockEdge) && begins_block && Version::is_encoded_tombstone(version) {
            return Ok(());
        }
        if self.first.is_none() {
            self.first = Some(row.to_vec());
        }
        if row != &self.last[..] {
            self.tombstones += u64::from(self.hides_other_run);
        } else if !is_pinned {
            self.superseded += (internal.len() + bytes) as u64;
        }
        self.hides_other_run = Version::hides_own_layer(version);
        self.last.clear();
        self.last.extend_from_slice(row);
        self.oldest = self.oldest.min(lsn);
        self.newest = self.newest.max(lsn);
        self.entries += 1;
        if let Some((last, reference)) = self.cut.take() {
            self.add(1, separator(&last, internal), &reference);
        }
        if version.len() > OVERFLOW_BYTES {
            let apart = self.move_apart(version)?;
            self.add(0, internal, &apart);
        } else {
            self.add(0, internal, version);
        }
        Ok(())
    }

    fn move_apart(&mut self, encoded: &[u8]) -> Result<Vec<u8>> {
        let unreadable = || Error::corrupt("a version to be stored cannot be decoded");
        let version = Version::decode(&encoded.into()).ok_or_else(unreadable)?;
        let Some(value) = version.here() else { return Ok(encoded.to_vec()) };
        let first = self.begin_apart();
        value.chunks(PIECE_BYTES).for_each(|piece| self.push_piece(piece));
        let blocks = self.next_segment - first;
        let checksum = xxh64(value, 0);
        let overflow = Overflow { bytes: value.len() as u64, run: self.id, first, blocks, checksum };
        Ok(version.moved_to(overflow).encode())
    }

    /// The block's number and checksum.
    fn emit(&mut self, builder: BlockBuilder) -> (u32, u64) {
        self.blocks += 1;
        self.unpacked += builder.size() as u64;
        let (bytes, checksum) = builder.finish();
        if !self.segment.has_room(&bytes) {
            self.end_segment();
        }
        let address = BlockAddress::new(self.id, self.next_segment, self.segment.len());
        self.segment.push(bytes);
        (address.number, checksum)
    }

    fn end_segment(&mut self) {
        if self.segment.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.segment).finish();
        self.bytes += bytes.len() as u64;
        self.ready.push((BlockAddress::new(self.id, self.next_segment, 0), bytes));
        self.next_segment += 1;
    }

    fn add(&mut self, level: usize, key: &[u8], value: &[u8]) {
        if level == self.levels.len() {
            self.levels.push(BlockBuilder::default());
        }
        self.levels[level].push(key, value);
        if self.levels[level].size() >= if level == 0 { BLOCK_BYTES } else { self.index_bytes } {
            self.cut(level);
        }
    }

    fn cut(&mut self, level: usize) {
        let builder = std::mem::take(&mut self.levels[level]);
        let last = builder.last_key().to_vec();
        let (number, checksum) = self.emit(builder);
        let reference = encode_reference(number, checksum);
        if level == 0 {
            self.cut = Some((last, reference));
        } else {
            self.add(level + 1, &last, &reference);
        }
    }

    /// What is ready or written, without the blocks that are still open.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How much waits to be written.
    pub fn ready_bytes(&self) -> usize {
        self.ready.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Segments to write, in the order of their numbers.
    pub fn take_ready(&mut self) -> Vec<(BlockAddress, Vec<u8>)> {
        std::mem::take(&mut self.ready)
    }

    /// Closes all levels up to the root. What is ready must be written before the run is named anywhere.
    pub fn finish(mut self) -> (RunDescription, Vec<(BlockAddress, Vec<u8>)>) {
        if let Some((last, reference)) = self.cut.take() {
            self.add(1, &last, &reference);
        }
        let mut level = 0;
        let (root, root_checksum) = loop {
            let is_top = level + 1 == self.levels.len();
            let builder = std::mem::take(&mut self.levels[level]);
            if builder.is_empty() {
                assert!(!is_top, "BUG: the top of a run is never empty");
                level += 1;
                continue;
            }
            let last = builder.last_key().to_vec();
            let (number, checksum) = self.emit(builder);
            if is_top {
                break (number, checksum);
            }
            // Above a level there is always one that already holds a reference, so this cannot overflow it twice.
            self.levels[level + 1].push(&last, &encode_reference(number, checksum));
            level += 1;
        };
        self.end_segment();
        let description = RunDescription {
            id: self.id,
            root,
            root_checksum,
            height: level as u8,
            blocks: self.blocks,
            bytes: self.bytes,
            unpacked: self.unpacked,
            entries: self.entries,
            first: below(&self.first.unwrap_or_default()).to_vec(),
            last: above(self.last),
            oldest: self.oldest.0,
            newest: self.newest.0,
            fixed: None,
            superseded: self.superseded,
            tombstones: self.tombstones + u64::from(self.hides_other_run),
            group: None,
            dropped: 0,
            is_fed: false,
        };
        (description, self.ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::row::{internal, push_lsn};

    #[test]
    fn a_separator_is_short_and_stands_between() {
        let key = |row: &str, lsn: u64| {
            let mut key = row.as_bytes().to_vec();
            push_lsn(&mut key, Lsn(lsn));
            key
        };
        for (last, next, length) in [
            (key("documents/0190-aaaa", 3), key("documents/0191-bbbb", 9), 14),
            (key("a", 3), key("b", 9), 1),
            (key("a", 9), key("a", 3), 9),
        ] {
            let found = separator(&last, &next);
            assert!(&last[..] <= found && found < &next[..], "{last:?} {found:?} {next:?}");
            assert_eq!(found.len(), length);
        }
    }

    #[test]
    fn rows_that_were_moved_stay_moved() {
        let mut writer = RunWriter::new(1);
        for row in ["b", "d", "f"] {
            writer.push(&internal(row.as_bytes(), Lsn(1)), &Version::value(vec![1]).encode()).unwrap();
        }
        let left = writer.finish().0.without(1, b"c", 0);
        assert_eq!((&left.first[..], left.entries), (&b"c"[..], 2));
        // Another merge comes past rows that this run has no more.
        let left = left.without(0, b"b", 0);
        assert_eq!((&left.first[..], left.entries), (&b"c"[..], 2));
        assert_eq!(left.without(1, b"e", 0).first, b"e");
    }
}
