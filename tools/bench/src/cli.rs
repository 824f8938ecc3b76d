//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use serde::de::DeserializeOwned;

use crate::floor::FloorSpec;
use crate::load::LoadSpec;
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
    /// Post events, and print how they were answered.
    #[command(hide = true)]
    Load {
        #[arg(value_parser = json::<LoadSpec>)]
        spec: LoadSpec,
    },
    /// Compute the floor of bulk ingest, and print what it took.
    #[command(hide = true)]
    Floor {
        #[arg(value_parser = json::<FloorSpec>)]
        spec: FloorSpec,
    },
    /// Serve the bare handler.
    #[command(hide = true)]
    Bare {
        #[arg(value_parser = json::<SocketAddr>)]
        listen: SocketAddr,
    },
}

/// An argument that this program wrote for another process of itself.
fn json<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_str(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::load::{Amount, OfferedLoad};

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
        let spec = LoadSpec {
            target: "127.0.0.1:9".parse().unwrap(),
            corpus: "a file".into(),
            load: OfferedLoad {
                rate: Some(0.25),
                ..OfferedLoad::bulk(Amount::Seconds(1.5))
            },
        };
        let arguments = ["bench", "load", &serde_json::to_string(&spec).unwrap()];
        match Cli::try_parse_from(arguments).unwrap().command {
            Some(Command::Load { spec: found }) => {
                assert_eq!(format!("{found:?}"), format!("{spec:?}"));
            }
            other => panic!("{other:?}"),
        }
    }
}
