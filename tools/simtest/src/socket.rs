//! Connections of clients to an ingest: pipes in memory, on which real HTTP/1.1 is spoken. Nothing passes while the
//! process stands still, and nothing any more once it is dead.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::task::AbortOnDropHandle;

use crate::life::Life;
use crate::wire::Process;

/// Bytes that a connection holds in each direction: longer posts and answers must be read meanwhile.
const PIPE_BYTES: usize = 1024;

/// The body of a post.
pub type PostBody = UnsyncBoxBody<Bytes, Infallible>;

/// An ingest that clients can connect to.
#[derive(Clone)]
pub struct Front {
    /// The process.
    pub process: Process,
    connections: UnboundedSender<Socket>,
}

impl Front {
    /// The front of an ingest, and the connections that clients make to it.
    pub fn new(process: &Process) -> (Front, UnboundedReceiver<Socket>) {
        let (connections, source) = unbounded_channel();
        let process = process.clone();
        (
            Front {
                process,
                connections,
            },
            source,
        )
    }

    /// Connects a client. Nothing if the process is dead or has stopped accepting.
    pub async fn connect(&self) -> Option<Connection> {
        let (client, server) = tokio::io::duplex(PIPE_BYTES);
        let socket = Socket {
            life: self.process.life.clone(),
            pipe: server,
            waiting: None,
        };
        self.connections.send(socket).ok()?;
        let (requests, carrying) = handshake(TokioIo::new(client)).await.ok()?;
        let carrying = tokio::spawn(async move {
            // An error is one of the request under way too, whose sender learns of it.
            let _ = carrying.await;
        });
        Some(Connection {
            to: self.process.name.clone(),
            requests,
            _carrying: AbortOnDropHandle::new(carrying),
        })
    }
}

/// A client's end of a connection, which is closed when this is dropped.
pub struct Connection {
    to: Arc<str>,
    requests: SendRequest<PostBody>,
    _carrying: AbortOnDropHandle<()>,
}

impl Connection {
    /// Whether it leads to that process and is not closed.
    pub fn leads_to(&self, process: &Process) -> bool {
        self.to == process.name && !self.requests.is_closed()
    }

    /// Sends a request and gives the status and body of the answer. Nothing if the connection breaks.
    pub async fn exchange(&mut self, request: Request<PostBody>) -> Option<(StatusCode, Vec<u8>)> {
        self.requests.ready().await.ok()?;
        let response = self.requests.send_request(request).await.ok()?;
        let status = response.status();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        Some((status, body.to_vec()))
    }
}

/// The server's end of a connection.
pub struct Socket {
    life: Life,
    pipe: DuplexStream,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Socket {
    /// The pipe, once the process runs.
    fn poll_pipe(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Pin<&mut DuplexStream>> {
        let socket = self.get_mut();
        if socket.waiting.is_none() && !socket.life.runs() {
            let life = socket.life.clone();
            socket.waiting = Some(Box::pin(async move { life.goes_on().await }));
        }
        if let Some(waiting) = &mut socket.waiting {
            ready!(waiting.as_mut().poll(context));
            socket.waiting = None;
        }
        Poll::Ready(Pin::new(&mut socket.pipe))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_pipe(context)).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_pipe(context)).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pipe(context)).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pipe(context)).poll_shutdown(context)
    }
}
