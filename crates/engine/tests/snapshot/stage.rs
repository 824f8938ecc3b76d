//! A lake in memory, what lands in it, and what a snapshot shows of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Float64Type;
use aws::{Aws, Condition, Lake};
use chrono::{DateTime, TimeDelta, Utc};
use contract::{Hour, Kinds, raw_key, raw_part_name};
use engine::snapshot::{Snapshot, SnapshotSettings, Snapshots};
use lake::parts;
use local_aws::LocalAws;

pub(crate) const BUCKET: &str = "lake";

/// Id and value of each row, in the order of ids.
pub(crate) type Rows = Vec<(String, i64)>;

/// A lake whose clock says 12:30 at the start.
pub(crate) struct Stage {
    pub(crate) cloud: LocalAws,
    pub(crate) aws: Aws,
    pub(crate) lake: Lake,
    objects: u128,
}

impl Stage {
    pub(crate) async fn new() -> Stage {
        let clock = aws::Clock::starting_at("2025-10-04T12:30:00Z".parse().unwrap());
        let cloud = LocalAws::in_process();
        let aws = Aws::emulated_at(cloud.http_client(), cloud.endpoint(), clock);
        aws::setup::create_bucket(&aws, BUCKET).await.unwrap();
        let lake = aws.lake(BUCKET);
        Stage {
            cloud,
            aws,
            lake,
            objects: 0,
        }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.aws.clock().now()
    }

    /// A keeper that reads the log each time.
    pub(crate) fn snapshots(&self) -> Snapshots {
        self.snapshots_with(SnapshotSettings {
            log_every: std::time::Duration::ZERO,
            ..SnapshotSettings::default()
        })
    }

    pub(crate) fn snapshots_with(&self, settings: SnapshotSettings) -> Snapshots {
        let kinds = Arc::new(Kinds::builtin());
        Snapshots::new(self.lake.clone(), kinds, self.aws.clock(), settings)
    }

    /// Lands an object that was received `seconds` from now, with an event for each id and value.
    pub(crate) async fn land(&mut self, seconds: i64, events: &[(&str, i64)]) -> String {
        let received = self.now() + TimeDelta::seconds(seconds);
        let lines = events
            .iter()
            .map(|(id, value)| line(id, received, &format!(r#""engine_rpm":{value}"#)));
        self.land_lines(received, &lines.collect::<String>()).await
    }

    pub(crate) async fn land_lines(&mut self, received: DateTime<Utc>, lines: &str) -> String {
        self.objects += 1;
        let key = raw_key(Hour::of(received), raw_part_name(received, self.objects));
        self.put(&key, lines.as_bytes().to_vec()).await;
        key
    }

    pub(crate) async fn put(&self, key: &str, body: Vec<u8>) {
        let (body, always) = (body.into(), Condition::Always);
        let put = self
            .lake
            .put(key, body, "text/plain", Default::default(), always);
        put.await.unwrap();
    }

    pub(crate) fn aggregator(&self) -> aggregator::Config {
        aggregator::Config::for_bucket(BUCKET)
    }

    /// All that waits becomes one commit.
    pub(crate) async fn commit(&self) -> lake::log::Summary {
        let stop = tokio_util::sync::CancellationToken::new();
        let config = self.aggregator();
        aggregator::once(&config, &self.aws, &stop, &())
            .await
            .unwrap()
    }

    /// All rows of vehicles that the snapshot has.
    pub(crate) async fn rows(&self, snapshot: &Snapshot) -> Rows {
        let (from, until) = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
        let mut rows = Rows::new();
        let hours = snapshot.hours("vehicle", from, until).await.unwrap();
        assert!(hours.is_sorted_by(|a, b| a.hour < b.hour));
        for hour in hours {
            for part in hour.parts {
                rows.extend(rows_of(&parts::read(&self.lake, &part.key).await.unwrap()));
            }
            for batch in &hour.hot {
                rows.extend(rows_of(batch));
            }
        }
        rows.sort();
        rows
    }
}

/// A line as it stands in `raw/`. The event happened two weeks ago, in an hour that depends on its id.
pub(crate) fn line(id: &str, received: DateTime<Utc>, payload: &str) -> String {
    let received = contract::format_millis(received);
    let hour = 10 + id.bytes().map(u32::from).sum::<u32>() % 2;
    format!(
        r#"{{"kind":"vehicle","event_id":"{id}","ingest_received_at":"{received}","timestamp":"2025-09-20T{hour}:30:00Z","vehicle_id":"veh-1","can_id":"0x1F0","payload":{{{payload}}}}}"#
    ) + "\n"
}

pub(crate) fn rows_of(batch: &RecordBatch) -> Rows {
    let ids = batch.column_by_name("event_id").unwrap().as_string::<i32>();
    let values = batch.column_by_name("engine_rpm").unwrap();
    let values = values.as_primitive::<Float64Type>();
    let row = |at: usize| (ids.value(at).to_owned(), values.value(at) as i64);
    (0..batch.num_rows()).map(row).collect()
}

/// Rows by id, each of which must stand there once.
pub(crate) fn once(rows: Rows) -> BTreeMap<String, i64> {
    let (count, by_id) = (
        rows.len(),
        rows.clone().into_iter().collect::<BTreeMap<_, _>>(),
    );
    assert_eq!(by_id.len(), count, "an event counts twice: {rows:?}");
    by_id
}

pub(crate) fn rows(expected: &[(&str, i64)]) -> Rows {
    let expected = expected.iter();
    expected
        .map(|(id, value)| ((*id).to_owned(), *value))
        .collect()
}
