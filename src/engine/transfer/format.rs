//! The format of an export, number 1: enough is said here to read and write it in any language.
//!
//! ```text
//! export   = preamble, frame, frame … ; nothing follows the last frame
//! preamble = "offshoot" (8 bytes), format (u32), check (u64)
//! frame    = size of the body in bytes (u32), check (u64), body
//! ```
//! These integers are little endian. The preamble's check is the xxHash64, with seed 0, of the 12 bytes before it; a
//! frame's check is the xxHash64 of its body, with the check before it as seed. So a frame that is missing, repeated,
//! swapped or damaged is seen at once. Every later format begins with the same preamble: a reader that finds its check
//! right and its format greater than it knows needs a newer version of itself.
//!
//! A body is one MessagePack array whose first item says what it is. Items in excess at the end of kinds 1, 2 and 4
//! are to be skipped. No body is larger than 16 MiB + 64 KiB.
//!
//! ```text
//! header     = [1, database (str), version (str), time (int)]
//! collection = [2, name (str), kind (str: "documents" or "kv")]
//! rows       = [3, [row, row …]] ; at least one
//! row        = [key, value] or [key, value, expiry (int)]
//! end        = [4, documents (int), entries (int)]
//!            | [4, documents, entries, skipped (int), [[block (str), from, to] …]] ; of a salvage
//! from, to   = nil or [collection (str), key (bin)]
//! ```
//! - First comes one header: the database's name, the version of its store that was read, and when it was read, in
//!   milliseconds since 1970.
//! - Then collections, each followed by the frames with its rows, of which there may be none. Names rise, compared byte
//!   for byte, so each comes once: 1 to 64 ASCII letters, digits, `-`, `_`, `.`, no dot first.
//! - A document's key is its id, a str; its value is a map without a field `id`. An entry's key is a str, a number
//!   (int or float, not NaN; -0 is 0), a bin, or an array of 1 to 16 of these. Its value is any value.
//! - Keys of one collection rise: numbers, then strs, then bins, then arrays. Numbers compare as numbers, strs by their
//!   UTF-8 and bins by their bytes, arrays item by item, and an array that ends comes first. A key takes at most 1,024
//!   bytes in the form of `types/key.rs`.
//! - A value is nil, a bool, an int, a float, a str, a bin, an array, a map with strs as its keys, a timestamp (the
//!   extension -1 of MessagePack, within what a JavaScript Date can say), or a big integer: extension 1, two's
//!   complement, big endian, at least one byte. It takes at most 16 MiB and nests at most 64 deep.
//! - `expiry`, in milliseconds since 1970, is when an entry is gone by itself.
//! - A frame of rows is cut at about 64 KiB; a row that is larger has a frame to itself.
//! - Last comes one end, with the numbers of documents and of entries. An export without it was cut off.
//!
//! A salvage is an export of a damaged store, read around the damage. Its end counts the places that could not be read
//! and names the first 1,000: the record that is damaged, and where rows may be missing, or may be older than they
//! were, deleted ones too. A bound is a name and a key in the form of `types/key.rs`, both perhaps cut short; nil: from
//! the beginning, to the end.

use xxhash_rust::xxh64::xxh64;

use crate::engine::op::write_key;
use crate::types::pack::{write_array, write_bin, write_integer, write_nil, write_text};
use crate::types::{Bytes, CollectionName, Kind, limits};

pub const FORMAT: u32 = 1;
pub const MAGIC: [u8; 8] = *b"offshoot";
pub const PREAMBLE_BYTES: usize = 20;
/// The part of the preamble that its check is of.
pub const CHECKED_BYTES: usize = 12;
/// In front of a body.
pub const HEAD_BYTES: usize = 12;
/// A frame of rows is cut when it reaches this size.
pub const CHUNK_BYTES: usize = 64 * 1024;
pub const BODY_BYTES: usize = limits::VALUE_BYTES + CHUNK_BYTES;
/// How many places a salvage names.
pub const NAMED: usize = 1000;

pub const HEADER: i64 = 1;
pub const COLLECTION: i64 = 2;
pub const ROWS: i64 = 3;
pub const END: i64 = 4;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    pub database: String,
    pub version: String,
    pub time: u64,
}

/// A row, its key encoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExportedRow {
    pub key: Vec<u8>,
    pub value: Bytes,
    pub expiry: Option<u64>,
}

impl ExportedRow {
    pub fn size(&self) -> usize {
        self.key.len() + self.value.len() + 16
    }
}

/// A collection's name and a key, both as far as they are known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bound {
    pub collection: String,
    pub key: Vec<u8>,
}

/// A place that a salvage could not read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Skipped {
    /// The name of the damaged record.
    pub block: String,
    /// Where rows may be missing, both bounds included. `None`: from the beginning, to the end.
    pub from: Option<Bound>,
    pub to: Option<Bound>,
}

#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct End {
    pub documents: u64,
    pub entries: u64,
    /// The number of places that a salvage could not read; `None`: this is no salvage.
    pub skipped: Option<u64>,
    /// The first of these places.
    pub named: Vec<Skipped>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    Header(Header),
    Collection(CollectionName, Kind),
    Rows(Vec<ExportedRow>),
    End(End),
}

pub fn kind_name(kind: Kind) -> &'static str {
    if kind == Kind::Entry { "kv" } else { "documents" }
}

/// The check of a body that follows `before`.
pub fn check(before: u64, body: &[u8]) -> u64 {
    xxh64(body, before)
}

/// Writes frames, each chained to the one before.
pub struct FrameWriter {
    chain: u64,
    out: Vec<u8>,
}

impl FrameWriter {
    /// Begins with the preamble.
    pub fn new() -> FrameWriter {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&FORMAT.to_le_bytes());
        let chain = check(0, &out);
        out.extend_from_slice(&chain.to_le_bytes());
        FrameWriter { chain, out }
    }

    pub fn push(&mut self, frame: &Frame) {
        let body = body(frame);
        assert!(body.len() <= BODY_BYTES, "BUG: a frame is cut before it is too large");
        self.chain = check(self.chain, &body);
        self.out.extend_from_slice(&(body.len() as u32).to_le_bytes());
        self.out.extend_from_slice(&self.chain.to_le_bytes());
        self.out.extend_from_slice(&body);
    }

    /// Takes the bytes that were written since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}

fn body(frame: &Frame) -> Vec<u8> {
    let mut out = Vec::new();
    match frame {
        Frame::Header(header) => {
            begin(&mut out, HEADER, 3);
            write_text(&mut out, &header.database);
            write_text(&mut out, &header.version);
            write_integer(&mut out, header.time as i64);
        }
        Frame::Collection(name, kind) => {
            begin(&mut out, COLLECTION, 2);
            write_text(&mut out, name.as_str());
            write_text(&mut out, kind_name(*kind));
        }
        Frame::Rows(rows) => {
            out.reserve(rows.iter().map(ExportedRow::size).sum::<usize>() + 16);
            begin(&mut out, ROWS, 1);
            write_array(&mut out, rows.len());
            for row in rows {
                write_array(&mut out, if row.expiry.is_some() { 3 } else { 2 });
                write_key(&mut out, &row.key);
                out.extend_from_slice(&row.value);
                if let Some(expiry) = row.expiry {
                    write_integer(&mut out, expiry as i64);
                }
            }
        }
        Frame::End(end) => write_end(&mut out, end),
    }
    out
}

fn begin(out: &mut Vec<u8>, number: i64, more: usize) {
    write_array(out, 1 + more);
    write_integer(out, number);
}

fn write_end(out: &mut Vec<u8>, end: &End) {
    begin(out, END, if end.skipped.is_some() { 4 } else { 2 });
    write_integer(out, end.documents as i64);
    write_integer(out, end.entries as i64);
    if let Some(skipped) = end.skipped {
        write_integer(out, skipped as i64);
        write_array(out, end.named.len());
        for place in &end.named {
            write_array(out, 3);
            write_text(out, &place.block);
            write_bound(out, place.from.as_ref());
            write_bound(out, place.to.as_ref());
        }
    }
}

fn write_bound(out: &mut Vec<u8>, bound: Option<&Bound>) {
    let Some(bound) = bound else { return write_nil(out) };
    write_array(out, 2);
    write_text(out, &bound.collection);
    write_bin(out, &bound.key);
}
