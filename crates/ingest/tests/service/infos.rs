//! What senders say of metrics: it is told once a day, and no answer depends on it.

use std::collections::BTreeSet;
use std::time::Duration;

use local_aws::{FaultKind, Faults};
use serde_json::{Value, json};
use tokio::time::advance;

use crate::harness::{Answer, Service};
use crate::keys::{Stage, entry};
use crate::senders::{JSON, MILLIS, snappy};

/// An OTLP body of counters, each with a sample, a unit and a description.
fn otlp<'a>(metrics: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> String {
    let metric = |(name, unit, description)| {
        json!({"name": name, "unit": unit, "description": description, "sum": {
            "aggregationTemporality": 2, "isMonotonic": true,
            "dataPoints": [{"timeUnixNano": (MILLIS * 1_000_000).to_string(), "asInt": "7"}],
        }})
    };
    let metrics: Vec<Value> = metrics.into_iter().map(metric).collect();
    json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).to_string()
}

async fn post(service: &Service, body: &str) -> Answer {
    service
        .post_to("/v1/metrics", &[JSON], body.to_owned())
        .await
}

/// The lines of infos in the queue.
fn infos(service: &Service) -> Vec<Value> {
    let mut lines = service.queued();
    lines.retain(|line| line["kind"] == "metric_info");
    lines
}

#[tokio::test(start_paused = true)]
async fn what_a_metric_is_is_told_once_a_day() {
    let service = Service::start().await;
    let requests = otlp([("http.requests", "{request}", "How many came.")]);
    // Of many resources, each says it.
    let twice = otlp([("http.requests", "{request}", "How many came."); 2]);
    for body in [&requests, &requests, &twice] {
        let answer = post(&service, body).await;
        assert_eq!((answer.status.as_u16(), &*answer.text), (200, "{}"));
    }
    let told = infos(&service);
    let [line] = &told[..] else {
        panic!("{told:?}")
    };
    let info = json!({"type": "counter", "unit": "{request}", "description": "How many came."});
    assert_eq!(
        (&line["name"], &line["timestamp"], &line["info"]),
        (
            &json!("http_requests"),
            &json!("2025-10-04T00:00:00Z"),
            &info
        )
    );
    // Another description is another event.
    let changed = otlp([("http.requests", "{request}", "How many.")]);
    for body in [&changed, &changed] {
        post(&service, body).await;
    }
    assert_eq!(infos(&service).len(), 2);
    // The clock of the tests begins at 21:00.
    advance(Duration::from_secs(3 * 3_600 - 60)).await;
    post(&service, &requests).await;
    assert_eq!(infos(&service).len(), 2);
    advance(Duration::from_secs(60)).await;
    for _ in 0..2 {
        post(&service, &requests).await;
    }
    let told = infos(&service);
    assert_eq!(told.len(), 3);
    assert_eq!(told[2]["timestamp"], "2025-10-05T00:00:00Z");
    let ids: BTreeSet<&str> = told
        .iter()
        .map(|line| line["event_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn another_process_tells_it_with_the_same_id() {
    let service = Service::start().await;
    let body = otlp([("load", "1", "")]);
    post(&service, &body).await;
    advance(Duration::from_secs(60)).await;
    let restarted = Service::over(service.cloud.clone(), &[]).await;
    post(&restarted, &body).await;
    let told = infos(&service);
    assert_eq!(told.len(), 2);
    assert_eq!(told[0]["event_id"], told[1]["event_id"]);
}

#[tokio::test]
async fn what_the_queue_did_not_confirm_is_told_with_the_retry() {
    let service = Service::start().await;
    service.aws.queue("headwater-events").await.unwrap();
    let cut = Faults::seeded(1).rule(FaultKind::CutBefore, "SendMessageBatch", 1.0);
    service.cloud.set_faults(cut);
    let body = otlp([("load", "1", "")]);
    assert_eq!(post(&service, &body).await.status, 503);
    assert!(service.queued().is_empty());
    service.cloud.set_faults(Faults::none());
    for _ in 0..2 {
        assert_eq!(post(&service, &body).await.status, 200);
    }
    assert_eq!(infos(&service).len(), 1);
}

#[tokio::test]
async fn metadata_of_prometheus_alone_are_answered_204_and_land() {
    let service = Service::start().await;
    // `MetricMetadata` of a gauge.
    let body = b"\x1a\x16\x08\x02\x12\x0cnode_load:1m\x22\x01h\x2a\x01s";
    for _ in 0..2 {
        let answer = service.post_to("/api/v1/write", &[], snappy(body)).await;
        assert_eq!((answer.status.as_u16(), &*answer.text), (204, ""));
    }
    let queued = service.queued();
    assert_eq!(queued.len(), 1);
    assert_eq!(queued[0]["name"], "node_load_1m");
    let info = json!({"type": "gauge", "unit": "s", "description": "h"});
    assert_eq!(queued[0]["info"], info);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_may_not_send_it_sends_its_samples_all_the_same() {
    let keys = [
        entry("samples", "may = [\"write\"]\nwrite_kinds = [\"metric\"]"),
        entry("hosts", "may = [\"write\"]\nwrite_entities = [\"default\"]"),
        entry(
            "all",
            "may = [\"write\"]\nwrite_kinds = [\"metric\", \"metric_info\"]",
        ),
    ];
    let stage = Stage::new(&keys.concat()).await;
    let body = otlp([("load", "1", "")]);
    for (key, expected) in [("samples", 0), ("hosts", 0), ("all", 1), ("samples", 1)] {
        let answer = stage.post("/v1/metrics", key, &body).await;
        assert_eq!(
            (answer.status.as_u16(), &*answer.text),
            (200, "{}"),
            "{key}"
        );
        assert_eq!(infos(&stage.service).len(), expected, "{key}");
    }
    assert_eq!(infos(&stage.service)[0]["sender"], "all");
}

#[tokio::test]
async fn a_name_that_no_metric_has_is_refused_with_its_samples_alone() {
    let service = Service::start().await;
    let long = "n".repeat(256);
    let answer = post(&service, &otlp([(&*long, "1", ""), ("good", "1", "")])).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["partialSuccess"]["rejectedDataPoints"], "1");
    let told = infos(&service);
    assert_eq!((told.len(), &told[0]["name"]), (1, &json!("good")));
}

#[tokio::test]
async fn infos_do_not_count_as_events_of_the_body_and_are_bounded() {
    let service = Service::with(&["--max-body-events=6000"]).await;
    let names: Vec<String> = (0..6_000).map(|number| format!("m{number:04}")).collect();
    let description = "d".repeat(1_000);
    let metrics = names.iter().map(|name| (&**name, "1", &*description));
    let body = otlp(metrics);
    let mut lines = Vec::new();
    for _ in 0..4 {
        let answer = post(&service, &body).await;
        assert_eq!((answer.status.as_u16(), &*answer.text), (200, "{}"));
        lines.push(infos(&service).len());
    }
    // A line has some 470 bytes: a body tells a megabyte of them, and its next ones the others.
    assert!((2_000..2_600).contains(&lines[0]), "{lines:?}");
    assert_eq!(lines[1], lines[0] * 2, "{lines:?}");
    assert_eq!(lines[2..], [6_000, 6_000]);
    let names: BTreeSet<String> = infos(&service)
        .iter()
        .map(|line| line["name"].to_string())
        .collect();
    assert_eq!(names.len(), 6_000);
}
