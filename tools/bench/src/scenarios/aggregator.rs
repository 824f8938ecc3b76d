//! The aggregator against DuckDB: a day of events, and ten times as many.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use chrono::Utc;
use serde_json::Value;
use stand::{Process, ProcessSpec, inherited};

use crate::bench::Bench;
use crate::corpus::{Recipe, VEHICLES};
use crate::deployment::Deployment;
use crate::footprint::Footprint;
use crate::machine::root;
use crate::processes::Finished;
use crate::raw_objects::{Cut, RawObjects, simulated};
use crate::row::{Bar, Row};
use crate::stats::median;

/// How far back the events' own times reach.
const SPAN: Duration = Duration::from_secs(24 * 3600);

/// The aggregator's setting of the number of threads that compute.
const THREADS: &str = "THREADS";

/// A lake of raw objects, in a folder.
struct FilledLake {
    deployment: Deployment,
    /// The emulation's data.
    folder: PathBuf,
    recipe: Recipe,
    /// Lines in all raw objects, repeats included.
    lines: u64,
}

impl FilledLake {
    async fn fill(bench: &Bench, recipe: Recipe) -> anyhow::Result<FilledLake> {
        bench.say(format!("making a lake of {} events", recipe.events));
        let folder = bench.fresh_folder()?;
        let arguments = [format!("--data={}", folder.display())];
        let deployment = Deployment::emulated(bench, &arguments).await?;
        aws::setup::create_bucket(&deployment.aws, &deployment.name).await?;
        let objects = RawObjects::of(simulated(recipe, Utc::now(), SPAN)?, Cut::Hours);
        let lines = objects.put(&deployment.lake()).await?;
        Ok(FilledLake {
            deployment,
            folder,
            recipe,
            lines,
        })
    }

    /// Aggregates, and removes the result, so that it can be done again.
    async fn aggregate(&mut self, settings: &[(&str, &str)]) -> anyhow::Result<Finished> {
        let process = self.deployment.command("aggregator", &["once"], settings)?;
        let done = Finished::of(process).await?;
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
        for prefix in ["_commits/", "_schema/", "aggregates/", "curated/"] {
            self.deployment.delete_objects(prefix).await?;
        }
        Ok(done)
    }

    /// The same by DuckDB, from the files.
    async fn by_duckdb(&self, bench: &Bench) -> anyhow::Result<Finished> {
        let raw = self.folder.join(&self.deployment.name).join("raw");
        let script = root().join("tools/bench/reference/duckdb_lake.py");
        let out = bench.fresh_folder()?;
        let arguments = [
            script.display().to_string(),
            format!("--raw={}", raw.display()),
            format!("--out={}", out.display()),
        ];
        let done = Finished::of(python(&arguments, &out)?).await?;
        let counted = &done.json::<Value>()?["events"];
        let events = self.recipe.events;
        ensure!(
            *counted == events,
            "DuckDB counts {counted} events of {events}"
        );
        std::fs::remove_dir_all(&out).context("cannot remove what DuckDB wrote")?;
        Ok(done)
    }

    fn footprint(&self, done: &Finished) -> Footprint {
        Footprint {
            events: self.recipe.events,
            cpu: done.cpu,
            peak_mib: done.peak_mib,
        }
    }

    async fn end(self) -> anyhow::Result<()> {
        self.deployment.end().await?;
        std::fs::remove_dir_all(&self.folder).context("cannot remove the lake")
    }
}

fn python(arguments: &[String], folder: &Path) -> anyhow::Result<Process> {
    let spec = ProcessSpec {
        name: "duckdb".to_owned(),
        binary: root().join("tests/python"),
        arguments: arguments.to_vec(),
        variables: inherited(|name| name == "PYTHON"),
        folder: folder.to_owned(),
    };
    spec.start()
}

/// `aggregator`: three rows.
pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let recipe = Recipe {
        events: bench.scaled(2_000_000),
        vehicles: VEHICLES,
    };
    // Makes the virtual environment if it is missing, which is not to be measured.
    let ready = python(&["-c".to_owned(), String::new()], &bench.fresh_folder()?)?;
    Finished::of(ready).await?;
    let mut lake = FilledLake::fill(bench, recipe).await?;
    let (mut cpu, mut peaks, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
    let (mut duckdb_cpu, mut duckdb_peaks) = (Vec::new(), Vec::new());
    let (mut one_core, mut one_core_cpu) = (Vec::new(), Vec::new());
    for run in 1..=bench.runs() {
        bench.say(format!("aggregator, run {run}"));
        let theirs = lake.by_duckdb(bench).await?;
        duckdb_cpu.push(lake.footprint(&theirs).per_million());
        duckdb_peaks.push(theirs.peak_mib);
        let alone = lake.aggregate(&[(THREADS, "1")]).await?;
        one_core.push(alone.seconds);
        one_core_cpu.push(lake.footprint(&alone).per_million());
        let ours = lake.aggregate(&[]).await?;
        cpu.push(lake.footprint(&ours).per_million());
        peaks.push(ours.peak_mib);
        seconds.push(ours.seconds);
    }
    let lines = lake.lines;
    lake.end().await?;
    Ok(vec![
        Row::of("aggregator", "CPU s per million", &cpu)
            .against(&cpu, &duckdb_cpu)
            .ratio_bar(Bar::AtMost, 0.40)
            .with("events", recipe.events)
            .with("lines", lines)
            .with("seconds", median(&seconds)),
        Row::of("aggregator-memory", "MiB at most", &peaks)
            .against(&peaks, &duckdb_peaks)
            .bar(Bar::AtMost, 256.0),
        Row::of("aggregator-cores", "s, on all cores", &seconds)
            .against(&seconds, &one_core)
            .with("one_core_cpu_per_million", median(&one_core_cpu)),
    ])
}

/// `aggregator-20m`: CPU an event of ten times the work against that of the work, two rows.
pub(super) async fn ten_times(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let recipe = |events| Recipe {
        events: bench.scaled(events),
        vehicles: VEHICLES,
    };
    let small = once(bench, recipe(2_000_000)).await?;
    let large = once(bench, recipe(20_000_000)).await?;
    let (cpu, small_cpu) = ([large.per_million()], [small.per_million()]);
    let (peak, small_peak) = ([large.peak_mib], [small.peak_mib]);
    Ok(vec![
        Row::of("aggregator-20m", "CPU s per million", &cpu)
            .against(&cpu, &small_cpu)
            .ratio_bar(Bar::AtMost, 1.1),
        Row::of("aggregator-20m-memory", "MiB at most", &peak)
            .against(&peak, &small_peak)
            .bar(Bar::AtMost, 256.0),
    ])
}

/// One aggregation of a lake of its own.
pub(super) async fn once(bench: &Bench, recipe: Recipe) -> anyhow::Result<Footprint> {
    let mut lake = FilledLake::fill(bench, recipe).await?;
    bench.say(format!(
        "aggregator, {} events of {} vehicles",
        recipe.events, recipe.vehicles
    ));
    let done = lake.aggregate(&[]).await?;
    let footprint = lake.footprint(&done);
    lake.end().await?;
    Ok(footprint)
}
