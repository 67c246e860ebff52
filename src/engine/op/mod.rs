//! The operations that a caller can ask of a collection, as data: one way in for calls, transactions and snapshots
//! alike.
//!
//! It does not know: catalog, core, handle, witness, compare, copy, transact, clones, merge, transfer, upkeep, store.

mod apply;
pub mod context;
mod decode;
mod documents;
mod encode;
mod entries;
pub mod known;
pub mod steps;
pub mod transaction;

pub use context::Page;
pub(super) use decode::encoded_key;
pub(super) use documents::document;
pub use encode::write_key;

use crate::engine::rows::read::SuffixRange;
use crate::error::{Error, ErrorCode, Result};
use crate::query::Update;
use crate::types::pack::{Reader, Shape};
use crate::types::{Bytes, CollectionName, Suffix};

/// A document to write: its id, if it has one yet, and its fields as a MessagePack map without `id`.
#[derive(Clone, PartialEq, Debug)]
pub struct NewDocument {
    id: Option<String>,
    fields: Bytes,
}

impl NewDocument {
    /// Fails unless `fields` begin with a map that is whole, and no deeper than a value may be.
    pub fn new(id: Option<String>, fields: &[u8]) -> Result<NewDocument> {
        NewDocument::read(id, &mut Reader::new(fields))
    }

    fn read(id: Option<String>, fields: &mut Reader<'_>) -> Result<NewDocument> {
        if fields.shape()? != Shape::Map {
            return Err(Error::new(ErrorCode::InvalidValue, "a document is an object").with_text("path", ""));
        }
        Ok(NewDocument { id, fields: fields.value()?.into() })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Condition {
    #[default]
    None,
    IfAbsent,
    IfPresent,
}

/// Which entries, by encoded key, before the collection's own prefix is put in front.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeyRange {
    pub from: Option<Vec<u8>>,
    pub after: Option<Vec<u8>>,
    pub before: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Op {
    Get {
        collection: CollectionName,
        id: String,
    },
    GetMany {
        collection: CollectionName,
        ids: Vec<String>,
    },
    Count {
        collection: CollectionName,
        /// The rows that are left to count; `None`: all of them.
        rest: Option<SuffixRange>,
        counted: u64,
    },
    Find {
        collection: CollectionName,
        after: Option<Suffix>,
        /// The rows that are left to walk; `None`: the walk has not begun.
        rest: Option<SuffixRange>,
        skip: u64,
        limit: Option<usize>,
    },
    Insert {
        collection: CollectionName,
        documents: Vec<NewDocument>,
    },
    Put {
        collection: CollectionName,
        documents: Vec<NewDocument>,
    },
    Update {
        collection: CollectionName,
        id: String,
        update: Update,
    },
    Delete {
        collection: CollectionName,
        ids: Vec<String>,
    },
    EntryGet {
        collection: CollectionName,
        keys: Vec<Vec<u8>>,
        one: bool,
    },
    EntryHas {
        collection: CollectionName,
        key: Vec<u8>,
    },
    EntryField {
        collection: CollectionName,
        key: Vec<u8>,
        field: String,
    },
    EntryList {
        collection: CollectionName,
        range: KeyRange,
        reverse: bool,
        limit: Option<usize>,
        after: Option<Vec<u8>>,
        rest: Option<SuffixRange>,
    },
    EntryCount {
        collection: CollectionName,
        range: KeyRange,
        rest: Option<SuffixRange>,
        counted: u64,
    },
    EntrySet {
        collection: CollectionName,
        entries: Vec<(Vec<u8>, Vec<u8>)>,
        condition: Condition,
    },
    EntryDelete {
        collection: CollectionName,
        keys: Vec<Vec<u8>>,
    },
    EntrySetField {
        collection: CollectionName,
        key: Vec<u8>,
        field: String,
        value: Option<Vec<u8>>,
    },
}

#[derive(Debug)]
pub enum Answer {
    Nothing,
    Flag(bool),
    Count(u64),
    Value(Option<Bytes>),
    Values(Vec<Option<Bytes>>),
    Ids(Vec<String>),
    /// Ids and fields.
    Documents(Page<(String, Bytes)>),
    /// Encoded keys and values.
    Entries(Page<(Vec<u8>, Bytes)>),
}

/// A long walk is done in steps, each on blocks of its own, so that memory stays bounded, and so does the time of a
/// step.
#[derive(Debug)]
pub enum Step {
    Done(Answer),
    More(Op),
}

/// Makes ids that sort in the order in which they were made.
pub trait MakeId {
    fn make_id(&self) -> String;
}

impl Op {
    pub fn is_write(&self) -> bool {
        matches!(
            self,
            Op::Insert { .. }
                | Op::Put { .. }
                | Op::Update { .. }
                | Op::Delete { .. }
                | Op::EntrySet { .. }
                | Op::EntryDelete { .. }
                | Op::EntrySetField { .. }
        )
    }

    /// How many rows the call names.
    pub fn named(&self) -> usize {
        match self {
            Op::GetMany { ids, .. } | Op::Delete { ids, .. } => ids.len(),
            Op::Insert { documents, .. } | Op::Put { documents, .. } => documents.len(),
            Op::EntryGet { keys, .. } | Op::EntryDelete { keys, .. } => keys.len(),
            Op::EntrySet { entries, .. } => entries.len(),
            _ => 1,
        }
    }
}
