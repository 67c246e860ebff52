//! Records in memory: for Node, workerd and tests. Two storages on one disk are two tabs on one store.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::{Batch, ListRange, Listed, LocalFuture, Logged, Outcome, Place, Space, Storage};
use crate::error::{Error, ErrorCode, Result};
use crate::types::{Bytes, SortedBytes};

/// The records themselves, shared by the storages opened on them.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    /// By place: the space's number, then the name's bytes.
    records: Rc<RefCell<SortedBytes>>,
    log: Rc<RefCell<Log>>,
}

#[derive(Clone, Default)]
struct Log {
    records: VecDeque<(u64, Vec<u8>)>,
    last: u64,
}

fn place(space: Space, name: &str) -> Vec<u8> {
    let mut place = vec![space as u8];
    place.extend_from_slice(name.as_bytes());
    place
}

impl MemoryDisk {
    pub fn new() -> MemoryDisk {
        MemoryDisk::default()
    }

    pub fn read(&self, space: Space, name: &str) -> Option<Vec<u8>> {
        self.records.borrow().get(&place(space, name)).map(|bytes| bytes.to_vec())
    }

    pub fn list(&self, space: Space, range: &ListRange) -> Listed {
        let records = self.records.borrow();
        let from = place(space, range.from.as_deref().unwrap_or_default());
        let before = match &range.before {
            Some(before) => place(space, before),
            None => vec![space as u8 + 1],
        };
        let in_range = records.range(from..).take_while(|(place, _)| **place < before);
        let named = |(place, bytes): (&Vec<u8>, &Bytes)| {
            let name = String::from_utf8(place[1..].to_vec()).expect("BUG: a place ends in a name");
            (name, bytes.to_vec())
        };
        in_range.take(range.limit).map(named).collect()
    }

    pub fn log(&self, after: u64, limit: usize) -> Logged {
        let log = self.log.borrow();
        log.records.iter().filter(|(number, _)| *number > after).take(limit).cloned().collect()
    }

    /// Contract 3 to 5, 9 and 10.
    pub fn write(&self, batch: Batch) -> Outcome {
        let (mut records, mut log) = (self.records.borrow_mut(), self.log.borrow_mut());
        let is_there = |(space, name): &Place| records.contains_key(&place(*space, name));
        let goes_on = batch.last.is_some_and(|last| log.records.back().is_some_and(|(number, _)| *number > last));
        if goes_on || batch.absent.iter().any(is_there) || !batch.present.iter().all(is_there) {
            return Outcome::Refused;
        }
        for (space, name) in &batch.delete {
            records.remove(&place(*space, name));
        }
        for (space, name, bytes) in batch.put {
            records.insert(place(space, &name), bytes.into());
        }
        while log.records.front().is_some_and(|(number, _)| *number <= batch.trim) {
            log.records.pop_front();
        }
        let mut appended = 0;
        for record in batch.append {
            log.last += 1;
            appended = log.last;
            log.records.push_back((appended, record));
        }
        Outcome::Written(appended)
    }
}

/// What becomes of disks, for tests.
impl MemoryDisk {
    /// All that it holds now.
    pub fn copied(&self) -> MemoryDisk {
        let copy = MemoryDisk::new();
        copy.turn_into(self);
        copy
    }

    /// From here on it holds what `other` holds.
    pub fn turn_into(&self, other: &MemoryDisk) {
        self.records.replace(other.records.borrow().clone());
        self.log.replace(other.log.borrow().clone());
    }

    /// Damage to a record of the log: other bytes, or none.
    pub fn damage_log(&self, number: u64, bytes: Option<Vec<u8>>) {
        let records = &mut self.log.borrow_mut().records;
        let at = records.iter().position(|(other, _)| *other == number).expect("BUG: such a record is there");
        match bytes {
            Some(bytes) => records[at].1 = bytes,
            None => drop(records.remove(at)),
        }
    }
}

/// One opened connection to a disk in memory.
pub struct MemoryStorage {
    disk: MemoryDisk,
    closed: Cell<bool>,
}

impl MemoryStorage {
    pub fn open(disk: &MemoryDisk) -> MemoryStorage {
        MemoryStorage { disk: disk.clone(), closed: Cell::new(false) }
    }

    fn disk(&self) -> Result<&MemoryDisk> {
        if self.closed.get() {
            return Err(Error::new(ErrorCode::Closed, "the storage is closed"));
        }
        Ok(&self.disk)
    }
}

impl Storage for MemoryStorage {
    fn read<'a>(&'a self, space: Space, names: &'a [String]) -> LocalFuture<'a, Result<Vec<Option<Vec<u8>>>>> {
        Box::pin(async move {
            let disk = self.disk()?;
            Ok(names.iter().map(|name| disk.read(space, name)).collect())
        })
    }

    fn list<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Listed>> {
        Box::pin(async move { Ok(self.disk()?.list(space, &range)) })
    }

    fn log(&self, after: u64, limit: usize) -> LocalFuture<'_, Result<Logged>> {
        Box::pin(async move { Ok(self.disk()?.log(after, limit)) })
    }

    fn write(&self, batch: Batch) -> LocalFuture<'_, Result<Outcome>> {
        Box::pin(async move { Ok(self.disk()?.write(batch)) })
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.closed.set(true);
        Box::pin(async { Ok(()) })
    }

    fn is_lasting(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::conformance;

    #[test]
    fn memory_keeps_the_contract() {
        futures_executor::block_on(conformance::check_all(|| {
            let storage: Rc<dyn Storage> = Rc::new(MemoryStorage::open(&MemoryDisk::new()));
            Box::pin(async move { storage })
        }));
    }
}
