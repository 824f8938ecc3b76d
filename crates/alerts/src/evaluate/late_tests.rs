//! Single cases of late events, while evaluation goes on.

use windows::{PANE, Settings, Windows};

use super::reference::Sample;
use super::tests::{START, observe, settings, states};
use super::*;
use crate::model::{Reason, State, Transition};
use crate::rules::read_file;

/// Evaluation of one rule over samples of series 1, each a second and a value.
struct Going {
    windows: Windows,
    evaluator: Evaluator,
}

impl Going {
    fn begin(rule: &str) -> Going {
        let rules = read_file("a.yml", &format!("groups: [{{name: g, rules: [{rule}]}}]")).unwrap();
        Going {
            windows: Windows::new(windows_for(&rules, Settings::default()), START),
            evaluator: Evaluator::new(&rules, settings(), START),
        }
    }

    /// Takes samples, and evaluates up to a second.
    fn go(&mut self, samples: &[(i64, f64)], seconds: i64) -> Vec<Transition> {
        for (second, value) in samples {
            let sample = Sample {
                series: 1,
                at: START + second * 1_000,
                value: *value,
            };
            observe(&mut self.windows, &sample);
        }
        let changed = self.windows.take_changed();
        let mut told = self.evaluator.revise(&self.windows, &changed);
        self.windows.advance(START + seconds * 1_000);
        while let Some(end) = self.windows.next_end() {
            told.extend(self.evaluator.evaluate(&self.windows, end));
        }
        told
    }
}

const HELD: &str = "{alert: A, expr: 'last_over_time(x[10s]) > 5', for: 40s}";

#[test]
fn a_pending_alert_that_began_earlier_by_late_events_fires_earlier() {
    let mut going = Going::begin(HELD);
    let told = going.go(&[(31, 9.0)], 40);
    assert_eq!(states(&told), [(State::Pending, Reason::Condition, 40)]);
    let told = going.go(&[(11, 9.0), (21, 9.0), (41, 9.0), (51, 9.0), (61, 1.0)], 70);
    let expected = [
        (State::Dropped, Reason::LateData, 40),
        (State::Pending, Reason::LateData, 20),
        (State::Firing, Reason::Condition, 60),
        (State::Resolved, Reason::Condition, 70),
    ];
    assert_eq!(states(&told), expected);
}

#[test]
fn a_pending_alert_that_began_later_by_late_events_fires_later() {
    let mut going = Going::begin(HELD);
    going.go(&[(1, 9.0), (11, 9.0), (21, 9.0)], 30);
    let samples = [(19, 1.0), (31, 9.0), (41, 9.0), (51, 9.0), (61, 9.0)];
    let told = going.go(&samples, 70);
    let expected = [
        (State::Dropped, Reason::LateData, 30),
        (State::Pending, Reason::LateData, 30),
        (State::Firing, Reason::Condition, 70),
    ];
    assert_eq!(states(&told), expected);
}

#[test]
fn a_keep_that_began_at_another_time_by_late_events_ends_by_that() {
    let mut going =
        Going::begin("{alert: A, expr: 'last_over_time(x[10s]) > 5', keep_firing_for: 60s}");
    going.go(&[(1, 9.0), (11, 1.0), (21, 1.0)], 30);
    let told = going.go(&[(19, 9.0)], 100);
    let expected = [
        (State::Keeping, Reason::LateData, 30),
        (State::Resolved, Reason::Condition, 90),
    ];
    assert_eq!(states(&told), expected);
}

#[test]
fn late_events_make_nothing_known_that_was_over_before_evaluation_began() {
    let rule = "{alert: A, expr: 'last_over_time(x[10s]) > 5'}";
    for (begun_at, expected) in [
        (START + 3 * PANE, vec![]),
        (
            START,
            vec![
                (State::Firing, Reason::LateData, 10),
                (State::Resolved, Reason::LateData, 20),
            ],
        ),
    ] {
        let mut going = Going::begin(rule);
        // A start, before which there is no history.
        going.windows.advance(START + 4 * PANE);
        while going.windows.next_end().is_some() {}
        let rules = read_file("a.yml", &format!("groups: [{{name: g, rules: [{rule}]}}]")).unwrap();
        going.evaluator = Evaluator::new(&rules, settings(), START + 4 * PANE);
        going.evaluator.begun_at(begun_at);
        let told = going.go(&[(1, 9.0), (11, 1.0)], 40);
        assert_eq!(states(&told), expected);
    }
}
