//! The ingest service: see the library.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use ingest::{Command, Config};
use service::{health, logging, stop};
use tokio::net::TcpListener;
use tokio::runtime;

/// Threads beside one a core for work off the runtime's own. Tokio's 512 would each have the
/// allocator keep memory for it.
const SPARE_THREADS: usize = 1;

fn main() -> ExitCode {
    let config = Config::parse();
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let runtime = runtime::Builder::new_multi_thread()
        .max_blocking_threads(cores + SPARE_THREADS)
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(run(config)),
        Err(error) => {
            eprintln!("ingest: cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> ExitCode {
    let done = match config.command {
        Some(Command::Health { live }) => {
            let path = if live { "/livez" } else { "/readyz" };
            health::check(config.listen, path).await
        }
        None => {
            if let Err(error) = config.check() {
                eprintln!("ingest: {error:#}");
                return ExitCode::from(2);
            }
            serve(config).await
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ingest: {error:#}");
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
    let aws = aws::Aws::connect().await?;
    ingest::run(config, aws, listener, stop).await
}
