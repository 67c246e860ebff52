//! A task of which an engine runs one at a time.
//!
//! The host of a Worker may end a request without a word, and then nothing that ran in the request goes on. So a task
//! shows signs of life, and one that has shown none for a minute is taken for ended. Should it be slow and no more, two
//! run side by side for a while: their commits and swaps are checked as those of two tabs are.

use std::cell::Cell;
use std::rc::Rc;

/// Milliseconds without a sign of life. Between two signs a task waits for a few requests at most, and storage answers
/// each within its deadline.
const SILENCE: u64 = 60_000;

#[derive(Default)]
pub struct Sole {
    last_sign: Cell<Option<u64>>,
    /// The number of the task that began last.
    number: Cell<u64>,
}

/// While this lives the task runs.
pub struct Running {
    sole: Rc<Sole>,
    number: u64,
}

impl Drop for Running {
    fn drop(&mut self) {
        // A task that was taken for ended leaves the place to the one that came after it.
        if self.sole.number.get() == self.number {
            self.sole.last_sign.set(None);
        }
    }
}

impl Sole {
    /// `now` is of the steady clock. `None`: the task runs.
    pub fn begin(self: &Rc<Sole>, now: u64) -> Option<Running> {
        if self.is_running(now) {
            return None;
        }
        self.last_sign.set(Some(now));
        self.number.set(self.number.get() + 1);
        Some(Running { sole: self.clone(), number: self.number.get() })
    }

    pub fn is_running(&self, now: u64) -> bool {
        self.last_sign.get().is_some_and(|sign| now.saturating_sub(sign) < SILENCE)
    }

    /// The task that runs shows that it lives.
    pub fn sign(&self, now: u64) {
        if self.last_sign.get().is_some() {
            self.last_sign.set(Some(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_runs_at_a_time() {
        let sole = Rc::new(Sole::default());
        let running = sole.begin(0).expect("none runs");
        assert!(sole.begin(1).is_none());
        drop(running);
        assert!(!sole.is_running(1) && sole.begin(1).is_some());
    }

    #[test]
    fn a_task_that_shows_no_sign_of_life_is_taken_for_ended() {
        let sole = Rc::new(Sole::default());
        let ended = sole.begin(0).expect("none runs");
        sole.sign(SILENCE - 1);
        assert!(sole.begin(SILENCE).is_none(), "it has shown a sign");
        let next = sole.begin(2 * SILENCE).expect("it has shown none for long");
        drop(ended);
        assert!(sole.is_running(2 * SILENCE), "the end of the older task is not the end of the next one");
        drop(next);
        assert!(!sole.is_running(2 * SILENCE));
    }
}
