//! Listens, serves and drains.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use anyhow::Context;
use aws::Aws;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use service::emf::Emf;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use crate::app::App;
use crate::cloudwatch;
use crate::config::Config;
use crate::http::connections::{Connections, SLOW_BODY, Seat};
use crate::http::open_files;
use crate::http::routes::Front;

/// Longest time for a client to take any of its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection that is to end may go on without a request.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Largest head of a request, and most that is read of a connection at once: each has such a buffer,
/// and one as large for answers.
const BUFFER_BYTES: usize = 8 * 1024;

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
    let minutes = {
        let app = app.clone();
        tokio::spawn(async move { app.counts.log_each_minute(&app.prometheus).await })
    };
    let mut emf = Emf::new(
        &config.emf,
        cloudwatch::EXPORTED,
        app.prometheus.clone(),
        || app.publish(),
    );
    tokio::select! {
        () = serve(&config, listener, &stop, &app) => {}
        () = emf.each_minute() => {}
    }
    minutes.abort();
    app.counts.log();
    emf.print();
    Ok(())
}

async fn serve(config: &Config, listener: TcpListener, stop: &CancellationToken, app: &Arc<App>) {
    let connections = Connections::with_places(open_files::connections(config.max_connections));
    let front = Arc::new(Front::new(app.clone()));
    let tasks = TaskTracker::new();
    let idle = {
        let connections = connections.clone();
        tokio::spawn(async move { connections.end_the_idle().await })
    };
    while let Some((stream, seat)) = accept(&listener, &connections, stop).await {
        let connection = Connection {
            seat: Arc::new(seat),
            front: front.clone(),
        };
        tasks.spawn(connection.serve(stream));
    }
    drop(listener);
    app.ready.set(false);
    let started = Instant::now();
    info!(
        event = "stopping",
        connections = tasks.len(),
        pending_events = app.committer.pending_events(),
        "no longer accepting: finishing what is in flight"
    );
    idle.abort();
    connections.all_end();
    tasks.close();
    let deadline = started + config.shutdown_grace;
    let prompt = timeout_at(deadline.min(started + SLOW_BODY), tasks.wait()).await;
    if prompt.is_err() {
        connections.all_bodies_give_way();
    }
    let drained = timeout_at(deadline, tasks.wait()).await.is_ok();
    // Whatever is left in the group is sent, whether or not its client is still there.
    let sent = timeout_at(
        deadline.max(Instant::now() + ACCEPT_PAUSE),
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

/// The next connection and its place; none when the service stops.
async fn accept(
    listener: &TcpListener,
    connections: &Connections,
    stop: &CancellationToken,
) -> Option<(TcpStream, Seat)> {
    let accepting = async {
        let stream = loop {
            match listener.accept().await {
                Ok((stream, _)) => break stream,
                Err(error) => {
                    warn!(event = "accept_failed", %error, "cannot accept a connection: lower MAX_CONNECTIONS or raise the limit of open files");
                    connections.one_gives_way();
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        };
        (stream, connections.seat().await)
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        accepted = accepting => Some(accepted),
    }
}

/// What a connection is served with.
struct Connection {
    seat: Arc<Seat>,
    front: Arc<Front>,
}

impl Connection {
    /// Serves until the client leaves, or the connection gives way or is drained.
    async fn serve(self, stream: TcpStream) {
        // Answers are small: waiting to fill a segment would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(event = "nodelay_failed", %error);
        }
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        // No timer for heads: `Connections::end_the_idle` sees to those that do not come.
        let connection = http1::Builder::new()
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(
                TokioIo::new(Box::pin(stream)),
                service_fn(|request| self.answer(request)),
            );
        let mut connection = pin!(connection);
        let _open = self.front.app.counts.connection();
        let ended = poll_fn(|context| {
            if self.seat.poll_ends(context).is_ready() {
                return Poll::Ready(None);
            }
            connection.as_mut().poll(context).map(Some)
        });
        let ended = match ended.await {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                self.finish(connection).await
            }
        };
        if let Err(error) = ended {
            debug!(event = "connection_failed", %error);
        }
    }

    /// Lets the connection end by itself for as long as it has a request, and a moment beyond: for
    /// the answer to be read, or what has begun of a request to come.
    async fn finish(
        &self,
        mut connection: Pin<&mut impl Future<Output = hyper::Result<()>>>,
    ) -> hyper::Result<()> {
        loop {
            match timeout(LAST_WORDS, connection.as_mut()).await {
                Ok(ended) => return ended,
                Err(_) if self.seat.is_waiting() => return Ok(()),
                Err(_) => {}
            }
        }
    }

    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response, Infallible>> + use<> {
        self.seat.receives();
        let (front, seat) = (self.front.clone(), self.seat.clone());
        async move {
            let answer = front.answer(&seat, request).await;
            seat.waits();
            Ok(answer)
        }
    }
}
