//! Changing one value inside a MessagePack value, or many of them, found by their paths.
//!
//! An `Editor` opens the objects and arrays on the way to what it changes, each once, and writes all of them at the
//! end: so many changes of a wide object cost little more than one.

use std::cell::RefCell;

use super::names::Fields;
use crate::error::{Error, ErrorCode, Result};
use crate::types::pack::{Reader, Shape, write_array, write_map, write_nil, write_text};
use crate::types::{Bytes, SortedBytes, limits};

/// A gap that `$set` may leave in an array, filled with null.
const ARRAY_GAP: usize = 1024;

/// Takes the value at the path and returns the value that replaces it. `None` stands for no value in both.
pub type Action<'a> = dyn FnMut(Option<&[u8]>) -> Result<Option<Vec<u8>>> + 'a;

fn refused(path: &[&str], message: &str) -> Error {
    let path = path.join(".");
    Error::new(ErrorCode::InvalidUpdate, format!("{message}. path={path}")).with_text("path", path)
}

/// The value `name` of a map, if it has one.
pub fn field<'a>(map: &'a [u8], name: &str) -> Result<Option<&'a [u8]>> {
    let mut reader = Reader::new(map);
    for _ in 0..reader.map()? {
        let found = reader.text()? == name;
        let value = reader.value()?;
        if found {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// The value at a dotted path of objects. Where one value is asked for many paths, `Lookup` costs less.
pub fn at_path<'a>(value: &'a [u8], path: &str) -> Result<Option<&'a [u8]>> {
    let mut found = value;
    for name in path.split('.') {
        if Reader::new(found).shape()? != Shape::Map {
            return Ok(None);
        }
        match field(found, name)? {
            Some(inner) => found = inner,
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

/// `value` with `action` done to the value at `path`. Objects on the way are made where they are missing.
pub fn edit(value: Option<&[u8]>, path: &[&str], action: &mut Action<'_>) -> Result<Option<Vec<u8>>> {
    let mut editor = Editor::new(value);
    editor.change(path, action)?;
    Ok(editor.finish())
}

/// A value that is being changed.
pub struct Editor<'a> {
    root: Slot<'a>,
    /// Nulls that were put into arrays so far.
    padding: usize,
}

/// The value at a place of the document while it is edited; `None`: no value.
type Slot<'a> = Option<Node<'a>>;

enum Node<'a> {
    /// As it was.
    Kept(&'a [u8]),
    Made(Vec<u8>),
    Object(Box<Object<'a>>),
    Array(Box<Array<'a>>),
}

/// An object that was opened.
struct Object<'a> {
    fields: Fields<'a>,
    /// The value of each field after the edits so far.
    values: Vec<Slot<'a>>,
    added: Added<'a, String>,
}

/// An array that was opened.
struct Array<'a> {
    items: Vec<&'a [u8]>,
    length: usize,
    changed: Added<'a, usize>,
}

/// Children in the order in which they were put in, found by name.
struct Added<'a, T> {
    list: Vec<(T, Slot<'a>)>,
    /// Where each stands in the list, as four bytes.
    places: SortedBytes,
}

impl<'a, T> Added<'a, T> {
    fn new() -> Added<'a, T> {
        Added { list: Vec::new(), places: SortedBytes::new() }
    }

    /// The child that is found by `name`, if need be a new one.
    fn child(&mut self, name: &[u8], new: impl FnOnce() -> T) -> &mut Slot<'a> {
        let place = match self.places.get(name) {
            Some(place) => read_place(place),
            None => {
                let place = self.list.len();
                self.places.insert(name.to_vec(), (place as u32).to_be_bytes()[..].into());
                self.list.push((new(), None));
                place
            }
        };
        &mut self.list[place].1
    }

    /// The children in the order of their names.
    fn in_order(&self) -> impl Iterator<Item = &(T, Slot<'a>)> {
        self.places.values().map(|place| &self.list[read_place(place)])
    }
}

fn read_place(place: &Bytes) -> usize {
    u32::from_be_bytes(place[..].try_into().expect("BUG: four bytes")) as usize
}

impl<'a> Object<'a> {
    fn read(map: &'a [u8]) -> Result<Object<'a>> {
        let fields = Fields::read(map)?;
        let values = fields.list.iter().map(|(_, value)| Some(Node::Kept(value))).collect();
        Ok(Object { fields, values, added: Added::new() })
    }

    /// A field that was removed and comes back stands at the end.
    fn child(&mut self, name: &str) -> &mut Slot<'a> {
        match self.fields.place(name).filter(|place| self.values[*place].is_some()) {
            Some(place) => &mut self.values[place],
            None => self.added.child(name.as_bytes(), || name.to_string()),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let kept = self.fields.list.iter().zip(&self.values).map(|((name, _), value)| (*name, value));
        let added = self.added.list.iter().map(|(name, value)| (&name[..], value));
        let there = || kept.clone().chain(added.clone()).filter_map(|(name, value)| Some((name, value.as_ref()?)));
        write_map(out, there().count());
        for (name, value) in there() {
            write_text(out, name);
            value.write(out);
        }
    }
}

impl<'a> Array<'a> {
    fn read(array: &'a [u8]) -> Result<Array<'a>> {
        let mut reader = Reader::new(array);
        let length = reader.array()?;
        let mut items = Vec::new();
        for _ in 0..length {
            items.push(reader.value()?);
        }
        Ok(Array { items, length, changed: Added::new() })
    }

    fn child(&mut self, index: usize) -> &mut Slot<'a> {
        let item = self.items.get(index).map(|item| Node::Kept(item));
        let slot = self.changed.child(&(index as u64).to_be_bytes(), || index);
        if slot.is_none() {
            *slot = item;
        }
        slot
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_array(out, self.length);
        // The numbers of the places sort as they count.
        let mut changed = self.changed.in_order().peekable();
        for index in 0..self.length {
            let own = changed.next_if(|(other, _)| *other == index).and_then(|(_, node)| node.as_ref());
            match (own, self.items.get(index)) {
                (Some(node), _) => node.write(out),
                (None, Some(item)) => out.extend_from_slice(item),
                (None, None) => write_nil(out),
            }
        }
    }
}

impl<'a> Node<'a> {
    /// An object or an array with its children apart; anything else as it is.
    fn opened(value: &'a [u8]) -> Result<Node<'a>> {
        Ok(match Reader::new(value).shape()? {
            Shape::Map => Node::Object(Box::new(Object::read(value)?)),
            Shape::Array => Node::Array(Box::new(Array::read(value)?)),
            _ => Node::Kept(value),
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Node::Kept(value) => out.extend_from_slice(value),
            Node::Made(value) => out.extend_from_slice(value),
            Node::Object(object) => object.write(out),
            Node::Array(array) => array.write(out),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }
}

impl<'a> Editor<'a> {
    pub fn new(value: Option<&'a [u8]>) -> Editor<'a> {
        Editor { root: value.map(Node::Kept), padding: 0 }
    }

    /// Does `action` to the value at `path`. After an error the editor is of no more use.
    pub fn change(&mut self, path: &[&str], action: &mut Action<'_>) -> Result<()> {
        Descent { path, padding: &mut self.padding, action }.at(&mut self.root, 0)
    }

    /// The value with all its changes.
    pub fn finish(self) -> Option<Vec<u8>> {
        self.root.map(|root| root.bytes())
    }
}

/// One action on its way down to the place that its path names.
struct Descent<'c, 'b> {
    path: &'c [&'c str],
    padding: &'c mut usize,
    action: &'c mut Action<'b>,
}

impl Descent<'_, '_> {
    /// Changes what lies at `path[depth..]` below `slot`. The depth of a path is bounded by the depth of a value, which
    /// the caller checks.
    fn at(&mut self, slot: &mut Slot<'_>, depth: usize) -> Result<()> {
        let Some(name) = self.path.get(depth) else {
            let found = slot.as_ref().map(Node::bytes);
            *slot = (self.action)(found.as_deref())?.map(Node::Made);
            return Ok(());
        };
        match slot {
            Some(Node::Kept(value)) => *slot = Some(Node::opened(value)?),
            Some(Node::Made(value)) => {
                let mut inner = Some(Node::opened(value)?);
                if !matches!(inner, Some(Node::Kept(_))) {
                    self.at(&mut inner, depth)?;
                    *slot = inner.map(|node| Node::Made(node.bytes()));
                    return Ok(());
                }
            }
            _ => {}
        }
        match slot {
            Some(Node::Object(object)) => self.at(object.child(name), depth + 1),
            Some(Node::Array(array)) => self.in_array(array, name, depth),
            // Nothing can be removed from a scalar, and nothing can be put into one.
            Some(_) => match (self.action)(None)? {
                None => Ok(()),
                Some(_) => Err(refused(&self.path[..depth], "the value here is neither an object nor an array")),
            },
            None => {
                let mut object = Object::read(EMPTY)?;
                self.at(object.child(name), depth + 1)?;
                if object.child(name).is_some() {
                    *slot = Some(Node::Object(Box::new(object)));
                }
                Ok(())
            }
        }
    }

    fn in_array(&mut self, array: &mut Array<'_>, name: &str, depth: usize) -> Result<()> {
        let here = &self.path[..=depth];
        let index = array_index(name).ok_or_else(|| refused(here, "an array is reached by a number"))?;
        let length = array.length;
        let child = array.child(index);
        self.at(child, depth + 1)?;
        if index < length {
            // A place in an array is emptied, never closed.
            child.get_or_insert_with(|| Node::Made(NIL.to_vec()));
            return Ok(());
        }
        if child.is_none() {
            return Ok(());
        }
        let gap = index - length;
        if gap >= ARRAY_GAP {
            return Err(refused(here, "the place is too far behind the array's end"));
        }
        *self.padding += gap;
        if *self.padding > limits::VALUE_BYTES {
            let message = format!("a value has at most {} bytes", limits::VALUE_BYTES);
            return Err(Error::new(ErrorCode::TooLarge, message));
        }
        array.length = index + 1;
        Ok(())
    }
}

/// An object without fields, and null.
const EMPTY: &[u8] = &[0x80];
const NIL: &[u8] = &[0xc0];

/// The place in an array that a name in a path stands for.
fn array_index(name: &str) -> Option<usize> {
    let is_index =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    if is_index { name.parse().ok() } else { None }
}

/// A value that is asked for many paths: each object on the way is read once.
pub struct Lookup<'a> {
    is_there: bool,
    root: RefCell<Looked<'a>>,
}

/// A value, opened when a path leads into it.
enum Looked<'a> {
    Closed(&'a [u8]),
    /// No path leads into it.
    Scalar,
    Object(Fields<'a>, Vec<Looked<'a>>),
}

impl<'a> Lookup<'a> {
    pub fn new(value: Option<&'a [u8]>) -> Lookup<'a> {
        Lookup { is_there: value.is_some(), root: RefCell::new(value.map_or(Looked::Scalar, Looked::Closed)) }
    }

    /// True if the looked-up value exists.
    pub fn is_there(&self) -> bool {
        self.is_there
    }

    /// The value at a dotted path of objects.
    pub fn at(&self, path: &str) -> Result<Option<&'a [u8]>> {
        let mut root = self.root.borrow_mut();
        let (mut looked, mut found) = (&mut *root, None);
        for name in path.split('.') {
            let Some((value, inner)) = looked.field(name)? else { return Ok(None) };
            (found, looked) = (Some(value), inner);
        }
        Ok(found)
    }
}

impl<'a> Looked<'a> {
    fn field(&mut self, name: &str) -> Result<Option<(&'a [u8], &mut Looked<'a>)>> {
        if let Looked::Closed(value) = self {
            *self = if Reader::new(value).shape()? == Shape::Map {
                let fields = Fields::read(value)?;
                let inner = fields.list.iter().map(|(_, value)| Looked::Closed(value)).collect();
                Looked::Object(fields, inner)
            } else {
                Looked::Scalar
            };
        }
        let Looked::Object(fields, inner) = self else { return Ok(None) };
        let place = fields.place(name);
        Ok(place.map(|place| (fields.list[place].1, &mut inner[place])))
    }
}
