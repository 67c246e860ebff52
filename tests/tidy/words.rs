//! Words and names that must not stand in a file that is kept.

use crate::sources::{Source, code_only};

/// This file, which holds examples of what it forbids.
const EXAMPLES: &str = "tests/tidy/words.rs";

/// Marks of work that is not done, and of tests that do not run.
const UNFINISHED_RUST: [&str; 5] = ["todo!", "unimplemented!", "dbg!", "#[ignore", "#[should_panic]"];
const UNFINISHED_JAVASCRIPT: [&str; 12] = [
    "debugger;",
    "describe.only(",
    "describe.skip(",
    "it.only(",
    "it.skip(",
    "only: true",
    "skip: true",
    "t.skip()",
    "t.todo(",
    "test.only(",
    "test.skip(",
    "test.todo(",
];

/// Code that was left for later, and tests that are switched off. One that can't run here calls `t.skip` and says why.
pub fn unfinished_work(file: &Source) -> Vec<String> {
    let (text, words) = if file.has_extension(&["rs"]) {
        (code_only(&file.text), UNFINISHED_RUST.as_slice())
    } else if file.has_extension(&["js", "mjs", "ts", "tsx"]) {
        (file.text.clone(), UNFINISHED_JAVASCRIPT.as_slice())
    } else {
        return Vec::new();
    };
    occurrences(&file.path, &text, words)
}

/// Words that no sentence begins with: such a sentence is a riddle, because it does not name its subject by a type.
const RIDDLES: [&str; 2] = ["What", "Whether"];

/// Sentences that begin with one of these words, in comments of Rust and JavaScript. The package's declarations keep
/// the words that were agreed on.
pub fn riddles(file: &Source) -> Vec<String> {
    let is_contract = file.path.starts_with("pkg/types/");
    if !file.has_extension(&["js", "mjs", "rs", "ts"]) || is_contract || file.path == EXAMPLES {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        // Such a word has a capital letter only where a sentence begins; the name of a type stands between backticks.
        let mut words = comment_of(line).split(|c: char| !c.is_alphanumeric() && c != '_' && c != '`');
        if words.any(|word| RIDDLES.contains(&word)) {
            found.push(format!("{}:{}: {}", file.path, index + 1, line.trim()));
        }
    }
    found
}

/// The comment in a line; empty where there is none.
fn comment_of(line: &str) -> &str {
    if ["//", "/*", "* "].iter().any(|begin| line.trim_start().starts_with(begin)) {
        return line;
    }
    let is_behind_code = |(code, _): &(&str, &str)| code.matches('"').count() % 2 == 0;
    line.rsplit_once(" // ").filter(is_behind_code).map_or("", |(_, comment)| comment)
}

/// The beginnings of paths that mean something on one machine only.
const FOLDERS_OF_A_MACHINE: [&str; 5] = ["/home/", "/root/", "/tmp/", "/Users/", "/work/"];

/// Paths that lead out of the repository: they do not exist beside a fresh clone.
pub fn paths_out_of_the_repository(file: &Source) -> Vec<String> {
    if file.path == EXAMPLES {
        return Vec::new();
    }
    let mut found = occurrences(&file.path, &file.text, &FOLDERS_OF_A_MACHINE);
    let depth = file.path.matches('/').count();
    let climb = "../".repeat(depth + 1);
    found.extend(occurrences(&file.path, &file.text, &[&climb]));
    found
}

/// Names of documents that are not in the repository: a reader would look for them in vain.
pub fn documents_that_are_missing(files: &[Source]) -> Vec<String> {
    let is_here = |name: &str| files.iter().any(|file| file.path.rsplit('/').next() == Some(name));
    let mut found = Vec::new();
    let extensions = ["md", "mjs", "rs", "sh", "toml", "ts"];
    for file in files.iter().filter(|file| file.has_extension(&extensions) && file.path != EXAMPLES) {
        for (index, line) in file.text.lines().enumerate() {
            let words = line.split(|c: char| !c.is_alphanumeric() && !"._-".contains(c));
            let names =
                words.map(|word| word.trim_end_matches('.')).filter(|word| word.ends_with(".md") && *word != ".md");
            found
                .extend(names.filter(|name| !is_here(name)).map(|name| format!("{}:{}: {name}", file.path, index + 1)));
        }
    }
    found
}

/// Lock files that name a server. Which one to ask is set where packages are installed, not here.
pub fn servers_in_lock_files(file: &Source) -> Vec<String> {
    // Cargo writes this name of its default registry into every lock file, wherever it fetches from.
    const DEFAULT: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    let is_server = |line: &str| match file.path.rsplit('/').next() {
        Some("package-lock.json" | ".offshoot-lock.json") => line.contains("\"resolved\""),
        Some("Cargo.lock") => line.contains("://") && line != DEFAULT,
        Some(".npmrc") => line.contains("://") || line.trim_start().starts_with("registry"),
        _ => false,
    };
    let lines = file.text.lines().enumerate().filter(|(_, line)| is_server(line));
    lines.map(|(index, line)| format!("{}:{}: names a server: {}", file.path, index + 1, line.trim())).collect()
}

fn occurrences(path: &str, text: &str, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for word in words.iter().filter(|word| line.contains(**word)) {
            found.push(format!("{path}:{}: {word}", index + 1));
        }
    }
    found
}

#[test]
fn unfinished_work_is_caught() {
    let caught = |path, text| unfinished_work(&Source::new(path, text)).len();
    assert_eq!(caught("src/lib.rs", "fn a() { todo!() }\nfn b() { dbg!(1); unimplemented!() }"), 3);
    assert_eq!(caught("tests/it/main.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}"), 1);
    assert_eq!(
        caught("tests/node/a.test.mjs", "test.skip(\"a\", () => {});\ntest(\"b\", { skip: true }, () => {});"),
        2
    );
    assert_eq!(caught("tests/node/a.test.mjs", "t.skip(\"no Firefox here\"); rows.find().skip(3);"), 0);
    assert_eq!(caught("src/lib.rs", "// no todo!() is left"), 0);
}

#[test]
fn a_riddle_is_caught() {
    let caught = |path, text| riddles(&Source::new(path, text)).len();
    assert_eq!(caught("src/lib.rs", "/// Whether a row is there.\n// It is read. What\n// is left follows."), 2);
    assert_eq!(caught("src/a/mod.rs", "//! - What a row holds.\nlet a = 1; // Rows: What is one?"), 2);
    assert_eq!(caught("src/lib.rs", "/// Tells what is left, and whether it is read, of a `What`."), 0);
    assert_eq!(caught("src/lib.rs", "let a = \"What? // Whether\";"), 0);
    assert_eq!(caught("tests/it/main.rs", "// What is left."), 1);
    assert_eq!(caught("www/app.js", "/** What is left. */\n/**\n * It is read. What\n * is left follows.\n */"), 2);
    assert_eq!(caught("pkg/types/offshoot.d.ts", "/** What can be stored. */"), 0);
}

#[test]
fn a_path_out_of_the_repository_is_caught() {
    let caught = |path, text| paths_out_of_the_repository(&Source::new(path, text)).len();
    assert_eq!(caught("README.md", "see /home/me/notes.md, or ../notes.md"), 2);
    assert_eq!(caught("tests/tools/a.mjs", "new URL(\"../../../notes\", import.meta.url)"), 1);
    assert_eq!(caught("tests/tools/a.mjs", "new URL(\"../../pkg\", import.meta.url)"), 0);
}

#[test]
fn a_document_that_is_missing_is_caught() {
    let manual = Source::new("tests/MANUAL.md", "");
    let reader = Source::new("src/lib.rs", "//! See MANUAL.md.\n//! See OTHER.md too.");
    assert_eq!(documents_that_are_missing(&[manual, reader]), ["src/lib.rs:2: OTHER.md"]);
}

#[test]
fn a_server_in_a_lock_file_is_caught() {
    let caught = |path, text| servers_in_lock_files(&Source::new(path, text)).len();
    assert_eq!(caught("tests/package-lock.json", "  \"resolved\": \"https://mirror.example/a.tgz\""), 1);
    assert_eq!(caught("Cargo.lock", "source = \"registry+https://mirror.example/index\""), 1);
    assert_eq!(caught("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\""), 0);
    assert_eq!(caught("tests/.npmrc", "registry=https://mirror.example/"), 1);
}
