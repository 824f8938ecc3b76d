//! Serves HTTP on a bounded number of connections until the service stops, then lets their answers end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use crate::tls::{self, Protocol, Stream, Tls};
use crate::{http2, supervise};

/// Longest time for the head of a request to arrive, and for a connection to be without one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest time in which a client may take nothing of its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Pause after an accept that failed, as when the process is out of file descriptors.
const SHORT_PAUSE: Duration = Duration::from_millis(100);

/// Most connections past the bound that are told so at a time; others wait.
const TOLD_AT_ONCE: usize = 16;

/// Longest time to tell a connection that there is no place for it.
const TELL_WITHIN: Duration = Duration::from_secs(1);

/// What is told to a connection past the bound, whatever it asks.
const FULL: &str = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
    content-type: application/json\r\ncontent-length: 102\r\n\r\n\
    {\"error\":{\"code\":\"too_many_connections\",\"message\":\"all connections are taken: see MAX_CONNECTIONS\"}}\r\n";

/// Serves HTTP/1.1, and HTTP/2 where there is `tls` and the client chooses it, on the connections of `listener`, `most`
/// at a time, until `stop`; returns when the last answer under way is given. Dropping it closes all connections. One
/// past `most`, which is the setting `MAX_CONNECTIONS`, is told so by a 503. Requests have the client's address as
/// [`ConnectInfo`], and a [`Client`](crate::tls::Client) where there is `tls`, whose files are followed until `stop`.
///
/// The listener is closed at `stop`, so that connections which come during the drain are refused.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    most: usize,
    tls: Option<Tls>,
    stop: &CancellationToken,
) {
    let mut connections = JoinSet::new();
    tokio::select! {
        () = accept_all(listener, &routes, most, &tls, stop, &mut connections) => {}
        () = tls::follow(tls.clone()) => {}
    }
    while let Some(ended) = connections.join_next().await {
        tell_panic(ended);
    }
}

/// Accepts connections until `stop`, and spawns what serves them.
async fn accept_all(
    listener: TcpListener,
    routes: &Router,
    most: usize,
    tls: &Option<Tls>,
    stop: &CancellationToken,
    connections: &mut JoinSet<()>,
) {
    let places = Arc::new(Semaphore::new(most));
    let door = Arc::new(Semaphore::new(TOLD_AT_ONCE));
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        while let Some(ended) = connections.try_join_next() {
            tell_panic(ended);
        }
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(
                    event = "accept_failed",
                    %error,
                    "cannot accept a connection: lower MAX_CONNECTIONS or raise the limit of open files"
                );
                sleep(SHORT_PAUSE).await;
                continue;
            }
        };
        if let Ok(place) = places.clone().try_acquire_owned() {
            let (routes, tls, stop) = (routes.clone(), tls.clone(), stop.clone());
            connections.spawn(connection(stream, peer, place, routes, tls, stop));
        } else if let Ok(place) = door.clone().acquire_owned().await {
            // The semaphore never closes.
            let tls = tls.clone();
            connections.spawn(async move {
                // Whoever does not listen is not told.
                let _ = timeout(TELL_WITHIN, tell_full(stream, tls)).await;
                drop(place);
            });
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    _place: OwnedSemaphorePermit,
    routes: Router,
    tls: Option<Tls>,
    stop: CancellationToken,
) {
    // Small answers must not wait for the acknowledgement of those before; without it they are only slower.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let stream = Box::pin(stream);
    let (stream, client, is_http2) = match tls {
        None => (Stream::Left(stream), None, false),
        Some(tls) => {
            let accepted = stop.run_until_cancelled(tls.accept(stream, Protocol::Http));
            let Some(Ok(secured)) = accepted.await else {
                return;
            };
            let client = Some(secured.client);
            (Stream::Right(secured.stream), client, secured.is_http2)
        }
    };
    let answer = move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        if let Some(client) = &client {
            client.tell(&mut request);
        }
        TowerToHyperService::new(routes.clone()).call(request)
    };
    let stream = TokioIo::new(stream);
    let ended = if is_http2 {
        Box::pin(http2::serve(
            stream,
            answer,
            HEAD_TIMEOUT,
            WRITE_TIMEOUT,
            &stop,
        ))
        .await
    } else {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(stream, service_fn(answer))
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            ended = &mut connection => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(event = "connection_failed", %error, "a connection broke off");
    }
}

/// Answers 503, and lets the client read it: a connection that is closed before it was read to its end is reset,
/// answer and all.
async fn tell_full(stream: TcpStream, tls: Option<Tls>) -> std::io::Result<()> {
    let mut stream = match tls {
        None => Stream::Left(stream),
        Some(tls) => Stream::Right(tls.accept(stream, Protocol::Http1).await?.stream),
    };
    stream.write_all(FULL.as_bytes()).await?;
    stream.shutdown().await?;
    let mut unread = [0; 1024];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

/// A panic ends its own connection only.
fn tell_panic(ended: Result<(), JoinError>) {
    if let Err(reason) = supervise::joined("connection", ended) {
        tracing::error!(event = "request_broken", %reason, "a connection was closed without an answer");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;

    #[test]
    fn the_answer_to_a_connection_too_many_is_as_long_as_it_says() {
        let (head, body) = FULL.split_once("\r\n\r\n").unwrap();
        let length = head.split_once("content-length: ").unwrap().1;
        assert_eq!(length.parse(), Ok(body.len()));
    }

    #[tokio::test]
    async fn a_connection_too_many_is_told_so_and_a_stop_lets_answers_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, answer) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let routes = Router::new().route("/", {
            let (asked, answer) = (asked.clone(), answer.clone());
            get(async move || {
                asked.add_permits(1);
                answer.acquire().await.map(drop).unwrap();
                "done"
            })
        });
        let stop = CancellationToken::new();
        let serving = tokio::spawn({
            let stop = stop.clone();
            async move { serve(listener, routes, 1, None, &stop).await }
        });
        let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        let read = async |mut stream: TcpStream| {
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            text
        };
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(request).await.unwrap();
        asked.acquire().await.unwrap().forget();
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(request).await.unwrap();
        let told = read(second).await;
        assert!(
            told.starts_with("HTTP/1.1 503") && told.contains("MAX_CONNECTIONS"),
            "{told}"
        );
        stop.cancel();
        answer.add_permits(1);
        assert!(read(first).await.ends_with("done"));
        serving.await.unwrap();
    }
}
