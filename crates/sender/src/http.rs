//! Requests over HTTP/1.1, with TLS where the address begins with `https`. No proxy is asked.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::trust::{Trust, no_tls};

/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(90);

/// A client that keeps its connections; clones share them.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
    most: usize,
}

/// An answer, read whole unless [`HttpClient::reading_at_most`] bounds it.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// The status; any, an error is not told from others.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, with U+FFFD where it is not UTF-8.
    pub text: String,
}

/// No whole answer came.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The time for one attempt was over.
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// There was no connection, or the request could not be sent on it; the cause is the source.
    #[error("the request failed")]
    Request(#[source] hyper_util::client::legacy::Error),
    /// The answer broke off.
    #[error("the answer broke off")]
    Body(#[source] hyper::Error),
}

impl HttpError {
    /// Whether there was no connection at all.
    pub fn is_connect(&self) -> bool {
        matches!(self, HttpError::Request(error) if error.is_connect())
    }
}

impl HttpClient {
    /// A client whose requests take at most `timeout` each. `trust` is given where there are https addresses among
    /// those that it asks, and says which servers it trusts.
    ///
    /// # Errors
    ///
    /// If `trust` is given and a file of it, or of the system's certificates, cannot be used.
    pub fn new(timeout: Duration, trust: Option<&Trust>) -> std::io::Result<HttpClient> {
        let config = match trust {
            Some(trust) => trust.config()?,
            None => no_tls()?,
        };
        let connector = HttpsConnectorBuilder::new().with_tls_config(config);
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = connector.https_or_http().enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(HttpClient {
            client,
            timeout,
            most: usize::MAX,
        })
    }

    /// Reads no more than about `most` bytes of a body, and closes the connection of an answer that has more.
    pub fn reading_at_most(self, most: usize) -> HttpClient {
        HttpClient { most, ..self }
    }

    /// Sends the request, and gives the answer as soon as its head is there. It may take for ever.
    ///
    /// # Errors
    ///
    /// [`HttpError::Request`].
    pub async fn open(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, HttpError> {
        let answer = self.client.request(request).await;
        answer.map_err(HttpError::Request)
    }

    /// Sends the request and reads the answer.
    ///
    /// # Errors
    ///
    /// [`HttpError`] where no whole answer came in time.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<HttpAnswer, HttpError> {
        let answer = async {
            let (head, body) = self.open(request).await?.into_parts();
            let body = read(body, self.most).await.map_err(HttpError::Body)?;
            Ok(HttpAnswer {
                status: head.status,
                headers: head.headers,
                text: String::from_utf8_lossy(&body).into_owned(),
            })
        };
        tokio::time::timeout(self.timeout, answer)
            .await
            .unwrap_or(Err(HttpError::Timeout(self.timeout)))
    }

    /// Asks for an address.
    ///
    /// # Errors
    ///
    /// As [`send`](HttpClient::send).
    pub async fn get(&self, uri: Uri) -> Result<HttpAnswer, HttpError> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = uri;
        self.send(request).await
    }
}

/// The body up to the frame that takes it past `most` bytes.
async fn read(mut body: Incoming, most: usize) -> Result<Vec<u8>, hyper::Error> {
    let mut bytes = Vec::new();
    while bytes.len() < most
        && let Some(frame) = body.frame().await
    {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}
