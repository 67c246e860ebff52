//! Deterministic simulation: several tabs on one storage, both simulated, everything that happens drawn from a seed.
//!
//! `SEED=7` replays one seed and prints what happens; `SEEDS=5000` runs more of them than the usual thousand, and
//! `FIRST=1000` others. `ALWAYS=damage` gives one kind of trouble to every seed, and `NEVER=power` to none: `plan.rs`
//! names the kinds.

mod bodies;
mod bounds;
mod call;
mod claims;
mod cloning;
mod damage;
mod door;
mod draw;
mod executor;
mod found;
mod history;
mod journal;
mod memory;
mod merging;
mod model;
mod moved;
mod moving;
mod oracle;
mod plan;
mod planted;
mod platform;
mod power;
mod random;
mod readings;
mod report;
mod seed;
mod space;
mod storage;
mod three_way;
mod trace;
mod transfer;
mod watch;
mod workload;
mod world;
mod wreck;
mod writers;

use std::sync::Mutex;

use report::Report;

const SEEDS: u64 = 1000;

fn number_from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// Runs seeds on as many threads as there are processors; each thread has engines of its own.
fn run_all(begin: u64, seeds: u64) -> (Vec<String>, Report) {
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let failures = Mutex::new(Vec::new());
    let whole = Mutex::new(Report::default());
    std::thread::scope(|scope| {
        for first in 0..threads {
            let (failures, whole) = (&failures, &whole);
            scope.spawn(move || {
                for seed in (begin + first..begin + seeds).step_by(threads as usize) {
                    let verdict = seed::run(seed, None, false);
                    whole.lock().expect("no thread panics here").add(&verdict.report);
                    if !verdict.violations.is_empty() {
                        let failure = format!("SEED={seed}: {:?}", verdict.violations);
                        failures.lock().expect("no thread panics here").push(failure);
                    }
                }
            });
        }
    });
    let unlocked = "no thread panics here";
    (failures.into_inner().expect(unlocked), whole.into_inner().expect(unlocked))
}

/// SEMANTICS R1 to R4, R8 to R10, W1 to W10, W12, C1, C3, C6 to C8, C10 to C13, C15: whatever befalls the tabs, all of
/// it holds.
#[test]
fn every_seed_keeps_every_promise() {
    if let Some(seed) = number_from_environment("SEED") {
        let verdict = seed::run(seed, None, true);
        println!("{}", verdict.report);
        assert!(verdict.violations.is_empty(), "SEED={seed}: {:#?}", verdict.violations);
        return;
    }
    let seeds = number_from_environment("SEEDS").unwrap_or(SEEDS);
    let (failures, report) = run_all(number_from_environment("FIRST").unwrap_or(0), seeds);
    println!("{seeds} seeds: {report}");
    let shown = failures.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} of {seeds} seeds broke a promise:\n{shown}", failures.len());
    assert!(report.unmet().is_empty(), "the whole run never met: {:?}", report.unmet());
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let mut traces = Vec::new();
    for seed in 0..40 {
        let (one, other) = (seed::run(seed, None, false), seed::run(seed, None, false));
        assert_eq!(one.trace, other.trace, "SEED={seed} went two ways");
        traces.push(one.trace);
    }
    traces.sort();
    traces.dedup();
    assert_eq!(traces.len(), 40, "two seeds gave one trace");
}
