//! Writes a run: cuts versions into blocks, gathers blocks in segments, and builds the index above them.

use xxhash_rust::xxh64::xxh64;

use super::block::BlockBuilder;
use super::fault::BlockAddress;
use super::figures::Tally;
use super::index::{encode_reference, separator};
use super::run::{RunDescription, above, below};
use super::segment::SegmentBuilder;
use crate::error::{Error, Result};
use crate::planted::{self, Bug};
use crate::types::row::split_internal;
use crate::types::{Lsn, Overflow, Version, limits};

/// A data block is cut when it reaches this size: large enough that one record carries many rows, small enough for a
/// read.
const BLOCK_BYTES: usize = if planted::HAS_FEW_ROWS { 1024 } else { 16 * 1024 };
/// An index block may be larger: it is read for many rows, and each level less is a fetch less.
const INDEX_BYTES: usize = 40 * 1024;
/// A version larger than this lies in blocks of its own, so that every block stays a small record.
const OVERFLOW_BYTES: usize = 16 * 1024;
/// A piece of such a value is a block, and alone in its record: this is room for their frames.
const FRAME_BYTES: usize = 64;
/// A piece is no larger than this, so that many of them fit into memory at once.
const PIECE_BYTES: usize = 256 * 1024;

/// A data block that is written. Its index entry waits for the row behind the block, because the entry's key lies
/// between the two.
struct CutBlock {
    last: Vec<u8>,
    reference: Vec<u8>,
    newest: Lsn,
    tally: Tally,
}

/// A block that is open, and its newest version or that of all blocks below it.
#[derive(Default)]
struct Level {
    block: BlockBuilder,
    newest: Lsn,
}

/// Cuts rising versions into blocks, gathers those in segments and builds the index above them. It holds one block a
/// level, one segment, and what was not yet taken.
pub struct RunWriter {
    id: u64,
    index_bytes: usize,
    piece_bytes: usize,
    /// Data blocks first, then index blocks of rising height.
    levels: Vec<Level>,
    /// The last data block that was cut, until it is known what follows it.
    cut: Option<CutBlock>,
    /// The figures of the data block that is open.
    tally: Tally,
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
            levels: vec![Level::default()],
            cut: None,
            tally: Tally::default(),
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
        // A merge deletes the segments before a block whose rows it has moved: no pieces of a later row may lie there.
        if self.levels[0].block.size() >= BLOCK_BYTES {
            self.cut(0);
        }
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
        let (is_new_row, is_apart) = (row != &self.last[..], version.len() > OVERFLOW_BYTES);
        let size = self.levels[0].block.size();
        // A row stays in one block, so that the block's values are counted, unless the row has very many versions.
        if size >= BLOCK_BYTES && (is_new_row || is_apart || size >= BLOCK_BYTES * 3 / 2) {
            self.cut(0);
        }
        let begins_block = self.entries > 0 && self.levels[0].block.last_key().is_empty();
        if planted::is(Bug::TombstoneLostAtBlockEdge) && begins_block && Version::is_encoded_tombstone(version) {
            return Ok(());
        }
        if self.first.is_none() {
            self.first = Some(row.to_vec());
        }
        if is_new_row {
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
        if let Some(CutBlock { last, mut reference, newest, tally }) = self.cut.take() {
            let separator = separator(&last, internal);
            // Only a short key lies between all versions of the two rows.
            if is_new_row && separator.len() < last.len() {
                tally.encode(&mut reference);
            }
            self.add(1, separator, &reference, newest);
        }
        self.tally.add(is_new_row, Version::is_encoded_tombstone(version));
        if is_apart {
            let apart = self.move_apart(version)?;
            self.add(0, internal, &apart, lsn);
        } else {
            self.add(0, internal, version, lsn);
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

    fn add(&mut self, level: usize, key: &[u8], value: &[u8], newest: Lsn) {
        if level == self.levels.len() {
            self.levels.push(Level::default());
        }
        let open = &mut self.levels[level];
        open.block.push(key, value);
        if open.newest == Lsn::ZERO || !planted::is(Bug::NewestOfBlockNotRaised) {
            open.newest = open.newest.max(newest);
        }
        // `add_version` cuts data blocks, where a row ends.
        if level > 0 && open.block.size() >= self.index_bytes {
            self.cut(level);
        }
    }

    fn cut(&mut self, level: usize) {
        let Level { block, newest } = std::mem::take(&mut self.levels[level]);
        let last = block.last_key().to_vec();
        let (number, checksum) = self.emit(block);
        let reference = encode_reference(number, checksum, newest);
        if level == 0 {
            self.cut = Some(CutBlock { last, reference, newest, tally: std::mem::take(&mut self.tally) });
        } else {
            self.add(level + 1, &last, &reference, newest);
        }
    }

    /// The bytes of the segments that are ready or written, without the blocks that are still open.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The bytes that wait to be written.
    pub fn ready_bytes(&self) -> usize {
        self.ready.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Segments to write, in the order of their numbers.
    pub fn take_ready(&mut self) -> Vec<(BlockAddress, Vec<u8>)> {
        std::mem::take(&mut self.ready)
    }

    /// Closes all levels up to the root. All ready segments must be written before the run is named anywhere.
    pub fn finish(mut self) -> (RunDescription, Vec<(BlockAddress, Vec<u8>)>) {
        if let Some(CutBlock { last, reference, newest, .. }) = self.cut.take() {
            self.add(1, &last, &reference, newest);
        }
        let mut level = 0;
        let (root, root_checksum) = loop {
            let is_top = level + 1 == self.levels.len();
            let Level { block, newest } = std::mem::take(&mut self.levels[level]);
            if block.is_empty() {
                assert!(!is_top, "BUG: the top of a run is never empty");
                level += 1;
                continue;
            }
            let last = block.last_key().to_vec();
            let (number, checksum) = self.emit(block);
            if is_top {
                break (number, checksum);
            }
            level += 1;
            // Above a level there is always one that already holds a reference, so this cannot overflow it twice.
            let above = &mut self.levels[level];
            above.block.push(&last, &encode_reference(number, checksum, newest));
            above.newest = above.newest.max(newest);
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
    use crate::lsm::index::decode_reference;
    use crate::types::row::internal;

    #[test]
    fn pieces_come_behind_the_blocks_of_all_rows_before_them() {
        let mut writer = RunWriter::new(1);
        let mut rows = 0..;
        while writer.levels[0].block.size() < BLOCK_BYTES {
            let row = format!("{:06}", rows.next().expect("a number"));
            writer.push(&internal(row.as_bytes(), Lsn(1)), &Version::value(vec![1; 50]).encode()).unwrap();
        }
        let first = writer.begin_apart();
        writer.push_piece(&[7; 1000]);
        let cut = writer.cut.as_ref().expect("the full block was cut first");
        let reference = decode_reference(1, &cut.reference[..].into()).unwrap();
        assert!(reference.address.segment() < first);
    }

    #[test]
    fn a_row_lies_in_one_block() {
        let mut writer = RunWriter::new(1);
        for row in 0..2000u64 {
            for lsn in [9, 8, 7] {
                let key = internal(format!("{row:06}").as_bytes(), Lsn(lsn));
                writer.push(&key, &Version::value(vec![1; 30]).encode()).unwrap();
                if let Some(cut) = &writer.cut {
                    assert_eq!(split_internal(&cut.last).1, Lsn(7));
                }
            }
        }
        // One with more versions than a block takes is in several, and their values are not counted.
        for lsn in (1..2000).rev() {
            writer.push(&internal(b"many", Lsn(lsn)), &Version::value(vec![1; 30]).encode()).unwrap();
            assert!(writer.levels[0].block.size() < 2 * BLOCK_BYTES);
        }
    }

    #[test]
    fn a_large_value_begins_a_block_of_its_own_row_or_follows_its_row() {
        let mut writer = RunWriter::new(1);
        let push = |writer: &mut RunWriter, row: &str, lsn: u64, bytes: usize| {
            writer.push(&internal(row.as_bytes(), Lsn(lsn)), &Version::value(vec![1; bytes]).encode()).unwrap();
        };
        for lsn in (2..900).rev() {
            push(&mut writer, "a", lsn, if lsn % 100 == 0 { OVERFLOW_BYTES + 1 } else { 60 });
        }
        push(&mut writer, "b", 1, OVERFLOW_BYTES + 1);
        let (run, segments) = writer.finish();
        assert!(run.entries == 899 && segments.len() > 9);
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
