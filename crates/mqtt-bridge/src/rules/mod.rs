//! The rules: which topics become events of which kinds. A topic and a payload come in; events as JSON go out, or why
//! there is none.

mod event;
mod rule;
mod topic;

use std::path::Path;

use anyhow::{Context, ensure};
use contract::Kinds;
use serde::Deserialize;

use self::topic::Pattern;

pub use self::event::{Arrival, Refused};
pub use self::rule::{Rule, RuleText, Time};

/// What the file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The rules; the first whose pattern the topic has is taken.
    #[serde(default, rename = "rule")]
    rules: Vec<RuleText>,
}

/// The rules, at least one.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
}

impl Rules {
    /// Reads a file in TOML.
    ///
    /// # Errors
    ///
    /// If it cannot be read, has no rule, is not of this form, or names a kind or a field that is not declared.
    pub fn load(path: &Path, kinds: &Kinds) -> anyhow::Result<Rules> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read RULES, {}", path.display()))?;
        Rules::parse(&text, kinds).with_context(|| format!("cannot use RULES, {}", path.display()))
    }

    /// Reads the text of such a file.
    ///
    /// # Errors
    ///
    /// As for [`load`](Rules::load).
    pub fn parse(text: &str, kinds: &Kinds) -> anyhow::Result<Rules> {
        let file: File = toml::from_str(text)?;
        Rules::of(file.rules, kinds)
    }

    /// Checks rules.
    ///
    /// # Errors
    ///
    /// As for [`load`](Rules::load).
    pub fn of(texts: Vec<RuleText>, kinds: &Kinds) -> anyhow::Result<Rules> {
        ensure!(!texts.is_empty(), "there is no `[[rule]]`");
        let rules: Result<Vec<Rule>, _> = texts
            .into_iter()
            .map(|text| {
                let topic = text.topic.clone();
                Rule::new(text, kinds).with_context(|| format!("the rule of `{topic}`"))
            })
            .collect();
        let rules = rules?;
        for (at, rule) in rules.iter().enumerate() {
            let earlier = rules[..at]
                .iter()
                .find(|earlier| earlier.pattern.covers(&rule.pattern));
            if let Some(earlier) = earlier {
                anyhow::bail!(
                    "the rule of `{}` is never reached: that of `{}` stands before it and takes its topics",
                    rule.topic,
                    earlier.topic
                );
            }
        }
        Ok(Rules { rules })
    }

    /// The filters to subscribe to, without those whose topics another one has: a broker may send a message once for
    /// each filter that fits.
    pub fn filters(&self) -> Vec<String> {
        let patterns: Vec<&Pattern> = self.rules.iter().map(|rule| &rule.pattern).collect();
        let mut filters: Vec<String> = Vec::new();
        for pattern in &patterns {
            let covered = patterns
                .iter()
                .any(|other| other.covers(pattern) && !pattern.covers(other));
            let filter = pattern.filter();
            if !covered && !filters.contains(&filter) {
                filters.push(filter);
            }
        }
        filters
    }

    /// The kinds that the rules make events of, each once.
    pub fn kinds(&self) -> Vec<String> {
        let mut kinds: Vec<String> = self.rules.iter().map(|rule| rule.kind.clone()).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }

    /// The first rule that takes the topic, and the fields that the topic gives.
    pub fn rule<'r, 't>(&'r self, topic: &'t str) -> Option<(&'r Rule, Vec<(&'r str, &'t str)>)> {
        let mut rules = self.rules.iter();
        rules.find_map(|rule| Some((rule, rule.pattern.take(topic)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> anyhow::Result<Rules> {
        Rules::parse(text, &Kinds::builtin())
    }

    #[test]
    fn the_first_rule_that_fits_is_taken_and_covered_filters_are_left_out() {
        let rules = rules(
            "[[rule]]\ntopic = \"fleet/{vehicle_id}/can/{can_id}\"\nkind = \"vehicle\"\n\
             [[rule]]\ntopic = \"fleet/#\"\nkind = \"cell\"\n\
             [[rule]]\ntopic = \"home/{entity}/{name}\"\nkind = \"metric\"\ntime = \"arrival\"\n",
        )
        .unwrap();
        assert_eq!(rules.filters(), ["fleet/#", "home/+/+"]);
        assert_eq!(rules.kinds(), ["cell", "metric", "vehicle"]);
        let kind = |topic: &str| rules.rule(topic).map(|(rule, _)| rule.kind.as_str());
        assert_eq!(kind("fleet/v/can/c"), Some("vehicle"));
        assert_eq!(kind("fleet/v/gps"), Some("cell"));
        assert_eq!(kind("home/kitchen/temperature"), Some("metric"));
        assert_eq!(kind("home/kitchen"), None);
    }

    #[test]
    fn the_rules_of_the_readme_hold() {
        let page = include_str!("../../README.md");
        let text = page
            .split("```toml\n")
            .nth(1)
            .and_then(|rest| rest.split("```").next());
        let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples");
        let kinds = Kinds::load(Some(Path::new(examples))).unwrap();
        let rules = Rules::parse(text.unwrap(), &kinds).unwrap();
        assert_eq!(rules.kinds(), ["metric", "station", "vehicle"]);
        let topic = "weather/wx-1/temperature";
        let (rule, fields) = rules.rule(topic).unwrap();
        let at = "2026-11-28T04:00:00Z".parse().unwrap();
        let message = Arrival {
            topic,
            fields: &fields,
            payload: b"-3.5",
            at,
        };
        let event = rule.events(&message).remove(0).unwrap();
        contract::parse_sent(&kinds, kinds.get("station"), &event, at).unwrap();
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_rule() {
        for (text, said) in [
            ("", "there is no `[[rule]]`"),
            (
                "[[rule]]\ntopic = \"a\"\nkind = \"car\"",
                "kind `car` is not declared",
            ),
            (
                "[[rule]]\ntopic = \"a/{speed}\"\nkind = \"vehicle\"",
                "`speed` is not a field of kind `vehicle`",
            ),
            (
                "[[rule]]\ntopic = \"a/{payload}\"\nkind = \"vehicle\"",
                "`payload` is not a field",
            ),
            (
                "[[rule]]\ntopic = \"a/{value}\"\nkind = \"metric\"",
                "`value` is not a field",
            ),
            (
                "[[rule]]\ntopic = \"a/{tags}\"\nkind = \"metric\"",
                "`tags` is not a field",
            ),
            (
                "[[rule]]\ntopic = \"a/b#\"\nkind = \"metric\"",
                "`b#` is no level",
            ),
            (
                "[[rule]]\ntopic = \"a\"\nkind = \"metric\"\ntime = \"now\"",
                "unknown variant `now`",
            ),
            (
                "[[rule]]\ntopic = \"a\"\nkind = \"metric\"\nsignals = \"x\"",
                "unknown field `signals`",
            ),
            (
                "[[rule]]\ntopic = \"a\"\nkind = \"metric\"\nconstants.timestamp = 1",
                "`timestamp` is not a field",
            ),
            (
                "[[rule]]\ntopic = \"a/{entity}\"\nkind = \"metric\"\nconstants.entity = \"x\"",
                "`entity` is given twice",
            ),
            (
                "[[rule]]\ntopic = \"a/{name}\"\nkind = \"metric\"\nsignal = \"x\"\ntime = \"arrival\"",
                "`name` is given twice",
            ),
            (
                "[[rule]]\ntopic = \"a\"\nkind = \"vehicle\"\nsignal = \"x\"",
                "add `time = \"arrival\"`",
            ),
            (
                "[[rule]]\ntopic = \"a/#\"\nkind = \"cell\"\n[[rule]]\ntopic = \"a/b\"\nkind = \"cell\"",
                "never reached",
            ),
        ] {
            let error = format!("{:#}", rules(text).unwrap_err());
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
