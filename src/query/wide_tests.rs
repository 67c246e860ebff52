//! An operation on a document of many fields costs only a logarithm more per field than on a document of few fields.

use super::*;
use crate::error::Result;
use crate::types::Lsn;
use crate::types::pack::{write_array, write_integer, write_map, write_nil, write_text};
use crate::types::work::steps_of;

fn name(number: usize) -> String {
    format!("field{number:05}")
}

fn fields(numbers: impl Iterator<Item = usize> + Clone, value: i64) -> Vec<u8> {
    let mut out = Vec::new();
    write_map(&mut out, numbers.clone().count());
    for number in numbers {
        write_text(&mut out, &name(number));
        write_integer(&mut out, value);
    }
    out
}

/// One operator on the fields of some numbers, below `prefix`.
fn operator(operator: &str, prefix: &str, numbers: impl Iterator<Item = usize> + Clone) -> Update {
    let mut out = Vec::new();
    write_map(&mut out, 1);
    write_text(&mut out, operator);
    write_map(&mut out, numbers.clone().count());
    for number in numbers {
        write_text(&mut out, &format!("{prefix}{}", name(number)));
        write_integer(&mut out, 2);
    }
    Update::read(&out).unwrap()
}

/// Fails unless eight times the fields take less than sixteen times the steps: a search through all of them for each
/// would take sixty-four times.
fn assert_grows_slowly(what: &str, work: impl Fn(usize)) {
    let (few, many) = (steps_of(|| work(500)), steps_of(|| work(4000)));
    assert!(few >= 500, "{what}: the work is counted. steps={few}");
    assert!(many <= 16 * few, "{what}: it grows with the fields. few={few}, many={many}");
}

#[test]
fn an_update_of_many_fields_grows_with_them() {
    for kind in ["$set", "$unset", "$inc"] {
        assert_grows_slowly(kind, |n| drop(apply(&fields(0..2 * n, 1), &operator(kind, "", 0..n)).unwrap()));
        assert_grows_slowly("backwards", |n| {
            drop(apply(&fields(0..n, 1), &operator(kind, "", (0..n).rev())).unwrap());
        });
    }
    assert_grows_slowly("of new fields", |n| {
        let updated = apply(&fields(0..n, 1), &operator("$set", "", n..2 * n)).unwrap();
        assert_eq!(Fields::read(&updated).unwrap().list.len(), 2 * n);
    });
    assert_grows_slowly("inside another", |n| {
        let nested = [&[0x81, 0xa1, b'a'], &fields(0..n, 1)[..]].concat();
        let updated = apply(&nested, &operator("$inc", "a.", (0..n).rev())).unwrap();
        assert_eq!(updated, [&[0x81, 0xa1, b'a'], &fields(0..n, 3)[..]].concat());
    });
}

#[test]
fn an_update_of_many_places_in_an_array_grows_with_them() {
    assert_grows_slowly("an array", |n| {
        let mut array = vec![0x81, 0xa1, b'a'];
        write_array(&mut array, n);
        (0..n).for_each(|_| write_nil(&mut array));
        let mut set = vec![0x81];
        write_text(&mut set, "$set");
        write_map(&mut set, n);
        for place in (0..n).rev() {
            write_text(&mut set, &format!("a.{place}"));
            write_integer(&mut set, 7);
        }
        let updated = apply(&array, &Update::read(&set).unwrap()).unwrap();
        assert_eq!(updated.iter().filter(|byte| **byte == 7).count(), n);
    });
}

#[test]
fn counters_of_many_fields_grow_with_them() {
    let since = |_: &str| Result::Ok(Since::At(Lsn(3)));
    assert_grows_slowly("counters", |n| {
        let counted = Counters::default().updated(&operator("$inc", "", (0..n).rev()), since).unwrap();
        let again = counted.updated(&operator("$inc", "", 0..2 * n), since).unwrap();
        assert_eq!(again.iter().count(), 2 * n);
        assert_eq!(again.get(&name(n - 1)).unwrap().sum, [4]);
        assert_eq!(again.updated(&operator("$set", "", 0..n), since).unwrap().iter().count(), n);
    });
}

#[test]
fn many_fields_in_another_order_are_compared_in_steps_that_grow_with_them() {
    assert_grows_slowly("comparing", |n| {
        let (one, other) = (fields(0..n, 1), fields((0..n).rev(), 1));
        assert!(is_same(Some(&one), Some(&other)).unwrap());
    });
}

#[test]
fn merging_many_fields_and_counters_grows_with_them() {
    assert_grows_slowly("merging", |n| {
        let (base, clone, origin) = (fields(0..n, 1), fields((0..2 * n).rev(), 4), fields(0..n, 2));
        let added: Vec<_> = (0..n).rev().map(|number| (name(number), vec![3])).collect();
        let unsure: Vec<_> = (2 * n..3 * n).rev().map(name).collect();
        let sides = Sides { base: Some(&base), clone: Some(&clone), origin: Some(&origin) };
        let counts = Counts { added: &added, unsure: &unsure };
        let merged = merge(sides, counts, &mut |_| panic!("nothing clashes")).unwrap().unwrap();
        let merged = Fields::read(&merged).unwrap();
        assert_eq!((merged.get(&name(0)), merged.get(&name(n))), (Some(&[5][..]), Some(&[4][..])));
    });
}

#[test]
fn many_paths_are_looked_up_in_steps_that_grow_with_them() {
    assert_grows_slowly("looking up", |n| {
        let nested = [&[0x81, 0xa1, b'a'], &fields(0..n, 1)[..]].concat();
        let lookup = Lookup::new(Some(&nested));
        for number in (0..n).rev() {
            assert_eq!(lookup.at(&format!("a.{}", name(number))).unwrap(), Some(&[1][..]));
        }
        assert_eq!(lookup.at("a.b").unwrap(), None);
        assert_eq!(lookup.at("b.a").unwrap(), None);
    });
}
