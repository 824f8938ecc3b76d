//! The command line of import.

use std::process::ExitCode;

use import::{Config, run};
use service::logging::LogFormat;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let config = match Config::from_arguments(std::env::args_os()) {
        Ok(config) => config,
        Err(error) => match error.downcast::<clap::Error>() {
            Ok(usage) => usage.exit(),
            Err(error) => {
                eprintln!("import: {error:#}");
                return Ok(ExitCode::from(import::Exit::Usage.code()));
            }
        },
    };
    service::logging::init(LogFormat::default());
    let stop = service::stop::on_signal()?;
    Ok(ExitCode::from(run(&config, &stop).await.code()))
}
