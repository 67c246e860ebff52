//! Reading around damage: what cannot be read is taken for empty, and told where it was.

use std::rc::Rc;

use super::format::{Bound, Skipped};
use crate::engine::rows::path::Path;
use crate::error::{Detail, Error};
use crate::lsm::{BlockAddress, Covered, GivenUp};
use crate::types::LayerId;
use crate::types::row::{LAYER_BYTES, split_row};

#[derive(Default)]
pub struct Salvage {
    pub(super) given_up: Rc<GivenUp>,
    /// Rows whose values cannot be read.
    pub(super) lost: Vec<Skipped>,
}

impl Salvage {
    pub fn skip(&mut self, skipped: Skipped) {
        self.lost.push(skipped);
    }

    pub fn skipped(&self) -> u64 {
        (self.given_up.addresses().len() + self.lost.len()) as u64
    }
}

impl Skipped {
    /// One row, whose value cannot be read.
    pub fn row(suffix: &[u8], error: &Error) -> Skipped {
        let named = error.details().iter().find(|(name, _)| *name == "block");
        let block = match named {
            Some((_, Detail::Text(block))) => block.clone(),
            _ => String::new(),
        };
        Skipped { block, from: Some(Bound::of(suffix)), to: Some(Bound::of(suffix)) }
    }
}

impl Bound {
    /// The collection and the key in a suffix, which may be cut short.
    fn of(suffix: &[u8]) -> Bound {
        let end = suffix.iter().position(|byte| *byte == 0).unwrap_or(suffix.len());
        let collection = String::from_utf8(suffix[..end].to_vec()).unwrap_or_default();
        Bound { collection, key: suffix.get(end + 2..).unwrap_or_default().to_vec() }
    }
}

/// The places of a block, in each layer of a path, that could not be read.
pub fn places_of(address: BlockAddress, covered: &Covered, path: &Path) -> Vec<Skipped> {
    let layers = path.levels().iter().map(|level| level.layer);
    let places = layers.filter_map(|layer| clipped(covered, layer)).map(|(from, to)| Skipped {
        block: address.name(),
        from: from.map(|suffix| Bound::of(&suffix)),
        to: to.map(|suffix| Bound::of(&suffix)),
    });
    places.collect()
}

type Suffixes = (Option<Vec<u8>>, Option<Vec<u8>>);

/// The bounds of a block among one layer's documents and entries, as suffixes; `None`: the block covers none of them.
fn clipped(covered: &Covered, layer: LayerId) -> Option<Suffixes> {
    let (own, next) = (layer.0.to_be_bytes(), (layer.0 + 1).to_be_bytes());
    // Names are not empty: below them are the rows of the collections themselves, and the feed.
    let (first, last) = ([&own[..], &[1]].concat(), &next[..]);
    if covered.to[..] < first[..] || covered.from[..] >= *last {
        return None;
    }
    let suffix = |key: &[u8]| (key.len() > LAYER_BYTES).then(|| split_row(key).1.to_vec());
    let from = if covered.from > first { suffix(&covered.from) } else { None };
    let to = if covered.to[..] < *last { suffix(&covered.to) } else { None };
    Some((from, to))
}
