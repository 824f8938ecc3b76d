//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::bare::BareArgs;
use crate::floor::FloorArgs;
use crate::load::LoadArgs;
use crate::run_args::RunArgs;
use crate::scenario::Scenario;

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
    pub(crate) scenarios: Vec<Scenario>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// What the harness can do beside measuring.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Name the scenarios, and say what each measures.
    List,
    /// Write the tables of docs/benchmarks.md once more, from a file of results.
    Table {
        /// File that `--json` wrote.
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(["bench", "ingest-bulk", "consumer", "--quick"]).unwrap();
        assert_eq!(cli.scenarios, [Scenario::IngestBulk, Scenario::Consumer]);
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
