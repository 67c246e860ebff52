//! Documents by id.

use super::{Answer, MakeId, NewDocument, Op, Step};
use crate::engine::op::context::{Context, PageLimits};
use crate::engine::op::known::Known;
use crate::engine::op::transaction::ReadBy;
use crate::engine::rows::read::{Standing, SuffixRange, just_after};
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::Attempt;
use crate::query;
use crate::types::pack::Reader;
use crate::types::row::{prefix, prefix_end, split_suffix};
use crate::types::{CollectionName, Kind, SortedSet, Suffix, key, limits};

pub fn apply(op: &Op, context: &mut Context<'_>, ids: &dyn MakeId, known: &mut Known) -> Attempt<Step> {
    let answer = match op {
        Op::Get { collection, id } => {
            let value = context.get(&document(collection, id)?, ReadBy::Body)?;
            check_when_absent(context, collection, value.is_none())?;
            Answer::Value(value)
        }
        Op::GetMany { collection, ids } => {
            context.values(known, &mut ids.iter().map(|id| document(collection, id)))?;
            check_when_absent(context, collection, known.values.iter().any(Option::is_none))?;
            Answer::Values(std::mem::take(&mut known.values))
        }
        Op::Count { collection, rest, counted } => return count(context, collection, rest.as_ref(), *counted),
        Op::Find { collection, after, rest, skip, limit } => {
            return find(context, collection, (after.as_ref(), rest.as_ref()), (*skip, *limit));
        }
        Op::Insert { collection, documents } => Answer::Ids(write(context, collection, documents, ids, (known, true))?),
        Op::Put { collection, documents } => Answer::Ids(write(context, collection, documents, ids, (known, false))?),
        Op::Update { collection, id, update } => {
            let suffix = document(collection, id)?;
            let found = context.current(&suffix, ReadBy::Engine)?;
            check_when_absent(context, collection, found.is_none())?;
            let Some(current) = found else { return Ok(Step::Done(Answer::Flag(false))) };
            let updated = query::apply(&current.value, update)?;
            if updated[..] != current.value[..] {
                // It may nest deeper than before.
                check_size(&updated)?;
                Reader::new(&updated).value()?;
                context.put_updated(suffix, updated.into(), &current, update)?;
            }
            Answer::Flag(true)
        }
        Op::Delete { collection, ids } => {
            context.standings(known, &mut ids.iter().map(|id| document(collection, id)))?;
            let deleted = context.delete_all(known)?;
            check_when_absent(context, collection, deleted < ids.len() as u64)?;
            Answer::Count(deleted)
        }
        _ => unreachable!("BUG: an operation on entries"),
    };
    Ok(Step::Done(answer))
}

/// A document's row, without its layer.
pub fn document(collection: &CollectionName, id: &str) -> Result<Suffix> {
    let mut encoded = Vec::with_capacity(id.len() + 3);
    key::write_id(&mut encoded, id)?;
    Ok(Suffix::document(collection, &encoded))
}

/// A document that is there is proof of its collection's kind; where none is, the kind must be asked for.
fn check_when_absent(context: &mut Context<'_>, collection: &CollectionName, absent: bool) -> Attempt<()> {
    if absent { context.check_kind(collection, Kind::Document) } else { Ok(()) }
}

fn check_size(fields: &[u8]) -> Result<()> {
    if fields.len() <= limits::VALUE_BYTES {
        return Ok(());
    }
    let message = format!("a document has at most {} bytes. bytes={}", limits::VALUE_BYTES, fields.len());
    Err(Error::new(ErrorCode::TooLarge, message))
}

/// Documents of one call have different ids. Mostly they rise, and looking at neighbours tells it.
fn check_unique(documents: &[NewDocument]) -> Result<()> {
    let ids = || documents.iter().filter_map(|new| new.id.as_deref());
    if ids().zip(ids().skip(1)).all(|(id, next)| id < next) {
        return Ok(());
    }
    let mut seen = SortedSet::new();
    match ids().find(|id| !seen.insert(Suffix::from_bytes(id.as_bytes().to_vec()))) {
        Some(id) => Err(taken(id, "two documents of one call have the same id")),
        None => Ok(()),
    }
}

fn write(
    context: &mut Context<'_>,
    collection: &CollectionName,
    documents: &[NewDocument],
    ids: &dyn MakeId,
    (known, insert): (&mut Known, bool),
) -> Attempt<Vec<String>> {
    if documents.is_empty() {
        return Ok(Vec::new());
    }
    // An id that is drawn here is nobody's: there is nothing to look up.
    let is_looked_up = insert || context.has_below();
    if is_looked_up {
        let named = documents.iter().filter_map(|new| new.id.as_deref());
        context.standings(known, &mut named.map(|id| document(collection, id)))?;
    }
    context.ensure_collection(collection, Kind::Document)?;
    check_unique(documents)?;
    let mut standings = known.standings.iter();
    let mut written = Vec::with_capacity(documents.len());
    for new in documents {
        let id = new.id.clone().unwrap_or_else(|| ids.make_id());
        let standing = match is_looked_up && new.id.is_some() {
            true => *standings.next().expect("BUG: every named document was looked up"),
            false => Standing::default(),
        };
        check_size(&new.fields)?;
        if insert && standing.is_there {
            return Err(taken(&id, "a document with this id is there already").into());
        }
        context.put_over(document(collection, &id)?, new.fields.clone(), standing.base)?;
        written.push(id);
    }
    Ok(written)
}

fn taken(id: &str, message: &str) -> Error {
    Error::new(ErrorCode::KeyExists, format!("{message}. id={id:?}")).with_text("key", id)
}

fn range(collection: &CollectionName, after: Option<&Suffix>) -> SuffixRange {
    let from = match after {
        Some(last) => just_after(last.as_bytes()),
        None => prefix(collection.as_str(), Kind::Document),
    };
    SuffixRange { from, before: prefix_end(collection.as_str(), Kind::Document) }
}

fn count(
    context: &mut Context<'_>,
    collection: &CollectionName,
    rest: Option<&SuffixRange>,
    counted: u64,
) -> Attempt<Step> {
    if rest.is_none() {
        context.check_kind(collection, Kind::Document)?;
    }
    let left = rest.cloned().unwrap_or_else(|| range(collection, None));
    let (more, rest) = context.count(&left)?;
    let counted = counted + more;
    Ok(match rest {
        Some(rest) => Step::More(Op::Count { collection: collection.clone(), rest: Some(rest), counted }),
        None => Step::Done(Answer::Count(counted)),
    })
}

fn find(
    context: &mut Context<'_>,
    collection: &CollectionName,
    (after, rest): (Option<&Suffix>, Option<&SuffixRange>),
    (skip, limit): (u64, Option<usize>),
) -> Attempt<Step> {
    if after.is_none() && rest.is_none() {
        context.check_kind(collection, Kind::Document)?;
    }
    let mut skip = skip;
    let left = rest.cloned().unwrap_or_else(|| range(collection, after));
    let page = context.scan(&left, false, PageLimits::up_to(limit), |row| {
        if skip > 0 {
            skip -= 1;
            return Ok(None);
        }
        let unreadable = || Error::corrupt("a document's key cannot be read");
        let id = split_suffix(row.suffix).and_then(|(_, _, encoded)| key::read_id(encoded)).ok_or_else(unreadable)?;
        let version = row.version()?;
        let fields = version.here().expect("BUG: a visible row has a value").clone();
        let size = fields.len() + id.len() + 16;
        Ok(Some(((id, fields), size)))
    })?;
    if page.rows.is_empty() && page.rest.is_some() {
        let (collection, after) = (collection.clone(), after.cloned());
        return Ok(Step::More(Op::Find { collection, after, rest: page.rest, skip, limit }));
    }
    Ok(Step::Done(Answer::Documents(page)))
}
