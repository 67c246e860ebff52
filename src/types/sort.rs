//! The one sort of the module. The standard library's sort is several kilobytes of code for each type that it sorts,
//! and this one has half a kilobyte.

use std::cmp::Ordering;

/// Sorts the places of a list by the items that stand there, and equal items by place.
pub fn sort_places(places: &mut [u32], compare: &dyn Fn(usize, usize) -> Ordering) {
    let is_before =
        |one: u32, other: u32| compare(one as usize, other as usize).then(one.cmp(&other)) == Ordering::Less;
    if places.windows(2).all(|pair| is_before(pair[0], pair[1])) {
        return;
    }
    // Pieces in order are merged two by two, into pieces twice as long. Comparisons cost most, and merging makes about
    // as few as can be.
    let mut pieces = places.to_vec();
    let mut length = 1;
    while length < places.len() {
        for (pair, into) in pieces.chunks(2 * length).zip(places.chunks_mut(2 * length)) {
            let (mut one, mut other) = pair.split_at(length.min(pair.len()));
            for place in into {
                let takes_other = match (one.first(), other.first()) {
                    (Some(one), Some(other)) => is_before(*other, *one),
                    (one, _) => one.is_none(),
                };
                let from = if takes_other { &mut other } else { &mut one };
                *place = from[0];
                *from = &from[1..];
            }
        }
        pieces.copy_from_slice(places);
        length *= 2;
    }
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
