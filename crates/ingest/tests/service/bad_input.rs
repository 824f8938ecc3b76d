//! Bad input: each has its own clear answer, and loses nothing that was good.

use std::io::Write;

use axum::body::Body;
use axum::http::Request;

use crate::harness::{KEY, Service, VEHICLE};

fn with(from: &str, to: &str) -> String {
    assert!(VEHICLE.contains(from), "{from}");
    VEHICLE.replace(from, to)
}

#[tokio::test]
async fn a_broken_event_is_refused_by_code_and_field_and_its_neighbours_are_taken() {
    let service = Service::start().await;
    let rpm = "\"engine_rpm\":2150";
    let tomorrow = (chrono::Utc::now() + chrono::Duration::days(1)).to_rfc3339();
    let cases = [
        (
            "a truncated line",
            VEHICLE[..60].to_owned(),
            "invalid_json",
            None,
        ),
        (
            "a wrong type",
            with(rpm, "\"engine_rpm\":\"fast\""),
            "wrong_type",
            Some("payload.engine_rpm"),
        ),
        (
            "a number as text",
            with("\"veh-00123\"", "17"),
            "wrong_type",
            Some("vehicle_id"),
        ),
        (
            "a missing field",
            with("\"can_id\":\"0x1F0\",", ""),
            "missing_field",
            Some("can_id"),
        ),
        (
            "an unknown field",
            with("{\"timestamp\"", "{\"colour\":\"red\",\"timestamp\""),
            "unknown_field",
            Some("colour"),
        ),
        (
            "no zone",
            with("56.123Z", "56.123"),
            "timestamp_without_zone",
            Some("timestamp"),
        ),
        (
            "no time",
            with("2025-10-04T12:34:56.123Z", "yesterday"),
            "invalid_timestamp",
            Some("timestamp"),
        ),
        (
            "year 0001",
            with("2025-10-04", "0001-01-01"),
            "timestamp_out_of_range",
            Some("timestamp"),
        ),
        (
            "year 9999",
            with("2025-10-04", "9999-12-31"),
            "timestamp_out_of_range",
            Some("timestamp"),
        ),
        (
            "a day ahead",
            with("2025-10-04T12:34:56.123Z", &tomorrow),
            "timestamp_out_of_range",
            Some("timestamp"),
        ),
        ("NaN", with("2150", "NaN"), "invalid_json", None),
        ("1e999", with("2150", "1e999"), "out_of_range", None),
        (
            "a slash",
            with("veh-00123", "veh/00123"),
            "invalid_format",
            Some("vehicle_id"),
        ),
        (
            "dots",
            with("veh-00123", ".."),
            "invalid_format",
            Some("vehicle_id"),
        ),
        (
            "a newline",
            with("veh-00123", "veh\\n00123"),
            "invalid_format",
            Some("vehicle_id"),
        ),
        (
            "an emoji",
            with("veh-00123", "veh-\u{1F697}"),
            "invalid_format",
            Some("vehicle_id"),
        ),
        (
            "4 KB",
            with("veh-00123", &"v".repeat(4096)),
            "invalid_format",
            Some("vehicle_id"),
        ),
        (
            "a duplicate key",
            with("\"can_id\"", "\"vehicle_id\":\"veh-2\",\"can_id\""),
            "duplicate_field",
            Some("vehicle_id"),
        ),
        (
            "a duplicate signal",
            with(rpm, "\"engine_rpm\":1,\"engine_rpm\":2"),
            "duplicate_field",
            Some("payload.engine_rpm"),
        ),
        (
            "a nested signal",
            with("2150", "{\"deep\":1}"),
            "nested_signal",
            Some("payload.engine_rpm"),
        ),
        (
            "no signals",
            with("{\"engine_rpm\":2150,\"brake_status\":false}", "{}"),
            "no_signals",
            Some("payload"),
        ),
        ("no object", "17".to_owned(), "not_an_object", None),
        (
            "an unknown kind",
            with("{\"timestamp\"", "{\"kind\":\"boat\",\"timestamp\""),
            "unknown_kind",
            Some("kind"),
        ),
        (
            "the server's field",
            with(
                "{\"timestamp\"",
                "{\"ingest_received_at\":\"2025-10-04T12:34:56Z\",\"timestamp\"",
            ),
            "unknown_field",
            Some("ingest_received_at"),
        ),
    ];
    let count = cases.len();
    for (what, broken, code, field) in cases {
        let answer = service
            .post_ndjson(format!("{VEHICLE}\n{broken}\n{VEHICLE}\n"))
            .await;
        assert_eq!(answer.status, 202, "{what}: {}", answer.text);
        assert_eq!(answer.json()["accepted"], 2, "{what}: {}", answer.text);
        let expected = vec![(1, code.to_owned(), field.map(str::to_owned))];
        assert_eq!(answer.rejected(), expected, "{what}: {}", answer.text);
    }
    assert_eq!(service.queued().len(), 2 * count);
    let metrics = service.admin("/metrics").await.text;
    assert!(
        metrics.contains("headwater_ingest_events_rejected_total{code=\"nested_signal\"}"),
        "each is counted"
    );
}

#[tokio::test]
async fn where_no_event_is_good_the_answer_is_422_in_the_same_shape() {
    let service = Service::start().await;
    for body in [
        "{}".to_owned(),
        "[{},{}]".to_owned(),
        with("veh-00123", "a/b"),
    ] {
        let answer = service.post_json(body).await;
        assert_eq!(answer.status, 422);
        assert_eq!(answer.json()["accepted"], 0);
        assert!(!answer.rejected().is_empty());
    }
    assert!(service.queued().is_empty());
}

#[tokio::test]
async fn a_body_that_holds_no_events_is_400_and_says_why() {
    let service = Service::start().await;
    let utf16: Vec<u8> = VEHICLE.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked: Vec<u8> = [
        &[0xfe, 0xff][..],
        &VEHICLE
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect::<Vec<_>>(),
    ]
    .concat();
    let deep = with("2150", &("[".repeat(5000) + &"]".repeat(5000)));
    let cases: [(&str, Vec<u8>, &str, &str); 9] = [
        ("not JSON", b"hello".to_vec(), "invalid_json", "not JSON"),
        (
            "truncated",
            VEHICLE.as_bytes()[..60].to_vec(),
            "invalid_json",
            "EOF",
        ),
        (
            "NaN",
            with("2150", "NaN").into_bytes(),
            "invalid_json",
            "not JSON",
        ),
        (
            "two objects",
            format!("{VEHICLE}\n{VEHICLE}").into_bytes(),
            "invalid_json",
            "application/x-ndjson",
        ),
        ("nothing", vec![], "empty_body", "no event"),
        ("an empty array", b"[]".to_vec(), "empty_body", "no event"),
        ("UTF-16", utf16, "not_utf8", "UTF-16"),
        ("UTF-16 with a mark", marked, "not_utf8", "UTF-16"),
        (
            "gzip without its header",
            [&[0x1f, 0x8b][..], &[0xff; 20]].concat(),
            "not_utf8",
            "content-encoding: gzip",
        ),
    ];
    for (what, body, code, said) in cases {
        let answer = service.post_json(body).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.text);
        assert_eq!(answer.error_code(), code, "{what}");
        assert!(answer.text.contains(said), "{what}: {}", answer.text);
    }
    let lines = [
        VEHICLE.as_bytes(),
        b"\n{\"vehicle_id\":\"\xe9\"}\n",
        VEHICLE.as_bytes(),
    ]
    .concat();
    let answer = service.post_ndjson(lines).await;
    assert_eq!(answer.json()["accepted"], 2);
    assert_eq!(answer.rejected(), [(1, "invalid_json".to_owned(), None)]);
    assert!(
        answer.text.contains("not UTF-8 from its byte 15 on"),
        "{}",
        answer.text
    );
    let answer = service.post_json(deep.clone()).await;
    assert!(answer.status.is_client_error(), "{}", answer.text);
    let answer = service.post_ndjson(format!("{VEHICLE}\n{deep}")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()["accepted"].as_u64()),
        (202, Some(1)),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn keys_are_asked_for_before_anything_else_and_each_of_several_is_taken() {
    let service = Service::start().await;
    let post = |keys: &[&str]| {
        let mut request = Request::post("/v1/events");
        for key in keys {
            request = request.header("x-api-key", *key);
        }
        service.send(request.body(Body::from(VEHICLE)).unwrap())
    };
    for (keys, code) in [
        (&[][..], "missing_api_key"),
        (&["the-third-key"], "wrong_api_key"),
        (&[""], "wrong_api_key"),
        (&[KEY, KEY], "several_api_keys"),
    ] {
        let answer = post(keys).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.error_code(), code);
        assert!(answer.headers.contains_key("www-authenticate"));
    }
    let unknown = service
        .send(
            Request::post("/v1/events/boat")
                .body(Body::from("not JSON"))
                .unwrap(),
        )
        .await;
    assert_eq!(unknown.status, 401);
    assert!(service.queued().is_empty());
    assert_eq!(post(&["the-first-key"]).await.status, 202);
    assert_eq!(post(&["the-second-key"]).await.status, 202);
}

#[tokio::test]
async fn bodies_and_events_that_are_too_large_are_413() {
    let service = Service::with(&["--max-body-bytes=1MiB", "--max-pending-bytes=8MiB"]).await;
    let two_megabytes = with("2150", &format!("\"{}\"", "x".repeat(2_000_000)));
    let answer = service.post_json(two_megabytes.clone()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (413, "body_too_large")
    );
    // The same without a length that is announced.
    let chunks = two_megabytes
        .into_bytes()
        .chunks(50_000)
        .map(<[u8]>::to_vec)
        .collect::<Vec<_>>();
    let stream = futures::stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>));
    let answer = service.post_json(Body::from_stream(stream)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (413, "body_too_large")
    );
    let large = with("2150", &format!("\"{}\"", "x".repeat(40_000)));
    let answer = service.post_json(large.clone()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (413, "too_large")
    );
    let answer = service.post_json(format!("[{large},{VEHICLE}]")).await;
    assert_eq!(answer.json()["accepted"], 1);
    assert_eq!(answer.rejected(), [(0, "too_large".into(), None)]);
}

#[tokio::test]
async fn a_bomb_is_413_and_takes_no_memory_beyond_the_bound() {
    let service = Service::with(&["--max-body-bytes=1MiB", "--max-pending-bytes=4MiB"]).await;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&vec![b' '; 100 << 20]).unwrap();
    let zstd = zstd::encode_all(&vec![b' '; 100 << 20][..], 3).unwrap();
    for (encoding, bomb) in [("gzip", gzip.finish().unwrap()), ("zstd", zstd)] {
        let answer = service
            .post_with(&[("content-encoding", encoding)], bomb)
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.error_code().as_str()),
            (413, "body_too_large"),
            "{encoding}"
        );
    }
    assert_eq!(
        service.post_json(VEHICLE).await.status,
        202,
        "what the bombs took is given back"
    );
}

#[tokio::test]
async fn other_types_and_encodings_are_415_and_false_ones_400() {
    let service = Service::start().await;
    for (header, value, code) in [
        ("content-type", "text/csv", "unsupported_content_type"),
        (
            "content-type",
            "application/x-www-form-urlencoded",
            "unsupported_content_type",
        ),
        ("content-encoding", "br", "unsupported_content_encoding"),
    ] {
        let answer = service.post_with(&[(header, value)], VEHICLE).await;
        assert_eq!(
            (answer.status.as_u16(), answer.error_code().as_str()),
            (415, code)
        );
        assert!(answer.text.contains(value), "{}", answer.text);
    }
    for encoding in ["gzip", "zstd"] {
        let answer = service
            .post_with(&[("content-encoding", encoding)], VEHICLE)
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.error_code().as_str()),
            (400, "invalid_encoding")
        );
    }
}

#[tokio::test]
async fn wrong_routes_methods_kinds_and_queries_have_the_same_shape() {
    let service = Service::start().await;
    let answer = service.get("/v2/events").await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (404, "unknown_route")
    );
    let answer = service.get("/v1/events").await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (405, "method_not_allowed")
    );
    assert_eq!(answer.headers["allow"], "POST");
    for path in ["/v1/events/boat", "/v1/events/%ff"] {
        let answer = service.post_to(path, &[], VEHICLE).await;
        assert_eq!(
            (answer.status.as_u16(), answer.error_code().as_str()),
            (404, "unknown_kind"),
            "{path}"
        );
        assert!(answer.text.contains("vehicle, cell, metric"));
    }
    let answer = service
        .post_to("/v1/events?atomic=perhaps", &[], VEHICLE)
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (400, "invalid_query")
    );
}
