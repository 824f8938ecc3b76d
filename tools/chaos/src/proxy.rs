//! A proxy before the endpoint that makes requests fail as [`Faults`] says.
//!
//! A request is passed on once all of it has arrived, and is finished even if its client has gone. So it
//! takes effect whole or not at all, as at AWS: LocalStack (4.12.0) spoils an object when the connection
//! of the put that replaces it ends early. The bytes of requests under way are bounded; answers are
//! streamed. The client's `host` header is kept: the emulations build queue URLs from it, and check no
//! signature.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::faults::{FaultKind, Faults};

/// Most connections at a time; others wait.
const MAX_CONNECTIONS: usize = 256;

/// Pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Most bytes of one request: more than an object of the consumer or of the aggregator has.
const MAX_REQUEST: usize = 32 * 1024 * 1024;

/// Most kibibytes of all requests under way; others wait.
const MAX_KIB: usize = 256 * 1024;

/// Headers that concern one connection (RFC 9110, section 7.6.1), and `expect`: the proxy has
/// answered it with `100 Continue` itself.
const OF_ONE_HOP: [HeaderName; 5] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::EXPECT,
];

type Body = UnsyncBoxBody<Bytes, reqwest::Error>;

/// Ends the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("connection cut")]
struct Cut;

/// A proxy that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    faults: Arc<Faults>,
    _task: AbortOnDropHandle<()>,
}

/// Passes on the requests of one connection.
#[derive(Debug, Clone)]
struct Forwarder {
    http: reqwest::Client,
    /// Scheme, host and port of the endpoint.
    endpoint: Arc<str>,
    faults: Arc<Faults>,
    /// A permit for each kibibyte of requests under way.
    kibibytes: Arc<Semaphore>,
}

impl Proxy {
    /// Listens on a free port of this machine for what is meant for `endpoint`, such as
    /// `http://127.0.0.1:4566`.
    pub(crate) async fn start(endpoint: &str, seed: u64) -> anyhow::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("cannot listen for the fault proxy")?;
        let address = listener.local_addr()?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .context("cannot set up the fault proxy")?;
        let faults = Arc::new(Faults::new(seed));
        let forwarder = Forwarder {
            http,
            endpoint: endpoint.trim_end_matches('/').into(),
            faults: faults.clone(),
            kibibytes: Arc::new(Semaphore::new(MAX_KIB)),
        };
        Ok(Proxy {
            address,
            faults,
            _task: AbortOnDropHandle::new(tokio::spawn(accept(listener, forwarder))),
        })
    }

    /// The proxy's address: `http://127.0.0.1:41234`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }
}

async fn accept(listener: TcpListener, forwarder: Forwarder) {
    let connections = TaskTracker::new();
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // Fails only for a semaphore that is closed, which this one never is.
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok(_) if forwarder.faults.is_down() => forwarder.faults.count(FaultKind::Down),
            Ok((stream, _)) => {
                let forwarder = forwarder.clone();
                connections.spawn(async move {
                    let _slot = slot;
                    forwarder.serve(stream).await;
                });
            }
            Err(error) => {
                tracing::warn!(event = "accept_failed", %error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Forwarder {
    async fn serve(self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(event = "nodelay_failed", %error, "small packets may wait");
        }
        let service = service_fn(|request| self.answer(request));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        if let Err(error) = connection.await {
            tracing::debug!(event = "connection_ended", %error, "a connection broke off");
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
        let hit = self.faults.draw();
        match hit.map(|hit| hit.kind) {
            Some(FaultKind::CutBefore | FaultKind::Down) => return Err(Cut),
            Some(FaultKind::Refused) => return refuse(request).await,
            Some(FaultKind::AnswerLost | FaultKind::Delayed) | None => {}
        }
        let passed_on = tokio::select! {
            passed_on = self.pass_on(request) => passed_on?,
            () = self.faults.down() => {
                self.faults.count(FaultKind::Down);
                return Err(Cut);
            }
        };
        match hit {
            Some(hit) if hit.kind == FaultKind::AnswerLost => Err(Cut),
            Some(hit) => {
                tokio::time::sleep(hit.delay).await;
                Ok(passed_on)
            }
            None => Ok(passed_on),
        }
    }

    /// Sends the request to the endpoint once all of it is here, and gives the answer.
    async fn pass_on(&self, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let kib = length.unwrap_or(MAX_REQUEST).min(MAX_REQUEST) / 1024 + 1;
        // Fails only for a semaphore that is closed, which this one never is.
        let permits = self.kibibytes.clone().acquire_many_owned(kib as u32).await;
        let (mut parts, body) = request.into_parts();
        let body = Limited::new(body, MAX_REQUEST).collect().await;
        let body = body.map_err(|error| {
            tracing::debug!(event = "request_broke_off", %error, "a request did not arrive whole");
            Cut
        })?;
        strip(&mut parts.headers);
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let onward = self
            .http
            .request(parts.method, format!("{}{path}", self.endpoint))
            .headers(parts.headers)
            .body(body.to_bytes());
        // In a task, which goes on when the client leaves or this connection is cut.
        let sent = tokio::spawn(async move {
            let _permits = permits;
            onward.send().await
        });
        let answer = sent.await.map_err(|_| Cut)?.map_err(|error| {
            tracing::debug!(event = "endpoint_failed", %error, "the endpoint gave no answer");
            Cut
        })?;
        let mut answer: Response<reqwest::Body> = answer.into();
        strip(answer.headers_mut());
        Ok(answer.map(BodyExt::boxed_unsync))
    }
}

/// `503` after the request has been read: a client that still sends would see a broken pipe.
async fn refuse(request: Request<Incoming>) -> Result<Response<Body>, Cut> {
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        frame.map_err(|_| Cut)?;
    }
    let mut answer = Response::new(
        Empty::new()
            .map_err(|never: Infallible| match never {})
            .boxed_unsync(),
    );
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    Ok(answer)
}

fn strip(headers: &mut HeaderMap) {
    for name in OF_ONE_HOP {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::extract::State;
    use tokio::io::AsyncWriteExt;
    use tokio::time::Instant;

    use super::*;
    use crate::faults::ActiveFault;

    /// Counts the requests and answers with the host and the body that it was sent; waits first
    /// where the path says so.
    async fn endpoint(hits: Arc<AtomicUsize>) -> String {
        let answer = async |State(hits): State<Arc<AtomicUsize>>,
                            request: Request<axum::body::Body>| {
            hits.fetch_add(1, Ordering::SeqCst);
            let (parts, body) = request.into_parts();
            if parts.uri.path() == "/slow" {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            let host = parts.headers[header::HOST].to_str().unwrap().to_owned();
            let body = body.collect().await.unwrap().to_bytes();
            format!("{host} {} {}", parts.uri, String::from_utf8_lossy(&body))
        };
        let router = Router::new().fallback(answer).with_state(hits);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    struct World {
        proxy: Proxy,
        hits: Arc<AtomicUsize>,
        http: reqwest::Client,
    }

    impl World {
        async fn new() -> World {
            let hits = Arc::new(AtomicUsize::new(0));
            let proxy = Proxy::start(&endpoint(hits.clone()).await, 1)
                .await
                .unwrap();
            let http = reqwest::Client::builder()
                .no_proxy()
                .retry(reqwest::retry::never())
                .build()
                .unwrap();
            World { proxy, hits, http }
        }

        fn set(&self, kind: FaultKind) {
            let share = 1.0;
            self.proxy.faults().set(Some(ActiveFault { kind, share }));
        }

        async fn post(&self, path: &str, body: String) -> reqwest::Result<(StatusCode, String)> {
            let url = format!("{}{path}", self.proxy.url());
            let answer = self.http.post(url).body(body).send().await?;
            Ok((answer.status(), answer.text().await?))
        }

        fn hits(&self) -> usize {
            self.hits.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn without_faults_requests_and_answers_pass_as_they_are() {
        let world = World::new().await;
        let host = world.proxy.url().replace("http://", "");
        for body in [String::new(), "x".repeat(3_000_000)] {
            let (status, text) = world.post("/a/b%20c?d=e", body.clone()).await.unwrap();
            assert_eq!(status, StatusCode::OK);
            assert!(text == format!("{host} /a/b%20c?d=e {body}"), "{text:.200}");
        }
        assert_eq!(world.hits(), 2);
    }

    #[tokio::test]
    async fn a_request_cut_before_has_no_effect_and_one_whose_answer_is_lost_has() {
        let world = World::new().await;
        world.set(FaultKind::CutBefore);
        assert!(world.post("/", "x".into()).await.is_err());
        assert_eq!(world.hits(), 0);
        world.set(FaultKind::AnswerLost);
        assert!(world.post("/", "x".into()).await.is_err());
        assert_eq!(world.hits(), 1);
        world.proxy.faults().set(None);
        assert!(world.post("/", "x".into()).await.is_ok());
        let fired = |kind| world.proxy.faults().fired(kind);
        assert_eq!(fired(FaultKind::CutBefore), 1);
        assert_eq!(fired(FaultKind::AnswerLost), 1);
    }

    #[tokio::test]
    async fn a_refused_request_reads_503_and_has_no_effect_and_a_delayed_one_comes_late() {
        let world = World::new().await;
        world.set(FaultKind::Refused);
        let (status, _) = world.post("/", "x".repeat(3_000_000)).await.unwrap();
        assert_eq!((status, world.hits()), (StatusCode::SERVICE_UNAVAILABLE, 0));
        world.set(FaultKind::Delayed);
        let start = Instant::now();
        let (status, _) = world.post("/", "x".into()).await.unwrap();
        assert_eq!((status, world.hits()), (StatusCode::OK, 1));
        assert!(start.elapsed() >= Duration::from_millis(500));
    }

    #[tokio::test]
    async fn when_all_is_down_what_is_under_way_is_cut_and_nothing_new_goes_through() {
        let world = World::new().await;
        assert!(world.post("/", "x".into()).await.is_ok());
        let slow = async {
            let start = Instant::now();
            assert!(world.post("/slow", "x".into()).await.is_err());
            assert!(start.elapsed() < Duration::from_secs(30));
        };
        let outage = async {
            while world.hits() < 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            world.set(FaultKind::Down);
        };
        tokio::join!(slow, outage);
        for _ in 0..3 {
            assert!(world.post("/", "x".into()).await.is_err());
        }
        assert_eq!(world.hits(), 2);
        assert!(world.proxy.faults().fired(FaultKind::Down) >= 4);
        world.proxy.faults().set(None);
        assert!(world.post("/", "x".into()).await.is_ok());
    }

    #[tokio::test]
    async fn a_request_that_comes_in_part_is_not_passed_on_and_one_that_came_whole_is() {
        let world = World::new().await;
        let address = world.proxy.url().replace("http://", "");
        for (body, passed_on) in [("half", false), ("the whole.", true)] {
            let mut client = TcpStream::connect(&address).await.unwrap();
            let request = format!("PUT /a HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{body}");
            client.write_all(request.as_bytes()).await.unwrap();
            // Killed: it waits for no answer.
            drop(client);
            let deadline = Instant::now() + Duration::from_secs(if passed_on { 10 } else { 1 });
            while world.hits() == 0 && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(world.hits(), usize::from(passed_on), "{body}");
        }
    }
}
