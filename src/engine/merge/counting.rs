//! Which fields got from one point to another by increments alone.
//!
//! A counter of a version says since when: zero is "since the layer began", which leads on to the level below.

use crate::engine::catalog;
use crate::engine::path::{Level, Path};
use crate::engine::read::{self, Placed};
use crate::error::Result;
use crate::lsm::{Attempt, State, TreeView};
use crate::query::{self, Counters};
use crate::types::{DatabaseName, LayerId, Lsn};

use super::rows::Side;
use super::settle::Added;

/// A stretch of a database's history in which nothing but increments changed a field.
struct Span {
    name: DatabaseName,
    layer: LayerId,
    /// The commit that put the layer over what is below it.
    began: Lsn,
    /// Zero: since the layer began.
    from: Lsn,
    /// The version that was found.
    version: Lsn,
    to: Lsn,
    is_topmost: bool,
    /// What the field was when it was found, and before the increments.
    value: Option<Vec<u8>>,
    start: Option<Vec<u8>>,
    is_counted: bool,
}

impl Span {
    /// Whether both have a point in common. What began with one layer says nothing of another.
    fn meets(&self, other: &Span) -> bool {
        if self.name != other.name {
            return false;
        }
        let is_one_layer = self.layer == other.layer;
        let from = |span: &Span| if span.from == Lsn::ZERO && !is_one_layer { span.version } else { span.from };
        from(self) <= other.to && from(other) <= self.to
    }

    /// Whether a span below the topmost level began with what an earlier one was, and the field was that in between:
    /// rows are written for other fields, too. What history does not hold may have been anything.
    fn follows(
        &self,
        earlier: &Span,
        (state, view): (&State, TreeView<'_>),
        (suffix, field): Place<'_>,
    ) -> Attempt<bool> {
        let is_below = !self.is_topmost && !earlier.is_topmost;
        let is_start = |value: Option<&[u8]>| is_start(self.is_counted, self.start.as_deref(), value);
        if !is_below || self.name != earlier.name || !is_start(earlier.value.as_deref())? {
            return Ok(false);
        }
        let before = |lsn: Lsn| Lsn(lsn.0.saturating_sub(1));
        let mut at = if self.from < self.began { self.to } else { before(self.from) };
        while at > earlier.to {
            if at < state.manifest.floor() && at != self.to {
                return Ok(false);
            }
            let Some(entry) = catalog::find(view, &self.name, at)? else { return Ok(false) };
            let mut changed = entry.lsn;
            let path = Path::from_entry(view, entry, at)?;
            let Some(Placed { level, found }) = read::placed(view, path.levels(), suffix)? else { return Ok(false) };
            let is_own = level == 0;
            if is_own {
                changed = changed.max(found.lsn);
            }
            let is_in_span = is_own && path.levels()[0].layer == self.layer && found.lsn >= self.from;
            if !is_in_span {
                let Some(value) = found.version.here() else { return Ok(false) };
                if !is_start(query::at_path(value, field)?)? {
                    return Ok(false);
                }
            }
            at = before(changed);
        }
        Ok(true)
    }
}

/// A field of a row.
type Place<'a> = (&'a [u8], &'a str);

/// Where a field came from, level by level, and what it was before the increments.
struct Trace {
    spans: Vec<Span>,
    /// Whether it was incremented at all.
    is_counted: bool,
    start: Option<Vec<u8>>,
    /// It led to rows that were copied, and that history does not hold any more.
    is_lost: bool,
}

fn trace((state, view): (&State, TreeView<'_>), path: &Path, (suffix, field): Place<'_>) -> Attempt<Trace> {
    let (path, is_lost) = path.with_what_was_copied(view, state.manifest.floor())?;
    let mut trace = Trace { spans: Vec::new(), is_counted: false, start: None, is_lost: false };
    let mut levels = path.levels();
    while let Some(Placed { level, found }) = read::placed(view, levels, suffix)? {
        if read::is_copy(view, &Path::of(&levels[level..]), suffix, &found)? {
            levels = &levels[level + 1..];
            continue;
        }
        let Some(value) = found.version.here() else { return Ok(trace) };
        let now = query::at_path(value, field)?;
        let counters = Counters::decode(found.version.delta.as_ref(), found.lsn)?;
        let counter = counters.get(field);
        trace.is_counted |= counter.is_some();
        let value = now.map(<[u8]>::to_vec);
        trace.start = match (now, counter) {
            (Some(now), Some(counter)) => query::subtract(now, &counter.sum)?,
            _ => value.clone(),
        };
        let Level { name, layer, lsn, began } = &levels[level];
        trace.spans.push(Span {
            name: name.clone(),
            layer: *layer,
            began: *began,
            from: counter.map_or(found.lsn, |counter| counter.since),
            version: found.lsn,
            to: *lsn,
            is_topmost: levels.len() == path.levels().len() && level == 0,
            value,
            start: trace.start.clone(),
            is_counted: counter.is_some(),
        });
        levels = &levels[level + 1..];
        // What was counted below goes on in a copy: it leads on, if it began as there.
        let is_of_copy = counter.is_some_and(|counter| levels.first().is_some_and(|below| below.lsn == counter.since));
        if is_of_copy && started(view, levels, (suffix, field))? == trace.start {
            continue;
        }
        // What is counted since before the layer was put here began over other rows than those below.
        if counter.is_some_and(|counter| counter.since != Lsn::ZERO && counter.since < *began) {
            trace.is_lost = is_lost;
            return Ok(trace);
        }
        // What is as it is below counts as unchanged, and so does what was so when the increments began.
        if counter.is_none_or(|counter| counter.since != Lsn::ZERO) {
            let below = read::topmost(view, levels, suffix)?;
            let Some(below) = below.as_ref().and_then(|below| below.version.here()) else { break };
            if !is_start(counter.is_some(), trace.start.as_deref(), query::at_path(below, field)?)? {
                return Ok(trace);
            }
        }
    }
    trace.is_lost = is_lost;
    Ok(trace)
}

/// What a field was before the increments of its topmost version.
fn started(view: TreeView<'_>, levels: &[Level], (suffix, field): Place<'_>) -> Attempt<Option<Vec<u8>>> {
    let Some(found) = read::topmost(view, levels, suffix)? else { return Ok(None) };
    let now = found.version.here().map_or(Ok(None), |value| query::at_path(value, field))?;
    let counters = Counters::decode(found.version.delta.as_ref(), found.lsn)?;
    Ok(match (now, counters.get(field)) {
        (Some(now), Some(counter)) => query::subtract(now, &counter.sum)?,
        _ => now.map(<[u8]>::to_vec),
    })
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counting {
    Yes,
    No,
    /// What it came from was copied, and history does not hold it any more.
    Unknown,
}

/// Whether a field of a row came from what it was on `then` to what it is on `now` by increments alone.
pub fn only_counted(reading: (&State, TreeView<'_>), now: &Path, then: &Path, place: Place<'_>) -> Attempt<bool> {
    have_met(reading, &trace(reading, now, place)?, &trace(reading, then, place)?, place)
}

fn have_met(reading: (&State, TreeView<'_>), now: &Trace, then: &Trace, place: Place<'_>) -> Attempt<bool> {
    for span in &now.spans {
        for other in &then.spans {
            let (later, earlier) = if span.to < other.to { (other, span) } else { (span, other) };
            if span.meets(other) || later.follows(earlier, reading, place)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether a field on `now` is what it was on `then`, or is on a base, and increments.
pub fn counted(
    reading: (&State, TreeView<'_>),
    now: &Path,
    (then, base): (Option<&Path>, &[u8]),
    place: Place<'_>,
) -> Attempt<Counting> {
    let now = trace(reading, now, place)?;
    let then = then.map(|then| trace(reading, then, place)).transpose()?;
    if let Some(then) = &then
        && have_met(reading, &now, then, place)?
    {
        return Ok(Counting::Yes);
    }
    if !now.spans.is_empty() && is_start(now.is_counted, now.start.as_deref(), query::at_path(base, place.1)?)? {
        return Ok(Counting::Yes);
    }
    let is_lost = now.is_counted && (now.is_lost || then.is_some_and(|then| then.is_lost));
    Ok(if is_lost { Counting::Unknown } else { Counting::No })
}

/// Whether increments began at `base`. A field that was not there counts as zero, once it is incremented.
fn is_start(is_counted: bool, start: Option<&[u8]>, base: Option<&[u8]>) -> Result<bool> {
    let is_zero = |number: &[u8]| Ok(query::add(number, number)?.is_some_and(|twice| twice == number));
    match (start, base) {
        (Some(other), None) | (None, Some(other)) => Ok(is_counted && is_zero(other)?),
        (start, base) => Ok(start == base),
    }
}

/// What was added to the counters of `now` since the row was `base`, which the clone's layer began with.
pub fn added_over(now: &Side, base: Option<&[u8]>) -> Result<Added> {
    let (Some(value), Some(base)) = (now.bytes(), base) else { return Ok(Added::new()) };
    let mut added = Added::new();
    for counter in now.counters.iter() {
        let is_counted = counter.since == Lsn::ZERO || starts_at(value, &counter.path, &counter.sum, base)?;
        if is_counted {
            added.push((counter.path.clone(), counter.sum.clone()));
        }
    }
    Ok(added)
}

/// What was added to the counters of `now` since `then`, an earlier version of the same layer or what lies below it.
pub fn added_since(now: &Side, then: &Side) -> Result<Added> {
    let (Some(value), Some(base)) = (now.bytes(), then.bytes()) else { return Ok(Added::new()) };
    let own = then.lsn.filter(|_| then.is_own).unwrap_or_default();
    let mut added = Added::new();
    for counter in now.counters.iter() {
        let before = then.counters.get(&counter.path).filter(|before| before.since == counter.since);
        let by = match before {
            Some(before) => query::subtract(&counter.sum, &before.sum)?,
            None if counter.since <= own => Some(counter.sum.clone()),
            None => starts_at(value, &counter.path, &counter.sum, base)?.then(|| counter.sum.clone()),
        };
        added.extend(by.map(|by| (counter.path.clone(), by)));
    }
    Ok(added)
}

fn starts_at(value: &[u8], field: &str, sum: &[u8], base: &[u8]) -> Result<bool> {
    let Some(now) = query::at_path(value, field)? else { return Ok(false) };
    is_start(true, query::subtract(now, sum)?.as_deref(), query::at_path(base, field)?)
}
