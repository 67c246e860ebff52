//! The acts of a tab's actors: calls, transactions, clones, drops, snapshots, drawn at random and noted as they went.

use std::rc::Rc;

use offshoot::engine::{AtOnce, Ended, Isolation, Side, Snapshot, TransactionOptions, When};
use offshoot::error::{Error, ErrorCode, FailureOutcome};
use offshoot::storage::Durability;
use offshoot::types::{DatabaseName, Kind, Lsn, key};

use crate::bodies::{Habit, draw_habit, nest, wait_long};
use crate::bounds;
use crate::call::{Call, Content, IDS, Observed, Shelf, observe};
use crate::cloning::{drop_by_force, drop_one, lineage, make_clone, materialize, race, work_in_a_temporary_clone};
use crate::draw::{draw_read, draw_write};
use crate::history::{Act, Check, Difference, Identity, Outcome, Seen};
use crate::moving::move_one;
use crate::transfer::bring_over;
use crate::world::{Handle, Tab, World};

pub const CLONES: [&str; 4] = ["one", "two", "three", "four"];

pub async fn actor(world: Rc<World>, tab: Rc<Tab>) {
    for _ in 0..world.plan.actions {
        world.executor.sleep(world.random.below(8_000)).await;
        act(&world, &tab).await;
    }
    tab.finish();
}

/// The commits of a rushing tab, and the most times that it looks for a reason to make one.
const RUSHED: usize = 300;
const RUSHES: usize = 1000;

/// Commits at every turn while another tab does anything.
pub async fn rush(world: Rc<World>, tab: Rc<Tab>) {
    let mut rushed = 0;
    for _ in 0..RUSHES {
        if world.others(tab.number).iter().all(|other| world.disk.watches.oldest(other.number).is_none()) {
            world.executor.sleep(300).await;
            continue;
        }
        let _watch = world.watch(&tab, "a write of a tab that rushes");
        let Some(handle) = handle(&world, &tab, "main").await else { break };
        let (id, by) = (*world.random.pick(&IDS), world.mark());
        let content = Content { n: None, by: Some(by), padding: 0 };
        perform(&world, &tab, &handle, Call::Put(Shelf::Documents, vec![(id, content)])).await;
        rushed += 1;
        if rushed == RUSHED {
            break;
        }
    }
    tab.finish();
}

async fn act(world: &Rc<World>, tab: &Rc<Tab>) {
    let random = &world.random;
    // Damage excuses a call that was under way when it was read, so the opening of a handle is watched as a call too.
    let watch = world.watch(tab, "the opening of a handle");
    let Some(handle) = any_handle(world, tab).await else { return };
    drop(watch);
    if random.chance(world.plan.maintenance) {
        let _watch = world.watch(tab, "maintenance");
        return maintain(world, tab).await;
    }
    if world.plan.races && random.chance(300) {
        let _watch = world.watch(tab, "a race");
        return race(world, tab, &handle).await;
    }
    let what = draw_act(world);
    let watch = world.watch(tab, what);
    match what {
        "a write" => write(world, tab, &handle).await,
        "a transaction" => transaction(world, tab, &handle, draw_habit(world)).await,
        "a read" => read(world, tab, &handle).await,
        "a snapshot" => hold_a_snapshot(world, tab, &handle).await,
        "a look back" => go_back(world, tab, &handle).await,
        "a clone" => make_clone(world, tab, &handle).await,
        "a drop" => drop(drop_one(world, tab, &handle).await),
        "a lineage" => lineage(world, tab, &handle).await,
        "a materialization" => materialize(world, tab, &handle).await,
        "a drop by force" => drop_by_force(world, tab, &handle).await,
        "a temporary clone" => work_in_a_temporary_clone(world, tab, &handle).await,
        "a move" => move_one(world, tab, &handle).await,
        "a transfer" => bring_over(world, tab, &handle).await,
        "a wait" => wait_long(world, tab, &handle).await,
        _ => match tab.store().refresh().await {
            Err(error) if !world.excuses(tab, &error) => unexpected(world, tab, &error),
            _ => world.see(tab, tab.head()),
        },
    }
    bounds::check_time(world);
    drop(watch);
}

/// The acts of actors, each with its share.
const ACTS: [(u64, &str); 13] = [
    (34, "a write"),
    (22, "a transaction"),
    (9, "a read"),
    (6, "a snapshot"),
    (4, "a look back"),
    (10, "a clone"),
    (5, "a drop"),
    (2, "a lineage"),
    (7, "a materialization"),
    (3, "a drop by force"),
    (2, "a temporary clone"),
    (12, "a move"),
    (4, "a refresh"),
];

fn draw_act(world: &World) -> &'static str {
    if world.plan.waits && world.random.chance(100) {
        return "a wait";
    }
    if world.plan.transfers && world.random.chance(150) {
        return "a transfer";
    }
    if world.plan.selections && world.random.chance(250) {
        return "a move";
    }
    let mut drawn = world.random.below(ACTS.iter().map(|(share, _)| share).sum());
    for (share, what) in ACTS {
        if drawn < share {
            return what;
        }
        drawn -= share;
    }
    unreachable!("BUG: the shares are all that is drawn from")
}

pub fn unexpected(world: &World, tab: &Tab, error: &Error) {
    world.violate(Check::Recovery, format!("tab {}: {error}", tab.number));
}

/// A handle on a database that is there, as far as this tab knows.
pub async fn any_handle(world: &World, tab: &Tab) -> Option<Handle> {
    if !world.random.chance(350) {
        for _ in 0..3 {
            if let Some(found) = handle(world, tab, world.random.pick::<&str>(&CLONES)).await {
                return Some(found);
            }
        }
    }
    handle(world, tab, "main").await
}

pub async fn maintain(world: &World, tab: &Tab) {
    let store = tab.store();
    let merges_all = !world.random.chance(500);
    world.say(format_args!("tab {}: maintenance begins; merges everything: {merges_all}", tab.number));
    let done = if merges_all { store.compact_all().await } else { store.maintain().await };
    world.say(format_args!("tab {}: maintenance ends: {:?}", tab.number, done.as_ref().map_err(Error::code)));
    match done {
        Err(error) if !world.excuses(tab, &error) => unexpected(world, tab, &error),
        _ => {}
    }
    world.see(tab, tab.head());
}

pub async fn handle(world: &World, tab: &Tab, name: &str) -> Option<Handle> {
    if let Some(known) = tab.handles.borrow().get(name) {
        return Some(known.clone());
    }
    let opened = tab.store().database(&DatabaseName::new(name).expect("a good name")).await;
    let lineage = match &opened {
        Ok(database) => database.lineage().await,
        Err(error) => Err(error.clone()),
    };
    match (opened, lineage) {
        (Ok(database), Ok(lineage)) => {
            let identity = Identity { name: name.to_string(), created: lineage[0].created.0 };
            let handle = Handle { database, identity };
            tab.handles.borrow_mut().insert(name.to_string(), handle.clone());
            Some(handle)
        }
        (_, Err(error)) => {
            let is_gone = matches!(error.code(), ErrorCode::DatabaseNotFound | ErrorCode::Closed);
            if !is_gone && !world.excuses(tab, &error) {
                unexpected(world, tab, &error);
            }
            None
        }
        (Err(_), Ok(_)) => unreachable!("BUG: only what was opened is asked"),
    }
}

/// How a call that failed counts, and whether its handle can still be used.
pub fn failed(world: &World, tab: &Tab, handle: &Handle, error: &Error) -> Outcome {
    let (code, is_known) = (error.code(), error.outcome() == FailureOutcome::None);
    if error.is_retryable() && !is_known {
        world.violate(Check::Refusals, format!("tab {}: what may be done is to be tried again: {error}", tab.number));
    }
    if code == ErrorCode::Closed {
        tab.handles.borrow_mut().remove(&handle.identity.name);
    }
    let is_unexpected = matches!(code, ErrorCode::StorageCorrupt | ErrorCode::Internal);
    if is_unexpected && !world.excuses(tab, error) {
        unexpected(world, tab, error);
    }
    world.report.count(if is_known { "failures without an effect" } else { "failures of unknown outcome" });
    if is_known { Outcome::Refused(code) } else { Outcome::Unknown(code) }
}

pub async fn write(world: &World, tab: &Tab, handle: &Handle) {
    perform(world, tab, handle, draw_write(world)).await;
}

pub async fn perform(world: &World, tab: &Tab, handle: &Handle, call: Call) -> Outcome {
    world.report.count("calls");
    let is_strict = world.plan.power && world.random.chance(150);
    let durability = is_strict.then_some(Durability::Strict);
    let number = world.begin(tab, Act::Call { database: handle.identity.clone(), call: call.clone() });
    let outcome = match handle.database.write(call.op(None), durability).await {
        Ok((answer, lsn)) => {
            lsn.filter(|_| is_strict).iter().for_each(|lsn| world.promised.note(lsn.0));
            Outcome::Done { observed: observe(answer).0, lsn: lsn.map(|lsn| lsn.0) }
        }
        Err(error) => failed(world, tab, handle, &error),
    };
    world.end(tab, number, outcome.clone());
    outcome
}

/// The same script behind reads of all that there is, in any of the ways in which it can be read.
fn read_much(world: &World, script: Vec<Call>) -> Vec<Call> {
    let all = |shelf| match world.random.below(3) {
        0 => Call::GetMany(shelf, IDS.to_vec()),
        1 => Call::Count(shelf),
        _ => Call::List(shelf),
    };
    let mut calls = vec![all(Shelf::Documents), all(Shelf::Entries)];
    calls.extend(script);
    calls
}

pub async fn transaction(world: &Rc<World>, tab: &Rc<Tab>, handle: &Handle, habit: Habit) {
    world.report.count("transactions");
    let random = &world.random;
    let count = random.between(1, 5);
    let script: Vec<Call> =
        (0..count).map(|_| if random.chance(550) { draw_read(world) } else { draw_write(world) }).collect();
    let script = if world.plan.reads_much { read_much(world, script) } else { script };
    let isolation = if random.chance(150) { Isolation::Snapshot } else { Isolation::Serializable };
    let fails = random.chance(80);
    let act = Act::Transaction { database: handle.identity.clone(), isolation, attempts: Vec::new() };
    let number = world.begin(tab, act);
    let mut runs = 0;
    let body = |open: Rc<offshoot::engine::OpenTransaction>| {
        runs += 1;
        let (world, script, tab, handle) = (world.clone(), script.clone(), tab.clone(), handle.clone());
        async move {
            world.attempt(number, open.version().0);
            for call in script {
                if world.random.chance(500) {
                    let most = if world.plan.reads_much { 40_000 } else { 5_000 };
                    world.executor.sleep(world.random.below(most)).await;
                }
                if let Habit::Nests(depth) = habit
                    && world.random.chance(500)
                {
                    nest(&world, &tab, &handle, depth).await;
                }
                let observed = step(&world, &open, &call).await?;
                world.step(number, call, observed);
            }
            if fails { Err(Error::new(ErrorCode::Aborted, "the body changed its mind")) } else { Ok(()) }
        }
    };
    let options = TransactionOptions { isolation, ..TransactionOptions::default() };
    let outcome = match handle.database.transact(options, body).await {
        Ok(Ended::Committed((), lsn)) => Outcome::Done { observed: Observed::Nothing, lsn: lsn.map(|lsn| lsn.0) },
        Ok(Ended::Failed(error)) => {
            world.report.count("body failures");
            // The storage failed a read, or the body itself: a body that fails writes nothing.
            let is_its_own = matches!(error.code(), ErrorCode::Aborted | ErrorCode::Conflict);
            if !world.excuses(tab, &error) && !is_its_own {
                unexpected(world, tab, &error);
            }
            Outcome::Refused(ErrorCode::Aborted)
        }
        Err(error) => failed(world, tab, handle, &error),
    };
    for _ in 1..runs {
        world.report.count("conflicts");
    }
    world.end(tab, number, outcome);
}

/// One call of a body. An insert of a key that is there fails; the body catches that error and goes on.
pub async fn step(world: &World, open: &offshoot::engine::OpenTransaction, call: &Call) -> Result<Observed, Error> {
    let mut rows = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let op = call.op(after.as_deref().map(|after| (after, rows.len())));
        let answered = match world.random.chance(500) {
            true => match open.run_at_once(&op) {
                Ok(AtOnce::Done(answer)) => Ok(answer),
                Ok(AtOnce::Unfinished(unfinished)) => open.finish(op, unfinished).await,
                Err(error) => Err(error),
            },
            false => open.run(op).await,
        };
        let (observed, next) = match answered {
            Ok(answer) => observe(answer),
            Err(error) if error.code() == ErrorCode::KeyExists => (Observed::Failed(error.code()), None),
            Err(error) => return Err(error),
        };
        match observed {
            Observed::Rows(page) => rows.extend(page),
            observed => return Ok(observed),
        }
        if next.is_none() || call.is_enough(rows.len()) {
            return Ok(Observed::Rows(rows));
        }
        after = next;
    }
}

pub async fn read(world: &World, tab: &Tab, handle: &Handle) {
    let call = loop {
        let call = draw_read(world);
        // A list takes several calls, which need a snapshot to be of one moment.
        if !call.is_paged() {
            break call;
        }
    };
    let from = tab.head();
    let op = call.op(None);
    let answered = match world.random.chance(500) {
        true => match handle.database.run_at_once(&op) {
            Ok(AtOnce::Done(answer)) => Ok(answer),
            Ok(AtOnce::Unfinished(unfinished)) => handle.database.finish(op, unfinished).await,
            Err(error) => Err(error),
        },
        false => handle.database.run(op, None).await,
    };
    let observed = match answered {
        Ok(answer) => observe(answer).0,
        Err(error) => match failed(world, tab, handle, &error) {
            Outcome::Refused(code) if !world.excuses(tab, &error) => Observed::Failed(code),
            _ => return,
        },
    };
    world.see(tab, tab.head());
    world.reading(tab, &handle.identity, Seen::Answer(call, observed), from, tab.head());
}

async fn hold_a_snapshot(world: &World, tab: &Tab, handle: &Handle) {
    world.report.count("snapshots");
    let Ok(snapshot) = handle.database.snapshot().await else { return };
    world.see(tab, snapshot.version().0);
    for _ in 0..world.random.between(1, 3) {
        world.executor.sleep(world.random.below(10_000)).await;
        let call = draw_read(world);
        read_snapshot(world, tab, &handle.identity, &snapshot, call).await;
    }
    if world.random.chance(500) {
        differences(world, tab, &handle.identity, &snapshot, None).await;
    }
    let Ok(later) = handle.database.snapshot().await else { return };
    differences(world, tab, &handle.identity, &later, Some(&snapshot)).await;
}

/// Reads all that a call asks for; nothing is noted where the storage failed.
pub async fn read_snapshot(world: &World, tab: &Tab, identity: &Identity, snapshot: &Snapshot, call: Call) {
    let version = snapshot.version().0;
    match read_all(snapshot, &call).await {
        Ok(observed) => world.reading(tab, identity, Seen::Answer(call, observed), version, version),
        Err(error) if world.excuses(tab, &error) => {}
        Err(error) if error.code() == ErrorCode::HistoryPruned => pruned(world, tab, identity, snapshot),
        Err(error) => unexpected(world, tab, &error),
    }
}

/// All pages of what a call asks for.
pub async fn read_all(snapshot: &Snapshot, call: &Call) -> Result<Observed, Error> {
    let mut rows = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let op = call.op(after.as_deref().map(|after| (after, rows.len())));
        match observe(snapshot.run(op).await?) {
            (Observed::Rows(page), next) => {
                rows.extend(page);
                after = next;
                if after.is_none() || call.is_enough(rows.len()) {
                    return Ok(Observed::Rows(rows));
                }
            }
            (observed, _) => return Ok(observed),
        }
    }
}

fn pruned(world: &World, tab: &Tab, identity: &Identity, snapshot: &Snapshot) {
    world.report.count("pruned history");
    world.reading(tab, identity, Seen::Pruned, snapshot.version().0, snapshot.version().0);
}

/// Notes the differences of a snapshot to its origin, or to an older snapshot.
pub async fn differences(
    world: &World,
    tab: &Tab,
    identity: &Identity,
    snapshot: &Snapshot,
    against: Option<&Snapshot>,
) {
    if against.is_none() && identity.name == "main" {
        // A root has no origin to be compared with.
        return;
    }
    world.report.count("diffs");
    let mut all: Vec<Difference> = Vec::new();
    let mut after = None;
    loop {
        let side = against.map_or(Side::Origin, Side::Snapshot);
        let page = match snapshot.diff(side, None, after.as_ref(), 3).await {
            Ok(page) => page,
            Err(error) if world.excuses(tab, &error) => return,
            Err(error) if error.code() == ErrorCode::NotAClone && against.is_none() => {
                let version = snapshot.version().0;
                return world.reading(tab, identity, Seen::NoOrigin, version, version);
            }
            Err(error) if error.code() == ErrorCode::HistoryPruned => {
                // The older of the two: the other may still be held.
                return pruned(world, tab, identity, against.unwrap_or(snapshot));
            }
            Err(error) => return unexpected(world, tab, &error),
        };
        for change in page.changes {
            let shelf = if change.kind == Kind::Document { Shelf::Documents } else { Shelf::Entries };
            let content = |bytes: Option<offshoot::types::Bytes>| bytes.map(|bytes| Content::decode(&bytes));
            let id = key::read_id(&change.key).expect("a text key");
            all.push((shelf, id, content(change.before), content(change.after)));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    all.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let seen = match against {
        Some(older) => Seen::DifferenceSince(older.version().0, all),
        None => Seen::DifferenceToOrigin(all),
    };
    world.reading(tab, identity, seen, snapshot.version().0, snapshot.version().0);
}

async fn go_back(world: &World, tab: &Tab, handle: &Handle) {
    let lsn = world.random.between(1, tab.head());
    match handle.database.at(When::Version(Lsn(lsn))).await {
        Ok(snapshot) => {
            let call = draw_read(world);
            read_snapshot(world, tab, &handle.identity, &snapshot, call).await;
        }
        Err(error) if world.excuses(tab, &error) || error.code() == ErrorCode::Closed => {}
        Err(error) if error.code() == ErrorCode::HistoryPruned => {
            world.report.count("pruned history");
            world.reading(tab, &handle.identity, Seen::Pruned, lsn, lsn);
        }
        Err(error) => unexpected(world, tab, &error),
    }
}
