//! Merging at the boundary: a caller's policy and selection are functions that take and give MessagePack, so that rows
//! stay bytes.

use std::rc::Rc;

use js_sys::{Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::error::to_js;
use super::options::{JsResult, when};
use super::report::{kind_name, write_changes, write_row_key};
use crate::engine::{
    Conflict, Heed, MergeOptions, MergeOutcome, MergeReport, Policy, Reason, RebaseOptions, Resolution, Select,
    Selected,
};
use crate::error::{Error, ErrorCode, Result};
use crate::types::pack::{Reader, Shape, write_array, write_integer, write_nil, write_text};
use crate::types::{Bytes, Lsn};

fn field(options: &JsValue, name: &str) -> JsValue {
    Reflect::get(options, &name.into()).unwrap_or_default()
}

fn function(options: &JsValue, name: &str) -> Option<Function> {
    field(options, name).dyn_into().ok()
}

/// `[resolution, …]`, or a function from conflicts to those: see `resolutions`.
fn policy(options: &JsValue) -> JsResult<Policy> {
    if let Some(ask) = function(options, "policy") {
        return Ok(Policy::Ask(Rc::new(move |conflicts| {
            let ask = ask.clone();
            Box::pin(async move {
                let answer = call(&ask, &encode_conflicts(&conflicts)).await?;
                resolutions(&answer)
            })
        })));
    }
    let given = field(options, "policy");
    if given.is_undefined() {
        return Ok(Policy::default());
    }
    let given = resolutions(&Uint8Array::from(given).to_vec()).map_err(|error| to_js(&error))?;
    Ok(Policy::Always(given.into_iter().next().unwrap_or_default()))
}

pub fn select(function: Option<Function>) -> Option<Select> {
    let ask = function?;
    Some(Rc::new(move |changes| {
        let ask = ask.clone();
        Box::pin(async move {
            let mut out = Vec::new();
            write_changes(&mut out, &changes);
            selected(&call(&ask, &out).await?)
        })
    }))
}

/// A function that says whether the caller still wants it.
fn heed(options: &JsValue) -> Option<Heed> {
    let is_aborted = function(options, "isAborted")?;
    Some(Rc::new(move || match is_aborted.call0(&JsValue::UNDEFINED) {
        Ok(answer) if !answer.is_truthy() => Ok(()),
        _ => Err(Error::new(ErrorCode::Aborted, "the call was aborted by its signal")),
    }))
}

pub fn merge_options(options: &JsValue) -> JsResult<MergeOptions> {
    let at = field(options, "at");
    Ok(MergeOptions {
        policy: policy(options)?,
        only: select(function(options, "only")),
        at: if at.is_undefined() { None } else { Some(when(&at)?) },
        dry_run: field(options, "dryRun").is_truthy(),
        heed: heed(options),
    })
}

pub fn rebase_options(options: &JsValue) -> JsResult<RebaseOptions> {
    let MergeOptions { policy, dry_run, heed, .. } = merge_options(options)?;
    let to = field(options, "to");
    Ok(RebaseOptions { policy, to: if to.is_undefined() { None } else { Some(when(&to)?) }, dry_run, heed })
}

/// Asks a function of TypeScript's. An error that it throws is kept there, and told by the call as a whole.
async fn call(ask: &Function, question: &[u8]) -> Result<Vec<u8>> {
    let failed = |_: JsValue| Error::new(ErrorCode::Aborted, "the caller's own function failed");
    let answer = ask.call1(&JsValue::UNDEFINED, &Uint8Array::from(question)).map_err(failed)?;
    let answer = JsFuture::from(Promise::resolve(&answer)).await.map_err(failed)?;
    Ok(Uint8Array::from(answer).to_vec())
}

/// 0: it stays a conflict; 1: the clone wins; 2: the origin wins; an array of none or one: that value.
fn resolutions(bytes: &[u8]) -> Result<Vec<Resolution>> {
    let mut reader = Reader::new(bytes);
    let count = reader.array()?;
    let mut resolutions = Vec::with_capacity(count);
    for _ in 0..count {
        resolutions.push(match reader.shape()? {
            Shape::Array => match reader.array()? {
                0 => Resolution::Value(None),
                _ => Resolution::Value(Some(reader.value()?.into())),
            },
            _ => match reader.integer()? {
                1 => Resolution::Clone,
                2 => Resolution::Origin,
                _ => Resolution::Fail,
            },
        });
    }
    Ok(resolutions)
}

/// True, false, or the names of fields.
fn selected(bytes: &[u8]) -> Result<Vec<Selected>> {
    let mut reader = Reader::new(bytes);
    let count = reader.array()?;
    let mut selected = Vec::with_capacity(count);
    for _ in 0..count {
        selected.push(match reader.shape()? {
            Shape::Bool if reader.boolean()? => Selected::All,
            Shape::Bool => Selected::Nothing,
            _ => {
                let mut fields = Vec::new();
                for _ in 0..reader.array()? {
                    fields.push(reader.text()?.to_string());
                }
                Selected::Fields(fields)
            }
        });
    }
    Ok(selected)
}

/// `[[reason, kind, collection, key, field or nil, base, clone, origin], …]`; each side an array of none or one.
fn encode_conflicts(conflicts: &[Conflict]) -> Vec<u8> {
    let mut out = Vec::new();
    write_conflicts(&mut out, conflicts);
    out
}

fn write_conflicts(out: &mut Vec<u8>, conflicts: &[Conflict]) {
    write_array(out, conflicts.len());
    for conflict in conflicts {
        write_array(out, 8);
        write_text(out, if conflict.reason == Reason::Field { "field" } else { "row" });
        write_text(out, kind_name(conflict.kind));
        write_text(out, &conflict.collection);
        write_row_key(out, conflict.kind, &conflict.key);
        match &conflict.field {
            Some(field) => write_text(out, field),
            None => write_nil(out),
        }
        for side in [&conflict.base, &conflict.clone, &conflict.origin] {
            write_side(out, side.as_ref());
        }
    }
}

fn write_side(out: &mut Vec<u8>, side: Option<&Bytes>) {
    write_array(out, usize::from(side.is_some()));
    if let Some(side) = side {
        out.extend_from_slice(side);
    }
}

/// `[outcome, inserted, updated, deleted, version, conflicts]`.
pub fn report(report: &MergeReport) -> JsValue {
    let mut out = Vec::new();
    write_array(&mut out, 6);
    write_text(
        &mut out,
        match report.outcome {
            MergeOutcome::Merged => "merged",
            MergeOutcome::Nothing => "nothing",
            MergeOutcome::Conflict => "conflict",
        },
    );
    for count in [report.inserted, report.updated, report.deleted] {
        write_integer(&mut out, count as i64);
    }
    write_text(&mut out, &report.version.to_text());
    write_conflicts(&mut out, &report.conflicts);
    Uint8Array::from(&out[..]).into()
}

/// Versions of this store.
pub fn versions(texts: Vec<String>) -> JsResult<Vec<Lsn>> {
    let read = |text: &String| {
        let invalid = || to_js(&Error::new(ErrorCode::InvalidOption, "a commit is named by a version of this store"));
        Lsn::from_text(text).ok_or_else(invalid)
    };
    texts.iter().map(read).collect()
}
