//! The demo: events from HTTP to hourly aggregates, and the judge's verdict.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use contract::Kinds;
use judge::recount::{Extent, recount};
use judge::{
    Arrivals, Cost, Drained, EventsWithIds, Ledger, Question, Scope, SendOptions, Sender, Sent,
    Verdict,
};
use secrecy::{ExposeSecret, SecretString};
use service::terminal::{self, ProgressBar};
use service::tls::TlsSettings;
use simulator::{Client, ClientConfig, Generator, Plan};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{DEV_KEY, DemoConfig};
use crate::configs::Settings;
use crate::data_folder;
use crate::faults::{Control, Faults};
use crate::lake_samples::LakeSamples;
use crate::output::rounded;
use crate::pipeline::{Aggregator, Listeners, Pipeline, RunningService};
use crate::report_page::{self, Page, Series, Top};

/// Posts under way at once.
const CONNECTIONS: usize = 16;

/// Events of a bulk post.
const BULK: usize = 500;

/// Simulated time of each half of the events.
const SPAN: Duration = Duration::from_secs(3_600);

/// Interval at which to look for new objects, and thus the resolution of the latencies.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Time between two runs of the aggregator among faults.
const AGGREGATE_EVERY: Duration = Duration::from_secs(5);

/// What is asked in the end: the speeds of the last hour.
const QUESTION: &str = "/query?name=vehicle_speed_kmh&step=15m&agg=count,avg,max";

/// Longest wait for the queue to drain.
const PATIENCE: Duration = Duration::from_secs(120);

/// Results of a demo.
#[derive(Debug)]
pub struct Report {
    /// Events sent, and the answers to them.
    pub sent: Sent,
    /// The aggregator's first run.
    pub first: aggregator::Summary,
    /// The aggregator's second run, which must have found nothing to do.
    pub second: aggregator::Summary,
    /// The judge's comparison of the lake with the accepted events.
    pub verdict: Verdict,
    /// What the query service answered to a question about the events, as JSON.
    pub answer: String,
    /// What the page shows of the events.
    series: Vec<Series>,
    top: Top,
}

impl Report {
    /// Whether everything was accepted, stored once, and left nothing for a second run.
    pub fn is_fine(&self) -> bool {
        self.sent.is_fine()
            && self.second.events == 0
            && self.second.objects == 0
            && self.verdict.clean()
    }
}

/// Runs the demo and prints what happens.
///
/// # Errors
///
/// If the folder is not a demo's, a service fails, or `stop` is cancelled.
pub async fn demo(config: &DemoConfig, stop: &CancellationToken) -> anyhow::Result<Report> {
    data_folder::prepare(&config.data)?;
    let start = Instant::now();
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .context("no free port for ingest")?;
    let api_key = SecretString::from(DEV_KEY);
    let settings = Settings {
        tls: TlsSettings::default(),
        folder: &config.data,
        aws_listen: None,
        api_key: &api_key,
        contracts: None,
        with_alerts: false,
        with_faults: config.chaos,
    };
    let mut pipeline = Pipeline::start(
        &settings,
        &ProgressBar::hidden(),
        Listeners {
            http: listener,
            admin: None,
            postgres: None,
        },
    )
    .await?;
    println!(
        "ingest, batch-consumer and an embedded SQS and S3 run in this process\n\
         ingest            {}, data in {}",
        pipeline.ingest_url,
        config.data.display()
    );
    let show = Show {
        config,
        kinds: Arc::new(Kinds::builtin()),
        stop,
        seed: config.seed.unwrap_or_else(rand::random),
    };
    let stage = Stage::of(&pipeline).await?;
    if config.chaos {
        println!("ingest, consumer and aggregator are killed and frozen meanwhile:");
    }
    let report = tokio::select! {
        report = show.run(&stage, &api_key) => report?,
        broken = pipeline.broken() => {
            broken?;
            bail!("a service ended early");
        }
    };
    pipeline.live.stop().await?;
    pipeline.ingest.stop().await?;
    pipeline.consumer.stop().await?;
    pipeline.postgres.stop().await?;
    pipeline.query.stop().await.context("query failed")?;
    let samples = stage.samples().await?;
    samples.print(&config.data);
    let page = Page {
        report: &report,
        series: &report.series,
        top: &report.top,
        samples: &samples,
        lake: &data_folder::lake(&config.data),
        took: start.elapsed(),
        now: Utc::now(),
    };
    let path = config.data.join(data_folder::REPORT);
    std::fs::write(&path, page.html())
        .with_context(|| format!("cannot write `{}`", path.display()))?;
    println!("\nThe same with charts, for a browser: {}", path.display());
    let answer = rounded(&report.answer);
    println!("\nGET {}{QUESTION}\n{answer}", pipeline.ingest_url);
    println!(
        "\nKeep it running and post your own events: cargo run --release -p headwater -- serve\n\
         done in {:.1} s; the verdict:\n\n{}",
        start.elapsed().as_secs_f64(),
        report.verdict
    );
    Ok(report)
}

/// Handles on the pipeline for [`Show`], so that the pipeline itself can be watched meanwhile.
struct Stage {
    lake: aws::Lake,
    queue: aws::Queue,
    meters: [aws::Meter; 3],
    aggregator: Aggregator,
    /// What befalls the services; nothing unless it is asked for.
    faults: Vec<Control>,
    address: SocketAddr,
    ingest_url: String,
}

impl Stage {
    async fn of(pipeline: &Pipeline) -> anyhow::Result<Stage> {
        Ok(Stage {
            lake: pipeline.lake(),
            queue: pipeline.queue().await?,
            meters: pipeline.meters().map(Clone::clone),
            aggregator: pipeline.aggregator.clone(),
            faults: pipeline.faults.clone(),
            address: pipeline.address,
            ingest_url: pipeline.ingest_url.clone(),
        })
    }

    async fn samples(&self) -> anyhow::Result<LakeSamples> {
        LakeSamples::pick(&self.lake).await
    }
}

/// The course of the demo.
struct Show<'a> {
    config: &'a DemoConfig,
    kinds: Arc<Kinds>,
    stop: &'a CancellationToken,
    seed: u64,
}

impl Show<'_> {
    async fn run(&self, stage: &Stage, api_key: &SecretString) -> anyhow::Result<Report> {
        let watch = CancellationToken::new();
        let _watching = watch.clone().drop_guard();
        let arrivals =
            Arrivals::watch(stage.lake.clone(), Utc::now(), LOOK_EVERY, watch.clone()).await?;
        let mut ledger = Ledger::kept_in(&self.config.data.join(data_folder::LEDGER))?;
        let sent = if self.config.chaos {
            self.send_under_faults(stage, api_key, &mut ledger).await?
        } else {
            let client = ClientConfig::new(&stage.ingest_url, api_key.clone());
            self.send(&client, None, &mut ledger).await?
        };
        println!("{sent}");
        self.drain(stage, &arrivals).await?;
        watch.cancel();
        let first = self.aggregate(&stage.aggregator).await?;
        println!("aggregator        {first}");
        // The second run is for show: not counted in the cost of the events.
        let cost = Cost::of_meters(&stage.meters);
        let second = self.aggregate(&stage.aggregator).await?;
        println!("once more         {second}");
        let bar = terminal::bar("reading the lake", 0, "objects");
        let scope = Scope::everything();
        let question = Question {
            arrivals: Some(&arrivals),
            progress: &bar,
            ..Question::new(&scope)
        };
        let mut verdict = judge::judge(&stage.lake, &self.kinds, &ledger, &question).await?;
        bar.finish_and_clear();
        verdict.cost = Some(cost);
        verdict.aggregates = Some(recount(&stage.lake, &self.kinds, &Extent::complete()).await?);
        let key = format!("x-api-key: {}\r\n", api_key.expose_secret());
        let answer = service::health::get(stage.address, QUESTION, &key).await?;
        let (series, top) = report_page::ask(stage.address, &key, Utc::now()).await?;
        Ok(Report {
            series,
            top,
            answer,
            sent,
            first,
            second,
            verdict,
        })
    }

    /// Sends at a steady rate while one fault after the other befalls the services, the aggregator among them.
    async fn send_under_faults(
        &self,
        stage: &Stage,
        api_key: &SecretString,
        ledger: &mut Ledger,
    ) -> anyhow::Result<Sent> {
        let client = ClientConfig {
            retry_for: PATIENCE,
            ..ClientConfig::new(&stage.ingest_url, api_key.clone())
        };
        let rate = self.config.count as f64 / self.config.chaos_time.as_secs_f64();
        let mut aggregator = stage.aggregator.clone();
        aggregator.config.interval = AGGREGATE_EVERY;
        aggregator.config.commit_max_age = AGGREGATE_EVERY;
        let (aggregating, control) = RunningService::spawn_faulty(
            "aggregator",
            aggregator.aws.meter().clone(),
            move |stop| {
                let aggregator = aggregator.clone();
                async move {
                    aggregator::watch(&aggregator.config, &aggregator.aws, &stop, |_| {}).await;
                    Ok(())
                }
            },
        );
        let faults = Faults::of(stage.faults.iter().cloned().chain([control]).collect());
        let end = CancellationToken::new();
        let playing = faults.play(self.seed, &end, |fault| println!("{fault}"));
        let sending = async {
            let sent = self.send(&client, Some(rate), ledger).await;
            end.cancel();
            sent
        };
        let (played, sent) = tokio::join!(playing, sending);
        aggregating.stop().await?;
        println!("{played} faults");
        sent
    }

    /// Sends one half in single posts, the other in bulk; `rate` is that of events a second.
    async fn send(
        &self,
        client: &ClientConfig,
        rate: Option<f64>,
        ledger: &mut Ledger,
    ) -> anyhow::Result<Sent> {
        let client = Client::new(client)?;
        let sender = Sender {
            client: Arc::new(client.stopped_by(self.stop.clone())),
            kinds: self.kinds.clone(),
            stop: self.stop.clone(),
        };
        let (now, singles) = (Utc::now(), self.config.count / 2);
        let mut sent = Sent::default();
        for (number, count, end, batch, words) in [
            (0, singles, now - SPAN, 1, "single posts"),
            (1, self.config.count - singles, now, BULK, "posts of 500"),
        ] {
            let bar = terminal::bar(words, count, "events");
            let seed = self.seed.wrapping_add(number);
            let generator = Generator::new(&self.plan(count, seed, end))?;
            let events = EventsWithIds::new(generator, self.kinds.clone(), seed);
            let options = SendOptions {
                batch,
                connections: CONNECTIONS,
                rate,
            };
            sent.add(
                sender
                    .send(events, &options, ledger, |done| bar.inc(done))
                    .await?,
            );
            bar.finish_and_clear();
            if self.stop.is_cancelled() {
                bail!("stopped");
            }
            if let Some(failure) = sent.failure.take() {
                return Err(failure).context("ingest does not take the events");
            }
        }
        Ok(sent)
    }

    fn plan(&self, count: u64, seed: u64, end: DateTime<Utc>) -> Plan {
        Plan {
            streams: self.config.streams,
            count: Some(count),
            seed,
            duplicates: self.config.duplicates,
            late: self.config.late,
            broken: self.config.broken,
            ..Plan::default()
        }
        .spread_before(end, SPAN)
    }

    async fn drain(&self, stage: &Stage, arrivals: &Arrivals) -> anyhow::Result<()> {
        let bar = terminal::spinner();
        let drained =
            judge::wait_for_drain(&stage.queue, arrivals, PATIENCE, self.stop, |messages| {
                bar.set_message(format!(
                    "waiting for the queue to drain: {messages} messages"
                ));
            })
            .await?;
        bar.finish_and_clear();
        match drained {
            _ if self.stop.is_cancelled() => bail!("stopped"),
            Drained::Yes => Ok(()),
            Drained::No { messages } => bail!("{messages} messages are left in the queue"),
        }
    }

    async fn aggregate(&self, aggregator: &Aggregator) -> anyhow::Result<aggregator::Summary> {
        let bar = terminal::bar("aggregating", 0, "objects");
        let summary =
            aggregator::once(&aggregator.config, &aggregator.aws, self.stop, &bar).await?;
        bar.finish_and_clear();
        if self.stop.is_cancelled() {
            bail!("stopped");
        }
        Ok(summary)
    }
}
