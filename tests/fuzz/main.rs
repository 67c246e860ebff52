//! Every decoder on bytes that may be anything: none panics, and none takes more memory than its bytes are worth.
//!
//! Samples of each format are changed at random, and their checksums made right again. `FUZZ_CASES=100000 cargo test
//! --test fuzz` tries more of them than `make test` does. A case is named by its number, which draws it again.

mod formats;
mod memory;
mod mutation;

use formats::{array, document, export_of, map, number, text};
use mutation::Draw;
use offshoot::engine::{Op, rows_of};
use offshoot::lsm::{Manifest, decode_feed, decoders, join};
use offshoot::query::{Counters, Update, apply, is_same};
use offshoot::types::fields::Field;
use offshoot::types::pack::Reader;
use offshoot::types::{Bytes, Key, Lsn, Version};

#[global_allocator]
static MEMORY: memory::Counting = memory::Counting;

/// Memory that a decoder may hold however few bytes it is given: an error with its text, and a block of LZ4.
const SPARE: usize = 64 * 1024;

fn cases() -> u64 {
    std::env::var("FUZZ_CASES").map_or(2000, |cases| cases.parse().expect("FUZZ_CASES is a number"))
}

/// Feeds `decode` changed samples. It may hold `times` the bytes that it is given.
fn fuzz(samples: &[Vec<u8>], repair: fn(&mut Vec<u8>), times: usize, decode: impl Fn(&[u8])) {
    for case in 0..cases() {
        let mut draw = Draw::new(case + 1);
        let sample = &samples[draw.below(samples.len())];
        let mut bytes = draw.mutated(sample);
        repair(&mut bytes);
        let held = memory::most_held(|| decode(&bytes));
        let most = times * bytes.len() + SPARE;
        assert!(held <= most, "case {case} holds {held} bytes for {} bytes: {bytes:02x?}", bytes.len());
    }
}

#[test]
fn an_export_of_any_bytes_is_read_or_refused() {
    fuzz(&[formats::export()], formats::repair_export, 4, |bytes| drop(rows_of(bytes)));
    assert_eq!(rows_of(&formats::export()).unwrap(), 10, "the sample itself is read");
}

#[test]
fn a_part_of_the_log_of_any_bytes_is_read_or_refused() {
    fuzz(&[formats::record_part()], formats::repair_part, 100, |bytes| {
        let _ = join(&[(1, bytes.to_vec())], true);
    });
}

#[test]
fn many_short_parts_of_the_log_reserve_no_more_than_they_are() {
    let parts: Vec<_> = (0..1000u16)
        .map(|part| {
            let mut bytes = formats::record_part()[..19].to_vec();
            bytes[3..5].copy_from_slice(&part.to_be_bytes());
            bytes[5..7].copy_from_slice(&1000u16.to_be_bytes());
            (u64::from(part), bytes)
        })
        .collect();
    let held = memory::most_held(|| assert!(join(&parts, true).is_err()));
    assert!(held <= 4 * 19_000 + SPARE, "{held} bytes for 1,000 parts of 19 bytes");
}

#[test]
fn a_manifest_of_any_bytes_is_read_or_refused() {
    fuzz(&[formats::manifest()], formats::repair_manifest, 100, |bytes| drop(Manifest::decode(bytes)));
}

#[test]
fn a_block_of_any_bytes_is_read_or_refused() {
    fuzz(&[decoders::sample_block()], formats::repair_block, 300, decoders::block);
}

#[test]
fn a_small_block_cannot_say_that_it_is_a_large_one() {
    let mut block = vec![2];
    block.extend_from_slice(&1_000_000u32.to_le_bytes());
    block.extend_from_slice(&[0; 20]);
    formats::repair_block(&mut block);
    let held = memory::most_held(|| decoders::block(&block));
    assert!(held <= SPARE, "{held} bytes for {} bytes", block.len());
}

#[test]
fn segments_and_marks_of_any_bytes_are_read_or_refused() {
    let block = decoders::sample_block();
    let segment = [&[1, 0], &(block.len() as u32).to_le_bytes()[..], &block].concat();
    fuzz(&[segment], formats::leave, 4, decoders::segment);
    fuzz(&[vec![7; 32]], formats::repair_head_mark, 4, decoders::head_mark);
}

#[test]
fn fields_and_versions_and_keys_of_any_bytes_are_read_or_refused() {
    let inner = Field::List(vec![Field::Number(1), Field::Text("a"), Field::Bytes(&[1, 2])]);
    let fields = Field::List(vec![inner.clone(), Field::Flag(true), Field::List(vec![inner])]).encode();
    fuzz(&[fields], formats::leave, 100, |bytes| drop(Field::decode(bytes)));
    let version = Version::value(document()).based_on(Some(Lsn(3))).expiring(Some(9)).encode();
    fuzz(&[version], formats::leave, 4, |bytes| {
        let Some(version) = Version::decode(&Bytes::from(bytes)) else { return };
        let _ = Counters::decode(version.delta.as_ref(), Some(Lsn(9)));
        let _ = decode_feed(&[0; 30], &version);
    });
    let key = Key::text("a key").encode().unwrap();
    fuzz(&[key], formats::leave, 100, |bytes| drop(Key::decode(bytes)));
}

#[test]
fn a_call_of_any_bytes_is_done_or_refused() {
    let documents = array(&[array(&[text("a"), document()]), array(&[vec![0xc0], document()])]);
    let entries = array(&[array(&[array(&[number(1), text("k")]), document()])]);
    let range = array(&[text("p"), vec![0xc0], vec![0xc0], text("q")]);
    let samples = [
        array(&[text("insert"), text("notes"), documents]),
        array(&[text("getMany"), text("notes"), array(&[text("a"), text("b")])]),
        array(&[text("kvSet"), text("notes"), entries, number(0)]),
        array(&[text("kvList"), text("notes"), range, vec![0xc2], vec![0xc0], vec![0xc0]]),
        array(&[text("update"), text("notes"), text("a"), update()]),
    ];
    assert!(samples.iter().all(|sample| Op::decode(sample).is_ok()), "the samples themselves are calls");
    fuzz(&samples, formats::leave, 100, |bytes| drop(Op::decode(bytes)));
}

fn update() -> Vec<u8> {
    map(&[
        ("$set", map(&[("a", number(2)), ("g.y.3", number(2)), ("new.field", number(1))])),
        ("$unset", map(&[("b", number(1)), ("g.x", number(1))])),
        ("$inc", map(&[("h", number(3))])),
    ])
}

#[test]
fn an_update_of_any_bytes_is_done_or_refused() {
    let document = document();
    fuzz(&[update()], formats::leave, 200, |bytes| {
        let Ok(update) = Update::read(bytes) else { return };
        if let Ok(updated) = apply(&document, &update) {
            Reader::new(&updated).value().expect("an update leaves a value");
        }
    });
}

#[test]
fn values_of_any_bytes_are_compared_or_refused() {
    let other = document();
    fuzz(std::slice::from_ref(&other), formats::leave, 100, |bytes| {
        if Reader::new(bytes).value().is_ok() {
            let _ = is_same(Some(bytes), Some(&other));
        }
    });
}

/// A row by its place.
type MakeRow<'a> = &'a dyn Fn(usize) -> Vec<u8>;

/// One frame of such rows, about as large as a frame can be.
fn large_export(row: MakeRow<'_>) -> Vec<u8> {
    let mut rows = Vec::new();
    let mut count = 0u32;
    loop {
        let next = row(count as usize);
        if count > 0 && rows.len() + next.len() > 15 * 1024 * 1024 {
            break;
        }
        rows.extend(next);
        count += 1;
    }
    let mut body = vec![0x92, 3, 0xdd];
    body.extend_from_slice(&count.to_be_bytes());
    body.extend(rows);
    let header = array(&[number(1), text("shop"), text("v1"), number(5)]);
    let collection = array(&[number(2), text("settings"), text("kv")]);
    let end = array(&[number(4), number(0), number(i64::from(count))]);
    export_of(&[header, collection, body, end])
}

#[test]
fn an_import_holds_four_times_its_frame_at_most() {
    let key = |row: usize| array(&[number(row as i64 + 1_000_000)]);
    let short = |row: usize| array(&[key(row), vec![0xc0]]);
    let singles = |row: usize| array(&[key(row), array(&vec![vec![0xca, 0x3f, 0x99, 0x99, 0x9a]; 1_500_000])]);
    let fields: Vec<(String, Vec<u8>)> = (0..1_000_000).map(|field| (format!("{field:x}"), vec![0xc0])).collect();
    let fields: Vec<(&str, Vec<u8>)> = fields.iter().map(|(name, value)| (&name[..], value.clone())).collect();
    let wide = map(&fields);
    let wide = |row: usize| array(&[key(row), wide.clone()]);
    let kinds: [(&str, MakeRow<'_>); 3] = [("short", &short), ("numbers", &singles), ("wide", &wide)];
    for (what, row) in kinds {
        let export = large_export(row);
        let held = memory::most_held(|| assert!(rows_of(&export).unwrap() > 0));
        assert!(held <= 4 * export.len(), "{what}: {held} bytes for {} bytes", export.len());
    }
}

#[test]
fn a_frame_that_says_more_rows_than_it_has_reserves_nothing_for_them() {
    let mut body = vec![0x92, 3, 0xdd];
    body.extend_from_slice(&15_000_000u32.to_be_bytes());
    body.extend_from_slice(&vec![0; 15_000_000]);
    let header = array(&[number(1), text("shop"), text("v1"), number(5)]);
    let export = export_of(&[header, array(&[number(2), text("settings"), text("kv")]), body]);
    let held = memory::most_held(|| assert!(rows_of(&export).is_err()));
    assert!(held <= 4 * export.len(), "{held} bytes for {} bytes", export.len());
}
