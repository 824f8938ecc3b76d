//! Ingest, consumer, aggregator, query and alerts in one process, on the embedded emulation.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use alerts::notify::Network;
use anyhow::{Context, bail};
use aws::{Aws, Lake, Meter, Queue};
use axum::Router;
use console::{AlertsApi, Console};
use local_aws::LocalAws;
use query::http::{OtherApi, router_with_console};
use service::terminal::ProgressBar;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::configs::{BUCKET, Configs, DLQ, QUEUE, Settings};
use crate::faults::{self, Control};

/// How long messages of a killed consumer stay hidden.
const HIDDEN: Duration = Duration::from_secs(15);

/// What the services listen on.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// Ingest, query and alerts.
    pub(crate) http: TcpListener,
    /// Probes and the metrics of all services.
    pub(crate) admin: Option<TcpListener>,
    /// PostgreSQL clients; none without the feature `sql`.
    pub(crate) postgres: Option<TcpListener>,
}

/// The emulation with ingest, consumer and query running on it, and the aggregator to run.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) cloud: LocalAws,
    /// Clients to look at queue and lake with; their requests do not count as the services'.
    pub(crate) aws: Aws,
    pub(crate) ingest: RunningService,
    pub(crate) consumer: RunningService,
    /// What kills and freezes ingest and consumer, where that is wanted.
    pub(crate) faults: Vec<Control>,
    pub(crate) aggregator: Aggregator,
    /// Answered on ingest's port.
    pub(crate) query: query::Started,
    /// Answers PostgreSQL clients; over at once where there is no listener for them.
    pub(crate) postgres: RunningService,
    /// Answered on ingest's port; none where it is not asked for.
    pub(crate) alerts: Option<RunningService>,
    /// The console, which is answered on ingest's port too.
    pub(crate) console: Console,
    /// What follows the lake for the console.
    pub(crate) live: RunningService,
    /// Where ingest listens.
    pub(crate) address: SocketAddr,
    /// URL of ingest and query, such as `http://127.0.0.1:3000`.
    pub(crate) ingest_url: String,
}

/// A service that runs as a task.
#[derive(Debug)]
pub(crate) struct RunningService {
    name: &'static str,
    meter: Meter,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

/// The aggregator, which runs on demand, with clients and a meter of its own.
#[derive(Debug, Clone)]
pub(crate) struct Aggregator {
    pub(crate) config: aggregator::Config,
    pub(crate) aws: Aws,
}

impl Pipeline {
    /// Makes queues and bucket, and starts ingest, consumer, query, and alerts if they are asked for. Alerts are
    /// printed above `status`.
    ///
    /// # Errors
    ///
    /// If the folder cannot be used or a setting in the environment is wrong.
    pub(crate) async fn start(
        settings: &Settings<'_>,
        status: &ProgressBar,
        listeners: Listeners,
    ) -> anyhow::Result<Pipeline> {
        let cloud = LocalAws::builder()
            .folder(settings.folder)
            .build()
            .with_context(|| format!("cannot use the folder `{}`", settings.folder.display()))?;
        let endpoint = settings.aws_listen.map(|listen| url_at("http", listen));
        let endpoint = endpoint.as_deref().unwrap_or(cloud.endpoint());
        let aws = Aws::emulated(cloud.http_client(), endpoint);
        aws::setup::create_queues(&aws, QUEUE, DLQ)
            .await
            .context("cannot make the queues")?;
        aws::setup::create_bucket(&aws, BUCKET)
            .await
            .context("cannot make the bucket")?;
        let Listeners {
            http,
            admin,
            postgres,
        } = listeners;
        let address = http
            .local_addr()
            .context("ingest's listener has no address")?;
        let configs = Configs::read(settings, address)?;
        // A meter each, to tell what each service costs.
        let (for_ingest, for_consumer) = (aws.with_own_meter(), aws.with_own_meter());
        let aggregator = Aggregator {
            config: configs.aggregator,
            aws: aws.with_own_meter(),
        };
        let for_query = aws.with_own_meter();
        let query = query::start(&configs.query, &for_query);
        let query = query.await.context("query failed")?;
        let postgres = RunningService::spawn("query", for_query.meter().clone(), |stop| {
            let wire = query::wire(&configs.query, &query.app, postgres, &stop);
            async move {
                wire?.await;
                // Without a listener there is nothing to serve, and nothing wrong.
                stop.cancelled().await;
                Ok(())
            }
        });
        let mut meters: Vec<Meter> = [&for_ingest, &for_consumer, &aggregator.aws, &for_query]
            .map(|aws| aws.meter().clone())
            .into();
        let (alerts, api) = match configs.alerts {
            Some(config) => {
                let for_alerts = aws.with_own_meter();
                meters.push(for_alerts.meter().clone());
                let (service, api) = start_alerts(config, for_alerts, status.clone()).await?;
                (Some(service), Some(api))
            }
            None => (None, None),
        };
        let (console, live, others) = with_console(&query, &configs.query, meters, api)?;
        let [of_ingest, of_consumer] = [&for_ingest, &for_consumer].map(|aws| aws.meter().clone());
        let (ingest, consumer, faults) = if settings.with_faults {
            // Each start of ingest listens again, as that of a process does.
            drop(http);
            let (ingest, ingest_faults) =
                RunningService::spawn_faulty("ingest", of_ingest, move |stop| {
                    let (config, aws) = (configs.ingest.clone(), for_ingest.clone());
                    let others = others.clone();
                    async move {
                        let listener = TcpListener::bind(address).await;
                        let listener = listener.context("cannot listen again")?;
                        ingest::run(config, aws, listener, None, others, stop).await
                    }
                });
            let mut config = configs.consumer;
            // What a killed consumer held comes back within the demo.
            config.visibility_timeout = HIDDEN;
            let (consumer, consumer_faults) =
                RunningService::spawn_faulty("batch-consumer", of_consumer, move |stop| {
                    batch_consumer::run(config.clone(), for_consumer.clone(), stop)
                });
            let faults = vec![ingest_faults, consumer_faults];
            (ingest, consumer, faults)
        } else {
            let ingest = RunningService::spawn("ingest", of_ingest, |stop| {
                ingest::run(configs.ingest, for_ingest, http, admin, others, stop)
            });
            let consumer = RunningService::spawn("batch-consumer", of_consumer, |stop| {
                batch_consumer::run(configs.consumer, for_consumer, stop)
            });
            (ingest, consumer, Vec::new())
        };
        Ok(Pipeline {
            cloud,
            aws,
            ingest,
            consumer,
            faults,
            aggregator,
            query,
            postgres,
            alerts,
            console,
            live,
            address,
            ingest_url: format!("{}://{address}", settings.tls.scheme()),
        })
    }

    pub(crate) async fn queue(&self) -> anyhow::Result<Queue> {
        self.aws.queue(QUEUE).await.context("the queue is gone")
    }

    pub(crate) fn lake(&self) -> Lake {
        self.aws.lake(BUCKET)
    }

    /// The meters of the three services.
    pub(crate) fn meters(&self) -> [&Meter; 3] {
        [
            &self.ingest.meter,
            &self.consumer.meter,
            self.aggregator.aws.meter(),
        ]
    }

    /// Waits until a service ends, which they should not before they are stopped.
    ///
    /// # Errors
    ///
    /// Always: the reason why the service ended.
    pub(crate) async fn broken(&mut self) -> anyhow::Result<()> {
        let alerts = async {
            match &mut self.alerts {
                Some(alerts) => {
                    let ended = (&mut alerts.task).await;
                    alerts.explain(ended)
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = &mut self.ingest.task => self.ingest.explain(ended),
            ended = &mut self.consumer.task => self.consumer.explain(ended),
            ended = &mut self.postgres.task => self.postgres.explain(ended),
            ended = &mut self.live.task => self.live.explain(ended),
            broken = alerts => broken,
            reason = self.query.broken() => Err(reason.context("query failed")),
        }
    }
}

/// Starts alerts, and gives their API.
async fn start_alerts(
    config: alerts::Config,
    aws: Aws,
    status: ProgressBar,
) -> anyhow::Result<(RunningService, Router)> {
    let transport = Network::new()
        .context("cannot set up TLS")?
        .printing_above(status);
    let started = alerts::start(config, &aws, Arc::new(transport)).await;
    let started = started.context("alerts failed")?;
    let api = Router::new().route(alerts::API, started.api());
    let service = RunningService::spawn("alerts", aws.meter().clone(), |stop| async move {
        started.lead(&stop).await
    });
    Ok((service, api))
}

/// Starts the console, and gives the routes of query, console, and alerts where they run.
fn with_console(
    query: &query::Started,
    config: &query::Config,
    meters: Vec<Meter>,
    alerts: Option<Router>,
) -> anyhow::Result<(Console, RunningService, Router)> {
    let api = match &alerts {
        Some(routes) => AlertsApi::here(routes.clone()),
        None => AlertsApi::of(&config.console).context("cannot ask alerts")?,
    };
    let console = query.console(config, meters, api).context("no console")?;
    let mut others = vec![OtherApi {
        name: "ingest",
        url: "/openapi.json",
        document: None,
    }];
    if alerts.is_some() {
        others.push(OtherApi {
            name: "alerts",
            url: "/docs/alerts.json",
            document: Some(alerts::api::document()),
        });
    }
    let (app, settings) = (query.app.clone(), config.queries.clone());
    let mut routes = router_with_console(app, settings, &console, &others);
    if let Some(alerts) = alerts {
        routes = routes.merge(alerts);
    }
    let following = console.clone();
    let live = RunningService::spawn("console", Meter::default(), |stop| async move {
        following.run(&stop).await;
        Ok(())
    });
    Ok((console, live, routes))
}

/// The URL of a server on this machine that listens on the address, which may be all addresses.
pub(crate) fn url_at(scheme: &str, mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("{scheme}://{address}")
}

impl RunningService {
    fn spawn<F>(
        name: &'static str,
        meter: Meter,
        run: impl FnOnce(CancellationToken) -> F,
    ) -> RunningService
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        RunningService {
            name,
            meter,
            task: tokio::spawn(run(stop.clone())),
            stop,
        }
    }

    /// Spawns a service that can be killed and frozen; `make` starts it.
    pub(crate) fn spawn_faulty<F>(
        name: &'static str,
        meter: Meter,
        make: impl Fn(CancellationToken) -> F + Clone + Send + 'static,
    ) -> (RunningService, Control)
    where
        F: Future<Output = anyhow::Result<()>> + 'static,
    {
        let stop = CancellationToken::new();
        let (running, control) = faults::spawn(name, make, stop.clone());
        let task = tokio::spawn(running);
        let service = RunningService {
            name,
            meter,
            stop,
            task,
        };
        (service, control)
    }

    /// Stops the service and waits until it has finished what it holds.
    ///
    /// # Errors
    ///
    /// The error that the service ended with.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        let name = self.name;
        let ended = self.task.await;
        ended
            .with_context(|| format!("{name} broke off"))?
            .with_context(|| format!("{name} failed"))
    }

    fn explain(
        &self,
        ended: Result<anyhow::Result<()>, tokio::task::JoinError>,
    ) -> anyhow::Result<()> {
        let name = self.name;
        match ended {
            Ok(Ok(())) => bail!("{name} ended by itself"),
            Ok(Err(error)) => Err(error.context(format!("{name} failed"))),
            Err(error) => bail!("{name} broke off: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::url_at;

    #[test]
    fn the_endpoint_is_the_address_that_is_listened_on() {
        let at = |address: &str| url_at("http", address.parse().unwrap());
        assert_eq!(at("127.0.0.1:4600"), "http://127.0.0.1:4600");
        assert_eq!(at("0.0.0.0:4600"), "http://127.0.0.1:4600");
        assert_eq!(at("[::1]:4600"), "http://[::1]:4600");
    }
}
