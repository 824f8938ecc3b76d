//! What all connections of the wire share.

use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use service::keys::scram::Salt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::cancel::Cancels;
use super::scram::Verifiers;
use super::{Settings, Source};

/// What all connections share.
pub struct Server {
    pub(super) source: Arc<dyn Source>,
    /// Those of the newest keys, made anew when these have changed.
    verifiers: Mutex<(watch::Receiver<u64>, Arc<Verifiers>)>,
    /// The salt of this process.
    salt: Salt,
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
    /// When the certificate or its key cannot be read: it would be worse to go on in clear.
    pub fn new(
        source: Arc<dyn Source>,
        settings: Settings,
        stop: CancellationToken,
    ) -> io::Result<Server> {
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
        let (changes, salt) = (settings.keys.changes(), rand::random());
        Ok(Server {
            source,
            verifiers: Mutex::new((changes, Arc::new(Verifiers::new(&settings.keys, salt)))),
            salt,
            cancels: Arc::default(),
            places: Arc::new(Semaphore::new(settings.connections)),
            unknown: AtomicUsize::new(0),
            settings,
            stop,
            end: CancellationToken::new(),
            tls,
        })
    }

    /// The verifiers of the keys of now.
    pub(super) fn verifiers(&self) -> Arc<Verifiers> {
        let mut made = self
            .verifiers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Marked as seen first: a change while they are made counts as another.
        if made.0.has_changed().unwrap_or_default() {
            made.0.mark_unchanged();
            made.1 = Arc::new(Verifiers::new(&self.settings.keys, self.salt));
        }
        made.1.clone()
    }
}
