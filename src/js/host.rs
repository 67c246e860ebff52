//! The host as a `Platform`: its clock, its randomness, its timers, and the channel to the store's other tabs.

use std::cell::RefCell;

use js_sys::{Date, Function, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{BroadcastChannel, MessageEvent};

use crate::platform::Platform;
use crate::storage::LocalFuture;
use crate::types::Lsn;

/// Random numbers are drawn from the host this many at a time: a call costs more than the numbers.
const DRAW: usize = 32;

pub struct Host {
    now: Option<Function>,
    drawn: RefCell<Vec<u64>>,
    channel: Option<Channel>,
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
        Host { now, drawn: RefCell::default(), channel: None }
    }

    /// Listens to the other tabs of the store, where the host has channels: `told` hears of each new head.
    pub fn listening(mut self, store: &str, mut told: impl FnMut(Lsn) + 'static) -> Host {
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

impl Platform for Host {
    fn now(&self) -> u64 {
        let own = self.now.as_ref().and_then(|now| now.call0(&JsValue::UNDEFINED).ok()).and_then(|now| now.as_f64());
        own.unwrap_or_else(Date::now).max(0.0) as u64
    }

    fn random(&self) -> u64 {
        let mut drawn = self.drawn.borrow_mut();
        if drawn.is_empty() {
            let mut bytes = [0u8; DRAW * 8];
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

    fn announce(&self, head: Lsn) {
        if let Some(Channel { channel, .. }) = &self.channel {
            // A hint: a tab that misses it learns at its next commit.
            let _ = channel.post_message(&head.to_text().into());
        }
    }
}
