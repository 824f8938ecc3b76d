//! The aggregator against DuckDB: a day of events, and ten times as many.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::bench::{Bench, read_finished};
use crate::corpus::Recipe;
use crate::lake;
use crate::machine::root;
use crate::process::{Finished, Process};
use crate::report::{Bar, Row};
use crate::scenarios::ingest::VEHICLES;
use crate::stand::Stand;
use crate::stats::median;

/// Longest that one aggregation may take.
const LONGEST: Duration = Duration::from_secs(3600);

/// What DuckDB says that it did.
#[derive(Debug, Deserialize)]
struct Computed {
    events: u64,
}

/// A lake of raw objects, in a folder.
struct Lake {
    stand: Stand,
    data: std::path::PathBuf,
    recipe: Recipe,
    lines: u64,
}

impl Lake {
    async fn fill(bench: &Bench, recipe: Recipe) -> anyhow::Result<Lake> {
        bench.say(format!("making a lake of {} events", recipe.events));
        let data = bench.fresh_folder()?;
        let arguments = [format!("--data={}", data.display())];
        let stand = Stand::emulated(bench, &arguments).await?;
        stand.cloud.create_bucket(&stand.name).await?;
        let lines = lake::fill(&stand.cloud, &stand.name, recipe).await?;
        Ok(Lake {
            stand,
            data,
            recipe,
            lines,
        })
    }

    /// Aggregates, and removes what came of it, so that it can be done again.
    async fn aggregate(&mut self) -> anyhow::Result<Finished> {
        let process = self.stand.command("aggregator", &["once"])?;
        let done = process.finish(LONGEST).await?;
        let expected = format!(
            "events {}, duplicates {}, conflicts 0, refused 0",
            self.recipe.events,
            self.lines - self.recipe.events
        );
        ensure!(
            done.out.contains(&expected),
            "the aggregator says `{}` where `{expected}` is right",
            done.out.trim()
        );
        let (cloud, name) = (&self.stand.cloud, &self.stand.name);
        for prefix in ["_commits/", "_schema/", "aggregates/", "curated/"] {
            cloud.delete_all(name, prefix).await?;
        }
        Ok(done)
    }

    /// The same by DuckDB, from the files.
    async fn by_duckdb(&self, bench: &Bench) -> anyhow::Result<Finished> {
        let raw = self.stand.bucket_folder(&self.data).join("raw");
        let out = bench.fresh_folder()?;
        let arguments = [
            script().display().to_string(),
            format!("--raw={}", raw.display()),
            format!("--out={}", out.display()),
        ];
        let done = python(&arguments, &out)?.finish(LONGEST).await?;
        let computed: Computed = read_finished(&done)?;
        ensure!(
            computed.events == self.recipe.events,
            "DuckDB counts {} events of {}",
            computed.events,
            self.recipe.events
        );
        std::fs::remove_dir_all(&out).context("cannot remove what DuckDB wrote")?;
        Ok(done)
    }

    async fn end(self) -> anyhow::Result<()> {
        self.stand.end().await?;
        std::fs::remove_dir_all(&self.data).context("cannot remove the lake")
    }
}

fn script() -> std::path::PathBuf {
    root().join("tools/bench/reference/duckdb_lake.py")
}

fn python(arguments: &[String], folder: &Path) -> anyhow::Result<Process> {
    let program = root().join("tests/python");
    Process::start("duckdb", &program, arguments, &Vec::new(), folder)
}

fn per_million(done: &Finished, recipe: Recipe) -> f64 {
    done.cpu * 1e6 / recipe.events as f64
}

/// `aggregator`: two rows.
///
/// # Errors
///
/// If it cannot be measured.
pub(crate) async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let recipe = Recipe {
        events: bench.scaled(2_000_000),
        vehicles: VEHICLES,
    };
    // Makes the virtual environment where there is none, which is not to be measured.
    let ready = python(&["-c".to_owned(), String::new()], &bench.fresh_folder()?)?;
    ready.finish(LONGEST).await?;
    let mut lake = Lake::fill(bench, recipe).await?;
    let (mut cpu, mut peaks, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
    let (mut duckdb_cpu, mut duckdb_peaks) = (Vec::new(), Vec::new());
    for run in 1..=bench.runs() {
        bench.say(format!("aggregator, run {run}"));
        let theirs = lake.by_duckdb(bench).await?;
        duckdb_cpu.push(per_million(&theirs, recipe));
        duckdb_peaks.push(theirs.peak_mib);
        let ours = lake.aggregate().await?;
        cpu.push(per_million(&ours, recipe));
        peaks.push(ours.peak_mib);
        seconds.push(ours.seconds);
    }
    let lines = lake.lines;
    lake.end().await?;
    Ok(vec![
        Row::of("aggregator", "CPU s per million", &cpu)
            .against(&cpu, &duckdb_cpu)
            .ratio_bar(Bar::AtMost, 0.333)
            .with("events", recipe.events)
            .with("lines", lines)
            .with("seconds", median(&seconds)),
        Row::of("aggregator-memory", "MiB at most", &peaks)
            .against(&peaks, &duckdb_peaks)
            .bar(Bar::AtMost, 256.0),
    ])
}

/// `aggregator-20m`: CPU an event of ten times the work against that of the work, two rows.
///
/// # Errors
///
/// If it cannot be measured.
pub(crate) async fn ten_times(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (small, small_peak) = of_size(bench, bench.scaled(2_000_000), VEHICLES).await?;
    let (large, large_peak) = of_size(bench, bench.scaled(20_000_000), VEHICLES).await?;
    Ok(vec![
        Row::of("aggregator-20m", "CPU s per million", &[large])
            .against(&[large], &[small])
            .ratio_bar(Bar::AtMost, 1.1),
        Row::of("aggregator-20m-memory", "MiB at most", &[large_peak])
            .against(&[large_peak], &[small_peak])
            .bar(Bar::AtMost, 256.0),
    ])
}

/// CPU seconds for a million events, and the most memory in MiB, of one aggregation.
///
/// # Errors
///
/// If it cannot be measured.
pub(crate) async fn of_size(
    bench: &Bench,
    events: u64,
    vehicles: u32,
) -> anyhow::Result<(f64, f64)> {
    let recipe = Recipe { events, vehicles };
    let mut lake = Lake::fill(bench, recipe).await?;
    bench.say(format!(
        "aggregator, {events} events of {vehicles} vehicles"
    ));
    let done = lake.aggregate().await?;
    lake.end().await?;
    Ok((per_million(&done, recipe), done.peak_mib))
}
