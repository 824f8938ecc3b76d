//! The `mqtt-bridge` process: `run` (the default), `health`, `try`.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use chrono::Utc;
use clap::{Args, Parser, Subcommand};
use contract::SentReader;
use mqtt_bridge::rules::Arrival;
use mqtt_bridge::{Bridge, Config, METRICS_LISTEN, RuleSettings};
use service::{health, logging, stop};

/// Exit code of settings that cannot work, as clap's own.
const USAGE: u8 = 2;

/// Takes messages from an MQTT broker, and posts them to ingest as events.
///
/// A message is acknowledged to the broker once ingest has all of its events, or has refused them for good; until then
/// the broker keeps it. Each flag can be given as an environment variable.
///
/// Exit codes: 0 stopped by SIGTERM or Ctrl-C; 1 refused by the broker, or broken; 2 the settings cannot work.
#[derive(Debug, Parser)]
#[command(name = "mqtt-bridge", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    config: Config,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the bridge until SIGTERM or Ctrl-C; this is what happens without a command too.
    Run(Box<Config>),
    /// Ask a running bridge on this machine whether it is ready, or only whether it is alive.
    Health(Health),
    /// Say what a message would become by the rules, without broker and ingest.
    Try(Try),
}

#[derive(Debug, Args)]
struct Health {
    /// Address at which it serves its metrics.
    #[arg(long, env, default_value_t = METRICS_LISTEN)]
    metrics_listen: SocketAddr,
    /// Ask only whether it answers, whatever broker and ingest do: for orchestrators that replace what is unhealthy,
    /// because a new process would find them no better.
    #[arg(long)]
    live: bool,
}

#[derive(Debug, Args)]
struct Try {
    #[command(flatten)]
    rules: RuleSettings,
    /// The topic of the message.
    topic: String,
    /// Its payload.
    payload: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = service::settings::parse::<Cli>();
    let config = match cli.command {
        Some(Command::Run(config)) => *config,
        Some(Command::Health(at)) => {
            let path = if at.live { "/livez" } else { "/readyz" };
            return ended(health::check(at.metrics_listen, path).await, 1);
        }
        Some(Command::Try(message)) => {
            return match attempt(&message) {
                Ok(code) => code,
                Err(error) => ended(Err(error), USAGE),
            };
        }
        None => cli.config,
    };
    logging::init(config.log_format);
    let stop = match stop::on_signal().context("cannot listen for signals") {
        Ok(stop) => stop,
        Err(error) => return ended(Err(error), 1),
    };
    match Bridge::new(&config, &stop) {
        Ok(bridge) => ended(bridge.run().await, 1),
        Err(error) => ended(Err(error), USAGE),
    }
}

/// Prints what is wrong, if anything is.
fn ended(result: anyhow::Result<()>, code: u8) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mqtt-bridge: {error:#}");
            ExitCode::from(code)
        }
    }
}

/// Prints each event of a message, and what is wrong with it.
fn attempt(message: &Try) -> anyhow::Result<ExitCode> {
    let kinds = message.rules.kinds()?;
    let rules = message.rules.load(&kinds)?;
    let (topic, now) = (message.topic.as_str(), Utc::now());
    let (rule, fields) = rules.rule(topic).context("no rule takes this topic")?;
    let events = rule.events(&Arrival {
        topic,
        fields: &fields,
        payload: message.payload.as_bytes(),
        at: now,
    });
    let mut reader = SentReader::new(&kinds, kinds.get(&rule.kind));
    let mut code = ExitCode::SUCCESS;
    for event in events {
        let refused = match &event {
            Ok(body) => {
                println!("{body}");
                let read = reader.read(body, now);
                read.err()
                    .map(|rejection| format!("{}: {rejection}", rejection.code.as_str()))
            }
            Err(refused) => Some(format!("{}: {}", refused.code, refused.message)),
        };
        if let Some(refused) = refused {
            eprintln!("refused, {refused}");
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}
