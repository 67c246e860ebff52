//! The ordered, versioned map on storage: a log of commits, a memtable over it, and runs of blocks below.
//!
//! It promises: what `write_staged` acknowledged is there after any crash, all of a commit or none of it; commits of
//! all tabs form one sequence without gaps; a read at an LSN sees exactly the newest versions up to it.
//!
//! Of a row it knows the number of the layer that it begins with, and whether it is one of the change feed, which the
//! map writes itself; all else is bytes. A commit says itself whether it touches the catalog.
//!
//! It does not know: platform, query, engine, js.

mod block;
mod bytes_in;
mod cache;
mod changes;
mod checkpoint;
mod choose;
mod compaction;
mod covered;
mod cursor;
mod data_blocks;
mod dead;
mod decide;
pub mod decoders;
mod fault;
mod feed;
mod feeding;
mod figures;
mod halves;
mod head_mark;
mod header;
mod hot;
mod index;
mod install;
mod lone;
mod manifest;
mod memtable;
mod opening;
mod plea;
mod plead;
mod range;
mod reclaim;
mod record;
mod reserve;
mod run;
mod run_writer;
mod segment;
mod serve;
mod source;
#[cfg(test)]
mod span_tests;
mod state;
mod store;
mod strays;
mod tail;
mod times;
mod tree;
mod unnamed;
mod vacuum;
mod versions;

pub use changes::{Change, Changes};
pub use checkpoint::Part;
pub use choose::{MANY_RUNS, choose, choose_all};
pub use covered::{Covered, covered};
pub use cursor::{Item, RowCursor, TreeRow};
pub use fault::{Attempt, BlockAddress, BlockReference, Fault, Need};
pub use feed::{FeedEntry, decode as decode_feed, newest_until, range as feed_range};
pub use install::{Installation, Swapped};
pub use manifest::{Manifest, Merging};
pub use opening::Opening;
pub use range::RowRange;
pub use reclaim::Footprint;
pub use record::{Commit, Head, Joined, Judged, Record, join, split};
pub use reserve::Room;
pub use run::RunDescription;
pub use serve::{ReadStep, step_of};
pub use source::Span;
pub use state::{Note, State};
pub use store::{Lsm, Sought, Written, gone};
pub use tree::{Found, GivenUp, Loaded, PORTION_BYTES, Tree, TreeView};
pub use unnamed::{NewRun, UnnamedRun};
pub use vacuum::{LayerPins, Retention};
pub use versions::{Spans, VersionCursor};
