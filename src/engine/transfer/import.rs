//! Rows out of an export into a database: written ahead as they come, and one commit at the end.

use std::rc::Rc;

use super::format::{End, ExportedRow, Frame};
use super::reader::FrameReader;
use crate::engine::catalog;
use crate::engine::core::ahead::AheadWriter;
use crate::engine::core::job::Present;
use crate::engine::door::{Before, Effects};
use crate::engine::handle::Handle;
use crate::engine::op::context::Context;
use crate::engine::op::transaction::{Guard, Isolation, Transaction};
use crate::engine::rows::path::{Level, Path};
use crate::engine::rows::read::{SuffixRange, may_be_copy};
use crate::engine::rows::written::{self, Between};
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Attempt, Fault, Found, State, TreeView};
use crate::planted::{self, Bug};
use crate::storage::LocalFuture;
use crate::types::row::{row, split_suffix};
use crate::types::{CollectionName, Key, KeyPart, Kind, LayerId, Lsn, Suffix, Version};

/// How often a commit may ask for blocks of its own run before it takes them for swept away.
const ASKED: u32 = 1000;

#[derive(Clone, Copy, Debug, Default)]
pub struct ImportOptions {
    /// A row that is there already is replaced; without it, it fails with KEY_EXISTS.
    pub replace: bool,
}

/// Where an import's bytes come from.
pub trait Source {
    /// The next piece, of any size; `None`: all bytes have come. An error of the source is the error of the import.
    fn next(&mut self, progress: ImportProgress) -> LocalFuture<'_, Result<Option<Vec<u8>>>>;
}

/// How far an import is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ImportProgress {
    pub rows: u64,
}

/// The numbers of rows that an import brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Imported {
    pub documents: u64,
    pub entries: u64,
    /// The number of places that a salvage could not read; `None`: this is no salvage.
    pub skipped: Option<u64>,
}

struct Import {
    handle: Rc<Handle>,
    path: Path,
    guard: Guard,
    layer: LayerId,
    snapshot: Lsn,
    replace: bool,
    collections: Vec<(CollectionName, Kind)>,
}

/// Adds what `source` gives to what is here, all or nothing. Memory is bounded; others read and write meanwhile.
///
/// Fails with INVALID_IMPORT, which tells the frame and the byte, or with FORMAT_TOO_NEW where nothing is wrong but
/// this version; with KEY_EXISTS or WRONG_KIND where it meets what is here; and with CONFLICT if the database was
/// moved, or its history dropped, while it was under way.
pub async fn import(handle: &Rc<Handle>, source: &mut dyn Source, options: ImportOptions) -> Result<Imported> {
    handle.check_open()?;
    // From the present: history that this tab has not heard of may be gone by the end.
    handle.core.refresh().await?;
    let Transaction { path, guard, .. } = handle.begin(Isolation::Serializable).await?;
    let level = path.top().expect("BUG: a database that is open has a layer").clone();
    let _hold = handle.core.hold(level.lsn);
    let mut import = Import {
        handle: handle.clone(),
        path,
        guard,
        layer: level.layer,
        snapshot: level.lsn,
        replace: options.replace,
        collections: Vec::new(),
    };
    let mut rows = AheadWriter::new(&handle.core, level.layer);
    let imported = async {
        let imported = import.take_in(source, &mut rows).await?;
        import.commit(rows.finish().await?).await?;
        Ok(imported)
    };
    let imported = imported.await;
    handle.core.sweep_strays().await;
    imported
}

impl Import {
    async fn take_in(&mut self, source: &mut dyn Source, rows: &mut AheadWriter<'_>) -> Result<Imported> {
        let mut reader = FrameReader::new();
        let mut end = End::default();
        loop {
            let progress = ImportProgress { rows: reader.documents + reader.entries };
            let piece = source.next(progress).await?;
            self.handle.check_open()?;
            let Some(piece) = piece else { break };
            reader.push(&piece);
            while let Some(frame) = reader.next()? {
                match frame {
                    Frame::Header(_) => {}
                    Frame::Collection(name, kind) => self.begin_collection(name, kind).await?,
                    Frame::Rows(frame) => self.write_rows(frame, rows).await?,
                    Frame::End(told) => end = told,
                }
            }
            rows.keep().await?;
        }
        reader.finish()?;
        Ok(Imported { documents: end.documents, entries: end.entries, skipped: end.skipped })
    }

    async fn begin_collection(&mut self, name: CollectionName, kind: Kind) -> Result<()> {
        let path = self.path.clone();
        let mut check = |state: &State, view: TreeView<'_>| {
            self.check_history(state)?;
            Context::reading(view, path.clone()).check_kind(&name, kind)
        };
        self.handle.core.read_around(None, &mut check).await?;
        self.collections.push((name, kind));
        Ok(())
    }

    async fn write_rows(&self, frame: Vec<ExportedRow>, rows: &mut AheadWriter<'_>) -> Result<()> {
        let (name, kind) = self.collections.last().expect("BUG: rows follow their collection");
        let suffixes: Vec<Suffix> = frame.iter().map(|row| Suffix::new(name.as_str(), *kind, &row.key)).collect();
        let bases = self.bases(&suffixes).await?;
        for ((row, suffix), base) in frame.into_iter().zip(&suffixes).zip(bases) {
            let mut version = Version::value(row.value).based_on(base);
            version.expiry = row.expiry;
            rows.push(suffix.as_bytes(), &version, Before::On(&self.path));
        }
        rows.flush().await
    }

    /// The LSN of the version below the layer that each row replaces (SEMANTICS W9). Fails if a row is there and must
    /// not be.
    async fn bases(&self, suffixes: &[Suffix]) -> Result<Vec<Option<Lsn>>> {
        if self.replace && self.path.below().is_empty() {
            return Ok(vec![None; suffixes.len()]);
        }
        let mut bases = Vec::with_capacity(suffixes.len());
        let mut look_up = |state: &State, view: TreeView<'_>| {
            self.check_history(state)?;
            bases.clear();
            let mut needed = Vec::new();
            for suffix in suffixes {
                match self.base(view, suffix) {
                    Ok(base) => bases.push(base),
                    // The blocks that the rows behind it lack are fetched in the same go.
                    Err(Fault::Need(blocks)) => needed.extend(blocks),
                    Err(error) => return Err(error),
                }
            }
            if needed.is_empty() { Ok(()) } else { Err(Fault::Need(needed)) }
        };
        self.handle.core.read_around(None, &mut look_up).await?;
        Ok(bases)
    }

    fn base(&self, view: TreeView<'_>, suffix: &Suffix) -> Attempt<Option<Lsn>> {
        let below = || topmost(view, self.path.below(), suffix);
        let own = match topmost(view, &self.path.levels()[..1], suffix)? {
            Some((lsn, version)) if may_be_copy(&self.path, lsn, &version) => match below()? {
                Some((_, below)) if !below.is_tombstone() => None,
                _ => Some((lsn, version)),
            },
            own => own,
        };
        let (lsn, version) = match own {
            Some((lsn, version)) if self.replace || version.is_tombstone() => {
                return Ok(Found { lsn, version }.base());
            }
            Some(_) => return Err(taken(suffix).into()),
            None => match below()? {
                Some(below) => below,
                None => return Ok(None),
            },
        };
        match version.is_tombstone() {
            true => Ok(None),
            false if self.replace => Ok(Some(lsn)),
            false => Err(taken(suffix).into()),
        }
    }

    fn check_history(&self, state: &State) -> Result<()> {
        if self.snapshot >= state.manifest.floor() {
            return Ok(());
        }
        Err(conflict("the history that it was checked against was dropped in another tab"))
    }

    async fn commit(self, effects: Effects) -> Result<()> {
        let core = self.handle.core.clone();
        let mut asked = 0;
        let evaluate = move |present: &Present<'_>| {
            let made = self.evaluate(present, &effects);
            if let Err(Fault::Need(needed)) = &made
                && effects.has_any_of(needed)
            {
                asked += 1;
                if asked > ASKED {
                    return Err(conflict("what was written ahead was taken for abandoned").into());
                }
            }
            Ok(((), made?))
        };
        core.commit(core.durability, evaluate).await.map(drop)
    }

    /// The effects of the import's commit. Fails if the database was moved, or if a row that must not be replaced was
    /// written meanwhile.
    fn evaluate(&self, present: &Present<'_>, effects: &Effects) -> Attempt<Effects> {
        let entry = self.handle.entry(present.view, present.at)?;
        if entry.lsn != self.guard.lsn {
            // A clone whose link was cut meanwhile reads as before.
            let then = catalog::find(present.view, &self.guard.name, self.guard.lsn)?;
            if !then.is_some_and(|then| catalog::reads_alike(&then.row, &entry.row)) {
                return Err(conflict("the database was moved").into());
            }
        }
        if !self.replace && present.at > self.snapshot && !planted::is(Bug::ImportedRowsNotValidated) {
            self.check_history(present.state)?;
            self.check_written(present, effects)?;
        }
        let mut transaction = Transaction::immediate(self.path.at(present.at), self.guard.clone());
        let mut context = Context::writing(present.view, &mut transaction);
        for (name, kind) in &self.collections {
            context.ensure_collection(name, *kind)?;
        }
        Ok(effects.clone().and(transaction.effects()))
    }

    /// Fails if a row that was imported was written meanwhile and is there now.
    fn check_written(&self, present: &Present<'_>, effects: &Effects) -> Attempt<()> {
        let between = Between { layer: self.layer, older: self.snapshot, newer: present.at };
        // All documents and entries: names are not empty.
        let range = SuffixRange { from: vec![1], before: vec![0xff] };
        let levels = self.path.at(present.at);
        let mut needed = Vec::new();
        written::visit(present.state, present.view, between, &range, usize::MAX, &mut |suffix| match is_taken(
            present.view,
            levels.levels(),
            effects,
            self.layer,
            suffix,
        ) {
            Ok(false) => Ok(()),
            Ok(true) => Err(taken(&Suffix::from_bytes(suffix.to_vec())).into()),
            Err(Fault::Need(blocks)) => {
                needed.extend(blocks);
                Ok(())
            }
            Err(error) => Err(error),
        })?;
        if needed.is_empty() { Ok(()) } else { Err(Fault::Need(needed)) }
    }
}

/// True if the row is among the imported ones, and is there now.
fn is_taken(view: TreeView<'_>, levels: &[Level], effects: &Effects, layer: LayerId, suffix: &[u8]) -> Attempt<bool> {
    if !effects.has(view, &row(layer, suffix))? {
        return Ok(false);
    }
    let found = topmost(view, levels, &Suffix::from_bytes(suffix.to_vec()))?;
    Ok(found.is_some_and(|(_, version)| !version.is_tombstone()))
}

/// The topmost version of a row, its value wherever it is stored.
fn topmost(view: TreeView<'_>, levels: &[Level], suffix: &Suffix) -> Attempt<Option<(Lsn, Version)>> {
    for level in levels {
        if let Some((lsn, encoded)) = view.find(&row(level.layer, suffix.as_bytes()), level.lsn)? {
            let unreadable = || Error::corrupt(format!("a version cannot be decoded. lsn={lsn}"));
            return Ok(Some((lsn, Version::decode(&encoded).ok_or_else(unreadable)?)));
        }
    }
    Ok(None)
}

fn conflict(what: &str) -> Error {
    let message = format!("{what} while an import was under way: nothing was imported, import it again");
    Error::new(ErrorCode::Conflict, message)
}

fn taken(suffix: &Suffix) -> Error {
    let (collection, kind, key) = split_suffix(suffix.as_bytes()).expect("BUG: an imported row has its collection");
    let what = if kind == Kind::Document { "a document with this id" } else { "an entry with this key" };
    // A number with a fraction, a date or a list is shown by its bytes: the code that writes floats is large.
    let key = match Key::decode(key) {
        Some(Key::One(KeyPart::Text(text))) => text,
        Some(Key::One(KeyPart::Number(number))) if number.trunc() == number && number.abs() < 1e15 => {
            (number as i64).to_string()
        }
        _ => key.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    let message = format!("{what} is there already. collection={collection}, key={key:?}");
    Error::new(ErrorCode::KeyExists, message).with_text("collection", collection).with_text("key", key)
}
