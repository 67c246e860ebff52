//! The acts and readings of the tabs, noted while the seed runs, judged when it has ended.

use std::fmt;

use offshoot::engine::{Existing, Isolation};
use offshoot::error::ErrorCode;

use crate::call::{Call, Content, IDS, Id, Observed, Shelf};
use crate::executor::Owner;

/// The promise that was broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Check {
    /// All of a commit is there, or nothing; a call that failed left nothing.
    Atomicity,
    /// An acknowledged commit is there, under its LSN, for good.
    Durability,
    /// A clone reads what a physical copy would.
    CloneIsolation,
    /// A snapshot, and every read at an LSN, sees just the commits up to that LSN.
    Snapshots,
    /// Commits are as if they ran one after the other, in the order of their LSNs.
    Serializability,
    /// Every commit is on a database that is there before it, and no database is dropped under its clones.
    Catalog,
    /// A tab never goes back in time, and sees what it wrote.
    MonotonicReads,
    /// A call that fails has a reason to.
    Refusals,
    /// Every row remembers the version that it replaced below its layer.
    Bases,
    /// A merge, and whatever goes by it, is the three-way merge of both sides.
    Merges,
    /// Every call ends.
    Liveness,
    /// A store opens, and reads, after whatever befell it.
    Recovery,
    /// An export has the rows of its snapshot, and an import of it gives these rows.
    Transfers,
    /// Nothing is left that nobody names, and what frees room gets through on a full disk.
    Space,
    /// No batch, step or list is larger than it may be.
    Bounds,
    /// Every row that is written passes the write door, with its old version and its new one.
    Door,
    /// No engine panics.
    Panics,
}

#[derive(Clone)]
pub struct Violation {
    pub check: Check,
    pub what: String,
}

pub fn violation(check: Check, what: impl Into<String>) -> Violation {
    Violation { check, what: what.into() }
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.check, self.what)
    }
}

/// A database, told from one made later under its name by the LSN that made it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    pub name: String,
    pub created: u64,
}

/// One run of a transaction's body.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub snapshot: u64,
    pub steps: Vec<(Call, Observed)>,
}

/// A clone to be made.
#[derive(Clone, Debug)]
pub struct NewClone {
    /// `None`: a temporary one.
    pub name: Option<String>,
    /// True if the clone is made with a time to live.
    pub expires: bool,
    pub background: bool,
}

#[derive(Clone, Debug)]
pub enum Act {
    Call {
        database: Identity,
        call: Call,
    },
    Transaction {
        database: Identity,
        isolation: Isolation,
        attempts: Vec<Attempt>,
    },
    Clone {
        origin: Identity,
        made: NewClone,
        at: Option<u64>,
        existing: Existing,
    },
    Drop {
        database: Identity,
    },
    /// The links of all that read through it are cut first.
    DropByForce {
        database: Identity,
    },
    Materialize {
        database: Identity,
    },
    Move {
        database: Identity,
        what: Move,
    },
    /// These rows come out of an export; none of them may be there, unless it replaces them.
    Import {
        database: Identity,
        documents: Vec<(Id, Content)>,
        entries: Vec<(Id, Content)>,
        replaces: bool,
    },
}

/// Merging and going back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Move {
    /// Only this part of the clone's changes is merged; the rest stays the clone's.
    Merge(Winner, Part),
    Rebase(Winner),
    /// With a selection, only what is picked is forgotten.
    Reset(Option<Picks>),
    Revert(u64, Winner),
    Restore(u64),
}

/// The part of a clone's changes that is merged: what is picked, of the clone as it was at an LSN.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Part {
    pub only: Option<Picks>,
    pub at: Option<u64>,
}

/// The part of a row's change that is merged, or forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pick {
    All,
    Nothing,
    Field(&'static str),
}

/// A selection, drawn at random: three bits say what is picked of the row at each place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Picks(pub u64);

impl Picks {
    /// An insert or a delete has no fields to pick.
    pub fn of(self, (shelf, id): (Shelf, &str), is_update: bool) -> Pick {
        let number = IDS.iter().position(|known| *known == id).expect("a key of the workload");
        let place = 2 * number + usize::from(shelf == Shelf::Entries);
        match self.0 >> (3 * place) & 7 {
            0..=2 => Pick::Nothing,
            6 if is_update => Pick::Field("by"),
            7 if is_update => Pick::Field("n"),
            _ => Pick::All,
        }
    }
}

/// The side that wins where both clash; nobody: then nothing is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Winner {
    Nobody,
    Clone,
    Origin,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Settled {
    #[default]
    Merged,
    Nothing,
    Conflict,
}

/// The report of a merge to its caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Told {
    pub settled: Settled,
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
    pub conflicts: u64,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// Still under way, or its tab died.
    Pending,
    /// `lsn`: the commit, where it is told.
    Done { observed: Observed, lsn: Option<u64> },
    /// The act failed, and its error says that nothing is written.
    Refused(ErrorCode),
    /// The act failed, and its error says that it is not known whether anything is written.
    Unknown(ErrorCode),
}

/// Something that may have written.
#[derive(Clone, Debug)]
pub struct Event {
    pub tab: Owner,
    pub act: Act,
    /// The tab's head before, and after.
    pub from: u64,
    pub to: u64,
    pub outcome: Outcome,
}

/// A row that differs: before, after.
pub type Difference = (Shelf, String, Option<Content>, Option<Content>);

#[derive(Clone, Debug)]
pub enum Seen {
    Answer(Call, Observed),
    /// The error that history so old is gone.
    Pruned,
    /// The differences of a database to its origin, as that was where the database began.
    DifferenceToOrigin(Vec<Difference>),
    /// The error that there is no origin to be compared with.
    NoOrigin,
    /// The differences of a database to itself at this LSN.
    DifferenceSince(u64, Vec<Difference>),
    /// The names of all databases.
    Names(Vec<String>),
    /// Names, each with the LSN that its clone reads its origin at: this database first.
    Lineage(Vec<(String, Option<u64>)>),
}

/// Something that was read, as of one of the LSNs between `from` and `to`.
#[derive(Clone, Debug)]
pub struct Reading {
    pub database: Identity,
    pub seen: Seen,
    pub from: u64,
    pub to: u64,
}

#[derive(Default)]
pub struct History {
    pub events: Vec<Event>,
    pub readings: Vec<Reading>,
    /// Found while the seed ran.
    pub violations: Vec<Violation>,
}
