//! Events, clocks and objects that are not as they should be.

use std::collections::HashMap;
use std::time::Duration;

use aws::Condition;
use chrono::TimeDelta;
use serde_json::json;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::stage::{Stage, write};

/// Lands a usual reading of veh-1 each second, and what `others` gives for the second.
async fn run(stage: &mut Stage, until: i64, mut others: impl FnMut(&mut Stage) -> Vec<u8>) {
    while stage.second() < until {
        sleep(Duration::from_secs(1)).await;
        stage.land(&[("veh-1", json!({"engine_rpm": 900}))]).await;
        let lines = others(stage);
        if !lines.is_empty() {
            stage.land_lines(stage.aws.clock().now(), lines).await;
        }
    }
}

/// A line of `raw/` as ingest would never write it: of a time that differs from its receipt by `ahead`.
fn line(stage: &Stage, vehicle: &str, ahead: TimeDelta) -> Vec<u8> {
    let now = stage.aws.clock().now();
    let line = json!({
        "kind": "vehicle",
        "event_id": format!("{vehicle}-{}", stage.landed),
        "ingest_received_at": contract::format_millis(now),
        "timestamp": contract::format_millis(now + ahead),
        "vehicle_id": vehicle,
        "can_id": "0x1F0",
        "payload": {"engine_rpm": 9_000, "vehicle_speed_kmh": 250},
    });
    format!("{line}\n").into_bytes()
}

#[tokio::test(start_paused = true)]
async fn devices_whose_clocks_are_fast_move_nothing() {
    let mut stage = Stage::new().await;
    stage.begin().await;
    // Within the hour that contracts allow, a day, and a time that no contract takes.
    let aheads = [
        TimeDelta::minutes(30),
        TimeDelta::days(1),
        TimeDelta::days(36_500),
    ];
    run(&mut stage, 200, |stage| {
        let lines = aheads.iter().map(|ahead| line(stage, "veh-9", *ahead));
        lines.collect::<Vec<_>>().concat()
    })
    .await;
    assert_eq!(stage.told(), [] as [&str; 0]);
    // The others are looked at as before.
    let fast = json!({"engine_rpm": 900, "vehicle_speed_kmh": 250});
    stage.land(&[("veh-1", fast)]).await;
    run(&mut stage, 210, |_| Vec::new()).await;
    stage.end(false).await;
    assert_eq!(stage.told().len(), 1, "{:?}", stage.told());
}

#[tokio::test(start_paused = true)]
async fn an_event_a_day_late_changes_nothing() {
    let mut stage = Stage::new().await;
    stage.begin().await;
    run(&mut stage, 120, |stage| {
        line(stage, "veh-1", TimeDelta::days(-1))
    })
    .await;
    stage.end(false).await;
    assert_eq!(stage.told(), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_lands_late_while_the_service_is_away_is_told() {
    let mut stage = Stage::new().await;
    stage.begin().await;
    run(&mut stage, 60, |_| Vec::new()).await;
    while stage.second() < 200 {
        sleep(Duration::from_secs(1)).await;
    }
    stage.end(false).await;
    let fast = json!({"vehicle_speed_kmh": 250});
    let now = stage.aws.clock().now();
    stage
        .land_late(now, TimeDelta::seconds(95), &[("veh-1", fast)])
        .await;
    stage.begin().await;
    while stage.second() < 240 {
        sleep(Duration::from_secs(1)).await;
    }
    stage.end(false).await;
    let told = stage.told();
    let fast = told.iter().filter(|told| told.starts_with("Fast"));
    // It fires on while no more data come.
    assert_eq!(
        fast.collect::<Vec<_>>(),
        ["Fast veh-1 firing 110"],
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_rule_on_a_signal_that_nobody_declares_waits_for_it() {
    let mut stage = Stage::new().await;
    let rules = r#"groups: [{name: g, rules: [{alert: Odd, expr: 'max_over_time(made_up_signal[10s]) > 1'}]}]"#;
    write(stage.rules.path(), "rules.yml", rules);
    stage.begin().await;
    run(&mut stage, 60, |_| Vec::new()).await;
    assert_eq!(stage.told(), [] as [&str; 0]);
    stage.land(&[("veh-2", json!({"made_up_signal": 2}))]).await;
    run(&mut stage, 65, |_| Vec::new()).await;
    stage.end(false).await;
    assert_eq!(stage.told().len(), 1, "{:?}", stage.told());
    assert!(stage.told()[0].starts_with("Odd veh-2 firing"));
}

#[tokio::test(start_paused = true)]
async fn lines_that_are_no_events_and_objects_of_nothing_are_passed_over() {
    let mut stage = Stage::new().await;
    stage.begin().await;
    run(&mut stage, 30, |_| {
        b"{\"kind\":\"boat\"}\n\0\xff\n\n[]\n".to_vec()
    })
    .await;
    let fast = json!({"vehicle_speed_kmh": 250});
    stage.land(&[("veh-1", fast)]).await;
    run(&mut stage, 40, |_| b"\n".to_vec()).await;
    stage.end(false).await;
    assert_eq!(stage.told().len(), 1, "{:?}", stage.told());
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_object_of_the_log_is_named_and_nothing_begins_without_it() {
    let mut stage = Stage::new().await;
    stage.begin().await;
    run(&mut stage, 30, |_| Vec::new()).await;
    stage.end(true).await;
    let before = stage.lake.list("_alerts/", None).await.unwrap();
    let mut records = before
        .iter()
        .filter(|object| object.key.starts_with("_alerts/log/"));
    let key = &records.next_back().unwrap().key;
    let whole = stage.lake.get(key).await.unwrap().unwrap().body;
    let put = async |body: bytes::Bytes| {
        let kind = "application/json";
        let put = stage
            .lake
            .put(key, body, kind, HashMap::new(), Condition::Always);
        put.await.unwrap();
    };
    put(whole.slice(..whole.len() / 2)).await;
    let service = stage.service(&[]).await;
    let error = alerts::run(service, CancellationToken::new())
        .await
        .unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains(key.as_str()) && error.contains("restore an earlier version"),
        "{error}"
    );
    let left = stage.lake.list("_alerts/", None).await.unwrap();
    assert_eq!(left.len(), before.len(), "nothing may be written");
    put(whole).await;
    stage.begin().await;
    run(&mut stage, 60, |_| Vec::new()).await;
    stage.end(false).await;
}
