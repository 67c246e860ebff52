//! Which fields got from one point to another by increments alone: then the increments of two sides add up.
//!
//! A version notes a counter for a field: "since LSN s nothing but increments changed it, and they add up to n". So a
//! version at LSN v proves something of all LSNs from s to v: that is a *span*. An s of zero means "since the layer
//! began", and the span goes on in the level below.
//!
//! ```text
//! main   LSN 1: likes = 5                       LSN 4: $inc 2, counter (since 1, sum 2)   span 1 to 4
//! draft  begins at main@1, LSN 2: $inc 3, counter (since 0, sum 3)                        span 0 to 2, then main's 1
//! ```
//! Both spans have LSN 1 of main in common, so from there both sides only added: merged, `likes` is 5 + 2 + 3. Had
//! main set `likes` at LSN 3, its span would begin at 3, they would have no point in common, and the field would clash.

use std::cell::OnceCell;

use crate::engine::catalog;
use crate::engine::rows::path::{Level, Path};
use crate::engine::rows::read::{self, Placed};
use crate::error::Result;
use crate::lsm::{Attempt, Found, State, TreeView};
use crate::query::{self, Counter, Counters, Lookup, Since};
use crate::types::{DatabaseName, LayerId, Lsn};

use super::settle::Added;
use super::shown::Shown;

/// From one LSN to another of a database's history: nothing but increments changed a field in between.
struct Span {
    name: DatabaseName,
    layer: LayerId,
    /// The commit that put the layer over the levels below it.
    began: Lsn,
    from: Since,
    /// The LSN of the version that notes the counter.
    version: Lsn,
    /// The LSN at which the level is read.
    to: Lsn,
    is_topmost: bool,
    /// The field's value in the version.
    value: Option<Vec<u8>>,
    /// The value less the increments; of a field that no counter is noted of, the value.
    start: Option<Vec<u8>>,
    is_counted: bool,
}

impl Span {
    fn of(level: &Level, version: Lsn, (seen, field): (&Seen<'_>, &str), is_topmost: bool) -> Result<Span> {
        let Level { name, layer, lsn, began } = level;
        let counter = seen.counters.get(field);
        Ok(Span {
            name: name.clone(),
            layer: *layer,
            began: *began,
            from: counter.map_or(Since::At(version), |counter| counter.since),
            version,
            to: *lsn,
            is_topmost,
            value: seen.value.at(field)?.map(<[u8]>::to_vec),
            start: seen.started(field)?,
            is_counted: counter.is_some(),
        })
    }

    /// True if both spans have an LSN in common. A span from `Since::Layer` began with its own layer; against a span of
    /// another layer of the same database only the LSN of the version itself is sure.
    fn meets(&self, other: &Span) -> bool {
        if self.name != other.name {
            return false;
        }
        let is_one_layer = self.layer == other.layer;
        let from = |span: &Span| match span.from {
            Since::Layer if !is_one_layer => span.version,
            from => from.lsn(),
        };
        from(self) <= other.to && from(other) <= self.to
    }

    /// True if this span goes on from an earlier one although they have no LSN in common: this one began with the value
    /// that the earlier one ended with, and every version in between has that value too, because it was written for
    /// other fields. Versions in between that history does not hold may have had any value: then the answer is no. Only
    /// levels below the topmost are asked, as their past does not change.
    fn follows(
        &self,
        earlier: &Span,
        (state, view): (&State, TreeView<'_>),
        (suffix, field): CounterName<'_>,
    ) -> Attempt<bool> {
        let is_below = !self.is_topmost && !earlier.is_topmost;
        let is_start = |value: Option<&[u8]>| is_start(self.is_counted, self.start.as_deref(), value);
        if !is_below || self.name != earlier.name || !is_start(earlier.value.as_deref())? {
            return Ok(false);
        }
        let before = |lsn: Lsn| Lsn(lsn.0.saturating_sub(1));
        let mut at = if self.from.lsn() < self.began { self.to } else { before(self.from.lsn()) };
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
            let is_in_span = is_own && path.levels()[0].layer == self.layer && found.lsn >= self.from.lsn();
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
type CounterName<'a> = (&'a [u8], &'a str);

/// The levels that a field came through, and its value before the increments.
struct Trace {
    spans: Vec<Span>,
    /// True if the field was incremented at all.
    is_counted: bool,
    start: Option<Vec<u8>>,
    /// The trace led to rows that were copied, and history does not hold those rows any more.
    is_lost: bool,
    is_at_end: bool,
}

/// A row as one version has it: read once for all of its fields.
struct Seen<'a> {
    value: Lookup<'a>,
    counters: Counters,
}

impl<'a> Seen<'a> {
    /// `None`: a tombstone.
    fn of(found: &'a Found) -> Result<Option<Seen<'a>>> {
        let Some(value) = found.version.here() else { return Ok(None) };
        let counters = Counters::decode(found.version.delta.as_ref(), Some(found.lsn))?;
        Ok(Some(Seen { value: Lookup::new(Some(value)), counters }))
    }

    /// The value of a field before its increments.
    fn started(&self, field: &str) -> Result<Option<Vec<u8>>> {
        let now = self.value.at(field)?;
        match (now, self.counters.get(field)) {
            (Some(now), Some(counter)) => query::subtract(now, &counter.sum),
            _ => Ok(now.map(<[u8]>::to_vec)),
        }
    }
}

/// The traces of some fields of a row, in their order.
fn trace((state, view): (&State, TreeView<'_>), path: &Path, suffix: &[u8], fields: &[&str]) -> Attempt<Vec<Trace>> {
    let (path, is_lost) = path.with_what_was_copied(view, state.manifest.floor())?;
    let begun = || Trace { spans: Vec::new(), is_counted: false, start: None, is_lost, is_at_end: false };
    let mut traces: Vec<Trace> = fields.iter().map(|_| begun()).collect();
    let mut levels = path.levels();
    while traces.iter().any(|trace| !trace.is_at_end)
        && let Some(Placed { level, found }) = read::placed(view, levels, suffix)?
    {
        let is_topmost = levels.len() == path.levels().len() && level == 0;
        let (here, rest) = (&levels[level..], &levels[level + 1..]);
        levels = rest;
        if read::is_copy(view, &Path::of(here), suffix, &found)? {
            continue;
        }
        let Some(seen) = Seen::of(&found)? else {
            traces.iter_mut().filter(|trace| !trace.is_at_end).for_each(|trace| trace.is_lost = false);
            break;
        };
        let (found_below, seen_below) = (OnceCell::new(), OnceCell::new());
        let below = || -> Attempt<Option<&Seen<'_>>> {
            if found_below.get().is_none() {
                let _ = found_below.set(read::topmost(view, rest, suffix)?);
            }
            if seen_below.get().is_none() {
                let found = found_below.get().expect("BUG: just set").as_ref();
                let _ = seen_below.set(found.map_or(Ok(None), Seen::of)?);
            }
            Ok(seen_below.get().and_then(Option::as_ref))
        };
        for (trace, field) in traces.iter_mut().zip(fields).filter(|(trace, _)| !trace.is_at_end) {
            trace.pass(Span::of(&here[0], found.lsn, (&seen, field), is_topmost)?);
            trace.is_at_end = trace.ends((&here[0], rest), (&seen, &below), field)?;
        }
    }
    Ok(traces)
}

/// Reads a row once, when the first field asks for it.
type Below<'a> = dyn Fn() -> Attempt<Option<&'a Seen<'a>>> + 'a;

impl Trace {
    fn pass(&mut self, span: Span) {
        self.is_counted |= span.is_counted;
        self.start.clone_from(&span.start);
        self.spans.push(span);
    }

    /// True if the trace of a field ends in the level `here`: the field came from none of the levels below.
    fn ends(
        &mut self,
        (here, rest): (&Level, &[Level]),
        (seen, below): (&Seen<'_>, &Below<'_>),
        field: &str,
    ) -> Attempt<bool> {
        let since = seen.counters.get(field).map(|counter| counter.since);
        // A copy carries the counter of the row that it was copied from. If the counter's start is the LSN of the level
        // below, and the field began there with the same number, the counter goes on in that level.
        let is_of_copy = since.is_some_and(|since| rest.first().is_some_and(|below| since == Since::At(below.lsn)));
        let started = |below: Option<&Seen<'_>>| below.map_or(Ok(None), |below| below.started(field));
        if is_of_copy && started(below()?)? == self.start {
            return Ok(false);
        }
        match since {
            // The counter goes on below.
            Some(Since::Layer) => Ok(false),
            // The layer was put over the levels that are below it now after the counter began: the counter says nothing
            // of them.
            Some(since) if since.lsn() < here.began => Ok(true),
            _ => {
                let Some(below) = below()? else { return Ok(true) };
                let is_start = is_start(since.is_some(), self.start.as_deref(), below.value.at(field)?)?;
                self.is_lost &= is_start;
                Ok(!is_start)
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counting {
    Yes,
    No,
    /// The field came from a row that was copied, and history does not hold that row any more.
    Unknown,
}

/// For each field of a row: true if it came from its value on `then` to its value on `now` by increments alone.
pub fn only_counted(
    reading: (&State, TreeView<'_>),
    (now, then): (&Path, &Path),
    suffix: &[u8],
    fields: &[&str],
) -> Attempt<Vec<bool>> {
    let (now, then) = (trace(reading, now, suffix, fields)?, trace(reading, then, suffix, fields)?);
    let pairs = now.iter().zip(&then).zip(fields);
    pairs.map(|((now, then), field)| have_met(reading, now, then, (suffix, field))).collect()
}

fn have_met(reading: (&State, TreeView<'_>), now: &Trace, then: &Trace, name: CounterName<'_>) -> Attempt<bool> {
    for span in &now.spans {
        for other in &then.spans {
            let (later, earlier) = if span.to < other.to { (other, span) } else { (span, other) };
            if span.meets(other) || later.follows(earlier, reading, name)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// For each field: `Yes` if its value on `now` is its value on `then`, or on a base, plus increments. The flag of a
/// field tells if its value on the base is its value on `then`; only then is the field traced on `then`.
pub fn counted(
    reading: (&State, TreeView<'_>),
    (now, then): (&Path, &Path),
    base: &Lookup<'_>,
    suffix: &[u8],
    fields: &[(&str, bool)],
) -> Attempt<Vec<Counting>> {
    let all: Vec<&str> = fields.iter().map(|(field, _)| *field).collect();
    let based: Vec<&str> = fields.iter().filter(|(_, is_base)| *is_base).map(|(field, _)| *field).collect();
    let now = trace(reading, now, suffix, &all)?;
    let mut then = trace(reading, then, suffix, &based)?.into_iter();
    let mut counting = Vec::with_capacity(fields.len());
    for (now, (field, is_base)) in now.iter().zip(fields) {
        let then = if *is_base { then.next() } else { None };
        counting.push(counted_field(reading, (now, then.as_ref()), base.at(field)?, (suffix, field))?);
    }
    Ok(counting)
}

fn counted_field(
    reading: (&State, TreeView<'_>),
    (now, then): (&Trace, Option<&Trace>),
    base: Option<&[u8]>,
    name: CounterName<'_>,
) -> Attempt<Counting> {
    if let Some(then) = then
        && have_met(reading, now, then, name)?
    {
        return Ok(Counting::Yes);
    }
    if !now.spans.is_empty() && is_start(now.is_counted, now.start.as_deref(), base)? {
        return Ok(Counting::Yes);
    }
    let is_lost = now.is_counted && (now.is_lost || then.is_some_and(|then| then.is_lost));
    Ok(if is_lost { Counting::Unknown } else { Counting::No })
}

/// True if increments that began at the value `start` continue the value `base`: the two are equal, or one is missing
/// and the other is the zero of a field that is incremented.
fn is_start(is_counted: bool, start: Option<&[u8]>, base: Option<&[u8]>) -> Result<bool> {
    let is_zero = |number: &[u8]| Ok(query::add(number, number)?.is_some_and(|twice| twice == number));
    match (start, base) {
        (Some(other), None) | (None, Some(other)) => Ok(is_counted && is_zero(other)?),
        (start, base) => Ok(start == base),
    }
}

/// The sums that were added to the counters of `now` since the row was `base`, with which the clone's layer began.
pub fn added_over(now: &Shown, base: Option<&[u8]>) -> Result<Added> {
    let (Some(value), Some(base)) = (now.bytes(), base) else { return Ok(Added::new()) };
    let (value, base) = (Lookup::new(Some(value)), Lookup::new(Some(base)));
    let mut added = Added::new();
    for counter in now.counters.iter() {
        let is_counted = counter.since == Since::Layer || starts_at(&value, counter, &base)?;
        if is_counted {
            added.push((counter.path.clone(), counter.sum.clone()));
        }
    }
    Ok(added)
}

/// The sums that were added to the counters of `now` since `then`, an earlier version of the same layer or one below
/// it.
pub fn added_since(now: &Shown, then: &Shown) -> Result<Added> {
    let (Some(value), Some(base)) = (now.bytes(), then.bytes()) else { return Ok(Added::new()) };
    let (value, base) = (Lookup::new(Some(value)), Lookup::new(Some(base)));
    let own = then.lsn.filter(|_| then.is_own).unwrap_or_default();
    let mut added = Added::new();
    for counter in now.counters.iter() {
        let before = then.counters.get(&counter.path).filter(|before| before.since == counter.since);
        let by = match before {
            Some(before) => query::subtract(&counter.sum, &before.sum)?,
            None if counter.since.lsn() <= own => Some(counter.sum.clone()),
            None => starts_at(&value, counter, &base)?.then(|| counter.sum.clone()),
        };
        added.extend(by.map(|by| (counter.path.clone(), by)));
    }
    Ok(added)
}

/// True if a counter's field, less the counter's sum, equals the field of `base`.
fn starts_at(value: &Lookup<'_>, counter: &Counter, base: &Lookup<'_>) -> Result<bool> {
    let Some(now) = value.at(&counter.path)? else { return Ok(false) };
    is_start(true, query::subtract(now, &counter.sum)?.as_deref(), base.at(&counter.path)?)
}
