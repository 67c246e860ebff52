//! MessagePack, read and written without building a tree: one checked pass, nothing allocated on a sender's word.
//!
//! Rows keep the bytes that the caller's codec made; this module looks into them, and frames calls and answers.

use super::{limits, work};
use crate::error::{Error, ErrorCode, Result};

pub const EXT_BIGINT: i8 = 1;

/// The type of an encoded value, as its first byte tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    Nil,
    Bool,
    Integer,
    Float,
    Text,
    Bin,
    Array,
    Map,
    Ext,
}

/// Reads one value after another out of bytes that may be anything.
#[derive(Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

fn malformed(message: &str) -> Error {
    Error::new(ErrorCode::InvalidValue, format!("malformed MessagePack: {message}"))
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, position: 0 }
    }

    pub fn is_at_end(&self) -> bool {
        self.position == self.bytes.len()
    }

    pub fn position(&self) -> usize {
        self.position
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.position.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| malformed("it ends too early"))?;
        let taken = &self.bytes[self.position..end];
        self.position = end;
        Ok(taken)
    }

    fn big_endian(&mut self, width: usize) -> Result<u64> {
        Ok(self.take(width)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn length(&mut self, width: usize) -> Result<usize> {
        usize::try_from(self.big_endian(width)?).map_err(|_| malformed("a length is too large"))
    }

    pub fn shape(&self) -> Result<Shape> {
        let byte = *self.bytes.get(self.position).ok_or_else(|| malformed("it ends too early"))?;
        Ok(match byte {
            0x00..=0x7f | 0xcc..=0xd3 | 0xe0..=0xff => Shape::Integer,
            0x80..=0x8f | 0xde | 0xdf => Shape::Map,
            0x90..=0x9f | 0xdc | 0xdd => Shape::Array,
            0xa0..=0xbf | 0xd9..=0xdb => Shape::Text,
            0xc0 => Shape::Nil,
            0xc1 => return Err(malformed("0xc1 begins no value")),
            0xc2 | 0xc3 => Shape::Bool,
            0xc4..=0xc6 => Shape::Bin,
            0xc7..=0xc9 | 0xd4..=0xd8 => Shape::Ext,
            0xca | 0xcb => Shape::Float,
        })
    }

    fn expect(&self, shape: Shape) -> Result<u8> {
        let found = self.shape()?;
        if found != shape {
            return Err(malformed(&format!("expected {shape:?}, found {found:?}")));
        }
        Ok(self.bytes[self.position])
    }

    /// Takes a nil, if one is next.
    pub fn take_nil(&mut self) -> bool {
        let is_nil = self.bytes.get(self.position) == Some(&0xc0);
        self.position += usize::from(is_nil);
        is_nil
    }

    pub fn boolean(&mut self) -> Result<bool> {
        let byte = self.expect(Shape::Bool)?;
        self.position += 1;
        Ok(byte == 0xc3)
    }

    /// An integer of either sign; the 64-bit unsigned ones above `i64` do not fit and are malformed here.
    pub fn integer(&mut self) -> Result<i64> {
        let byte = self.expect(Shape::Integer)?;
        self.position += 1;
        Ok(match byte {
            0x00..=0x7f => i64::from(byte),
            0xe0..=0xff => i64::from(byte as i8),
            0xcc..=0xce => self.big_endian(1 << (byte - 0xcc))? as i64,
            0xcf => i64::try_from(self.big_endian(8)?).map_err(|_| malformed("an integer is too large"))?,
            _ => {
                let width = 1 << (byte - 0xd0);
                let shift = 64 - 8 * width as u32;
                ((self.big_endian(width)? << shift) as i64) >> shift
            }
        })
    }

    pub fn float(&mut self) -> Result<f64> {
        let byte = self.expect(Shape::Float)?;
        self.position += 1;
        Ok(match byte {
            0xca => f64::from(f32::from_bits(self.big_endian(4)? as u32)),
            _ => f64::from_bits(self.big_endian(8)?),
        })
    }

    pub fn text(&mut self) -> Result<&'a str> {
        work::count();
        let byte = self.expect(Shape::Text)?;
        self.position += 1;
        let length = match byte {
            0xa0..=0xbf => usize::from(byte & 0x1f),
            _ => self.length(1 << (byte - 0xd9))?,
        };
        std::str::from_utf8(self.take(length)?).map_err(|_| malformed("a text is not UTF-8"))
    }

    /// The text that begins so many bytes behind the next value; none there: an empty one.
    pub fn text_behind(&self, bytes: usize) -> &'a str {
        let position = self.position + bytes;
        Reader { bytes: self.bytes, position }.text().unwrap_or_default()
    }

    pub fn bin(&mut self) -> Result<&'a [u8]> {
        let byte = self.expect(Shape::Bin)?;
        self.position += 1;
        let length = self.length(1 << (byte - 0xc4))?;
        self.take(length)
    }

    /// An extension's type and bytes.
    pub fn ext(&mut self) -> Result<(i8, &'a [u8])> {
        let byte = self.expect(Shape::Ext)?;
        self.position += 1;
        let length = match byte {
            0xd4..=0xd8 => 1 << (byte - 0xd4),
            _ => self.length(1 << (byte - 0xc7))?,
        };
        let kind = self.take(1)?[0] as i8;
        Ok((kind, self.take(length)?))
    }

    /// How many items follow; never more than the bytes that remain could hold.
    pub fn array(&mut self) -> Result<usize> {
        let byte = self.expect(Shape::Array)?;
        self.position += 1;
        let count = match byte {
            0x90..=0x9f => usize::from(byte & 0x0f),
            _ => self.length(2 << (byte - 0xdc))?,
        };
        self.bounded(count, 1)
    }

    /// How many fields follow, each a text and a value.
    pub fn map(&mut self) -> Result<usize> {
        let byte = self.expect(Shape::Map)?;
        self.position += 1;
        let count = match byte {
            0x80..=0x8f => usize::from(byte & 0x0f),
            _ => self.length(2 << (byte - 0xde))?,
        };
        self.bounded(count, 2)
    }

    fn bounded(&self, count: usize, least: usize) -> Result<usize> {
        let fits = count.checked_mul(least).is_some_and(|bytes| bytes <= self.bytes.len() - self.position);
        if fits { Ok(count) } else { Err(malformed("it counts more items than it has bytes")) }
    }

    /// One whole value, checked: its bytes, whatever it is. Keys of maps are texts, nesting is limited.
    pub fn value(&mut self) -> Result<&'a [u8]> {
        work::count();
        let start = self.position;
        // Per open container: how many values it still holds, and whether each has a field name before it.
        let mut open: Vec<(usize, bool)> = Vec::new();
        loop {
            if let Some((_, true)) = open.last() {
                self.text()?;
            }
            let container = match self.shape()? {
                Shape::Array => Some((self.array()?, false)),
                Shape::Map => Some((self.map()?, true)),
                _ => {
                    self.scalar()?;
                    None
                }
            };
            if let Some(container) = container {
                if open.len() == limits::VALUE_DEPTH {
                    let message = format!("a value nests at most {} deep", limits::VALUE_DEPTH);
                    return Err(Error::new(ErrorCode::TooLarge, message));
                }
                if container.0 > 0 {
                    open.push(container);
                    continue;
                }
            }
            while let Some((left, _)) = open.last_mut() {
                *left -= 1;
                if *left > 0 {
                    break;
                }
                open.pop();
            }
            if open.is_empty() {
                return Ok(&self.bytes[start..self.position]);
            }
        }
    }

    fn scalar(&mut self) -> Result<()> {
        match self.shape()? {
            Shape::Nil => self.position += 1,
            Shape::Bool => drop(self.boolean()?),
            Shape::Integer => {
                let byte = self.bytes[self.position];
                let width = match byte {
                    0xcc..=0xcf => 1 << (byte - 0xcc),
                    0xd0..=0xd3 => 1 << (byte - 0xd0),
                    _ => 0,
                };
                self.take(1 + width)?;
            }
            Shape::Float => drop(self.float()?),
            Shape::Text => drop(self.text()?),
            Shape::Bin => drop(self.bin()?),
            Shape::Ext => drop(self.ext()?),
            Shape::Array | Shape::Map => unreachable!("BUG: containers are walked, not read"),
        }
        Ok(())
    }
}

pub fn write_nil(out: &mut Vec<u8>) {
    out.push(0xc0);
}

pub fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { 0xc3 } else { 0xc2 });
}

/// The smallest form; unsigned ones from 0 on.
pub fn write_integer(out: &mut Vec<u8>, value: i64) {
    match value {
        0..=0x7f => out.push(value as u8),
        0x80..=0xff => out.extend_from_slice(&[0xcc, value as u8]),
        0x100..=0xffff => write_sized(out, 0xcd, &(value as u16).to_be_bytes()),
        0x1_0000..=0xffff_ffff => write_sized(out, 0xce, &(value as u32).to_be_bytes()),
        0x1_0000_0000.. => write_sized(out, 0xcf, &value.to_be_bytes()),
        -0x20..=-1 => out.push(value as u8),
        -0x80..=-0x21 => out.extend_from_slice(&[0xd0, value as u8]),
        -0x8000..=-0x81 => write_sized(out, 0xd1, &(value as i16).to_be_bytes()),
        -0x8000_0000..=-0x8001 => write_sized(out, 0xd2, &(value as i32).to_be_bytes()),
        _ => write_sized(out, 0xd3, &value.to_be_bytes()),
    }
}

pub fn write_float(out: &mut Vec<u8>, value: f64) {
    write_sized(out, 0xcb, &value.to_be_bytes());
}

fn write_sized(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

pub fn write_text(out: &mut Vec<u8>, text: &str) {
    match text.len() {
        length @ 0..=31 => out.push(0xa0 | length as u8),
        length @ 32..=0xff => out.extend_from_slice(&[0xd9, length as u8]),
        length @ 0x100..=0xffff => write_sized(out, 0xda, &(length as u16).to_be_bytes()),
        length => write_sized(out, 0xdb, &(length as u32).to_be_bytes()),
    }
    out.extend_from_slice(text.as_bytes());
}

pub fn write_bin(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        length @ 0..=0xff => out.extend_from_slice(&[0xc4, length as u8]),
        length @ 0x100..=0xffff => write_sized(out, 0xc5, &(length as u16).to_be_bytes()),
        length => write_sized(out, 0xc6, &(length as u32).to_be_bytes()),
    }
    out.extend_from_slice(bytes);
}

pub fn write_array(out: &mut Vec<u8>, count: usize) {
    match count {
        0..=15 => out.push(0x90 | count as u8),
        16..=0xffff => write_sized(out, 0xdc, &(count as u16).to_be_bytes()),
        _ => write_sized(out, 0xdd, &(count as u32).to_be_bytes()),
    }
}

pub fn write_map(out: &mut Vec<u8>, count: usize) {
    match count {
        0..=15 => out.push(0x80 | count as u8),
        16..=0xffff => write_sized(out, 0xde, &(count as u16).to_be_bytes()),
        _ => write_sized(out, 0xdf, &(count as u32).to_be_bytes()),
    }
}

pub fn write_ext(out: &mut Vec<u8>, kind: i8, bytes: &[u8]) {
    match bytes.len() {
        1 | 2 | 4 | 8 | 16 => out.push(0xd4 + bytes.len().trailing_zeros() as u8),
        length @ 0..=0xff => out.extend_from_slice(&[0xc7, length as u8]),
        length @ 0x100..=0xffff => write_sized(out, 0xc8, &(length as u16).to_be_bytes()),
        length => write_sized(out, 0xc9, &(length as u32).to_be_bytes()),
    }
    out.push(kind as u8);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
#[path = "pack_tests.rs"]
mod tests;
