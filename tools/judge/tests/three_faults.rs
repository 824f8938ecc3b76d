//! A lake that the aggregator made, damaged by hand, and the judge's binary that must name the
//! damage: a line gone from `raw/`, a row doubled in `curated/`, a value changed.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Float64Type;
use aws::{Aws, Condition, Lake};
use chrono::{DateTime, Utc};
use contract::{Hour, Kinds};
use judge::{Certainty, Ledger};
use local_aws::LocalAws;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const BUCKET: &str = "headwater-lake";
const RECEIVED: &str = "2025-10-04T12:40:00.000Z";

/// Events of four vehicles, six each, of one cell, and four samples of two metrics.
const EVENTS: usize = 29;

fn id(number: usize) -> String {
    uuid::Uuid::from_u128(0x6f0e_0000 + number as u128).to_string()
}

fn event(number: usize) -> String {
    let (id, minute) = (id(number), number % 60);
    match number {
        0 => format!(
            r#"{{"event_id":"{id}","schema_version":1,"source":"test","event_time":"2025-10-04T12:00:00Z","entity_type":"cell","entity_id":"CELL-1","metrics":{{"dl_prb_util_pct":73.2}}}}"#
        ),
        25.. => format!(
            r#"{{"event_id":"{id}","timestamp":"2025-10-04T12:{minute:02}:00Z","name":"m_{}","value":{number}.25,"tags":{{"b":"x","a":"é"}}}}"#,
            number % 2
        ),
        _ => format!(
            r#"{{"event_id":"{id}","timestamp":"2025-10-04T12:{minute:02}:00Z","vehicle_id":"veh-{}","can_id":"0x1F0","payload":{{"vehicle_speed_kmh":{number}.5}}}}"#,
            number % 4
        ),
    }
}

struct World {
    endpoint: String,
    lake: Lake,
    folder: tempfile::TempDir,
    raw: Vec<String>,
    _cloud: LocalAws,
}

impl World {
    /// What accepted events become: a ledger, two raw objects that overlap, `curated/` and
    /// `aggregates/`.
    async fn new() -> World {
        let cloud = LocalAws::in_process();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(local_aws::serve(
            cloud.clone(),
            listener,
            CancellationToken::new(),
        ));
        let aws = Aws::emulated(cloud.http_client(), cloud.endpoint());
        aws::setup::create_bucket(&aws, BUCKET).await.unwrap();
        aws::setup::create_queues(&aws, "headwater-events", "headwater-events-dlq")
            .await
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let kinds = Kinds::builtin();
        let received: DateTime<Utc> = RECEIVED.parse().unwrap();
        let mut ledger = Ledger::kept_in(&folder.path().join("ledger")).unwrap();
        let mut lines = Vec::new();
        for number in 0..EVENTS {
            let text = event(number);
            ledger
                .record(&kinds, &text, received, Certainty::Accepted)
                .unwrap();
            let event = contract::parse_sent(&kinds, None, &text, received).unwrap();
            let mut line = Vec::new();
            contract::write_line(&mut line, &event, RECEIVED, &text);
            lines.push(String::from_utf8(line).unwrap());
        }
        ledger.flush().unwrap();
        let mut world = World {
            endpoint,
            lake: aws.lake(BUCKET),
            folder,
            raw: Vec::new(),
            _cloud: cloud,
        };
        // Two commits: vehicle parts of both, and an event that comes again in the second.
        for (part, lines) in [&lines[..14], &lines[13..]].into_iter().enumerate() {
            let key = contract::raw_key(Hour::of(received), uuid::Uuid::from_u128(part as u128));
            world.put(&key, lines.concat().into_bytes()).await;
            world.raw.push(key);
            // The hour is long past: what comes later is found by a listing of all of raw/ alone.
            let config = aggregator::Config {
                full: true,
                ..aggregator::Config::for_bucket(BUCKET)
            };
            aggregator::once(&config, &aws, &CancellationToken::new(), &())
                .await
                .unwrap();
        }
        world
    }

    async fn put(&self, key: &str, body: Vec<u8>) {
        let metadata = HashMap::new();
        self.lake
            .put(key, body.into(), "x", metadata, Condition::Always)
            .await
            .unwrap();
    }

    fn curated(&self, commit: u64) -> String {
        contract::curated_key("vehicle", Hour::of(RECEIVED.parse().unwrap()), commit)
    }

    /// Runs the binary, and gives its exit code and what it printed.
    async fn check(&self) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_judge"));
        let ledger: PathBuf = self.folder.path().join("ledger");
        command
            .args(["check", "--no-drain", "--ledger", ledger.to_str().unwrap()])
            .env_clear()
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .stdin(Stdio::null());
        let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(!complaint.contains("judge:"), "{complaint}");
        let printed = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), printed)
    }

    /// Takes the event's line out of the first raw object.
    async fn remove_line(&self, number: usize) {
        let object = self.lake.get(&self.raw[0]).await.unwrap().unwrap();
        let text = String::from_utf8(object.body.to_vec()).unwrap();
        let id = id(number);
        let (gone, kept): (Vec<_>, Vec<_>) = text
            .split_inclusive('\n')
            .partition(|line| line.contains(&id));
        assert_eq!(gone.len(), 1);
        self.put(&self.raw[0], kept.concat().into_bytes()).await;
    }

    /// Rewrites the part with other rows, its schema and metadata kept.
    async fn rewrite(
        &self,
        key: &str,
        change: impl FnOnce(RecordBatch, usize) -> RecordBatch,
        id: &str,
    ) {
        let object = self.lake.get(key).await.unwrap().unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(object.body).unwrap();
        let schema = reader.schema().clone();
        let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
        let rows = concat_batches(&schema, &batches).unwrap();
        let ids = rows.column_by_name("event_id").unwrap();
        let ids = ids.as_string::<i32>();
        let row = (0..ids.len()).find(|row| ids.value(*row) == id).unwrap();
        let rows = change(rows, row);
        let mut writer = ArrowWriter::try_new(Vec::new(), schema, None).unwrap();
        writer.write(&rows).unwrap();
        self.put(key, writer.into_inner().unwrap()).await;
    }

    async fn double_row(&self, key: &str, number: usize) {
        let double = |rows: RecordBatch, row| {
            let again = rows.slice(row, 1);
            concat_batches(&rows.schema(), [&rows, &again]).unwrap()
        };
        self.rewrite(key, double, &id(number)).await;
    }

    async fn change_value(&self, key: &str, number: usize) {
        self.change(key, "vehicle_speed_kmh", number, [0.5, 0.25])
            .await;
    }

    /// Changes the value of the event in the column; both are so much above the event's number.
    async fn change(&self, key: &str, column: &str, number: usize, [from, to]: [f64; 2]) {
        let change = |rows: RecordBatch, row| {
            let at = rows.schema().index_of(column).unwrap();
            let mut values: Vec<_> = rows
                .column(at)
                .as_primitive::<Float64Type>()
                .iter()
                .collect();
            assert_eq!(values[row], Some(number as f64 + from));
            values[row] = Some(number as f64 + to);
            let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
            columns[at] = Arc::new(Float64Array::from(values));
            RecordBatch::try_new(rows.schema(), columns).unwrap()
        };
        self.rewrite(key, change, &id(number)).await;
    }
}

/// That a line of what was printed has all of the words.
fn names(printed: &str, words: &[&str]) {
    let found = printed
        .lines()
        .any(|line| words.iter().all(|word| line.contains(word)));
    assert!(found, "no line with {words:?}:\n{printed}");
}

/// The events that are damaged: 5 is in the first part alone, 6 and 23 in the first and second.
const REMOVED: usize = 5;
const DOUBLED: usize = 6;
const CHANGED: usize = 23;

fn removed_is_named(world: &World, printed: &str) {
    names(
        printed,
        &[
            &format!("  lost vehicle {}: not in raw/", id(REMOVED)),
            &format!("[{}]", world.curated(1)),
        ],
    );
}

fn doubled_is_named(world: &World, printed: &str) {
    names(
        printed,
        &[
            &format!("  duplicated vehicle {}: twice in one object", id(DOUBLED)),
            &format!("[{}]", world.curated(1)),
        ],
    );
    // veh-2 is 2, 6, 10, 14, 18 and 22.
    names(
        printed,
        &[
            "  aggregates vehicle veh-2 vehicle_speed_kmh: messages 6 rather than 7, count 6 rather than 7",
            "hour=12/vehicle.parquet]",
        ],
    );
}

fn changed_is_named(world: &World, printed: &str) {
    names(
        printed,
        &[
            &format!(
                "  altered vehicle {}: curated/ says something else",
                id(CHANGED)
            ),
            "vehicle_speed_kmh=23.25",
            &format!("[{}]", world.curated(2)),
        ],
    );
    names(
        printed,
        &[
            "  aggregates vehicle veh-3 vehicle_speed_kmh: max 23.5 rather than 23.25, mean ",
            "hour=12/vehicle.jsonl]",
        ],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undamaged_lake_is_clean() {
    let world = World::new().await;
    let (code, printed) = world.check().await;
    assert_eq!(code, Some(0), "{printed}");
    names(
        &printed,
        &["aggregates/ ", "7   rows in 3 hours, 0 differences"],
    );
    assert!(
        printed.ends_with("lost 0, duplicated 0, altered 0, invented 0\n"),
        "{printed}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_removed_from_raw_is_named() {
    let world = World::new().await;
    world.remove_line(REMOVED).await;
    let (code, printed) = world.check().await;
    assert_eq!(code, Some(1), "{printed}");
    removed_is_named(&world, &printed);
    assert!(
        printed.ends_with("lost 1, duplicated 0, altered 0, invented 0\n"),
        "{printed}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_doubled_in_curated_is_named() {
    let world = World::new().await;
    world.double_row(&world.curated(1), DOUBLED).await;
    let (code, printed) = world.check().await;
    assert_eq!(code, Some(1), "{printed}");
    doubled_is_named(&world, &printed);
    assert!(
        printed.ends_with("lost 0, duplicated 1, altered 0, invented 0\n"),
        "{printed}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_changed_in_curated_is_named() {
    let world = World::new().await;
    world.change_value(&world.curated(2), CHANGED).await;
    let (code, printed) = world.check().await;
    assert_eq!(code, Some(1), "{printed}");
    changed_is_named(&world, &printed);
    assert!(
        printed.ends_with("lost 0, duplicated 0, altered 1, invented 0\n"),
        "{printed}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_changed_in_curated_is_named() {
    let world = World::new().await;
    let key = world.curated(2).replace("vehicle", "metric");
    world.change(&key, "value", 27, [0.25, 0.75]).await;
    let (code, printed) = world.check().await;
    assert_eq!(code, Some(1), "{printed}");
    let altered = format!("  altered metric {}: curated/ says something else", id(27));
    names(&printed, &[&altered, "value=27.75"]);
    names(
        &printed,
        &["  aggregates metric default m_1: max 27.25 rather than 27.75, mean "],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_three_at_once_are_named() {
    let world = World::new().await;
    world.remove_line(REMOVED).await;
    world.double_row(&world.curated(1), DOUBLED).await;
    world.change_value(&world.curated(2), CHANGED).await;
    let (code, printed) = world.check().await;
    assert_eq!(code, Some(1), "{printed}");
    removed_is_named(&world, &printed);
    doubled_is_named(&world, &printed);
    changed_is_named(&world, &printed);
    // Two rows differ, in Parquet and JSONL alike.
    names(&printed, &["aggregates/ ", "4 differences"]);
    assert!(
        printed.ends_with("lost 1, duplicated 1, altered 1, invented 0\n"),
        "{printed}"
    );
}
