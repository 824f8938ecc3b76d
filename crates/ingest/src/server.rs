//! Listens, serves and drains.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use aws::Aws;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::app::App;
use crate::config::Config;
use crate::routes::router;

/// Longest time for a request's head to arrive, and for a connection to lie idle before it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest head of a request.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Pause after an accept that failed, as when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves on `listener` until `stop`; then finishes what is in flight, for at most
/// `SHUTDOWN_GRACE`.
///
/// # Errors
///
/// If a setting is wrong, SQS cannot be reached or the queue is missing.
pub async fn run(
    config: Config,
    aws: Aws,
    listener: TcpListener,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let listen = listener
        .local_addr()
        .context("the listener has no address")?;
    let app = tokio::select! {
        app = App::start(&config, &aws) => app?,
        () = stop.cancelled() => return Ok(()),
    };
    info!(
        event = "started", %listen, endpoint = aws.endpoint().unwrap_or("AWS"), kinds = app.kinds.names(),
        settings = ?config, "ingest listens on http://{listen}"
    );
    let minutes = {
        let app = app.clone();
        tokio::spawn(async move { app.counts.log_each_minute(&app.prometheus).await })
    };
    serve(&config, listener, router(app.clone()), &stop, &app).await;
    minutes.abort();
    app.counts.log();
    Ok(())
}

async fn serve(
    config: &Config,
    listener: TcpListener,
    router: Router,
    stop: &CancellationToken,
    app: &Arc<App>,
) {
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(config.max_connections as usize));
    while let Some((stream, slot)) = accept(&listener, &slots, stop).await {
        spawn_connection(stream, slot, router.clone(), &graceful);
    }
    drop(listener);
    app.ready.set(false);
    let deadline = tokio::time::Instant::now() + config.shutdown_grace;
    let connections = graceful.count();
    info!(
        event = "stopping",
        connections,
        pending_events = app.committer.pending_events(),
        "no longer accepting: finishing what is in flight"
    );
    let drained = timeout_at(deadline, graceful.shutdown()).await.is_ok();
    // Whatever is left in the group is sent, whether or not its client is still there.
    let sent = timeout_at(
        deadline.max(tokio::time::Instant::now() + ACCEPT_PAUSE),
        app.committer.close(),
    )
    .await
    .is_ok();
    let pending_events = app.committer.pending_events();
    if drained && sent {
        info!(event = "stopped", "all requests in flight were answered");
    } else {
        error!(
            event = "stopped",
            pending_events,
            "SHUTDOWN_GRACE ({}) ended before all was done: clients of unanswered \
             requests send them again",
            humantime::format_duration(config.shutdown_grace)
        );
    }
}

/// The next connection, once there is a slot for it; none when the service stops.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let accepting = async {
        // Fails only for a semaphore that is closed, which this one never is.
        let slot = slots.clone().acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Some((stream, slot)),
                Err(error) => {
                    warn!(event = "accept_failed", %error, "cannot accept a connection: lower MAX_CONNECTIONS or raise the limit of open files");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        accepted = accepting => accepted,
    }
}

fn spawn_connection(
    stream: TcpStream,
    slot: OwnedSemaphorePermit,
    router: Router,
    graceful: &GracefulShutdown,
) {
    // Answers are small: waiting to fill a segment would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(event = "nodelay_failed", %error);
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_header_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        let _slot = slot;
        let open = metrics::gauge!("headwater_ingest_connections");
        open.increment(1);
        if let Err(error) = connection.await {
            debug!(event = "connection_failed", %error);
        }
        open.decrement(1);
    });
}
