//! A sample of each format, and its checksums made right again, so that what was changed gets past them.

use offshoot::lsm::{Change, Commit, Manifest, Record, split};
use offshoot::types::Version;
use offshoot::types::pack::{write_array, write_bin, write_integer, write_map, write_text};
use xxhash_rust::xxh64::xxh64;

const PREAMBLE_BYTES: usize = 20;
const HEAD_BYTES: usize = 12;

pub fn text(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_text(&mut out, text);
    out
}

pub fn array(items: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    write_array(&mut out, items.len());
    out.extend(items.concat());
    out
}

pub fn number(number: i64) -> Vec<u8> {
    let mut out = Vec::new();
    write_integer(&mut out, number);
    out
}

pub fn map(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    write_map(&mut out, fields.len());
    for (name, value) in fields {
        write_text(&mut out, name);
        out.extend_from_slice(value);
    }
    out
}

/// A document with a value of every kind.
pub fn document() -> Vec<u8> {
    let mut bytes = Vec::new();
    write_bin(&mut bytes, &[1, 2, 3]);
    let single = vec![0xca, 0x3f, 0x99, 0x99, 0x9a];
    let date = vec![0xd6, 0xff, 0, 0, 0, 9];
    let big = vec![0xc7, 3, 1, 1, 2, 3];
    let inner = map(&[("x", number(-5)), ("y", array(&[vec![0xc0], vec![0xc3]]))]);
    map(&[("a", number(1)), ("b", text("é")), ("c", bytes), ("d", single), ("e", date), ("f", big), ("g", inner)])
}

pub fn export_of(bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut export = b"offshoot\x01\0\0\0".to_vec();
    export.extend_from_slice(&[0; 8]);
    for body in bodies {
        export.extend_from_slice(&(body.len() as u32).to_le_bytes());
        export.extend_from_slice(&[0; 8]);
        export.extend_from_slice(body);
    }
    repair_export(&mut export);
    export
}

pub fn export() -> Vec<u8> {
    let rows = |key: &dyn Fn(i64) -> Vec<u8>| {
        array(&[number(3), array(&(0..5).map(|row| array(&[key(row), document()])).collect::<Vec<_>>())])
    };
    let places = array(&[array(&[text("block"), vec![0xc0], array(&[text("todos"), vec![0xc4, 1, 7]])])]);
    export_of(&[
        array(&[number(1), text("shop"), text("v1"), number(5)]),
        array(&[number(2), text("notes"), text("documents")]),
        rows(&|row| text(&format!("id{row}"))),
        array(&[number(2), text("settings"), text("kv")]),
        rows(&|row| array(&[number(row), text("x")])),
        array(&[number(4), number(5), number(5), number(1), places]),
    ])
}

/// Frames keep the sizes that they say, as far as there are bytes; the last one takes what is left.
pub fn repair_export(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().max(PREAMBLE_BYTES), 0);
    let mut chain = xxh64(&bytes[..12], 0);
    bytes[12..PREAMBLE_BYTES].copy_from_slice(&chain.to_le_bytes());
    let mut at = PREAMBLE_BYTES;
    while at + HEAD_BYTES <= bytes.len() {
        let said = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let size = said.min(bytes.len() - at - HEAD_BYTES);
        bytes[at..at + 4].copy_from_slice(&(size as u32).to_le_bytes());
        let body = at + HEAD_BYTES;
        chain = xxh64(&bytes[body..body + size], chain);
        bytes[at + 4..body].copy_from_slice(&chain.to_le_bytes());
        at = body + size;
    }
}

fn record() -> Record {
    let version = Version::value(document()).encode();
    let changes = (0..4u8).map(|row| Change(vec![0, 0, 0, row, 9], version.clone())).collect();
    let commit = Commit { id: 7, time: 8, changes, ..Commit::default() };
    Record { store: 3, first: 1, previous: 0, commits: vec![commit.clone(), commit] }
}

/// One part of a record of the log.
pub fn record_part() -> Vec<u8> {
    let (body, hash) = record().encode();
    split(&body, hash, offshoot::types::limits::RECORD_BYTES).remove(0)
}

pub fn repair_part(bytes: &mut Vec<u8>) {
    const BODY: usize = 19;
    bytes.resize(bytes.len().max(BODY), 0);
    bytes[..7].copy_from_slice(b"OL\x01\0\0\0\x01");
    let (size, hash) = (bytes.len() - BODY, xxh64(&bytes[BODY..], 0));
    bytes[7..11].copy_from_slice(&(size as u32).to_be_bytes());
    bytes[11..BODY].copy_from_slice(&hash.to_be_bytes());
}

pub fn manifest() -> Vec<u8> {
    let mut manifest = Manifest::first(7);
    manifest.remember((0..9).map(|commit| (commit, commit)));
    manifest.encode()
}

pub fn repair_manifest(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().max(11), 0);
    bytes[..3].copy_from_slice(b"OM\x01");
    let checksum = xxh64(&bytes[11..], 0);
    bytes[3..11].copy_from_slice(&checksum.to_be_bytes());
}

/// The checksum of blocks stands at their end, little endian.
pub fn repair_block(bytes: &mut Vec<u8>) {
    let body = bytes.len().saturating_sub(8);
    let checksum = xxh64(&bytes[..body], 0);
    bytes.truncate(body);
    bytes.extend_from_slice(&checksum.to_le_bytes());
}

/// A head mark is three numbers and their checksum.
pub fn repair_head_mark(bytes: &mut Vec<u8>) {
    bytes.resize(32, 0);
    let checksum = xxh64(&bytes[..24], 0);
    bytes[24..].copy_from_slice(&checksum.to_be_bytes());
}

/// Repairs nothing: for formats without a checksum.
pub fn leave(_: &mut Vec<u8>) {}
