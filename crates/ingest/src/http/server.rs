//! Serves connections until the service stops, then drains them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use service::supervise;
use service::tls::{self, Tls};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::app::App;
use crate::config::Config;
use crate::http::accept::Accept;
use crate::http::connection::{Arrival, LAST_WORDS};
use crate::http::door::{DOOR_PLACES, at_the_door};
use crate::http::fast_path::FastPath;
use crate::http::peer::Peer;
use crate::http::seats::{SLOW_BODY, Seats};

/// Pause after an accept that failed, as when the process is out of file descriptors; also the least time for what is
/// held to be sent at the end.
const SHORT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the connections that `source` gives until `stop`; then finishes what is in flight, for at most
/// `SHUTDOWN_GRACE`. This is the one way in: the process, the tests and the simulation all come by it. Dropping the
/// future closes every connection at once. Routes that are none of ingest's are answered by `others`.
///
/// # Errors
///
/// If the files of TLS cannot be used; or if the task that groups and sends events breaks: no request could be answered
/// any more.
pub async fn serve(
    config: &Config,
    app: Arc<App>,
    mut source: impl Accept,
    others: Router,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let tls = config.tls.load()?;
    let seats = Seats::new(config.max_connections as usize);
    let mut connections = JoinSet::new();
    let fast_path = Arc::new(FastPath::new(app.clone(), others));
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        reason = app.group_commit.broken() => {
            app.ready.set(false);
            return Err(reason);
        }
        () = accept_all(&mut source, &tls, &seats, &fast_path, &mut connections) => {}
        () = tls::follow(tls.clone()) => {}
        () = seats.end_idle() => {}
    }
    drop(source);
    app.ready.set(false);
    let started = Instant::now();
    info!(
        event = "stopping",
        connections = connections.len(),
        pending_events = app.group_commit.pending_events(),
        "no longer accepting: finishing what is in flight"
    );
    seats.end_all();
    let deadline = started + config.shutdown_grace;
    let prompt = deadline.min(started + LAST_WORDS + SLOW_BODY);
    if timeout_at(prompt, all_end(&mut connections)).await.is_err() {
        seats.slow_bodies_give_way();
    }
    let drained = timeout_at(deadline, all_end(&mut connections)).await;
    // Lines that wait in a group are sent whether or not their clients are still there.
    let last = deadline.max(Instant::now() + SHORT_PAUSE);
    let sent = timeout_at(last, app.group_commit.close()).await;
    let is_sent = sent.map_or(Ok(false), |closed| closed.map(|()| true))?;
    let pending_events = app.group_commit.pending_events();
    if drained.is_ok() && is_sent {
        info!(event = "stopped", "all requests in flight were answered");
    } else {
        error!(
            event = "stopped",
            pending_events,
            "SHUTDOWN_GRACE ({}) ended before all was done: clients of unanswered requests send them again",
            humantime::format_duration(config.shutdown_grace)
        );
    }
    Ok(())
}

/// Accepts and serves connections, for ever.
async fn accept_all(
    source: &mut impl Accept,
    tls: &Option<Tls>,
    seats: &Seats,
    fast_path: &Arc<FastPath>,
    connections: &mut JoinSet<()>,
) {
    let door = Arc::new(Semaphore::new(DOOR_PLACES));
    loop {
        let stream = match source.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                warn!(
                    event = "accept_failed",
                    %error,
                    "cannot accept a connection: lower MAX_CONNECTIONS or raise the limit of open files"
                );
                seats.one_gives_way();
                sleep(SHORT_PAUSE).await;
                continue;
            }
        };
        while let Some(ended) = connections.try_join_next() {
            tell_panic(ended);
        }
        let peer = Peer {
            address: peer_of(source, &stream),
            client: None,
        };
        let arrival = Arrival {
            // Boxed, so that both ways below serve the same type.
            stream: Box::pin(stream),
            first: Bytes::new(),
            peer,
            tls: tls.clone(),
            seats: seats.clone(),
            fast_path: fast_path.clone(),
        };
        if let Some(seat) = seats.free_seat() {
            connections.spawn(arrival.serve(seat));
        } else if let Ok(place) = door.clone().acquire_owned().await {
            // The semaphore never closes.
            connections.spawn(at_the_door(arrival, place));
        }
    }
}

fn peer_of<A: Accept>(_: &A, stream: &A::Stream) -> Option<SocketAddr> {
    A::peer(stream)
}

async fn all_end(connections: &mut JoinSet<()>) {
    while let Some(ended) = connections.join_next().await {
        tell_panic(ended);
    }
}

/// A panic ends its own connection only: otherwise one request could end those beside it.
fn tell_panic(ended: Result<(), JoinError>) {
    if let Err(reason) = supervise::joined("connection", ended) {
        error!(event = "request_broken", %reason, "a connection was closed without an answer");
    }
}
