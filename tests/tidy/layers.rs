//! A folder of `src` is a layer; arrows point down only.

use crate::sources::{Source, code_only};

/// The layers of the crate, each with the other layers that it may use. Every folder must be a layer of this list.
pub const LAYERS: [(&str, &[&str]); 12] = [
    ("error", &[]),
    ("planted", &[]),
    ("types", &["error"]),
    ("storage", &["error", "types"]),
    ("platform", &["error", "types", "storage"]),
    ("drive", &["error", "storage"]),
    ("lsm", &["error", "planted", "types", "storage", "drive"]),
    ("query", &["error", "types"]),
    ("engine", &["error", "planted", "types", "storage", "platform", "drive", "lsm", "query"]),
    ("protocol", &["error", "types"]),
    ("sync", &["error", "types", "platform", "engine", "protocol"]),
    ("js", &["error", "types", "storage", "platform", "lsm", "query", "engine", "protocol", "sync"]),
];

/// The crates that know JavaScript.
const JAVASCRIPT: [&str; 7] = [
    "indexed_db_futures",
    "js_sys",
    "serde_wasm_bindgen",
    "wasm_bindgen",
    "wasm_bindgen_futures",
    "wasm_bindgen_test",
    "web_sys",
];

/// The layer of a file: `lsm` for `src/lsm/block.rs` and for `src/lsm.rs`. The root of the crate belongs to none.
fn layer_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let layer = inside.split('/').next()?;
    (layer != "lib").then_some(layer)
}

/// Uses of a layer from one that lies below or beside it.
pub fn arrows_that_point_up(file: &Source) -> Vec<String> {
    let Some(layer) = layer_of(&file.path) else { return Vec::new() };
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        return vec![format!("{}: there is no layer of this name in the table. layer={layer}", file.path)];
    };
    let used = names_after(&file.text, "crate::").into_iter().chain(named_through_super(&file.text));
    used.filter(|(_, name)| name != layer && !allowed.contains(&name.as_str()))
        .map(|(line, name)| format!("{}:{line}: {layer} must not use {name}", file.path))
        .collect()
}

/// Layers that are reached as `super::engine`, which from a layer's root means the same as `crate::engine`.
fn named_through_super(text: &str) -> Vec<(usize, String)> {
    let mut names = names_after(text, "super::");
    names.retain(|(_, name)| LAYERS.iter().any(|(layer, _)| layer == name));
    names
}

/// The first name of each path behind `prefix`, those in braces too (`crate::{error::Error, types}`), with its line.
fn names_after(text: &str, prefix: &str) -> Vec<(usize, String)> {
    let code = code_only(text);
    let mut names = Vec::new();
    for (position, _) in code.match_indices(prefix) {
        let line = code[..position].matches('\n').count() + 1;
        let rest = &code[position + prefix.len()..];
        let heads = if let Some(group) = rest.strip_prefix('{') { heads_of_group(group) } else { vec![head(rest)] };
        names.extend(heads.into_iter().filter(|name| !name.is_empty()).map(|name| (line, name)));
    }
    names
}

/// The first names of the paths in a group, up to its closing brace.
fn heads_of_group(group: &str) -> Vec<String> {
    let mut depth = 1;
    let mut heads = vec![head(group)];
    for (position, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(head(&group[position + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

fn head(path: &str) -> String {
    path.trim_start().chars().take_while(|&c| c.is_alphanumeric() || c == '_').collect()
}

/// Names of JavaScript's crates anywhere in `src` but in `src/js`.
pub fn javascript_outside_of_its_folder(file: &Source) -> Vec<String> {
    if !file.path.starts_with("src/") || file.path.starts_with("src/js/") || !file.has_extension(&["rs"]) {
        return Vec::new();
    }
    let code = code_only(&file.text);
    let is_word = |word: &str| JAVASCRIPT.contains(&word);
    let lines = code.lines().enumerate().map(|(index, line)| (index + 1, line));
    lines
        .flat_map(|(number, line)| {
            line.split(|c: char| !c.is_alphanumeric() && c != '_').map(move |word| (number, word))
        })
        .filter(|(_, word)| is_word(word))
        .map(|(number, word)| format!("{}:{number}: only src/js may name {word}", file.path))
        .collect()
}

#[test]
fn an_arrow_that_points_up_is_caught() {
    let caught = |path, text| arrows_that_point_up(&Source::new(path, text)).len();
    assert_eq!(caught("src/lsm/run.rs", "use crate::engine::Database;"), 1);
    assert_eq!(
        caught("src/query/mod.rs", "use crate::{\n  error::{Error, Result},\n  lsm,\n  storage::Storage,\n};"),
        2
    );
    assert_eq!(caught("src/storage/mod.rs", "fn f() { super::engine::open() }"), 1);
    assert_eq!(caught("src/types/lsn.rs", "#[cfg(test)] mod tests { use crate::storage::Memory; }"), 1);
    assert_eq!(caught("src/error.rs", "use crate::types::Lsn;"), 1);
    assert_eq!(caught("src/helpers/mod.rs", ""), 1);
    assert_eq!(caught("src/js/mod.rs", "use crate::engine::Database;"), 0);
    assert_eq!(caught("src/engine/mod.rs", "// crate::sync comes later\nuse crate::engine::{path, query};"), 0);
    assert_eq!(caught("src/lib.rs", "pub use crate::engine::Database;"), 0);
}

#[test]
fn javascript_outside_of_its_folder_is_caught() {
    let caught = |path, text| javascript_outside_of_its_folder(&Source::new(path, text)).len();
    assert_eq!(caught("src/engine/mod.rs", "use web_sys::{Window};\nfn now() { js_sys::Date::now() }"), 2);
    assert_eq!(caught("src/lib.rs", "// wasm_bindgen makes the glue"), 0);
    assert_eq!(caught("src/js/mod.rs", "use wasm_bindgen::prelude::*;"), 0);
}
