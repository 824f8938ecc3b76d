//! The service over a lake in this process: answers equal a recount of the events that were landed, while they are in
//! `raw/` only, once they are in `curated/`, and in between; and requests without an answer are told why.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hours;
mod refused;
mod samples;
mod sql;
mod stage;

use std::collections::BTreeMap;

use query::http::QuerySettings;
use serde_json::{Value, json};
use stage::Stage;

const HOUR: &str = "start=2025-10-04T12:00:00Z&end=2025-10-04T13:00:00Z";

/// A reading: entity, seconds after 12:00, engine speed, and what else is in the payload.
#[derive(Debug, Clone)]
struct Reading {
    entity: String,
    second: u32,
    rpm: u32,
    more: Value,
}

impl Reading {
    fn text(&self) -> String {
        let (minute, second) = (self.second / 60, self.second % 60);
        let mut payload = self.more.clone();
        payload["engine_rpm"] = json!(self.rpm);
        json!({
            "timestamp": format!("2025-10-04T12:{minute:02}:{second:02}.250Z"),
            "vehicle_id": self.entity,
            "can_id": "0x1F0",
            "payload": payload,
        })
        .to_string()
    }

    fn millis(&self) -> i64 {
        1_759_579_200_000 + i64::from(self.second) * 1000 + 250
    }
}

/// Readings of three vehicles, `from..until` of 3,600 made up ones.
fn readings(from: u32, until: u32) -> Vec<Reading> {
    let reading = |n: u32| {
        let more = match n % 4 {
            0 => json!({"brake_status": n.is_multiple_of(8)}),
            1 => json!({"level": n}),
            2 => json!({"level": format!("l{n}")}),
            _ => json!({}),
        };
        Reading {
            entity: format!("veh-{}", n % 3),
            second: n,
            rpm: 700 + n * 7919 % 5000,
            more,
        }
    };
    (from..until).map(reading).collect()
}

fn texts(readings: &[Reading]) -> Vec<String> {
    readings.iter().map(Reading::text).collect()
}

/// Every answer that the readings should have.
async fn check(stage: &Stage, all: &[Reading]) {
    let whole = format!("/query?name=engine_rpm&{HOUR}&agg=count,sum,min,max,avg,first,last");
    let answer = stage.ask(&whole).await;
    let sum: u32 = all.iter().map(|reading| reading.rpm).sum();
    let last = all.iter().max_by_key(|reading| reading.second).unwrap();
    let first = all.iter().min_by_key(|reading| reading.second).unwrap();
    let rpms = || all.iter().map(|reading| f64::from(reading.rpm));
    let values = json!({
        "count": all.len(), "sum": f64::from(sum), "avg": f64::from(sum) / all.len() as f64,
        "min": rpms().fold(f64::INFINITY, f64::min), "max": rpms().fold(0.0, f64::max),
        "first": f64::from(first.rpm), "last": f64::from(last.rpm),
    });
    assert_eq!(
        answer,
        json!({"name": "engine_rpm", "next": null, "points": [{"timestamp": 1_759_579_200_000_i64, "values": values, "kind": "vehicle"}]})
    );
    let mut groups: BTreeMap<(i64, &str), (u32, u32)> = BTreeMap::new();
    for reading in all {
        let bucket = reading.millis() / 300_000 * 300_000;
        let group = groups.entry((bucket, reading.entity.as_str())).or_default();
        *group = (group.0 + 1, group.1.max(reading.rpm));
    }
    let by_entity = format!("/query?name=engine_rpm&kind=vehicle&{HOUR}&step=5m&by=entity&agg=max");
    let expected = groups.iter().map(|((time, entity), (_, max))| {
        json!({"timestamp": time, "value": f64::from(*max), "kind": "vehicle", "entity_id": entity})
    });
    let answer = stage.ask(&by_entity).await;
    assert_eq!(answer["points"], expected.collect::<Value>());
    let one = format!("/query?name=engine_rpm&{HOUR}&entity=veh-1");
    let of_one = all.iter().filter(|reading| reading.entity == "veh-1");
    let mut expected: Vec<&Reading> = of_one.collect();
    expected.sort_by_key(|reading| reading.second);
    let point = |reading: &&Reading| json!({"timestamp": reading.millis(), "value": f64::from(reading.rpm), "kind": "vehicle", "entity_id": "veh-1"});
    assert_eq!(
        stage.ask(&one).await["points"],
        expected.iter().map(point).collect::<Value>()
    );
    let count = |signal: &str| {
        all.iter()
            .filter(|reading| reading.more.get(signal).is_some())
            .count()
    };
    for signal in ["brake_status", "level"] {
        let answer = stage
            .ask(&format!("/query?name={signal}&{HOUR}&agg=count"))
            .await;
        assert_eq!(
            answer["points"][0]["value"],
            json!(count(signal)),
            "{signal}"
        );
    }
}

#[tokio::test]
async fn answers_equal_a_recount_before_and_after_aggregation_and_in_between() {
    let mut stage = Stage::new(QuerySettings::default()).await;
    let (first, second) = (readings(0, 700), readings(650, 1300));
    stage.land("2025-10-04T13:00:01Z", &texts(&first)).await;
    stage.refresh().await;
    check(&stage, &first).await;
    stage.aggregate().await;
    check(&stage, &first).await;
    stage.refresh().await;
    check(&stage, &first).await;
    // Some of the second lot are the same events as in the first.
    stage.land("2025-10-04T13:10:01Z", &texts(&second)).await;
    stage.refresh().await;
    let all = readings(0, 1300);
    check(&stage, &all).await;
    stage.aggregate().await;
    stage.refresh().await;
    check(&stage, &all).await;
}

#[tokio::test]
async fn pages_give_each_point_once() {
    let mut stage = Stage::new(QuerySettings::default()).await;
    let (first, second) = (readings(0, 30), readings(30, 60));
    stage.land("2025-10-04T13:00:01Z", &texts(&first)).await;
    stage.aggregate().await;
    // Two events of one entity and time.
    let mut twin = second[7].clone();
    twin.rpm = 1;
    stage
        .land(
            "2025-10-04T13:10:01Z",
            &texts(&[&second[..], &[twin]].concat()),
        )
        .await;
    stage.refresh().await;
    for question in [
        "agg=sum&step=1m&by=entity",
        "step=10s&agg=max,p95",
        "name=level,engine_rpm,can_id",
        "",
    ] {
        let name = if question.contains("name=") {
            ""
        } else {
            "name=engine_rpm"
        };
        let path = format!("/query?{name}&{HOUR}&{question}");
        let whole = stage.ask(&path).await;
        for limit in [1, 2, 7] {
            let (mut points, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = stage.ask(&format!("{path}&limit={limit}{cursor}")).await;
                points.extend(page["points"].as_array().unwrap().clone());
                match page["next"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(json!(points), whole["points"], "{path} {limit}");
        }
    }
}

#[tokio::test]
async fn kinds_entities_latest_and_top_know_hot_rows_and_parts() {
    let mut stage = Stage::new(QuerySettings::default()).await;
    let all = readings(0, 100);
    stage.land("2025-10-04T13:00:01Z", &texts(&all[..60])).await;
    stage.aggregate().await;
    stage.land("2025-10-04T13:10:01Z", &texts(&all[60..])).await;
    stage.refresh().await;
    let kinds = stage.ask("/v1/kinds").await;
    let vehicle = &kinds["kinds"][0];
    assert_eq!(vehicle["name"], "vehicle");
    assert_eq!(vehicle["first"], 1_759_579_200_000_i64);
    assert_eq!(vehicle["until"], 1_759_582_800_000_i64);
    let signals = vehicle["signals"].as_array().unwrap();
    let of = |name: &str| {
        signals
            .iter()
            .find(|signal| signal["name"] == name)
            .unwrap()
    };
    assert_eq!(of("engine_rpm")["unit"], "rpm");
    assert_eq!(of("level"), &json!({"name": "level", "declared": false}));
    assert_eq!(kinds["kinds"][1]["first"], Value::Null);

    let entities = stage.ask("/v1/entities?kind=vehicle&prefix=veh-").await;
    assert_eq!(
        entities,
        json!({"kind": "vehicle", "entities": ["veh-0", "veh-1", "veh-2"], "next": null})
    );
    let entities = stage
        .ask("/v1/entities?kind=vehicle&limit=1&after=veh-0")
        .await;
    assert_eq!(
        (&entities["entities"], &entities["next"]),
        (&json!(["veh-1"]), &json!("veh-1"))
    );
    assert_eq!(
        stage.ask("/v1/entities?kind=pm").await["entities"],
        json!([])
    );

    let latest = stage.ask("/v1/latest?kind=vehicle&entity=veh-1").await;
    let last = |signal: &str| {
        let of = |reading: &&Reading| {
            reading.entity == "veh-1"
                && (signal == "engine_rpm" || reading.more.get(signal).is_some())
        };
        all.iter().rev().find(of).unwrap()
    };
    let entity = &latest["entities"][0];
    assert_eq!(entity["timestamp"], last("engine_rpm").millis());
    assert_eq!(
        entity["signals"]["engine_rpm"]["value"],
        f64::from(last("engine_rpm").rpm)
    );
    assert_eq!(
        entity["signals"]["level"]["value"].as_f64(),
        last("level").more["level"].as_f64()
    );
    assert_eq!(
        entity["signals"]["level"]["timestamp"],
        last("level").millis()
    );
    let three = stage.ask("/v1/latest?kind=vehicle&limit=2").await;
    assert_eq!(three["entities"].as_array().unwrap().len(), 2);
    assert_eq!(three["truncated"], true);
    assert_eq!(
        stage.ask("/v1/latest?kind=cell").await["entities"],
        json!([])
    );

    let top = stage
        .ask("/v1/top?kind=vehicle&signal=engine_rpm&agg=max&window=24h&n=2")
        .await;
    let mut expected: BTreeMap<&str, u32> = BTreeMap::new();
    for reading in &all {
        let most = expected.entry(&reading.entity).or_default();
        *most = reading.rpm.max(*most);
    }
    let mut expected: Vec<_> = expected.into_iter().collect();
    expected.sort_by_key(|(_, max)| std::cmp::Reverse(*max));
    let found = top["entities"].as_array().unwrap().iter();
    let found: Vec<_> = found
        .map(|entity| {
            (
                entity["entity_id"].as_str().unwrap(),
                entity["value"].as_f64().unwrap() as u32,
            )
        })
        .collect();
    assert_eq!(found, expected[..2]);
}

#[tokio::test]
async fn percentiles_say_whether_they_are_approximate() {
    let mut stage = Stage::new(QuerySettings::default()).await;
    let all = readings(0, 300);
    stage.land("2025-10-04T13:00:01Z", &texts(&all)).await;
    stage.refresh().await;
    let mut rpms: Vec<f64> = all.iter().map(|reading| f64::from(reading.rpm)).collect();
    rpms.sort_by(f64::total_cmp);
    let answer = stage
        .ask(&format!("/query?name=engine_rpm&{HOUR}&agg=p95"))
        .await;
    assert_eq!(answer["approximate"], true);
    let (found, exact) = (
        answer["points"][0]["value"].as_f64().unwrap(),
        contract::percentile(&rpms, 0.95).unwrap(),
    );
    assert!((found - exact).abs() <= exact * 0.01, "{found} for {exact}");
    let answer = stage
        .ask(&format!("/query?name=engine_rpm&{HOUR}&agg=p50&step=1m"))
        .await;
    assert_eq!(answer.get("approximate"), None);
}
