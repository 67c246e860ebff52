//! A sorted set of blocks, as the manifest or the log describes it. `RunWriter` writes one.

use super::fault::{BlockAddress, BlockReference};
use crate::types::fields::{Field, Fields};
use crate::types::row::LAYER_BYTES;
use crate::types::{Lsn, Overflow};

/// The description of a run in the manifest or in the log.
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
    /// True if a commit wrote the run ahead, and its rows stand in the change feed by now: they are no feed themselves
    /// any more.
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

    /// The description of the run when `taken` versions of rows before `first` are moved, and with them the segments
    /// before `dropped`. Its figures are estimated. Rows that were moved before stay moved: a run whose own first row
    /// comes later keeps that row as its first.
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

    /// The stored bytes of so many unpacked bytes: they are packed as well as the whole run is.
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

/// How much of a run's first and last row is kept: keys may be long, and the manifest holds many runs.
const BOUND_BYTES: usize = 48;

/// A short key that is not greater than a row.
pub fn below(row: &[u8]) -> &[u8] {
    &row[..row.len().min(BOUND_BYTES)]
}

/// A short key of the same layer that is not less than a row.
pub fn above(row: Vec<u8>) -> Vec<u8> {
    let short = &row[..row.len().min(BOUND_BYTES)];
    match short.iter().rposition(|byte| *byte < 0xff).filter(|at| *at >= LAYER_BYTES && row.len() > BOUND_BYTES) {
        None => row,
        Some(at) => [&short[..at], &[short[at] + 1]].concat(),
    }
}
