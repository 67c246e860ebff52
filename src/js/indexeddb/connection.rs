//! Connections: opened with patience and a deadline, closed when another tab deletes the store.

use std::cell::{Cell, RefCell};
use std::future::IntoFuture;
use std::rc::Rc;

use indexed_db_futures::database::Database;
use indexed_db_futures::error::OpenDbError;
use indexed_db_futures::factory::DBFactory;
use indexed_db_futures::internals::SystemRepr;
use indexed_db_futures::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::{IdbDatabase, IdbObjectStoreParameters, IdbOpenDbRequest, IdbVersionChangeEvent};

use super::failure::Failure;
use crate::error::{Error, ErrorCode, Result};
use crate::js::globals::{function, global};
use crate::js::promise::spawn;
use crate::js::{waits, witness};
use crate::storage::Space;

const VERSION: u8 = 1;
/// Pauses between tries to open what the host says cannot be opened.
const PAUSES: [u64; 3] = [100, 400, 1600];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// A store that is not there is made.
    Create,
    /// The store was there before: if it is not now, it was deleted.
    Reopen,
}

pub struct Connection {
    database: Database,
    alive: Rc<Cell<bool>>,
    _on_version_change: Closure<dyn FnMut(IdbVersionChangeEvent)>,
    _on_close: Closure<dyn FnMut()>,
}

impl Connection {
    fn new(database: Database, lost: Rc<dyn Fn(Error)>) -> Connection {
        let alive = Rc::new(Cell::new(true));
        let (closing, dying) = (database.clone(), alive.clone());
        let on_version_change =
            Closure::<dyn FnMut(IdbVersionChangeEvent)>::new(move |event: IdbVersionChangeEvent| {
                // Somebody deletes the store or raises its version, and whoever stays open would stop them.
                dying.set(false);
                closing.as_sys().close();
                lost(match event.new_version() {
                    None => Error::new(ErrorCode::Closed, "the store was deleted"),
                    Some(_) => {
                        Error::new(ErrorCode::FormatTooNew, "a newer Offshoot has opened the store in another tab")
                    }
                });
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

/// Opens the database of this name, making it if there is none.
pub async fn open(name: &str, lost: Rc<dyn Fn(Error)>) -> std::result::Result<Connection, Failure> {
    Ok(Connection::new(patiently(name, Purpose::Create).await?, lost))
}

/// Opens the database of this name again. `lost` is told if it is there no more.
pub async fn reopen(name: &str, lost: Rc<dyn Fn(Error)>) -> Result<Connection> {
    match patiently(name, Purpose::Reopen).await {
        Ok(database) => Ok(Connection::new(database, lost)),
        Err(failure) if failure.is_deleted() => {
            // Nobody destroyed it, so the host has wiped it.
            let error = match witness::knows(name).await {
                true => Error::corrupt("the store is gone: the host has lost or removed it"),
                false => failure.into_error(),
            };
            lost(error.clone());
            Err(error)
        }
        Err(failure) => Err(failure.into_error()),
    }
}

async fn patiently(name: &str, purpose: Purpose) -> std::result::Result<Database, Failure> {
    let mut pauses = PAUSES.iter();
    loop {
        match open_once(name, purpose).await {
            Err(failure) if failure.may_pass() => match pauses.next() {
                Some(pause) => waits::sleep(*pause).await,
                None => return Err(failure),
            },
            outcome => return outcome,
        }
    }
}

async fn open_once(name: &str, purpose: Purpose) -> std::result::Result<Database, Failure> {
    let opening = match Database::open(database_name(name)).with_version(VERSION).build() {
        // The library's word for whatever `indexedDB.open` threw.
        Err(OpenDbError::VersionZero) => return Err(refusal(name)),
        opening => opening?,
    };
    let making = Making::within(opening.as_sys(), purpose);
    let mut opening = Box::pin(opening.into_future());
    match waits::within(waits::WAIT, &mut opening).await {
        Some(Err(error)) => Err(making.failure.take().unwrap_or_else(|| error.into())),
        Some(Ok(opened)) => Ok(opened),
        None => {
            // Without its listener a late request would make a database that has no object stores, and would keep a
            // connection that stops every deletion.
            spawn(async move {
                if let Ok(late) = opening.await {
                    late.close();
                }
                drop(making);
            });
            Err(Failure::late("opening the store"))
        }
    }
}

/// Listens for a request to open a database that finds none, and makes the database. The library's own listener would
/// bring the text of all of the library's errors: some of them show numbers, and the code that writes those in decimal
/// is 12 KB.
struct Making {
    request: IdbOpenDbRequest,
    /// The reason why the database was not made.
    failure: Rc<RefCell<Option<Failure>>>,
    _on_upgrade_needed: Closure<dyn FnMut()>,
}

impl Making {
    fn within(request: &IdbOpenDbRequest, purpose: Purpose) -> Making {
        let failure = Rc::new(RefCell::new(None));
        let (new, failed) = (request.clone(), failure.clone());
        let on_upgrade_needed = Closure::<dyn FnMut()>::new(move || {
            let made = match purpose {
                Purpose::Create => make_object_stores(&new).map_err(Failure::of_thrown),
                Purpose::Reopen => Err(Failure::deleted()),
            };
            if let Err(reason) = made {
                failed.replace(Some(reason));
                // Takes the new, empty database back. An error thrown here would do so too, but would also be an
                // uncaught error of the page.
                let _ = new.transaction().map(|transaction| transaction.abort());
            }
        });
        request.set_onupgradeneeded(Some(on_upgrade_needed.as_ref().unchecked_ref()));
        Making { request: request.clone(), failure, _on_upgrade_needed: on_upgrade_needed }
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        self.request.set_onupgradeneeded(None);
    }
}

fn make_object_stores(request: &IdbOpenDbRequest) -> std::result::Result<(), JsValue> {
    let database: IdbDatabase = request.result()?.unchecked_into();
    for space in Space::ALL {
        let parameters = IdbObjectStoreParameters::new();
        parameters.set_auto_increment(space == Space::Log);
        database.create_object_store_with_optional_parameters(space.as_str(), &parameters)?;
    }
    Ok(())
}

/// Why the host refuses to open anything at all, as it does in a frame without an origin of its own: asked once more,
/// it throws the same.
fn refusal(name: &str) -> Failure {
    let open =
        || function(&global("indexedDB")?, "open")?.call1(&global("indexedDB")?, &database_name(name).into()).err();
    Failure::of_thrown(open().unwrap_or_default())
}

/// Deletes the database of this name. Other connections to it are told to close, and have until the deadline.
pub async fn delete(name: &str) -> Result<()> {
    let delete = || -> std::result::Result<_, OpenDbError> { Ok(DBFactory::new()?.delete_db(&database_name(name))?) };
    let deleting = delete().map_err(|error| Failure::from(error).into_error())?;
    match waits::within(waits::WAIT, deleting).await {
        Some(deleted) => deleted.map_err(|error| Failure::from(error).into_error()),
        None => Err(Failure::late("deleting the store, which another tab holds open,").into_error()),
    }
}

/// Stores have a prefix of their own among the databases of an origin.
fn database_name(store: &str) -> String {
    format!("offshoot/{store}")
}
