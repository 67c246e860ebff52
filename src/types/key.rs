//! Keys and their ordered encoding: byte order is key order, and no key is a prefix of another.
//!
//! A part is a tag and its content: numbers as eight bytes that compare as the numbers do, texts (UTF-8) and bytes with
//! 0x00 written as 0x00 0xff and closed by 0x00 0x00. An array is its tag, its parts, and 0x00.

use super::limits;
use crate::error::{Error, ErrorCode, Result};

const END: u8 = 0x00;
const NUMBER: u8 = 0x10;
const TEXT: u8 = 0x20;
const BYTES: u8 = 0x30;
const ARRAY: u8 = 0x40;
const ESCAPE: u8 = 0xff;

/// One scalar of a key.
#[derive(Clone, PartialEq, Debug)]
pub enum KeyPart {
    Number(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A KV key: a scalar, or an array of scalars. A document's id is a text.
#[derive(Clone, PartialEq, Debug)]
pub enum Key {
    One(KeyPart),
    Many(Vec<KeyPart>),
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorCode::InvalidKey, message)
}

fn write_number(out: &mut Vec<u8>, number: f64) -> Result<()> {
    if number.is_nan() {
        return Err(invalid("a key cannot be NaN"));
    }
    // -0 and 0 are one key; a negative number's bits are turned over so that they grow with it.
    let bits = (number + 0.0).to_bits();
    let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    out.push(NUMBER);
    out.extend_from_slice(&ordered.to_be_bytes());
    Ok(())
}

fn write_escaped(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    write_open(out, content);
    out.extend_from_slice(&[END, END]);
}

fn write_open(out: &mut Vec<u8>, content: &[u8]) {
    for &byte in content {
        out.push(byte);
        if byte == END {
            out.push(ESCAPE);
        }
    }
}

fn write_part(out: &mut Vec<u8>, part: &KeyPart) -> Result<()> {
    match part {
        KeyPart::Number(number) => write_number(out, *number)?,
        KeyPart::Text(text) => write_escaped(out, TEXT, text.as_bytes()),
        KeyPart::Bytes(bytes) => write_escaped(out, BYTES, bytes),
    }
    Ok(())
}

/// Appends a document id, encoded, without building a `Key` first: this is on the path of every read.
pub fn write_id(out: &mut Vec<u8>, id: &str) -> Result<()> {
    let start = out.len();
    write_escaped(out, TEXT, id.as_bytes());
    check_size(out.len() - start)
}

fn check_size(size: usize) -> Result<()> {
    if size <= limits::KEY_BYTES {
        return Ok(());
    }
    let message = format!("a key has at most {} bytes. bytes={size}", limits::KEY_BYTES);
    Err(Error::new(ErrorCode::TooLarge, message))
}

/// The error of an array key that has no part, or too many.
pub fn too_many_parts() -> Error {
    invalid(&format!("an array key has 1 to {} parts", limits::KEY_PARTS))
}

impl Key {
    pub fn text(text: &str) -> Key {
        Key::One(KeyPart::Text(text.to_string()))
    }

    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        match self {
            Key::One(part) => write_part(&mut out, part)?,
            Key::Many(parts) => {
                if parts.is_empty() || parts.len() > limits::KEY_PARTS {
                    return Err(too_many_parts());
                }
                out.push(ARRAY);
                for part in parts {
                    write_part(&mut out, part)?;
                }
                out.push(END);
            }
        }
        check_size(out.len())?;
        Ok(out)
    }

    /// The key that `encoded` was made from; `None` when no key was.
    pub fn decode(encoded: &[u8]) -> Option<Key> {
        let mut position = 0;
        let key = if encoded.first() == Some(&ARRAY) {
            position = 1;
            let mut parts = Vec::new();
            while *encoded.get(position)? != END {
                parts.push(read_part(encoded, &mut position)?);
            }
            position += 1;
            Key::Many(parts)
        } else {
            Key::One(read_part(encoded, &mut position)?)
        };
        (position == encoded.len()).then_some(key)
    }
}

/// The id of a document, from its encoded key.
pub fn read_id(encoded: &[u8]) -> Option<String> {
    match Key::decode(encoded)? {
        Key::One(KeyPart::Text(id)) => Some(id),
        _ => None,
    }
}

fn read_part(encoded: &[u8], position: &mut usize) -> Option<KeyPart> {
    let tag = *encoded.get(*position)?;
    *position += 1;
    match tag {
        NUMBER => {
            let bytes: [u8; 8] = encoded.get(*position..*position + 8)?.try_into().ok()?;
            *position += 8;
            let ordered = u64::from_be_bytes(bytes);
            let bits = if ordered >> 63 == 1 { ordered & !(1 << 63) } else { !ordered };
            Some(KeyPart::Number(f64::from_bits(bits)))
        }
        TEXT => String::from_utf8(read_escaped(encoded, position)?).ok().map(KeyPart::Text),
        BYTES => read_escaped(encoded, position).map(KeyPart::Bytes),
        _ => None,
    }
}

fn read_escaped(encoded: &[u8], position: &mut usize) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let byte = *encoded.get(*position)?;
        *position += 1;
        if byte != END {
            content.push(byte);
            continue;
        }
        let next = *encoded.get(*position)?;
        *position += 1;
        match next {
            END => return Some(content),
            ESCAPE => content.push(END),
            _ => return None,
        }
    }
}

/// The encoded keys that begin with `prefix`: a text or bytes (itself too), or the leading parts of an array (not
/// itself).
pub fn prefix_range(prefix: &Key) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut from = Vec::new();
    match prefix {
        Key::One(KeyPart::Text(text)) => {
            from.push(TEXT);
            write_open(&mut from, text.as_bytes());
        }
        Key::One(KeyPart::Bytes(bytes)) => {
            from.push(BYTES);
            write_open(&mut from, bytes);
        }
        Key::One(KeyPart::Number(_)) => return Err(invalid("a prefix is a text, bytes or an array, not a number")),
        Key::Many(parts) => {
            from.push(ARRAY);
            for part in parts {
                write_part(&mut from, part)?;
            }
        }
    }
    check_size(from.len())?;
    let before = after_all_with(&from);
    if matches!(prefix, Key::Many(_)) {
        // The parts alone go on with END, which is below every tag: longer arrays begin above it.
        from.push(END + 1);
    }
    Ok((from, before))
}

/// The least byte string above all that begin with `prefix`, which starts with a tag below 0xff.
fn after_all_with(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while end.last() == Some(&0xff) {
        end.pop();
    }
    *end.last_mut().expect("BUG: a prefix begins with its tag") += 1;
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cmp::Ordering;

    fn part() -> impl Strategy<Value = KeyPart> {
        prop_oneof![
            any::<f64>().prop_filter("no NaN", |n| !n.is_nan()).prop_map(|n| KeyPart::Number(n + 0.0)),
            "[\\x00-\\x02a-bé😀]{0,4}".prop_map(KeyPart::Text),
            proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(255), any::<u8>()], 0..5)
                .prop_map(KeyPart::Bytes),
        ]
    }

    fn key() -> impl Strategy<Value = Key> {
        prop_oneof![part().prop_map(Key::One), proptest::collection::vec(part(), 1..4).prop_map(Key::Many)]
    }

    fn compare_parts(a: &KeyPart, b: &KeyPart) -> Ordering {
        match (a, b) {
            (KeyPart::Number(a), KeyPart::Number(b)) => a.partial_cmp(b).unwrap(),
            (KeyPart::Text(a), KeyPart::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (KeyPart::Bytes(a), KeyPart::Bytes(b)) => a.cmp(b),
            (KeyPart::Number(_), _) | (KeyPart::Text(_), KeyPart::Bytes(_)) => Ordering::Less,
            _ => Ordering::Greater,
        }
    }

    fn compare(a: &Key, b: &Key) -> Ordering {
        match (a, b) {
            (Key::One(a), Key::One(b)) => compare_parts(a, b),
            (Key::One(_), Key::Many(_)) => Ordering::Less,
            (Key::Many(_), Key::One(_)) => Ordering::Greater,
            (Key::Many(a), Key::Many(b)) => {
                let first = a.iter().zip(b).map(|(a, b)| compare_parts(a, b)).find(|o| o.is_ne());
                first.unwrap_or(a.len().cmp(&b.len()))
            }
        }
    }

    proptest! {
        /// SEMANTICS R9: byte order is key order, and different keys never share an encoding.
        #[test]
        fn bytes_order_as_keys_do(a in key(), b in key()) {
            let (x, y) = (a.encode().unwrap(), b.encode().unwrap());
            prop_assert_eq!(x.cmp(&y), compare(&a, &b));
            prop_assert!(x == y || !y.starts_with(&x[..]), "one key is a prefix of another");
            prop_assert_eq!(Key::decode(&x), Some(a));
        }

        #[test]
        fn a_text_prefix_holds_exactly_the_texts_that_begin_with_it(
            p in "[\\x00ab]{0,2}",
            t in "[\\x00ab\u{10ffff}]{0,4}",
        ) {
            let (from, before) = prefix_range(&Key::text(&p)).unwrap();
            let encoded = Key::text(&t).encode().unwrap();
            prop_assert_eq!(encoded >= from && encoded < before, t.starts_with(&p));
        }

        #[test]
        fn leading_parts_hold_exactly_the_longer_arrays(p in proptest::collection::vec(part(), 1..3), k in key()) {
            let (from, before) = prefix_range(&Key::Many(p.clone())).unwrap();
            let encoded = k.encode().unwrap();
            let expected = matches!(&k, Key::Many(parts) if parts.len() > p.len() && parts.starts_with(&p));
            prop_assert_eq!(encoded >= from && encoded < before, expected);
        }

        #[test]
        fn any_bytes_decode_to_a_key_or_to_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Key::decode(&bytes);
        }
    }

    #[test]
    fn what_cannot_be_a_key_is_refused() {
        assert_eq!(Key::One(KeyPart::Number(f64::NAN)).encode().unwrap_err().code(), ErrorCode::InvalidKey);
        assert_eq!(Key::Many(vec![]).encode().unwrap_err().code(), ErrorCode::InvalidKey);
        assert_eq!(Key::text(&"x".repeat(2000)).encode().unwrap_err().code(), ErrorCode::TooLarge);
        assert_eq!(Key::One(KeyPart::Number(-0.0)).encode(), Key::One(KeyPart::Number(0.0)).encode());
    }
}
