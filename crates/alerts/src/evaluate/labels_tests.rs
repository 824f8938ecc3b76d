//! Series of one entity that labels tell apart. The series 10 and 11 are of entity 1, with `code="0"` and `code="1"`;
//! 1 is of it too, without a code.

use windows::{PANE, Settings, Windows};

use super::reference::Sample;
use super::tests::{START, is_dimension, observe, run, settings, states};
use super::*;
use crate::model::{Reason, State, Transition};
use crate::rules::{Rules, read_file};

fn rules(rule: &str) -> Rules {
    read_file("a.yml", &format!("groups: [{{name: g, rules: [{rule}]}}]")).unwrap()
}

fn code(told: &Transition) -> &str {
    told.labels.get("code").map_or("", String::as_str)
}

/// What became of each series, by its code.
fn by_code(told: &[Transition]) -> Vec<(&str, State, Reason, i64)> {
    let states = states(told);
    let both = told.iter().zip(states);
    both.map(|(told, (to, reason, at))| (code(told), to, reason, at))
        .collect()
}

#[test]
fn a_counter_that_begins_again_is_rated_apart_from_its_sibling() {
    // In each second 1 more, and 5 more with a restart at 20, 40 and 60 s: between samples of both.
    let samples: Vec<_> = (0..70)
        .flat_map(|second| {
            let restarting = (second * 5 % 100) as f64;
            [
                (10, second, 1_000.0 + second as f64),
                (11, second, restarting),
            ]
        })
        .collect();
    for (function, steady, restarting) in [("increase", "59", "285"), ("rate", "0.9833", "4.75")] {
        let rule = format!(
            "{{alert: A, expr: '{function}(x[60s]) > 0', for: 50s, annotations: {{v: '{{{{ printf \"%.4g\" $value }}}}'}}}}"
        );
        let told = run(&rule, &samples, 60, settings());
        let fired = told.iter().filter(|told| told.to == State::Firing);
        let shown: Vec<_> = fired
            .map(|told| (code(told), &*told.annotations["v"]))
            .collect();
        assert_eq!(shown, [("0", steady), ("1", restarting)], "{function}");
    }
    let rule = "{alert: A, expr: 'sum by (code) (increase(x[60s])) > 100'}";
    let fired = run(rule, &samples, 60, settings());
    assert_eq!(
        by_code(&fired),
        [("1", State::Firing, Reason::Condition, 30)]
    );
    let rule = "{alert: A, expr: 'sum by (kind) (increase(x[60s])) > 343'}";
    let fired = run(rule, &samples, 60, settings());
    assert_eq!(fired[0].value, Some(59.0 + 285.0));
}

#[test]
fn sides_are_matched_by_all_labels_of_their_series() {
    let samples = [
        (10, 1, 9.0),
        (10, 2, 1.0),
        (11, 1, 9.0),
        (11, 2, 8.0),
        (1, 1, 1.0),
    ];
    for (word, codes) in [
        ("and", vec!["1"]),
        ("or", vec!["0", "1"]),
        ("unless", vec!["0"]),
    ] {
        let rule = format!(
            "{{alert: A, expr: 'max_over_time(x[10s]) > 5 {word} min_over_time(x[10s]) > 5'}}"
        );
        let told = run(&rule, &samples, 10, settings());
        assert_eq!(told.iter().map(code).collect::<Vec<_>>(), codes, "{word}");
    }
    // By entity, each series has its values with those of the others.
    let rule = "{alert: A, expr: 'max by (entity_id) (max_over_time(x[10s])) > 5 and min by (entity_id) \
                (min_over_time(x[10s])) < 2'}";
    let told = run(rule, &samples, 10, settings());
    assert_eq!(by_code(&told), [("", State::Firing, Reason::Condition, 10)]);
}

#[test]
fn each_series_that_data_are_missing_of_has_its_alert() {
    let rule = "{alert: A, expr: 'last_over_time(x[10s]) > 5', no_data: alert, no_data_after: 30s}";
    let samples: Vec<_> = (0..10)
        .map(|n| (10, n * 10 + 1, 1.0))
        .chain([(11, 1, 1.0)])
        .collect();
    let told = run(rule, &samples, 90, settings());
    assert_eq!(by_code(&told), [("1", State::Firing, Reason::NoData, 40)]);
}

/// A process that goes on after `told`, with the windows of the samples that came before `second`.
fn restarted(
    rules: &Rules,
    told: &[Transition],
    samples: &[(u8, i64, f64)],
    second: i64,
) -> (Evaluator, Windows) {
    let evaluated_to = START + second * 1_000;
    let mut evaluator = Evaluator::new(rules, settings(), evaluated_to);
    assert_eq!(evaluator.restore(told.to_vec(), is_dimension), []);
    let mut windows = Windows::new(windows_for(rules, Settings::default()), START - 600_000);
    for (series, second, value) in samples {
        let (series, at, value) = (*series, START + second * 1_000, *value);
        observe(&mut windows, &Sample { series, at, value });
    }
    windows.advance(evaluated_to);
    while let Some(end) = windows.next_end() {
        evaluator.look_back(&windows, end);
    }
    windows.take_changed();
    (evaluator, windows)
}

fn go(evaluator: &mut Evaluator, windows: &mut Windows, second: i64) -> Vec<Transition> {
    let changed = windows.take_changed();
    let mut told = evaluator.revise(windows, &changed);
    windows.advance(START + second * 1_000);
    while let Some(end) = windows.next_end() {
        told.extend(evaluator.evaluate(windows, end));
    }
    told
}

#[test]
fn alerts_of_siblings_go_on_apart_after_a_restart() {
    // The rule's own label takes the place of the series' one: both look the same to people.
    for labels in ["{}", "{code: x}"] {
        let rule = format!("{{alert: A, expr: 'last_over_time(x[10s]) > 5', labels: {labels}}}");
        let samples = [(1, 1, 9.0), (10, 1, 9.0), (11, 1, 9.0)];
        let fired = run(&rule, &samples, 10, settings());
        assert_eq!(fired.len(), 3);
        let (mut evaluator, mut windows) = restarted(&rules(&rule), &fired, &samples, 10);
        for (series, value) in [(1, 9.0), (10, 1.0), (11, 9.0)] {
            let at = START + 11_000;
            observe(&mut windows, &Sample { series, at, value });
        }
        let ended = go(&mut evaluator, &mut windows, 20);
        assert_eq!(states(&ended), [(State::Resolved, Reason::Condition, 20)]);
        let of_ten = fired
            .iter()
            .find(|told| told.dimensions.get("code").is_some_and(|code| code == "0"));
        assert_eq!(ended[0].episode, of_ten.unwrap().episode);
        assert_eq!(evaluator.active().count(), 2);
    }
}

#[test]
fn a_late_sample_changes_the_alert_of_its_own_series() {
    let rule = "{alert: A, expr: 'last_over_time(x[10s]) > 5'}";
    let samples = [(10, 1, 9.0), (11, 1, 9.0), (10, 11, 9.0), (11, 11, 9.0)];
    let fired = run(rule, &samples, 20, settings());
    let (mut evaluator, mut windows) = restarted(&rules(rule), &fired, &samples, 20);
    for restart in [false, true] {
        if restart {
            (evaluator, windows) = restarted(&rules(rule), &fired, &samples, 20);
        }
        let (at, value) = (START + 19_000, 1.0);
        observe(
            &mut windows,
            &Sample {
                series: 11,
                at,
                value,
            },
        );
        let told = go(&mut evaluator, &mut windows, 20);
        assert_eq!(
            by_code(&told),
            [("1", State::Resolved, Reason::LateData, 20)]
        );
        let left: Vec<_> = evaluator.active().map(|(_, told)| told).collect();
        assert_eq!(left.iter().map(code).collect::<Vec<_>>(), ["0"]);
    }
}

#[test]
fn a_late_sample_is_found_by_rules_that_also_group_by_entity() {
    let rule = "{alert: A, expr: 'max by (kind, entity_id) (max_over_time(x[10s])) > 5 unless \
                count_over_time(x[10s]) > 3'}";
    let rules = rules(rule);
    let (mut evaluator, mut windows) = restarted(&rules, &[], &[(10, 1, 1.0)], 10);
    let (at, value) = (START + 2_000, 9.0);
    observe(
        &mut windows,
        &Sample {
            series: 11,
            at,
            value,
        },
    );
    let told = go(&mut evaluator, &mut windows, 20);
    let states = states(&told);
    assert_eq!(
        states[0],
        (State::Firing, Reason::LateData, 10),
        "{states:?}"
    );
}

#[test]
fn a_rule_that_begins_to_group_by_entity_ends_the_alerts_of_series() {
    let each = rules("{alert: A, expr: 'last_over_time(x[10s]) > 5'}");
    let by_entity =
        rules("{alert: A, expr: 'max by (entity_id, kind) (last_over_time(x[10s])) > 5'}");
    let mut windows = Windows::new(windows_for(&each, Settings::default()), START);
    for series in [10, 11] {
        let (at, value) = (START + 1, 9.0);
        observe(&mut windows, &Sample { series, at, value });
    }
    let mut evaluator = Evaluator::new(&each, settings(), START);
    let fired = evaluator.evaluate(&windows, START + PANE);
    let mut started = Evaluator::new(&by_entity, settings(), START + PANE);
    for gone in [
        evaluator.set_rules(&by_entity),
        started.restore(fired, is_dimension),
    ] {
        let gone = by_code(&gone)
            .into_iter()
            .map(|(code, _, reason, _)| (code, reason));
        let expected = [("0", Reason::RuleGone), ("1", Reason::RuleGone)];
        assert_eq!(gone.collect::<Vec<_>>(), expected);
    }
}
