//! The checks are checked: each planted bug is caught, by the check that is meant for it, within the usual seeds.

use offshoot::planted::Bug;

use crate::SEEDS;
use crate::history::Check;
use crate::seed;

/// Runs seeds until the check meant for the bug has caught it.
fn catch(bug: Bug, check: Check) {
    for seed in 0..SEEDS {
        let verdict = seed::run(seed, Some(bug), false);
        if verdict.violations.iter().any(|violation| violation.check == check) {
            println!("{bug:?} is caught by {check:?} at SEED={seed}");
            return;
        }
    }
    panic!("{bug:?} was not caught by {check:?} in {SEEDS} seeds");
}

#[test]
fn a_commit_acknowledged_before_it_is_complete_is_caught() {
    catch(Bug::AcknowledgedBeforeComplete, Check::Durability);
}

#[test]
fn keys_that_are_not_validated_are_caught() {
    catch(Bug::KeysNotValidated, Check::Serializability);
}

#[test]
fn ranges_that_are_not_validated_are_caught() {
    catch(Bug::RangesNotValidated, Check::Serializability);
}

#[test]
fn a_catalog_row_that_is_not_validated_is_caught() {
    catch(Bug::CatalogRowNotValidated, Check::Catalog);
}

#[test]
fn a_clone_that_reads_the_live_origin_is_caught() {
    catch(Bug::CloneReadsLiveOrigin, Check::CloneIsolation);
}

#[test]
fn a_copy_up_committed_apart_from_its_write_is_caught() {
    catch(Bug::CopyUpApart, Check::Atomicity);
}

#[test]
fn a_half_written_record_taken_for_whole_is_caught() {
    catch(Bug::HalfRecordTakenForWhole, Check::Atomicity);
}

#[test]
fn a_vacuumed_version_that_a_clone_needs_is_caught() {
    catch(Bug::PinnedVersionVacuumed, Check::CloneIsolation);
}

#[test]
fn a_tombstone_lost_at_the_edge_of_a_block_is_caught() {
    catch(Bug::TombstoneLostAtBlockEdge, Check::Snapshots);
}

#[test]
fn a_base_lost_at_compaction_is_caught() {
    catch(Bug::BaseLostAtCompaction, Check::Bases);
}

#[test]
fn a_trimmed_lsn_that_a_stale_tab_reuses_is_caught() {
    catch(Bug::TrimmedLsnReused, Check::Durability);
}

#[test]
fn a_loser_taken_along_with_its_group_is_caught() {
    catch(Bug::GroupLoserTakenAlong, Check::Serializability);
}

#[test]
fn copies_dated_at_the_present_are_caught() {
    catch(Bug::CopiesDatedNow, Check::CloneIsolation);
}

#[test]
fn a_middles_tombstone_that_a_copy_undoes_is_caught() {
    catch(Bug::MiddleTombstoneCopiedOver, Check::CloneIsolation);
}

#[test]
fn a_floor_raised_after_dropping_is_caught() {
    catch(Bug::FloorRaisedAfterDropping, Check::Snapshots);
}

#[test]
fn an_abandoned_jobs_blocks_that_are_served_are_caught() {
    catch(Bug::AbandonedJobServed, Check::CloneIsolation);
}

#[test]
fn a_base_taken_from_the_wrong_side_is_caught() {
    catch(Bug::BaseFromTheWrongSide, Check::Merges);
}

#[test]
fn a_merge_that_does_not_validate_its_origin_is_caught() {
    catch(Bug::MergedRowsNotValidated, Check::Merges);
}

#[test]
fn a_merge_that_leaves_its_clone_where_it_stood_is_caught() {
    catch(Bug::MergedCloneNotMoved, Check::Atomicity);
}

#[test]
fn a_restore_that_keeps_the_link_of_now_is_caught() {
    catch(Bug::RestoreKeepsTheLink, Check::Atomicity);
}

#[test]
fn a_restore_that_leaves_what_was_inserted_since_is_caught() {
    catch(Bug::RestoreLeavesInserted, Check::Merges);
}
