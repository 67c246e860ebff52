//! A row of an export: its key, its value as this store writes it, and when it expires.

use super::format::ExportedRow;
use crate::engine::op::encoded_key;
use crate::error::{Error, ErrorCode, Result};
use crate::query::twice;
use crate::types::number::Number;
use crate::types::pack::{EXT_BIGINT, Reader, Shape, write_array, write_bin, write_map, write_text};
use crate::types::{Bytes, Kind, key, limits};

const EXT_TIMESTAMP: i8 = -1;
/// Milliseconds from 1970 to the last moment that a JavaScript Date can say.
const LAST_DATE: i128 = 8_640_000_000_000_000;

pub fn malformed(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::InvalidImport, message)
}

pub fn unsigned(reader: &mut Reader<'_>) -> Result<u64> {
    u64::try_from(reader.integer()?).map_err(|_| malformed("a number is negative"))
}

pub fn read_row(body: &Bytes, reader: &mut Reader<'_>, kind: Kind) -> Result<ExportedRow> {
    let items = reader.array()?;
    if !(2..=3).contains(&items) {
        return Err(malformed("a row has two or three items"));
    }
    let key = read_row_key(reader, kind)?;
    let start = reader.position();
    let value = reader.value()?;
    if value.len() > limits::VALUE_BYTES {
        return Err(malformed(format!("a value is too large. bytes={}", value.len())));
    }
    if kind == Kind::Document {
        check_document(value)?;
    }
    check_names(&mut Reader::new(value))?;
    let mut rewriting = Rewriting { value, same: 0, other: None, piece: Vec::new() };
    rewrite(&mut Reader::new(value), &mut rewriting)?;
    let value = rewriting.other.map_or_else(|| body.slice(start..reader.position()), Bytes::from);
    let expiry = if items == 3 { Some(unsigned(reader)?) } else { None };
    if expiry.is_some() && kind == Kind::Document {
        return Err(malformed("a document does not expire"));
    }
    Ok(ExportedRow { key, value, expiry })
}

fn read_row_key(reader: &mut Reader<'_>, kind: Kind) -> Result<Vec<u8>> {
    if kind == Kind::Entry {
        return encoded_key(reader);
    }
    let mut encoded = Vec::new();
    key::write_id(&mut encoded, reader.text()?)?;
    Ok(encoded)
}

fn check_document(value: &[u8]) -> Result<()> {
    let mut fields = Reader::new(value);
    for _ in 0..fields.map()? {
        if fields.text()? == "id" {
            return Err(malformed("a document's id is its key, no field"));
        }
        fields.value()?;
    }
    Ok(())
}

/// Fails if an object in a value, whose shape was checked, has two fields of one name.
fn check_names(reader: &mut Reader<'_>) -> Result<()> {
    match reader.shape()? {
        Shape::Array => (0..reader.array()?).try_for_each(|_| check_names(reader)),
        Shape::Map => {
            let count = reader.map()?;
            // Four bytes a field: the shortest fields take two.
            let mut places = Vec::with_capacity(count);
            let fields = reader.clone();
            for _ in 0..count {
                places.push((reader.position() - fields.position()) as u32);
                reader.text()?;
                check_names(reader)?;
            }
            let name = |place: u32| fields.text_behind(place as usize);
            match twice(&mut places, &name) {
                Some(name) => Err(malformed(format!("a field is there twice. field={name}"))),
                None => Ok(()),
            }
        }
        _ => reader.value().map(drop),
    }
}

/// A value as this store writes it. As long as it is what was read, nothing is copied.
struct Rewriting<'a> {
    value: &'a [u8],
    /// How many bytes were the same so far.
    same: usize,
    /// The value, once it differs.
    other: Option<Vec<u8>>,
    /// The bytes that are appended next.
    piece: Vec<u8>,
}

impl Rewriting<'_> {
    fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.piece.clear();
        write(&mut self.piece);
        if self.other.is_none() && self.value[self.same..].starts_with(&self.piece) {
            self.same += self.piece.len();
            return Ok(());
        }
        let (value, same) = (self.value, self.same);
        let other = self.other.get_or_insert_with(|| {
            // Nothing grows by more than a number of five bytes does, which takes nine.
            let most = same + self.piece.len() + (value.len() - same) * 9 / 5;
            let mut other = Vec::with_capacity(most.min(limits::VALUE_BYTES));
            other.extend_from_slice(&value[..same]);
            other
        });
        if other.len() + self.piece.len() > limits::VALUE_BYTES {
            return Err(malformed(format!("a value is too large. bytes={}", other.len() + self.piece.len())));
        }
        other.extend_from_slice(&self.piece);
        Ok(())
    }
}

/// Appends a value whose shape was checked as this store writes it: others may have written a number in a longer form,
/// and equal values must be equal bytes. Its extensions must be such as can be read back.
fn rewrite(reader: &mut Reader<'_>, out: &mut Rewriting<'_>) -> Result<()> {
    match reader.shape()? {
        Shape::Array => {
            let count = reader.array()?;
            out.append(|out| write_array(out, count))?;
            (0..count).try_for_each(|_| rewrite(reader, out))
        }
        Shape::Map => {
            let count = reader.map()?;
            out.append(|out| write_map(out, count))?;
            for _ in 0..count {
                let name = reader.text()?;
                out.append(|out| write_text(out, name))?;
                rewrite(reader, out)?;
            }
            Ok(())
        }
        Shape::Integer | Shape::Float => rewrite_number(reader.value()?, out),
        Shape::Ext => {
            let value = reader.value()?;
            match Reader::new(value).ext()? {
                (EXT_BIGINT, bytes) if !bytes.is_empty() => rewrite_number(value, out),
                (EXT_TIMESTAMP, bytes) if is_date(bytes) => out.append(|out| out.extend_from_slice(value)),
                (kind, _) => Err(malformed(format!("a value is of no known type. extension={kind}"))),
            }
        }
        Shape::Text => {
            let text = reader.text()?;
            out.append(|out| write_text(out, text))
        }
        Shape::Bin => {
            let bytes = reader.bin()?;
            out.append(|out| write_bin(out, bytes))
        }
        Shape::Nil | Shape::Bool => {
            let value = reader.value()?;
            out.append(|out| out.extend_from_slice(value))
        }
    }
}

fn rewrite_number(value: &[u8], out: &mut Rewriting<'_>) -> Result<()> {
    let number = Number::read(value)?.ok_or_else(|| malformed("a number cannot be read"))?;
    out.append(|out| number.write(out))
}

/// True if the bytes are a timestamp, and within the range of a JavaScript Date.
fn is_date(bytes: &[u8]) -> bool {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
    let (seconds, nanoseconds) = match bytes.len() {
        4 => (number(bytes) as i64, 0),
        8 => ((number(bytes) & ((1 << 34) - 1)) as i64, number(bytes) >> 34),
        12 => (number(&bytes[4..]) as i64, number(&bytes[..4])),
        _ => return false,
    };
    let milliseconds = i128::from(seconds) * 1000 + i128::from(nanoseconds / 1_000_000);
    nanoseconds < 1_000_000_000 && milliseconds.abs() <= LAST_DATE
}
