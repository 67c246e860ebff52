//! The engine against a plain model that copies everything when it clones: whatever is done, both answer the same.
//!
//! `SEED=n` replays one case, `CASES=n` runs as many from the first seed on.

mod content;
mod counting;
mod exhaustive;
mod model;
mod moves;
mod moving;
mod program;
mod random;
mod rows;
mod runner;
#[expect(dead_code, reason = "the promises use more of it")]
#[path = "../it/support/mod.rs"]
mod support;
mod three_way;
