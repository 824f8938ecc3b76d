//! Our own kernels over parts in S3 and hot rows: what they answer equals a recount of the plain events, however these
//! are spread; and what they do with parts that are gone or broken.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod faults;
mod hours;
mod plain;
mod samples;
mod stage;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Field, Float64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use engine::kernels::{
    Ask, EntityFilter, Grouping, PointsAsk, RowsAsk, Stat, Value, Wanted, shares,
};
use engine::read::ReadSettings;
use engine::snapshot::HourData;
use futures::TryStreamExt;
use plain::{Counted, HOUR, Plain, SIGNALS, batch, part_of_small_pages, plain, recount};
use proptest::prelude::*;
use stage::{Stage, hour};

/// How some of the events are stored.
#[derive(Debug, Clone, Copy)]
enum Store {
    Part,
    SmallPages,
    Hot,
}

fn spread() -> impl Strategy<Value = Vec<(Store, Vec<Plain>)>> {
    let store = prop_oneof![Just(Store::Part), Just(Store::SmallPages), Just(Store::Hot)];
    prop::collection::vec((store, prop::collection::vec(plain(), 0..120)), 0..5)
}

async fn stored(stage: &mut Stage, spread: &[(Store, Vec<Plain>)]) -> Vec<HourData> {
    let (mut parts, mut hot) = (Vec::new(), Vec::new());
    for (store, events) in spread.iter().filter(|(_, events)| !events.is_empty()) {
        let batch = batch(events);
        match store {
            Store::Hot => hot.push(batch),
            Store::Part => parts.push(stage.put(lake::parts::to_parquet(&batch).unwrap()).await),
            Store::SmallPages => parts.push(stage.put(part_of_small_pages(&batch)).await),
        }
    }
    vec![hour(parts, hot)]
}

fn times() -> impl Strategy<Value = Range<i64>> {
    let whole = HOUR.start - 1_000_000_000..HOUR.end + 1_000_000_000;
    let some = (whole.clone(), whole.clone()).prop_map(|(a, b)| a.min(b)..a.max(b) + 1);
    prop_oneof![Just(HOUR), some]
}

fn entities() -> impl Strategy<Value = EntityFilter> {
    prop_oneof![
        2 => Just(EntityFilter::All),
        1 => (0..8_u8).prop_map(|entity| EntityFilter::One(format!("veh-{entity}"))),
        1 => Just(EntityFilter::Prefix("veh-".to_owned())),
    ]
}

fn takes(filter: &EntityFilter) -> impl Fn(&str) -> bool {
    move |entity| match filter {
        EntityFilter::All => true,
        EntityFilter::One(one) => one == entity,
        EntityFilter::Prefix(prefix) => entity.starts_with(prefix.as_str()),
    }
}

fn is_close(found: Option<f64>, expected: Option<f64>, scale: f64) -> bool {
    match (found, expected) {
        (Some(found), Some(expected)) if expected.is_finite() => {
            (found - expected).abs() <= 1e-9 * scale.max(1.0)
        }
        (Some(found), Some(expected)) => found == expected || found.is_nan() && expected.is_nan(),
        (found, expected) => found == expected,
    }
}

fn check(stat: &Stat, expected: &Counted) {
    assert_eq!(stat.count, expected.count());
    // As text, for NaN does not equal itself.
    let text = |end: Option<&(i64, Value)>| format!("{end:?}");
    assert_eq!(text(stat.first()), text(expected.all.first()));
    assert_eq!(text(stat.last()), text(expected.all.last()));
    let numbers = &expected.numbers;
    let some = |value: f64| (!numbers.is_empty()).then_some(value);
    let scale = numbers.iter().filter(|number| number.is_finite());
    let scale = scale.map(|number| number.abs()).sum::<f64>();
    let sum = numbers.iter().sum::<f64>();
    assert!(is_close(stat.sum(), some(sum), scale), "{stat:?} {sum}");
    assert!(is_close(
        stat.avg(),
        some(sum / numbers.len() as f64),
        scale
    ));
    // NaN is greater than any number.
    let mut sorted = numbers.clone();
    sorted.sort_by(f64::total_cmp);
    assert!(is_close(stat.min(), sorted.first().copied(), 0.0));
    assert!(is_close(stat.max(), sorted.last().copied(), 0.0));
    let mean = sum / numbers.len() as f64;
    let squares = numbers
        .iter()
        .map(|number| (number - mean).powi(2))
        .sum::<f64>();
    let stddev = (squares / (numbers.len() as f64 - 1.0)).sqrt();
    let stddev = (numbers.len() > 1).then_some(stddev);
    if numbers.iter().all(|number| number.is_finite()) {
        assert!(
            is_close(stat.stddev(), stddev, scale),
            "{stat:?} {stddev:?}"
        );
    } else {
        assert!(stat.stddev().is_none_or(|stddev| !stddev.is_finite()));
    }
    let finite: Vec<f64> = sorted
        .into_iter()
        .filter(|number| number.is_finite())
        .collect();
    for q in [0.5, 0.95, 0.99] {
        let exact = contract::percentile(&finite, q);
        if stat.is_approximate() {
            let (found, exact) = (stat.quantile(q).unwrap(), exact.unwrap());
            // Ranks lie between two values that are each read to within 0.4 %.
            assert!((found - exact).abs() <= 8.0, "{q}: {found} for {exact}");
        } else {
            assert!(
                is_close(stat.quantile(q), exact, 0.0),
                "{q}: {stat:?} {exact:?}"
            );
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

fn ask(times: &Range<i64>, entities: &EntityFilter) -> Arc<Ask> {
    Arc::new(Ask {
        signals: SIGNALS.map(str::to_owned).to_vec(),
        times: times.clone(),
        entities: entities.clone(),
    })
}

const ALL: Wanted = Wanted {
    spread: true,
    quantiles: true,
    exact: false,
    ends: true,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn groups_equal_a_recount_however_events_are_spread(
        spread in spread(),
        times in times(),
        entities in entities(),
        step in prop::option::of(prop::sample::select(vec![1_000_000, 60_000_000, 300_000_000, 7_200_000_000_i64])),
        by_entity in any::<bool>(),
        ends in any::<bool>(),
    ) {
        let grouping = Grouping { step, by_entity };
        let events: Vec<Plain> = spread.iter().flat_map(|(_, events)| events.clone()).collect();
        let expected = recount(&events, &times, grouping, takes(&entities));
        let wanted = Wanted { ends, ..ALL };
        let groups = block_on(async {
            let mut stage = Stage::new(ReadSettings::default()).await;
            let hours = stored(&mut stage, &spread).await;
            stage.scanner.groups(&hours, &ask(&times, &entities), grouping, wanted, 100_000).await.unwrap()
        });
        let mut seen = 0;
        for (group, events, stats) in groups.iter() {
            let key = (group.bucket, group.entity.map(|entity| entity.to_string()));
            let Some((expected_events, signals)) = expected.get(&key) else {
                panic!("{key:?} is no group");
            };
            // A part without any column of the signals is not read.
            prop_assert!(events <= *expected_events);
            for (signal, stat) in SIGNALS.iter().zip(stats) {
                let none = Counted::default();
                let counted = signals.get(signal).unwrap_or(&none);
                if ends {
                    check(stat, counted);
                } else {
                    prop_assert_eq!(stat.count, counted.count());
                    prop_assert_eq!(stat.last(), None);
                }
            }
            seen += 1;
        }
        prop_assert_eq!(seen, groups.len());
        let with_values = expected.values().filter(|(_, signals)| !signals.is_empty()).count();
        prop_assert!(seen >= with_values);
    }

    #[test]
    fn points_are_the_first_in_order_however_events_are_spread(
        spread in spread(),
        times in times(),
        entities in entities(),
        most in 1..200_usize,
    ) {
        let events: Vec<Plain> = spread.iter().flat_map(|(_, events)| events.clone()).collect();
        let takes = takes(&entities);
        let mut expected = Vec::new();
        for event in events.iter().filter(|event| times.contains(&event.time) && takes(&event.entity)) {
            for (at, signal) in SIGNALS.iter().enumerate() {
                expected.extend(event.value(signal).map(|value| (event.time, event.entity.clone(), at, value)));
            }
        }
        expected.sort_by(|a, b| (a.0, &a.1, a.2).cmp(&(b.0, &b.1, b.2)).then(a.3.total_cmp(&b.3)));
        let points = block_on(async {
            let mut stage = Stage::new(ReadSettings::default()).await;
            let hours = stored(&mut stage, &spread).await;
            let ask = ask(&times, &entities);
            let first = stage.scanner.points(&hours, &ask, PointsAsk { most, from: None }).await.unwrap();
            let from = first.last().map(|point| point.place.clone());
            let rest = stage.scanner.points(&hours, &ask, PointsAsk { most: 10_000, from: from.clone() }).await.unwrap();
            let rest = rest.into_iter().filter(|point| from.as_ref().is_none_or(|from| point.place > *from));
            (first, rest.collect::<Vec<_>>())
        });
        let (first, rest) = points;
        let plain = |points: &[engine::kernels::Point]| -> Vec<String> {
            points.iter().map(|point| format!("{} {} {} {:?}", point.place.time, point.place.entity, point.place.signal, point.value)).collect()
        };
        let text: Vec<String> = expected.iter().map(|(time, entity, at, value)| format!("{time} {entity} {at} {value:?}")).collect();
        prop_assert_eq!(plain(&first), &text[..most.min(text.len())]);
        prop_assert!(text.ends_with(&plain(&rest)));
    }

    #[test]
    fn rows_are_those_of_the_times_and_entities_however_events_are_spread(
        spread in spread(),
        times in times(),
        entities in entities(),
        columns in prop::sample::subsequence(vec!["entity_id", "event_time", "speed"], 0..=3),
        streams in 1..3_usize,
    ) {
        let events = spread.iter().flat_map(|(_, events)| events);
        let takes = takes(&entities);
        let left = events.filter(|event| times.contains(&event.time) && takes(&event.entity));
        let mut expected: Vec<String> = left.map(|event| texts_of(event, &columns)).collect();
        expected.sort();
        let mut found = block_on(async {
            let mut stage = Stage::new(ReadSettings::default()).await;
            let hours = stored(&mut stage, &spread).await;
            let ask = RowsAsk {
                schema: schema_of(&columns),
                times: times.clone(),
                entities: entities.clone(),
            };
            let mut found = Vec::new();
            for share in shares(&hours, streams) {
                let mut rows = stage.scanner.rows(share, ask.clone());
                while let Some(batch) = rows.try_next().await.unwrap() {
                    found.extend((0..batch.num_rows()).map(|row| texts_in(&batch, row)));
                }
            }
            found
        });
        found.sort();
        prop_assert_eq!(found, expected);
    }
}

fn schema_of(columns: &[&str]) -> SchemaRef {
    let field = |name: &&str| match *name {
        "entity_id" => Field::new(*name, DataType::Utf8View, false),
        "event_time" => {
            let utc = Some("UTC".into());
            Field::new(
                *name,
                DataType::Timestamp(TimeUnit::Microsecond, utc),
                false,
            )
        }
        _ => Field::new(*name, DataType::Float64, true),
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// The values of these columns in an event, as text.
fn texts_of(event: &Plain, columns: &[&str]) -> String {
    let text = |column: &&str| match *column {
        "entity_id" => event.entity.clone(),
        "event_time" => event.time.to_string(),
        _ => format!("{:?}", event.speed),
    };
    columns.iter().map(text).collect::<Vec<_>>().join(" ")
}

/// The same of a row.
fn texts_in(batch: &RecordBatch, row: usize) -> String {
    let text = |column: &ArrayRef| match column.data_type() {
        DataType::Utf8View => column.as_string_view().value(row).to_owned(),
        DataType::Float64 => {
            let speeds = column.as_primitive::<Float64Type>();
            format!("{:?}", speeds.is_valid(row).then(|| speeds.value(row)))
        }
        _ => {
            let times = column.as_primitive::<TimestampMicrosecondType>();
            times.value(row).to_string()
        }
    };
    batch
        .columns()
        .iter()
        .map(text)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn events_are_counted_without_reading_a_column() {
    block_on(async {
        let mut stage = Stage::new(ReadSettings::default()).await;
        let events = many(1000);
        let part = stage.put(part_of_small_pages(&batch(&events))).await;
        let counting = Arc::new(Ask {
            signals: Vec::new(),
            times: HOUR,
            entities: EntityFilter::All,
        });
        let hours = [hour(vec![part], Vec::new())];
        let groups = stage.scanner.groups(
            &hours,
            &counting,
            Grouping::default(),
            Wanted::default(),
            10,
        );
        let groups = groups.await.unwrap();
        let counts: Vec<u64> = groups.iter().map(|(_, events, _)| events).collect();
        assert_eq!(counts, [1000]);
    });
}

/// Events of ten entities, one every second.
fn many(events: usize) -> Vec<Plain> {
    let event = |at: usize| Plain {
        entity: format!("veh-{:03}", at % 10),
        time: HOUR.start + at as i64 * 1_000_000,
        speed: Some(at as f64),
        brake: None,
        level: None,
        schema_version: Some(1),
        odd: None,
    };
    (0..events).map(event).collect()
}
