//! The one sort of the module. The standard library's sort is several kilobytes of code for each type that it sorts.

use std::cmp::Ordering;

/// Sorts the places of a list by the items that stand there, and equal items by place.
pub fn sort_places(places: &mut [u32], compare: &dyn Fn(usize, usize) -> Ordering) {
    places.sort_unstable_by(|one, other| compare(*one as usize, *other as usize).then(one.cmp(other)));
}

/// The places of a list of so many items, in the order of the items. Equal items keep their order.
pub fn places_in_order(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<u32> {
    let mut places: Vec<u32> = (0..count as u32).collect();
    sort_places(&mut places, compare);
    places
}

/// The list in order. Equal items keep their order.
pub fn in_order<T>(list: Vec<T>, compare: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    let places = places_in_order(list.len(), &|one, other| compare(&list[one], &list[other]));
    let mut list: Vec<Option<T>> = list.into_iter().map(Some).collect();
    places.into_iter().filter_map(|place| list[place as usize].take()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_sorted_as_the_standard_library_sorts_it() {
        for length in [0, 1, 2, 7, 100, 5_000] {
            let list: Vec<(u64, u64)> = (0..length).map(|n| (n * 7_919 % 1_009 % (length / 3 + 1), n)).collect();
            let mut sorted = list.clone();
            sorted.sort_by_key(|(key, _)| *key);
            assert_eq!(in_order(list, |(one, _), (other, _)| one.cmp(other)), sorted);
        }
    }
}
