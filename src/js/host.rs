//! The host as a `Platform`: its clock, its randomness, its timers, and the channel to the store's other tabs.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_channel::oneshot;
use js_sys::{Date, Function, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{BroadcastChannel, MessageEvent};

use super::clock::Clock;
use super::globals::{field, fill_with_random, function, global, steady_milliseconds};
use super::promise::spawn;
use super::{waits, witness};
use crate::platform::{Lease, Platform};
use crate::storage::LocalFuture;
use crate::types::Lsn;

/// Random numbers are drawn from the host this many at a time: a call costs more than the numbers.
const DRAW: usize = 32;
/// Milliseconds between two messages to the other tabs.
const PAUSE: u64 = 20;

/// Called with the head that another tab tells of.
type Told = Rc<dyn Fn(Lsn)>;

pub struct Host {
    clock: Option<Rc<Clock>>,
    drawn: RefCell<Vec<u64>>,
    /// The name of the store and who hears of its other tabs, where it has any.
    shared: Option<(String, Told)>,
    /// Nobody else can open the store.
    is_alone: bool,
    ends_requests: bool,
    channel: Rc<RefCell<Option<Channel>>>,
    /// The texts of the store's witness, asked for while the store's connection was still being opened.
    early: RefCell<Option<oneshot::Receiver<Option<Vec<String>>>>>,
    /// The newest head while it is being told, or was a moment ago.
    to_tell: Rc<Cell<Option<Lsn>>>,
}

/// True on Cloudflare's runtime, and on hosts that do not say what they are. Node says it since version 21; before, it
/// has a global that others imitate, but none of Cloudflare's.
fn ends_requests() -> bool {
    let agent = global("navigator").and_then(|navigator| field(&navigator, "userAgent")?.as_string());
    let is_cloudflare = global("WebSocketPair").is_some();
    let is_node = || global("process").and_then(|process| field(&field(&process, "versions")?, "node")).is_some();
    is_cloudflare || agent.map_or_else(|| !is_node(), |agent| agent == "Cloudflare-Workers")
}

/// A channel to the other tabs; closed with its engine.
struct Channel {
    channel: BroadcastChannel,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
}

impl Channel {
    fn open(store: &str, told: Told) -> Option<Channel> {
        global("BroadcastChannel")?;
        let channel = BroadcastChannel::new(&format!("offshoot:{store}")).ok()?;
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            if let Some(head) = event.data().as_string().as_deref().and_then(Lsn::from_text) {
                told(head);
            }
        });
        channel.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        // Node goes on as long as somebody listens, unless it is told that this listener waits for nothing.
        if let Some(unref) = function(&channel, "unref") {
            let _ = unref.call0(&channel);
        }
        Some(Channel { channel, _on_message: on_message })
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.channel.set_onmessage(None);
        self.channel.close();
    }
}

impl Host {
    /// `now`: a clock of the user's own; `is_alone`: nobody else can open the store.
    pub fn new(now: Option<Function>, is_alone: bool) -> Host {
        Host {
            clock: now.map(Clock::new),
            is_alone,
            ends_requests: ends_requests(),
            drawn: RefCell::default(),
            shared: None,
            channel: Rc::default(),
            early: RefCell::default(),
            to_tell: Rc::default(),
        }
    }

    /// A host whose store has other tabs, where the host has channels: `told` hears of each new head.
    pub fn shared(self, store: &str, told: impl Fn(Lsn) + 'static) -> Host {
        let (sender, receiver) = oneshot::channel();
        let name = store.to_string();
        spawn(async move {
            let _ = sender.send(witness::read(&name).await);
        });
        let shared = Some((store.to_string(), Rc::new(told) as Told));
        let host = Host { shared, early: RefCell::new(Some(receiver)), ..self };
        host.resume();
        host
    }

    /// Closes the channel: a page that keeps one open is not kept to be shown again.
    pub fn pause(&self) {
        self.channel.take();
    }

    pub fn resume(&self) {
        let Some((store, told)) = &self.shared else { return };
        let is_open = self.channel.borrow().is_some();
        if !is_open {
            self.channel.replace(Channel::open(store, told.clone()));
        }
    }

    fn lease_without_lock(&self) -> Lease {
        if self.is_alone { Lease::sole(()) } else { Lease::shared() }
    }

    /// The name of a lock of this store. A store that only this engine can see is shared with nobody.
    fn lock(&self, name: &str) -> Option<String> {
        self.shared.as_ref().map(|(store, _)| format!("offshoot:{store}:{name}"))
    }
}

/// Resolves the promise that a lock is held by.
struct Release(Function);

impl Drop for Release {
    fn drop(&mut self) {
        let _ = self.0.call0(&JsValue::UNDEFINED);
    }
}

/// A Web Lock, at once or not at all. Where there are none, or none answers in time, everybody has it.
async fn lease(name: String) -> Option<Lease> {
    let free = || Some(Lease::shared());
    let Some(locks) = global("navigator").and_then(|navigator| field(&navigator, "locks")) else { return free() };
    let Some(request) = function(&locks, "request") else { return free() };
    let (sender, receiver) = oneshot::channel();
    let sender = Rc::new(Cell::new(Some(sender)));
    let waiting = sender.clone();
    let granted = Closure::once_into_js(move |lock: JsValue| -> JsValue {
        let mut release = None;
        let held = Promise::new(&mut |resolve, _| release = Some(Release(resolve)));
        // Another tab has it, or nobody waits for it any more: then it is given back as it goes.
        if let Some(sender) = sender.take().filter(|_| !lock.is_falsy()) {
            let _ = sender.send(release);
        }
        held.into()
    });
    let options = js_sys::Object::new();
    let _ = Reflect::set(&options, &"ifAvailable".into(), &JsValue::TRUE);
    let Ok(promise) = request.call3(&locks, &name.into(), &options, &granted) else { return free() };
    let promise = Promise::resolve(&promise);
    spawn(async move {
        // The lock's own promise ends with the lease.
        let _ = JsFuture::from(promise).await;
        drop(waiting.take());
    });
    match waits::within(waits::WAIT, receiver).await {
        Some(granted) => granted.ok().flatten().map(Lease::sole),
        None => free(),
    }
}

impl Platform for Host {
    fn now(&self) -> u64 {
        let own = self.clock.as_ref().and_then(|clock| clock.last());
        own.unwrap_or_else(Date::now).max(0.0) as u64
    }

    /// A clock of the user's own stands for this one, too.
    fn steady(&self) -> u64 {
        if self.clock.is_some() {
            return self.now();
        }
        steady_milliseconds().unwrap_or(0.0) as u64
    }

    fn ends_requests(&self) -> bool {
        self.ends_requests
    }

    fn random(&self) -> u64 {
        if let Some(number) = self.drawn.borrow_mut().pop() {
            return number;
        }
        let mut bytes = [0u8; DRAW * 8];
        assert!(fill_with_random(&mut bytes).is_ok(), "BUG: open() has looked for crypto.getRandomValues");
        let numbers = bytes.chunks_exact(8).map(|chunk| u64::from_le_bytes(chunk.try_into().expect("BUG: eight")));
        let mut drawn = self.drawn.borrow_mut();
        drawn.extend(numbers);
        drawn.pop().expect("BUG: just drawn")
    }

    fn spawn(&self, task: LocalFuture<'static, ()>) {
        spawn(task);
    }

    fn sleep(&self, milliseconds: u64) -> LocalFuture<'static, ()> {
        Box::pin(waits::sleep(milliseconds))
    }

    fn pause(&self) -> LocalFuture<'static, ()> {
        Box::pin(waits::pause())
    }

    fn try_lease(&self, name: &str) -> LocalFuture<'static, Option<Lease>> {
        let (lock, other) = (self.lock(name), self.lease_without_lock());
        Box::pin(async move {
            match lock {
                Some(lock) => lease(lock).await,
                None => Some(other),
            }
        })
    }

    fn testimony(&self) -> LocalFuture<'static, Option<Vec<String>>> {
        let store = self.shared.as_ref().map(|(store, _)| store.clone());
        let early = self.early.take();
        Box::pin(async move {
            match early {
                Some(early) => early.await.ok().flatten(),
                None => witness::read(&store?).await,
            }
        })
    }

    fn testify(&self, add: Vec<String>, strike: Vec<String>) -> LocalFuture<'static, ()> {
        let store = self.shared.as_ref().map(|(store, _)| store.clone());
        Box::pin(async move {
            if let Some(store) = store {
                let _ = witness::write(&store, &add, &strike).await;
            }
        })
    }

    fn announce(&self, head: Lsn) {
        // The first is told at once; of those that follow closely the last is enough, for a message costs almost as
        // much as a commit. A tab that misses one learns at its next commit.
        if self.channel.borrow().is_none() || self.to_tell.replace(Some(head)).is_some() {
            return;
        }
        let (to_tell, channel) = (self.to_tell.clone(), self.channel.clone());
        spawn(async move {
            let mut told = None;
            while to_tell.get() > told {
                told = to_tell.get();
                if let (Some(Channel { channel, .. }), Some(head)) = (&*channel.borrow(), told) {
                    let _ = channel.post_message(&head.to_text().into());
                }
                waits::sleep(PAUSE).await;
            }
            to_tell.set(None);
        });
    }
}
