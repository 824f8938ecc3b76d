//! What a run writes from `raw/`.

mod common;

use aggregator::NamesAction;
use common::{TestLake, cell, once, vehicle, vehicle_of};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

const NOON: &str = "2026-11-20T12:30:00Z";

#[tokio::test]
async fn events_land_once_in_the_hour_they_happened_with_typed_columns() {
    let mut lake = TestLake::new().await;
    let events = [
        vehicle(
            "a",
            "2026-11-20T12:10:00.5Z",
            r#"{"engine_rpm":2150,"brake_status":false,"gear":3,"mode":"eco"}"#,
        ),
        vehicle("b", "2026-11-20T11:59:59.999Z", r#"{"engine_rpm":900.5}"#),
        cell("c", "2026-11-20T12:15:00Z", 73.2),
    ];
    lake.land(NOON, &events).await;
    let summary = lake.once().await;
    assert_eq!(
        summary.to_string(),
        "commits 1, objects 1, events 3, duplicates 0, conflicts 0, refused 0, hours touched 3"
    );
    assert_eq!(
        lake.keys("curated/"),
        [
            "curated/kind=cell/year=2026/month=11/day=20/hour=12/part-0000000001.parquet",
            "curated/kind=vehicle/year=2026/month=11/day=20/hour=11/part-0000000001.parquet",
            "curated/kind=vehicle/year=2026/month=11/day=20/hour=12/part-0000000001.parquet",
        ]
    );
    let batch = lake.parquet(&lake.keys("curated/")[2]).await;
    let types: Vec<String> = batch
        .schema()
        .fields()
        .iter()
        .map(|field| format!("{} {}", field.name(), field.data_type()))
        .collect();
    assert_eq!(
        types,
        [
            "event_id Utf8",
            "entity_id Utf8",
            "event_time Timestamp(µs, \"UTC\")",
            "ingest_received_at Timestamp(ms, \"UTC\")",
            "sender Utf8",
            "can_id Utf8",
            "accelerator_pedal_pct Float64",
            "air_flow_gps Float64",
            "ambient_temp_c Float64",
            "brake_status Boolean",
            "coolant_temp_c Float64",
            "engine_rpm Float64",
            "fuel_level_pct Float64",
            "gear Float64",
            "intake_air_temp_c Float64",
            "intake_pressure_kpa Float64",
            "mode Utf8",
            "throttle_pct Float64",
            "vehicle_speed_kmh Float64",
        ]
    );
    assert_eq!(lake.once().await.commits, 0, "there is nothing left to do");
    let aggregates = lake.aggregates().await;
    let rpm = &aggregates["vehicle 2026-11-20T12:00:00Z veh-1 engine_rpm"];
    assert_eq!(
        rpm.to_string(),
        r#"{"count":1,"entity_id":"veh-1","event_hour":"2026-11-20T12:00:00Z","kind":"vehicle","max":2150.0,"mean":2150.0,"messages":1,"min":2150.0,"p50":2150.0,"p95":2150.0,"p99":2150.0,"signal":"engine_rpm","stddev":null,"unit":"rpm"}"#
    );
    assert_eq!(
        aggregates["vehicle 2026-11-20T12:00:00Z veh-1 mode"]["mean"],
        serde_json::Value::Null
    );
    assert_eq!(aggregates.len(), 6);
}

#[tokio::test]
async fn duplicates_conflicts_and_late_events_are_told_apart_within_and_across_runs() {
    let mut lake = TestLake::new().await;
    let first = vehicle("a", "2026-11-20T12:10:00Z", r#"{"engine_rpm":1000}"#);
    let conflict = vehicle("a", "2026-11-20T12:10:00Z", r#"{"engine_rpm":9999}"#);
    let same_id_next_hour = vehicle("a", "2026-11-20T13:00:00Z", r#"{"engine_rpm":1}"#);
    lake.land(
        NOON,
        &[
            first.clone(),
            first.clone(),
            conflict.clone(),
            same_id_next_hour,
        ],
    )
    .await;
    let summary = lake.once().await;
    assert_eq!(
        (
            summary.events,
            summary.duplicates,
            summary.conflicts,
            summary.hours
        ),
        (2, 1, 1, 2)
    );

    let late = vehicle("late", "2026-11-20T12:59:00Z", r#"{"engine_rpm":3000}"#);
    lake.land(
        "2026-11-23T09:00:00Z",
        &[first, conflict.replace("9999", "9998"), late],
    )
    .await;
    let summary = lake.once().await;
    assert_eq!(
        (
            summary.events,
            summary.duplicates,
            summary.conflicts,
            summary.hours
        ),
        (1, 1, 1, 1)
    );
    let row = &lake.aggregates().await["vehicle 2026-11-20T12:00:00Z veh-1 engine_rpm"];
    assert_eq!(
        (
            row["count"].as_u64(),
            row["mean"].as_f64(),
            row["messages"].as_u64()
        ),
        (Some(2), Some(2000.0), Some(2))
    );
    let aside: Vec<String> = lake.keys("_aside/");
    assert_eq!(aside.len(), 2);
    let kept = String::from_utf8(lake.read(&aside[1]).await).unwrap();
    assert!(kept.contains("conflict") && kept.contains("9998"), "{kept}");
}

#[tokio::test]
async fn of_conflicting_events_the_first_received_stays_whatever_the_order_of_objects() {
    let mut lake = TestLake::new().await;
    let (one, two) = (r#"{"engine_rpm":1}"#, r#"{"engine_rpm":2}"#);
    let first_read = lake
        .land(
            "2026-11-20T12:30:00.002Z",
            &[vehicle("a", "2026-11-20T12:10:00Z", two)],
        )
        .await;
    lake.land(
        "2026-11-20T12:30:00.001Z",
        &[vehicle("a", "2026-11-20T12:10:00Z", one)],
    )
    .await;
    assert_eq!(lake.once().await.conflicts, 1);
    let aside = String::from_utf8(lake.read(&lake.keys("_aside/")[0]).await).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&aside).unwrap();
    assert_eq!(kept["object"], *first_read, "{aside}");
    assert!(
        kept["line"]
            .as_str()
            .unwrap()
            .ends_with("\"payload\":{\"engine_rpm\":2}}"),
        "{aside}"
    );
    assert!(
        lake.curated().await[0].contains("engine_rpm=1"),
        "{:?}",
        lake.curated().await
    );
}

#[tokio::test]
async fn a_signal_that_changes_its_type_gets_a_column_for_each() {
    let mut lake = TestLake::new().await;
    lake.land(
        NOON,
        &[vehicle(
            "a",
            "2026-11-20T12:10:00Z",
            r#"{"door":1.5,"Rate":1}"#,
        )],
    )
    .await;
    lake.once().await;
    let mixed = [
        vehicle("b", "2026-11-20T12:11:00Z", r#"{"door":true}"#),
        vehicle("c", "2026-11-20T12:12:00Z", r#"{"door":"open","rate":2}"#),
        vehicle("d", "2026-11-20T12:13:00Z", r#"{"door":2}"#),
    ];
    lake.land(NOON, &mixed).await;
    lake.once().await;
    let schema = lake.parquet(&lake.keys("curated/")[1]).await.schema();
    let kinds = contract::Kinds::builtin();
    let declared = &kinds.get("vehicle").unwrap().known;
    let signals: Vec<&String> = schema
        .fields()
        .iter()
        .skip(6)
        .map(|field| field.name())
        .filter(|name| !declared.contains_key(*name))
        .collect();
    assert_eq!(signals, ["Rate", "door", "door__bool", "door__text"]);
    let door = &lake.aggregates().await["vehicle 2026-11-20T12:00:00Z veh-1 door"];
    assert_eq!(
        (door["count"].as_u64(), door["max"].as_f64()),
        (Some(3), Some(2.0))
    );
}

#[tokio::test]
async fn a_kind_declared_in_a_file_goes_all_the_way_and_without_the_file_nothing_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let declaration = "kind = \"station\"\nversion = 1\nentity = { field = \"station_id\" }\ntime = { field = \"observed_at\" }\nsignals = { field = \"readings\", known.temp_c = { type = \"number\", unit = \"Cel\" } }\n";
    std::fs::write(folder.path().join("station.toml"), declaration).unwrap();
    let mut lake = TestLake::new().await;
    lake.config.contracts = Some(folder.path().into());
    lake.land(NOON, &[r#"{"station_id":"s-1","observed_at":"2026-11-20T12:00:00Z","readings":{"temp_c":-3.5}}"#.into()]).await;

    let declared = lake.config.contracts.take();
    let error = common::once(&lake.config, &lake.aws).await.unwrap_err();
    assert!(format!("{error:#}").contains("set CONTRACTS"), "{error:#}");
    lake.config.contracts = declared;
    assert_eq!(lake.once().await.events, 1);
    assert_eq!(
        lake.aggregates().await["station 2026-11-20T12:00:00Z s-1 temp_c"]["unit"],
        "Cel"
    );
}

#[tokio::test]
async fn lines_that_cannot_be_read_are_kept_with_their_reason() {
    let mut lake = TestLake::new().await;
    let mut lines = b"{\"kind\":\"vehicle\",\"broken\n\xff\xfe\n\n".to_vec();
    let good = vehicle("a", "2026-11-20T12:10:00Z", r#"{"engine_rpm":1}"#);
    lines.extend(
        good.replacen(
            '{',
            r#"{"kind":"vehicle","ingest_received_at":"2026-11-20T12:30:00.000Z","#,
            1,
        )
        .bytes(),
    );
    lake.land_lines(NOON, lines).await;
    let summary = lake.once().await;
    assert_eq!((summary.events, summary.refused), (1, 2));
    let kept = String::from_utf8(lake.read(&lake.keys("_aside/")[0]).await).unwrap();
    assert_eq!(kept.matches("invalid_json").count(), 2, "{kept}");
}

#[tokio::test]
async fn an_hour_that_does_not_fit_into_memory_becomes_several_parts() {
    let mut whole = TestLake::new().await;
    let mut divided = TestLake::new().await;
    divided.config.memory_limit = bytesize::ByteSize::kib(16);
    let event = |id: u32| {
        // Most row groups lack one of the undeclared signals, which the file has a column for all the same.
        let rare = if id.is_multiple_of(90) {
            "rare"
        } else {
            "extra"
        };
        let payload = format!("{{\"engine_rpm\":{},\"{rare}\":{id}}}", id % 97);
        let (vehicle, id) = (format!("veh-{}", id % 7), format!("id-{}", id % 900));
        vehicle_of(&vehicle, &id, "2026-11-20T12:10:00Z", &payload)
    };
    let first: Vec<_> = (0..1_000).map(event).collect();
    let second: Vec<_> = (950..1_200).map(event).collect();
    let mut summaries = Vec::new();
    for lake in [&mut whole, &mut divided] {
        lake.land(NOON, &first[..500]).await;
        lake.land(NOON, &first[500..]).await;
        lake.once().await;
        lake.land(NOON, &second).await;
        summaries.push(lake.once().await);
    }
    assert_eq!(summaries[0], summaries[1]);
    assert_eq!(whole.curated().await, divided.curated().await);
    let exact = async |lake: &TestLake| {
        let rows = lake.aggregates().await.into_iter();
        // The mean and the spread depend on the order of adding in their last bit.
        let numbers = ["messages", "count", "min", "max", "p50", "p95", "p99"];
        rows.map(|(at, row)| (at, numbers.map(|name| row[name].to_string())))
            .collect::<Vec<_>>()
    };
    assert_eq!(exact(&whole).await, exact(&divided).await);
    let parts = divided.keys("curated/");
    assert!(parts.len() >= 6, "{parts:?}");
    assert_eq!(lake::key::commit_of(&parts[0]), Some(1));
    let first = bytes::Bytes::from(divided.read(&parts[0]).await);
    let row_groups = ArrowReaderMetadata::load(&first, ArrowReaderOptions::new());
    let row_groups = row_groups.unwrap().metadata().num_row_groups();
    assert!((5..=16).contains(&row_groups), "{row_groups}");
}

#[tokio::test]
async fn names_past_the_bound_of_a_kind_go_to_one_column_and_no_event_is_left_out() {
    let mut lake = TestLake::new().await;
    let events = |from: usize| -> Vec<String> {
        let event = |at: usize| {
            let signals: Vec<String> = (0..64).map(|n| format!("\"s{at}_{n}\":{n}")).collect();
            let payload = format!("{{{}}}", signals.join(","));
            vehicle(&format!("e{at}"), "2026-11-20T12:10:00Z", &payload)
        };
        (from..from + 10).map(event).collect()
    };
    lake.land(NOON, &events(0)).await;
    let summary = lake.once().await;
    assert_eq!((summary.events, summary.refused), (10, 0));
    assert_eq!(summary.more_values, 2 * 64);
    lake.land(NOON, &events(10)).await;
    // The same events once more are repeats, also where their values stand in the one column.
    lake.land(NOON, &events(0)).await;
    let summary = lake.once().await;
    assert_eq!(
        (summary.events, summary.duplicates, summary.conflicts),
        (10, 10, 0)
    );
    assert_eq!(summary.more_values, 10 * 64);
    let keys = lake.keys("curated/");
    let rows = lake.parquet(&keys[1]).await;
    let more = rows.column_by_name("_more").unwrap();
    let more = arrow::array::AsArray::as_string::<i32>(more).value(0);
    assert!(more.starts_with("{\"s10_0\":0.0,"), "{more}");
    let kinds = contract::Kinds::builtin();
    let declared = &kinds.get("vehicle").unwrap().known;
    let schema = rows.schema();
    let names = schema.fields().iter().map(|field| field.name());
    let names: Vec<_> = names.skip(6).collect();
    let names: Vec<_> = names
        .into_iter()
        .filter(|name| !declared.contains_key(*name))
        .collect();
    assert_eq!(names, ["_more"], "and no column of nulls");

    let names = async |action| aggregator::names(&lake.config, &lake.aws, &action).await;
    let kind = || "vehicle".to_owned();
    let listed = names(NamesAction::List { kind: None }).await.unwrap();
    assert!(
        listed.contains("vehicle: 512 undeclared names, room for 0 more"),
        "{listed}"
    );
    let drop = |name: &str| NamesAction::Drop {
        kind: kind(),
        names: vec![name.to_owned()],
    };
    let error = names(drop("nothing")).await.unwrap_err();
    assert!(error.to_string().contains("names list"), "{error}");
    let dropped = names(drop("S0_1")).await.unwrap();
    assert!(dropped.contains("room for 1 more"), "{dropped}");
}

#[tokio::test]
async fn a_line_of_no_kind_is_set_aside_and_one_of_an_unknown_kind_stops_the_run() {
    let mut lake = TestLake::new().await;
    lake.land_lines(NOON, b"{}\n{\"foo\":1}\n".to_vec()).await;
    assert_eq!(lake.once().await.refused, 2);
    let unknown = br#"{"kind":"boat","foo":1}"#;
    lake.land_lines(NOON, unknown.to_vec()).await;
    let error = once(&lake.config, &lake.aws).await.unwrap_err();
    assert!(format!("{error:#}").contains("CONTRACTS"), "{error:#}");
}

#[tokio::test]
async fn samples_of_metrics_are_rows_of_three_columns_and_aggregated_by_name() {
    let mut lake = TestLake::new().await;
    let sample = |id: &str, time: &str, more: &str| {
        format!(r#"{{"event_id":"{id}","timestamp":"2026-11-20T12:{time}Z",{more}}}"#)
    };
    let mut events = vec![
        sample(
            "a",
            "10:00",
            r#""name":"cpu","value":80,"tags":{"zone":"b","host":"a"}"#,
        ),
        sample("b", "10:00", r#""name":"cpu","value":90,"entity":"h-2""#),
        sample("c", "11:00", r#""name":"cpu","value":84"#),
        sample("c", "11:00", r#""name":"cpu","value":84"#),
        sample("d", "11:00", r#""name":"up","value":1"#),
    ];
    // More names than any kind may have columns of.
    events.extend((0..5_000).map(|at| {
        let more = format!(r#""name":"n{at}","value":{at},"entity":"h-3""#);
        sample(&format!("n-{at}"), "12:00", &more)
    }));
    lake.land(NOON, &events).await;
    let summary = lake.once().await;
    assert_eq!((summary.events, summary.duplicates), (5_004, 1));
    let late = sample("e", "59:00", r#""name":"cpu","value":88"#);
    lake.land("2026-11-20T14:00:00Z", &[events[0].clone(), late])
        .await;
    let summary = lake.once().await;
    assert_eq!((summary.events, summary.duplicates), (1, 1));

    let parts = lake.keys("curated/kind=metric/");
    assert_eq!(parts.len(), 2);
    let batch = lake.parquet(&parts[0]).await;
    let schema = batch.schema();
    let names: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    assert_eq!(
        names,
        [
            "event_id",
            "entity_id",
            "event_time",
            "ingest_received_at",
            "sender",
            "name",
            "tags",
            "value"
        ]
    );
    assert_eq!(batch.num_rows(), 5_004);
    let rows = lake.curated().await;
    let first = rows.iter().find(|row| row.contains("event_id=a ")).unwrap();
    assert!(
        first.ends_with(r#" name=cpu tags={"host":"a","zone":"b"} value=80.0"#),
        "{first}"
    );
    assert_eq!(lake.keys("_schema/"), [""; 0]);

    let aggregates = lake.aggregates().await;
    assert_eq!(aggregates.len(), 5_003);
    let cpu = &aggregates["metric 2026-11-20T12:00:00Z default cpu"];
    let figures = ["count", "messages", "min", "max", "mean", "p50"];
    let figures = figures.map(|name| cpu[name].as_f64().unwrap());
    assert_eq!(figures, [3.0, 4.0, 80.0, 88.0, 84.0, 84.0]);
    assert!((cpu["stddev"].as_f64().unwrap() - 4.0).abs() < 1e-9);
    assert_eq!(
        aggregates["metric 2026-11-20T12:00:00Z h-2 cpu"]["count"],
        1
    );
}
