//! The methods of a type stand in the folder that defines it: whoever looks for one finds it there.

use std::collections::BTreeMap;

use crate::sources::{Source, code_only};

/// Inherent `impl` blocks of a type that another folder of `src` defines.
pub fn methods_away_from_home(files: &[Source]) -> Vec<String> {
    let rust = || files.iter().filter(|file| file.path.starts_with("src/") && file.has_extension(&["rs"]));
    let mut homes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for file in rust() {
        for keyword in ["struct ", "enum "] {
            for (_, name) in names_behind(&code_only(&file.text), keyword) {
                homes.entry(name).or_default().push(folder(&file.path));
            }
        }
    }
    let mut away = Vec::new();
    for file in rust() {
        for (line, name) in inherent(&code_only(&file.text)) {
            if homes.get(&name).is_some_and(|homes| !homes.contains(&folder(&file.path))) {
                away.push(format!("{}:{line}: methods of {name} stand in the folder that defines it", file.path));
            }
        }
    }
    away
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The name behind each `keyword` that is a word of its own, and its line.
fn names_behind(code: &str, keyword: &str) -> Vec<(usize, String)> {
    let at = code.match_indices(keyword).map(|(at, _)| at).filter(|at| !code[..*at].ends_with(is_of_name));
    let name = |at: usize| code[at + keyword.len()..].chars().take_while(|c| is_of_name(*c)).collect::<String>();
    at.map(|at| (code[..at].matches('\n').count() + 1, name(at))).filter(|(_, name)| !name.is_empty()).collect()
}

/// The types of blocks that begin a line with `impl`, generic or not, and implement no trait.
fn inherent(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let Some(mut rest) = line.strip_prefix("impl").filter(|rest| rest.starts_with([' ', '<'])) else { continue };
        if rest.starts_with('<') {
            rest = rest.split_once("> ").map_or("", |(_, rest)| rest);
        }
        if !rest.contains(" for ") {
            found.push((index + 1, rest.trim_start().chars().take_while(|c| is_of_name(*c)).collect()));
        }
    }
    found
}

#[test]
fn methods_away_from_home_are_caught() {
    let away = |path: &str, text: &str| {
        let home = Source::new("src/engine/store/mod.rs", "pub struct Store;\npub enum Look<'a> { At(&'a str) }");
        methods_away_from_home(&[home, Source::new(path, text)])
    };
    let message = ["src/engine/merge/reset.rs:2: methods of Store stand in the folder that defines it"];
    assert_eq!(away("src/engine/merge/reset.rs", "// impl Store {\nimpl Store {}"), message);
    assert_eq!(away("src/engine/merge/reset.rs", "impl<'a> Look<'a> {}\nimpl Clone for Store {}").len(), 1);
    assert_eq!(away("src/engine/store/opening.rs", "impl Store {}"), [] as [String; 0]);
    assert_eq!(away("src/engine/merge/reset.rs", "struct Store;\nimpl Store {}\nimpl Vec {}"), [] as [String; 0]);
}
