//! The blocks that many rows lack, which are fetched at once.

use crate::lsm::{Attempt, Fault, Need};
use crate::types::SortedSet;

/// So many stored records are asked for at once: a few MiB, however many rows there are.
const SEGMENTS: usize = 64;

/// The blocks that rows lack.
#[derive(Default)]
pub struct Lacking {
    needed: Vec<Need>,
    segments: SortedSet<(u64, u32)>,
}

impl Lacking {
    pub fn is_empty(&self) -> bool {
        self.needed.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.segments.len() >= SEGMENTS
    }

    /// Notes what an attempt lacks; any other fault is passed on. True: it lacks nothing, and none before it did.
    pub fn take(&mut self, attempt: Attempt<()>) -> Attempt<bool> {
        match attempt {
            Ok(()) => Ok(self.needed.is_empty()),
            Err(Fault::Need(needed)) => {
                for need in needed {
                    let Need::Block(reference) = need;
                    self.segments.insert((reference.address.run, reference.address.segment()));
                    self.needed.push(need);
                }
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Fails with what is lacking, if anything is.
    pub fn check(self) -> Attempt<()> {
        if self.needed.is_empty() { Ok(()) } else { Err(Fault::Need(self.needed)) }
    }
}
