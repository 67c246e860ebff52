//! The change feed: per layer and LSN the keys that a commit wrote, and its wall time. The log holds it while it holds
//! the commit; a checkpoint writes it as rows, kept to the history floor.
//!
//! The catalog's layer has a row for every commit, whatever it wrote: that is how a time finds its LSN (`times.rs`).
//!
//! ```text
//! commit 7, at time 900, wrote todos/a and todos/b in layer 5, and no row of the catalog:
//!   layer 0, feed, key (7, chunk 0) → time 900, no keys
//!   layer 5, feed, key (7, chunk 0) → time 900, todos/a, todos/b      a second chunk follows after 8 KiB of keys
//! ```
//! Keys sort by LSN, so what a layer had written between two LSNs is one range of rows.

use super::cursor::RowCursor;
use super::fault::Attempt;
use super::range::RowRange;
use super::state::Note;
use super::times::Earliest;
use super::tree::TreeView;
use crate::error::{Error, Result};
use crate::types::fields::Field;
use crate::types::row::{prefix, push_lsn, row, split_row};
use crate::types::{Bytes, Kind, LayerId, Lsn, Suffix, Version};

/// Keys of a large commit are cut into rows of about this size.
const CHUNK_BYTES: usize = 8 * 1024;

/// The content of a row of the feed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FeedEntry {
    pub time: u64,
    pub suffixes: Vec<Vec<u8>>,
    /// In a commit's first row in the catalog's layer: the earliest time of the last 2 commits, 4, 8 and so on.
    pub earliest: Vec<u64>,
}

/// A row of the feed, as a version to be stored.
pub struct FeedRow {
    pub internal: Vec<u8>,
    pub version: Bytes,
}

/// The log holds rows of a commit, and so does each run that the commit wrote ahead: `run` tells their chunks apart.
fn suffix(lsn: Lsn, chunk: u32, run: Option<u64>) -> Suffix {
    let mut key = lsn.0.to_be_bytes().to_vec();
    key.extend_from_slice(&chunk.to_be_bytes());
    key.extend(run.into_iter().flat_map(u64::to_be_bytes));
    Suffix::new("", Kind::Feed, &key)
}

fn feed_row(layer: LayerId, lsn: Lsn, (chunk, run): (u32, Option<u64>), written: &FeedEntry) -> FeedRow {
    let suffixes = Field::list(&written.suffixes, |suffix| Field::Bytes(suffix));
    let earliest = written.earliest.iter().map(|time| Field::Number(*time)).collect();
    let value = Field::List(vec![Field::Number(written.time), suffixes, Field::List(earliest)]).encode();
    let mut internal = row(layer, suffix(lsn, chunk, run).as_bytes());
    push_lsn(&mut internal, lsn);
    FeedRow { internal, version: Version::value(value).encode().into() }
}

/// Gathers one layer's keys of one commit and cuts them into rows.
pub struct Chunks {
    layer: LayerId,
    lsn: Lsn,
    time: u64,
    run: Option<u64>,
    suffixes: Vec<Vec<u8>>,
    earliest: Vec<u64>,
    bytes: usize,
    /// How many rows were cut so far, and those that were not taken yet.
    count: u32,
    rows: Vec<FeedRow>,
}

impl Chunks {
    /// The chunks of keys that the log holds.
    pub fn new(layer: LayerId, lsn: Lsn, time: u64) -> Chunks {
        let (suffixes, earliest, rows) = (Vec::new(), Vec::new(), Vec::new());
        Chunks { layer, lsn, time, run: None, suffixes, earliest, bytes: 0, count: 0, rows }
    }

    /// The chunks of keys in a run that the commit wrote ahead.
    pub fn of_run(run: u64, layer: LayerId, lsn: Lsn) -> Chunks {
        Chunks { run: Some(run), ..Chunks::new(layer, lsn, 0) }
    }

    pub fn layer(&self) -> LayerId {
        self.layer
    }

    pub fn push(&mut self, suffix: &[u8]) {
        self.bytes += suffix.len() + 3;
        self.suffixes.push(suffix.to_vec());
        if self.bytes >= CHUNK_BYTES {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let (suffixes, earliest) = (std::mem::take(&mut self.suffixes), std::mem::take(&mut self.earliest));
        let written = FeedEntry { time: self.time, suffixes, earliest };
        self.rows.push(feed_row(self.layer, self.lsn, (self.count, self.run), &written));
        self.count += 1;
        self.bytes = 0;
    }

    /// The rows that are whole so far.
    pub fn take(&mut self) -> Vec<FeedRow> {
        std::mem::take(&mut self.rows)
    }

    pub fn finish(mut self) -> Vec<FeedRow> {
        if !self.suffixes.is_empty() || self.count == 0 {
            self.cut();
        }
        self.rows
    }
}

/// The feed's rows of commits that the log holds. Those of a run written ahead are its own rows, until it is compacted.
/// `earliest` is of the commits before them, and takes them in.
pub fn rows_of(notes: &[Note], earliest: &mut Earliest) -> Vec<FeedRow> {
    let mut rows = Vec::new();
    for note in notes {
        // A commit writes few layers: its database's, and sometimes the catalog's.
        let mut of_catalog = Chunks::new(LayerId::CATALOG, note.lsn, note.time);
        of_catalog.earliest = earliest.push(note.lsn, note.time);
        let mut layers = vec![of_catalog];
        for written in note.changes.rows() {
            let (layer, suffix) = split_row(written);
            let known = layers.iter().position(|chunks| chunks.layer == layer);
            let at = known.unwrap_or_else(|| {
                layers.push(Chunks::new(layer, note.lsn, note.time));
                layers.len() - 1
            });
            layers[at].push(suffix);
        }
        rows.extend(layers.into_iter().flat_map(Chunks::finish));
    }
    rows
}

/// The feed's rows of a layer, of the commits from `from` (included) to `before` (not included).
pub fn range(layer: LayerId, from: Lsn, before: Lsn) -> RowRange {
    RowRange {
        from: row(layer, suffix(from, 0, None).as_bytes()),
        before: row(layer, suffix(before, 0, None).as_bytes()),
    }
}

/// The LSN of a feed row's commit, and the keys that the row holds.
pub fn decode(found: &[u8], version: &Version) -> Result<(Lsn, FeedEntry)> {
    let unreadable = || Error::corrupt("a row of the change feed cannot be read");
    let (_, suffix) = split_row(found);
    let key = suffix.strip_prefix(&prefix("", Kind::Feed)[..]).ok_or_else(unreadable)?;
    let lsn = key.get(..8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes).ok_or_else(unreadable)?;
    let value = version.here().ok_or_else(unreadable)?;
    Ok((Lsn(lsn), read(value).ok_or_else(unreadable)?))
}

fn read(value: &[u8]) -> Option<FeedEntry> {
    let mut fields = Field::decode(value)?;
    let time = fields.number()?;
    let mut list = fields.list()?;
    let mut suffixes = Vec::new();
    while !list.is_empty() {
        suffixes.push(list.bytes()?.to_vec());
    }
    let (mut list, mut earliest) = (fields.list()?, Vec::new());
    while !list.is_empty() {
        earliest.push(list.number()?);
    }
    Some(FeedEntry { time, suffixes, earliest })
}

/// The newest commit from `floor` to `last` that is not after `time`. `times.rs` shows how it is found.
pub fn newest_until(view: TreeView<'_>, time: u64, floor: Lsn, last: Lsn) -> Attempt<Option<Lsn>> {
    let mut lsn = last;
    loop {
        // A repair leaves LSNs out, and the floor's own row may be gone: then the one before is next.
        let Some(row) =
            RowCursor::new(view, &range(LayerId::CATALOG, floor, lsn.next()), Lsn::NEWEST, true).next_row()?
        else {
            return Ok(None);
        };
        let (found, entry) = decode(&row.row, &row.found(view)?.version)?;
        if entry.time <= time {
            return Ok(Some(found));
        }
        // The shortest span that has one: all but its last half is left to look at.
        let span = entry.earliest.iter().position(|earliest| *earliest <= time).unwrap_or(entry.earliest.len());
        lsn = Lsn(found.0.saturating_sub(1 << span.min(63)));
        if lsn == Lsn::ZERO || lsn < floor {
            return Ok(None);
        }
    }
}
