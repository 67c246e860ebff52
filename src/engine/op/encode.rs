//! Answers as the JavaScript side reads them.

use super::Answer;
use crate::engine::op::context::Page;
use crate::types::number::Number;
use crate::types::pack::{write_array, write_bin, write_bool, write_integer, write_nil, write_text};
use crate::types::{Bytes, Key, KeyPart};

impl Answer {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Answer::Nothing => write_nil(&mut out),
            Answer::Flag(flag) => write_bool(&mut out, *flag),
            Answer::Count(count) => write_integer(&mut out, *count as i64),
            Answer::Value(value) => optional(&mut out, value.as_ref()),
            Answer::Values(values) => {
                write_array(&mut out, values.len());
                for value in values {
                    optional(&mut out, value.as_ref());
                }
            }
            Answer::Ids(ids) => {
                write_array(&mut out, ids.len());
                for id in ids {
                    write_text(&mut out, id);
                }
            }
            Answer::Documents(page) => {
                out.reserve(page.rows.iter().map(|(id, fields)| id.len() + fields.len() + 8).sum());
                begin(&mut out, page, |out, (id, _)| write_text(out, id));
                for (id, fields) in &page.rows {
                    write_array(&mut out, 2);
                    write_text(&mut out, id);
                    out.extend_from_slice(fields);
                }
            }
            Answer::Entries(page) => {
                begin(&mut out, page, |out, (key, _)| write_key(out, key));
                for (key, value) in &page.rows {
                    write_array(&mut out, 2);
                    write_key(&mut out, key);
                    out.extend_from_slice(value);
                }
            }
        }
        out
    }
}

/// Null is a value, so what may be absent is an array of none or one (SEMANTICS R8).
fn optional(out: &mut Vec<u8>, value: Option<&Bytes>) {
    write_array(out, usize::from(value.is_some()));
    if let Some(value) = value {
        out.extend_from_slice(value);
    }
}

/// A page begins with the key of its last row, if there is more behind that row.
fn begin<T>(out: &mut Vec<u8>, page: &Page<T>, write_last: impl Fn(&mut Vec<u8>, &T)) {
    write_array(out, 2);
    match page.rows.last().filter(|_| page.rest.is_some()) {
        Some(last) => write_last(out, last),
        None => write_nil(out),
    }
    write_array(out, page.rows.len());
}

/// A key as its caller gave it.
pub fn write_key(out: &mut Vec<u8>, encoded: &[u8]) {
    match Key::decode(encoded) {
        Some(Key::One(part)) => write_part(out, &part),
        Some(Key::Many(parts)) => {
            write_array(out, parts.len());
            for part in &parts {
                write_part(out, part);
            }
        }
        None => write_nil(out),
    }
}

fn write_part(out: &mut Vec<u8>, part: &KeyPart) {
    match part {
        KeyPart::Number(number) => Number::Double(*number).write(out),
        KeyPart::Text(text) => write_text(out, text),
        KeyPart::Bytes(bytes) => write_bin(out, bytes),
    }
}
