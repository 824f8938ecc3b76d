//! What all connections of the wire share.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::cancel::Cancels;
use super::scram::Verifiers;
use super::{Settings, Source};

/// What all connections share.
pub struct Server {
    pub(super) source: Arc<dyn Source>,
    pub(super) verifiers: Verifiers,
    pub(super) cancels: Arc<Cancels>,
    pub(super) settings: Settings,
    /// No new statements: the service stops.
    pub(super) stop: CancellationToken,
    /// The grace period is over.
    pub(super) end: CancellationToken,
    pub(super) places: Arc<Semaphore>,
    pub(super) unknown: AtomicUsize,
    pub(super) tls: Option<TlsAcceptor>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A socket, in clear or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

impl Server {
    /// A server over `source`, until `stop`.
    ///
    /// # Errors
    ///
    /// When there is no read key, or the certificate or its key cannot be read: it would be worse to go on in clear.
    pub fn new(
        source: Arc<dyn Source>,
        settings: Settings,
        stop: CancellationToken,
    ) -> io::Result<Server> {
        if settings.read_keys.is_empty() {
            return Err(io::Error::other("no read key: nobody could connect"));
        }
        let tls = match &settings.tls {
            None => None,
            Some((certificate, key)) => {
                let of = |path: &std::path::Path, error: rustls::pki_types::pem::Error| {
                    io::Error::other(format!("cannot read `{}`: {error}", path.display()))
                };
                let chain: Vec<CertificateDer<'static>> =
                    CertificateDer::pem_file_iter(certificate)
                        .and_then(Iterator::collect)
                        .map_err(|error| of(certificate, error))?;
                let key = PrivateKeyDer::from_pem_file(key).map_err(|error| of(key, error))?;
                let config = rustls::ServerConfig::builder_with_provider(Arc::new(
                    rustls::crypto::ring::default_provider(),
                ))
                .with_safe_default_protocol_versions()
                .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
                .map_err(|error| {
                    io::Error::other(format!("cannot use `{}`: {error}", certificate.display()))
                })?;
                Some(TlsAcceptor::from(Arc::new(config)))
            }
        };
        Ok(Server {
            source,
            verifiers: Verifiers::new(settings.read_keys.iter().map(ExposeSecret::expose_secret)),
            cancels: Arc::default(),
            places: Arc::new(Semaphore::new(settings.connections)),
            unknown: AtomicUsize::new(0),
            settings,
            stop,
            end: CancellationToken::new(),
            tls,
        })
    }
}
