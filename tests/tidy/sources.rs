//! The repository's own text files, and Rust without what it says in comments and strings.

use std::fs;
use std::path::Path;

/// One file: where it lies, with `/` between folders, and what it says.
pub struct Source {
    pub path: String,
    pub text: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        Source { path: path.to_string(), text: text.to_string() }
    }

    pub fn has_extension(&self, extensions: &[&str]) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension))
    }
}

/// Folders whose files nobody wrote here: they are built, installed, or Git's own.
const NOT_OURS: [&str; 5] = [".git", "build", "dist", "node_modules", "target"];

/// Every text file of the repository, in the order of their paths.
pub fn repository() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.to_path_buf()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository can be read") {
            let path = entry.expect("an entry of a folder can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if !NOT_OURS.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if let Ok(text) = fs::read_to_string(&path) {
                let relative = path.strip_prefix(root).expect("BUG: a file lies under the folder it was found in");
                sources.push(Source::new(&relative.to_string_lossy().replace('\\', "/"), &text));
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(sources.len() > 10, "the repository was not found");
    sources
}

/// Rust code with every character of comments, strings and character literals replaced by a space. Lines stay lines, so
/// that a rule about code neither sees a word that is only talked about, nor loses its place.
pub fn code_only(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let end = literal_end(&characters, at);
        if end == at {
            code.push(characters[at]);
            at += 1;
            continue;
        }
        code.extend(characters[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    code
}

/// Where the comment or literal that begins at `at` ends; `at` itself when none begins there.
fn literal_end(text: &[char], at: usize) -> usize {
    let next = text.get(at + 1).copied();
    match text[at] {
        '/' if next == Some('/') => find(text, at, |c| c == '\n'),
        '/' if next == Some('*') => block_comment_end(text, at),
        '"' => string_end(text, at + 1),
        'r' if !follows_word(text, at) => raw_string_end(text, at),
        '\'' => character_end(text, at),
        _ => at,
    }
}

fn find(text: &[char], from: usize, wanted: impl Fn(char) -> bool) -> usize {
    (from..text.len()).find(|&at| wanted(text[at])).unwrap_or(text.len())
}

fn follows_word(text: &[char], at: usize) -> bool {
    // `br"…"` is a raw string too; any other letter before makes this `r` the end of a name.
    at > 0 && (text[at - 1].is_alphanumeric() || text[at - 1] == '_') && text[at - 1] != 'b'
}

fn block_comment_end(text: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at + 1 < text.len() {
        match (text[at], text[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn string_end(text: &[char], mut at: usize) -> usize {
    while at < text.len() && text[at] != '"' {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

fn raw_string_end(text: &[char], start: usize) -> usize {
    let quote = find(text, start + 1, |c| c != '#');
    if text.get(quote) != Some(&'"') {
        return start;
    }
    let fence: String = text[start + 1..quote].iter().collect();
    let closing: Vec<char> = format!("\"{fence}").chars().collect();
    let end = (quote + 1..text.len()).find(|&at| text[at..].starts_with(&closing));
    end.map_or(text.len(), |at| at + closing.len())
}

/// A character in quotes; a lifetime, which has one quote only, is no literal.
fn character_end(text: &[char], start: usize) -> usize {
    match (text.get(start + 1), text.get(start + 2)) {
        (Some('\\'), _) => find(text, start + 3, |c| c == '\'').saturating_add(1).min(text.len()),
        (Some(_), Some('\'')) => start + 3,
        _ => start,
    }
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = "a(\"x \\\" y\") /* b /* c */ */ r#\"d\"e\"# 'f' '\\'' '\\u{67}' g<'h> // i\nbr\"j\" k";
    let words: Vec<String> = code_only(text)
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(String::from)
        .collect();
    assert_eq!(words, ["a", "g", "h", "b", "k"]);
    assert_eq!(code_only("1 // 2\n3").lines().count(), 2);
}
