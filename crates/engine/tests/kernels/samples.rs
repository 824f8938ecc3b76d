//! Rows that hold one signal each, by name and value: what is answered of a name equals a recount of its samples.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use engine::kernels::{Ask, EntityFilter, Grouping, Groups, PointsAsk, ScanError, Value, Wanted};
use engine::read::ReadSettings;
use proptest::prelude::*;

use crate::block_on;
use crate::plain::HOUR;
use crate::stage::{Stage, hour};

/// Entity, time, name, value and labels, of which the first are none.
type Sample = (u8, i64, u8, f64, u8);

const NAMES: [&str; 4] = ["cpu", "CPU", "mem", "up"];
const LABELS: [Option<&str>; 3] = [None, Some(r#"{"code":"200"}"#), Some(r#"{"code":"500"}"#)];

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let sample = (0..4_u8, HOUR, 0..4_u8, -1e3..1e3_f64, 0..3_u8);
    prop::collection::vec(sample, 1..150)
}

/// The rows in the layout of `curated/`.
fn batch(samples: &[Sample]) -> RecordBatch {
    let mut samples = samples.to_vec();
    samples.sort_by_key(|(entity, time, ..)| (*entity, *time));
    let role = |name: &str, r#type, role: &str| {
        let long = HashMap::from([("long".to_owned(), role.to_owned())]);
        Field::new(name, r#type, true).with_metadata(long)
    };
    let micro = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let schema = Schema::new(vec![
        Field::new("event_id", DataType::Utf8, false),
        Field::new("entity_id", DataType::Utf8, false),
        Field::new("event_time", micro, false),
        role("metric", DataType::Utf8, "name"),
        role("reading", DataType::Float64, "value"),
        Field::new("tags", DataType::Utf8, true),
    ]);
    let ids = (0..samples.len()).map(|at| format!("e-{at}"));
    let entities = samples.iter().map(|(entity, ..)| format!("h-{entity}"));
    let times = samples.iter().map(|(_, time, ..)| *time);
    let times = TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC");
    let names = samples
        .iter()
        .map(|(_, _, name, ..)| NAMES[usize::from(*name)]);
    let values = samples.iter().map(|(_, _, _, value, _)| *value);
    let labels = samples
        .iter()
        .map(|(.., labels)| LABELS[usize::from(*labels)]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(ids)),
        Arc::new(StringArray::from_iter_values(entities)),
        Arc::new(times),
        Arc::new(StringArray::from_iter_values(names)),
        Arc::new(Float64Array::from_iter_values(values)),
        Arc::new(labels.collect::<StringArray>()),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

/// Count, least and greatest value, and the last one with its time.
type Counted = (u64, f64, f64, (i64, f64));

/// What is known of each bucket, entity and asked name.
fn recount(
    samples: &[Sample],
    asked: &[&str],
    step: i64,
) -> BTreeMap<(i64, String, usize), Counted> {
    let mut groups: BTreeMap<_, Counted> = BTreeMap::new();
    for (entity, time, name, value, _) in samples {
        for (at, _) in asked
            .iter()
            .enumerate()
            .filter(|(_, asked)| **asked == NAMES[usize::from(*name)])
        {
            let key = (time.div_euclid(step) * step, format!("h-{entity}"), at);
            let none = (
                0,
                f64::INFINITY,
                f64::NEG_INFINITY,
                (i64::MIN, f64::NEG_INFINITY),
            );
            let group = groups.entry(key).or_insert(none);
            group.0 += 1;
            group.1 = group.1.min(*value);
            group.2 = group.2.max(*value);
            if (*time, *value) > group.3 {
                group.3 = (*time, *value);
            }
        }
    }
    groups
}

/// What the series of each bucket, entity and asked name grow by, from each value to the next.
fn growths(
    samples: &[Sample],
    asked: &[&str],
    bucket: impl Fn(i64) -> i64,
    by_entity: bool,
) -> BTreeMap<(i64, Option<String>, usize), f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(|a, b| (a.1.cmp(&b.1)).then(a.3.total_cmp(&b.3)));
    let (mut last, mut groups) = (HashMap::new(), BTreeMap::new());
    for (entity, time, name, value, labels) in sorted {
        let Some(before) = last.insert((entity, name, labels), value) else {
            continue;
        };
        let grown = if value < before {
            value
        } else {
            value - before
        };
        let is_it = |asked: &&str| *asked == NAMES[usize::from(name)];
        for (at, _) in asked.iter().enumerate().filter(|(_, asked)| is_it(asked)) {
            let entity = by_entity.then(|| format!("h-{entity}"));
            *groups.entry((bucket(time), entity, at)).or_default() += grown;
        }
    }
    groups
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn counters_grow_by_series_however_samples_are_spread(
        one in samples(), two in samples(), hot in samples(),
        step in prop::option::of(prop::sample::select(vec![60_000_000_i64, 600_000_000])), by_entity in any::<bool>(),
    ) {
        let all = [&one[..], &two[..], &hot[..]].concat();
        let asked = ["cpu", "up", "none"];
        let ask = Arc::new(Ask {
            signals: asked.map(str::to_owned).to_vec(),
            times: HOUR,
            entities: EntityFilter::All,
        });
        let grouping = Grouping { step, by_entity };
        let found = block_on(async {
            let mut stage = Stage::new(ReadSettings::default()).await;
            let mut parts = Vec::new();
            for part in [&one, &two] {
                parts.push(stage.put(lake::parts::to_parquet(&batch(part)).unwrap()).await);
            }
            let data = vec![hour(parts, vec![batch(&hot)])];
            let mut groups = Groups::new(grouping, Wanted::default(), asked.len(), 10_000);
            let scanner = &stage.scanner;
            let few = scanner.add_increases(&mut groups, &data, &ask, grouping, Some("tags"), 0).await;
            assert!(matches!(few, Ok(()) | Err(ScanError::TooManyGroups { most: 0 })));
            scanner.add_increases(&mut groups, &data, &ask, grouping, Some("tags"), 10_000).await.unwrap();
            let mut found = BTreeMap::new();
            for (group, _, stats) in groups.iter() {
                for (at, stat) in stats.iter().enumerate() {
                    if let Some(increase) = stat.increase() {
                        found.insert((group.bucket, group.entity.map(|entity| entity.to_string()), at), increase);
                    }
                }
            }
            found
        });
        let bucket = |time: i64| step.map_or(HOUR.start, |step| time.div_euclid(step) * step);
        let expected = growths(&all, &asked, bucket, by_entity);
        prop_assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (key, increase) in found {
            prop_assert!((increase - expected[&key]).abs() < 1e-6, "{key:?}: {increase}, not {}", expected[&key]);
        }
    }

    #[test]
    fn what_is_answered_of_a_name_is_a_recount_of_its_samples(
        part in samples(), hot in samples(), step in prop::sample::select(vec![600_000_000_i64, 3_600_000_000]),
    ) {
        let all = [&part[..], &hot[..]].concat();
        let asked = ["cpu", "up", "none", "CPU"];
        let ask = Arc::new(Ask {
            signals: asked.map(str::to_owned).to_vec(),
            times: HOUR,
            entities: EntityFilter::All,
        });
        block_on(async {
            let mut stage = Stage::new(ReadSettings::default()).await;
            let stored = stage.put(lake::parts::to_parquet(&batch(&part)).unwrap()).await;
            let data = vec![hour(vec![stored], vec![batch(&hot)])];
            let grouping = Grouping { step: Some(step), by_entity: true };
            let wanted = Wanted { ends: true, ..Wanted::default() };
            let groups = stage.scanner.groups(&data, &ask, grouping, wanted, 10_000).await.unwrap();
            let mut found = BTreeMap::new();
            for (group, _, stats) in groups.iter() {
                for (at, stat) in stats.iter().enumerate().filter(|(_, stat)| stat.count > 0) {
                    let (time, Value::Number(last)) = stat.last().unwrap() else { panic!("a text") };
                    let counted = (stat.count, stat.min().unwrap(), stat.max().unwrap(), (*time, *last));
                    found.insert((group.bucket, group.entity.unwrap().to_string(), at), counted);
                }
            }
            assert_eq!(found, recount(&all, &asked, step));

            let points = stage.scanner.points(&data, &ask, PointsAsk { most: 10_000, from: None }).await.unwrap();
            let expected = all.iter().map(|(_, _, name, ..)| {
                let name = NAMES[usize::from(*name)];
                asked.iter().filter(|asked| **asked == name).count()
            });
            assert_eq!(points.len(), expected.sum::<usize>());
            assert!(points.is_sorted_by(|a, b| a.place <= b.place));

            let names = stage.scanner.signal_names(&data).await.unwrap();
            let expected = all.iter().map(|(_, _, name, ..)| NAMES[usize::from(*name)].to_owned());
            assert_eq!(names.names, expected.collect::<BTreeSet<_>>());
            assert!(!names.has_others);
        });
    }

    #[test]
    fn every_event_counts_where_a_name_is_asked_for(part in samples()) {
        let ask = Arc::new(Ask {
            signals: vec!["cpu".to_owned()],
            times: HOUR,
            entities: EntityFilter::All,
        });
        let has_cpu = part.iter().any(|(_, _, name, ..)| *name == 0);
        block_on(async {
            let mut stage = Stage::new(ReadSettings::default()).await;
            let stored = stage.put(lake::parts::to_parquet(&batch(&part)).unwrap()).await;
            let data = vec![hour(vec![stored], Vec::new())];
            let (one, wanted) = (Grouping::default(), Wanted::default());
            let groups = stage.scanner.groups(&data, &ask, one, wanted, 10).await.unwrap();
            let events: u64 = groups.iter().map(|(_, events, _)| events).sum();
            // A part without the name is passed over.
            assert_eq!(events, if has_cpu { part.len() as u64 } else { 0 });
        });
    }
}
