//! Byte records by space and name, written in atomic guarded batches: the least that the engine needs of a host.
//!
//! The contract, version 1. A backend keeps every number; `conformance` checks them.
//! 1. `read` gives each name's bytes, or `None`, in the order asked, as of one moment.
//! 2. `list` gives records in the order of their names' bytes: from `from` (included), before `before`, at most
//!    `limit`.
//! 3. `write` is all or nothing, also after a crash. When it answers true, every later read sees all of it.
//! 4. `write` answers false, and nothing is written, when a record named in `absent` is there or one in `present` is
//!    not.
//!    The check and the write are one: nothing comes between.
//! 5. A batch takes effect in this order: checks, deletes, puts. A name may be in `absent` and in `put`.
//! 6. `durability` strict: when `write` answers, the host was asked to flush, and has said that it did.
//! 7. An error says that the outcome may be unknown, unless its code is QUOTA_EXCEEDED or INVALID_*: then nothing is
//!    written.
//! 8. After `close` every call fails with CLOSED.
//!
//! What a backend does not know: LSNs, blocks, formats, databases.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod memory;

pub use memory::{MemoryDisk, MemoryStorage};

use std::future::Future;
use std::pin::Pin;

use crate::error::Result;

/// A future that stays on its thread: a browser's tab and an isolate have just one.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Where records live. All spaces that any format needs exist from version 1 on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Space {
    /// Commits since the last checkpoint.
    Log,
    /// Pieces of runs.
    Blocks,
    /// The manifest, closed epochs, the head mark, the witness's data.
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

/// What a resolved write survives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Durability {
    /// The death of the tab and of the browser's process.
    #[default]
    Relaxed,
    /// Power loss, as far as the browser and the disk keep their word.
    Strict,
}

/// A record's place.
pub type Place = (Space, String);

/// One atomic write of several records.
#[derive(Clone, Default, Debug)]
pub struct Batch {
    pub put: Vec<(Space, String, Vec<u8>)>,
    pub delete: Vec<Place>,
    pub absent: Vec<Place>,
    pub present: Vec<Place>,
    pub durability: Durability,
}

/// A page of `list`: names with their bytes.
pub type Listed = Vec<(String, Vec<u8>)>;

pub trait Storage {
    fn read<'a>(&'a self, space: Space, names: &'a [String]) -> LocalFuture<'a, Result<Vec<Option<Vec<u8>>>>>;
    fn list<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Listed>>;
    fn write(&self, batch: Batch) -> LocalFuture<'_, Result<bool>>;
    fn close(&self) -> LocalFuture<'_, Result<()>>;
}

/// Which records to list, in the order of their names.
#[derive(Clone, Default, Debug)]
pub struct ListRange {
    pub from: Option<String>,
    pub before: Option<String>,
    pub limit: usize,
}
