//! Key-value entries.

use super::{Answer, Condition, KeyRange, Op, Step};
use crate::engine::op::context::{Context, PageLimits};
use crate::engine::op::known::Known;
use crate::engine::op::transaction::ReadBy;
use crate::engine::rows::read::{Standing, SuffixRange, just_after};
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::Attempt;
use crate::query;
use crate::types::pack::{Reader, Shape, write_map};
use crate::types::row::{prefix, prefix_end, split_suffix};
use crate::types::{Bytes, CollectionName, Kind, Suffix, limits};

pub fn apply(op: &Op, context: &mut Context<'_>, known: &mut Known) -> Attempt<Step> {
    let answer = match op {
        Op::EntryGet { collection, keys, one } => {
            context.values(known, &mut keys.iter().map(|key| Ok(Suffix::entry(collection, key))))?;
            check_when_absent(context, collection, known.values.iter().any(Option::is_none))?;
            let mut values = std::mem::take(&mut known.values);
            if *one { Answer::Value(values.pop().flatten()) } else { Answer::Values(values) }
        }
        Op::EntryHas { collection, key } => {
            let found = context.get(&Suffix::entry(collection, key), ReadBy::Body)?.is_some();
            check_when_absent(context, collection, !found)?;
            Answer::Flag(found)
        }
        Op::EntryField { collection, key, field } => {
            let value = context.get(&Suffix::entry(collection, key), ReadBy::Body)?;
            check_when_absent(context, collection, value.is_none())?;
            Answer::Value(match value {
                Some(value) => query::field(check_map(&value)?, field)?.map(Bytes::from),
                None => None,
            })
        }
        Op::EntryList { collection, range, reverse, limit, after, rest } => {
            let after = after.as_deref();
            return list(context, collection, (range, after, rest.as_ref()), *reverse, *limit);
        }
        Op::EntryCount { collection, range, rest, counted } => {
            return count(context, collection, (range, rest.as_ref()), *counted);
        }
        Op::EntrySet { collection, entries, condition } => {
            Answer::Flag(set(context, collection, entries, *condition, known)?)
        }
        Op::EntryDelete { collection, keys } => {
            context.standings(known, &mut keys.iter().map(|key| Ok(Suffix::entry(collection, key))))?;
            let deleted = context.delete_all(known)?;
            check_when_absent(context, collection, deleted < keys.len() as u64)?;
            Answer::Count(deleted)
        }
        Op::EntrySetField { collection, key, field, value } => {
            set_field(context, collection, key, field, value.as_deref())?;
            Answer::Nothing
        }
        _ => unreachable!("BUG: an operation on documents"),
    };
    Ok(Step::Done(answer))
}

fn check_when_absent(context: &mut Context<'_>, collection: &CollectionName, absent: bool) -> Attempt<()> {
    if absent { context.check_kind(collection, Kind::Entry) } else { Ok(()) }
}

fn check_value(value: &[u8]) -> Result<()> {
    if value.len() > limits::VALUE_BYTES {
        let message = format!("a value has at most {} bytes. bytes={}", limits::VALUE_BYTES, value.len());
        return Err(Error::new(ErrorCode::TooLarge, message));
    }
    Reader::new(value).value().map(drop)
}

fn check_map(value: &[u8]) -> Result<&[u8]> {
    if Reader::new(value).shape()? == Shape::Map {
        return Ok(value);
    }
    Err(Error::new(ErrorCode::WrongKind, "the value is no object, and has no fields"))
}

fn set(
    context: &mut Context<'_>,
    collection: &CollectionName,
    entries: &[(Vec<u8>, Vec<u8>)],
    condition: Condition,
    known: &mut Known,
) -> Attempt<bool> {
    if entries.is_empty() {
        return Ok(true);
    }
    if condition != Condition::None || context.has_below() {
        context.standings(known, &mut entries.iter().map(|(key, _)| Ok(Suffix::entry(collection, key))))?;
    }
    entries.iter().try_for_each(|(_, value)| check_value(value))?;
    let fails = |standing: &Standing| standing.is_there != (condition == Condition::IfPresent);
    if condition != Condition::None && known.standings.iter().any(fails) {
        context.check_kind(collection, Kind::Entry)?;
        return Ok(false);
    }
    context.ensure_collection(collection, Kind::Entry)?;
    for (index, (key, value)) in entries.iter().enumerate() {
        let base = known.standings.get(index).and_then(|standing| standing.base);
        context.put_over(Suffix::entry(collection, key), Bytes::from(&value[..]), base)?;
    }
    Ok(true)
}

/// Copies the whole value up, with the field set (SEMANTICS W5). On an absent key it makes an object with that field.
fn set_field(
    context: &mut Context<'_>,
    collection: &CollectionName,
    key: &[u8],
    field: &str,
    value: Option<&[u8]>,
) -> Attempt<()> {
    let suffix = Suffix::entry(collection, key);
    let found = context.get(&suffix, ReadBy::Engine)?;
    if found.is_none() && value.is_none() {
        return context.check_kind(collection, Kind::Entry);
    }
    context.ensure_collection(collection, Kind::Entry)?;
    let before = match &found {
        Some(found) => check_map(found)?.to_vec(),
        None => {
            let mut empty = Vec::new();
            write_map(&mut empty, 0);
            empty
        }
    };
    let edited = query::edit(Some(&before), &[field], &mut |_| Ok(value.map(<[u8]>::to_vec)))?;
    let edited = edited.expect("BUG: an object stays an object");
    check_value(&edited)?;
    if found.is_none() || edited != before {
        context.put(suffix, edited.into())?;
    }
    Ok(())
}

fn suffix_range(collection: &CollectionName, range: &KeyRange) -> SuffixRange {
    let entry = |key: &Vec<u8>| Suffix::entry(collection, key).as_bytes().to_vec();
    let mut from = range.from.as_ref().map_or_else(|| prefix(collection.as_str(), Kind::Entry), entry);
    if let Some(after) = &range.after {
        from = from.max(just_after(&entry(after)));
    }
    let before = range.before.as_ref().map_or_else(|| prefix_end(collection.as_str(), Kind::Entry), entry);
    SuffixRange { from, before }
}

fn list(
    context: &mut Context<'_>,
    collection: &CollectionName,
    (range, after, rest): (&KeyRange, Option<&[u8]>, Option<&SuffixRange>),
    reverse: bool,
    limit: Option<usize>,
) -> Attempt<Step> {
    let mut left = rest.cloned().unwrap_or_else(|| suffix_range(collection, range));
    match after {
        _ if rest.is_some() => {}
        Some(last) if reverse => left.before = left.before.min(Suffix::entry(collection, last).as_bytes().to_vec()),
        Some(last) => left.from = left.from.max(just_after(Suffix::entry(collection, last).as_bytes())),
        None => context.check_kind(collection, Kind::Entry)?,
    }
    let page = context.scan(&left, reverse, PageLimits::up_to(limit), |row| {
        let unreadable = || Error::corrupt("an entry's key cannot be read");
        let (_, _, key) = split_suffix(row.suffix).ok_or_else(unreadable)?;
        let version = row.version()?;
        let value = version.here().expect("BUG: a visible row has a value").clone();
        let size = key.len() + value.len() + 16;
        Ok(Some(((key.to_vec(), value), size)))
    })?;
    if page.rows.is_empty() && page.rest.is_some() {
        let (collection, range, after) = (collection.clone(), range.clone(), after.map(<[u8]>::to_vec));
        return Ok(Step::More(Op::EntryList { collection, range, reverse, limit, after, rest: page.rest }));
    }
    Ok(Step::Done(Answer::Entries(page)))
}

fn count(
    context: &mut Context<'_>,
    collection: &CollectionName,
    (range, rest): (&KeyRange, Option<&SuffixRange>),
    counted: u64,
) -> Attempt<Step> {
    if rest.is_none() {
        context.check_kind(collection, Kind::Entry)?;
    }
    let left = rest.cloned().unwrap_or_else(|| suffix_range(collection, range));
    let (more, rest) = context.count(&left)?;
    let counted = counted + more;
    let (collection, range) = (collection.clone(), range.clone());
    Ok(match rest {
        Some(rest) => Step::More(Op::EntryCount { collection, range, rest: Some(rest), counted }),
        None => Step::Done(Answer::Count(counted)),
    })
}
