//! Connections: opened with patience and a deadline, closed when another tab deletes the store.

use std::cell::Cell;
use std::rc::Rc;

use indexed_db_futures::database::Database;
use indexed_db_futures::error::OpenDbError;
use indexed_db_futures::factory::DBFactory;
use indexed_db_futures::internals::SystemRepr;
use indexed_db_futures::prelude::*;
use wasm_bindgen::prelude::*;

use super::deadline::{self, WAIT};
use super::failure::Failure;
use crate::error::{Error, ErrorCode, Result};
use crate::js::witness;
use crate::storage::Space;

const VERSION: u8 = 1;
/// Pauses between tries to open what the host says cannot be opened.
const PAUSES: [u64; 3] = [100, 400, 1600];

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A store that is not there is made.
    Create,
    /// The store was there before: if it is not now, it was deleted.
    Reopen,
}

pub struct Connection {
    database: Database,
    alive: Rc<Cell<bool>>,
    _on_version_change: Closure<dyn FnMut()>,
    _on_close: Closure<dyn FnMut()>,
}

impl Connection {
    fn new(database: Database, lost: Rc<dyn Fn(Error)>) -> Connection {
        let alive = Rc::new(Cell::new(true));
        let (closing, dying) = (database.clone(), alive.clone());
        let on_version_change = Closure::<dyn FnMut()>::new(move || {
            // The version is 1 for ever, so this is somebody deleting the store: whoever stays open would stop them.
            dying.set(false);
            closing.as_sys().close();
            lost(Error::new(ErrorCode::Closed, "the store was deleted"));
        });
        let dying = alive.clone();
        let on_close = Closure::<dyn FnMut()>::new(move || dying.set(false));
        database.as_sys().set_onversionchange(Some(on_version_change.as_ref().unchecked_ref()));
        database.as_sys().set_onclose(Some(on_close.as_ref().unchecked_ref()));
        Connection { database, alive, _on_version_change: on_version_change, _on_close: on_close }
    }

    pub fn database(&self) -> &Database {
        &self.database
    }

    pub fn is_alive(&self) -> bool {
        self.alive.get()
    }

    /// Gives the connection up. Transactions that run on it come to their own end.
    pub fn bury(&self) {
        self.alive.set(false);
        self.database.as_sys().close();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.database.as_sys().set_onversionchange(None);
        self.database.as_sys().set_onclose(None);
        self.database.as_sys().close();
    }
}

pub async fn open(name: &str, purpose: Purpose, lost: Rc<dyn Fn(Error)>) -> Result<Connection> {
    let mut pauses = PAUSES.iter();
    loop {
        match open_once(name, purpose).await {
            Ok(database) => return Ok(Connection::new(database, lost)),
            Err(failure) if failure.is_deleted() => {
                // Nobody destroyed it, so the host has wiped it.
                let error = match witness::knows(name).await {
                    true => Error::corrupt("the store is gone: the host has lost or removed it"),
                    false => failure.into_error(),
                };
                lost(error.clone());
                return Err(error);
            }
            Err(failure) => match pauses.next() {
                Some(pause) if failure.may_pass() => deadline::sleep(*pause).await,
                _ => return Err(failure.into_error()),
            },
        }
    }
}

async fn open_once(name: &str, purpose: Purpose) -> std::result::Result<Database, Failure> {
    let deleted = Rc::new(Cell::new(false));
    let found_none = deleted.clone();
    let opening = Database::open(database_name(name))
        .with_version(VERSION)
        .with_on_blocked(|_| Ok(()))
        .with_on_upgrade_needed(move |_, database| {
            if purpose == Purpose::Reopen {
                found_none.set(true);
                // Failing here takes the new, empty database back.
                return Err(js_sys::Error::new("the store was deleted").into());
            }
            for space in Space::ALL {
                let is_numbered = space == Space::Log;
                database.create_object_store(space.as_str()).with_auto_increment(is_numbered).build()?;
            }
            Ok(())
        })
        .build()?;
    match deadline::within(WAIT, opening).await {
        Some(Err(_)) if deleted.get() => Err(Failure::deleted()),
        Some(opened) => Ok(opened?),
        // A late answer is dropped with its request, and closed by the host with the page.
        None => Err(Failure::late("opening the store")),
    }
}

/// Deletes the database of this name. Other connections to it are told to close, and have until the deadline.
pub async fn delete(name: &str) -> Result<()> {
    let delete = || -> std::result::Result<_, OpenDbError> { Ok(DBFactory::new()?.delete_db(&database_name(name))?) };
    let deleting = delete().map_err(|error| Failure::from(error).into_error())?;
    match deadline::within(WAIT, deleting).await {
        Some(deleted) => deleted.map_err(|error| Failure::from(error).into_error()),
        None => Err(Failure::late("deleting the store, which another tab holds open,").into_error()),
    }
}

/// Stores have a prefix of their own among the databases of an origin.
fn database_name(store: &str) -> String {
    format!("offshoot/{store}")
}
