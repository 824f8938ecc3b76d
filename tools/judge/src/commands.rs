//! What the binary does with its settings.

use std::time::Duration;

use anyhow::Context;
use aws::{Aws, Lake, Queue};
use chrono::Utc;
use contract::Kinds;
use service::errors::chain;
use service::terminal::{self, printable};
use simulator::{Exit, Generator};
use tokio_util::sync::CancellationToken;

use crate::arrivals::Arrivals;
use crate::case::Case;
use crate::config::{CheckConfig, Command, Config, RunConfig};
use crate::cost::Cost;
use crate::ledger::Ledger;
use crate::letters::account_of_files;
use crate::scope::Scope;
use crate::send::{EventsWithIds, Sender};

/// What to do where queue or bucket is missing: the judge makes neither.
const START_FIRST: &str =
    "start the pipeline first: ingest and batch-consumer make queue and bucket with --create";

/// Services bring their count of AWS requests to their metrics at least this often.
const METRICS_EVERY: Duration = Duration::from_secs(6);

/// Does what the settings say. The first stop ends the sending or the waiting, and there is no
/// verdict: what was accepted may still be on its way.
pub async fn run(command: &Command, stop: &CancellationToken) -> Exit {
    let result = match command {
        Command::Run(run) => match prepare(run, stop) {
            Ok((events, sender, seed)) => run_and_judge(run, events, sender, seed).await,
            Err(error) => return usage(&error),
        },
        Command::Check(check) => match check.common.check().and_then(|()| check.common.kinds()) {
            Ok(kinds) => check_ledger(check, &kinds, stop).await,
            Err(error) => return usage(&error),
        },
        Command::Letters(files) => {
            account_of_files(&files.letters, &files.expected).map(|account| {
                println!("{}", printable(&account.to_string()));
                account.clean()
            })
        }
    };
    match result {
        Ok(true) => Exit::Fine,
        Ok(false) => Exit::Failed,
        Err(error) => {
            eprintln!("judge: {error:#}");
            Exit::Failed
        }
    }
}

/// Says what is wrong with the settings.
pub(crate) fn usage(error: &anyhow::Error) -> Exit {
    eprintln!("judge: {error:#}");
    Exit::Usage
}

/// The events of a run, the sender and the seed. An error says what is wrong with the settings.
fn prepare(
    run: &RunConfig,
    stop: &CancellationToken,
) -> anyhow::Result<(EventsWithIds, Sender, u64)> {
    run.check()?;
    let kinds = run.common.kinds()?;
    let seed = run.seed.unwrap_or_else(rand::random);
    let generator = Generator::new(&run.plan(Utc::now(), seed))?;
    let sender = Sender {
        client: run.client()?.stopped_by(stop.clone()).into(),
        kinds: kinds.clone(),
        stop: stop.clone(),
    };
    Ok((EventsWithIds::new(generator, kinds, seed), sender, seed))
}

async fn run_and_judge(
    run: &RunConfig,
    events: EventsWithIds,
    sender: Sender,
    seed: u64,
) -> anyhow::Result<bool> {
    let config = &run.common;
    let (lake, queue) = connect(config).await?;
    let before = Cost::of_services(&config.metrics_urls, &config.trust).await?;
    let watch = CancellationToken::new();
    let _watching = watch.clone().drop_guard();
    let mut case = Case {
        config,
        stop: &sender.stop,
        kinds: &sender.kinds,
        scope: scoped(config, Scope::from_now(&lake).await?),
        ledger: match &run.ledger {
            Some(path) => Ledger::kept_in(path)?,
            None => Ledger::new(),
        },
        lake,
        queue,
    };
    let arrivals = Arrivals::watch(case.lake.clone(), Utc::now(), run.poll, watch.clone()).await?;
    tracing::info!(event = "judge_start", seed, count = run.count, url = %run.ingest_url,
        "sending {} events", run.count);
    let bar = terminal::bar("sending", run.count, "events");
    let sent = sender
        .send(events, &run.send_options(), &mut case.ledger, |done| {
            bar.inc(done)
        })
        .await?;
    bar.finish_and_clear();
    println!("{sent}");
    if let Some(failure) = &sent.failure {
        eprintln!("judge: {}", chain(failure));
        if let Some(advice) = failure.advice() {
            eprintln!("{advice}");
        }
        if case.ledger.acceptances() == 0 {
            return Ok(false);
        }
    }
    let curated = config.wait_curated.unwrap_or(!config.raw_only);
    let aggregates = case.wait(true, curated, &arrivals).await?;
    watch.cancel();
    let cost = if config.metrics_urls.is_empty() {
        None
    } else {
        tokio::time::sleep(METRICS_EVERY).await;
        let after = Cost::of_services(&config.metrics_urls, &config.trust).await?;
        Some(after.since(&before))
    };
    let clean = case.pronounce(Some(&arrivals), aggregates, cost).await?;
    Ok(clean && sent.is_fine())
}

async fn check_ledger(
    check: &CheckConfig,
    kinds: &Kinds,
    stop: &CancellationToken,
) -> anyhow::Result<bool> {
    let config = &check.common;
    let ledger = Ledger::read(&check.ledger, kinds)?;
    let (lake, queue) = connect(config).await?;
    let scope = check.since.map_or_else(Scope::everything, Scope::since);
    let case = Case {
        config,
        stop,
        kinds,
        scope: scoped(config, scope),
        ledger,
        lake,
        queue,
    };
    let watch = CancellationToken::new();
    let _watching = watch.clone().drop_guard();
    // Only a drain is told by what arrives, and an old ledger has many hours.
    let earliest = case.ledger.earliest().filter(|_| !check.no_drain);
    let since = earliest.unwrap_or_else(Utc::now);
    let every = Duration::from_secs(1);
    let arrivals = Arrivals::watch(case.lake.clone(), since, every, watch.clone()).await?;
    let curated = config.wait_curated.unwrap_or(false);
    let aggregates = case.wait(!check.no_drain, curated, &arrivals).await?;
    watch.cancel();
    let cost = if config.metrics_urls.is_empty() {
        None
    } else {
        Some(Cost::of_services(&config.metrics_urls, &config.trust).await?)
    };
    case.pronounce(None, aggregates, cost).await
}

/// Queue and lake, or what to do where they cannot be found.
async fn connect(config: &Config) -> anyhow::Result<(Lake, Queue)> {
    let aws = Aws::connect().await?;
    let explain = |error| aws.explain(error).if_missing(START_FIRST);
    let lake = aws.lake(&config.lake.lake_bucket);
    let answered = lake.probe().await;
    answered.map_err(explain).context("cannot read the lake")?;
    let queue = aws.queue(&config.queue.queue_name).await;
    let queue = queue.map_err(explain).context("cannot find the queue")?;
    Ok((lake, queue))
}

fn scoped(config: &Config, scope: Scope) -> Scope {
    if config.shared {
        scope.ledger_only()
    } else {
        scope
    }
}
