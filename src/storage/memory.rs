//! Records in memory: for Node, workerd and tests. Two storages on one disk are two tabs on one store.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::{Batch, ListRange, Listed, LocalFuture, Place, Space, Storage};
use crate::error::{Error, ErrorCode, Result};
use crate::types::{Bytes, SortedBytes};

/// The records themselves, shared by the storages opened on them.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    /// By place: the space's number, then the name's bytes.
    records: Rc<RefCell<SortedBytes>>,
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

    /// Contract 3 to 5. False: a check failed, nothing is written.
    pub fn write(&self, batch: Batch) -> bool {
        let mut records = self.records.borrow_mut();
        let is_there = |(space, name): &Place| records.contains_key(&place(*space, name));
        let holds = !batch.absent.iter().any(is_there) && batch.present.iter().all(is_there);
        if holds {
            for (space, name) in &batch.delete {
                records.remove(&place(*space, name));
            }
            for (space, name, bytes) in batch.put {
                records.insert(place(space, &name), bytes.into());
            }
        }
        holds
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

    fn write(&self, batch: Batch) -> LocalFuture<'_, Result<bool>> {
        Box::pin(async move { Ok(self.disk()?.write(batch)) })
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.closed.set(true);
        Box::pin(async { Ok(()) })
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
