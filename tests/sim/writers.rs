//! Each writer by itself: its rows pass the write door, and the old and new versions that the door tells are those that
//! are read before its commit and after it.

use std::collections::BTreeMap;
use std::rc::Rc;

use offshoot::engine::{
    CloneOptions, Database, Ended, ExportOptions, ImportOptions, ImportProgress, MergeOptions, Policy, RebaseOptions,
    Resolution, Source, Told, ToldRow, TransactionOptions, When, take_told,
};
use offshoot::error::Result;
use offshoot::storage::LocalFuture;
use offshoot::types::row::split_suffix;
use offshoot::types::{Bytes, DatabaseName, LayerId, Lsn, Version, key};

use crate::call::{Call, Content, Observed, Shelf, observe};
use crate::found::{database, run};

fn is_content(row: &ToldRow) -> bool {
    split_suffix(&row.suffix).and_then(|(_, kind, _)| Shelf::of(kind)) == Some(Shelf::Documents)
}

/// The documents that passed the door since this was asked last, by their ids: of commits those that count.
fn passed(head: Lsn) -> BTreeMap<(LayerId, String), (Told, ToldRow)> {
    let mut rows = BTreeMap::new();
    for told in take_told().into_iter().filter(|told| told.lsn <= head) {
        for row in told.rows.clone().into_iter().filter(is_content) {
            let id = split_suffix(&row.suffix).and_then(|(.., encoded)| key::read_id(encoded));
            rows.insert((row.layer, id.expect("a text key").to_string()), (told.clone(), row));
        }
    }
    rows
}

fn content(value: &Option<Bytes>) -> Option<Content> {
    value.as_ref().map(|value| Content::decode(value))
}

async fn read(database: &Rc<Database>, id: &'static str, lsn: Lsn) -> Option<Content> {
    let snapshot = database.at(When::Version(lsn)).await.expect("history has it");
    match observe(snapshot.run(Call::Get(Shelf::Documents, id).op(None)).await.expect("it is read")).0 {
        Observed::Value(value) => value,
        other => panic!("a document is a value, not {other:?}"),
    }
}

/// Holds what the last writer passed of these documents, and no others, against what its database reads.
async fn check(database: &Rc<Database>, ids: &[&'static str]) {
    let rows = passed(database.store().head());
    let told: Vec<&str> = rows.keys().map(|(_, id)| &id[..]).collect();
    assert_eq!(told, ids, "the documents that passed");
    for (id, (told, row)) in ids.iter().zip(rows.values()) {
        let version = Version::decode(&Bytes::from(&row.after[..])).expect("a version can be read");
        let before = row.before.as_ref().expect("it is in memory");
        assert_eq!(content(before), read(database, id, Lsn(told.lsn.0 - 1)).await, "{id} before {}", told.lsn);
        assert_eq!(content(&version.here().cloned()), read(database, id, told.lsn).await, "{id} at {}", told.lsn);
    }
}

async fn put(database: &Rc<Database>, id: &'static str, n: i64) -> Lsn {
    let call = Call::Put(Shelf::Documents, vec![(id, Content { n: Some(n), by: None, padding: 0 })]);
    database.write(call.op(None), None).await.expect("it is written").1.expect("it is a commit")
}

async fn clone(origin: &Rc<Database>, name: &str) -> Rc<Database> {
    let name = DatabaseName::new(name).expect("a good name");
    origin.create_clone(Some(name.clone()), CloneOptions::default()).await.expect("it is made");
    database(origin.store(), name.as_str()).await
}

fn clone_wins() -> Policy {
    Policy::Always(Resolution::Clone)
}

#[test]
fn a_call_and_a_transaction_pass_the_door() {
    run(async |scene: crate::found::Scene| {
        let store = scene.open().await;
        let main = database(&store, "main").await;
        put(&main, "a", 1).await;
        check(&main, &["a"]).await;
        put(&main, "a", 2).await;
        check(&main, &["a"]).await;
        let body = async |open: Rc<offshoot::engine::OpenTransaction>| {
            for call in [Call::Delete(Shelf::Documents, vec!["a"]), Call::Insert(vec![("b", Content::default())])] {
                open.run(call.op(None)).await?;
            }
            Ok::<_, offshoot::error::Error>(())
        };
        let ended = main.transact(TransactionOptions::default(), body).await.expect("it commits");
        assert!(matches!(ended, Ended::Committed((), Some(_))));
        check(&main, &["a", "b"]).await;
        let draft = clone(&main, "draft").await;
        put(&draft, "b", 3).await;
        check(&draft, &["b"]).await;
    });
}

#[test]
fn merging_and_going_back_pass_the_door() {
    run(async |scene: crate::found::Scene| {
        let store = scene.open().await;
        let main = database(&store, "main").await;
        let first = put(&main, "a", 1).await;
        let draft = clone(&main, "draft").await;
        put(&draft, "a", 2).await;
        put(&draft, "b", 3).await;
        let last = put(&main, "c", 4).await;
        take_told();
        let options = RebaseOptions { policy: clone_wins(), ..RebaseOptions::default() };
        draft.rebase(options).await.expect("it is rebased");
        check_anew(&draft, &["a", "b"]).await;
        let options = MergeOptions { policy: clone_wins(), ..MergeOptions::default() };
        draft.merge(options).await.expect("it is merged");
        check(&main, &["a", "b"]).await;
        main.revert(&[last], &clone_wins(), false).await.expect("it is reverted");
        check(&main, &["c"]).await;
        main.restore(When::Version(first), None).await.expect("it is restored");
        check(&main, &["a", "b"]).await;
        put(&draft, "a", 5).await;
        let moved = put(&draft, "d", 6).await;
        take_told();
        // One document is forgotten, so the other is written into a new layer.
        let select: offshoot::engine::Select = Rc::new(|changes| {
            let select = move |place: usize| match place {
                0 => offshoot::engine::Selected::All,
                _ => offshoot::engine::Selected::Nothing,
            };
            Box::pin(async move { Ok((0..changes.len()).map(select).collect()) })
        });
        draft.reset(Some(select)).await.expect("it is reset");
        check_anew(&draft, &["d"]).await;
        draft.restore(When::Version(moved), None).await.expect("it is restored");
        check_anew(&draft, &["a", "d"]).await;
    });
}

/// As `check`, of a layer that is new: its rows are told over what lies below it, not over the layer before.
async fn check_anew(database: &Rc<Database>, ids: &[&'static str]) {
    let rows = passed(database.store().head());
    assert_eq!(rows.keys().map(|(_, id)| &id[..]).collect::<Vec<_>>(), ids, "the documents that passed");
    let main = crate::found::database(database.store(), "main").await;
    for (id, (told, row)) in ids.iter().zip(rows.values()) {
        let link = database.lineage().await.expect("it is told")[0].as_of.expect("it is a clone");
        let version = Version::decode(&Bytes::from(&row.after[..])).expect("a version can be read");
        let before = row.before.as_ref().expect("it is in memory");
        assert_eq!(content(before), read(&main, id, link).await, "{id} below {}", told.lsn);
        assert_eq!(content(&version.here().cloned()), read(database, id, told.lsn).await, "{id} at {}", told.lsn);
    }
}

/// The bytes of an export, in one piece.
struct Whole(Option<Vec<u8>>);

impl Source for Whole {
    fn next(&mut self, _: ImportProgress) -> LocalFuture<'_, Result<Option<Vec<u8>>>> {
        Box::pin(async move { Ok(self.0.take()) })
    }
}

#[test]
fn an_import_and_copies_pass_the_door() {
    run(async |scene: crate::found::Scene| {
        let store = scene.open().await;
        let main = database(&store, "main").await;
        put(&main, "a", 1).await;
        put(&main, "b", 2).await;
        let mut export = main.snapshot().await.expect("it reads").export("main", ExportOptions::default());
        let mut bytes = Vec::new();
        while let Some(more) = export.next().await.expect("it is exported") {
            bytes.extend(more);
        }
        put(&main, "a", 3).await;
        let draft = clone(&main, "draft").await;
        put(&draft, "b", 4).await;
        take_told();
        for into in [&main, &draft] {
            let mut source = Whole(Some(bytes.clone()));
            into.import(&mut source, ImportOptions { replace: true }).await.expect("it is imported");
            check(into, &["a", "b"]).await;
        }
        let other = clone(&main, "other").await;
        put(&other, "b", 5).await;
        take_told();
        other.materialize(&|_| true).await.expect("it is copied");
        let rows = passed(store.head());
        let link = rows.values().next().expect("copies passed").0.lsn;
        for ((_, id), (told, row)) in &rows {
            assert!(told.commit.is_none(), "a copy is of no commit");
            let version = Version::decode(&Bytes::from(&row.after[..])).expect("a version can be read");
            let id = ["a", "b"].into_iter().find(|known| known == id).expect("a known id");
            assert_eq!(content(&version.here().cloned()), read(&main, id, link).await, "{id}");
        }
        assert!(rows.keys().any(|(_, id)| id == "a"), "the row that the clone lacked is copied");
    });
}
