//! Leases among those who have one store open. Storage knows best who they are; where it has no locks, the host is
//! asked.

use crate::engine::store::Store;
use crate::platform::Lease;
use crate::storage::Lock;

impl Store {
    /// As `Platform::try_lease`, and as with that: a lease only saves work.
    pub(in crate::engine) async fn try_lease(&self, name: &str) -> Option<Lease> {
        match self.lsm.storage().lock(name).await {
            Lock::Held(held) => Some(Lease::sole(held)),
            Lock::Taken => None,
            Lock::Unavailable => self.platform.try_lease(name).await,
        }
    }
}
