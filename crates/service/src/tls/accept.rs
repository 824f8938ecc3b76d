//! The handshake.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Request};
use metrics::counter;
use rustls::{AlertDescription, CertificateError, Error};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::certificate::names;
use super::{Protocol, Tls};

/// Longest time for a handshake: two round trips, or three, of a client far away whose packets get lost.
const WITHIN: Duration = Duration::from_secs(10);

/// By which protocol a browser reached the first server on its way.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// A connection whose handshake is done.
#[derive(Debug)]
pub struct Secured<S> {
    /// What is said on it.
    pub stream: TlsStream<S>,
    /// Who is there.
    pub client: Arc<Client>,
    /// Whether the client has chosen HTTP/2.
    pub is_http2: bool,
}

/// The other side of a connection with TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// The names of its certificate: common names, DNS names and URIs. Empty where none was asked for.
    pub names: Vec<String>,
}

impl Client {
    /// Says in a request of this client that it came by TLS, and who sent it: for cookies and links, a proxy's word
    /// about the browser holds rather than ours.
    pub fn tell<B>(self: &Arc<Client>, request: &mut Request<B>) {
        request.extensions_mut().insert(self.clone());
        let proto = request.headers_mut().entry(FORWARDED_PROTO);
        proto.or_insert(HeaderValue::from_static("https"));
    }
}

impl Tls {
    /// Does the handshake, within 10 s, and counts it by its outcome.
    ///
    /// # Errors
    ///
    /// If there is no connection; the reason was logged at `debug`.
    pub async fn accept<S>(&self, stream: S, protocol: Protocol) -> io::Result<Secured<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = TlsAcceptor::from(self.config(protocol));
        let accepted = timeout(WITHIN, acceptor.accept(stream)).await;
        let accepted = accepted.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let outcome = accepted.as_ref().map_or_else(outcome, |_| "done");
        counter!("headwater_tls_handshakes_total", "outcome" => outcome).increment(1);
        let stream = accepted.inspect_err(
            |error| debug!(event = "handshake_failed", outcome, %error, "a TLS handshake failed: {error}"),
        )?;
        let (_, connection) = stream.get_ref();
        let certificate = connection.peer_certificates().and_then(<[_]>::first);
        let names = certificate.map(names).unwrap_or_default();
        let is_http2 = connection.alpn_protocol() == Some(b"h2");
        Ok(Secured {
            stream,
            client: Arc::new(Client { names }),
            is_http2,
        })
    }
}

/// How a handshake failed, for metrics: one of few words.
fn outcome(error: &io::Error) -> &'static str {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    let Some(cause) = cause else {
        return match error.kind() {
            io::ErrorKind::TimedOut => "timeout",
            _ => "closed",
        };
    };
    match cause {
        Error::NoCertificatesPresented => "no_certificate",
        Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => "unknown_ca",
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "expired",
            _ => "bad_certificate",
        },
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => "not_tls",
        Error::PeerIncompatible(_) | Error::NoApplicationProtocol => "incompatible",
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired,
        ) => "refused_by_client",
        _ => "other",
    }
}
