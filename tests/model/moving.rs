//! Merging and going back, on the engine and on the model.

use std::cell::RefCell;
use std::rc::Rc;

use offshoot::engine::{
    Conflict, MergeOptions, MergeOutcome as Found, MergeReport, Policy as EnginePolicy, Reason, RebaseOptions,
    Resolution, Select, Selected, When,
};
use offshoot::error::{Error, ErrorCode};
use offshoot::types::key::read_id;
use offshoot::types::{Bytes, DatabaseName, Lsn};

use crate::model::Model;
use crate::moves::{MergeAs, Outcome, Pick, Picks, Policy, Report, Told, pick};
use crate::program::{Merging, NAMES, Step};
use crate::rows::{DOCUMENTS, ENTRIES, Key, Write};
use crate::runner::{Runner, same};
use crate::support::{Db, unpack};
use crate::three_way::Winner;

/// How many commits back programs go: the last ones matter most.
const NEAR: u64 = 16;

fn policy(policy: Policy) -> EnginePolicy {
    EnginePolicy::Always(match policy {
        None => Resolution::Fail,
        Some(Winner::Clone) => Resolution::Clone,
        Some(Winner::Origin) => Resolution::Origin,
    })
}

fn key(collection: &str, key: &[u8]) -> Key {
    let name = DOCUMENTS.into_iter().chain([ENTRIES]).find(|name| *name == collection);
    (name.expect("a collection of ours"), read_id(key).expect("a text"))
}

fn told(conflict: &Conflict) -> Told {
    let value = |side: &Option<Bytes>| side.as_ref().map(|value| unpack(value));
    let path: Vec<String> = conflict.field.iter().flat_map(|field| field.split('.')).map(String::from).collect();
    assert_eq!(conflict.reason == Reason::Row, path.is_empty());
    let sides = [&conflict.base, &conflict.clone, &conflict.origin].map(value);
    (key(&conflict.collection, &conflict.key), (path, sides))
}

/// A report in the model's words; its conflicts in no order.
fn report(found: &MergeReport) -> Report {
    let outcome = match found.outcome {
        Found::Merged => Outcome::Merged,
        Found::Nothing => Outcome::Nothing,
        Found::Conflict => Outcome::Conflict,
    };
    let counts = [found.inserted, found.updated, found.deleted];
    sorted(Report { outcome, counts, conflicts: found.conflicts.iter().map(told).collect() })
}

fn sorted(mut report: Report) -> Report {
    report.conflicts.sort_by(|(a, (a_path, _)), (b, (b_path, _))| (a, a_path).cmp(&(b, b_path)));
    report
}

type Between = Rc<RefCell<Option<(Db, Vec<Write>)>>>;

/// Selects as the model does. When it is asked for the first time, another tab writes.
fn select(picks: &Picks, between: &Between) -> Select {
    let (picks, between) = (picks.clone(), between.clone());
    Rc::new(move |changes| {
        let (picks, between) = (picks.clone(), between.clone());
        Box::pin(async move {
            let writes = between.take();
            for (db, write) in writes.iter().flat_map(|(db, writes)| writes.iter().map(move |write| (db, write))) {
                // The answer is not compared: the model repeats the write, and its rows are compared.
                let _ = db.run(write.op()).await;
            }
            let selected = changes.iter().map(|change| {
                let value = |side: &Option<Bytes>| side.as_ref().map(|value| unpack(value));
                let (before, after) = (value(&change.before), value(&change.after));
                match pick(&picks, &key(&change.collection, &change.key), before.as_ref(), after.as_ref()) {
                    Pick::All => Selected::All,
                    Pick::Nothing => Selected::Nothing,
                    Pick::Field(name) => Selected::Fields(vec![name.to_string()]),
                }
            });
            Ok(selected.collect())
        })
    })
}

/// A point of the model's history between two LSNs.
fn within(number: u64, from: u64, to: u64) -> u64 {
    from + number % (to - from + 1)
}

impl Model {
    /// The name of one of the clones, if there are any.
    pub fn pick_clone(&self, number: usize) -> String {
        let is_clone = |name: &&String| self.get(name).origin.is_some();
        let names: Vec<_> = self.databases().keys().filter(is_clone).collect();
        if names.is_empty() { self.pick(number) } else { names[number % names.len()].clone() }
    }

    /// One of the last points, and now and then one that is too early.
    fn near(&self, name: &str, number: u64) -> u64 {
        within(number, self.head().saturating_sub(NEAR).max(self.get(name).id - 1), self.head())
    }
}

impl Runner {
    pub async fn merge(&mut self, step: &Merging) -> usize {
        let name = self.model.pick_clone(step.clone);
        let db = self.handle(step.tab, &name, false).await;
        let clone = self.model.get(&name);
        let beside = match (&clone.origin, step.in_origin) {
            (Some(origin), true) => origin.name.clone(),
            _ => name.clone(),
        };
        let at = step.at.map(|at| within(at, clone.layer.saturating_sub(1), self.model.head()));
        let how = MergeAs { policy: step.policy, only: step.only.as_ref(), at, is_dry: step.is_dry };
        let other = self.handle(step.beside, &beside, false).await;
        let between: Between = Rc::new(RefCell::new(Some((other, step.between.clone()))));
        let options = MergeOptions {
            policy: policy(step.policy),
            only: step.only.as_ref().map(|picks| select(picks, &between)),
            at: at.map(|at| When::Version(Lsn(at))),
            dry_run: step.is_dry,
            heed: None,
        };
        let found = db.0.merge(options).await;
        if between.borrow().is_none() {
            let before = self.model.clone().merge(&name, &how);
            let commits = before.as_ref().is_ok_and(|report| report.outcome == Outcome::Merged && !step.is_dry);
            for write in &step.between {
                let _ = self.model.write(&beside, write);
            }
            if !commits {
                same_report(found, before, step);
                self.refresh(step.tab).await;
                return step.tab;
            }
        }
        let expected = self.model.merge(&name, &how);
        same_report(found, expected, step);
        self.refresh(step.tab).await;
        step.tab
    }

    pub async fn refresh(&self, tab: usize) {
        self.tabs[tab].store.refresh().await.expect("a refresh");
    }

    pub async fn rebase_or_reset(&mut self, step: &Step) -> usize {
        match step {
            Step::Rebase { tab, clone, policy: settled, to, is_dry } => {
                let name = self.model.pick_clone(*clone);
                let db = self.handle(*tab, &name, false).await;
                let as_of = self.model.get(&name).origin.as_ref().map_or(1, |origin| origin.as_of);
                let to = to.map(|to| within(to, as_of.saturating_sub(1), self.model.head()));
                let when = to.map(|to| When::Version(Lsn(to)));
                let found =
                    db.0.rebase(RebaseOptions { policy: policy(*settled), to: when, dry_run: *is_dry, heed: None })
                        .await;
                same_report(found, self.model.rebase(&name, *settled, to, *is_dry), step);
                *tab
            }
            Step::Reset { tab, clone, only } => {
                let name = self.model.pick_clone(*clone);
                let db = self.handle(*tab, &name, only.is_none()).await;
                let select = only.as_ref().map(|picks| select(picks, &Between::default()));
                same(db.0.reset(select).await.map(drop), self.model.reset(&name, only.as_ref()), step);
                *tab
            }
            _ => unreachable!("another step"),
        }
    }

    pub async fn go_back(&mut self, step: &Step) -> usize {
        match step {
            Step::Revert { tab, database, commits, policy: settled, is_dry } => {
                let name = self.model.pick(*database);
                let db = self.handle(*tab, &name, false).await;
                let commits: Vec<u64> = commits.iter().map(|number| self.model.near(&name, *number)).collect();
                let lsns: Vec<Lsn> = commits.iter().map(|lsn| Lsn(*lsn)).collect();
                let found = db.0.revert(&lsns, &policy(*settled), *is_dry).await;
                same_report(found, self.model.revert(&name, &commits, *settled, *is_dry), step);
                *tab
            }
            Step::Restore { tab, database, at, keep } => {
                let name = self.model.pick(*database);
                let db = self.handle(*tab, &name, false).await;
                let (lsn, keep) = (self.model.near(&name, *at), keep.map(|keep| NAMES[keep]));
                let kept = keep.map(|keep| DatabaseName::new(keep).expect("a good name"));
                let found = db.0.restore(When::Version(Lsn(lsn)), kept).await;
                same(found.map(drop), self.model.restore(&name, lsn, keep), step);
                *tab
            }
            _ => unreachable!("another step"),
        }
    }
}

fn same_report(found: Result<MergeReport, Error>, expected: Result<Report, ErrorCode>, what: &impl std::fmt::Debug) {
    same(found.map(|found| report(&found)), expected.map(sorted), what);
}
