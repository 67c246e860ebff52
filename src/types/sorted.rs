//! Sorted maps. They take about the time of the standard library's and have a fraction of their code, which is in the
//! module once for each type of key and value.
//!
//! The entries stand in chunks, in order. An insertion moves the entries of one chunk, so a map of any size is built in
//! any order in about the time of a search tree. In one sorted list each insertion would move half of all entries.

use std::borrow::Borrow;
use std::iter::Flatten;
use std::ops::Bound;
use std::vec::IntoIter;

/// The most entries of a chunk. The simulator's maps have few entries, and several chunks all the same.
const CHUNK: usize = if cfg!(feature = "planted") { 4 } else { 128 };

/// Values by their keys, in the order of the keys.
#[derive(Clone, Debug)]
pub struct SortedMap<K, V> {
    /// No chunk is empty, and two neighbours together have more entries than half a chunk.
    chunks: Vec<Vec<(K, V)>>,
    length: usize,
}

/// A chunk, and an entry's place in it. The end of the map is the place 0 in the chunk behind the last one.
type Place = (usize, usize);

/// The first place below `places` for which `is_before` is false, or `places`. The search compares up to eight keys of
/// a range in a row and goes on between two of them, and the processor fetches the keys of such a row ahead. A binary
/// search compares fewer keys and waits for each of them: it took 2.6 times as long.
fn search(places: usize, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut first, mut end) = (0, places);
    while first < end {
        let step = (end - first) / 8 + 1;
        let mut at = first + step - 1;
        while at < end && is_before(at) {
            first = at + 1;
            at += step;
        }
        end = end.min(at);
    }
    first
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> SortedMap<K, V> {
        SortedMap { chunks: Vec::new(), length: 0 }
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    pub fn new() -> SortedMap<K, V> {
        SortedMap::default()
    }

    pub fn len(&self) -> usize {
        self.length
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub fn clear(&mut self) {
        *self = SortedMap::default();
    }

    /// The chunk in which the key belongs, and the key's place in the chunk: `Ok` of the place where the key is, `Err`
    /// of the place where it would be inserted.
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> (usize, Result<usize, usize>)
    where
        K: Borrow<Q>,
    {
        let chunk = search(self.chunks.len(), |chunk| self.chunks[chunk][0].0.borrow() <= key).saturating_sub(1);
        let Some(entries) = self.chunks.get(chunk) else { return (0, Err(0)) };
        let place = search(entries.len(), |place| entries[place].0.borrow() < key);
        let is_there = entries.get(place).is_some_and(|(other, _)| other.borrow() == key);
        (chunk, if is_there { Ok(place) } else { Err(place) })
    }

    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let (chunk, found) = self.find(key);
        let place = found.ok()?;
        Some(&self.chunks[chunk][place].1)
    }

    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let (chunk, found) = self.find(key);
        let place = found.ok()?;
        Some(&mut self.chunks[chunk][place].1)
    }

    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).1.is_ok()
    }

    /// The value that was replaced.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            (chunk, Ok(place)) => Some(std::mem::replace(&mut self.chunks[chunk][place].1, value)),
            (chunk, Err(place)) => {
                self.insert_at(chunk, place, (key, value));
                None
            }
        }
    }

    /// Inserts an entry at the place that `find` gave, and gives the entry's place after that.
    fn insert_at(&mut self, at: usize, place: usize, entry: (K, V)) -> Place {
        self.length += 1;
        let is_last = at + 1 >= self.chunks.len();
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.chunks.push(vec![entry]);
            return (at, 0);
        };
        if chunk.len() < CHUNK {
            chunk.insert(place, entry);
            return (at, place);
        }
        // A map that is filled in the order of its keys keeps full chunks: half-empty ones would take twice the room.
        let cut = if is_last && place == CHUNK { CHUNK } else { CHUNK / 2 };
        let mut rest = chunk.split_off(cut);
        let is_behind = place >= cut;
        let place = if is_behind { place - cut } else { place };
        if is_behind { &mut rest } else { chunk }.insert(place, entry);
        self.chunks.insert(at + 1, rest);
        (at + is_behind as usize, place)
    }

    /// The entry that was removed.
    pub fn remove_entry<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
    {
        let (chunk, found) = self.find(key);
        Some(self.remove_at(chunk, found.ok()?))
    }

    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.remove_entry(key).map(|(_, value)| value)
    }

    pub fn pop_last(&mut self) -> Option<(K, V)> {
        let last = self.chunks.len().checked_sub(1)?;
        Some(self.remove_at(last, self.chunks[last].len() - 1))
    }

    fn remove_at(&mut self, at: usize, place: usize) -> (K, V) {
        self.length -= 1;
        let entry = self.chunks[at].remove(place);
        if self.chunks[at].is_empty() {
            self.chunks.remove(at);
        }
        // Without this a map from which much was removed would keep a chunk for each entry that is left.
        for at in [at, at.wrapping_sub(1)] {
            if let Some([one, next]) = self.chunks.get_mut(at..).and_then(|chunks| chunks.first_chunk_mut())
                && one.len() + next.len() <= CHUNK / 2
            {
                one.append(next);
                self.chunks.remove(at + 1);
            }
        }
        entry
    }

    /// Keeps the entries for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        for (key, mut value) in std::mem::take(self) {
            if keep(&key, &mut value) {
                match self.chunks.last_mut() {
                    Some(last) if last.len() < CHUNK => last.push((key, value)),
                    _ => self.chunks.push(vec![(key, value)]),
                }
                self.length += 1;
            }
        }
    }

    /// The key's value. A key that is not there is inserted with a new value.
    pub fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let (chunk, place) = match self.find(&key) {
            (chunk, Ok(place)) => (chunk, place),
            (chunk, Err(place)) => self.insert_at(chunk, place, (key, V::default())),
        };
        &mut self.chunks[chunk][place].1
    }

    /// The entries from one bound to another, in order. If the first bound is greater than the second, there are none.
    pub fn range<Q: Ord + ?Sized>(&self, (from, to): (Bound<&Q>, Bound<&Q>)) -> SortedRange<'_, K, V>
    where
        K: Borrow<Q>,
    {
        SortedRange { chunks: &self.chunks, next: self.place(from, false), end: self.place(to, true) }
    }

    /// The entries whose keys are not less than `key`.
    pub fn at_least<Q: Ord + ?Sized>(&self, key: &Q) -> SortedRange<'_, K, V>
    where
        K: Borrow<Q>,
    {
        self.range((Bound::Included(key), Bound::Unbounded))
    }

    /// The entries whose keys are not greater than `key`.
    pub fn up_to<Q: Ord + ?Sized>(&self, key: &Q) -> SortedRange<'_, K, V>
    where
        K: Borrow<Q>,
    {
        self.range((Bound::Unbounded, Bound::Included(key)))
    }

    /// The place where a range with this bound begins, or with `is_end` the place where it ends.
    fn place<Q: Ord + ?Sized>(&self, bound: Bound<&Q>, is_end: bool) -> Place
    where
        K: Borrow<Q>,
    {
        let (key, is_behind) = match bound {
            Bound::Unbounded if is_end => return (self.chunks.len(), 0),
            Bound::Unbounded => return (0, 0),
            Bound::Included(key) => (key, is_end),
            Bound::Excluded(key) => (key, !is_end),
        };
        let (chunk, found) = self.find(key);
        let place = match found {
            Ok(place) => place + is_behind as usize,
            Err(place) => place,
        };
        if self.chunks.get(chunk).is_some_and(|chunk| place == chunk.len()) { (chunk + 1, 0) } else { (chunk, place) }
    }

    pub fn iter(&self) -> SortedRange<'_, K, V> {
        SortedRange { chunks: &self.chunks, next: (0, 0), end: (self.chunks.len(), 0) }
    }

    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    pub fn into_values(self) -> impl Iterator<Item = V> {
        self.into_iter().map(|(_, value)| value)
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

/// Entries of a map, in order, from both ends.
pub struct SortedRange<'a, K, V> {
    chunks: &'a [Vec<(K, V)>],
    next: Place,
    end: Place,
}

impl<'a, K, V> Iterator for SortedRange<'a, K, V> {
    type Item = (&'a K, &'a V);
    fn next(&mut self) -> Option<(&'a K, &'a V)> {
        if self.next >= self.end {
            return None;
        }
        let (chunk, place) = self.next;
        let entries = &self.chunks[chunk];
        self.next = if place + 1 == entries.len() { (chunk + 1, 0) } else { (chunk, place + 1) };
        let (key, value) = &entries[place];
        Some((key, value))
    }
}

impl<'a, K, V> DoubleEndedIterator for SortedRange<'a, K, V> {
    fn next_back(&mut self) -> Option<(&'a K, &'a V)> {
        if self.next >= self.end {
            return None;
        }
        self.end = match self.end {
            (chunk, 0) => (chunk - 1, self.chunks[chunk - 1].len() - 1),
            (chunk, place) => (chunk, place - 1),
        };
        let (key, value) = &self.chunks[self.end.0][self.end.1];
        Some((key, value))
    }
}

impl<K, V> IntoIterator for SortedMap<K, V> {
    type Item = (K, V);
    type IntoIter = Flatten<IntoIter<Vec<(K, V)>>>;
    fn into_iter(self) -> Self::IntoIter {
        self.chunks.into_iter().flatten()
    }
}

impl<'a, K: Ord, V> IntoIterator for &'a SortedMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = SortedRange<'a, K, V>;
    fn into_iter(self) -> SortedRange<'a, K, V> {
        self.iter()
    }
}

impl<K: Ord, V> Extend<(K, V)> for SortedMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SortedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> SortedMap<K, V> {
        let mut map = SortedMap::default();
        map.extend(entries);
        map
    }
}

#[cfg(test)]
#[path = "sorted_tests.rs"]
mod tests;
