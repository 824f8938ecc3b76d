//! `aggregator`: reads the settings and carries out the command.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use aggregator::{Cli, Command, Config, EXPORTED, USES, Wanted};
use anyhow::Context;
use service::emf::Emf;
use service::metrics::Ready;
use service::terminal;
use tokio_util::sync::CancellationToken;

/// Longest time after the stop signal to finish the commit under way. A run can be dropped anywhere: the next one
/// finishes its commit.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(15);

fn main() -> ExitCode {
    let cli = service::settings::parse_with_uses::<Cli>(USES);
    service::logging::init(cli.config.log_format);
    if let Err(error) = cli.check().and_then(|()| confirm(&cli)) {
        eprintln!("aggregator: {error:#}");
        return ExitCode::from(2);
    }
    // One thread for I/O: computation has threads of its own. More than these would only keep memory that they have
    // used; one is left for names that are looked up.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(cli.config.threads() + 1)
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(error) => Err(error).context("cannot start"),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("aggregator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Asks whether an entity is to be forgotten, unless that was said.
fn confirm(cli: &Cli) -> anyhow::Result<()> {
    let Some(Command::Forget {
        kind,
        entity,
        before,
        dry_run: false,
        yes: false,
    }) = &cli.command
    else {
        return Ok(());
    };
    anyhow::ensure!(
        std::io::stdin().is_terminal(),
        "nothing brings back what is forgotten: add --yes to do it, or --dry-run to see how much there is"
    );
    let entity = terminal::printable(entity);
    let events = match before {
        Some(before) => format!("events before {before} of"),
        None => "all events of".to_owned(),
    };
    let bucket = &cli.config.lake.lake_bucket;
    eprint!(
        "Forget {events} {kind} `{entity}` in bucket `{bucket}`? Nothing brings them back. [y/N] "
    );
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    let yes = matches!(answer.trim(), "y" | "Y" | "yes");
    anyhow::ensure!(yes, "nothing was done");
    Ok(())
}

async fn run(Cli { command, config }: Cli) -> anyhow::Result<()> {
    let command = command.unwrap_or(Command::Once);
    let stop = service::stop::on_signal().context("cannot listen for signals")?;
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(SHUTDOWN_GRACE).await;
    };
    let must_end = matches!(command, Command::Rebuild { .. } | Command::Forget { .. });
    tokio::select! {
        biased;
        result = work(command, &config, &stop) => result,
        () = overdue => {
            anyhow::ensure!(!must_end, "stopped before the end: run it again");
            tracing::warn!(event = "stop_overdue", "the next run finishes what is under way");
            Ok(())
        }
    }
}

async fn work(command: Command, config: &Config, stop: &CancellationToken) -> anyhow::Result<()> {
    match command {
        Command::Health { live } => {
            let path = if live { "/livez" } else { "/readyz" };
            service::health::check(config.metrics_listen, path).await
        }
        Command::Watch => watch(config, &connect(config).await?, stop).await,
        Command::Rebuild { from, to } => {
            let (aws, bar) = (
                connect(config).await?,
                terminal::bar("aggregating", 0, "objects"),
            );
            let summary = aggregator::rebuild(config, &aws, from, to, &bar).await?;
            bar.finish_and_clear();
            println!("rebuilt: {summary}");
            Ok(())
        }
        Command::Forget {
            kind,
            entity,
            before,
            dry_run,
            ..
        } => {
            let wanted = Wanted {
                kind,
                entity,
                before,
                dry_run,
            };
            let (aws, bar) = (
                connect(config).await?,
                terminal::bar("forgetting", 0, "objects"),
            );
            let report = aggregator::forget(config, &aws, &wanted, stop, &bar).await?;
            bar.finish_and_clear();
            println!("{report}");
            let (kind, entity) = (&wanted.kind, terminal::printable(&wanted.entity));
            println!(
                "dead letters: `batch-consumer dlq purge --kind {kind} --entity '{entity}' --yes`, with CONTRACTS as \
                 here; what else remains: docs/forget.md"
            );
            Ok(())
        }
        Command::Names { action } => {
            let printed = aggregator::names(config, &connect(config).await?, &action).await?;
            print!("{printed}");
            Ok(())
        }
        Command::Once => {
            let aws = connect(config).await?;
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

/// Connects to AWS, and creates the bucket if that is wanted.
async fn connect(config: &Config) -> anyhow::Result<aws::Aws> {
    let aws = aws::Aws::connect().await?;
    if config.create.wanted(&aws) {
        aws::setup::create_bucket(&aws, &config.lake.lake_bucket)
            .await
            .map_err(|error| aws.explain(error))
            .context("cannot make the bucket of the lake")?;
    }
    Ok(aws)
}

async fn watch(config: &Config, aws: &aws::Aws, stop: &CancellationToken) -> anyhow::Result<()> {
    let ready = Ready::default();
    let emf = RefCell::new(emf(config, aws)?);
    let ran = |succeeded| {
        ready.set(succeeded);
        emf.borrow_mut().print();
    };
    let meter = aws.meter().clone();
    // Served until the last run has ended, so that a scrape can show that run.
    let server = service::metrics::serve(
        config.metrics_listen,
        service::metrics::install()?,
        move || meter.publish(),
        ready.clone(),
        CancellationToken::new(),
    );
    let interval = humantime::format_duration(config.interval);
    tracing::info!(event = "start", %interval, bucket = config.lake.lake_bucket, "the first run begins");
    tokio::select! {
        result = server => result,
        summary = aggregator::watch(config, aws, stop, ran) => {
            tracing::info!(event = "stop", summary = %summary, "stopped after the last commit");
            Ok(())
        }
    }
}

/// Writes the metrics for CloudWatch, when told to.
fn emf(config: &Config, aws: &aws::Aws) -> anyhow::Result<Emf<impl Fn() + use<>>> {
    let (recorder, meter) = (service::metrics::install()?, aws.meter().clone());
    let update = move || meter.publish();
    Ok(Emf::new(&config.emf, EXPORTED, recorder, update))
}
