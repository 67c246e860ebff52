//! Where a row stands: layer, collection, kind and key, in one ordered byte string.
//!
//! ```text
//! row      = layer (8 bytes, big endian) suffix
//! suffix   = collection name, 0x00, kind (1 byte), encoded key
//! internal = row, inverted LSN (8 bytes, big endian): of one row, the newest version comes first
//! ```
//! Nothing in it is a prefix of another of its kind, so appending never changes the order.

use std::borrow::Borrow;

use super::lsn::Lsn;
use super::name::CollectionName;

/// The versions that one database wrote itself. Drawn at random, so that no two tabs can draw the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LayerId(pub u64);

impl LayerId {
    /// The layer of the store's own catalog.
    pub const CATALOG: LayerId = LayerId(0);
}

/// The kind of a row. Documents and entries of one name never mix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    /// A collection's own row, under the empty name: its kind, and later its indexes.
    Collection = 1,
    Document = 2,
    Entry = 3,
    /// The change feed of a layer: by LSN, the keys written.
    Feed = 4,
    /// A row of the catalog.
    Catalog = 5,
    /// Beside a row that a merge left in conflict: the row that both sides are compared with.
    Ancestor = 6,
}

impl Kind {
    pub fn from_byte(byte: u8) -> Option<Kind> {
        [Kind::Collection, Kind::Document, Kind::Entry, Kind::Feed, Kind::Catalog, Kind::Ancestor]
            .into_iter()
            .find(|k| *k as u8 == byte)
    }
}

/// A row without its layer: the part that is the same on every level of a path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Suffix(Vec<u8>);

impl Suffix {
    pub fn new(collection: &str, kind: Kind, key: &[u8]) -> Suffix {
        let mut bytes = prefix(collection, kind);
        bytes.extend_from_slice(key);
        Suffix(bytes)
    }

    pub fn document(collection: &CollectionName, encoded_id: &[u8]) -> Suffix {
        Suffix::new(collection.as_str(), Kind::Document, encoded_id)
    }

    pub fn entry(collection: &CollectionName, encoded_key: &[u8]) -> Suffix {
        Suffix::new(collection.as_str(), Kind::Entry, encoded_key)
    }

    /// A row whose key is a name, closed by 0x00: `ab` sorts after `a` with all its versions.
    pub fn named(collection: &str, kind: Kind, name: &str) -> Suffix {
        let mut suffix = Suffix::new(collection, kind, name.as_bytes());
        suffix.0.push(0);
        suffix
    }

    pub fn from_bytes(bytes: Vec<u8>) -> Suffix {
        Suffix(bytes)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// It has the order of its bytes.
impl Borrow<[u8]> for Suffix {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// The bytes that every row of one kind in a collection begins with, after its layer.
pub fn prefix(collection: &str, kind: Kind) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(collection.len() + 2 + 24);
    bytes.extend_from_slice(collection.as_bytes());
    bytes.push(0);
    bytes.push(kind as u8);
    bytes
}

/// The end of the range that starts at `prefix(collection, kind)`.
pub fn prefix_end(collection: &str, kind: Kind) -> Vec<u8> {
    let mut bytes = prefix(collection, kind);
    bytes.push(0xff);
    bytes
}

/// True if a row, with its layer, is that of a collection itself, or a bound of such rows.
pub fn is_collection(row: &[u8]) -> bool {
    row.get(LAYER_BYTES..LAYER_BYTES + 2) == Some(&[0, Kind::Collection as u8])
}

/// A suffix taken apart: collection, kind, encoded key.
pub fn split_suffix(suffix: &[u8]) -> Option<(&str, Kind, &[u8])> {
    let end = suffix.iter().position(|b| *b == 0)?;
    let collection = std::str::from_utf8(&suffix[..end]).ok()?;
    let kind = Kind::from_byte(*suffix.get(end + 1)?)?;
    Some((collection, kind, &suffix[end + 2..]))
}

/// The name that is a row's key.
pub fn split_name(suffix: &[u8]) -> Option<&str> {
    let (_, _, key) = split_suffix(suffix)?;
    std::str::from_utf8(key.strip_suffix(&[0])?).ok()
}

pub const LAYER_BYTES: usize = 8;
pub const LSN_BYTES: usize = 8;

/// The row `suffix` of `layer`.
pub fn row(layer: LayerId, suffix: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LAYER_BYTES + suffix.len() + LSN_BYTES);
    bytes.extend_from_slice(&layer.0.to_be_bytes());
    bytes.extend_from_slice(suffix);
    bytes
}

/// A row taken apart: layer, suffix.
pub fn split_row(row: &[u8]) -> (LayerId, &[u8]) {
    let (layer, suffix) = row.split_at(LAYER_BYTES);
    (LayerId(u64::from_be_bytes(layer.try_into().expect("BUG: eight bytes"))), suffix)
}

/// Appends `lsn` to a row, which makes it an internal key.
pub fn push_lsn(row: &mut Vec<u8>, lsn: Lsn) {
    row.extend_from_slice(&(!lsn.0).to_be_bytes());
}

/// A row with its LSN.
pub fn internal(row: &[u8], lsn: Lsn) -> Vec<u8> {
    let mut internal = Vec::with_capacity(row.len() + LSN_BYTES);
    internal.extend_from_slice(row);
    push_lsn(&mut internal, lsn);
    internal
}

/// An internal key taken apart: row, LSN.
pub fn split_internal(internal: &[u8]) -> (&[u8], Lsn) {
    let (row, lsn) = internal.split_at(internal.len() - LSN_BYTES);
    (row, Lsn(!u64::from_be_bytes(lsn.try_into().expect("BUG: eight bytes"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_of_a_row_comes_first() {
        let mut older = row(LayerId(1), Suffix::new("todos", Kind::Document, b"k").as_bytes());
        let mut newer = older.clone();
        push_lsn(&mut older, Lsn(41));
        push_lsn(&mut newer, Lsn(42));
        assert!(newer < older);
        assert_eq!(split_internal(&newer).1, Lsn(42));
    }

    #[test]
    fn a_suffix_comes_apart_as_it_was_put_together() {
        let suffix = Suffix::new("todos", Kind::Entry, &[0, 255, 0]);
        assert_eq!(split_suffix(suffix.as_bytes()), Some(("todos", Kind::Entry, &[0u8, 255, 0][..])));
        assert_eq!(split_suffix(b"no end"), None);
        assert_eq!(split_suffix(b"x\0\x63"), None);
    }
}
