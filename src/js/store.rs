//! Opening and destroying stores.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::task::Poll;

use js_sys::Promise;
use wasm_bindgen::prelude::*;

use super::backend::Backend;
use super::error::to_js;
use super::host::Host;
use super::indexeddb::{self, IndexedDb};
use super::options::{self, JsResult, Where};
use super::page::{PageEvent, PageEvents};
use super::promise::{boxed, spawn};
use super::report;
use super::scope::Scope;
use super::witness;
use crate::engine;
use crate::error::{Error, ErrorCode};
use crate::storage::{MemoryDisk, MemoryStorage, Storage};
use crate::types::{DatabaseName, Lsn};

#[wasm_bindgen]
pub struct Store {
    engine: Rc<engine::Store>,
    mode: &'static str,
    host: Rc<Host>,
    page: RefCell<Option<PageEvents>>,
}

/// Where those who listen for other tabs and for lost connections find the engine, once it is there.
type Later = Rc<RefCell<Weak<engine::Store>>>;

#[wasm_bindgen]
impl Store {
    pub fn open(name: String, options: JsValue) -> JsResult<Promise> {
        let place = options::place(&options)?;
        let open = options::open(options)?;
        Ok(boxed(async move {
            let later: Later = Rc::default();
            let mut host = Host::new(open.now, matches!(place, Where::Memory));
            let mut indexed = None;
            let (storage, mode): (Rc<dyn Storage>, _) = match place {
                Where::Memory => (Rc::new(MemoryStorage::open(&MemoryDisk::new())), "memory"),
                Where::Custom(backend) => (Rc::new(Backend::new(backend)?), "custom"),
                Where::IndexedDb => {
                    let lost = close_later(later.clone());
                    let mut opening = pin!(IndexedDb::open(&name, lost));
                    // The request goes out first: while the host works on it the rest is made ready.
                    let opened = poll_fn(|context| Poll::Ready(opening.as_mut().poll(context))).await;
                    host = listen(host, &name, later.clone());
                    let opened = match opened {
                        Poll::Ready(opened) => opened,
                        Poll::Pending => opening.await,
                    };
                    let storage = Rc::new(opened.map_err(indexeddb::Failure::into_js)?);
                    indexed = Some(storage.clone());
                    (storage, "indexeddb")
                }
            };
            let host = Rc::new(host);
            let opened = engine::Store::open(host.clone(), storage.clone(), open.engine).await;
            match opened {
                Ok(engine) => {
                    later.replace(Rc::downgrade(&engine));
                    let page = indexed.and_then(|storage| follow_page(host.clone(), storage, later));
                    Ok(Store { engine, mode, host, page: RefCell::new(page) }.into())
                }
                Err(error) => {
                    let _ = storage.close().await;
                    Err(to_js(&error))
                }
            }
        }))
    }

    pub fn destroy(name: String, options: JsValue) -> JsResult<Promise> {
        let place = options::place(&options)?;
        Ok(boxed(async move {
            match place {
                // A store in memory goes with its last handle, which its owner has closed.
                Where::Memory => {}
                Where::Custom(backend) => Backend::new(backend)?.erase().await.map_err(|error| to_js(&error))?,
                Where::IndexedDb => {
                    // Marked first: whoever finds nothing from here on knows why.
                    let old = witness::destroying(&name).await;
                    indexeddb::delete(&name).await.map_err(|error| to_js(&error))?;
                    let _ = witness::write(&name, &[], &old).await;
                }
            }
            Ok(JsValue::UNDEFINED)
        }))
    }

    pub fn storage_mode(&self) -> String {
        self.mode.to_string()
    }

    pub fn database(&self, name: String) -> JsResult<Promise> {
        let name = DatabaseName::new(&name).map_err(|error| to_js(&error))?;
        let engine = self.engine.clone();
        Ok(boxed(async move {
            let database = engine.database(&name).await.map_err(|error| to_js(&error))?;
            Ok(Scope::live(database).into())
        }))
    }

    pub fn databases(&self, sizes: bool) -> Promise {
        let engine = self.engine.clone();
        boxed(async move {
            let infos = engine.databases(sizes).await.map_err(|error| to_js(&error))?;
            Ok(report::databases(&infos))
        })
    }

    pub fn stats(&self) -> Promise {
        let engine = self.engine.clone();
        boxed(async move {
            let stats = engine.stats().await.map_err(|error| to_js(&error))?;
            Ok(report::stats(&stats))
        })
    }

    /// Gives back the room of versions that nobody can read.
    pub fn compact(&self) -> Promise {
        let engine = self.engine.clone();
        boxed(async move {
            engine.compact_all().await.map_err(|error| to_js(&error))?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// The last handle was closed.
    pub fn close(&self) -> Promise {
        let engine = self.engine.clone();
        self.page.take();
        // Nothing is to be heard from others any more, and an open channel keeps a process of Node's alive.
        self.host.pause();
        boxed(async move {
            engine.witness_now().await;
            let why = Error::new(ErrorCode::Closed, "the store is closed");
            engine.close(why).await.map_err(|error| to_js(&error))?;
            Ok(JsValue::UNDEFINED)
        })
    }
}

/// The function that a connection calls when it is taken away for good: the store was deleted, here or in another tab.
fn close_later(later: Later) -> Box<dyn Fn(Error)> {
    Box::new(move |error| {
        if let Some(engine) = later.borrow().upgrade() {
            spawn(async move {
                let _ = engine.abandon(error).await;
            });
        }
    })
}

/// Takes in the commits that other tabs tell of.
fn listen(host: Host, name: &str, later: Later) -> Host {
    host.shared(name, move |head| {
        let engine = later.borrow().upgrade();
        if let Some(engine) = engine {
            spawn(async move {
                // A hint that fails is no harm: the next read looks again.
                let _ = engine.hear(head).await;
            });
        }
    })
}

/// A page that goes holds nothing open, and one that comes back looks at the commits of others.
fn follow_page(host: Rc<Host>, storage: Rc<IndexedDb>, later: Later) -> Option<PageEvents> {
    PageEvents::listen(move |event| {
        let Some(engine) = later.borrow().upgrade() else { return };
        match event {
            PageEvent::Away => {
                host.pause();
                storage.pause();
                // Nothing is heard from now on. If the page comes back, its first read looks, whoever reads first.
                engine.look_before_reading();
                spawn(async move { engine.testify_now().await });
            }
            PageEvent::Hidden => spawn(async move { engine.witness_now().await }),
            PageEvent::Back => {
                host.resume();
                // Reads from here on wait for this look. An error of the look is told to the next read.
                engine.look_before_reading();
                spawn(async move { drop(engine.hear(Lsn::ZERO).await) });
            }
        }
    })
}
