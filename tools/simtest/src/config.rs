//! Settings.

use clap::Parser;

/// Attacks the pipeline in simulation, one run for each seed, and says whether every accepted event
/// stood in the lake once after each.
///
/// Ends with the line `seeds N, failures M`, and with exit code 1 where M is not 0, or where an attack
/// never took place in 1,000 seeds or more.
#[derive(Debug, Clone, Parser)]
#[command(name = "simtest", version)]
pub struct Config {
    /// How many seeds to run.
    #[arg(long, env = "SIMTEST_SEEDS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// The first of them.
    #[arg(long, env = "SIMTEST_FROM", default_value_t = 1)]
    pub from: u64,
    /// Run this seed alone and print its trace. With RUST_LOG (such as `debug`) the services' log
    /// lines stand among the lines of the trace.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    pub seed: Option<u64>,
    /// How many runs go on at a time; as many as there are cores unless given.
    #[arg(long, env = "SIMTEST_THREADS", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Print how often each attack took place, and in how many of the runs.
    #[arg(long, env = "SIMTEST_ATTACKS", num_args = 0..=1, default_value_t = true, default_missing_value = "true", require_equals = true, action = clap::ArgAction::Set)]
    pub attacks: bool,
}
