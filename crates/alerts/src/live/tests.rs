//! Following a lake in memory, object by object, in simulated time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws::{Aws, Clock, Condition};
use chrono::{DateTime, Utc};
use contract::{Hour, Kinds};
use local_aws::LocalAws;
use serde_json::json;
use tokio::time::sleep;

use super::*;
use crate::model::{Reason, State, Transition};
use crate::rules::read_file;

const RULES: &str = r#"
groups:
  - name: g
    rules: [{ alert: Revs, expr: "avg_over_time(engine_rpm[20s]) > 6000" }]
"#;

/// When the clock begins, in milliseconds since 1970: a window end.
const START: i64 = 1_759_579_200_000;

/// A lake in memory. Times are seconds from [`START`].
struct Stage {
    aws: Aws,
    objects: u128,
}

/// A reading: vehicle, second of its time, second of its receipt, engine speed.
type Reading = (&'static str, i64, i64, i64);

impl Stage {
    async fn new() -> Stage {
        let start = time(0);
        let cloud = LocalAws::builder()
            .start_time(start.into())
            .build()
            .unwrap();
        let clock = Clock::starting_at(start);
        let aws = Aws::emulated_at(cloud.http_client(), cloud.endpoint(), clock);
        aws::setup::create_bucket(&aws, "lake").await.unwrap();
        Stage { aws, objects: 0 }
    }

    fn follow(&self, begin: Begin) -> Follow {
        let (lake, kinds) = (self.aws.lake("lake"), Arc::new(Kinds::builtin()));
        let (settings, rules) = (
            FollowSettings::default(),
            read_file("a.yml", RULES).unwrap(),
        );
        let (follow, gone) = Follow::start(lake, kinds, self.aws.clock(), rules, settings, begin);
        assert_eq!(gone, []);
        follow
    }

    async fn until(&self, second: i64) {
        let passed = self.aws.clock().now().timestamp_millis() - START;
        sleep(Duration::from_millis(
            (second * 1_000 - passed).unsigned_abs(),
        ))
        .await;
    }

    /// Puts one object, which is named by its earliest receipt.
    async fn land(&mut self, readings: &[Reading]) {
        let (kinds, mut lines) = (Kinds::builtin(), Vec::new());
        for (vehicle, at, received, rpm) in readings {
            let text = json!({"timestamp": time(*at), "vehicle_id": vehicle, "can_id": "0x1F0",
                "event_id": format!("{vehicle}-{at}"), "payload": {"engine_rpm": rpm}});
            let (text, received) = (text.to_string(), time(*received));
            let event = contract::parse_sent(&kinds, None, &text, received).unwrap();
            let received = contract::format_millis(received);
            contract::write_line(&mut lines, &event, &received, &text);
        }
        let named = readings.iter().map(|(_, _, received, _)| *received).min();
        let named = time(named.unwrap());
        self.objects += 1;
        let key = contract::raw_key(
            Hour::of(named),
            contract::raw_part_name(named, self.objects),
        );
        let kind = "application/x-ndjson";
        let put = self.aws.lake("lake");
        put.put(&key, lines.into(), kind, HashMap::new(), Condition::Always)
            .await
            .unwrap();
    }
}

fn time(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(START + second * 1_000).unwrap()
}

/// Goes on after a process that had come to this second.
fn after(second: i64) -> Begin {
    Begin {
        evaluated_to: START + second * 1_000,
        begun_at: Some(START),
        last: Vec::new(),
    }
}

fn told(transitions: &[Transition]) -> Vec<(&str, State, Reason, i64)> {
    let told = transitions.iter().map(|told| {
        let vehicle = told.labels["entity_id"].as_str();
        (vehicle, told.to, told.reason, (told.at - START) / 1_000)
    });
    told.collect()
}

#[tokio::test(start_paused = true)]
async fn an_object_with_an_old_event_closes_no_window_over_objects_that_are_there() {
    let mut stage = Stage::new().await;
    let mut follow = stage.follow(Begin::after(START));
    stage.until(95).await;
    // A message that waited stands beside a young one.
    stage
        .land(&[("old", 10, 10, 900), ("young", 94, 94, 900)])
        .await;
    stage
        .land(&[("veh", 21, 22, 9_000), ("veh", 31, 32, 9_000)])
        .await;
    stage
        .land(&[("veh", 42, 42, 900), ("veh", 52, 52, 900)])
        .await;
    let waiting = Waiting {
        may_wait: true,
        ..Waiting::default()
    };
    let step = follow.step(waiting).await.unwrap();
    assert_eq!(step.evaluated_to, START + 80_000);
    let expected = [
        ("veh", State::Firing, Reason::Condition, 30),
        ("veh", State::Resolved, Reason::Condition, 50),
    ];
    assert_eq!(told(&step.transitions), expected);
}

#[tokio::test(start_paused = true)]
async fn events_that_came_before_move_the_watermark_too() {
    let mut stage = Stage::new().await;
    let mut follow = stage.follow(Begin::after(START));
    let waiting = Waiting {
        may_wait: true,
        ..Waiting::default()
    };
    for (received, evaluated_to) in [(25, 10_000), (65, 50_000)] {
        stage.until(received + 2).await;
        stage.land(&[("veh", 25, received, 900)]).await;
        let step = follow.step(waiting).await.unwrap();
        assert_eq!(step.evaluated_to, START + evaluated_to);
    }
}

#[tokio::test(start_paused = true)]
async fn what_landed_while_no_process_looked_changes_windows_that_were_evaluated() {
    // The process before was at 100 s. It had seen what landed by then, and nothing more.
    for (landed, expected) in [
        (50, vec![]),
        (
            115,
            vec![
                ("veh", State::Firing, Reason::LateData, 50),
                ("veh", State::Resolved, Reason::LateData, 60),
            ],
        ),
    ] {
        let mut stage = Stage::new().await;
        stage.until(landed).await;
        stage.land(&[("veh", 41, 41, 9_000)]).await;
        stage.land(&[("veh", 51, 51, 900)]).await;
        stage.until(120).await;
        let mut follow = stage.follow(after(100));
        let step = follow.step(Waiting::default()).await.unwrap();
        assert_eq!(told(&step.transitions), expected, "landed at {landed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_reads_an_object_that_landed_lately_however_old_its_name() {
    let mut stage = Stage::new().await;
    stage.until(2_005).await;
    stage
        .land(&[("old", 100, 100, 900), ("veh", 2_004, 2_004, 9_000)])
        .await;
    stage.until(2_040).await;
    let step = stage
        .follow(after(2_000))
        .step(Waiting::default())
        .await
        .unwrap();
    assert_eq!(
        told(&step.transitions),
        [("veh", State::Firing, Reason::Condition, 2_010)]
    );
}
