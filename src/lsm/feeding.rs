//! The change feed of a run that a commit wrote ahead. Until such a run is merged into others its own rows are its
//! feed; before that they are listed and written as rows of the feed.

use std::rc::Rc;

use super::fault::Attempt;
use super::feed::Chunks;
use super::install::Installation;
use super::range::RowRange;
use super::reserve::Room;
use super::run::RunDescription;
use super::store::Lsm;
use super::tree::TreeView;
use super::unnamed::NewRun;
use super::versions::VersionCursor;
use crate::error::Result;
use crate::types::row::{split_internal, split_row};
use crate::types::{LayerId, Lsn};

/// So many rows are listed between two pauses.
const STEP_ROWS: usize = 2000;

impl Lsm {
    /// Writes the feed's rows of a run, and gives the manifest that names them.
    pub async fn write_feed(&self, run: &Rc<RunDescription>, id: u64, now: u64) -> Result<Installation> {
        let base = self.with(|state| state.manifest.clone());
        let mut manifest = base.clone();
        let mut written = NewRun::begin(self, id, now, Room::Moves);
        let lsn = run.own_feed().expect("BUG: only such runs are listed");
        let mut listing = Listing { run, lsn, resume: Vec::new(), chunks: None };
        let mut has_more = true;
        while has_more {
            let mut step = |view: TreeView<'_>| {
                has_more = listing.step(view, &mut written)?;
                Ok(())
            };
            self.attempt(&mut step).await?;
            written.flush().await?;
        }
        for other in &mut manifest.runs {
            if other.id == run.id {
                *other = Rc::new(RunDescription { is_fed: true, ..(**other).clone() });
            }
        }
        let mut installation = Installation::between(base, manifest);
        written.finish().await?.into_iter().for_each(|run| installation.name(run));
        Ok(installation)
    }
}

struct Listing<'a> {
    run: &'a Rc<RunDescription>,
    lsn: Lsn,
    resume: Vec<u8>,
    /// The feed rows of the layer that is being listed.
    chunks: Option<Chunks>,
}

impl Listing<'_> {
    /// Lists some rows. False: there are no more.
    fn step(&mut self, view: TreeView<'_>, written: &mut NewRun) -> Attempt<bool> {
        let range = RowRange { from: self.resume.clone(), before: vec![0xff; 9] };
        let mut cursor = VersionCursor::new(view, std::slice::from_ref(self.run), &range);
        for _ in 0..STEP_ROWS {
            let Some((internal, _)) = cursor.next_version()? else {
                self.finish_layer(written)?;
                return Ok(false);
            };
            let (layer, suffix) = split_row(split_internal(&internal).0);
            if layer != LayerId::CATALOG {
                if self.chunks.as_ref().is_some_and(|chunks| chunks.layer() != layer) {
                    self.finish_layer(written)?;
                }
                let (run, lsn) = (self.run.id, self.lsn);
                let chunks = self.chunks.get_or_insert_with(|| Chunks::of_run(run, layer, lsn));
                chunks.push(suffix);
                for row in chunks.take() {
                    written.writer().push(&row.internal, &row.version)?;
                }
            }
            self.resume = internal;
            self.resume.push(0);
        }
        Ok(true)
    }

    fn finish_layer(&mut self, written: &mut NewRun) -> Result<()> {
        for row in self.chunks.take().into_iter().flat_map(Chunks::finish) {
            written.writer().push(&row.internal, &row.version)?;
        }
        Ok(())
    }
}
