//! The commands: measure, or one of the subcommands.

use std::path::Path;
use std::process::Command as Program;

use anyhow::{Context, ensure};
use chrono::Utc;
use clap::ValueEnum;
use stand::own_program;
use tokio::runtime;

use crate::bench::Bench;
use crate::cli::{Cli, Command};
use crate::machine::{Machine, root};
use crate::report::Report;
use crate::run_args::{HOUR_EVENTS, RunArgs};
use crate::scenario::Scenario;
use crate::scenarios::{self, Measured};
use crate::{bare, floor, load, table};

/// The document with the tables.
const DOCUMENT: &str = "docs/benchmarks.md";

/// Does what the command line asks for; gives whether all bars hold.
///
/// # Errors
///
/// If something cannot be measured, written or built.
pub fn run(cli: Cli) -> anyhow::Result<bool> {
    match cli.command {
        Some(Command::List) => {
            for scenario in Scenario::value_variants() {
                let value = scenario
                    .to_possible_value()
                    .context("every scenario has a name")?;
                let about = value.get_help().map(ToString::to_string);
                println!("{:<22} {}", value.get_name(), about.unwrap_or_default());
            }
            Ok(true)
        }
        Some(Command::Table { json }) => {
            let report = Report::read(&json)?;
            table::write(&report, &root().join(DOCUMENT))?;
            Ok(report.holds())
        }
        Some(Command::Load { spec }) => print(&load::run(&spec)?),
        Some(Command::Floor { spec }) => print(&floor::run(&spec)?),
        Some(Command::Bare { listen }) => {
            let mut all_cores = runtime::Builder::new_multi_thread();
            all_cores
                .enable_all()
                .build()?
                .block_on(bare::run(listen))?;
            Ok(true)
        }
        None => {
            let mut one_core = runtime::Builder::new_multi_thread();
            let runtime = one_core.worker_threads(1).enable_all().build()?;
            runtime.block_on(measure(&cli.scenarios, cli.run))
        }
    }
}

fn print(report: &impl serde::Serialize) -> anyhow::Result<bool> {
    println!("{}", serde_json::to_string(report)?);
    Ok(true)
}

async fn measure(asked: &[Scenario], args: RunArgs) -> anyhow::Result<bool> {
    // Before a build replaces the file.
    own_program()?;
    if !args.no_build {
        build(&args.cargo)?;
    }
    let chosen = Scenario::chosen(asked, &args);
    let command = command(asked, &args);
    let bench = Bench::new(args)?;
    let mut report = Report {
        date: Utc::now().format("%Y-%m-%d").to_string(),
        machine: Machine::here(),
        command,
        runs: bench.runs(),
        quick: bench.args.quick,
        rows: Vec::new(),
    };
    let stop = service::stop::on_signal().context("cannot listen for signals")?;
    let all = async {
        for scenario in chosen {
            match scenarios::run(scenario, &bench).await? {
                Measured::Rows(rows) => {
                    for row in &rows {
                        bench.print(&row.to_string());
                    }
                    report.rows.extend(rows);
                    if let Some(path) = &bench.args.json {
                        report.write(path)?;
                    }
                }
                Measured::Skipped(why) => bench.print(&format!("skipped: {why}")),
            }
        }
        anyhow::Ok(())
    };
    tokio::select! {
        done = all => done?,
        // Dropping what is under way ends the processes.
        () = stop.cancelled() => anyhow::bail!("stopped"),
    }
    if bench.args.json.is_some() && !bench.args.quick {
        table::write(&report, &root().join(DOCUMENT))?;
    }
    Ok(report.holds())
}

/// The command line that measures the same again.
fn command(asked: &[Scenario], args: &RunArgs) -> String {
    let mut command = "cargo run --release -p bench --".to_owned();
    for name in asked.iter().filter_map(ValueEnum::to_possible_value) {
        command = command + " " + name.get_name();
    }
    if args.hour_events != HOUR_EVENTS {
        command = format!("{command} --hour-events={}", args.hour_events);
    }
    let given = [args.quick, args.localstack, args.long];
    let flags = given.iter().zip([" --quick", " --localstack", " --long"]);
    flags
        .filter(|(given, _)| **given)
        .fold(command, |command, (_, flag)| command + flag)
}

/// Builds the services in the profile of this program.
fn build(cargo: &Path) -> anyhow::Result<()> {
    let mut program = Program::new(cargo);
    program.args(["build", "--workspace", "--bins"]);
    if !cfg!(debug_assertions) {
        program.arg("--release");
    }
    let done = program.current_dir(root()).status();
    let done = done.with_context(|| format!("cannot start `{}`", cargo.display()))?;
    ensure!(done.success(), "the services do not build");
    Ok(())
}
