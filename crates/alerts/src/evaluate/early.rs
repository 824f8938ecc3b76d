//! Conditions that more data cannot undo are looked at with each new event, before the watermark reaches the window.

use std::sync::Arc;

use windows::{Changed, PANE, Windows};

use crate::evaluate::evaluator::Evaluator;
use crate::evaluate::needs::at_once;
use crate::evaluate::results::holding;
use crate::model::Transition;

impl Evaluator {
    /// Looks at the windows of series that have new values. `arrived` is the newest arrival: a window that ends later
    /// than the pane of `arrived` is not looked at, so that a device whose clock is fast changes nothing yet.
    pub fn look_at_once(
        &mut self,
        windows: &Windows,
        changed: &[Changed],
        arrived: i64,
    ) -> Vec<Transition> {
        let mut out = Vec::new();
        let last = (arrived.div_euclid(PANE) + 1) * PANE;
        for slot in &mut self.slots {
            let Some((of, compare, threshold)) = at_once(&slot.rule) else {
                continue;
            };
            let mut begun = Vec::new();
            for change in changed {
                let series = windows.describe(change.series);
                if series.is_none_or(|series| series.signal != of.selector.signal) {
                    continue;
                }
                let first = self.evaluated_to + PANE;
                let until = last.min(change.pane + of.range);
                let holds = |value| compare.holds(value, threshold);
                let mut ends = (first..=until).step_by(PANE as usize);
                let found = ends.find_map(|end| {
                    let found = holding(of, windows, change.series, end, holds)?;
                    Some((end, found))
                });
                begun.extend(found);
            }
            // Of several panes of one series the earliest window counts.
            begun.sort_by_key(|(end, _)| *end);
            for (end, (key, found)) in begun {
                if slot.alerts.contains_key(&key) {
                    continue;
                }
                if slot.alerts.len() >= slot.settings.most_alerts {
                    slot.left_out += 1;
                    continue;
                }
                let before = slot.fired_before(&key, end);
                let alert = slot.life().begin(&key, &found, end, before, &mut out);
                Arc::make_mut(&mut slot.alerts).insert(key, alert);
            }
        }
        out
    }
}
