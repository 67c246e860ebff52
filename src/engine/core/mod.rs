//! The core of an opened store: the queue of commits and who makes it go on, the read loop, leases, ids.

pub mod ahead;
pub mod id;
pub mod lease;
pub mod pipeline;
pub mod plea;
pub mod pump;
pub mod reading;
