//! Serves one connection: HTTP/1.1 by hyper, or HTTP/2 where a client chooses it in its TLS handshake, until the client
//! leaves or the connection's seat is called in.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::{self, http1};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use service::http2::{self, Answer, Exchange, Exchanges};
use service::tls::{Protocol, Stream, Tls};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tracing::debug;

use crate::http::fast_path::{FastPath, StillSends};
use crate::http::peer::Peer;
use crate::http::refusal::{Refusal, count};
use crate::http::seats::{Seat, Seats};
use crate::http::streams::Streams;

/// Longest time in which a client may take nothing of its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection that is to end stays open without a request.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(1);

/// Size of a connection's read buffer, and of its write buffer; also the largest head of a request.
const BUFFER_BYTES: usize = 8 * 1024;

/// A connection that was accepted, and has no seat yet.
pub(crate) struct Arrival<S> {
    pub(crate) stream: S,
    /// What was read of the stream already.
    pub(crate) first: Bytes,
    pub(crate) peer: Peer,
    /// Absent where connections are in clear.
    pub(crate) tls: Option<Tls>,
    pub(crate) seats: Seats,
    pub(crate) fast_path: Arc<FastPath>,
}

impl<S: AsyncRead + AsyncWrite + Send + 'static> Arrival<S> {
    /// Serves until the client leaves, or the connection gives way or is drained.
    pub(crate) async fn serve(self, seat: Seat) {
        let _open = self.fast_path.app.counts.connection();
        let (seat, mut peer, unread) = (Arc::new(seat), self.peer, Arc::default());
        let mut stream = TimeoutStream::new(self.stream);
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let stream = Watched::new(self.first, stream, &unread);
        let (stream, is_http2) = match self.tls {
            None => (Stream::Left(stream), false),
            Some(tls) => {
                // Boxed, as everything that not all connections need.
                let handshake = Box::pin(tls.accept(stream, Protocol::Http));
                let ends = poll_fn(|context| seat.poll_end(context));
                let Some(Ok(secured)) = (tokio::select! {
                    secured = handshake => Some(secured),
                    () = ends => None,
                }) else {
                    return;
                };
                seat.arrives();
                peer.client = Some(secured.client);
                (Stream::Right(secured.stream), secured.is_http2)
            }
        };
        let connection = Connection {
            seat,
            fast_path: self.fast_path,
            peer,
            unread,
        };
        let stream = TokioIo::new(stream);
        let ended = if is_http2 {
            Box::pin(connection.http2(stream, self.seats)).await
        } else {
            connection.http1(stream).await
        };
        if let Err(error) = ended {
            connection.count_refused_head(&error);
            debug!(event = "connection_failed", %error, "a connection broke off");
        }
    }
}

struct Connection {
    seat: Arc<Seat>,
    fast_path: Arc<FastPath>,
    peer: Peer,
    /// Whether the client has yet to read what was written.
    unread: Arc<AtomicBool>,
}

/// A connection that can be told to end.
trait Ends: Future<Output = hyper::Result<()>> {
    /// Ends it once the requests under way are answered.
    fn end(self: Pin<&mut Self>);
}

impl<I, S> Ends for http1::UpgradeableConnection<I, S>
where
    I: Read + Write + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = Body>,
    S::Error: Into<BoxError>,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S> Ends for conn::http2::Connection<I, S, TokioExecutor>
where
    I: Read + Write + Unpin,
    S: HttpService<Incoming, ResBody = Answer>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl Connection {
    async fn http1(&self, stream: impl Read + Write + Unpin + Send + 'static) -> hyper::Result<()> {
        // No timer for heads: `Seats::end_idle` ends connections whose heads do not come. A client that has sent its
        // request may close its side of the connection, and has its answer all the same.
        let connection = http1::Builder::new()
            .max_buf_size(BUFFER_BYTES)
            .half_close(true)
            .serve_connection(stream, service_fn(|request| self.answer(request)))
            // A WebSocket of another service: its stream is served elsewhere, and the seat is free again.
            .with_upgrades();
        self.run(pin!(connection)).await
    }

    async fn http2(&self, stream: impl Read + Write + Unpin, seats: Seats) -> hyper::Result<()> {
        let exchanges = Exchanges::default();
        let streams = Arc::new(Streams::new(self.seat.clone(), seats));
        let service =
            service_fn(|request| self.answer_beside(&streams, exchanges.begin(), request));
        let connection = pin!(http2::builder().serve_connection(stream, service));
        tokio::select! {
            ended = self.run(connection) => ended,
            () = exchanges.unread(WRITE_TIMEOUT) => Ok(()),
        }
    }

    /// Runs it until it ends by itself, or its seat is called in.
    async fn run(&self, mut connection: Pin<&mut impl Ends>) -> hyper::Result<()> {
        let ended = poll_fn(|context| {
            // First, so that a request that is there already is served before the connection ends.
            if let Poll::Ready(ended) = connection.as_mut().poll(context) {
                return Poll::Ready(Some(ended));
            }
            self.seat.poll_end(context).map(|()| None)
        });
        match ended.await {
            Some(ended) => ended,
            None => {
                connection.as_mut().end();
                self.finish(connection).await
            }
        }
    }

    /// Lets the connection end by itself while it has a request or an answer that the client has yet to read. Without
    /// either it ends at once if it must leave, else after a moment: the client may be sending the head of its next
    /// request.
    async fn finish(&self, mut connection: Pin<&mut impl Ends>) -> hyper::Result<()> {
        let is_idle = || self.seat.is_waiting() && !self.unread.load(Relaxed);
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
        let (fast_path, seat, peer) =
            (self.fast_path.clone(), self.seat.clone(), self.peer.clone());
        async move {
            let answer = fast_path.answer(&seat, &peer, request).await;
            if answer.extensions().get::<StillSends>().is_none() {
                seat.waits();
            }
            Ok(answer)
        }
    }

    /// Answers one of several requests at a time.
    fn answer_beside(
        &self,
        streams: &Arc<Streams>,
        exchange: Exchange,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Answer>, Infallible>> + use<> {
        let (fast_path, streams, peer) =
            (self.fast_path.clone(), streams.clone(), self.peer.clone());
        async move {
            http2::tell_host(&mut request);
            let (place, seat) = streams.enter().await;
            let Some(seat) = seat else {
                let refusal = Refusal::TooManyConnections;
                refusal.count();
                fast_path.app.counts.request(503, Duration::ZERO);
                return Ok(exchange.answer(refusal.into_response(), place));
            };
            seat.receives();
            let answer = fast_path.answer(&seat, &peer, request).await;
            Ok(exchange.answer(answer, (place, seat)))
        }
    }
}

/// A stream that tells whether the client has yet to read what was written: whether the last write had to wait.
pub(crate) struct Watched<S> {
    /// What was read of the stream already.
    first: Bytes,
    stream: Pin<Box<S>>,
    unread: Arc<AtomicBool>,
}

impl<S> Watched<S> {
    pub(crate) fn new(first: Bytes, stream: S, unread: &Arc<AtomicBool>) -> Watched<S> {
        Watched {
            first,
            stream: Box::pin(stream),
            unread: unread.clone(),
        }
    }
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
