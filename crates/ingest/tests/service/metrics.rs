//! `POST /metrics`: samples, with a key and without.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{KEY, Service, VEHICLE};

const CPU: &str = r#"{"name":"cpu_usage","value":85}"#;

fn ids(queued: &[Value]) -> BTreeSet<&str> {
    let ids = queued.iter().map(|line| line["event_id"].as_str().unwrap());
    ids.collect()
}

#[tokio::test]
async fn a_sample_stands_in_the_queue_as_it_was_sent() {
    let service = Service::start().await;
    let answer = service.post_to("/metrics", &[], CPU).await;
    assert_eq!(answer.status, 202);
    assert_eq!(
        answer.text,
        r#"{"accepted":1,"rejected":[],"rejected_count":0}"#
    );
    let queued = service.queued();
    assert_eq!(
        (&queued[0]["kind"], &queued[0]["value"]),
        (&"metric".into(), &85.into())
    );
    assert!(queued[0]["timestamp"].is_null() && queued[0]["entity"].is_null());
}

#[tokio::test]
async fn equal_samples_are_two_unless_they_have_one_id() {
    let service = Service::start().await;
    let stamped = r#"{"name":"cpu_usage","value":85,"timestamp":1759581296000}"#;
    for body in [format!("[{stamped},{stamped}]"), stamped.to_owned()] {
        assert_eq!(service.post_to("/metrics", &[], body).await.status, 202);
    }
    let queued = service.queued();
    assert_eq!((queued.len(), ids(&queued).len()), (3, 3));
    let named = stamped.replacen('{', r#"{"event_id":"mine","#, 1);
    for path in ["/metrics", "/v1/events/metric", "/v1/events"] {
        assert_eq!(
            service.post_to(path, &[], named.clone()).await.status,
            202,
            "{path}"
        );
    }
    let queued = service.queued();
    assert_eq!((queued.len(), ids(&queued).len()), (6, 4));
}

#[tokio::test]
async fn one_an_array_and_lines_are_taken() {
    let service = Service::start().await;
    let lines = format!("{CPU}\n{CPU}\n\n{CPU}");
    let ndjson = [("content-type", "application/x-ndjson")];
    let answer = service.post_to("/metrics", &ndjson, lines).await;
    assert_eq!(answer.json()["accepted"], 3);
    let array =
        format!(r#"[{CPU},{{"name":"up","value":1,"entity":"h-1","tags":{{"zone":"b"}}}}]"#);
    assert_eq!(
        service.post_to("/metrics", &[], array).await.json()["accepted"],
        2
    );
    assert_eq!(service.queued()[4]["tags"]["zone"], "b");
}

#[tokio::test]
async fn a_body_of_10_000_names_is_taken() {
    let service = Service::start().await;
    let samples: Vec<String> = (0..10_000)
        .map(|at| format!(r#"{{"name":"metric_{at}","value":{at}}}"#))
        .collect();
    let answer = service
        .post_to("/metrics", &[], format!("[{}]", samples.join(",")))
        .await;
    assert_eq!(answer.json()["accepted"], 10_000);
    assert_eq!(ids(&service.queued()).len(), 10_000);
}

#[tokio::test]
async fn what_is_no_sample_is_refused_by_place_and_field() {
    let service = Service::start().await;
    let body = format!(
        r#"[{CPU},{{"name":7,"value":1}},{{"name":"a","value":"x"}},{{"value":1}},{{"name":"a","value":1,"tags":[]}},{VEHICLE}]"#
    );
    let answer = service.post_to("/metrics", &[], body).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["accepted"]),
        (202, &1.into())
    );
    let refused = |index, code: &str, field: &str| (index, code.to_owned(), Some(field.to_owned()));
    assert_eq!(
        answer.rejected(),
        [
            refused(1, "wrong_type", "name"),
            refused(2, "wrong_type", "value"),
            refused(3, "missing_field", "name"),
            refused(4, "wrong_type", "tags"),
            refused(5, "unknown_field", "vehicle_id"),
        ]
    );
    let none = service.post_to("/metrics", &[], "[]").await;
    assert_eq!(none.error_code(), "empty_body");
    let large = format!(
        r#"{{"name":"a","value":1,"entity":"{}"}}"#,
        "x".repeat(40_000)
    );
    assert_eq!(
        service.post_to("/metrics", &[], large).await.error_code(),
        "too_large"
    );
    assert_eq!(
        service
            .post_to("/metrics?atomic=true", &[], format!("[{CPU},{{}}]"))
            .await
            .status,
        422
    );
}

#[tokio::test]
async fn metrics_need_a_key_unless_they_are_open() {
    let closed = Service::start().await;
    let answer = closed.post_without_key("/metrics", &[], CPU).await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (401, "missing_api_key")
    );

    let open = Service::with(&["--metrics-open"]).await;
    assert_eq!(
        open.post_without_key("/metrics", &[], CPU).await.status,
        202
    );
    assert_eq!(
        open.post_without_key("/metrics", &[("x-api-key", KEY)], CPU)
            .await
            .status,
        202
    );
    for (path, headers, code) in [
        (
            "/metrics",
            &[("x-api-key", "another-key")][..],
            "wrong_api_key",
        ),
        // A web page that somebody on this machine looks at.
        (
            "/metrics",
            &[("origin", "https://example.com")],
            "missing_api_key",
        ),
        ("/v1/events", &[], "missing_api_key"),
        ("/v1/events/metric", &[], "missing_api_key"),
    ] {
        let answer = open.post_without_key(path, headers, CPU).await;
        assert_eq!(
            (answer.status.as_u16(), answer.error_code().as_str()),
            (401, code),
            "{path} {headers:?}"
        );
    }
    assert_eq!(open.queued().len(), 2);
}
