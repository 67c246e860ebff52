//! Faults that seeds have found, each as a small test of its own: one tab is held where another must not come between,
//! and does.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;

use offshoot::engine::{CloneOptions, Database, OpenOptions, Store, When, take_told};
use offshoot::error::{ErrorCode, Result};
use offshoot::storage::{
    Batch, ListRange, Listed, LocalFuture, Logged, MemoryDisk, MemoryStorage, Outcome, Space, Storage,
};
use offshoot::types::{DatabaseName, Lsn};

use crate::call::{Call, Content, IDS, Observed, Shelf, observe};
use crate::executor::{Owner, WORLD};
use crate::platform::SimulatedPlatform;
use crate::world::World;

/// The kind of request at which a tab is held.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Of any kind, after so many others.
    After(u32),
    Read(Space),
    List(Space),
    Write,
}

type Intrusion = (Moment, LocalFuture<'static, ()>);

/// A connection before whose next request of one kind something else is done.
struct HeldStorage {
    inner: MemoryStorage,
    intrusion: Rc<RefCell<Option<Intrusion>>>,
}

impl HeldStorage {
    async fn hold(&self, moment: Moment) {
        let is_now = match &mut *self.intrusion.borrow_mut() {
            Some((Moment::After(others), _)) if *others > 0 => {
                *others -= 1;
                false
            }
            Some((when, _)) => *when == moment || *when == Moment::After(0),
            None => false,
        };
        let intrusion = if is_now { self.intrusion.take() } else { None };
        if let Some((_, intrusion)) = intrusion {
            intrusion.await;
        }
    }
}

impl Storage for HeldStorage {
    fn read<'a>(&'a self, space: Space, names: &'a [String]) -> LocalFuture<'a, Result<Vec<Option<Vec<u8>>>>> {
        Box::pin(async move {
            self.hold(Moment::Read(space)).await;
            self.inner.read(space, names).await
        })
    }

    fn list<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Listed>> {
        Box::pin(async move {
            self.hold(Moment::List(space)).await;
            self.inner.list(space, range).await
        })
    }

    fn names<'a>(&'a self, space: Space, range: ListRange) -> LocalFuture<'a, Result<Vec<String>>> {
        self.inner.names(space, range)
    }

    fn log(&self, after: u64, limit: usize) -> LocalFuture<'_, Result<Logged>> {
        self.inner.log(after, limit)
    }

    fn write(&self, batch: Batch) -> LocalFuture<'_, Result<Outcome>> {
        Box::pin(async move {
            self.hold(Moment::Write).await;
            self.inner.write(batch).await
        })
    }

    fn close(&self) -> LocalFuture<'_, Result<()>> {
        self.inner.close()
    }

    fn record_bytes(&self) -> usize {
        self.inner.record_bytes()
    }
}

/// A disk on which tabs are opened, each with the means to hold it.
#[derive(Clone)]
pub struct Scene {
    world: Rc<World>,
    disk: MemoryDisk,
    tabs: Rc<Cell<u32>>,
    /// Milliseconds of history to keep.
    retain: Rc<Cell<u64>>,
}

impl Scene {
    async fn open_held(&self, intrusion: Rc<RefCell<Option<Intrusion>>>) -> Rc<Store> {
        self.open_skewed(intrusion, 0).await
    }

    /// Opens the store in a tab whose clock is so many milliseconds ahead of the others.
    async fn open_skewed(&self, intrusion: Rc<RefCell<Option<Intrusion>>>, skew: u64) -> Rc<Store> {
        self.tabs.set(self.tabs.get() + 1);
        let (tab, skew) = (self.tabs.get(), Rc::new(Cell::new(skew)));
        let platform = Rc::new(SimulatedPlatform { world: Rc::downgrade(&self.world), tab, skew });
        let storage = Rc::new(HeldStorage { inner: MemoryStorage::open(&self.disk), intrusion });
        let options = OpenOptions { retain: Some(self.retain.get()), cache_bytes: 0, ..OpenOptions::default() };
        Store::open(platform, storage, options).await.expect("the store opens")
    }

    pub async fn open(&self) -> Rc<Store> {
        self.open_held(Rc::default()).await
    }
}

pub fn run<F: Future<Output = ()> + 'static>(body: impl FnOnce(Scene) -> F) {
    let world = World::new(0, false);
    let ended = Rc::new(Cell::new(false));
    let scene = Scene { world: world.clone(), disk: MemoryDisk::new(), tabs: Rc::default(), retain: Rc::default() };
    let (body, end) = (body(scene), ended.clone());
    let task = async move {
        body.await;
        end.set(true);
    };
    world.executor.spawn(WORLD, Box::pin(task));
    assert!(world.executor.run() && ended.get(), "the test comes to its end");
    world.clear();
}

pub async fn database(store: &Rc<Store>, name: &str) -> Rc<Database> {
    store.database(&DatabaseName::new(name).expect("a good name")).await.expect("it is there")
}

/// Puts the document `a`, too large for one block, and returns the commit.
async fn put(database: &Rc<Database>, n: i64) -> Lsn {
    let call = Call::Put(Shelf::Documents, vec![("a", Content { n: Some(n), by: None, padding: 25_000 })]);
    database.write(call.op(None), None).await.expect("it is written").1.expect("it is a commit")
}

async fn make_clone(origin: &Rc<Database>, name: &str, at: Option<Lsn>) {
    let name = Some(DatabaseName::new(name).expect("a good name"));
    let options = CloneOptions { at: at.map(When::Version), ..CloneOptions::default() };
    origin.create_clone(name, options).await.expect("a clone");
}

async fn get(database: &Rc<Database>) -> Option<i64> {
    let answer = database.run(Call::Get(Shelf::Documents, "a").op(None), None).await.expect("it is read");
    match observe(answer).0 {
        Observed::Value(value) => value.and_then(|content| content.n),
        other => panic!("a document is a value, not {other:?}"),
    }
}

/// Nothing of the store's beginning is left after the first checkpoint but the head mark, which a tab that slept finds.
#[test]
fn a_tab_that_slept_through_the_first_checkpoint_does_not_make_the_store_anew() {
    run(async |scene| {
        let (intrusion, other) = (Rc::new(RefCell::default()), scene.clone());
        let meanwhile = async move {
            let store = other.open().await;
            put(&database(&store, "main").await, 7).await;
            store.maintain().await.expect("a checkpoint");
        };
        intrusion.replace(Some((Moment::Write, Box::pin(meanwhile) as LocalFuture<'static, ()>)));
        let late = scene.open_held(intrusion).await;
        assert_eq!(get(&database(&late, "main").await).await, Some(7));
        let manifests = ListRange { from: Some("manifest/".into()), before: Some("manifest0".into()), limit: 9 };
        assert_eq!(scene.disk.list(Space::Meta, &manifests).len(), 1, "one manifest names everything");
        assert!(scene.disk.log(0, 9).iter().all(|(number, _)| *number > 3), "what was trimmed stays away");
    });
}

/// SEMANTICS R4: between a tab's last look and its raising of the floor another tab may pin what lies below it.
#[test]
fn a_vacuum_knows_a_clone_that_another_tab_made_just_before() {
    run(async |scene| {
        let (cleaner, cloner) = (scene.open().await, scene.open().await);
        let main = database(&cleaner, "main").await;
        let old = put(&main, 1).await;
        put(&main, 2).await;
        cloner.refresh().await.expect("it is told");
        make_clone(&database(&cloner, "main").await, "past", Some(old)).await;
        cleaner.compact_all().await.expect("a vacuum");
        assert_eq!(get(&database(&scene.open().await, "past").await).await, Some(1));
    });
}

/// Another tab may merge the runs that a compaction chose before that begins. The same versions must not stand in two
/// runs.
#[test]
fn runs_that_another_tab_has_merged_are_not_merged_again() {
    const OTHER: Owner = 2;
    run(async |scene| {
        scene.retain.set(u64::MAX);
        let (intrusion, frozen) = (Rc::new(RefCell::default()), Rc::new(RefCell::default()));
        let (one, other) = (scene.open_held(intrusion.clone()).await, scene.open_held(frozen.clone()).await);
        for n in 0..3 {
            put(&database(&one, "main").await, n).await;
            one.maintain().await.expect("a checkpoint");
        }
        let world = scene.world.clone();
        let meanwhile = async move {
            other.refresh().await.expect("it is told");
            put(&database(&other, "main").await, 3).await;
            // Its fourth run makes it merge all of them; then it freezes, before it deletes their blocks.
            let executor = world.executor.clone();
            let freeze = async move {
                executor.freeze(OTHER);
                executor.sleep(1).await;
            };
            frozen.replace(Some((Moment::List(Space::Jobs), Box::pin(freeze) as LocalFuture<'static, ()>)));
            let merge = async move { other.maintain().await.expect("it never ends") };
            world.executor.spawn(OTHER, Box::pin(merge));
            world.executor.sleep(1_000_000).await;
            assert!(frozen.borrow().is_none(), "it has merged");
        };
        intrusion.replace(Some((Moment::List(Space::Meta), Box::pin(meanwhile) as LocalFuture<'static, ()>)));
        one.compact_all().await.expect("a compaction that comes too late is no error");
        assert!(intrusion.borrow().is_none(), "the other tab came between");
        let fresh = scene.open().await;
        fresh.compact_all().await.expect("a compaction, in which each version is met once");
        assert_eq!(get(&database(&fresh, "main").await).await, Some(3));
    });
}

/// A plain read has no LSN to keep to: overtaken by another tab's vacuum, it reads what is there now.
#[test]
fn a_read_that_a_vacuum_overtakes_reads_the_present() {
    run(async |scene| {
        let intrusion = Rc::new(RefCell::default());
        let (reader, other) = (scene.open_held(intrusion.clone()).await, scene.open().await);
        let main = database(&reader, "main").await;
        put(&main, 1).await;
        reader.compact_all().await.expect("a compaction");
        assert_eq!(get(&main).await, Some(1), "from here on it knows where to look");
        let meanwhile = async move {
            other.refresh().await.expect("it is told");
            put(&database(&other, "main").await, 2).await;
            other.compact_all().await.expect("a vacuum");
        };
        intrusion.replace(Some((Moment::Read(Space::Blocks), Box::pin(meanwhile) as LocalFuture<'static, ()>)));
        assert_eq!(get(&main).await, Some(2));
        assert!(intrusion.borrow().is_none(), "the other tab came between");
    });
}

/// Once its link has ended, a copy may lack rows that are gone below. It is not taken in, and the door tells nothing of
/// it.
#[test]
fn the_door_tells_of_a_copy_once_it_is_taken_in() {
    run(async |scene| {
        let intrusion = Rc::new(RefCell::default());
        let (copier, other) = (scene.open_held(intrusion.clone()).await, scene.open().await);
        let main = database(&copier, "main").await;
        put(&main, 1).await;
        make_clone(&main, "dropped", None).await;
        make_clone(&main, "kept", None).await;
        let (dropped, kept) = (database(&copier, "dropped").await, database(&copier, "kept").await);
        let meanwhile = async move {
            other.refresh().await.expect("it is told");
            database(&other, "dropped").await.drop_database().await.expect("it is dropped");
        };
        intrusion.replace(Some((Moment::Write, Box::pin(meanwhile) as LocalFuture<'static, ()>)));
        let told = || take_told().iter().filter(|told| told.commit.is_none()).count();
        told();
        let error = dropped.materialize(&|_| true).await.expect_err("it was dropped meanwhile");
        assert_eq!((error.code(), told()), (ErrorCode::Closed, 0));
        assert!(intrusion.borrow().is_none(), "the other tab came between");
        kept.materialize(&|_| true).await.expect("all of it is copied");
        assert!(told() > 0, "the copies are taken in");
    });
}

/// A tab that looks at what must stay, by the floor that it knew, meets a catalog that is kept for a later one only. It
/// must not take the origin that is gone there for damage: it would never end history again.
#[test]
fn a_tab_beside_which_history_ends_finds_no_damage() {
    const OTHER: Owner = 2;
    let mut came_between = 0;
    for (position, frozen_at) in (6..14).flat_map(|position| (24..48).map(move |frozen_at| (position, frozen_at))) {
        let counted = Rc::new(Cell::new(0));
        let count = counted.clone();
        run(async move |scene| {
            let (intrusion, frozen) = (Rc::new(RefCell::default()), Rc::new(RefCell::default()));
            let (one, other) = (scene.open_held(intrusion.clone()).await, scene.open_held(frozen.clone()).await);
            let main = database(&one, "main").await;
            for n in 0..40 {
                make_clone(&main, &format!("kept-{n:02}"), None).await;
            }
            // The first slice of a merge ends between these two.
            make_clone(&main, "first", None).await;
            make_clone(&database(&one, "first").await, "last", None).await;
            one.maintain().await.expect("a run of them");
            let (world, this) = (scene.world.clone(), one.clone());
            let meanwhile = async move {
                let executor = world.executor.clone();
                let freeze = async move {
                    executor.freeze(OTHER);
                    executor.sleep(1).await;
                };
                let end_history = async move {
                    other.refresh().await.expect("it is told");
                    for name in ["last", "first"] {
                        database(&other, name).await.drop_database().await.expect("it is dropped");
                    }
                    frozen.replace(Some((Moment::After(frozen_at), Box::pin(freeze) as LocalFuture<'static, ()>)));
                    other.compact_all().await.expect("a compaction");
                };
                world.executor.spawn(OTHER, Box::pin(end_history));
                world.executor.sleep(1_000_000).await;
                // Another call of this tab takes in what the other tab has done.
                world.executor.spawn(WORLD, Box::pin(async move { drop(this.refresh().await) }));
                world.executor.sleep(1_000_000).await;
            };
            let between = Box::pin(meanwhile) as LocalFuture<'static, ()>;
            intrusion.replace(Some((Moment::After(position), between)));
            let maintained = one.maintain().await;
            assert!(maintained.is_ok(), "at {position}, the other at {frozen_at}: {maintained:?}");
            count.set(u32::from(intrusion.borrow().is_none()));
        });
        came_between += counted.get();
    }
    assert!(came_between > 100, "the other tab came between {came_between} times");
}

/// A tab whose clock is ahead takes a run that another tab is writing for abandoned. The other tab writes the run
/// again, so neither its commit nor its maintenance fails.
#[test]
fn a_run_that_is_swept_while_it_is_written_is_written_again() {
    const DAY: u64 = 24 * 60 * 60 * 1000;
    let jobs = |disk: &MemoryDisk| {
        let range = ListRange { from: Some("run-".into()), before: Some("run.".into()), limit: 9 };
        disk.names(Space::Jobs, &range).len()
    };
    // Of a commit that is too large for the log, and of a checkpoint.
    let swept = Rc::new(Cell::new((0, 0)));
    for (position, is_checkpoint) in (0..24).flat_map(|position| [(position, false), (position, true)]) {
        let count = swept.clone();
        run(async move |scene| {
            let intrusion = Rc::new(RefCell::default());
            let one = scene.open_held(intrusion.clone()).await;
            let ahead = scene.open_skewed(Rc::default(), DAY).await;
            let main = database(&one, "main").await;
            let content = Content { n: Some(position.into()), by: None, padding: 220_000 };
            let put = |rows: usize| Call::Put(Shelf::Entries, IDS[..rows].iter().map(|id| (*id, content)).collect());
            if is_checkpoint {
                main.write(put(4).op(None), None).await.expect("it is one record of the log");
            }
            let disk = scene.disk.clone();
            let meanwhile = async move {
                let before = jobs(&disk);
                ahead.maintain().await.expect("a sweep");
                let (of_commits, of_checkpoints) = count.get();
                let is_swept = u32::from(jobs(&disk) < before);
                count.set(match is_checkpoint {
                    true => (of_commits, of_checkpoints + is_swept),
                    false => (of_commits + is_swept, of_checkpoints),
                });
            };
            let between = Box::pin(meanwhile) as LocalFuture<'static, ()>;
            intrusion.replace(Some((Moment::After(position), between)));
            if is_checkpoint {
                one.maintain().await.unwrap_or_else(|error| panic!("a checkpoint, at {position}: {error}"));
            } else {
                let written = main.write(put(5).op(None), None).await.map(drop);
                written.unwrap_or_else(|error| panic!("a commit, at {position}: {error}"));
            }
            let read = main.run(Call::Get(Shelf::Entries, IDS[3]).op(None), None).await.expect("it is read");
            assert_eq!(observe(read).0, Observed::Value(Some(content)));
        });
    }
    let (of_commits, of_checkpoints) = swept.get();
    assert!(of_commits > 1 && of_checkpoints > 1, "{of_commits} and {of_checkpoints} runs were swept");
}
