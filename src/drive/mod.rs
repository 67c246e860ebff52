//! The one loop that serves step machines. A step says how it ended: it needs something first, it has something to
//! write, it lets others go first, or the work is done. The loop does what the step asks for and takes the next step.
//!
//! It promises: the work ends, for one that asks again and again without getting on fails; no step runs while what an
//! earlier one asked for is on its way; after a pause others had their turn. The work, what it needs and where that
//! comes from are its caller's.
//!
//! All that waits for blocks is served by it:
//! - what the engine reads, at once or in steps (`engine/core/reading.rs`): calls, snapshots, comparisons, merges,
//!   exports, imports, and each slice of a materialization;
//! - the evaluation of a commit (`engine/core/stage.rs`);
//! - merges of runs, the change feed, and all else that the map reads for itself (`lsm/serve.rs`).
//!
//! Two places fetch blocks without it. Each does so once, only to save others the time, and goes on without a block
//! that does not come: an opening brings the topmost blocks of the runs (`lsm/opening.rs`), and a written manifest
//! gathers what the next opening will read (`lsm/hot.rs`).
//!
//! It does not know: types, lsm, query, engine, js.

use crate::error::{Error, ErrorCode, Result};
use crate::storage::LocalFuture;

/// So many steps in a row may need something and nothing else. A read asks for all that it needs at once, so it needs
/// a few steps; one that reads around damage needs one for each damaged block.
const NEEDS: u32 = 10_000;
/// So often in a row what is needed may have moved: each time another tab has put something else in its place.
const MOVES: u32 = 64;

/// The end of one step of some work. The work keeps its own position: the next step goes on from there.
#[derive(Debug)]
pub enum Step<N, W> {
    /// The step has changed nothing, and is taken again once this is there.
    Need(N),
    /// The step is done, and this must be written before the next one.
    Write(W),
    /// The step is done; others may go first.
    Pause,
    /// The work is done, and has kept its result.
    Done,
}

/// The outcome of a fetch that a step asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fetched {
    Here,
    /// The data is not where the step said: the step must be taken again, on the present state.
    Moved,
}

/// A layer implements this for the steps of its own work.
pub trait Server<N, W> {
    fn fetch(&self, needed: N) -> LocalFuture<'_, Result<Fetched>>;
    fn write(&self, what: W) -> LocalFuture<'_, Result<()>>;
    /// Lets other tasks run. The data that was fetched for earlier steps may be dropped from memory.
    fn pause(&self) -> LocalFuture<'_, ()>;
}

/// Takes steps until one is the last. Boxed and without types of its own for each work, so that it is in the module
/// once for each server.
pub fn drive<'a, N: 'a, W: 'a>(
    server: &'a dyn Server<N, W>,
    step: &'a mut dyn FnMut() -> Result<Step<N, W>>,
) -> LocalFuture<'a, Result<()>> {
    Box::pin(async move {
        let (mut needs, mut moves) = (0, 0);
        loop {
            match step()? {
                Step::Need(needed) => {
                    needs += 1;
                    if server.fetch(needed).await? == Fetched::Moved {
                        moves += 1;
                    }
                    check(needs, moves)?;
                    continue;
                }
                Step::Write(what) => server.write(what).await?,
                Step::Pause => server.pause().await,
                Step::Done => return Ok(()),
            }
            (needs, moves) = (0, 0);
        }
    })
}

fn check(needs: u32, moves: u32) -> Result<()> {
    if needs <= NEEDS && moves <= MOVES {
        return Ok(());
    }
    let message = format!("what is needed is never there when it is looked for. fetched={needs}, moved={moves}");
    Err(Error::new(ErrorCode::StorageUnavailable, message))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Answers at once, and notes what it was asked.
    struct Noting {
        fetched: Fetched,
        asked: RefCell<Vec<&'static str>>,
    }

    impl Noting {
        fn new(fetched: Fetched) -> Noting {
            Noting { fetched, asked: RefCell::default() }
        }

        fn note(&self, what: &'static str) {
            self.asked.borrow_mut().push(what);
        }
    }

    impl Server<(), ()> for Noting {
        fn fetch(&self, (): ()) -> LocalFuture<'_, Result<Fetched>> {
            self.note("fetch");
            Box::pin(async { Ok(self.fetched) })
        }

        fn write(&self, (): ()) -> LocalFuture<'_, Result<()>> {
            self.note("write");
            Box::pin(async { Ok(()) })
        }

        fn pause(&self) -> LocalFuture<'_, ()> {
            self.note("pause");
            Box::pin(async {})
        }
    }

    fn run(server: &Noting, mut step: impl FnMut() -> Result<Step<(), ()>>) -> Result<()> {
        let mut driven = pin!(drive(server, &mut step));
        match driven.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ended) => ended,
            Poll::Pending => panic!("the server answers at once"),
        }
    }

    #[test]
    fn what_each_step_asks_for_is_done_before_the_next() {
        let server = Noting::new(Fetched::Here);
        let mut steps = vec![Step::Done, Step::Write(()), Step::Pause, Step::Need(()), Step::Need(())];
        run(&server, || Ok(steps.pop().expect("no step after the last"))).unwrap();
        assert_eq!(*server.asked.borrow(), ["fetch", "fetch", "pause", "write"]);
    }

    #[test]
    fn work_that_only_ever_needs_ends_with_an_error() {
        for (fetched, most) in [(Fetched::Here, NEEDS), (Fetched::Moved, MOVES)] {
            let server = Noting::new(fetched);
            let error = run(&server, || Ok(Step::Need(()))).unwrap_err();
            assert_eq!(error.code(), ErrorCode::StorageUnavailable);
            assert_eq!(server.asked.borrow().len(), most as usize + 1);
        }
    }

    #[test]
    fn work_that_gets_on_may_be_long() {
        let server = Noting::new(Fetched::Moved);
        let mut left = 4 * MOVES;
        let step = || {
            left -= 1;
            Ok(if left == 0 {
                Step::Done
            } else if left.is_multiple_of(MOVES) {
                Step::Pause
            } else {
                Step::Need(())
            })
        };
        run(&server, step).unwrap();
    }

    #[test]
    fn an_error_ends_the_work() {
        let server = Noting::new(Fetched::Here);
        let error = Error::new(ErrorCode::Conflict, "it was first");
        let ended = run(&server, || Err(error.clone()));
        assert_eq!(ended.unwrap_err().code(), ErrorCode::Conflict);
        assert!(server.asked.borrow().is_empty());
    }
}
