//! How long files, functions and lines may be.

use crate::sources::{Source, code_only};

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;
const LINE_CHARACTERS: usize = 120;

/// Code that people write and read. Not documents, nor the package's declarations: both hold tables with long rows.
fn is_code(file: &Source) -> bool {
    let is_contract = file.path.starts_with("pkg/types/") || file.path.starts_with("tests/fixtures/");
    file.has_extension(&["css", "html", "js", "mjs", "rs", "sh", "toml", "ts"]) && !is_contract
}

pub fn too_long_files(file: &Source) -> Vec<String> {
    let lines = file.text.lines().count();
    if !is_code(file) || lines < FILE_LINES {
        return Vec::new();
    }
    vec![format!("{}: {lines} lines, to be under {FILE_LINES}", file.path)]
}

pub fn too_long_lines(file: &Source) -> Vec<String> {
    if !is_code(file) {
        return Vec::new();
    }
    let lines = file.text.lines().enumerate().map(|(index, line)| (index + 1, line.chars().count()));
    lines
        .filter(|(_, length)| *length > LINE_CHARACTERS)
        .map(|(number, length)| format!("{}:{number}: {length} characters, at most {LINE_CHARACTERS}", file.path))
        .collect()
}

/// Functions of Rust, from the line that names them to the one that closes their body.
pub fn too_long_functions(file: &Source) -> Vec<String> {
    if !file.has_extension(&["rs"]) {
        return Vec::new();
    }
    let code = code_only(&file.text);
    let starts = code.match_indices("fn ").filter(|(position, _)| starts_word(&code, *position));
    starts
        .filter_map(|(position, _)| Some((position, body_lines(&code[position..])?)))
        .filter(|(_, lines)| *lines >= FUNCTION_LINES)
        .map(|(position, lines)| {
            let number = code[..position].matches('\n').count() + 1;
            format!("{}:{number}: a function of {lines} lines, to be under {FUNCTION_LINES}", file.path)
        })
        .collect()
}

fn starts_word(code: &str, position: usize) -> bool {
    !code[..position].ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// How many lines a function takes; none for a declaration without a body.
fn body_lines(code: &str) -> Option<usize> {
    let mut depth = 0;
    for (position, character) in code.char_indices() {
        match character {
            // An array's length may stand before the body: `-> [u8; 4] {`.
            '(' | '[' | '{' => depth += 1,
            ')' | ']' => depth -= 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(code[..position].matches('\n').count() + 1);
                }
            }
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[test]
fn what_is_too_long_is_caught() {
    let lines = |count: usize| "x();\n".repeat(count);
    let file = |text: &str| Source::new("src/engine/mod.rs", text);
    assert_eq!(too_long_files(&file(&lines(500))).len(), 1);
    assert_eq!(too_long_files(&file(&lines(499))).len(), 0);
    assert_eq!(too_long_lines(&file(&format!("{}\n{}\n", "é".repeat(120), "y".repeat(121)))).len(), 1);
    let function =
        |count: usize| file(&format!("impl A {{\n fn b(c: [u8; 2]) -> [u8; 2] {{\n{}}}\n}}\n", lines(count)));
    assert_eq!(too_long_functions(&function(68)), ["src/engine/mod.rs:2: a function of 70 lines, to be under 70"]);
    assert_eq!(too_long_functions(&function(67)).len(), 0);
    let declarations = file(&format!("trait A {{\n fn b(&self);\n}}\nstatic C: &[u8] = &[{}];", lines(80)));
    assert_eq!(too_long_functions(&declarations).len(), 0);
}
