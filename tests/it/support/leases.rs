//! Leases among the tabs of one world.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use offshoot::platform::Lease;

#[derive(Default)]
pub struct Leases {
    held: RefCell<BTreeMap<String, u64>>,
    taken: RefCell<u64>,
    /// The host cannot tell who has one.
    pub are_shared: Cell<bool>,
}

struct Held {
    leases: Rc<Leases>,
    name: String,
    number: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.leases.held.borrow_mut();
        if held.get(&self.name) == Some(&self.number) {
            held.remove(&self.name);
        }
    }
}

impl Leases {
    pub fn take(self: &Rc<Leases>, name: &str) -> Option<Lease> {
        if self.are_shared.get() {
            return Some(Lease::shared());
        }
        if self.held.borrow().contains_key(name) {
            return None;
        }
        let number = self.taken.replace_with(|taken| *taken + 1);
        self.held.borrow_mut().insert(name.to_string(), number);
        Some(Lease::sole(Held { leases: self.clone(), name: name.to_string(), number }))
    }

    /// The tabs that are open have died: the leases that they held are free.
    pub fn forget(&self) {
        self.held.borrow_mut().clear();
    }

    pub fn is_held(&self, beginning: &str) -> bool {
        self.held.borrow().keys().any(|name| name.starts_with(beginning))
    }
}
