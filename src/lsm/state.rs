//! The state of one opened store in memory: the tree, the manifest, the log's commits since its checkpoint, and the
//! commits that are staged.

use std::rc::Rc;

use super::changes::Changes;
use super::manifest::Manifest;
use super::plea::Pleas;
use super::record::{Commit, Head};
use super::run::RunDescription;
use super::tail;
use super::tree::Tree;
use crate::types::Lsn;

/// A commit that the log still holds, as it is kept in memory.
#[derive(Clone, Debug)]
pub struct Note {
    pub lsn: Lsn,
    pub id: u64,
    pub time: u64,
    pub changes: Changes,
    pub runs: Vec<Rc<RunDescription>>,
}

/// A record of the log, as far as trimming it must know.
pub struct Logged {
    pub(super) first: Lsn,
    pub last: Lsn,
    /// The bytes of its body.
    pub bytes: usize,
    pub hash: u64,
    /// The number of its last part.
    pub number: u64,
}

pub struct State {
    pub tree: Tree,
    pub manifest: Manifest,
    /// The last commit that this engine knows to be complete.
    pub head: Lsn,
    pub(super) head_hash: u64,
    /// The number up to which this engine has read the log.
    pub(super) read_up_to: u64,
    /// Bytes of the log that count for nobody.
    pub(super) void_bytes: u64,
    /// The last record did not count: the next one is written only if it does.
    pub(super) has_collided: bool,
    /// Commits of the log, oldest first.
    pub notes: Vec<Note>,
    /// Commits being written: their versions are in the memtable above the head, where no snapshot reads.
    pub(super) staged: Vec<Commit>,
    /// The log's records, oldest first.
    pub records: Vec<Logged>,
    /// The last commit that touched the catalog.
    pub catalog_changed: Lsn,
    /// The last commit that was not written here.
    pub others: Lsn,
    pub pleas: Pleas,
}

impl State {
    pub(super) fn new(manifest: Manifest, cache_bytes: usize) -> State {
        let mut tree = Tree::new(cache_bytes);
        tree.set_runs(manifest.runs.iter().cloned(), false);
        tree.given_up.clone_from(&manifest.given_up);
        let head = manifest.head();
        tree.head = head.lsn;
        State {
            tree,
            manifest,
            head: head.lsn,
            head_hash: head.hash,
            read_up_to: head.number,
            void_bytes: 0,
            has_collided: false,
            notes: Vec::new(),
            staged: Vec::new(),
            records: Vec::new(),
            catalog_changed: head.lsn,
            others: head.lsn,
            pleas: Pleas::default(),
        }
    }

    pub fn log_entries(&self) -> u64 {
        self.records.len() as u64
    }

    /// The bytes of the log's records, without the headers of their parts.
    pub fn log_bytes(&self) -> u64 {
        self.records.iter().map(|record| record.bytes as u64).sum::<u64>() + self.void_bytes
    }

    /// The LSN that the next staged commit gets.
    pub fn next(&self) -> Lsn {
        self.head.plus(self.staged.len() as u64 + 1)
    }

    /// Puts a commit's versions above the head, where the commits staged after it see them.
    pub fn stage(&mut self, mut commit: Commit) -> Lsn {
        let lsn = self.next();
        self.insert(lsn, &mut commit);
        self.staged.push(commit);
        lsn
    }

    fn insert(&mut self, lsn: Lsn, commit: &mut Commit) {
        self.tree.changes += 1;
        for run in &commit.runs {
            self.tree.add_run(Rc::new(run.clone().at(lsn)));
        }
        commit.changes.date(lsn);
        self.tree.memtable.insert(&commit.changes);
    }

    /// Takes back all that is staged.
    pub fn unstage(&mut self) -> Vec<Commit> {
        let staged = std::mem::take(&mut self.staged);
        self.tree.changes += 1;
        for commit in &staged {
            self.tree.memtable.remove(&commit.changes);
            self.tree.drop_runs(|other| commit.runs.iter().any(|run| run.id == other.id));
        }
        staged
    }

    /// Takes complete commits into the head: their versions are visible from here on.
    pub(super) fn publish(&mut self, tail::TailRecord { record, hash, bytes, number }: tail::TailRecord) {
        let first = record.first();
        self.pleas.follow(&record.commits);
        for (index, commit) in record.commits.into_iter().enumerate() {
            let lsn = Lsn(record.first + index as u64);
            if commit.touches_catalog {
                self.catalog_changed = lsn;
            }
            let runs = commit.runs.into_iter().map(|run| Rc::new(run.at(lsn))).collect();
            self.notes.push(Note { lsn, id: commit.id, time: commit.time, changes: commit.changes, runs });
            self.head = lsn;
            self.tree.head = lsn;
        }
        self.head_hash = hash;
        self.read_up_to = self.read_up_to.max(number);
        self.records.push(Logged { first, last: self.head, bytes, hash, number });
    }

    /// Where the log goes on.
    pub(super) fn log_head(&self) -> Head {
        Head { store: self.manifest.store, lsn: self.head, hash: self.head_hash, number: self.read_up_to }
    }

    /// The hash of the last record.
    pub fn head_hash(&self) -> u64 {
        self.head_hash
    }

    /// The hash of the record that ends at `lsn`, if it is still known.
    pub fn hash_of(&self, lsn: Lsn) -> Option<u64> {
        if lsn == self.manifest.checkpoint() {
            return Some(self.manifest.hash);
        }
        self.records.iter().find(|record| record.last == lsn).map(|record| record.hash)
    }

    /// Takes in records that count, the pleas between them, and that the log was read up to `number`.
    pub(super) fn take_in(&mut self, records: Vec<tail::TailRecord>, pleas: &[(u64, u64)], number: u64) {
        assert!(self.staged.is_empty(), "BUG: others' commits are taken in while none is staged");
        let mut pleas = pleas.iter().peekable();
        for mut tail in records {
            while let Some((_, id)) = pleas.next_if(|(number, _)| *number < tail.number) {
                self.pleas.take_in(*id);
            }
            for (commit, lsn) in tail.record.commits.iter_mut().zip(tail.record.first..) {
                self.insert(Lsn(lsn), commit);
            }
            self.publish(tail);
            self.others = self.head;
        }
        pleas.for_each(|(_, id)| self.pleas.take_in(*id));
        self.read_up_to = self.read_up_to.max(number);
    }

    pub fn staged(&self) -> &[Commit] {
        &self.staged
    }
}
