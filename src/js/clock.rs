//! Clocks of the users' own (the option `now`). A clock is code that is not ours, and may itself call the database.
//! So it is read before the engine is entered: by each synchronous call, and before each step of each task. While the
//! engine runs, and holds borrows of its state, it gets the number that was read last.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use js_sys::Function;
use wasm_bindgen::JsValue;

pub struct Clock {
    now: Function,
    /// `None`: the function threw, or gave no number.
    read: Cell<Option<f64>>,
}

thread_local! {
    static CLOCKS: RefCell<Vec<Weak<Clock>>> = const { RefCell::new(Vec::new()) };
    /// A clock that calls the database is not asked again by that call.
    static IS_READING: Cell<bool> = const { Cell::new(false) };
}

impl Clock {
    pub fn new(now: Function) -> Rc<Clock> {
        let clock = Rc::new(Clock { now, read: Cell::default() });
        CLOCKS.with_borrow_mut(|clocks| clocks.push(Rc::downgrade(&clock)));
        read_all();
        clock
    }

    /// Milliseconds since 1970, as last read.
    pub fn last(&self) -> Option<f64> {
        self.read.get()
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        CLOCKS.with_borrow_mut(|clocks| clocks.retain(|clock| clock.strong_count() > 0));
    }
}

/// Reads the clocks of all open stores. Mostly there are none.
pub fn read_all() {
    let clocks: Vec<Rc<Clock>> = CLOCKS.with_borrow(|clocks| clocks.iter().filter_map(Weak::upgrade).collect());
    if clocks.is_empty() || IS_READING.replace(true) {
        return;
    }
    for clock in clocks {
        let now = clock.now.call0(&JsValue::UNDEFINED);
        clock.read.set(now.ok().and_then(|now| now.as_f64()));
    }
    IS_READING.set(false);
}
