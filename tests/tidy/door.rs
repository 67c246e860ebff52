//! Rows come into a commit, or into a run of copies, through `src/engine/door` alone. `Effects` has private fields, so
//! the compiler holds most of that; this holds the rest, which `lsm` offers to everybody.

use crate::sources::{Source, code_only};

/// Names that only one file of the engine may use, each with that file.
const DOORKEEPERS: [(&str, &str); 2] =
    [("NewRun", "src/engine/core/ahead.rs"), ("state.stage(", "src/engine/core/stage.rs")];

/// Ways for rows to come past the door.
pub fn ways_past_the_door(file: &Source) -> Vec<String> {
    if !file.path.starts_with("src/engine/") {
        return Vec::new();
    }
    let code = code_only(&file.text);
    let past = DOORKEEPERS.iter().filter(|(name, keeper)| file.path != *keeper && code.contains(name));
    past.map(|(name, keeper)| format!("{}: rows pass the door, so {keeper} alone may name {name}", file.path)).collect()
}

#[test]
fn a_way_past_the_door_is_caught() {
    let caught = |path, text| ways_past_the_door(&Source::new(path, text)).len();
    assert_eq!(caught("src/engine/copy/copying.rs", "use crate::lsm::{Attempt, NewRun};"), 1);
    assert_eq!(caught("src/engine/merge/reset.rs", "lsm.with_mut(|state| state.stage(commit));"), 1);
    assert_eq!(caught("src/engine/merge/reset.rs", "// NewRun is not for us\nlet stage = self.stage;"), 0);
    assert_eq!(caught("src/lsm/compaction.rs", "NewRun::begin(lsm, id, now)"), 0);
}
