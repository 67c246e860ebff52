//! The LSNs that open snapshots and transactions read at: this engine's own vacuum spares their versions.

use std::cell::RefCell;
use std::rc::Rc;

use crate::types::Lsn;

/// The LSNs that are held, in no order.
#[derive(Clone, Default)]
pub struct Holds(Rc<RefCell<Vec<Lsn>>>);

/// One LSN, held until this is dropped.
pub struct Hold {
    holds: Holds,
    lsn: Lsn,
}

impl Holds {
    pub fn hold(&self, lsn: Lsn) -> Hold {
        self.0.borrow_mut().push(lsn);
        Hold { holds: self.clone(), lsn }
    }

    pub fn oldest(&self) -> Option<Lsn> {
        self.0.borrow().iter().min().copied()
    }
}

impl Hold {
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.holds.0.borrow_mut();
        let place = held.iter().rposition(|lsn| *lsn == self.lsn).expect("BUG: what is held is noted");
        held.swap_remove(place);
    }
}
