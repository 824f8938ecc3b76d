//! What the binary does with its settings.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use aws::{Aws, CallError, Lake, Queue};
use chrono::{DateTime, Utc};
use contract::Kinds;
use indicatif::{ProgressBar, ProgressStyle};
use simulator::{Generator, PostError, SendError};
use tokio_util::sync::CancellationToken;

use crate::arrivals::Arrivals;
use crate::check::{Places, Question, judge};
use crate::config::{CheckConfig, Command, Config, RunConfig};
use crate::cost::Cost;
use crate::crash;
use crate::ledger::Ledger;
use crate::letters::account_of_files;
use crate::recount::{Extent, Recount};
use crate::scope::Scope;
use crate::send::{EventsWithIds, Sender};
use crate::wait::{Drained, wait_for_aggregates, wait_for_all, wait_for_drain};

/// Services bring their count of AWS requests to their metrics at least this often.
const METRICS_EVERY: Duration = Duration::from_secs(6);

/// How a command ended, with its words for the user printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is lost, duplicated, altered or invented.
    Clean,
    /// Something is, or it could not be judged.
    Failed,
    /// The settings cannot work.
    Usage,
}

impl Outcome {
    /// The exit code: 0, 1 or 2.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// Does what the settings say. The first stop ends the sending or the waiting, and there is no
/// verdict: what was accepted may still be on its way.
pub async fn run(command: &Command, stop: &CancellationToken) -> Outcome {
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
                println!("{account}");
                account.clean()
            })
        }
        Command::Crash(crash) => return crash::run(crash, stop).await,
    };
    match result {
        Ok(true) => Outcome::Clean,
        Ok(false) => Outcome::Failed,
        Err(error) => {
            eprintln!("judge: {error:#}");
            Outcome::Failed
        }
    }
}

/// Says what is wrong with the settings.
pub(crate) fn usage(error: &anyhow::Error) -> Outcome {
    eprintln!("judge: {error:#}");
    Outcome::Usage
}

/// What a run sends, with what, and its seed. What is refused here is wrong with the settings.
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
    let (config, stop) = (&run.common, &sender.stop);
    let (lake, queue) = connect(config).await?;
    let before = Cost::of_services(&config.metrics_urls).await?;
    let scope = scoped(config, Scope::from_now(&lake).await?);
    let watch = CancellationToken::new();
    let _watching = watch.clone().drop_guard();
    let arrivals = Arrivals::watch(lake.clone(), Utc::now(), run.poll, watch.clone()).await?;
    let mut ledger = match &run.ledger {
        Some(path) => Ledger::kept_in(path)?,
        None => Ledger::new(),
    };
    tracing::info!(event = "judge_start", seed, count = run.count, url = %run.ingest_url);
    let bar = bar(
        run.count,
        "sending {wide_bar} {pos}/{len} events, {per_sec}, {eta} left",
    );
    let sent = sender
        .send(events, &run.send_options(), &mut ledger, |done| {
            bar.inc(done)
        })
        .await?;
    bar.finish_and_clear();
    println!("{sent}");
    if let Some(failure) = &sent.failure {
        eprintln!("judge: {}", chain(failure));
        if let SendError::Post(error) = failure {
            eprintln!("{}", what_to_do(error));
        }
        if ledger.acceptances() == 0 {
            return Ok(false);
        }
    }
    let mut patience = Patience {
        config,
        stop,
        wait_curated: config.wait_curated.unwrap_or(!config.raw_only),
        drain: true,
    };
    patience.unless_stopped()?;
    patience
        .wait(&lake, &queue, &sender.kinds, &ledger, &scope, &arrivals)
        .await?;
    let aggregates = patience
        .aggregates(&lake, &sender.kinds, &ledger, &scope)
        .await?;
    watch.cancel();
    let cost = match config.metrics_urls.is_empty() {
        true => None,
        false => {
            tokio::time::sleep(METRICS_EVERY).await;
            Some(
                Cost::of_services(&config.metrics_urls)
                    .await?
                    .since(&before),
            )
        }
    };
    let clean = pronounce(
        config,
        &lake,
        &sender.kinds,
        &ledger,
        &scope,
        Some(&arrivals),
        Added { cost, aggregates },
    )
    .await?;
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
    let scope = match check.since {
        Some(time) => Scope::since(time),
        None => Scope::everything(),
    };
    let scope = scoped(config, scope);
    let watch = CancellationToken::new();
    let _watching = watch.clone().drop_guard();
    // Only a drain is told by what arrives, and an old ledger has many hours.
    let earliest = ledger.earliest().filter(|_| !check.no_drain);
    let since: DateTime<Utc> = earliest.unwrap_or_else(Utc::now);
    let arrivals =
        Arrivals::watch(lake.clone(), since, Duration::from_secs(1), watch.clone()).await?;
    let mut patience = Patience {
        config,
        stop,
        wait_curated: config.wait_curated.unwrap_or(false),
        drain: !check.no_drain,
    };
    patience
        .wait(&lake, &queue, kinds, &ledger, &scope, &arrivals)
        .await?;
    let aggregates = patience.aggregates(&lake, kinds, &ledger, &scope).await?;
    watch.cancel();
    let cost = match config.metrics_urls.is_empty() {
        true => None,
        false => Some(Cost::of_services(&config.metrics_urls).await?),
    };
    let added = Added { cost, aggregates };
    pronounce(config, &lake, kinds, &ledger, &scope, None, added).await
}

/// Queue and lake, or what to do where they cannot be found.
async fn connect(config: &Config) -> anyhow::Result<(Lake, Queue)> {
    let aws = Aws::connect().await?;
    let advice = |error: &CallError| match error {
        CallError::NotFound { .. } => {
            "start the pipeline first: ingest and batch-consumer make queue and bucket with --create"
        }
        _ => {
            "is AWS_ENDPOINT_URL set? `cargo run -p local-aws` says how, `localstack/up` starts LocalStack"
        }
    };
    let lake = aws.lake(&config.lake.lake_bucket);
    // Asks for nothing: only whether the bucket answers.
    if let Err(error) = lake.list("raw/year=0000/", None).await {
        bail!("cannot read the lake: {error}\n{}", advice(&error));
    }
    let queue = match aws.queue(&config.queue.queue_name).await {
        Ok(queue) => queue,
        Err(error) => bail!("cannot find the queue: {error}\n{}", advice(&error)),
    };
    Ok((lake, queue))
}

fn scoped(config: &Config, scope: Scope) -> Scope {
    match config.shared {
        true => scope.ledger_only(),
        false => scope,
    }
}

/// What is waited for before the lake is judged.
struct Patience<'a> {
    config: &'a Config,
    stop: &'a CancellationToken,
    drain: bool,
    wait_curated: bool,
}

impl Patience<'_> {
    async fn wait(
        &mut self,
        lake: &Lake,
        queue: &Queue,
        kinds: &Kinds,
        ledger: &Ledger,
        scope: &Scope,
        arrivals: &Arrivals,
    ) -> anyhow::Result<()> {
        let within = humantime::format_duration(self.config.timeout);
        if self.drain && self.config.shared {
            // A queue that others fill need never be empty: the ledger's own events tell.
            let complete = self.all(Places::Raw, lake, kinds, ledger, scope).await?;
            self.unless_stopped()?;
            if !complete {
                eprintln!(
                    "judge: raw/ was not complete within {within}: is batch-consumer running?"
                );
            }
        } else if self.drain {
            let drained = self.drained(queue, arrivals).await?;
            self.unless_stopped()?;
            if let Drained::No { messages } = drained {
                eprintln!(
                    "judge: the queue did not drain within {within}: {messages} messages are left; is batch-consumer running?"
                );
            }
        }
        if self.wait_curated {
            let complete = self
                .all(Places::Curated, lake, kinds, ledger, scope)
                .await?;
            self.unless_stopped()?;
            if !complete {
                eprintln!(
                    "judge: curated/ was not complete within {within}: run `aggregator once`, or judge raw/ alone with --raw-only"
                );
                // Nor will the aggregates be, however long they are waited for.
                self.wait_curated = false;
            }
        }
        Ok(())
    }

    /// # Errors
    ///
    /// If it was stopped: what was not waited for would be called lost.
    fn unless_stopped(&self) -> anyhow::Result<()> {
        ensure!(
            !self.stop.is_cancelled(),
            "stopped before a verdict; `judge check` gives one of a ledger that was kept (--ledger)"
        );
        Ok(())
    }

    /// Counts the aggregates again, once they count all of `curated/` where that was waited for.
    async fn aggregates(
        &self,
        lake: &Lake,
        kinds: &Kinds,
        ledger: &Ledger,
        scope: &Scope,
    ) -> anyhow::Result<Option<Recount>> {
        if self.config.raw_only {
            return Ok(None);
        }
        let extent = Extent {
            hours: (!scope.is_everything()).then(|| ledger.hours(kinds)),
            // What others send may be anywhere on its way.
            complete: !self.config.shared,
        };
        let timeout = match self.wait_curated {
            true => self.config.timeout,
            false => Duration::ZERO,
        };
        let found = wait_for_aggregates(lake, kinds, &extent, timeout, self.stop)
            .await
            .context("no verdict")?;
        self.unless_stopped()?;
        Ok(Some(found))
    }

    async fn drained(&self, queue: &Queue, arrivals: &Arrivals) -> anyhow::Result<Drained> {
        let bar = bar(0, "{spinner} {msg}, {elapsed}");
        let timeout = self.config.timeout;
        let drained = wait_for_drain(queue, arrivals, timeout, self.stop, |messages| {
            bar.set_message(format!(
                "waiting for the queue to drain: {messages} messages"
            ));
            bar.tick();
        })
        .await?;
        bar.finish_and_clear();
        Ok(drained)
    }

    /// Waits until every accepted event is there.
    async fn all(
        &self,
        places: Places,
        lake: &Lake,
        kinds: &Kinds,
        ledger: &Ledger,
        scope: &Scope,
    ) -> anyhow::Result<bool> {
        let (accepted, timeout) = (ledger.accepted(), self.config.timeout);
        let place = match places {
            Places::Raw => "raw/",
            Places::Curated | Places::Both => "curated/",
        };
        let template =
            format!("waiting for {place} {{wide_bar}} {{pos}}/{{len}} events, {{elapsed}}");
        let bar = bar(accepted, &template);
        let question = Question {
            places,
            ..Question::new(scope)
        };
        let complete = wait_for_all(
            lake,
            kinds,
            ledger,
            &question,
            timeout,
            self.stop,
            |there| {
                if there < accepted {
                    tracing::info!(event = "waiting", place, there, accepted);
                }
                bar.set_position(there);
            },
        )
        .await?;
        bar.finish_and_clear();
        Ok(complete)
    }
}

/// What the verdict says beside what the ledger and the lake give.
struct Added {
    cost: Option<Cost>,
    aggregates: Option<Recount>,
}

async fn pronounce(
    config: &Config,
    lake: &Lake,
    kinds: &Kinds,
    ledger: &Ledger,
    scope: &Scope,
    arrivals: Option<&Arrivals>,
    added: Added,
) -> anyhow::Result<bool> {
    let bar = bar(0, "reading the lake {wide_bar} {pos}/{len} objects");
    let question = Question {
        places: match config.raw_only {
            true => Places::Raw,
            false => Places::Both,
        },
        arrivals,
        progress: &bar,
        ..Question::new(scope)
    };
    let mut verdict = judge(lake, kinds, ledger, &question)
        .await
        .context("no verdict")?;
    bar.finish_and_clear();
    verdict.cost = added.cost;
    verdict.aggregates = added.aggregates;
    println!("{verdict}");
    Ok(verdict.clean())
}

/// A bar on stderr; hidden where that is no terminal.
pub(crate) fn bar(length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn what_to_do(failure: &PostError) -> &'static str {
    match failure {
        PostError::Unreachable { .. } => {
            "start it with `API_KEYS=… cargo run -p ingest`, or set INGEST_URL to where it is"
        }
        PostError::Refused {
            status: 401 | 403, ..
        } => "set API_KEY to one of the keys that ingest was started with (API_KEYS)",
        PostError::Refused { .. } | PostError::Unreadable { .. } => {
            "something else than ingest answers there: set INGEST_URL to where ingest is"
        }
        PostError::Overloaded { .. } => {
            "ingest or its queue is overloaded: lower --rate or --connections, or raise --retry-for"
        }
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
