//! Health, probes, metrics, the OpenAPI document, and starting up.

use std::time::Duration;

use local_aws::{FaultKind, Faults, LocalAws};
use serde_json::Value;

use crate::harness::{Service, VEHICLE, clients, config};

#[tokio::test(start_paused = true)]
async fn health_gives_the_depth_of_the_queue() {
    let service = Service::start().await;
    let answer = service.get("/health").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.text,
        r#"{"status":"healthy","queue_size":0,"pending_events":0}"#
    );
    for _ in 0..3 {
        service.post_json(VEHICLE).await;
    }
    assert_eq!(
        service.get("/health").await.json()["queue_size"],
        0,
        "answers are remembered for two seconds"
    );
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(service.get("/health").await.json()["queue_size"], 3);
    assert_eq!(service.admin("/livez").await.status, 200);
    assert_eq!(service.admin("/readyz").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn without_sqs_it_is_unhealthy_and_not_ready_but_alive() {
    let service = Service::start().await;
    service.cloud.set_faults(Faults::seeded(1).rule(
        FaultKind::InternalError,
        "GetQueueAttributes",
        1.0,
    ));
    let answer = service.get("/health").await;
    assert_eq!(answer.status, 503);
    assert_eq!(
        answer.text, r#"{"status":"unhealthy","pending_events":0,"reason":"queue_unreachable"}"#,
        "SQS's own words are for the log"
    );
    assert_eq!(service.admin("/health").await.text, answer.text);
    let ready = service.admin("/readyz").await;
    assert_eq!(
        (ready.status.as_u16(), &*ready.text),
        (503, "not ready: queue_unreachable\n")
    );
    assert_eq!(service.admin("/livez").await.status, 200);
    service.cloud.set_faults(Faults::none());
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(service.get("/health").await.status, 200);
    assert_eq!(service.admin("/readyz").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn it_is_not_ready_while_sends_fail_though_the_depth_can_be_asked() {
    let service = Service::start().await;
    service.cloud.set_faults(Faults::seeded(1).rule(
        FaultKind::InternalError,
        "SendMessageBatch",
        1.0,
    ));
    assert_eq!(service.post_json(VEHICLE).await.status, 503);
    for answer in [service.admin("/readyz").await, service.get("/health").await] {
        assert_eq!(answer.status, 503);
        assert!(answer.text.contains("queue_unconfirmed"), "{}", answer.text);
    }
    assert_eq!(service.admin("/livez").await.status, 200);
    service.cloud.set_faults(Faults::none());
    assert_eq!(service.post_json(VEHICLE).await.status, 202);
    assert_eq!(service.admin("/readyz").await.status, 200);
    assert_eq!(service.get("/health").await.status, 200);
}

#[tokio::test]
async fn probes_and_metrics_are_not_on_the_port_of_clients() {
    let service = Service::start().await;
    for path in ["/livez", "/readyz"] {
        assert_eq!(service.get(path).await.error_code(), "unknown_route");
    }
    let metrics = service.get("/metrics").await;
    assert_eq!(metrics.error_code(), "method_not_allowed");
    assert_eq!(metrics.headers["allow"], "POST");
}

#[tokio::test]
async fn metrics_tell_events_requests_and_what_aws_bills() {
    let service = Service::start().await;
    service.post_json(format!("[{VEHICLE},{{}}]")).await;
    let answer = service.admin("/metrics").await;
    assert!(
        answer.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    for name in [
        "headwater_ingest_events_accepted_total",
        "headwater_ingest_events_rejected_total{code=\"unknown_kind\"}",
        "headwater_ingest_requests_total{status=\"202\"}",
        "headwater_ingest_request_seconds_bucket",
        "headwater_ingest_send_seconds_bucket",
        "headwater_ingest_pack_events",
        "headwater_ingest_pending_bytes",
        "headwater_aws_requests_total{operation=\"sqs:SendMessageBatch\"}",
        "headwater_aws_billed_requests_total{operation=\"sqs:SendMessageBatch\"}",
        "headwater_aws_dollars_total",
    ] {
        assert!(answer.text.contains(name), "{name} in\n{}", answer.text);
    }
}

#[tokio::test]
async fn the_openapi_document_is_whole() {
    let service = Service::start().await;
    let answer = service.get("/openapi.json").await;
    assert_eq!(answer.headers["content-type"], "application/json");
    let document = answer.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    let paths: Vec<_> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        paths,
        [
            "/api/v1/write",
            "/api/v2/write",
            "/api/v3/write_lp",
            "/health",
            "/metrics",
            "/v1/events",
            "/v1/events/{kind}",
            "/v1/metrics",
            "/write"
        ]
    );
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["operationId"].is_string(), "{method} {path}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(
                    response["description"].is_string(),
                    "{method} {path} {status}"
                );
            }
            let declared: Vec<_> = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|parameter| parameter["in"] == "path")
                .collect();
            assert_eq!(declared.len(), path.matches('{').count(), "{method} {path}");
            assert!(
                declared
                    .iter()
                    .all(|parameter| parameter["required"] == true)
            );
        }
    }
    let post = &document["paths"]["/v1/events"]["post"];
    assert!(post["requestBody"]["content"]["application/x-ndjson"].is_object());
    assert_eq!(post["security"][0]["api_key"], serde_json::json!([]));
    assert_eq!(
        document["components"]["securitySchemes"]["api_key"]["name"],
        "x-api-key"
    );
    let kinds = &document["paths"]["/v1/events/{kind}"]["post"]["parameters"][0]["schema"]["enum"];
    assert_eq!(
        *kinds,
        serde_json::json!([
            "vehicle",
            "cell",
            "metric",
            "metric_info",
            "chat",
            "viewer",
            "transaction",
            "stream_meta",
            "pm",
            "telemetra.events.chat",
            "telemetra.events.viewer",
            "transactions",
            "telemetra.events.transactions",
            "telemetra.events.stream_meta"
        ])
    );
    let vehicle = &document["components"]["schemas"]["Event.vehicle"];
    assert_eq!(vehicle["additionalProperties"], false);
    assert!(
        vehicle["required"]
            .as_array()
            .unwrap()
            .contains(&Value::from("vehicle_id"))
    );
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 10);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(
                fields
                    .get("$ref")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            fields
                .values()
                .for_each(|value| collect_references(value, found));
        }
        Value::Array(values) => values
            .iter()
            .for_each(|value| collect_references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_front_page_names_every_route() {
    let service = Service::start().await;
    let text = service.get("/").await.text;
    for path in service.get("/openapi.json").await.json()["paths"]
        .as_object()
        .unwrap()
        .keys()
    {
        assert!(text.contains(path.as_str()), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_says_what_to_do() {
    let failure = async |cloud: &LocalAws, flags: &[&str]| {
        let started = ingest::App::start(
            &config(flags),
            &clients(cloud),
            service::metrics::install().unwrap(),
        )
        .await;
        format!("{:#}", started.err().expect("it starts"))
    };
    let cloud = LocalAws::in_process();
    let missing = failure(&cloud, &["--create=false"]).await;
    assert!(
        missing.contains("headwater-events") && missing.contains("--create"),
        "{missing}"
    );
    cloud.set_faults(Faults::seeded(1).rule(FaultKind::CutBefore, "*", 1.0));
    let unreachable = failure(&cloud, &[]).await;
    assert!(
        unreachable.contains("is LocalStack or local-aws up")
            && unreachable.contains("AWS_ENDPOINT_URL"),
        "{unreachable}"
    );
}

#[tokio::test(start_paused = true)]
async fn routes_of_others_are_answered_and_unknown_ones_refused() {
    let others = axum::Router::new()
        .route("/query", axum::routing::get(async || "points"))
        .route("/health", axum::routing::get(async || "of another service"));
    let service = Service::beside(others, LocalAws::in_process(), &[]).await;
    let points = service.get("/query").await;
    assert_eq!((points.status.as_u16(), &*points.text), (200, "points"));
    assert_eq!(service.get("/health").await.json()["status"], "healthy");
    assert_eq!(
        service.get("/v1/nothing").await.error_code(),
        "unknown_route"
    );
}
