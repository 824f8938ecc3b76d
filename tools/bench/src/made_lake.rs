//! A lake as the aggregator leaves it, made without it: parts of vehicles' readings, their statistics by the hour, and
//! the log of the commits that would have written them.

use std::collections::{BTreeMap, HashMap};
use std::f64::consts::TAU;
use std::ops::Range;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{
    ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use aws::{Condition, Lake};
use chrono::{DateTime, TimeDelta, Utc};
use contract::{Hour, Kind, Kinds, aggregate_key};
use lake::aggregates::{AggregateFile, Aggregates, COMMIT};
use lake::key::{done_key, intent_key, part_key, schema_key};
use lake::log::{Done, Intent, Summary};
use lake::rows::{ColumnType, SignalTypes};
use serde::Serialize;
use uuid::Uuid;

/// The signals of each event: what DuckDB and the service are asked for.
pub(crate) const SIGNALS: [&str; 8] = [
    "engine_rpm",
    "vehicle_speed_kmh",
    "gear",
    "throttle_pct",
    "coolant_temp_c",
    "fuel_level_pct",
    "lat",
    "lon",
];

/// Parts that each hour has, one of each quarter.
const PARTS: u32 = 4;

/// Hours of the lake.
pub(crate) const HOURS: u32 = 24;

/// How large a lake is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MadeLake {
    pub(crate) vehicles: u32,
    /// Events of a vehicle in a quarter of an hour.
    pub(crate) events: u32,
}

impl MadeLake {
    /// The first instant of the first hour; the last hour ended a while ago.
    pub(crate) fn start() -> DateTime<Utc> {
        let hour = Hour::of(Utc::now() - TimeDelta::hours(i64::from(HOURS) + 2));
        hour.start()
    }

    pub(crate) fn total(&self) -> u64 {
        u64::from(self.vehicles * self.events) * u64::from(HOURS * PARTS)
    }

    /// Puts parts and log into the lake.
    pub(crate) async fn put(self, lake: &Lake, start: DateTime<Utc>) -> anyhow::Result<()> {
        let (kinds, mut types) = (Kinds::builtin(), SignalTypes::default());
        let vehicle = kinds.get("vehicle").context("there is no kind `vehicle`")?;
        types.add(vehicle, SIGNALS.map(|name| (name, ColumnType::Number)));
        put_json(lake, &schema_key("vehicle"), &types).await?;
        let mut of_hour = Aggregates::default();
        for number in 0..HOURS * PARTS {
            let quarter = start + TimeDelta::minutes(15) * number as i32;
            let declared = vehicle.clone();
            let made = tokio::task::spawn_blocking(move || self.part(quarter, &declared));
            let (part, aggregates) = made.await?.context("cannot make a part")?;
            let commit = u64::from(number) + 1;
            of_hour.merge(&aggregates);
            if commit.is_multiple_of(PARTS.into()) {
                let hour = Hour::of(quarter);
                put_aggregates(lake, &std::mem::take(&mut of_hour), vehicle, hour, commit).await?;
            }
            let key = part_key("vehicle", Hour::of(quarter), commit, 0, 1);
            let kind = "application/vnd.apache.parquet";
            let put = lake.put(&key, part, kind, Default::default(), Condition::Always);
            put.await?;
            let intent = Intent {
                commit,
                writer: Uuid::nil(),
                started_at: quarter,
                bytes: 0,
                inputs: Vec::new(),
            };
            let hour = Hour::of(quarter).to_string();
            let events = BTreeMap::from([(hour, u64::from(self.vehicles * self.events))]);
            let done = Done {
                commit,
                finished_at: quarter,
                summary: Summary::default(),
                hours: Some(BTreeMap::from([("vehicle".to_owned(), events)])),
                put_off: BTreeMap::new(),
            };
            put_json(lake, &intent_key(commit), &intent).await?;
            put_json(lake, &done_key(commit), &done).await?;
        }
        Ok(())
    }

    /// The events of a quarter of an hour, sorted by vehicle and time, and their statistics.
    fn part(
        self,
        quarter: DateTime<Utc>,
        kind: &Kind,
    ) -> anyhow::Result<(bytes::Bytes, Aggregates)> {
        let mut random = fastrand::Rng::with_seed(quarter.timestamp() as u64);
        let all = (self.vehicles * self.events) as usize;
        let mut ids = Vec::with_capacity(all);
        let mut entities = Vec::with_capacity(all);
        let mut times = Vec::with_capacity(all);
        let mut values = [const { Vec::new() }; SIGNALS.len()];
        let every = 900_000_000 / i64::from(self.events);
        for vehicle in 0..self.vehicles {
            // By the clock, and in the middle of Germany.
            let home = (
                50.0 + f64::from(vehicle % 97) / 40.0,
                8.0 + f64::from(vehicle % 89) / 30.0,
            );
            for event in 0..self.events {
                let random_bits = u128::from(random.u64(..)) << 64 | u128::from(random.u64(..));
                ids.push(Uuid::from_u128(random_bits).to_string());
                entities.push(format!("veh-{vehicle:05}"));
                let time = quarter.timestamp_micros() + i64::from(event) * every;
                times.push(time + random.i64(0..every / 2) / 1000 * 1000);
                let at = f64::from(event) / f64::from(self.events) * TAU + f64::from(vehicle);
                let speed = (60.0 + 50.0 * at.sin() + random.f64() * 3.0).max(0.0);
                let gear = (speed / 25.0).ceil();
                let rpm = (800.0 + speed * 30.0 + f64::from(random.u8(..))).round();
                let row = [
                    rpm,
                    (speed * 10.0).round() / 10.0,
                    gear,
                    (random.f64() * 1000.0).round() / 10.0,
                    (80.0 + 10.0 * at.cos()).round(),
                    (100.0 - f64::from(event) / 10.0).round(),
                    home.0 + (at.sin() * 1e4).round() / 1e6,
                    home.1 + (at.cos() * 1e4).round() / 1e6,
                ];
                for (column, value) in values.iter_mut().zip(row) {
                    column.push(value);
                }
            }
        }
        let batch = batch(&ids, &entities, times, values)?;
        let aggregates = Aggregates::of(&batch, kind)?;
        Ok((lake::parts::to_parquet(&batch)?, aggregates))
    }
}

/// Puts the Parquet of an hour's statistics, which count the parts up to a commit.
async fn put_aggregates(
    lake: &Lake,
    aggregates: &Aggregates,
    kind: &Kind,
    hour: Hour,
    commit: u64,
) -> anyhow::Result<()> {
    let file = AggregateFile::of(aggregates, kind, hour).to_parquet(commit)?;
    let key = aggregate_key(hour, &kind.name, "parquet");
    let metadata = HashMap::from([(COMMIT.to_owned(), commit.to_string())]);
    let content_type = "application/vnd.apache.parquet";
    let put = lake.put(&key, file, content_type, metadata, Condition::Always);
    put.await?;
    Ok(())
}

async fn put_json(lake: &Lake, key: &str, value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_vec(value)?;
    let kind = "application/json";
    lake.put(
        key,
        text.into(),
        kind,
        Default::default(),
        Condition::Always,
    )
    .await?;
    Ok(())
}

fn batch(
    ids: &[String],
    entities: &[String],
    times: Vec<i64>,
    values: [Vec<f64>; SIGNALS.len()],
) -> anyhow::Result<RecordBatch> {
    let at = |unit| DataType::Timestamp(unit, Some("UTC".into()));
    let can_ids = vec![Some("0x1F0"); ids.len()];
    let received = times.iter().map(|time| time / 1000 + 40);
    let received = TimestampMillisecondArray::from_iter_values(received).with_timezone("UTC");
    let micros = TimestampMicrosecondArray::from(times).with_timezone("UTC");
    let mut fields = vec![
        Field::new("event_id", DataType::Utf8, false),
        Field::new("entity_id", DataType::Utf8, false),
        Field::new("event_time", at(TimeUnit::Microsecond), false),
        Field::new("ingest_received_at", at(TimeUnit::Millisecond), false),
        Field::new("can_id", DataType::Utf8, true),
    ];
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(ids)),
        Arc::new(StringArray::from_iter_values(entities)),
        Arc::new(micros),
        Arc::new(received),
        Arc::new(StringArray::from(can_ids)),
    ];
    let mut signals: Vec<_> = SIGNALS.into_iter().zip(values).collect();
    signals.sort_by_key(|(name, _)| *name);
    for (name, values) in signals {
        // As the aggregator says which signal a column holds.
        let signal = [("signal".to_owned(), name.to_owned())];
        let field = Field::new(name, DataType::Float64, true);
        fields.push(field.with_metadata(HashMap::from(signal)));
        columns.push(Arc::new(Float64Array::from(values)));
    }
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns,
    )?)
}

/// The hour's range of times, `number` hours after `start`.
pub(crate) fn hour(start: DateTime<Utc>, number: i64) -> Range<DateTime<Utc>> {
    let from = start + TimeDelta::hours(number);
    from..from + TimeDelta::hours(1)
}
