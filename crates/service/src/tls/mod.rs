//! TLS of a service, rustls on ring: the certificate and key of its settings, taken again when the files change, and,
//! where a CA is named, certificates of clients.
//!
//! A handshake is bounded in time and counted by how it ended. Connections under way keep the certificate with which
//! they began; new handshakes get the new one. Without certificates of clients sessions are resumed by tickets; with
//! them each connection shows its certificate anew, so that one that has expired, or is of a CA taken out, ends.

mod accept;
mod certificate;
mod files;
mod settings;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use crate::follow::Followed;
use files::Files;

pub use accept::{Client, Secured};
pub use settings::TlsSettings;

/// What is spoken on a connection, and offered by ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2, or HTTP/1.1.
    Http,
    /// HTTP/1.1 alone: for an answer that is written without a server of HTTP.
    Http1,
    /// PostgreSQL's.
    Postgres,
}

/// The TLS of a listener. Clones are the same.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    files: Files,
    configs: RwLock<Configs>,
}

/// That of each protocol: another list of ALPN, all else shared.
struct Configs {
    http: Arc<ServerConfig>,
    http1: Arc<ServerConfig>,
    postgres: Arc<ServerConfig>,
}

impl Configs {
    fn new(config: &ServerConfig) -> Configs {
        let with = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            Arc::new(config)
        };
        Configs {
            http: with(&[b"h2", b"http/1.1"]),
            http1: with(&[b"http/1.1"]),
            postgres: with(&[b"postgresql"]),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({:?})", self.0.files)
    }
}

impl Tls {
    /// Reads the files.
    fn load(files: Files) -> anyhow::Result<Tls> {
        let config = files.config(&files.read()?)?;
        let configs = RwLock::new(Configs::new(&config));
        Ok(Tls(Arc::new(Inner { files, configs })))
    }

    fn config(&self, protocol: Protocol) -> Arc<ServerConfig> {
        let configs = self
            .0
            .configs
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        match protocol {
            Protocol::Http => configs.http.clone(),
            Protocol::Http1 => configs.http1.clone(),
            Protocol::Postgres => configs.postgres.clone(),
        }
    }
}

impl Followed for Tls {
    fn name(&self) -> &'static str {
        self.0.files.name
    }

    fn read(&self) -> anyhow::Result<Vec<Vec<u8>>> {
        self.0.files.read()
    }

    fn take(&self, contents: &[Vec<u8>]) -> anyhow::Result<()> {
        // Of new files a session that began with the old ones cannot be resumed: the store is another.
        let configs = Configs::new(&self.0.files.config(contents)?);
        *self
            .0
            .configs
            .write()
            .unwrap_or_else(PoisonError::into_inner) = configs;
        Ok(())
    }
}

/// Takes what changes in the files, for ever; without TLS there are none.
pub async fn follow(tls: Option<Tls>) {
    match tls {
        Some(tls) => crate::follow::follow(&tls).await,
        None => std::future::pending().await,
    }
}

/// A connection in clear, or with TLS.
pub type Stream<S> = tokio_util::either::Either<S, TlsStream<S>>;

#[cfg(test)]
mod tests;
