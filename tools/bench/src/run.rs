//! Does what the command line asks for.

use std::path::Path;
use std::process::Command as Program;

use anyhow::{Context, ensure};
use chrono::Utc;
use clap::ValueEnum;
use tokio::runtime;

use crate::bench::Bench;
use crate::cli::{Cli, Command, RunArgs};
use crate::machine::{Machine, root};
use crate::process::own_program;
use crate::report::Report;
use crate::scenarios::{self, Name, Outcome};
use crate::{bare, floor, load, table};

/// The document with the tables.
const DOCUMENT: &str = "docs/benchmarks.md";

/// Does it; gives whether all bars hold.
///
/// # Errors
///
/// If something cannot be measured, written or built.
pub fn run(cli: Cli) -> anyhow::Result<bool> {
    match cli.command {
        Some(Command::List) => {
            for name in Name::value_variants() {
                let value = name
                    .to_possible_value()
                    .context("every scenario has a name")?;
                println!("{:<22} {}", value.get_name(), name.about());
            }
            Ok(true)
        }
        Some(Command::Table { json }) => {
            let report = Report::read(&json)?;
            table::write(&report, &root().join(DOCUMENT))?;
            Ok(report.holds())
        }
        Some(Command::Load(args)) => print(&load::run(&args)?),
        Some(Command::Floor(args)) => print(&floor::run(&args)?),
        Some(Command::Bare(args)) => {
            runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .context("cannot start a runtime")?
                .block_on(bare::run(&args))?;
            Ok(true)
        }
        None => runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("cannot start a runtime")?
            .block_on(measure(&cli.scenarios, cli.run)),
    }
}

fn print(report: &impl serde::Serialize) -> anyhow::Result<bool> {
    println!("{}", serde_json::to_string(report)?);
    Ok(true)
}

async fn measure(asked: &[Name], args: RunArgs) -> anyhow::Result<bool> {
    own_program()?;
    if !args.no_build {
        build(&args.cargo)?;
    }
    let names = scenarios::chosen(asked, &args);
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
        for name in names {
            match scenarios::run(name, &bench).await? {
                Outcome::Rows(rows) => {
                    for row in &rows {
                        bench.print(&row.to_string());
                    }
                    report.rows.extend(rows);
                    if let Some(path) = &bench.args.json {
                        report.write(path)?;
                    }
                }
                Outcome::Skipped(why) => bench.print(&format!("skipped: {why}")),
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

/// How to measure that again.
fn command(asked: &[Name], args: &RunArgs) -> String {
    let mut command = "cargo run --release -p bench --".to_owned();
    for name in asked.iter().filter_map(ValueEnum::to_possible_value) {
        command.push(' ');
        command.push_str(name.get_name());
    }
    for (flag, given) in [
        ("--quick", args.quick),
        ("--localstack", args.localstack),
        ("--long", args.long),
    ] {
        if given {
            command.push(' ');
            command.push_str(flag);
        }
    }
    command
}

/// Builds the services as users get them, in the profile of this program.
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
