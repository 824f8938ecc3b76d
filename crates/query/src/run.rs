//! The service as a process: the snapshot is kept up to date and requests are answered until it is told to stop.

use std::sync::Arc;

use anyhow::Context;
use aws::Aws;
use axum::Router;
use service::emf::Emf;
use service::metrics::{Ready, routes, serve_routes};
use service::supervise;
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::app::App;
use crate::cloudwatch;
use crate::config::Config;
use crate::server;
use crate::snapshot::Snapshots;

/// Serves what `router` makes of the state on `listener` until `stop`; then finishes the answers under way, for at
/// most `SHUTDOWN_GRACE`. Probes and metrics are served on `admin` until the end, if it is given.
///
/// # Errors
///
/// If a setting is wrong, S3 cannot be reached or the bucket is missing; later, if a task of the service breaks.
pub async fn run(
    config: Config,
    aws: Aws,
    listener: TcpListener,
    admin: Option<TcpListener>,
    stop: CancellationToken,
    router: impl FnOnce(App) -> Router,
) -> anyhow::Result<()> {
    config.check()?;
    let bucket = &config.lake.lake_bucket;
    let lake = aws.lake(bucket);
    let Some(probed) = stop.run_until_cancelled(lake.probe()).await else {
        return Ok(());
    };
    probed
        .map_err(|error| aws.explain(error))
        .with_context(|| format!("cannot read the lake `{bucket}`"))?;
    let (kinds, clock) = (Arc::new(config.kinds()?), aws.clock());
    let snapshots = Snapshots::new(lake.clone(), kinds.clone(), clock, config.snapshot());
    let app = App {
        lake,
        kinds,
        clock,
        read_keys: config.read_keys.clone().into(),
        ready: Ready::default(),
        newest: snapshots.watch(),
        meter: aws.meter().clone(),
    };
    let listen = listener
        .local_addr()
        .context("the listener has no address")?;
    info!(
        event = "started",
        %listen,
        metrics_listen = admin.as_ref().and_then(|admin| admin.local_addr().ok()).map(tracing::field::display),
        endpoint = aws.endpoint().unwrap_or("AWS"),
        bucket,
        kinds = app.kinds.names(),
        poll = %humantime::format_duration(config.poll),
        hot_limit = %config.hot_limit,
        max_connections = config.max_connections,
        "query listens on http://{listen}"
    );
    let recorder = service::metrics::install()?;
    let mut emf = Emf::new(&config.emf, cloudwatch::EXPORTED, recorder.clone(), {
        let app = app.clone();
        move || app.publish()
    });
    let serve_admin = async {
        let Some(admin) = admin else {
            return std::future::pending().await;
        };
        let (update, asked) = (app.clone(), app.ready.clone());
        let not_ready = move || std::future::ready(asked.reason());
        let routes = routes(recorder, move || update.publish(), not_ready);
        // Until the drain has ended, so that a probe sees it.
        serve_routes(admin, routes, CancellationToken::new()).await
    };
    // The snapshot is followed until the last answer is given.
    let end = CancellationToken::new();
    let _end = end.clone().drop_guard();
    let following = supervise::spawn("snapshot", {
        let (ready, end) = (app.ready.clone(), end.clone());
        async move {
            snapshots.follow(&end, &ready).await;
            Ok(())
        }
    });
    let routes = router(app.clone());
    let result = tokio::select! {
        () = serve(&config, &app, listener, routes, &stop) => Ok(()),
        result = serve_admin => result,
        reason = following.broken() => Err(reason),
        () = emf.each_minute() => Ok(()),
    };
    app.ready.set(false);
    emf.print();
    result
}

async fn serve(
    config: &Config,
    app: &App,
    listener: TcpListener,
    routes: Router,
    stop: &CancellationToken,
) {
    let most = config.max_connections as usize;
    let serving = server::serve(listener, routes, most, stop);
    let overdue = async {
        stop.cancelled().await;
        app.ready.set(false);
        info!(
            event = "stopping",
            "no longer accepting: finishing the answers under way"
        );
        sleep(config.shutdown_grace).await;
    };
    tokio::select! {
        biased;
        () = serving => {
            info!(event = "stopped", "all requests under way were answered");
        }
        () = overdue => {
            error!(
                event = "stopped",
                "SHUTDOWN_GRACE ({}) ended before all was answered",
                humantime::format_duration(config.shutdown_grace)
            );
        }
    }
}
