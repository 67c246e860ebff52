//! One test per promise, on the engine itself: each cites the number of SEMANTICS.md that it holds.

mod clones;
mod documents;
mod entries;
mod history;
mod support;
mod tabs;
mod transactions;
