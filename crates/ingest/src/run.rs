//! The service as a process: its recorder of metrics, its log lines, and serving until it is told to stop.

use anyhow::Context;
use aws::Aws;
use axum::Router;
use service::emf::Emf;
use service::metrics::serve_routes;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::app::App;
use crate::cloudwatch;
use crate::config::Config;
use crate::http::operations::admin_routes;
use crate::http::server::serve;
use crate::open_files;

/// Serves on `listener` until `stop`; then finishes what is in flight, for at most `SHUTDOWN_GRACE`. Probes and metrics
/// are served on `admin` until the end, if it is given. Routes that are none of ingest's are answered by `others`.
///
/// # Errors
///
/// If a setting is wrong, SQS cannot be reached or the queue is missing; later, if a task of the service breaks.
pub async fn run(
    mut config: Config,
    aws: Aws,
    listener: TcpListener,
    admin: Option<TcpListener>,
    others: Router,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let listen = listener
        .local_addr()
        .context("the listener has no address")?;
    let app = tokio::select! {
        app = App::start(&config, &aws, service::metrics::install()?) => app?,
        () = stop.cancelled() => return Ok(()),
    };
    info!(
        event = "started",
        %listen,
        metrics_listen = admin.as_ref().and_then(|admin| admin.local_addr().ok()).map(tracing::field::display),
        endpoint = aws.endpoint().unwrap_or("AWS"),
        queue = config.queue.queue_name,
        kinds = app.kinds.names(),
        packing = ?config.packing,
        linger = %humantime::format_duration(config.linger),
        max_pending_bytes = %config.max_pending_bytes,
        max_body_bytes = %config.max_body_bytes,
        max_connections = config.max_connections,
        "ingest listens on {}://{listen}",
        config.tls.scheme()
    );
    config.max_connections = open_files::connections(config.max_connections);
    let mut emf = Emf::new(
        &config.emf,
        cloudwatch::EXPORTED,
        app.prometheus.clone(),
        || app.publish(),
    );
    let serve_admin = async {
        match admin {
            // Until the drain has ended, so that a probe sees it.
            Some(admin) => {
                serve_routes(admin, admin_routes(app.clone()), CancellationToken::new()).await
            }
            None => std::future::pending().await,
        }
    };
    let result = tokio::select! {
        result = serve(&config, app.clone(), listener, others, &stop) => result,
        result = serve_admin => result,
        () = emf.each_minute() => Ok(()),
        () = app.counts.log_each_minute() => Ok(()),
        () = app.follow_keys() => Ok(()),
    };
    app.counts.log();
    emf.print();
    result
}
