//! Reading around damage: what cannot be read is taken for empty, and told where it was.

use std::rc::Rc;

use super::export::Export;
use super::format::{Bound, Skipped};
use crate::engine::store::Store;
use crate::error::{Detail, Error, ErrorCode, Result};
use crate::lsm::{Attempt, Covered, Fault, GivenUp, Loaded, State, TreeView, covered};
use crate::types::LayerId;
use crate::types::row::{LAYER_BYTES, split_row};

#[derive(Default)]
pub struct Salvage {
    given_up: Rc<GivenUp>,
    /// Rows whose values cannot be read.
    lost: Vec<Skipped>,
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
    /// What a suffix, which may be cut short, says of its collection and key.
    fn of(suffix: &[u8]) -> Bound {
        let end = suffix.iter().position(|byte| *byte == 0).unwrap_or(suffix.len());
        let collection = String::from_utf8_lossy(&suffix[..end]).into_owned();
        Bound { collection, key: suffix.get(end + 2..).unwrap_or_default().to_vec() }
    }
}

impl Store {
    /// As `read`, around blocks that are damaged or gone.
    pub(super) async fn read_around<T>(
        self: &Rc<Store>,
        salvage: &Salvage,
        mut read: impl FnMut(&State, TreeView<'_>) -> Attempt<T>,
    ) -> Result<T> {
        let loaded = Loaded::around(salvage.given_up.clone());
        loop {
            self.check_open()?;
            let before = salvage.given_up.addresses().len();
            let attempt = self.lsm.with(|state| read(state, TreeView { tree: &state.tree, loaded: &loaded }));
            if salvage.given_up.addresses().len() > before {
                self.is_damaged.set(true);
            }
            let needed = match attempt {
                Ok(value) => return Ok(value),
                Err(Fault::Error(error)) => return Err(error),
                Err(Fault::Need(needed)) => needed,
            };
            let Some(gone) = self.lsm.load(&needed, &loaded).await? else { continue };
            // Another tab may have compacted its run.
            self.refresh().await?;
            match self.lsm.check_lost(gone).await {
                Err(error) if error.code() == ErrorCode::StorageCorrupt => {
                    self.is_damaged.set(true);
                    salvage.given_up.insert(gone.address);
                }
                checked => checked?,
            }
        }
    }
}

impl Export {
    /// All places that a salvage could not read, as far as they concern this database.
    pub(super) async fn places(&self) -> Result<Vec<Skipped>> {
        let salvage = self.salvage.as_ref().expect("BUG: only a salvage skips");
        let mut places = salvage.lost.clone();
        for address in salvage.given_up.addresses() {
            let found = self
                .read(|view, path| {
                    let Some(run) = view.tree.runs.iter().find(|run| run.id == address.run) else { return Ok(None) };
                    Ok(covered(view, run, address)?.map(|covered| (covered, path)))
                })
                .await?;
            let Some((covered, path)) = found else { continue };
            let layers = path.levels().iter().map(|level| level.layer);
            places.extend(layers.filter_map(|layer| clipped(&covered, layer)).map(|(from, to)| Skipped {
                block: address.name(),
                from: from.map(|suffix| Bound::of(&suffix)),
                to: to.map(|suffix| Bound::of(&suffix)),
            }));
        }
        Ok(places)
    }
}

type Suffixes = (Option<Vec<u8>>, Option<Vec<u8>>);

/// What a block covers of one layer's documents and entries, as suffixes; `None`: nothing.
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
