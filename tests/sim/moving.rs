//! Merging and going back, as the actors of a tab do it.

use std::rc::Rc;

use offshoot::engine::{
    MergeOptions, MergeOutcome as Settling, MergeReport, Policy, RebaseOptions, Resolution, Select, Selected, When,
};
use offshoot::error::Error;
use offshoot::types::{Lsn, key};

use crate::call::{Observed, Shelf};
use crate::history::{Act, Move, Outcome, Part, Pick, Picks, Settled, Told, Winner};
use crate::workload::failed;
use crate::world::{Handle, Tab, World};

fn policy(winner: Winner) -> Policy {
    Policy::Always(match winner {
        Winner::Nobody => Resolution::Fail,
        Winner::Clone => Resolution::Clone,
        Winner::Origin => Resolution::Origin,
    })
}

fn told(report: &MergeReport) -> Told {
    let settled = match report.outcome {
        Settling::Merged => Settled::Merged,
        Settling::Nothing => Settled::Nothing,
        Settling::Conflict => Settled::Conflict,
    };
    let MergeReport { inserted, updated, deleted, .. } = *report;
    Told { settled, inserted, updated, deleted, conflicts: report.conflicts.len() as u64 }
}

/// Selects what is picked; others commit while the caller thinks it over.
fn select(world: &World, picks: Picks) -> Select {
    let (executor, random) = (world.executor.clone(), world.random.clone());
    Rc::new(move |changes| {
        let (executor, random) = (executor.clone(), random.clone());
        Box::pin(async move {
            executor.sleep(random.below(5_000)).await;
            let selected = changes.iter().map(|change| {
                let shelf = Shelf::of(change.kind).expect("only documents and entries change");
                let id = key::read_id(&change.key).expect("a text key");
                match picks.of((shelf, &id[..]), change.before.is_some() && change.after.is_some()) {
                    Pick::All => Selected::All,
                    Pick::Nothing => Selected::Nothing,
                    Pick::Field(name) => Selected::Fields(vec![name.to_string()]),
                }
            });
            Ok(selected.collect())
        })
    })
}

fn draw(world: &World, tab: &Tab) -> Move {
    let random = &world.random;
    let winner = *random.pick(&[Winner::Nobody, Winner::Clone, Winner::Clone, Winner::Origin]);
    let head = tab.head();
    let past = random.between(head.saturating_sub(8).max(1), head);
    if world.plan.selections && random.chance(600) {
        let only = random.chance(700).then(|| Picks(random.next()));
        return Move::Merge(winner, Part { only, at: random.chance(400).then_some(past) });
    }
    match random.below(12) {
        0..5 => Move::Merge(winner, Part::default()),
        5..7 => Move::Rebase(winner),
        7 => Move::Reset(None),
        8..10 => Move::Revert(past, winner),
        _ => Move::Restore(past),
    }
}

/// The report of a move, where it gives one, and its commit; `None`: there was nothing to write.
async fn carry_out(world: &World, handle: &Handle, what: Move) -> Result<(Option<Told>, Option<Lsn>), Error> {
    let database = &handle.database;
    let report = match what {
        Move::Merge(winner, Part { only, at }) => {
            let only = only.map(|picks| select(world, picks));
            let at = at.map(|lsn| When::Version(Lsn(lsn)));
            let options = MergeOptions { policy: policy(winner), only, at, ..MergeOptions::default() };
            database.merge(options).await?
        }
        Move::Rebase(winner) => {
            let options = RebaseOptions { policy: policy(winner), ..RebaseOptions::default() };
            database.rebase(options).await?
        }
        Move::Revert(commit, winner) => database.revert(&[Lsn(commit)], &policy(winner), false).await?,
        Move::Reset(only) => {
            let only = only.map(|picks| select(world, picks));
            return Ok((None, database.reset(only).await?));
        }
        Move::Restore(at) => return Ok((None, database.restore(When::Version(Lsn(at)), None).await?)),
    };
    let told = told(&report);
    // A revert of what changes nothing any more writes nothing.
    let is_written = !matches!(what, Move::Revert(..)) || told.inserted + told.updated + told.deleted > 0;
    let lsn = (told.settled == Settled::Merged && is_written).then_some(report.version);
    Ok((Some(told), lsn))
}

pub async fn move_one(world: &World, tab: &Tab, handle: &Handle) {
    let what = draw(world, tab);
    make(world, tab, handle, what).await;
    // A reviewer throws away some of what was not selected.
    if matches!(what, Move::Merge(_, Part { only: Some(_), .. })) && world.random.chance(700) {
        make(world, tab, handle, Move::Reset(Some(Picks(world.random.next())))).await;
    }
}

async fn make(world: &World, tab: &Tab, handle: &Handle, what: Move) {
    let number = world.begin(tab, Act::Move { database: handle.identity.clone(), what });
    let outcome = match carry_out(world, handle, what).await {
        Ok((told, lsn)) => {
            world.report.count(match what {
                Move::Merge(..) => "merges",
                Move::Rebase(_) => "rebases",
                Move::Reset(_) => "resets",
                Move::Revert(..) => "reverts",
                Move::Restore(_) => "restores",
            });
            if told.is_some_and(|told| told.conflicts > 0) {
                world.report.count("merge conflicts");
            }
            let observed = told.map_or(Observed::Nothing, Observed::Told);
            Outcome::Done { observed, lsn: lsn.map(|lsn| lsn.0) }
        }
        Err(error) => failed(world, tab, handle, &error),
    };
    world.end(tab, number, outcome);
}
