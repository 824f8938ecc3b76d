//! HTTP/2 on a connection: its bounds, and the requests under way on it.
//!
//! Over HTTP/1.1 a client that reads nothing of its answer stops the connection's writes, which a timeout sees. Over
//! HTTP/2 it stops one stream by giving it no window, and the connection goes on. So each answer is watched here: a
//! connection on which a client takes nothing of one for too long is closed.

use std::any::Any;
use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Request, header};
use axum::response::Response;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::rt::{Read, Write};
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Most requests at a time on a connection: as many as RFC 9113, section 6.5.2, asks for at least.
const MAX_STREAMS: u32 = 100;

/// Bytes of bodies that may come before they are read, on a stream and on the whole connection: the least that the
/// protocol begins with, because each connection may make us hold as many.
const WINDOW_BYTES: u32 = 65_535;

/// Most bytes of a request's headers, unfolded.
const MAX_HEADER_BYTES: u32 = 16 * 1024;

/// Most bytes of an answer that are handed over at a time, and so may wait after the answer is forgotten.
const PIECE_BYTES: usize = 16 * 1024;

/// Time between two questions whether the client is still there, and longest wait for its answer.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_WITHIN: Duration = Duration::from_secs(10);

/// How often connections are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a connection that is to end stays open without a request.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A server with our bounds. For the rest h2's defaults hold: among them, a client that resets 20 requests before they
/// are taken up, or makes 1,024 of them wrong, loses its connection.
pub fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_send_buf_size(PIECE_BYTES)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WITHIN);
    builder
}

/// Gives a request the header `host`, as its authority says: all that reads requests looks there.
pub fn tell_host<B>(request: &mut Request<B>) {
    let authority = request.uri().authority();
    let host = authority.and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(host) = host {
        request.headers_mut().insert(header::HOST, host);
    }
}

/// Serves one connection until the client leaves, has had no request for `idle`, or takes nothing of an answer for
/// `unread`; from `stop` on until the requests under way are answered.
///
/// # Errors
///
/// If the connection broke off.
pub async fn serve<S, F>(
    stream: S,
    answer: impl Fn(Request<Incoming>) -> F,
    idle: Duration,
    unread: Duration,
    stop: &CancellationToken,
) -> hyper::Result<()>
where
    S: Read + Write + Unpin,
    F: Future<Output = Result<Response, std::convert::Infallible>> + Send + 'static,
{
    let exchanges = Exchanges::default();
    let service = service_fn(|mut request| {
        tell_host(&mut request);
        let exchange = exchanges.begin();
        let answered = answer(request);
        async move { Ok::<_, std::convert::Infallible>(exchange.answer(answered.await?, ())) }
    });
    let mut connection = pin!(builder().serve_connection(stream, service));
    tokio::select! {
        ended = &mut connection => return ended,
        () = exchanges.unread(unread) => return Ok(()),
        () = exchanges.idle(idle) => {}
        () = stop.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        ended = &mut connection => ended,
        () = exchanges.unread(unread) => Ok(()),
        () = exchanges.idle(LAST_WORDS) => Ok(()),
    }
}

/// The requests of a connection that are not answered, or whose answers have yet to be taken. Clones are the same.
#[derive(Debug, Clone)]
pub struct Exchanges(Arc<Mutex<Open>>);

#[derive(Debug)]
struct Open {
    last: u64,
    /// By a number that grows, since when the client has taken nothing; none while the service is at work.
    open: BTreeMap<u64, Option<Instant>>,
    /// Since when nothing is open, if so.
    idle_since: Instant,
}

impl Default for Exchanges {
    fn default() -> Exchanges {
        Exchanges(Arc::new(Mutex::new(Open {
            last: 0,
            open: BTreeMap::new(),
            idle_since: Instant::now(),
        })))
    }
}

impl Exchanges {
    /// A request has come.
    pub fn begin(&self) -> Exchange {
        let mut open = self.open();
        open.last += 1;
        let number = open.last;
        open.open.insert(number, None);
        Exchange {
            exchanges: self.clone(),
            number,
        }
    }

    /// Returns once the client has taken nothing of one of its answers for that long, or a second longer.
    pub async fn unread(&self, longest: Duration) {
        let is_unread = |open: &Open| {
            let mut waiting = open.open.values().flatten();
            waiting.any(|since| since.elapsed() > longest)
        };
        self.until(is_unread).await;
    }

    /// Returns once no request has been open for that long, or a second longer.
    pub async fn idle(&self, longest: Duration) {
        self.until(|open| open.open.is_empty() && open.idle_since.elapsed() >= longest)
            .await;
    }

    async fn until(&self, is_so: impl Fn(&Open) -> bool) {
        while !is_so(&self.open()) {
            sleep(LOOK_EVERY).await;
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request, open until this is dropped.
#[derive(Debug)]
pub struct Exchange {
    exchanges: Exchanges,
    number: u64,
}

impl Exchange {
    /// The answer, which keeps `held`, and the request open, until its body has been taken.
    pub fn answer(self, answer: Response, held: impl Any + Send) -> Response<Answer> {
        self.waits_for_client(true);
        answer.map(|body| Answer {
            body,
            rest: Bytes::new(),
            is_cut: false,
            exchange: self,
            _held: Box::new(held),
        })
    }

    fn waits_for_client(&self, waits: bool) {
        let since = waits.then(Instant::now);
        self.exchanges.open().open.insert(self.number, since);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let mut open = self.exchanges.open();
        open.open.remove(&self.number);
        open.idle_since = Instant::now();
    }
}

/// The body of an answer, in small pieces.
pub struct Answer {
    body: Body,
    /// What is left of a frame.
    rest: Bytes,
    /// Whether `rest` is a part: pieces of it are copied, so that the last one does not keep all.
    is_cut: bool,
    exchange: Exchange,
    _held: Box<dyn Any + Send>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    /// Is called once the client has room for a piece.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            self.exchange.waits_for_client(false);
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                ended => return Poll::Ready(ended),
            };
            self.exchange.waits_for_client(true);
            match frame.into_data() {
                Ok(data) => {
                    self.is_cut = data.len() > PIECE_BYTES;
                    self.rest = data;
                }
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        } else {
            self.exchange.waits_for_client(true);
        }
        let length = self.rest.len().min(PIECE_BYTES);
        let mut piece = self.rest.split_to(length);
        if self.is_cut {
            piece = Bytes::copy_from_slice(&piece);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}
