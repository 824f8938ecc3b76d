//! The rules that come with the service.

use std::collections::BTreeSet;

use crate::rules::load::read_file;
use crate::rules::rule::{Rule, Rules};

impl Rules {
    /// The built-in rules, of the kind `metric`.
    pub fn builtin() -> Rules {
        // A test holds the text to be sound.
        let read = read_file("default.yml", include_str!("../../rules/default.yml"));
        read.unwrap_or_default()
    }

    /// These rules, and those of [`health`](Rules::health) in whose place none of these stands: one of the same group
    /// and name.
    pub fn with_health(mut self) -> Rules {
        let mut health = Rules::health().all;
        let names = |rule: &Rule| (rule.group.clone(), rule.alert.clone());
        let own: BTreeSet<_> = self.all.iter().map(|rule| names(rule)).collect();
        health.retain(|rule| !own.contains(&names(rule)));
        self.all.extend(health);
        self
    }

    /// The rules about the pipeline itself, of the kind `headwater`, which are always looked at.
    pub fn health() -> Rules {
        let read = read_file("health.yml", include_str!("../../rules/health.yml"));
        read.unwrap_or_default()
    }
}
