//! Writes a run: cuts versions into blocks, gathers blocks in segments, and builds the index above them.

use xxhash_rust::xxh64::xxh64;

use super::block::BlockBuilder;
use super::fault::BlockAddress;
use super::index::{encode_reference, separator};
use super::run::{RunDescription, above, below};
use super::segment::SegmentBuilder;
use crate::error::{Error, Result};
use crate::planted::{self, Bug};
use crate::types::row::split_internal;
use crate::types::{Lsn, Overflow, Version, limits};

/// A data block is cut when it reaches this size: large enough that one record carries many rows, small enough for a
/// read.
const BLOCK_BYTES: usize = 16 * 1024;
/// An index block may be larger: it is read for many rows, and each level less is a fetch less.
const INDEX_BYTES: usize = 40 * 1024;
/// A version larger than this lies in blocks of its own, so that every block stays a small record.
const OVERFLOW_BYTES: usize = 16 * 1024;
/// A piece of such a value is a block, and alone in its record: this is room for their frames.
const FRAME_BYTES: usize = 64;
/// A piece is no larger than this, so that many of them fit into memory at once.
const PIECE_BYTES: usize = 256 * 1024;

/// Cuts rising versions into blocks, gathers those in segments and builds the index above them. It holds one block a
/// level, one segment, and what was not yet taken.
pub struct RunWriter {
    id: u64,
    index_bytes: usize,
    piece_bytes: usize,
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
            piece_bytes: limits::RECORD_BYTES - FRAME_BYTES,
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

    /// For a storage whose records hold at most so many bytes. Segments keep the size that suits reads, for a read
    /// brings a whole one; a value stored apart is read as a whole, so that its pieces may be larger.
    pub fn with_records_of(self, record_bytes: usize) -> RunWriter {
        RunWriter { piece_bytes: record_bytes.min(PIECE_BYTES) - FRAME_BYTES, ..self }
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
        value.chunks(self.piece_bytes).for_each(|piece| self.push_piece(piece));
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
    use crate::types::row::internal;

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
