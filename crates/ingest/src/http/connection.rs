//! Serves one connection: HTTP/1.1 by hyper, until the client leaves or the connection's seat is called in.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{Request, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tracing::debug;

use crate::http::fast_path::{FastPath, StillSends};
use crate::http::refusal::count;
use crate::http::seats::Seat;

/// Longest time in which a client may take nothing of its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection that is to end stays open without a request.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(1);

/// Size of a connection's read buffer, and of its write buffer; also the largest head of a request.
const BUFFER_BYTES: usize = 8 * 1024;

pub(crate) struct Connection {
    pub(crate) seat: Arc<Seat>,
    pub(crate) fast_path: Arc<FastPath>,
    /// The client's address, where it is known.
    pub(crate) peer: Option<SocketAddr>,
}

impl Connection {
    /// Serves until the client leaves, or the connection gives way or is drained. `first` is what was read of the
    /// stream already.
    pub(crate) async fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        first: Bytes,
    ) {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let unread = Arc::<AtomicBool>::default();
        let stream = Watched {
            first,
            stream: Box::pin(stream),
            unread: unread.clone(),
        };
        // No timer for heads: `Seats::end_idle` ends connections whose heads do not come. A client that has sent its
        // request may close its side of the connection, and has its answer all the same.
        let connection = http1::Builder::new()
            .max_buf_size(BUFFER_BYTES)
            .half_close(true)
            .serve_connection(
                TokioIo::new(stream),
                service_fn(|request| self.answer(request)),
            )
            // A WebSocket of another service: its stream is served elsewhere, and the seat is free again.
            .with_upgrades();
        let mut connection = pin!(connection);
        let _open = self.fast_path.app.counts.connection();
        let ended = poll_fn(|context| {
            // First, so that a request that is there already is served before the connection ends.
            if let Poll::Ready(ended) = connection.as_mut().poll(context) {
                return Poll::Ready(Some(ended));
            }
            self.seat.poll_end(context).map(|()| None)
        });
        let ended = match ended.await {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                self.finish(connection, &unread).await
            }
        };
        if let Err(error) = ended {
            self.count_refused_head(&error);
            debug!(event = "connection_failed", %error, "a connection broke off");
        }
    }

    /// Lets the connection end by itself while it has a request or an answer that the client has yet to read. Without
    /// either it ends at once if it must leave, else after a moment: the client may be sending the head of its next
    /// request.
    async fn finish(
        &self,
        mut connection: Pin<&mut impl Future<Output = hyper::Result<()>>>,
        unread: &AtomicBool,
    ) -> hyper::Result<()> {
        let is_idle = || self.seat.is_waiting() && !unread.load(Relaxed);
        loop {
            let moment = if self.seat.must_leave() && is_idle() {
                Duration::ZERO
            } else {
                LAST_WORDS
            };
            match timeout(moment, connection.as_mut()).await {
                Ok(ended) => return ended,
                Err(_) if is_idle() => return Ok(()),
                Err(_) => {}
            }
        }
    }

    /// Counts a head that hyper has answered by itself, with an empty body: hyper 1.12 lets nobody else answer it.
    fn count_refused_head(&self, error: &hyper::Error) {
        let (status, code) = if error.is_parse_too_large() {
            (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "head_too_large",
            )
        } else if error.is_parse() {
            (StatusCode::BAD_REQUEST, "invalid_head")
        } else {
            return;
        };
        count(code);
        let counts = &self.fast_path.app.counts;
        counts.request(status.as_u16(), Duration::ZERO);
    }

    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response, Infallible>> + use<> {
        self.seat.receives();
        let (fast_path, seat, peer) = (self.fast_path.clone(), self.seat.clone(), self.peer);
        async move {
            let answer = fast_path.answer(&seat, peer, request).await;
            if answer.extensions().get::<StillSends>().is_none() {
                seat.waits();
            }
            Ok(answer)
        }
    }
}

/// A stream that tells whether the client has yet to read what was written: whether the last write had to wait.
struct Watched<S> {
    first: Bytes,
    stream: Pin<Box<S>>,
    unread: Arc<AtomicBool>,
}

impl<S: AsyncRead> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let length = self.first.len().min(buffer.remaining());
            buffer.put_slice(&self.first.split_to(length));
            return Poll::Ready(Ok(()));
        }
        self.stream.as_mut().poll_read(context, buffer)
    }
}

impl<S: AsyncWrite> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream.as_mut().poll_write(context, data);
        self.unread.store(written.is_pending(), Relaxed);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream.as_mut().poll_write_vectored(context, data);
        self.unread.store(written.is_pending(), Relaxed);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(context)
    }
}
