//! Following a lake in memory, object by object, in simulated time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws::{Aws, Clock, Condition};
use chrono::{DateTime, Utc};
use contract::{Hour, Kinds};
use local_aws::LocalAws;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::*;
use crate::model::{Reason, State, Transition};
use crate::rules::read_file;

const RULES: &str = r#"
groups:
  - name: g
    rules:
      - { alert: Revs, expr: "avg_over_time(engine_rpm[20s]) > 6000" }
      - { alert: Failing, expr: "increase(requests_total[20s]) > 5" }
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
        let (follow, gone) = self.start(begin);
        assert_eq!(gone, []);
        follow
    }

    fn start(&self, begin: Begin) -> (Follow, Vec<Transition>) {
        let (lake, kinds) = (self.aws.lake("lake"), Arc::new(Kinds::builtin()));
        let (settings, rules) = (
            FollowSettings::default(),
            read_file("a.yml", RULES).unwrap(),
        );
        Follow::start(lake, kinds, self.aws.clock(), rules, settings, begin)
    }

    async fn until(&self, second: i64) {
        let passed = self.aws.clock().now().timestamp_millis() - START;
        sleep(Duration::from_millis(
            (second * 1_000 - passed).unsigned_abs(),
        ))
        .await;
    }

    /// Puts one object of readings.
    async fn land(&mut self, readings: &[Reading]) {
        let readings = readings.iter().map(|(vehicle, at, received, rpm)| {
            let text = json!({"timestamp": time(*at), "vehicle_id": vehicle, "can_id": "0x1F0",
                "event_id": format!("{vehicle}-{at}"), "payload": {"engine_rpm": rpm}});
            (*received, text)
        });
        self.put(&readings.collect::<Vec<_>>()).await;
    }

    /// Puts one object of samples of `requests_total` of a host, each with the second of its time and receipt, its tag
    /// `code`, and its value. The tag `kind` is called otherwise in rules.
    async fn count(&mut self, samples: &[(i64, &str, i64)]) {
        let samples = samples.iter().map(|(at, code, value)| {
            let text = json!({"timestamp": time(*at), "entity": "host", "name": "requests_total",
                "event_id": format!("{at}-{code}"), "value": value,
                "tags": {"code": code, "kind": "api"}});
            (*at, text)
        });
        self.put(&samples.collect::<Vec<_>>()).await;
    }

    /// Puts one object of events, each with the second of its receipt; it is named by the earliest.
    async fn put(&mut self, events: &[(i64, Value)]) {
        let (kinds, mut lines) = (Kinds::builtin(), Vec::new());
        for (received, text) in events {
            let (text, received) = (text.to_string(), time(*received));
            let event = contract::parse_sent(&kinds, None, &text, received).unwrap();
            let received = contract::format_millis(received);
            contract::write_line(&mut lines, &event, &received, &text);
        }
        let named = events.iter().map(|(received, _)| *received).min();
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

/// The labels of alerts beside their names, with what became of them.
fn told_of_series(transitions: &[Transition]) -> Vec<(String, State, Reason, i64)> {
    let told = transitions.iter().map(|told| {
        let label = |name: &str| told.labels[name].as_str();
        assert_eq!((label("kind"), label("entity_id")), ("metric", "host"));
        let series = format!("{} {}", label("code"), label("exported_kind"));
        (series, told.to, told.reason, (told.at - START) / 1_000)
    });
    told.collect()
}

#[tokio::test(start_paused = true)]
async fn counters_that_differ_in_their_tags_are_told_apart() {
    let mut stage = Stage::new().await;
    let mut follow = stage.follow(Begin::after(START));
    // One counts slowly, the other begins again at 0 and then grows fast.
    for (at, slow, fast) in [
        (1, 1_000, 90),
        (11, 1_002, 3),
        (21, 1_004, 5),
        (31, 1_006, 30),
    ] {
        let samples = [(at, "200", slow), (at, "500", fast)];
        stage.count(&samples).await;
    }
    stage.until(60).await;
    let step = follow.step(Waiting::default()).await.unwrap();
    assert_eq!(step.evaluated_to, START + 40_000);
    let fired = |second| {
        (
            "500 api".to_owned(),
            State::Firing,
            Reason::Condition,
            second,
        )
    };
    assert_eq!(told_of_series(&step.transitions), [fired(40)]);
    let [fired] = &*step.transitions else {
        panic!("{:?}", step.transitions)
    };
    assert_eq!(fired.value, Some(25.0));
    // As the log has it, for another process: the alert goes on with its own series.
    let written = serde_json::to_string(fired).unwrap();
    assert!(written.contains(r#""dimensions":{"code":"500","exported_kind":"api"}"#));
    let begin = Begin {
        last: vec![serde_json::from_str(&written).unwrap()],
        ..after(40)
    };
    let samples = [(41, "200", 2_000), (41, "500", 31)];
    stage.count(&samples).await;
    stage.until(80).await;
    let mut follow = stage.follow(begin);
    let step = follow.step(Waiting::default()).await.unwrap();
    let expected = [
        ("200 api".to_owned(), State::Firing, Reason::Condition, 50),
        ("500 api".to_owned(), State::Resolved, Reason::Condition, 50),
        ("200 api".to_owned(), State::Resolved, Reason::Condition, 60),
    ];
    assert_eq!(told_of_series(&step.transitions), expected);
    assert_eq!(step.transitions[1].episode, fired.episode);
}

#[tokio::test(start_paused = true)]
async fn what_landed_while_no_process_looked_changes_the_series_with_its_tags() {
    let mut stage = Stage::new().await;
    stage.until(115).await;
    for (at, value) in [(31, 0), (41, 100), (51, 100)] {
        stage.count(&[(at, "200", 1_000), (at, "500", value)]).await;
    }
    stage.until(120).await;
    let step = stage.follow(after(100)).step(Waiting::default()).await;
    let late = |to, second| ("500 api".to_owned(), to, Reason::LateData, second);
    let expected = [late(State::Firing, 50), late(State::Resolved, 60)];
    assert_eq!(told_of_series(&step.unwrap().transitions), expected);
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_was_recorded_without_its_tags_ends_at_a_start() {
    let stage = Stage::new().await;
    let recorded = |alert: &str, labels: Value| {
        let told = json!({"episode": format!("{alert}{labels}"), "rule": format!("g/{alert}"),
            "labels": labels, "annotations": {}, "to": "firing", "reason": "condition",
            "at": START, "active_at": START, "fired_at": START, "value": 9.0});
        serde_json::from_value::<Transition>(told).unwrap()
    };
    let metric = |code: Option<&str>| {
        let mut labels = json!({"alertname": "Failing", "kind": "metric", "entity_id": "host"});
        if let Some(code) = code {
            labels["code"] = code.into();
        }
        recorded("Failing", labels)
    };
    let vehicle =
        json!({"alertname": "Revs", "kind": "vehicle", "entity_id": "v", "can_id": "0x1"});
    let begin = Begin {
        last: vec![metric(Some("500")), metric(None), recorded("Revs", vehicle)],
        ..after(0)
    };
    let (follow, gone) = stage.start(begin);
    let ended = gone
        .iter()
        .map(|told| (told.to, told.reason, told.labels.get("code")));
    let expected = (State::Resolved, Reason::RuleGone, Some(&"500".to_owned()));
    assert_eq!(ended.collect::<Vec<_>>(), [expected]);
    assert_eq!(follow.evaluator().active().count(), 2);
}
