//! Every promise in `tests/SEMANTICS.md` that is kept so far is cited by a test.

use crate::sources::Source;

/// The numbers in the comments of tests: in Rust the documentation of a `#[test]`, elsewhere any line comment.
pub fn cited(files: &[Source]) -> Vec<String> {
    let mut numbers = Vec::new();
    for file in files {
        let comments = if file.has_extension(&["rs"]) {
            documentation_of_tests(&file.text)
        } else if file.path.starts_with("tests/") && file.has_extension(&["mjs", "ts"]) {
            file.text.lines().filter_map(|line| Some(line.split_once("//")?.1.to_string())).collect()
        } else {
            Vec::new()
        };
        let words = comments.iter().flat_map(|comment| comment.split(|c: char| !c.is_alphanumeric()));
        numbers.extend(words.filter(|word| is_number(word)).map(String::from));
    }
    numbers
}

/// The numbers that the statements have, from the first column of their tables.
pub fn stated(semantics: &str) -> Vec<String> {
    let cells = semantics.lines().filter_map(|line| Some(line.strip_prefix("| ")?.split_once(" |")?.0));
    cells.filter(|cell| is_number(cell)).map(String::from).collect()
}

/// `R4`, `W12`: one capital letter, then digits.
fn is_number(word: &str) -> bool {
    let mut characters = word.chars();
    characters.next().is_some_and(|letter| "RWCS".contains(letter))
        && !characters.as_str().is_empty()
        && characters.all(|digit| digit.is_ascii_digit())
}

/// The lines of each documentation comment that stands before a test.
fn documentation_of_tests(text: &str) -> Vec<String> {
    let mut kept = Vec::new();
    let mut pending = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            pending.push(comment.to_string());
        } else if line.starts_with("#[test]") || line.starts_with("#[wasm_bindgen_test") {
            kept.append(&mut pending);
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            pending.clear();
        }
    }
    kept
}

#[test]
fn a_citation_counts_only_where_a_test_is() {
    let numbers = |path: &str, text: &str| cited(&[Source::new(path, text)]);
    assert_eq!(
        numbers("tests/it/reads.rs", "/// SEMANTICS R1, R2.\n#[test]\nfn a_read_falls_through() {}"),
        ["R1", "R2"]
    );
    assert_eq!(numbers("src/lsm/run.rs", "/// Serves R3.\n#[derive(Debug)]\nstruct Run;\n#[test]\nfn a() {}").len(), 0);
    assert_eq!(numbers("tests/promises/writes.mjs", "// W8: nothing comes between.\nrun(\"R9\")"), ["W8"]);
    assert_eq!(numbers("pkg/src/query.ts", "// W8").len(), 0);
    assert_eq!(stated("| # | statement |\n| R1 | A point read | clone |\n| R12 | More | x |"), ["R1", "R12"]);
}
