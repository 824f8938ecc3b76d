//! Derived signals in rows: as columns, and as no part of what an event says.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use contract::{Hour, Kinds};
use lake::aggregates::{AggregateFile, Aggregates};
use lake::rows::{
    Buckets, Columns, Gathering, HourRows, SignalTypes, admissions, is_derived, signals_in,
};

/// The built-in vehicle, with two derived signals.
fn kinds_with_high_rpm() -> Kinds {
    let declaration = include_str!("../../contract/kinds/vehicle.toml");
    let derived = "\n[signals.derived]\nrpm_high = \"engine_rpm > 6000\"\nreverse = { when = \"gear < 0\" }\n";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("vehicle.toml"),
        declaration.to_owned() + derived,
    )
    .unwrap();
    Kinds::load(Some(folder.path())).unwrap()
}

/// The rows of lines, which are all of one kind and hour.
fn rows(kinds: &Arc<Kinds>, lines: &[String]) -> (usize, HourRows) {
    let mut gathering = Gathering::new(
        kinds.clone(),
        admissions(kinds, |_| None),
        Buckets::new(1, 1),
    );
    let body = lines.join("\n");
    gathering.add_declared(0, 0, body.as_bytes(), |refused| panic!("{refused:?}"));
    let blocks = gathering.take().unwrap().blocks;
    let kind = blocks[0].0.0;
    let blocks = blocks.into_iter().map(|(_, _, block)| block).collect();
    let rows = HourRows::of(kinds.clone(), kind, blocks, None, |left| panic!("{left:?}"));
    (kind, rows)
}

fn batch(kinds: &Arc<Kinds>, lines: &[String]) -> RecordBatch {
    let (kind, rows) = rows(kinds, lines);
    let columns = Columns::new(kinds.iter().nth(kind).unwrap(), SignalTypes::default());
    rows.into_batch(&columns).unwrap().0
}

fn vehicle(id: &str, payload: &str) -> String {
    format!(
        r#"{{"kind":"vehicle","event_id":"{id}","ingest_received_at":"2026-11-20T15:00:00.000Z","timestamp":"2026-11-20T12:00:00Z","vehicle_id":"veh-1","can_id":"0x1F0","payload":{payload}}}"#
    )
}

fn chat(id: &str, message: &str) -> String {
    format!(
        r#"{{"kind":"chat","event_id":"{id}","ingest_received_at":"2026-11-20T15:00:00.000Z","timestamp":"2026-11-20T12:00:00Z","stream_id":"s-1","message_id":"{id}","user":"ann","message":{message}}}"#
    )
}

#[test]
fn conditions_are_boolean_columns_and_null_where_their_signal_is_not_there() {
    let kinds = Arc::new(kinds_with_high_rpm());
    let lines = [
        vehicle("a", r#"{"engine_rpm":6000,"gear":-1}"#),
        vehicle("b", r#"{"engine_rpm":6000.5}"#),
        vehicle("c", r#"{"fuel_level_pct":7}"#),
    ];
    let batch = batch(&kinds, &lines);
    let column = |name: &str| batch.column_by_name(name).unwrap().as_boolean().clone();
    let values = |name: &str| column(name).iter().collect::<Vec<_>>();
    assert_eq!(values("rpm_high"), [Some(false), Some(true), None]);
    assert_eq!(values("reverse"), [Some(true), None, None]);
    let schema = batch.schema();
    let derived = schema.fields().iter().filter(|field| is_derived(field));
    let derived: Vec<_> = derived.map(|field| field.name().as_str()).collect();
    assert_eq!(derived, ["reverse", "rpm_high"]);
    assert!(signals_in(&batch).any(|(name, _)| name == "rpm_high"));
}

#[test]
fn a_sentiment_is_a_column_of_doubles_and_is_aggregated() {
    let kinds = Arc::new(Kinds::builtin());
    let lines = [
        chat("a", r#"{"text":"what a clutch play!!!"}"#),
        chat("b", r#"{"text":"worst lag ever"}"#),
        chat("c", r#"{"bits":100}"#),
    ];
    let batch = batch(&kinds, &lines);
    let sentiment = batch.column_by_name("sentiment").unwrap();
    assert_eq!(sentiment.data_type(), &DataType::Float64);
    let values: Vec<_> = sentiment.as_primitive::<Float64Type>().iter().collect();
    assert_eq!(values, [Some(0.5067), Some(-0.7579), None]);
    let kind = kinds.get("chat").unwrap();
    let aggregates = Aggregates::of(&batch, kind).unwrap();
    let hour = Hour::of("2026-11-20T12:00:00Z".parse().unwrap());
    let text = AggregateFile::of(&aggregates, kind, hour)
        .to_jsonl()
        .unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    let line = text.lines().find(|line| line.contains("\"sentiment\""));
    let line: serde_json::Value = serde_json::from_str(line.unwrap()).unwrap();
    assert_eq!((&line["count"], &line["messages"]), (&2.into(), &3.into()));
    assert_eq!(
        (&line["min"], &line["max"]),
        (&(-0.7579).into(), &0.5067.into())
    );
}

#[test]
fn an_event_in_a_part_of_before_the_declaration_is_the_same_event() {
    let kinds = Arc::new(kinds_with_high_rpm());
    let lines = [
        vehicle("a", r#"{"engine_rpm":6500}"#),
        vehicle("b", r#"{"engine_rpm":900}"#),
    ];
    let before = batch(&Arc::new(Kinds::builtin()), &lines);
    let after = batch(&kinds, &lines);
    assert!(before.column_by_name("rpm_high").is_none());
    let (_, rows) = rows(&kinds, &lines);
    for part in [&before, &after] {
        let ids = part.column_by_name("event_id").unwrap().as_string::<i32>();
        for at in 0..part.num_rows() {
            let content = lake::parts::content(part, at).unwrap();
            let row = rows.find(ids.value(at)).unwrap();
            assert!(rows.has_content(row, &content), "{content:?}");
        }
    }
    let (_, other) = self::rows(&kinds, &[vehicle("a", r#"{"engine_rpm":6501}"#)]);
    let content = lake::parts::content(&after, 0).unwrap();
    assert!(!other.has_content(0, &content));
}
