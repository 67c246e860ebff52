//! Random programs, each made of one seed.

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::program::program;
use crate::runner::Runner;
use crate::support;

const CASES: u64 = 60;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number: {text}")))
}

/// SEMANTICS R1, R2, R3, R4, W1, W3, W4, W7, W8, C11: whatever happens, a clone is a physical copy.
#[test]
fn a_clone_answers_as_a_physical_copy_would() {
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CASES").unwrap_or(CASES),
    };
    for seed in seeds {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let config = Config { cases: 1, failure_persistence: None, max_shrink_iters: 4000, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        let outcome = runner.run(&program(), |program| {
            support::run(async |world| Runner::new(world).await.run(&program).await);
            Ok(())
        });
        if let Err(error) = outcome {
            panic!("replay it with SEED={seed}: {error}");
        }
    }
}
