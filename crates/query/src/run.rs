//! The service as a process: the snapshot is kept up to date and requests are answered until it is told to stop.

use std::sync::Arc;

use anyhow::Context;
use aws::{Aws, Meter};
use axum::Router;
use console::{AlertsApi, Console};
use service::emf::Emf;
use service::keys::Keys;
use service::metrics::{Ready, routes, serve_routes};
use service::server;
use service::supervise::{self, Supervised};
use service::tls::Tls;
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{error, info};

use crate::app::App;
use crate::cloudwatch;
use crate::config::Config;
use crate::http::{router, router_with_console};
use engine::snapshot::{Arrivals, Snapshots};

/// A query service without a port of its own: its snapshot is kept up to date for as long as this lives.
#[derive(Debug)]
pub struct Started {
    /// What [`router`](crate::http::router) answers from.
    pub app: App,
    arrivals: Arrivals,
    following: Supervised,
    end: DropGuard,
}

impl Started {
    /// Waits until the task that keeps the snapshot up to date ends, which it should not, and gives the reason.
    pub async fn broken(&self) -> anyhow::Error {
        self.following.broken().await
    }

    /// The console over this service, whose routes are those of [`router`]; the requests of `meters` are told as the
    /// process's.
    ///
    /// # Errors
    ///
    /// If a setting of the console is wrong.
    pub fn console(
        &self,
        config: &Config,
        meters: Vec<Meter>,
        alerts: AlertsApi,
    ) -> anyhow::Result<Console> {
        let app = &self.app;
        let parts = console::Parts {
            engine: app.engine.clone(),
            arrivals: self.arrivals.clone(),
            clock: app.clock,
            keys: app.keys.clone(),
            meters,
            query: router(app.clone(), config.queries.clone()),
            has_sql: cfg!(feature = "sql"),
            alerts,
        };
        Console::new(parts, &config.console)
    }

    /// Ends the task that keeps the snapshot up to date, and waits until it has.
    ///
    /// # Errors
    ///
    /// If the task had failed.
    pub async fn stop(self) -> anyhow::Result<()> {
        drop(self.end);
        self.following.end().await
    }
}

/// Looks at the lake, and begins to keep a snapshot of it up to date.
///
/// # Errors
///
/// If a setting is wrong, S3 cannot be reached or the bucket is missing.
pub async fn start(config: &Config, aws: &Aws) -> anyhow::Result<Started> {
    config.check()?;
    let bucket = &config.lake.lake_bucket;
    let lake = aws.lake(bucket);
    let probed = lake.probe().await.map_err(|error| aws.explain(error));
    probed.with_context(|| format!("cannot read the lake `{bucket}`"))?;
    let (kinds, clock) = (Arc::new(config.kinds()?), aws.clock());
    let snapshots = Snapshots::new(lake.clone(), kinds.clone(), clock, config.snapshot());
    let engine = Arc::new(config.queries.engine(lake, snapshots.watch()));
    let app = App {
        #[cfg(feature = "sql")]
        database: Arc::new(sql::Database::new(
            engine.clone(),
            &config.sql,
            config.queries.query_timeout,
        )?),
        engine,
        kinds,
        clock,
        keys: Keys::load(&config.keys()?, move || clock.now())?,
        ready: Ready::default(),
        meter: aws.meter().clone(),
    };
    let arrivals = snapshots.arrivals();
    let end = CancellationToken::new();
    if app.keys.has_file() {
        let (keys, end) = (app.keys.clone(), end.clone());
        tokio::spawn(async move { end.run_until_cancelled(keys.follow()).await });
    }
    let following = supervise::spawn("snapshot", {
        let (ready, end) = (app.ready.clone(), end.clone());
        async move {
            snapshots.follow(&end, &ready).await;
            Ok(())
        }
    });
    Ok(Started {
        app,
        arrivals,
        following,
        end: end.drop_guard(),
    })
}

/// Serves on `listener` until `stop`; then finishes the answers under way, for at most `SHUTDOWN_GRACE`. Probes and
/// metrics are served on `admin` until the end, if it is given, and PostgreSQL clients on `postgres` (feature `sql`).
///
/// # Errors
///
/// As for [`start`]; later, if a task of the service breaks.
pub async fn run(
    config: Config,
    aws: Aws,
    listener: TcpListener,
    admin: Option<TcpListener>,
    postgres: Option<TcpListener>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let Some(started) = stop.run_until_cancelled(start(&config, &aws)).await else {
        return Ok(());
    };
    // The snapshot is followed until the last answer is given.
    let started = started?;
    let app = &started.app;
    let listen = listener
        .local_addr()
        .context("the listener has no address")?;
    info!(
        event = "started",
        %listen,
        metrics_listen = admin.as_ref().and_then(|admin| admin.local_addr().ok()).map(tracing::field::display),
        endpoint = aws.endpoint().unwrap_or("AWS"),
        bucket = config.lake.lake_bucket,
        kinds = app.kinds.names(),
        poll = %humantime::format_duration(config.poll),
        hot_limit = %config.hot_limit,
        max_connections = config.max_connections,
        "query listens on {}://{listen}",
        config.tls.scheme()
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
    let wire = wire(&config, app, postgres, &stop)?;
    let alerts = AlertsApi::of(&config.console).context("cannot ask alerts")?;
    let console = started.console(&config, vec![aws.meter().clone()], alerts)?;
    let routes = router_with_console(app.clone(), config.queries.clone(), &console, &[]);
    let tls = config.tls.load()?;
    let serve_all = async {
        let http = serve(&config, app, listener, routes, tls, &stop);
        // It closes the live stream of each client at the stop, so that the drain need not wait for them.
        tokio::join!(http, wire, console.run(&stop));
    };
    let result = tokio::select! {
        () = serve_all => Ok(()),
        result = serve_admin => result,
        reason = started.broken() => Err(reason),
        () = emf.each_minute() => Ok(()),
        () = app.keys.outlive_hangups() => Ok(()),
    };
    app.ready.set(false);
    emf.print();
    result
}

/// Serves PostgreSQL clients on `listener` until `stop`, and then for at most `SHUTDOWN_GRACE`; at once over when there
/// is no listener.
///
/// # Errors
///
/// If a file of its TLS cannot be used; without the feature `sql`, if there is a listener.
#[cfg(feature = "sql")]
pub fn wire(
    config: &Config,
    app: &App,
    listener: Option<TcpListener>,
    stop: &CancellationToken,
) -> anyhow::Result<impl Future<Output = ()> + use<>> {
    let server = match listener {
        Some(listener) => {
            let database = app.database.clone();
            let keys = app.keys.clone();
            let server = crate::postgres::server(config, database, keys, &listener, stop.clone())?;
            Some((listener, server))
        }
        None => None,
    };
    Ok(async move {
        if let Some((listener, server)) = server {
            sql::wire::serve(listener, server).await;
        }
    })
}

#[cfg(not(feature = "sql"))]
#[allow(missing_docs, reason = "that of the feature `sql` says it")]
pub fn wire(
    _: &Config,
    _: &App,
    listener: Option<TcpListener>,
    _: &CancellationToken,
) -> anyhow::Result<impl Future<Output = ()> + use<>> {
    anyhow::ensure!(
        listener.is_none(),
        "built without the feature `sql`: no PostgreSQL wire"
    );
    Ok(std::future::ready(()))
}

async fn serve(
    config: &Config,
    app: &App,
    listener: TcpListener,
    routes: Router,
    tls: Option<Tls>,
    stop: &CancellationToken,
) {
    let most = config.max_connections as usize;
    let serving = server::serve(listener, routes, most, tls, stop);
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
