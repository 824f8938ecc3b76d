//! The command line.

pub(crate) mod dlq;
mod table;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use aws::{DlqSettings, QueueSettings};
use batch_consumer::dlq::{Filter, OfEntity};
use batch_consumer::{Config, METRICS_LISTEN};
use clap::{Args, Parser, Subcommand};
use contract::Kinds;

/// Exit code of a command that was not understood, as clap's own.
pub(crate) const USAGE: u8 = 2;

/// SQS messages in, JSONL objects out.
#[derive(Debug, Parser)]
#[command(
    name = "batch-consumer",
    version,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) config: Config,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Consume the queue until SIGTERM or Ctrl-C; this is what happens without a command too.
    Run(Config),
    /// Ask a running consumer on this machine whether it is ready, or only whether it is alive.
    Health(Health),
    /// Look at dead letters, send them back, or delete them.
    #[command(subcommand)]
    Dlq(Dlq),
}

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Address at which it serves its metrics.
    #[arg(long, env, default_value_t = METRICS_LISTEN, value_parser = service::settings::address)]
    pub(crate) metrics_listen: SocketAddr,
    /// Ask only whether it answers, whatever SQS and S3 do: for orchestrators that replace what is
    /// unhealthy, because a new process would find them no better.
    #[arg(long)]
    live: bool,
}

impl Health {
    /// The path that answers.
    pub(crate) fn path(&self) -> &'static str {
        if self.live { "/livez" } else { "/readyz" }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Dlq {
    /// List dead letters, oldest first.
    List {
        #[command(flatten)]
        queues: Queues,
        #[command(flatten)]
        only: Selection,
        /// Print one JSON object a line, with all that is known, instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Show one dead letter: its attributes, and its body with a pack unpacked.
    Show {
        #[command(flatten)]
        queues: Queues,
        /// Message id of the letter, as `list` shows it.
        #[arg(value_name = "MESSAGE_ID")]
        id: String,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Send dead letters back to the queue of events; each is deleted once it is sent.
    Replay {
        #[command(flatten)]
        queues: Queues,
        #[command(flatten)]
        only: Selection,
        /// Only the letter with this message id; may be given several times.
        #[arg(long, value_name = "MESSAGE_ID")]
        id: Vec<String>,
        /// Only say how many letters would be sent.
        #[arg(long)]
        dry_run: bool,
    },
    /// Delete dead letters for good.
    Purge {
        #[command(flatten)]
        queues: Queues,
        #[command(flatten)]
        only: Selection,
        /// Delete the letters; without it, only say how many would be deleted.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Queues {
    #[command(flatten)]
    pub(crate) queue: QueueSettings,
    #[command(flatten)]
    pub(crate) dlq: DlqSettings,
    /// Folder with declarations of further kinds (`*.toml`).
    #[arg(long, env, value_name = "FOLDER")]
    pub(crate) contracts: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Only letters with this reason, such as `undecodable`, `wrong_type` or `max_receives`.
    #[arg(long)]
    reason: Option<String>,
    /// Only letters with events of this kind and entity; `purge` takes those alone that have no events of others.
    #[arg(long, requires = "entity")]
    kind: Option<String>,
    /// The entity, as in `entity_id`.
    #[arg(long, requires = "kind")]
    entity: Option<String>,
    /// At most this many letters.
    #[arg(long)]
    limit: Option<usize>,
}

impl Selection {
    /// The filter; `whole` letters have no events of other entities than the one that was asked for.
    pub(crate) fn filter(self, kinds: &Arc<Kinds>, whole: bool) -> anyhow::Result<Filter> {
        let mut entity = None;
        if let (Some(kind), Some(of)) = (self.kind, self.entity) {
            let names = kinds.names();
            kinds
                .get(&kind)
                .with_context(|| format!("kind `{kind}` is not declared: there are {names}"))?;
            entity = Some(OfEntity {
                kinds: kinds.clone(),
                kind,
                entity: of,
                all: whole,
            });
        }
        Ok(Filter {
            reason: self.reason,
            entity,
            limit: self.limit,
            ..Filter::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_takes_its_settings_with_or_without_the_command() {
        for line in [
            ["batch-consumer", "--receivers=2"].as_slice(),
            &["batch-consumer", "run", "--receivers=2"],
        ] {
            let cli = Cli::try_parse_from(line).unwrap();
            let config = match cli.command {
                Some(Command::Run(config)) => config,
                _ => cli.config,
            };
            assert_eq!(config.receivers, 2);
        }
    }

    #[test]
    fn a_setting_before_another_command_is_refused_rather_than_ignored() {
        let line = ["batch-consumer", "--dlq-name=x", "dlq", "list"];
        assert!(Cli::try_parse_from(line).is_err());
        let line = ["batch-consumer", "dlq", "list", "--dlq-name=x"];
        assert!(Cli::try_parse_from(line).is_ok());
    }
}
