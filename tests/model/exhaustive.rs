//! All short programs over two keys and three databases: a root, its clone, and the clone's clone.

use std::rc::Rc;

use offshoot::engine::Store;

use serde_json::json;

use crate::model::Model;
use crate::rows::{KEYS, Rows, Write, difference};
use crate::runner::{differences, same};
use crate::support::{self, World, open_in, read, say};

const LINE: [&str; 3] = ["main", "a", "draft"];
/// Places of the two keys among `KEYS`, and of their collection among `DOCUMENTS`.
const PAIR: [usize; 2] = [1, 3];
const TODOS: usize = 1;
const LENGTH: usize = 4;

#[derive(Clone, Debug)]
enum Move {
    Write(&'static str, Write),
    Clone(&'static str, &'static str),
    Drop(&'static str),
}

fn writes(names: &[&'static str]) -> Vec<Move> {
    let mut moves = Vec::new();
    for name in names {
        for key in PAIR {
            moves.push(Move::Write(name, Write::Put(TODOS, key, json!({"n": 1}))));
            moves.push(Move::Write(name, Write::Increment(TODOS, key, 1)));
            moves.push(Move::Write(name, Write::Delete(TODOS, vec![key])));
        }
    }
    moves
}

/// Everything that can be done where only some of the databases are there.
fn moves(model: &Model) -> Vec<Move> {
    let is_there = |name: &&&'static str| model.databases().contains_key(**name);
    let names: Vec<_> = LINE.iter().filter(is_there).copied().collect();
    let mut moves = writes(&names);
    moves.extend(names.iter().filter(|name| **name != "main").map(|name| Move::Drop(name)));
    moves.extend(LINE.windows(2).filter(|pair| names.contains(&pair[0])).map(|pair| Move::Clone(pair[0], pair[1])));
    moves
}

/// The same world with a disk of its own, equal to this one as it is now.
fn fork(world: &World) -> World {
    let fork = world.elsewhere();
    fork.disk.turn_into(&world.disk);
    fork
}

/// A state that some program leads to.
struct Reached {
    world: World,
    model: Model,
}

impl Reached {
    /// Does one more move on a copy, in a tab of its own, and compares all that is there.
    async fn after(&self, step: &Move) -> Reached {
        let (world, mut model) = (fork(&self.world), self.model.clone());
        let tab = world.tab().await;
        match step {
            Move::Write(name, write) => {
                let expected = model.write(name, write);
                same(open_in(&tab, name).await.run(write.op()).await, expected, step);
            }
            Move::Clone(origin, name) => {
                let expected = model.clone_database(origin, name, None);
                let made = open_in(&tab, origin).await.try_clone(name, Default::default()).await;
                same(made.map(drop), expected, step);
            }
            Move::Drop(name) => {
                let expected = model.drop_database(name);
                same(open_in(&tab, name).await.0.drop_database().await, expected, step);
            }
        }
        holds(&tab, &model).await;
        Reached { world, model }
    }
}

async fn holds(tab: &Rc<Store>, model: &Model) {
    for (name, database) in model.databases() {
        let snapshot = open_in(tab, name).await.snapshot().await;
        let rows: &Rows = database.rows();
        let all: Vec<_> = rows.iter().map(|((_, key), value)| json!([key, value])).collect();
        assert_eq!(read(&snapshot, say::find()).await, json!(all), "all of {name}");
        let ids = PAIR.map(|key| KEYS[key]);
        let one_by_one = ids.map(|id| rows.get(&("todos", id.to_string())).map(|value| vec![value]));
        assert_eq!(read(&snapshot, say::get_many(&ids)).await, json!(one_by_one), "{name} one by one");
        if let Some(origin) = &database.origin {
            assert_eq!(
                differences(&snapshot, None).await,
                difference(&origin.content.rows, rows),
                "{name} and its origin"
            );
        }
    }
}

/// Goes through all programs of `LENGTH` moves that begin with one of `first`, and says how many states it saw.
async fn explore(start: Reached, first: &[Move], next: impl Fn(&Model) -> Vec<Move>) -> usize {
    let mut seen = 0;
    let mut frontier = vec![(start, first.to_vec())];
    for length in 1..=LENGTH {
        let mut reached = Vec::new();
        for (state, moves) in frontier {
            for step in &moves {
                let after = state.after(step).await;
                seen += 1;
                if length < LENGTH {
                    let moves = next(&after.model);
                    reached.push((after, moves));
                }
            }
        }
        frontier = reached;
    }
    seen
}

/// A root that has one of the two keys, with as many of its descendants as asked for.
async fn start(world: &World, descendants: usize) -> Reached {
    let put = Write::Put(TODOS, PAIR[0], json!({"n": 0}));
    let mut state = Reached { world: world.elsewhere(), model: Model::new() };
    state.world.tab().await;
    state = state.after(&Move::Write("main", put)).await;
    for pair in LINE.windows(2).take(descendants) {
        state = state.after(&Move::Clone(pair[0], pair[1])).await;
    }
    state
}

fn explore_from(name: &'static str) {
    support::run(async |world| {
        let seen = explore(start(&world, 2).await, &writes(&[name]), |_| writes(&LINE)).await;
        assert_eq!(seen, 6 * (1 + 18 + 18 * 18 + 18 * 18 * 18), "every program was run");
    });
}

/// SEMANTICS R1, R4, W1: all sequences of writes that begin in the root.
#[test]
fn every_short_program_that_begins_in_the_root_keeps_the_three_databases_apart() {
    explore_from("main");
}

/// SEMANTICS R1, R2, W3, W4: all that begin in the clone, whose tombstones lie between the other two.
#[test]
fn every_short_program_that_begins_in_the_clone_keeps_the_three_databases_apart() {
    explore_from("a");
}

/// SEMANTICS R1, R2, W1: all that begin in the clone's clone.
#[test]
fn every_short_program_that_begins_in_the_clones_clone_keeps_the_three_databases_apart() {
    explore_from("draft");
}

/// SEMANTICS R4, C8, C9: all sequences that make and drop the clones on the way.
#[test]
fn every_short_program_that_makes_and_drops_clones_does_what_copies_would() {
    support::run(async |world| {
        let start = start(&world, 0).await;
        let first = moves(&start.model);
        let seen = explore(start, &first, moves).await;
        assert!(seen > 5_000, "many programs were run: {seen}");
    });
}
