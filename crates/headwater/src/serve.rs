//! The pipeline kept running, fed by a simulated fleet.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use chrono::Utc;
use service::terminal::ProgressBar;
use simulator::{Client, ClientConfig, Generator, Plan, SendOptions};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::banner;
use crate::config::ServeConfig;
use crate::configs::Settings;
use crate::pipeline::{Listeners, Pipeline, url_at};
use crate::status;

/// Longest wait for the queue to drain at the end; messages left then wait for the next start.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves until `stop`, then ends the services in the order in which events go through them.
///
/// On `status` it tells what goes through. `started` is called with the addresses of ingest and of the emulation.
///
/// # Errors
///
/// If a port is taken, the folder cannot be used, or a service fails.
pub async fn serve(
    config: &ServeConfig,
    status: &ProgressBar,
    stop: &CancellationToken,
    started: impl FnOnce(SocketAddr, SocketAddr),
) -> anyhow::Result<()> {
    let listener = bind(config.listen, "HEADWATER_LISTEN").await?;
    let aws_listener = bind(config.aws_listen, "HEADWATER_AWS_LISTEN").await?;
    let admin = bind(config.metrics_listen, "METRICS_LISTEN").await?;
    let postgres = match postgres_address(config) {
        Some(address) => Some(bind(address, "PG_LISTEN").await?),
        None => None,
    };
    let (listen, aws_listen) = (listener.local_addr()?, aws_listener.local_addr()?);
    let pg_listen = postgres.as_ref().map(TcpListener::local_addr).transpose()?;
    let metrics_url = format!("http://{}/metrics", admin.local_addr()?);
    let settings = Settings {
        folder: &config.data,
        aws_listen: Some(aws_listen),
        api_key: &config.api_key,
        tls: config.tls.clone(),
        contracts: config.contracts.clone(),
        with_alerts: true,
        with_faults: false,
    };
    let mut pipeline = Pipeline::start(
        &settings,
        status,
        Listeners {
            http: listener,
            admin: Some(admin),
            postgres,
        },
    )
    .await?;
    let stop_aws = CancellationToken::new();
    let aws_server = tokio::spawn(local_aws::serve(
        pipeline.cloud.clone(),
        aws_listener,
        stop_aws.clone(),
    ));
    let (stop_aggregator, aggregator) = watch(&pipeline, config.interval);
    let stop_simulator = CancellationToken::new();
    let simulator = simulate(config, &pipeline.ingest_url, stop_simulator.clone())?;
    // The first thing that a newcomer sees.
    let token = pipeline.console.one_time_token()?;
    let console = url_at(config.tls.scheme(), listen);
    println!("look: {console}/console/open?token={token}\n");
    banner::print_where_to_look(config, &pipeline.ingest_url, &metrics_url, aws_listen);
    banner::print_sql(config, &pipeline.ingest_url, pg_listen);
    started(listen, aws_listen);

    let outcome = tokio::select! {
        () = stop.cancelled() => Ok(()),
        broken = pipeline.broken() => broken,
        never = status::follow(status) => match never? {},
    };
    status.set_message("stopping: what is under way is finished");
    info!(
        event = "stopping",
        "simulator, ingest, queue, aggregator: one after the other"
    );
    stop_simulator.cancel();
    if let Some(simulator) = simulator {
        simulator.await.context("the simulator broke off")?;
    }
    if let Err(broken) = outcome {
        // The tasks of the services that are left end with the process; the queue keeps what it has.
        error!(
            event = "service_broken",
            error = format!("{broken:#}"),
            "a service ended by itself"
        );
        return Err(broken);
    }
    let queue = pipeline.queue().await?;
    // Before ingest, which waits for the answers under way: the live stream is one without an end.
    pipeline.live.stop().await?;
    pipeline.ingest.stop().await?;
    drain(&queue).await;
    pipeline.consumer.stop().await?;
    pipeline.postgres.stop().await?;
    pipeline.query.stop().await.context("query failed")?;
    if let Some(alerts) = pipeline.alerts {
        alerts.stop().await?;
    }
    stop_aggregator.cancel();
    aggregator.await.context("the aggregator broke off")?;
    let last = &pipeline.aggregator;
    let summary = aggregator::once(&last.config, &last.aws, &CancellationToken::new(), &())
        .await
        .context("the last run of the aggregator failed")?;
    info!(event = "last_aggregation", %summary, "aggregated the rest");
    stop_aws.cancel();
    aws_server.await.context("the emulation broke off")??;
    status.finish_and_clear();
    println!(
        "stopped; `headwater serve` goes on with what is in {}",
        config.data.display()
    );
    Ok(())
}

#[cfg(feature = "sql")]
fn postgres_address(config: &ServeConfig) -> Option<SocketAddr> {
    Some(config.pg_listen)
}

#[cfg(not(feature = "sql"))]
fn postgres_address(_: &ServeConfig) -> Option<SocketAddr> {
    None
}

async fn bind(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}: set {setting} to a free address"))
}

/// Starts the aggregator, which runs once every `interval`.
fn watch(pipeline: &Pipeline, interval: Duration) -> (CancellationToken, JoinHandle<()>) {
    let stop = CancellationToken::new();
    let mut aggregator = pipeline.aggregator.clone();
    aggregator.config.interval = interval;
    // Whoever tries it wants files soon: each run commits what there is.
    aggregator.config.commit_max_age = Duration::ZERO;
    let until = stop.clone();
    let task = tokio::spawn(async move {
        aggregator::watch(&aggregator.config, &aggregator.aws, &until, |_| {}).await;
    });
    (stop, task)
}

/// Starts the simulator at the rate of the settings; None if the rate is 0.
fn simulate(
    config: &ServeConfig,
    ingest_url: &str,
    stop: CancellationToken,
) -> anyhow::Result<Option<JoinHandle<()>>> {
    let interval = match Duration::try_from_secs_f64(1.0 / config.rate) {
        Ok(interval) if config.rate > 0.0 => interval,
        _ => return Ok(None),
    };
    let client = Client::new(&ClientConfig {
        trust: config.trust.clone(),
        ..ClientConfig::new(ingest_url, config.api_key.clone())
    })?;
    let client = Arc::new(client.stopped_by(stop.clone()));
    let streams = config.streams;
    let task = tokio::spawn(async move {
        while !stop.is_cancelled() {
            let plan = Plan {
                seed: rand::random(),
                start: Utc::now(),
                step: interval,
                streams,
                ..Plan::default()
            };
            let generator = match Generator::new(&plan) {
                Ok(generator) => generator,
                Err(error) => {
                    return error!(event = "simulator_failed", %error, "no simulated events");
                }
            };
            let events = generator.paced(Some(interval));
            let options = SendOptions::default();
            let (ended, _) = simulator::send(client.clone(), events, &options, &stop, |_| {}).await;
            if let Some(failure) = ended.failure {
                warn!(event = "simulator_interrupted", error = %failure, "starting it again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    });
    Ok(Some(task))
}

/// Waits until the queue is empty, at most [`DRAIN`].
async fn drain(queue: &aws::Queue) {
    let start = Instant::now();
    loop {
        match queue.depth().await {
            Ok(depth) if depth.total() == 0 => return,
            Ok(depth) if start.elapsed() >= DRAIN => {
                let messages = depth.total();
                return warn!(
                    event = "not_drained",
                    messages, "they are there at the next start"
                );
            }
            Ok(_) => {}
            Err(error) => {
                let error = anyhow!(error);
                return warn!(
                    event = "not_drained",
                    error = format!("{error:#}"),
                    "cannot ask how many messages are left"
                );
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
