//! Runs that die, freeze or overlap: one case for each request of a run.

mod common;

use std::collections::BTreeMap;
use std::pin::pin;

use common::{Gate, TestLake, cell, once, vehicle};

/// Three raw objects with a duplicate, a conflict and a late event among them.
async fn lake() -> TestLake {
    let mut lake = TestLake::new().await;
    let event = |id: &str, minute: u32, rpm: u32| {
        vehicle(
            id,
            &format!("2026-11-20T12:{minute:02}:00Z"),
            &format!("{{\"engine_rpm\":{rpm},\"extra\":{rpm}}}"),
        )
    };
    lake.land(
        "2026-11-20T12:30:00Z",
        &[
            event("a", 1, 1000),
            event("b", 2, 2000),
            cell("c", "2026-11-20T12:00:00Z", 5.5),
        ],
    )
    .await;
    lake.once().await;
    lake.land(
        "2026-11-20T12:31:00Z",
        &[
            event("a", 1, 1000),
            event("b", 2, 7777),
            event("d", 3, 3000),
        ],
    )
    .await;
    lake.land(
        "2026-11-20T13:31:00Z",
        &[
            event("e", 4, 4000),
            vehicle(
                "f",
                "2026-11-20T13:00:00Z",
                r#"{"engine_rpm":1,"door":true}"#,
            ),
        ],
    )
    .await;
    lake
}

type Seen = (
    Vec<String>,
    BTreeMap<String, serde_json::Value>,
    Vec<String>,
);

async fn seen(lake: &TestLake) -> Seen {
    let keys = lake
        .cloud
        .objects(common::BUCKET)
        .into_iter()
        .filter(|key| !key.starts_with("_commits/checkpoint"))
        .collect();
    (lake.curated().await, lake.aggregates().await, keys)
}

async fn undisturbed() -> Seen {
    let lake = lake().await;
    lake.once().await;
    seen(&lake).await
}

/// More requests than a run makes.
const MANY: i64 = 200;

#[tokio::test(start_paused = true)]
async fn a_run_that_dies_at_any_request_is_finished_by_the_next_with_the_same_result() {
    let expected = undisturbed().await;
    for after_effect in [false, true] {
        for requests in 0..MANY {
            let lake = lake().await;
            let gate = Gate::new(&lake.cloud, requests, after_effect);
            let aws = gate.aws(&lake.cloud);
            let finished = tokio::select! {
                outcome = once(&lake.config, &aws) => { outcome.unwrap(); true }
                () = gate.held.notified() => false,
            };
            lake.once().await;
            assert_eq!(
                seen(&lake).await,
                expected,
                "died at request {requests}, after its effect: {after_effect}"
            );
            if finished {
                assert!(
                    requests > 10,
                    "the run must have been stopped in all of its steps"
                );
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_freezes_at_any_request_changes_nothing_when_it_wakes_after_others_went_on() {
    let expected = {
        let mut lake = lake().await;
        lake.once().await;
        lake.land(
            "2026-11-20T14:31:00Z",
            &[vehicle("g", "2026-11-20T12:50:00Z", r#"{"engine_rpm":5}"#)],
        )
        .await;
        lake.once().await;
        seen(&lake).await
    };
    for after_effect in [false, true] {
        for requests in 0..MANY {
            let mut lake = lake().await;
            let gate = Gate::new(&lake.cloud, requests, after_effect);
            let (aws, config) = (gate.aws(&lake.cloud), lake.config.clone());
            let frozen = tokio::spawn(async move { once(&config, &aws).await });
            tokio::select! {
                () = gate.held.notified() => {}
                () = async { while !frozen.is_finished() { tokio::task::yield_now().await } } => {}
            }
            let finished = frozen.is_finished();
            lake.once().await;
            lake.land(
                "2026-11-20T14:31:00Z",
                &[vehicle("g", "2026-11-20T12:50:00Z", r#"{"engine_rpm":5}"#)],
            )
            .await;
            lake.once().await;
            let before = lake.curated().await;
            gate.open.notify_one();
            frozen.await.unwrap().unwrap();
            let (curated, aggregates, keys) = seen(&lake).await;
            assert_eq!(
                curated, before,
                "woke at request {requests}, after its effect: {after_effect}"
            );
            assert_eq!(
                aggregates, expected.1,
                "woke at request {requests}, after its effect: {after_effect}"
            );
            let count = |keys: &[String]| {
                keys.iter()
                    .filter(|key| key.starts_with("curated/"))
                    .count()
            };
            assert!(count(&keys) <= count(&expected.2) + 1);
            if finished {
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_runs_at_once_count_every_event_once() {
    let expected = undisturbed().await;
    let lake = lake().await;
    let (one, two) = tokio::join!(once(&lake.config, &lake.aws), once(&lake.config, &lake.aws));
    one.unwrap();
    two.unwrap();
    let (curated, aggregates, _) = seen(&lake).await;
    assert_eq!((curated, aggregates), (expected.0, expected.1));
}

#[tokio::test]
async fn what_a_looser_release_began_a_stricter_one_finishes_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let vehicle_kind = include_str!("../../contract/kinds/vehicle.toml");
    let strict = vehicle_kind.replace("max = 20000", "max = 8000");
    assert_ne!(strict, vehicle_kind);
    std::fs::write(folder.path().join("vehicle.toml"), strict).unwrap();
    let mut held = 0;
    for requests in 0.. {
        let mut lake = TestLake::new().await;
        let fast = vehicle("fast", "2026-11-20T11:10:00Z", r#"{"engine_rpm":9000}"#);
        let slow = vehicle("slow", "2026-11-20T12:10:00Z", r#"{"engine_rpm":900}"#);
        lake.land("2026-11-20T12:30:00Z", &[fast, slow]).await;
        let gate = Gate::new(&lake.cloud, requests, false);
        let aws = gate.aws(&lake.cloud);
        {
            let mut run = pin!(once(&lake.config, &aws));
            tokio::select! {
                _ = &mut run => break,
                () = gate.held.notified() => held += 1,
            }
        }
        // The run died at that request; what it had sent takes effect.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        lake.config.contracts = Some(folder.path().into());
        let summary = lake.once().await;
        let curated = lake.curated().await;
        let counted: u64 = lake
            .aggregates()
            .await
            .values()
            .map(|row| row["messages"].as_u64().unwrap())
            .sum();
        assert_eq!(counted, curated.len() as u64, "{summary}: {curated:#?}");
        // An event that stands in no part is in `_aside/`.
        assert!(curated.len() == 2 || lake.keys("_aside/").len() == 1);
    }
    assert!(held > 10, "{held}");
}

#[tokio::test]
async fn aggregates_that_count_a_commit_are_left_alone_by_whoever_takes_it_over() {
    let mut lake = TestLake::new().await;
    for id in ["a", "b"] {
        let event = vehicle(id, "2026-11-20T12:10:00Z", r#"{"engine_rpm":900}"#);
        lake.land("2026-11-20T12:30:00Z", &[event]).await;
        lake.once().await;
    }
    let expected = seen(&lake).await;
    // As if the second run had died before it marked its commit as done.
    let marks = ["_commits/0000000002.done.json", "_commits/checkpoint.json"];
    let bucket = lake.aws.lake(common::BUCKET);
    bucket.delete(&marks.map(str::to_owned)).await.unwrap();
    let aws = lake.aws.with_own_meter();
    assert_eq!(once(&lake.config, &aws).await.unwrap().commits, 1);
    assert_eq!(seen(&lake).await, expected);
    let used = aws.meter().usage();
    // The part, which is there, and both marks; the JSONL is asked what it counts.
    let requests = ["s3:PutObject", "s3:HeadObject"].map(|operation| used[operation].requests);
    assert_eq!(requests, [3, 1]);
}
