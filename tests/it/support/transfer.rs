//! Exports and imports in a test's words, and the frames of an export taken apart and put together by hand.

use std::collections::VecDeque;
use std::rc::Rc;

use offshoot::engine::{Database, ExportOptions, ImportOptions, ImportProgress, Imported, Snapshot, Source};
use offshoot::error::{Detail, Error, ErrorCode, Result};
use offshoot::storage::{ListRange, LocalFuture, Space};
use serde_json::Value;
use xxhash_rust::xxh64::xxh64;

use super::{Db, World, say};

pub const PREAMBLE: usize = 20;
pub const HEAD: usize = 12;

/// Pieces of an export, and perhaps a failure behind them.
pub struct Pieces(pub VecDeque<Result<Vec<u8>>>);

impl Pieces {
    pub fn of(bytes: &[u8], size: usize) -> Pieces {
        Pieces(bytes.chunks(size).map(|piece| Ok(piece.to_vec())).collect())
    }

    pub fn then_failing(mut self) -> Pieces {
        self.0.push_back(Err(Error::new(ErrorCode::Aborted, "the source failed")));
        self
    }
}

impl Source for Pieces {
    fn next(&mut self, _: ImportProgress) -> LocalFuture<'_, Result<Option<Vec<u8>>>> {
        let piece = self.0.pop_front().transpose();
        Box::pin(async move { piece })
    }
}

/// A source that a function makes.
pub struct Made<F>(pub F);

impl<F: AsyncFnMut(ImportProgress) -> Result<Option<Vec<u8>>>> Source for Made<F> {
    fn next(&mut self, progress: ImportProgress) -> LocalFuture<'_, Result<Option<Vec<u8>>>> {
        Box::pin((self.0)(progress))
    }
}

pub async fn export_of(snapshot: Snapshot, name: &str, options: ExportOptions) -> Result<Vec<u8>> {
    let mut export = Rc::new(snapshot).export(name, options);
    let mut bytes = Vec::new();
    while let Some(piece) = export.next().await? {
        bytes.extend(piece);
    }
    assert_eq!(export.next().await.expect("it has ended"), None);
    Ok(bytes)
}

pub async fn export(db: &Db) -> Vec<u8> {
    let name = db.0.name().to_string();
    export_of(db.snapshot().await, &name, ExportOptions::default()).await.expect("an export")
}

pub async fn try_import(db: &Db, bytes: &[u8], replace: bool) -> Result<Imported> {
    import_from(&db.0, &mut Pieces::of(bytes, 10_000), replace).await
}

pub async fn import_from(db: &Rc<Database>, source: &mut dyn Source, replace: bool) -> Result<Imported> {
    db.import(source, ImportOptions { replace }).await
}

pub async fn import(db: &Db, bytes: &[u8]) -> Imported {
    try_import(db, bytes, false).await.expect("the import succeeds")
}

/// The bodies of an export's frames.
pub fn bodies(export: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &export[PREAMBLE..];
    let mut bodies = Vec::new();
    while !rest.is_empty() {
        let size = u32::from_le_bytes(rest[..4].try_into().expect("four bytes")) as usize;
        bodies.push(rest[HEAD..HEAD + size].to_vec());
        rest = &rest[HEAD + size..];
    }
    bodies
}

/// An export of these bodies, with all its checks right.
pub fn assembled(format: u32, bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"offshoot".to_vec();
    bytes.extend(format.to_le_bytes());
    let mut chain = xxh64(&bytes, 0);
    bytes.extend(chain.to_le_bytes());
    for body in bodies {
        chain = xxh64(body, chain);
        bytes.extend((body.len() as u32).to_le_bytes());
        bytes.extend(chain.to_le_bytes());
        bytes.extend(body);
    }
    bytes
}

/// All documents of the collections `todos` and `other`, and all entries of `kv`.
pub async fn contents(db: &Db) -> Value {
    let kinds = db.0.collections().await.expect("collections").into_iter();
    let kinds: Vec<_> = kinds.map(|info| format!("{} {:?}", info.name, info.kind)).collect();
    let (todos, other) = (db.ok(say::find()).await, db.ok(say::find_in("other")).await);
    serde_json::json!([kinds, todos, other, db.ok(say::kv_list(false)).await])
}

/// The names of all blocks and jobs.
pub fn leftovers(world: &World) -> Vec<String> {
    let everything = ListRange { limit: usize::MAX, ..ListRange::default() };
    let names = |space| world.disk.list(space, &everything).into_iter().map(|(name, _)| name);
    names(Space::Blocks).chain(names(Space::Jobs)).collect()
}

/// The frame and the byte that an error names.
pub fn place_of(error: &Error) -> (u64, u64) {
    assert_eq!(error.code(), ErrorCode::InvalidImport, "{error}");
    let number = |wanted: &str| match error.details().iter().find(|(name, _)| *name == wanted) {
        Some((_, Detail::Number(number))) => *number,
        other => panic!("a number, not {other:?}"),
    };
    let (frame, offset) = (number("frame"), number("offset"));
    assert!(error.message().ends_with(&format!("frame={frame}, offset={offset}")), "{error}");
    (frame, offset)
}
