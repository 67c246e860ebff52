//! A sorted, prefix-compressed piece of a run.
//!
//! ```text
//! stored  = PLAIN (1 byte), block, checksum (u64), or, where that is smaller,
//!           PACKED (1 byte), size of the block (u32), the block as LZ4 packs it, checksum; little endian
//! block   = entries, restarts (u32 each), number of restarts (u32)
//! entry   = shared varint, unshared varint, value length varint, unshared key bytes, value bytes
//! ```
//! Restarts are entries that share nothing, so a search can begin there; how many there are is the writer's choice. The
//! checksum is one of the stored bytes before it, and stands in the block's reference too.

use std::cmp::Ordering;
use std::hint::black_box;
use std::rc::Rc;

use lz4_flex::block::{DecompressError, compress_into, decompress_into, get_maximum_output_size};
use xxhash_rust::xxh64::xxh64;

use super::fault::BlockReference;
use crate::error::{Error, Result};
use crate::types::{Bytes, read_varint, write_varint};

const PLAIN: u8 = 1;
const PACKED: u8 = 2;
/// In front of a packed block.
const PACKED_HEAD: usize = 5;
/// No block is larger than this, whatever its head says.
const MOST_BYTES: usize = 1024 * 1024;
/// LZ4 makes of a byte no more bytes than this.
const MOST_TIMES: usize = 255;
const RESTART: u32 = 4;
/// So many entries are passed one by one before a key is searched.
const NEIGHBOURS: usize = 4;
const CHECKSUM_BYTES: usize = 8;
const TRAILER_BYTES: usize = 4 + CHECKSUM_BYTES;

pub struct BlockBuilder {
    bytes: Vec<u8>,
    restarts: Vec<u32>,
    last_key: Vec<u8>,
    entries: u32,
}

impl Default for BlockBuilder {
    fn default() -> BlockBuilder {
        BlockBuilder { bytes: vec![PLAIN], restarts: Vec::new(), last_key: Vec::new(), entries: 0 }
    }
}

impl BlockBuilder {
    /// Keys come in rising order.
    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        assert!(self.entries == 0 || key > &self.last_key[..], "BUG: keys of a block rise");
        let restart = self.entries.is_multiple_of(RESTART);
        if restart {
            self.restarts.push(self.bytes.len() as u32);
        }
        let alike = key.iter().zip(&self.last_key).take_while(|(a, b)| a == b).count();
        let shared = if restart { 0 } else { alike };
        write_varint(&mut self.bytes, shared as u64);
        write_varint(&mut self.bytes, (key.len() - shared) as u64);
        write_varint(&mut self.bytes, value.len() as u64);
        self.bytes.extend_from_slice(&key[shared..]);
        self.bytes.extend_from_slice(value);
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(&key[shared..]);
        self.entries += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// How large the block would be if it were finished now and could not be packed.
    pub fn size(&self) -> usize {
        self.bytes.len() + 4 * self.restarts.len() + TRAILER_BYTES
    }

    pub fn last_key(&self) -> &[u8] {
        &self.last_key
    }

    /// The block's bytes and their checksum.
    pub fn finish(self) -> (Vec<u8>, u64) {
        let mut bytes = self.bytes;
        for restart in &self.restarts {
            bytes.extend_from_slice(&restart.to_le_bytes());
        }
        bytes.extend_from_slice(&(self.restarts.len() as u32).to_le_bytes());
        seal(bytes)
    }
}

/// A block as it is stored, and its checksum.
fn seal(block: Vec<u8>) -> (Vec<u8>, u64) {
    let mut bytes = pack(&block[1..]).unwrap_or(block);
    let checksum = xxh64(&bytes, 0);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    (bytes, checksum)
}

/// The packed form of a block, if it is smaller than the plain one.
fn pack(block: &[u8]) -> Option<Vec<u8>> {
    let mut packed = vec![0; PACKED_HEAD + get_maximum_output_size(block.len())];
    packed[0] = PACKED;
    packed[1..PACKED_HEAD].copy_from_slice(&(block.len() as u32).to_le_bytes());
    let size =
        PACKED_HEAD + compress_into(block, &mut packed[PACKED_HEAD..]).expect("BUG: there is room for the worst");
    packed.truncate(size);
    (size <= block.len()).then_some(packed)
}

/// Both are compiled for speed. Drawn into what calls them, which is compiled for size, they would not be: so they are
/// called by a pointer that nothing is known of.
const UNPACKER: fn(&[u8], &mut [u8]) -> std::result::Result<usize, DecompressError> = decompress_into;
const HASHER: fn(&[u8], u64) -> u64 = xxh64;

/// The plain form of stored bytes, without their checksum; `None` where they are neither.
fn unpack(stored: &[u8]) -> Option<Vec<u8>> {
    match *stored.first()? {
        PLAIN => Some(stored.to_vec()),
        PACKED => {
            let size = u32::from_le_bytes(stored.get(1..PACKED_HEAD)?.try_into().ok()?) as usize;
            let is_possible = size <= MOST_BYTES && size <= stored.len() * MOST_TIMES;
            let mut block = vec![0; 1 + is_possible.then_some(size)?];
            block[0] = PLAIN;
            let written = black_box(UNPACKER)(&stored[PACKED_HEAD..], &mut block[1..]).ok()?;
            (written == size).then_some(block)
        }
        _ => None,
    }
}

/// A block in memory, checked once when it was read.
pub struct Block {
    bytes: Bytes,
    /// Where the entries end and the restarts begin.
    end: usize,
    restarts: usize,
}

/// One entry: where its key parts and its value stand.
struct Entry {
    shared: usize,
    key: std::ops::Range<usize>,
    value: std::ops::Range<usize>,
}

fn damaged(reference: BlockReference, what: &str) -> Error {
    Error::corrupt(format!("a block is damaged: {what}. block={}", reference.address.name()))
        .with_text("block", reference.address.name())
}

impl Block {
    /// Takes stored bytes for the block that `reference` names, or says that they are not.
    pub fn open(bytes: &[u8], reference: BlockReference) -> Result<Rc<Block>> {
        let body = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or_else(|| damaged(reference, "it is too short"))?;
        let own = u64::from_le_bytes(bytes[body..].try_into().expect("BUG: eight bytes"));
        let checksum = black_box(HASHER)(&bytes[..body], 0);
        if checksum != own || reference.checksum.is_some_and(|expected| checksum != expected) {
            return Err(damaged(reference, "its checksum differs"));
        }
        let block = unpack(&bytes[..body]).and_then(Block::of);
        block.map(Rc::new).ok_or_else(|| damaged(reference, "its shape is unknown"))
    }

    /// An empty block, which takes the place of one that cannot be read.
    pub fn empty() -> Rc<Block> {
        Rc::new(Block { bytes: vec![PLAIN, 1, 0, 0, 0].into(), end: 1, restarts: 1 })
    }

    fn of(bytes: Vec<u8>) -> Option<Block> {
        let tail = bytes.len().checked_sub(4)?;
        let restarts = u32::from_le_bytes(bytes[tail..].try_into().ok()?) as usize;
        let end = tail.checked_sub(restarts.checked_mul(4)?)?;
        (restarts > 0).then(|| Block { bytes: bytes.into(), end, restarts })
    }

    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// As it is stored.
    pub fn sealed(&self) -> Vec<u8> {
        seal(self.bytes.to_vec()).0
    }
}

/// The entry that begins at a place of all entries.
fn entry(entries: &[u8], mut at: usize) -> Option<Entry> {
    let shared = read_varint(entries, &mut at)? as usize;
    let unshared = read_varint(entries, &mut at)? as usize;
    let length = read_varint(entries, &mut at)? as usize;
    let key = at..at.checked_add(unshared)?;
    let value = key.end..key.end.checked_add(length)?;
    (value.end <= entries.len()).then_some(Entry { shared, key, value })
}

/// A place in a block: forward from the first entry at or after a key, or backward from the last one before it.
pub struct BlockCursor {
    block: Rc<Block>,
    key: Vec<u8>,
    value: std::ops::Range<usize>,
    next: usize,
    valid: bool,
}

impl BlockCursor {
    /// At the first entry whose key is not less than `key`, or past the end.
    pub fn seek(block: Rc<Block>, key: &[u8]) -> Result<BlockCursor> {
        let (bytes, restarts) = block.bytes.split_at(block.end);
        let restart = |index: usize| {
            let at = restarts[4 * index..4 * index + 4].try_into().expect("BUG: four bytes");
            u32::from_le_bytes(at) as usize
        };
        // With how many bytes the entries at both ends begin as the key does: all between them do too.
        let (mut low, mut high, mut at_low, mut at_high) = (0, block.restarts, 0, 0);
        while high - low > 1 {
            let middle = low.midpoint(high);
            let entry = entry(bytes, restart(middle)).ok_or_else(unreadable)?;
            match compare(&bytes[entry.key], key, at_low.min(at_high)) {
                (Ordering::Greater, same) => (high, at_high) = (middle, same),
                (_, same) => (low, at_low) = (middle, same),
            }
        }
        // The keys on the way are not put together: what one shares with the key before it is known to be less, or
        // equal to the key's beginning.
        let (mut next, mut same, mut known, mut length) = (restart(low), 0, at_low, 0);
        let mut found = None;
        while found.is_none() && next < bytes.len() {
            let entry = entry(bytes, next).ok_or_else(unreadable)?;
            if entry.shared > length {
                return Err(unreadable());
            }
            next = entry.value.end;
            length = entry.shared + entry.key.len();
            if entry.shared <= same {
                let own = &bytes[entry.key];
                let (order, more) = compare(own, &key[entry.shared..], known);
                if order != Ordering::Less {
                    found = Some(([&key[..entry.shared], own].concat(), entry.value));
                }
                (same, known) = (entry.shared + more, 0);
            }
        }
        let valid = found.is_some();
        let (key, value) = found.unwrap_or_default();
        Ok(BlockCursor { block, key, value, next, valid })
    }

    pub fn first(block: Rc<Block>) -> Result<BlockCursor> {
        BlockCursor::seek(block, &[])
    }

    /// Another cursor of the same block, as `seek` gives it.
    pub fn sought(&self, key: &[u8]) -> Result<BlockCursor> {
        BlockCursor::seek(self.block.clone(), key)
    }

    /// Another cursor at the first entry of the same block.
    pub fn rewound(&self) -> Result<BlockCursor> {
        BlockCursor::first(self.block.clone())
    }

    pub fn key(&self) -> Option<&[u8]> {
        self.valid.then_some(&self.key[..])
    }

    pub fn value(&self) -> Bytes {
        self.block.bytes.slice(self.value.clone())
    }

    /// Goes forward to the first entry whose key is not less than `key`, or past the end.
    pub fn go_to(&mut self, key: &[u8]) -> Result<()> {
        // A neighbour is reached in a few steps; to search costs as much as about so many.
        for _ in 0..NEIGHBOURS {
            if !self.valid || self.key[..] >= *key {
                return Ok(());
            }
            self.advance()?;
        }
        *self = self.sought(key)?;
        Ok(())
    }

    pub fn advance(&mut self) -> Result<()> {
        let bytes = &self.block.bytes[..self.block.end];
        self.valid = self.next < bytes.len();
        if self.valid {
            let entry = entry(bytes, self.next).ok_or_else(unreadable)?;
            if entry.shared > self.key.len() {
                return Err(unreadable());
            }
            self.key.truncate(entry.shared);
            self.key.extend_from_slice(&bytes[entry.key]);
            self.next = entry.value.end;
            self.value = entry.value;
        }
        Ok(())
    }
}

/// How two keys compare whose first `same` bytes are equal, and how many are.
fn compare<'a>(one: &'a [u8], other: &'a [u8], same: usize) -> (Ordering, usize) {
    let behind = |key: &'a [u8]| key.get(same..).unwrap_or_default();
    let more = behind(one).iter().zip(behind(other)).take_while(|(a, b)| a == b).count();
    (one.get(same + more).cmp(&other.get(same + more)), same + more)
}

/// The checksum held and the entries do not: what wrote the block was wrong.
fn unreadable() -> Error {
    Error::corrupt("a block's entries cannot be read although its checksum holds")
}

/// All entries of a block, for walking it backwards.
pub fn entries(block: &Rc<Block>) -> Result<Vec<(Vec<u8>, Bytes)>> {
    let mut cursor = BlockCursor::first(block.clone())?;
    let mut all = Vec::new();
    while let Some(key) = cursor.key() {
        all.push((key.to_vec(), cursor.value()));
        cursor.advance()?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::lsm::fault::BlockAddress;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn build(rows: &BTreeMap<Vec<u8>, Vec<u8>>) -> (Vec<u8>, BlockReference) {
        let mut builder = BlockBuilder::default();
        for (key, value) in rows {
            builder.push(key, value);
        }
        let size = builder.size();
        let (bytes, checksum) = builder.finish();
        assert!(bytes.len() <= size, "the size was foretold");
        (bytes, BlockReference { address: BlockAddress { run: 1, number: 2 }, checksum: Some(checksum) })
    }

    fn rows() -> impl Strategy<Value = BTreeMap<Vec<u8>, Vec<u8>>> {
        let byte = prop_oneof![Just(0u8), Just(1), Just(255)];
        let key = prop::collection::vec(byte, 0..6);
        prop::collection::btree_map(key, prop::collection::vec(any::<u8>(), 0..4), 1..80)
    }

    proptest! {
        #[test]
        fn a_block_is_its_rows_in_order(
            rows in rows(),
            probe in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(255)], 0..6),
        ) {
            let (bytes, reference) = build(&rows);
            let block = Block::open(&bytes, reference).unwrap();
            let all: Vec<_> = entries(&block).unwrap().into_iter().map(|(k, v)| (k, v.to_vec())).collect();
            prop_assert_eq!(all, rows.clone().into_iter().collect::<Vec<_>>());
            let found = BlockCursor::seek(block.clone(), &probe).unwrap();
            let expected = rows.range(probe.clone()..).next();
            prop_assert_eq!(found.key(), expected.map(|(k, _)| &k[..]));
            if let Some((_, value)) = expected {
                prop_assert_eq!(&found.value()[..], &value[..]);
            }
            // From each entry before it, the same.
            for start in rows.range(..probe.clone()).map(|(key, _)| key) {
                let mut cursor = BlockCursor::seek(block.clone(), start).unwrap();
                cursor.go_to(&probe).unwrap();
                prop_assert_eq!(cursor.key(), found.key());
            }
        }
    }

    #[test]
    fn a_flipped_byte_anywhere_is_damage() {
        let rows: BTreeMap<_, _> = (0..40u8).map(|n| (vec![n; 3], vec![n])).collect();
        let (bytes, reference) = build(&rows);
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            let error = Block::open(&flipped, reference).err().expect("the damage is seen");
            assert_eq!(error.code(), ErrorCode::StorageCorrupt);
            assert!(error.message().contains("0000000000000001-000000"), "it names the block: {error}");
        }
        assert!(Block::open(&bytes[..7], reference).is_err());
    }
}
