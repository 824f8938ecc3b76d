//! Hours that a commit puts off: what is in the lake in the end, whatever happens on the way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::pin::pin;

use aggregator::Summary;
use common::{Gate, TestLake, cell, once, vehicle};
use contract::{Hour, raw_arrival_of, raw_hour_of};
use lake::log::{Log, read_done, read_plan};
use tokio_util::sync::CancellationToken;

const NOON: &str = "2026-11-20T12:30:00Z";

/// An event in each of the hours 01 to 09 of the 20th, two of them sent twice, and one cell; a late object repeats an
/// id with other content.
async fn lake(most_hours: usize) -> TestLake {
    let mut lake = TestLake::new().await;
    lake.config.commit_max_hours = NonZeroUsize::new(most_hours).unwrap();
    let event = |hour: u32, rpm: u32| {
        let time = format!("2026-11-20T{hour:02}:10:00Z");
        vehicle(
            &format!("e{hour}"),
            &time,
            &format!("{{\"engine_rpm\":{rpm},\"extra\":{hour}}}"),
        )
    };
    let first: Vec<_> = (1..=6).map(|hour| event(hour, 1000)).collect();
    lake.land(NOON, &first).await;
    let mut second: Vec<_> = (5..=9).map(|hour| event(hour, 1000)).collect();
    second.push(cell("c", "2026-11-20T03:00:00Z", 5.5));
    second.push(event(2, 7777));
    lake.land("2026-11-20T13:31:00Z", &second).await;
    lake
}

type Seen = (Vec<String>, BTreeMap<String, serde_json::Value>, usize);

/// Rows, aggregates, and the number of lines in `_aside/` that differ.
async fn seen(lake: &TestLake) -> Seen {
    let mut aside = BTreeSet::new();
    for key in lake.keys("_aside/") {
        for entry in String::from_utf8(lake.read(&key).await).unwrap().lines() {
            let entry: serde_json::Value = serde_json::from_str(entry).unwrap();
            aside.insert(entry["line"].as_str().unwrap().to_owned());
        }
    }
    (lake.curated().await, lake.aggregates().await, aside.len())
}

#[tokio::test]
async fn a_run_writes_all_hours_a_few_in_each_commit_and_the_newest_first() {
    let whole = lake(5_000).await;
    let at_once = whole.once().await;
    assert_eq!(
        (at_once.commits, at_once.hours, at_once.hours_put_off),
        (1, 10, 0)
    );
    let lake = lake(4).await;
    let counts = |summary: &Summary| {
        let Summary {
            events,
            duplicates,
            conflicts,
            hours,
            ..
        } = *summary;
        (events, duplicates, conflicts, hours)
    };
    let summary = lake.once().await;
    assert_eq!(counts(&summary), counts(&at_once));
    assert_eq!((summary.commits, summary.hours_put_off), (3, 6));
    assert_eq!(seen(&lake).await, seen(&whole).await);
    let bucket = lake.aws.lake(common::BUCKET);
    let mut written = Vec::new();
    for commit in 1..=3 {
        let done = read_done(&bucket, commit).await.unwrap().unwrap();
        let plan = read_plan(&bucket, commit).await.unwrap().unwrap();
        let hours = done.hours.unwrap();
        assert_eq!(
            (plan.puts_off, plan.parts.len()),
            (commit == 1, hours.len())
        );
        let hours = hours["vehicle"]
            .keys()
            .map(|hour| Hour::parse(hour).unwrap());
        written.extend(
            hours
                .rev()
                .map(|hour| hour.start().format("%H").to_string()),
        );
        // For two commits, and from objects of two arrival hours.
        assert_eq!(
            done.put_off.len(),
            if commit == 1 { 4 } else { 0 },
            "{:?}",
            done.put_off
        );
    }
    assert_eq!(
        written,
        ["09", "08", "07", "06", "05", "04", "03", "02", "01"]
    );
    assert_eq!(lake.once().await.commits, 0, "nothing is left to do");
}

#[tokio::test]
async fn what_is_put_off_stands_in_raw_as_if_its_messages_had_come_again() {
    let lake = lake(1).await;
    let sent: Vec<_> = lake.keys("raw/");
    lake.once().await;
    let mut lines: BTreeMap<String, Vec<Hour>> = BTreeMap::new();
    for key in lake.keys("raw/") {
        for line in String::from_utf8(lake.read(&key).await).unwrap().lines() {
            lines
                .entry(line.to_owned())
                .or_default()
                .push(raw_hour_of(&key).unwrap());
        }
        let hour = raw_hour_of(&key).unwrap();
        assert!(sent.contains(&key) || raw_arrival_of(&key).map(Hour::of) == Some(hour));
    }
    assert_eq!(
        lines.len(),
        6 + 7,
        "the lines of the consumer's objects and no others"
    );
    assert!(lines.values().any(|hours| hours.len() > 1));
    assert!(lines.values().flatten().count() > 13);
    assert!(
        lines
            .values()
            .all(|hours| hours.iter().all(|hour| *hour == hours[0]))
    );
}

#[tokio::test]
async fn an_hour_with_many_events_is_never_put_off() {
    let mut lake = TestLake::new().await;
    lake.config.commit_max_hours = NonZeroUsize::MIN;
    let event = |id: usize, hour: u32| {
        let time = format!("2026-11-20T{hour:02}:10:00Z");
        vehicle(&format!("{id}"), &time, r#"{"engine_rpm":1}"#)
    };
    let mut events: Vec<_> = (0..200).map(|id| event(id, 3)).collect();
    events.extend((4..8).map(|hour| event(0, hour)));
    lake.land(NOON, &events).await;
    let summary = lake.once().await;
    assert_eq!(
        (summary.commits, summary.events, summary.hours_put_off),
        (4, 204, 3)
    );
    let done = read_done(&lake.aws.lake(common::BUCKET), 1)
        .await
        .unwrap()
        .unwrap();
    let hours = &done.hours.unwrap()["vehicle"];
    assert_eq!(hours.values().collect::<Vec<_>>(), [&200, &1]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_dies_at_any_request_loses_nothing_that_it_has_put_off() {
    let expected = {
        let lake = lake(5_000).await;
        lake.once().await;
        seen(&lake).await
    };
    for after_effect in [false, true] {
        for requests in 0.. {
            let lake = lake(3).await;
            let gate = Gate::new(&lake.cloud, requests, after_effect);
            let aws = gate.aws(&lake.cloud);
            let finished = tokio::select! {
                outcome = once(&lake.config, &aws) => { outcome.unwrap(); true }
                () = gate.held.notified() => false,
            };
            // The next run has other settings, and lists all as it does each day.
            let mut config = lake.config.clone();
            config.commit_max_hours = NonZeroUsize::new(2).unwrap();
            config.full = true;
            once(&config, &lake.aws).await.unwrap();
            let what = format!("died at request {requests}, after its effect: {after_effect}");
            assert!(seen(&lake).await == expected, "{what}");
            if finished {
                assert!(requests > 40, "{requests}");
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_freezes_while_it_puts_off_changes_nothing_when_it_wakes() {
    let expected = {
        let lake = lake(5_000).await;
        lake.once().await;
        seen(&lake).await
    };
    for requests in 0.. {
        let lake = lake(3).await;
        let gate = Gate::new(&lake.cloud, requests, false);
        let (aws, config) = (gate.aws(&lake.cloud), lake.config.clone());
        let frozen = tokio::spawn(async move { once(&config, &aws).await });
        tokio::select! {
            () = gate.held.notified() => {}
            () = async { while !frozen.is_finished() { tokio::task::yield_now().await } } => {}
        }
        let finished = frozen.is_finished();
        let mut config = lake.config.clone();
        config.full = true;
        once(&config, &lake.aws).await.unwrap();
        gate.open.notify_one();
        frozen.await.unwrap().unwrap();
        once(&config, &lake.aws).await.unwrap();
        assert!(seen(&lake).await == expected, "woke at request {requests}");
        if finished {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_with_another_bound_puts_off_into_the_same_objects() {
    let raw = |lake: &TestLake| {
        let mut keys = lake.cloud.objects(common::BUCKET);
        keys.retain(|key| key.starts_with("raw/"));
        keys
    };
    let expected = {
        let lake = lake(3).await;
        lake.once().await;
        raw(&lake)
    };
    let mut taken_over = 0;
    for requests in 0.. {
        let lake = lake(3).await;
        let gate = Gate::new(&lake.cloud, requests, false);
        let (aws, config) = (gate.aws(&lake.cloud), lake.config.clone());
        let frozen = tokio::spawn(async move { once(&config, &aws).await });
        tokio::select! {
            () = gate.held.notified() => {}
            () = async { while !frozen.is_finished() { tokio::task::yield_now().await } } => {}
        }
        let finished = frozen.is_finished();
        let bucket = lake.aws.lake(common::BUCKET);
        let planned = read_plan(&bucket, 1).await.unwrap().is_some();
        let config = aggregator::Config {
            commit_max_hours: NonZeroUsize::new(5_000).unwrap(),
            full: true,
            ..lake.config.clone()
        };
        once(&config, &lake.aws).await.unwrap();
        gate.open.notify_one();
        frozen.await.unwrap().unwrap();
        if planned {
            assert_eq!(raw(&lake), expected, "frozen at request {requests}");
            taken_over += 1;
        }
        if finished {
            break;
        }
    }
    assert!(taken_over > 10, "{taken_over}");
}

#[tokio::test]
async fn a_looser_release_finishes_a_commit_that_puts_off_hours_of_a_stricter_one() {
    let folder = tempfile::tempdir().unwrap();
    let vehicle_kind = include_str!("../../contract/kinds/vehicle.toml");
    let strict = vehicle_kind.replace("max = 20000", "max = 8000");
    assert_ne!(strict, vehicle_kind);
    std::fs::write(folder.path().join("vehicle.toml"), strict).unwrap();
    let mut held = 0;
    for requests in 0.. {
        let mut lake = TestLake::new().await;
        lake.config.commit_max_hours = NonZeroUsize::MIN;
        // An hour with few events of a stricter contract, and many of a looser one.
        let event = |id: usize, hour: u32, rpm: u32| {
            let time = format!("2026-11-20T{hour:02}:10:00Z");
            vehicle(
                &format!("{id}"),
                &time,
                &format!("{{\"engine_rpm\":{rpm}}}"),
            )
        };
        let mut events: Vec<_> = (0..200).map(|id| event(id, 3, 9000)).collect();
        events.extend([event(200, 3, 1), event(0, 4, 1), event(0, 5, 1)]);
        lake.land(NOON, &events).await;
        let gate = Gate::new(&lake.cloud, requests, false);
        let aws = gate.aws(&lake.cloud);
        let mut strict = lake.config.clone();
        strict.contracts = Some(folder.path().into());
        {
            let mut run = pin!(once(&strict, &aws));
            tokio::select! {
                _ = &mut run => break,
                () = gate.held.notified() => held += 1,
            }
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        lake.config.full = true;
        lake.once().await;
        let (curated, aggregates, aside) = seen(&lake).await;
        let messages = aggregates
            .values()
            .map(|row| row["messages"].as_u64().unwrap());
        assert_eq!(messages.sum::<u64>(), curated.len() as u64);
        // What the stricter run set aside may be in a part too.
        assert!(
            curated.len() == 203 || curated.len() + aside >= 203,
            "{}",
            curated.len()
        );
        assert!(curated.len() >= 3, "{requests}");
    }
    assert!(held > 10, "{held}");
}

#[tokio::test]
async fn hours_that_were_put_off_are_rebuilt_in_the_commits_that_wrote_them() {
    let lake = lake(2).await;
    lake.once().await;
    let expected = seen(&lake).await;
    let parts = lake.keys("curated/");
    let bucket = lake.aws.lake(common::BUCKET);
    bucket.delete(&parts).await.unwrap();
    let hour = |text: &str| Hour::of(text.parse().unwrap());
    let (from, to) = (hour("2026-11-20T00:00:00Z"), hour("2026-11-21T00:00:00Z"));
    aggregator::rebuild(&lake.config, &lake.aws, from, to, &())
        .await
        .unwrap();
    assert_eq!(lake.keys("curated/"), parts);
    let (curated, aggregates, _) = seen(&lake).await;
    assert_eq!((curated, aggregates), (expected.0, expected.1));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_told_to_stop_leaves_what_is_put_off_to_the_next() {
    let lake = lake(1).await;
    let stop = CancellationToken::new();
    let gate = Gate::new(&lake.cloud, 20, true);
    let aws = gate.aws(&lake.cloud);
    let run = async {
        aggregator::once(&lake.config, &aws, &stop, &())
            .await
            .unwrap()
    };
    let stopping = async {
        gate.held.notified().await;
        stop.cancel();
        gate.open.notify_one();
    };
    let (summary, ()) = tokio::join!(run, stopping);
    assert_eq!((summary.commits, summary.hours), (1, 1));
    let mut config = lake.config.clone();
    config.full = true;
    let rest = once(&config, &lake.aws).await.unwrap();
    assert_eq!(summary.events + rest.events, 10);
    let log = Log::read(&lake.aws.lake(common::BUCKET)).await.unwrap();
    assert!(lake.keys("raw/").iter().all(|key| log.has(key)));
}
