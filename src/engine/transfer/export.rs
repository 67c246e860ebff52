//! The bytes of an export, a page of rows at a time.

use std::rc::Rc;
use std::vec::IntoIter;

use super::format::{CHUNK_BYTES, End, ExportedRow, Frame, FrameWriter, Header, NAMED, Skipped};
use super::salvage::{Salvage, places_of};
use crate::engine::handle::snapshot::Pinned;
use crate::engine::op::context::{Context, Page, PageLimits};
use crate::engine::rows::collections::{CollectionInfo, collections};
use crate::engine::rows::path::Path;
use crate::engine::rows::read::{SuffixRange, Visible};
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Attempt, Fault, State, TreeView, covered};
use crate::planted::{self, Bug};
use crate::types::row::split_suffix;
use crate::types::{CollectionName, Kind, limits};

#[derive(Clone, Copy, Debug, Default)]
pub struct ExportOptions {
    /// Go around what cannot be read, and say so, instead of failing.
    pub salvage: bool,
}

/// One export under way. It holds a page, and no more.
pub struct Export {
    pub(super) snapshot: Rc<Pinned>,
    database: String,
    pub(super) salvage: Option<Salvage>,
    writer: FrameWriter,
    /// Collections whose frames are still to come; `None`: nothing was read yet.
    ahead: Option<IntoIter<(CollectionName, Kind)>>,
    collection: Option<CollectionName>,
    /// Rows that are still to be read; `None`: the end is written.
    left: Option<SuffixRange>,
    documents: u64,
    entries: u64,
}

/// A row of a page, or one whose value cannot be read.
enum Item {
    Row { collection: CollectionName, kind: Kind, row: ExportedRow },
    Lost(Skipped),
}

impl Export {
    /// The rows that `snapshot` reads, as the bytes of an export that names the database `name`.
    pub fn new(snapshot: Rc<Pinned>, name: &str, options: ExportOptions) -> Export {
        Export {
            snapshot,
            database: name.to_string(),
            salvage: options.salvage.then(Salvage::default),
            writer: FrameWriter::new(),
            ahead: None,
            collection: None,
            // Names are not empty, so the rows of the collections themselves, under the empty name, come before.
            left: Some(SuffixRange { from: vec![1], before: vec![0xff] }),
            documents: 0,
            entries: 0,
        }
    }

    /// How many rows the bytes so far hold.
    pub fn rows(&self) -> u64 {
        self.documents + self.entries
    }

    /// The number of places that a salvage could not read so far; `None`: this is no salvage.
    pub fn skipped(&self) -> Option<u64> {
        self.salvage.as_ref().map(Salvage::skipped)
    }

    /// The next bytes, of one or a few frames; `None`: that was all. After an error there are no more.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let outcome = self.try_next().await;
        if outcome.is_err() {
            self.left = None;
        }
        outcome
    }

    async fn try_next(&mut self) -> Result<Option<Vec<u8>>> {
        while let Some(left) = self.left.take() {
            self.snapshot.check_open()?;
            if self.ahead.is_none() {
                self.begin().await?;
            }
            let salvages = self.salvage.is_some();
            let mut found = None;
            self.read(&mut |view, path| {
                found = Some(page(view, path, &left, salvages)?);
                Ok(())
            })
            .await?;
            let Page { rows, rest } = found.expect("BUG: a look that ended has seen");
            let ends_early = planted::is(Bug::ExportEndsEarly) && rows.is_empty();
            self.push_rows(rows)?;
            self.left = rest.filter(|_| !ends_early);
            if self.left.is_none() {
                self.push_end().await?;
            }
            let bytes = self.writer.take();
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
            // The step has passed nothing but deleted rows.
            self.snapshot.core().platform.pause().await;
        }
        Ok(None)
    }

    /// Looks at the snapshot, around damage if that is asked for.
    pub(super) async fn read(&self, read: &mut dyn FnMut(TreeView<'_>, Path) -> Attempt<()>) -> Result<()> {
        let snapshot = &self.snapshot;
        let mut read = |state: &State, view: TreeView<'_>| read(view, snapshot.path(state)?);
        let around = self.salvage.as_ref().map(|salvage| &salvage.given_up);
        snapshot.core().read_around(around, &mut read).await
    }

    async fn begin(&mut self) -> Result<()> {
        let (version, time) = (self.snapshot.version().to_text(), self.snapshot.core().platform.now());
        self.writer.push(&Frame::Header(Header { database: self.database.clone(), version, time }));
        let mut infos = Vec::new();
        self.read(&mut |view, path| {
            infos = collections(view, &path)?;
            Ok(())
        })
        .await?;
        let named = |info: CollectionInfo| Ok((CollectionName::new(&info.name)?, info.kind));
        self.ahead = Some(infos.into_iter().map(named).collect::<Result<Vec<_>>>()?.into_iter());
        Ok(())
    }

    /// Writes the frames of collections up to the one that the next row belongs to.
    fn reach(&mut self, collection: &CollectionName, kind: Kind) {
        if self.collection.as_ref() == Some(collection) {
            return;
        }
        let ahead = self.ahead.as_mut().expect("BUG: collections are read before rows");
        while let Some((name, _)) = ahead.as_slice().first()
            && name <= collection
        {
            let (name, kind) = ahead.next().expect("BUG: there is a first");
            if name != *collection {
                self.writer.push(&Frame::Collection(name, kind));
            }
        }
        self.writer.push(&Frame::Collection(collection.clone(), kind));
        self.collection = Some(collection.clone());
    }

    fn push_rows(&mut self, items: Vec<Item>) -> Result<()> {
        let mut frame = Vec::new();
        let mut bytes = 0;
        for item in items {
            let (collection, kind, row) = match item {
                Item::Row { collection, kind, row } => (collection, kind, row),
                Item::Lost(skipped) => {
                    self.salvage.as_mut().expect("BUG: only a salvage goes on").skip(skipped);
                    continue;
                }
            };
            let is_full = bytes + row.size() > CHUNK_BYTES;
            if !frame.is_empty() && (is_full || self.collection.as_ref() != Some(&collection)) {
                self.writer.push(&Frame::Rows(std::mem::take(&mut frame)));
                bytes = 0;
            }
            self.reach(&collection, kind);
            match kind {
                Kind::Entry => self.entries += 1,
                _ => self.documents += 1,
            }
            bytes += row.size();
            frame.push(row);
        }
        if !frame.is_empty() {
            self.writer.push(&Frame::Rows(frame));
        }
        Ok(())
    }

    /// All places that a salvage could not read, as far as they concern this database.
    async fn places(&self) -> Result<Vec<Skipped>> {
        let salvage = self.salvage.as_ref().expect("BUG: only a salvage skips");
        let mut places = salvage.lost.clone();
        for address in salvage.given_up.addresses() {
            let mut found = None;
            self.read(&mut |view, path| {
                let run = view.tree.runs().iter().find(|run| run.id == address.run);
                let covered = run.map(|run| covered(view, run, address)).transpose()?.flatten();
                found = covered.map(|covered| (covered, path));
                Ok(())
            })
            .await?;
            let Some((covered, path)) = found else { continue };
            places.extend(places_of(address, &covered, &path));
        }
        Ok(places)
    }

    async fn push_end(&mut self) -> Result<()> {
        for (name, kind) in self.ahead.take().unwrap_or_default() {
            self.writer.push(&Frame::Collection(name, kind));
        }
        let mut end = End { documents: self.documents, entries: self.entries, ..End::default() };
        if self.salvage.is_some() {
            let places = self.places().await?;
            end.skipped = Some(places.len() as u64);
            end.named = places.into_iter().take(NAMED).collect();
        }
        self.writer.push(&Frame::End(end));
        Ok(())
    }
}

fn page(view: TreeView<'_>, path: Path, range: &SuffixRange, salvages: bool) -> Attempt<Page<Item>> {
    let limits = PageLimits { rows: limits::PAGE_ROWS, bytes: CHUNK_BYTES };
    Context::reading(view, path).in_steps().scan(range, false, limits, |visible| {
        let Some((name, kind @ (Kind::Document | Kind::Entry), key)) = split_suffix(visible.suffix) else {
            return Ok(None);
        };
        match read_row(visible, key) {
            Ok(row) => {
                let size = row.size();
                Ok(Some((Item::Row { collection: CollectionName::new(name)?, kind, row }, size)))
            }
            Err(Fault::Error(error)) if salvages && error.code() == ErrorCode::StorageCorrupt => {
                Ok(Some((Item::Lost(Skipped::row(visible.suffix, &error)), visible.suffix.len())))
            }
            Err(fault) => Err(fault),
        }
    })
}

fn read_row(visible: &Visible<'_>, key: &[u8]) -> Attempt<ExportedRow> {
    let version = visible.version()?;
    let value = version.here().ok_or_else(|| Error::corrupt("a row has no value"))?.clone();
    Ok(ExportedRow { key: key.to_vec(), value, expiry: version.expiry })
}
