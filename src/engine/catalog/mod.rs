//! The catalog: databases as rows of the store's own layer, versioned like all rows.
//!
//! It does not know: rows, door, op, core, handle, witness, compare, copy, transact, clones, merge, transfer, upkeep,
//! store.

pub mod retention;

use std::rc::Rc;

use crate::error::{Error, ErrorCode};
use crate::lsm::{Attempt, Change, Fault, Found, RowCursor, RowRange, TreeView, UnnamedRun};
use crate::types::fields::{Field, Fields};
use crate::types::row::{LAYER_BYTES, prefix, prefix_end, row, split_name, split_row};
use crate::types::{DatabaseName, Kind, LayerId, Lsn, SortedMap, Suffix, Version};

pub const DATABASES: &str = "databases";
const SETTINGS: &str = "settings";
const LAYERS: &str = "layers";

/// Where a clone began: a database's name, resolved as the catalog was at that LSN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    pub name: String,
    pub as_of: u64,
}

impl Origin {
    fn read(mut link: Fields<'_>) -> Option<Origin> {
        Some(Origin { name: link.text()?.to_string(), as_of: link.number()? })
    }

    fn to_field(&self) -> Field<'_> {
        Field::List(vec![Field::Text(&self.name), Field::Number(self.as_of)])
    }
}

/// A database's row, under its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DatabaseRow {
    /// Tells a database from one made later under its name.
    pub id: u64,
    pub layer: u64,
    pub origin: Option<Origin>,
    /// The LSN that made the database; `None` in the version that made it.
    pub created: Option<u64>,
    pub created_at: u64,
    /// All rows of its origin were copied, and the link was cut.
    pub materialized: bool,
    /// When a clone drops itself, in milliseconds since 1970.
    pub expires_at: Option<u64>,
    /// A clone without a name of its own: it goes when its handle closes.
    pub temporary: bool,
    /// Rows of the layer that a merge left in conflict have the row that they are compared with beside them.
    pub parked: bool,
    /// The clone is to be materialized in the background.
    pub background: bool,
    /// How often the database was made equal to a past.
    pub restored: u64,
    /// The LSN that put the layer over its origin; `None`: this version did.
    pub began: Option<u64>,
    /// The number of the database that its rows were copied from, once it is materialized.
    pub copied_from: Option<u64>,
}

impl DatabaseRow {
    /// A clone that has written nothing yet.
    pub fn clone_of(id: u64, layer: LayerId, origin: Origin, created_at: u64) -> DatabaseRow {
        DatabaseRow {
            id,
            layer: layer.0,
            origin: Some(origin),
            created: None,
            created_at,
            materialized: false,
            expires_at: None,
            temporary: false,
            parked: false,
            background: false,
            restored: 0,
            began: None,
            copied_from: None,
        }
    }

    pub fn layer(&self) -> LayerId {
        LayerId(self.layer)
    }

    pub fn encode(&self) -> Version {
        let fields = vec![
            Field::Number(self.id),
            Field::Number(self.layer),
            self.origin.as_ref().map_or(Field::Nil, Origin::to_field),
            Field::optional(self.created),
            Field::Number(self.created_at),
            Field::Flag(self.materialized),
            Field::optional(self.expires_at),
            Field::Flag(self.temporary),
            Field::Flag(self.parked),
            Field::Flag(self.background),
            Field::Number(self.restored),
            Field::optional(self.began),
            Field::optional(self.copied_from),
        ];
        Version::value(Field::List(fields).encode())
    }

    pub fn decode(found: &Found) -> Attempt<DatabaseRow> {
        DatabaseRow::read(found.value()).ok_or_else(|| unreadable(found))
    }

    fn read(value: &[u8]) -> Option<DatabaseRow> {
        let mut fields = Field::decode(value)?;
        Some(DatabaseRow {
            id: fields.number()?,
            layer: fields.number()?,
            origin: match fields.optional_list()? {
                Some(link) => Some(Origin::read(link)?),
                None => None,
            },
            created: fields.optional()?,
            created_at: fields.number()?,
            materialized: fields.flag()?,
            expires_at: fields.optional()?,
            temporary: fields.flag()?,
            parked: fields.flag()?,
            background: fields.flag()?,
            restored: fields.number()?,
            began: fields.optional()?,
            copied_from: fields.optional()?,
        })
    }
}

/// A database's row, and the LSN of the version that was read.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: DatabaseName,
    pub row: DatabaseRow,
    pub lsn: Lsn,
}

impl Entry {
    pub fn created(&self) -> Lsn {
        self.row.created.map_or(self.lsn, Lsn)
    }

    pub fn began(&self) -> Lsn {
        self.row.began.map_or(self.lsn, Lsn)
    }
}

pub fn suffix(name: &DatabaseName) -> Suffix {
    Suffix::named(DATABASES, Kind::Catalog, name.as_str())
}

/// The row of the catalog's layer that describes the database `name`.
pub fn database_row(name: &DatabaseName) -> Vec<u8> {
    row(LayerId::CATALOG, suffix(name).as_bytes())
}

/// The row that holds the store's own setting `name`.
pub fn setting_row(name: &str) -> Vec<u8> {
    row(LayerId::CATALOG, Suffix::named(SETTINGS, Kind::Catalog, name).as_bytes())
}

fn unreadable(found: &Found) -> Fault {
    Error::corrupt(format!("a catalog row cannot be decoded. lsn={}", found.lsn)).into()
}

/// The database `name` as it was at `at`.
pub fn find(view: TreeView<'_>, name: &DatabaseName, at: Lsn) -> Attempt<Option<Entry>> {
    match view.get(&database_row(name), at)? {
        Some(found) if !found.version.is_tombstone() => {
            Ok(Some(Entry { name: name.clone(), row: DatabaseRow::decode(&found)?, lsn: found.lsn }))
        }
        _ => Ok(None),
    }
}

/// As `find`; an unknown name is DATABASE_NOT_FOUND.
pub fn get(view: TreeView<'_>, name: &DatabaseName, at: Lsn) -> Attempt<Entry> {
    find(view, name, at)?.ok_or_else(|| Fault::Error(not_found(name)))
}

pub fn not_found(name: &DatabaseName) -> Error {
    Error::new(ErrorCode::DatabaseNotFound, format!("there is no such database. name={name}"))
        .with_text("name", name.as_str())
}

/// Says if a commit writes a row of the catalog. The first row of a run tells it for the whole run: its rows are in
/// order, and the catalog's layer is the lowest of all.
pub fn touches(changes: &[Change], runs: &[Rc<UnnamedRun>]) -> bool {
    let firsts = runs.iter().map(|run| &run.description.first);
    let mut rows = changes.iter().map(|Change(row, _)| row).chain(firsts);
    rows.any(|row| split_row(row).0 == LayerId::CATALOG)
}

/// All databases at `at`, by name.
pub fn list(view: TreeView<'_>, at: Lsn) -> Attempt<Vec<Entry>> {
    let range = RowRange {
        from: row(LayerId::CATALOG, &prefix(DATABASES, Kind::Catalog)),
        before: row(LayerId::CATALOG, &prefix_end(DATABASES, Kind::Catalog)),
    };
    let mut cursor = RowCursor::new(view, &range, at, false);
    let mut all = Vec::new();
    while let Some(next) = cursor.next_row()? {
        let found = next.found(view)?;
        if found.version.is_tombstone() {
            continue;
        }
        let (_, suffix) = split_row(&next.row);
        let name = split_name(suffix).ok_or_else(|| Error::corrupt("a catalog row has no name"))?;
        all.push(Entry { name: DatabaseName::new(name)?, row: DatabaseRow::decode(&found)?, lsn: found.lsn });
    }
    Ok(all)
}

/// The names of the databases that read through `name`: those that keep it from being dropped.
pub fn dependents(all: &[Entry], name: &DatabaseName) -> Vec<String> {
    let reads_it = |entry: &&Entry| entry.row.origin.as_ref().is_some_and(|origin| origin.name == name.as_str());
    all.iter().filter(reads_it).map(|entry| entry.name.to_string()).collect()
}

/// A setting of the store, as a row's version.
pub fn encode_setting(number: u64) -> Version {
    Version::value(Field::List(vec![Field::Number(number)]).encode())
}

/// The store's setting `name` at `at`.
pub fn setting(view: TreeView<'_>, name: &str, at: Lsn) -> Attempt<Option<u64>> {
    match view.get(&setting_row(name), at)? {
        Some(found) if !found.version.is_tombstone() => {
            let number = Field::decode(found.value()).and_then(|mut fields| fields.number());
            number.ok_or_else(|| unreadable(&found)).map(Some)
        }
        _ => Ok(None),
    }
}

/// True if a snapshot on `then` reads the same rows on `now`: the row is unchanged, or only the link was cut, after the
/// layer had taken in every row that the link gave it.
pub fn reads_alike(then: &DatabaseRow, now: &DatabaseRow) -> bool {
    let is_in_place = then.id == now.id && then.layer == now.layer && then.restored == now.restored;
    is_in_place && (then.origin == now.origin || now.materialized)
}

/// The row that says of a layer that it holds everything, so that nothing below it is read any more. Its LSN is that
/// of the commit that cut the link.
pub fn whole_row(layer: LayerId) -> Vec<u8> {
    row(LayerId::CATALOG, Suffix::named(LAYERS, Kind::Catalog, &format!("{:016x}", layer.0)).as_bytes())
}

/// With the link that was cut, if there was one.
pub fn encode_whole(link: Option<&Origin>) -> Version {
    Version::value(Field::List(link.map(Origin::to_field).into_iter().collect()).encode())
}

/// The commit by which the layer holds all of its rows, and the origin that they were copied from, if that is known.
/// `None`: the layer does not hold all of them.
pub fn whole(view: TreeView<'_>, layer: LayerId) -> Attempt<Option<(Lsn, Option<Origin>)>> {
    let Some(found) = view.get(&whole_row(layer), view.tree.head)? else { return Ok(None) };
    let link = Field::decode(found.value()).ok_or_else(|| unreadable(&found))?.optional_list();
    let link = match link.ok_or_else(|| unreadable(&found))? {
        Some(link) => Some(Origin::read(link).ok_or_else(|| unreadable(&found))?),
        None => None,
    };
    Ok(Some((found.lsn, link)))
}

/// True if the layer holds all of its rows itself, by a commit that is complete.
pub fn is_whole(view: TreeView<'_>, layer: LayerId) -> Attempt<bool> {
    Ok(view.get(&whole_row(layer), view.tree.head)?.is_some())
}

/// The layers that hold everything, each with the LSN from which on that is known.
pub fn whole_layers(view: TreeView<'_>) -> Attempt<SortedMap<LayerId, Lsn>> {
    let range = RowRange {
        from: row(LayerId::CATALOG, &prefix(LAYERS, Kind::Catalog)),
        before: row(LayerId::CATALOG, &prefix_end(LAYERS, Kind::Catalog)),
    };
    let mut cursor = RowCursor::new(view, &range, view.tree.head, false);
    let mut layers = SortedMap::new();
    while let Some(next) = cursor.next_row()? {
        let number = split_name(&next.row[LAYER_BYTES..]).and_then(|name| u64::from_str_radix(name, 16).ok());
        let number = number.ok_or_else(|| Error::corrupt("a catalog row does not say of which layer it is"))?;
        layers.insert(LayerId(number), next.lsn);
    }
    Ok(layers)
}
