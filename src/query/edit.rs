//! Changing one value inside a MessagePack value, found by its path.

use crate::error::{Error, ErrorCode, Result};
use crate::types::pack::{Reader, Shape, write_array, write_map, write_nil, write_text};

/// A gap that `$set` may leave in an array, filled with null.
const ARRAY_GAP: usize = 1024;

/// What stands at the path (`None`: nothing) to what shall stand there (`None`: nothing).
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

/// What stands at a dotted path of objects.
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

/// `value` with `action` done to what stands at `path[depth..]`. Objects on the way are made where they are missing.
/// The depth of a path is bounded by the depth of a value, which the caller checks.
pub fn edit(value: Option<&[u8]>, path: &[&str], depth: usize, action: &mut Action<'_>) -> Result<Option<Vec<u8>>> {
    let Some(name) = path.get(depth) else { return action(value) };
    let shape = value.map(|value| Reader::new(value).shape()).transpose()?;
    match (value, shape) {
        (Some(value), Some(Shape::Map)) => edit_map(value, name, path, depth, action).map(Some),
        (Some(value), Some(Shape::Array)) => edit_array(value, name, path, depth, action).map(Some),
        (Some(value), _) => {
            // Nothing can be removed from a scalar, and nothing can be put into one.
            match edit(None, path, path.len(), action)? {
                None => Ok(Some(value.to_vec())),
                Some(_) => Err(refused(&path[..depth], "the value here is neither an object nor an array")),
            }
        }
        (None, _) => {
            let Some(child) = edit(None, path, depth + 1, action)? else { return Ok(None) };
            let mut out = Vec::with_capacity(child.len() + name.len() + 4);
            write_map(&mut out, 1);
            write_text(&mut out, name);
            out.extend_from_slice(&child);
            Ok(Some(out))
        }
    }
}

fn edit_map(map: &[u8], name: &str, path: &[&str], depth: usize, action: &mut Action<'_>) -> Result<Vec<u8>> {
    let mut reader = Reader::new(map);
    let count = reader.map()?;
    let mut fields = Vec::with_capacity(count);
    for _ in 0..count {
        fields.push((reader.text()?, reader.value()?));
    }
    let place = fields.iter().position(|(other, _)| *other == name);
    let child = edit(place.map(|place| fields[place].1), path, depth + 1, action)?;
    let mut out = Vec::with_capacity(map.len() + child.as_ref().map_or(0, Vec::len) + name.len() + 8);
    write_map(
        &mut out,
        count + usize::from(place.is_none() && child.is_some()) - usize::from(place.is_some() && child.is_none()),
    );
    let mut child = child;
    for (index, (other, value)) in fields.iter().enumerate() {
        if Some(index) != place {
            write_text(&mut out, other);
            out.extend_from_slice(value);
        } else if let Some(child) = child.take() {
            write_text(&mut out, other);
            out.extend_from_slice(&child);
        }
    }
    if let Some(child) = child {
        write_text(&mut out, name);
        out.extend_from_slice(&child);
    }
    Ok(out)
}

fn edit_array(array: &[u8], name: &str, path: &[&str], depth: usize, action: &mut Action<'_>) -> Result<Vec<u8>> {
    let mut reader = Reader::new(array);
    let count = reader.array()?;
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        items.push(reader.value()?);
    }
    let is_index =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    let index = if is_index { name.parse::<usize>().ok() } else { None };
    let index = index.ok_or_else(|| refused(&path[..=depth], "an array is reached by a number"))?;
    let child = edit(items.get(index).copied(), path, depth + 1, action)?;
    let length = match &child {
        Some(_) => count.max(index + 1),
        None => count,
    };
    if length - count > ARRAY_GAP {
        return Err(refused(&path[..=depth], "the place is too far behind the array's end"));
    }
    let mut out = Vec::with_capacity(array.len() + child.as_ref().map_or(0, Vec::len) + 8);
    write_array(&mut out, length);
    for place in 0..length {
        match (&child, items.get(place)) {
            (Some(child), _) if place == index => out.extend_from_slice(child),
            (None, Some(_)) if place == index => write_nil(&mut out),
            (_, Some(item)) => out.extend_from_slice(item),
            (_, None) => write_nil(&mut out),
        }
    }
    Ok(out)
}
