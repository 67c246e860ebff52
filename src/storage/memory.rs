//! Records in memory: for Node, workerd and tests. Two storages on one disk are two tabs on one store.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::{Batch, ListRange, Listed, LocalFuture, Logged, NAME_BYTES, Outcome, Place, Space, Storage};
use crate::error::{Error, ErrorCode, Result};
use crate::types::{Bytes, SortedBytes, limits};

/// The records themselves, shared by the storages opened on them.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    content: Rc<RefCell<Stored>>,
    /// How much fits on it; `None`: as much as there is memory.
    capacity: Rc<Cell<Option<Capacity>>>,
    /// How large a record may be; `None`: as large as every storage takes them.
    record_bytes: Rc<Cell<Option<usize>>>,
}

#[derive(Clone, Default)]
struct Stored {
    /// By place: the space's number, then the name's bytes.
    records: SortedBytes,
    log: VecDeque<(u64, Bytes)>,
    /// The last number that the log gave.
    last: u64,
    /// Bytes of all records and of their names.
    used: u64,
}

/// How much fits on a disk: bytes of records and of their names. A batch that puts or appends more than that fails with
/// QUOTA_EXCEEDED and writes nothing. A batch that only deletes always succeeds, as in Chromium.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capacity {
    pub bytes: u64,
    /// True if a batch may use the room that its own deletions make. In Chromium it may not.
    pub deletions_make_room: bool,
}

impl Capacity {
    pub fn of(bytes: u64) -> Capacity {
        Capacity { bytes, deletions_make_room: true }
    }

    /// As Chromium counts: a batch is judged before its deletions.
    pub fn before_deletions(bytes: u64) -> Capacity {
        Capacity { bytes, deletions_make_room: false }
    }
}

/// The bytes that a record of the log takes beside its content, as if its number were its name.
const NUMBER_BYTES: u64 = 8;

fn place(space: Space, name: &str) -> Vec<u8> {
    let mut place = vec![space as u8];
    place.extend_from_slice(name.as_bytes());
    place
}

/// The bytes that a batch adds, whatever it deletes.
fn added(batch: &Batch) -> u64 {
    let put: usize = batch.put.iter().map(|(_, name, bytes)| name.len() + bytes.len()).sum();
    let appended: u64 = batch.append.iter().map(|record| NUMBER_BYTES + record.len() as u64).sum();
    put as u64 + appended
}

impl Stored {
    fn remove(&mut self, place: &[u8]) {
        if let Some(bytes) = self.records.remove(place) {
            self.used -= (place.len() - 1 + bytes.len()) as u64;
        }
    }

    /// Contract 4.
    fn refuses(&self, batch: &Batch) -> bool {
        let is_there = |(space, name): &Place| self.records.contains_key(&place(*space, name));
        let goes_on = batch.last.is_some_and(|last| self.log.back().is_some_and(|(number, _)| *number > last));
        goes_on || batch.absent.iter().any(is_there) || !batch.present.iter().all(is_there)
    }

    /// Contract 5 and 9: the last number given.
    fn apply(&mut self, batch: Batch) -> u64 {
        let added = added(&batch);
        for (space, name) in &batch.delete {
            self.remove(&place(*space, name));
        }
        for (space, from, before) in &batch.delete_range {
            let (from, before) = (place(*space, from), place(*space, before));
            let in_range = self.records.at_least(&from).map(|(place, _)| place).take_while(|place| **place < before);
            for place in in_range.cloned().collect::<Vec<_>>() {
                self.remove(&place);
            }
        }
        for (space, name, bytes) in batch.put {
            assert!(name.len() <= NAME_BYTES && name.is_ascii(), "BUG: a name that breaks the contract. name={name:?}");
            let place = place(space, &name);
            self.remove(&place);
            self.records.insert(place, bytes.into());
        }
        while self.log.front().is_some_and(|(number, _)| *number <= batch.trim) {
            let bytes = self.log.pop_front().map_or(0, |(_, bytes)| bytes.len());
            self.used -= NUMBER_BYTES + bytes as u64;
        }
        let mut appended = 0;
        for record in batch.append {
            self.last += 1;
            appended = self.last;
            self.log.push_back((appended, record.into()));
        }
        self.used += added;
        appended
    }
}

impl MemoryDisk {
    pub fn new() -> MemoryDisk {
        MemoryDisk::default()
    }

    pub fn read(&self, space: Space, name: &str) -> Option<Vec<u8>> {
        self.content.borrow().records.get(&place(space, name)).map(|bytes| bytes.to_vec())
    }

    pub fn list(&self, space: Space, range: &ListRange) -> Listed {
        self.in_range(space, range, |bytes| bytes.to_vec())
    }

    pub fn names(&self, space: Space, range: &ListRange) -> Vec<String> {
        self.in_range(space, range, |_| ()).into_iter().map(|(name, ())| name).collect()
    }

    fn in_range<T>(&self, space: Space, range: &ListRange, take: impl Fn(&Bytes) -> T) -> Vec<(String, T)> {
        let content = self.content.borrow();
        let from = place(space, range.from.as_deref().unwrap_or_default());
        let before = match &range.before {
            Some(before) => place(space, before),
            None => vec![space as u8 + 1],
        };
        let in_range = content.records.at_least(&from).take_while(|(place, _)| **place < before);
        let named = |(place, bytes): (&Vec<u8>, &Bytes)| {
            let name = String::from_utf8(place[1..].to_vec()).expect("BUG: a place ends in a name");
            (name, take(bytes))
        };
        in_range.take(range.limit).map(named).collect()
    }

    pub fn log(&self, after: u64, limit: usize) -> Logged {
        let content = self.content.borrow();
        let behind = content.log.iter().filter(|(number, _)| *number > after);
        behind.take(limit).map(|(number, bytes)| (*number, bytes.to_vec())).collect()
    }

    /// Contract 3 to 5, 9 and 10, whatever the capacity.
    pub fn write(&self, batch: Batch) -> Outcome {
        let mut content = self.content.borrow_mut();
        if content.refuses(&batch) { Outcome::Refused } else { Outcome::Written(content.apply(batch)) }
    }

    /// `write`, where there is room.
    pub fn write_within_capacity(&self, batch: Batch) -> Result<Outcome> {
        let Some(Capacity { bytes, deletions_make_room }) = self.capacity.get() else { return Ok(self.write(batch)) };
        let added = added(&batch);
        let full = || Err(Error::new(ErrorCode::QuotaExceeded, format!("the storage is full. capacity={bytes}")));
        if added > 0 && !deletions_make_room && self.used() + added > bytes {
            return full();
        }
        let before = self.content.borrow().clone();
        let outcome = self.write(batch);
        if added > 0 && self.used() > bytes {
            self.content.replace(before);
            return full();
        }
        Ok(outcome)
    }

    /// From here on so large a record is taken. Only before anything is written.
    pub fn set_record_bytes(&self, record_bytes: usize) {
        self.record_bytes.set(Some(record_bytes));
    }

    pub fn capacity(&self) -> Option<Capacity> {
        self.capacity.get()
    }

    /// From here on so much fits.
    pub fn set_capacity(&self, capacity: Option<Capacity>) {
        self.capacity.set(capacity);
    }

    /// Bytes of all records and of their names.
    pub fn used(&self) -> u64 {
        self.content.borrow().used
    }
}

/// Copies and replaces the contents of disks, for tests.
impl MemoryDisk {
    /// A copy of the disk, without its capacity.
    pub fn copied(&self) -> MemoryDisk {
        let copy = MemoryDisk::new();
        copy.turn_into(self);
        copy
    }

    /// Replaces the disk's content by a copy of the content of `other`.
    pub fn turn_into(&self, other: &MemoryDisk) {
        let content = other.content.borrow().clone();
        self.content.replace(content);
    }

    /// Damage to a record: other bytes, or none.
    pub fn damage(&self, space: Space, name: &str, bytes: Option<Vec<u8>>) {
        let place = (space, name.to_string());
        let mut batch = Batch { present: vec![place.clone()], ..Batch::default() };
        match bytes {
            Some(bytes) => batch.put.push((place.0, place.1, bytes)),
            None => batch.delete.push(place),
        }
        assert!(self.write(batch).is_written(), "BUG: such a record is there. name={name}");
    }

    /// Damage to a record of the log: other bytes, or none.
    pub fn damage_log(&self, number: u64, bytes: Option<Vec<u8>>) {
        let content = &mut *self.content.borrow_mut();
        let at = content.log.iter().position(|(other, _)| *other == number).expect("BUG: such a record is there");
        let (_, old) = content.log.remove(at).expect("BUG: just found");
        content.used -= NUMBER_BYTES + old.len() as u64;
        if let Some(bytes) = bytes {
            content.used += NUMBER_BYTES + bytes.len() as u64;
            content.log.insert(at, (number, bytes.into()));
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

    fn names<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Vec<String>>> {
        Box::pin(async move { Ok(self.disk()?.names(space, &range)) })
    }

    fn log(&self, after: u64, limit: usize) -> LocalFuture<'_, Result<Logged>> {
        Box::pin(async move { Ok(self.disk()?.log(after, limit)) })
    }

    /// In one go, because nothing waits in between.
    fn list_and_log<'a>(
        &'a self,
        space: Space,
        range: ListRange,
        after: u64,
        limit: usize,
    ) -> LocalFuture<'a, Result<(Listed, Logged)>> {
        Box::pin(async move {
            let disk = self.disk()?;
            Ok((disk.list(space, &range), disk.log(after, limit)))
        })
    }

    fn write(&self, batch: Batch) -> LocalFuture<'_, Result<Outcome>> {
        Box::pin(async move { self.disk()?.write_within_capacity(batch) })
    }

    fn record_bytes(&self) -> usize {
        self.disk.record_bytes.get().unwrap_or(limits::RECORD_BYTES)
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.closed.set(true);
        Box::pin(async { Ok(()) })
    }

    fn quota(&self) -> LocalFuture<'_, Option<u64>> {
        Box::pin(async { self.disk.capacity().map(|capacity| capacity.bytes) })
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

    fn put(name: &str, bytes: usize) -> Batch {
        Batch { put: vec![(Space::Blocks, name.to_string(), vec![7; bytes])], ..Batch::default() }
    }

    fn code(result: Result<Outcome>) -> std::result::Result<Outcome, ErrorCode> {
        result.map_err(|error| error.code())
    }

    #[test]
    fn a_full_disk_writes_nothing_and_lets_deletions_through() {
        for capacity in [Capacity::of(100), Capacity::before_deletions(100)] {
            let disk = MemoryDisk::new();
            disk.set_capacity(Some(capacity));
            let write = |batch| code(disk.write_within_capacity(batch));
            assert_eq!(write(put("a", 49)), Ok(Outcome::Written(0)));
            let both = Batch { append: vec![vec![1; 42]], ..put("b", 0) };
            assert_eq!(write(both), Err(ErrorCode::QuotaExceeded), "one byte too many");
            assert_eq!((disk.used(), disk.read(Space::Blocks, "b")), (50, None), "nothing of it");
            assert_eq!(write(Batch { append: vec![vec![1; 42]], ..Batch::default() }), Ok(Outcome::Written(1)));
            assert_eq!(disk.used(), 100);
            let swap = || Batch { delete: vec![(Space::Blocks, "a".into())], ..put("c", 40) };
            let swapped =
                if capacity.deletions_make_room { Ok(Outcome::Written(0)) } else { Err(ErrorCode::QuotaExceeded) };
            assert_eq!(write(swap()), swapped);
            disk.set_capacity(Some(Capacity { bytes: 10, ..capacity }));
            assert_eq!(write(Batch { trim: 1, ..Batch::default() }), Ok(Outcome::Written(0)), "deletions alone");
            assert_eq!(write(put("d", 1)), Err(ErrorCode::QuotaExceeded));
        }
    }

    #[test]
    fn what_is_used_is_the_sum_of_what_is_there() {
        let disk = MemoryDisk::new();
        disk.write(Batch { append: vec![vec![1; 5], vec![2; 6]], ..put("name", 10) });
        disk.write(put("name", 3));
        disk.damage_log(1, Some(vec![1; 2]));
        disk.damage(Space::Blocks, "name", Some(vec![1; 4]));
        assert_eq!(disk.used(), 4 + 4 + (8 + 2) + (8 + 6));
        disk.write(Batch { trim: 2, delete: vec![(Space::Blocks, "name".into())], ..Batch::default() });
        assert_eq!((disk.used(), disk.copied().used()), (0, 0));
    }
}
