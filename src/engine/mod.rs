//! Databases: layers and paths, transactions, clones, history, on the versioned map below.
//!
//! It promises what SEMANTICS.md numbers. It does not know JavaScript, IndexedDB or the wire; what it needs of the host
//! comes through `Platform` and `Storage`.

mod ahead;
mod candidates;
mod catalog;
mod chores;
mod claim;
mod clone;
mod conflict;
mod context;
mod copy;
mod database;
mod diff;
mod history;
mod id;
mod known;
mod lease;
mod maintain;
mod materialize;
mod merge;
pub mod op;
mod path;
mod pipeline;
mod pump;
mod read;
mod reading;
mod reclaim;
mod retention;
mod snapshot;
mod store;
mod transact;
mod transaction;
mod transfer;
mod turn;
mod walk;
mod witness;
mod written;

pub use clone::{CloneOptions, DatabaseInfo, Existing, LineageEntry, Status};
pub use copy::{Progress, Watch};
pub use database::{CollectionInfo, Database};
pub use diff::{Change, ChangePage, Side};
pub use history::When;
pub use merge::{
    Conflict, Heed, MergeOptions, MergeReport, Outcome, Policy, Reason, RebaseOptions, Resolution, Select, Selected,
    Settle,
};
pub use op::{Answer, Op};
pub use path::{Level, Path};
pub use reclaim::Stats;
pub use snapshot::Snapshot;
pub use store::{OpenOptions, Store};
pub use transact::{Ended, OpenTransaction, TransactionOptions};
pub use transaction::Isolation;
pub use transfer::{Export, ExportOptions, ImportOptions, ImportProgress, Imported, Source, rows_of};
pub use witness::Testimony;
