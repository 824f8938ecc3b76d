//! The whole service over a lake in this process, with a receiver in the test; time is paused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod health;
mod metrics;
mod stage;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alerts::Config;
use alerts::model::State;
use chrono::TimeDelta;
use clap::Parser;
use contract::Kinds;
use serde_json::{Value, json};
use stage::{RULES, Stage, write};
use tokio::time::{Instant, sleep};

/// Ten minutes of two vehicles; the service is restarted at these seconds, by a stop or a kill.
async fn ten_minutes(restarts: &[i64], kill: bool) -> Stage {
    let mut stage = Stage::new().await;
    stage.begin().await;
    let mut restarts = restarts.iter().peekable();
    while stage.second() < 600 {
        sleep(Duration::from_secs(1)).await;
        let second = stage.second();
        let rpm = if (100..200).contains(&second) {
            7_000
        } else {
            2_000
        };
        let mut readings = vec![("veh-1", json!({"engine_rpm": rpm}))];
        if second < 300 {
            readings.push(("veh-2", json!({"engine_rpm": 900, "vehicle_speed_kmh": 50})));
        }
        if second == 60 {
            readings.push((
                "veh-3",
                json!({"vehicle_speed_kmh": 250, "engine_rpm": 3_000}),
            ));
        }
        if (100..103).contains(&second) {
            readings.push(("veh-3", json!({"vehicle_speed_kmh": 50})));
        }
        stage.land(&readings).await;
        if restarts.next_if(|at| **at <= second).is_some() {
            stage.end(kill).await;
            stage.begin().await;
        }
    }
    stage.end(false).await;
    stage
}

/// `Revs` of veh-1: 20 s of 7,000 make a mean above 6,000 from 120 on, for 30 s; it ceases at 210 and is kept until
/// 250. `Fast` of veh-3 holds in the window that ends at 60, and no longer at 100. Engine speeds of veh-2 are missing
/// from 310 on, and those of veh-3 from 70 on.
const EXPECTED: [&str; 6] = [
    "Fast veh-3 firing 60",
    "Fast veh-3 resolved 60",
    "Revs veh-1 firing 150",
    "Revs veh-1 resolved 150",
    "Silent veh-2 firing 370",
    "Silent veh-3 firing 130",
];

fn sorted(mut told: Vec<String>) -> Vec<String> {
    told.sort();
    told
}

#[tokio::test(start_paused = true)]
async fn alerts_fire_and_resolve_and_each_is_told_once() {
    let stage = ten_minutes(&[], false).await;
    assert_eq!(sorted(stage.told()), EXPECTED);
    let bodies = stage.receiver.bodies.lock().unwrap();
    let body = |name: &str, status: &str| {
        let found = bodies
            .iter()
            .find(|(_, body)| body["groupLabels"]["alertname"] == name && body["status"] == status);
        found.cloned().unwrap()
    };
    let (_, revs) = body("Revs", "firing");
    let alert = &revs["alerts"][0];
    assert_eq!(alert["annotations"]["summary"], "veh-1 at 7000");
    assert_eq!(alert["labels"]["severity"], "page");
    assert_eq!(alert["startsAt"], "2025-10-04T12:02:30Z");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_undone_is_told_within_seconds() {
    let mut stage = Stage::new().await;
    stage.begin().await;
    for _ in 0..30 {
        sleep(Duration::from_secs(1)).await;
        stage
            .land(&[("veh-1", json!({"vehicle_speed_kmh": 50}))])
            .await;
    }
    let landed = Instant::now();
    stage
        .land(&[("veh-1", json!({"vehicle_speed_kmh": 250}))])
        .await;
    while stage.told().is_empty() {
        assert!(
            landed.elapsed() < Duration::from_secs(60),
            "nothing was told"
        );
        sleep(Duration::from_millis(100)).await;
    }
    let (at, _) = stage.receiver.bodies.lock().unwrap()[0];
    assert!(at - landed <= Duration::from_secs(3), "{:?}", at - landed);
    stage.end(false).await;
}

/// Restarts while nothing fires, and while `Fast` fires, `Revs` is pending, fires and is kept, `Silent` waits and fires.
const RESTARTS: [i64; 8] = [20, 85, 145, 180, 225, 290, 330, 450];

#[tokio::test(start_paused = true)]
async fn a_stop_and_a_start_in_any_state_change_nothing() {
    assert_eq!(sorted(ten_minutes(&RESTARTS, false).await.told()), EXPECTED);
}

#[tokio::test(start_paused = true)]
async fn a_kill_in_any_state_changes_nothing() {
    assert_eq!(sorted(ten_minutes(&RESTARTS, true).await.told()), EXPECTED);
}

#[tokio::test(start_paused = true)]
async fn a_restart_finds_an_alert_pending_firing_and_kept_as_it_was() {
    for kill in [false, true] {
        for (at, state) in [
            (142, State::Pending),
            (180, State::Firing),
            (235, State::Keeping),
        ] {
            let mut stage = Stage::new().await;
            stage.begin().await;
            let (mut before, mut told) = (None, 0);
            while stage.second() < 600 {
                sleep(Duration::from_secs(1)).await;
                let second = stage.second();
                let rpm = if (100..200).contains(&second) {
                    7_000
                } else {
                    2_000
                };
                stage.land(&[("veh-1", json!({"engine_rpm": rpm}))]).await;
                if second == at {
                    (before, told) = (stage.revs().await, stage.told().len());
                    assert_eq!(before.as_ref().unwrap().last.to, state);
                    stage.end(kill).await;
                    stage.begin().await;
                }
                // It leads again, and nothing has happened since.
                if second == at + 14 {
                    assert_eq!(stage.revs().await, before, "{state:?}");
                    assert_eq!(stage.told().len(), told, "{state:?}");
                }
            }
            stage.end(false).await;
            assert_eq!(
                stage.told(),
                ["Revs veh-1 firing 150", "Revs veh-1 resolved 150"],
                "{state:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rules_are_read_again_without_losing_alerts_and_wrong_ones_are_refused() {
    let mut stage = Stage::new().await;
    stage.begin().await;
    for second in 0..200 {
        sleep(Duration::from_secs(1)).await;
        stage
            .land(&[(
                "veh-1",
                json!({"engine_rpm": 7_000, "vehicle_speed_kmh": 250}),
            )])
            .await;
        let text = match second {
            100 => "groups: [{name: a, rules: [{alert: A, expr: x}]}]".to_owned(),
            130 => RULES.replace("alert: Fast", "alert: VeryFast"),
            _ => continue,
        };
        write(stage.rules.path(), "rules.yml", &text);
        stage
            .process
            .as_ref()
            .unwrap()
            .2
            .send_modify(|times| *times += 1);
    }
    stage.end(false).await;
    let told = stage.told();
    for text in [
        "Revs veh-1 firing 40",
        "Fast veh-1 firing 10",
        "Fast veh-1 resolved 10",
    ] {
        assert_eq!(
            told.iter().filter(|told| *told == text).count(),
            1,
            "{text}: {told:?}"
        );
    }
    let very_fast = told
        .iter()
        .filter(|told| told.starts_with("VeryFast veh-1 firing"));
    assert_eq!(very_fast.count(), 1, "{told:?}");
    assert_eq!(told.len(), 4, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stopped_consumer_is_one_alert_and_no_missing_data() {
    let mut stage = Stage::new().await;
    let queue = "headwater-events";
    aws::setup::create_queues(&stage.aws, queue, "headwater-events-dlq")
        .await
        .unwrap();
    let queue = stage.aws.queue(queue).await.unwrap();
    stage.begin().await;
    let mut waiting = Vec::new();
    while stage.second() < 400 {
        sleep(Duration::from_secs(1)).await;
        let now = stage.aws.clock().now();
        if (60..260).contains(&stage.second()) {
            if waiting.is_empty() {
                let message = aws::Outgoing {
                    body: "a message that waits".to_owned(),
                    attributes: BTreeMap::new(),
                };
                queue.send(&[message]).await.pop().unwrap().unwrap();
            }
            waiting.push(now);
            continue;
        }
        for then in std::mem::take(&mut waiting) {
            stage
                .land_of(then, &[("veh-1", json!({"engine_rpm": 900}))])
                .await;
        }
        for message in queue.receive(10, Duration::ZERO, None).await.unwrap() {
            queue
                .delete(&[message.receipt_handle])
                .await
                .pop()
                .unwrap()
                .unwrap();
        }
        stage.land(&[("veh-1", json!({"engine_rpm": 900}))]).await;
    }
    stage.end(false).await;
    let told = stage.told();
    let [fired, resolved] = &*told else {
        panic!("{told:?}")
    };
    assert!(fired.starts_with("HeadwaterLate alerts firing"), "{told:?}");
    assert!(
        resolved.starts_with("HeadwaterLate alerts resolved"),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_replay_tells_what_the_service_told() {
    let stage = ten_minutes(&[], false).await;
    let folder = stage.rules.path();
    let config = Config::parse_from(["alerts", "--rules", &folder.display().to_string()]);
    let replay = alerts::commands::Replay {
        lake: stage.lake.clone(),
        kinds: Arc::new(Kinds::builtin()),
        clock: stage.aws.clock(),
        rules: config.rules().unwrap(),
        settings: config.follow(),
    };
    let mut out = Vec::new();
    let until = stage.start + TimeDelta::seconds(500);
    let fired = replay.run(stage.start, until, &mut out).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(fired, 4, "{text}");
    let line = "2025-10-04T12:02:30Z firing   vehicles/Revs";
    assert!(text.lines().any(|told| told.starts_with(line)), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_anomaly_is_a_moment_in_the_lake() {
    let mut stage = Stage::new().await;
    stage.begin().await;
    while stage.second() < 700 {
        sleep(Duration::from_secs(1)).await;
        let second = stage.second();
        let usual = 2_000 + second * 7 % 50;
        let rpm = if (600..620).contains(&second) {
            4_000
        } else {
            usual
        };
        stage.land(&[("veh-1", json!({"engine_rpm": rpm}))]).await;
    }
    stage.end(false).await;
    let mut moments = Vec::new();
    for object in stage.lake.list("moments/", None).await.unwrap() {
        let body = stage.lake.get(&object.key).await.unwrap().unwrap().body;
        let lines = body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        moments.extend(lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()));
    }
    let [first, last] = &*moments else {
        panic!("{moments:?}")
    };
    assert_eq!(
        (&first["signal"], &first["entity_id"]),
        (&json!("engine_rpm"), &json!("veh-1"))
    );
    assert_eq!(
        first["started_at"],
        (stage.start + TimeDelta::seconds(600)).timestamp_millis() - 10_000
    );
    assert_eq!(
        (&last["moment_id"], &last["revision"]),
        (&first["moment_id"], &json!(1))
    );
}

#[test]
fn commands_tell_by_their_exit_code_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "good.yml", RULES);
    write(
        folder.path(),
        "bad.yml",
        "groups: [{name: a, rules: [{alert: A, exrp: x}]}]",
    );
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_alerts"))
            .args(arguments)
            .current_dir(folder.path())
            .env_clear()
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    let (code, text) = run(&["check", "good.yml"]);
    assert_eq!((code, &*text), (Some(0), "good.yml: 3 rules\n"));
    let (code, text) = run(&["check", "good.yml", "bad.yml"]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("bad.yml:1:39: unknown key `exrp`: did you mean `expr`?"),
        "{text}"
    );
    let (code, text) = run(&["--rules", ".", "--read-keys", "long-enough"]);
    assert_eq!(code, Some(2));
    assert!(
        text.contains("cannot use RULES") && text.contains("bad.yml:1:39"),
        "{text}"
    );
    let (code, text) = run(&[]);
    assert_eq!(code, Some(2));
    assert!(
        text.starts_with("alerts: no read key: set READ_KEYS"),
        "{text}"
    );
}
