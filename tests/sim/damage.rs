//! Blocks that are lost, or come back with a flipped byte, when they are read: for ever, or this once.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use offshoot::error::{Detail, Error, ErrorCode};
use offshoot::storage::{Batch, MemoryDisk, Space};

use crate::random::Random;
use crate::report::Report;

/// How many reads of a thousand meet damage.
const FREQUENCY: u64 = 25;
/// How many blocks of a seed are damaged for ever.
const FOR_EVER: u64 = 2;

#[derive(Default)]
pub struct Damage {
    /// Blocks that were damaged, and the last time that one was read so; of those damaged for ever the end of time.
    met: RefCell<BTreeMap<String, u64>>,
    for_ever: Cell<u64>,
    is_over: Cell<bool>,
}

impl Damage {
    /// No other block is damaged from here on. Blocks that are damaged for ever stay so.
    pub fn end(&self) {
        self.is_over.set(true);
    }

    /// Answers a read of a block: with the bytes that were found, or now and then with damage.
    pub fn harm(
        &self,
        (disk, random, report): (&MemoryDisk, &Random, &Report),
        now: u64,
        name: &str,
        found: Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        let Some(mut bytes) = found else { return found };
        let is_damaged = self.met.borrow().get(name) == Some(&u64::MAX);
        if self.is_over.get() || is_damaged || bytes.is_empty() || !random.chance(FREQUENCY) {
            return Some(bytes);
        }
        let is_for_ever = random.chance(500) && self.for_ever.get() < FOR_EVER;
        let is_lost = random.chance(500);
        let flipped = random.below(bytes.len() as u64) as usize;
        bytes[flipped] ^= 1 << random.below(8);
        report.count(match (is_lost, is_for_ever) {
            (true, true) => "blocks lost for ever",
            (true, false) => "blocks lost once",
            (false, true) => "blocks flipped for ever",
            (false, false) => "blocks flipped once",
        });
        let until = if is_for_ever { u64::MAX } else { now };
        self.met.borrow_mut().insert(name.to_string(), until);
        if is_for_ever {
            self.for_ever.set(self.for_ever.get() + 1);
            let place = (Space::Blocks, name.to_string());
            let put = (Space::Blocks, name.to_string(), bytes.clone());
            let (delete, put) = if is_lost { (vec![place], Vec::new()) } else { (Vec::new(), vec![put]) };
            disk.write(Batch { delete, put, ..Batch::default() });
        }
        (!is_lost).then_some(bytes)
    }

    pub fn is_met(&self) -> bool {
        !self.met.borrow().is_empty()
    }

    /// True if a call that began at `began` had a reason to fail with this error: the error names a block that is
    /// damaged, or that was read damaged since.
    pub fn excuses(&self, error: &Error, began: u64) -> bool {
        if error.code() != ErrorCode::StorageCorrupt {
            return false;
        }
        let named = error.details().iter().find_map(|detail| match detail {
            ("block", Detail::Text(name)) => Some(name.clone()),
            _ => None,
        });
        let Some(named) = named else { return false };
        // Of a value that is stored apart the first of its blocks is named: one of the next may be the damaged one.
        let is_apart = error.message().contains("stored apart");
        let run = |name: &str| name.split('-').next().map(str::to_string);
        let is_named = |name: &str| name == named || is_apart && run(name) == run(&named);
        self.met.borrow().iter().any(|(name, until)| is_named(name) && *until >= began)
    }
}
