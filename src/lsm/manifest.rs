//! The record that names everything else: runs, the history floor, how far the log was trimmed.
//!
//! Its name carries its version, so that a swap is guarded by "this version is present, the next is absent".

use std::rc::Rc;

use xxhash_rust::xxh64::xxh64;

use super::fault::BlockAddress;
use super::header;
use super::record::Head;
use super::run::RunDescription;
use super::times::Earliest;
use crate::error::{Error, Result};
use crate::storage::{ListRange, Place, Space};
use crate::types::Lsn;
use crate::types::fields::{Field, Fields};

/// The format of the whole store. Another one is left untouched.
pub const FORMAT: u8 = 7;
const MAGIC: [u8; 2] = *b"OM";
const HEADER_BYTES: usize = header::BYTES + 8;
const COPIES: &str = "copy/";
/// The commits whose ids are kept after their records were trimmed: those that a caller may still ask about.
const REMEMBERED: usize = 512;
/// So many blocks are given up at most. Each costs the manifest some 15 bytes.
const GIVEN_UP: usize = 128;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// Drawn once, so that a store is told from one made anew under its name.
    pub store: u64,
    pub version: u64,
    /// All commits up to here stand in runs; the hash of the last of their records, and its number in the log, which
    /// is trimmed up to it.
    pub checkpoint: u64,
    pub hash: u64,
    pub log: u64,
    /// The wall time of the newest commit up to the checkpoint.
    pub time: u64,
    /// How early these commits were.
    pub earliest: Earliest,
    /// The wall time at the opening whose engine wrote this. Retention trusts it once a later opening has agreed.
    pub clock: u64,
    /// Below it history is gone, but for what links pin.
    pub floor: u64,
    pub runs: Vec<Rc<RunDescription>>,
    /// Ids and LSNs of the commits trimmed last.
    pub trimmed: Vec<(u64, u64)>,
    /// A merge that is not yet at its end.
    pub merging: Option<Merging>,
    /// Blocks that cannot be read and that a repair has given up, as far as they may hold the rows of collections.
    pub given_up: Vec<BlockAddress>,
}

/// How far a merge is: rows before `from` are in the runs of `group`, all others still in the inputs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Merging {
    pub group: u64,
    /// How much one of its runs holds.
    pub slice_bytes: u64,
    pub from: Vec<u8>,
    pub inputs: Vec<u64>,
}

impl Merging {
    fn to_field(&self) -> Field<'_> {
        Field::List(vec![
            Field::Number(self.group),
            Field::Number(self.slice_bytes),
            Field::Bytes(&self.from),
            Field::list(&self.inputs, |id| Field::List(vec![Field::Number(*id)])),
        ])
    }

    fn from_fields(mut fields: Fields<'_>) -> Option<Merging> {
        let (group, slice_bytes, from) = (fields.number()?, fields.number()?, fields.bytes()?.to_vec());
        let inputs = fields.list()?.lists(|mut id| id.number())?;
        Some(Merging { group, slice_bytes, from, inputs })
    }
}

impl Manifest {
    pub fn first(store: u64) -> Manifest {
        Manifest {
            store,
            version: 1,
            checkpoint: 0,
            hash: 0,
            log: 0,
            time: 0,
            earliest: Earliest::default(),
            clock: 0,
            floor: 0,
            runs: Vec::new(),
            trimmed: Vec::new(),
            merging: None,
            given_up: Vec::new(),
        }
    }

    pub fn checkpoint(&self) -> Lsn {
        Lsn(self.checkpoint)
    }

    /// No commit gets an LSN up to `used` any more.
    pub fn leave_out(&mut self, used: Lsn) {
        self.earliest.skip(self.checkpoint(), used);
        self.checkpoint = self.checkpoint.max(used.0);
    }

    /// Where the log goes on.
    pub fn head(&self) -> Head {
        Head { store: self.store, lsn: self.checkpoint(), hash: self.hash, number: self.log }
    }

    pub fn floor(&self) -> Lsn {
        Lsn(self.floor)
    }

    /// The record beside it that holds what every opening reads first (`hot.rs`).
    pub fn hot_place(&self) -> Place {
        (Space::Meta, format!("hot/{:014x}", self.version))
    }

    pub fn place(&self) -> Place {
        (Space::Meta, format!("{}{:014x}", Manifest::PREFIX, self.version))
    }

    /// Where the same bytes are kept once more, for a repair.
    pub fn copy_place(&self) -> Place {
        (Space::Meta, format!("{COPIES}{:014x}", self.version))
    }

    /// Adds to the remembered commits, and forgets the oldest of them.
    pub fn remember(&mut self, commits: impl Iterator<Item = (u64, u64)>) {
        self.trimmed.extend(commits);
        let spare = self.trimmed.len().saturating_sub(REMEMBERED);
        self.trimmed.drain(..spare);
    }

    /// Adds to the blocks that are given up, and forgets those of runs that are gone.
    pub fn give_up(&mut self, blocks: Vec<BlockAddress>) {
        self.given_up.retain(|block| !blocks.contains(block));
        self.given_up.extend(blocks);
        self.given_up.retain(|block| self.runs.iter().any(|run| run.id == block.run));
        self.given_up.truncate(GIVEN_UP);
    }

    /// How its names begin.
    pub const PREFIX: &str = "manifest/";

    /// Where every version of the manifest is found; more than one is never there.
    pub fn listing() -> ListRange {
        ListRange { from: Some(Manifest::PREFIX.into()), before: Some("manifest0".into()), limit: 2 }
    }

    /// Where every copy is found.
    pub fn copies() -> ListRange {
        ListRange { from: Some(COPIES.into()), before: Some("copy0".into()), limit: 2 }
    }

    pub fn encode(&self) -> Vec<u8> {
        let fields = vec![
            Field::Number(self.store),
            Field::Number(self.version),
            Field::Number(self.checkpoint),
            Field::Number(self.hash),
            Field::Number(self.log),
            Field::Number(self.time),
            self.earliest.to_field(),
            Field::Number(self.clock),
            Field::Number(self.floor),
            Field::list(&self.runs, |run| run.to_field()),
            Field::list(&self.trimmed, |(id, lsn)| Field::List(vec![Field::Number(*id), Field::Number(*lsn)])),
            self.merging.as_ref().map_or(Field::Nil, Merging::to_field),
            Field::list(&self.given_up, |block| {
                Field::List(vec![Field::Number(block.run), Field::Number(u64::from(block.number))])
            }),
        ];
        let body = Field::List(fields).encode();
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
        header::write(&mut bytes, MAGIC, FORMAT);
        bytes.extend_from_slice(&xxh64(&body, 0).to_be_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Manifest> {
        let lost = |what: &str| Error::corrupt(format!("the manifest is damaged: {what}"));
        let format = header::read(bytes, MAGIC).ok_or_else(|| lost("it does not begin as one"))?;
        if format != FORMAT {
            return Err(Error::of_other_format("the store", format, FORMAT));
        }
        let Some((checksum, body)) = bytes[header::BYTES..].split_first_chunk() else {
            return Err(lost("it is cut off"));
        };
        if xxh64(body, 0).to_be_bytes() != *checksum {
            return Err(lost("its checksum differs"));
        }
        Field::decode(body).and_then(Manifest::from_fields).ok_or_else(|| lost("its fields are not those of one"))
    }

    fn from_fields(mut fields: Fields<'_>) -> Option<Manifest> {
        let mut manifest = Manifest {
            store: fields.number()?,
            version: fields.number()?,
            checkpoint: fields.number()?,
            hash: fields.number()?,
            log: fields.number()?,
            time: fields.number()?,
            earliest: Earliest::from_fields(fields.list()?)?,
            clock: fields.number()?,
            floor: fields.number()?,
            runs: fields.list()?.lists(|run| RunDescription::from_fields(run).map(Rc::new))?,
            trimmed: fields.list()?.lists(|mut commit| Some((commit.number()?, commit.number()?)))?,
            merging: None,
            given_up: Vec::new(),
        };
        if !manifest.earliest.is_of(manifest.checkpoint) {
            return None;
        }
        if let Some(merging) = fields.optional_list()? {
            let merging = Merging::from_fields(merging)?;
            // A description keeps only the beginning of its first row.
            for run in
                manifest.runs.iter_mut().filter(|run| merging.inputs.contains(&run.id) && run.first < merging.from)
            {
                *run = Rc::new(RunDescription { first: merging.from.clone(), ..(**run).clone() });
            }
            manifest.merging = Some(merging);
        }
        let block = |mut block: Fields<'_>| {
            Some(BlockAddress { run: block.number()?, number: block.number()?.try_into().ok()? })
        };
        manifest.given_up = fields.list()?.lists(block)?;
        Some(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::lsm::choose::MANY_RUNS;
    use crate::lsm::run_writer::RunWriter;
    use crate::types::row::{LAYER_BYTES, internal};
    use crate::types::{Version, limits};

    #[test]
    fn a_manifest_survives_the_round_trip_and_no_flipped_byte() {
        let mut manifest = Manifest::first(77);
        manifest.remember((0..2000).map(|n| (n, n)));
        assert_eq!(manifest.trimmed.len(), REMEMBERED);
        assert_eq!(manifest.trimmed.last(), Some(&(1999, 1999)));
        let bytes = manifest.encode();
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest);
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            let error = Manifest::decode(&flipped).expect_err("it is damaged");
            assert_eq!(error.code(), ErrorCode::StorageCorrupt, "byte {at}");
        }
    }

    #[test]
    fn a_manifest_of_many_runs_with_long_keys_is_one_record() {
        let mut manifest = Manifest::first(u64::MAX);
        manifest.remember((0..2000).map(|n| (u64::MAX - n, u64::from(u32::MAX))));
        let key = |n: u64| {
            let long = [0xff; limits::KEY_BYTES];
            [&[0xff; LAYER_BYTES][..], b"todos\0", &long, &n.to_be_bytes()].concat()
        };
        for n in 0..MANY_RUNS as u64 + 40 {
            let mut writer = RunWriter::new(u64::MAX - n);
            for row in [key(2 * n), key(2 * n + 1)] {
                writer.push(&internal(&row, Lsn(u64::from(u32::MAX))), &Version::tombstone().encode()).unwrap();
            }
            let of_gigabytes = RunDescription { bytes: 1 << 33, unpacked: 1 << 34, ..writer.finish().0 };
            manifest.runs.push(Rc::new(RunDescription { group: Some(u64::MAX), dropped: 1 << 17, ..of_gigabytes }));
        }
        let lost = |n: u32| BlockAddress { run: u64::MAX, number: u32::MAX - n };
        manifest.give_up((0..2000).map(lost).collect());
        assert_eq!(manifest.given_up.len(), GIVEN_UP);
        let inputs = manifest.runs.iter().map(|run| run.id).take(MANY_RUNS).collect();
        manifest.merging = Some(Merging { group: u64::MAX, slice_bytes: 1 << 30, from: key(1), inputs });
        manifest.checkpoint = u64::from(u32::MAX);
        manifest.earliest = Earliest(vec![u64::MAX; 32]);
        let bytes = manifest.encode();
        assert!(bytes.len() <= limits::RECORD_BYTES, "{}", bytes.len());
        assert_eq!(Manifest::decode(&bytes).unwrap().runs[7].first, key(1), "a merge's inputs begin where it is");
    }

    #[test]
    fn another_format_is_named_as_such() {
        let mut bytes = Manifest::first(1).encode();
        for (format, code) in [(FORMAT + 1, ErrorCode::FormatTooNew), (FORMAT - 1, ErrorCode::FormatTooOld)] {
            bytes[2..4].copy_from_slice(&[format, !format]);
            assert_eq!(Manifest::decode(&bytes).unwrap_err().code(), code);
        }
    }
}
