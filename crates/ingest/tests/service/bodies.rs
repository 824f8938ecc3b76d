//! Bodies that break off, or hold too many events.

use crate::harness::{Service, VEHICLE};

#[tokio::test]
async fn an_element_that_is_not_json_spoils_no_other_and_a_broken_separator_those_behind_it() {
    let service = Service::start().await;
    let nan = VEHICLE.replace("2150", "NaN");
    let answer = service
        .post_json(format!("[{VEHICLE},{nan},{VEHICLE}]"))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()["accepted"].as_u64()),
        (202, Some(2))
    );
    assert_eq!(answer.rejected(), [(1, "invalid_json".into(), None)]);
    let answer = service
        .post_json(format!("[{VEHICLE},{VEHICLE} {VEHICLE},{VEHICLE}]"))
        .await;
    assert_eq!(answer.json()["accepted"], 2, "{}", answer.text);
    assert_eq!(answer.rejected(), [(2, "invalid_json".into(), None)]);
    assert!(answer.text.contains("expected a comma"), "{}", answer.text);
    let answer = service
        .post_to(
            "/v1/events?atomic=true",
            &[],
            format!("[{VEHICLE},{VEHICLE} {VEHICLE}]"),
        )
        .await;
    assert_eq!(answer.status, 422);
    assert_eq!(service.queued().len(), 4);
}

#[tokio::test]
async fn a_body_of_too_many_events_is_413_however_small_it_is_compressed() {
    let service = Service::with(&["--max-body-events=1000"]).await;
    let many = zstd::encode_all("{},".repeat(2_700_000).as_bytes(), 3).unwrap();
    for (encoding, body) in [
        ("identity", "{}\n".repeat(1_001).into_bytes()),
        (
            "zstd",
            [zstd::encode_all(&b"["[..], 3).unwrap(), many].concat(),
        ),
    ] {
        let headers = if encoding == "zstd" {
            [
                ("content-encoding", encoding),
                ("content-type", "application/json"),
            ]
        } else {
            [
                ("content-encoding", encoding),
                ("content-type", "application/x-ndjson"),
            ]
        };
        let answer = service.post_with(&headers, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.error_code().as_str()),
            (413, "too_many_events"),
            "{}",
            answer.text
        );
        assert!(
            answer.text.contains("more than 1000 events"),
            "{}",
            answer.text
        );
    }
    let answer = service.post_ndjson("{}\n".repeat(1_000)).await;
    assert_eq!(answer.status, 422);
}
