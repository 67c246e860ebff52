//! MongoDB's update language on MessagePack bytes. What an update does not name keeps its bytes exactly.
//!
//! It does not know: storage, databases, collections. A document here is a map of texts to values.

mod edit;
mod update;

pub use edit::{edit, field};
pub use update::{Update, apply};
