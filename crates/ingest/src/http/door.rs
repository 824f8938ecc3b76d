//! Connections that come when every seat is taken: seated where another gives way at once, else answered `503` and
//! closed, so that no client waits without a word.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use crate::http::connection::Connection;
use crate::http::fast_path::FastPath;
use crate::http::refusal::{RETRY_AFTER_SECONDS, Refusal};
use crate::http::seats::Seats;

/// Most connections that are turned away at a time; what comes beside them is closed without an answer. Each takes
/// little memory.
pub(crate) const DOOR_PLACES: usize = 256;

/// Longest time for a client to send something, read the answer, and close.
const PATIENCE: Duration = Duration::from_secs(2);

/// Serves a connection that found no seat free, or turns it away.
pub(crate) async fn at_the_door(
    stream: impl AsyncRead + AsyncWrite + Send,
    place: OwnedSemaphorePermit,
    seats: Seats,
    fast_path: Arc<FastPath>,
) {
    if let Some(seat) = seats.given_up_seat().await {
        drop(place);
        let seat = Arc::new(seat);
        return Connection { seat, fast_path }.serve(stream).await;
    }
    let started = Instant::now();
    let answered = timeout(PATIENCE, turn_away(stream)).await;
    if !matches!(answered, Ok(Ok(false))) {
        Refusal::TooManyConnections.count();
        fast_path.app.counts.request(503, started.elapsed());
    }
}

/// Answers `503`; whether the client had sent anything.
async fn turn_away(stream: impl AsyncRead + AsyncWrite) -> io::Result<bool> {
    let mut stream = pin!(stream);
    let mut scratch = [0; 1024];
    // An answer that comes before the request is an error to some clients.
    if stream.read(&mut scratch).await? == 0 {
        return Ok(false);
    }
    stream.write_all(answer().as_bytes()).await?;
    stream.shutdown().await?;
    // If the connection were closed with bytes left to read, the client might see a reset instead of the answer.
    while stream.read(&mut scratch).await? > 0 {}
    Ok(true)
}

fn answer() -> String {
    let body = serde_json::to_string(&Refusal::TooManyConnections.body())
        .expect("texts can be written as JSON");
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: {RETRY_AFTER_SECONDS}\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
