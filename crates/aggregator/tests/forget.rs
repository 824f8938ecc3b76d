//! An entity is forgotten: alone, beside runs that die or freeze, and by runs that die themselves.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;

use aggregator::{ForgetReport, Wanted};
use aws::{Aws, Condition};
use common::{BUCKET, Gate, TestLake, once, vehicle_of};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tokio_util::sync::CancellationToken;

const GONE: &str = "veh-gone";

fn wanted() -> Wanted {
    Wanted {
        kind: "vehicle".to_owned(),
        entity: GONE.to_owned(),
        before: None,
        dry_run: false,
    }
}

async fn forget(lake: &TestLake, aws: &Aws, wanted: &Wanted) -> anyhow::Result<ForgetReport> {
    let stop = CancellationToken::new();
    aggregator::forget(&lake.config, aws, wanted, &stop, &()).await
}

fn event(vehicle: &str, id: &str, hour: u32) -> String {
    let payload = format!("{{\"engine_rpm\":{},\"extra\":{hour}}}", 100 * hour);
    vehicle_of(
        vehicle,
        &format!("{vehicle}-{id}"),
        &format!("2026-11-20T{hour:02}:10:00Z"),
        &payload,
    )
}

/// Two commits and two objects that wait: hours of both, of one, of the other; a repeat, a conflict, and what alerts
/// and the consumer write.
async fn lake(with: &[&str]) -> TestLake {
    let mut lake = TestLake::new().await;
    let of = |events: &[(&str, &str, u32)]| -> Vec<String> {
        let there = events.iter().filter(|(vehicle, ..)| with.contains(vehicle));
        there
            .map(|(vehicle, id, hour)| event(vehicle, id, *hour))
            .collect()
    };
    lake.land(
        "2026-11-20T12:30:00Z",
        &of(&[
            ("veh-stays", "a", 10),
            (GONE, "a", 10),
            (GONE, "b", 11),
            ("veh-stays", "c", 12),
        ]),
    )
    .await;
    lake.once().await;
    lake.land(
        "2026-11-20T12:31:00Z",
        &of(&[(GONE, "a", 10), (GONE, "d", 10), ("veh-stays", "d", 10)]),
    )
    .await;
    lake.once().await;
    // All events of the hour stand in a part, so that the next commit writes none for it.
    lake.land(
        "2026-11-20T12:32:00Z",
        &of(&[(GONE, "b", 11), ("veh-stays", "e", 12)]),
    )
    .await;
    lake.land(
        "2026-11-20T13:31:00Z",
        &of(&[
            (GONE, "f", 13),
            ("veh-stays", "f", 13),
            ("veh-stays", "a", 10),
        ]),
    )
    .await;
    if with.contains(&GONE) {
        let conflict = event(GONE, "a", 10).replace("1000", "7777");
        lake.land("2026-11-20T13:32:00Z", &[conflict]).await;
    }
    let moment = |entity: &str| {
        format!(
            "{{\"moment_id\":\"m-{entity}\",\"kind\":\"vehicle\",\"entity_id\":\"{entity}\",\"started_at\":1}}\n"
        )
    };
    let change = |entity: &str| {
        format!("{{\"episode\":\"e\",\"labels\":{{\"entity_id\":\"{entity}\"}},\"at\":1}}\n")
    };
    let all =
        |line: &dyn Fn(&str) -> String| with.iter().map(|entity| line(entity)).collect::<String>();
    let letters = all(&|entity| event(entity, "l", 10) + "\n");
    let letters = serde_json::Value::from(letters.trim_end());
    let letter = format!("{{\"body\":{letters},\"attributes\":{{}}}}");
    for (key, body) in [
        (
            "moments/year=2026/month=11/day=20/hour=12/part-1.jsonl",
            all(&moment),
        ),
        (
            "alerts/year=2026/month=11/day=20/hour=12/part-1.jsonl",
            all(&change),
        ),
        ("_letters/m/h.json", letter),
    ] {
        let put = lake.aws.lake(BUCKET);
        put.put(
            key,
            body.into(),
            "text/plain",
            Default::default(),
            Condition::Always,
        )
        .await
        .unwrap();
    }
    lake
}

/// Whether the text occurs in an object: in its bytes, or in the columns or notes of a Parquet file.
async fn occurs(lake: &TestLake, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for key in lake.cloud.objects(BUCKET) {
        let body = lake.read(&key).await;
        let mut all = String::from_utf8_lossy(&body).into_owned();
        if key.ends_with(".parquet") {
            let file = bytes::Bytes::from(body);
            let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            all += &format!("{:?}", builder.metadata());
            all += &format!("{:?}", lake.parquet(&key).await);
        }
        if all.contains(text) {
            found.push(key);
        }
    }
    found
}

type Seen = (
    Vec<String>,
    BTreeMap<String, serde_json::Value>,
    Vec<String>,
);

/// Rows, aggregates, and the lines of all other objects of events.
async fn seen(lake: &TestLake) -> Seen {
    let mut lines = Vec::new();
    for prefix in ["raw/", "moments/", "alerts/", "_letters/"] {
        for key in lake.keys(prefix) {
            let body = String::from_utf8(lake.read(&key).await).unwrap();
            let body = body.lines().filter(|line| !line.trim().is_empty());
            lines.extend(body.map(str::to_owned));
        }
    }
    lines.sort();
    (lake.curated().await, lake.aggregates().await, lines)
}

/// What there would be if the entity had never been.
async fn without() -> Seen {
    let lake = lake(&["veh-stays"]).await;
    lake.once().await;
    seen(&lake).await
}

async fn assert_forgotten(lake: &TestLake, expected: &Seen, what: &str) {
    assert_eq!(occurs(lake, GONE).await, Vec::<String>::new(), "{what}");
    let now = seen(lake).await;
    assert_eq!(now.0, expected.0, "{what}");
    assert_eq!(now.1, expected.1, "{what}");
    assert_eq!(now.2, expected.2, "{what}");
}

#[tokio::test(start_paused = true)]
async fn nothing_of_the_entity_is_left_and_all_else_is_as_if_it_had_never_been() {
    let lake = lake(&["veh-stays", GONE]).await;
    let dry = Wanted {
        dry_run: true,
        ..wanted()
    };
    let before = (lake.cloud.objects(BUCKET), seen(&lake).await);
    let counted = forget(&lake, &lake.aws, &dry).await.unwrap();
    assert_eq!((lake.cloud.objects(BUCKET), seen(&lake).await), before);
    assert_eq!((counted.rows, counted.hours.len()), (3, 2), "{counted}");
    let report = forget(&lake, &lake.aws, &wanted()).await.unwrap();
    assert_forgotten(&lake, &without().await, "forgotten").await;
    assert_eq!((report.rows, report.hours.len()), (4, 3), "{report}");
    let record = lake.keys("_forgotten/");
    assert_eq!(record.len(), 1);
    let record: serde_json::Value = serde_json::from_slice(&lake.read(&record[0]).await).unwrap();
    assert_eq!(record["rows"], 4, "{record}");

    // Again there is nothing to do, and a rebuild brings nothing back.
    let again = forget(&lake, &lake.aws, &wanted()).await.unwrap();
    assert!(
        again.is_empty() && lake.keys("_forgotten/").len() == 1,
        "{again}"
    );
    let hour = |text: &str| contract::Hour::of(text.parse().unwrap());
    let (from, to) = (hour("2026-11-20T00:00:00Z"), hour("2026-11-21T00:00:00Z"));
    aggregator::rebuild(&lake.config, &lake.aws, from, to, &())
        .await
        .unwrap();
    assert_forgotten(&lake, &without().await, "rebuilt").await;
}

#[tokio::test(start_paused = true)]
async fn events_from_the_given_time_on_stay() {
    let lake = lake(&["veh-stays", GONE]).await;
    let before = Some("2026-11-20T11:00:00Z".parse().unwrap());
    let wanted = Wanted { before, ..wanted() };
    let report = forget(&lake, &lake.aws, &wanted).await.unwrap();
    assert_eq!((report.rows, report.hours.len()), (2, 1), "{report}");
    let curated = lake.curated().await;
    let gone: Vec<_> = curated.iter().filter(|row| row.contains(GONE)).collect();
    assert_eq!(gone.len(), 2, "{gone:?}");
    assert!(gone.iter().all(|row| !row.contains("hour=10")));
    let again = forget(&lake, &lake.aws, &wanted).await.unwrap();
    assert!(again.is_empty(), "{again}");
}

#[tokio::test]
async fn a_kind_that_is_not_declared_is_refused_with_the_nearest_name() {
    let lake = TestLake::new().await;
    let wanted = Wanted {
        kind: "vehicles".to_owned(),
        ..wanted()
    };
    let error = forget(&lake, &lake.aws, &wanted).await.unwrap_err();
    assert!(
        error.to_string().contains("did you mean `vehicle`?"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_dies_at_any_request_is_done_by_the_next_one() {
    let expected = without().await;
    let mut held = 0;
    for after_effect in [false, true] {
        for requests in 0.. {
            let lake = lake(&["veh-stays", GONE]).await;
            let gate = Gate::new(&lake.cloud, requests, after_effect);
            let aws = gate.aws(&lake.cloud);
            let wanted = wanted();
            let finished = tokio::select! {
                done = forget(&lake, &aws, &wanted) => { done.unwrap(); true }
                () = gate.held.notified() => false,
            };
            // Whatever is half done, others are as they were.
            let curated = lake.curated().await;
            let others = curated
                .iter()
                .filter(|row| row.contains("veh-stays"))
                .count();
            assert!(others <= expected.0.len());
            if !finished {
                forget(&lake, &lake.aws, &wanted).await.unwrap();
            }
            assert_forgotten(
                &lake,
                &expected,
                &format!("died at {requests}, {after_effect}"),
            )
            .await;
            if finished {
                break;
            }
            held += 1;
        }
    }
    assert!(held > 100, "{held}");
}

/// Runs `process` until the gate holds it, forgets the vehicle, and lets it go on to its end. True if it came there
/// without being held.
async fn forget_while_frozen(
    lake: &TestLake,
    gate: &Gate,
    process: impl Future<Output = anyhow::Result<()>> + Send + 'static,
) -> bool {
    let mut frozen = tokio::spawn(process);
    let ended = tokio::select! {
        ended = &mut frozen => { ended.unwrap().unwrap(); true }
        () = gate.held.notified() => false,
    };
    forget(lake, &lake.aws, &wanted()).await.unwrap();
    if !ended {
        gate.open.notify_one();
        frozen.await.unwrap().unwrap();
    }
    ended
}

#[tokio::test(start_paused = true)]
async fn a_run_that_froze_at_any_request_brings_nothing_back_when_it_wakes() {
    let expected = without().await;
    let mut held = 0;
    for after_effect in [false, true] {
        for requests in 0.. {
            let lake = lake(&["veh-stays", GONE]).await;
            let gate = Gate::new(&lake.cloud, requests, after_effect);
            let (aws, config) = (gate.aws(&lake.cloud), lake.config.clone());
            let frozen = async move { once(&config, &aws).await.map(drop) };
            let ended = forget_while_frozen(&lake, &gate, frozen).await;
            assert_forgotten(
                &lake,
                &expected,
                &format!("woke at {requests}, {after_effect}"),
            )
            .await;
            if ended {
                break;
            }
            held += 1;
        }
    }
    assert!(held > 20, "{held}");
}

#[tokio::test(start_paused = true)]
async fn a_rebuild_that_froze_at_any_request_brings_lines_set_aside_back_at_most() {
    let expected = without().await;
    let hour = |text: &str| contract::Hour::of(text.parse().unwrap());
    let (from, to) = (hour("2026-11-20T00:00:00Z"), hour("2026-11-21T00:00:00Z"));
    let mut held = 0;
    for requests in 0.. {
        let lake = lake(&["veh-stays", GONE]).await;
        lake.once().await;
        let gate = Gate::new(&lake.cloud, requests, false);
        let (aws, config) = (gate.aws(&lake.cloud), lake.config.clone());
        let frozen = async move {
            let rebuilt = aggregator::rebuild(&config, &aws, from, to, &()).await;
            rebuilt.map(drop)
        };
        let ended = forget_while_frozen(&lake, &gate, frozen).await;
        // Lines that it sets aside are the one thing: docs/forget.md.
        let back = occurs(&lake, GONE).await;
        assert!(
            back.iter().all(|key| key.starts_with("_aside/")),
            "{back:?}"
        );
        if !back.is_empty() {
            forget(&lake, &lake.aws, &wanted()).await.unwrap();
        }
        assert_forgotten(&lake, &expected, &format!("woke at {requests}")).await;
        if ended {
            break;
        }
        held += 1;
    }
    assert!(held > 20, "{held}");
}
