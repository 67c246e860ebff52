//! Merging in short words.

use std::rc::Rc;

use offshoot::engine::{
    Conflict, MergeOptions, MergeReport, Policy, Reason, RebaseOptions, Resolution, Select, Selected, Side,
};
use offshoot::types::Bytes;
use offshoot::types::key::read_id;

use super::{Db, pause, unpack};

pub fn always(resolution: Resolution) -> MergeOptions {
    MergeOptions { policy: Policy::Always(resolution), ..MergeOptions::default() }
}

pub async fn merge(db: &Db) -> MergeReport {
    merge_with(db, MergeOptions::default()).await
}

pub async fn merge_with(db: &Db, options: MergeOptions) -> MergeReport {
    db.0.merge(options).await.expect("a merge")
}

pub async fn rebase(db: &Db) -> MergeReport {
    db.0.rebase(RebaseOptions::default()).await.expect("a rebase")
}

/// A selection by a function on ids.
pub fn select(choose: impl Fn(&str) -> Selected + 'static) -> Select {
    let choose = Rc::new(choose);
    Rc::new(move |changes| {
        let choose = choose.clone();
        Box::pin(async move {
            pause().await;
            Ok(changes.iter().map(|change| choose(&read_id(&change.key).expect("a text"))).collect())
        })
    })
}

pub fn only(choose: impl Fn(&str) -> Selected + 'static) -> MergeOptions {
    MergeOptions { only: Some(select(choose)), ..MergeOptions::default() }
}

/// Conflicts, as `reason collection/key field: base/clone/origin`.
pub fn told(report: &MergeReport) -> Vec<String> {
    let side = |value: &Option<Bytes>| match value {
        Some(value) => unpack(value).to_string(),
        None => "-".to_string(),
    };
    let conflict = |conflict: &Conflict| {
        let reason = if conflict.reason == Reason::Field { "field" } else { "row" };
        let (key, field) = (read_id(&conflict.key).expect("a text"), conflict.field.clone().unwrap_or_default());
        let [base, clone, origin] = [&conflict.base, &conflict.clone, &conflict.origin].map(side);
        format!("{reason} {}/{key} {field}: {base}/{clone}/{origin}", conflict.collection)
    };
    report.conflicts.iter().map(conflict).collect()
}

pub fn counts(report: &MergeReport) -> (u64, u64, u64) {
    (report.inserted, report.updated, report.deleted)
}

pub async fn changed(db: &Db) -> Vec<String> {
    let changes = db.0.diff(Side::Origin).await.expect("a diff");
    changes.iter().map(|change| read_id(&change.key).expect("a text")).collect()
}
