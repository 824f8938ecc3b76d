//! Events as plain rows: made up, written as parts or hot rows, and counted again without columns.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow::datatypes::{Field, Schema};
use bytes::Bytes;
use engine::kernels::{Grouping, Value};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;

/// The hour of all events: 2025-10-04T12, in microseconds.
pub(crate) const HOUR: Range<i64> = 1_759_579_200_000_000..1_759_582_800_000_000;

/// Names of what can be asked for.
pub(crate) const SIGNALS: [&str; 5] = ["speed", "brake", "level", "schema_version", "odd"];

/// An event.
#[derive(Debug, Clone)]
pub(crate) struct Plain {
    pub(crate) entity: String,
    pub(crate) time: i64,
    pub(crate) speed: Option<f64>,
    pub(crate) brake: Option<bool>,
    /// A number in some events, a text in others.
    pub(crate) level: Option<Value>,
    /// A contract field of whole numbers.
    pub(crate) schema_version: Option<i64>,
    /// A signal that has no column.
    pub(crate) odd: Option<Value>,
}

pub(crate) fn plain() -> impl Strategy<Value = Plain> {
    let number = || prop_oneof![-1e3..1e3_f64, (-3..3_i8).prop_map(f64::from)];
    let speed = prop_oneof![8 => number(), 1 => Just(f64::NAN), 1 => Just(f64::INFINITY)];
    let either = || {
        prop_oneof![
            number().prop_map(Value::Number),
            "[a-c]{1,2}".prop_map(|text| Value::Text(text.into()))
        ]
    };
    // Few times, so that some are the same.
    let time = prop_oneof![
        HOUR,
        (0..60_i64).prop_map(|minute| HOUR.start + minute * 60_000_000)
    ];
    let values = (
        prop::option::of(speed),
        prop::option::of(any::<bool>()),
        prop::option::of(either()),
        prop::option::of(-3..4_i64),
        prop::option::weighted(0.2, either()),
    );
    (0..6_u8, time, values).prop_map(|(entity, time, values)| {
        let (speed, brake, level, schema_version, odd) = values;
        Plain {
            entity: format!("veh-{entity}"),
            time,
            speed,
            brake,
            level,
            schema_version,
            odd,
        }
    })
}

impl Plain {
    pub(crate) fn value(&self, signal: &str) -> Option<Value> {
        match signal {
            "speed" => self.speed.map(Value::Number),
            "brake" => self
                .brake
                .map(|brake| Value::Number(f64::from(u8::from(brake)))),
            "level" => self.level.clone(),
            "schema_version" => self
                .schema_version
                .map(|version| Value::Number(version as f64)),
            _ => self.odd.clone(),
        }
    }
}

/// The events as a batch of a part: sorted by entity and time, without columns that none of them fills.
pub(crate) fn batch(events: &[Plain]) -> RecordBatch {
    let mut events = events.to_vec();
    events.sort_by(|a, b| (&a.entity, a.time).cmp(&(&b.entity, b.time)));
    let number = |value: &Option<Value>| match value {
        Some(Value::Number(number)) => Some(*number),
        _ => None,
    };
    let text = |value: &Option<Value>| match value {
        Some(Value::Text(text)) => Some(text.to_string()),
        _ => None,
    };
    let more = |event: &Plain| {
        Some(match event.odd.as_ref()? {
            Value::Number(number) => serde_json::json!({"other": 1, "odd": number}).to_string(),
            Value::Text(text) => serde_json::json!({"odd": text.as_ref()}).to_string(),
        })
    };
    let ids = (0..events.len()).map(|at| format!("id-{at}"));
    let times = || events.iter().map(|event| event.time);
    let received = TimestampMillisecondArray::from_iter_values(times().map(|time| time / 1000));
    let of = |name: &str, signal: Option<&str>, array: ArrayRef| {
        let metadata = signal.map(|signal| ("signal".to_owned(), signal.to_owned()));
        let field = Field::new(
            name,
            array.data_type().clone(),
            signal.is_some() || name == "_more",
        );
        let metadata: HashMap<String, String> = metadata.into_iter().collect();
        (field.with_metadata(metadata), array)
    };
    let entities = events.iter().map(|event| event.entity.as_str());
    let micros = TimestampMicrosecondArray::from_iter_values(times()).with_timezone("UTC");
    let versions: Int64Array = events.iter().map(|event| event.schema_version).collect();
    let mut columns = vec![
        of(
            "event_id",
            None,
            Arc::new(StringArray::from_iter_values(ids)),
        ),
        of(
            "entity_id",
            None,
            Arc::new(StringArray::from_iter_values(entities)),
        ),
        of("event_time", None, Arc::new(micros)),
        of(
            "ingest_received_at",
            None,
            Arc::new(received.with_timezone("UTC")),
        ),
    ];
    let field = Field::new("schema_version", versions.data_type().clone(), true);
    columns.push((field, Arc::new(versions)));
    let levels: Float64Array = events.iter().map(|event| number(&event.level)).collect();
    let level_texts: StringArray = events.iter().map(|event| text(&event.level)).collect();
    let speeds: Float64Array = events.iter().map(|event| event.speed).collect();
    let brakes: BooleanArray = events.iter().map(|event| event.brake).collect();
    let more: StringArray = events.iter().map(more).collect();
    let optional = [
        of("Level", Some("Level"), Arc::new(levels)),
        of("Level__text", Some("Level"), Arc::new(level_texts)),
        of("brake", Some("brake"), Arc::new(brakes)),
        of("speed", Some("speed"), Arc::new(speeds)),
        of("_more", None, Arc::new(more)),
    ];
    let filled = optional
        .into_iter()
        .filter(|(_, array)| array.null_count() < array.len());
    columns.extend(filled);
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

/// The batch as a part with row groups of 20 rows and pages of 5.
pub(crate) fn part_of_small_pages(batch: &RecordBatch) -> Bytes {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(20))
        .set_data_page_row_count_limit(5)
        .set_write_batch_size(5)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap().into()
}

/// The values of one signal in one group.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) numbers: Vec<f64>,
    pub(crate) texts: u64,
    /// Times and values, ascending.
    pub(crate) all: Vec<(i64, Value)>,
}

impl Counted {
    pub(crate) fn count(&self) -> u64 {
        self.numbers.len() as u64 + self.texts
    }
}

/// Bucket and entity, then the number of events and the values of each signal.
pub(crate) type Recount = BTreeMap<(i64, Option<String>), (u64, HashMap<&'static str, Counted>)>;

/// Counts again, event by event.
pub(crate) fn recount(
    events: &[Plain],
    times: &Range<i64>,
    grouping: Grouping,
    takes: impl Fn(&str) -> bool,
) -> Recount {
    let mut groups = Recount::new();
    for event in events
        .iter()
        .filter(|event| times.contains(&event.time) && takes(&event.entity))
    {
        let bucket = match grouping.step {
            Some(step) => event.time - event.time.rem_euclid(step),
            None => times.start,
        };
        let entity = grouping.by_entity.then(|| event.entity.clone());
        let (events, signals) = groups.entry((bucket, entity)).or_default();
        *events += 1;
        for signal in SIGNALS {
            let Some(value) = event.value(signal) else {
                continue;
            };
            let counted = signals.entry(signal).or_default();
            match &value {
                Value::Number(number) => counted.numbers.push(*number),
                Value::Text(_) => counted.texts += 1,
            }
            counted.all.push((event.time, value));
        }
    }
    for (_, signals) in groups.values_mut() {
        for counted in signals.values_mut() {
            counted
                .all
                .sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        }
    }
    groups
}
