//! The whole pipeline in one process: see the library.

use std::process::ExitCode;

use headwater::{Cli, Command, CostConfig, DemoConfig, QueryConfig, ServeConfig};
use service::terminal::ProgressBar;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let command = service::settings::parse::<Cli>().command();
    let checked = match &command {
        Command::Demo(config) => config.check(),
        Command::Serve(config) => config.check(),
        Command::Query(_) | Command::Keys(_) => Ok(()),
        Command::Cost(config) => config.check(),
    };
    if let Err(error) = checked {
        eprintln!("headwater: {error:#}");
        return Ok(ExitCode::from(2));
    }
    let stop = service::stop::on_signal()?;
    let done = match &command {
        Command::Demo(config) => demo(config, &stop).await,
        Command::Serve(config) => serve(config, &stop).await,
        Command::Query(config) => query(config, &stop).await,
        Command::Cost(config) => cost(config),
        Command::Keys(config) => headwater::keys(config).map(|()| ExitCode::SUCCESS),
    };
    Ok(done.unwrap_or_else(|error| {
        eprintln!("headwater: {error:#}");
        ExitCode::FAILURE
    }))
}

/// Shows log lines of this level and above, unless RUST_LOG says something else.
fn log_from(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}

async fn demo(config: &DemoConfig, stop: &CancellationToken) -> anyhow::Result<ExitCode> {
    if config.verbose {
        service::logging::init(service::logging::LogFormat::Logfmt);
    } else {
        // The services' info lines would stand among the demo's own.
        log_from("warn");
    }
    let report = headwater::demo(config, stop).await?;
    Ok(if report.is_fine() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn serve(config: &ServeConfig, stop: &CancellationToken) -> anyhow::Result<ExitCode> {
    let mut status = service::terminal::status_line();
    if status.is_hidden() || config.log_format.is_some() || service::logging::is_asked_for() {
        status = ProgressBar::hidden();
        service::logging::init(config.log_format.unwrap_or_default());
    } else {
        // The services' info lines would drown what is printed at the start.
        service::logging::init_above(&status);
    }
    let served = headwater::serve(config, &status, stop, |_, _| {}).await;
    status.finish_and_clear();
    served.map(|()| ExitCode::SUCCESS)
}

#[cfg(feature = "sql")]
async fn query(config: &QueryConfig, stop: &CancellationToken) -> anyhow::Result<ExitCode> {
    log_from("error");
    headwater::query(config, stop).await?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(not(feature = "sql"))]
async fn query(_: &QueryConfig, _: &CancellationToken) -> anyhow::Result<ExitCode> {
    anyhow::bail!(
        "this program was built without SQL: `cargo run --release -p headwater --features sql -- query …` has it"
    )
}

fn cost(config: &CostConfig) -> anyhow::Result<ExitCode> {
    headwater::write_stdout(headwater::report(config)?.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
