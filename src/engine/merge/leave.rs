//! What of a row stays the clone's own change once a part of it was merged.

use super::Selected;
use super::rows::{Row, Side};
use super::settle::{Added, Merging, adding_up, carried};
use crate::error::{Error, ErrorCode, Result};
use crate::query::{self, Counters};
use crate::types::{Bytes, Lsn, Version};

/// The part of a clone's change that is merged, as the row would be with that part alone.
pub struct Chosen {
    pub value: Option<Bytes>,
    counters: Counters,
    /// From where on the clone's counters count as not yet merged.
    point: Lsn,
}

/// A row that the clone keeps in its new layer.
pub struct Kept {
    pub version: Version,
    /// What a parked row is compared with from now on; `Some(None)`: with nothing.
    pub ancestor: Option<Option<Bytes>>,
}

impl Chosen {
    pub fn of(row: &Row, selected: &Selected, as_of: Lsn) -> Result<Chosen> {
        let then = row.then.lsn.unwrap_or(as_of);
        Ok(match selected {
            Selected::All => {
                Chosen { value: row.then.value.clone(), counters: row.then.counters.clone(), point: as_of.max(then) }
            }
            Selected::Nothing => Chosen { value: row.base.clone(), counters: Counters::default(), point: as_of },
            Selected::Fields(fields) => {
                let (Some(base), Some(then)) = (&row.base, &row.then.value) else {
                    return Err(no_fields());
                };
                let is_of_them = |path: &str| {
                    let first = path.split('.').next().unwrap_or_default();
                    fields.iter().any(|field| field == first)
                };
                let counters = row.then.counters.iter().filter(|counter| is_of_them(&counter.path)).cloned();
                let value = Some(with_fields(base, then, fields)?);
                Chosen { value, counters: Counters::of(counters.collect()), point: as_of }
            }
        })
    }

    /// What of the clone's counters is in it.
    pub fn added(&self, as_of: Lsn) -> Result<Added> {
        self.counters.increments(None, as_of)
    }
}

pub fn no_fields() -> Error {
    let message = "only an update has fields to select; an insert or a delete is taken as a whole";
    Error::new(ErrorCode::InvalidOption, message)
}

/// `value` with some fields as `other` has them.
pub fn with_fields(value: &[u8], other: &[u8], fields: &[String]) -> Result<Bytes> {
    let mut out = value.to_vec();
    for name in fields {
        let field = query::field(other, name)?.map(<[u8]>::to_vec);
        let path = [&name[..]];
        let edited = query::edit(Some(&out), &path, 0, &mut |_| Ok(field.clone()))?;
        out = edited.expect("BUG: an object stays an object");
    }
    Ok(out.into())
}

/// What the clone keeps of `row` over `merged`, which stands in the origin now: what it changed beside the chosen part
/// or after it. Where that clashes with the origin the row is parked, with the clone's own value.
pub fn keep(row: &Row, chosen: &Chosen, merged: Option<&Bytes>, base: Option<Lsn>, as_of: Lsn) -> Result<Option<Kept>> {
    let added = row.now.counters.increments(Some(&chosen.counters), chosen.point)?;
    let merging = Merging {
        suffix: row.suffix.clone(),
        base: chosen.value.clone(),
        clone: row.now.value.clone(),
        origin: merged.cloned(),
        added: adding_up(&added, &row.origin, as_of),
    };
    let mut ancestor = None;
    let value = merging.merge(&mut |clash| {
        let settled = ancestor.take().unwrap_or_else(|| merged.map(|merged| merged.to_vec()));
        let base = clash.sides.base.map(<[u8]>::to_vec);
        ancestor = Some(query::edit(settled.as_deref(), clash.path, 0, &mut |_| Ok(base.clone()))?);
        Ok(clash.sides.clone.map(<[u8]>::to_vec))
    })?;
    if ancestor.is_none() && query::is_same(value.as_deref(), merged.map(|merged| &merged[..]))? {
        return Ok(None);
    }
    let expiry = if value == row.now.value { row.now.expiry } else { row.origin.expiry };
    let version = anew(merged, value, &added)?.expiring(expiry).based_on(base);
    Ok(Some(Kept { version, ancestor: ancestor.map(|ancestor| ancestor.map(Bytes::from)) }))
}

/// A version in a new layer over `below`. Its counters count from the beginning of that layer.
pub fn anew(below: Option<&Bytes>, value: Option<Bytes>, added: &Added) -> Result<Version> {
    let below = Side { value: below.cloned(), ..Side::default() };
    let counters = carried(&below, value.as_ref(), added, Some(Lsn::ZERO))?;
    Ok(version(value, &counters))
}

/// A value or a tombstone.
pub fn version(value: Option<Bytes>, counters: &Counters) -> Version {
    value.map_or_else(Version::tombstone, Version::value).counting(counters.encode())
}
