//! The house rules that a program can check. Each rule is a function in `tests/tidy/`, with a test of its own that it
//! catches what breaks it; here each is held against the whole repository.

#[path = "tidy/door.rs"]
mod door;
#[path = "tidy/homes.rs"]
mod homes;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/promises.rs"]
mod promises;
#[path = "tidy/rings.rs"]
mod rings;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/sorted.rs"]
mod sorted;
#[path = "tidy/sources.rs"]
mod sources;
#[path = "tidy/words.rs"]
mod words;

use sources::{Source, repository};

/// The statements of `tests/SEMANTICS.md` that hold so far. It grows with what is built, and never shrinks.
const KEPT_PROMISES: &[&str] = &[
    "R1", "R2", "R3", "R4", "R6", "R7", "R8", "R9", "R10", "W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8", "W9", "W10",
    "W11", "W12", "C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11", "C12", "C13", "C14", "C15",
];

/// Promises that `tests/promises` also tests from JavaScript, in Node and in a browser.
const KEPT_IN_JAVASCRIPT: &[&str] = &["W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8", "W9", "W10", "W11", "W12"];

/// Holds one rule against every file, and lists everything that breaks it.
fn hold(rule: fn(&Source) -> Vec<String>) {
    let violations: Vec<String> = repository().iter().flat_map(rule).collect();
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}

#[test]
fn arrows_between_layers_point_down_only() {
    hold(layers::arrows_that_point_up);
}

#[test]
fn rows_are_written_through_the_door_only() {
    hold(door::ways_past_the_door);
}

#[test]
fn maps_and_sets_are_of_one_kind() {
    hold(sorted::maps_of_the_standard_library);
}

#[test]
fn only_one_layer_knows_javascript() {
    hold(layers::javascript_outside_of_its_folder);
}

#[test]
fn modules_import_each_other_in_no_ring() {
    let rings = rings::Modules::of(&repository()).rings();
    assert!(rings.is_empty(), "{}", rings.join("\n"));
}

#[test]
fn the_methods_of_a_type_stand_in_its_folder() {
    let away = homes::methods_away_from_home(&repository());
    assert!(away.is_empty(), "{}", away.join("\n"));
}

#[test]
fn no_module_imports_what_its_header_does_not_know() {
    let known = rings::Modules::of(&repository()).known_all_the_same();
    assert!(known.is_empty(), "{}", known.join("\n"));
}

#[test]
fn every_folder_lists_what_it_does_not_know() {
    let unlisted = rings::Modules::of(&repository()).unlisted();
    assert!(unlisted.is_empty(), "{}", unlisted.join("\n"));
}

#[test]
fn files_stay_short() {
    hold(shape::too_long_files);
}

#[test]
fn functions_stay_short() {
    hold(shape::too_long_functions);
}

#[test]
fn lines_stay_short() {
    hold(shape::too_long_lines);
}

#[test]
fn nothing_is_left_for_later_and_no_test_is_switched_off() {
    hold(words::unfinished_work);
}

#[test]
fn sentences_in_comments_name_their_subjects() {
    hold(words::riddles);
}

#[test]
fn the_repository_stands_alone() {
    hold(words::paths_out_of_the_repository);
}

#[test]
fn every_document_that_is_named_is_here() {
    let missing = words::documents_that_are_missing(&repository());
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn lock_files_name_no_server() {
    hold(words::servers_in_lock_files);
}

/// Fails on a number that the statements do not have, or that no test in `files` cites.
fn hold_promises(numbers: &[&str], files: &[Source]) {
    let semantics = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/SEMANTICS.md"));
    let stated = promises::stated(&semantics.expect("the statements are there"));
    assert!(stated.contains(&"R1".to_string()), "the statements could not be read");
    let cited = promises::cited(files);
    for number in numbers.iter().map(|number| number.to_string()) {
        assert!(stated.contains(&number), "there is no such statement. number={number}");
        assert!(cited.contains(&number), "no test cites this statement. number={number}");
    }
}

#[test]
fn every_kept_promise_is_cited_by_a_test() {
    hold_promises(KEPT_PROMISES, &repository());
}

#[test]
fn every_promise_that_javascript_relies_on_is_cited_by_a_test_in_javascript() {
    let mut files = repository();
    files.retain(|file| file.path.starts_with("tests/promises/"));
    hold_promises(KEPT_IN_JAVASCRIPT, &files);
}

#[test]
#[should_panic(expected = "no test cites this statement. number=R1")]
fn a_promise_that_no_test_cites_is_caught() {
    hold_promises(&["R1"], &[Source::new("tests/it/reads.rs", "// R1")]);
}
