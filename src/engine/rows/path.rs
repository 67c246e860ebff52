//! The levels that a snapshot reads, newest first: `draft@57 > main@42`.

use std::fmt;
use std::rc::Rc;

use crate::engine::catalog::{self, Entry, Origin};
use crate::error::Error;
use crate::lsm::{Attempt, TreeView};
use crate::planted::{self, Bug};
use crate::types::{DatabaseName, LayerId, Lsn, limits};

/// A layer at an LSN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Level {
    pub name: DatabaseName,
    pub layer: LayerId,
    pub lsn: Lsn,
    /// The commit that put the layer over the levels below it.
    pub began: Lsn,
}

/// Fixed when it is taken. Empty: the database did not exist at that LSN, and nothing is found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    levels: Rc<[Level]>,
}

impl Path {
    /// The path of `name` at `at`: each link is followed as the catalog was at its own `asOf`.
    pub fn resolve(view: TreeView<'_>, name: &DatabaseName, at: Lsn) -> Attempt<Path> {
        match catalog::find(view, name, at)? {
            Some(entry) => Path::from_entry(view, entry, at),
            None => Ok(Path::nowhere()),
        }
    }

    /// No level at all: nothing is found.
    pub fn nowhere() -> Path {
        Path { levels: Rc::new([]) }
    }

    /// A part of another path.
    pub fn of(levels: &[Level]) -> Path {
        Path { levels: levels.into() }
    }

    /// The path of a database whose row at `at` was read already.
    pub fn from_entry(view: TreeView<'_>, entry: Entry, at: Lsn) -> Attempt<Path> {
        let (layer, began) = (entry.row.layer(), entry.began());
        let mut levels = vec![Level { name: entry.name, layer, lsn: at, began }];
        let mut origin = entry.row.origin;
        while let Some(link) = origin.take() {
            // Since then the rows below were copied into the layer, and what they were copied from may be gone.
            if catalog::is_whole(view, levels[levels.len() - 1].layer)? {
                break;
            }
            if levels.len() > limits::CLONE_DEPTH {
                return Err(Error::corrupt(format!("a clone's links go too deep. name={}", levels[0].name)).into());
            }
            let name = DatabaseName::new(&link.name)?;
            let below = catalog::find(view, &name, Lsn(link.as_of))?.ok_or_else(|| {
                Error::corrupt(format!("a clone's origin is gone. clone={}, origin={name}", levels[0].name))
            })?;
            let lsn = if planted::is(Bug::CloneReadsLiveOrigin) { at } else { Lsn(link.as_of) };
            levels.push(Level { name, layer: below.row.layer(), lsn, began: below.began() });
            origin = below.row.origin;
        }
        Ok(Path { levels: levels.into() })
    }

    /// With the levels below that were copied once, where history still holds them: nothing is read through them, but
    /// they tell where a row came from. True: there were some that it does not hold.
    pub fn with_what_was_copied(&self, view: TreeView<'_>, floor: Lsn) -> Attempt<(Path, bool)> {
        let mut levels: Option<Vec<Level>> = None;
        while let Some(last) = levels.as_deref().unwrap_or(&self.levels).last() {
            let Some((cut, link)) = catalog::whole(view, last.layer)? else { break };
            let Some(Origin { name, as_of }) = link else { break };
            let (name, lsn) = (DatabaseName::new(&name)?, Lsn(as_of));
            // Until the floor has passed the cut they are pinned as before.
            let is_held = cut > floor || lsn >= floor;
            let below = if is_held { catalog::find(view, &name, lsn)? } else { None };
            let all = levels.get_or_insert_with(|| self.levels.to_vec());
            let Some(below) = below.filter(|_| all.len() <= 2 * limits::CLONE_DEPTH) else {
                return Ok((Path::of(all), true));
            };
            all.extend_from_slice(&Path::from_entry(view, below, lsn)?.levels);
        }
        Ok((levels.map_or_else(|| self.clone(), |levels| Path::of(&levels)), false))
    }

    /// The same levels, with the topmost read at `at`: it alone is what others write.
    pub fn at(&self, at: Lsn) -> Path {
        let mut levels = self.levels.to_vec();
        if let Some(top) = levels.first_mut() {
            top.lsn = at;
        }
        Path { levels: levels.into() }
    }

    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    pub fn top(&self) -> Option<&Level> {
        self.levels.first()
    }

    /// The levels below the topmost, where a clone's rows come from.
    pub fn below(&self) -> &[Level] {
        self.levels.get(1..).unwrap_or_default()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, level) in self.levels.iter().enumerate() {
            let arrow = if index == 0 { "" } else { " > " };
            write!(f, "{arrow}{}@{}", level.name, level.lsn)?;
        }
        Ok(())
    }
}
