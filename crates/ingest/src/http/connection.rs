//! Serves one connection: HTTP/1.1 by hyper, until the client leaves or the connection's seat is called in.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tracing::debug;

use crate::http::fast_path::FastPath;
use crate::http::seats::Seat;

/// Longest time in which a client may take nothing of its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection that is to end stays open without a request.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Size of a connection's read buffer, and of its write buffer; also the largest head of a request.
const BUFFER_BYTES: usize = 8 * 1024;

pub(crate) struct Connection {
    pub(crate) seat: Arc<Seat>,
    pub(crate) fast_path: Arc<FastPath>,
}

impl Connection {
    /// Serves until the client leaves, or the connection gives way or is drained.
    pub(crate) async fn serve(self, stream: impl AsyncRead + AsyncWrite) {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        // No timer for heads: `Seats::end_idle` ends connections whose heads do not come.
        let connection = http1::Builder::new()
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(
                TokioIo::new(Box::pin(stream)),
                service_fn(|request| self.answer(request)),
            );
        let mut connection = pin!(connection);
        let _open = self.fast_path.app.counts.connection();
        let ended = poll_fn(|context| {
            if self.seat.poll_end(context).is_ready() {
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
            debug!(event = "connection_failed", %error, "a connection broke off");
        }
    }

    /// Lets the connection end by itself while it has a request, and for a moment after: the client may still be
    /// reading its answer, or sending the head of its next request.
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
        let (fast_path, seat) = (self.fast_path.clone(), self.seat.clone());
        async move {
            let answer = fast_path.answer(&seat, request).await;
            seat.waits();
            Ok(answer)
        }
    }
}
