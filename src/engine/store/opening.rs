//! Opening: the store is compared with the texts of its witness.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::{OpenOptions, Store, repair};
use crate::engine::catalog::{self, DatabaseRow};
use crate::engine::clones::clone::draw_layer;
use crate::engine::core::{Core, Listener};
use crate::engine::door::Effects;
use crate::engine::transact::claim::Claims;
use crate::engine::upkeep::{Upkeep, retain};
use crate::engine::witness::{Testimony, Witness};
use crate::error::{ErrorCode, Result};
use crate::lsm::{Commit, Lsm, Opening};
use crate::platform::Platform;
use crate::storage::Storage;
use crate::types::{DatabaseName, Lsn};

impl Store {
    /// Opens the store that is on `storage`, or makes one with its root database `main`.
    pub async fn open(platform: Rc<dyn Platform>, storage: Rc<dyn Storage>, options: OpenOptions) -> Result<Rc<Store>> {
        let opened_at = (platform.now(), platform.steady());
        let (lsm, testimony) = open_witnessed(&*platform, storage, &options).await?;
        let core = Rc::new(Core::new(platform, lsm, options.durability, opened_at));
        let store = Rc::new(Store {
            witness: Rc::new(Witness::new(core.clone())),
            upkeep: Rc::new(Upkeep::new(core.clone())),
            claims: Rc::new(Claims::new(core.clone())),
            core,
            handles: RefCell::default(),
            seen_catalog: Cell::new(Lsn::ZERO),
        });
        let listener: Rc<dyn Listener> = store.clone();
        store.core.set_listener(Rc::downgrade(&listener));
        // Read first: a loss is told once, and an opening that failed behind that would keep it from everybody.
        let retain = match options.retain {
            Some(retain) if retain::retain(&store.core).await? != retain => Some(retain),
            _ => None,
        };
        if let Some(testimony) = testimony {
            store.witness.meet(&testimony, options.repair).await?;
        }
        if let Some(retain) = retain {
            retain::set_retain(&store.core, retain).await?;
        }
        if options.repair {
            repair::restore_collections(&store.core).await?;
        }
        store.witness.loss_is_told().await;
        store.upkeep.look_after_soon();
        Ok(store)
    }
}

/// Opens the store, or makes it where nothing says that there was one.
async fn open_witnessed(
    platform: &dyn Platform,
    storage: Rc<dyn Storage>,
    options: &OpenOptions,
) -> Result<(Lsm, Option<Testimony>)> {
    let mut opening = Opening {
        hot_row: catalog::database_row(&DatabaseName::main()),
        store: platform.random(),
        genesis: genesis(platform)?,
        cache_bytes: options.cache_bytes,
        may_create: true,
        repair: options.repair.then_some(Lsn::ZERO),
    };
    if !options.repair {
        // The store is read while the witness is asked: both take their time, and they nearly always agree. A new
        // store, or one in doubt, is looked at once more below, in the order that makes it certain.
        opening.may_create = false;
        if let Ok(lsm) = Lsm::open(storage.clone(), &opening).await {
            let testimony = platform.testimony().await.map(Testimony::new);
            if testimony.as_ref().is_none_or(|testimony| lsm.with(|state| testimony.check(state)) == Ok(0)) {
                return Ok((lsm, testimony));
            }
        }
    }
    let mut looked_again = false;
    loop {
        // The texts of the witness are read first and the store after them: so the store, if it is whole, has all
        // commits that the texts tell of.
        let testimony = platform.testimony().await.map(Testimony::new);
        let known = testimony.as_ref().map(Testimony::known).unwrap_or_default();
        opening.may_create = known.is_empty();
        if options.repair {
            opening.repair = Some(known.iter().map(|known| known.head).max().unwrap_or(Lsn::ZERO));
        }
        let opened = Lsm::open(storage.clone(), &opening).await;
        let is_told = match (&opened, &testimony) {
            (Ok(lsm), Some(testimony)) => lsm.with(|state| testimony.check(state)).is_err(),
            (Ok(_), None) => false,
            (Err(error), _) => error.code() == ErrorCode::StorageCorrupt && !known.is_empty(),
        };
        // The store may have been destroyed between the two looks: its witness says so by now.
        if is_told && !std::mem::replace(&mut looked_again, true) {
            continue;
        }
        return Ok((opened?, testimony));
    }
}

/// The first commit of every store: its root database.
fn genesis(platform: &dyn Platform) -> Result<Commit> {
    let now = platform.now();
    let main = DatabaseRow {
        id: platform.random(),
        layer: draw_layer(platform).0,
        origin: None,
        created: None,
        created_at: now,
        materialized: false,
        expires_at: None,
        parked: false,
        background: false,
        restored: 0,
        began: None,
        copied_from: None,
        temporary: false,
    };
    let effects = Effects::of_catalog(catalog::database_row(&DatabaseName::main()), &main.encode());
    let touches_catalog = effects.touches_catalog();
    let changes = effects.into_parts().changes.into_iter().collect();
    Ok(Commit { id: platform.random(), time: now, changes, touches_catalog, ..Commit::default() })
}
