//! The one table of limits. A call that passes a limit fails with TOO_LARGE unless a line says otherwise, and writes
//! nothing. The npm package and the README repeat these figures; a test compares them.

/// A document or a KV value, encoded, in bytes.
pub const VALUE_BYTES: usize = 16 * 1024 * 1024;
/// Nesting of arrays and objects in a value.
pub const VALUE_DEPTH: usize = 64;
/// A document's id or a KV key, encoded, in bytes.
pub const KEY_BYTES: usize = 1024;
/// Parts of an array key (INVALID_KEY).
pub const KEY_PARTS: usize = 16;
/// Characters of a database's or a collection's name (INVALID_NAME).
pub const NAME_CHARACTERS: usize = 64;
/// Live links below a database: clones of clones of clones (CLONE_DEPTH_EXCEEDED).
pub const CLONE_DEPTH: usize = 8;
/// All that one commit writes, encoded, in bytes. It is held about two and a half times until it is committed.
pub const COMMIT_BYTES: usize = 128 * 1024 * 1024;
/// A commit of up to this size is one log record; a larger one writes its rows as a run first.
pub const COMMIT_IN_LOG_BYTES: usize = 1024 * 1024;
/// One stored record. Chromium's LevelDB moves longer values into files of their own.
pub const RECORD_BYTES: usize = 60_000;
/// No record is made larger than this, however large those may be that a storage takes.
pub const LARGEST_RECORD_BYTES: usize = 1024 * 1024;
/// Rows of one page of a scan.
pub const PAGE_ROWS: usize = 1024;
/// Bytes of one page of a scan; a page always holds at least one row.
pub const PAGE_BYTES: usize = 1024 * 1024;
/// Keys and ranges that one transaction's reads may leave for validation.
pub const READ_SET_ENTRIES: usize = 1_000_000;
