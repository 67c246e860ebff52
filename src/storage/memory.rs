//! Records in memory: for Node, workerd and tests. Two storages on one disk are two tabs on one store.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use super::{Batch, ListRange, Listed, LocalFuture, Place, Space, Storage};
use crate::error::{Error, ErrorCode, Result};

/// The records themselves, shared by the storages opened on them.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    records: Rc<RefCell<BTreeMap<Place, Rc<[u8]>>>>,
}

impl MemoryDisk {
    pub fn new() -> MemoryDisk {
        MemoryDisk::default()
    }

    pub fn read(&self, space: Space, name: &str) -> Option<Vec<u8>> {
        self.records.borrow().get(&(space, name.to_string())).map(|bytes| bytes.to_vec())
    }

    pub fn list(&self, space: Space, range: &ListRange) -> Listed {
        let records = self.records.borrow();
        let from = Bound::Included((space, range.from.clone().unwrap_or_default()));
        let in_range = |name: &str| range.before.as_deref().is_none_or(|before| name < before);
        records
            .range((from, Bound::Unbounded))
            .take_while(|((s, name), _)| *s == space && in_range(name))
            .take(range.limit)
            .map(|((_, name), bytes)| (name.clone(), bytes.to_vec()))
            .collect()
    }

    /// Contract 3 to 5. False: a check failed, nothing is written.
    pub fn write(&self, batch: Batch) -> bool {
        let mut records = self.records.borrow_mut();
        let holds = !batch.absent.iter().any(|place| records.contains_key(place))
            && batch.present.iter().all(|place| records.contains_key(place));
        if holds {
            for place in &batch.delete {
                records.remove(place);
            }
            for (space, name, bytes) in batch.put {
                records.insert((space, name), bytes.into());
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
