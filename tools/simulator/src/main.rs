//! The simulator's command line.

use std::process::ExitCode;

use simulator::{Config, run};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let config = service::settings::parse::<Config>();
    service::logging::init(config.log_format);
    let stop = service::stop::on_signal()?;
    let exit = run(&config, &stop).await;
    Ok(ExitCode::from(exit.code()))
}
