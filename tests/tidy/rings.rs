//! Modules import each other in no ring, and none imports what its header says that it does not know.
//!
//! A module is a file; `mod.rs` is its folder's. A `pub use` hands a name on: whoever imports the name from there
//! imports the module that has it.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::{Source, code_only};

type Path = Vec<String>;

/// Ways to say what a module does not know without a list.
const UNCHECKED: [&str; 5] = ["does not know ", "do not know ", "must not know", "knows nothing", "knows neither"];

/// All modules of `src`, and what each imports.
pub struct Modules {
    /// Each module by its path, `["lsm", "run"]`.
    code: BTreeMap<Path, Module>,
}

struct Module {
    file: String,
    /// Names that it hands on, each with the path that it comes from.
    handed_on: Vec<(String, Path)>,
    /// Paths that its code names.
    named: Vec<Path>,
    header: String,
    /// The modules that its header says it does not know.
    unknown: Vec<String>,
}

impl Modules {
    pub fn of(files: &[Source]) -> Modules {
        let paths: BTreeSet<Path> = files.iter().filter_map(module_path).collect();
        let mut code = BTreeMap::new();
        for file in files {
            if let Some(path) = module_path(file) {
                code.insert(path.clone(), read(file, &path, &paths));
            }
        }
        Modules { code }
    }

    /// The module that a path leads to, through what modules hand on; `None`: it is not of this crate.
    fn resolve(&self, path: &[String]) -> Option<Path> {
        let mut path = path.to_vec();
        // Each name is handed on a few times at most.
        for _ in 0..8 {
            let depth = (1..=path.len()).rev().find(|depth| self.code.contains_key(&path[..*depth]))?;
            let module = &self.code[&path[..depth]];
            let handed = path.get(depth).and_then(|name| module.handed_on.iter().find(|(other, _)| other == name));
            match handed {
                Some((_, from)) => path = from.iter().chain(&path[depth + 1..]).cloned().collect(),
                None => return Some(path[..depth].to_vec()),
            }
        }
        None
    }

    /// The imports of each module.
    fn imports(&self) -> BTreeMap<&Path, BTreeSet<Path>> {
        let imported = |module: &Module, path: &Path| -> BTreeSet<Path> {
            module.named.iter().filter_map(|named| self.resolve(named)).filter(|other| other != path).collect()
        };
        self.code.iter().map(|(path, module)| (path, imported(module, path))).collect()
    }

    /// Each ring of modules, by files, and each ring of folders that lie side by side.
    pub fn rings(&self) -> Vec<String> {
        let imports = self.imports();
        let mut rings = rings_of(&imports.iter().map(|(path, to)| ((*path).clone(), to.clone())).collect());
        let folders: BTreeSet<&[String]> = self.code.keys().map(|path| &path[..path.len() - 1]).collect();
        for folder in folders {
            let depth = folder.len() + 1;
            let mut beside: BTreeMap<Path, BTreeSet<Path>> = BTreeMap::new();
            for (from, to) in &imports {
                if from.len() < depth || !from.starts_with(folder) {
                    continue;
                }
                let inside = to.iter().filter(|to| to.len() >= depth && to.starts_with(folder));
                let others = inside.map(|to| to[..depth].to_vec()).filter(|to| *to != from[..depth]);
                beside.entry(from[..depth].to_vec()).or_default().extend(others);
            }
            rings.extend(rings_of(&beside));
        }
        rings.sort();
        rings.dedup();
        rings
    }

    /// Headers that say what they do not know in words that nothing checks, and folders whose header leaves out a
    /// folder beside it that it does not import.
    pub fn unlisted(&self) -> Vec<String> {
        let imports = self.imports();
        let folders: BTreeSet<&[String]> = self.code.keys().map(|path| &path[..path.len() - 1]).collect();
        let mut found = Vec::new();
        for (path, module) in &self.code {
            let phrase = UNCHECKED.iter().find(|phrase| module.header.contains(**phrase));
            found.extend(phrase.map(|phrase| format!("{}: nothing checks \"{phrase}\"", module.file)));
            if !folders.contains(&path[..]) {
                continue;
            }
            if module.unknown.is_empty() {
                found.push(format!("{}: the header of a folder has a list, \"does not know: \"", module.file));
            }
            let is_known = |folder: &&[String]| {
                let mut inside = imports.iter().filter(|(from, _)| from.starts_with(path));
                inside.any(|(_, to)| to.iter().any(|to| to.starts_with(folder)))
            };
            let (own, around) = path.split_last().expect("BUG: a module has a name");
            let is_beside =
                |folder: &&&[String]| folder.split_last().is_some_and(|(name, in_)| in_ == around && name != own);
            for folder in folders.iter().filter(is_beside).filter(|folder| !is_known(folder)) {
                let name = folder.last().expect("BUG: a folder beside another has a name");
                if !module.unknown.contains(name) {
                    found.push(format!("{}: the header leaves out {name}, which it does not know", module.file));
                }
            }
        }
        found
    }

    /// Imports of what a header says that its module, or folder, does not know.
    pub fn known_all_the_same(&self) -> Vec<String> {
        let imports = self.imports();
        let mut found = Vec::new();
        for (path, module) in &self.code {
            for name in &module.unknown {
                let beside: Path = path[..path.len() - 1].iter().cloned().chain([name.clone()]).collect();
                let Some(unknown) = [beside, vec![name.clone()]].into_iter().find(|path| self.code.contains_key(path))
                else {
                    found.push(format!("{}: there is no such module. name={name}", module.file));
                    continue;
                };
                let inside = imports.iter().filter(|(from, _)| from.starts_with(path));
                let known = inside.filter(|(_, to)| to.iter().any(|to| to.starts_with(&unknown)));
                found.extend(known.map(|(from, _)| {
                    format!("{}: {} must not know {name}, says {}", self.code[*from].file, path.join("::"), module.file)
                }));
            }
        }
        found
    }
}

/// `["lsm", "run"]` for `src/lsm/run.rs`, `["lsm"]` for `src/lsm/mod.rs`. The crate's root is no module.
fn module_path(file: &Source) -> Option<Path> {
    let inside = file.path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let inside = inside.strip_suffix("/mod").unwrap_or(inside);
    (inside != "lib").then(|| inside.split('/').map(String::from).collect())
}

fn read(file: &Source, path: &Path, all: &BTreeSet<Path>) -> Module {
    let text = file.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code = code_only(text);
    let (mut handed_on, mut named) = (Vec::new(), Vec::new());
    let mut rest = String::with_capacity(code.len());
    for statement in code.split_inclusive(';') {
        let at = statement.rfind("use ").filter(|at| starts_word(statement, *at));
        let Some(at) = at.filter(|at| is_public(statement[..*at].trim_end())) else {
            rest.push_str(statement);
            continue;
        };
        for (target, name) in tree(&statement[at + 4..]) {
            if let Some(target) = absolute(&target, path, all) {
                // A folder's face hands on what lies in it, and does not use it.
                if !target.starts_with(path) {
                    named.push(target.clone());
                }
                handed_on.push((name, target));
            }
        }
        rest.push_str(&statement[..at]);
    }
    let children = all.iter().filter(|other| other.len() == path.len() + 1 && other.starts_with(path));
    let mut heads: Vec<String> = children.map(|child| format!("{}::", child[path.len()])).collect();
    heads.extend(["crate::", "super::", "self::"].map(String::from));
    for head in heads {
        for (at, _) in rest.match_indices(&head) {
            if starts_word(&rest, at) && !rest[..at].ends_with("::") {
                named.extend(tree(&rest[at..]).into_iter().filter_map(|(target, _)| absolute(&target, path, all)));
            }
        }
    }
    let header = header(&file.text);
    Module { file: file.path.clone(), handed_on, named, unknown: unknown(&header), header }
}

fn starts_word(code: &str, at: usize) -> bool {
    !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// True if the code before a `use` makes it public, so that it hands its names on.
fn is_public(before: &str) -> bool {
    let last = before.rsplit(['}', '{', ']']).next().unwrap_or_default().trim();
    last == "pub" || last.starts_with("pub(")
}

/// The paths of a use tree, each with the name that it is known by: `a::{b, c as d}` gives `a::b` and `a::c`.
fn tree(text: &str) -> Vec<(Path, String)> {
    let mut found = Vec::new();
    branch(text.trim_start(), &mut Vec::new(), &mut found);
    found
}

/// Reads one path or group from the beginning of `text`, and gives what follows.
fn branch<'a>(text: &'a str, before: &mut Path, found: &mut Vec<(Path, String)>) -> &'a str {
    let depth = before.len();
    let mut rest = text.trim_start();
    loop {
        if let Some(mut group) = rest.strip_prefix('{') {
            loop {
                group = group.trim_start();
                if let Some(after) = group.strip_prefix('}') {
                    rest = after;
                    break;
                }
                let after = branch(group, before, found);
                if after.len() == group.len() {
                    rest = after;
                    break;
                }
                group = after.trim_start().trim_start_matches(',');
            }
            break;
        }
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '*')).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            break;
        }
        before.push(word.to_string());
        rest = after;
        match rest.strip_prefix("::") {
            Some(next) => rest = next.trim_start(),
            None => {
                let renamed = rest.trim_start().strip_prefix("as ").map(str::trim_start);
                let mut name = word.to_string();
                if let Some(renamed) = renamed {
                    let end = renamed.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(renamed.len());
                    name = renamed[..end].to_string();
                    rest = &renamed[end..];
                }
                found
                    .push((before.iter().filter(|word| *word != "self" || before.len() == 1).cloned().collect(), name));
                break;
            }
        }
    }
    before.truncate(depth);
    rest
}

/// A path from the crate's root; `None`: it leads out of the crate.
fn absolute(target: &[String], from: &Path, all: &BTreeSet<Path>) -> Option<Path> {
    let (head, rest) = target.split_first()?;
    let mut path: Path = match head.as_str() {
        "crate" => Vec::new(),
        "self" => from.clone(),
        "super" => from[..from.len() - 1].to_vec(),
        child => {
            let child: Path = from.iter().cloned().chain([child.to_string()]).collect();
            return all.contains(&child).then(|| child.iter().chain(rest).cloned().collect());
        }
    };
    let mut rest = rest;
    while let Some((head, tail)) = rest.split_first()
        && head == "super"
    {
        path.pop();
        rest = tail;
    }
    path.extend(rest.iter().cloned());
    Some(path)
}

/// The comment that a file begins with, in one line.
fn header(text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}

/// The names in a header's `It does not know: a, b, c.`
fn unknown(header: &str) -> Vec<String> {
    let Some((_, list)) = header.split_once("does not know: ") else { return Vec::new() };
    let list = list.split('.').next().unwrap_or_default();
    list.split(',').map(|name| name.trim().to_string()).filter(|name| !name.is_empty()).collect()
}

/// The modules that reach themselves, each ring once.
fn rings_of(imports: &BTreeMap<Path, BTreeSet<Path>>) -> Vec<String> {
    let reach = |from: &Path| {
        let (mut seen, mut left) = (BTreeSet::new(), vec![from]);
        while let Some(path) = left.pop() {
            for next in imports.get(path).into_iter().flatten() {
                if seen.insert(next) {
                    left.push(next);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&Path, BTreeSet<&Path>> = imports.keys().map(|path| (path, reach(path))).collect();
    let mut rings = BTreeSet::new();
    for (path, there) in &reached {
        if there.contains(path) {
            let is_of_it = |other: &&&Path| reached.get(**other).is_some_and(|back| back.contains(path));
            let ring: Vec<String> = there.iter().filter(is_of_it).map(|path| path.join("::")).collect();
            rings.insert(format!("these import each other in a ring: {}", ring.join(", ")));
        }
    }
    rings.into_iter().collect()
}

#[cfg(test)]
fn modules(files: &[(&str, &str)]) -> Modules {
    Modules::of(&files.iter().map(|(path, text)| Source::new(path, text)).collect::<Vec<_>>())
}

#[test]
fn a_ring_of_any_length_is_caught() {
    let rings = |files: &[(&str, &str)]| modules(files).rings();
    let two = rings(&[("src/a/b.rs", "use super::c::{D, e};"), ("src/a/c.rs", "fn f() { crate::a::b::g() }")]);
    assert_eq!(two, ["these import each other in a ring: a::b, a::c"]);
    let three = rings(&[
        ("src/a/mod.rs", "pub mod b;\nuse b::B;"),
        ("src/a/b.rs", "use crate::{\n    c::C,\n    d,\n};"),
        ("src/c.rs", "// crate::d\nuse super::a::A as Other;"),
        ("src/d.rs", ""),
    ]);
    assert_eq!(three, ["these import each other in a ring: a, a::b, c", "these import each other in a ring: a, c"]);
    let by_folders = rings(&[
        ("src/e/mod.rs", ""),
        ("src/e/a/mod.rs", ""),
        ("src/e/b/mod.rs", ""),
        ("src/e/a/one.rs", "use crate::e::b::two::T;"),
        ("src/e/a/three.rs", ""),
        ("src/e/b/two.rs", ""),
        ("src/e/b/four.rs", "use super::super::a::three::T;"),
    ]);
    assert_eq!(by_folders, ["these import each other in a ring: e::a, e::b"]);
}

#[test]
fn a_name_that_is_handed_on_leads_to_the_module_that_has_it() {
    let face = "mod b;\nmod c;\npub use b::B;\npub(super) use c::C;";
    let down = [("src/a/mod.rs", face), ("src/a/b.rs", "use super::C;"), ("src/a/c.rs", "")];
    assert!(modules(&down).rings().is_empty());
    let round = [("src/a/mod.rs", face), ("src/a/b.rs", "use crate::a::{C};"), ("src/a/c.rs", "use super::B;")];
    assert_eq!(modules(&round).rings(), ["these import each other in a ring: a::b, a::c"]);
    let tests = "#[cfg(test)]\nmod tests {\n    use super::*;\n}\n";
    let inside = [("src/a/mod.rs", "mod b;\nuse b::B;"), ("src/a/b.rs", tests)];
    assert!(modules(&inside).rings().is_empty());
}

#[test]
fn what_a_header_does_not_know_is_not_imported() {
    let known = |header: &str, code: &str| {
        let files = [("src/e/a/mod.rs", header), ("src/e/a/one.rs", code), ("src/e/b/mod.rs", ""), ("src/c.rs", "")];
        modules(&files).known_all_the_same().len()
    };
    let header = "//! A room.\n//!\n//! It does not know: b,\n//! c.\n";
    assert_eq!(known(header, "use crate::e::b::B;"), 1);
    assert_eq!(known(header, "use crate::c::C;\nuse super::super::b;"), 2);
    assert_eq!(known(header, "use crate::e::d;"), 0);
    assert_eq!(known("//! It does not know: d.", ""), 1);
}

#[test]
fn a_folder_that_does_not_list_what_it_does_not_know_is_caught() {
    let unlisted = |header: &str| {
        let files = [
            ("src/e/mod.rs", "//! It does not know: f."),
            ("src/e/a/mod.rs", header),
            ("src/e/a/one.rs", "use crate::e::b::B;"),
            ("src/e/b/mod.rs", "//! It does not know: a, c."),
            ("src/e/b/two.rs", ""),
            ("src/e/c/mod.rs", "//! It does not know: a, b."),
            ("src/e/c/three.rs", "//! A file may be silent."),
            ("src/f.rs", ""),
        ];
        modules(&files).unlisted()
    };
    assert_eq!(unlisted("//! It does not know: c."), [] as [String; 0]);
    assert_eq!(
        unlisted("//! It does not know: f."),
        ["src/e/a/mod.rs: the header leaves out c, which it does not know"]
    );
    assert_eq!(unlisted("//! A room.").len(), 2);
    assert_eq!(
        unlisted("//! It knows\n//! nothing of c. It does not know: c."),
        ["src/e/a/mod.rs: nothing checks \"knows nothing\""]
    );
}
