//! The rows that a snapshot sees: its path of levels, reading over it, and which rows were written between two LSNs.

pub mod collections;
pub mod path;
pub mod read;
pub mod written;
