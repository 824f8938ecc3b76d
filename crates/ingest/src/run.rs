//! The service as a process: its recorder of metrics, its log lines, and serving until it is told to stop.

use anyhow::Context;
use aws::Aws;
use service::emf::Emf;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::app::App;
use crate::cloudwatch;
use crate::config::Config;
use crate::http::server::serve;
use crate::open_files;

/// Serves on `listener` until `stop`; then finishes what is in flight, for at most `SHUTDOWN_GRACE`.
///
/// # Errors
///
/// If a setting is wrong, SQS cannot be reached or the queue is missing.
pub async fn run(
    mut config: Config,
    aws: Aws,
    listener: TcpListener,
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
        endpoint = aws.endpoint().unwrap_or("AWS"),
        queue = config.queue.queue_name,
        kinds = app.kinds.names(),
        packing = ?config.packing,
        linger = %humantime::format_duration(config.linger),
        max_pending_bytes = %config.max_pending_bytes,
        max_body_bytes = %config.max_body_bytes,
        max_connections = config.max_connections,
        "ingest listens on http://{listen}"
    );
    config.max_connections = open_files::connections(config.max_connections);
    let mut emf = Emf::new(
        &config.emf,
        cloudwatch::EXPORTED,
        app.prometheus.clone(),
        || app.publish(),
    );
    tokio::select! {
        () = serve(&config, app.clone(), listener, &stop) => {}
        () = emf.each_minute() => {}
        () = app.counts.log_each_minute() => {}
    }
    app.counts.log();
    emf.print();
    Ok(())
}
