//! Settings of `simtest`.

use clap::Parser;

use crate::subject::Subject;

/// Attacks the pipeline in simulation, one run for each seed, and checks after each run that every
/// accepted event is in the lake exactly once.
///
/// The last line is `seeds N, failures M`. Exit code 1: M is not 0, or an attack never took place in
/// 1,000 seeds or more.
#[derive(Debug, Clone, Parser)]
#[command(name = "simtest", version)]
pub struct Config {
    /// What is attacked.
    #[arg(long, env = "HEADWATER_SUBJECT", value_enum, default_value_t)]
    pub subject: Subject,
    /// Number of seeds to run.
    #[arg(long, env = "HEADWATER_SEEDS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// First seed.
    #[arg(long, env = "HEADWATER_FROM", default_value_t = 1)]
    pub from: u64,
    /// Run this seed alone and print its trace. With RUST_LOG (such as `debug`), the services' log
    /// lines are part of it. The number of seeds and the first one then do not count.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Number of runs at a time; if not given, the number of cores.
    #[arg(long, env = "HEADWATER_THREADS", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Print how often each attack took place, and in how many of the runs.
    #[arg(long, env = "HEADWATER_ATTACKS", num_args = 0..=1, default_value_t = true, default_missing_value = "true", require_equals = true, action = clap::ArgAction::Set)]
    pub attacks: bool,
}
