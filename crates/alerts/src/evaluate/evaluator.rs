//! All rules with their alerts.

use std::sync::Arc;

use windows::{PANE, Windows};

use crate::evaluate::alert::Alert;
use crate::evaluate::settings::EvaluatorSettings;
use crate::evaluate::slot::Slot;
use crate::model::Transition;
use crate::rules::{Rule, Rules};

/// All rules with their alerts. Times are milliseconds since 1970 of event time.
///
/// The same events give the same transitions with the same episodes, in whatever order and portions they came, as long
/// as each came before the watermark passed its window. An alert of a condition that more data cannot undo may be told
/// before that; then its episode begins at the window end that was seen first.
#[derive(Debug)]
pub struct Evaluator {
    pub(super) slots: Vec<Slot>,
    pub(super) settings: EvaluatorSettings,
    /// The last window end that was evaluated.
    pub(super) evaluated_to: i64,
}

impl Evaluator {
    /// An evaluator without alerts, which goes on after the window end `evaluated_to`.
    pub fn new(rules: &Rules, settings: EvaluatorSettings, evaluated_to: i64) -> Evaluator {
        let slots = rules.all.iter();
        let mut evaluator = Evaluator {
            slots: slots
                .map(|rule| Slot::new(rule.clone(), settings))
                .collect(),
            settings,
            evaluated_to: evaluated_to.div_euclid(PANE) * PANE,
        };
        evaluator.remember();
        evaluator
    }

    /// Says that no window end up to `since` was ever evaluated: then late events make no episode known that was over
    /// by then.
    pub fn begun_at(&mut self, since: i64) {
        for slot in &mut self.slots {
            slot.since = since.div_euclid(PANE) * PANE;
        }
    }

    /// The last window end that was evaluated.
    pub fn evaluated_to(&self) -> i64 {
        self.evaluated_to
    }

    /// Looks at all rules as of the window end `end`, which must be the next one: 10 s after the one before.
    pub fn evaluate(&mut self, windows: &Windows, end: i64) -> Vec<Transition> {
        let mut out = Vec::new();
        self.evaluated_to = end;
        for slot in &mut self.slots {
            slot.evaluate(windows, end, &mut out);
        }
        out
    }

    /// The alerts that are pending or firing now, each as the transition that would make it so, with its latest value;
    /// in the order of the rules.
    pub fn active(&self) -> impl Iterator<Item = (&Arc<Rule>, Transition)> {
        self.slots.iter().flat_map(|slot| {
            let show = move |alert: &Alert| {
                let at = alert.fired_at.unwrap_or(alert.active_at);
                slot.life().transition(alert, alert.state, alert.reason, at)
            };
            slot.alerts
                .values()
                .map(move |alert| (&slot.rule, show(alert)))
        })
    }

    /// Number of alerts that were not made because a rule had the most it may have, by rule; rules with none are left
    /// out.
    pub fn left_out(&self) -> impl Iterator<Item = (&Arc<Rule>, u64)> {
        let slots = self.slots.iter().filter(|slot| slot.left_out > 0);
        slots.map(|slot| (&slot.rule, slot.left_out))
    }

    pub(super) fn remember(&mut self) {
        for slot in &mut self.slots {
            slot.remember(self.evaluated_to);
        }
    }
}
