//! What all connections of the wire share.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use service::keys::scram::Salt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
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
    pub fn new(source: Arc<dyn Source>, settings: Settings, stop: CancellationToken) -> Server {
        let (changes, salt) = (settings.keys.changes(), rand::random());
        Server {
            source,
            verifiers: Mutex::new((changes, Arc::new(Verifiers::new(&settings.keys, salt)))),
            salt,
            cancels: Arc::default(),
            places: Arc::new(Semaphore::new(settings.connections)),
            unknown: AtomicUsize::new(0),
            settings,
            stop,
            end: CancellationToken::new(),
        }
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
