//! `aggregator`: wires settings, log, lake and runs.

use std::cell::RefCell;
use std::process::ExitCode;
use std::time::Duration;

use aggregator::{Cli, Command, Config, EXPORTED};
use anyhow::Context;
use clap::Parser;
use service::emf::Emf;
use service::metrics::Ready;
use service::terminal;
use tokio_util::sync::CancellationToken;

/// Longest time to finish what is under way after the stop signal. It can be dropped anywhere: who
/// runs next finishes its commit.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(15);

// One thread: a run reads and writes between its computations, and handing what it reads from thread
// to thread costs some 6 % of its CPU.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    service::logging::init(cli.config.log_format);
    if let Err(error) = cli.check() {
        eprintln!("aggregator: {error:#}");
        return ExitCode::from(2);
    }
    match run(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("aggregator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(Cli { command, config }: Cli) -> anyhow::Result<()> {
    let command = command.unwrap_or(Command::Once);
    if let Command::Health = command {
        return service::health::check(config.metrics_listen, "/readyz").await;
    }
    let stop = service::stop::on_signal().context("cannot listen for signals")?;
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(SHUTDOWN_GRACE).await;
    };
    let rebuilds = matches!(command, Command::Rebuild { .. });
    tokio::select! {
        biased;
        result = work(command, &config, &stop) => result,
        () = overdue => {
            anyhow::ensure!(!rebuilds, "stopped before all was made anew: run it again");
            tracing::warn!(event = "stop_overdue", "the next run finishes what is under way");
            Ok(())
        }
    }
}

async fn work(command: Command, config: &Config, stop: &CancellationToken) -> anyhow::Result<()> {
    let aws = aws::Aws::connect().await?;
    if config.create.wanted(&aws) {
        aws::setup::create_bucket(&aws, &config.lake.lake_bucket)
            .await
            .map_err(|error| aws.explain(error))
            .context("cannot make the bucket of the lake")?;
    }
    match command {
        Command::Watch => watch(config, &aws, stop).await,
        Command::Rebuild { from, to } => {
            let bar = terminal::bar("aggregating", 0, "objects");
            let summary = aggregator::rebuild(config, &aws, from, to, &bar).await?;
            bar.finish_and_clear();
            println!("rebuilt: {summary}");
            Ok(())
        }
        Command::Once | Command::Health => {
            let mut emf = emf(config, &aws)?;
            let bar = terminal::bar("aggregating", 0, "objects");
            let summary = aggregator::once(config, &aws, stop, &bar).await;
            bar.finish_and_clear();
            if let Ok(summary) = &summary {
                println!("{summary}");
            }
            emf.print();
            summary.map(|_| ())
        }
    }
}

async fn watch(config: &Config, aws: &aws::Aws, stop: &CancellationToken) -> anyhow::Result<()> {
    let ready = Ready::default();
    let emf = RefCell::new(emf(config, aws)?);
    let ran = |succeeded| {
        ready.set(succeeded);
        emf.borrow_mut().print();
    };
    let meter = aws.meter().clone();
    // Served until the last run has ended, so that a scrape shows it.
    let server = service::metrics::serve(
        config.metrics_listen,
        service::metrics::install()?,
        move || meter.publish(),
        ready.clone(),
        CancellationToken::new(),
    );
    tracing::info!(event = "start", interval = %humantime::format_duration(config.interval), bucket = config.lake.lake_bucket);
    tokio::select! {
        result = server => result,
        summary = aggregator::watch(config, aws, stop, ran) => {
            tracing::info!(event = "stop", summary = %summary);
            Ok(())
        }
    }
}

/// What tells CloudWatch, after each run.
fn emf(config: &Config, aws: &aws::Aws) -> anyhow::Result<Emf<impl Fn() + use<>>> {
    let (recorder, meter) = (service::metrics::install()?, aws.meter().clone());
    let update = move || meter.publish();
    Ok(Emf::new(&config.emf, EXPORTED, recorder, update))
}
