//! The checks are checked: each planted bug is caught, by the check that is meant for it, within the usual seeds.

use offshoot::planted::Bug;

use crate::SEEDS;
use crate::history::Check;
use crate::plan::Plan;
use crate::seed;

/// Runs seeds until the check meant for the bug has caught it.
fn catch(bug: Bug, check: Check) {
    catch_where(bug, check, |_| true);
}

/// As `catch`, in those seeds alone in which the bug can do harm.
fn catch_where(bug: Bug, check: Check, does_harm: impl Fn(&Plan) -> bool) {
    catch_by(bug, &[check], does_harm);
}

/// As `catch_where`, of a bug that several checks are meant for.
fn catch_by(bug: Bug, checks: &[Check], does_harm: impl Fn(&Plan) -> bool) {
    for seed in (0..SEEDS).filter(|seed| does_harm(&Plan::of(*seed))) {
        let verdict = seed::run(seed, Some(bug), false);
        if verdict.violations.iter().any(|violation| checks.contains(&violation.check)) {
            println!("{bug:?} is caught by {checks:?} at SEED={seed}");
            return;
        }
    }
    panic!("{bug:?} was not caught by {checks:?} in {SEEDS} seeds");
}

#[test]
fn a_commit_acknowledged_before_it_is_complete_is_caught() {
    catch(Bug::AcknowledgedBeforeComplete, Check::Durability);
}

#[test]
fn rows_that_go_past_the_write_door_are_caught() {
    catch(Bug::RowsPastTheDoor, Check::Door);
}

#[test]
fn old_versions_that_are_told_wrong_at_the_write_door_are_caught() {
    catch(Bug::OldVersionsMistold, Check::Door);
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
fn large_commits_that_are_not_validated_are_caught() {
    catch_where(Bug::LargeCommitsNotValidated, Check::Serializability, |plan| plan.reads_much);
}

#[test]
fn a_feed_that_is_not_validated_is_caught() {
    catch_where(Bug::FeedNotValidated, Check::Serializability, |plan| plan.reads_much);
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
fn an_ancestor_of_a_parked_row_that_is_not_kept_is_caught() {
    catch_where(Bug::AncestorNotKept, Check::Merges, |plan| plan.selections);
}

#[test]
fn a_merge_of_the_past_that_takes_the_present_is_caught() {
    catch_where(Bug::PastMergedAsPresent, Check::Merges, |plan| plan.selections);
}

#[test]
fn an_ancestor_that_a_reset_loses_is_caught() {
    catch_where(Bug::AncestorLostByReset, Check::Merges, |plan| plan.selections);
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

#[test]
fn a_job_that_is_put_back_before_its_error_is_answered_is_caught() {
    catch_where(Bug::FailedJobPutBack, Check::Liveness, |plan| plan.damage);
}

#[test]
fn a_lost_block_that_is_taken_for_compacted_is_caught() {
    catch_where(Bug::LostBlockTakenForCompacted, Check::Recovery, |plan| plan.damage);
}

#[test]
fn a_damaged_block_that_is_read_as_empty_is_caught() {
    catch_where(Bug::DamagedBlockReadAsEmpty, Check::Snapshots, |plan| plan.damage);
}

#[test]
fn a_merge_that_takes_a_lost_block_for_merged_is_caught() {
    catch_where(Bug::LossNotToldByMerge, Check::Liveness, |plan| plan.damage);
}

#[test]
fn an_unknown_outcome_that_is_told_as_none_is_caught() {
    catch_where(Bug::UnknownToldAsNone, Check::Atomicity, |plan| plan.faults.writes_fail > 0);
}

#[test]
fn a_repair_without_the_copy_of_the_manifest_is_caught() {
    catch_where(Bug::CopyOfManifestNotRead, Check::Durability, |plan| plan.wrecks);
}

#[test]
fn a_relaxed_commit_that_is_told_as_flushed_is_caught() {
    catch_where(Bug::FlushedToldEarly, Check::Recovery, |plan| plan.power);
}

#[test]
fn a_strict_commit_that_is_written_as_a_relaxed_one_is_caught() {
    catch_where(Bug::StrictWrittenRelaxed, Check::Durability, |plan| plan.power);
}

#[test]
fn lost_commits_that_are_not_told_are_caught() {
    catch_where(Bug::LossNotTold, Check::Durability, |plan| plan.power);
}

#[test]
fn blocks_of_a_run_that_was_given_up_are_caught() {
    catch_where(Bug::GivenUpBlocksLeft, Check::Space, |plan| plan.leftovers);
}

#[test]
fn merged_runs_that_are_forgotten_are_caught() {
    catch_where(Bug::MergedRunsForgotten, Check::Space, |plan| plan.leftovers);
}

#[test]
fn an_abandoned_run_that_is_taken_for_one_being_written_is_caught() {
    catch_where(Bug::AbandonedTakenForWritten, Check::Space, |plan| plan.leftovers);
}

#[test]
fn a_hold_that_is_kept_after_its_transactions_end_is_caught() {
    catch_where(Bug::HoldKeptAfterEnd, Check::Space, |plan| plan.leftovers);
}

#[test]
fn a_plea_that_is_not_heeded_is_caught() {
    catch_where(Bug::PleaNotHeeded, Check::Liveness, |plan| plan.rush);
}

#[test]
fn a_cache_that_makes_no_room_is_caught() {
    catch_where(Bug::CacheMakesNoRoom, Check::Bounds, |_| true);
}

#[test]
fn a_block_taken_as_told_under_other_runs_is_caught() {
    catch(Bug::SpanOverOtherRuns, Check::Snapshots);
}

#[test]
fn a_block_of_tombstones_that_hides_nothing_below_is_caught() {
    catch(Bug::SpanOverOtherLevels, Check::CloneIsolation);
}

#[test]
fn figures_that_count_deleted_rows_are_caught() {
    catch(Bug::FiguresCountDeleted, Check::Snapshots);
}

#[test]
fn figures_read_at_an_older_point_are_caught() {
    // A clone reads its origin at an older point, and so does a snapshot.
    catch_by(Bug::FiguresReadTooEarly, &[Check::CloneIsolation, Check::Snapshots], |_| true);
}

#[test]
fn a_blocks_newest_version_that_is_not_noted_is_caught() {
    catch(Bug::NewestOfBlockNotRaised, Check::Merges);
}

#[test]
fn rows_known_as_deleted_that_are_written_again_are_caught() {
    catch(Bug::DeadRowsNotCut, Check::Snapshots);
}

#[test]
fn an_export_that_ends_early_is_caught() {
    catch_where(Bug::ExportEndsEarly, Check::Transfers, |plan| plan.transfers);
}

#[test]
fn an_import_that_does_not_check_its_rows_is_caught() {
    // An import tells no LSN, so its commit is found to be nobody's.
    catch_by(Bug::ImportedRowsNotValidated, &[Check::Transfers, Check::Atomicity], |plan| plan.transfers);
}

#[test]
fn a_reserve_that_any_write_takes_is_caught() {
    catch_where(Bug::ReserveForAnyWrite, Check::Space, |plan| plan.frees);
}

#[test]
fn a_reserve_that_is_not_made_again_is_caught() {
    catch_where(Bug::ReserveNotMadeAgain, Check::Space, |plan| plan.frees);
}

#[test]
fn a_checkpoint_of_what_is_deleted_is_caught() {
    catch_where(Bug::DeletedKeptByCheckpoint, Check::Space, |plan| plan.frees);
}
