//! Where connections come from: a TCP listener in production, pipes in memory in tests and in simulation.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tracing::debug;

/// A source of connections. Dropping it refuses further ones.
pub trait Accept: Send {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Send + 'static;

    /// The next connection, as soon as a client makes one. An error concerns one connection: the next call may
    /// succeed.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// The client's address, where the connection has one.
    fn peer(_stream: &Self::Stream) -> Option<SocketAddr> {
        None
    }
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<TcpStream> {
        let (stream, _) = TcpListener::accept(self).await?;
        // Answers are small: waiting to fill a segment would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(event = "nodelay_failed", %error, "answers on this connection may be delayed");
        }
        Ok(stream)
    }

    fn peer(stream: &TcpStream) -> Option<SocketAddr> {
        stream.peer_addr().ok()
    }
}

/// The server's ends of pipes, such as [`tokio::io::duplex`] makes. Once all senders are gone, no connection comes.
impl<S: AsyncRead + AsyncWrite + Send + 'static> Accept for UnboundedReceiver<S> {
    type Stream = S;

    async fn accept(&mut self) -> io::Result<S> {
        match self.recv().await {
            Some(stream) => Ok(stream),
            None => std::future::pending().await,
        }
    }
}
