//! Exports, and imports of what was exported.

use std::rc::Rc;

use offshoot::engine::{ExportOptions, ImportOptions, ImportProgress, Snapshot, Source};
use offshoot::error::{Error, ErrorCode, Result};
use offshoot::storage::LocalFuture;

use crate::call::{Call, Content, IDS, Id, Observed, Shelf};
use crate::history::{Act, Check, Outcome, Seen};
use crate::model::{ModelDatabase, Rows};
use crate::workload::{any_handle, failed, perform, read_all};
use crate::world::{Handle, Tab, World};

/// Bytes of an export that come at once.
const PIECE_BYTES: usize = 3_000;

struct Pieces {
    rest: Vec<u8>,
    world: Rc<World>,
}

impl Source for Pieces {
    fn next(&mut self, _: ImportProgress) -> LocalFuture<'_, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            self.world.executor.sleep(self.world.random.below(5_000)).await;
            let piece: Vec<u8> = self.rest.drain(..PIECE_BYTES.min(self.rest.len())).collect();
            Ok((!piece.is_empty()).then_some(piece))
        })
    }
}

/// The bytes of an export, and the rows that its snapshot shows.
struct Exported {
    bytes: Vec<u8>,
    documents: Vec<(Id, Content)>,
    entries: Vec<(Id, Content)>,
}

fn known(rows: Observed) -> Vec<(Id, Content)> {
    let Observed::Rows(rows) = rows else { unreachable!("BUG: a list answers rows") };
    let id = |text: &String| IDS.into_iter().find(|id| id == text).expect("a key of the workload");
    rows.iter().map(|(text, content)| (id(text), *content)).collect()
}

async fn export(world: &World, tab: &Tab, handle: &Handle) -> Result<Exported> {
    let snapshot: Rc<Snapshot> = Rc::new(handle.database.snapshot().await?);
    let mut rows = Vec::new();
    for shelf in [Shelf::Documents, Shelf::Entries] {
        let call = Call::List(shelf);
        let observed = read_all(&snapshot, &call).await?;
        let version = snapshot.version().0;
        world.reading(tab, &handle.identity, Seen::Answer(call, observed.clone()), version, version);
        rows.push(known(observed));
    }
    let mut export = snapshot.export(&handle.identity.name, ExportOptions::default());
    let mut bytes = Vec::new();
    while let Some(more) = export.next().await? {
        bytes.extend(more);
    }
    let entries = rows.pop().unwrap_or_default();
    Ok(Exported { bytes, documents: rows.pop().unwrap_or_default(), entries })
}

/// Brings what one database holds into another, or into itself.
pub async fn bring_over(world: &Rc<World>, tab: &Rc<Tab>, handle: &Handle) {
    let Some(from) = any_handle(world, tab).await else { return };
    let exported = match export(world, tab, &from).await {
        Ok(exported) => exported,
        Err(error) if error.code() == ErrorCode::HistoryPruned => return,
        Err(error) => return drop(failed(world, tab, &from, &error)),
    };
    world.report.count("exports");
    let Exported { bytes, documents, entries } = exported;
    let counts = (documents.len() as u64, entries.len() as u64);
    let replaces = world.random.chance(500);
    if !replaces && world.random.chance(700) {
        // An import that must replace nothing begins where there is nothing; others write there before it ends.
        for shelf in [Shelf::Documents, Shelf::Entries] {
            perform(world, tab, handle, Call::Delete(shelf, IDS.to_vec())).await;
        }
    }
    let database = handle.identity.clone();
    let number = world.begin(tab, Act::Import { database, documents, entries, replaces });
    let mut source = Pieces { rest: bytes, world: world.clone() };
    let outcome = match handle.database.import(&mut source, ImportOptions { replace: replaces }).await {
        Ok(imported) => {
            world.report.count("imports");
            if (imported.documents, imported.entries) != counts {
                world.violate(Check::Transfers, format!("{number}: {imported:?} came of {counts:?}"));
            }
            Outcome::Done { observed: Observed::Nothing, lsn: None }
        }
        Err(error) => refused(world, tab, handle, &error),
    };
    world.end(tab, number, outcome);
}

fn refused(world: &World, tab: &Tab, handle: &Handle, error: &Error) -> Outcome {
    if error.code() == ErrorCode::InvalidImport {
        world.violate(Check::Transfers, format!("tab {}: an export cannot be read: {error}", tab.number));
    }
    failed(world, tab, handle, error)
}

/// The rows after an import.
pub fn imported(found: &ModelDatabase, documents: &[(Id, Content)], entries: &[(Id, Content)], lsn: u64) -> Rows {
    let mut rows = (*found.rows).clone();
    for (shelf, brought) in [(Shelf::Documents, documents), (Shelf::Entries, entries)] {
        found.perform(&mut rows, &Call::Put(shelf, brought.to_vec()), lsn);
    }
    rows
}

/// True if one of the rows is there.
pub fn meets(found: &ModelDatabase, documents: &[(Id, Content)], entries: &[(Id, Content)]) -> bool {
    let is_there =
        |shelf: Shelf, (id, _): &(Id, Content)| found.rows.get(&(shelf, *id)).is_some_and(|row| row.value.is_some());
    documents.iter().any(|row| is_there(Shelf::Documents, row))
        || entries.iter().any(|row| is_there(Shelf::Entries, row))
}
