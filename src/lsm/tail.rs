//! Reading the manifest and the log's tail, as other tabs left them.

use super::head_mark::HeadMark;
use super::manifest::Manifest;
use super::record::{self, Record};
use crate::error::{Error, Result};
use crate::storage::{ListRange, Space, Storage};
use crate::types::Lsn;

/// Parts of records to list at a time: at most some 4 MB.
const PAGE: usize = 64;

pub struct TailRecord {
    pub record: Record,
    pub hash: u64,
    pub bytes: usize,
}

pub enum Tail {
    /// Those that can be read, in order, and what is wrong with what follows them, if anything is.
    Records { records: Vec<TailRecord>, gap: Option<Error> },
    /// The log was trimmed past what was asked for: the manifest must be read again.
    Trimmed,
}

/// The manifest as far as it can be read, and the head mark if it is there and whole, as of one moment.
pub async fn read_beginning(storage: &dyn Storage) -> Result<(Result<Option<Manifest>>, Option<HeadMark>)> {
    let (space, name) = HeadMark::place();
    let range = ListRange { from: Some(name.clone()), limit: 3, ..Manifest::listing() };
    let mut listed = storage.list(space, range).await?;
    let mark = listed.first().filter(|(found, _)| *found == name).and_then(|(_, bytes)| HeadMark::decode(bytes));
    listed.retain(|(found, _)| *found != name);
    Ok((listed.last().map(|(_, bytes)| Manifest::decode(bytes)).transpose(), mark))
}

/// The manifest, or `None` where there is no store.
pub async fn read_manifest(storage: &dyn Storage) -> Result<Option<Manifest>> {
    let listed = storage.list(Space::Meta, Manifest::listing()).await?;
    // A swap puts the next version and deletes this one in one batch, so the greatest is the present one.
    listed.last().map(|(_, bytes)| Manifest::decode(bytes)).transpose()
}

/// The records after `head`, under the manifest of `version`.
pub async fn read(storage: &dyn Storage, head: Lsn, version: u64) -> Result<Tail> {
    let mut records = Vec::new();
    let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
    let mut next = head.next();
    let mut from = Some(record::part_name(next, 0));
    loop {
        let page = storage.list(Space::Log, ListRange { from: from.take(), before: None, limit: PAGE }).await?;
        let is_last_page = page.len() < PAGE;
        // The least name after a part's own: a record has fewer parts than its four digits count.
        from = page.last().map(|(name, _)| format!("{name}+"));
        parts.extend(page);
        let mut taken = 0;
        while taken < parts.len() {
            match record::join(next, &parts[taken..], is_last_page) {
                Ok(Some(record::Joined { record, hash, bytes, parts: count })) => {
                    next = record.last().next();
                    records.push(TailRecord { record, hash, bytes });
                    taken += count;
                }
                Ok(None) => break,
                Err(error) => return gap(storage, version, records, error).await,
            }
        }
        parts.drain(..taken);
        if is_last_page {
            return Ok(Tail::Records { records, gap: None });
        }
    }
}

/// A gap is damage only under the present manifest; otherwise another tab trimmed the log meanwhile.
async fn gap(storage: &dyn Storage, version: u64, records: Vec<TailRecord>, error: Error) -> Result<Tail> {
    match read_manifest(storage).await? {
        Some(manifest) if manifest.version == version => Ok(Tail::Records { records, gap: Some(error) }),
        _ => Ok(Tail::Trimmed),
    }
}
