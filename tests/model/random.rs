//! Random programs, each made of one seed.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use crate::program::{Step, copying_program, merging_program, program};
use crate::runner::Runner;
use crate::support;

const CASES: u64 = 60;

/// Seeds whose programs found something once, beside the first ones.
const CLONES: [u64; 1] = [2459];
const COPIES: [u64; 6] = [198, 1083, 1931, 2651, 7750, 18787];
const MERGES: [u64; 22] = [
    1779, 2690, 3586, 5204, 8265, 8707, 14310, 14676, 25893, 28047, 46273, 63355, 70260, 76918, 77807, 80268, 86511,
    91253, 135861, 138323, 144029, 183413,
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number: {text}")))
}

fn hold(programs: &impl Strategy<Value = Vec<Step>>, known: &[u64]) {
    let seeds: Vec<u64> = match (number("SEED"), number("FIRST"), number("CASES")) {
        (Some(seed), ..) => vec![seed],
        (None, None, None) => (0..CASES).chain(known.iter().copied()).collect(),
        (None, first, cases) => (first.unwrap_or(0)..).take(cases.unwrap_or(CASES) as usize).collect(),
    };
    for seed in seeds {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let config = Config { cases: 1, failure_persistence: None, max_shrink_iters: 4000, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        let outcome = runner.run(programs, |program| {
            support::run(async |world| Runner::new(world).await.run(&program).await);
            Ok(())
        });
        match outcome {
            Ok(()) => {}
            Err(TestError::Fail(why, program)) => {
                let steps: Vec<String> = program.iter().map(|step| format!("{step:?}")).collect();
                panic!("replay it with SEED={seed}: {why}\n{}", steps.join("\n"));
            }
            Err(error) => panic!("SEED={seed}: {error}"),
        }
    }
}

/// SEMANTICS R1, R2, R3, R4, W1, W3, W4, W7, W8, C11: whatever happens, a clone is a physical copy.
#[test]
fn a_clone_answers_as_a_physical_copy_would() {
    hold(&program(), &CLONES);
}

/// SEMANTICS W12, C12, C13, C15: merging and going back are a plain three-way merge of plain maps, however often and in
/// whatever order.
#[test]
fn merges_are_three_way_merges_of_copies() {
    hold(&merging_program(), &MERGES);
}

/// SEMANTICS C6, C7: copying a clone's rows, all of them or a part, changes nothing that is read or merged.
#[test]
fn copies_change_no_merge() {
    hold(&copying_program(), &COPIES);
}
