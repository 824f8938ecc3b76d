//! Single cases of evaluation.

use std::collections::BTreeSet;

use windows::{Observed, PANE, Settings, Windows};

use super::reference::Sample;
use super::*;
use crate::model::{Reason, State, Transition};
use crate::rules::read_file;

/// Where the made-up events begin.
pub(super) const START: i64 = 1_000_000_000;

pub(super) fn settings() -> EvaluatorSettings {
    EvaluatorSettings {
        flap_quiet: 0,
        ..EvaluatorSettings::default()
    }
}

/// Whether series have such a label as a dimension.
pub(super) fn is_dimension(_: &str, label: &str) -> bool {
    label == "code"
}

/// A sample of the series 23 is of entity 2, and has `code="3"`; one of the series 2 is of the same entity, and has
/// none.
pub(super) fn observe(windows: &mut Windows, sample: &Sample) {
    let (entity, code) = match sample.series {
        entity @ 0..10 => (entity.to_string(), String::new()),
        series => ((series / 10).to_string(), (series % 10).to_string()),
    };
    windows.observe(&Observed {
        kind: "vehicle",
        entity: &entity,
        at: sample.at,
        arrived: sample.at,
        labels: &[("can_id", if sample.value > 5.0 { "0x1" } else { "0x2" })],
        dimensions: &[("code", &code)],
        signals: &[("x", sample.value)],
    });
}

/// Evaluates one rule over samples of `(series, second, value)`.
pub(super) fn run(
    rule: &str,
    samples: &[(u8, i64, f64)],
    seconds: i64,
    settings: EvaluatorSettings,
) -> Vec<Transition> {
    let rules = read_file("a.yml", &format!("groups: [{{name: g, rules: [{rule}]}}]")).unwrap();
    let mut windows = Windows::new(windows_for(&rules, Settings::default()), START);
    let mut evaluator = Evaluator::new(&rules, settings, START);
    for (series, second, value) in samples {
        let at = START + second * 1_000;
        let (series, value) = (*series, *value);
        observe(&mut windows, &Sample { series, at, value });
    }
    windows.advance(START + seconds * 1_000);
    let mut told = Vec::new();
    while let Some(end) = windows.next_end() {
        told.extend(evaluator.evaluate(&windows, end));
    }
    told
}

pub(super) fn states(told: &[Transition]) -> Vec<(State, Reason, i64)> {
    let states = told
        .iter()
        .map(|told| (told.to, told.reason, (told.at - START) / 1_000));
    states.collect()
}

#[test]
fn series_are_put_together_by_labels() {
    let rule = "{alert: A, expr: 'sum by (kind) (last_over_time(x[10s])) > 10', annotations: {v: '{{ $labels.kind }} {{ $value }}'}}";
    let told = run(rule, &[(1, 1, 6.0), (2, 2, 5.0)], 20, settings());
    assert_eq!(states(&told)[0], (State::Firing, Reason::Condition, 10));
    assert_eq!(told[0].annotations["v"], "vehicle 11");
    let labels: Vec<_> = told[0]
        .labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(labels, ["alertname=A", "kind=vehicle"]);
}

#[test]
fn conditions_are_joined_by_entity() {
    let samples = [(1, 1, 6.0), (1, 2, 1.0), (2, 1, 6.0), (2, 2, 5.0)];
    for (word, entities) in [
        ("and", vec!["2"]),
        ("or", vec!["1", "2"]),
        ("unless", vec!["1"]),
    ] {
        let rule = format!(
            "{{alert: A, expr: 'max_over_time(x[10s]) > 5 {word} min_over_time(x[10s]) > 4'}}"
        );
        let told = run(&rule, &samples, 10, settings());
        let fired: Vec<_> = told.iter().map(|told| &*told.labels["entity_id"]).collect();
        assert_eq!(fired, entities, "{word}");
    }
}

#[test]
fn an_absent_signal_is_told_until_it_comes() {
    let told = run(
        "{alert: A, expr: 'absent_over_time(x{kind=\"vehicle\"}[20s])'}",
        &[(1, 25, 1.0)],
        60,
        settings(),
    );
    assert_eq!(
        states(&told),
        [
            (State::Firing, Reason::Condition, 10),
            (State::Resolved, Reason::Condition, 30),
            (State::Firing, Reason::Condition, 50),
        ]
    );
    assert_eq!(told[0].labels["kind"], "vehicle");
}

#[test]
fn missing_data_are_an_alert_only_where_the_rule_says_so() {
    let rule = |no_data: &str| {
        format!(
            "{{alert: A, expr: 'last_over_time(x[10s]) > 5', no_data: {no_data}, no_data_after: 30s}}"
        )
    };
    let told = |no_data| {
        states(&run(
            &rule(no_data),
            &[(1, 1, 1.0), (2, 1, 9.0)],
            100,
            settings(),
        ))
    };
    assert_eq!(told("keep"), [(State::Firing, Reason::Condition, 10)]);
    let ok = [
        (State::Firing, Reason::Condition, 10),
        (State::Resolved, Reason::NoData, 40),
    ];
    assert_eq!(told("ok"), ok);
    let alert = [
        (State::Firing, Reason::Condition, 10),
        (State::Firing, Reason::NoData, 40),
    ];
    assert_eq!(told("alert"), alert);
}

#[test]
fn an_alert_without_data_ends_after_a_day() {
    let told = run(
        "{alert: A, expr: 'last_over_time(x[10s]) > 5'}",
        &[(1, 1, 9.0)],
        90_000,
        settings(),
    );
    assert_eq!(states(&told)[1], (State::Resolved, Reason::NoData, 86_410));
}

#[test]
fn an_alert_of_missing_data_ends_a_day_after_the_data_however_often_it_is_restored() {
    let rule = "{alert: A, expr: 'last_over_time(x[10s]) > 5', no_data: alert, no_data_after: 25s}";
    let rules = read_file("a.yml", &format!("groups: [{{name: g, rules: [{rule}]}}]")).unwrap();
    let fired = run(rule, &[(1, 1, 1.0)], 40, settings());
    assert_eq!(states(&fired), [(State::Firing, Reason::NoData, 40)]);
    for restart in [40, 50_000, 86_400] {
        let at = START + restart * 1_000;
        let mut evaluator = Evaluator::new(&rules, settings(), at);
        assert_eq!(evaluator.restore(fired.clone(), is_dimension), []);
        let mut windows = Windows::new(windows_for(&rules, Settings::default()), at);
        windows.advance(START + 90_000_000);
        let mut told = Vec::new();
        while let Some(end) = windows.next_end() {
            told.extend(evaluator.evaluate(&windows, end));
        }
        let ended = (State::Resolved, Reason::NoData, 86_410);
        assert_eq!(states(&told), [ended], "{restart}");
    }
}

#[test]
fn a_flapping_alert_is_told_once_and_held_until_it_is_quiet() {
    let samples: Vec<_> = (0..30)
        .map(|n| (1, n * 20 + 1, 9.0))
        .chain((0..200).map(|n| (1, n * 20 + 11, 1.0)))
        .collect();
    let rule = "{alert: A, expr: 'last_over_time(x[10s]) > 5'}";
    let told = run(rule, &samples, 4_000, EvaluatorSettings::default());
    let news: Vec<_> = told
        .iter()
        .filter(|told| told.to != State::Keeping)
        .collect();
    let fired: BTreeSet<_> = told.iter().map(|told| &told.episode).collect();
    assert_eq!(fired.len(), 6);
    assert_eq!(news[10].reason, Reason::Flapping);
    assert!(
        news[10].annotations["flapping"].contains("6 times"),
        "{:?}",
        news[10]
    );
    let end = told.last().unwrap();
    assert_eq!(
        (end.to, (end.at - START) / 1_000),
        (State::Resolved, 600 + 900)
    );
}

#[test]
fn an_alert_that_fires_on_shows_the_value_of_its_condition_and_its_end_that_of_the_end() {
    let rule = "{alert: A, expr: 'last_over_time(x[10s]) > 5', keep_firing_for: 20s, annotations: {v: '{{ $value }}'}}";
    let samples = [(1, 1, 9.0), (1, 11, 3.0), (1, 21, 2.0), (1, 31, 1.0)];
    let told = run(rule, &samples, 40, settings());
    let shown: Vec<_> = told
        .iter()
        .map(|told| (told.to, &*told.annotations["v"]))
        .collect();
    assert_eq!(
        shown,
        [
            (State::Firing, "9"),
            (State::Keeping, "9"),
            (State::Resolved, "1")
        ]
    );
}

#[test]
fn more_alerts_than_a_rule_may_have_are_left_out_and_counted() {
    let rules = read_file(
        "a.yml",
        "groups: [{name: g, rules: [{alert: A, expr: 'last_over_time(x[10s]) > 5'}]}]",
    )
    .unwrap();
    let mut windows = Windows::new(windows_for(&rules, Settings::default()), START);
    let settings = EvaluatorSettings {
        most_alerts: 3,
        ..settings()
    };
    let mut evaluator = Evaluator::new(&rules, settings, START);
    for series in 0..5 {
        observe(
            &mut windows,
            &Sample {
                series,
                at: START + 1,
                value: 9.0,
            },
        );
    }
    assert_eq!(evaluator.evaluate(&windows, START + PANE).len(), 3);
    assert_eq!(
        evaluator
            .left_out()
            .map(|(_, count)| count)
            .collect::<Vec<_>>(),
        [2]
    );
}

#[test]
fn a_rule_that_tells_its_alerts_apart_by_other_labels_ends_those_of_before() {
    let file = |expr: &str| {
        let text = format!("groups: [{{name: g, rules: [{{alert: A, expr: '{expr}'}}]}}]");
        read_file("a.yml", &text).unwrap()
    };
    let each = file("last_over_time(x[10s]) > 5");
    let together = file("sum by (kind) (last_over_time(x[10s])) > 5");
    for (before, after, alerts) in [(&each, &together, 2), (&together, &each, 1)] {
        let mut windows = Windows::new(windows_for(before, Settings::default()), START);
        for series in [1, 2] {
            let (at, value) = (START + 1, 9.0);
            observe(&mut windows, &Sample { series, at, value });
        }
        let mut evaluator = Evaluator::new(before, settings(), START);
        let fired = evaluator.evaluate(&windows, START + PANE);
        assert_eq!(fired.len(), alerts);
        let mut started = Evaluator::new(after, settings(), START + PANE);
        for gone in [
            evaluator.set_rules(after),
            started.restore(fired, is_dimension),
        ] {
            let expected = (State::Resolved, Reason::RuleGone, 10);
            assert_eq!(states(&gone), vec![expected; alerts]);
        }
        for evaluator in [&mut evaluator, &mut started] {
            assert_eq!(evaluator.active().count(), 0);
        }
    }
}

#[test]
fn other_rules_keep_the_alerts_of_those_that_stay() {
    let file = |rules: &str| {
        read_file("a.yml", &format!("groups: [{{name: g, rules: [{rules}]}}]")).unwrap()
    };
    let a = "{alert: A, expr: 'last_over_time(x[10s]) > 5', for: 30s}";
    let b = "{alert: B, expr: 'last_over_time(x[10s]) > 4'}";
    let both = file(&format!("{a}, {b}"));
    let mut windows = Windows::new(windows_for(&both, Settings::default()), START);
    let mut evaluator = Evaluator::new(&both, settings(), START);
    for second in 0..60 {
        observe(
            &mut windows,
            &Sample {
                series: 1,
                at: START + second * 1_000,
                value: 9.0,
            },
        );
    }
    let first = evaluator.evaluate(&windows, START + PANE);
    assert_eq!(first.len(), 2);
    let gone = evaluator.set_rules(&file(a));
    assert_eq!(states(&gone), [(State::Resolved, Reason::RuleGone, 10)]);
    assert_eq!(gone[0].episode, first[1].episode);
    for end in [2, 3] {
        assert_eq!(evaluator.evaluate(&windows, START + end * PANE), []);
    }
    let fired = evaluator.evaluate(&windows, START + 4 * PANE);
    assert_eq!(
        (fired[0].to, &fired[0].episode),
        (State::Firing, &first[0].episode)
    );
    let mut other = Evaluator::new(&file(b), settings(), START + 4 * PANE);
    let gone = other.restore(fired, is_dimension);
    assert_eq!(states(&gone), [(State::Resolved, Reason::RuleGone, 40)]);
}

/// What late samples change after a start at `seconds`, by what was told of samples in time.
fn late_after_a_start(
    rule: &str,
    samples: &[(u8, i64, f64)],
    seconds: i64,
    late: &[(u8, i64, f64)],
) -> (Evaluator, Windows, Vec<Transition>) {
    let rules = read_file("a.yml", &format!("groups: [{{name: g, rules: [{rule}]}}]")).unwrap();
    let told = run(rule, samples, seconds, settings());
    let evaluated_to = START + seconds * 1_000;
    let mut evaluator = Evaluator::new(&rules, settings(), evaluated_to);
    assert_eq!(evaluator.restore(told.last().cloned(), is_dimension), []);
    let mut windows = Windows::new(windows_for(&rules, Settings::default()), START - 600_000);
    let send = |windows: &mut Windows, samples: &[(u8, i64, f64)]| {
        for (series, second, value) in samples {
            let at = START + second * 1_000;
            let (series, value) = (*series, *value);
            observe(windows, &Sample { series, at, value });
        }
    };
    send(&mut windows, samples);
    windows.advance(evaluated_to);
    while let Some(end) = windows.next_end() {
        evaluator.look_back(&windows, end);
    }
    windows.take_changed();
    send(&mut windows, late);
    let changed = windows.take_changed();
    let told = evaluator.revise(&windows, &changed);
    (evaluator, windows, told)
}

#[test]
fn nothing_that_late_events_change_after_a_start_ends_before_it_fired() {
    let rule = "{alert: A, expr: 'max_over_time(x[10s]) > 5', for: 40s}";
    let samples = [(1, 1, 9.0), (1, 41, 9.0)];
    let fired = run(rule, &samples, 50, settings());
    assert_eq!(states(&fired)[1], (State::Firing, Reason::Condition, 50));
    // So it was not pending all the time; but it may be again.
    let (_, _, told) = late_after_a_start(rule, &samples, 50, &[(1, 21, 1.0)]);
    assert_eq!(told, []);
}

#[test]
fn a_keep_that_late_events_begin_has_begun_when_the_condition_ceased() {
    let rule = "{alert: A, expr: 'last_over_time(x[10s]) > 5', keep_firing_for: 60s}";
    let (samples, late) = ([(1, 1, 9.0)], [(1, 11, 1.0)]);
    let (evaluator, windows, told) = late_after_a_start(rule, &samples, 50, &late);
    assert_eq!(states(&told), [(State::Keeping, Reason::LateData, 20)]);
    let rules = read_file("a.yml", &format!("groups: [{{name: g, rules: [{rule}]}}]")).unwrap();
    let mut restored = Evaluator::new(&rules, settings(), START + 50_000);
    restored.restore(told, is_dimension);
    for mut evaluator in [evaluator, restored] {
        let ends = (60..=100).step_by(10);
        let told: Vec<_> = ends
            .flat_map(|end| evaluator.evaluate(&windows, START + end * 1_000))
            .collect();
        assert_eq!(states(&told), [(State::Resolved, Reason::Condition, 80)]);
    }
}

#[test]
fn what_late_events_leave_of_an_episode_that_has_ended_is_not_told_again() {
    let rule = "{alert: A, expr: 'last_over_time(x[10s]) > 5', keep_firing_for: 30s}";
    let samples = [(1, 1, 9.0), (1, 11, 1.0)];
    // It was resolved at 50; by the late value it ends at 70, and is being kept.
    let (_, _, told) = late_after_a_start(rule, &samples, 60, &[(1, 21, 9.0), (1, 31, 1.0)]);
    assert_eq!(told, []);
}
