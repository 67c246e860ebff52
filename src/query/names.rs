//! Names in their order, so that each is found in a logarithm's steps: of the fields of a map, and of dotted paths.

use crate::error::Result;
use crate::types::pack::Reader;
use crate::types::sort::sort_places;
use crate::types::work;
use std::cell::{Cell, OnceCell};
use std::cmp::Ordering;

/// Up to so many names are looked through one by one: sorting them would cost more.
const FEW: usize = 12;

fn compare(one: &str, other: &str) -> Ordering {
    work::count();
    one.cmp(other)
}

/// Sorts places by the names that stand there, equal ones by place.
fn sort<'a>(places: &mut [u32], name: &dyn Fn(u32) -> &'a str) {
    sort_places(places, &|one, other| compare(name(one as u32), name(other as u32)));
}

/// Sorts places by the names that stand there, and gives a name that is there twice.
pub fn twice<'a>(places: &mut [u32], name: &dyn Fn(u32) -> &'a str) -> Option<&'a str> {
    sort(places, name);
    places.windows(2).find(|pair| name(pair[0]) == name(pair[1])).map(|pair| name(pair[0]))
}

/// Names in a list, found by their order.
#[derive(Clone, Default, Debug)]
pub struct Names<'a> {
    list: Vec<&'a str>,
    /// Their places in the list, sorted by name, equal ones by place.
    sorted: Vec<u32>,
}

impl<'a> Names<'a> {
    pub fn of(names: &mut dyn Iterator<Item = &'a str>) -> Names<'a> {
        let list: Vec<&str> = names.collect();
        let mut sorted: Vec<u32> = (0..list.len() as u32).collect();
        sort(&mut sorted, &|place| list[place as usize]);
        Names { list, sorted }
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The first name in order that is not less, and its place.
    fn least(&self, from: &str) -> Option<(&'a str, usize)> {
        let name = |place: u32| self.list[place as usize];
        let at = self.sorted.partition_point(|place| compare(name(*place), from) == Ordering::Less);
        self.sorted.get(at).map(|place| (name(*place), *place as usize))
    }

    /// The first place of a name.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.least(name).filter(|(found, _)| *found == name).map(|(_, place)| place)
    }

    pub fn has(&self, name: &str) -> bool {
        self.place(name).is_some()
    }

    /// The places in the order of the names.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        self.sorted.iter().map(|place| *place as usize)
    }

    /// True if one of these dotted paths is `path`, lies inside it, or has it inside.
    pub fn meets(&self, path: &str) -> bool {
        meets_any(path, &|from| Some(self.least(from)?.0))
    }
}

/// True if one of some dotted paths is `path`, lies inside it, or has it inside. `least` gives the first of them, in
/// the order of their bytes, that is not less than a text.
pub fn meets_any<'a>(path: &str, least: &dyn Fn(&str) -> Option<&'a str>) -> bool {
    let inside = format!("{path}.");
    let outer = path.match_indices('.').map(|(end, _)| &path[..end]);
    outer.chain([path]).any(|whole| least(whole) == Some(whole))
        || least(&inside).is_some_and(|found| found.starts_with(&inside))
}

/// The fields of a map. They are looked up by name, mostly in the order in which they stand.
pub struct Fields<'a> {
    pub list: Vec<(&'a str, &'a [u8])>,
    /// Where the next one that is asked for probably stands.
    next: Cell<usize>,
    names: OnceCell<Names<'a>>,
}

impl<'a> Fields<'a> {
    /// Room is made for the fields that are there, not for as many as the map says.
    pub fn read(map: &'a [u8]) -> Result<Fields<'a>> {
        let mut reader = Reader::new(map);
        let count = reader.map()?;
        let mut list = Vec::new();
        for _ in 0..count {
            list.push((reader.text()?, reader.value()?));
        }
        Ok(Fields { list, next: Cell::new(0), names: OnceCell::new() })
    }

    pub fn place(&self, name: &str) -> Option<usize> {
        let is_named = |place: &usize| self.list.get(*place).is_some_and(|(other, _)| compare(other, name).is_eq());
        let next = self.next.get();
        let place = if is_named(&next) {
            Some(next)
        } else if self.list.len() <= FEW {
            (0..self.list.len()).find(is_named)
        } else {
            let names = self.names.get_or_init(|| Names::of(&mut self.list.iter().map(|(name, _)| *name)));
            names.place(name)
        };
        self.next.set(place? + 1);
        place
    }

    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.place(name).map(|place| self.list[place].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_meets_what_lies_in_it_and_what_it_lies_in() {
        let paths = ["a.b", "c", "a-b", "n.m.o"];
        let names = Names::of(&mut paths.into_iter());
        for met in ["a", "a.b", "a.b.x", "c", "c.d", "n", "n.m", "n.m.o.p", "a-b"] {
            assert!(names.meets(met), "{met}");
        }
        for free in ["b", "a.c", "a-", "a-bc", "a.bc", "ab", "n.o", "", "m.o"] {
            assert!(!names.meets(free), "{free}");
        }
    }

    #[test]
    fn the_first_of_equal_names_is_found() {
        let names = Names::of(&mut ["b", "a", "b"].into_iter());
        assert_eq!((names.place("b"), names.place("a"), names.place("c")), (Some(0), Some(1), None));
        let list = ["b", "a", "b"];
        assert_eq!(twice(&mut [0, 1, 2], &|place| list[place as usize]), Some("b"));
        assert_eq!(twice(&mut [0, 1], &|place| list[place as usize]), None);
        assert_eq!(names.places().collect::<Vec<_>>(), [1, 0, 2]);
    }
}
