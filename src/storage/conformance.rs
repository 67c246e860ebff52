//! One suite for every backend: each case cites the number of the contract that it checks, on a store made for it.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use super::{Batch, Durability, ListRange, LocalFuture, Lock, NAME_BYTES, NameRange, Outcome, Place, Space, Storage};
use crate::error::ErrorCode;
use crate::types::limits;

/// Runs every case on an empty storage of its own; panics with the contract's number where one is broken.
pub async fn check_all(make: impl Fn() -> LocalFuture<'static, Rc<dyn Storage>>) {
    reads_in_the_order_asked(make().await).await;
    lists_in_the_order_of_names(make().await).await;
    many_names_are_listed(make().await).await;
    writes_are_all_or_nothing(make().await).await;
    guards_are_checked(make().await).await;
    a_batch_deletes_before_it_puts(make().await).await;
    a_name_in_every_list_is_checked_first(make().await).await;
    ranges_are_deleted(make().await).await;
    spaces_are_apart(make().await).await;
    bytes_come_back_as_they_were(make().await).await;
    strict_writes_are_there_too(make().await).await;
    the_log_is_numbered(make().await).await;
    a_log_that_goes_on_refuses(make().await).await;
    large_records_are_appended_together(make().await).await;
    a_write_goes_on_by_itself(make().await).await;
    the_largest_record_fits(make().await).await;
    a_lock_has_one_holder(make().await).await;
    closed_is_closed(make().await).await;
}

fn place(space: Space, name: &str) -> Place {
    (space, name.to_string())
}

fn put(records: &[(Space, &str, &[u8])]) -> Batch {
    let put = records.iter().map(|(space, name, bytes)| (*space, name.to_string(), bytes.to_vec())).collect();
    Batch { put, ..Batch::default() }
}

async fn write(storage: &Rc<dyn Storage>, batch: Batch) -> bool {
    storage.write(batch).await.expect("contract 3: a write in order").is_written()
}

fn append(records: &[&[u8]]) -> Batch {
    Batch { append: records.iter().map(|record| record.to_vec()).collect(), ..Batch::default() }
}

async fn outcome(storage: &Rc<dyn Storage>, batch: Batch) -> Outcome {
    storage.write(batch).await.expect("contract 3: a write in order")
}

async fn numbers(storage: &Rc<dyn Storage>, after: u64, limit: usize) -> Vec<u64> {
    let logged = storage.log(after, limit).await.expect("contract 10: the log in order");
    logged.into_iter().map(|(number, _)| number).collect()
}

async fn read(storage: &Rc<dyn Storage>, space: Space, names: &[&str]) -> Vec<Option<Vec<u8>>> {
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    storage.read(space, &names).await.expect("contract 1: a read in order")
}

/// The names in a range, which both kinds of list agree on.
async fn names(storage: &Rc<dyn Storage>, from: Option<&str>, before: Option<&str>, limit: usize) -> Vec<String> {
    let range = ListRange { from: from.map(str::to_string), before: before.map(str::to_string), limit };
    let listed = storage.list(Space::Outbox, range.clone()).await.expect("contract 2: a list in order");
    let listed: Vec<_> = listed.into_iter().map(|(name, _)| name).collect();
    let names = storage.names(Space::Outbox, range).await.expect("contract 2: a list of names");
    assert_eq!(names, listed, "contract 2: the names of what is listed");
    names
}

async fn reads_in_the_order_asked(storage: Rc<dyn Storage>) {
    assert!(write(&storage, put(&[(Space::Meta, "a", b"1"), (Space::Meta, "b", b"2")])).await);
    let found = read(&storage, Space::Meta, &["b", "none", "a", "b"]).await;
    let expected = [Some(b"2".to_vec()), None, Some(b"1".to_vec()), Some(b"2".to_vec())];
    assert_eq!(found, expected, "contract 1: each name's bytes, in the order asked");
    assert!(read(&storage, Space::Meta, &[]).await.is_empty(), "contract 1: nothing asked, nothing given");
}

async fn lists_in_the_order_of_names(storage: Rc<dyn Storage>) {
    let records: Vec<(Space, &str, &[u8])> =
        ["b", "a-1", "a", "c", "a-0", "B"].map(|n| (Space::Outbox, n, &b""[..])).into();
    assert!(write(&storage, put(&records)).await);
    assert_eq!(names(&storage, None, None, 10).await, ["B", "a", "a-0", "a-1", "b", "c"], "contract 2: in order");
    assert_eq!(names(&storage, Some("a-0"), None, 2).await, ["a-0", "a-1"], "contract 2: from is included");
    assert_eq!(names(&storage, Some("a"), Some("b"), 10).await, ["a", "a-0", "a-1"], "contract 2: before is not");
    assert_eq!(names(&storage, Some("b"), Some("b"), 10).await, [""; 0], "contract 2: an empty range");
    assert_eq!(names(&storage, Some("d"), Some("a"), 10).await, [""; 0], "contract 2: a range turned over is empty");
    assert_eq!(names(&storage, None, None, 0).await, [""; 0], "contract 2: no limit is no record");
}

async fn many_names_are_listed(storage: Rc<dyn Storage>) {
    let all: Vec<String> = (0..1000).map(|n| format!("{n:0width$}", width = NAME_BYTES)).collect();
    let put = all.iter().map(|name| (Space::Outbox, name.clone(), vec![1])).collect();
    assert!(write(&storage, Batch { put, ..Batch::default() }).await);
    assert_eq!(names(&storage, None, None, 1001).await, all, "contract 2: all of them, however many");
    assert_eq!(names(&storage, Some(&all[300]), None, 400).await, all[300..700], "contract 2: at most the limit");
}

async fn writes_are_all_or_nothing(storage: Rc<dyn Storage>) {
    assert!(write(&storage, put(&[(Space::Outbox, "1", b"kept")])).await);
    let mut batch = put(&[(Space::Outbox, "0", b"new"), (Space::Outbox, "1", b"over"), (Space::Blocks, "x", b"new")]);
    batch.delete.push(place(Space::Meta, "none"));
    batch.absent.push(place(Space::Outbox, "1"));
    assert!(!write(&storage, batch).await, "contract 4: a record in absent is there");
    assert_eq!(
        read(&storage, Space::Outbox, &["0", "1"]).await,
        [None, Some(b"kept".to_vec())],
        "contract 3: nothing of it"
    );
    assert_eq!(read(&storage, Space::Blocks, &["x"]).await, [None], "contract 3: nothing of it in any space");
}

async fn guards_are_checked(storage: Rc<dyn Storage>) {
    let guarded = |absent: &str, present: &str| {
        let mut batch = put(&[(Space::Outbox, "1", b"1")]);
        batch.absent.push(place(Space::Outbox, absent));
        batch.present.push(place(Space::Meta, present));
        batch
    };
    assert!(!write(&storage, guarded("1", "manifest")).await, "contract 4: a record in present is not there");
    assert_eq!(read(&storage, Space::Outbox, &["1"]).await, [None], "contract 4: nothing is written");
    assert!(write(&storage, put(&[(Space::Meta, "manifest", b"")])).await);
    assert!(write(&storage, guarded("1", "manifest")).await, "contract 5: a name may be in absent and in put");
    assert!(!write(&storage, guarded("1", "manifest")).await, "contract 4: the second one collides");
    let fence = Batch { absent: vec![place(Space::Meta, "closed/1")], ..put(&[(Space::Outbox, "2", b"2")]) };
    assert!(write(&storage, fence.clone()).await, "contract 4: absent without put");
    assert_eq!(read(&storage, Space::Meta, &["closed/1"]).await, [None], "contract 4: a check leaves nothing behind");
    assert!(write(&storage, put(&[(Space::Meta, "closed/1", b"")])).await);
    assert!(!write(&storage, fence).await, "contract 4: a closed fence stops a write");
}

async fn a_batch_deletes_before_it_puts(storage: Rc<dyn Storage>) {
    assert!(write(&storage, put(&[(Space::Outbox, "1", b"old"), (Space::Outbox, "2", b"old")])).await);
    let mut batch = put(&[(Space::Outbox, "1", b"new")]);
    batch.delete = vec![place(Space::Outbox, "1"), place(Space::Outbox, "2"), place(Space::Outbox, "none")];
    batch.present = vec![place(Space::Outbox, "2")];
    assert!(write(&storage, batch).await);
    assert_eq!(
        read(&storage, Space::Outbox, &["1", "2"]).await,
        [Some(b"new".to_vec()), None],
        "contract 5: the order"
    );
}

async fn a_name_in_every_list_is_checked_first(storage: Rc<dyn Storage>) {
    for is_range in [false, true] {
        let mut batch = put(&[(Space::Outbox, "1", b"new")]);
        batch.absent.push(place(Space::Outbox, "1"));
        match is_range {
            true => batch.delete_range.push((Space::Outbox, "1".to_string(), "2".to_string())),
            false => batch.delete.push(place(Space::Outbox, "1")),
        }
        assert!(write(&storage, batch.clone()).await, "contract 5: a name may stand in several lists");
        assert!(!write(&storage, batch).await, "contract 5: checks come before deletes");
        let delete = Batch { delete: vec![place(Space::Outbox, "1")], ..Batch::default() };
        assert!(write(&storage, delete).await);
    }
}

async fn ranges_are_deleted(storage: Rc<dyn Storage>) {
    let all = ["a", "b", "b-1", "b-2", "c"];
    let records: Vec<(Space, &str, &[u8])> = all.map(|name| (Space::Outbox, name, &b"old"[..])).into();
    assert!(write(&storage, put(&records)).await);
    assert!(write(&storage, put(&[(Space::Jobs, "b", b"kept")])).await);
    let range = |from: &str, before: &str| (Space::Outbox, from.to_string(), before.to_string());
    let delete = |ranges: &[NameRange]| Batch { delete_range: ranges.to_vec(), ..Batch::default() };
    assert!(write(&storage, delete(&[range("b", "b"), range("c", "a"), range("x", "y")])).await);
    assert_eq!(names(&storage, None, None, 9).await, all, "contract 5: such ranges delete nothing");
    let mut refused = delete(&[range("a", "z")]);
    refused.present.push(place(Space::Meta, "none"));
    assert!(!write(&storage, refused).await);
    assert_eq!(names(&storage, None, None, 9).await, all, "contract 4: nothing is deleted");
    let both = Batch { put: put(&[(Space::Outbox, "b-2", b"new")]).put, ..delete(&[range("b", "b-9")]) };
    assert!(write(&storage, both).await);
    assert_eq!(names(&storage, None, None, 9).await, ["a", "b-2", "c"], "contract 5: ranges go before puts come");
    assert_eq!(read(&storage, Space::Outbox, &["b-2"]).await, [Some(b"new".to_vec())]);
    assert!(write(&storage, delete(&[range("a", "b"), range("b", "c")])).await);
    assert_eq!(names(&storage, None, None, 9).await, ["c"], "contract 5: what is named before stays");
    assert_eq!(read(&storage, Space::Jobs, &["b"]).await, [Some(b"kept".to_vec())], "contract 1: spaces are apart");
}

async fn spaces_are_apart(storage: Rc<dyn Storage>) {
    let spaces = || Space::ALL.into_iter().filter(|space| *space != Space::Log);
    for space in spaces() {
        assert!(write(&storage, put(&[(space, "name", space.as_str().as_bytes())])).await);
    }
    for space in spaces() {
        let found = read(&storage, space, &["name"]).await;
        assert_eq!(found, [Some(space.as_str().as_bytes().to_vec())], "contract 1: spaces are apart");
    }
}

async fn bytes_come_back_as_they_were(storage: Rc<dyn Storage>) {
    let all: Vec<u8> = (0..60_000u32).map(|n| (n % 251) as u8).collect();
    assert!(write(&storage, put(&[(Space::Blocks, "all", &all), (Space::Blocks, "empty", b"")])).await);
    let found = read(&storage, Space::Blocks, &["all", "empty"]).await;
    assert_eq!(found, [Some(all), Some(Vec::new())], "contract 1: the same bytes, none of them too");
}

async fn strict_writes_are_there_too(storage: Rc<dyn Storage>) {
    let batch = Batch { durability: Durability::Strict, ..put(&[(Space::Outbox, "1", b"1")]) };
    assert!(write(&storage, batch).await, "contract 6: strict");
    assert_eq!(read(&storage, Space::Outbox, &["1"]).await, [Some(b"1".to_vec())]);
}

async fn the_log_is_numbered(storage: Rc<dyn Storage>) {
    assert_eq!(numbers(&storage, 0, 9).await, [0; 0], "contract 10: an empty log");
    assert_eq!(outcome(&storage, append(&[b"a", b"b"])).await, Outcome::Written(2), "contract 9: from 1 on");
    let mut refused = append(&[b"lost"]);
    refused.present.push(place(Space::Meta, "none"));
    assert_eq!(outcome(&storage, refused).await, Outcome::Refused, "contract 4: nothing is appended");
    assert_eq!(outcome(&storage, append(&[b"c"])).await, Outcome::Written(3), "contract 9: no hole");
    assert_eq!(outcome(&storage, put(&[(Space::Meta, "m", b"")])).await, Outcome::Written(0), "contract 9: none");
    let logged = storage.log(1, 9).await.expect("contract 10");
    assert_eq!(logged, [(2, b"b".to_vec()), (3, b"c".to_vec())], "contract 10: behind a number");
    assert_eq!(numbers(&storage, 0, 2).await, [1, 2], "contract 10: at most the limit");
    let both = storage.list_and_log(Space::Meta, ListRange { limit: 9, ..ListRange::default() }, 2, 9).await;
    let expected = (vec![("m".to_string(), Vec::new())], vec![(3, b"c".to_vec())]);
    assert_eq!(both.expect("contract 10"), expected, "contract 10: both lists");
    assert!(write(&storage, Batch { trim: 2, ..Batch::default() }).await);
    assert_eq!(numbers(&storage, 0, 9).await, [3], "contract 10: up to a number");
    assert!(write(&storage, Batch { trim: 7, ..Batch::default() }).await);
    assert_eq!(outcome(&storage, append(&[b"d"])).await, Outcome::Written(4), "contract 9: no number twice");
    let all = Batch { trim: 4, put: put(&[(Space::Meta, "n", b"1")]).put, ..append(&[b"e"]) };
    assert_eq!(outcome(&storage, all).await, Outcome::Written(5), "contract 3: all of it");
    assert_eq!(numbers(&storage, 0, 9).await, [5]);
    assert_eq!(read(&storage, Space::Meta, &["n"]).await, [Some(b"1".to_vec())]);
}

async fn a_log_that_goes_on_refuses(storage: Rc<dyn Storage>) {
    let behind = |last: u64| Batch { last: Some(last), ..append(&[b"x"]) };
    assert_eq!(outcome(&storage, behind(0)).await, Outcome::Written(1), "contract 4: the log is empty");
    assert_eq!(outcome(&storage, behind(0)).await, Outcome::Refused, "contract 4: the log goes on");
    assert_eq!(outcome(&storage, behind(1)).await, Outcome::Written(2), "contract 4: this is its end");
    let guard = Batch { last: Some(1), ..Batch::default() };
    assert_eq!(outcome(&storage, guard).await, Outcome::Refused, "contract 4: a guard alone");
}

async fn large_records_are_appended_together(storage: Rc<dyn Storage>) {
    let records: Vec<Vec<u8>> = (0..20).map(|n| vec![n; 60_000]).collect();
    let batch = Batch { append: records.clone(), durability: Durability::Strict, ..Batch::default() };
    assert_eq!(outcome(&storage, batch).await, Outcome::Written(20), "contract 9: the last number given");
    let logged = storage.log(0, 100).await.expect("contract 10");
    assert!(logged.into_iter().map(|(_, record)| record).eq(records), "contract 9: in their order");
}

async fn a_write_goes_on_by_itself(storage: Rc<dyn Storage>) {
    let guarded = |name: &str| {
        let present = vec![place(Space::Meta, "job")];
        Batch { present, ..put(&[(Space::Outbox, name, b"1")]) }
    };
    assert!(write(&storage, put(&[(Space::Meta, "job", b"")])).await);
    let mut begun: Vec<_> = ["1", "2"].map(|name| storage.write(guarded(name))).into_iter().map(Some).collect();
    // Polls each once, and lets go of the second.
    poll_fn(|context| {
        for write in &mut begun {
            if let Some(Poll::Ready(outcome)) = write.as_mut().map(|write| write.as_mut().poll(context)) {
                assert!(outcome.expect("contract 11: a write in order").is_written());
                *write = None;
            }
        }
        Poll::Ready(())
    })
    .await;
    begun.truncate(1);
    let mut tries = 0;
    while read(&storage, Space::Outbox, &["1", "2"]).await.contains(&None) {
        tries += 1;
        assert!(tries < 1000, "contract 11: a write that nobody polls is done");
    }
    if let Some(first) = begun.remove(0) {
        assert!(first.await.expect("contract 11: its answer can be had later").is_written());
    }
}

async fn the_largest_record_fits(storage: Rc<dyn Storage>) {
    let most = storage.record_bytes();
    assert!(most >= limits::RECORD_BYTES, "contract 12: at least so many");
    let record: Vec<u8> = (0..most).map(|n| (n % 251) as u8).collect();
    assert_eq!(
        outcome(&storage, Batch { append: vec![record.clone()], ..put(&[(Space::Blocks, "most", &record)]) }).await,
        Outcome::Written(1),
        "contract 12: a record of the greatest size, in a space and in the log"
    );
    assert!(read(&storage, Space::Blocks, &["most"]).await == [Some(record.clone())], "contract 12: it is there");
    let logged = storage.log(0, 1).await.expect("contract 10");
    assert!(logged == [(1, record)], "contract 12: it is in the log");
}

/// A storage without locks has nothing to keep here.
async fn a_lock_has_one_holder(storage: Rc<dyn Storage>) {
    let Lock::Held(first) = storage.lock("a").await else {
        assert!(matches!(storage.lock("a").await, Lock::Unavailable), "contract 13: nobody has it");
        return;
    };
    assert!(matches!(storage.lock("a").await, Lock::Taken), "contract 13: one at a time");
    assert!(matches!(storage.lock("b").await, Lock::Held(_)), "contract 13: each name has its lock");
    drop(first);
    let mut tries = 0;
    while !matches!(storage.lock("a").await, Lock::Held(_)) {
        tries += 1;
        assert!(tries < 1000, "contract 13: it can be had once it was dropped");
    }
}

async fn closed_is_closed(storage: Rc<dyn Storage>) {
    storage.close().await.expect("contract 8: close");
    let code = |error: crate::error::Error| error.code();
    assert_eq!(
        storage.read(Space::Outbox, &["1".into()]).await.map_err(code),
        Err(ErrorCode::Closed),
        "contract 8: read"
    );
    assert_eq!(storage.write(Batch::default()).await.map_err(code), Err(ErrorCode::Closed), "contract 8: write");
    let listed = storage.list(Space::Outbox, ListRange { limit: 1, ..ListRange::default() }).await;
    assert_eq!(listed.map_err(code), Err(ErrorCode::Closed), "contract 8: list");
    let named = storage.names(Space::Outbox, ListRange { limit: 1, ..ListRange::default() }).await;
    assert_eq!(named.map_err(code), Err(ErrorCode::Closed), "contract 8: names");
    assert_eq!(storage.log(0, 1).await.map_err(code), Err(ErrorCode::Closed), "contract 8: log");
}
