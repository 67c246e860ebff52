//! The events of a seed, in order: folded into one hash, by which two runs of it are compared, and printed on demand.

use std::cell::RefCell;
use std::fmt;

use xxhash_rust::xxh64::Xxh64;

pub struct Trace {
    hash: RefCell<Xxh64>,
    print: bool,
}

impl Trace {
    pub fn new(print: bool) -> Trace {
        Trace { hash: RefCell::new(Xxh64::new(0)), print }
    }

    /// A step of the executor, too frequent for words.
    pub fn step(&self, time: u64, task: u64) {
        let mut hash = self.hash.borrow_mut();
        hash.update(&time.to_le_bytes());
        hash.update(&task.to_le_bytes());
    }

    pub fn say(&self, time: u64, what: fmt::Arguments<'_>) {
        let text = what.to_string();
        self.hash.borrow_mut().update(text.as_bytes());
        if self.print {
            println!("{time:>9} {text}");
        }
    }

    pub fn digest(&self) -> u64 {
        self.hash.borrow().digest()
    }
}
