//! Every commit that reached the disk, read from the batches that took effect: the truth that the calls are judged by.

use std::collections::BTreeMap;

use offshoot::lsm::{Change, Commit, Manifest, Record};
use offshoot::storage::{Batch, Space};
use offshoot::types::row::{split_name, split_row, split_suffix};
use offshoot::types::{Bytes, Kind, LayerId, Version, key};

use crate::call::{Content, IDS, Id, Shelf};
use crate::executor::Owner;

/// The bytes before a part's piece of the record.
const HEADER_BYTES: usize = 19;

/// One commit on the disk.
#[derive(Clone)]
pub struct Logged {
    pub tab: Owner,
    pub commit: Commit,
}

/// What a commit did to a database's row in the catalog.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CatalogChange {
    Made { name: String, layer: u64, origin: Option<(String, u64)> },
    Dropped { name: String },
}

/// What a commit wrote to one row of one layer.
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
}

/// What a batch that took effect did.
#[derive(Default)]
pub struct Effect {
    pub commits: usize,
    pub parts: usize,
    pub is_big: bool,
    pub checkpoint: bool,
    pub compaction: bool,
    pub floor_raised: bool,
}

impl Journal {
    pub fn take_in(&mut self, tab: Owner, batch: &Batch) -> Effect {
        let mut effect = Effect::default();
        let mut body = Vec::new();
        for (space, name, bytes) in &batch.put {
            match space {
                Space::Log => {
                    effect.parts += 1;
                    body.extend_from_slice(&bytes[HEADER_BYTES..]);
                }
                Space::Meta if name.starts_with("manifest/") => {
                    let manifest = Manifest::decode(bytes).expect("a manifest can be read");
                    self.install(manifest, &mut effect);
                }
                _ => {}
            }
        }
        if !body.is_empty() {
            effect.commits = self.append(tab, &body);
            effect.is_big = batch.delete.iter().any(|(space, _)| *space == Space::Jobs);
        }
        effect
    }

    fn install(&mut self, manifest: Manifest, effect: &mut Effect) {
        if let Some(before) = &self.manifest {
            effect.checkpoint = manifest.checkpoint > before.checkpoint;
            effect.floor_raised = manifest.floor > before.floor;
            let is_named = |id: u64| manifest.runs.iter().any(|run| run.id == id);
            effect.compaction = before.runs.iter().any(|run| !is_named(run.id));
        }
        self.floor = manifest.floor;
        self.manifest = Some(manifest);
    }

    /// Notes a record's commits, and says how many they are.
    fn append(&mut self, tab: Owner, body: &[u8]) -> usize {
        let record = Record::decode(body).expect("a record can be read");
        let count = record.commits.len();
        for (commit, lsn) in record.commits.into_iter().zip(record.first..) {
            let id = commit.id;
            let replaced = self.commits.insert(lsn, Logged { tab, commit });
            if replaced.is_some_and(|other| other.commit.id != id) {
                self.rewritten.push(lsn);
            }
        }
        count
    }
}

impl Logged {
    /// A commit over the log's size: its rows lie in a run, and are not looked into here.
    pub fn is_big(&self) -> bool {
        self.commit.run.is_some()
    }

    /// Whether it changed nothing but the store's own settings.
    pub fn is_setting(&self) -> bool {
        let is_setting = |Change(row, _): &Change| {
            let (layer, suffix) = split_row(row);
            layer == LayerId::CATALOG && split_suffix(suffix).is_some_and(|(name, ..)| name == "settings")
        };
        !self.commit.changes.is_empty() && self.commit.changes.iter().all(is_setting)
    }

    pub fn catalog_changes(&self) -> Vec<CatalogChange> {
        let mut changes = Vec::new();
        for Change(row, version) in &self.commit.changes {
            let (layer, suffix) = split_row(row);
            let (collection, ..) = split_suffix(suffix).expect("a row comes apart");
            if layer != LayerId::CATALOG || collection != "databases" {
                continue;
            }
            let name = split_name(suffix).expect("a name is text").to_string();
            let version = Version::decode(&Bytes::from(&version[..])).expect("a version can be read");
            changes.push(match version.here() {
                None => CatalogChange::Dropped { name },
                Some(value) => {
                    let row: serde_json::Value = rmp_serde::from_slice(value).expect("a catalog row can be read");
                    let layer = row[1].as_u64().expect("a layer's number");
                    let origin =
                        row[2][0].as_str().map(|name| (name.to_string(), row[2][1].as_u64().expect("an origin's LSN")));
                    CatalogChange::Made { name, layer, origin }
                }
            });
        }
        changes
    }

    /// The documents and entries that it wrote.
    pub fn rows(&self) -> Vec<Written> {
        let mut rows = Vec::new();
        for Change(row, version) in &self.commit.changes {
            let (layer, suffix) = split_row(row);
            let (_, kind, encoded) = split_suffix(suffix).expect("a row comes apart");
            let Some(shelf) = Shelf::of(kind) else {
                assert!(matches!(kind, Kind::Collection | Kind::Catalog), "nothing else is written yet");
                continue;
            };
            let text = key::read_id(encoded).expect("a text key");
            let id = IDS.into_iter().find(|id| *id == text).expect("a key of the workload");
            let version = Version::decode(&Bytes::from(&version[..])).expect("a version can be read");
            let value = version.here().map(|bytes| Content::decode(bytes));
            rows.push(Written { layer: layer.0, shelf, id, value, base: version.base.map(|lsn| lsn.0) });
        }
        rows
    }
}
