//! Which runs are merged next. Tiered: groups of about the same size are merged when there are enough of them, so that
//! a version is rewritten as often as its size has been multiplied. A group is a run by itself, or those that one merge
//! wrote side by side.

use crate::types::SortedMap;
use crate::types::sort::in_order;
use std::rc::Rc;

use super::run::RunDescription;

/// So many groups of about one size are merged.
const FAN_IN: usize = 4;
/// So many at most: each of them has its blocks in memory.
const MOST_GROUPS: usize = 32;
/// Groups up to here count as of one size; above it, sizes are told apart by factors of `FAN_IN`.
const SMALL_BYTES: u64 = 4 * 1024 * 1024;
/// From so many runs on the smallest groups are merged, whatever their sizes: the manifest must hold all runs.
pub const MANY_RUNS: usize = 160;

type Runs = Vec<Rc<RunDescription>>;

/// All groups, the smallest first.
fn groups(runs: &[Rc<RunDescription>]) -> Vec<(u64, Runs)> {
    let mut groups: SortedMap<u64, (u64, Runs)> = SortedMap::new();
    for run in runs {
        let (bytes, group) = groups.or_default(run.group());
        *bytes += run.bytes;
        group.push(run.clone());
    }
    in_order(groups.into_values().collect(), |(one, _), (other, _)| one.cmp(other))
}

fn tier(bytes: u64) -> u32 {
    (bytes / SMALL_BYTES).checked_ilog(FAN_IN as u64).map_or(0, |log| log + 1)
}

/// The runs to merge next: those of the smallest tier that is full.
pub fn choose(runs: &[Rc<RunDescription>]) -> Runs {
    let mut tiers: SortedMap<u32, Vec<Runs>> = SortedMap::new();
    for (bytes, group) in groups(runs) {
        tiers.or_default(tier(bytes)).push(group);
    }
    let full = tiers.into_values().find(|tier| tier.len() >= FAN_IN);
    match full {
        Some(tier) => tier.into_iter().take(MOST_GROUPS).flatten().collect(),
        None if runs.len() >= MANY_RUNS => choose_smallest(runs, FAN_IN),
        None => Vec::new(),
    }
}

/// The runs of all groups, or of the smallest ones where there are too many for one merge.
pub fn choose_all(runs: &[Rc<RunDescription>]) -> Runs {
    choose_smallest(runs, MOST_GROUPS)
}

fn choose_smallest(runs: &[Rc<RunDescription>], count: usize) -> Runs {
    groups(runs).into_iter().take(count).flat_map(|(_, group)| group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsm::run_writer::RunWriter;
    use crate::types::row::push_lsn;
    use crate::types::{Lsn, Version};

    const MIB: u64 = 1024 * 1024;

    fn run(id: u64, bytes: u64) -> RunDescription {
        let mut writer = RunWriter::new(id);
        let mut internal = vec![0; 12];
        push_lsn(&mut internal, Lsn(1));
        writer.push(&internal, &Version::value(vec![]).encode()).unwrap();
        RunDescription { bytes: bytes * MIB, ..writer.finish().0 }
    }

    fn sizes(runs: Runs) -> Vec<u64> {
        let mut sizes: Vec<u64> = runs.iter().map(|run| run.bytes / MIB).collect();
        sizes.sort_unstable();
        sizes
    }

    #[test]
    fn runs_are_merged_when_there_are_enough_of_one_size() {
        let chosen = |runs: &[u64]| {
            let runs: Vec<_> = runs.iter().zip(1..).map(|(bytes, id)| Rc::new(run(id, *bytes))).collect();
            sizes(choose(&runs))
        };
        assert_eq!(chosen(&[1, 2, 3]), [0; 0]);
        assert_eq!(chosen(&[1, 2, 3, 100, 1]), [1, 1, 2, 3]);
        assert_eq!(chosen(&[5, 6, 7, 1, 15, 1]), [5, 6, 7, 15]);
        assert_eq!(chosen(&[5, 20, 80, 320]), [0; 0]);
        assert_eq!(chosen(&[1; 100]).len(), MOST_GROUPS);
    }

    #[test]
    fn runs_that_one_merge_wrote_count_as_one() {
        let of_one = |id| Rc::new(RunDescription { group: Some(9), ..run(id, 5) });
        let mut runs: Vec<_> = (10..20).map(of_one).collect();
        assert_eq!(sizes(choose(&runs)), [0; 0]);
        runs.extend((1..4).map(|id| Rc::new(run(id, 1))));
        assert_eq!(sizes(choose(&runs)), [0; 0]);
        runs.push(Rc::new(run(4, 1)));
        assert_eq!(sizes(choose(&runs)), [1; 4]);
    }

    #[test]
    fn there_are_never_many_runs() {
        let mut runs: Vec<_> = (0..MANY_RUNS as u64).map(|id| run(id, 1 << (id % 3 * 6))).collect();
        runs.iter_mut().for_each(|run| run.group = Some(run.id % 3));
        let runs: Vec<_> = runs.into_iter().map(Rc::new).collect();
        assert_eq!(choose(&runs).len(), MANY_RUNS, "three groups of three sizes");
    }
}
