//! Accepts connections: how many, with or without TLS, and until when.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt;
use service::tls::{self, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::error::PgError;
use super::server::{Server, Stream};
use super::{Settings, startup};

/// Time in which a client must have shown its password.
const STARTUP: Duration = Duration::from_secs(30);

/// Connections past the bound that are told so at once; one more is closed without a word.
const TURNED_AWAY_AT_ONCE: usize = 100;

/// Serves connections until the server's `stop`, then waits for running statements, at most the grace period. Clients
/// that wait for nothing are told 57P01 at once.
pub async fn serve(listener: TcpListener, server: Arc<Server>) {
    let mut connections = JoinSet::new();
    let mut following = std::pin::pin!(tls::follow(server.settings.tls.clone()));
    loop {
        tokio::select! {
            biased;
            () = server.stop.cancelled() => break,
            () = &mut following => {}
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&server)));
                }
                Err(error) => {
                    // Out of files or memory: the next accept would fail as fast.
                    warn!(event = "accept_failed", error = %error, "cannot accept a PostgreSQL connection: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(server.settings.grace, all).await.is_err() {
        server.end.cancel();
        let rest = async { while connections.join_next().await.is_some() {} };
        if timeout(Duration::from_secs(1), rest).await.is_err() {
            warn!(
                event = "connections_left",
                "PostgreSQL connections did not end in time"
            );
        }
    }
}

async fn connection(stream: TcpStream, server: Arc<Server>) {
    let place = Arc::clone(&server.places).try_acquire_owned().ok();
    if place.is_none() && server.unknown.fetch_add(1, Ordering::Relaxed) >= TURNED_AWAY_AT_ONCE {
        server.unknown.fetch_sub(1, Ordering::Relaxed);
        return;
    }
    metrics::gauge!("headwater_query_pg_connections").increment(1);
    let started = async {
        let opened = open(stream, &server.settings).await?;
        Ok::<_, io::Error>(match opened {
            Some(opened) => {
                let refused = match place {
                    None => Some(full(&server.settings)),
                    Some(_) => clear(&server.settings).filter(|_| !opened.is_secure),
                };
                startup::start(opened.stream, &opened.head, &server, refused).await
            }
            None => None,
        })
    };
    // A panic in one connection must not be the end of its place in the counts.
    let started = AssertUnwindSafe(started).catch_unwind();
    let started = started.map(|ended| ended.unwrap_or(Ok(None)));
    let started = tokio::select! {
        started = timeout(STARTUP, started) => started,
        () = server.stop.cancelled() => Ok(Ok(None)),
    };
    if place.is_none() {
        server.unknown.fetch_sub(1, Ordering::Relaxed);
    }
    match started {
        Ok(Ok(Some(connection))) => {
            let _ = AssertUnwindSafe(connection.run()).catch_unwind().await;
        }
        Ok(Ok(None)) => {}
        Ok(Err(error)) => {
            debug!(event = "connection_failed", error = %error, "a PostgreSQL connection failed: {error}")
        }
        Err(_) => debug!(
            event = "startup_timeout",
            "a PostgreSQL client did not log in within {STARTUP:?}"
        ),
    }
    metrics::gauge!("headwater_query_pg_connections").decrement(1);
    drop(place);
}

/// Numbers of the requests that can come before the first message (PostgreSQL's documentation, 55.2.10 and 55.2.11).
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

/// A connection before its startup message.
struct Opened {
    stream: Box<dyn Stream>,
    is_secure: bool,
    /// The first 8 bytes of the startup message.
    head: [u8; 8],
}

/// Negotiates TLS; gives none for a client that left.
async fn open(mut stream: TcpStream, settings: &Settings) -> io::Result<Option<Opened>> {
    stream.set_nodelay(true)?;
    let mut head = [0; 8];
    // Each of the two requests once.
    for _ in 0..3 {
        if stream.read_exact(&mut head).await.is_err() {
            return Ok(None);
        }
        let number = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        match (number, &settings.tls) {
            (SSL_REQUEST, Some(tls)) => {
                stream.write_all(b"S").await?;
                let mut stream = tls.accept(stream, Protocol::Postgres).await?.stream;
                return match stream.read_exact(&mut head).await {
                    Ok(_) => Ok(Some(Opened {
                        stream: Box::new(stream),
                        is_secure: true,
                        head,
                    })),
                    Err(_) => Ok(None),
                };
            }
            (SSL_REQUEST | GSS_REQUEST, _) => stream.write_all(b"N").await?,
            _ => {
                return Ok(Some(Opened {
                    stream: Box::new(stream),
                    is_secure: false,
                    head,
                }));
            }
        }
    }
    Ok(None)
}

/// What one connection too many is told.
fn full(settings: &Settings) -> PgError {
    let most = settings.connections;
    PgError::fatal(
        "53300",
        format!("too many connections: {most} at once are served"),
    )
    .hint("raise PG_CONNECTIONS, or use a connection pool")
}

/// What a connection in clear is told, if none is taken.
fn clear(settings: &Settings) -> Option<PgError> {
    let is_refused = settings.tls.is_some() && !settings.takes_clear;
    is_refused.then(|| {
        PgError::fatal("28000", "connections in clear are not taken")
            .hint("connect with sslmode=require")
    })
}
