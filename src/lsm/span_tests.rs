//! Walks that pass spans see what a list of all versions says, wherever the versions lie: in the memtable, in runs that
//! overlap, in a run whose versions are dated by its commit, in a run whose first rows were moved by a merge.

use std::rc::Rc;

use proptest::prelude::*;

use super::cache::Kept;
use super::changes::Changes;
use super::cursor::{Item, RowCursor};
use super::range::RowRange;
use super::run_writer::RunWriter;
use super::segment;
use super::tree::{Loaded, Tree, TreeView};
use super::versions::Spans;
use crate::types::row::internal;
use crate::types::{Lsn, Version};

const ROWS: u16 = 60;
/// Sources of versions: the memtable, three runs, and a run that one commit has written.
const MEMTABLE: usize = 0;
const DATED: usize = 4;
const DATE: u64 = 500;

#[derive(Clone, Debug)]
struct Written {
    row: u16,
    lsn: u64,
    source: usize,
    is_value: bool,
}

fn key(row: u16) -> Vec<u8> {
    // Rows 10 to 19 begin as row 1 does, but none is the beginning of another.
    format!("{row:x}/").into_bytes()
}

/// So large that few rows are a block.
fn version(is_value: bool, lsn: u64) -> Version {
    if is_value { Version::value(vec![lsn as u8; 3000]) } else { Version::tombstone() }
}

fn add_run(tree: &mut Tree, id: u64, written: &[Written], dropped: Option<&[u8]>) {
    let mut writer = RunWriter::with_small_indexes(id);
    for Written { row, lsn, is_value, source } in written {
        let lsn = if *source == DATED { 0 } else { *lsn };
        // Tombstones are small: with these beside them, they too fill blocks.
        let padding = if *is_value { None } else { Some(vec![7; 2000].into()) };
        let version = version(*is_value, lsn).counting(padding);
        writer.push(&internal(&key(*row), Lsn(lsn)), &version.encode()).unwrap();
    }
    if writer.is_empty() {
        return;
    }
    let (mut run, segments) = writer.finish();
    for (address, bytes) in segments {
        for (index, range) in segment::blocks(&bytes).into_iter().enumerate() {
            tree.cache.keep(address.beside(index), Kept::Sealed(bytes[range].into()));
        }
    }
    if written[0].source == DATED {
        (run.fixed, run.oldest, run.newest) = (Some(DATE), DATE, DATE);
    }
    if let Some(first) = dropped {
        run.first = run.first.max(first.to_vec());
    }
    tree.add_run(Rc::new(run));
}

/// One version of each row and LSN, and one only of each row in the commit's own run, ordered as a run is.
fn distinct(mut all: Vec<Written>) -> Vec<Written> {
    for (n, written) in all.iter_mut().enumerate() {
        written.lsn = if written.source == DATED { DATE } else { n as u64 + 1 };
    }
    all.sort_by_key(|written| (key(written.row), std::cmp::Reverse(written.lsn)));
    all.dedup_by_key(|written| (written.row, written.lsn));
    all
}

/// A tree of these versions. Rows of run 1 below `moved` lie in run 6, and are in run 1 as well, behind its back.
fn tree_of(all: &[Written], moved: u16) -> Tree {
    let mut tree = Tree::new(usize::MAX);
    for source in 1..=DATED {
        let of_source: Vec<_> = all.iter().filter(|written| written.source == source).cloned().collect();
        let first = (source == 1).then(|| key(moved));
        add_run(&mut tree, source as u64, &of_source, first.as_deref());
    }
    let is_moved = |written: &&Written| written.source == 1 && key(written.row) < key(moved);
    add_run(&mut tree, 6, &all.iter().filter(is_moved).cloned().collect::<Vec<_>>(), None);
    for Written { row, lsn, source, is_value } in all {
        if *source == MEMTABLE {
            tree.memtable.insert(&Changes::of_one(&key(*row), Lsn(*lsn), &version(*is_value, *lsn).encode()));
        }
    }
    tree
}

fn visible(all: &[Written], range: &RowRange, at: u64) -> Vec<Vec<u8>> {
    let mut rows = Vec::new();
    for written in all {
        let (row, is_newest) = (key(written.row), |other: &Written| other.row == written.row && other.lsn <= at);
        let newest = all.iter().filter(|other| is_newest(other)).map(|other| other.lsn).max();
        if newest == Some(written.lsn) && written.is_value && range.from <= row && row < range.before {
            rows.push(row);
        }
    }
    rows
}

/// The rows that a walk gives, and how many it has counted without giving them. `enters`: which spans it enters.
fn walked(tree: &Tree, range: &RowRange, at: u64, (spans, reverse, enters): (Spans, bool, u32)) -> (Vec<Vec<u8>>, u64) {
    let loaded = Loaded::default();
    let view = TreeView::new(tree, &loaded);
    let mut cursor = RowCursor::with_spans(view, range, Lsn(at), reverse, spans);
    let (mut rows, mut counted, mut offered) = (Vec::new(), 0, 0);
    while let Some(item) = cursor.next_item().unwrap() {
        match item {
            Item::Row(row) if Version::is_encoded_tombstone(&row.encoded) => {}
            Item::Row(row) => rows.push(row.row),
            Item::Span(span) => {
                offered += 1;
                assert!(offered < 10_000, "the walk gets on");
                if enters >> (offered % 32) & 1 == 1 {
                    cursor.enter().unwrap();
                } else {
                    counted += span.values;
                    cursor.pass(span);
                }
            }
        }
    }
    if reverse {
        rows.reverse();
    }
    (rows, counted)
}

/// Stretches of rows, each in one source, so that a source has whole blocks for itself; rows that are deleted in a row;
/// and one row again and again, so that it does not fit into a block.
fn stretches() -> impl Strategy<Value = Vec<Written>> {
    let stretch = |from: u16, rows: u16, times: usize, source: usize, is_value: bool| {
        let rows = from..(from + rows).min(ROWS);
        let once = rows.map(move |row| Written { row, lsn: 0, source, is_value });
        std::iter::repeat_n(once, times).flatten().collect::<Vec<_>>()
    };
    let some = (0..ROWS, 1..ROWS, 0..=DATED, any::<bool>())
        .prop_map(move |(from, rows, source, is_value)| stretch(from, rows, 1, source, is_value));
    let deleted =
        (0..20u16, 20..ROWS, 0..=DATED).prop_map(move |(from, rows, source)| stretch(from, rows, 1, source, false));
    let again =
        (0..ROWS, 1..15usize, 0..DATED).prop_map(move |(row, times, source)| stretch(row, 1, times, source, true));
    prop::collection::vec(prop_oneof![3 => some, 2 => deleted, 2 => again], 1..9).prop_map(|all| all.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn walks_see_what_is_there(
        all in stretches(),
        (moved, from, rows) in (0..ROWS, 0..ROWS, 1..ROWS),
        (at, reverse, enters) in (1..600u64, any::<bool>(), any::<u32>()),
        later in prop::collection::vec((0..ROWS, any::<bool>()), 0..20),
    ) {
        let mut all = distinct(all);
        let mut tree = tree_of(&all, moved);
        let range = RowRange { from: key(from).min(key(from + rows)), before: key(from).max(key(from + rows)) };
        let everything = RowRange { from: Vec::new(), before: vec![0xff] };
        let check = |all: &[Written], tree: &Tree, at: u64| {
            for range in [&range, &everything] {
                let expected = visible(all, range, at);
                let (rows, _) = walked(tree, range, at, (Spans::Dead, reverse, enters));
                prop_assert_eq!(&rows, &expected);
                let (rows, counted) = walked(tree, range, at, (Spans::Counted, reverse, enters));
                prop_assert_eq!(rows.len() as u64 + counted, expected.len() as u64);
            }
            Ok(())
        };
        check(&all, &tree, at)?;
        check(&all, &tree, 599)?;
        // Deleted rows are noted by now. Whatever is written next is seen.
        for (n, (row, is_value)) in later.into_iter().enumerate() {
            let lsn = 600 + n as u64;
            tree.memtable.insert(&Changes::of_one(&key(row), Lsn(lsn), &version(is_value, lsn).encode()));
            all.push(Written { row, lsn, source: MEMTABLE, is_value });
            all.sort_by_key(|written| (key(written.row), std::cmp::Reverse(written.lsn)));
            check(&all, &tree, lsn)?;
            check(&all, &tree, at)?;
        }
    }
}
