//! The nouns that every layer shares. Pure data: no I/O, no async, no clock.
//!
//! It does not know: storage, platform, drive, lsm, query, engine, js.

mod bytes;
pub mod fields;
pub mod key;
pub mod limits;
mod lsn;
mod name;
pub mod number;
pub mod pack;
pub mod row;
pub mod sort;
mod sorted;
mod sorted_set;
mod varint;
mod version;
pub mod work;

pub use bytes::{Bytes, SortedBytes};
pub use key::{Key, KeyPart};
pub use lsn::Lsn;
pub use name::{CollectionName, DatabaseName};
pub use row::{Kind, LayerId, Suffix};
pub use sorted::{SortedMap, SortedRange};
pub use sorted_set::SortedSet;
pub use varint::{read_varint, varint_bytes, write_varint};
pub use version::{Base, Overflow, Version};
