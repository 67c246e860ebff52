//! One value of a row at one LSN, and its bytes.
//!
//! ```text
//! version = flags, [base varint], [expiry varint], [delta: varint length, bytes], content
//! content = nothing (tombstone) | the value | overflow: bytes, run, first block, blocks, checksum (varints)
//! ```

use super::bytes::Bytes;
use super::lsn::Lsn;
use super::varint::{read_varint, write_varint};

const TOMBSTONE: u8 = 1;
const BASE: u8 = 2;
const EXPIRY: u8 = 4;
const DELTA: u8 = 8;
const OVERFLOW: u8 = 16;
const KNOWN: u8 = TOMBSTONE | BASE | EXPIRY | DELTA | OVERFLOW;

/// A value too large for a block: it lies in blocks of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overflow {
    pub bytes: u64,
    pub run: u64,
    pub first: u32,
    pub blocks: u32,
    /// The checksum of the whole value.
    pub checksum: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Content {
    Tombstone,
    Value(Bytes),
    Overflow(Overflow),
}

/// The version that a version first replaced below its layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Base {
    /// The version of this LSN.
    At(Lsn),
    /// A version of the same commit: the commit had no LSN yet when both versions were written.
    OwnCommit,
}

impl Base {
    /// As it is stored.
    pub fn number(self) -> u64 {
        if let Base::At(lsn) = self { lsn.0 } else { 0 }
    }
}

/// A value or a tombstone, with the facts about it that merge, expiry and sync need.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Version {
    content: Content,
    /// The base: the version in the level below that this version replaced (SEMANTICS W9); `None` for an insert.
    pub base: Option<Base>,
    /// Milliseconds since 1970 from which on the row is absent.
    pub expiry: Option<u64>,
    /// The sums that `$inc` and `increment` have added since the base, so that the sums of two sides add up in a merge.
    pub delta: Option<Bytes>,
}

impl Version {
    pub fn value(value: impl Into<Bytes>) -> Version {
        Version { content: Content::Value(value.into()), base: None, expiry: None, delta: None }
    }

    pub fn tombstone() -> Version {
        Version { content: Content::Tombstone, base: None, expiry: None, delta: None }
    }

    /// The same version with its value stored apart.
    pub fn moved_to(&self, overflow: Overflow) -> Version {
        Version { content: Content::Overflow(overflow), ..self.clone() }
    }

    /// The same version with the value that was stored apart.
    pub fn brought_back(&self, value: Bytes) -> Version {
        Version { content: Content::Value(value), ..self.clone() }
    }

    pub fn based_on(mut self, base: Option<Lsn>) -> Version {
        self.base = base.map(Base::At);
        self
    }

    /// The version with the sums of its increments.
    pub fn counting(mut self, delta: Option<Bytes>) -> Version {
        self.delta = delta;
        self
    }

    /// Absent from a time on; a tombstone is that anyway.
    pub fn expiring(mut self, expiry: Option<u64>) -> Version {
        self.expiry = expiry.filter(|_| !self.is_tombstone());
        self
    }

    pub fn is_tombstone(&self) -> bool {
        self.content == Content::Tombstone
    }

    /// The value, if it is here: a tombstone has none, and one stored apart must be fetched first.
    pub fn here(&self) -> Option<&Bytes> {
        if let Content::Value(value) = &self.content { Some(value) } else { None }
    }

    pub fn overflow(&self) -> Option<Overflow> {
        if let Content::Overflow(overflow) = self.content { Some(overflow) } else { None }
    }

    /// True if the encoded version is a tombstone. The version is not decoded.
    pub fn is_encoded_tombstone(encoded: &[u8]) -> bool {
        encoded.first().is_some_and(|flags| flags & TOMBSTONE != 0)
    }

    /// True if the encoded version is a tombstone without a base: it hides no row below its layer, only older versions
    /// in it.
    pub fn hides_own_layer(encoded: &[u8]) -> bool {
        encoded.first().is_some_and(|flags| flags & (TOMBSTONE | BASE) == TOMBSTONE)
    }

    pub fn encode(&self) -> Vec<u8> {
        let room = self.here().map_or(0, |v| v.len());
        let mut out = Vec::with_capacity(room + 12);
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        out.push(
            flag(self.is_tombstone(), TOMBSTONE)
                | flag(self.base.is_some(), BASE)
                | flag(self.expiry.is_some(), EXPIRY)
                | flag(self.delta.is_some(), DELTA)
                | flag(self.overflow().is_some(), OVERFLOW),
        );
        if let Some(base) = self.base {
            write_varint(&mut out, base.number());
        }
        if let Some(expiry) = self.expiry {
            write_varint(&mut out, expiry);
        }
        if let Some(delta) = &self.delta {
            write_varint(&mut out, delta.len() as u64);
            out.extend_from_slice(delta);
        }
        match &self.content {
            Content::Tombstone => {}
            Content::Value(value) => out.extend_from_slice(value),
            Content::Overflow(o) => {
                for number in [o.bytes, o.run, o.first.into(), o.blocks.into(), o.checksum] {
                    write_varint(&mut out, number);
                }
            }
        }
        out
    }

    /// The version that `encoded` was made from; its value shares the memory of `encoded`.
    pub fn decode(encoded: &Bytes) -> Option<Version> {
        let flags = *encoded.first()?;
        if flags & !KNOWN != 0 || flags & TOMBSTONE != 0 && flags & OVERFLOW != 0 {
            return None;
        }
        let mut position = 1;
        let mut number = |wanted: u8| -> Option<Option<u64>> {
            if flags & wanted == 0 { Some(None) } else { read_varint(encoded, &mut position).map(Some) }
        };
        let base = number(BASE)?.map(|number| if number == 0 { Base::OwnCommit } else { Base::At(Lsn(number)) });
        let expiry = number(EXPIRY)?;
        let delta = match number(DELTA)? {
            None => None,
            Some(length) => {
                let end = position.checked_add(usize::try_from(length).ok()?)?;
                encoded.get(position..end)?;
                let delta = encoded.slice(position..end);
                position = end;
                Some(delta)
            }
        };
        let content = if flags & TOMBSTONE != 0 {
            (position == encoded.len()).then_some(Content::Tombstone)?
        } else if flags & OVERFLOW != 0 {
            let mut next = || read_varint(encoded, &mut position);
            let (bytes, run) = (next()?, next()?);
            let (first, blocks) = (u32::try_from(next()?).ok()?, u32::try_from(next()?).ok()?);
            let checksum = next()?;
            let overflow = Overflow { bytes, run, first, blocks, checksum };
            (position == encoded.len()).then_some(Content::Overflow(overflow))?
        } else {
            Content::Value(encoded.slice(position..encoded.len()))
        };
        Some(Version { content, base, expiry, delta })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_survives_the_round_trip() {
        let overflow = Overflow { bytes: 1 << 24, run: u64::MAX, first: 7, blocks: 280, checksum: 1 << 60 };
        let full = Version {
            base: Some(Base::At(Lsn(300))),
            expiry: Some(1_800_000_000_000),
            delta: Some(vec![1, 2].into()),
            ..Version::value(vec![9; 5])
        };
        let shapes = [
            Version::value(vec![]),
            Version::tombstone(),
            Version::tombstone().based_on(Some(Lsn(1))),
            Version { base: Some(Base::OwnCommit), ..Version::tombstone() },
            full.moved_to(overflow),
            full,
        ];
        for version in shapes {
            let encoded = Bytes::from(version.encode());
            assert_eq!(Version::decode(&encoded), Some(version.clone()));
        }
    }

    #[test]
    fn bytes_that_are_no_version_are_refused() {
        for bad in [&[][..], &[32], &[TOMBSTONE, 0], &[BASE], &[DELTA, 9, 1], &[TOMBSTONE | OVERFLOW, 0, 0, 0, 0, 0]] {
            assert_eq!(Version::decode(&Bytes::from(bad)), None, "{bad:?}");
        }
    }
}
