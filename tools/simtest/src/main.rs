//! `simtest`: many seeds, or the trace of one.

use std::process::ExitCode;

use clap::Parser;
use simtest::campaign::Campaign;
use simtest::config::Config;
use simtest::run::{note_panics, run};
use simtest::trace::Keep;
use tracing_subscriber::EnvFilter;

/// Seeds among which each attack must have taken place.
const TELLING: u64 = 1_000;

fn main() -> anyhow::Result<ExitCode> {
    let config = Config::parse();
    note_panics();
    let failures = match config.seed {
        Some(seed) => replay(seed)?,
        None => attack(&config)?,
    };
    Ok(ExitCode::from(u8::from(failures > 0)))
}

fn attack(config: &Config) -> anyhow::Result<usize> {
    let threads = match config.threads {
        Some(threads) => usize::from(threads),
        None => std::thread::available_parallelism()?.get(),
    };
    let bar = service::terminal::bar("simulating", config.seeds, "seeds");
    let campaign = Campaign::of(config.from, config.seeds, threads, &bar)?;
    bar.finish_and_clear();
    if config.attacks {
        println!("{}", campaign.attacks());
    }
    println!("{campaign}");
    if campaign.seeds >= TELLING && !campaign.missing().is_empty() {
        eprintln!("an attack that never takes place proves nothing: see the list above");
        return Ok(campaign.failed.len() + 1);
    }
    Ok(campaign.failed.len())
}

fn replay(seed: u64) -> anyhow::Result<usize> {
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off")),
        )
        .without_time()
        .init();
    let outcome = run(seed, Keep::Print)?;
    for failure in &outcome.failures {
        println!("{failure}");
    }
    println!(
        "seed {seed}: {} events accepted, {} requests, trace {:016x}",
        outcome.accepted, outcome.requests, outcome.digest
    );
    println!(
        "seeds 1, failures {}",
        u8::from(!outcome.failures.is_empty())
    );
    Ok(outcome.failures.len())
}
