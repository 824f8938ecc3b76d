//! The service as a process, with ports for the API and for probes.

use std::sync::Arc;

use anyhow::Context;
use aws::Aws;
use axum::Router;
use service::emf::Emf;
use service::metrics::{routes, serve_routes};
use service::server;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::cloudwatch::EXPORTED;
use crate::config::Config;
use crate::notify::Transport;
use crate::serve::start::start;

/// What the service is run with.
pub struct Service {
    /// Its settings.
    pub config: Config,
    /// The cloud that holds queue and lake.
    pub aws: Aws,
    /// How receivers are reached.
    pub transport: Arc<dyn Transport>,
    /// Serves the API.
    pub listener: TcpListener,
    /// Serves probes and metrics, if it is given.
    pub admin: Option<TcpListener>,
    /// Each change asks for rules and routes to be read again, as SIGHUP does.
    pub reload: watch::Receiver<u64>,
}

/// Serves until `stop`; then records what is under way, for at most `SHUTDOWN_GRACE`.
///
/// # Errors
///
/// If a setting or a file is wrong, S3 cannot be reached, the bucket is missing, or the log cannot be read.
pub async fn run(service: Service, stop: CancellationToken) -> anyhow::Result<()> {
    let Service {
        config,
        aws,
        transport,
        listener,
        admin,
        mut reload,
    } = service;
    let tls = config.tls.load();
    let starting = start(config, &aws, transport);
    let Some(started) = stop.run_until_cancelled(starting).await else {
        return Ok(());
    };
    let started = started?;
    let tls = tls?;
    let shared = started.shared.clone();
    let listen = listener
        .local_addr()
        .context("the listener has no address")?;
    info!(
        event = "started",
        %listen,
        metrics_listen = admin.as_ref().and_then(|admin| admin.local_addr().ok()).map(tracing::field::display),
        endpoint = aws.endpoint().unwrap_or("AWS"),
        bucket = shared.config.lake.lake_bucket,
        rules = shared.rules().all.len(),
        "alerts listens on {}://{listen}",
        shared.config.tls.scheme()
    );
    let recorder = service::metrics::install()?;
    let meter = aws.meter().clone();
    let mut emf = Emf::new(&shared.config.emf, EXPORTED, recorder.clone(), {
        let meter = meter.clone();
        move || meter.publish()
    });
    let serve_admin = async {
        let Some(admin) = admin else {
            return std::future::pending().await;
        };
        let asked = shared.ready.clone();
        let not_ready = move || std::future::ready(asked.reason());
        let routes = routes(recorder, move || meter.publish(), not_ready);
        // Until the drain has ended, so that a probe sees it.
        serve_routes(admin, routes, CancellationToken::new()).await
    };
    let reloading = async {
        while reload.changed().await.is_ok() {
            shared.read_again();
        }
        std::future::pending::<()>().await;
    };
    let most = shared.config.max_connections as usize;
    let routes = Router::new().fallback_service(started.api());
    let serving = async {
        let closing = stop.child_token();
        let leading = async {
            let ended = started.lead(&stop).await;
            closing.cancel();
            ended
        };
        let answering = server::serve(listener, routes, most, tls, &closing);
        let (ended, ()) = tokio::join!(leading, answering);
        ended
    };
    let overdue = async {
        stop.cancelled().await;
        shared.ready.set(false);
        info!(
            event = "stopping",
            "no longer evaluating: recording what is under way"
        );
        sleep(shared.config.shutdown_grace).await;
    };
    let result = tokio::select! {
        biased;
        result = serving => {
            info!(event = "stopped", "all that was under way is recorded");
            result
        }
        () = overdue => {
            error!(
                event = "stopped",
                "SHUTDOWN_GRACE ({}) ended before all was recorded",
                humantime::format_duration(shared.config.shutdown_grace)
            );
            Ok(())
        }
        result = serve_admin => result,
        () = reloading => Ok(()),
        () = emf.each_minute() => Ok(()),
    };
    shared.ready.set(false);
    emf.print();
    result
}
