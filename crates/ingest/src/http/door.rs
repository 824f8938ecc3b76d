//! Connections that come when every seat is taken: seated once they have sent something, where another connection gives
//! way at once, else answered `503` and closed. No client waits without a word.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use service::tls::{Protocol, Stream, Tls};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use crate::http::connection::{Arrival, Watched};
use crate::http::refusal::{RETRY_AFTER_SECONDS, Refusal};
use crate::http::seats::NO_REQUEST;

/// Most connections at the door at a time; what comes beside them waits to be accepted. Each takes little memory, and
/// the door is left within [`NO_REQUEST`] and [`PATIENCE`].
pub(crate) const DOOR_PLACES: usize = 256;

/// Longest time for a client to read the answer and close.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes that are read at a time.
const PIECE_BYTES: usize = 1024;

/// Serves a connection that found no seat free, or turns it away.
pub(crate) async fn at_the_door<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    mut arrival: Arrival<S>,
    place: OwnedSemaphorePermit,
) {
    // An answer that comes before the request is an error to some clients; and one that sends nothing needs no seat.
    let mut first = BytesMut::with_capacity(PIECE_BYTES);
    let read = timeout(NO_REQUEST, arrival.stream.read_buf(&mut first)).await;
    if !matches!(read, Ok(Ok(1..))) {
        return;
    }
    arrival.first = first.freeze();
    let seat = match arrival.seats.free_seat() {
        None => arrival.seats.given_up_seat().await,
        free => free,
    };
    if let Some(seat) = seat {
        drop(place);
        return arrival.serve(seat).await;
    }
    let started = Instant::now();
    // Whether the client takes the answer is up to it.
    let _ = timeout(
        PATIENCE,
        turn_away(arrival.stream, arrival.first, arrival.tls),
    )
    .await;
    Refusal::TooManyConnections.count();
    arrival.fast_path.app.counts.request(503, started.elapsed());
}

async fn turn_away(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    first: Bytes,
    tls: Option<Tls>,
) -> io::Result<()> {
    let stream = Watched::new(first, stream, &Arc::default());
    let mut stream = match tls {
        None => Stream::Left(stream),
        Some(tls) => Stream::Right(tls.accept(stream, Protocol::Http1).await?.stream),
    };
    let mut rest = [0; PIECE_BYTES];
    // The first bytes of the request, which with TLS come behind the handshake.
    if stream.read(&mut rest).await? == 0 {
        return Ok(());
    }
    stream.write_all(&answer()).await?;
    stream.shutdown().await?;
    // If the connection were closed with bytes left to read, the client might see a reset instead of the answer.
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
