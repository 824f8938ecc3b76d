//! The snapshot against the emulation: what it shows of objects that land, of commits and of rebuilds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod committer;
mod interleavings;
mod stage;

use std::time::Duration;

use arrow::array::Array;
use chrono::{DateTime, TimeDelta, Utc};
use contract::Hour;
use engine::snapshot::{Snapshot, SnapshotSettings, Snapshots};
use local_aws::Faults;
use tokio::time::timeout;

use crate::stage::{Stage, line, once, rows};

async fn refreshed(snapshots: &mut Snapshots) -> Snapshot {
    while !snapshots.refresh().await.unwrap().is_complete {}
    snapshots.newest()
}

#[tokio::test(start_paused = true)]
async fn an_event_is_seen_when_its_object_has_landed_and_stays_once_through_a_commit() {
    let mut stage = Stage::new().await;
    let mut snapshots = stage.snapshots();
    assert_eq!(snapshots.newest().fresh_until(), None);
    let empty = refreshed(&mut snapshots).await;
    assert_eq!(
        (empty.commit(), empty.fresh_until()),
        (0, Some(stage.now()))
    );
    assert_eq!(empty.span("vehicle").await.unwrap(), None);
    stage.land(0, &[("a", 1), ("b", 2)]).await;
    let hot = refreshed(&mut snapshots).await;
    stage.commit().await;
    let during = refreshed(&mut snapshots).await;
    stage.land(1, &[("c", 3), ("a", 9)]).await;
    let after = refreshed(&mut snapshots).await;
    let two = rows(&[("a", 1), ("b", 2)]);
    for (snapshot, commit, expected) in [
        (&empty, 0, rows(&[])),
        (&hot, 0, two.clone()),
        (&during, 1, two),
        (&after, 1, rows(&[("a", 1), ("b", 2), ("c", 3)])),
    ] {
        assert_eq!(snapshot.commit(), commit);
        assert_eq!(stage.rows(snapshot).await, expected);
    }
    let (from, until) = after.span("vehicle").await.unwrap().unwrap();
    assert_eq!(
        (from.start().to_rfc3339(), until),
        ("2025-09-20T10:00:00+00:00".into(), from.next())
    );
    let hours = after
        .hours("vehicle", from.start(), until.start())
        .await
        .unwrap();
    assert_eq!(hours.len(), 1);
    assert!(
        after
            .hours("tram", from.start(), until.start())
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        after
            .hours("vehicle", until.start(), from.start())
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_starts_sees_what_is_committed_and_what_is_not() {
    let mut stage = Stage::new().await;
    stage.land(-40 * 3_600, &[("a", 1)]).await;
    stage.commit().await;
    stage.land(-47 * 3_600, &[("b", 2)]).await;
    stage.land(0, &[("c", 3)]).await;
    let snapshot = refreshed(&mut stage.snapshots()).await;
    let all = rows(&[("a", 1), ("b", 2), ("c", 3)]);
    assert_eq!(stage.rows(&snapshot).await, all);
}

#[tokio::test(start_paused = true)]
async fn a_lake_without_an_aggregator_is_read_from_raw_whatever_its_age() {
    let mut stage = Stage::new().await;
    stage.land(-9 * 24 * 3_600, &[("a", 1)]).await;
    stage.land(-60, &[("b", 2)]).await;
    let mut snapshots = stage.snapshots();
    assert_eq!(
        stage.rows(&refreshed(&mut snapshots).await).await,
        rows(&[("a", 1), ("b", 2)])
    );
    stage.commit().await;
    assert_eq!(
        stage.rows(&refreshed(&mut snapshots).await).await,
        rows(&[("a", 1), ("b", 2)])
    );
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_is_dropped_at_any_point_leaves_no_object_out() {
    let mut stage = Stage::new().await;
    stage.land(-72 * 3_600, &[("a", 1)]).await;
    // More than a listing gives at a time.
    for seconds in 0..1_000 {
        let received = stage.now() - TimeDelta::seconds(1_100 - seconds);
        stage.land_lines(received, "").await;
    }
    stage.land(0, &[("b", 2)]).await;
    let mut snapshots = stage.snapshots();
    let second = Duration::from_secs(1);
    let slow = Faults::seeded(1).slow("*", 1.0, second..second);
    stage.cloud.set_faults(slow);
    for requests in 0..10_u32 {
        let within = requests * second + second / 2;
        assert!(timeout(within, snapshots.refresh()).await.is_err());
    }
    stage.cloud.set_faults(Faults::none());
    let snapshot = refreshed(&mut snapshots).await;
    assert_eq!(stage.rows(&snapshot).await, rows(&[("a", 1), ("b", 2)]));
}

#[tokio::test(start_paused = true)]
async fn what_lands_long_after_the_time_in_its_name_comes_with_a_sweep() {
    let mut stage = Stage::new().await;
    let mut snapshots = stage.snapshots();
    stage.land(0, &[("a", 1)]).await;
    refreshed(&mut snapshots).await;
    stage.land(-240, &[("b", 2)]).await;
    stage.land(-5_000, &[("c", 3)]).await;
    stage.land(-100_000, &[("d", 4)]).await;
    let seen = async |stage: &Stage, snapshots: &mut Snapshots, seconds| {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        let rows = once(stage.rows(&refreshed(snapshots).await).await);
        rows.into_keys().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(seen(&stage, &mut snapshots, 1).await, "a b");
    assert_eq!(seen(&stage, &mut snapshots, 60).await, "a b c");
    assert_eq!(seen(&stage, &mut snapshots, 3_600).await, "a b c d");
}

#[tokio::test(start_paused = true)]
async fn of_events_with_one_id_the_one_received_first_is_seen_as_the_commit_will_have_it() {
    let mut stage = Stage::new().await;
    let mut snapshots = stage.snapshots();
    stage.land(10, &[("a", 1), ("b", 1), ("b", 7)]).await;
    refreshed(&mut snapshots).await;
    stage.land(5, &[("a", 2)]).await;
    stage.land(20, &[("a", 3), ("b", 3)]).await;
    let before = stage.rows(&refreshed(&mut snapshots).await).await;
    assert_eq!(before, rows(&[("a", 2), ("b", 1)]));
    stage.commit().await;
    assert_eq!(stage.rows(&refreshed(&mut snapshots).await).await, before);
}

#[tokio::test(start_paused = true)]
async fn hot_rows_have_the_columns_that_their_parts_will_have() {
    let mut stage = Stage::new().await;
    let mut snapshots = stage.snapshots();
    let now = stage.now();
    let text = line("a", now, r#""engine_rpm":1,"x":"text""#);
    let number = line("c", now, r#""engine_rpm":2,"X":5,"new":true"#);
    // What is committed first decides the type of `x`, and here that is what landed last.
    stage.land_lines(now, &number).await;
    let hot = refreshed(&mut snapshots).await;
    assert_eq!(columns_of(&hot).await, ["X", "engine_rpm", "new"]);
    let key = stage.land_lines(now, &text).await;
    let types = r#"{"signals":{"x":{"name":"x","type":"text"}}}"#;
    stage
        .put("_schema/vehicle.json", types.as_bytes().to_vec())
        .await;
    let mut committer = committer::Committer::default();
    committer.begin(&stage, vec![key]).await;
    for _ in 0..2 {
        committer.step(&stage).await;
    }
    let renamed = refreshed(&mut snapshots).await;
    assert_eq!(renamed.commit(), 1);
    assert_eq!(
        columns_of(&renamed).await,
        ["engine_rpm", "new", "x__number"]
    );
    assert_eq!(columns_of(&hot).await, ["X", "engine_rpm", "new"]);
}

/// Names of the columns with a value in hot rows, but for those that every kind has.
async fn columns_of(snapshot: &Snapshot) -> Vec<String> {
    let (from, until) = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
    let hours = snapshot.hours("vehicle", from, until).await.unwrap();
    let mut names = Vec::new();
    for batch in hours.iter().flat_map(|hour| &hour.hot) {
        let columns = batch.schema_ref().fields().iter().zip(batch.columns());
        let filled = columns
            .skip(6)
            .filter(|(_, column)| column.null_count() < column.len());
        names.extend(filled.map(|(field, _)| field.name().clone()));
    }
    names.sort();
    names
}

#[tokio::test(start_paused = true)]
async fn past_the_limit_no_object_is_taken_until_a_commit_makes_room() {
    let mut stage = Stage::new().await;
    let mut snapshots = stage.snapshots_with(SnapshotSettings {
        log_every: Duration::ZERO,
        hot_limit: 30_000,
        ..SnapshotSettings::default()
    });
    let first = refreshed(&mut snapshots).await;
    let ids: Vec<String> = (0..20).map(|id| format!("id-{id}")).collect();
    for (second, id) in (0..).zip(&ids) {
        stage.land(second, &[(id, 1)]).await;
    }
    tokio::time::advance(Duration::from_secs(30)).await;
    let mut last = snapshots.refresh().await.unwrap();
    while !last.is_full {
        last = snapshots.refresh().await.unwrap();
    }
    assert!(!last.is_complete);
    let full = snapshots.newest();
    let seen = once(stage.rows(&full).await);
    assert!(!seen.is_empty() && seen.len() < ids.len(), "{seen:?}");
    assert_eq!(full.fresh_until(), first.fresh_until());
    stage.commit().await;
    let after = refreshed(&mut snapshots).await;
    assert_eq!(once(stage.rows(&after).await).len(), ids.len());
    assert_eq!(after.fresh_until(), Some(stage.now()));
}

#[tokio::test(start_paused = true)]
async fn lines_that_are_no_events_leave_the_others_as_they_are() {
    let mut stage = Stage::new().await;
    let now = stage.now();
    let good = line("a", now, r#""engine_rpm":1"#);
    let unknown = good.replace("\"vehicle\"", "\"tram\"");
    stage
        .land_lines(now, &format!("{unknown}no event\n\n{good}"))
        .await;
    let snapshot = refreshed(&mut stage.snapshots()).await;
    assert_eq!(stage.rows(&snapshot).await, rows(&[("a", 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_part_that_a_rebuild_replaced_is_found_again_when_the_reader_says_so() {
    let mut stage = Stage::new().await;
    let mut snapshots = stage.snapshots();
    stage.land(0, &[("a", 1)]).await;
    stage.commit().await;
    let snapshot = refreshed(&mut snapshots).await;
    let hour = snapshot.span("vehicle").await.unwrap().unwrap().0;
    let part = async |snapshot: &Snapshot| {
        let (from, until) = (hour.start(), hour.next().start());
        let hours = snapshot.hours("vehicle", from, until).await.unwrap();
        hours[0].parts[0].clone()
    };
    let before = part(&snapshot).await;
    let rows = lake::parts::read(&stage.lake, &before.key).await.unwrap();
    let empty = lake::parts::to_parquet(&rows.slice(0, 0)).unwrap();
    stage.put(&before.key, empty.to_vec()).await;
    assert_eq!(part(&snapshot).await, before, "the list is kept");
    snapshot.forget("vehicle", hour);
    let after = part(&snapshot).await;
    assert!(after.etag != before.etag && after.key == before.key);
    // Nobody says so, and it is found all the same.
    stage
        .put(
            &before.key,
            lake::parts::to_parquet(&rows).unwrap().to_vec(),
        )
        .await;
    tokio::time::advance(Duration::from_secs(301)).await;
    assert_eq!(part(&snapshot).await.etag, before.etag);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_replaced_while_a_new_object_is_compared_with_it_costs_one_refresh() {
    let mut stage = Stage::new().await;
    let mut snapshots = stage.snapshots();
    stage.land(0, &[("a", 1)]).await;
    stage.commit().await;
    let listed = refreshed(&mut snapshots).await;
    assert_eq!(stage.rows(&listed).await, rows(&[("a", 1)]));
    let hour = listed.span("vehicle").await.unwrap().unwrap().0;
    let key = lake::key::part_key("vehicle", hour, 1, 0, 1);
    let part = lake::parts::read(&stage.lake, &key).await.unwrap();
    // The same events in a file of one column less, as a rebuild under other declarations makes it.
    let columns: Vec<usize> = (0..part.num_columns() - 1).collect();
    let part = part.project(&columns).unwrap();
    let replaced = lake::parts::to_parquet(&part).unwrap();
    stage.put(&key, replaced.to_vec()).await;
    stage.land(1, &[("a", 2), ("c", 3)]).await;
    let error = snapshots.refresh().await.unwrap_err();
    assert!(
        error.to_string().contains("was replaced or deleted"),
        "{error}"
    );
    let hot = refreshed(&mut snapshots).await;
    assert_eq!(stage.rows(&hot).await, rows(&[("a", 1), ("c", 3)]));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_of_what_stands_in_a_large_part_is_found_by_its_digest() {
    let mut stage = Stage::new().await;
    let ids: Vec<String> = (0..24_000).map(|id| format!("id-{id:05}")).collect();
    let events: Vec<_> = ids.iter().map(|id| (id.as_str(), 1)).collect();
    stage.land(0, &events).await;
    stage.commit().await;
    let mut snapshots = stage.snapshots();
    stage.land(1, &[("other", 2)]).await;
    let one = refreshed(&mut snapshots).await;
    stage
        .land(2, &[("id-00017", 2), ("another", 3), ("id-23999", 2)])
        .await;
    let two = refreshed(&mut snapshots).await;
    for (snapshot, expected) in [(one, 1), (two, 2)] {
        let seen = once(stage.rows(&snapshot).await);
        assert_eq!(seen.len(), 24_000 + expected);
        assert_eq!(seen["id-00017"], 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_lake_costs_fewer_than_two_requests_a_second() {
    let mut stage = Stage::new().await;
    stage.land(0, &[("a", 1)]).await;
    stage.commit().await;
    stage.land(1, &[("b", 2)]).await;
    let mut snapshots = stage.snapshots_with(SnapshotSettings::default());
    refreshed(&mut snapshots).await;
    let requests = || -> u64 {
        let usage = stage.aws.meter().usage();
        usage.values().map(|usage| usage.requests).sum()
    };
    let before = requests();
    let stop = tokio_util::sync::CancellationToken::new();
    let ready = service::ready::Ready::default();
    let watch = snapshots.watch();
    let follow = tokio::time::timeout(Duration::from_secs(3_600), snapshots.follow(&stop, &ready));
    assert!(follow.await.is_err());
    let each_second = (requests() - before) as f64 / 3_600.0;
    assert!(each_second < 1.3, "{each_second}");
    assert!(ready.get());
    let behind = stage.now() - watch.borrow().fresh_until().unwrap();
    assert!(behind <= TimeDelta::seconds(1), "{behind}");
    assert_eq!(
        Hour::of(stage.now()).start().to_rfc3339(),
        "2025-10-04T13:00:00+00:00"
    );
}
