//! Tells the simulator of each row that passed the door: the simulator compares the row's old and new version, and its
//! LSN, with those that the store holds. The module that ships has `untold.rs` in place of this file.

use std::cell::RefCell;

use super::{Before, Passing};
use crate::engine::rows::path::Path;
use crate::engine::rows::read;
use crate::lsm::{Attempt, TreeView};
use crate::types::row::row;
use crate::types::{Bytes, LayerId, Lsn, SortedMap};

/// The rows that have passed on their way into one commit, by layer and row.
#[derive(Clone, Default, Debug)]
pub struct Story(SortedMap<Vec<u8>, Passage>);

/// A row, and the passage that was noted of it before; `None`: nothing was noted.
#[derive(Default, Debug)]
pub struct Unsaid(Option<(Vec<u8>, Option<Passage>)>);

/// One row that has passed.
#[derive(Clone, Debug)]
struct Passage {
    layer: LayerId,
    suffix: Vec<u8>,
    before: Kept,
    after: Vec<u8>,
}

/// A `Before` that is kept.
#[derive(Clone, Debug)]
enum Kept {
    On(Path),
    Above(Option<Bytes>),
    InCatalog,
}

/// The rows of one commit that is staged, or copies that were taken in, as the door tells the simulator of them.
#[derive(Clone, Debug)]
pub struct Told {
    /// The commit's id; `None`: these are copies.
    pub commit: Option<u64>,
    /// The LSN of the versions if the commit counts, or of the copies.
    pub lsn: Lsn,
    pub rows: Vec<ToldRow>,
}

#[derive(Clone, Debug)]
pub struct ToldRow {
    pub layer: LayerId,
    pub suffix: Vec<u8>,
    /// The visible value that is replaced, and the one below the layer; `None`: it is not in memory.
    pub before: Option<Option<Bytes>>,
    pub below: Option<Option<Bytes>>,
    /// The version's bytes.
    pub after: Vec<u8>,
}

thread_local! {
    static TOLD: RefCell<Vec<Told>> = const { RefCell::new(Vec::new()) };
}

/// Takes the commits and copies that this thread's engines have told since the last call.
pub fn take_told() -> Vec<Told> {
    TOLD.take()
}

impl Passage {
    fn of(passing: &Passing<'_>) -> Passage {
        let before = match passing.before {
            Before::On(path) => Kept::On(path.clone()),
            Before::Above(value) => Kept::Above(value.cloned()),
            Before::InCatalog => Kept::InCatalog,
        };
        let Passing { layer, suffix, after, .. } = *passing;
        Passage { layer, suffix: suffix.to_vec(), before, after: after.encode() }
    }

    /// The visible value that is replaced by a write behind `at`.
    fn replaced(&self, view: TreeView<'_>, at: Lsn) -> Attempt<Option<Bytes>> {
        let found = match &self.before {
            Kept::Above(value) => return Ok(value.clone()),
            Kept::InCatalog => view.get(&row(self.layer, &self.suffix), at)?,
            Kept::On(path) if self.is_top(path) => read::topmost(view, path.at(at).levels(), &self.suffix)?,
            Kept::On(path) => read::topmost(view, path.levels(), &self.suffix)?,
        };
        Ok(found.and_then(|found| found.version.here().cloned()))
    }

    /// The value below the layer.
    fn below(&self, view: TreeView<'_>) -> Attempt<Option<Bytes>> {
        let levels = match &self.before {
            Kept::Above(value) => return Ok(value.clone()),
            Kept::InCatalog => return Ok(None),
            Kept::On(path) if self.is_top(path) => path.below(),
            Kept::On(path) => path.levels(),
        };
        Ok(read::topmost(view, levels, &self.suffix)?.and_then(|found| found.version.here().cloned()))
    }

    fn is_top(&self, path: &Path) -> bool {
        path.top().is_some_and(|top| top.layer == self.layer)
    }

    fn told(self, lsn: Lsn, view: Option<TreeView<'_>>) -> ToldRow {
        let before = view.and_then(|view| self.replaced(view, Lsn(lsn.0 - 1)).ok());
        let below = view.and_then(|view| self.below(view).ok());
        let Passage { layer, suffix, after, .. } = self;
        ToldRow { layer, suffix, before, below, after }
    }
}

impl Story {
    pub(super) fn note(&mut self, passing: &Passing<'_>) -> Unsaid {
        let key = row(passing.layer, passing.suffix);
        let before = self.0.insert(key.clone(), Passage::of(passing));
        Unsaid(Some((key, before)))
    }

    pub(super) fn unsay(&mut self, unsaid: Unsaid) {
        if let Some((row, before)) = unsaid.0 {
            match before {
                Some(before) => drop(self.0.insert(row, before)),
                None => drop(self.0.remove(&row)),
            }
        }
    }

    pub fn and(&mut self, other: Story) {
        self.0.extend(other.0);
    }

    /// The commit is staged under this LSN. `view` has all that stands before it.
    pub fn tell(self, commit: u64, lsn: Lsn, view: TreeView<'_>) {
        self.tell_all(Some(commit), lsn, Some(view));
    }

    /// Copies that are dated so were taken in. One that was not is garbage: once its link has ended, the rows below it
    /// may be gone.
    pub fn tell_copies(self, lsn: Lsn) {
        self.tell_all(None, lsn, None);
    }

    fn tell_all(self, commit: Option<u64>, lsn: Lsn, view: Option<TreeView<'_>>) {
        let rows = self.0.into_values().map(|passage| passage.told(lsn, view)).collect();
        TOLD.with_borrow_mut(|told| told.push(Told { commit, lsn, rows }));
    }
}
