//! The embedded SQS and S3 as a server of its own, for development and tests.

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::builder::FalseyValueParser;
use clap::{Arg, CommandFactory, FromArgMatches, Parser};
use local_aws::{Faults, LocalAws};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// SQS and S3 on one port, for development and tests: no account, no signatures checked, no safety
/// against power loss.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "RUST_LOG=local_aws=debug writes a line for each request to stderr: the access key that it is signed with, \
                  the operation, and the ARN of what it is on."
)]
struct Config {
    /// Address to listen on.
    #[arg(long, env, default_value = "127.0.0.1:4566")]
    listen: SocketAddr,

    /// Folder to keep queues and objects in; without one everything is in memory and gone at the end.
    #[arg(long = "data", env = "DATA_DIR", value_name = "DIR")]
    data: Option<PathBuf>,

    /// Let other machines in: needed where LISTEN is not a loopback address. Whoever reaches it may read and delete all.
    #[arg(long, env, value_parser = FalseyValueParser::new())]
    allow_remote: bool,

    /// Names with dots by which clients call this server, beside addresses, names without dots, and those under
    /// localhost and internal.
    #[arg(long, env, value_delimiter = ',')]
    allow_hosts: Vec<String>,

    /// How long each request waits before it is looked at, as if the service were further away.
    #[arg(long, env, default_value = "0ms", value_parser = humantime::parse_duration)]
    latency: Duration,
}

impl Config {
    /// Reads the command line and the environment. A variable that holds nothing counts as not set: Compose files write
    /// `DATA_DIR=` for a setting that is left out.
    fn read() -> Config {
        let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
        let unset = |arg: Arg| {
            if arg.get_env().is_some_and(is_empty) {
                arg.env(None::<&'static str>)
            } else {
                arg
            }
        };
        let matches = Config::command().mut_args(unset).get_matches();
        Config::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Config::read()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("local-aws: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> anyhow::Result<()> {
    let filter = EnvFilter::builder().with_default_directive(tracing::Level::WARN.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter.from_env_lossy())
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    ensure!(
        config.allow_remote || config.listen.ip().is_loopback(),
        "LISTEN ({}) can be reached from other machines, and whoever reaches it may read and delete all: set \
         ALLOW_REMOTE=true if that is meant",
        config.listen
    );
    let mut builder = LocalAws::builder().hosts(config.allow_hosts.clone());
    if let Some(folder) = &config.data {
        builder = builder.folder(folder);
    }
    if !config.latency.is_zero() {
        let always = Faults::seeded(0).slow("*", 1.0, config.latency..config.latency);
        builder = builder.faults(always);
    }
    let cloud = builder.build().context("cannot use the data folder")?;
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!(
            "cannot listen on {}: set LISTEN to a free address",
            config.listen
        )
    })?;
    let stop = stop_on_signal().context("cannot listen for signals")?;
    greet(&config, listener.local_addr()?);
    local_aws::serve(cloud, listener, stop).await?;
    println!("local-aws has stopped");
    Ok(())
}

/// A token that SIGTERM and Ctrl-C cancel.
fn stop_on_signal() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        cancelled.cancel();
    });
    Ok(stop)
}

fn greet(config: &Config, address: SocketAddr) {
    let place = match &config.data {
        Some(folder) => format!("in `{}`", folder.display()),
        None => "in memory, gone at the end (--data DIR keeps it)".to_owned(),
    };
    println!(
        "local-aws: SQS and S3 on http://{address}, for development and tests only\n\
         data: {place}\n\
         \n\
         export AWS_ENDPOINT_URL=http://{address}\n\
         export AWS_REGION=us-east-1\n\
         export AWS_ACCESS_KEY_ID=test\n\
         export AWS_SECRET_ACCESS_KEY=test\n"
    );
}
