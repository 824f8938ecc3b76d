//! The routes of other senders: OTLP, remote write, line protocol.

use std::collections::BTreeSet;
use std::time::Duration;

use local_aws::{Faults, LocalAws};
use serde_json::{Value, json};

use crate::harness::{KEY, Service};

/// 2025-10-04T12:34:56Z.
pub(crate) const MILLIS: i64 = 1_759_581_296_000;

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");

/// An OTLP body of gauges, each with its time in nanoseconds.
fn otlp(points: &[(&str, i64, f64)]) -> String {
    let metrics: Vec<Value> = points
        .iter()
        .map(|(name, nanos, value)| {
            json!({"name": name, "gauge": {"dataPoints": [
                {"timeUnixNano": nanos.to_string(), "asDouble": value}
            ]}})
        })
        .collect();
    json!({"resourceMetrics": [{
        "resource": {"attributes": [{"key": "host.name", "value": {"stringValue": "h-1"}}]},
        "scopeMetrics": [{"metrics": metrics}],
    }]})
    .to_string()
}

/// `prometheus.WriteRequest` with one sample of `up{instance="h-1"}`.
fn write_request(value: f64) -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let label = |name: &[u8], value: &[u8]| field(1, &[field(1, name), field(2, value)].concat());
    let mut sample = vec![9];
    sample.extend(value.to_le_bytes());
    sample.push(0x10);
    let mut millis = MILLIS as u64;
    while millis >= 0x80 {
        sample.push(millis as u8 | 0x80);
        millis >>= 7;
    }
    sample.push(millis as u8);
    let labels = [label(b"__name__", b"up"), label(b"instance", b"h-1")].concat();
    field(1, &[labels, field(2, &sample)].concat())
}

pub(crate) fn snappy(body: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(body).unwrap()
}

/// The lines in the queue but those of what is said of metrics.
fn samples(service: &Service) -> Vec<Value> {
    let mut lines = service.queued();
    lines.retain(|line| line["kind"] != "metric_info");
    lines
}

fn ids(queued: &[Value]) -> BTreeSet<&str> {
    let ids = queued.iter().map(|line| line["event_id"].as_str().unwrap());
    ids.collect()
}

#[tokio::test]
async fn each_protocol_lands_as_samples_and_a_repeat_keeps_its_id() {
    let service = Service::start().await;
    let body = otlp(&[("cpu.load", MILLIS * 1_000_000 + 7, 0.5)]);
    let lines = format!("cpu,host=h-1 load=0.5 {MILLIS}000000");
    for _ in 0..2 {
        let answer = service.post_to("/v1/metrics", &[JSON], body.clone()).await;
        assert_eq!((answer.status.as_u16(), &*answer.text), (200, "{}"));
        let answer = service
            .post_to("/api/v1/write", &[], snappy(&write_request(1.0)))
            .await;
        assert_eq!((answer.status.as_u16(), &*answer.text), (204, ""));
        for path in ["/write", "/api/v2/write", "/api/v3/write_lp"] {
            let answer = service.post_to(path, &[], lines.clone()).await;
            assert_eq!((answer.status.as_u16(), &*answer.text), (204, ""), "{path}");
        }
    }
    let queued = samples(&service);
    assert_eq!((queued.len(), ids(&queued).len()), (10, 3));
    let said = |name: &str| {
        let line = queued.iter().find(|line| line["name"] == name).unwrap();
        (
            line["kind"].clone(),
            line["entity"].clone(),
            line["value"].as_f64(),
        )
    };
    for (name, value) in [("cpu_load", 0.5), ("up", 1.0)] {
        assert_eq!(said(name), (json!("metric"), json!("h-1"), Some(value)));
    }
    // The one of OTLP has another nanosecond.
    let times: BTreeSet<String> = (queued.iter().filter(|line| line["name"] == "cpu_load"))
        .map(|line| line["timestamp"].to_string())
        .collect();
    assert_eq!(times.len(), 2);
}

#[tokio::test]
async fn a_line_without_a_time_counts_each_time_it_comes() {
    let service = Service::start().await;
    for _ in 0..2 {
        let answer = service.post_to("/write", &[], "cpu load=0.5").await;
        assert_eq!(answer.status, 204);
    }
    assert_eq!(ids(&service.queued()).len(), 2);
}

#[tokio::test]
async fn keys_are_taken_as_each_sender_sends_them() {
    let service = Service::start().await;
    // `any:the-first-key`.
    let basic = "Basic YW55OnRoZS1maXJzdC1rZXk=";
    let (token, bearer) = (format!("Token {KEY}"), format!("Bearer {KEY}"));
    for sent in [&*token, &*bearer, basic] {
        for path in ["/api/v2/write", "/v1/events"] {
            let body = if path == "/v1/events" {
                r#"{"name":"a","value":1}"#
            } else {
                "a value=1"
            };
            let answer = service
                .post_without_key(path, &[("authorization", sent)], body)
                .await;
            assert!(answer.status.is_success(), "{path} {sent}: {answer:?}");
        }
    }
    let body = otlp(&[]);
    for (path, body, expected) in [
        ("/v1/metrics", body.as_str(), json!(16)),
        ("/api/v2/write", "a value=1", json!("unauthorized")),
    ] {
        let answer = service.post_without_key(path, &[], body.to_owned()).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["code"]),
            (401, &expected),
            "{path}"
        );
        assert!(answer.headers.contains_key("www-authenticate"));
    }
    let open = Service::with(&["--metrics-open"]).await;
    let answer = open
        .post_without_key("/api/v2/write", &[], "a value=1")
        .await;
    assert_eq!(answer.status, 204);
    let page = [("origin", "http://example.com")];
    let answer = open
        .post_without_key("/api/v2/write", &page, "a value=1")
        .await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn what_is_refused_is_told_as_the_protocol_tells_it_and_spoils_nothing_good() {
    let service = Service::start().await;
    let now = MILLIS * 1_000_000;
    let body = otlp(&[("a", 1_000_000_000, 1.0), ("b", now, 2.0)]);
    let answer = service.post_to("/v1/metrics", &[JSON], body).await;
    assert_eq!(answer.status, 200);
    let partial = &answer.json()["partialSuccess"];
    assert_eq!(partial["rejectedDataPoints"], "1");
    assert!(
        partial["errorMessage"]
            .as_str()
            .unwrap()
            .contains("`timestamp`"),
        "{partial}"
    );
    let lines = format!("b,host=h-1 value=3 {now}\nnonsense\nc value=\"text\" {now}");
    let answer = service.post_to("/api/v2/write", &[], lines).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["code"]),
        (400, &json!("invalid"))
    );
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("line 2: unable to parse") && message.ends_with("dropped=1"),
        "{message}"
    );
    let queued = samples(&service);
    assert_eq!((queued.len(), ids(&queued).len()), (2, 2));
    let metrics = service.admin("/metrics").await.text;
    assert!(
        metrics.contains("headwater_ingest_left_out_total 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn bodies_that_are_none_are_refused_as_a_whole() {
    let service = Service::start().await;
    let plain = write_request(1.0);
    let mut cut = snappy(&plain);
    cut.truncate(cut.len() - 3);
    // Says that it unfolds to four gigabytes.
    let bomb = vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
    let protobuf = ("content-type", "application/x-protobuf");
    let two = (
        "content-type",
        "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    );
    let other = ("content-type", "text/plain");
    let deflate = ("content-encoding", "deflate");
    for (path, headers, body, status) in [
        ("/api/v1/write", vec![], plain.clone(), 400),
        ("/api/v1/write", vec![], cut, 400),
        ("/api/v1/write", vec![], bomb, 413),
        ("/api/v1/write", vec![other], snappy(&plain), 415),
        ("/api/v1/write", vec![two], snappy(b"\x22\x01x"), 400),
        ("/api/v1/write", vec![deflate], plain.clone(), 415),
        ("/v1/metrics", vec![protobuf], b"{}".to_vec(), 400),
        ("/v1/metrics", vec![JSON], b"\x0a\x00".to_vec(), 400),
        ("/v1/metrics", vec![other], vec![], 415),
        ("/v1/metrics", vec![], vec![], 415),
        (
            "/api/v2/write?precision=fortnight",
            vec![],
            b"a value=1".to_vec(),
            400,
        ),
    ] {
        let answer = service.post_to(path, &headers, body).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{path} {headers:?}: {answer:?}"
        );
        assert!(!answer.text.is_empty(), "{path}");
    }
    assert_eq!(service.queued().len(), 0);
    // The same headers are no hindrance to what is sound.
    let answer = service.post_to("/v1/metrics", &[protobuf], vec![]).await;
    assert_eq!((answer.status.as_u16(), answer.text.len()), (200, 0));
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_told_by_a_status_after_which_senders_come_back() {
    let hang = Duration::from_secs(100)..Duration::from_secs(101);
    let cloud = LocalAws::builder()
        .faults(Faults::seeded(1).slow("SendMessageBatch", 1.0, hang))
        .build()
        .unwrap();
    let service = Service::over(cloud, &["--send-timeout=1s"]).await;
    let lines = format!("a value=1 {MILLIS}000000");
    for (path, headers, body) in [
        ("/api/v2/write", vec![], lines),
        (
            "/v1/metrics",
            vec![JSON],
            otlp(&[("a", MILLIS * 1_000_000, 1.0)]),
        ),
    ] {
        let answer = service.post_to(path, &headers, body).await;
        assert_eq!(answer.status.as_u16(), 503, "{path}: {answer:?}");
        assert!(answer.headers.contains_key("retry-after"));
    }
}

#[tokio::test]
async fn a_rule_says_what_becomes_of_a_measurement() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("senders.toml");
    let rule = "[[map]]\nname = \"obd\"\nkind = \"vehicle\"\nentity = \"vin\"\nconstants.can_id = \"0x1F0\"\n";
    std::fs::write(&file, rule).unwrap();
    let service = Service::with(&[&format!("--senders={}", file.display())]).await;
    let lines = format!("obd,vin=veh-1 engine_rpm=2150,brake_status=f {MILLIS}000000");
    let answer = service.post_to("/write", &[], lines).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    let queued = service.queued();
    assert_eq!(queued[0]["kind"], "vehicle");
    assert_eq!(
        queued[0]["payload"],
        json!({"engine_rpm": 2150, "brake_status": false})
    );
}
