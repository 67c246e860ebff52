//! Which calls are made: drawn at random, on few keys, so that tabs meet on them.

use offshoot::engine::op::Condition;

use crate::call::{Call, Content, IDS, Id, Shelf};
use crate::world::World;

/// Two or three of these fill a block.
const BLOCK_PADDING: usize = 13_000;
/// Three of these are over what one stored record holds.
const SPLIT_PADDING: usize = 25_000;
/// Five of these are over what one log record holds.
const BIG_PADDING: usize = 220_000;

fn draw_ids(world: &World) -> Vec<Id> {
    let first = world.random.below(IDS.len() as u64) as usize;
    IDS.into_iter().cycle().skip(first).take(world.random.between(1, 3) as usize).collect()
}

fn draw_shelf(world: &World) -> Shelf {
    if world.random.chance(600) { Shelf::Documents } else { Shelf::Entries }
}

pub fn draw_read(world: &World) -> Call {
    let (random, shelf) = (&world.random, draw_shelf(world));
    match random.below(10) {
        0..4 => Call::Get(shelf, random.pick::<Id>(&IDS)),
        4 => Call::GetMany(shelf, draw_ids(world)),
        5 => Call::Count(shelf),
        6 | 7 => Call::List(shelf),
        8 => Call::First(shelf, random.between(1, 3) as usize),
        _ => Call::Last(random.between(1, 3) as usize),
    }
}

fn draw_rows(world: &World, ids: Vec<Id>) -> Vec<(Id, Content)> {
    let (n, by) = (world.random.below(100) as i64, world.mark());
    ids.into_iter().map(|id| (id, Content { n: Some(n), by: Some(by), padding: 0 })).collect()
}

fn draw_large(world: &World) -> Call {
    let (count, padding) = if world.plan.big && world.random.chance(300) {
        (5, BIG_PADDING)
    } else {
        (3, *world.random.pick(&[BLOCK_PADDING, SPLIT_PADDING]))
    };
    let mut rows = draw_rows(world, IDS[..count].to_vec());
    rows.iter_mut().for_each(|(_, content)| content.padding = padding);
    Call::Put(draw_shelf(world), rows)
}

/// A call that fills a disk.
pub fn draw_filling(world: &World) -> Call {
    let mut rows = draw_rows(world, IDS[..3].to_vec());
    rows.iter_mut().for_each(|(_, content)| content.padding = SPLIT_PADDING);
    Call::Put(draw_shelf(world), rows)
}

pub fn draw_write(world: &World) -> Call {
    let (random, shelf) = (&world.random, draw_shelf(world));
    let id = *random.pick(&IDS);
    if world.plan.large && random.chance(400) || world.plan.reads_much && random.chance(200) {
        return draw_large(world);
    }
    match random.below(100) {
        0..6 => draw_large(world),
        6..24 => Call::Put(shelf, draw_rows(world, draw_ids(world))),
        24..40 => Call::Insert(draw_rows(world, draw_ids(world))),
        40..68 => Call::Change(shelf, id, random.between(1, 9) as i64, world.mark()),
        68..74 => Call::Unset(shelf, id),
        74..82 => {
            let (_, content) = draw_rows(world, vec![id])[0];
            Call::SetIf(id, content, *random.pick(&[Condition::IfAbsent, Condition::IfPresent]))
        }
        _ => Call::Delete(shelf, draw_ids(world)),
    }
}
