//! Whole hours from `aggregates/`: the same as from the events, or not used.

use std::sync::Arc;

use bytes::Bytes;
use contract::Kinds;
use engine::kernels::{Ask, EntityFilter, Group, Grouping, Groups, Stat, Wanted};
use engine::read::ReadSettings;
use engine::snapshot::{HourData, Part};
use lake::aggregates::{AggregateFile, Aggregates};
use proptest::prelude::*;

use crate::plain::{HOUR, Plain, batch, plain};
use crate::stage::{Stage, hour};
use crate::{block_on, entities, is_close, many};

/// Many events of few entities: their aggregates are less to read.
fn events() -> impl Strategy<Value = Vec<Plain>> {
    let event = plain().prop_map(|mut event| {
        // No event that was posted has another speed.
        event.speed = event.speed.filter(|speed| speed.is_finite());
        let number = event.entity.bytes().map(usize::from).sum::<usize>() % 2;
        event.entity = format!("veh-{number}");
        event
    });
    prop::collection::vec(event, 150..400)
}

/// The statistics of these parts, as the aggregator would write them.
fn aggregates(parts: &[Vec<Plain>], commit: u64) -> Bytes {
    let kinds = Kinds::builtin();
    let kind = kinds.get("vehicle").unwrap();
    let mut sum = Aggregates::default();
    for part in parts {
        sum.merge(&Aggregates::of(&batch(part), kind).unwrap());
    }
    let file = AggregateFile::of(&sum, kind, hour(Vec::new(), Vec::new()).hour);
    file.to_parquet(commit).unwrap()
}

async fn put_aggregates(stage: &Stage, file: Bytes) -> Part {
    let hour = hour(Vec::new(), Vec::new()).hour;
    let key = contract::aggregate_key(hour, "vehicle", "parquet");
    stage.put_at(&key, file).await
}

fn ask(signals: &[&str], entities: EntityFilter) -> Arc<Ask> {
    Arc::new(Ask {
        signals: signals.iter().map(|signal| (*signal).to_owned()).collect(),
        times: HOUR,
        entities,
    })
}

const WANTED: Wanted = Wanted {
    spread: true,
    quantiles: true,
    exact: false,
    ends: false,
};

/// The groups that have a value, in order.
fn sorted(groups: &Groups) -> Vec<(i64, String, Vec<Stat>)> {
    let with_values = groups
        .iter()
        .filter(|(_, _, stats)| stats.iter().any(|stat| stat.count > 0));
    let entity = |group: Group<'_>| group.entity.map_or(String::new(), |id| id.to_string());
    let mut all: Vec<_> = with_values
        .map(|(group, _, stats)| (group.bucket, entity(group), stats.to_vec()))
        .collect();
    all.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    all
}

fn check_same(one: &Groups, two: &Groups) {
    let (one, two) = (sorted(one), sorted(two));
    assert_eq!(one.len(), two.len());
    for ((time, entity, of_one), (other_time, other_entity, of_two)) in one.iter().zip(&two) {
        assert_eq!((time, entity), (other_time, other_entity));
        for (one, two) in of_one.iter().zip(of_two) {
            assert_eq!(one.count, two.count);
            assert_eq!((one.min(), one.max()), (two.min(), two.max()));
            assert!(is_close(one.avg(), two.avg(), 1e3), "{one:?} {two:?}");
            assert!(is_close(one.sum(), two.sum(), 1e3 * one.count as f64));
            assert!(is_close(one.stddev(), two.stddev(), 1e3), "{one:?} {two:?}");
            for q in [0.5, 0.95, 0.99] {
                assert!(is_close(one.quantile(q), two.quantile(q), 1e3));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_hours_aggregates_say_what_its_events_say(
        parts in prop::collection::vec(events(), 1..3),
        hot in prop::option::of(events()),
        entities in entities(),
        signals in prop::sample::subsequence(vec!["speed", "brake", "LEVEL", "odd", "schema_version"], 1..4),
        step in prop::option::of(prop::sample::select(vec![300_000_000, 3_600_000_000, 7_200_000_000_i64])),
        by_entity in any::<bool>(),
        counted in 0..4_u64,
    ) {
        block_on(async {
            let mut stage = Stage::new(ReadSettings::default()).await;
            let mut listed = Vec::new();
            for part in &parts {
                listed.push(stage.put(lake::parts::to_parquet(&batch(part)).unwrap()).await);
            }
            // Of commits after the snapshot, or before its last one, it counts other events.
            let file = aggregates(&parts[..parts.len().min(counted as usize)], counted);
            put_aggregates(&stage, file).await;
            let hot: Vec<_> = hot.iter().map(|events| batch(events)).collect();
            let hours = [hour(listed, hot)];
            let ask = ask(&signals, entities.clone());
            let grouping = Grouping { step, by_entity };
            let of = ("vehicle", parts.len() as u64);
            let exact = stage.scanner.groups(&hours, &ask, grouping, WANTED, 10_000).await.unwrap();
            let fast = stage.scanner.groups_by_hours(of, &hours, &ask, grouping, WANTED, 10_000);
            check_same(&fast.await.unwrap(), &exact);
        });
    }
}

async fn count(stage: &Stage, commit: u64, hours: &[HourData], wanted: Wanted) -> u64 {
    let ask = ask(&["speed"], EntityFilter::All);
    let (of, grouping) = (("vehicle", commit), Grouping::default());
    let groups = stage
        .scanner
        .groups_by_hours(of, hours, &ask, grouping, wanted, 100);
    let groups = groups.await.unwrap();
    groups.iter().map(|(_, _, stats)| stats[0].count).sum()
}

#[test]
fn aggregates_answer_where_they_count_the_parts_of_the_snapshot() {
    block_on(async {
        let mut stage = Stage::new(ReadSettings::default()).await;
        let (events, wanted) = (many(1000), Wanted::default());
        let part = stage
            .put(lake::parts::to_parquet(&batch(&events)).unwrap())
            .await;
        let hours = [hour(vec![part], Vec::new())];
        assert_eq!(count(&stage, 1, &hours, wanted).await, 1000);
        // A file that tells less than the part has shows which of the two was read.
        let of_some = aggregates(&[many(999)], 1);
        stage.scanner = Stage::scanner_of(&stage.lake, ReadSettings::default());
        put_aggregates(&stage, of_some).await;
        assert_eq!(count(&stage, 1, &hours, wanted).await, 999);
        let ends = Wanted {
            ends: true,
            ..wanted
        };
        assert_eq!(count(&stage, 1, &hours, ends).await, 1000);
        let exact = Wanted {
            exact: true,
            ..wanted
        };
        assert_eq!(count(&stage, 1, &hours, exact).await, 1000);
        // Replaced since it was listed: its events are read, and the next question finds the new one.
        put_aggregates(&stage, aggregates(&[many(998)], 1)).await;
        stage.scanner = Stage::scanner_of(&stage.lake, ReadSettings::default());
        assert_eq!(count(&stage, 1, &hours, wanted).await, 998);
        // Of a later commit: it may count what the snapshot does not have.
        put_aggregates(&stage, aggregates(&[many(997)], 2)).await;
        stage.scanner = Stage::scanner_of(&stage.lake, ReadSettings::default());
        assert_eq!(count(&stage, 1, &hours, wanted).await, 1000);
        // No aggregates at all.
        put_aggregates(&stage, Bytes::from_static(b"no Parquet")).await;
        stage.scanner = Stage::scanner_of(&stage.lake, ReadSettings::default());
        assert_eq!(count(&stage, 1, &hours, wanted).await, 1000);
    });
}

#[test]
fn a_replaced_object_of_aggregates_is_read_the_next_time() {
    block_on(async {
        // Without room nothing is kept but the list of objects.
        let nothing = ReadSettings {
            chunk_bytes: 0,
            footer_bytes: 0,
        };
        let mut stage = Stage::new(nothing).await;
        let part = lake::parts::to_parquet(&batch(&many(1000))).unwrap();
        let hours = [hour(vec![stage.put(part).await], Vec::new())];
        let wanted = Wanted::default();
        put_aggregates(&stage, aggregates(&[many(999)], 1)).await;
        assert_eq!(count(&stage, 1, &hours, wanted).await, 999);
        put_aggregates(&stage, aggregates(&[many(998)], 1)).await;
        assert_eq!(count(&stage, 1, &hours, wanted).await, 1000);
        assert_eq!(count(&stage, 1, &hours, wanted).await, 998);
    });
}

#[test]
fn exact_percentiles_are_of_the_values_and_bounded() {
    block_on(async {
        let mut stage = Stage::new(ReadSettings::default()).await;
        let part = lake::parts::to_parquet(&batch(&many(3000))).unwrap();
        let hours = [hour(vec![stage.put(part).await], Vec::new())];
        let wanted = Wanted {
            exact: true,
            ..WANTED
        };
        let (ask, whole) = (ask(&["speed"], EntityFilter::All), Grouping::default());
        let groups = stage
            .scanner
            .groups(&hours, &ask, whole, wanted, 1000)
            .await;
        let groups = groups.unwrap();
        let (_, _, stats) = groups.iter().next().unwrap();
        assert_eq!(stats[0].quantile(0.5), Some(1499.5));
        assert!(!stats[0].is_approximate());
        let refused = stage.scanner.groups(&hours, &ask, whole, wanted, 20).await;
        assert!(refused.unwrap_err().to_string().contains("20 groups"));
    });
}
