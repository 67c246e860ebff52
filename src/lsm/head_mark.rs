//! The head mark: which record was the last some moments ago, written apart from the log once commits rest. A log that
//! ends before it has lost its end.

use xxhash_rust::xxh64::xxh64;

use super::record::Head;
use crate::storage::{Place, Space};
use crate::types::Lsn;

const BYTES: usize = 32;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeadMark {
    pub store: u64,
    pub head: Lsn,
    pub hash: u64,
}

impl HeadMark {
    pub fn of(head: Head) -> HeadMark {
        HeadMark { store: head.store, head: head.lsn, hash: head.hash }
    }

    pub fn place() -> Place {
        (Space::Meta, "head".to_string())
    }

    /// The mark as a record to put.
    pub fn record(&self) -> (Space, String, Vec<u8>) {
        let (space, name) = HeadMark::place();
        (space, name, self.encode())
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend_from_slice(&self.store.to_be_bytes());
        bytes.extend_from_slice(&self.head.0.to_be_bytes());
        bytes.extend_from_slice(&self.hash.to_be_bytes());
        let checksum = xxh64(&bytes, 0);
        bytes.extend_from_slice(&checksum.to_be_bytes());
        bytes
    }

    /// `None`: the mark itself is damaged, and says nothing.
    pub fn decode(bytes: &[u8]) -> Option<HeadMark> {
        let number = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let is_whole = bytes.len() == BYTES && number(24)? == xxh64(&bytes[..24], 0);
        is_whole.then_some(HeadMark { store: number(0)?, head: Lsn(number(8)?), hash: number(16)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_survives_the_round_trip_and_no_flipped_byte() {
        let mark = HeadMark { store: 5, head: Lsn(7), hash: 99 };
        let bytes = mark.encode();
        assert_eq!(HeadMark::decode(&bytes), Some(mark));
        for at in 0..BYTES {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert_eq!(HeadMark::decode(&flipped), None, "byte {at}");
        }
        assert_eq!(HeadMark::decode(&bytes[1..]), None);
    }
}
