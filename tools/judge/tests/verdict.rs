//! A lake made by hand, and what the judge says of it when something is wrong with it.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, TimestampMillisecondArray,
};
use aws::{Aws, Condition, Lake};
use chrono::{DateTime, Utc};
use contract::{Hour, Kinds};
use judge::{Certainty, Fault, Ledger, Places, Question, Scope, Verdict, judge};
use parquet::arrow::ArrowWriter;

const RECEIVED: &str = "2025-10-04T12:40:00.000Z";

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn hour() -> Hour {
    Hour::of(time(RECEIVED))
}

/// A row of `curated/`, kind `vehicle`: id, speed, brake, and two signals that no contract knows,
/// one of which changes its type.
#[derive(Clone)]
struct Row {
    id: String,
    vehicle: &'static str,
    time: &'static str,
    speed: Option<f64>,
    gear: Option<i64>,
    brake: Option<bool>,
    note: Option<&'static str>,
    note_bool: Option<bool>,
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

fn rows() -> Vec<Row> {
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

fn parquet(rows: &[Row]) -> Vec<u8> {
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
fn lines(kinds: &Kinds, rows: &[Row]) -> Vec<String> {
    let line = |row: &Row| {
        let text = row.sent();
        let event = contract::parse_sent(kinds, None, &text, time(RECEIVED)).unwrap();
        let mut line = Vec::new();
        contract::write_line(&mut line, &event, RECEIVED, &text);
        String::from_utf8(line).unwrap()
    };
    rows.iter().map(line).collect()
}

struct World {
    kinds: Kinds,
    lake: Lake,
    ledger: Ledger,
}

impl World {
    /// A pipeline that has accepted the rows, and an empty lake.
    async fn new() -> World {
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

    fn accept(&mut self, row: &Row, certainty: Certainty) {
        self.ledger
            .record(
                &self.kinds,
                &row.sent(),
                time("2025-10-04T12:40:01Z"),
                certainty,
            )
            .unwrap();
    }

    async fn put(&self, key: &str, body: impl Into<Vec<u8>>) {
        let body = body.into().into();
        self.lake
            .put(key, body, "x", HashMap::new(), Condition::Always)
            .await
            .unwrap();
    }

    async fn put_raw(&self, part: u128, lines: &[String]) -> String {
        let key = contract::raw_key(hour(), uuid::Uuid::from_u128(part));
        self.put(&key, lines.concat()).await;
        key
    }

    async fn put_curated(&self, commit: u64, rows: &[Row]) -> String {
        let key = contract::curated_key("vehicle", hour(), commit);
        self.put(&key, parquet(rows)).await;
        key
    }

    /// The lake as it should be: an event twice in raw, rows in two parts.
    async fn filled() -> World {
        let world = World::new().await;
        let lines = lines(&world.kinds, &rows());
        world.put_raw(1, &lines).await;
        world.put_raw(2, &lines[1..2]).await;
        world.put_curated(1, &rows()[..3]).await;
        world.put_curated(2, &rows()[3..]).await;
        world.put("raw/README", "not an object of events").await;
        world
    }

    async fn verdict_in(&self, scope: &Scope) -> Verdict {
        judge(&self.lake, &self.kinds, &self.ledger, &Question::new(scope))
            .await
            .unwrap()
    }

    async fn verdict(&self) -> Verdict {
        self.verdict_in(&Scope::everything()).await
    }
}

fn counts(verdict: &Verdict) -> [u64; 4] {
    [
        verdict.lost,
        verdict.duplicated,
        verdict.altered,
        verdict.invented,
    ]
}

#[tokio::test]
async fn a_lake_that_holds_what_was_accepted_is_clean() {
    let world = World::filled().await;
    let verdict = world.verdict().await;
    assert!(verdict.clean(), "{verdict}");
    assert_eq!((verdict.accepted, verdict.findings.len()), (4, 0));
    let (raw, curated) = (verdict.raw.unwrap(), verdict.curated.unwrap());
    assert_eq!((raw.objects, raw.rows, raw.events), (2, 5, 4));
    assert_eq!((curated.objects, curated.rows, curated.events), (2, 4, 4));
    assert!(
        verdict
            .to_string()
            .ends_with("lost 0, duplicated 0, altered 0, invented 0")
    );
}

#[tokio::test]
async fn a_line_that_is_gone_from_raw_is_lost_and_named() {
    let world = World::filled().await;
    let lines = lines(&world.kinds, &rows());
    world.put_raw(1, &lines[1..]).await;
    let verdict = world.verdict().await;
    assert_eq!(counts(&verdict), [1, 0, 0, 0], "{verdict}");
    let finding = &verdict.findings[0];
    assert_eq!(
        (finding.fault, finding.kind.as_str()),
        (Fault::Lost, "vehicle")
    );
    assert_eq!(finding.event_id, rows()[0].id);
    assert!(
        finding
            .detail
            .starts_with("not in raw/, though in curated/"),
        "{finding}"
    );
}

#[tokio::test]
async fn an_event_that_never_reached_curated_is_lost_and_its_raw_object_named() {
    let world = World::filled().await;
    world.put_curated(1, &rows()[..2]).await;
    let verdict = world.verdict().await;
    assert_eq!(counts(&verdict), [1, 0, 0, 0], "{verdict}");
    let finding = &verdict.findings[0];
    assert_eq!(finding.event_id, rows()[2].id);
    assert!(
        finding.key.as_ref().unwrap().starts_with("raw/"),
        "{finding}"
    );
    let scope = Scope::everything();
    let question = Question {
        places: Places::Raw,
        ..Question::new(&scope)
    };
    let raw_alone = judge(&world.lake, &world.kinds, &world.ledger, &question)
        .await
        .unwrap();
    assert!(
        raw_alone.clean() && raw_alone.curated.is_none(),
        "{raw_alone}"
    );
}

#[tokio::test]
async fn a_row_that_stands_twice_in_curated_is_duplicated() {
    let world = World::filled().await;
    let key = world.put_curated(3, &rows()[..1]).await;
    let verdict = world.verdict().await;
    assert_eq!(counts(&verdict), [0, 1, 0, 0], "{verdict}");
    assert_eq!(verdict.findings[0].key.as_deref(), Some(key.as_str()));
    assert_eq!(verdict.curated.unwrap().events, 3);
    let twice = [&rows()[..1], &rows()[..1]].concat();
    world.put_curated(3, &twice).await;
    assert_eq!(world.verdict().await.duplicated, 1);
}

#[tokio::test]
async fn a_value_that_changed_is_altered_wherever_it_changed() {
    type Change = fn(&mut Row);
    let changes: [Change; 7] = [
        |row| row.speed = Some(80.250_000_000_000_01),
        |row| row.gear = Some(5),
        |row| row.brake = None,
        |row| row.brake = Some(true),
        |row| row.note_bool = Some(false),
        |row| row.vehicle = "veh-9",
        |row| row.time = "2025-10-04T12:34:56.123457Z",
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let world = World::filled().await;
        let mut changed = rows();
        change(&mut changed[0]);
        world.put_curated(1, &changed[..3]).await;
        let verdict = world.verdict().await;
        assert_eq!(
            counts(&verdict),
            [0, 0, 1, 0],
            "change {number} in curated: {verdict}"
        );
        assert_eq!(verdict.findings[0].event_id, rows()[0].id);

        let world = World::filled().await;
        world.put_raw(1, &lines(&world.kinds, &changed)).await;
        let verdict = world.verdict().await;
        assert_eq!(
            counts(&verdict),
            [0, 0, 1, 0],
            "change {number} in raw: {verdict}"
        );
    }
}

#[tokio::test]
async fn an_event_in_the_partition_of_another_hour_is_altered() {
    let world = World::filled().await;
    let key = contract::curated_key("vehicle", hour().next(), 1);
    world.put(&key, parquet(&rows()[3..])).await;
    world.put_curated(2, &[]).await;
    let verdict = world.verdict().await;
    assert_eq!(counts(&verdict), [0, 0, 1, 0], "{verdict}");
    assert!(
        verdict.findings[0].detail.contains("stands elsewhere"),
        "{verdict}"
    );
}

#[tokio::test]
async fn what_was_never_accepted_is_invented_unless_it_is_out_of_scope() {
    let world = World::filled().await;
    let stranger = Row {
        id: "stranger".into(),
        ..rows()[0].clone()
    };
    world
        .put_raw(3, &lines(&world.kinds, std::slice::from_ref(&stranger)))
        .await;
    world.put_curated(3, &[stranger]).await;
    let verdict = world.verdict().await;
    assert_eq!(counts(&verdict), [0, 0, 0, 1], "{verdict}");
    assert_eq!(verdict.findings[0].event_id, "stranger");
    world
        .put_raw(4, &["{\"kind\":\"vehicle\"\n".to_owned()])
        .await;
    let verdict = world.verdict().await;
    assert_eq!(verdict.invented, 2, "{verdict}");
    assert!(verdict.to_string().contains("line 1"), "{verdict}");

    let later = world
        .verdict_in(&Scope::since(time("2025-10-04T12:40:00.001Z")))
        .await;
    assert_eq!(later.invented, 1, "the broken line tells no time: {later}");
    let own = world.verdict_in(&Scope::everything().ledger_only()).await;
    assert!(own.clean(), "{own}");
    let since = world.verdict_in(&Scope::since(time(RECEIVED))).await;
    assert_eq!(since.invented, 2, "{since}");
}

#[tokio::test]
async fn what_was_there_before_is_not_read_and_what_comes_after_is() {
    let world = World::new().await;
    let stranger = Row {
        id: "stranger".into(),
        ..rows()[0].clone()
    };
    world.put_raw(1, &lines(&world.kinds, &[stranger])).await;
    let scope = Scope::from_now(&world.lake).await.unwrap();
    world.put_raw(2, &lines(&world.kinds, &rows())).await;
    world.put_curated(1, &rows()).await;
    let verdict = world.verdict_in(&scope).await;
    assert!(verdict.clean(), "{verdict}");
    assert_eq!(verdict.raw.unwrap().objects, 1);
}

#[tokio::test]
async fn an_event_without_an_answer_may_be_there_or_not() {
    for there in [false, true] {
        let mut world = World::filled().await;
        let maybe = Row {
            id: "maybe".into(),
            ..rows()[0].clone()
        };
        world.accept(&maybe, Certainty::Maybe);
        if there {
            world
                .put_raw(3, &lines(&world.kinds, std::slice::from_ref(&maybe)))
                .await;
            world.put_curated(3, &[maybe]).await;
        }
        let verdict = world.verdict().await;
        assert!(verdict.clean(), "{verdict}");
        assert_eq!((verdict.accepted, verdict.maybe), (4, 1));
    }
}

#[tokio::test]
async fn of_two_contents_under_one_id_raw_holds_both_and_curated_one() {
    let mut world = World::filled().await;
    let other = Row {
        speed: Some(3.0),
        ..rows()[0].clone()
    };
    world.accept(&other, Certainty::Accepted);
    let verdict = world.verdict().await;
    assert_eq!(counts(&verdict), [1, 0, 0, 0], "{verdict}");
    assert!(
        verdict.findings[0].detail.contains("each content"),
        "{verdict}"
    );
    world
        .put_raw(3, &lines(&world.kinds, std::slice::from_ref(&other)))
        .await;
    let verdict = world.verdict().await;
    assert!(verdict.clean(), "{verdict}");
    assert_eq!(verdict.conflicts, 1);
    world.put_curated(3, &[other]).await;
    assert_eq!(counts(&world.verdict().await), [0, 1, 0, 0]);
}

#[tokio::test]
async fn no_more_than_twenty_of_a_fault_are_named() {
    let mut world = World::filled().await;
    for number in 0..30 {
        let row = Row {
            id: format!("n-{number}"),
            ..rows()[0].clone()
        };
        world.accept(&row, Certainty::Accepted);
    }
    let verdict = world.verdict().await;
    assert_eq!((verdict.lost, verdict.findings.len()), (30, 20));
    assert!(
        verdict.to_string().contains("… and 10 more lost"),
        "{verdict}"
    );
}

#[tokio::test]
async fn a_part_without_its_columns_is_an_error_and_no_verdict() {
    let world = World::filled().await;
    let batch = RecordBatch::try_from_iter([(
        "event_id",
        Arc::new(StringArray::from(vec!["a"])) as ArrayRef,
    )])
    .unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    let key = contract::curated_key("vehicle", hour(), 9);
    world.put(&key, writer.into_inner().unwrap()).await;
    let scope = Scope::everything();
    let judged = judge(
        &world.lake,
        &world.kinds,
        &world.ledger,
        &Question::new(&scope),
    )
    .await;
    let error = judged.unwrap_err().to_string();
    assert!(
        error.contains(&key) && error.contains("entity_id"),
        "{error}"
    );
}
