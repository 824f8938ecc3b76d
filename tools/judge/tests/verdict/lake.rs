//! A lake made by hand, and the ledger that it is held against.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, TimestampMillisecondArray,
};
use aws::{Aws, Condition, Lake};
use chrono::{DateTime, Utc};
use contract::{Hour, Kinds};
use judge::{Certainty, Ledger, Question, Scope, Verdict, judge};
use parquet::arrow::ArrowWriter;

pub(crate) const RECEIVED: &str = "2025-10-04T12:40:00.000Z";

pub(crate) fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(crate) fn hour() -> Hour {
    Hour::of(time(RECEIVED))
}

/// A row of `curated/`, kind `vehicle`: id, speed, brake, and two signals that no contract knows,
/// one of which changes its type.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) vehicle: &'static str,
    pub(crate) time: &'static str,
    pub(crate) speed: Option<f64>,
    pub(crate) gear: Option<i64>,
    pub(crate) brake: Option<bool>,
    pub(crate) note: Option<&'static str>,
    pub(crate) note_bool: Option<bool>,
}

impl Row {
    /// The event as it was sent.
    fn sent(&self) -> String {
        let mut payload = Vec::new();
        payload.extend(
            self.speed
                .map(|value| format!(r#""vehicle_speed_kmh": {value}"#)),
        );
        payload.extend(self.gear.map(|value| format!(r#""gear": {value}.0"#)));
        payload.extend(
            self.brake
                .map(|value| format!(r#""brake_status": {value}"#)),
        );
        payload.extend(self.note.map(|value| format!(r#""Note": "{value}""#)));
        payload.extend(self.note_bool.map(|value| format!(r#""note": {value}"#)));
        format!(
            r#"{{"vehicle_id":"{}","timestamp":"{}","event_id":"{}","can_id":"0x1F0","payload":{{{}}}}}"#,
            self.vehicle,
            self.time,
            self.id,
            payload.join(",")
        )
    }
}

pub(crate) fn rows() -> Vec<Row> {
    let row = |number: u128, vehicle, time| Row {
        id: uuid::Uuid::from_u128(number).to_string(),
        vehicle,
        time,
        speed: Some(80.25),
        gear: Some(4),
        brake: Some(false),
        note: None,
        note_bool: None,
    };
    vec![
        row(1, "veh-1", "2025-10-04T12:34:56.123456789Z"),
        Row {
            speed: None,
            note: Some("é\\u00e9"),
            ..row(2, "veh-1", "2025-10-04T14:34:57+02:00")
        },
        Row {
            gear: None,
            brake: None,
            note_bool: Some(true),
            ..row(3, "veh-2", "2025-10-04T12:00:00Z")
        },
        Row {
            id: "my-own:4".into(),
            ..row(4, "veh-2", "2025-10-04T12:59:59.999Z")
        },
    ]
}

pub(crate) fn parquet(rows: &[Row]) -> Vec<u8> {
    let ids = StringArray::from_iter_values(rows.iter().map(|row| &row.id));
    let entities = StringArray::from_iter_values(rows.iter().map(|row| row.vehicle));
    let times = rows.iter().map(|row| time(row.time).timestamp_micros());
    let times = TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC");
    let received = rows.iter().map(|_| time(RECEIVED).timestamp_millis());
    let received = TimestampMillisecondArray::from_iter_values(received).with_timezone("UTC");
    let notes = rows.iter().map(|row| row.note.map(|_| "éé"));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("event_id", Arc::new(ids)),
        ("entity_id", Arc::new(entities)),
        ("event_time", Arc::new(times)),
        ("ingest_received_at", Arc::new(received)),
        (
            "can_id",
            Arc::new(StringArray::from_iter_values(rows.iter().map(|_| "0x1F0"))),
        ),
        ("Note", Arc::new(notes.collect::<StringArray>())),
        (
            "Note__bool",
            Arc::new(
                rows.iter()
                    .map(|row| row.note_bool)
                    .collect::<BooleanArray>(),
            ),
        ),
        (
            "brake_status",
            Arc::new(rows.iter().map(|row| row.brake).collect::<BooleanArray>()),
        ),
        (
            "gear",
            Arc::new(rows.iter().map(|row| row.gear).collect::<Int64Array>()),
        ),
        (
            "vehicle_speed_kmh",
            Arc::new(rows.iter().map(|row| row.speed).collect::<Float64Array>()),
        ),
    ];
    let batch = RecordBatch::try_from_iter(
        columns
            .into_iter()
            .map(|(name, column)| (name.to_owned(), column)),
    )
    .unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// The lines of `raw/` as ingest writes them.
pub(crate) fn lines(kinds: &Kinds, rows: &[Row]) -> Vec<String> {
    let line = |row: &Row| {
        let text = row.sent();
        let event = contract::parse_sent(kinds, None, &text, time(RECEIVED)).unwrap();
        let mut line = Vec::new();
        contract::write_line(&mut line, &event, RECEIVED, &text);
        String::from_utf8(line).unwrap()
    };
    rows.iter().map(line).collect()
}

pub(crate) struct World {
    pub(crate) kinds: Kinds,
    pub(crate) lake: Lake,
    pub(crate) ledger: Ledger,
}

impl World {
    /// A pipeline that has accepted the rows, and an empty lake.
    pub(crate) async fn new() -> World {
        let cloud = local_aws::LocalAws::in_process();
        let aws = Aws::emulated(cloud.http_client(), cloud.endpoint());
        aws::setup::create_bucket(&aws, "lake").await.unwrap();
        let mut world = World {
            kinds: Kinds::builtin(),
            lake: aws.lake("lake"),
            ledger: Ledger::new(),
        };
        for row in rows() {
            world.accept(&row, Certainty::Accepted);
        }
        world
    }

    pub(crate) fn accept(&mut self, row: &Row, certainty: Certainty) {
        self.ledger
            .record(
                &self.kinds,
                &row.sent(),
                time("2025-10-04T12:40:01Z"),
                certainty,
            )
            .unwrap();
    }

    pub(crate) async fn put(&self, key: &str, body: impl Into<Vec<u8>>) {
        let body = body.into().into();
        self.lake
            .put(key, body, "x", HashMap::new(), Condition::Always)
            .await
            .unwrap();
    }

    pub(crate) async fn put_raw(&self, part: u128, lines: &[String]) -> String {
        let key = contract::raw_key(hour(), uuid::Uuid::from_u128(part));
        self.put(&key, lines.concat()).await;
        key
    }

    pub(crate) async fn put_curated(&self, commit: u64, rows: &[Row]) -> String {
        let key = contract::curated_key("vehicle", hour(), commit);
        self.put(&key, parquet(rows)).await;
        key
    }

    /// The lake as it should be: an event twice in raw, rows in two parts.
    pub(crate) async fn filled() -> World {
        let world = World::new().await;
        let lines = lines(&world.kinds, &rows());
        world.put_raw(1, &lines).await;
        world.put_raw(2, &lines[1..2]).await;
        world.put_curated(1, &rows()[..3]).await;
        world.put_curated(2, &rows()[3..]).await;
        world.put("raw/README", "not an object of events").await;
        world
    }

    pub(crate) async fn verdict_in(&self, scope: &Scope) -> Verdict {
        judge(&self.lake, &self.kinds, &self.ledger, &Question::new(scope))
            .await
            .unwrap()
    }

    pub(crate) async fn verdict(&self) -> Verdict {
        self.verdict_in(&Scope::everything()).await
    }
}
