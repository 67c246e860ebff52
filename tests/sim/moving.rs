//! Merging and going back, as the actors of a tab do it.

use offshoot::engine::{MergeOptions, MergeReport, Outcome as Settling, Policy, RebaseOptions, Resolution, When};
use offshoot::error::Error;
use offshoot::types::Lsn;

use crate::call::Observed;
use crate::history::{Act, Move, Outcome, Settled, Told, Winner};
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

fn draw(world: &World, tab: &Tab) -> Move {
    let random = &world.random;
    let winner = *random.pick(&[Winner::Nobody, Winner::Clone, Winner::Clone, Winner::Origin]);
    let head = tab.head();
    let past = random.between(head.saturating_sub(8).max(1), head);
    match random.below(12) {
        0..5 => Move::Merge(winner),
        5..7 => Move::Rebase(winner),
        7 => Move::Reset,
        8..10 => Move::Revert(past, winner),
        _ => Move::Restore(past),
    }
}

async fn carry_out(handle: &Handle, what: Move) -> Result<Option<MergeReport>, Error> {
    let database = &handle.database;
    match what {
        Move::Merge(winner) => {
            let options = MergeOptions { policy: policy(winner), ..MergeOptions::default() };
            database.merge(options).await.map(Some)
        }
        Move::Rebase(winner) => {
            let options = RebaseOptions { policy: policy(winner), ..RebaseOptions::default() };
            database.rebase(options).await.map(Some)
        }
        Move::Reset => database.reset(None).await.map(|()| None),
        Move::Revert(commit, winner) => database.revert(&[Lsn(commit)], &policy(winner), false).await.map(Some),
        Move::Restore(at) => database.restore(When::Version(Lsn(at)), None).await.map(|()| None),
    }
}

pub async fn move_one(world: &World, tab: &Tab, handle: &Handle) {
    let what = draw(world, tab);
    let number = world.begin(tab, Act::Move { database: handle.identity.clone(), what });
    let outcome = match carry_out(handle, what).await {
        Ok(report) => {
            world.report.count(match what {
                Move::Merge(_) => "merges",
                Move::Rebase(_) => "rebases",
                Move::Reset => "resets",
                Move::Revert(..) => "reverts",
                Move::Restore(_) => "restores",
            });
            done(world, what, report.as_ref())
        }
        Err(error) => failed(world, tab, handle, &error),
    };
    world.end(tab, number, outcome);
}

fn done(world: &World, what: Move, report: Option<&MergeReport>) -> Outcome {
    let Some(report) = report else { return Outcome::Done { observed: Observed::Nothing, lsn: None } };
    let told = told(report);
    if told.conflicts > 0 {
        world.report.count("merge conflicts");
    }
    // A revert of what changes nothing any more writes nothing.
    let is_written = !matches!(what, Move::Revert(..)) || told.inserted + told.updated + told.deleted > 0;
    let lsn = (told.settled == Settled::Merged && is_written).then_some(report.version.0);
    Outcome::Done { observed: Observed::Told(told), lsn }
}
