//! Making a clone a root of its own: what it reads below is copied into its layer, and its link is cut.

pub mod copying;
pub mod materialize;
pub mod walk;
