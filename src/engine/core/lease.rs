//! Leases among those who have one store open. Storage knows best who they are; where it has no locks, the host is
//! asked.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::Core;
use crate::platform::Lease;
use crate::storage::Lock;

/// Leases that are held for as long as this engine lives, or until they are released, by their names.
#[derive(Default)]
pub struct Kept(RefCell<BTreeMap<String, Lease>>);

impl Core {
    /// As `Platform::try_lease`, and as with that: a lease only saves work.
    pub async fn try_lease(&self, name: &str) -> Option<Lease> {
        match self.lsm.storage().lock(name).await {
            Lock::Held(held) => Some(Lease::sole(held)),
            Lock::Taken => None,
            Lock::Unavailable => self.platform.try_lease(name).await,
        }
    }

    pub fn keeps_lease(&self, name: &str) -> bool {
        self.kept.0.borrow().contains_key(name)
    }

    /// Takes the lease and keeps it, unless another engine has it.
    pub async fn keep_lease(&self, name: String) {
        if !self.keeps_lease(&name)
            && let Some(lease) = self.try_lease(&name).await
        {
            self.kept.0.borrow_mut().insert(name, lease);
        }
    }

    pub fn release_lease(&self, name: &str) {
        let released = self.kept.0.borrow_mut().remove(name);
        drop(released);
    }
}
