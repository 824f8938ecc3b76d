//! The pipeline's own figures, as signals of the kind `headwater`, under rules of their own: these are looked at by the
//! clock, for they must speak when events do not come.

use windows::{Observed, PANE, Settings, Windows};

use crate::evaluate::{Evaluator, EvaluatorSettings, windows_for};
use crate::live::clock::JUMP;
use crate::model::Transition;
use crate::rules::{OWN_KIND, Rules};

/// Name of the entity whose signals these are.
const ENTITY: &str = "alerts";

/// Longest time without figures that is gone through, in milliseconds.
const LONGEST_GAP: i64 = 3_600_000;

/// A figure: the signal's name and its value now.
pub type Reading = (&'static str, f64);

/// Evaluates the rules about the pipeline itself.
#[derive(Debug)]
pub struct Health {
    windows: Windows,
    evaluator: Evaluator,
    rules: Rules,
}

impl Health {
    /// Begins at `now`, in milliseconds since 1970, with the alerts that the log knows. Gives the ends of alerts whose
    /// rules are gone as well.
    pub fn start(
        rules: &Rules,
        settings: EvaluatorSettings,
        now: i64,
        last: Vec<Transition>,
    ) -> (Health, Vec<Transition>) {
        let mut evaluator = Evaluator::new(rules, settings, now);
        let gone = evaluator.restore(last, |_, _| false);
        let windows = windows(rules, evaluator.evaluated_to());
        let health = Health {
            windows,
            evaluator,
            rules: rules.clone(),
        };
        (health, gone)
    }

    /// Goes on with other rules; figures are collected anew. Gives the ends of alerts whose rules are gone.
    pub fn set_rules(&mut self, rules: &Rules) -> Vec<Transition> {
        let gone = self.evaluator.set_rules(rules);
        self.windows = windows(rules, self.evaluator.evaluated_to());
        self.rules = rules.clone();
        gone
    }

    /// Whether the next figures are due at `now`: each 10 s, and when the clock was set back.
    pub fn is_due(&self, now: i64) -> bool {
        now >= self.evaluator.evaluated_to() + PANE || self.was_set_back(now)
    }

    fn was_set_back(&self, now: i64) -> bool {
        now < self.evaluator.evaluated_to() - JUMP
    }

    /// Takes in the figures of `now`, and looks at the rules.
    pub fn take(&mut self, readings: &[Reading], now: i64) -> Vec<Transition> {
        if !self.is_due(now) {
            return Vec::new();
        }
        let end = now.div_euclid(PANE) * PANE;
        // After a sleep, and where the clock was set, windows begin again; a shorter gap is gone through.
        if self.was_set_back(now) || end > self.evaluator.evaluated_to() + LONGEST_GAP {
            self.windows = windows(&self.rules, end - PANE);
        }
        self.windows.observe(&Observed {
            kind: OWN_KIND,
            entity: ENTITY,
            at: end - 1,
            arrived: end - 1,
            labels: &[],
            dimensions: &[],
            signals: readings,
        });
        self.windows.advance(end);
        let mut changed = Vec::new();
        while let Some(end) = self.windows.next_end() {
            changed.extend(self.evaluator.evaluate(&self.windows, end));
        }
        changed
    }
}

fn windows(rules: &Rules, evaluated_to: i64) -> Windows {
    let settings = Settings {
        anomaly_threshold: None,
        lateness: PANE,
        ..Settings::default()
    };
    Windows::new(windows_for(rules, settings), evaluated_to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::State;

    #[test]
    fn a_late_pipeline_is_told_once_while_it_lasts() {
        let start = 1_000_000_000;
        let settings = EvaluatorSettings::default();
        let (mut health, gone) = Health::start(&Rules::health(), settings, start, Vec::new());
        assert!(gone.is_empty() && !health.is_due(start + 9_999) && health.is_due(start + 10_000));
        let mut told = Vec::new();
        for (lag, times) in [(20.0, 6), (300.0, 30), (5.0, 6)] {
            for _ in 0..times {
                let now = health.evaluator.evaluated_to() + 10_200;
                told.extend(health.take(&[("lake_lag_seconds", lag)], now));
            }
        }
        let states: Vec<_> = told
            .iter()
            .map(|told| (told.to, (told.at - start) / 1_000))
            .collect();
        assert_eq!(states, [(State::Firing, 120), (State::Resolved, 370)]);
        assert_eq!(
            told[0].annotations["summary"],
            "events reach the alerts 5m 0s late: rules about missing data wait"
        );
        assert_eq!(told[0].labels["alertname"], "HeadwaterLate");
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_silence_the_rules() {
        let start = 365 * 86_400_000;
        let (mut health, _) = Health::start(
            &Rules::health(),
            EvaluatorSettings::default(),
            start,
            Vec::new(),
        );
        let told = (0..12).flat_map(|tens| {
            let now = start - 86_400_000 + tens * 10_000;
            assert!(health.is_due(now), "{tens}");
            health.take(&[("lake_lag_seconds", 300.0)], now)
        });
        let states: Vec<_> = told.map(|told| told.to).collect();
        assert_eq!(states, [State::Firing]);
    }

    #[test]
    fn a_sleep_is_passed_over() {
        let (mut health, _) = Health::start(
            &Rules::health(),
            EvaluatorSettings::default(),
            0,
            Vec::new(),
        );
        let now = 365 * 86_400_000;
        assert_eq!(health.take(&[("lake_lag_seconds", 5.0)], now), []);
        assert_eq!(health.evaluator.evaluated_to(), now);
    }
}
