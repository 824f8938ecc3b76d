//! An ingest service over an SQS in the same process, and a client that speaks HTTP/1.1 to it over pipes in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use clap::Parser;
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper::service::Service as _;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use ingest::{App, Config};
use local_aws::LocalAws;
use serde_json::Value;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Bytes that a pipe holds in each direction, as sockets do.
const PIPE_BYTES: usize = 64 * 1024;

pub(crate) const QUEUE: &str = "headwater-events";
pub(crate) const KEY: &str = "the-first-key";

/// A valid vehicle event.
pub(crate) const VEHICLE: &str = r#"{"timestamp":"2025-10-04T12:34:56.123Z","vehicle_id":"veh-00123","can_id":"0x1F0","payload":{"engine_rpm":2150,"brake_status":false}}"#;

/// A valid cell event.
pub(crate) const CELL: &str = r#"{"event_id":"6f0e","schema_version":1,"source":"pmgen","event_time":"2025-10-04T20:45:12Z","entity_type":"cell","entity_id":"CELL-000123","metrics":{"dl_prb_util_pct":73.2,"rrc_conn_avg":18}}"#;

/// The vehicle event number `n`, about 200 bytes, unlike any other.
pub(crate) fn vehicle(n: usize) -> String {
    let (hash, second) = (
        (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20,
        n % 3600,
    );
    format!(
        r#"{{"timestamp":"2025-10-04T12:{:02}:{:02}.{:03}Z","vehicle_id":"veh-{:05}","can_id":"0x1F{:X}","payload":{{"engine_rpm":{},"vehicle_speed_kmh":{}.{},"brake_status":{},"coolant_temp_c":{}.{}}}}}"#,
        second / 60,
        second % 60,
        n % 1000,
        n % 5000,
        hash % 16,
        700 + hash % 6000,
        hash % 131,
        hash % 10,
        hash.is_multiple_of(7),
        70 + hash % 41,
        (hash >> 3) % 10,
    )
}

/// The service, its cloud, and where clients connect.
pub(crate) struct Service {
    pub(crate) cloud: LocalAws,
    pub(crate) aws: aws::Aws,
    app: Arc<App>,
    connections: mpsc::UnboundedSender<DuplexStream>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    async fn read<B: hyper::body::Body<Error: std::fmt::Debug>>(response: Response<B>) -> Answer {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The code of the one error shape.
    pub(crate) fn error_code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_else(|| panic!("{}", self.text))
            .to_owned()
    }

    /// The refused events as (index, code, field).
    pub(crate) fn rejected(&self) -> Vec<(u64, String, Option<String>)> {
        let json = self.json();
        let rejected = json["rejected"]
            .as_array()
            .unwrap_or_else(|| panic!("{}", self.text));
        let text = |value: &Value| value.as_str().map(str::to_owned);
        rejected
            .iter()
            .map(|event| {
                (
                    event["index"].as_u64().unwrap(),
                    text(&event["code"]).unwrap(),
                    text(&event["field"]),
                )
            })
            .collect()
    }
}

/// Settings with two keys and `more` flags.
pub(crate) fn config(more: &[&str]) -> Config {
    Config::parse_from([&["ingest", "--api-keys=the-first-key,the-second-key"], more].concat())
}

/// Clients of the cloud. Their clock starts at the evening after the events above, which are not too old then.
pub(crate) fn clients(cloud: &LocalAws) -> aws::Aws {
    let start = "2025-10-04T21:00:00Z".parse().unwrap();
    let clock = aws::Clock::starting_at(start);
    aws::Aws::emulated_at(cloud.http_client(), cloud.endpoint(), clock)
}

impl Service {
    pub(crate) async fn start() -> Service {
        Service::with(&[]).await
    }

    pub(crate) async fn with(flags: &[&str]) -> Service {
        Service::over(LocalAws::in_process(), flags).await
    }

    pub(crate) async fn over(cloud: LocalAws, flags: &[&str]) -> Service {
        Service::beside(Router::new(), cloud, flags).await
    }

    /// One that has `others` answer what is none of its routes.
    pub(crate) async fn beside(others: Router, cloud: LocalAws, flags: &[&str]) -> Service {
        let (aws, config) = (clients(&cloud), config(flags));
        let app = App::start(&config, &aws, service::metrics::install().unwrap())
            .await
            .unwrap();
        let (connections, source) = mpsc::unbounded_channel();
        let served = app.clone();
        tokio::spawn(async move {
            let never = CancellationToken::new();
            ingest::serve(&config, served, source, others, &never)
                .await
                .unwrap();
        });
        Service {
            cloud,
            aws,
            app,
            connections,
        }
    }

    pub(crate) fn app(&self) -> Arc<App> {
        self.app.clone()
    }

    /// A new connection to the service.
    pub(crate) fn connect(&self) -> DuplexStream {
        let (client, server) = tokio::io::duplex(PIPE_BYTES);
        self.connections.send(server).unwrap();
        client
    }

    /// Sends the request, with a `host` as clients have it.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Answer {
        let host = HeaderValue::from_static("ingest");
        request.headers_mut().insert("host", host);
        let stream = TokioIo::new(self.connect());
        let (mut sender, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let response = sender.send_request(request).await.unwrap();
        Answer::read(response).await
    }

    /// Gets a path of the admin port.
    pub(crate) async fn admin(&self, path: &str) -> Answer {
        let routes = TowerToHyperService::new(ingest::admin_routes(self.app.clone()));
        let request = Request::get(path).body(Body::empty()).unwrap();
        Answer::read(routes.call(request).await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    /// Posts JSON without a key, and with further headers.
    pub(crate) async fn post_without_key(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::post(path).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    /// Posts to `/v1/events` with a key and further headers.
    pub(crate) async fn post_with(
        &self,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        self.post_to("/v1/events", headers, body).await
    }

    pub(crate) async fn post_to(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::post(path).header("x-api-key", KEY);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn post_json(&self, body: impl Into<Body>) -> Answer {
        self.post_with(&[("content-type", "application/json")], body)
            .await
    }

    pub(crate) async fn post_ndjson(&self, body: impl Into<Body>) -> Answer {
        self.post_with(&[("content-type", "application/x-ndjson")], body)
            .await
    }

    /// The lines that are in the queue.
    pub(crate) fn queued(&self) -> Vec<Value> {
        queued(&self.cloud)
    }
}

/// The lines that are in the cloud's queue.
pub(crate) fn queued(cloud: &LocalAws) -> Vec<Value> {
    let mut lines = Vec::new();
    for message in cloud.messages(QUEUE) {
        let attributes: &BTreeMap<String, String> = &message.attributes;
        let envelope = contract::Envelope::read(&message.body, attributes);
        assert!(envelope.is_pack());
        let text = envelope.text(&mut Default::default()).unwrap();
        assert_eq!(text.lines().count().to_string(), attributes["events"]);
        lines.extend(
            text.lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()),
        );
    }
    lines
}
