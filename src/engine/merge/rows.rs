//! The rows that a clone wrote, each with its value on every side.

use super::counting::{Counting, counted};
use super::shown::{Shown, shown};
use crate::engine::rows::collections;
use crate::engine::rows::path::Path;
use crate::engine::rows::read::is_content;
use crate::engine::rows::read::{self, Placed, just_after};
use crate::error::Result;
use crate::lsm::{Attempt, Fault, RowCursor, RowRange, State, TreeView};
use crate::query::Lookup;
use crate::types::row::{LAYER_BYTES, row, split_suffix};
use crate::types::{Bytes, CollectionName, Kind, LayerId, Lsn, Suffix, Version};

/// Rows compared at once.
pub const MERGED_AT_ONCE: usize = 256;
/// Bytes of values after which a page is full.
const MERGED_BYTES: usize = 1024 * 1024;

/// The row that holds the ancestor of a parked row.
pub fn ancestor_suffix(suffix: &[u8]) -> Suffix {
    let (collection, kind, key) = split_suffix(suffix).expect("BUG: a parked row is content");
    Suffix::new(collection, Kind::Ancestor, &[&[kind as u8], key].concat())
}

/// An ancestor as it is stored: no bytes say that there was no row.
pub fn encode_ancestor(value: Option<&[u8]>) -> Version {
    Version::value(value.unwrap_or_default().to_vec())
}

/// One row that the clone wrote.
pub struct ComparedRow {
    pub suffix: Suffix,
    /// The value that both sides are compared with.
    pub base: Option<Bytes>,
    /// The clone's row as it is to be merged, and as it is now.
    pub then: Shown,
    pub now: Shown,
    /// The origin's value where the clone began, and the origin's row where the clone is to stand.
    pub below: Option<Bytes>,
    pub origin: Shown,
    /// Counters of the clone whose value in the origin is the base's value plus increments.
    pub counting: Vec<String>,
    /// Counters of the clone that the origin may have incremented, though no sum can be told.
    pub unsure: Vec<String>,
    pub is_parked: bool,
}

impl ComparedRow {
    fn bytes(&self) -> usize {
        let values = [&self.base, &self.then.value, &self.now.value, &self.below, &self.origin.value];
        values.iter().map(|value| value.as_ref().map_or(0, |value| value.len())).sum()
    }
}

/// The paths of a comparison.
pub struct Paths {
    pub then: Path,
    pub now: Path,
    /// The origin where the clone began.
    pub below: Path,
    pub origin: Path,
    pub has_parked: bool,
}

pub struct RowPage {
    pub rows: Vec<ComparedRow>,
    pub next: Option<Suffix>,
}

impl Paths {
    pub fn layer(&self) -> LayerId {
        self.now.levels()[0].layer
    }

    fn now_lsn(&self) -> Lsn {
        self.now.levels()[0].lsn
    }

    /// The next rows after `after` that the clone's own layer holds. All blocks that they need are asked for at once.
    pub fn page(&self, state: &State, view: TreeView<'_>, after: Option<&Suffix>) -> Attempt<RowPage> {
        let (mut rows, mut needed) = (Vec::new(), Vec::new());
        let (mut bytes, mut count) = (0, 0);
        let mut last = after.cloned();
        let mut cursor = own_rows(view, self.layer(), self.now_lsn(), after);
        view.loaded.in_portions();
        let is_last = loop {
            let is_full = count >= MERGED_AT_ONCE || bytes >= MERGED_BYTES || view.loaded.is_full() && count > 0;
            if is_full {
                break false;
            }
            let Some(next) = cursor.next_row()? else { break true };
            let suffix = Suffix::from_bytes(next.row[LAYER_BYTES..].to_vec());
            if is_content(suffix.as_bytes()) {
                count += 1;
                match self.row((state, view), suffix.clone()) {
                    // Rows behind one that lacks a block are looked at for the blocks that they lack themselves.
                    Ok(row) if needed.is_empty() => {
                        bytes += row.bytes();
                        rows.push(row);
                    }
                    Ok(_) => {}
                    Err(Fault::Need(blocks)) => needed.extend(blocks),
                    Err(error) => return Err(error),
                }
            }
            if needed.is_empty() {
                last = Some(suffix);
            }
        };
        if needed.is_empty() {
            return Ok(RowPage { rows, next: if is_last { None } else { last } });
        }
        if view.loaded.is_full() && !rows.is_empty() {
            Ok(RowPage { rows, next: last })
        } else {
            Err(Fault::Need(needed))
        }
    }

    fn row(&self, reading: (&State, TreeView<'_>), suffix: Suffix) -> Attempt<ComparedRow> {
        let (_, view) = reading;
        let bytes = suffix.as_bytes();
        let ancestor = match self.has_parked {
            true => view.get(&row(self.layer(), ancestor_suffix(bytes).as_bytes()), self.now_lsn())?,
            false => None,
        };
        let (then, now) = (shown(view, &self.then, bytes)?, shown(view, &self.now, bytes)?);
        let below = shown(view, &self.below, bytes)?.value;
        let base = match &ancestor {
            Some(found) => found.version.here().cloned().filter(|value| !value.is_empty()),
            None => below.clone(),
        };
        let origin = shown(view, &self.origin, bytes)?;
        let mut fields: Vec<&str> = then.counters.iter().map(|counter| &counter.path[..]).collect();
        let of_now = now.counters.iter().filter(|counter| then.counters.get(&counter.path).is_none());
        fields.extend(of_now.map(|counter| &counter.path[..]));
        let (mut counting, mut unsure) = (Vec::new(), Vec::new());
        if !fields.is_empty() {
            let value = Lookup::new(origin.bytes());
            let all = match &base {
                Some(base) => self.counted(reading, (base, &below), bytes, &fields)?,
                None => vec![Counting::No; fields.len()],
            };
            for (path, is_counted) in fields.into_iter().zip(all) {
                match is_counted {
                    Counting::Yes => counting.push(path.to_string()),
                    Counting::Unknown => unsure.push(path.to_string()),
                    // A place in an array, which is one value: nothing in it adds up.
                    Counting::No if origin.counters.get(path).is_some() && is_out_of_reach(&value, path)? => {
                        unsure.push(path.to_string());
                    }
                    Counting::No => {}
                }
            }
        }
        Ok(ComparedRow { base, then, now, below, origin, counting, unsure, is_parked: ancestor.is_some(), suffix })
    }

    fn counted(
        &self,
        reading: (&State, TreeView<'_>),
        (base, below): (&Bytes, &Option<Bytes>),
        suffix: &[u8],
        fields: &[&str],
    ) -> Attempt<Vec<Counting>> {
        let (base, below) = (Lookup::new(Some(base)), below.as_ref().map(|below| Lookup::new(Some(below))));
        let mut based = Vec::with_capacity(fields.len());
        for field in fields {
            // The ancestor of a parked row is not the value that the clone began with.
            let is_base = match &below {
                Some(below) => base.at(field)? == below.at(field)?,
                None => false,
            };
            based.push((*field, is_base));
        }
        counted(reading, (&self.origin, &self.below), &base, suffix, &based)
    }
}

/// True if there is a value in which a counter's path leads nowhere.
fn is_out_of_reach(value: &Lookup<'_>, path: &str) -> Result<bool> {
    Ok(value.is_there() && value.at(path)?.is_none())
}

/// All rows of a layer but those under the empty name.
pub fn own_rows<'a>(view: TreeView<'a>, layer: LayerId, at: Lsn, after: Option<&Suffix>) -> RowCursor<'a> {
    let from = after.map_or_else(|| vec![1], |after| just_after(after.as_bytes()));
    RowCursor::new(view, &RowRange { from: row(layer, &from), before: row(layer, &[0xff]) }, at, false)
}

/// Collections and their kinds: few, so they are looked through.
#[derive(Clone, Default, PartialEq)]
pub struct Collections(Vec<(String, Kind)>);

impl Collections {
    pub fn kind(&self, name: &str) -> Option<Kind> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, kind)| *kind)
    }

    pub fn add(&mut self, name: &str, kind: Kind) {
        if self.kind(name).is_none() {
            self.0.push((name.to_string(), kind));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, Kind)> {
        self.0.iter().map(|(name, kind)| (&name[..], *kind))
    }
}

/// The collections that the topmost layer has itself; a copy of a collection below it is none.
pub fn own_collections(view: TreeView<'_>, path: &Path) -> Attempt<Collections> {
    let mut own = collections(view, &Path::of(&path.levels()[..1]))?;
    let mut copied = Vec::new();
    for (name, _) in own.iter() {
        let suffix = collections::collection_row(&CollectionName::new(name)?);
        if let Some(Placed { level: 0, found }) = read::placed(view, path.levels(), suffix.as_bytes())?
            && read::is_copy(view, path, suffix.as_bytes(), &found)?
        {
            copied.push(name.to_string());
        }
    }
    own.0.retain(|(name, _)| !copied.contains(name));
    Ok(own)
}

/// The collections that a path shows.
pub fn collections(view: TreeView<'_>, path: &Path) -> Attempt<Collections> {
    let found = collections::collections(view, path)?;
    Ok(Collections(found.into_iter().map(|info| (info.name, info.kind)).collect()))
}
