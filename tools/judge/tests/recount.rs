//! Aggregates made by hand, and what a recount says of them when something is wrong with them.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use aws::{Aws, Condition, Lake};
use contract::{Hour, Kinds, aggregate_key, curated_key};
use judge::recount::{Extent, Recount, recount};
use parquet::arrow::ArrowWriter;

fn hour() -> Hour {
    Hour::of("2025-10-04T12:00:00Z".parse().unwrap())
}

/// A row of aggregates: entity, signal, unit, messages, count, texts, then min to p99.
#[derive(Debug, Clone)]
struct Row {
    entity: &'static str,
    signal: &'static str,
    unit: Option<&'static str>,
    messages: i64,
    count: i64,
    texts: i64,
    figures: Option<[f64; 7]>,
}

/// What the first `parts` of the parts below give.
fn rows(parts: usize) -> Vec<Row> {
    let row = |entity, signal, messages, count, figures| Row {
        entity,
        signal,
        unit: None,
        messages,
        count,
        texts: 0,
        figures: Some(figures),
    };
    let speed = |row: Row| Row {
        unit: Some("km/h"),
        ..row
    };
    let mut rows = vec![
        Row {
            texts: 1,
            ..row("veh-1", "note", 3, 1, [1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0])
        },
        speed(row(
            "veh-1",
            "vehicle_speed_kmh",
            3,
            3,
            [1.0, 6.0, 3.0, 7.0_f64.sqrt(), 2.0, 5.6, 5.92],
        )),
        Row {
            texts: 1,
            figures: None,
            ..row("veh-2", "note", 1, 1, [0.0; 7])
        },
    ];
    if parts > 1 {
        rows[1] = speed(row(
            "veh-1",
            "vehicle_speed_kmh",
            4,
            4,
            [1.0, 11.0, 5.0, (62.0_f64 / 3.0).sqrt(), 4.0, 10.25, 10.85],
        ));
        rows[0].messages = 4;
        let speeds = [-3.0, -3.0, -3.0, 0.0, -3.0, -3.0, -3.0];
        rows.push(speed(row("veh-3", "vehicle_speed_kmh", 1, 1, speeds)));
    }
    rows
}

fn written(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let columns = columns
        .into_iter()
        .map(|(name, column)| (name, column, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// Part `number` of the hour.
fn part(number: usize) -> Vec<u8> {
    type Event = (
        &'static str,
        Option<f64>,
        Option<bool>,
        Option<&'static str>,
    );
    let events: &[Event] = match number {
        1 => &[
            ("veh-1", Some(1.0), None, Some("text")),
            ("veh-1", Some(6.0), Some(true), None),
            ("veh-1", Some(2.0), None, None),
            ("veh-2", None, None, Some("")),
        ],
        _ => &[
            ("veh-1", Some(11.0), None, None),
            ("veh-3", Some(-3.0), None, None),
        ],
    };
    let text = |of: fn(&Event) -> Option<&'static str>| -> ArrayRef {
        Arc::new(events.iter().map(of).collect::<StringArray>())
    };
    let times =
        TimestampMillisecondArray::from_value(hour().start().timestamp_millis(), events.len());
    written(vec![
        ("event_id", text(|_| Some("not looked at"))),
        ("entity_id", text(|event| Some(event.0))),
        ("event_time", Arc::new(times.with_timezone("UTC"))),
        ("can_id", text(|_| Some("0x1F0"))),
        ("note", text(|event| event.3)),
        (
            "note__bool",
            Arc::new(events.iter().map(|event| event.2).collect::<BooleanArray>()),
        ),
        (
            "vehicle_speed_kmh",
            Arc::new(events.iter().map(|event| event.1).collect::<Float64Array>()),
        ),
    ])
}

fn figure(row: &Row, at: usize) -> Option<f64> {
    // One value has no deviation.
    row.figures
        .map(|all| all[at])
        .filter(|_| at != 3 || row.count > 1)
}

const FIGURES: [&str; 7] = ["min", "max", "mean", "stddev", "p50", "p95", "p99"];

fn parquet(rows: &[Row]) -> Vec<u8> {
    let text = |of: fn(&Row) -> Option<&'static str>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    };
    let whole = |of: fn(&Row) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(of)))
    };
    let hours =
        TimestampMillisecondArray::from_value(hour().start().timestamp_millis(), rows.len());
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("kind", text(|_| Some("vehicle"))),
        ("entity_id", text(|row| Some(row.entity))),
        ("event_hour", Arc::new(hours.with_timezone("UTC"))),
        ("signal", text(|row| Some(row.signal))),
        ("unit", text(|row| row.unit)),
        ("messages", whole(|row| row.messages)),
        ("count", whole(|row| row.count)),
        ("texts", whole(|row| row.texts)),
        (
            "sketch",
            Arc::new(BinaryArray::from_iter_values(rows.iter().map(|_| [0]))),
        ),
    ];
    for (at, name) in FIGURES.into_iter().enumerate() {
        let values = rows.iter().map(|row| figure(row, at));
        columns.push((name, Arc::new(values.collect::<Float64Array>())));
    }
    written(columns)
}

fn jsonl(rows: &[Row]) -> Vec<u8> {
    let mut text = String::new();
    for row in rows {
        let mut line = serde_json::json!({
            "kind": "vehicle", "entity_id": row.entity, "event_hour": "2025-10-04T12:00:00Z",
            "signal": row.signal, "unit": row.unit, "messages": row.messages, "count": row.count,
        });
        for (at, name) in FIGURES.into_iter().enumerate() {
            line[name] = figure(row, at).into();
        }
        text.push_str(&format!("{line}\n"));
    }
    text.into_bytes()
}

struct World {
    kinds: Kinds,
    lake: Lake,
}

impl World {
    /// The lake as it should be after two commits.
    async fn new() -> World {
        let cloud = local_aws::LocalAws::in_process();
        let aws = Aws::emulated(cloud.http_client(), cloud.endpoint());
        aws::setup::create_bucket(&aws, "lake").await.unwrap();
        let world = World {
            kinds: Kinds::builtin(),
            lake: aws.lake("lake"),
        };
        for number in [1, 2] {
            world.put_part(number).await;
        }
        world.put_parquet(2, &rows(2)).await;
        world.put_jsonl(2, &rows(2)).await;
        world.put("aggregates/README", "not an hour", 0).await;
        world
    }

    async fn put(&self, key: &str, body: impl Into<Vec<u8>>, commit: u64) {
        let metadata = HashMap::from([("commit".to_owned(), commit.to_string())]);
        self.lake
            .put(key, body.into().into(), "x", metadata, Condition::Always)
            .await
            .unwrap();
    }

    async fn put_part(&self, number: usize) {
        let key = curated_key("vehicle", hour(), number as u64);
        self.put(&key, part(number), 0).await;
    }

    async fn put_parquet(&self, commit: u64, rows: &[Row]) {
        let key = aggregate_key(hour(), "vehicle", "parquet");
        self.put(&key, parquet(rows), commit).await;
    }

    async fn put_jsonl(&self, commit: u64, rows: &[Row]) {
        let key = aggregate_key(hour(), "vehicle", "jsonl");
        self.put(&key, jsonl(rows), commit).await;
    }

    async fn count(&self, extent: &Extent) -> Recount {
        recount(&self.lake, &self.kinds, extent).await.unwrap()
    }

    /// What a recount says of the finished hour, and of it at any moment.
    async fn counts(&self) -> [Recount; 2] {
        let complete = self.count(&Extent::complete()).await;
        [complete, self.count(&Extent::at_any_moment()).await]
    }
}

#[tokio::test]
async fn aggregates_that_are_right_have_no_differences() {
    let world = World::new().await;
    for found in world.counts().await {
        assert!(found.clean(), "{found}");
        assert_eq!((found.hours, found.rows), (1, 4));
        assert_eq!(
            found.to_string(),
            "aggregates/ 4 rows in 1 hours, 0 differences"
        );
    }
    let other_hour = Extent {
        hours: Some(BTreeSet::from([("vehicle".to_owned(), hour().next())])),
        ..Extent::complete()
    };
    assert_eq!(world.count(&other_hour).await, Recount::default());
}

#[tokio::test]
async fn each_figure_that_is_wrong_is_named_with_its_row() {
    type Change = fn(&mut Row);
    let changes: [(&str, Change); 8] = [
        ("mean 5.00001 rather than 5.0", |row| {
            row.figures.as_mut().unwrap()[2] = 5.00001;
        }),
        ("max 11.000000000000002 rather than 11.0", |row| {
            row.figures.as_mut().unwrap()[1] = 11.000000000000002;
        }),
        ("stddev 4.0 rather than 4.5", |row| {
            row.figures.as_mut().unwrap()[3] = 4.0;
        }),
        ("p50 4.01 rather than 4.0", |row| {
            row.figures.as_mut().unwrap()[4] = 4.01;
        }),
        ("count 5 rather than 4", |row| row.count = 5),
        ("messages 3 rather than 4", |row| row.messages = 3),
        ("unit none rather than km/h", |row| row.unit = None),
        ("min none rather than 1.0, max none", |row| {
            row.figures = None
        }),
    ];
    for (words, change) in changes {
        let mut changed = rows(2);
        change(&mut changed[1]);
        for format in ["parquet", "jsonl"] {
            let world = World::new().await;
            match format {
                "parquet" => world.put_parquet(2, &changed).await,
                _ => world.put_jsonl(2, &changed).await,
            }
            for found in world.counts().await {
                let text = found.to_string();
                assert_eq!(found.difference_count, 1, "{text}");
                assert!(
                    text.starts_with("  aggregates vehicle veh-1 vehicle_speed_kmh: ")
                        && text.contains(words)
                        && text.contains(&format!("hour=12/vehicle.{format}]")),
                    "{text}"
                );
            }
        }
    }
}

#[tokio::test]
async fn rows_that_are_missing_or_too_many_are_named() {
    let world = World::new().await;
    world.put_parquet(2, &rows(2)[1..]).await;
    let mut more = rows(2);
    more.push(more[2].clone());
    more.push(Row {
        signal: "invented",
        ..more[2].clone()
    });
    world.put_jsonl(2, &more).await;
    for found in world.counts().await {
        let text = found.to_string();
        assert_eq!(found.difference_count, 3, "{text}");
        for words in [
            "veh-1 note: has no row, and 2 values in curated/",
            "veh-2 note: stands twice",
            "veh-2 invented: no curated part",
        ] {
            assert!(text.contains(words), "{text}");
        }
    }
}

#[tokio::test]
async fn an_object_is_held_against_the_parts_up_to_its_own_commit() {
    let world = World::new().await;
    // The JSONL lags: right at any moment, and not at the end.
    world.put_jsonl(1, &rows(1)).await;
    let [complete, any_moment] = world.counts().await;
    assert!(any_moment.clean(), "{any_moment}");
    assert!(
        complete.clean_but_behind() && complete.behind == 1,
        "{complete}"
    );
    let words = "counts up to commit 1 of 2";
    assert!(complete.to_string().contains(words), "{complete}");
    // It says that it counts the second part, and does not.
    world.put_jsonl(2, &rows(1)).await;
    for found in world.counts().await {
        assert_eq!((found.difference_count, found.behind), (3, 0), "{found}");
    }
}

#[tokio::test]
async fn an_object_that_is_ahead_of_its_parts_or_of_the_other_is_wrong() {
    let world = World::new().await;
    let second = curated_key("vehicle", hour(), 2);
    world.lake.delete(&[second]).await.unwrap();
    for found in world.counts().await {
        // Of veh-1 both rows, of veh-3 its one, in both formats.
        assert_eq!((found.difference_count, found.behind), (6, 0), "{found}");
    }
    let world = World::new().await;
    world.put_parquet(1, &rows(1)).await;
    let [_, any_moment] = world.counts().await;
    assert_eq!(any_moment.difference_count, 1, "{any_moment}");
    let words = "counts up to commit 2, and the Parquet only to 1";
    assert!(any_moment.to_string().contains(words), "{any_moment}");
}

#[tokio::test]
async fn an_hour_without_its_objects_is_behind_and_a_broken_object_is_a_difference() {
    let world = World::new().await;
    let keys = ["parquet", "jsonl"].map(|extension| aggregate_key(hour(), "vehicle", extension));
    world.lake.delete(&keys).await.unwrap();
    let [complete, any_moment] = world.counts().await;
    assert!(any_moment.clean(), "{any_moment}");
    assert_eq!(
        (complete.difference_count, complete.behind),
        (2, 2),
        "{complete}"
    );

    let world = World::new().await;
    world.put(&keys[0], "PAR1", 2).await;
    for found in world.counts().await {
        assert_eq!((found.difference_count, found.behind), (1, 0), "{found}");
        assert!(found.to_string().contains("cannot be read"), "{found}");
    }
}
