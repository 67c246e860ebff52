//! Lists of fields, told apart by their place and encoded as MessagePack: the store's own records are made of them.
//!
//! Records are turned into these and back by hand, because code derived for each of them fills a third of the module
//! that an app loads. New fields come last; a reader takes those that an older writer left out by their default.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeTupleStruct, Serializer};

/// Lists within lists: more than any record has.
const DEPTH: usize = 16;
/// Room that is made for a list before its fields are there: the length that a list declares may be a lie.
const ROOM: usize = 1024;

#[derive(Clone, PartialEq, Debug)]
pub enum Field<'a> {
    Nil,
    Flag(bool),
    Number(u64),
    Bytes(&'a [u8]),
    Text(&'a str),
    List(Vec<Field<'a>>),
}

impl<'a> Field<'a> {
    pub fn optional(number: Option<u64>) -> Field<'a> {
        number.map_or(Field::Nil, Field::Number)
    }

    pub fn list<T>(items: &'a [T], field: impl Fn(&'a T) -> Field<'a>) -> Field<'a> {
        Field::List(items.iter().map(field).collect())
    }

    pub fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("BUG: numbers, bytes and text always encode")
    }

    /// `None`: the bytes are no list of fields.
    pub fn decode(bytes: &'a [u8]) -> Option<Fields<'a>> {
        let mut decoder = rmp_serde::Deserializer::from_read_ref(bytes);
        decoder.set_max_depth(DEPTH);
        Field::deserialize(&mut decoder).ok()?.fields()
    }

    fn fields(self) -> Option<Fields<'a>> {
        if let Field::List(fields) = self { Some(Fields(fields.into_iter())) } else { None }
    }
}

/// A list's fields, read in order. `None`: there is none, or it is of another type.
pub struct Fields<'a>(std::vec::IntoIter<Field<'a>>);

impl<'a> Fields<'a> {
    pub fn number(&mut self) -> Option<u64> {
        if let Field::Number(number) = self.0.next()? { Some(number) } else { None }
    }

    /// A number that may be nil, or may be left out by an older writer.
    pub fn optional(&mut self) -> Option<Option<u64>> {
        match self.0.next() {
            None | Some(Field::Nil) => Some(None),
            Some(Field::Number(number)) => Some(Some(number)),
            Some(_) => None,
        }
    }

    /// False where an older writer left it out.
    pub fn flag(&mut self) -> Option<bool> {
        match self.0.next() {
            None => Some(false),
            Some(Field::Flag(flag)) => Some(flag),
            Some(_) => None,
        }
    }

    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        if let Field::Bytes(bytes) = self.0.next()? { Some(bytes) } else { None }
    }

    pub fn text(&mut self) -> Option<&'a str> {
        if let Field::Text(text) = self.0.next()? { Some(text) } else { None }
    }

    pub fn list(&mut self) -> Option<Fields<'a>> {
        self.0.next()?.fields()
    }

    /// A list that may be nil, or may be left out by an older writer.
    pub fn optional_list(&mut self) -> Option<Option<Fields<'a>>> {
        match self.0.next() {
            None | Some(Field::Nil) => Some(None),
            Some(field) => field.fields().map(Some),
        }
    }

    /// All that are left, each a list of its own.
    pub fn lists<T>(self, read: impl FnMut(Fields<'a>) -> Option<T>) -> Option<Vec<T>> {
        self.0.map(Field::fields).collect::<Option<Vec<_>>>()?.into_iter().map(read).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.0.as_slice().is_empty()
    }
}

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Field::Nil => serializer.serialize_unit(),
            Field::Flag(flag) => serializer.serialize_bool(*flag),
            Field::Number(number) => serializer.serialize_u64(*number),
            Field::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Field::Text(text) => serializer.serialize_str(text),
            Field::List(fields) => {
                // A sequence would bring all of this code once more, for one whose length is not known.
                let mut list = serializer.serialize_tuple_struct("", fields.len())?;
                for field in fields {
                    list.serialize_field(field)?;
                }
                list.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Field<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Field<'de>, D::Error> {
        deserializer.deserialize_any(AnyField)
    }
}

struct AnyField;

impl<'de> Visitor<'de> for AnyField {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field")
    }

    fn visit_unit<E>(self) -> Result<Field<'de>, E> {
        Ok(Field::Nil)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Field<'de>, E> {
        Ok(Field::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Field<'de>, E> {
        Ok(Field::Number(number))
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Field<'de>, E> {
        Ok(Field::Bytes(bytes))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Field<'de>, E> {
        Ok(Field::Text(text))
    }

    // By default serde makes an error of these that could show a float, and the code that writes floats is large.

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Field<'de>, E> {
        Err(E::custom("a negative number"))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Field<'de>, E> {
        Err(E::custom("a float"))
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Field<'de>, E> {
        Err(E::custom("a text that is not part of the record"))
    }

    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<Field<'de>, E> {
        Err(E::custom("bytes that are not part of the record"))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Field<'de>, A::Error> {
        Err(de::Error::custom("a map"))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, _: D) -> Result<Field<'de>, D::Error> {
        Err(de::Error::custom("an extension"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Field<'de>, A::Error> {
        let mut fields = Vec::with_capacity(list.size_hint().unwrap_or(0).min(ROOM));
        while let Some(field) = list.next_element()? {
            fields.push(field);
        }
        Ok(Field::List(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_field_survives_the_round_trip() {
        let inner = Field::List(vec![Field::Number(u64::MAX), Field::Nil]);
        let record = Field::List(vec![Field::Text("é"), Field::Bytes(&[0, 255]), Field::Flag(true), Field::Nil, inner]);
        let bytes = record.encode();
        let mut fields = Field::decode(&bytes).unwrap();
        assert_eq!(fields.text(), Some("é"));
        assert_eq!(fields.bytes(), Some(&[0, 255][..]));
        assert_eq!(fields.flag(), Some(true));
        assert_eq!(fields.optional(), Some(None));
        let mut list = fields.list().unwrap();
        assert_eq!((list.number(), list.optional(), list.optional()), (Some(u64::MAX), Some(None), Some(None)));
        assert!(list.is_empty() && fields.is_empty());
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let deep = (0..100).fold(Field::Nil, |field, _| Field::List(vec![field])).encode();
        let short = Field::List(vec![Field::Bytes(&[7; 100])]).encode();
        let lie = [0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0];
        for bytes in [
            &deep[..],
            &short[..50],
            &lie[..],
            &[],
            &[0xc0],
            &[0x91, 0xcb, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x91, 0xff],
            &[0x91, 0x80],
            &[0x91, 0xd4, 1, 1],
        ] {
            assert!(Field::decode(bytes).is_none(), "{bytes:?}");
        }
    }
}
