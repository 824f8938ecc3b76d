//! Samples of metrics under the built-in rules and under rules on their tags, and what it costs to wait for them.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::stage::{Stage, write};

#[tokio::test(start_paused = true)]
async fn metrics_fire_the_built_in_rules_on_the_console() {
    let mut stage = Stage::new().await;
    stage.begin_with(&[]).await;
    while stage.second() < 240 {
        sleep(Duration::from_secs(1)).await;
        let is_high = stage.second() < 100;
        let value = |high: f64| if is_high { high } else { 1.0 };
        let samples = [
            ("cpu_usage", value(85.0)),
            ("memory_usage", value(95.5)),
            ("error_rate", value(6.0)),
            ("quiet", 1e6),
        ];
        let samples = samples
            .map(|(name, value)| json!({"name": name, "value": value, "tags": {"region": "eu"}}));
        stage.land_metrics(samples).await;
    }
    stage.end(false).await;
    let lines = stage.receiver.lines.lock().unwrap().clone();
    for line in [
        "[ALERT] cpu_usage avg(60s) > 80.0 (current: 85.0)",
        "[ALERT] memory_usage avg(60s) > 90.0 (current: 95.5)",
        "[ALERT] error_rate avg(30s) > 5.0 (current: 6.0)",
    ] {
        let times = lines.iter().filter(|told| *told == line).count();
        assert_eq!(times, 1, "{lines:#?}");
        let (before, _) = line.split_once("(current").unwrap();
        let resolved = before.replace("[ALERT]", "[RESOLVED]");
        let ends = lines.iter().filter(|told| told.starts_with(&resolved));
        assert_eq!(ends.count(), 1, "{lines:#?}");
    }
    assert_eq!(lines.len(), 6, "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn tags_are_labels_and_any_name_of_a_long_kind_may_have_a_rule() {
    let mut stage = Stage::new().await;
    let rules = r#"
groups:
  - name: hosts
    rules:
      - alert: Swapping
        expr: max_over_time(swap_used{kind="metric", host="a"}[30s]) > 5
        annotations: { summary: "{{ $labels.host }} in {{ $labels.zone }}" }
"#;
    write(stage.rules.path(), "rules.yml", rules);
    stage.begin().await;
    while stage.second() < 60 {
        sleep(Duration::from_secs(1)).await;
        let samples = ["a", "b"].map(|host| {
            json!({"name": "swap_used", "value": 9, "entity": host, "tags": {"host": host, "zone": "z"}})
        });
        stage.land_metrics(samples).await;
    }
    stage.end(false).await;
    assert_eq!(stage.told(), ["Swapping a firing 10"]);
    let bodies = stage.receiver.bodies.lock().unwrap();
    let alert = &bodies[0].1["alerts"][0];
    assert_eq!(alert["annotations"]["summary"], "a in z");
    assert_eq!(alert["labels"]["host"], "a");
    assert_eq!(alert["labels"].get("name"), None);
}

#[tokio::test(start_paused = true)]
async fn an_idle_service_asks_s3_at_most_twice_a_second() {
    let mut stage = Stage::new().await;
    stage.begin_with(&[]).await;
    let up = json!({"name": "up", "value": 1});
    stage.land_metrics([up]).await;
    sleep(Duration::from_secs(60)).await;
    let before = stage.s3_requests();
    sleep(Duration::from_secs(1_000)).await;
    let requests = stage.s3_requests() - before;
    assert!((1_000..=2_000).contains(&requests), "{requests}");
    stage.end(false).await;
}

#[tokio::test(start_paused = true)]
async fn a_derived_signal_may_have_a_rule() {
    let mut stage = Stage::new().await;
    let rules = r#"
groups:
  - name: chats
    rules:
      - alert: SourChat
        expr: avg_over_time(sentiment{kind="chat"}[30s]) < -0.3
"#;
    write(stage.rules.path(), "rules.yml", rules);
    stage.begin().await;
    while stage.second() < 60 {
        sleep(Duration::from_secs(1)).await;
        let now = contract::format_millis(stage.aws.clock().now());
        let said = [("calm", "nice run"), ("sour", "worst lag ever")].map(|(stream, text)| {
            json!({"stream_id": stream, "timestamp": now, "message_id": now, "user": "ann", "message": {"text": text}})
        });
        stage.land_metrics(said).await;
    }
    stage.end(false).await;
    let told = stage.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("SourChat sour firing "), "{told:?}");
}
