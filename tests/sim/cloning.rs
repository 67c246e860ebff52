//! Clones as the actors of a tab make, materialize and drop them.

use std::rc::Rc;

use offshoot::engine::{CloneOptions, Existing, When};
use offshoot::types::{DatabaseName, Lsn};

use crate::call::{Call, IDS, Observed, Shelf};
use crate::history::{Act, NewClone, Outcome, Seen};
use crate::workload::{CLONES, failed, handle as handle_of, maintain, perform, read, write};
use crate::world::{Handle, Tab, World};

pub async fn make_clone(world: &World, tab: &Tab, handle: &Handle) {
    let random = &world.random;
    let name = random.pick(&CLONES).to_string();
    let at = random.chance(400).then(|| random.between(1, tab.head()));
    let existing = if random.chance(200) { Existing::Open } else { Existing::Fail };
    // Over a damaged block a copying in the background begins again and again.
    let is_behind = random.chance(200) && !world.plan.damage;
    let (background, ttl) = (is_behind, random.chance(150).then(|| random.below(100)));
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
pub async fn materialize(world: &World, tab: &Tab, handle: &Handle) {
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
pub async fn race(world: &World, tab: &Tab, handle: &Handle) {
    world.report.count("races");
    materialize(world, tab, handle).await;
    for shelf in [Shelf::Documents, Shelf::Entries] {
        perform(world, tab, handle, Call::Delete(shelf, IDS.to_vec())).await;
    }
    maintain(world, tab).await;
}

pub async fn drop_by_force(world: &World, tab: &Tab, handle: &Handle) {
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
pub async fn work_in_a_temporary_clone(world: &Rc<World>, tab: &Rc<Tab>, handle: &Handle) {
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
    let Some(draft) = handle_of(world, tab, name.as_str()).await else { return };
    write(world, tab, &draft).await;
    read(world, tab, &draft).await;
    if world.random.chance(700) {
        tab.handles.borrow_mut().remove(name.as_str());
        draft.database.leave().await;
        world.see(tab, tab.head());
    }
}

pub async fn drop_one(world: &World, tab: &Tab, handle: &Handle) -> Outcome {
    let number = world.begin(tab, Act::Drop { database: handle.identity.clone() });
    let outcome = match handle.database.drop_database().await {
        Ok(()) => {
            world.report.count("drops");
            Outcome::Done { observed: Observed::Nothing, lsn: None }
        }
        Err(error) => failed(world, tab, handle, &error),
    };
    world.end(tab, number, outcome.clone());
    outcome
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
