//! Good events, in all the ways in which they may come.

use std::io::Write;

use crate::harness::{CELL, Service, VEHICLE, vehicle};

#[tokio::test]
async fn one_event_is_accepted_and_stands_in_the_queue_with_the_servers_fields() {
    let service = Service::start().await;
    let answer = service.post_json(VEHICLE).await;
    assert_eq!(answer.status, 202);
    assert_eq!(
        answer.text,
        r#"{"accepted":1,"rejected":[],"rejected_count":0}"#
    );
    let queued = service.queued();
    assert_eq!(queued.len(), 1);
    assert_eq!(queued[0]["kind"], "vehicle");
    assert_eq!(queued[0]["event_id"].as_str().unwrap().len(), 36);
    assert!(
        queued[0]["ingest_received_at"]
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
    assert_eq!(queued[0]["payload"]["engine_rpm"], 2150);
}

#[tokio::test]
async fn kinds_are_told_by_fields_by_name_and_by_route() {
    let service = Service::start().await;
    assert_eq!(
        service
            .post_json(format!("[{VEHICLE},{CELL}]"))
            .await
            .json()["accepted"],
        2
    );
    let named = VEHICLE.replacen('{', r#"{"kind":"vehicle","#, 1);
    assert_eq!(service.post_json(named).await.status, 202);
    for (path, event) in [
        ("/v1/events/vehicle", VEHICLE),
        ("/v1/events/cell", CELL),
        ("/v1/events/pm", CELL),
    ] {
        assert_eq!(
            service.post_to(path, &[], event).await.status,
            202,
            "{path}"
        );
    }
    let wrong = service.post_to("/v1/events/pm", &[], VEHICLE).await;
    assert_eq!(wrong.status, 422);
    let kinds: Vec<_> = service
        .queued()
        .iter()
        .map(|line| line["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        kinds,
        ["vehicle", "cell", "vehicle", "vehicle", "cell", "cell"]
    );
}

#[tokio::test]
async fn a_kind_of_the_users_own_is_taken_without_code() {
    let folder = tempfile::tempdir().unwrap();
    let declaration = r#"
        kind = "weather"
        version = 1
        entity = { field = "station_id" }
        time = { field = "observed_at" }
        signals = { field = "readings" }
    "#;
    std::fs::write(folder.path().join("weather.toml"), declaration).unwrap();
    let service = Service::with(&["--contracts", folder.path().to_str().unwrap()]).await;
    let event =
        r#"{"station_id":"st-1","observed_at":"2025-10-04T12:00:00Z","readings":{"temp_c":12.5}}"#;
    assert_eq!(service.post_json(event).await.status, 202);
    assert_eq!(
        service
            .post_to("/v1/events/weather", &[], event)
            .await
            .status,
        202
    );
    assert!(
        service
            .queued()
            .iter()
            .all(|line| line["kind"] == "weather")
    );
    let document = service.get("/openapi.json").await.json();
    assert!(document["components"]["schemas"]["Event.weather"].is_object());
}

#[tokio::test]
async fn arrays_and_lines_are_taken_under_each_of_their_names() {
    let service = Service::start().await;
    let lines = format!("{VEHICLE}\r\n\n{CELL}\n");
    for name in [
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/jsonlines; charset=utf-8",
    ] {
        assert_eq!(
            service
                .post_with(&[("content-type", name)], lines.clone())
                .await
                .json()["accepted"],
            2,
            "{name}"
        );
    }
    assert_eq!(
        service.post_with(&[], format!(" [{VEHICLE}]")).await.status,
        202,
        "no content type is JSON"
    );
    assert_eq!(service.queued().len(), 9);
}

#[tokio::test]
async fn gzip_and_zstd_bodies_are_taken() {
    let service = Service::start().await;
    let lines: String = (0..2000).map(|n| vehicle(n) + "\n").collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(lines.as_bytes()).unwrap();
    let bodies = [
        ("gzip", gzip.finish().unwrap()),
        ("zstd", zstd::encode_all(lines.as_bytes(), 3).unwrap()),
    ];
    for (encoding, body) in bodies {
        let headers = [
            ("content-type", "application/x-ndjson"),
            ("content-encoding", encoding),
        ];
        assert_eq!(
            service.post_with(&headers, body).await.json()["accepted"],
            2000,
            "{encoding}"
        );
    }
    assert_eq!(service.queued().len(), 4000);
}

#[tokio::test]
async fn of_10_000_events_with_3_broken_9_997_are_accepted_and_the_three_named() {
    let service = Service::start().await;
    let mut events: Vec<String> = (0..10_000).map(vehicle).collect();
    events[17] = events[17].replace("vehicle_id", "vehicle");
    events[5_000] = events[5_000].replace("\"engine_rpm\":", "\"engine_rpm\":\"x\",\"rpm\":");
    events[9_999].truncate(50);
    let answer = service.post_ndjson(events.join("\n")).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json()["accepted"], 9_997);
    assert_eq!(answer.json()["rejected_count"], 3);
    let rejected = answer.rejected();
    assert_eq!(
        rejected
            .iter()
            .map(|(index, ..)| *index)
            .collect::<Vec<_>>(),
        [17, 5_000, 9_999]
    );
    assert_eq!(rejected[1].1, "wrong_type");
    assert_eq!(rejected[1].2.as_deref(), Some("payload.engine_rpm"));
    assert_eq!(rejected[2].1, "invalid_json");
    assert_eq!(service.queued().len(), 9_997);
}

#[tokio::test]
async fn atomic_takes_all_or_none() {
    let service = Service::start().await;
    let mixed = format!("[{VEHICLE},{{}},{CELL}]");
    let answer = service
        .post_to("/v1/events?atomic=true", &[], mixed.clone())
        .await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["accepted"], 0);
    assert_eq!(answer.rejected().len(), 1);
    assert_eq!(answer.rejected()[0].0, 1);
    assert!(service.queued().is_empty());
    assert_eq!(
        service
            .post_to("/v1/events?atomic=false", &[], mixed)
            .await
            .json()["accepted"],
        2
    );
    assert_eq!(
        service
            .post_to("/v1/events?atomic=true", &[], format!("[{VEHICLE},{CELL}]"))
            .await
            .json()["accepted"],
        2
    );
}

#[tokio::test]
async fn the_same_content_has_the_same_id_however_often_it_comes() {
    let service = Service::start().await;
    service.post_json(VEHICLE).await;
    service
        .post_json(
            VEHICLE
                .replace(":", " : ")
                .replace("12 : 34 : 56", "12:34:56"),
        )
        .await;
    let queued = service.queued();
    assert_eq!(queued[0]["event_id"], queued[1]["event_id"]);
}
