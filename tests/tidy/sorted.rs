//! The module has one kind of map and one kind of set, `SortedMap` and `SortedSet`. Those of the standard library bring
//! code of their own for each type of key and value, which was a sixteenth of the module.

use crate::sources::{Source, code_only};

const MAPS: [&str; 4] = ["BTreeMap", "BTreeSet", "HashMap", "HashSet"];

/// The standard library's maps and sets in code that ships. Tests may use them.
pub fn maps_of_the_standard_library(file: &Source) -> Vec<String> {
    let ships = file.path.starts_with("src/") && file.path.ends_with(".rs") && !file.path.ends_with("_tests.rs");
    let code = code_only(&file.text);
    let shipped = code.split("#[cfg(test)]\nmod tests").next().filter(|_| ships).unwrap_or_default();
    let lines = shipped.lines().zip(1..).filter(|(line, _)| MAPS.iter().any(|map| line.contains(map)));
    lines.map(|(_, number)| format!("{}:{number}: take a SortedMap or a SortedSet", file.path)).collect()
}

#[test]
fn a_map_of_the_standard_library_is_caught() {
    let caught = |path, text| maps_of_the_standard_library(&Source::new(path, text));
    assert_eq!(caught("src/lsm/a.rs", "\nuse std::collections::{HashMap, VecDeque};").len(), 1);
    assert_eq!(caught("src/engine/a/b.rs", "let a = 1;\nlet names: BTreeSet<_> = all.collect();").len(), 1);
    assert_eq!(
        caught("src/lsm/a.rs", "// A BTreeMap is larger.\n#[cfg(test)]\nmod tests { use std::BTreeMap; }").len(),
        0
    );
    assert_eq!(caught("src/lsm/a_tests.rs", "use std::collections::HashMap;").len(), 0);
    assert_eq!(caught("tests/it/a.rs", "use std::collections::HashMap;").len(), 0);
}
