//! The command line of `chaos`.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let config = chaos::CrashConfig::parse();
    service::logging::init(config.log_format);
    let stop = service::stop::on_signal()?;
    let outcome = chaos::run(&config, &stop).await;
    Ok(ExitCode::from(outcome.code()))
}
