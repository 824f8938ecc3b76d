//! The rules as the API shows them.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use crate::api::{RuleGroup, RuleView, RulesView};
use crate::model::Labels;
use crate::rules::{Rules, Template};

/// What the API shows of the rules, kept up to date by the evaluation.
#[derive(Debug, Default)]
pub(super) struct CurrentRules(RwLock<Shown>);

#[derive(Debug, Default)]
struct Shown {
    groups: Vec<RuleGroup>,
    left_out: BTreeMap<String, u64>,
    evaluated_to: Option<i64>,
}

impl CurrentRules {
    /// Shows other rules.
    pub(super) fn set(&self, rules: &Rules) {
        let mut groups: Vec<RuleGroup> = Vec::new();
        for rule in &rules.all {
            let view = RuleView {
                id: rule.id.clone(),
                name: rule.alert.clone(),
                query: rule.expr.clone(),
                hold_ms: rule.hold,
                keep_firing_ms: rule.keep_firing,
                labels: written(&rule.labels),
                annotations: written(&rule.annotations),
                last_error: None,
                evaluated_to: None,
            };
            match groups.last_mut() {
                Some(group) if group.name == rule.group && group.file == rule.file => {
                    group.rules.push(view);
                }
                _ => groups.push(RuleGroup {
                    name: rule.group.clone(),
                    file: rule.file.clone(),
                    rules: vec![view],
                }),
            }
        }
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .groups = groups;
    }

    /// Shows how far the evaluation has come, and how many alerts of each rule were left out.
    pub(super) fn evaluated(&self, evaluated_to: i64, left_out: BTreeMap<String, u64>) {
        let mut shown = self.0.write().unwrap_or_else(PoisonError::into_inner);
        shown.evaluated_to = Some(evaluated_to);
        shown.left_out = left_out;
    }
}

fn written(templates: &BTreeMap<String, Template>) -> Labels {
    let texts = templates.iter();
    texts
        .map(|(name, template)| (name.clone(), template.source().to_owned()))
        .collect()
}

impl RulesView for CurrentRules {
    fn groups(&self) -> Vec<RuleGroup> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut groups = shown.groups.clone();
        for rule in groups.iter_mut().flat_map(|group| &mut group.rules) {
            rule.evaluated_to = shown.evaluated_to;
            rule.last_error = shown.left_out.get(&rule.id).map(|count| {
                format!("{count} alerts were left out: the rule has as many as MAX_ALERTS allows")
            });
        }
        groups
    }
}
