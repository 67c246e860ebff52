//! `$set`, `$unset` and `$inc` on dotted paths.

use super::edit::Editor;
use crate::error::{Error, ErrorCode, Result};
use crate::types::limits;
use crate::types::number::Number;
use crate::types::pack::Reader;
use crate::types::{Bytes, SortedBytes};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operator {
    Set,
    Unset,
    Inc,
}

/// One change at one path.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Step {
    pub operator: Operator,
    pub path: String,
    pub value: Vec<u8>,
}

/// A checked update: its operators are known, its paths do not cross.
#[derive(Clone, PartialEq, Debug)]
pub struct Update {
    steps: Vec<Step>,
}

fn invalid(path: &str, message: &str) -> Error {
    Error::new(ErrorCode::InvalidUpdate, format!("{message}. path={path:?}")).with_text("path", path)
}

impl Update {
    /// Reads a map of operators, each a map of paths to values.
    pub fn read(operators: &[u8]) -> Result<Update> {
        let mut reader = Reader::new(operators);
        let mut steps = Vec::new();
        for _ in 0..reader.map()? {
            let name = reader.text()?;
            let operator = match name {
                "$set" => Operator::Set,
                "$unset" => Operator::Unset,
                "$inc" => Operator::Inc,
                _ => return Err(invalid(name, "the update operator is unknown")),
            };
            for _ in 0..reader.map()? {
                let path = reader.text()?.to_string();
                let value = reader.value()?.to_vec();
                check_path(&path)?;
                if operator == Operator::Inc && Number::read(&value)?.is_none() {
                    return Err(invalid(&path, "$inc takes a number or a bigint"));
                }
                steps.push(Step { operator, path, value });
            }
        }
        check_crossing(&steps)?;
        Ok(Update { steps })
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The paths that are changed by other means than increments.
    pub fn sets(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter(|step| step.operator != Operator::Inc).map(|step| &step.path[..])
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

fn check_path(path: &str) -> Result<()> {
    let mut names = path.split('.');
    if names.next() == Some("id") {
        return Err(invalid(path, "a document's id never changes"));
    }
    if path.split('.').any(str::is_empty) {
        return Err(invalid(path, "a path has an empty name"));
    }
    if path.split('.').count() > limits::VALUE_DEPTH {
        return Err(invalid(path, "a path is longer than a value is deep"));
    }
    Ok(())
}

/// Two changes of one place, or of a place inside another, have no order: neither is done.
fn check_crossing(steps: &[Step]) -> Result<()> {
    let mut paths = SortedBytes::new();
    for step in steps {
        let path = format!("{}.", step.path).into_bytes();
        // A path sorts before every path that lies in it, and only paths that lie in it sort between the two.
        let before = paths.up_to(&path).next_back().is_some_and(|(outer, _)| path.starts_with(outer));
        let after = paths.at_least(&path).next().is_some_and(|(inner, _)| inner.starts_with(&path));
        if before || after {
            return Err(invalid(&step.path, "two changes of the update meet here"));
        }
        paths.insert(path, Bytes::from(Vec::new()));
    }
    Ok(())
}

/// `document` as the update leaves it.
pub fn apply(document: &[u8], update: &Update) -> Result<Vec<u8>> {
    let mut editor = Editor::new(Some(document));
    for step in &update.steps {
        let path: Vec<&str> = step.path.split('.').collect();
        editor.change(&path, &mut |found| match step.operator {
            Operator::Set => Ok(Some(step.value.clone())),
            Operator::Unset => Ok(None),
            Operator::Inc => increment(found, &step.value, &step.path).map(Some),
        })?;
    }
    Ok(editor.finish().expect("BUG: a document stays a document"))
}

/// A missing field counts as 0.
fn increment(found: Option<&[u8]>, by: &[u8], path: &str) -> Result<Vec<u8>> {
    let Some(found) = found else { return Ok(by.to_vec()) };
    let at_path = |error: Error| Error::new(error.code(), format!("{}. path={path:?}", error.message()));
    let (Some(number), Some(by)) = (Number::read(found)?, Number::read(by)?) else {
        let message = format!("the value to increment is no number. path={path:?}");
        return Err(Error::new(ErrorCode::NotANumber, message).with_text("path", path));
    };
    let mut out = Vec::new();
    number.plus(&by).map_err(at_path)?.write(&mut out);
    Ok(out)
}

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
