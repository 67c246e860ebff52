//! The calls that the workload makes, and what they answer, in words that the model shares.

use offshoot::engine::Op;
use offshoot::engine::op::{Answer, Condition, KeyRange, NewDocument};
use offshoot::error::ErrorCode;
use offshoot::query::Update;
use offshoot::types::pack::{write_integer, write_map, write_text};
use offshoot::types::{CollectionName, Key, Kind, Suffix, key};
use serde::Deserialize;

use crate::history::Told;

/// Few keys, so that tabs meet on them.
pub const IDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
pub type Id = &'static str;

/// A store's two kinds of rows, in one collection each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Shelf {
    Documents,
    Entries,
}

impl Shelf {
    fn collection(self) -> CollectionName {
        CollectionName::new(if self == Shelf::Documents { "todos" } else { "kv" }).expect("a good name")
    }

    pub fn of(kind: Kind) -> Option<Shelf> {
        match kind {
            Kind::Document => Some(Shelf::Documents),
            Kind::Entry => Some(Shelf::Entries),
            _ => None,
        }
    }
}

/// The content of a document or an entry. `by` differs from that of every other write of the seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Content {
    pub n: Option<i64>,
    pub by: Option<i64>,
    pub padding: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredContent<'a> {
    n: Option<i64>,
    by: Option<i64>,
    #[serde(borrow)]
    padding: Option<&'a str>,
}

impl Content {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let numbers = [("n", self.n), ("by", self.by)];
        let count = numbers.iter().filter(|(_, number)| number.is_some()).count() + usize::from(self.padding > 0);
        write_map(&mut out, count);
        for (name, number) in numbers {
            if let Some(number) = number {
                write_text(&mut out, name);
                write_integer(&mut out, number);
            }
        }
        if self.padding > 0 {
            write_text(&mut out, "padding");
            write_text(&mut out, &noise(self.padding));
        }
        out
    }

    pub fn decode(bytes: &[u8]) -> Content {
        let stored: StoredContent = rmp_serde::from_slice(bytes).expect("what was written can be read");
        Content { n: stored.n, by: stored.by, padding: stored.padding.map_or(0, str::len) }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub enum Call {
    Get(Shelf, Id),
    GetMany(Shelf, Vec<Id>),
    Count(Shelf),
    /// All rows, page by page.
    List(Shelf),
    /// The first rows.
    First(Shelf, usize),
    /// The last entries.
    Last(usize),
    Insert(Vec<(Id, Content)>),
    Put(Shelf, Vec<(Id, Content)>),
    SetIf(Id, Content, Condition),
    /// Adds to a document's `n` and says by whom; sets an entry's `by` alone.
    Change(Shelf, Id, i64, i64),
    /// Takes `n` away.
    Unset(Shelf, Id),
    Delete(Shelf, Vec<Id>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Observed {
    Nothing,
    Flag(bool),
    Count(u64),
    Value(Option<Content>),
    Values(Vec<Option<Content>>),
    Ids(Vec<String>),
    Rows(Vec<(String, Content)>),
    Told(Told),
    Failed(ErrorCode),
}

fn encoded(id: &str) -> Vec<u8> {
    Key::text(id).encode().expect("a good key")
}

fn texts(ids: &[Id]) -> Vec<String> {
    ids.iter().map(|id| id.to_string()).collect()
}

fn documents(rows: &[(Id, Content)]) -> Vec<NewDocument> {
    let document = |(id, content): &(Id, Content)| NewDocument::new(Some(id.to_string()), &content.encode());
    rows.iter().map(document).collect::<Result<_, _>>().expect("good documents")
}

fn update(fields: &[(&str, &str, i64)]) -> Update {
    let mut out = Vec::new();
    write_map(&mut out, fields.len());
    for (operator, name, number) in fields {
        write_text(&mut out, operator);
        write_map(&mut out, 1);
        write_text(&mut out, name);
        write_integer(&mut out, *number);
    }
    Update::read(&out).expect("a good update")
}

fn list(limit: Option<usize>, reverse: bool, after: Option<&[u8]>) -> Op {
    Op::EntryList {
        collection: Shelf::Entries.collection(),
        range: KeyRange::default(),
        reverse,
        limit,
        after: after.map(<[u8]>::to_vec),
        rest: None,
    }
}

impl Call {
    pub fn is_write(&self) -> bool {
        self.op(None).is_write()
    }

    /// True if the answer comes in pages, each as long as the engine makes it.
    pub fn is_paged(&self) -> bool {
        matches!(self, Call::List(_) | Call::First(..) | Call::Last(_))
    }

    /// True if so many rows reach the call's limit, so that it needs no other page.
    pub fn is_enough(&self, rows: usize) -> bool {
        matches!(self, Call::First(_, limit) | Call::Last(limit) if rows >= *limit)
    }

    /// The call as the engine takes it; `page`: the last key before its next page, and how many rows there were before.
    pub fn op(&self, page: Option<(&[u8], usize)>) -> Op {
        let (after, got) = page.map_or((None, 0), |(after, got)| (Some(after), got));
        let (todos, kv) = (Shelf::Documents.collection(), Shelf::Entries.collection());
        let document = |key: Option<&[u8]>| key.map(|key| Suffix::document(&Shelf::Documents.collection(), key));
        let integer = |number: i64| {
            let mut out = Vec::new();
            write_integer(&mut out, number);
            out
        };
        match self {
            Call::Get(Shelf::Documents, id) => Op::Get { collection: todos, id: id.to_string() },
            Call::Get(Shelf::Entries, id) => Op::EntryGet { collection: kv, keys: vec![encoded(id)], one: true },
            Call::GetMany(Shelf::Documents, ids) => Op::GetMany { collection: todos, ids: texts(ids) },
            Call::GetMany(Shelf::Entries, ids) => {
                Op::EntryGet { collection: kv, keys: ids.iter().map(|id| encoded(id)).collect(), one: false }
            }
            Call::Count(Shelf::Documents) => Op::Count { collection: todos, rest: None, counted: 0 },
            Call::Count(Shelf::Entries) => {
                Op::EntryCount { collection: kv, range: KeyRange::default(), rest: None, counted: 0 }
            }
            Call::List(Shelf::Documents) => {
                Op::Find { collection: todos, after: document(after), rest: None, skip: 0, limit: None }
            }
            Call::List(Shelf::Entries) => list(None, false, after),
            Call::First(Shelf::Documents, limit) => {
                Op::Find { collection: todos, after: document(after), rest: None, skip: 0, limit: Some(limit - got) }
            }
            Call::First(Shelf::Entries, limit) => list(Some(limit - got), false, after),
            Call::Last(limit) => list(Some(limit - got), true, after),
            Call::Insert(rows) => Op::Insert { collection: todos, documents: documents(rows) },
            Call::Put(Shelf::Documents, rows) => Op::Put { collection: todos, documents: documents(rows) },
            Call::Put(Shelf::Entries, rows) => {
                let entries = rows.iter().map(|(id, content)| (encoded(id), content.encode())).collect();
                Op::EntrySet { collection: kv, entries, condition: Condition::None }
            }
            Call::SetIf(id, content, condition) => {
                let entries = vec![(encoded(id), content.encode())];
                Op::EntrySet { collection: kv, entries, condition: *condition }
            }
            Call::Change(Shelf::Documents, id, add, by) => {
                let update = update(&[("$inc", "n", *add), ("$set", "by", *by)]);
                Op::Update { collection: todos, id: id.to_string(), update }
            }
            Call::Change(Shelf::Entries, id, _, by) => {
                let (key, field) = (encoded(id), "by".to_string());
                Op::EntrySetField { collection: kv, key, field, value: Some(integer(*by)) }
            }
            Call::Unset(Shelf::Documents, id) => {
                Op::Update { collection: todos, id: id.to_string(), update: update(&[("$unset", "n", 1)]) }
            }
            Call::Unset(Shelf::Entries, id) => {
                Op::EntrySetField { collection: kv, key: encoded(id), field: "n".to_string(), value: None }
            }
            Call::Delete(Shelf::Documents, ids) => Op::Delete { collection: todos, ids: texts(ids) },
            Call::Delete(Shelf::Entries, ids) => {
                Op::EntryDelete { collection: kv, keys: ids.iter().map(|id| encoded(id)).collect() }
            }
        }
    }
}

/// An answer as the history notes it, and the last key of a list's page if more rows follow that page.
pub fn observe(answer: Answer) -> (Observed, Option<Vec<u8>>) {
    let content = |bytes: offshoot::types::Bytes| Content::decode(&bytes);
    match answer {
        Answer::Nothing => (Observed::Nothing, None),
        Answer::Flag(flag) => (Observed::Flag(flag), None),
        Answer::Count(count) => (Observed::Count(count), None),
        Answer::Value(value) => (Observed::Value(value.map(content)), None),
        Answer::Values(values) => {
            (Observed::Values(values.into_iter().map(|value| value.map(content)).collect()), None)
        }
        Answer::Ids(ids) => (Observed::Ids(ids), None),
        Answer::Documents(page) => {
            let last = page.rows.last().filter(|_| page.rest.is_some()).map(|(id, _)| encoded(id));
            let rows = page.rows.into_iter().map(|(id, fields)| (id, content(fields))).collect();
            (Observed::Rows(rows), last)
        }
        Answer::Entries(page) => {
            let text = |encoded: &[u8]| key::read_id(encoded).expect("a text key");
            let last = page.rows.last().filter(|_| page.rest.is_some()).map(|(key, _)| key.clone());
            let rows = page.rows.into_iter().map(|(key, value)| (text(&key), content(value))).collect();
            (Observed::Rows(rows), last)
        }
    }
}

/// Text that no compression shortens, so that it takes as much room on a disk. Each length has one text.
fn noise(length: usize) -> String {
    let mut state = length as u64;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'0' + (state >> 58) as u8)
    };
    (0..length).map(|_| letter()).collect()
}
