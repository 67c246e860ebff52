//! Bodies of transactions that other code would not expect: they run transactions of their own, wait for a minute, or
//! never end, because whoever called them is gone.

use std::rc::Rc;

use offshoot::engine::{Ended, OpenTransaction, TransactionOptions};
use offshoot::error::{Error, ErrorCode};

use crate::call::{Call, Content, IDS, Observed, Shelf};
use crate::draw::draw_write;
use crate::history::{Act, Outcome};
use crate::workload::{self, step};
use crate::world::{Handle, Tab, World};

/// Microseconds that a body waits: longer than any other call may take.
const LONG: u64 = 90_000_000;

/// The habit of a body: it makes its calls only, or writes to its own store between them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Habit {
    Plain,
    /// It writes to its own store, by calls and by transactions whose bodies do so too, so many deep.
    Nests(u32),
}

pub fn draw_habit(world: &World) -> Habit {
    if world.plan.nests && world.random.chance(300) { Habit::Nests(2) } else { Habit::Plain }
}

/// Another transaction, or a call, inside a body.
pub async fn nest(world: &Rc<World>, tab: &Rc<Tab>, handle: &Handle, depth: u32) {
    world.report.count("nested calls");
    if depth > 1 && world.random.chance(600) {
        // Boxed: it is what it is inside of.
        Box::pin(workload::transaction(world, tab, handle, Habit::Nests(depth - 1))).await;
    } else {
        workload::perform(world, tab, handle, draw_write(world)).await;
    }
}

/// Runs of a body that are made to lose before it waits: so it waits with all privileges of a body that loses.
const LOSING: u32 = 2;

async fn read_and_write(world: &Rc<World>, open: &Rc<OpenTransaction>, number: usize) -> Result<(), Error> {
    world.attempt(number, open.version().0);
    for call in [draw_write(world), Call::List(Shelf::Documents)] {
        let observed = step(world, open, &call).await?;
        world.step(number, call, observed);
    }
    Ok(())
}

/// A body that waits for a minute and more before it goes on, or for ever. Nobody waits for it meanwhile: all other
/// calls keep to their time.
pub async fn wait_long(world: &Rc<World>, tab: &Rc<Tab>, handle: &Handle) {
    world.report.count("bodies that wait");
    let never_ends = world.random.chance(500);
    let act = Act::Transaction {
        database: handle.identity.clone(),
        isolation: TransactionOptions::default().isolation,
        attempts: Vec::new(),
    };
    let number = world.begin(tab, act);
    let (around, waiting, identity) = (world.clone(), tab.clone(), handle.clone());
    let whole = async move {
        let mut runs = 0;
        let body = |open: Rc<OpenTransaction>| {
            runs += 1;
            let (world, tab, handle, loses) = (around.clone(), waiting.clone(), identity.clone(), runs <= LOSING);
            async move {
                read_and_write(&world, &open, number).await?;
                if loses {
                    let (id, by) = (*world.random.pick(&IDS), world.mark());
                    let content = Content { n: None, by: Some(by), padding: 0 };
                    workload::perform(&world, &tab, &handle, Call::Put(Shelf::Documents, vec![(id, content)])).await;
                    return Ok(());
                }
                if never_ends {
                    std::future::pending::<()>().await;
                }
                world.executor.sleep(LONG).await;
                Ok::<(), Error>(())
            }
        };
        let options = TransactionOptions { retries: LOSING, ..TransactionOptions::default() };
        let outcome = match identity.database.transact(options, body).await {
            Ok(Ended::Committed((), lsn)) => Outcome::Done { observed: Observed::Nothing, lsn: lsn.map(|lsn| lsn.0) },
            Ok(Ended::Failed(error)) => {
                if !around.excuses(&waiting, &error) && error.code() != ErrorCode::Conflict {
                    workload::unexpected(&around, &waiting, &error);
                }
                Outcome::Refused(ErrorCode::Aborted)
            }
            Err(error) => workload::failed(&around, &waiting, &identity, &error),
        };
        around.end(&waiting, number, outcome);
    };
    let task = world.executor.spawn(tab.number, Box::pin(whole));
    if world.random.chance(300) {
        world.executor.sleep(world.random.below(30_000)).await;
        // A host may end whoever waits, wherever that is.
        world.report.count("callers that were ended");
        world.executor.end_task(task);
    }
}
