//! The ingest service: see the library.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use ingest::{Command, Config};
use service::{health, logging, stop};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    let config = Config::parse();
    let done = match config.command {
        Some(Command::Health) => health::check(config.listen, "/readyz").await,
        None => {
            if let Err(error) = config.check() {
                eprintln!("error: {error:#}");
                return ExitCode::from(2);
            }
            serve(config).await
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config) -> anyhow::Result<()> {
    logging::init(config.log_format);
    let stop = stop::on_signal().context("cannot listen for signals")?;
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!(
            "cannot listen on {}: set LISTEN to a free address",
            config.listen
        )
    })?;
    let aws = aws::Aws::connect().await;
    ingest::run(config, aws, listener, stop).await
}
