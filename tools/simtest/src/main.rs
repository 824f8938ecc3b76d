//! `simtest`: many seeds, or the trace of one.

use std::process::ExitCode;

use simtest::campaign::Campaign;
use simtest::config::Config;
use simtest::run::{note_panics, run_of};
use simtest::subject::Subject;
use simtest::trace::Keep;
use tracing_subscriber::EnvFilter;

/// Runs after which every attack must have taken place at least once.
const TELLING: u64 = 1_000;

fn main() -> anyhow::Result<ExitCode> {
    let config = service::settings::parse::<Config>();
    note_panics();
    let failures = match config.seed {
        Some(seed) => replay(config.subject, seed)?,
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
    let campaign = Campaign::of(config.subject, config.from, config.seeds, threads, &bar)?;
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

fn replay(subject: Subject, seed: u64) -> anyhow::Result<usize> {
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off")),
        )
        .without_time()
        .init();
    let result = run_of(subject, seed, Keep::Print)?;
    for failure in &result.failures {
        println!("{failure}");
    }
    println!(
        "seed {seed}: {} events accepted, {} requests, trace {:016x}",
        result.accepted, result.requests, result.digest
    );
    println!(
        "seeds 1, failures {}",
        u8::from(!result.failures.is_empty())
    );
    Ok(result.failures.len())
}
