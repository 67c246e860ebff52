//! One test per promise, on the engine itself: each cites the number of SEMANTICS.md that it holds.

mod anomalies;
mod back;
mod clones;
mod damage;
mod diff;
mod documents;
mod entries;
mod fixture;
mod going;
mod history;
mod input;
mod large;
mod log;
mod maintenance;
mod materialize;
mod merge;
mod pages;
mod reads;
mod selection;
mod shapes;
mod space;
mod support;
mod tabs;
mod three_way;
mod transactions;
