//! One row's three sides into one, and asking the caller where they clash.

use std::cell::RefCell;
use std::rc::Rc;

use super::shown::Shown;
use super::{Conflict, Policy, Reason, Resolution, Select, Selected, Tally};
use crate::engine::compare::diff::Difference;
use crate::error::{Error, ErrorCode, Result};
use crate::query::{self, Clash, Counter, Counters, Counts, Lookup, Names, Sides, Since};
use crate::types::pack::{Reader, Shape};
use crate::types::row::split_suffix;
use crate::types::{Bytes, Kind, SortedBytes, Suffix, limits};
use xxhash_rust::xxh64::xxh64;

/// The sums that the clone added to its counters: dotted paths and numbers.
pub type Added = Vec<(String, Vec<u8>)>;

/// A row to merge: its three sides, and the counters that add up.
#[derive(Clone)]
pub struct ThreeWay {
    pub suffix: Suffix,
    pub base: Option<Bytes>,
    pub clone: Option<Bytes>,
    pub origin: Option<Bytes>,
    /// Counters that both sides only incremented, with the sums that the clone added.
    pub added: Added,
    /// Counters that both sides may have incremented, though no sum can be told.
    pub unsure: Vec<String>,
}

impl ThreeWay {
    fn sides(&self) -> Sides<'_> {
        Sides { base: self.base.as_deref(), clone: self.clone.as_deref(), origin: self.origin.as_deref() }
    }

    /// The merged row; `choose` gives the value where both sides clash.
    pub fn merge(&self, choose: &mut dyn FnMut(&Clash<'_>) -> Result<Option<Vec<u8>>>) -> Result<Option<Bytes>> {
        let merged = query::merge(self.sides(), Counts { added: &self.added, unsure: &self.unsure }, &mut |clash| {
            choose(&clash)
        })?;
        Ok(merged.map(Bytes::from))
    }

    fn conflict(&self, clash: &Clash<'_>) -> Conflict {
        let (collection, kind, key) = split_suffix(self.suffix.as_bytes()).expect("BUG: a merged row is content");
        let bytes = |side: Option<&[u8]>| side.map(Bytes::from);
        let field = (!clash.path.is_empty()).then(|| clash.path.join("."));
        Conflict {
            reason: if field.is_some() { Reason::Field } else { Reason::Row },
            kind,
            collection: collection.to_string(),
            key: key.to_vec(),
            field,
            base: bytes(clash.sides.base),
            clone: bytes(clash.sides.clone),
            origin: bytes(clash.sides.origin),
        }
    }

    /// Fails if a value that a resolution brought could not be written as any other.
    fn check(&self, merged: Option<&Bytes>) -> Result<()> {
        let Some(merged) = merged else { return Ok(()) };
        let is_document = matches!(split_suffix(self.suffix.as_bytes()), Some((_, Kind::Document, _)));
        let mut reader = Reader::new(merged);
        if is_document && reader.shape()? != Shape::Map {
            return Err(Error::new(ErrorCode::InvalidValue, "a document is an object").with_text("path", ""));
        }
        reader.value()?;
        check_length(Some(merged))
    }
}

/// Fails if a merged value is too long for one row: both sides fit, but their merge may not.
pub fn check_length(merged: Option<&Bytes>) -> Result<()> {
    if merged.is_none_or(|merged| merged.len() <= limits::VALUE_BYTES) {
        return Ok(());
    }
    let message = format!("a merged value has at most {} bytes", limits::VALUE_BYTES);
    Err(Error::new(ErrorCode::TooLarge, message))
}

fn chosen(resolution: &Resolution, clash: &Clash<'_>) -> Option<Vec<u8>> {
    match resolution {
        Resolution::Clone | Resolution::Fail => clash.sides.clone.map(<[u8]>::to_vec),
        Resolution::Origin => clash.sides.origin.map(<[u8]>::to_vec),
        Resolution::Value(value) => value.as_deref().map(<[u8]>::to_vec),
    }
}

/// Merges rows, and asks the policy once for all that clash in them.
pub async fn settle(rows: &[ThreeWay], policy: &Policy, tally: &mut Tally) -> Result<Vec<Option<Bytes>>> {
    let mut conflicts = Vec::new();
    let mut merged = Vec::with_capacity(rows.len());
    let mut clashing = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        let before = conflicts.len();
        merged.push(row.merge(&mut |clash| {
            conflicts.push(row.conflict(clash));
            Ok(chosen(&Resolution::Clone, clash))
        })?);
        if conflicts.len() > before {
            clashing.push(place);
        } else {
            check_length(merged[place].as_ref())?;
        }
    }
    let resolutions = match policy {
        _ if conflicts.is_empty() => return Ok(merged),
        Policy::Always(resolution) => vec![resolution.clone(); conflicts.len()],
        Policy::Ask(ask) => ask(conflicts.clone()).await?,
    };
    if resolutions.len() != conflicts.len() {
        return Err(unequal());
    }
    let mut next = resolutions.iter();
    for place in clashing {
        let row = &rows[place];
        merged[place] = row.merge(&mut |clash| {
            let resolution = next.next().expect("BUG: a row clashes as it did before");
            Ok(chosen(resolution, clash))
        })?;
        row.check(merged[place].as_ref())?;
    }
    for (conflict, resolution) in conflicts.into_iter().zip(&resolutions) {
        let list = if *resolution == Resolution::Fail { &mut tally.unsettled } else { &mut tally.settled };
        list.push(conflict);
    }
    Ok(merged)
}

/// The conflicts that were asked about and their answers, by the places of the conflicts.
#[derive(Default)]
struct Answers {
    places: SortedBytes,
    answers: Vec<(Conflict, Resolution)>,
}

/// A field's name may have dots, and be written as another one's path; their values tell them apart.
fn place(conflict: &Conflict) -> Vec<u8> {
    let suffix = Suffix::new(&conflict.collection, conflict.kind, &conflict.key);
    let field = conflict.field.as_deref().map_or(&[][..], str::as_bytes);
    let mut sides = Vec::new();
    for side in [&conflict.base, &conflict.clone, &conflict.origin] {
        sides.extend_from_slice(&side.as_ref().map_or(0, |side| xxh64(side, 1)).to_be_bytes());
    }
    [suffix.as_bytes(), &[0], field, &[0], &sides[..]].concat()
}

impl Answers {
    fn get(&self, conflict: &Conflict) -> Option<&Resolution> {
        let at = self.places.get(&place(conflict))?;
        let at = u32::from_be_bytes(at[..].try_into().expect("BUG: four bytes")) as usize;
        Some(&self.answers[at]).filter(|(known, _)| known == conflict).map(|(_, resolution)| resolution)
    }

    fn add(&mut self, conflict: Conflict, resolution: Resolution) {
        self.places.insert(place(&conflict), (self.answers.len() as u32).to_be_bytes()[..].into());
        self.answers.push((conflict, resolution));
    }
}

/// The same policy, which asks once: where all starts over, a conflict that is as it was has its answer.
pub fn remembering(policy: &Policy) -> Policy {
    let Policy::Ask(ask) = policy else { return policy.clone() };
    let (ask, answers) = (ask.clone(), Rc::new(RefCell::new(Answers::default())));
    Policy::Ask(Rc::new(move |conflicts| {
        let (ask, answers) = (ask.clone(), answers.clone());
        Box::pin(async move {
            let is_new = |conflict: &&Conflict| answers.borrow().get(conflict).is_none();
            let new: Vec<Conflict> = conflicts.iter().filter(is_new).cloned().collect();
            if !new.is_empty() {
                let told = ask(new.clone()).await?;
                if told.len() != new.len() {
                    return Err(unequal());
                }
                new.into_iter().zip(told).for_each(|(conflict, told)| answers.borrow_mut().add(conflict, told));
            }
            let answers = answers.borrow();
            Ok(conflicts.iter().map(|conflict| answers.get(conflict).cloned().unwrap_or_default()).collect())
        })
    }))
}

/// Asks which changes are taken.
pub async fn select(select: &Select, changes: Vec<Difference>) -> Result<Vec<Selected>> {
    let count = changes.len();
    if count == 0 {
        return Ok(Vec::new());
    }
    let selected = select(changes).await?;
    if selected.len() == count { Ok(selected) } else { Err(unequal()) }
}

fn unequal() -> Error {
    Error::new(ErrorCode::Internal, "BUG: each question has one answer")
}

/// The counters of a version written over `replaced`: those that only what was added has changed go on, others are
/// counted from `since` on.
pub fn carried(replaced: &Shown, value: Option<&Bytes>, added: &Added, since: Option<Since>) -> Result<Counters> {
    let (Some(value), Some(before)) = (value, replaced.bytes()) else { return Ok(Counters::default()) };
    let (was, is) = (Lookup::new(Some(before)), Lookup::new(Some(value)));
    let names = names_of(added);
    let by = |path: &str| names.place(path).map(|place| &added[place].1[..]);
    let is_sum = |path: &str, by: &[u8]| -> Result<bool> {
        let sum = match was.at(path)? {
            Some(was) => query::add(was, by)?,
            None => Some(by.to_vec()),
        };
        Ok(sum.is_some() && sum.as_deref() == is.at(path)?)
    };
    let mut counters = Vec::new();
    for counter in replaced.counters.iter() {
        if query::is_same(was.at(&counter.path)?, is.at(&counter.path)?)? {
            counters.push(counter.clone());
        } else if let Some(by) = by(&counter.path)
            && is_sum(&counter.path, by)?
            && let Some(sum) = query::add(&counter.sum, by)?
        {
            counters.push(Counter { sum, ..counter.clone() });
        }
    }
    for (path, by) in added {
        if let Some(since) = since
            && replaced.counters.get(path).is_none()
            && is_sum(path, by)?
        {
            counters.push(Counter { path: path.clone(), since, sum: by.clone() });
        }
    }
    Ok(Counters::of(counters))
}

/// The sums of the clone that add up with those of the origin.
pub fn adding_up(added: &Added, counting: &[String]) -> Added {
    let counting = Names::of(&mut counting.iter().map(|path| &path[..]));
    added.iter().filter(|(path, _)| counting.has(path)).cloned().collect()
}

/// The paths of the sums that were added, for looking them up.
pub fn names_of(added: &Added) -> Names<'_> {
    Names::of(&mut added.iter().map(|(path, _)| &path[..]))
}
