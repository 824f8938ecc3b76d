//! The ingest service: see the library.

use std::process::ExitCode;

use anyhow::Context;
use axum::Router;
use ingest::{Command, Config, USES};
use service::{health, logging, stop};
use tokio::net::TcpListener;
use tokio::runtime;

/// Threads for blocking work, beside those that read bodies: for the file of keys. The allocator keeps memory for each
/// thread, so tokio's default of 512 would be dear.
const SPARE_THREADS: usize = 1;

fn main() -> ExitCode {
    let config = service::settings::parse_with_uses::<Config>(USES);
    if config.command.is_none()
        && let Err(error) = config.check()
    {
        eprintln!("ingest: {error:#}");
        return ExitCode::from(2);
    }
    let runtime = runtime::Builder::new_multi_thread()
        .max_blocking_threads(ingest::readers() + SPARE_THREADS)
        .enable_all()
        .build();
    let done = runtime
        .context("cannot start")
        .and_then(|runtime| runtime.block_on(run(config)));
    if let Err(error) = done {
        eprintln!("ingest: {error:#}");
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
    let admin = service::metrics::bind(config.metrics_listen).await?;
    let aws = aws::Aws::connect().await?;
    ingest::run(config, aws, listener, Some(admin), Router::new(), stop).await
}
