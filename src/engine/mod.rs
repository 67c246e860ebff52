//! Databases: layers and paths, transactions, clones, history, on the versioned map below.
//!
//! It promises the statements that SEMANTICS.md numbers. It reaches the host through `Platform` and `Storage` alone.
//!
//! It does not know: js.

mod catalog;
mod clones;
mod compare;
mod copy;
mod core;
mod door;
mod handle;
mod merge;
pub mod op;
mod rows;
mod store;
mod transact;
mod transfer;
mod upkeep;
mod witness;

pub use clones::clone::{CloneOptions, Existing, LineageEntry, Status};
pub use clones::listing::DatabaseInfo;
pub use compare::diff::{Difference, DifferencePage};
pub use copy::copying::{Progress, Watch};
#[cfg(feature = "planted")]
pub use door::{Told, ToldRow, take_told};
pub use handle::history::When;
pub use handle::snapshot::{AtOnce, Unfinished};
pub use merge::{
    Conflict, Heed, MergeOptions, MergeOutcome, MergeReport, Policy, Reason, RebaseOptions, Resolution, Select,
    Selected, Settle,
};
pub use op::transaction::Isolation;
pub use op::{Answer, Op};
pub use rows::collections::CollectionInfo;
pub use rows::path::{Level, Path};
pub use store::database::Database;
pub use store::snapshot::{Side, Snapshot};
pub use store::{OpenOptions, Store};
pub use transact::body::{Ended, OpenTransaction, TransactionOptions};
pub use transfer::{Export, ExportOptions, ImportOptions, ImportProgress, Imported, Source, rows_of};
pub use upkeep::reclaim::Stats;
pub use witness::Testimony;
