use super::*;
use crate::types::pack::{write_array, write_bool, write_float, write_integer, write_map, write_nil, write_text};

/// Just enough of a value to write the cases down.
#[derive(Clone)]
enum V {
    Nil,
    True,
    I(i64),
    F(f64),
    T(&'static str),
    A(Vec<V>),
    M(Vec<(&'static str, V)>),
}

fn pack(value: &V) -> Vec<u8> {
    let mut out = Vec::new();
    match value {
        V::Nil => write_nil(&mut out),
        V::True => write_bool(&mut out, true),
        V::I(n) => write_integer(&mut out, *n),
        V::F(n) => write_float(&mut out, *n),
        V::T(text) => write_text(&mut out, text),
        V::A(items) => {
            write_array(&mut out, items.len());
            items.iter().for_each(|item| out.extend(pack(item)));
        }
        V::M(fields) => {
            write_map(&mut out, fields.len());
            for (name, value) in fields {
                write_text(&mut out, name);
                out.extend(pack(value));
            }
        }
    }
    out
}

fn updated(document: V, operators: V) -> Result<Vec<u8>> {
    apply(&pack(&document), &Update::read(&pack(&operators))?)
}

fn one(operator: &'static str, path: &'static str, value: V) -> V {
    V::M(vec![(operator, V::M(vec![(path, value)]))])
}

#[test]
fn an_update_changes_what_it_names_and_nothing_else() {
    let document =
        || V::M(vec![("a", V::I(1)), ("b", V::M(vec![("c", V::T("x"))])), ("d", V::A(vec![V::I(1), V::I(2)]))]);
    let cases = [
        (
            one("$set", "a", V::I(2)),
            V::M(vec![("a", V::I(2)), ("b", V::M(vec![("c", V::T("x"))])), ("d", V::A(vec![V::I(1), V::I(2)]))]),
        ),
        (
            one("$set", "b.c", V::Nil),
            V::M(vec![("a", V::I(1)), ("b", V::M(vec![("c", V::Nil)])), ("d", V::A(vec![V::I(1), V::I(2)]))]),
        ),
        (
            one("$set", "e.f.g", V::True),
            V::M(vec![
                ("a", V::I(1)),
                ("b", V::M(vec![("c", V::T("x"))])),
                ("d", V::A(vec![V::I(1), V::I(2)])),
                ("e", V::M(vec![("f", V::M(vec![("g", V::True)]))])),
            ]),
        ),
        (
            one("$set", "d.1", V::T("y")),
            V::M(vec![("a", V::I(1)), ("b", V::M(vec![("c", V::T("x"))])), ("d", V::A(vec![V::I(1), V::T("y")]))]),
        ),
        (
            one("$set", "d.3", V::T("y")),
            V::M(vec![
                ("a", V::I(1)),
                ("b", V::M(vec![("c", V::T("x"))])),
                ("d", V::A(vec![V::I(1), V::I(2), V::Nil, V::T("y")])),
            ]),
        ),
        (
            one("$unset", "b.c", V::True),
            V::M(vec![("a", V::I(1)), ("b", V::M(vec![])), ("d", V::A(vec![V::I(1), V::I(2)]))]),
        ),
        (one("$unset", "x.y.z", V::True), document()),
        (one("$unset", "a.b", V::True), document()),
        (
            one("$unset", "d.0", V::True),
            V::M(vec![("a", V::I(1)), ("b", V::M(vec![("c", V::T("x"))])), ("d", V::A(vec![V::Nil, V::I(2)]))]),
        ),
        (
            one("$inc", "a", V::I(-3)),
            V::M(vec![("a", V::I(-2)), ("b", V::M(vec![("c", V::T("x"))])), ("d", V::A(vec![V::I(1), V::I(2)]))]),
        ),
        (
            one("$inc", "a", V::F(0.5)),
            V::M(vec![("a", V::F(1.5)), ("b", V::M(vec![("c", V::T("x"))])), ("d", V::A(vec![V::I(1), V::I(2)]))]),
        ),
    ];
    for (index, (operators, expected)) in cases.into_iter().enumerate() {
        assert_eq!(updated(document(), operators).unwrap(), pack(&expected), "case {index}");
    }
}

#[test]
fn an_increment_of_nothing_begins_at_zero() {
    assert_eq!(
        updated(V::M(vec![]), one("$inc", "n.m", V::I(4))).unwrap(),
        pack(&V::M(vec![("n", V::M(vec![("m", V::I(4))]))]))
    );
}

#[test]
fn what_cannot_be_done_says_where() {
    let document = || V::M(vec![("a", V::I(1)), ("d", V::A(vec![]))]);
    let cases = [
        (one("$set", "a.b", V::I(1)), ErrorCode::InvalidUpdate),
        (one("$set", "d.x", V::I(1)), ErrorCode::InvalidUpdate),
        (one("$set", "d.01", V::I(1)), ErrorCode::InvalidUpdate),
        (one("$set", "d.99999999", V::I(1)), ErrorCode::InvalidUpdate),
        (one("$set", "a..b", V::I(1)), ErrorCode::InvalidUpdate),
        (one("$set", "", V::I(1)), ErrorCode::InvalidUpdate),
        (one("$set", "id", V::T("other")), ErrorCode::InvalidUpdate),
        (one("$set", "id.x", V::T("other")), ErrorCode::InvalidUpdate),
        (one("$rename", "a", V::T("b")), ErrorCode::InvalidUpdate),
        (one("$inc", "d", V::I(1)), ErrorCode::NotANumber),
        (one("$inc", "a", V::T("1")), ErrorCode::InvalidUpdate),
        (one("$inc", "a", V::I(9_007_199_254_740_991)), ErrorCode::Overflow),
        (
            V::M(vec![("$set", V::M(vec![("a", V::I(1))])), ("$inc", V::M(vec![("a", V::I(1))]))]),
            ErrorCode::InvalidUpdate,
        ),
        (V::M(vec![("$set", V::M(vec![("a.b", V::I(1)), ("a", V::I(1))]))]), ErrorCode::InvalidUpdate),
    ];
    for (index, (operators, code)) in cases.into_iter().enumerate() {
        let error = updated(document(), operators).unwrap_err();
        assert_eq!(error.code(), code, "case {index}: {error}");
    }
    assert!(updated(document(), V::M(vec![("$set", V::M(vec![("x", V::I(1)), ("xy", V::I(1))]))])).is_ok());
}

#[test]
fn what_an_editor_changed_can_be_changed_again() {
    let document = pack(&V::M(vec![("a", V::I(1)), ("b", V::I(2)), ("d", V::A(vec![V::I(1), V::I(2)]))]));
    let mut editor = Editor::new(Some(&document));
    let mut set = |path: &[&str], value: Option<V>| {
        editor.change(path, &mut |_| Ok(value.as_ref().map(pack))).unwrap();
    };
    set(&["a"], None);
    set(&["a"], Some(V::M(vec![("x", V::I(1))])));
    set(&["a", "y"], Some(V::I(2)));
    set(&["d", "1"], None);
    set(&["d", "0"], None);
    set(&["d", "0"], Some(V::T("z")));
    set(&["d", "4"], Some(V::True));
    let expected = V::M(vec![
        ("b", V::I(2)),
        ("d", V::A(vec![V::T("z"), V::Nil, V::Nil, V::Nil, V::True])),
        ("a", V::M(vec![("x", V::I(1)), ("y", V::I(2))])),
    ]);
    assert_eq!(editor.finish(), Some(pack(&expected)));
}

#[test]
fn nulls_that_fill_gaps_are_counted_before_they_are_made() {
    let mut editor = Editor::new(Some(&[0x81, 0xa1, b'a', 0x90]));
    let steps = limits::VALUE_BYTES / 1023 + 1;
    let failed = (1..=steps).find_map(|step| {
        let place = (1024 * step - 1).to_string();
        editor.change(&["a", &place], &mut |_| Ok(Some(vec![0xc0]))).err()
    });
    assert_eq!(failed.expect("there is a limit").code(), ErrorCode::TooLarge);
}
