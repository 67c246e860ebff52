//! Calls as the JavaScript side writes them: `[name, collection, …]` in MessagePack. They may be anything; nothing
//! panics.

use super::documents::document as document_suffix;
use super::{Condition, KeyRange, NewDocument, Op};
use crate::error::{Error, ErrorCode, Result};
use crate::query::Update;
use crate::types::pack::{Reader, Shape};
use crate::types::{CollectionName, Key, KeyPart, key, limits};

fn invalid(message: &str) -> Error {
    Error::new(ErrorCode::InvalidOption, message)
}

impl Op {
    /// Reads the bytes of a call: `[name, collection, …]`.
    pub fn decode(bytes: &[u8]) -> Result<Op> {
        let mut reader = Reader::new(bytes);
        let count = reader.array()?;
        if count < 2 {
            return Err(invalid("a call has a name and a collection"));
        }
        let name = reader.text()?;
        let collection = CollectionName::new(reader.text()?)?;
        let op = match name.strip_prefix("kv") {
            Some(name) => entry_op(name, collection, &mut reader)?,
            None => document_op(name, collection, &mut reader)?,
        };
        if !reader.is_at_end() {
            return Err(invalid("a call has more arguments than it takes"));
        }
        Ok(op)
    }
}

fn document_op(name: &str, collection: CollectionName, reader: &mut Reader<'_>) -> Result<Op> {
    Ok(match name {
        "get" => Op::Get { collection, id: reader.text()?.to_string() },
        "getMany" => Op::GetMany { collection, ids: many(reader, text)? },
        "count" => Op::Count { collection, rest: None, counted: 0 },
        "find" => {
            let after = optional(reader, text)?;
            let skip = unsigned(reader)?;
            let limit = optional(reader, unsigned)?.map(clamp);
            let after = after.map(|id| document_suffix(&collection, &id)).transpose()?;
            Op::Find { collection, after, rest: None, skip, limit }
        }
        "insert" => Op::Insert { collection, documents: many(reader, document)? },
        "put" => Op::Put { collection, documents: many(reader, document)? },
        "update" => {
            let id = reader.text()?.to_string();
            Op::Update { collection, id, update: Update::read(reader.value()?)? }
        }
        "delete" => Op::Delete { collection, ids: many(reader, text)? },
        _ => return Err(invalid(&format!("there is no such call. name={name}"))),
    })
}

fn entry_op(name: &str, collection: CollectionName, reader: &mut Reader<'_>) -> Result<Op> {
    Ok(match name {
        "Get" => Op::EntryGet { collection, keys: vec![encoded_key(reader)?], one: true },
        "GetMany" => Op::EntryGet { collection, keys: many(reader, encoded_key)?, one: false },
        "Has" => Op::EntryHas { collection, key: encoded_key(reader)? },
        "GetField" => Op::EntryField { collection, key: encoded_key(reader)?, field: text(reader)? },
        "List" => {
            let (range, reverse) = (key_range(reader)?, reader.boolean()?);
            let limit = optional(reader, unsigned)?.map(clamp);
            Op::EntryList { collection, range, reverse, limit, after: optional(reader, encoded_key)?, rest: None }
        }
        "Count" => Op::EntryCount { collection, range: key_range(reader)?, rest: None, counted: 0 },
        "Set" => {
            let entries = many(reader, |reader| {
                pair(reader)?;
                Ok((encoded_key(reader)?, reader.value()?.to_vec()))
            })?;
            let condition = match reader.integer()? {
                0 => Condition::None,
                1 => Condition::IfAbsent,
                2 => Condition::IfPresent,
                _ => return Err(invalid("there is no such condition")),
            };
            Op::EntrySet { collection, entries, condition }
        }
        "Delete" => Op::EntryDelete { collection, keys: many(reader, encoded_key)? },
        "SetField" => {
            let (key, field) = (encoded_key(reader)?, text(reader)?);
            let value = match reader.array()? {
                0 => None,
                _ => Some(reader.value()?.to_vec()),
            };
            Op::EntrySetField { collection, key, field, value }
        }
        _ => return Err(invalid(&format!("there is no such call. name=kv{name}"))),
    })
}

fn text(reader: &mut Reader<'_>) -> Result<String> {
    Ok(reader.text()?.to_string())
}

fn unsigned(reader: &mut Reader<'_>) -> Result<u64> {
    u64::try_from(reader.integer()?).map_err(|_| invalid("a count is not negative"))
}

fn clamp(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn many<T>(reader: &mut Reader<'_>, mut each: impl FnMut(&mut Reader<'_>) -> Result<T>) -> Result<Vec<T>> {
    // Room is made for the items that are there, not for as many as the array says.
    let mut items = Vec::new();
    for _ in 0..reader.array()? {
        items.push(each(reader)?);
    }
    Ok(items)
}

fn optional<T>(reader: &mut Reader<'_>, read: impl FnOnce(&mut Reader<'_>) -> Result<T>) -> Result<Option<T>> {
    if reader.take_nil() { Ok(None) } else { read(reader).map(Some) }
}

fn pair(reader: &mut Reader<'_>) -> Result<()> {
    if reader.array()? == 2 { Ok(()) } else { Err(invalid("a pair has two items")) }
}

fn document(reader: &mut Reader<'_>) -> Result<NewDocument> {
    pair(reader)?;
    let id = optional(reader, text)?;
    NewDocument::read(id, reader)
}

fn key_part(reader: &mut Reader<'_>) -> Result<KeyPart> {
    Ok(match reader.shape()? {
        Shape::Integer => KeyPart::Number(reader.integer()? as f64),
        Shape::Float => KeyPart::Number(reader.float()?),
        Shape::Text => KeyPart::Text(text(reader)?),
        Shape::Bin => KeyPart::Bytes(reader.bin()?.to_vec()),
        _ => return Err(Error::new(ErrorCode::InvalidKey, "a key is a string, a number, bytes, or an array of those")),
    })
}

fn read_key(reader: &mut Reader<'_>) -> Result<Key> {
    match reader.shape()? {
        // The check comes before the parts are read, because a file of a hostile sender may list millions of them.
        Shape::Array if reader.clone().array()? > limits::KEY_PARTS => Err(key::too_many_parts()),
        Shape::Array => many(reader, key_part).map(Key::Many),
        _ => key_part(reader).map(Key::One),
    }
}

pub fn encoded_key(reader: &mut Reader<'_>) -> Result<Vec<u8>> {
    read_key(reader)?.encode()
}

/// `[prefix, start, startAfter, end]`: all that are given hold.
fn key_range(reader: &mut Reader<'_>) -> Result<KeyRange> {
    if reader.array()? != 4 {
        return Err(invalid("a range has four parts"));
    }
    let prefix = optional(reader, read_key)?;
    let start = optional(reader, encoded_key)?;
    let after = optional(reader, encoded_key)?;
    let end = optional(reader, encoded_key)?;
    let (low, high) = match prefix {
        Some(prefix) => {
            let (low, high) = key::prefix_range(&prefix)?;
            (Some(low), Some(high))
        }
        None => (None, None),
    };
    let before = match (high, end) {
        (Some(high), Some(end)) => Some(high.min(end)),
        (high, end) => high.or(end),
    };
    Ok(KeyRange { from: low.max(start), after, before })
}
