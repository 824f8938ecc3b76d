//! Posts events to ingest and reads what became of each.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::answer::{Answer, PostError, Rejected, read_answer, refusal};
use super::compress::Compression;
use super::http::{HttpClient, HttpError};
use super::retry::Retries;
use super::trust::Trust;

const AGENT: &str = concat!("headwater/", env!("CARGO_PKG_VERSION"));

/// How a [`Client`] posts.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Where ingest is, without a path: `http://127.0.0.1:3000`, or `https://` for an ingest behind TLS.
    pub ingest_url: String,
    /// The kind of the events, for the route; `None` if each event tells its own.
    pub kind: Option<String>,
    /// The key for `x-api-key`.
    pub api_key: SecretString,
    /// How bodies are compressed.
    pub compress: Compression,
    /// How long one post is tried again after `429`, `503` and connection errors; zero is once.
    pub retry_for: Duration,
    /// Longest time one attempt may take.
    pub timeout: Duration,
    /// Which servers are trusted, where the address is https.
    pub trust: Trust,
}

impl ClientConfig {
    /// For events of any kind: uncompressed, retried for 60 s, 30 s an attempt.
    pub fn new(ingest_url: impl Into<String>, api_key: SecretString) -> ClientConfig {
        ClientConfig {
            ingest_url: ingest_url.into(),
            kind: None,
            api_key,
            compress: Compression::None,
            retry_for: Duration::from_secs(60),
            timeout: Duration::from_secs(30),
            trust: Trust::default(),
        }
    }
}

/// A client that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not an `http://` or `https://` address.
    #[error("cannot post to --ingest-url `{url}`: {reason}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The key cannot stand in a header.
    #[error("the API key holds characters that a header cannot carry")]
    ApiKey,
    /// A certificate that an `https://` address asks for cannot be used.
    #[error("cannot set up TLS")]
    Tls(#[source] std::io::Error),
}

/// What a client has counted since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientCounts {
    /// Requests that went out, retries included.
    pub requests: u64,
    /// Answers `429`.
    pub throttled: u64,
    /// Requests that repeated an earlier one, after `429` or a failure.
    pub retries: u64,
}

impl ClientCounts {
    pub(crate) fn since(self, before: ClientCounts) -> ClientCounts {
        ClientCounts {
            requests: self.requests - before.requests,
            throttled: self.throttled - before.throttled,
            retries: self.retries - before.retries,
        }
    }
}

/// Posts events; shared by reference between any number of tasks, over as many connections.
#[derive(Debug)]
pub struct Client {
    http: HttpClient,
    url: Uri,
    key: HeaderValue,
    compress: Compression,
    retry_for: Duration,
    stop: CancellationToken,
    requests: AtomicU64,
    throttled: AtomicU64,
    retries: AtomicU64,
    /// Whether the log says already that ingest cannot be reached.
    warned: AtomicBool,
}

/// What one attempt came to.
enum Attempt {
    Answer(Answer),
    Again {
        error: PostError,
        asked: Option<Duration>,
    },
    Final(PostError),
}

impl Client {
    /// A client for one ingest; connects when it first posts.
    ///
    /// # Errors
    ///
    /// [`ClientError`] where the settings cannot work.
    pub fn new(config: &ClientConfig) -> Result<Client, ClientError> {
        let url = events_url(&config.ingest_url, config.kind.as_deref())?;
        let mut key = HeaderValue::from_str(config.api_key.expose_secret())
            .map_err(|_| ClientError::ApiKey)?;
        key.set_sensitive(true);
        let trust = (url.scheme_str() == Some("https")).then_some(&config.trust);
        Ok(Client {
            http: HttpClient::new(config.timeout, trust).map_err(ClientError::Tls)?,
            url,
            key,
            compress: config.compress,
            retry_for: config.retry_for,
            stop: CancellationToken::new(),
            requests: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            warned: AtomicBool::new(false),
        })
    }

    /// Once `stop` is cancelled, attempts that are under way are finished and none is repeated.
    pub fn stopped_by(mut self, stop: CancellationToken) -> Client {
        self.stop = stop;
        self
    }

    /// What it has counted since it was made.
    pub fn counts(&self) -> ClientCounts {
        ClientCounts {
            requests: self.requests.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
        }
    }

    /// Posts events, each a JSON object on one line: one as `application/json`, several as NDJSON.
    ///
    /// Waits as long as `429` and `503` ask with `Retry-After`, else with growing waits and jitter;
    /// retries connection errors too, all within the time set by
    /// [`retry_for`](ClientConfig::retry_for). Never retries another `4xx`. A retry sends the same bytes,
    /// so that an event accepted unnoticed keeps its id.
    ///
    /// # Errors
    ///
    /// [`PostError`] where there is no answer for each event. A single event that is refused is an
    /// [`Answer`], also where ingest refuses it as a body (`400`, `413`).
    pub async fn post<E: AsRef<str>>(&self, events: &[E]) -> Result<Answer, PostError> {
        if events.is_empty() {
            return Ok(Answer {
                accepted: Vec::new(),
                rejected: Vec::new(),
                attempts: 0,
            });
        }
        let (text, content_type) = match events {
            [event] => (event.as_ref().to_owned(), "application/json"),
            _ => (
                events
                    .iter()
                    .flat_map(|event| [event.as_ref(), "\n"])
                    .collect(),
                "application/x-ndjson",
            ),
        };
        let body = bytes::Bytes::from(self.compress.compress(text.into_bytes()));
        let mut retries = Retries::new(Instant::now(), self.retry_for);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (error, asked) = match self
                .attempt(body.clone(), content_type, events.len(), attempts)
                .await
            {
                Attempt::Answer(answer) => return Ok(answer),
                Attempt::Final(error) => return Err(error),
                Attempt::Again { error, asked } => (error, asked),
            };
            let Some(wait) = retries.next_wait(Instant::now(), asked) else {
                return Err(error);
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(error),
                () = tokio::time::sleep(wait) => {}
            }
            self.retries.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn attempt(
        &self,
        body: bytes::Bytes,
        content_type: &'static str,
        events: usize,
        attempts: u32,
    ) -> Attempt {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut request = Request::post(self.url.clone())
            .header("x-api-key", &self.key)
            .header(USER_AGENT, AGENT)
            .header(CONTENT_TYPE, content_type);
        if let Some(encoding) = self.compress.content_encoding() {
            request = request.header(CONTENT_ENCODING, encoding);
        }
        let request = request
            .body(Full::new(body))
            .expect("the address and the key are checked, and the rest is ours");
        let answer = match self.http.send(request).await {
            Ok(answer) => answer,
            Err(source) => return self.unreachable(attempts, source),
        };
        let (status, text) = (answer.status, answer.text);
        let asked = retry_after(&answer.headers, Utc::now());
        match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::BAD_GATEWAY
            | StatusCode::GATEWAY_TIMEOUT => {
                if status == StatusCode::TOO_MANY_REQUESTS {
                    self.throttled.fetch_add(1, Ordering::Relaxed);
                }
                let (_, message) = refusal(&text);
                Attempt::Again {
                    error: PostError::Overloaded {
                        status: status.as_u16(),
                        attempts,
                        message,
                    },
                    asked,
                }
            }
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE if events == 1 => {
                let (code, message) = refusal(&text);
                let code = code.unwrap_or_else(|| format!("http_{}", status.as_u16()));
                Attempt::Answer(Answer {
                    accepted: Vec::new(),
                    rejected: vec![Rejected {
                        index: 0,
                        code,
                        message,
                    }],
                    attempts,
                })
            }
            StatusCode::ACCEPTED | StatusCode::UNPROCESSABLE_ENTITY => {
                match read_answer(&text, events, attempts) {
                    Ok(answer) => Attempt::Answer(answer),
                    Err(message) => Attempt::Final(PostError::Unreadable {
                        status: status.as_u16(),
                        message,
                    }),
                }
            }
            _ => Attempt::Final(PostError::Refused {
                status: status.as_u16(),
                message: refusal(&text).1,
            }),
        }
    }

    fn unreachable(&self, attempts: u32, source: HttpError) -> Attempt {
        // Once is enough: what follows is the summary's.
        if source.is_connect()
            && !self.retry_for.is_zero()
            && !self.warned.swap(true, Ordering::Relaxed)
        {
            warn!(event = "ingest_unreachable", url = %self.url,
                "cannot reach ingest at {}: trying for {}", self.url, humantime::format_duration(self.retry_for));
        }
        let url = self.url.to_string();
        Attempt::Again {
            error: PostError::Unreachable {
                url,
                attempts,
                source,
            },
            asked: None,
        }
    }
}

fn events_url(base: &str, kind: Option<&str>) -> Result<Uri, ClientError> {
    let refuse = |reason: String| ClientError::Url {
        url: base.to_owned(),
        reason,
    };
    let wanted = "it looks like `http://127.0.0.1:3000`";
    let url: Uri = base
        .parse()
        .map_err(|error| refuse(format!("{error}; {wanted}")))?;
    let route = kind.map(|kind| format!("/{kind}")).unwrap_or_default();
    match url.scheme_str() {
        Some("http" | "https") => format!("{}/v1/events{route}", base.trim_end_matches('/'))
            .parse()
            .map_err(|error| refuse(format!("{error}"))),
        Some(other) => Err(refuse(format!(
            "`{other}` is not spoken here, only `http` and `https`"
        ))),
        None => Err(refuse(wanted.to_owned())),
    }
}

/// The server's wish in whole seconds or as a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    Some(
        (date.with_timezone(&Utc) - now)
            .to_std()
            .unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = "2025-10-04T12:00:00Z".parse().unwrap();
        let read = |text: &str| {
            retry_after(
                &HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]),
                now,
            )
        };
        assert_eq!(read("2"), Some(Duration::from_secs(2)));
        assert_eq!(
            read("Sat, 04 Oct 2025 12:00:30 GMT"),
            Some(Duration::from_secs(30))
        );
        assert_eq!(read("Sat, 04 Oct 2025 11:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
    }

    #[test]
    fn an_address_is_http_or_https_with_a_host_and_may_end_in_a_slash() {
        assert_eq!(
            events_url("http://127.0.0.1:3000", None)
                .unwrap()
                .to_string(),
            "http://127.0.0.1:3000/v1/events"
        );
        assert_eq!(
            events_url("https://ingest.example/edge/", Some("cell"))
                .unwrap()
                .to_string(),
            "https://ingest.example/edge/v1/events/cell"
        );
        for wrong in ["127.0.0.1:3000", "/x", "ftp://x", "", "http://"] {
            assert!(events_url(wrong, None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_key_is_in_no_debug_output() {
        let config = ClientConfig::new("http://127.0.0.1:1", "hush-hush".into());
        let client = Client::new(&config).unwrap();
        assert!(!format!("{config:?} {client:?}").contains("hush-hush"));
    }
}
