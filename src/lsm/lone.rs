//! The data block of a run that holds all rows of a layer, where one block does: most clones change little, and a read
//! through many of them asks no index for each. Runs never change, so a note of a run stays true.

use std::cell::RefCell;

use super::fault::BlockReference;
use crate::types::row::LAYER_BYTES;

/// Each has its one place, and another one's note there is forgotten.
const PLACES: u64 = 256;

pub type LayerBytes = [u8; LAYER_BYTES];

struct Note {
    run: u64,
    layer: LayerBytes,
    block: Option<BlockReference>,
}

#[derive(Default)]
pub struct LoneBlocks(RefCell<Vec<Option<Note>>>);

/// Both are numbers drawn at random.
fn place(run: u64, layer: LayerBytes) -> usize {
    ((run ^ u64::from_be_bytes(layer)) % PLACES) as usize
}

impl LoneBlocks {
    /// The note of a layer: the block, or that there is no such block. `None`: nothing is noted.
    pub fn get(&self, run: u64, layer: LayerBytes) -> Option<Option<BlockReference>> {
        let notes = self.0.borrow();
        let note = notes.get(place(run, layer))?.as_ref()?;
        (note.run == run && note.layer == layer).then_some(note.block)
    }

    pub fn note(&self, run: u64, layer: LayerBytes, block: Option<BlockReference>) {
        let notes = &mut *self.0.borrow_mut();
        if notes.is_empty() {
            notes.resize_with(PLACES as usize, || None);
        }
        notes[place(run, layer)] = Some(Note { run, layer, block });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::rc::Rc;

    use crate::lsm::cache::Kept;
    use crate::lsm::run_writer::RunWriter;
    use crate::lsm::segment;
    use crate::lsm::tree::{Loaded, Tree, TreeView};
    use crate::types::row::{internal, row};
    use crate::types::{LayerId, Lsn, Version};

    fn suffix(n: u64) -> Vec<u8> {
        format!("{n:03}{}", "s".repeat(900)).into_bytes()
    }

    /// Many layers of a few rows, some of so many that they fill blocks.
    fn tree() -> (Tree, BTreeMap<Vec<u8>, u64>) {
        let (mut tree, mut rows) = (Tree::new(usize::MAX), BTreeMap::new());
        let mut writer = RunWriter::with_small_indexes(1);
        for layer in (10..2400u64).step_by(3) {
            for n in 0..if layer % 50 == 0 { 120 } else { layer % 4 } {
                let row = row(LayerId(layer), &suffix(2 * n + 1));
                writer.push(&internal(&row, Lsn(5)), &Version::value(vec![n as u8]).encode()).unwrap();
                rows.insert(row, n);
            }
        }
        let (run, blocks) = writer.finish();
        assert!(run.height >= 2, "there are indexes of indexes");
        for (address, bytes) in blocks {
            for (index, range) in segment::blocks(&bytes).into_iter().enumerate() {
                tree.cache.keep(address.beside(index), Kept::Sealed(bytes[range].into()));
            }
        }
        tree.add_run(Rc::new(run));
        (tree, rows)
    }

    #[test]
    fn what_is_noted_of_layers_changes_no_answer() {
        let (tree, rows) = tree();
        let loaded = Loaded::default();
        let view = TreeView::new(&tree, &loaded);
        let mut lone = 0;
        // The first row asked for in a layer is another one each time; then all is noted.
        for first in [0, 1, 2, 5, 240] {
            for layer in 0..2410u64 {
                for n in (first..first + 3).chain([0, 1, 3, 4, 239, 241]) {
                    let row = row(LayerId(layer), &suffix(n));
                    let found = view.get(&row, Lsn(9)).unwrap().map(|found| u64::from(found.value()[0]));
                    assert_eq!(found, rows.get(&row).copied(), "layer {layer}, row {n}");
                    assert!(view.get(&row, Lsn(4)).unwrap().is_none());
                }
                lone += usize::from(tree.lone.get(1, layer.to_be_bytes()).is_some_and(|block| block.is_some()));
            }
        }
        assert!(lone > 1000, "most layers lie in one block. lone={lone}");
    }
}
