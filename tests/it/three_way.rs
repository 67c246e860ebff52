//! Three-way merging of one value, case by case.

use offshoot::query::{Counts, Sides, merge};
use serde_json::{Value, json};

use crate::support::{pack, unpack};

/// The side of a row that is not there.
const GONE: Option<Value> = None;

fn some(value: Value) -> Option<Value> {
    Some(value)
}

/// The merged value with the clone winning, and the conflicts as `path: base/clone/origin`.
fn merged(base: &Option<Value>, clone: &Option<Value>, origin: &Option<Value>) -> (Option<Value>, Vec<String>) {
    let packed = [base, clone, origin].map(|side| side.as_ref().map(pack));
    let [base, clone, origin] = packed.each_ref().map(|side| side.as_deref());
    let mut conflicts = Vec::new();
    let shown = |side: Option<&[u8]>| side.map_or("-".to_string(), |bytes| unpack(bytes).to_string());
    let value = merge(Sides { base, clone, origin }, Counts::default(), &mut |clash| {
        let [base, clone, origin] = [clash.sides.base, clash.sides.clone, clash.sides.origin].map(shown);
        conflicts.push(format!("{}: {base}/{clone}/{origin}", clash.path.join(".")));
        Ok(clash.sides.clone.map(<[u8]>::to_vec))
    });
    (value.expect("a merge").map(|value| unpack(&value)), conflicts)
}

type Case = (Option<Value>, Option<Value>, Option<Value>, Option<Value>, &'static [&'static str]);

/// Rows and their fields: base, clone, origin, the merged value with the clone winning, and the conflicts.
#[rustfmt::skip]
fn cases() -> Vec<Case> {
    vec![
        // One side only.
        (some(json!({"a": 1})), some(json!({"a": 2})), some(json!({"a": 1})), some(json!({"a": 2})), &[]),
        (some(json!({"a": 1})), some(json!({"a": 1})), some(json!({"a": 2})), some(json!({"a": 2})), &[]),
        (some(json!({"a": 1})), some(json!({"a": 1})), some(json!({"a": 1})), some(json!({"a": 1})), &[]),
        (some(json!({"a": 1})), GONE, some(json!({"a": 1})), GONE, &[]),
        (some(json!({"a": 1})), some(json!({"a": 1})), GONE, GONE, &[]),
        (GONE, some(json!({"a": 1})), GONE, some(json!({"a": 1})), &[]),
        (GONE, GONE, some(json!({"a": 1})), some(json!({"a": 1})), &[]),
        (GONE, GONE, GONE, GONE, &[]),
        // The same on both sides.
        (some(json!({"a": 1})), some(json!({"a": 2})), some(json!({"a": 2})), some(json!({"a": 2})), &[]),
        (some(json!({"a": 1})), GONE, GONE, GONE, &[]),
        (GONE, some(json!({"a": 1})), some(json!({"a": 1})), some(json!({"a": 1})), &[]),
        (some(json!({"a": 1})), some(json!({})), some(json!({})), some(json!({})), &[]),
        (some(json!({"a": [1]})), some(json!({"a": [2]})), some(json!({"a": [2]})), some(json!({"a": [2]})), &[]),
        // Different fields.
        (some(json!({"a": 1, "b": 1})), some(json!({"a": 2, "b": 1})), some(json!({"a": 1, "b": 2})),
            some(json!({"a": 2, "b": 2})), &[]),
        (some(json!({})), some(json!({"a": 1})), some(json!({"b": 1})), some(json!({"a": 1, "b": 1})), &[]),
        (some(json!({"a": 1, "b": 1})), some(json!({"b": 1})), some(json!({"a": 1})), some(json!({})), &[]),
        (some(json!({"a": 1, "b": 1})), some(json!({"b": 1})), some(json!({"a": 1, "b": 2})),
            some(json!({"b": 2})), &[]),
        (GONE, some(json!({"a": 1})), some(json!({"b": 1})), some(json!({"a": 1, "b": 1})), &[]),
        // The same field.
        (some(json!({"a": 1})), some(json!({"a": 2})), some(json!({"a": 3})), some(json!({"a": 2})), &["a: 1/2/3"]),
        (some(json!({"a": 1})), some(json!({})), some(json!({"a": 3})), some(json!({})), &["a: 1/-/3"]),
        (some(json!({"a": 1})), some(json!({"a": 2})), some(json!({})), some(json!({"a": 2})), &["a: 1/2/-"]),
        (some(json!({})), some(json!({"a": 2})), some(json!({"a": 3})), some(json!({"a": 2})), &["a: -/2/3"]),
        (GONE, some(json!({"a": 2})), some(json!({"a": 3})), some(json!({"a": 2})), &["a: -/2/3"]),
        (some(json!({"a": 1, "b": 1})), some(json!({"a": 2, "b": 2})), some(json!({"a": 3, "b": 3})),
            some(json!({"a": 2, "b": 2})), &["a: 1/2/3", "b: 1/2/3"]),
        // Deleted against changed.
        (some(json!({"a": 1})), GONE, some(json!({"a": 2})), GONE, &[": {\"a\":1}/-/{\"a\":2}"]),
        (some(json!({"a": 1})), some(json!({"a": 2})), GONE, some(json!({"a": 2})), &[": {\"a\":1}/{\"a\":2}/-"]),
        // Null is a value, and not absence.
        (some(json!({"a": null})), some(json!({})), some(json!({"a": null})), some(json!({})), &[]),
        (some(json!({"a": null})), some(json!({})), some(json!({"a": 1})), some(json!({})), &["a: null/-/1"]),
        (some(json!({})), some(json!({"a": null})), some(json!({})), some(json!({"a": null})), &[]),
        (some(json!({"a": 1})), some(json!({"a": null})), some(json!({})), some(json!({"a": null})), &["a: 1/null/-"]),
        (some(json!(null)), GONE, some(json!(1)), GONE, &[": null/-/1"]),
        (GONE, some(json!(null)), some(json!(null)), some(json!(null)), &[]),
    ]
}

/// Cases of values that nest, and of arrays and scalars, which are merged as single values.
#[rustfmt::skip]
fn deeper_cases() -> Vec<Case> {
    vec![
        // Objects within objects.
        (some(json!({"o": {"a": 1, "b": 1}})), some(json!({"o": {"a": 2, "b": 1}})),
            some(json!({"o": {"a": 1, "b": 2}})),
            some(json!({"o": {"a": 2, "b": 2}})), &[]),
        (some(json!({"o": {"a": 1}})), some(json!({"o": {"a": 2}})), some(json!({"o": {"a": 3}})),
            some(json!({"o": {"a": 2}})), &["o.a: 1/2/3"]),
        (some(json!({"o": {"a": 1}})), some(json!({})), some(json!({"o": {"a": 3}})),
            some(json!({})), &["o: {\"a\":1}/-/{\"a\":3}"]),
        (some(json!({})), some(json!({"o": {"a": 1}})), some(json!({"o": {"b": 1}})),
            some(json!({"o": {"a": 1, "b": 1}})), &[]),
        (some(json!({"o": 1})), some(json!({"o": {"a": 1}})), some(json!({"o": {"b": 1}})),
            some(json!({"o": {"a": 1, "b": 1}})), &[]),
        (some(json!({"o": {"a": 1}})), some(json!({"o": {"a": 2}})), some(json!({"o": 5})),
            some(json!({"o": {"a": 2}})), &["o: {\"a\":1}/{\"a\":2}/5"]),
        (some(json!({"o": {"p": {"q": 1, "r": 1}}})), some(json!({"o": {"p": {"q": 2, "r": 1}}})),
            some(json!({"o": {"p": {"q": 1, "r": 2}}})), some(json!({"o": {"p": {"q": 2, "r": 2}}})), &[]),
        (some(json!({"o": {"a": 1}})), some(json!({"o": {}})), some(json!({"o": {"a": 1, "b": 1}})),
            some(json!({"o": {"b": 1}})), &[]),
        // Fields in another order are the same fields.
        (some(json!({"o": {"a": 1, "b": 2}})), some(json!({"o": {"b": 2, "a": 1}})),
            some(json!({"o": {"a": 1, "b": 3}})),
            some(json!({"o": {"a": 1, "b": 3}})), &[]),
        // Arrays and scalars are single values.
        (some(json!({"l": [1, 2]})), some(json!({"l": [1, 2, 3]})), some(json!({"l": [0, 1, 2]})),
            some(json!({"l": [1, 2, 3]})), &["l: [1,2]/[1,2,3]/[0,1,2]"]),
        (some(json!({"l": [{"a": 1}]})), some(json!({"l": [{"a": 2}]})), some(json!({"l": [{"a": 1}], "b": 1})),
            some(json!({"l": [{"a": 2}], "b": 1})), &[]),
        (some(json!({"l": []})), some(json!({"l": {}})), some(json!({"l": [1]})),
            some(json!({"l": {}})), &["l: []/{}/[1]"]),
        (some(json!(1)), some(json!(2)), some(json!(3)), some(json!(2)), &[": 1/2/3"]),
        (some(json!("a")), some(json!("b")), some(json!("a")), some(json!("b")), &[]),
        (some(json!([1])), some(json!([1])), some(json!([2])), some(json!([2])), &[]),
        (some(json!({"a": 1})), some(json!("text")), some(json!({"a": 2})),
            some(json!("text")), &[": {\"a\":1}/\"text\"/{\"a\":2}"]),
        // Empty values are values.
        (some(json!({"a": ""})), some(json!({"a": "x"})), some(json!({"a": ""})), some(json!({"a": "x"})), &[]),
        (some(json!({"a": ""})), some(json!({})), some(json!({"a": "y"})), some(json!({})), &["a: \"\"/-/\"y\""]),
        // Names that paths cannot reach merge as all others do.
        (some(json!({"a.b": 1, "": 1})), some(json!({"a.b": 2, "": 1})), some(json!({"a.b": 1, "": 2})),
            some(json!({"a.b": 2, "": 2})), &[]),
        // A number and its text differ; so do true and 1.
        (some(json!({"a": 1})), some(json!({"a": "1"})), some(json!({"a": true})),
            some(json!({"a": "1"})), &["a: 1/\"1\"/true"]),
    ]
}

/// SEMANTICS C12: each case, and the same with both sides exchanged.
#[test]
fn three_versions_become_one() {
    let all: Vec<Case> = cases().into_iter().chain(deeper_cases()).collect();
    assert!(all.len() >= 40);
    for (base, clone, origin, expected, conflicts) in all {
        let (value, found) = merged(&base, &clone, &origin);
        assert_eq!((&value, &found[..]), (&expected, &conflicts.map_text()[..]), "{base:?} {clone:?} {origin:?}");
        let (exchanged, mirrored) = merged(&base, &origin, &clone);
        assert_eq!(mirrored.len(), found.len(), "{base:?} {clone:?} {origin:?}");
        if found.is_empty() {
            assert_eq!(exchanged, expected, "without conflicts the sides are alike");
        }
    }
}

trait MapText {
    fn map_text(&self) -> Vec<String>;
}

impl MapText for &[&str] {
    fn map_text(&self) -> Vec<String> {
        self.iter().map(|text| text.to_string()).collect()
    }
}

/// RFC 7396's table, where a patch is a clone's change and the origin has not moved: the merge gives the patched
/// target. A null in a patch removes a field, which a clone does by removing it.
#[test]
fn patches_of_one_side_are_applied() {
    let table = [
        (json!({"a": "b"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b"}), json!({})),
        (json!({"a": "b", "b": "c"}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"})),
        (json!({"a": "c"}), json!({"a": ["b"]})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d"}})),
        (json!({"a": [{"b": "c"}]}), json!({"a": [1]})),
        (json!(["a", "b"]), json!(["c", "d"])),
        (json!({"a": "b"}), json!(["c"])),
        (json!({"a": "foo"}), json!(null)),
        (json!({"a": "foo"}), json!("bar")),
        (json!({"e": null}), json!({"e": null, "a": 1})),
        (json!([1, 2]), json!({"a": "b"})),
        (json!({}), json!({"a": {"bb": {}}})),
    ];
    for (target, result) in table {
        let (target, result) = (some(target), some(result));
        assert_eq!(merged(&target, &result, &target), (result.clone(), Vec::new()));
        assert_eq!(merged(&target, &target, &result), (result, Vec::new()));
    }
}
