//! A log on top of named records, for backends that know nothing else: whoever appends swaps the mark of the log's end,
//! whose name carries the last number given, so two cannot take the same one.

use std::cell::Cell;

use super::{Batch, ListRange, Listed, LocalFuture, Logged, Outcome, Place, Space, Storage};
use crate::error::{Error, ErrorCode, Result};

/// How often other tabs' appends may come between.
const TRIES: usize = 64;
/// Records to trim at a time.
const PAGE: usize = 256;
/// It is there once the log has begun, and for ever.
const BEGAN: &str = "began";
const END: &str = "end/";

/// Named records in guarded batches. Of a batch, `last`, `append` and `trim` are never set.
pub trait Records {
    fn read<'a>(&'a self, space: Space, names: &'a [String]) -> LocalFuture<'a, Result<Vec<Option<Vec<u8>>>>>;
    fn list<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Listed>>;
    /// False: a guard did not hold, and nothing is written.
    fn write(&self, batch: Batch) -> LocalFuture<'_, Result<bool>>;
    fn close(&self) -> LocalFuture<'_, Result<()>>;
}

pub struct Numbered<R> {
    records: R,
    /// The last number given, as far as this side knows.
    end: Cell<Option<u64>>,
}

/// Names in the order of their numbers; both marks are named behind all of them.
fn record(number: u64) -> String {
    format!("{number:014x}")
}

fn end(number: u64) -> Place {
    (Space::Log, format!("{END}{number:014x}"))
}

fn number(name: &str) -> Option<u64> {
    u64::from_str_radix(name, 16).ok()
}

impl<R: Records> Numbered<R> {
    pub fn new(records: R) -> Numbered<R> {
        Numbered { records, end: Cell::new(None) }
    }

    pub fn records(&self) -> &R {
        &self.records
    }

    /// The last number given.
    async fn look(&self) -> Result<u64> {
        for _ in 0..TRIES {
            let range = ListRange { from: Some(END.into()), before: Some("end0".into()), limit: 2 };
            let listed = self.records.list(Space::Log, range).await?;
            if let Some(found) = listed.last().and_then(|(name, _)| number(name.strip_prefix(END)?)) {
                self.end.set(Some(found));
                return Ok(found);
            }
            let began: Place = (Space::Log, BEGAN.into());
            let put = vec![(began.0, began.1.clone(), Vec::new()), (Space::Log, end(0).1, Vec::new())];
            self.records.write(Batch { put, absent: vec![began], ..Batch::default() }).await?;
        }
        Err(Error::corrupt("the log has lost the mark of its end"))
    }

    /// The names of the log's records from one number to another, both included.
    async fn names(&self, from: u64, to: u64) -> Result<Vec<String>> {
        let mut names: Vec<String> = Vec::new();
        loop {
            let from = names.last().map_or_else(|| record(from), |name| format!("{name}0"));
            let range = ListRange { from: Some(from), before: Some(record(to + 1)), limit: PAGE };
            let page = self.records.list(Space::Log, range).await?;
            let is_last = page.len() < PAGE;
            names.extend(page.into_iter().map(|(name, _)| name));
            if is_last {
                return Ok(names);
            }
        }
    }

    async fn write_once(&self, batch: &Batch, last: u64) -> Result<Outcome> {
        let mut batch = batch.clone();
        if let Some(guard) = batch.last.take()
            && guard < last
            && !self.names(guard + 1, last).await?.is_empty()
        {
            return Ok(Outcome::Refused);
        }
        if batch.trim > 0 {
            let trimmed = self.names(0, batch.trim).await?;
            batch.delete.extend(trimmed.into_iter().map(|name| (Space::Log, name)));
        }
        let appended = std::mem::take(&mut batch.append);
        let next = last + appended.len() as u64;
        batch.present.push(end(last));
        if next > last {
            batch.delete.push(end(last));
            batch.put.push((Space::Log, end(next).1, Vec::new()));
        }
        batch.trim = 0;
        batch.put.extend((last + 1..).zip(appended).map(|(number, bytes)| (Space::Log, record(number), bytes)));
        let is_written = self.records.write(batch).await?;
        if !is_written {
            return Ok(Outcome::Refused);
        }
        self.end.set(Some(next));
        Ok(Outcome::Written(if next > last { next } else { 0 }))
    }
}

impl<R: Records> Storage for Numbered<R> {
    fn read<'a>(&'a self, space: Space, names: &'a [String]) -> LocalFuture<'a, Result<Vec<Option<Vec<u8>>>>> {
        self.records.read(space, names)
    }

    fn list<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Listed>> {
        self.records.list(space, range)
    }

    fn log(&self, after: u64, limit: usize) -> LocalFuture<'_, Result<Logged>> {
        Box::pin(async move {
            let range = ListRange { from: Some(record(after + 1)), before: Some(BEGAN.into()), limit };
            let listed = self.records.list(Space::Log, range).await?;
            Ok(listed.into_iter().filter_map(|(name, bytes)| Some((number(&name)?, bytes))).collect())
        })
    }

    fn write(&self, batch: Batch) -> LocalFuture<'_, Result<Outcome>> {
        Box::pin(async move {
            if batch.last.is_none() && batch.append.is_empty() && batch.trim == 0 {
                let is_written = self.records.write(batch).await?;
                return Ok(if is_written { Outcome::Written(0) } else { Outcome::Refused });
            }
            let mut last = match self.end.get() {
                Some(last) => last,
                None => self.look().await?,
            };
            for _ in 0..TRIES {
                if let written @ Outcome::Written(_) = self.write_once(&batch, last).await? {
                    return Ok(written);
                }
                let before = std::mem::replace(&mut last, self.look().await?);
                if before == last {
                    return Ok(Outcome::Refused);
                }
            }
            Err(Error::new(ErrorCode::Timeout, "other tabs write faster than this one"))
        })
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.records.close()
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::storage::{MemoryDisk, MemoryStorage, conformance};

    /// A backend that has no log.
    impl Records for MemoryStorage {
        fn read<'a>(&'a self, space: Space, names: &'a [String]) -> LocalFuture<'a, Result<Vec<Option<Vec<u8>>>>> {
            Storage::read(self, space, names)
        }

        fn list<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Listed>> {
            Storage::list(self, space, range)
        }

        fn write(&self, batch: Batch) -> LocalFuture<'_, Result<bool>> {
            assert!(batch.append.is_empty() && batch.trim == 0 && batch.last.is_none());
            Box::pin(async move { Ok(Storage::write(self, batch).await?.is_written()) })
        }

        fn close(&self) -> LocalFuture<'_, Result<()>> {
            Storage::close(self)
        }
    }

    #[test]
    fn named_records_keep_the_contract() {
        futures_executor::block_on(conformance::check_all(|| {
            let storage: Rc<dyn Storage> = Rc::new(Numbered::new(MemoryStorage::open(&MemoryDisk::new())));
            Box::pin(async move { storage })
        }));
    }

    #[test]
    fn two_sides_never_give_the_same_number() {
        futures_executor::block_on(async {
            let disk = MemoryDisk::new();
            let side = || Numbered::new(MemoryStorage::open(&disk));
            let (one, other) = (side(), side());
            let append = |bytes: &[u8]| Batch { append: vec![bytes.to_vec()], ..Batch::default() };
            assert_eq!(Storage::write(&one, append(b"1")).await.unwrap(), Outcome::Written(1));
            assert_eq!(Storage::write(&other, append(b"2")).await.unwrap(), Outcome::Written(2));
            let trimmed = Batch { trim: 2, ..Batch::default() };
            assert!(Storage::write(&other, trimmed).await.unwrap().is_written());
            assert_eq!(Storage::write(&one, append(b"3")).await.unwrap(), Outcome::Written(3));
            assert_eq!(side().log(0, 9).await.unwrap(), [(3, b"3".to_vec())]);
        });
    }
}
