//! The reader on a lake that the aggregator made, and on the same lake with something planted.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;

use aws::{Aws, Condition, Lake};
use bytes::Bytes;
use chaos::Reader;
use chrono::{DateTime, Utc};
use contract::{Hour, Kinds, aggregate_key, curated_key};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const RECEIVED: &str = "2026-11-21T13:40:00.000Z";

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn hour() -> Hour {
    Hour::of(time(RECEIVED))
}

fn part(commit: u64) -> String {
    curated_key("vehicle", hour(), commit)
}

fn aggregates() -> String {
    aggregate_key(hour(), "vehicle", "parquet")
}

struct World {
    _cloud: local_aws::LocalAws,
    aws: Aws,
    lake: Lake,
    reader: Reader,
}

impl World {
    /// A lake in which two commits have been made, and a reader that has looked after each.
    async fn new() -> World {
        let cloud = local_aws::LocalAws::in_process();
        let aws = Aws::emulated(cloud.http_client(), cloud.endpoint());
        aws::setup::create_bucket(&aws, "lake").await.unwrap();
        let lake = aws.lake("lake");
        let mut world = World {
            _cloud: cloud,
            reader: Reader::new(lake.clone(), Arc::new(Kinds::builtin())),
            aws,
            lake,
        };
        world.reader.look().await.unwrap();
        for commit in 1..=2 {
            world.commit(commit).await;
            assert_eq!(world.look().await, Vec::<String>::new());
        }
        assert_eq!(world.reader.objects(), (2, 2));
        assert_eq!(world.reader.events(), 6);
        world
    }

    /// Three events of one vehicle, taken in by the aggregator.
    async fn commit(&self, commit: u64) {
        let kinds = Kinds::builtin();
        let mut lines = Vec::new();
        for number in 0..3 {
            let text = format!(
                r#"{{"timestamp":"2026-11-21T13:0{commit}:0{number}Z","vehicle_id":"veh-1","can_id":"0x1F0","payload":{{"engine_rpm":{}}}}}"#,
                1_000 * commit + number
            );
            let event = contract::parse_sent(&kinds, None, &text, time(RECEIVED)).unwrap();
            contract::write_line(&mut lines, &event, RECEIVED, &text);
        }
        let key = contract::raw_key(hour(), Uuid::from_u64_pair(0, commit));
        self.put(&key, lines, HashMap::new()).await;
        let config = aggregator::Config {
            full: true,
            ..aggregator::Config::for_bucket("lake")
        };
        let stop = CancellationToken::new();
        let summary = aggregator::once(&config, &self.aws, &stop, &()).await;
        assert_eq!(summary.unwrap().events, 3);
    }

    async fn put(&self, key: &str, body: Vec<u8>, metadata: HashMap<String, String>) {
        self.lake
            .put(key, body.into(), "x", metadata, Condition::Always)
            .await
            .unwrap();
    }

    async fn get(&self, key: &str) -> Bytes {
        self.lake.get(key).await.unwrap().unwrap().body
    }

    async fn delete(&self, key: String) {
        self.lake.delete(&[key]).await.unwrap();
    }

    async fn look(&mut self) -> Vec<String> {
        self.reader.look().await.unwrap();
        self.reader.findings().named().to_vec()
    }
}

#[tokio::test]
async fn a_lake_that_grows_as_it_must_has_no_findings_at_any_look() {
    let mut world = World::new().await;
    world.reader.last_look().await.unwrap();
    assert!(world.reader.findings().is_empty());
    assert_eq!(world.reader.looks(), 4);
}

#[tokio::test]
async fn an_event_that_stands_twice_is_found() {
    let mut world = World::new().await;
    let copy = world.get(&part(1)).await;
    world.put(&part(3), copy.into(), HashMap::new()).await;
    let findings = world.look().await;
    assert_eq!(findings.len(), 3, "{findings:?}");
    assert!(
        findings[0].contains("stands twice") && findings[0].contains(&part(3)),
        "{findings:?}"
    );
}

#[tokio::test]
async fn aggregates_that_count_what_is_not_there_yet_are_found() {
    let world = World::new().await;
    // As if the aggregates were written before the part.
    let (counted, later) = (world.get(&aggregates()).await, world.get(&part(2)).await);
    let mut fresh = Reader::new(world.lake.clone(), Arc::new(Kinds::builtin()));
    world.delete(part(2)).await;
    fresh.look().await.unwrap();
    let findings = fresh.findings().to_string();
    assert!(
        findings.contains("count 6 rather than 3") && findings.contains(&aggregates()),
        "{findings}"
    );
    // And as if the metadata said less than the rows.
    world.put(&part(2), later.into(), HashMap::new()).await;
    let metadata = HashMap::from([("commit".to_owned(), "1".to_owned())]);
    let jsonl = aggregate_key(hour(), "vehicle", "jsonl");
    world.delete(jsonl).await;
    world.put(&aggregates(), counted.into(), metadata).await;
    let mut fresh = Reader::new(world.lake.clone(), Arc::new(Kinds::builtin()));
    fresh.look().await.unwrap();
    assert!(
        fresh
            .findings()
            .to_string()
            .contains("count 6 rather than 3"),
        "{}",
        fresh.findings()
    );
}

#[tokio::test]
async fn aggregates_that_go_back_or_go_away_are_found() {
    let mut world = World::new().await;
    let jsonl = aggregate_key(hour(), "vehicle", "jsonl");
    let metadata = HashMap::from([("commit".to_owned(), "1".to_owned())]);
    world.put(&jsonl, Vec::new(), metadata).await;
    let findings = world.look().await;
    assert!(
        findings
            .iter()
            .any(|finding| finding.contains("went back from commit 2 to 1")),
        "{findings:?}"
    );
    world.delete(aggregates()).await;
    let findings = world.look().await.join("\n");
    assert!(findings.contains("was there and is gone"), "{findings}");
    assert!(findings.contains("and the Parquet less"), "{findings}");
}

#[tokio::test]
async fn a_part_that_is_cut_off_changed_or_gone_is_found_and_said_once() {
    let mut world = World::new().await;
    let whole = world.get(&part(2)).await;
    world
        .put(&part(3), whole[..whole.len() / 2].to_vec(), HashMap::new())
        .await;
    let findings = world.look().await;
    assert!(
        findings.len() == 1 && findings[0].contains(&part(3)),
        "{findings:?}"
    );
    // As long as before, and another all the same.
    let mut other: Vec<u8> = whole.into();
    other.reverse();
    world.put(&part(2), other, HashMap::new()).await;
    world.delete(part(1)).await;
    for _ in 0..2 {
        let findings = world.look().await;
        assert_eq!(findings.len(), 3, "{findings:?}");
        let gone = format!("`{}` was there and is gone", part(1));
        let other = format!("`{}` is another", part(2));
        assert!(findings.contains(&gone), "{findings:?}");
        assert!(findings[2].contains(&other), "{findings:?}");
    }
}

#[tokio::test]
async fn aggregates_that_lag_are_no_finding_until_nobody_writes() {
    let mut world = World::new().await;
    let (parquet, jsonl) = (aggregates(), aggregate_key(hour(), "vehicle", "jsonl"));
    let before = [world.get(&parquet).await, world.get(&jsonl).await];
    world.commit(3).await;
    for (key, body) in [parquet, jsonl].iter().zip(before) {
        let metadata = HashMap::from([("commit".to_owned(), "2".to_owned())]);
        world.put(key, body.into(), metadata).await;
    }
    assert_eq!(world.look().await, Vec::<String>::new());
    assert_eq!(world.reader.behind(), [("vehicle".to_owned(), hour())]);
    world.reader.last_look().await.unwrap();
    let findings = world.reader.findings().to_string();
    assert!(findings.contains("do not count all parts"), "{findings}");
}
