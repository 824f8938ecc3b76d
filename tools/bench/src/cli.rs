//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::bare::BareArgs;
use crate::floor::FloorArgs;
use crate::load::LoadArgs;
use crate::scenarios::Name;

/// Measures the services as they are shipped: CPU, memory, requests and latency, against references
/// measured in the same run.
///
/// Exit code 1 where a bar does not hold, 2 where something could not be measured.
#[derive(Debug, Parser)]
#[command(name = "bench", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do instead of measuring.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// What to measure: `all`, or scenarios by name.
    #[arg(value_enum, required = true)]
    pub(crate) scenarios: Vec<Name>,
    /// How.
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// What the harness can do beside measuring.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Name the scenarios, and say what each measures.
    List,
    /// Write the tables of docs/benchmarks.md anew from what was measured.
    Table {
        /// A file that `--json` wrote.
        #[arg(long)]
        json: PathBuf,
    },
    /// Post events, and print what was answered as JSON.
    #[command(hide = true)]
    Load(LoadArgs),
    /// Compute the floor of bulk ingest.
    #[command(hide = true)]
    Floor(FloorArgs),
    /// Serve the bare handler.
    #[command(hide = true)]
    Bare(BareArgs),
}

/// How to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// Write the results to this file, and the tables of docs/benchmarks.md.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Runs of each scenario, of which the median counts (5; 1 with --quick).
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    runs: Option<u16>,
    /// A small try: a tenth of the events, one run, no tables written.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Let `all` measure on LocalStack too.
    #[arg(long)]
    pub(crate) localstack: bool,
    /// Let `all` measure what takes more than ten minutes too.
    #[arg(long)]
    pub(crate) long: bool,
    /// How long `memory` loads.
    #[arg(long, default_value_t = 20.0)]
    pub(crate) minutes: f64,
    /// Do not build the services first.
    #[arg(long)]
    pub(crate) no_build: bool,
    /// Where LocalStack is; http://127.0.0.1:LOCALSTACK_PORT without it.
    #[arg(long, env = "AWS_ENDPOINT_URL", hide_env_values = true)]
    pub(crate) endpoint: Option<String>,
    /// The port of the LocalStack that `localstack/up` started.
    #[arg(long, env = "LOCALSTACK_PORT", default_value_t = 4566)]
    pub(crate) localstack_port: u16,
    /// The Cargo that builds.
    #[arg(long, env = "CARGO", default_value = "cargo", hide = true)]
    pub(crate) cargo: PathBuf,
}

impl RunArgs {
    pub(crate) fn runs(&self) -> usize {
        let default = if self.quick { 1 } else { 5 };
        self.runs.map_or(default, usize::from)
    }

    /// Where LocalStack is to be.
    pub(crate) fn localstack_endpoint(&self) -> String {
        let port = self.localstack_port;
        let given = self.endpoint.clone();
        given.unwrap_or_else(|| format!("http://127.0.0.1:{port}"))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(["bench", "ingest-bulk", "consumer", "--quick"]).unwrap();
        assert_eq!(cli.scenarios, [Name::IngestBulk, Name::Consumer]);
        assert_eq!(cli.run.runs(), 1);
        assert!(Cli::try_parse_from(["bench"]).is_err());
        assert!(Cli::try_parse_from(["bench", "no-such"]).is_err());
        assert!(
            Cli::try_parse_from(["bench", "list"])
                .unwrap()
                .command
                .is_some()
        );
    }

    #[test]
    fn a_load_is_started_with_arguments_that_give_it_again() {
        let args = LoadArgs {
            target: "127.0.0.1:9".parse().unwrap(),
            corpus: "a file".into(),
            batch: 7,
            connections: 3,
            posts: Some(4),
            seconds: Some(1.5),
            rate: Some(0.25),
        };
        let parsed = std::iter::once("bench".to_owned()).chain(args.to_arguments());
        match Cli::try_parse_from(parsed).unwrap().command {
            Some(Command::Load(found)) => assert_eq!(format!("{found:?}"), format!("{args:?}")),
            other => panic!("{other:?}"),
        }
    }
}
