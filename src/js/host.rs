//! The host as a `Platform`: its clock, its randomness, its timers, and the channel to the store's other tabs.

use std::cell::RefCell;

use js_sys::{Date, Function, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{BroadcastChannel, MessageEvent};

use crate::platform::{Lease, Platform};
use crate::storage::LocalFuture;
use crate::types::Lsn;

/// Random numbers are drawn from the host this many at a time: a call costs more than the numbers.
const DRAW: usize = 32;

pub struct Host {
    now: Option<Function>,
    drawn: RefCell<Vec<u64>>,
    channel: Option<Channel>,
    /// The name of the store, where it has other tabs.
    store: Option<String>,
}

/// A channel to the other tabs; closed with its engine.
struct Channel {
    channel: BroadcastChannel,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.channel.set_onmessage(None);
        self.channel.close();
    }
}

impl Host {
    /// `now`: a clock of the user's own.
    pub fn new(now: Option<Function>) -> Host {
        Host { now, drawn: RefCell::default(), channel: None, store: None }
    }

    /// Listens to the other tabs of the store, where the host has channels: `told` hears of each new head.
    pub fn listening(mut self, store: &str, mut told: impl FnMut(Lsn) + 'static) -> Host {
        self.store = Some(store.to_string());
        let is_there = Reflect::has(&js_sys::global(), &"BroadcastChannel".into()).unwrap_or(false);
        if let Some(channel) = is_there.then(|| BroadcastChannel::new(&format!("offshoot:{store}")).ok()).flatten() {
            let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
                if let Some(head) = event.data().as_string().as_deref().and_then(Lsn::from_text) {
                    told(head);
                }
            });
            channel.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
            self.channel = Some(Channel { channel, _on_message: on_message });
        }
        self
    }
}

/// Resolves the promise that a lock is held by.
struct Release(Function);

impl Drop for Release {
    fn drop(&mut self) {
        let _ = self.0.call0(&JsValue::UNDEFINED);
    }
}

/// A Web Lock, if nobody has it. Where there are none, everybody has the lease.
async fn lease(name: String) -> Option<Lease> {
    let field =
        |object: &JsValue, name: &str| Reflect::get(object, &name.into()).ok().filter(|value| !value.is_falsy());
    let free = || Some(Lease(Box::new(())));
    let Some(locks) = field(&js_sys::global(), "navigator").and_then(|navigator| field(&navigator, "locks")) else {
        return free();
    };
    let Some(request) = field(&locks, "request").and_then(|request| request.dyn_into::<Function>().ok()) else {
        return free();
    };
    let (sender, receiver) = futures_channel::oneshot::channel();
    let granted = Closure::once_into_js(move |lock: JsValue| -> JsValue {
        if lock.is_falsy() {
            let _ = sender.send(None);
            return JsValue::UNDEFINED;
        }
        let mut release = None;
        let held = Promise::new(&mut |resolve, _| release = Some(Release(resolve)));
        let _ = sender.send(release);
        held.into()
    });
    let options = js_sys::Object::new();
    let _ = Reflect::set(&options, &"ifAvailable".into(), &JsValue::TRUE);
    match request.call3(&locks, &name.into(), &options, &granted) {
        // The lock's own promise ends with the lease; its failure is that of a page going away.
        Ok(promise) => {
            let ended = Promise::resolve(&promise);
            spawn_local(async move {
                let _ = JsFuture::from(ended).await;
            });
        }
        Err(_) => return free(),
    }
    receiver.await.ok().flatten().map(|release| Lease(Box::new(release)))
}

impl Platform for Host {
    fn now(&self) -> u64 {
        let own = self.now.as_ref().and_then(|now| now.call0(&JsValue::UNDEFINED).ok()).and_then(|now| now.as_f64());
        own.unwrap_or_else(Date::now).max(0.0) as u64
    }

    fn random(&self) -> u64 {
        let mut drawn = self.drawn.borrow_mut();
        if drawn.is_empty() {
            let mut bytes = [0u8; DRAW * 8];
            #[allow(clippy::disallowed_methods, reason = "this is the Platform that everybody else asks")]
            getrandom::fill(&mut bytes).expect("BUG: every host has crypto.getRandomValues");
            drawn.extend(bytes.chunks_exact(8).map(|chunk| u64::from_le_bytes(chunk.try_into().expect("BUG: eight"))));
        }
        drawn.pop().expect("BUG: just drawn")
    }

    fn spawn(&self, task: LocalFuture<'static, ()>) {
        spawn_local(task);
    }

    fn sleep(&self, milliseconds: u64) -> LocalFuture<'static, ()> {
        Box::pin(async move {
            let timer = Promise::new(&mut |resolve, _| {
                let set = Reflect::get(&js_sys::global(), &"setTimeout".into()).unwrap_or_default();
                if let Some(set) = set.dyn_ref::<Function>() {
                    let _ = set.call2(&JsValue::UNDEFINED, &resolve, &JsValue::from_f64(milliseconds as f64));
                }
            });
            let _ = JsFuture::from(timer).await;
        })
    }

    fn try_lease(&self, name: &str) -> LocalFuture<'static, Option<Lease>> {
        // A store that only this engine can see is shared with nobody.
        let lock = self.store.as_ref().map(|store| format!("offshoot:{store}:{name}"));
        Box::pin(async move {
            match lock {
                Some(lock) => lease(lock).await,
                None => Some(Lease(Box::new(()))),
            }
        })
    }

    fn announce(&self, head: Lsn) {
        if let Some(Channel { channel, .. }) = &self.channel {
            // A hint: a tab that misses it learns at its next commit.
            let _ = channel.post_message(&head.to_text().into());
        }
    }
}
