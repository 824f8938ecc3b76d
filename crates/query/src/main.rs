//! The query service: see the library.

use std::process::ExitCode;

use anyhow::Context;
use query::{Command, Config, USES};
use service::{health, logging, stop};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    let config = service::settings::parse_with_uses::<Config>(USES);
    if config.command.is_none()
        && let Err(error) = config.check()
    {
        eprintln!("query: {error:#}");
        return ExitCode::from(2);
    }
    if let Err(error) = run(config).await {
        eprintln!("query: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn run(config: Config) -> anyhow::Result<()> {
    if let Some(Command::Health { live }) = config.command {
        let path = if live { "/livez" } else { "/readyz" };
        return health::check(config.metrics_listen, path).await;
    }
    logging::init(config.log_format);
    let stop = stop::on_signal().context("cannot listen for signals")?;
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!(
            "cannot listen on {}: set LISTEN to a free address",
            config.listen
        )
    })?;
    #[cfg(feature = "sql")]
    let postgres = {
        let address = config.postgres.pg_listen;
        let bound = TcpListener::bind(address).await;
        Some(bound.with_context(|| {
            format!("cannot listen on {address}: set PG_LISTEN to a free address")
        })?)
    };
    #[cfg(not(feature = "sql"))]
    let postgres = None;
    let admin = service::metrics::bind(config.metrics_listen).await?;
    let aws = aws::Aws::connect().await?;
    query::run(config, aws, listener, Some(admin), postgres, stop).await
}
