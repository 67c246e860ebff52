//! What the actors of a tab do: calls, transactions, clones, drops, snapshots, drawn at random and noted as they went.

use std::rc::Rc;

use offshoot::engine::{CloneOptions, Ended, Existing, Isolation, Side, Snapshot, TransactionOptions, When};
use offshoot::error::{Error, ErrorCode};
use offshoot::types::{DatabaseName, Kind, Lsn, Suffix, key};

use crate::call::{Call, Content, IDS, Observed, Shelf, observe};
use crate::draw::{draw_read, draw_write};
use crate::history::{Act, Check, Difference, Identity, NewClone, Outcome, Seen};
use crate::moving::move_one;
use crate::world::{Handle, Tab, World, is_storage_trouble};

const CLONES: [&str; 4] = ["one", "two", "three", "four"];

pub async fn actor(world: Rc<World>, tab: Rc<Tab>) {
    for _ in 0..world.plan.actions {
        world.executor.sleep(world.random.below(8_000)).await;
        act(&world, &tab).await;
    }
    tab.finish();
}

async fn act(world: &Rc<World>, tab: &Rc<Tab>) {
    let random = &world.random;
    let Some(handle) = any_handle(world, tab).await else { return };
    if random.chance(world.plan.maintenance) {
        return maintain(world, tab).await;
    }
    if world.plan.races && random.chance(300) {
        return race(world, tab, &handle).await;
    }
    match random.below(120) {
        0..34 => write(world, tab, &handle).await,
        34..56 => transaction(world, tab, &handle).await,
        56..65 => read(world, tab, &handle).await,
        65..71 => hold_a_snapshot(world, tab, &handle).await,
        71..75 => go_back(world, tab, &handle).await,
        75..85 => make_clone(world, tab, &handle).await,
        85..90 => drop_one(world, tab, &handle).await,
        90..92 => lineage(world, tab, &handle).await,
        92..99 => materialize(world, tab, &handle).await,
        99..102 => drop_by_force(world, tab, &handle).await,
        102..104 => work_in_a_temporary_clone(world, tab, &handle).await,
        104..116 => move_one(world, tab, &handle).await,
        _ => match tab.store().refresh().await {
            Err(error) if !is_storage_trouble(&error) => unexpected(world, tab, &error),
            _ => world.see(tab, tab.head()),
        },
    }
}

fn unexpected(world: &World, tab: &Tab, error: &Error) {
    world.violate(Check::Recovery, format!("tab {}: {error}", tab.number));
}

/// A handle on a database that is there, as far as this tab knows.
async fn any_handle(world: &World, tab: &Tab) -> Option<Handle> {
    if !world.random.chance(350) {
        for _ in 0..3 {
            if let Some(found) = handle(world, tab, world.random.pick::<&str>(&CLONES)).await {
                return Some(found);
            }
        }
    }
    handle(world, tab, "main").await
}

async fn maintain(world: &World, tab: &Tab) {
    let store = tab.store();
    let done = if world.random.chance(500) { store.maintain().await } else { store.compact_all().await };
    match done {
        Err(error) if !is_storage_trouble(&error) => unexpected(world, tab, &error),
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
            if !is_gone && !is_storage_trouble(&error) {
                unexpected(world, tab, &error);
            }
            None
        }
        (Err(_), Ok(_)) => unreachable!("BUG: only what was opened is asked"),
    }
}

/// How a call that failed counts, and whether its handle can still be used.
pub fn failed(world: &World, tab: &Tab, handle: &Handle, error: &Error) -> Outcome {
    match error.code() {
        ErrorCode::StorageUnavailable => Outcome::Unknown(error.code()),
        code => {
            if code == ErrorCode::Closed {
                tab.handles.borrow_mut().remove(&handle.identity.name);
            }
            if matches!(code, ErrorCode::StorageCorrupt | ErrorCode::Internal) {
                unexpected(world, tab, error);
            }
            Outcome::Refused(code)
        }
    }
}

async fn write(world: &World, tab: &Tab, handle: &Handle) {
    perform(world, tab, handle, draw_write(world)).await;
}

async fn perform(world: &World, tab: &Tab, handle: &Handle, call: Call) {
    world.report.count("calls");
    let number = world.begin(tab, Act::Call { database: handle.identity.clone(), call: call.clone() });
    let outcome = match handle.database.write(call.op(None), None).await {
        Ok((answer, lsn)) => Outcome::Done { observed: observe(answer).0, lsn: lsn.map(|lsn| lsn.0) },
        Err(error) => failed(world, tab, handle, &error),
    };
    world.end(tab, number, outcome);
}

async fn transaction(world: &Rc<World>, tab: &Tab, handle: &Handle) {
    world.report.count("transactions");
    let random = &world.random;
    let count = random.between(1, 5);
    let script: Vec<Call> =
        (0..count).map(|_| if random.chance(550) { draw_read(world) } else { draw_write(world) }).collect();
    let isolation = if random.chance(150) { Isolation::Snapshot } else { Isolation::Serializable };
    let fails = random.chance(80);
    let act = Act::Transaction { database: handle.identity.clone(), isolation, attempts: Vec::new() };
    let number = world.begin(tab, act);
    let mut runs = 0;
    let body = |open: Rc<offshoot::engine::OpenTransaction>| {
        runs += 1;
        let (world, script) = (world.clone(), script.clone());
        async move {
            world.attempt(number, open.version().0);
            for call in script {
                if world.random.chance(500) {
                    world.executor.sleep(world.random.below(5_000)).await;
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
            if !is_storage_trouble(&error) && !is_its_own {
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

/// One call of a body. What fails for a reason of its own is caught, and the body goes on.
async fn step(world: &World, open: &offshoot::engine::OpenTransaction, call: &Call) -> Result<Observed, Error> {
    let mut rows = Vec::new();
    let mut after: Option<Suffix> = None;
    loop {
        let op = call.op(after.as_ref().map(|after| (after, rows.len())));
        let at_once = if world.random.chance(500) { open.run_now(&op) } else { None };
        let answered = match at_once {
            Some(answered) => answered,
            None => open.run(op).await,
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

async fn read(world: &World, tab: &Tab, handle: &Handle) {
    let call = loop {
        let call = draw_read(world);
        // A list takes several calls, which need a snapshot to be of one moment.
        if !call.is_paged() {
            break call;
        }
    };
    let from = tab.head();
    let op = call.op(None);
    let at_once = if world.random.chance(500) { handle.database.run_now(&op) } else { None };
    let answered = match at_once {
        Some(answered) => answered,
        None => handle.database.run(op, None).await,
    };
    let observed = match answered {
        Ok(answer) => observe(answer).0,
        Err(error) => match failed(world, tab, handle, &error) {
            Outcome::Refused(code) if !is_storage_trouble(&error) => Observed::Failed(code),
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
    let mut rows = Vec::new();
    let mut after: Option<Suffix> = None;
    let observed = loop {
        let op = call.op(after.as_ref().map(|after| (after, rows.len())));
        match snapshot.run(op).await.map(observe) {
            Ok((Observed::Rows(page), next)) => {
                rows.extend(page);
                after = next;
                if after.is_none() || call.is_enough(rows.len()) {
                    break Observed::Rows(rows);
                }
            }
            Ok((observed, _)) => break observed,
            Err(error) if is_storage_trouble(&error) => return,
            Err(error) if error.code() == ErrorCode::HistoryPruned => return pruned(world, tab, identity, snapshot),
            Err(error) => return unexpected(world, tab, &error),
        }
    };
    let version = snapshot.version().0;
    world.reading(tab, identity, Seen::Answer(call, observed), version, version);
}

fn pruned(world: &World, tab: &Tab, identity: &Identity, snapshot: &Snapshot) {
    world.report.count("pruned history");
    world.reading(tab, identity, Seen::Pruned, snapshot.version().0, snapshot.version().0);
}

/// What a snapshot has that its origin, or an older snapshot, has not.
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
            Err(error) if is_storage_trouble(&error) => return,
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
        Err(error) if is_storage_trouble(&error) || error.code() == ErrorCode::Closed => {}
        Err(error) if error.code() == ErrorCode::HistoryPruned => {
            world.report.count("pruned history");
            world.reading(tab, &handle.identity, Seen::Pruned, lsn, lsn);
        }
        Err(error) => unexpected(world, tab, &error),
    }
}

async fn make_clone(world: &World, tab: &Tab, handle: &Handle) {
    let random = &world.random;
    let name = random.pick(&CLONES).to_string();
    let at = random.chance(400).then(|| random.between(1, tab.head()));
    let existing = if random.chance(200) { Existing::Open } else { Existing::Fail };
    let (background, ttl) = (random.chance(200), random.chance(150).then(|| random.below(100)));
    let new = NewClone { name: Some(name.clone()), expires: ttl.is_some(), background };
    let number = world.begin(tab, Act::Clone { origin: handle.identity.clone(), made: new, at, existing });
    let options = CloneOptions { at: at.map(|lsn| When::Version(Lsn(lsn))), existing, ttl, background };
    let made = handle.database.create_clone(Some(DatabaseName::new(&name).expect("a good name")), options).await;
    let outcome = match made {
        Ok(_) => {
            world.report.count("clones");
            if handle.identity.name != "main" {
                world.report.count("clones of clones");
            }
            if at.is_some() {
                world.report.count("clones of the past");
            }
            Outcome::Done { observed: Observed::Nothing, lsn: None }
        }
        Err(error) => failed(world, tab, handle, &error),
    };
    world.end(tab, number, outcome);
}

/// Makes a clone a root of its own; now and then the watcher has seen enough.
async fn materialize(world: &World, tab: &Tab, handle: &Handle) {
    let number = world.begin(tab, Act::Materialize { database: handle.identity.clone() });
    let outcome = match handle.database.materialize(&|_| !world.random.chance(60)).await {
        Ok(_) => {
            world.report.count("materializations");
            Outcome::Done { observed: Observed::Nothing, lsn: None }
        }
        Err(error) => failed(world, tab, handle, &error),
    };
    world.end(tab, number, outcome);
}

/// Makes a clone a root, empties it and drops what nobody reads: a copy that comes late must not bring anything back.
async fn race(world: &World, tab: &Tab, handle: &Handle) {
    world.report.count("races");
    materialize(world, tab, handle).await;
    for shelf in [Shelf::Documents, Shelf::Entries] {
        perform(world, tab, handle, Call::Delete(shelf, IDS.to_vec())).await;
    }
    maintain(world, tab).await;
}

async fn drop_by_force(world: &World, tab: &Tab, handle: &Handle) {
    let number = world.begin(tab, Act::DropByForce { database: handle.identity.clone() });
    let outcome = match handle.database.drop_by_force(&|_| true).await {
        Ok(()) => {
            world.report.count("drops by force");
            Outcome::Done { observed: Observed::Nothing, lsn: None }
        }
        Err(error) => failed(world, tab, handle, &error),
    };
    world.end(tab, number, outcome);
}

/// A clone without a name, which goes with its handle or at the next open.
async fn work_in_a_temporary_clone(world: &Rc<World>, tab: &Rc<Tab>, handle: &Handle) {
    let new = NewClone { name: None, expires: false, background: false };
    let act = Act::Clone { origin: handle.identity.clone(), made: new, at: None, existing: Existing::Fail };
    let number = world.begin(tab, act);
    let made = handle.database.create_clone(None, CloneOptions::default()).await;
    let outcome = match &made {
        Ok(_) => Outcome::Done { observed: Observed::Nothing, lsn: None },
        Err(error) => failed(world, tab, handle, error),
    };
    world.end(tab, number, outcome);
    let Ok(name) = made else { return };
    world.report.count("temporary clones");
    let Some(draft) = self::handle(world, tab, name.as_str()).await else { return };
    write(world, tab, &draft).await;
    read(world, tab, &draft).await;
    if world.random.chance(700) {
        tab.handles.borrow_mut().remove(name.as_str());
        draft.database.leave().await;
        world.see(tab, tab.head());
    }
}

async fn drop_one(world: &World, tab: &Tab, handle: &Handle) {
    let number = world.begin(tab, Act::Drop { database: handle.identity.clone() });
    let outcome = match handle.database.drop_database().await {
        Ok(()) => {
            world.report.count("drops");
            Outcome::Done { observed: Observed::Nothing, lsn: None }
        }
        Err(error) => failed(world, tab, handle, &error),
    };
    world.end(tab, number, outcome);
}

pub async fn lineage(world: &World, tab: &Tab, handle: &Handle) {
    let from = tab.head();
    match handle.database.lineage().await {
        Ok(lineage) => {
            let names = lineage.iter().map(|entry| (entry.name.to_string(), entry.as_of.map(|lsn| lsn.0))).collect();
            world.reading(tab, &handle.identity, Seen::Lineage(names), from, tab.head());
        }
        Err(error) => drop(failed(world, tab, handle, &error)),
    }
}
