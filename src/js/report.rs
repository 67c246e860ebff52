//! Reports on their way out: plain objects with versions as text and times in milliseconds.

use serde::Serialize;
use wasm_bindgen::JsValue;

use crate::engine::op::write_key;
use crate::engine::{CollectionInfo, DatabaseInfo, Difference, DifferencePage, LineageEntry, Progress, Stats, Status};
use crate::types::pack::{write_array, write_bin, write_nil, write_text};
use crate::types::{Bytes, Kind, Lsn, key};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusReport {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows_done: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows_total: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_done: Option<f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Copied {
    rows_done: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows_total: Option<f64>,
    bytes_done: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Lineage {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<String>,
    created_at: f64,
    created_version: String,
    status: StatusReport,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<String>,
    created_at: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<f64>,
    status: StatusReport,
    dependents: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    own_bytes: Option<f64>,
}

#[derive(Serialize)]
struct Collection {
    name: String,
    kind: &'static str,
    indexes: [u8; 0],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    rows: f64,
    blocks: f64,
    block_bytes: f64,
    live_bytes: f64,
    reclaimable_bytes: f64,
    log_entries: f64,
    log_bytes: f64,
    cache_hits: f64,
    cache_misses: f64,
    cached_bytes: f64,
    witness: bool,
    lost_commits: f64,
}

fn to_js<T: Serialize>(report: &T) -> JsValue {
    let serializer = serde_wasm_bindgen::Serializer::json_compatible();
    report.serialize(&serializer).expect("BUG: a report is plain data")
}

fn state(status: Status) -> StatusReport {
    let (state, copied) = match status {
        Status::Root => ("root", None),
        Status::Shadowed => ("shadowed", None),
        Status::Materialized => ("materialized", None),
        Status::Materializing { rows_done, rows_total, bytes_done } => {
            ("materializing", Some((rows_done, rows_total, bytes_done)))
        }
    };
    StatusReport {
        state,
        rows_done: copied.map(|(rows, _, _)| rows as f64),
        rows_total: copied.map(|(_, rows, _)| rows as f64),
        bytes_done: copied.map(|(_, _, bytes)| bytes as f64),
    }
}

/// How far a materialization is.
pub fn progress(progress: Progress) -> JsValue {
    let Progress { rows_done, rows_total, bytes_done } = progress;
    let rows_total = rows_total.map(|rows| rows as f64);
    to_js(&Copied { rows_done: rows_done as f64, rows_total, bytes_done: bytes_done as f64 })
}

pub fn kind_name(kind: Kind) -> &'static str {
    if kind == Kind::Entry { "kv" } else { "documents" }
}

pub fn status(status: Status) -> JsValue {
    to_js(&state(status))
}

pub fn lineage(entries: &[LineageEntry]) -> JsValue {
    let rows: Vec<Lineage> = entries
        .iter()
        .map(|entry| Lineage {
            name: entry.name.to_string(),
            as_of: entry.as_of.map(Lsn::to_text),
            created_at: entry.created_at as f64,
            created_version: entry.created.to_text(),
            status: state(entry.status),
        })
        .collect();
    to_js(&rows)
}

pub fn databases(infos: &[DatabaseInfo]) -> JsValue {
    let rows: Vec<Info> = infos
        .iter()
        .map(|info| Info {
            name: info.name.to_string(),
            origin: info.origin.clone(),
            as_of: info.as_of.map(Lsn::to_text),
            created_at: info.created_at as f64,
            expires_at: info.expires_at.map(|time| time as f64),
            status: state(info.status),
            dependents: info.dependents.clone(),
            own_bytes: info.own_bytes.map(|bytes| bytes as f64),
        })
        .collect();
    to_js(&rows)
}

pub fn collections(infos: &[CollectionInfo]) -> JsValue {
    let row = |info: &CollectionInfo| Collection { name: info.name.clone(), kind: kind_name(info.kind), indexes: [] };
    to_js(&infos.iter().map(row).collect::<Vec<_>>())
}

pub fn stats(stats: &Stats) -> JsValue {
    to_js(&Figures {
        rows: stats.rows as f64,
        blocks: stats.blocks as f64,
        block_bytes: stats.block_bytes as f64,
        live_bytes: stats.live_bytes as f64,
        reclaimable_bytes: stats.reclaimable_bytes as f64,
        log_entries: stats.log_entries as f64,
        log_bytes: stats.log_bytes as f64,
        cache_hits: stats.cache_hits as f64,
        cache_misses: stats.cache_misses as f64,
        cached_bytes: stats.cached_bytes as f64,
        witness: stats.witness,
        lost_commits: stats.lost_commits as f64,
    })
}

/// `[next, [[kind, collection, key, op, before, after, fields] …]]`, as MessagePack: rows are documents, and stay
/// bytes.
pub fn changes(page: &DifferencePage) -> Vec<u8> {
    let mut out = Vec::new();
    write_array(&mut out, 2);
    match &page.next {
        Some(next) => write_bin(&mut out, next.as_bytes()),
        None => write_nil(&mut out),
    }
    write_changes(&mut out, &page.changes);
    out
}

pub fn write_changes(out: &mut Vec<u8>, changes: &[Difference]) {
    write_array(out, changes.len());
    for change in changes {
        write_array(out, 7);
        write_text(out, kind_name(change.kind));
        write_text(out, &change.collection);
        write_row_key(out, change.kind, &change.key);
        write_text(out, change.operation());
        write_value(out, change.before.as_ref());
        write_value(out, change.after.as_ref());
        match change.operation() {
            "update" => {
                write_array(out, change.fields.len());
                change.fields.iter().for_each(|field| write_text(out, field));
            }
            _ => write_nil(out),
        }
    }
}

/// A document's id, or an entry's key.
pub fn write_row_key(out: &mut Vec<u8>, kind: Kind, encoded: &[u8]) {
    match (kind, key::read_id(encoded)) {
        (Kind::Document, Some(id)) => write_text(out, &id),
        _ => write_key(out, encoded),
    }
}

fn write_value(out: &mut Vec<u8>, value: Option<&Bytes>) {
    match value {
        Some(value) => out.extend_from_slice(value),
        None => write_nil(out),
    }
}
