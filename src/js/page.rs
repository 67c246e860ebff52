//! The events of the page that the engine lives in: it is hidden, put away, and shown again. Workers have none of them.

use wasm_bindgen::prelude::*;

use super::globals::{field, function, global};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PageEvent {
    /// Nobody looks at it; on a phone it may be killed without another word.
    Hidden,
    /// It goes, or is frozen to be shown again: what it holds open stops others.
    Away,
    /// It is back, or looked at again: others may have written meanwhile.
    Back,
}

/// Listens until it is dropped.
pub struct PageEvents {
    listener: Closure<dyn FnMut(JsValue)>,
}

const NAMES: [&str; 4] = ["pagehide", "pageshow", "visibilitychange", "focus"];

impl PageEvents {
    /// `None`: this is no page.
    pub fn listen(told: impl Fn(PageEvent) + 'static) -> Option<PageEvents> {
        let document = global("document")?;
        let listener = Closure::<dyn FnMut(JsValue)>::new(move |event: JsValue| {
            let name = field(&event, "type").and_then(|name| name.as_string()).unwrap_or_default();
            let is_hidden = || field(&document, "visibilityState").is_some_and(|state| state == "hidden");
            told(match &name[..] {
                "pagehide" => PageEvent::Away,
                "visibilitychange" if is_hidden() => PageEvent::Hidden,
                _ => PageEvent::Back,
            });
        });
        let events = PageEvents { listener };
        events.each("addEventListener");
        Some(events)
    }

    fn each(&self, method: &str) {
        let page = js_sys::global();
        if let Some(method) = function(&page, method) {
            for name in NAMES {
                let _ = method.call2(&page, &name.into(), self.listener.as_ref());
            }
        }
    }
}

impl Drop for PageEvents {
    fn drop(&mut self) {
        self.each("removeEventListener");
    }
}
