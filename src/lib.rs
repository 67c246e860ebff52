//! Offshoot: a database for browsers and the edge. Documents and key-value data, serializable transactions, and clones
//! of whole databases in constant time.
//!
//! # Bird's eye view
//! A clone is a database whose bottom level is another database at an LSN. Each database owns a *layer* of versions. A
//! snapshot is a *path* of levels, newest first, fixed when it is taken: `draft@57 > main@42`. A point read asks each
//! level in turn (`engine/rows/read.rs`): a value answers, a tombstone answers "absent", nothing found asks the next.
//!
//! Reading is synchronous over the blocks in memory. A block that is not there is named (`lsm::Fault::Need`) and
//! fetched, and the reading is done again, by one loop (`drive/`); so a hot read is one call into the module and no
//! promise.
//!
//! Writing goes through one place, the pipeline (`engine/core/pipeline.rs`), which whoever waits for it makes go on
//! (`engine/core/pump.rs`). A call is evaluated right where its commit will stand, on what stands before it, so a
//! single call never conflicts; a transaction's reads are validated there (`engine/transact/conflict.rs`). All that
//! waits together is one log record, appended by one storage transaction that asks nothing. Storage numbers it; a
//! record counts if it is chained to the last one that does (`lsm/record.rs`), so of two tabs that append at once all
//! readers see the same one win, and the other evaluates again.
//!
//! # Code map
//! A folder is a layer; arrows point down only, and `tests/tidy.rs` holds it. No modules import each other in a ring.
//! - `error.rs`: one opaque error; the code says what a caller can do.
//! - `types/`: the nouns: LSNs, names, keys and their order, rows, versions, MessagePack, limits. No I/O, no async.
//! - `storage/`: byte records in atomic guarded batches, and a numbered log; the memory backend; the suite that every
//!   backend passes.
//! - `platform.rs`: clock, randomness, timers, leases, other tabs. Nothing else asks the host.
//! - `drive/`: the one loop that serves step machines: what a step needs is fetched, and it goes on; bounds and
//!   fairness.
//! - `lsm/`: the ordered, versioned map: log, memtable, blocks in segments, runs, manifest, checkpoint, compaction,
//!   vacuum.
//! - `query/`: MongoDB's update language and three-way merging on MessagePack bytes.
//! - `engine/`: databases, in rooms that are layers too, lowest first. Each header lists the rooms it does not know.
//!   - `catalog/`: databases as rows, and what must stay readable; `rows/`: path, reads, what was written when;
//!   - `door/`: the write door, which every row passes on its way into a commit or a copy;
//!   - `op/`: calls as data, and a transaction's reads and writes;
//!   - `core/`: the pipeline and who makes it go on, the read loop; every room above is given it;
//!   - `handle/`: one database: single calls, snapshots, the past; `witness/`: tells a wiped store from a new one;
//!   - `compare/`, `copy/`, `transact/`, `transfer/` (exports and imports), `clones/`, `merge/` (and going back);
//!   - `upkeep/`: when maintenance runs; `store/`: on top, each public call in a line or two.
//! - `js/`: wasm32 only: exported classes, IndexedDB, errors. It translates and decides nothing.
//! - `planted.rs`: bugs planted on purpose, for the tests that must catch them; never in the module that ships.
//! - `pkg/`: the npm package in TypeScript; `tests/`: see each folder's first lines.
//!
//! # Invariants
//! - A commit is acknowledged on storage's word that it is complete, never before.
//! - One LSN sequence a store, without gaps; a record is chained to the one before by its hash. A record that is
//!   chained to an older one is void, for everybody and for ever.
//! - `lsm` does not know databases; `engine` does not know JavaScript; nothing awaited holds a borrow.
//! - Storage never gives a number of the log twice. A tab that finds a hole in them asks for the manifest before it
//!   believes what follows: a tab that slept cannot take an LSN twice.
//! - Versions are dropped only below the history floor, and raising that is a commit too, which changes nothing: no
//!   commit can pin what is about to go without having read it.
//! - Once damage was met, nothing is merged, dropped or swept. A store is made only where nothing says that it was
//!   there.
//! - After a panic the instance is dead: what was awaited is rejected, and every later call is INTERNAL.
//!
//! # Where the code differs from the design, and why
//! - A commit neither adds its record under an LSN nor checks an epoch: the log's object store numbers records itself,
//!   and never gives a number twice. That is one request in place of four, and a single insert takes 0.6 of the time;
//!   a collision costs a record that counts for nobody until the log is trimmed.
//! - The head mark is written with every manifest and when no commit has come for a while, not with every commit: one
//!   for every commit was a second request in each. It says how far the log went, so that a lost end of the log is
//!   noticed; for the commits since the last mark a loss goes unnoticed, as it does with the witness, which is written
//!   no more often.
//! - A commit's row of the change feed also says how early the last 2, 4, 8 commits were (`lsm/times.rs`). Clocks go
//!   back, so the times alone could only be walked, and a store that keeps all history has many.
//! - The history floor is a field of the manifest, not a row of the catalog; the commit that goes with a raised one
//!   fences clones and writes. A newer format appends such a commit in its own form, which no old tab reads past.
//! - The manifest's name carries its version, so a swap is guarded by "this is there, the next is not": the storage
//!   contract needs no compare-and-swap.
//! - A commit too large for the log writes its rows as a run whose versions have no LSN of their own; the log record
//!   that names the run dates them. A collision then costs no rewriting.
//! - Blocks are packed with LZ4, and several share one stored record, a segment: storage asks its price by the record
//!   and by the byte. A thousand random reads of a large store took a third of the time from then on, and documents a
//!   third of the room.
//! - A segment has at most 60,000 bytes on every storage, for a read brings a whole one. Only log records, and the
//!   pieces of a value stored apart, are as large as the storage takes them.
//! - One record beside the manifest holds what every opening reads first (`lsm/hot.rs`): two round trips less.
//! - A repair makes the store another one, by its number: tabs that know more of it than is left must leave it.
//! - Records are turned into lists of fields and back by hand (`types/fields.rs`), on rmp-serde: code derived for each
//!   was a fifth of the module.
//! - The manifest is kept twice, for a repair: it is the one record without which nothing else can be found.
//! - A selection may leave rows in a clone that clash with the origin. Beside such a row lies its ancestor, which both
//!   sides are compared with until it is settled: a base by its LSN alone would have to be pinned in a database that
//!   moves on, and could not say what of a row was merged already.
//! - A restore writes what differs into the layer as it is; only where a clone has moved since, the layer of then is
//!   copied, with the link that it had. A new layer each time would cost what the database holds.
//! - The sum of a field's increments is noted beside the value, with the LSN from which on nothing but `$inc` changed
//!   the field, so that two sides add up exactly where both only added. A copy keeps the note, and the row of a
//!   materialized clone names the database that it was copied from; where history has lost that database, equal
//!   increments are a conflict, not one.
//! - Rows are compared in pages of so many bytes, not of so many rows: one may be 16 MiB large.
//! - Time that passes while a store is open counts, by a clock that cannot jump. The design waits for a later opening
//!   to agree; but a page that stays open for weeks would let nothing go.
//! - Layers are numbered at random, databases found by name in the versioned catalog: two tabs need not agree on
//!   numbers.
//! - A transaction that lost twice waits in no queue. It claims what it read (`engine/transact/claim.rs`), and others
//!   that write some of it step aside for a moment when they commit. The queue was held while a caller's body ran, so a
//!   body that waited for a transaction of its own waited for itself.
//! - A commit that lost to other tabs three times appends a plea (`lsm/plea.rs`), a record that counts for nobody and
//!   names the commit that is to come. Whoever reads it holds back its own append for a moment. Without it a tab beside
//!   a quicker one was never first.
//! - Runs are merged in slices, each a run of its own (`lsm/compaction.rs`). The manifest says from which row on the
//!   inputs still count. So a merge of any size needs little memory and little room, and goes on where it was cut off.
//! - Some records that say nothing lie on the disk (`lsm/reserve.rs`). On a full one they are deleted by what frees
//!   room, because a deletion is an append and a compaction writes before it deletes. The log is moved in pieces then,
//!   without what was deleted meanwhile.
//! - The log has a share of the store. Where it has twice its share, it is moved between two slices of a merge, and
//!   commits wait for maintenance that is under way, a second at most.
//! - A user's backend has its own deadlines, and its locks are real. Contract 1, whose log was made of named records,
//!   is gone: beside a quick writer its appends were refused without an end.
//! - A walk passes rows that it need not read. An index keeps figures of each block (`lsm/figures.rs`); a walk notes
//!   which rows it found deleted (`lsm/dead.rs`). So a count reads indexes, the head of a queue is near, and a clone
//!   that is older than all history is compared at the cost of what was written since. A row that counts the others
//!   would make all inserts conflict.
//! - A call examines at most 2,000 versions in one go, even where all are in memory. Then it goes on in steps, from
//!   where it stood (`engine/op/steps.rs`).
//! - The work of the pipeline has no timers of its own (`engine/core/nap.rs`). The callers that it wakes bring them,
//!   because the host of a Worker drops the timers of a request that it ends. There each step of the work wakes all
//!   callers; on other hosts it wakes the first one, so that a step costs the same however many wait.
//! - Where calls of one transaction body write beside a long call of it, the long call begins again. After eight times
//!   it goes first, and the others write nothing until it ends.
//! - Maps and sets are sorted lists in chunks (`types/sorted.rs`), and one sort serves all lists (`types/sort.rs`). The
//!   standard library's are in the module once for each type: they took 39 KB of it, packed.
//! - The changes of a commit stay in one buffer (`lsm/changes.rs`), which the memtable points into. A log of rows of
//!   100 bytes took 2.4 times its size of memory, and takes 1.2 times now.
//! - One loop serves all steps that need blocks (`drive/`). Copies, merges of runs and exports have a loop of their own
//!   around it, because each does something else between two slices: it swaps the manifest, or hands out a chunk.
//! - The format's byte is stored twice, once with its bits turned (`lsm/header.rs`), so a flipped bit in it is damage.
//! - The manifest lists blocks that a repair has given up (`lsm/tree.rs`). They read as empty for the rows of
//!   collections alone, so the next write makes such a collection anew. It would be refused for ever otherwise.
//! - The build puts functions that share code beside each other (`xtask/src/order.rs`), because gzip finds what repeats
//!   within 32 KiB alone. Then it numbers their locals alike (`xtask/src/alike.rs`). Together that is a sixteenth of
//!   the module.
//!
//! # The parts that stand, and those that do not yet
//! Stages (a) to (i) stand but for the figures that `make bench` prints as missed: documents and entries in IndexedDB
//! and in memory, clones, transactions, history, the witness and repair. So do materialization, merge, rebase, reset,
//! revert, restore, exports and imports. Queries have no filters, and nothing is synced.
//!
//! Open in the engine: on Chromium's LevelDB backend, which counts what was deleted until it next tidies up, a quota
//! that is used up may refuse even deletions; a walk over a clone reads all rows that the clone has deleted of its
//! origin; after a repair a write that must look at a lost row itself, as an insert does, is still refused.

pub mod drive;
pub mod engine;
pub mod error;
#[cfg(target_arch = "wasm32")]
pub mod js;
pub mod lsm;
pub mod planted;
pub mod platform;
pub mod query;
pub mod storage;
pub mod types;
