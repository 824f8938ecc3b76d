//! The simulator's command line.

use std::process::ExitCode;

use clap::Parser;
use simulator::{Config, Outcome, run};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let config = Config::parse();
    service::logging::init(config.log_format);
    let stop = service::stop::on_signal()?;
    let outcome: Outcome = run(&config, &stop).await;
    Ok(ExitCode::from(outcome.code()))
}
