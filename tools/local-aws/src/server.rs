//! The cloud on a TCP port: HTTP/1.1, one task a connection.

use std::io;
use std::pin::pin;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cloud::LocalAws;
use crate::dispatch::Cut;
use crate::guard;
use crate::http_bodies::ResponseBody;

/// How long requests in flight may take once the server is told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// The pause after a connection could not be accepted, such as when the process has too many files open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves the cloud on a listener until `stop`. Long polls are then answered at once, other requests in
/// flight have five seconds.
///
/// # Errors
///
/// None at present: a connection that fails concerns its client alone.
pub async fn serve(
    cloud: LocalAws,
    listener: TcpListener,
    stop: CancellationToken,
) -> io::Result<()> {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(serve_connection(cloud.clone(), stream, stop.clone()));
            }
            Err(error) => {
                tracing::warn!(event = "accept_failed", %error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(GRACE, connections.wait())
        .await
        .is_err()
    {
        let left = connections.len();
        tracing::warn!(
            event = "connections_cut",
            left,
            "{left} connections were still busy"
        );
    }
    Ok(())
}

async fn serve_connection(cloud: LocalAws, stream: TcpStream, stop: CancellationToken) {
    // Answers are small and awaited: send them at once.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(event = "nodelay_failed", %error, "answers may be delayed");
    }
    let service = service_fn(|request| answer(&cloud, request, &stop));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Idle connections of clients' pools may stay.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(event = "connection_ended", %error, "a connection ended early");
    }
}

async fn answer(
    cloud: &LocalAws,
    request: Request<Incoming>,
    stop: &CancellationToken,
) -> Result<Response<ResponseBody>, Cut> {
    let (parts, body) = request.into_parts();
    if let Err(stranger) = guard::check(&parts, &cloud.inner.hosts) {
        tracing::warn!(event = "refused_stranger", reason = %stranger, "refused {} {}", parts.method, parts.uri.path());
        return Ok(guard::refusal(&parts, &stranger));
    }
    let body = body.map_err(Into::into).boxed_unsync();
    cloud.handle(parts, body, stop).await
}
