//! Three versions of a value into one: a change of one side alone is taken, changes of both are a conflict, and counts
//! add up. Objects merge field by field, however deep; arrays and scalars are single values.

use super::counters::add;
use super::names::{Fields, Names};
use crate::error::Result;
use crate::types::pack::{Reader, Shape, write_map, write_text};

/// The value that each side has at one path; `None`: it has no value there.
#[derive(Clone, Copy, Debug)]
pub struct Sides<'a> {
    pub base: Option<&'a [u8]>,
    pub clone: Option<&'a [u8]>,
    pub origin: Option<&'a [u8]>,
}

/// A path where both sides changed the base to different values.
#[derive(Debug)]
pub struct Clash<'a> {
    /// The names of the fields on the way; none: the whole value.
    pub path: &'a [&'a str],
    pub sides: Sides<'a>,
}

/// Returns the value that the merge writes where both sides differ.
pub type Settle<'a> = dyn FnMut(Clash<'_>) -> Result<Option<Vec<u8>>> + 'a;

/// The counters of both sides.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counts<'a> {
    /// The counters that both sides only incremented, with the sums that the clone added.
    pub added: &'a [(String, Vec<u8>)],
    /// Counters that both sides may have incremented, of which no sum can be told: that both are equal says nothing.
    pub unsure: &'a [String],
}

pub fn merge<'a>(sides: Sides<'a>, counts: Counts<'a>, settle: &'a mut Settle<'_>) -> Result<Option<Vec<u8>>> {
    let added = Names::of(&mut counts.added.iter().map(|(path, _)| &path[..]));
    let unsure = Names::of(&mut counts.unsure.iter().map(|path| &path[..]));
    FieldMerge { counts, added, unsure, settle, path: Vec::new() }.at(sides)
}

struct FieldMerge<'a, 'b> {
    counts: Counts<'a>,
    /// The paths of both.
    added: Names<'a>,
    unsure: Names<'a>,
    settle: &'a mut Settle<'b>,
    path: Vec<&'a str>,
}

impl<'a> FieldMerge<'a, '_> {
    fn at(&mut self, sides: Sides<'a>) -> Result<Option<Vec<u8>>> {
        let Sides { base, clone, origin } = sides;
        let FieldMerge { counts, added, unsure, .. } = self;
        // A field with a dot in its name is reached by no path, and so is no counter.
        let has_counts = !added.is_empty() || !unsure.is_empty();
        let is_named = has_counts && self.path.iter().all(|name| !name.contains('.'));
        let path = if is_named { self.path.join(".") } else { String::new() };
        let counter = if is_named { added.place(&path) } else { None };
        if let (Some(counter), Some(origin)) = (counter, origin)
            && !is_same(Some(origin), base)?
            && let Some(sum) = add(origin, &counts.added[counter].1)?
        {
            return Ok(Some(sum));
        }
        let maps = match (clone, origin) {
            (Some(clone), Some(origin)) if is_map(clone)? && is_map(origin)? => Some((clone, origin)),
            _ => None,
        };
        let meets = |names: &Names<'_>| is_named && (path.is_empty() && !names.is_empty() || names.meets(&path));
        let has_added = meets(added);
        // An array is one value: increments of a place in it do not add up, and neither do those of a field that is no
        // number. Both sides may have added the same there, so a value that is equal on both may still be one addition
        // short: the caller has to settle it.
        let is_unsure = maps.is_none() && has_added || meets(unsure);
        let counts_inside = is_unsure || has_added;
        if maps.is_none() || !counts_inside {
            if is_same(clone, base)? {
                return Ok(origin.map(<[u8]>::to_vec));
            }
            if is_same(origin, base)? {
                return Ok(clone.map(<[u8]>::to_vec));
            }
            if !is_unsure && is_same(clone, origin)? {
                return Ok(origin.map(<[u8]>::to_vec));
            }
        }
        let Some((clone, origin)) = maps else { return (self.settle)(Clash { path: &self.path, sides }) };
        let base = match base {
            Some(base) if is_map(base)? => Some(Fields::read(base)?),
            _ => None,
        };
        self.maps(base, Fields::read(clone)?, Fields::read(origin)?).map(Some)
    }

    fn maps(&mut self, base: Option<Fields<'a>>, clone: Fields<'a>, origin: Fields<'a>) -> Result<Vec<u8>> {
        let mut fields: Vec<(&str, Vec<u8>)> = Vec::new();
        let of_clone = clone.list.iter().filter(|(name, _)| origin.get(name).is_none());
        for (name, _) in origin.list.iter().chain(of_clone) {
            let base = base.as_ref().and_then(|base| base.get(name));
            self.path.push(name);
            let merged = self.at(Sides { base, clone: clone.get(name), origin: origin.get(name) });
            self.path.pop();
            fields.extend(merged?.map(|value| (*name, value)));
        }
        let mut out = Vec::with_capacity(64);
        write_map(&mut out, fields.len());
        for (name, value) in fields {
            write_text(&mut out, name);
            out.extend_from_slice(&value);
        }
        Ok(out)
    }
}

fn is_map(value: &[u8]) -> Result<bool> {
    Ok(Reader::new(value).shape()? == Shape::Map)
}

/// True if two values are equal, in whatever order their fields are written.
pub fn is_same(a: Option<&[u8]>, b: Option<&[u8]>) -> Result<bool> {
    let (Some(a), Some(b)) = (a, b) else { return Ok(a.is_none() && b.is_none()) };
    if a == b {
        return Ok(true);
    }
    if a.len() != b.len() {
        return Ok(false);
    }
    let (mut left, mut right) = (Reader::new(a), Reader::new(b));
    match (left.shape()?, right.shape()?) {
        (Shape::Map, Shape::Map) => {
            let (left, right) = (Fields::read(a)?, Fields::read(b)?);
            if left.list.len() != right.list.len() {
                return Ok(false);
            }
            for (name, value) in &left.list {
                let other = right.get(name);
                if other.is_none() || !is_same(Some(value), other)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Shape::Array, Shape::Array) => {
            let count = left.array()?;
            if count != right.array()? {
                return Ok(false);
            }
            for _ in 0..count {
                if !is_same(Some(left.value()?), Some(right.value()?))? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        _ => Ok(false),
    }
}
