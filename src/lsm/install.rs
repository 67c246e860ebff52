//! Swapping the manifest: one small transaction, guarded by the version of the one that it replaces. Where another tab
//! has swapped it meanwhile, the same change is made to the manifest that is there now, unless both changed the same
//! thing: a slice of a merge, which took seconds to write, is not lost to a checkpoint.
//!
//! A swap that raises the history floor appends a commit that changes nothing. A tab which has not read it appends what
//! does not count, so no commit can rest on what lies below the floor without having seen the floor.

use std::rc::Rc;

use super::fault::BlockAddress;
use super::head_mark::HeadMark;
use super::manifest::{Manifest, Merging};
use super::record::{self, Commit, Head, Record};
use super::reserve::Room;
use super::run::RunDescription;
use super::state::State;
use super::store::Lsm;
use super::unnamed::UnnamedRun;
use crate::error::Result;
use crate::planted::{self, Bug};
use crate::storage::{Batch, Durability, ListRange, Place, Space};
use crate::types::{Lsn, limits};

/// The record of a run whose blocks are nobody's any more, until they are deleted.
pub fn drop_place(run: u64) -> Place {
    (Space::Jobs, format!("drop-{run:016x}"))
}

/// Runs swept at once.
const SWEEP: usize = 256;
/// How often other tabs may swap the manifest before this one is given up.
const TRIES: usize = 8;

/// The next manifest, and the records that go with it in the same transaction.
pub struct Installation {
    /// The manifest that is replaced.
    base: Manifest,
    manifest: Manifest,
    put: Vec<(Space, String, Vec<u8>)>,
    /// Runs that the manifest names from then on.
    named: Vec<Rc<UnnamedRun>>,
    /// The id of a commit that goes with it: none may follow that has not seen that one.
    closes: Option<u64>,
    /// The new runs and the log hold the same visible rows as before. Only versions that nobody reads are gone.
    has_same_rows: bool,
    /// It was judged by what the replaced manifest names, so it is not made over another one.
    is_for_base_only: bool,
    room: Room,
}

/// How a swap of the manifest ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Swapped {
    Done,
    /// Another tab changed the same thing, or has taken a run that is to be named for abandoned.
    Refused,
    /// Another tab has committed: what ends history must be written anew, behind that commit.
    Late,
}

fn without(runs: &[Rc<RunDescription>], others: &[Rc<RunDescription>]) -> Vec<Rc<RunDescription>> {
    runs.iter().filter(|run| !others.contains(run)).cloned().collect()
}

impl Installation {
    /// The present manifest as it is, but for what is added from here on.
    pub fn new(base: Manifest) -> Installation {
        Installation::between(base.clone(), base)
    }

    /// `manifest` is made from the present one, `base`, and gets the next version.
    pub(super) fn between(base: Manifest, manifest: Manifest) -> Installation {
        let manifest = Manifest { version: base.version + 1, ..manifest };
        Installation {
            base,
            manifest,
            put: Vec::new(),
            named: Vec::new(),
            closes: None,
            has_same_rows: false,
            is_for_base_only: false,
            room: Room::Frees,
        }
    }

    /// Makes the same change to the manifest that is there now. False: both changed the same thing.
    ///
    /// A merge drops a tombstone where no other run holds an older version of its row. So of two changes one may drop
    /// runs and the other one add runs, but only such whose versions are all newer than what the first one had read.
    fn rest_on(&mut self, present: &Manifest) -> bool {
        let (base, next) = (&self.base, &self.manifest);
        if present.version == base.version || self.is_for_base_only {
            return present.version == base.version;
        }
        let has_moved_log = |other: &Manifest| (other.checkpoint, other.log) != (base.checkpoint, base.log);
        let has_merged = |other: &Manifest| other.merging != base.merging;
        let has_given_up = |other: &Manifest| other.given_up != base.given_up;
        let (gone, come) = (without(&base.runs, &next.runs), without(&next.runs, &base.runs));
        let (gone_there, come_there) = (without(&base.runs, &present.runs), without(&present.runs, &base.runs));
        let disagree = |gone: &[Rc<RunDescription>], come: &[Rc<RunDescription>]| {
            !gone.is_empty() && come.iter().any(|run| run.oldest <= base.checkpoint)
        };
        if present.store != next.store
            || has_moved_log(next) && has_moved_log(present)
            || has_merged(next) && has_merged(present)
            || has_given_up(next) && has_given_up(present)
            || !without(&gone, &present.runs).is_empty()
            || disagree(&gone, &come_there)
            || disagree(&gone_there, &come)
        {
            return false;
        }
        let mut runs = without(&present.runs, &gone);
        runs.extend(come);
        let merging = if has_merged(next) { &next.merging } else { &present.merging };
        let is_there = |id: &u64| runs.iter().any(|run| run.id == *id);
        if !merging.iter().flat_map(|merging| &merging.inputs).all(is_there) {
            return false;
        }
        self.manifest = Manifest {
            version: present.version + 1,
            clock: if next.clock == base.clock { present.clock } else { next.clock },
            floor: next.floor.max(present.floor),
            runs,
            merging: merging.clone(),
            given_up: if has_given_up(next) { next } else { present }.given_up.clone(),
            ..if has_moved_log(next) { next } else { present }.clone()
        };
        self.base = present.clone();
        true
    }

    /// History below `floor` is gone from here on; whoever would pin it must look again first.
    pub fn raise_floor(&mut self, floor: Lsn) {
        if floor > self.manifest.floor() {
            self.closes = self.closes.or(Some(0));
            self.manifest.floor = floor.0;
        }
    }

    /// The commit that ends history has this id, for which a plea asks the other tabs to let it go first.
    pub fn close_as(&mut self, id: u64) {
        self.closes = self.closes.map(|_| id);
    }

    /// Gives up the commits of the log that could not be read: the log's numbers, up to `used` for commits and up to
    /// `number` for records, are not given again. The store becomes another one, by its number, so that every tab which
    /// knows more of it than is left leaves it.
    pub fn begin_anew(&mut self, store: u64, used: Lsn, number: u64) {
        self.manifest.store = store;
        self.manifest.leave_out(used);
        self.manifest.hash = store;
        self.trim(number);
        self.closes = Some(0);
    }

    /// True if the swap would change nothing.
    pub fn is_idle(&self) -> bool {
        self.manifest == Manifest { version: self.manifest.version, ..self.base.clone() } && self.put.is_empty()
    }

    /// For an installation that adds versions older than the checkpoint, which no manifest names yet. A merge between
    /// the two manifests may have dropped tombstones of their rows, and then the versions would be read again.
    pub fn only_over_its_base(&mut self) {
        self.is_for_base_only = true;
    }

    /// Notes that the installation is the work of a caller who wants to store more, and not of maintenance.
    pub fn takes_room(&mut self) {
        self.room = Room::Takes;
    }

    /// For an installation that moves versions from the log into a run, or from runs into another one, and adds none.
    pub(super) fn keeps_rows(&mut self) {
        self.has_same_rows = true;
    }

    /// The checkpoint that this installation makes.
    pub fn checkpoint(&self) -> Lsn {
        self.manifest.checkpoint()
    }

    pub fn set_clock(&mut self, clock: u64) {
        self.manifest.clock = clock;
    }

    /// All of the log up to `number` stands in runs, or cannot be read.
    pub fn trim(&mut self, number: u64) {
        self.manifest.log = self.manifest.log.max(number);
    }

    /// The manifest names the run from here on. If it was taken for abandoned, nothing is installed.
    pub fn name(&mut self, run: Rc<UnnamedRun>) {
        self.manifest.runs.push(run.description.clone());
        self.named.push(run);
    }

    /// A merge goes on so, with these of its inputs left; `None`: it is at its end.
    pub(super) fn go_on_with(&mut self, merging: Option<Merging>, left: Vec<Rc<RunDescription>>) {
        self.manifest.merging = merging;
        self.manifest.runs.extend(left);
    }

    /// A record that goes with the swap.
    pub fn put(&mut self, (space, name): Place, bytes: Vec<u8>) {
        self.put.push((space, name, bytes));
    }

    /// The run is named no more: its blocks are to be deleted, by whoever gets to it.
    pub fn drop_run(&mut self, run: u64) {
        if planted::is(Bug::MergedRunsForgotten) {
            return;
        }
        let (space, name) = drop_place(run);
        self.put.push((space, name, Vec::new()));
    }

    /// A repair gives up these blocks, which cannot be read, as far as they hold rows of collections.
    pub fn give_up(&mut self, blocks: Vec<BlockAddress>) {
        self.manifest.give_up(blocks);
    }

    /// The floor stays where it was.
    pub fn leave_floor(&mut self) {
        self.manifest.floor = self.base.floor;
        self.closes = None;
    }

    /// All that is written at once, for a log that stands at `head`.
    pub(super) fn batch(&self, head: Head, time: u64) -> Batch {
        let Installation { base, manifest, .. } = self;
        let mut batch = Batch {
            put: self.put.clone(),
            delete: vec![base.place(), base.copy_place(), base.hot_place()],
            absent: vec![manifest.place()],
            present: vec![base.place()],
            trim: manifest.log,
            durability: Durability::Strict,
            ..Batch::default()
        };
        if !planted::is(Bug::AbandonedJobServed) {
            self.named.iter().for_each(|run| run.name_in(&mut batch));
        }
        let bytes = manifest.encode();
        for (space, name) in [manifest.copy_place(), manifest.place()] {
            batch.put.push((space, name, bytes.clone()));
        }
        let of_manifest = manifest.head();
        let is_ahead = head.store == of_manifest.store && head.lsn > of_manifest.lsn;
        let head = Head { number: head.number.max(of_manifest.number), ..if is_ahead { head } else { of_manifest } };
        batch.put.push(HeadMark::of(head).record());
        if let Some(id) = self.closes {
            batch.last = Some(head.number);
            batch.append = closing_record(head, id, time);
        }
        batch
    }
}

/// A commit that changes nothing: a tab that has not read it appends records that do not count.
fn closing_record(head: Head, id: u64, time: u64) -> Vec<Vec<u8>> {
    let commits = vec![Commit { id, time, ..Commit::default() }];
    let record = Record { store: head.store, first: head.lsn.next().0, previous: head.hash, commits };
    let (body, hash) = record.encode();
    record::split(&body, hash, limits::RECORD_BYTES)
}

impl Lsm {
    /// Swaps the manifest. Only with nothing staged.
    pub async fn install(&self, installation: &mut Installation) -> Result<Swapped> {
        for _ in 0..TRIES {
            if !self.with(|state| installation.rest_on(&state.manifest)) {
                break;
            }
            let hot = self.pack_hot(&installation.manifest.runs).await;
            let (head, time) = self.with(|state| {
                let time = state.notes.last().map_or(state.manifest.time, |note| note.time);
                (state.log_head(), time)
            });
            let mut batch = installation.batch(head, time);
            let last = batch.last;
            if let Some(hot) = hot {
                let (space, name) = installation.manifest.hot_place();
                batch.put.push((space, name, hot));
            }
            if self.reserve().write(batch, installation.room).await?.is_written() {
                installation.named.iter().for_each(|run| run.is_named());
                self.adopt(installation.manifest.clone(), installation.has_same_rows)?;
                if installation.closes.is_some() {
                    self.refresh().await?;
                }
                return Ok(Swapped::Done);
            }
            self.refresh().await?;
            let (version, number) = self.with(|state| (state.manifest.version, state.log_head().number));
            if version == installation.base.version {
                let is_late = last.is_some_and(|last| number > last);
                return Ok(if is_late { Swapped::Late } else { Swapped::Refused });
            }
        }
        Ok(Swapped::Refused)
    }

    /// Writes down which record is the last, apart from the log.
    pub async fn mark_head(&self, durability: Durability) -> Result<()> {
        let put = vec![HeadMark::of(self.with(State::log_head)).record()];
        self.storage().write(Batch { put, durability, ..Batch::default() }).await.map(drop)
    }

    /// Deletes the blocks of runs that are named no more, and of runs whose writer is gone since before `abandoned`.
    pub async fn sweep(&self, abandoned: u64) -> Result<()> {
        let range = ListRange { from: Some("drop-".into()), before: Some("run.".into()), limit: SWEEP };
        let jobs = self.storage().list(Space::Jobs, range).await?;
        for (name, bytes) in jobs {
            let began = bytes.try_into().map_or(0, u64::from_be_bytes);
            let run = name.rsplit('-').next().and_then(|id| u64::from_str_radix(id, 16).ok());
            let Some(run) = run else { continue };
            let is_named = self.with(|state| state.tree.runs().iter().any(|other| other.id == run));
            let is_named = is_named || planted::is(Bug::AbandonedTakenForWritten) && name.starts_with("run-");
            let is_abandoned = name.starts_with("run-") && began < abandoned;
            if !is_named && (is_abandoned || name.starts_with("drop-")) {
                self.delete_run(run, (Space::Jobs, name)).await?;
            }
        }
        Ok(())
    }

    /// Deletes a run's job record and with it all of its blocks, of which none is read. Without its job record the run
    /// can never be named; and blocks that stayed without a record would be found by nobody. Where the record is gone,
    /// another tab has named the run or deleted it, and nothing is done.
    pub(super) async fn delete_run(&self, run: u64, job: Place) -> Result<()> {
        let delete_range = vec![(Space::Blocks, format!("{run:016x}-"), format!("{run:016x}."))];
        let batch = Batch { present: vec![job.clone()], delete: vec![job], delete_range, ..Batch::default() };
        self.storage().write(batch).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsm::run_writer::RunWriter;
    use crate::types::Version;
    use crate::types::row::internal;

    fn run(id: u64, lsn: u64) -> Rc<RunDescription> {
        let mut writer = RunWriter::new(id);
        writer.push(&internal(&[7; 12], Lsn(lsn)), &Version::tombstone().encode()).unwrap();
        Rc::new(writer.finish().0)
    }

    /// Two runs, of LSN 1 and of LSN 5, and the log moved up to there.
    fn base() -> Manifest {
        Manifest { version: 9, checkpoint: 5, log: 5, runs: vec![run(1, 1), run(2, 5)], ..Manifest::first(77) }
    }

    /// The log is moved on into another run.
    fn moved(lsn: u64) -> Manifest {
        let mut manifest = Manifest { version: 10, checkpoint: lsn, log: lsn, hash: lsn, ..base() };
        manifest.runs.push(run(100 + lsn, lsn));
        manifest
    }

    fn merging(inputs: &[u64]) -> Option<Merging> {
        let (group, inputs) = (3, inputs.to_vec());
        (!inputs.is_empty()).then_some(Merging { group, slice_bytes: 10, from: vec![8], inputs })
    }

    /// A slice of a merge of these runs, with so many of them left.
    fn merged(left: usize) -> Manifest {
        let mut runs = base().runs.split_off(2 - left);
        let inputs: Vec<u64> = runs.iter().map(|run| run.id).collect();
        runs.iter_mut().for_each(|run| *run = Rc::new(run.without(1, &[8], 0)));
        runs.push(run(3, 1));
        Manifest { version: 10, runs, merging: merging(&inputs), ..base() }
    }

    /// The manifest after both changes, whichever is the first.
    fn both(one: Manifest, other: Manifest) -> Option<Manifest> {
        let over = |next: &Manifest, present: &Manifest| {
            let mut installation = Installation::between(base(), next.clone());
            installation.rest_on(present).then_some(installation.manifest)
        };
        let ids = |manifest: &Option<Manifest>| {
            let mut ids: Vec<u64> = manifest.iter().flat_map(|manifest| &manifest.runs).map(|run| run.id).collect();
            ids.sort_unstable();
            ids
        };
        let (here, there) = (over(&one, &other), over(&other, &one));
        assert_eq!(ids(&here), ids(&there));
        here
    }

    /// Between two manifests that name neither a run may have come and gone, with a tombstone in it.
    #[test]
    fn copies_are_named_under_no_other_manifest_than_the_one_they_were_judged_by() {
        for (version, is_named) in [(9, true), (10, false)] {
            let mut installation = Installation::new(base());
            installation.only_over_its_base();
            assert_eq!(installation.rest_on(&Manifest { version, ..base() }), is_named);
        }
    }

    #[test]
    fn a_slice_of_a_merge_is_named_although_another_tab_has_moved_the_log() {
        for left in 0..=2 {
            let next = both(merged(left), moved(8)).expect("they agree");
            assert_eq!((next.version, next.checkpoint, next.hash), (11, 8, 8));
            assert_eq!(next.merging, merged(left).merging);
            assert_eq!(next.runs.len(), left + 2);
            assert!(merged(left).runs.iter().all(|run| next.runs.contains(run)));
        }
    }

    #[test]
    fn what_both_have_changed_is_refused() {
        assert_eq!(both(moved(8), moved(9)), None, "the log was moved");
        assert_eq!(both(merged(1), merged(2)), None, "a slice was merged");
        let of_another_store = Manifest { store: 78, ..moved(8) };
        assert_eq!(both(merged(1), of_another_store), None, "it is another store");
        let without_first = Manifest { version: 10, runs: vec![run(2, 5)], ..base() };
        let begun = Manifest { version: 10, merging: merging(&[1, 2]), ..base() };
        assert_eq!(both(without_first, begun), None, "a merge needs all of its inputs");
    }

    /// A merge that drops a tombstone has looked for older versions in the runs that it knew.
    #[test]
    fn no_run_with_old_versions_is_added_where_versions_were_dropped() {
        let mut copied = Manifest { version: 10, ..base() };
        copied.runs.push(run(4, 5));
        assert_eq!(both(merged(1), copied.clone()), None);
        assert!(both(moved(8), copied).is_some(), "nothing is dropped where the log is moved");
    }

    #[test]
    fn the_floor_and_the_clock_are_those_of_whoever_raised_them() {
        let raised = Manifest { floor: 4, ..moved(8) };
        let next = both(raised, Manifest { floor: 2, clock: 6, ..merged(1) }).expect("they agree");
        assert_eq!((next.floor, next.clock), (4, 6));
    }
}
