//! The `batch-consumer` process: `run` (the default), `health`, `dlq`.

mod cli;

use std::process::ExitCode;

use anyhow::Context;
use aws::Aws;
use batch_consumer::metrics::EXPORTED;
use batch_consumer::{Config, Consumer};
use service::emf::Emf;
use service::{health, logging, metrics, stop};
use tokio_util::sync::CancellationToken;

use crate::cli::{Cli, Command};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = service::settings::parse::<Cli>();
    let result = match cli.command {
        None => consume(cli.config).await,
        Some(Command::Run(config)) => consume(config).await,
        Some(Command::Health(at)) => health::check(at.metrics_listen, at.path())
            .await
            .map(|()| ExitCode::SUCCESS),
        Some(Command::Dlq(command)) => cli::dlq::execute(command).await,
    };
    result.unwrap_or_else(|error| {
        eprintln!("batch-consumer: {error:#}");
        if error.is::<contract::KindError>() {
            ExitCode::from(cli::USAGE)
        } else {
            ExitCode::FAILURE
        }
    })
}

async fn consume(config: Config) -> anyhow::Result<ExitCode> {
    if let Err(error) = config.check() {
        eprintln!("batch-consumer: {error:#}");
        return Ok(ExitCode::from(cli::USAGE));
    }
    logging::init(config.log_format);
    let stop = stop::on_signal().context("cannot listen for signals")?;
    let handle = metrics::install()?;
    let ready = metrics::Ready::default();
    let aws = tokio::select! {
        aws = Aws::connect() => aws?,
        () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
    };
    let meter = aws.meter().clone();
    let mut emf = Emf::new(&config.emf, EXPORTED, handle.clone(), {
        let meter = meter.clone();
        move || meter.publish()
    });
    let consuming = async {
        let connecting = Consumer::connect(config.clone(), aws, &stop);
        let Some(consumer) = stop.run_until_cancelled(connecting).await else {
            return Ok(());
        };
        consumer?.run(&ready).await
    };
    // Served until the drain ends, so that a scrape shows it, but not ready from its start on.
    let serving = metrics::serve(
        config.metrics_listen,
        handle,
        move || meter.publish(),
        ready.clone(),
        CancellationToken::new(),
    );
    let result = tokio::select! {
        result = consuming => result,
        result = serving => result,
        () = emf.each_minute() => Ok(()),
    };
    emf.print();
    result.map(|()| ExitCode::SUCCESS)
}
