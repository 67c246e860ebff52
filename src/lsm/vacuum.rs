//! Which versions of a row somebody can still read, and dropping the others.

use std::rc::Rc;

use super::run::RunDescription;
use crate::error::Result;
use crate::types::row::{split_internal, split_row, split_suffix};
use crate::types::{Bytes, Kind, LayerId, Lsn, SortedSet, Version};

/// The LSNs at which a layer is read: every LSN from the floor on, and each of its pins below.
#[derive(Clone, Default, Debug)]
pub struct LayerPins {
    /// LSNs below the floor, in falling order, each once.
    below_floor: Vec<Lsn>,
    /// True if the layer lies on no other, in every catalog that can still be read: then its tombstones hide nothing
    /// below.
    pub is_root: bool,
}

impl LayerPins {
    pub fn pin(&mut self, lsn: Lsn) {
        let at = self.below_floor.partition_point(|other| *other > lsn);
        if self.below_floor.get(at) != Some(&lsn) {
            self.below_floor.insert(at, lsn);
        }
    }

    /// True if a pin reads the version of `lsn` where the next newer version, if there is one, is of `newer`.
    fn reads(&self, lsn: Lsn, newer: Option<Lsn>) -> bool {
        // Pins fall: the first pin that the newer version does not hide is the newest that can read this version.
        let first = newer.map_or(0, |newer| self.below_floor.partition_point(|pin| *pin >= newer));
        self.below_floor.get(first).is_some_and(|pin| lsn <= *pin)
    }
}

/// The layers and LSNs that must stay readable: a layer that is not named here is read by nobody.
#[derive(Clone, Default, Debug)]
pub struct Retention {
    pub floor: Lsn,
    /// By rising number.
    layers: Vec<(LayerId, LayerPins)>,
    /// Rows of the catalog that say something of layers which nobody names any more.
    forgotten: SortedSet<Vec<u8>>,
}

impl Retention {
    pub fn new(floor: Lsn) -> Retention {
        Retention { floor, layers: Vec::new(), forgotten: SortedSet::new() }
    }

    /// The pins of a layer, which is read from here on.
    pub fn layer(&mut self, layer: LayerId) -> &mut LayerPins {
        let at = self.layers.partition_point(|(other, _)| *other < layer);
        if self.layers.get(at).is_none_or(|(other, _)| *other != layer) {
            self.layers.insert(at, (layer, LayerPins { below_floor: Vec::new(), is_root: true }));
        }
        &mut self.layers[at].1
    }

    /// True if anybody can still read the layer.
    pub fn names(&self, layer: LayerId) -> bool {
        self.names_any(layer, layer)
    }

    /// The oldest LSN at which anybody can still read the layer, now or later.
    pub fn oldest(&self, layer: LayerId) -> Lsn {
        self.pins(layer).and_then(|pins| pins.below_floor.last().copied()).unwrap_or(self.floor).min(self.floor)
    }

    /// Nobody reads this row of the catalog any more.
    pub fn forget(&mut self, row: Vec<u8>) {
        self.forgotten.insert(row);
    }

    /// True if anybody can still read one of the layers from `first` to `last`.
    pub fn names_any(&self, first: LayerId, last: LayerId) -> bool {
        let at = self.layers.partition_point(|(layer, _)| *layer < first);
        self.layers.get(at).is_some_and(|(layer, _)| *layer <= last)
    }

    fn pins(&self, layer: LayerId) -> Option<&LayerPins> {
        let found = self.layers.binary_search_by_key(&layer, |(layer, _)| *layer).ok()?;
        Some(&self.layers[found].1)
    }

    /// True if anybody reads the version of `lsn` where the next newer version, if there is one, is of `newer`.
    fn is_read(&self, pins: &LayerPins, lsn: Lsn, newer: Option<Lsn>) -> bool {
        let is_newest_at_floor = lsn <= self.floor && newer.is_none_or(|newer| newer > self.floor);
        lsn > self.floor || is_newest_at_floor || pins.reads(lsn, newer)
    }
}

/// A tombstone that is kept only if an older version is, or if it may hide something.
struct Held {
    internal: Vec<u8>,
    version: Bytes,
    is_pinned: bool,
}

/// Takes a version that stays. It is passed by reference, so that all who vacuum share the code.
pub type Keep<'a> = dyn FnMut(&[u8], &Bytes, bool) -> Result<()> + 'a;

/// Takes versions in order, newest first within a row, and gives those that stay.
pub struct Vacuum<'a> {
    retention: &'a Retention,
    /// The runs that take no part: one of them may hold an older version that a tombstone must go on hiding.
    others: &'a [Rc<RunDescription>],
    row: Vec<u8>,
    newer: Option<Lsn>,
    held: Option<Held>,
    pub dropped: u64,
}

impl<'a> Vacuum<'a> {
    pub fn new(retention: &'a Retention, others: &'a [Rc<RunDescription>]) -> Vacuum<'a> {
        Vacuum { retention, others, row: Vec::new(), newer: None, held: None, dropped: 0 }
    }

    /// The next version. `keep` is called with every version that stays, in order, and whether a clone pins it.
    pub fn push(&mut self, internal: &[u8], version: &Bytes, keep: &mut Keep<'_>) -> Result<()> {
        let (row, lsn) = split_internal(internal);
        if row != &self.row[..] {
            self.finish(keep)?;
            self.row.clear();
            self.row.extend_from_slice(row);
            self.newer = None;
        }
        let newer = self.newer.replace(lsn);
        // Two tabs that copied one row into a clone wrote the same version.
        if newer == Some(lsn) {
            self.dropped += 1;
            return Ok(());
        }
        let (layer, suffix) = split_row(row);
        let pins = self.retention.pins(layer);
        let Some(pins) = pins.filter(|_| layer != LayerId::CATALOG || !self.retention.forgotten.contains(row)) else {
            self.dropped += 1;
            return Ok(());
        };
        // The feed is read for what was written after some LSN, which is the floor or above: what the commit at the
        // floor itself wrote is asked for by nobody. Its row in the catalog's layer stays, because it has the commit's
        // time, by which `at` finds the floor.
        let floor = self.retention.floor;
        let is_past_feed = is_feed(suffix) && (lsn < floor || lsn == floor && layer != LayerId::CATALOG);
        if is_past_feed || !self.retention.is_read(pins, lsn, newer) {
            self.dropped += 1;
            return Ok(());
        }
        // An older version stays, so the tombstone above it must.
        if let Some(held) = self.held.take() {
            keep(&held.internal, &held.version, held.is_pinned)?;
        }
        let is_pinned = pins.reads(lsn, newer);
        if Version::is_encoded_tombstone(version) && lsn <= self.retention.floor {
            self.held = Some(Held { internal: internal.to_vec(), version: version.clone(), is_pinned });
            return Ok(());
        }
        keep(internal, version, is_pinned)
    }

    /// After the last version of a row: its oldest tombstone stays only where it may hide something.
    pub fn finish(&mut self, keep: &mut Keep<'_>) -> Result<()> {
        let Some(held) = self.held.take() else { return Ok(()) };
        let (row, lsn) = split_internal(&held.internal);
        let hides_older = self.others.iter().any(|run| Lsn(run.oldest) < lsn && run.may_hold(row));
        let pins = self.retention.pins(split_row(row).0);
        let is_root = pins.is_some_and(|pins| pins.is_root);
        let hides_below = !is_root && Version::decode(&held.version).is_none_or(|version| version.base.is_some());
        if hides_older || hides_below {
            return keep(&held.internal, &held.version, held.is_pinned);
        }
        self.dropped += 1;
        Ok(())
    }
}

fn is_feed(suffix: &[u8]) -> bool {
    matches!(split_suffix(suffix), Some((_, Kind::Feed, _)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Suffix;
    use crate::types::row::{push_lsn, row};

    const LAYER: LayerId = LayerId(5);

    fn left(is_root: bool, pins: &[u64], floor: u64, versions: &[(u64, Version)]) -> Vec<u64> {
        let mut retention = Retention::new(Lsn(floor));
        retention.layer(LAYER).is_root = is_root;
        pins.iter().for_each(|pin| retention.layer(LAYER).pin(Lsn(*pin)));
        let mut vacuum = Vacuum::new(&retention, &[]);
        let mut kept = Vec::new();
        let mut keep = |internal: &[u8], _: &Bytes, _: bool| {
            kept.push(split_internal(internal).1.0);
            Ok(())
        };
        for (lsn, version) in versions {
            let mut internal = row(LAYER, Suffix::new("todos", Kind::Document, b"k").as_bytes());
            push_lsn(&mut internal, Lsn(*lsn));
            vacuum.push(&internal, &version.encode().into(), &mut keep).unwrap();
        }
        vacuum.finish(&mut keep).unwrap();
        kept
    }

    fn value() -> Version {
        Version::value(vec![1])
    }

    #[test]
    fn what_the_floor_or_a_pin_reads_stays() {
        let versions = [(90, value()), (60, value()), (50, value()), (20, value()), (10, value())];
        assert_eq!(left(true, &[], 70, &versions), [90, 60]);
        assert_eq!(left(true, &[15], 70, &versions), [90, 60, 10]);
        assert_eq!(left(true, &[50, 55], 70, &versions), [90, 60, 50]);
        assert_eq!(left(true, &[5], 100, &versions), [90]);
        assert_eq!(left(true, &[], 0, &versions), [90, 60, 50, 20, 10]);
    }

    #[test]
    fn a_tombstone_goes_when_it_hides_nothing() {
        let dead = [(50, Version::tombstone()), (20, value())];
        assert_eq!(left(true, &[], 60, &dead), [0; 0], "in a root, with all that was below it");
        assert_eq!(left(true, &[], 40, &dead), [50, 20], "above the floor it stays");
        assert_eq!(
            left(true, &[30], 60, &dead),
            [50, 20],
            "an older version that a pin reads stays hidden from others"
        );
        let over_origin = [(50, Version::tombstone().based_on(Some(Lsn(7))))];
        assert_eq!(left(false, &[], 60, &over_origin), [50], "in a clone it hides the origin's row");
        assert_eq!(left(false, &[], 60, &[(50, Version::tombstone())]), [0; 0], "a row that no origin has");
    }

    #[test]
    fn a_layer_that_nobody_names_goes() {
        let retention = Retention::new(Lsn(1));
        let mut vacuum = Vacuum::new(&retention, &[]);
        let mut internal = row(LAYER, Suffix::new("todos", Kind::Document, b"k").as_bytes());
        push_lsn(&mut internal, Lsn(9));
        let mut keep = |_: &[u8], _: &Bytes, _: bool| panic!("it is kept");
        vacuum.push(&internal, &value().encode().into(), &mut keep).unwrap();
        vacuum.finish(&mut keep).unwrap();
        assert_eq!(vacuum.dropped, 1);
    }
}
