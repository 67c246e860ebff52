//! Byte records by space and name, written in atomic guarded batches, and one log of numbered records: the least that
//! the engine needs of a host.
//!
//! The contract, version 2. A backend keeps every number; `conformance` checks them.
//! 1. `read` gives each name's bytes, or `None`, in the order asked, as of one moment.
//! 2. `list` gives records in the order of their names' bytes: from `from` (included), before `before`, at most
//!    `limit`. `names` gives their names alone, and reads no bytes of them. A name is made of at most `NAME_BYTES`
//!    characters of ASCII.
//! 3. `write` is all or nothing, also after a crash. When it answers that it is written, every later read sees all of
//!    it.
//! 4. `write` is refused, and nothing is written, when a record named in `absent` is there, one in `present` is not, or
//!    the log goes on behind the number `last`. The check and the write are one: nothing comes between.
//! 5. A batch takes effect in this order: checks, deletes by name and by range, puts, `trim`, appends. One name may
//!    stand in several of its lists. A range that is empty or turned over deletes nothing.
//! 6. `durability` strict: when `write` answers, the host was asked to flush, and has said that it did.
//! 7. An error says that the outcome may be unknown, unless its code is QUOTA_EXCEEDED or INVALID_*: then nothing is
//!    written. A batch that only deletes and trims succeeds on a full disk too, as far as the host can help it.
//! 8. After `close` every call fails with CLOSED.
//! 9. The backend numbers the records that are appended to the log: from 1 on, rising by one from record to record,
//!    also over batches. It never gives a number twice, whatever was trimmed. The answer is the last number given. A
//!    write that failed or was refused leaves no hole in the numbers, as far as the host can help it.
//! 10. `trim` deletes the records of the log up to a number, and reads no bytes of them. `log` gives the records behind
//!     a number, in order, at most `limit`. `list_and_log` is both lists: while the log was read, the
//!     names of the other one did not change.
//! 11. A write that leaves the log alone goes on by itself to its end once it was polled, polled on or not.
//! 12. `record_bytes` is the most that one record may hold, in bytes, in a space and in the log. It never changes, and
//!     is at least `limits::RECORD_BYTES`.
//! 13. `lock` gives the lock of a name to one at a time of all who have the storage open, until it is dropped or the
//!     storage is closed. It answers without waiting for whoever has it. A lock only saves work: no data depends on it.
//! 14. A record may have `spare_bytes` too. The engine puts such records only to delete them on a full disk, so they
//!     are of the size whose room comes back at once. `quota` is what the host allows, where it says so.
//!
//! So a commit is an append, which no other tab's append can make fail; the chain of the records says whose counts. It
//! needs no guard, and costs one request.
//!
//! LSNs, blocks, formats and databases mean nothing to a backend.
//!
//! It does not know: platform, drive, lsm, query, engine, js.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod memory;

pub use memory::{Capacity, MemoryDisk, MemoryStorage};

use std::any::Any;
use std::future::Future;
use std::pin::Pin;

use crate::error::{Error, ErrorCode, Result};
use crate::types::limits;

/// A future that stays on its thread: a browser's tab and an isolate have just one.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Where records live. All spaces that any format needs exist from version 1 on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Space {
    /// The log's own: commits since the last checkpoint. Its records have numbers; no batch names any.
    Log,
    /// Pieces of runs.
    Blocks,
    /// The manifest and what goes with it, the head mark.
    Meta,
    /// Work that outlives a call: runs being written, materializations.
    Jobs,
    /// Unsent commits of databases with a remote origin.
    Outbox,
}

impl Space {
    pub const ALL: [Space; 5] = [Space::Log, Space::Blocks, Space::Meta, Space::Jobs, Space::Outbox];

    pub fn as_str(self) -> &'static str {
        match self {
            Space::Log => "log",
            Space::Blocks => "blocks",
            Space::Meta => "meta",
            Space::Jobs => "jobs",
            Space::Outbox => "outbox",
        }
    }
}

/// The failure that a write survives once its call has resolved.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Durability {
    /// The death of the tab and of the browser's process.
    #[default]
    Relaxed,
    /// Power loss, as far as the browser and the disk keep their word.
    Strict,
}

/// Listings that are tried before giving up, when names change while the log is read.
const LOOKS: u32 = 8;

/// The most characters of a record's name.
pub const NAME_BYTES: usize = 64;

/// A record's place.
pub type Place = (Space, String);

/// Names of one space: from the first (included), before the second.
pub type NameRange = (Space, String, String);

/// One atomic write of several records.
#[derive(Clone, Default, Debug)]
pub struct Batch {
    pub put: Vec<(Space, String, Vec<u8>)>,
    pub delete: Vec<Place>,
    pub delete_range: Vec<NameRange>,
    pub absent: Vec<Place>,
    pub present: Vec<Place>,
    /// The number behind which the log must not go on.
    pub last: Option<u64>,
    /// Records for the log, in order.
    pub append: Vec<Vec<u8>>,
    /// The records of the log up to this number are deleted.
    pub trim: u64,
    pub durability: Durability,
}

/// How a write ended that did not fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// A guard did not hold: nothing is written.
    Refused,
    /// All is written. The number is that of the last record appended, 0 for none.
    Written(u64),
}

impl Outcome {
    pub fn is_written(self) -> bool {
        self != Outcome::Refused
    }
}

/// The outcome of a request for a lock.
pub enum Lock {
    /// It is the caller's until it is dropped.
    Held(Box<dyn Any>),
    /// Somebody else has it.
    Taken,
    /// This storage has no locks, or cannot say.
    Unavailable,
}

/// A page of `list`: names with their bytes.
pub type Listed = Vec<(String, Vec<u8>)>;

/// A page of the log: numbers with the records' bytes.
pub type Logged = Vec<(u64, Vec<u8>)>;

pub trait Storage {
    fn read<'a>(&'a self, space: Space, names: &'a [String]) -> LocalFuture<'a, Result<Vec<Option<Vec<u8>>>>>;
    fn list<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Listed>>;
    fn names<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Vec<String>>>;
    fn log(&self, after: u64, limit: usize) -> LocalFuture<'_, Result<Logged>>;
    /// `list` and `log`, as of one moment of the names: in one go where the host can. Otherwise the names are looked at
    /// again where the log has something: a commit may rest on a manifest that was put after the list was read.
    fn list_and_log<'a>(
        &'a self,
        space: Space,
        range: ListRange,
        after: u64,
        limit: usize,
    ) -> LocalFuture<'a, Result<(Listed, Logged)>> {
        Box::pin(async move {
            for _ in 0..LOOKS {
                let listed = self.list(space, range.clone()).await?;
                let logged = self.log(after, limit).await?;
                let is_same = async || {
                    let names = self.names(space, range.clone()).await?;
                    Ok(names.iter().eq(listed.iter().map(|(name, _)| name)))
                };
                if logged.is_empty() || is_same().await? {
                    return Ok((listed, logged));
                }
            }
            Err(Error::new(ErrorCode::StorageUnavailable, "records are replaced faster than they can be read"))
        })
    }
    fn write(&self, batch: Batch) -> LocalFuture<'_, Result<Outcome>>;
    fn close(&self) -> LocalFuture<'_, Result<()>>;
    fn record_bytes(&self) -> usize {
        limits::RECORD_BYTES
    }
    /// The size of a record whose room comes back at once when it is deleted, as far as the host can help it.
    fn spare_bytes(&self) -> usize {
        limits::RECORD_BYTES
    }
    /// How many bytes the host allows this storage, with whatever shares them; `None`: it does not say.
    fn quota(&self) -> LocalFuture<'_, Option<u64>> {
        Box::pin(async { None })
    }
    fn lock<'a>(&'a self, name: &'a str) -> LocalFuture<'a, Lock> {
        let _ = name;
        Box::pin(async { Lock::Unavailable })
    }
    /// True if records outlive this process. Where they do not, no record that only tells of damage is written.
    fn is_lasting(&self) -> bool {
        true
    }
}

/// Which records to list, in the order of their names.
#[derive(Clone, Default, Debug)]
pub struct ListRange {
    pub from: Option<String>,
    pub before: Option<String>,
    pub limit: usize,
}
