use super::super::sorted_set::SortedSet;
use super::*;
use std::collections::{BTreeMap, BTreeSet};

/// Random numbers from a seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn bound(&mut self, most: u64) -> Bound<u64> {
        let key = self.below(most);
        [Bound::Unbounded, Bound::Included(key), Bound::Excluded(key)][self.below(3) as usize]
    }
}

/// The chunks are as they must be for the map's time and memory.
fn check_chunks<K: Ord, V>(map: &SortedMap<K, V>) {
    let lengths: Vec<usize> = map.chunks.iter().map(Vec::len).collect();
    assert!(lengths.iter().all(|length| (1..=CHUNK).contains(length)), "{lengths:?}");
    assert!(lengths.windows(2).all(|two| two[0] + two[1] > CHUNK / 2), "{lengths:?}");
    assert_eq!(map.len(), lengths.iter().sum::<usize>());
}

fn check(map: &SortedMap<u64, u64>, model: &BTreeMap<u64, u64>) {
    check_chunks(map);
    assert_eq!((map.len(), map.is_empty()), (model.len(), model.is_empty()));
    assert!(map.iter().eq(model) && map.iter().rev().eq(model.iter().rev()));
    assert!(map.keys().eq(model.keys()) && map.values().eq(model.values()));
}

/// One step of a program, on the map and on the standard library's.
fn step(draw: &mut Draw, most: u64, map: &mut SortedMap<u64, u64>, model: &mut BTreeMap<u64, u64>, grows: bool) {
    let (key, value) = (draw.below(most), draw.below(1000));
    match draw.below(100) {
        0..60 if grows => assert_eq!(map.insert(key, value), model.insert(key, value)),
        0..60 => assert_eq!(map.remove(&key), model.remove(&key)),
        60..70 => {
            *map.or_default(key) += value;
            *model.entry(key).or_default() += value;
        }
        70..80 => assert_eq!(map.remove_entry(&key), model.remove_entry(&key)),
        80..85 => assert_eq!(map.pop_last(), model.pop_last()),
        85..90 => assert_eq!(map.get_mut(&key).map(std::mem::take), model.get_mut(&key).map(std::mem::take)),
        90..91 => {
            map.retain(|key, _| key % 16 != value % 16);
            model.retain(|key, _| key % 16 != value % 16);
        }
        _ => {
            assert_eq!((map.get(&key), map.contains_key(&key)), (model.get(&key), model.contains_key(&key)));
        }
    }
}

#[test]
fn a_map_answers_as_the_standard_librarys() {
    for seed in 0..40 {
        let mut draw = Draw(seed);
        let most = [3, 40, 2_000, 1 << 40][seed as usize % 4];
        let (mut map, mut model) = (SortedMap::new(), BTreeMap::new());
        for grows in [true, false, true, false] {
            for _ in 0..1_500 {
                step(&mut draw, most, &mut map, &mut model, grows);
                check_chunks(&map);
            }
            check(&map, &model);
        }
        check(&map.clone(), &model);
        assert!(map.clone().into_values().eq(model.values().copied()));
        assert!(map.clone().into_iter().collect::<SortedMap<_, _>>().iter().eq(&model));
        assert!(map.into_iter().eq(model));
    }
}

/// From both ends, with every kind of bound, also where the first is greater than the second.
#[test]
fn a_range_gives_what_the_standard_librarys_gives() {
    for seed in 0..200 {
        let mut draw = Draw(seed);
        let most = [4, 100, 700][seed as usize % 3];
        let model: BTreeMap<u64, u64> = (0..most / 2).map(|n| (draw.below(most), n)).collect();
        let map: SortedMap<u64, u64> = model.clone().into_iter().collect();
        for _ in 0..200 {
            let one = draw.below(most);
            let bounds = (draw.bound(most), draw.bound(most));
            let inside: Vec<_> =
                model.iter().filter(|(key, _)| std::ops::RangeBounds::contains(&bounds, *key)).collect();
            let range = || map.range((bounds.0.as_ref(), bounds.1.as_ref()));
            assert!(map.up_to(&one).eq(model.range(..=one)) && map.at_least(&one).eq(model.range(one..)));
            assert!(range().eq(inside.iter().copied()) && range().rev().eq(inside.iter().rev().copied()), "{bounds:?}");
            let (mut range, mut inside) = (range(), inside.into_iter());
            for _ in 0..draw.below(most) {
                match draw.below(2) {
                    0 => assert_eq!(range.next(), inside.next()),
                    _ => assert_eq!(range.next_back(), inside.next_back()),
                }
            }
        }
    }
}

#[test]
fn a_set_answers_as_the_standard_librarys() {
    let mut draw = Draw(7);
    let (mut set, mut model) = (SortedSet::new(), BTreeSet::new());
    for _ in 0..5_000 {
        let key = draw.below(900);
        match draw.below(8) {
            0..4 => assert_eq!(set.insert(key), model.insert(key)),
            4..6 => assert_eq!(set.remove(&key), model.remove(&key)),
            6 => assert_eq!(set.pop_last(), model.pop_last()),
            _ => assert_eq!(set.contains(&key), model.contains(&key)),
        }
    }
    set.retain(|key| key % 3 > 0);
    model.retain(|key| key % 3 > 0);
    assert_eq!((set.len(), set.is_empty()), (model.len(), false));
    assert!(set.iter().eq(&model));
    assert!(set.at_least(&100).eq(model.range(100..)));
    assert!(set.into_iter().collect::<SortedSet<_>>().into_iter().eq(model));
}

/// A map that is filled in order has no chunk that is half empty, and one that is emptied has no chunk left.
#[test]
fn chunks_are_left_full_where_keys_come_in_order_and_go_where_entries_go() {
    let many = 20 * CHUNK;
    let mut map: SortedMap<usize, ()> = (0..many).map(|key| (key, ())).collect();
    assert_eq!(map.chunks.len(), 20);
    for key in 0..many {
        if key % CHUNK > 0 {
            map.remove(&key);
            check_chunks(&map);
        }
    }
    assert!((1..=80).contains(&map.chunks.len()), "20 entries are left");
    map.retain(|_, ()| false);
    assert!(map.is_empty() && map.chunks.is_empty() && map.iter().next().is_none());
}
