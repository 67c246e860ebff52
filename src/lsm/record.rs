//! The log's records: one or more consecutive commits, chained to the record before by its hash.
//!
//! A record over the size of one stored value is split over parts, all appended in one transaction. A part begins with
//! a header, so that a lost or foreign part is seen.
//!
//! A tab appends without asking what others did meanwhile, so not every record counts. One whose first LSN is taken
//! already is void: its writer did not know the record that took it; so is one of another store. One that is chained
//! to the last that counts is the next. Anything else is damage. All who read the log come to the same, and a writer
//! asks them (`Judged`).
//!
//! ```text
//! part = 'O' 'L', format and its bits turned (2 bytes), part (u16), parts (u16), body bytes (u32), hash of the body
//!        (u64), piece of the body
//! ```

use xxhash_rust::xxh64::xxh64;

use super::changes::Changes;
use super::header;
use super::run::RunDescription;
use crate::error::{Error, Result};
use crate::planted::{self, Bug};
use crate::types::fields::{Field, Fields};
use crate::types::{Lsn, limits};

pub const FORMAT: u8 = 3;
const MAGIC: [u8; 2] = *b"OL";
const HEADER_BYTES: usize = header::BYTES + 2 + 2 + 4 + 8;

/// The changes of a transaction under one LSN.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Commit {
    /// Drawn at random: after a lost connection it tells whether the commit is there.
    pub id: u64,
    /// Wall time in milliseconds since 1970, as the clock gave it.
    pub time: u64,
    pub changes: Changes,
    /// Rows too many for the log, written before as runs. No two of its changes are of one row.
    pub runs: Vec<RunDescription>,
    /// True if the cloud must still be told of the commit.
    pub unsent: bool,
    /// True if one of the rows in `changes` or in `runs` is of the catalog. The writer says so, because a reader would
    /// have to fetch the runs to find out.
    pub touches_catalog: bool,
}

impl Commit {
    fn to_field(&self) -> Field<'_> {
        Field::List(vec![
            Field::Number(self.id),
            Field::Number(self.time),
            Field::List(
                self.changes
                    .iter()
                    .map(|(row, version)| Field::List(vec![Field::Bytes(row), Field::Bytes(version)]))
                    .collect(),
            ),
            Field::list(&self.runs, RunDescription::to_field),
            Field::Flag(self.unsent),
            Field::Flag(self.touches_catalog),
        ])
    }

    fn from_fields(mut fields: Fields<'_>) -> Option<Commit> {
        Some(Commit {
            id: fields.number()?,
            time: fields.number()?,
            changes: Changes::of(&fields.list()?.lists(|mut change| Some((change.bytes()?, change.bytes()?)))?),
            runs: fields.list()?.lists(RunDescription::from_fields)?,
            unsent: fields.flag()?,
            touches_catalog: fields.flag()?,
        })
    }
}

/// Consecutive commits written together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// The store that it was written for: a tab may have slept through the making of another one in its place.
    pub store: u64,
    pub first: u64,
    /// The hash of the record before.
    pub previous: u64,
    pub commits: Vec<Commit>,
}

impl Record {
    pub fn first(&self) -> Lsn {
        Lsn(self.first)
    }

    pub fn last(&self) -> Lsn {
        Lsn(self.first + self.commits.len() as u64 - 1)
    }

    /// The record's bytes and their hash.
    pub fn encode(&self) -> (Vec<u8>, u64) {
        let commits = Field::list(&self.commits, Commit::to_field);
        let body = Field::List(vec![
            Field::Number(self.store),
            Field::Number(self.first),
            Field::Number(self.previous),
            commits,
        ])
        .encode();
        let hash = xxh64(&body, 0);
        (body, hash)
    }

    /// `None`: the bytes are those of no record.
    pub fn decode(body: &[u8]) -> Option<Record> {
        let mut fields = Field::decode(body)?;
        let (store, first, previous) = (fields.number()?, fields.number()?, fields.number()?);
        Some(Record { store, first, previous, commits: fields.list()?.lists(Commit::from_fields)? })
    }
}

/// Cuts a record's bytes into parts for a storage whose records hold at most so many bytes.
pub fn split(body: &[u8], hash: u64, record_bytes: usize) -> Vec<Vec<u8>> {
    let room = record_bytes.min(limits::LARGEST_RECORD_BYTES) - HEADER_BYTES;
    let parts = body.len().div_ceil(room).max(1);
    (0..parts)
        .map(|part| {
            let piece = &body[part * room..body.len().min((part + 1) * room)];
            let mut bytes = Vec::with_capacity(HEADER_BYTES + piece.len());
            header::write(&mut bytes, MAGIC, FORMAT);
            bytes.extend_from_slice(&(part as u16).to_be_bytes());
            bytes.extend_from_slice(&(parts as u16).to_be_bytes());
            bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
            bytes.extend_from_slice(&hash.to_be_bytes());
            bytes.extend_from_slice(piece);
            bytes
        })
        .collect()
}

/// A part's header, taken apart.
struct Header {
    part: usize,
    parts: usize,
    bytes: usize,
    hash: u64,
}

fn lost(number: u64, what: &str) -> Error {
    let message = format!("a record of the log is unreadable: {what}. record={number}");
    Error::corrupt(message).with_text("record", number.to_string())
}

fn read_header(number: u64, part: &[u8]) -> Result<Header> {
    let format = header::read(part, MAGIC).filter(|_| part.len() >= HEADER_BYTES);
    let format = format.ok_or_else(|| lost(number, "it does not begin as one"))?;
    if format != FORMAT {
        return Err(Error::of_other_format("the log", format, FORMAT).with_text("record", number.to_string()));
    }
    let field = |from: usize, to: usize| part[from..to].iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    let [part, parts, bytes] = [field(4, 6), field(6, 8), field(8, 12)].map(|field| field as usize);
    Ok(Header { part, parts, bytes, hash: field(12, 20) })
}

/// A record put together, its hash, the bytes of its body, and how many parts it took.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Joined {
    pub record: Record,
    pub hash: u64,
    pub bytes: usize,
    pub parts: usize,
}

/// Puts together the record that the listed parts begin with.
/// `None`: its parts are not all among them, and more must be listed.
pub fn join(parts: &[(u64, Vec<u8>)], is_last_page: bool) -> Result<Option<Joined>> {
    let Some((number, bytes)) = parts.first() else { return Ok(None) };
    let head = read_header(*number, bytes)?;
    if head.part != 0 || head.parts == 0 {
        return Err(lost(*number, "its beginning is gone"));
    }
    if parts.len() < head.parts {
        return if is_last_page { Err(lost(*number, "its end is gone")) } else { Ok(None) };
    }
    let mut joined = Vec::new();
    for (part, (number, bytes)) in parts[..head.parts].iter().enumerate() {
        let this = read_header(*number, bytes)?;
        if this.part != part || this.parts != head.parts || this.hash != head.hash {
            return Err(lost(*number, "it is no part of the record before"));
        }
        if head.parts > 1 {
            joined.extend_from_slice(&bytes[HEADER_BYTES..]);
        }
    }
    let body = if head.parts > 1 { &joined[..] } else { &bytes[HEADER_BYTES..] };
    if body.len() != head.bytes || xxh64(body, 0) != head.hash {
        return Err(lost(*number, "its hash differs"));
    }
    let record = Record::decode(body).filter(|record| record.first > 0 && !record.commits.is_empty());
    let record = record.ok_or_else(|| lost(*number, "it cannot be decoded"))?;
    Ok(Some(Joined { record, hash: head.hash, bytes: head.bytes, parts: head.parts }))
}

/// Where the log stands for whoever reads on from here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    pub store: u64,
    pub lsn: Lsn,
    /// The hash of the last record that counts.
    pub hash: u64,
    /// The number of the last part that was read, or that stands in runs.
    pub number: u64,
}

/// The verdict on a record of a log that stands at some head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judged {
    Next,
    /// Somebody else's came first.
    Void,
    /// It follows something that is not there.
    Broken,
}

impl Record {
    pub fn judge(&self, head: Head) -> Judged {
        if planted::is(Bug::HalfRecordTakenForWhole) && self.previous == head.hash {
            return Judged::Next;
        }
        if self.store != head.store || self.first() <= head.lsn {
            Judged::Void
        } else if self.first() == head.lsn.next() && self.previous == head.hash {
            Judged::Next
        } else {
            Judged::Broken
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::changes::Change;
    use super::*;
    use crate::error::ErrorCode;

    fn record(bytes: usize) -> Record {
        let changes = [Change(b"row".to_vec(), vec![7; bytes])].into_iter().collect();
        Record {
            store: 3,
            first: 5,
            previous: 1,
            commits: vec![Commit { id: 9, time: 1, changes, ..Commit::default() }],
        }
    }

    fn parts(record: &Record) -> Vec<(u64, Vec<u8>)> {
        let (body, hash) = record.encode();
        (8..).zip(split(&body, hash, limits::RECORD_BYTES)).collect()
    }

    #[test]
    fn a_record_of_any_size_comes_back_from_its_parts() {
        for bytes in [0, 10, 59_000, 60_000, 1_000_000] {
            let record = record(bytes);
            let (body, hash) = record.encode();
            let parts = parts(&record);
            assert!(parts.iter().all(|(_, part)| part.len() <= limits::RECORD_BYTES));
            let joined = Joined { record, hash, bytes: body.len(), parts: parts.len() };
            assert_eq!(join(&parts, true).unwrap(), Some(joined));
        }
    }

    #[test]
    fn half_of_a_record_is_not_taken_for_whole() {
        let parts = parts(&record(200_000));
        for gone in 0..parts.len() {
            let mut left = parts.clone();
            left.remove(gone);
            assert_eq!(join(&left, true).unwrap_err().code(), ErrorCode::StorageCorrupt);
        }
        assert_eq!(join(&parts[..2], false).unwrap(), None, "the rest may be on the next page");
    }

    #[test]
    fn a_flipped_byte_is_damage() {
        let parts = parts(&record(100));
        for at in 0..parts[0].1.len() {
            let mut flipped = parts.clone();
            flipped[0].1[at] ^= 1;
            let error = join(&flipped, true).expect_err("it is damaged");
            assert_eq!(error.code(), ErrorCode::StorageCorrupt, "byte {at}");
        }
    }

    #[test]
    fn another_format_is_told_apart_from_damage() {
        for (format, code) in [(FORMAT + 1, ErrorCode::FormatTooNew), (FORMAT - 1, ErrorCode::FormatTooOld)] {
            let mut parts = parts(&record(1));
            parts[0].1[2..4].copy_from_slice(&[format, !format]);
            assert_eq!(join(&parts, true).unwrap_err().code(), code);
        }
    }

    #[test]
    fn a_record_counts_only_behind_the_one_that_it_is_chained_to() {
        let head = |lsn: u64, hash: u64| Head { store: 3, lsn: Lsn(lsn), hash, number: 0 };
        for (head, judged) in [
            (head(4, 1), Judged::Next),
            (head(5, 1), Judged::Void),
            (head(9, 7), Judged::Void),
            (head(4, 7), Judged::Broken),
            (head(3, 1), Judged::Broken),
            (Head { store: 4, ..head(4, 1) }, Judged::Void),
        ] {
            assert_eq!(record(1).judge(head), judged, "{head:?}");
        }
    }
}
