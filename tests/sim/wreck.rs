//! Records of the log, manifests and blocks are lost or damaged, once all tabs have gone. The store tells of it, or
//! nothing is lost; and a repair opens what is left, and takes writes.

use std::cell::Cell;
use std::rc::Rc;

use offshoot::engine::{OpenOptions, Store, Testimony};
use offshoot::error::{ErrorCode, Result};
use offshoot::storage::{ListRange, MemoryDisk, MemoryStorage, Space};

use crate::call::{Call, Content, IDS, Observed, Shelf};
use crate::executor::WORLD;
use crate::history::{Check, Seen};
use crate::platform::SimulatedPlatform;
use crate::workload::{handle, read_all};
use crate::world::{Tab, World};

/// So often each seed's disk is damaged, from its end state anew.
const WRECKS: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wreck {
    /// A record of the log.
    Log,
    /// The manifest, of which a copy is left.
    Manifest,
    /// The manifest and its copy.
    Both,
    /// Blocks, of which no opening tells.
    Blocks,
}

pub fn wreck(world: &Rc<World>) {
    for tab in world.tabs() {
        world.crash(&tab);
    }
    world.run();
    let (whole, texts) = (world.disk.copied(), world.witness.borrow().clone());
    for _ in 0..WRECKS {
        let disk = whole.copied();
        let Some(wreck) = harm(world, &disk) else { continue };
        world.witness.replace(texts.clone());
        let ended = Rc::new(Cell::new(false));
        let (around, end) = (world.clone(), ended.clone());
        let look = async move {
            look(&around, &disk, wreck).await;
            end.set(true);
        };
        world.executor.spawn(WORLD, Box::pin(look));
        if !world.executor.run() || !ended.get() {
            world.violate(Check::Liveness, format!("what never ends is a look at a store without its {wreck:?}"));
        }
    }
}

/// Damages something; `None`: there is nothing of what was drawn.
fn harm(world: &World, disk: &MemoryDisk) -> Option<Wreck> {
    let random = &world.random;
    let is_lost = random.chance(500);
    let flip = |mut bytes: Vec<u8>| {
        let place = random.below(bytes.len() as u64) as usize;
        bytes[place] ^= 1 << random.below(8);
        (!is_lost).then_some(bytes)
    };
    let wreck = *random.pick(&[Wreck::Log, Wreck::Log, Wreck::Manifest, Wreck::Both, Wreck::Blocks]);
    if wreck == Wreck::Log {
        let log = disk.log(0, usize::MAX);
        if log.is_empty() {
            return None;
        }
        let (number, bytes) = random.pick(&log).clone();
        disk.damage_log(number, flip(bytes));
        return Some(wreck);
    }
    let everything = ListRange { from: None, before: None, limit: usize::MAX };
    if wreck == Wreck::Blocks {
        let blocks = disk.list(Space::Blocks, &everything);
        let (name, bytes) = blocks.get(random.below(blocks.len().max(1) as u64) as usize)?.clone();
        disk.damage(Space::Blocks, &name, flip(bytes));
        return Some(wreck);
    }
    for (name, bytes) in disk.list(Space::Meta, &everything) {
        let is_hit = name.starts_with("manifest/") || wreck == Wreck::Both && name.starts_with("copy/");
        if is_hit {
            disk.damage(Space::Meta, &name, flip(bytes));
        }
    }
    Some(wreck)
}

async fn open(world: &Rc<World>, disk: &MemoryDisk, repair: bool) -> Result<Rc<Store>> {
    let (this, skew) = (Rc::downgrade(world), Rc::default());
    let platform = Rc::new(SimulatedPlatform { world: this, tab: WORLD, skew });
    let storage = Rc::new(MemoryStorage::open(disk));
    Store::open(platform, storage, OpenOptions { repair, ..OpenOptions::default() }).await
}

async fn look(world: &Rc<World>, disk: &MemoryDisk, wreck: Wreck) {
    let texts = world.witness.borrow().iter().cloned().collect();
    let known = Testimony::new(texts).known().iter().map(|known| known.head.0).max().unwrap_or(0);
    let opened = match open(world, disk, wreck == Wreck::Blocks).await {
        Ok(store) => {
            world.report.count("wrecks that cost nothing, or what was not promised");
            let lost = store.stats().await.map_or(0, |stats| stats.lost_commits);
            if store.head().0 + lost < known {
                let what =
                    format!("{known} is known; the store opens at {} and tells that {lost} are lost", store.head());
                world.violate(Check::Durability, what);
            }
            Ok(store)
        }
        Err(error) if error.code() == ErrorCode::StorageCorrupt => {
            world.report.count("wrecks that were told");
            open(world, disk, true).await
        }
        Err(error) => Err(error),
    };
    let looked = match opened {
        Ok(store) if wreck == Wreck::Blocks => write_beside(world, store).await,
        Ok(store) => read_and_write(world, store, wreck).await,
        Err(error) => Err(error),
    };
    if let Err(error) = looked {
        world.violate(Check::Recovery, format!("a store without its {wreck:?}: {error}"));
    }
}

/// Writes to each collection, also where its own row is lost. A write to a clone may need the row that it replaces,
/// and nothing is left of a database whose own row is lost.
async fn write_beside(world: &Rc<World>, store: Rc<Store>) -> Result<()> {
    let databases = match store.databases(false).await {
        Err(error) if error.code() == ErrorCode::StorageCorrupt => return Ok(()),
        databases => databases?,
    };
    for found in databases {
        let database = match store.database(&found.name).await {
            Err(error) if error.code() == ErrorCode::StorageCorrupt => continue,
            database => database?,
        };
        for shelf in [Shelf::Documents, Shelf::Entries] {
            let content = Content { n: None, by: Some(world.mark()), padding: 0 };
            match database.write(Call::Put(shelf, vec![(IDS[0], content)]).op(None), None).await {
                Err(error) if error.code() == ErrorCode::StorageCorrupt && found.origin.is_some() => continue,
                written => drop(written?),
            }
            world.report.count("writes beside lost blocks");
            let (read, _) = crate::call::observe(database.run(Call::Get(shelf, IDS[0]).op(None), None).await?);
            if read != Observed::Value(Some(content)) {
                world.violate(
                    Check::Durability,
                    format!("beside lost blocks {read:?} is read, and {content:?} was put"),
                );
            }
        }
    }
    Ok(())
}

/// Reads the rows that are left, which are those of a state that the store was in: the last one where no commit was
/// lost, and never an older one than that in runs. Then it writes to each collection.
async fn read_and_write(world: &Rc<World>, store: Rc<Store>, wreck: Wreck) -> Result<()> {
    let (last, checkpoint) = world.disk.journal.borrow().ends();
    let from = match wreck {
        Wreck::Manifest | Wreck::Blocks => last,
        Wreck::Log => checkpoint.max(1),
        Wreck::Both => 1,
    };
    let tab = Tab::of(WORLD, store.clone());
    for database in store.databases(false).await? {
        let Some(handle) = handle(world, &tab, database.name.as_str()).await else { continue };
        if wreck != Wreck::Both && handle.identity.created > last {
            let what = format!("a repair without its {wreck:?} makes {database:?} anew", database = database.name);
            world.violate(Check::Durability, what);
        }
        let snapshot = handle.database.snapshot().await?;
        for shelf in [Shelf::Documents, Shelf::Entries] {
            let call = Call::List(shelf);
            let observed = read_all(&snapshot, &call).await?;
            world.reading(&tab, &handle.identity, Seen::Answer(call, observed), from, last);
            let content = Content { n: None, by: Some(world.mark()), padding: 0 };
            handle.database.write(Call::Put(shelf, vec![(IDS[0], content)]).op(None), None).await?;
            let (found, _) = crate::call::observe(handle.database.run(Call::Get(shelf, IDS[0]).op(None), None).await?);
            if found != Observed::Value(Some(content)) {
                world.violate(Check::Durability, format!("a repaired store reads {found:?}, and {content:?} was put"));
            }
        }
    }
    tab.handles.borrow_mut().clear();
    Ok(())
}
