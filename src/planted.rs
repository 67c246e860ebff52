//! Bugs planted on purpose, one at a time, so that the tests which must catch them are seen to do so.
//!
//! Each is a short `if` where the mistake would be made. Without the feature `planted` the question is a constant, and
//! nothing of it is left in the module that ships.

#[cfg(all(feature = "planted", target_arch = "wasm32"))]
compile_error!("planted bugs never go into the module that ships");

/// A mistake that an engine like this one can make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// A commit is told as done when its write is sent off.
    AcknowledgedBeforeComplete,
    /// A commit does not check the keys that its transaction read.
    KeysNotValidated,
    /// A commit does not check the ranges that its transaction read.
    RangesNotValidated,
    /// A commit does not check the rows of large commits that stand in runs of their own.
    LargeCommitsNotValidated,
    /// A commit does not check the rows that a checkpoint has moved out of the log.
    FeedNotValidated,
    /// A commit does not check that the catalog row of its database is unchanged.
    CatalogRowNotValidated,
    /// A clone goes on reading later commits of its origin.
    CloneReadsLiveOrigin,
    /// A row is copied up in a commit of its own, before the one that changes it.
    CopyUpApart,
    /// A record of several parts is first written with half of its rows.
    HalfRecordTakenForWhole,
    /// A group's members are not checked against those before them.
    GroupLoserTakenAlong,
    /// Versions that a clone's link reads below the history floor are dropped.
    PinnedVersionVacuumed,
    /// A tombstone that would begin a block is left out.
    TombstoneLostAtBlockEdge,
    /// A compaction forgets the bases of its versions.
    BaseLostAtCompaction,
    /// A commit does not ask whether its epoch is closed.
    TrimmedLsnReused,
    /// A materialization's copies are dated at the present, above the clone's own versions.
    CopiesDatedNow,
    /// A materialization copies a row that a clone on the way has deleted.
    MiddleTombstoneCopiedOver,
    /// Versions are dropped by a history floor that is raised only afterwards.
    FloorRaisedAfterDropping,
    /// Copies are taken in although their link was cut, or their run was given up.
    AbandonedJobServed,
    /// A merge compares both sides with the origin as it is, and not where the clone began.
    BaseFromTheWrongSide,
    /// A merge's commit does not check the rows that were written to the origin since it read them.
    MergedRowsNotValidated,
    /// A merge parks a row and does not keep its ancestor.
    AncestorNotKept,
    /// A merge of the clone as it was takes the clone as it is.
    PastMergedAsPresent,
    /// A reset of a selection leaves a row parked and does not keep its ancestor.
    AncestorLostByReset,
    /// A merge leaves the clone where it stood.
    MergedCloneNotMoved,
    /// A restore keeps the link that the clone has now.
    RestoreKeepsTheLink,
    /// A restore leaves the rows that were inserted since.
    RestoreLeavesInserted,
    /// A job whose block is lost is evaluated again before its error is answered.
    FailedJobPutBack,
    /// A block that is gone is taken for one that was compacted away, though the manifest names it.
    LostBlockTakenForCompacted,
    /// A damaged block is read as one without rows.
    DamagedBlockReadAsEmpty,
    /// A merge that meets a lost block takes it for one that another tab has merged, and is tried again.
    LossNotToldByMerge,
    /// A commit that may be there is told as one that is not.
    UnknownToldAsNone,
    /// A repair does not look at the copy of the manifest.
    CopyOfManifestNotRead,
    /// A relaxed commit is told to the witness as flushed.
    FlushedToldEarly,
    /// A strict commit is written as a relaxed one.
    StrictWrittenRelaxed,
    /// Commits that the host lost are not told.
    LossNotTold,
    /// The job record of a run that was given up is deleted, and its blocks stay.
    GivenUpBlocksLeft,
    /// A merge does not write down that its inputs' blocks are nobody's any more.
    MergedRunsForgotten,
    /// A run whose writer is long gone is taken for one that is being written.
    AbandonedTakenForWritten,
    /// A transaction that has ended still pins the LSN that it read at.
    HoldKeptAfterEnd,
    /// A plea of another tab is read and not heeded.
    PleaNotHeeded,
    /// The cache keeps more than its budget.
    CacheMakesNoRoom,
    /// A block is taken as its index tells although other runs, or the log, have versions of its rows.
    SpanOverOtherRuns,
    /// A block of deleted rows is gone past in a clone, and forgets that they hide the origin's.
    SpanOverOtherLevels,
    /// The figures of a block count its deleted rows too.
    FiguresCountDeleted,
    /// A block's figures are believed by who reads at an older LSN.
    FiguresReadTooEarly,
    /// Rows that are known to be deleted stay so although one is written again.
    DeadRowsNotCut,
    /// An export ends where a page has no rows, although more of the range is left.
    ExportEndsEarly,
    /// An import does not check what was written meanwhile to the rows that it brings.
    ImportedRowsNotValidated,
    /// A block's newest LSN is that of its first version, so that what was written later is passed.
    NewestOfBlockNotRaised,
    /// On a full disk any write takes the room that is kept for those that free some.
    ReserveForAnyWrite,
    /// Once the reserve was given up, no other one is made.
    ReserveNotMadeAgain,
    /// A checkpoint on a full disk writes what is deleted, too.
    DeletedKeptByCheckpoint,
    /// The rows of large commits and of moves come into a commit beside the write door.
    RowsPastTheDoor,
    /// A move tells the write door that its layer is new and lies on nothing.
    OldVersionsMistold,
}

#[cfg(feature = "planted")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// From here on this thread's engines have this bug, or none.
#[cfg(feature = "planted")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

#[cfg(feature = "planted")]
pub fn is(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

#[cfg(not(feature = "planted"))]
pub const fn is(_: Bug) -> bool {
    false
}

/// The simulator has few rows: what is done in slices is cut small there, so that there are several.
pub const HAS_FEW_ROWS: bool = cfg!(feature = "planted");
