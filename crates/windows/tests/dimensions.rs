//! Series of one entity and signal that differ in their dimensions.

use windows::{Observed, PANE, SeriesId, Settings, Windows};

const MINUTE: i64 = 60_000;

/// A sample of the counter `requests` of one host; `zone` describes the host and tells nothing apart.
fn give(windows: &mut Windows, dimensions: &[(&str, &str)], zone: &str, at: i64, value: f64) {
    windows.observe(&Observed {
        kind: "metric",
        entity: "host-1",
        at,
        arrived: at,
        labels: &[("zone", zone)],
        dimensions,
        signals: &[("requests", value)],
    });
}

fn run_to(windows: &mut Windows, watermark: i64) {
    windows.advance(watermark);
    while windows.next_end().is_some() {}
}

fn find(windows: &Windows, dimensions: &[(&str, &str)]) -> Option<SeriesId> {
    windows.find("metric", "host-1", dimensions, "requests")
}

#[test]
fn a_counter_that_restarts_leaves_its_sibling_alone() {
    let mut windows = Windows::new(Settings::default(), 0);
    // What comes in one pane lies between each other.
    for second in 0..60 {
        let restarted = (second * 5 % 100) as f64;
        give(
            &mut windows,
            &[("code", "200")],
            "",
            second * 1_000,
            1_000.0 + second as f64,
        );
        give(
            &mut windows,
            &[("code", "500")],
            "",
            second * 1_000 + 500,
            restarted,
        );
    }
    let stat = |code| {
        let series = find(&windows, &[("code", code)]).unwrap();
        windows.window(series, 0, MINUTE).unwrap()
    };
    let (good, bad) = (stat("200"), stat("500"));
    assert_eq!(
        (good.increase, good.changes, good.last),
        (59.0, 11, 1_059.0)
    );
    // From 0 to 95, and, after the restart at 20 s, which is a pane's edge, from 0 to 95 twice.
    assert_eq!((bad.increase, bad.last), (3.0 * 95.0, 95.0));
    assert_eq!(find(&windows, &[]), None);
}

#[test]
fn neither_order_nor_empty_values_make_another_series() {
    let mut windows = Windows::new(Settings::default(), 0);
    let spellings: [&[_]; 3] = [
        &[("code", "200"), ("path", "/")],
        &[("path", "/"), ("code", "200")],
        &[("zone", ""), ("path", "/"), ("code", "200")],
    ];
    for dimensions in spellings {
        give(&mut windows, dimensions, "", 0, 1.0);
    }
    assert_eq!(windows.series_count(), 1);
    let series = find(&windows, spellings[1]).unwrap();
    let known: Vec<_> = windows.describe(series).unwrap().dimensions().collect();
    assert_eq!(known, spellings[0]);
    for other in [
        &[("code", "200")][..],
        &[("code", "200"), ("path", "/x")],
        &[],
    ] {
        assert_eq!(find(&windows, other), None);
    }
}

#[test]
fn labels_describe_each_series_by_its_own_latest_event() {
    let mut windows = Windows::new(Settings::default(), 0);
    give(&mut windows, &[("code", "200")], "a", 20_000, 1.0);
    give(&mut windows, &[("code", "500")], "b", 30_000, 1.0);
    give(&mut windows, &[("code", "200")], "c", 10_000, 1.0);
    let zone = |windows: &Windows, code| {
        let series = windows
            .describe(find(windows, &[("code", code)]).unwrap())
            .unwrap();
        let labels: Vec<_> = series.labels().map(|(_, value)| value.to_owned()).collect();
        labels.concat()
    };
    assert_eq!(
        (zone(&windows, "200"), zone(&windows, "500")),
        ("a".into(), "b".into())
    );
    give(&mut windows, &[("code", "200")], "c", 20_001, 1.0);
    assert_eq!(
        (zone(&windows, "200"), zone(&windows, "500")),
        ("c".into(), "b".into())
    );
}

#[test]
fn one_of_several_series_is_forgotten_and_its_place_used_again() {
    let settings = Settings {
        forget_after: 0,
        max_series: 3,
        ..Settings::default()
    };
    let mut windows = Windows::new(settings, 0);
    for round in 0..20 {
        let start = round * 10 * MINUTE;
        let churning = format!("pod-{round}");
        for dimensions in [&[][..], &[("pod", "stays")], &[("pod", &*churning)]] {
            give(&mut windows, dimensions, "", start, round as f64);
        }
        assert_eq!((windows.series_count(), windows.counts().no_room), (3, 0));
        for dimensions in [&[][..], &[("pod", "stays")], &[("pod", &*churning)]] {
            let series = find(&windows, dimensions).unwrap();
            let known: Vec<_> = windows.describe(series).unwrap().dimensions().collect();
            let stat = windows.window(series, start, start + PANE).unwrap();
            assert_eq!(
                (&*known, stat.count, stat.last),
                (dimensions, 1, round as f64)
            );
        }
        for pane in 1..60 {
            give(&mut windows, &[], "", start + pane * PANE, 0.0);
            give(
                &mut windows,
                &[("pod", "stays")],
                "",
                start + pane * PANE,
                0.0,
            );
        }
        run_to(&mut windows, start + 9 * MINUTE);
        assert_eq!(find(&windows, &[("pod", &churning)]), None);
    }
    assert_eq!(
        (windows.counts().forgotten, windows.series_count()),
        (20, 2)
    );
}

#[test]
fn a_late_event_changes_its_own_series_alone() {
    let mut windows = Windows::new(Settings::default(), 0);
    for code in ["200", "500"] {
        give(&mut windows, &[("code", code)], "", 5_000, 1.0);
    }
    run_to(&mut windows, MINUTE);
    give(&mut windows, &[("code", "500")], "", 6_000, 9.0);
    let changed = windows.take_changed();
    let series = find(&windows, &[("code", "500")]).unwrap();
    assert_eq!(changed.len(), 1);
    assert_eq!(
        (changed[0].series, changed[0].given_to),
        (series, Some(MINUTE))
    );
    assert_eq!(windows.revision(series, 0, MINUTE), 1);
    let sibling = find(&windows, &[("code", "200")]).unwrap();
    assert_eq!(windows.revision(sibling, 0, MINUTE), 0);
}

#[test]
fn anomalies_of_siblings_in_one_pane_are_two_moments_that_say_their_labels() {
    let mut windows = Windows::new(Settings::default(), 0);
    for pane in 0..100_i64 {
        let usual = 10.0 + (pane % 3) as f64;
        let value = if pane == 80 { 90.0 } else { usual };
        for dimensions in [&[][..], &[("code", "500")], &[("code", "200")]] {
            give(&mut windows, dimensions, "a", pane * PANE, value);
        }
    }
    run_to(&mut windows, 81 * PANE);
    let moments = windows.take_moments();
    let labels = moments.iter().map(|moment| format!("{:?}", moment.labels));
    let expected = ["{}", r#"{"code": "200"}"#, r#"{"code": "500"}"#];
    assert_eq!(labels.collect::<Vec<_>>(), expected);
    let ids: std::collections::BTreeSet<_> =
        moments.iter().map(|moment| &moment.moment_id).collect();
    assert_eq!(ids.len(), 3);
    let written = |place: usize| serde_json::to_value(&moments[place]).unwrap();
    assert_eq!(written(0).get("labels"), None);
    assert_eq!(written(2)["labels"], serde_json::json!({"code": "500"}));
}
