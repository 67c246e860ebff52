//! Reading the manifest and the log's tail, as other tabs left them.

use super::head_mark::HeadMark;
use super::manifest::Manifest;
use super::plea;
use super::record::{self, Head, Joined, Judged, Record};
use crate::error::{Error, ErrorCode, Result};
use crate::planted::{self, Bug};
use crate::storage::{ListRange, Space, Storage};

/// Parts of records to list at a time: maintenance keeps a log of 4 MiB, mostly of small ones.
pub const RECORDS_AT_ONCE: usize = 256;

pub struct TailRecord {
    pub record: Record,
    pub hash: u64,
    pub bytes: usize,
    /// The number of its last part.
    pub number: u64,
}

pub enum Tail {
    /// The records that count, in order, the numbers and ids of pleas, the head where the log ends, and the error of
    /// the records that follow, if they cannot be read.
    Records { records: Vec<TailRecord>, pleas: Vec<(u64, u64)>, head: Head, void_bytes: u64, gap: Option<Error> },
    /// The log was trimmed past the records that were asked for: the manifest must be read again.
    Trimmed,
}

/// The records that every reading of the store begins with: the manifest, and a page of the log.
pub struct Beginning {
    /// As far as it can be read; `None`: there is none.
    pub manifest: Result<Option<Manifest>>,
    /// The head mark, if it is there and whole.
    pub mark: Option<HeadMark>,
    /// The record of hot blocks that belongs to the manifest (`hot.rs`).
    pub hot: Option<Vec<u8>>,
    pub log: LogPage,
}

/// Records of the log behind a number, as many as one page holds.
pub struct LogPage {
    after: u64,
    parts: Vec<(u64, Vec<u8>)>,
}

/// The manifest, the head mark and the log behind `after`.
pub async fn beginning(storage: &dyn Storage, after: u64) -> Result<Beginning> {
    let (space, name) = HeadMark::place();
    let range = ListRange { from: Some(name.clone()), limit: 8, ..Manifest::listing() };
    let (mut listed, parts) = storage.list_and_log(space, range, after, RECORDS_AT_ONCE).await?;
    let mark = listed.first().filter(|(found, _)| *found == name).and_then(|(_, bytes)| HeadMark::decode(bytes));
    // A swap puts the next version and deletes this one in one batch, so the greatest is the present one.
    let is_manifest = |found: &(String, Vec<u8>)| found.0.starts_with(Manifest::PREFIX);
    let manifest = listed.pop_if(|found| is_manifest(found)).map(|(_, bytes)| Manifest::decode(&bytes)).transpose();
    let hot = match &manifest {
        Ok(Some(manifest)) => listed.into_iter().find(|(found, _)| *found == manifest.hot_place().1),
        _ => None,
    };
    Ok(Beginning { manifest, mark, hot: hot.map(|(_, bytes)| bytes), log: LogPage { after, parts } })
}

/// The records of the log that follow some head, as far as they are read.
struct Chain {
    began: Head,
    head: Head,
    records: Vec<TailRecord>,
    /// Bytes of records that count for nobody.
    void_bytes: u64,
    /// The numbers and ids of the pleas among them.
    pleas: Vec<(u64, u64)>,
    /// The first record that cannot be read or is not there, and where the chain ended before it.
    ///
    /// ```text
    /// counts: A    damaged: X    then: B, chained to A    then: C, chained to B
    /// ```
    /// If X counted, B is void: its writer had not seen X, and B's LSN is X's. If X was void, B counts. B alone does
    /// not tell which; C does. C's writer had read the log with X whole, and found that B counts, so X was void and
    /// nothing is lost. Without C the chain ends at A: if it took B and X did count, commits that were acknowledged
    /// would be gone without a word.
    ///
    /// A record X that is not there is the same question, but storage may have lost no more than a record that nobody
    /// was told of. So the chain takes B, and gives it back where a later record shows that X counted.
    damaged: Option<Damaged>,
    /// The numbers have a hole: the log was trimmed meanwhile, or has lost something.
    has_hole: bool,
}

struct Damaged {
    /// `None`: a record is not there, and all that follow are whole.
    error: Option<Error>,
    head: Head,
    records: usize,
}

impl Chain {
    fn new(head: Head) -> Chain {
        Chain {
            began: head,
            head,
            records: Vec::new(),
            void_bytes: 0,
            pleas: Vec::new(),
            damaged: None,
            has_hole: false,
        }
    }

    /// Returns the error of a damaged record, and takes the chain back to where it was certain.
    fn stop(&mut self, error: Error) -> Error {
        let Some(damaged) = self.damaged.take() else {
            // Whoever reads on meets it again.
            self.head.number = self.records.last().map_or(self.began.number, |record| record.number);
            return error;
        };
        self.records.truncate(damaged.records);
        self.head = damaged.head;
        damaged.error.unwrap_or(error)
    }

    /// Takes in what is whole of `parts`, and says how many that were. It lets go of the bytes of each record once they
    /// are decoded: a whole log would be held twice otherwise.
    fn take(&mut self, parts: &mut [(u64, Vec<u8>)], is_last_page: bool) -> Result<usize> {
        let mut taken = 0;
        while taken < parts.len() {
            self.look_for_hole(parts[taken].0);
            let count = match record::join(&parts[taken..], is_last_page) {
                Ok(Some(joined)) => {
                    let read = &parts[taken..taken + joined.parts];
                    self.judge(joined, read)?;
                    read.len()
                }
                Ok(None) => break,
                Err(error) if error.code() == ErrorCode::StorageCorrupt => {
                    self.note_damaged(Some(error));
                    1
                }
                Err(error) => return Err(error),
            };
            for (number, part) in &mut parts[taken..taken + count] {
                self.head.number = *number;
                *part = Vec::new();
            }
            taken += count;
        }
        Ok(taken)
    }

    fn note_damaged(&mut self, error: Option<Error>) {
        let (head, records) = (self.head, self.records.len());
        let damaged = self.damaged.get_or_insert(Damaged { error: None, head, records });
        damaged.error = damaged.error.take().or(error);
    }

    fn look_for_hole(&mut self, number: u64) {
        if number != self.head.number + 1 && !planted::is(Bug::TrimmedLsnReused) {
            self.has_hole = true;
            self.note_damaged(None);
        }
    }

    fn judge(&mut self, Joined { record, hash, bytes, .. }: Joined, parts: &[(u64, Vec<u8>)]) -> Result<()> {
        match record.judge(self.head) {
            Judged::Next => {
                if self.damaged.as_ref().is_some_and(|damaged| self.records.len() > damaged.records) {
                    self.damaged = None;
                }
                self.head = Head { lsn: record.last(), hash, ..self.head };
                let number = parts.last().map_or(0, |(number, _)| *number);
                self.records.push(TailRecord { record, hash, bytes, number });
                Ok(())
            }
            Judged::Void => {
                let plea = plea::id_of(&record).zip(parts.first());
                self.pleas.extend(plea.map(|(id, (number, _))| (*number, id)));
                self.void_bytes += parts.iter().map(|(_, part)| part.len() as u64).sum::<u64>();
                Ok(())
            }
            Judged::Broken => {
                let (expected, found) = (self.head.lsn.next(), record.first());
                let message = format!("the log's chain is broken. expected record={expected}, found={found}");
                Err(Error::corrupt(message).with_text("record", expected.to_text()))
            }
        }
    }
}

/// The records behind `head`, under the manifest of `version`, beginning with a page that was read no earlier.
pub async fn read(storage: &dyn Storage, page: LogPage, head: Head, version: u64) -> Result<Tail> {
    let mut chain = Chain::new(head);
    let LogPage { mut after, parts: mut page } = page;
    let mut parts: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut is_read_later = false;
    let gap = loop {
        let is_last_page = page.len() < RECORDS_AT_ONCE;
        after = page.last().map_or(after, |(number, _)| *number);
        parts.extend(page.into_iter().filter(|(number, _)| *number > head.number));
        match chain.take(&mut parts, is_last_page) {
            Ok(taken) => drop(parts.drain(..taken)),
            Err(error) => break Some(error),
        }
        if is_last_page {
            break chain.damaged.as_ref().and_then(|damaged| damaged.error.clone());
        }
        page = storage.log(after, RECORDS_AT_ONCE).await?;
        is_read_later |= !page.is_empty();
    };
    let gap = gap.map(|error| chain.stop(error));
    // A record that is missing is damage only under the present manifest: under an older one it was trimmed meanwhile,
    // and a stale record could take its place. A commit that was read later than the manifest may rest on a newer
    // manifest, which names the copies for a link that the commit cuts.
    let is_doubtful = gap.is_some() || is_read_later || chain.has_hole;
    if is_doubtful && !is_present(storage, version).await? {
        return Ok(Tail::Trimmed);
    }
    let Chain { records, pleas, head, void_bytes, .. } = chain;
    Ok(Tail::Records { records, pleas, head, void_bytes, gap })
}

/// True if the manifest of `version` is still the present one.
pub async fn is_present(storage: &dyn Storage, version: u64) -> Result<bool> {
    let listed = storage.list(Space::Meta, Manifest::listing()).await?;
    let manifest = listed.last().map(|(_, bytes)| Manifest::decode(bytes)).transpose()?;
    Ok(manifest.is_some_and(|manifest| manifest.version == version))
}

#[cfg(test)]
mod tests {
    use super::super::record::Commit;
    use super::*;
    use crate::types::{Lsn, limits};

    const BEFORE: Head = Head { store: 3, lsn: Lsn(4), hash: 1, number: 0 };

    /// The numbered parts of a record, and the hash of the record.
    fn record(number: u64, first: u64, previous: u64) -> (Vec<(u64, Vec<u8>)>, u64) {
        let commits = vec![Commit { id: number, ..Commit::default() }];
        let (body, hash) = Record { store: BEFORE.store, first, previous, commits }.encode();
        ((number..).zip(record::split(&body, hash, limits::RECORD_BYTES)).collect(), hash)
    }

    /// The numbers of the records that count, and true if an error is told.
    fn read(records: &[&[(u64, Vec<u8>)]]) -> (Vec<u64>, bool) {
        let mut chain = Chain::new(BEFORE);
        let error = chain.take(&mut records.concat(), true).err();
        let gap = error.map(|error| chain.stop(error));
        (chain.records.iter().map(|record| record.number).collect(), gap.is_some())
    }

    #[test]
    fn a_void_record_never_takes_the_place_of_one_that_is_gone() {
        let (a, hash_of_a) = record(1, 5, BEFORE.hash);
        let (x, hash_of_x) = record(2, 6, hash_of_a);
        let (b, hash_of_b) = record(3, 6, hash_of_a);
        let (after_x, _) = record(4, 7, hash_of_x);
        let (after_b, _) = record(4, 7, hash_of_b);
        assert_eq!(read(&[&a, &x, &b, &after_x]), (vec![1, 2, 4], false));
        assert_eq!(read(&[&a, &b, &after_x]), (vec![1], true), "X counted");
        assert_eq!(read(&[&a, &b, &after_b]), (vec![1, 3, 4], false), "X was void");
        assert_eq!(read(&[&a, &b]), (vec![1, 3], false), "nothing tells");
    }
}
