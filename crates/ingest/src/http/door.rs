//! Connections that come when every seat is taken: seated once they have sent something, where another connection gives
//! way at once, else answered `503` and closed. No client waits without a word.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use crate::http::connection::Connection;
use crate::http::fast_path::FastPath;
use crate::http::refusal::{RETRY_AFTER_SECONDS, Refusal};
use crate::http::seats::{NO_REQUEST, Seats};

/// Most connections at the door at a time; what comes beside them waits to be accepted. Each takes little memory, and
/// the door is left within [`NO_REQUEST`] and [`PATIENCE`].
pub(crate) const DOOR_PLACES: usize = 256;

/// Longest time for a client to read the answer and close.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes that are read at a time.
const PIECE_BYTES: usize = 1024;

/// Serves a connection that found no seat free, or turns it away.
pub(crate) async fn at_the_door(
    mut stream: Pin<Box<impl AsyncRead + AsyncWrite + Send + 'static>>,
    peer: Option<SocketAddr>,
    place: OwnedSemaphorePermit,
    seats: Seats,
    fast_path: Arc<FastPath>,
) {
    // An answer that comes before the request is an error to some clients; and one that sends nothing needs no seat.
    let mut first = BytesMut::with_capacity(PIECE_BYTES);
    let read = timeout(NO_REQUEST, stream.read_buf(&mut first)).await;
    if !matches!(read, Ok(Ok(1..))) {
        return;
    }
    let seat = match seats.free_seat() {
        None => seats.given_up_seat().await,
        free => free,
    };
    if let Some(seat) = seat {
        drop(place);
        let seat = Arc::new(seat);
        let connection = Connection {
            seat,
            fast_path,
            peer,
        };
        return connection.serve(stream, first.freeze()).await;
    }
    drop(first);
    let started = Instant::now();
    // Whether the client takes the answer is up to it.
    let _ = timeout(PATIENCE, turn_away(stream)).await;
    Refusal::TooManyConnections.count();
    fast_path.app.counts.request(503, started.elapsed());
}

async fn turn_away(mut stream: Pin<Box<impl AsyncRead + AsyncWrite>>) -> io::Result<()> {
    stream.write_all(&answer()).await?;
    stream.shutdown().await?;
    // If the connection were closed with bytes left to read, the client might see a reset instead of the answer.
    let mut rest = [0; PIECE_BYTES];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

fn answer() -> Bytes {
    let body = serde_json::to_string(&Refusal::TooManyConnections.body())
        .expect("texts can be written as JSON");
    let text = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: {RETRY_AFTER_SECONDS}\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    text.into()
}
