//! HTTPS: both versions of HTTP, certificates of clients, and what stays bounded.

use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use ingest::App;
use local_aws::{Faults, LocalAws};
use rustls::pki_types::ServerName;
use serde_json::Value;
use stand::{Authority, Certified};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::harness::{KEY, Service, VEHICLE, clients, config, queued};

/// The entity of [`VEHICLE`].
const ENTITY: &str = "veh-00123";

/// The files of a service with TLS, and its authority.
struct Files {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Files {
    fn new() -> Files {
        let (folder, authority) = (
            tempfile::tempdir().unwrap(),
            Authority::new("ours").unwrap(),
        );
        let server = authority.issue("ingest", &["ingest"]).unwrap();
        server.write(folder.path(), "server").unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        Files { folder, authority }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn flags(&self, more: &[&str]) -> Vec<String> {
        let flag = |name: &str, file: &str| format!("--{name}={}", self.path(file).display());
        let mut flags = vec![
            flag("tls-cert", "server.pem"),
            flag("tls-key", "server.key"),
        ];
        for flag_of in more {
            flags.push(match *flag_of {
                "--tls-client-ca" => flag("tls-client-ca", "ca.pem"),
                other => other.to_owned(),
            });
        }
        flags
    }

    async fn service(&self, more: &[&str]) -> Service {
        let flags = self.flags(more);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        Service::with(&flags).await
    }

    /// A handshake over `stream`, in which the client chooses among `protocols` and shows its certificate.
    async fn secure(
        &self,
        stream: DuplexStream,
        protocols: &[&str],
        shown: Option<&Certified>,
    ) -> TlsStream<DuplexStream> {
        let connector = self.authority.connector(shown, protocols).unwrap();
        let name = ServerName::try_from("ingest").unwrap();
        connector.connect(name, stream).await.unwrap()
    }

    async fn http1(
        &self,
        stream: DuplexStream,
        shown: Option<&Certified>,
    ) -> http1::SendRequest<Body> {
        let stream = TokioIo::new(self.secure(stream, &["http/1.1"], shown).await);
        let (sender, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    async fn http2(&self, stream: DuplexStream) -> http2::SendRequest<Body> {
        let stream = TokioIo::new(self.secure(stream, &["h2", "http/1.1"], None).await);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream)
            .await
            .unwrap();
        tokio::spawn(connection);
        sender
    }
}

fn post(path: &str, content_type: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(format!("https://ingest{path}"))
        .header("host", "ingest")
        .header("x-api-key", KEY)
        .header("content-type", content_type);
    request.body(body.into()).unwrap()
}

fn event() -> Request<Body> {
    post("/v1/events", "application/json", VEHICLE)
}

async fn read(response: Response<Incoming>) -> (StatusCode, Value) {
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn events_are_taken_over_both_versions_of_http() {
    let files = Files::new();
    let service = files.service(&[]).await;
    let mut http1 = files.http1(service.connect(), None).await;
    let response = http1.send_request(event()).await.unwrap();
    assert_eq!(
        (response.status(), response.version()),
        (StatusCode::ACCEPTED, Version::HTTP_11)
    );
    let mut http2 = files.http2(service.connect()).await;
    let mut request = event();
    // As clients of HTTP/2 have it: the address says the host.
    request.headers_mut().remove("host");
    let response = http2.send_request(request).await.unwrap();
    assert_eq!(
        (response.status(), response.version()),
        (StatusCode::ACCEPTED, Version::HTTP_2)
    );
    let many = (0..40).map(|_| http2.clone().send_request(event()));
    for answered in futures::future::join_all(many).await {
        assert_eq!(answered.unwrap().status(), StatusCode::ACCEPTED);
    }
    let health = Request::get("https://ingest/health")
        .body(Body::empty())
        .unwrap();
    assert_eq!(
        http2.send_request(health).await.unwrap().status(),
        StatusCode::OK
    );
    assert_eq!(service.queued().len(), 42);
}

#[tokio::test]
async fn a_certificate_binds_the_entities_of_its_client() {
    let files = Files::new();
    let service = files
        .service(&["--tls-client-ca", "--tls-client-entity"])
        .await;
    let own = files.authority.issue(ENTITY, &[]).unwrap();
    let mut sender = files.http1(service.connect(), Some(&own)).await;
    let other = VEHICLE.replace(ENTITY, "veh-00124");
    let answered = sender.send_request(event()).await.unwrap();
    assert_eq!(answered.status(), StatusCode::ACCEPTED);
    let alone = post("/v1/events", "application/json", other.clone());
    let (status, answer) = read(sender.send_request(alone).await.unwrap()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("veh-00124") && message.contains(ENTITY),
        "{message}"
    );
    // By way of the router too, which paths with escapes take.
    let bulk = post(
        "/v1/events/v%65hicle",
        "application/x-ndjson",
        format!("{VEHICLE}\n{other}\n"),
    );
    let (status, answer) = read(sender.send_request(bulk).await.unwrap()).await;
    assert_eq!(
        (status, &answer["accepted"]),
        (StatusCode::ACCEPTED, &1.into())
    );
    assert_eq!(answer["rejected"][0]["code"], "not_permitted");
    let gateway = files
        .authority
        .issue("gateway", &["veh-00124", "urn:x:1"])
        .unwrap();
    let mut gateway = files.http1(service.connect(), Some(&gateway)).await;
    let named = post("/v1/events", "application/json", other);
    let answered = gateway.send_request(named).await.unwrap();
    assert_eq!(answered.status(), StatusCode::ACCEPTED);
    assert_eq!(service.queued().len(), 3);
    let metrics = service.admin("/metrics").await.text;
    assert!(
        metrics.contains("headwater_ingest_other_entity_total"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused_and_disturbs_nobody() {
    let files = Files::new();
    let service = files.service(&["--tls-client-ca"]).await;
    let own = files.authority.issue("any", &[]).unwrap();
    let mut before = files.http1(service.connect(), Some(&own)).await;
    let expired = files.authority.issue_expired("any", &[]).unwrap();
    let foreign = Authority::new("theirs").unwrap().issue("any", &[]).unwrap();
    for shown in [None, Some(&expired), Some(&foreign)] {
        // With TLS 1.3 a client is told behind its own end of the handshake.
        let mut stream = files.secure(service.connect(), &["http/1.1"], shown).await;
        let request = b"GET / HTTP/1.1\r\nhost: ingest\r\n\r\n";
        let asked = async {
            stream.write_all(request).await?;
            stream.read_u8().await
        };
        assert!(asked.await.is_err());
    }
    let answered = before.send_request(event()).await.unwrap();
    assert_eq!(answered.status(), StatusCode::ACCEPTED);
    let metrics = service.admin("/metrics").await.text;
    for outcome in ["no_certificate", "expired", "unknown_ca", "done"] {
        let counted = format!("headwater_tls_handshakes_total{{outcome=\"{outcome}\"}}");
        assert!(metrics.contains(&counted), "{outcome}: {metrics}");
    }
}

/// A cloud whose queue takes its time.
fn slow_cloud() -> LocalAws {
    let slow = Faults::seeded(1).slow(
        "SendMessageBatch",
        1.0,
        Duration::from_secs(2)..Duration::from_secs(3),
    );
    LocalAws::builder().faults(slow).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn requests_beside_each_other_take_a_seat_each() {
    let files = Files::new();
    let cloud = slow_cloud();
    let flags = files.flags(&["--max-connections=2"]);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let service = Service::over(cloud, &flags).await;
    let http2 = files.http2(service.connect()).await;
    let three = (0..3).map(|_| http2.clone().send_request(event()));
    let answers = futures::future::join_all(three).await;
    let mut statuses: Vec<u16> = answers
        .into_iter()
        .map(|answer| answer.unwrap().status().as_u16())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 202, 503]);
    // While all seats are at work, who comes by another connection is told so too, over TLS.
    let both = (0..2).map(|_| http2.clone().send_request(event()));
    let late = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut late = files.http1(service.connect(), None).await;
        late.send_request(event()).await.unwrap().status()
    };
    let (answers, late) = tokio::join!(futures::future::join_all(both), late);
    assert!(
        answers
            .into_iter()
            .all(|answer| answer.unwrap().status() == StatusCode::ACCEPTED)
    );
    assert_eq!(late, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_closes_the_connection() {
    let files = Files::new();
    let service = files.service(&[]).await;
    let stream = TokioIo::new(files.secure(service.connect(), &["h2"], None).await);
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        // No room for any body.
        .initial_stream_window_size(0)
        .handshake(stream)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let response = sender.send_request(event()).await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let started = tokio::time::Instant::now();
    assert!(response.into_body().collect().await.is_err());
    let _ = connection.await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn at_the_stop_answers_under_way_are_given_over_both_versions() {
    let files = Files::new();
    let cloud = slow_cloud();
    let flags = files.flags(&[]);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let (aws, config) = (clients(&cloud), config(&flags));
    let app = App::start(&config, &aws, service::metrics::install().unwrap())
        .await
        .unwrap();
    let (connections, source) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let until = stop.clone();
    let serving =
        tokio::spawn(
            async move { ingest::serve(&config, app, source, Router::new(), &until).await },
        );
    let connect = || {
        let (client, server) = tokio::io::duplex(64 * 1024);
        connections.send(server).unwrap();
        client
    };
    let mut http1 = files.http1(connect(), None).await;
    let mut http2 = files.http2(connect()).await;
    let idle = files.http2(connect()).await;
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
    };
    let (one, two, ()) = tokio::join!(
        http1.send_request(event()),
        http2.send_request(event()),
        stopping
    );
    assert_eq!(one.unwrap().status(), StatusCode::ACCEPTED);
    assert_eq!(two.unwrap().status(), StatusCode::ACCEPTED);
    serving.await.unwrap().unwrap();
    assert!(idle.is_closed());
    assert_eq!(queued(&cloud).len(), 2);
}
