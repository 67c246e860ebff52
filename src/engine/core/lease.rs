//! Leases among those who have one store open. Storage knows best who they are; where it has no locks, the host is
//! asked.

use super::Core;
use crate::platform::Lease;
use crate::storage::Lock;

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
        self.kept.borrow().contains_key(name)
    }

    /// Takes the lease and keeps it, unless another engine has it.
    pub async fn keep_lease(&self, name: String) {
        if !self.keeps_lease(&name)
            && let Some(lease) = self.try_lease(&name).await
        {
            self.kept.borrow_mut().insert(name, lease);
        }
    }

    pub fn release_lease(&self, name: &str) {
        let released = self.kept.borrow_mut().remove(name);
        drop(released);
    }
}
