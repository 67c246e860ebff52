//! Every commit that reached the disk, read from the batches that took effect: the truth that the calls are judged by.

use std::collections::{BTreeMap, BTreeSet};

use offshoot::lsm::{Changes, Commit, Head, Joined, Judged, Manifest, join};
use offshoot::storage::{Batch, Space};
use offshoot::types::row::{split_name, split_row, split_suffix};
use offshoot::types::{Base, Bytes, Kind, LayerId, Lsn, Version, key};

use crate::call::{Content, IDS, Id, Shelf};
use crate::executor::Owner;

/// One commit on the disk.
#[derive(Clone)]
pub struct Logged {
    pub tab: Owner,
    pub commit: Commit,
}

/// A commit's change of a database's row in the catalog.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CatalogChange {
    Made {
        name: String,
        layer: u64,
        origin: Option<(String, u64)>,
    },
    Dropped {
        name: String,
    },
    /// Its link was cut: its layer holds everything.
    Cut {
        name: String,
        layer: u64,
    },
}

/// One row of one layer, as a commit wrote it.
pub struct Written {
    pub layer: u64,
    pub shelf: Shelf,
    pub id: Id,
    pub value: Option<Content>,
    pub base: Option<u64>,
}

#[derive(Default)]
pub struct Journal {
    pub commits: BTreeMap<u64, Logged>,
    /// Two commits under one LSN.
    pub rewritten: Vec<u64>,
    /// Below it, history was dropped.
    pub floor: u64,
    manifest: Option<Manifest>,
    /// The last record that counts.
    head: Option<Head>,
}

/// The effect of a batch that was carried out.
#[derive(Default)]
pub struct Effect {
    pub commits: usize,
    pub parts: usize,
    /// Somebody else's record came first.
    pub is_void: bool,
    /// The batch asks other tabs to hold back.
    pub is_plea: bool,
    pub is_big: bool,
    pub checkpoint: bool,
    pub compaction: bool,
    pub floor_raised: bool,
    /// The bytes and the runs of the manifest that the batch wrote, if it wrote one.
    pub manifest_bytes: usize,
    pub runs: usize,
}

impl Journal {
    pub fn take_in(&mut self, tab: Owner, batch: &Batch) -> Effect {
        let mut effect = Effect::default();
        for (space, name, bytes) in &batch.put {
            if *space == Space::Meta && name.starts_with("manifest/") {
                effect.manifest_bytes = bytes.len();
                self.install(Manifest::decode(bytes).expect("a manifest can be read"), &mut effect);
            }
        }
        if !batch.append.is_empty() {
            self.append(tab, batch, &mut effect);
        }
        effect
    }

    /// The last commit, and the last one that is in runs.
    pub fn ends(&self) -> (u64, u64) {
        let last = self.commits.keys().last().copied().unwrap_or(0);
        (last, self.manifest.as_ref().map_or(0, |manifest| manifest.checkpoint))
    }

    /// The runs that the manifest and the commits of the log name.
    pub fn named_runs(&self) -> BTreeSet<u64> {
        let checkpoint = self.manifest.as_ref().map_or(0, |manifest| manifest.checkpoint);
        let of_manifest = self.manifest.iter().flat_map(|manifest| &manifest.runs).map(|run| run.id);
        let of_log = self.commits.range(checkpoint + 1..).flat_map(|(_, logged)| &logged.commit.runs);
        of_manifest.chain(of_log.map(|run| run.id)).collect()
    }

    fn install(&mut self, manifest: Manifest, effect: &mut Effect) {
        effect.runs = manifest.runs.len();
        if let Some(before) = &self.manifest {
            effect.checkpoint = manifest.checkpoint > before.checkpoint;
            effect.floor_raised = manifest.floor > before.floor;
            let is_named = |id: u64| manifest.runs.iter().any(|run| run.id == id);
            effect.compaction = before.runs.iter().any(|run| !is_named(run.id));
        }
        self.floor = manifest.floor;
        self.manifest = Some(manifest);
    }

    /// Notes the commits of a record that counts.
    fn append(&mut self, tab: Owner, batch: &Batch, effect: &mut Effect) {
        let parts: Vec<_> = (0..).zip(batch.append.iter().cloned()).collect();
        let Joined { record, hash, .. } = join(&parts, true).expect("a record can be read").expect("all of its parts");
        let head = self.head.unwrap_or(Head { store: record.store, lsn: Lsn(0), hash: 0, number: 0 });
        match record.judge(head) {
            Judged::Next => {}
            Judged::Void => {
                effect.is_void = true;
                effect.is_plea = record.previous == u64::MAX;
                return;
            }
            Judged::Broken => panic!("a record is chained to one that is not there. first={}", record.first),
        }
        self.head = Some(Head { store: head.store, lsn: record.last(), hash, number: 0 });
        effect.parts = parts.len();
        effect.is_big = batch.delete.iter().any(|(space, _)| *space == Space::Jobs);
        for (commit, lsn) in record.commits.into_iter().zip(record.first..) {
            effect.commits += 1;
            match self.commits.get_mut(&lsn) {
                None => drop(self.commits.insert(lsn, Logged { tab, commit })),
                Some(other) if other.commit.id == commit.id => {
                    let all: Vec<_> = other.commit.changes.iter().chain(commit.changes.iter()).collect();
                    other.commit.changes = Changes::of(&all);
                }
                Some(_) => self.rewritten.push(lsn),
            }
        }
    }
}

impl Logged {
    /// A commit over the log's size: its rows lie in a run, and are not looked into here.
    pub fn is_big(&self) -> bool {
        !self.commit.runs.is_empty()
    }

    /// True if all runs that the commit wrote ahead lie in this layer.
    pub fn is_in_layer(&self, layer: u64) -> bool {
        self.commit.runs.iter().all(|run| split_row(&run.first).0.0 == layer)
    }

    /// How many documents and entries it wrote, in the log and in runs.
    pub fn rows_anywhere(&self) -> u64 {
        self.rows().len() as u64 + self.commit.runs.iter().map(|run| run.entries).sum::<u64>()
    }

    /// True if the commit changed nothing but the store's own settings, or nothing at all: it may only close history.
    pub fn is_housekeeping(&self) -> bool {
        let is_setting = |row: &[u8]| {
            let (layer, suffix) = split_row(row);
            layer == LayerId::CATALOG && split_suffix(suffix).is_some_and(|(name, ..)| name == "settings")
        };
        self.commit.runs.is_empty() && self.commit.changes.rows().all(is_setting)
    }

    pub fn catalog_changes(&self) -> Vec<CatalogChange> {
        let mut changes = Vec::new();
        for (row, version) in self.commit.changes.iter() {
            let (layer, suffix) = split_row(row);
            let (collection, ..) = split_suffix(suffix).expect("a row comes apart");
            if layer != LayerId::CATALOG || collection != "databases" {
                continue;
            }
            let name = split_name(suffix).expect("a name is text").to_string();
            let version = Version::decode(&Bytes::from(version)).expect("a version can be read");
            changes.push(match version.here() {
                None => CatalogChange::Dropped { name },
                Some(value) => {
                    let row: serde_json::Value = rmp_serde::from_slice(value).expect("a catalog row can be read");
                    let layer = row[1].as_u64().expect("a layer's number");
                    let origin =
                        row[2][0].as_str().map(|name| (name.to_string(), row[2][1].as_u64().expect("an origin's LSN")));
                    let is_whole = row[5].as_bool().expect("a flag");
                    match origin {
                        None if is_whole => CatalogChange::Cut { name, layer },
                        origin => CatalogChange::Made { name, layer, origin },
                    }
                }
            });
        }
        changes
    }

    /// The documents and entries that it wrote.
    pub fn rows(&self) -> Vec<Written> {
        let mut rows = Vec::new();
        for (row, version) in self.commit.changes.iter() {
            let (layer, suffix) = split_row(row);
            let (_, kind, encoded) = split_suffix(suffix).expect("a row comes apart");
            let Some(shelf) = Shelf::of(kind) else {
                let is_known = matches!(kind, Kind::Collection | Kind::Catalog | Kind::Ancestor);
                assert!(is_known, "nothing else is written yet");
                continue;
            };
            let id = known_id(encoded);
            let version = Version::decode(&Bytes::from(version)).expect("a version can be read");
            let value = version.here().map(|bytes| Content::decode(bytes));
            rows.push(Written { layer: layer.0, shelf, id, value, base: version.base.map(Base::number) });
        }
        rows
    }
    /// The ancestors of parked rows that it wrote, each with the layer and the place of its row; `None`: no row.
    pub fn ancestors(&self) -> Vec<(u64, (Shelf, Id), Option<Content>)> {
        let mut ancestors = Vec::new();
        for (row, version) in self.commit.changes.iter() {
            let (layer, suffix) = split_row(row);
            let Some((_, Kind::Ancestor, beside)) = split_suffix(suffix) else { continue };
            let (kind, encoded) = beside.split_first().expect("an ancestor names the kind of its row");
            let shelf = Kind::from_byte(*kind).and_then(Shelf::of).expect("a parked row is a document or an entry");
            let version = Version::decode(&Bytes::from(version)).expect("a version can be read");
            let value = version.here().filter(|bytes| !bytes.is_empty()).map(|bytes| Content::decode(bytes));
            ancestors.push((layer.0, (shelf, known_id(encoded)), value));
        }
        ancestors.sort_by_key(|(layer, place, _)| (*layer, *place));
        ancestors
    }
}

fn known_id(encoded: &[u8]) -> Id {
    let text = key::read_id(encoded).expect("a text key");
    IDS.into_iter().find(|id| *id == text).expect("a key of the workload")
}
