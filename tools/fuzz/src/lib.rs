#![doc = include_str!("../README.md")]
#![allow(
    clippy::disallowed_methods,
    reason = "there is no runtime whose clock could be paused, and no command line in a test"
)]

mod input;
mod watch;

use std::time::Instant;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestCaseError, TestError, TestRunner};

use crate::watch::Watch;

/// Inputs of a test if nothing else is said.
const FEW: u32 = 300;

/// What inputs are made of.
#[derive(Debug, Clone, Copy)]
pub struct Corpus<'a> {
    /// Inputs that the reader takes.
    pub sound: &'a [&'a [u8]],
    /// Words that mean something to the reader.
    pub tokens: &'a [&'a str],
}

/// Runs `check` on inputs that are made of the corpus.
///
/// # Panics
///
/// If it panics or returns an error for any of them, with the least one that was found; if it takes longer than ten
/// seconds, or the process becomes too large.
pub fn run(name: &str, corpus: Corpus<'_>, check: impl Fn(&[u8]) -> Result<(), String>) {
    run_some(name, executions(), corpus, check);
}

/// [`run`] for a check that asks a running service: on a hundredth of the inputs.
///
/// # Panics
///
/// As [`run`].
pub fn run_few(name: &str, corpus: Corpus<'_>, check: impl Fn(&[u8]) -> Result<(), String>) {
    run_some(name, executions().div_ceil(100), corpus, check);
}

fn run_some(
    name: &str,
    executions: u32,
    corpus: Corpus<'_>,
    check: impl Fn(&[u8]) -> Result<(), String>,
) {
    let seed = number("FUZZ_SEED").unwrap_or_else(rand_seed);
    let config = Config {
        cases: executions,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(seed),
        max_shrink_iters: 10_000,
        ..Config::default()
    };
    let begun = Instant::now();
    let watch = Watch::start(name, seed);
    let strategy = input::strategy(corpus.sound.len(), corpus.tokens.len())
        .prop_map(|made| made.input(&corpus));
    let ended = TestRunner::new(config).run(&strategy, |input| {
        let _at_work = watch.begin(&input);
        check(&input.0).map_err(TestCaseError::fail)
    });
    let took = begun.elapsed();
    match ended {
        Ok(()) => println!(
            "fuzz {name}: {executions} inputs in {:.1} s, the longest {:.1} ms; the process had {} MiB at most",
            took.as_secs_f64(),
            watch.longest().as_secs_f64() * 1e3,
            watch::check_memory(name) / 1024,
        ),
        Err(TestError::Fail(why, input)) => {
            panic!("fuzz {name}, FUZZ_SEED={seed}: {why}\n{input:?}")
        }
        Err(TestError::Abort(why)) => panic!("fuzz {name}: {why}"),
    }
}

fn executions() -> u32 {
    number("FUZZ_EXECUTIONS").map_or(FEW, |number| number.min(u32::MAX.into()) as u32)
}

/// # Panics
///
/// If the variable is set to something that is no number: a long run that is none would tell nothing.
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(error) => panic!("{variable}: `{text}` is no number: {error}"),
    }
}

fn rand_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}
