//! The log's records: one or more consecutive commits, chained to the record before by its hash.
//!
//! A record over the size of one stored value is split over parts, all written in one transaction. A part begins with a
//! header, so that a lost or foreign part is seen.
//!
//! ```text
//! part = 'O' 'L', format (1 byte), part (u16), parts (u16), body bytes (u32), hash of the body (u64), piece of the
//! body
//! ```

use xxhash_rust::xxh64::xxh64;

use super::run::RunDescription;
use crate::error::{Error, ErrorCode, Result};
use crate::types::fields::{Field, Fields};
use crate::types::{Lsn, limits};

pub const FORMAT: u8 = 1;
const MAGIC: [u8; 2] = *b"OL";
const HEADER_BYTES: usize = 2 + 1 + 2 + 2 + 4 + 8;

/// One put or delete: the row and its encoded version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change(pub Vec<u8>, pub Vec<u8>);

/// What a transaction did under one LSN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commit {
    /// Drawn at random: after a lost connection it tells whether the commit is there.
    pub id: u64,
    /// Wall time in milliseconds since 1970, as the clock gave it.
    pub time: u64,
    pub changes: Vec<Change>,
    /// Rows too many for the log, written before as a run.
    pub run: Option<RunDescription>,
    /// Whether the cloud must still hear of it.
    pub unsent: bool,
}

impl Commit {
    fn to_field(&self) -> Field<'_> {
        Field::List(vec![
            Field::Number(self.id),
            Field::Number(self.time),
            Field::list(&self.changes, |Change(row, version)| {
                Field::List(vec![Field::Bytes(row), Field::Bytes(version)])
            }),
            self.run.as_ref().map_or(Field::Nil, RunDescription::to_field),
            Field::Flag(self.unsent),
        ])
    }

    fn from_fields(mut fields: Fields<'_>) -> Option<Commit> {
        Some(Commit {
            id: fields.number()?,
            time: fields.number()?,
            changes: fields
                .list()?
                .lists(|mut change| Some(Change(change.bytes()?.to_vec(), change.bytes()?.to_vec())))?,
            run: match fields.optional_list()? {
                Some(run) => Some(RunDescription::from_fields(run)?),
                None => None,
            },
            unsent: fields.flag()?,
        })
    }
}

/// Consecutive commits written together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
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
        let body = Field::List(vec![Field::Number(self.first), Field::Number(self.previous), commits]).encode();
        let hash = xxh64(&body, 0);
        (body, hash)
    }

    /// `None`: the bytes are those of no record.
    pub fn decode(body: &[u8]) -> Option<Record> {
        let mut fields = Field::decode(body)?;
        let (first, previous) = (fields.number()?, fields.number()?);
        Some(Record { first, previous, commits: fields.list()?.lists(Commit::from_fields)? })
    }
}

/// The name of a part: parts of a record are neighbours, records are in the order of their LSNs.
pub fn part_name(first: Lsn, part: usize) -> String {
    format!("{}-{part:04x}", first.to_text())
}

/// How many parts a body of so many bytes takes.
pub fn parts(bytes: usize) -> usize {
    bytes.div_ceil(limits::RECORD_BYTES - HEADER_BYTES).max(1)
}

/// Cuts a record's bytes into parts, each small enough to be stored.
pub fn split(first: Lsn, body: &[u8], hash: u64) -> Vec<(String, Vec<u8>)> {
    let room = limits::RECORD_BYTES - HEADER_BYTES;
    let parts = parts(body.len());
    (0..parts)
        .map(|part| {
            let piece = &body[part * room..body.len().min((part + 1) * room)];
            let mut bytes = Vec::with_capacity(HEADER_BYTES + piece.len());
            bytes.extend_from_slice(&MAGIC);
            bytes.push(FORMAT);
            bytes.extend_from_slice(&(part as u16).to_be_bytes());
            bytes.extend_from_slice(&(parts as u16).to_be_bytes());
            bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
            bytes.extend_from_slice(&hash.to_be_bytes());
            bytes.extend_from_slice(piece);
            (part_name(first, part), bytes)
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

fn header(name: &str, part: &[u8]) -> Result<Header> {
    let lost = || Error::corrupt(format!("a log record is unreadable. record={name}")).with_text("record", name);
    if part.len() < HEADER_BYTES || part[..2] != MAGIC {
        return Err(lost());
    }
    if part[2] != FORMAT {
        let message = format!("the log was written by a newer Offshoot. record={name}, format={}", part[2]);
        return Err(Error::new(ErrorCode::FormatTooNew, message));
    }
    let number = |from: usize, to: usize| part[from..to].iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    Ok(Header {
        part: number(3, 5) as usize,
        parts: number(5, 7) as usize,
        bytes: number(7, 11) as usize,
        hash: number(11, 19),
    })
}

/// A record put together, its hash, the bytes of its body, and how many parts it took.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Joined {
    pub record: Record,
    pub hash: u64,
    pub bytes: usize,
    pub parts: usize,
}

/// Puts together the record that begins at `first` from listed parts.
/// `None`: its parts are not all among them, and more must be listed.
pub fn join(first: Lsn, parts: &[(String, Vec<u8>)], is_last_page: bool) -> Result<Option<Joined>> {
    let lost = |name: &str| {
        let message = format!("the log has a gap. expected record={}, found={name}", part_name(first, 0));
        Error::corrupt(message).with_text("record", first.to_text())
    };
    let Some((name, bytes)) = parts.first() else { return Ok(None) };
    if *name != part_name(first, 0) {
        return Err(lost(name));
    }
    let head = header(name, bytes)?;
    if head.part != 0 || head.parts == 0 {
        return Err(lost(name));
    }
    if parts.len() < head.parts {
        return if is_last_page { Err(lost("its end")) } else { Ok(None) };
    }
    let mut body = Vec::with_capacity(head.parts * limits::RECORD_BYTES);
    for (part, (name, bytes)) in parts[..head.parts].iter().enumerate() {
        let this = header(name, bytes)?;
        let fits = this.part == part && this.parts == head.parts && this.hash == head.hash;
        if !fits || *name != part_name(first, part) {
            return Err(lost(name));
        }
        body.extend_from_slice(&bytes[HEADER_BYTES..]);
    }
    if body.len() != head.bytes || xxh64(&body, 0) != head.hash {
        return Err(Error::corrupt(format!("a log record's hash differs. record={name}")).with_text("record", name));
    }
    let record = Record::decode(&body)
        .ok_or_else(|| Error::corrupt(format!("a log record cannot be decoded. record={name}")))?;
    if record.first != first.0 || record.commits.is_empty() {
        return Err(lost(name));
    }
    Ok(Some(Joined { record, hash: head.hash, bytes: head.bytes, parts: head.parts }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(bytes: usize) -> Record {
        let changes = vec![Change(b"row".to_vec(), vec![7; bytes])];
        Record { first: 5, previous: 1, commits: vec![Commit { id: 9, time: 1, changes, run: None, unsent: false }] }
    }

    #[test]
    fn a_record_of_any_size_comes_back_from_its_parts() {
        for bytes in [0, 10, 59_000, 60_000, 1_000_000] {
            let record = record(bytes);
            let (body, hash) = record.encode();
            let parts = split(Lsn(5), &body, hash);
            assert!(parts.iter().all(|(_, part)| part.len() <= limits::RECORD_BYTES));
            let joined = Joined { record, hash, bytes: body.len(), parts: parts.len() };
            assert_eq!(join(Lsn(5), &parts, true).unwrap(), Some(joined));
        }
    }

    #[test]
    fn half_of_a_record_is_not_taken_for_whole() {
        let record = record(200_000);
        let (body, hash) = record.encode();
        let parts = split(Lsn(5), &body, hash);
        for gone in 0..parts.len() {
            let mut left = parts.clone();
            left.remove(gone);
            assert_eq!(join(Lsn(5), &left, true).unwrap_err().code(), ErrorCode::StorageCorrupt);
        }
        assert_eq!(join(Lsn(5), &parts[..2], false).unwrap(), None, "the rest may be on the next page");
    }

    #[test]
    fn a_flipped_byte_is_damage() {
        let (body, hash) = record(100).encode();
        let parts = split(Lsn(5), &body, hash);
        for at in 0..parts[0].1.len() {
            let mut flipped = parts.clone();
            flipped[0].1[at] ^= 1;
            assert!(join(Lsn(5), &flipped, true).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_newer_format_is_told_apart_from_damage() {
        let (body, hash) = record(1).encode();
        let mut parts = split(Lsn(5), &body, hash);
        parts[0].1[2] = FORMAT + 1;
        assert_eq!(join(Lsn(5), &parts, true).unwrap_err().code(), ErrorCode::FormatTooNew);
    }
}
