//! The part of a row's change that stays the clone's own once another part of it was merged.

use super::Selected;
use super::counting::{added_over, added_since};
use super::rows::ComparedRow;
use super::settle::{Added, ThreeWay, adding_up, carried, check_length, names_of};
use super::shown::Shown;
use crate::error::{Error, ErrorCode, Result};
use crate::query::{self, Counter, Counters, Editor, Fields, Lookup, Names, Since};
use crate::types::pack::{Reader, Shape};
use crate::types::{Base, Bytes, Lsn, Version};

/// The part of a clone's change that is merged, as the row would be with that part alone.
pub struct Chosen {
    pub value: Option<Bytes>,
    /// The sums added to the clone's counters in that part, and those added beside that part or after it.
    pub added: Added,
    rest: Added,
    /// Counters of which the origin's value, once that part is merged, is the part's value plus increments.
    counting: Vec<String>,
}

/// A row that the clone keeps in its new layer.
pub struct Kept {
    pub version: Version,
    /// The value that a parked row is compared with from now on; `Some(None)`: no value.
    pub ancestor: Option<Option<Bytes>>,
}

impl Chosen {
    pub fn of(row: &ComparedRow, selected: &Selected) -> Result<Chosen> {
        let selected = match selected {
            Selected::Fields(fields) if fields.is_empty() => &Selected::Nothing,
            selected => selected,
        };
        let (base, then) = (row.base.as_deref(), &row.then);
        let taken = match selected {
            Selected::Fields(fields) => Names::of(&mut fields.iter().map(|field| &field[..])),
            Selected::All | Selected::Nothing => Names::default(),
        };
        let is_taken = |path: &str| match selected {
            Selected::All => true,
            Selected::Nothing => false,
            Selected::Fields(_) => path.split('.').next().is_some_and(|field| taken.has(field)),
        };
        let value = match selected {
            Selected::All => then.value.clone(),
            Selected::Nothing => row.base.clone(),
            Selected::Fields(fields) => match (&row.below, &then.value) {
                (Some(below), Some(then)) if is_object(below)? && is_object(then)? => {
                    Some(with_fields(object(base)?, then, fields)?)
                }
                _ => return Err(no_fields()),
            },
        };
        let added: Added = added_over(then, base)?.into_iter().filter(|(path, _)| is_taken(path)).collect();
        let later = added_since(&row.now, then)?.into_iter().filter(|(path, _)| is_taken(path));
        let beside = added_over(&row.now, base)?.into_iter().filter(|(path, _)| !is_taken(path));
        let rest = later.chain(beside).collect();
        let (before, after, summed) = (Lookup::new(base), Lookup::new(then.bytes()), names_of(&added));
        let mut counting = Vec::new();
        for path in &row.counting {
            if !is_taken(path) || summed.has(path) || before.at(path)? == after.at(path)? {
                counting.push(path.clone());
            }
        }
        Ok(Chosen { value, added, rest, counting })
    }
}

pub fn is_object(value: &[u8]) -> Result<bool> {
    Ok(Reader::new(value).shape()? == Shape::Map)
}

/// The object of which fields are taken, or one without any.
pub fn object(value: Option<&[u8]>) -> Result<&[u8]> {
    const EMPTY: &[u8] = &[0x80];
    Ok(match value {
        Some(value) if is_object(value)? => value,
        _ => EMPTY,
    })
}

pub fn no_fields() -> Error {
    let message = "only an update has fields to select; an insert or a delete is taken as a whole";
    Error::new(ErrorCode::InvalidOption, message)
}

/// `value` with some fields as `other` has them.
pub fn with_fields(value: &[u8], other: &[u8], fields: &[String]) -> Result<Bytes> {
    let other = Fields::read(other)?;
    let mut editor = Editor::new(Some(value));
    for name in fields {
        let field = other.get(name);
        editor.change(&[name], &mut |_| Ok(field.map(<[u8]>::to_vec)))?;
    }
    Ok(editor.finish().expect("BUG: an object stays an object").into())
}

/// The version that the clone keeps of `row` over `merged`, the origin's value now: it has the changes beside the
/// chosen part or after it. Where they clash with the origin the row is parked, with the clone's own value.
pub fn keep(
    row: &ComparedRow,
    chosen: &Chosen,
    merged: Option<&Bytes>,
    base: Option<Base>,
    began: Lsn,
) -> Result<Option<Kept>> {
    let merging = ThreeWay {
        suffix: row.suffix.clone(),
        base: chosen.value.clone(),
        clone: row.now.value.clone(),
        origin: merged.cloned(),
        added: adding_up(&chosen.rest, &chosen.counting),
        unsure: Vec::new(),
    };
    let mut ancestor: Option<Editor> = None;
    let value = merging.merge(&mut |clash| {
        let settled = ancestor.get_or_insert_with(|| Editor::new(merged.map(|merged| &merged[..])));
        settled.change(clash.path, &mut |_| Ok(clash.sides.base.map(<[u8]>::to_vec)))?;
        Ok(clash.sides.clone.map(<[u8]>::to_vec))
    })?;
    let ancestor = ancestor.map(Editor::finish);
    check_length(value.as_ref())?;
    if ancestor.is_none() && query::is_same(value.as_deref(), merged.map(|merged| &merged[..]))? {
        return Ok(None);
    }
    let expiry = if value == row.now.value { row.now.expiry } else { row.origin.expiry };
    let mut version = anew(merged, value, &chosen.rest, (&row.now, began))?.expiring(expiry);
    version.base = base;
    Ok(Some(Kept { version, ancestor: ancestor.map(|ancestor| ancestor.map(Bytes::from)) }))
}

/// A version in a new layer over `below`. Increments of what is below are counted from the beginning of that layer;
/// what else was counted in the layer that began at `began` goes on.
pub fn anew(below: Option<&Bytes>, value: Option<Bytes>, added: &Added, now: (&Shown, Lsn)) -> Result<Version> {
    let (now, began) = now;
    let below = Shown { value: below.cloned(), ..Shown::default() };
    let over_below = carried(&below, value.as_ref(), added, Some(Since::Layer))?;
    let mut counters: Vec<Counter> = over_below.iter().cloned().collect();
    let (was, is, sums) = (Lookup::new(below.bytes()), Lookup::new(value.as_deref()), names_of(added));
    for counter in carried(now, value.as_ref(), &Added::new(), None)?.iter() {
        // A field that equals the origin's needs no counter here: the origin's own version has it.
        let is_as_below = below.value.is_some() && was.at(&counter.path)? == is.at(&counter.path)?;
        if over_below.get(&counter.path).is_none() && !is_as_below {
            let since = if counter.since == Since::Layer { Since::At(began) } else { counter.since };
            let sum = sums.place(&counter.path).map_or_else(|| counter.sum.clone(), |place| added[place].1.clone());
            counters.push(Counter { path: counter.path.clone(), since, sum });
        }
    }
    Ok(version(value, &Counters::of(counters)))
}

/// A value or a tombstone.
pub fn version(value: Option<Bytes>, counters: &Counters) -> Version {
    value.map_or_else(Version::tombstone, Version::value).counting(counters.encode())
}
