//! What rules need of windows.

use std::collections::{BTreeMap, BTreeSet};

use windows::{PANE, Settings};

use crate::expr::{Compare, Comparison, Condition, Function, OverTime};
use crate::rules::{Rule, Rules};

/// What windows must hold for `rules`; the rest as in `settings`.
pub fn windows_for(rules: &Rules, mut settings: Settings) -> Settings {
    settings.range = PANE;
    let mut ranges: BTreeMap<String, i64> = BTreeMap::new();
    for rule in &rules.all {
        rule.condition.each_over_time(&mut |selector, range| {
            let longest = ranges.entry(selector.signal.clone()).or_default();
            *longest = range.max(*longest);
        });
        each_comparison(&rule.condition, &mut |comparison| {
            let of = comparison.operand.over_time();
            if let Function::Quantile(_) = of.function {
                settings.quantiles.insert(of.selector.signal.clone());
            }
        });
        if let Some((of, _, _)) = at_once(rule) {
            settings.watched.insert(of.selector.signal.clone());
        }
    }
    settings.ranges = ranges;
    settings
}

/// The signals that rules look at.
pub fn signals_of(rules: &Rules) -> BTreeSet<String> {
    let mut signals = BTreeSet::new();
    for rule in &rules.all {
        rule.condition.each_over_time(&mut |selector, _| {
            signals.insert(selector.signal.clone());
        });
    }
    signals
}

/// The comparison of a rule that is looked at with each new event, before the window has ended.
pub(super) fn at_once(rule: &Rule) -> Option<(&OverTime, Compare, f64)> {
    rule.condition.cannot_be_undone().filter(|_| rule.hold == 0)
}

fn each_comparison(condition: &Condition, visit: &mut impl FnMut(&Comparison)) {
    match condition {
        Condition::Compare(comparison) => visit(comparison),
        Condition::Absent(..) => {}
        Condition::Both(left, right)
        | Condition::Either(left, right)
        | Condition::Unless(left, right) => {
            each_comparison(left, visit);
            each_comparison(right, visit);
        }
    }
}
