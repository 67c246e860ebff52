//! An import refuses bytes that are no export, or not all of one. It writes nothing, and its error says where.

use std::path::PathBuf;

use offshoot::engine::Imported;
use offshoot::error::{Error, ErrorCode};
use offshoot::types::pack::{write_array, write_bin, write_ext, write_float, write_integer, write_map, write_text};
use proptest::prelude::*;
use serde_json::json;

use crate::support::memory::{live, peak, reset_peak};
use crate::support::merging::changed;
use crate::support::transfer::{
    HEAD, PREAMBLE, assembled, bodies, contents, export, import, leftovers, place_of, try_import,
};
use crate::support::{Db, World, run, say};

async fn small(world: &World) -> Vec<u8> {
    let source = world.elsewhere().main().await;
    source.ok(say::put(&[("a", json!({"n": 1})), ("b", json!({"n": 2}))])).await;
    source.ok(say::kv_set("key", json!("value"))).await;
    export(&source).await
}

/// A refused import leaves nothing, in the database and in storage.
async fn refused(world: &World, db: &Db, bytes: &[u8]) -> Error {
    let before = (db.0.version(), leftovers(world));
    let error = try_import(db, bytes, true).await.expect_err("it is refused");
    assert_eq!((db.0.version(), leftovers(world)), before, "nothing is changed: {error}");
    error
}

#[test]
fn an_export_that_is_cut_off_anywhere_changes_nothing_and_says_where() {
    run(async |world| {
        let main = world.main().await;
        let bytes = small(&world).await;
        let mut starts = vec![0, PREAMBLE];
        for body in bodies(&bytes) {
            starts.push(starts.last().expect("a start") + HEAD + body.len());
        }
        assert_eq!(starts.pop(), Some(bytes.len()));
        for length in 0..bytes.len() {
            let error = refused(&world, &main, &bytes[..length]).await;
            let frame = starts.iter().filter(|start| **start <= length).count() - 1;
            // Cut off right behind a frame, the next one is what is missing.
            assert_eq!(place_of(&error), (frame as u64, starts[frame] as u64), "cut off at {length}: {error}");
        }
        import(&main, &bytes).await;
    });
}

#[test]
fn an_export_with_any_byte_flipped_changes_nothing_and_says_where() {
    run(async |world| {
        let main = world.main().await;
        let bytes = small(&world).await;
        for at in 0..bytes.len() {
            for bit in [1, 0x80] {
                let mut flipped = bytes.clone();
                flipped[at] ^= bit;
                let (_, offset) = place_of(&refused(&world, &main, &flipped).await);
                assert!(offset <= at as u64, "the frame that holds byte {at} begins at {offset}");
            }
        }
    });
}

#[test]
fn a_frame_that_is_missing_repeated_or_swapped_is_seen() {
    run(async |world| {
        let main = world.main().await;
        let bytes = small(&world).await;
        let mut frames = vec![bytes[..PREAMBLE].to_vec()];
        let mut rest = &bytes[PREAMBLE..];
        for body in bodies(&bytes) {
            let (frame, after) = rest.split_at(HEAD + body.len());
            frames.push(frame.to_vec());
            rest = after;
        }
        for at in 1..frames.len() {
            let mut missing = frames.clone();
            missing.remove(at);
            let mut repeated = frames.clone();
            repeated.insert(at, frames[at].clone());
            for changed in [missing, repeated] {
                place_of(&refused(&world, &main, &changed.concat()).await);
            }
            for other in at + 1..frames.len() {
                let mut swapped = frames.clone();
                swapped.swap(at, other);
                assert_eq!(place_of(&refused(&world, &main, &swapped.concat()).await).0, at as u64);
            }
        }
    });
}

#[test]
fn a_newer_format_is_told_as_such() {
    run(async |world| {
        let main = world.main().await;
        let bodies = bodies(&small(&world).await);
        assert_eq!(refused(&world, &main, &assembled(2, &bodies)).await.code(), ErrorCode::FormatTooNew);
        place_of(&refused(&world, &main, &assembled(0, &bodies)).await);
        import(&main, &assembled(1, &bodies)).await;
    });
}

fn packed(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

fn text(text: &str) -> Vec<u8> {
    packed(|out| write_text(out, text))
}

fn int(number: i64) -> Vec<u8> {
    packed(|out| write_integer(out, number))
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    packed(|out| {
        write_array(out, items.len());
        items.iter().for_each(|item| out.extend(item));
    })
}

fn header() -> Vec<u8> {
    list(&[int(1), text("main"), text("0"), int(5)])
}

fn collection(name: &str, kind: &str) -> Vec<u8> {
    list(&[int(2), text(name), text(kind)])
}

fn rows(rows: &[Vec<u8>]) -> Vec<u8> {
    list(&[int(3), list(rows)])
}

fn row(key: Vec<u8>, value: Vec<u8>) -> Vec<u8> {
    list(&[key, value])
}

fn map(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    packed(|out| {
        write_map(out, fields.len());
        for (name, value) in fields {
            write_text(out, name);
            out.extend(value);
        }
    })
}

fn end(documents: i64, entries: i64) -> Vec<u8> {
    list(&[int(4), int(documents), int(entries)])
}

#[test]
fn what_another_writer_made_by_the_book_is_taken() {
    run(async |world| {
        let main = world.main().await;
        let frames = [
            list(&[int(1), text("other"), text("?"), int(5), text("more to come")]),
            list(&[int(2), text("empty"), text("documents"), list(&[])]),
            collection("kv", "kv"),
            rows(&[list(&[packed(|out| write_float(out, -1.5)), text("number"), int(9)]), row(int(7), int(1))]),
            rows(&[row(text("a"), list(&[])), row(list(&[text("a"), int(1)]), packed(|out| write_ext(out, 1, &[5])))]),
            collection("todos", "documents"),
            rows(&[row(text("a"), map(&[("n", int(1))])), row(text("b"), map(&[]))]),
            list(&[int(4), int(2), int(4)]),
        ];
        assert_eq!(import(&main, &assembled(1, &frames)).await, Imported { documents: 2, entries: 4, skipped: None });
        assert_eq!(main.ok(say::find()).await, json!([["a", {"n": 1}], ["b", {}]]));
        assert_eq!(main.0.collections().await.expect("collections").len(), 3);
        assert_eq!(main.ok(say::kv_count()).await, json!(4));
        // An export of the import has the same rows, in one frame.
        let again = bodies(&export(&main).await);
        assert_eq!((&again[1], &again[2]), (&collection("empty", "documents"), &frames[2]));
        assert_eq!(again[3].len(), frames[3].len() + frames[4].len() - 3);
    });
}

#[test]
fn what_breaks_the_rules_is_refused_though_its_checks_are_right() {
    let ext = |kind: i8, bytes: &[u8]| packed(|out| write_ext(out, kind, bytes));
    let deep = (0..65).fold(int(1), |value, _| list(&[value]));
    let nan = packed(|out| write_float(out, f64::NAN));
    let kv = |row: Vec<u8>| vec![header(), collection("kv", "kv"), rows(&[row]), end(0, 1)];
    let doc = |row: Vec<u8>| vec![header(), collection("todos", "documents"), rows(&[row]), end(1, 0)];
    let a = || row(text("a"), map(&[]));
    let two = |one: Vec<u8>, other: Vec<u8>| rows(&[one, other]);
    let cases: Vec<(&str, u64, Vec<Vec<u8>>)> = vec![
        ("no header", 1, vec![end(0, 0)]),
        ("no header before a collection", 1, vec![collection("todos", "documents")]),
        ("two headers", 2, vec![header(), header(), end(0, 0)]),
        ("rows without a collection", 2, vec![header(), rows(&[a()]), end(1, 0)]),
        ("collections that do not rise", 3, vec![header(), collection("b", "kv"), collection("a", "kv"), end(0, 0)]),
        ("a collection twice", 3, vec![header(), collection("b", "kv"), collection("b", "documents"), end(0, 0)]),
        ("a collection's bad name", 2, vec![header(), collection(".b", "kv"), end(0, 0)]),
        ("no such kind", 2, vec![header(), collection("b", "index"), end(0, 0)]),
        ("no such frame", 2, vec![header(), list(&[int(9), int(1)]), end(0, 0)]),
        ("a frame that is no array", 2, vec![header(), int(3), end(0, 0)]),
        ("bytes behind a body", 2, vec![header(), [end(0, 0), int(1)].concat()]),
        ("rows twice", 3, vec![header(), collection("t", "documents"), two(a(), a()), end(2, 0)]),
        ("rows that fall", 3, vec![header(), collection("t", "kv"), two(row(int(2), int(0)), row(int(1), int(0)))]),
        ("rows twice over frames", 4, vec![header(), collection("t", "documents"), rows(&[a()]), rows(&[a()])]),
        ("no rows", 3, vec![header(), collection("t", "documents"), rows(&[]), end(0, 0)]),
        ("a wrong count", 4, vec![header(), collection("t", "documents"), rows(&[a()]), end(2, 0)]),
        ("a count of the other kind", 4, vec![header(), collection("t", "documents"), rows(&[a()]), end(0, 1)]),
        ("a frame behind the end", 3, vec![header(), end(0, 0), end(0, 0)]),
        ("an id that is no text", 3, doc(row(int(1), map(&[])))),
        ("an id that is too long", 3, doc(row(text(&"x".repeat(2000)), map(&[])))),
        ("a document that is no map", 3, doc(row(text("a"), list(&[])))),
        ("an id in its document", 3, doc(row(text("a"), map(&[("id", text("a"))])))),
        ("a document that expires", 3, doc(list(&[text("a"), map(&[]), int(1)]))),
        ("a row of one item", 3, kv(list(&[text("a")]))),
        ("a row of four items", 3, kv(list(&[text("a"), int(1), int(1), int(1)]))),
        ("a negative expiry", 3, kv(list(&[text("a"), int(1), int(-1)]))),
        ("a key that is NaN", 3, kv(row(nan, int(1)))),
        ("a key that is null", 3, kv(row(vec![0xc0], int(1)))),
        ("an empty array as a key", 3, kv(row(list(&[]), int(1)))),
        ("an array in a key's array", 3, kv(row(list(&[list(&[int(1)])]), int(1)))),
        ("a key of too many parts", 3, kv(row(list(&vec![int(1); 17]), int(1)))),
        ("a value that nests too deep", 3, kv(row(int(1), deep))),
        ("a value that begins with no byte", 3, kv(row(int(1), vec![0xc1]))),
        ("a map whose names are no texts", 3, kv(row(int(1), vec![0x81, 1, 1]))),
        ("a text that is not UTF-8", 3, kv(row(int(1), vec![0xa1, 0xff]))),
        ("an unknown extension", 3, kv(row(int(1), ext(5, &[1])))),
        ("an empty big integer", 3, kv(row(int(1), ext(1, &[])))),
        ("a timestamp of a strange size", 3, kv(row(int(1), ext(-1, &[0; 5])))),
        ("a timestamp beyond all dates", 3, kv(row(int(1), list(&[ext(-1, &[0, 0, 0, 0, 127, 0, 0, 0, 0, 0, 0, 0])])))),
        ("a bound that is no bound", 2, vec![header(), list(&[int(4), int(0), int(0), int(1), list(&[int(1)])])]),
    ];
    run(async |world| {
        let main = world.main().await;
        for (what, frame, frames) in cases {
            let error = refused(&world, &main, &assembled(1, &frames)).await;
            assert_eq!(place_of(&error).0, frame, "{what}: {error}");
        }
        let large = packed(|out| write_bin(out, &vec![7; 16 * 1024 * 1024]));
        place_of(&refused(&world, &main, &assembled(1, &kv(row(int(1), large)))).await);
        // A size that no frame has is not waited for.
        let mut lie = assembled(1, &[header()]);
        lie.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(refused(&world, &main, &lie).await.message().contains("too large"));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A frame whose check is right may hold any bytes: it is taken, or the error tells where it is wrong.
    #[test]
    fn no_body_is_more_than_refused(frame in 0usize..7, at in any::<prop::sample::Index>(), byte: u8, length: bool) {
        run(async |world| {
            let mut frames = bodies(&small(&world).await);
            let frame = frame % frames.len();
            let body = &mut frames[frame];
            let at = at.index(body.len());
            if length {
                body.truncate(at);
            } else {
                body[at] = byte;
            }
            let main = world.main().await;
            let before = main.0.version();
            if let Err(error) = try_import(&main, &assembled(1, &frames), false).await {
                assert!(place_of(&error).0 >= frame as u64);
                assert_eq!(main.0.version(), before);
            }
        });
    }
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/export-1.bin")
}

/// Everything that the format has.
async fn fill(world: &World) -> Db {
    let main = world.main().await;
    main.ok(say::put(&[("a", json!({"n": 1, "nested": {"deep": [null, true, "é"]}})), ("b", json!({"n": 2}))])).await;
    main.ok(say::put_in("other", &[("large", json!({"text": "0123456789".repeat(8000)})), ("x", json!({}))])).await;
    main.ok(say::kv_set_many(&[("key", json!("value")), ("null", json!(null))])).await;
    let draft = main.clone_as("draft").await;
    draft.ok(say::delete(&["b"])).await;
    draft.ok(say::put_in("empty", &[("gone", json!({}))])).await;
    let gone = offshoot::engine::Op::Delete { collection: say::collection("empty"), ids: vec!["gone".into()] };
    draft.ok(gone).await;
    draft
}

/// `tests/fixtures/export-1.bin` is read for ever, and what is written today is the same. A change of the format raises
/// its number and adds a fixture; it never touches an old one.
#[test]
fn an_export_of_format_1_is_read_and_written_today() {
    run(async |world| {
        let draft = fill(&world).await;
        let bytes = export(&draft).await;
        if std::env::var_os("WRITE_FIXTURE").is_some() {
            std::fs::write(path(), &bytes).expect("the fixture is written");
        }
        let kept = std::fs::read(path()).expect("the fixture is there");
        assert!(bytes == kept, "an export is written in another shape: raise the format's number, add a fixture");
        let other = world.elsewhere().main().await;
        assert_eq!(import(&other, &kept).await, Imported { documents: 3, entries: 2, skipped: None });
        assert_eq!(contents(&other).await, contents(&draft).await);
    });
}

/// Another writer may write a number in more bytes than needed: it is the same number, and no change of it.
#[test]
fn a_value_in_another_form_is_that_value() {
    run(async |world| {
        let mut frames = bodies(&small(&world).await);
        for body in &mut frames {
            if let Some(at) = body.windows(3).position(|three| three == [0xa1, b'n', 1]) {
                body.splice(at + 2..at + 3, [0xd3, 0, 0, 0, 0, 0, 0, 0, 1]);
            }
        }
        let main = world.main().await;
        import(&main, &assembled(1, &frames)).await;
        let draft = main.clone_as("draft").await;
        draft.ok(say::put(&[("a", json!({"n": 1}))])).await;
        assert_eq!(changed(&draft).await, [] as [&str; 0]);
    });
}

#[test]
fn a_field_that_is_there_twice_is_refused() {
    run(async |world| {
        let source = world.elsewhere().main().await;
        source.ok(say::insert(&[("a", json!({"n": 5, "m": 6}))])).await;
        let mut frames = bodies(&export(&source).await);
        for body in &mut frames {
            if let Some(at) = body.windows(3).position(|three| three == [0xa1, b'm', 6]) {
                body[at + 1] = b'n';
            }
        }
        let main = world.main().await;
        let error = refused(&world, &main, &assembled(1, &frames)).await;
        assert_eq!(error.code(), ErrorCode::InvalidImport);
        assert!(error.message().contains("there twice"), "{error}");
    });
}

/// One byte of a file may not take a hundred of memory, before anybody sees that it breaks a rule.
#[test]
fn what_counts_too_much_is_refused_before_it_takes_room() {
    run(async |world| {
        let main = world.main().await;
        let place = list(&[text(""), vec![0xc0], vec![0xc0]]);
        let places = packed(|out| {
            write_array(out, 300_000);
            out.extend(place.repeat(300_000));
        });
        let end = list(&[int(4), int(0), int(0), int(300_000), places]);
        let parts = packed(|out| {
            write_array(out, 1_000_000);
            out.extend(vec![1; 1_000_000]);
        });
        let rows = rows(&[row(parts, int(1))]);
        for bodies in [vec![header(), end], vec![header(), collection("kv", "kv"), rows]] {
            let file = assembled(1, &bodies);
            let before = live();
            reset_peak();
            place_of(&refused(&world, &main, &file).await);
            let held = peak() - before;
            assert!(held < 5 * file.len() as isize, "{held} bytes for a file of {}", file.len());
        }
    });
}
