//! Late events, bounds, and what is forgotten.

use windows::{Changed, Observed, PANE, Settings, Windows};

const MINUTE: i64 = 60_000;

fn give(windows: &mut Windows, entity: &str, signal: &str, at: i64, value: f64) {
    let labels = [("area", if value < 0.0 { "south" } else { "north" })];
    windows.observe(&Observed {
        kind: "cell",
        entity,
        at,
        arrived: at,
        labels: &labels,
        dimensions: &[],
        signals: &[(signal, value)],
    });
}

fn run_to(windows: &mut Windows, watermark: i64) -> Vec<i64> {
    windows.advance(watermark);
    std::iter::from_fn(|| windows.next_end()).collect()
}

#[test]
fn window_ends_are_given_once_each_in_their_turn() {
    let mut windows = Windows::new(Settings::default(), 100_000);
    assert_eq!(run_to(&mut windows, 109_999), []);
    assert_eq!(run_to(&mut windows, 135_000), [110_000, 120_000, 130_000]);
    assert_eq!(run_to(&mut windows, 50_000), []);
    assert_eq!(windows.given_to(), Some(130_000));
}

#[test]
fn a_late_event_gives_its_windows_again_with_the_next_revision() {
    let mut windows = Windows::new(Settings::default(), 0);
    give(&mut windows, "c1", "load", 65_000, 1.0);
    run_to(&mut windows, 100_000);
    assert_eq!(windows.take_changed(), []);
    let series = windows.series(None, "load").next().unwrap();
    assert_eq!(windows.revision(series, 40_000, 100_000), 0);

    give(&mut windows, "c1", "load", 66_000, 5.0);
    give(&mut windows, "c1", "load", 67_000, 6.0);
    let changed = Changed {
        pane: 60_000,
        series,
        given_to: Some(100_000),
    };
    assert_eq!(windows.take_changed(), [changed]);
    assert_eq!(windows.take_changed(), []);
    for end in [70_000, 100_000] {
        assert_eq!(windows.revision(series, end - MINUTE, end), 1);
    }
    // Not yet given when the events came, or without them.
    for end in [110_000, 60_000] {
        assert_eq!(windows.revision(series, end - MINUTE, end), 0);
    }
    assert_eq!(windows.window(series, 40_000, 100_000).unwrap().count, 3);

    give(&mut windows, "c1", "load", 91_000, 7.0);
    windows.take_changed();
    assert_eq!(windows.revision(series, 40_000, 100_000), 2);
    assert_eq!(windows.revision(series, 10_000, 70_000), 1);
    assert_eq!(windows.counts().late, 3);
}

#[test]
fn what_comes_after_the_lateness_or_too_far_ahead_is_counted_and_left_out() {
    let mut windows = Windows::new(Settings::default(), 0);
    run_to(&mut windows, 10 * MINUTE);
    give(&mut windows, "c1", "load", 5 * MINUTE - 1, 1.0);
    assert_eq!((windows.counts().too_late, windows.series_count()), (1, 0));
    give(&mut windows, "c1", "load", 5 * MINUTE, 1.0);
    assert_eq!(windows.counts().late, 1);
    let mut ahead = Observed {
        kind: "cell",
        entity: "c1",
        at: 71 * MINUTE,
        arrived: 10 * MINUTE,
        labels: &[],
        dimensions: &[],
        signals: &[("load", 1.0), ("users", f64::NAN)],
    };
    windows.observe(&ahead);
    ahead.at = i64::MAX;
    ahead.arrived = i64::MAX;
    windows.observe(&ahead);
    assert_eq!(windows.counts().too_far_ahead, 4);
    ahead.at = 70 * MINUTE;
    ahead.arrived = 10 * MINUTE;
    windows.observe(&ahead);
    let counts = windows.counts();
    assert_eq!(
        (counts.clock_ahead, counts.taken, counts.not_finite),
        (2, 2, 1)
    );
}

#[test]
fn the_first_windows_after_a_start_have_all_their_events_and_no_revision() {
    let mut windows = Windows::new(Settings::default(), 10 * MINUTE);
    // The window up to 610,000 begins at 550,000.
    give(&mut windows, "c1", "load", 549_999, 1.0);
    give(&mut windows, "c1", "load", 550_000, 2.0);
    give(&mut windows, "c1", "load", 605_000, 4.0);
    assert_eq!(run_to(&mut windows, 610_000), [610_000]);
    let series = windows.series(None, "load").next().unwrap();
    assert_eq!(windows.window(series, 550_000, 610_000).unwrap().sum, 6.0);
    assert_eq!((windows.take_changed(), windows.counts().late), (vec![], 0));
}

#[test]
fn windows_are_whole_however_small_the_lateness_is() {
    for lateness in [-PANE, 0, 1, PANE - 1, PANE] {
        let settings = Settings {
            lateness,
            ..Settings::default()
        };
        let mut windows = Windows::new(settings, 0);
        for pane in 0..20 {
            give(&mut windows, "c1", "load", pane * PANE, 1.0);
            windows.advance((pane + 1) * PANE);
            let end = windows.next_end().unwrap();
            let series = windows.find("cell", "c1", &[], "load").unwrap();
            let count = windows.window(series, end - MINUTE, end).unwrap().count;
            assert_eq!(count as i64, (pane + 1).min(6), "{lateness}");
        }
    }
}

#[test]
fn a_series_is_found_by_its_names() {
    let mut windows = Windows::new(Settings::default(), 0);
    for (entity, signal) in [("c1", "load"), ("c1", "users"), ("c2", "load")] {
        give(&mut windows, entity, signal, 0, 1.0);
    }
    let found = windows.find("cell", "c2", &[], "load").unwrap();
    let series = windows.describe(found).unwrap();
    assert_eq!((series.entity, series.signal), ("c2", "load"));
    for (kind, entity, signal) in [
        ("vehicle", "c2", "load"),
        ("cell", "c3", "load"),
        ("cell", "c2", "users"),
    ] {
        assert_eq!(windows.find(kind, entity, &[], signal), None);
    }
}

#[test]
fn changes_of_watched_signals_are_told_as_they_come() {
    let settings = Settings {
        watched: ["load".to_owned()].into(),
        ..Settings::default()
    };
    let mut windows = Windows::new(settings, 0);
    give(&mut windows, "c1", "load", 12_000, 1.0);
    give(&mut windows, "c1", "load", 13_000, 1.0);
    give(&mut windows, "c1", "users", 12_000, 1.0);
    let series = windows.series(Some("cell"), "load").next().unwrap();
    let changed = Changed {
        pane: 10_000,
        series,
        given_to: None,
    };
    assert_eq!(windows.take_changed(), [changed]);
    assert_eq!(windows.window(series, -50_000, 20_000).unwrap().max, 1.0);
}

#[test]
fn series_past_the_bound_are_counted_and_those_that_are_known_go_on() {
    let settings = Settings {
        max_series: 300,
        ..Settings::default()
    };
    let mut windows = Windows::new(settings, 0);
    for round in 0..2 {
        for number in 0..1_000 {
            give(
                &mut windows,
                &format!("c{number}"),
                "load",
                round * PANE,
                1.0,
            );
        }
    }
    assert_eq!(
        (windows.series_count(), windows.counts().no_room),
        (300, 1_400)
    );
    assert_eq!(windows.series(None, "load").count(), 300);
}

#[test]
fn series_without_events_are_forgotten_and_their_places_are_used_again() {
    let settings = Settings {
        max_series: 500,
        forget_after: 0,
        ..Settings::default()
    };
    let mut windows = Windows::new(settings, 0);
    for round in 0..20 {
        let start = round * 10 * MINUTE;
        for number in 0..500 {
            give(
                &mut windows,
                &format!("c{round}-{number}"),
                "load",
                start,
                number as f64,
            );
        }
        assert_eq!((windows.series_count(), windows.counts().no_room), (500, 0));
        for series in windows.series(None, "load") {
            let name = windows.describe(series).unwrap().entity.to_owned();
            let stat = windows.window(series, start, start + PANE).unwrap();
            assert_eq!((name, stat.count), (format!("c{round}-{}", stat.last), 1));
        }
        run_to(&mut windows, start + 9 * MINUTE);
    }
    assert_eq!(windows.counts().forgotten, 20 * 500);
    assert_eq!(windows.series(None, "load").count(), 0);
}

#[test]
fn labels_are_those_of_the_latest_event() {
    let mut windows = Windows::new(Settings::default(), 0);
    give(&mut windows, "c1", "load", 20_000, 1.0);
    give(&mut windows, "c1", "load", 15_000, -1.0);
    let area = |windows: &Windows| {
        let series = windows.series(None, "load").next().unwrap();
        let labels: Vec<_> = windows
            .describe(series)
            .unwrap()
            .labels()
            .map(|(_, value)| value.to_owned())
            .collect();
        labels.concat()
    };
    assert_eq!(area(&windows), "north");
    give(&mut windows, "c1", "load", 25_000, -1.0);
    assert_eq!(area(&windows), "south");
}

#[test]
fn a_signal_with_a_longer_range_is_held_longer_than_others() {
    let settings = Settings {
        ranges: [("users".to_owned(), 30 * MINUTE)].into(),
        ..Settings::default()
    };
    let mut windows = Windows::new(settings, 0);
    for minute in 0..60 {
        give(&mut windows, "c1", "load", minute * MINUTE, 1.0);
        give(&mut windows, "c1", "users", minute * MINUTE, 1.0);
        run_to(&mut windows, minute * MINUTE);
    }
    let held = |signal| {
        let series = windows.series(None, signal).next().unwrap();
        windows.window(series, 0, 60 * MINUTE).unwrap().count
    };
    // The range and the lateness of five minutes, and what is open.
    assert_eq!((held("load"), held("users")), (6, 35));
}

#[test]
fn an_anomaly_is_told_at_the_window_end_after_its_pane() {
    let mut windows = Windows::new(Settings::default(), 0);
    for pane in 0..100_i64 {
        let value = if pane == 80 {
            90.0
        } else {
            10.0 + (pane % 3) as f64
        };
        give(&mut windows, "c1", "load", pane * PANE, value);
    }
    run_to(&mut windows, 80 * PANE);
    assert_eq!(windows.take_moments(), []);
    run_to(&mut windows, 81 * PANE);
    let moments = windows.take_moments();
    let [moment] = &moments[..] else {
        panic!("{moments:?}")
    };
    assert_eq!(
        (
            moment.kind.as_str(),
            moment.entity_id.as_str(),
            moment.signal.as_str()
        ),
        ("cell", "c1", "load")
    );
    assert_eq!(
        (moment.started_at, moment.value, moment.ended_at),
        (80 * PANE, 90.0, None)
    );
    run_to(&mut windows, 90 * PANE);
    let ended = windows.take_moments();
    assert_eq!(
        (ended.len(), &ended[0].moment_id, ended[0].ended_at),
        (1, &moment.moment_id, Some(81 * PANE))
    );
}
