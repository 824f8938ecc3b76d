//! Which alerts nobody is told of for now: silences and inhibition.

use std::collections::HashMap;

use super::routing::{Inhibition, Routing};
use crate::journal::{Alert, Silence, SilenceStatus, State};
use crate::matcher::all_match;
use crate::model::Labels;

/// What mutes alerts at one time.
pub(crate) struct Mutes<'s> {
    silences: Vec<&'s Silence>,
    /// With each rule the sources for the values of its `equal` labels.
    inhibitions: Vec<(&'s Inhibition, HashMap<Vec<&'s str>, Sources<'s>>)>,
    now: i64,
}

/// An alert that keeps others quiet.
#[derive(Clone, Copy)]
struct Source<'s> {
    labels: &'s Labels,
    /// When it ended, in milliseconds since 1970 of event time; the greatest number while it fires.
    until: i64,
}

/// Sources with the same values of the `equal` labels, of which the one that lasts longest counts.
#[derive(Default)]
struct Sources<'s> {
    all: Option<Source<'s>>,
    /// Of those that the target side of the rule does not match.
    one_sided: Option<Source<'s>>,
}

impl<'s> Mutes<'s> {
    /// `now` is in milliseconds since 1970.
    pub(crate) fn at(state: &'s State, routing: &'s Routing, now: i64) -> Mutes<'s> {
        let silences = state
            .silences
            .values()
            .filter(|silence| silence.status(now) == SilenceStatus::Active);
        let sources = |rule: &'s Inhibition| {
            let mut sources: HashMap<Vec<&str>, Sources<'s>> = HashMap::new();
            let fired = state.alerts.values().filter(|alert| {
                (alert.is_firing() || alert.is_resolved())
                    && all_match(&rule.source, &alert.last.labels)
            });
            for alert in fired {
                let labels = &alert.last.labels;
                let until = end(alert);
                let source = Source { labels, until };
                let known = sources.entry(equal(rule, labels)).or_default();
                known.all = longest(known.all, source);
                if !all_match(&rule.target, labels) {
                    known.one_sided = longest(known.one_sided, source);
                }
            }
            sources
        };
        Mutes {
            silences: silences.collect(),
            inhibitions: routing
                .inhibitions
                .iter()
                .map(|rule| (rule, sources(rule)))
                .collect(),
            now,
        }
    }

    /// Whether nobody is told of it.
    pub(crate) fn mutes(&self, alert: &Alert) -> bool {
        let labels = &alert.last.labels;
        self.silenced_by(labels).next().is_some() || self.inhibited_by(alert).is_some()
    }

    /// Ids of the silences that match.
    pub(crate) fn silenced_by(&self, labels: &Labels) -> impl Iterator<Item = &'s str> {
        let now = self.now;
        self.silences
            .iter()
            .filter(move |silence| silence.mutes(labels, now))
            .map(|silence| silence.id.as_str())
    }

    /// The labels of an alert that keeps it quiet, or did so when it ended; none if it is not inhibited.
    pub(crate) fn inhibited_by(&self, alert: &Alert) -> Option<&'s Labels> {
        let labels = &alert.last.labels;
        let mut matching = self
            .inhibitions
            .iter()
            .filter(|(rule, _)| all_match(&rule.target, labels));
        matching
            .find_map(|(rule, sources)| {
                let sources = sources.get(&equal(rule, labels))?;
                // As in Alertmanager: alerts that both sides match do not inhibit each other, nor themselves.
                let source = if all_match(&rule.source, labels) {
                    sources.one_sided
                } else {
                    sources.all
                };
                source.filter(|source| source.until >= end(alert))
            })
            .map(|source| source.labels)
    }
}

/// When an alert ended, in milliseconds since 1970 of event time; the greatest number while it has not.
fn end(alert: &Alert) -> i64 {
    if alert.is_resolved() {
        alert.last.at
    } else {
        i64::MAX
    }
}

fn longest<'s>(known: Option<Source<'s>>, other: Source<'s>) -> Option<Source<'s>> {
    known
        .filter(|known| known.until >= other.until)
        .or(Some(other))
}

/// The values of the labels that must be equal; a label that is absent counts as empty.
fn equal<'l>(rule: &Inhibition, labels: &'l Labels) -> Vec<&'l str> {
    let value = |name: &String| labels.get(name).map_or("", String::as_str);
    rule.equal.iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::{self, Reason, Transition};
    use crate::notify::{NotifySources, read_notify};

    #[test]
    fn alerts_that_both_sides_match_keep_quiet_those_that_only_one_does() {
        let text = "
route: { receiver: r }
receivers: [{ name: r }]
inhibit_rules:
  - source_matchers: ['severity =~ \"critical|warning\"']
    target_matchers: ['severity =~ \"warning|info\"']
    equal: [n]
";
        let sources = NotifySources {
            external_url: "http://here",
            folder: Path::new("/"),
            variable: &|_| None,
        };
        let routing = read_notify("notify.yml", text, &sources).unwrap();
        let labels = |severity: &str, n: &str| {
            let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            Labels::from([pair("severity", severity), pair("n", n)])
        };
        let alert = |severity: &str, n: &str| {
            let last = Transition {
                episode: format!("{severity}-{n}"),
                rule: String::new(),
                labels: labels(severity, n),
                dimensions: Labels::new(),
                annotations: Labels::new(),
                to: model::State::Firing,
                reason: Reason::Condition,
                at: 0,
                active_at: 0,
                fired_at: Some(0),
                value: None,
                fired_before: Vec::new(),
            };
            Alert {
                last,
                seen_at: Some(0),
            }
        };
        let mut state = State::default();
        for (severity, n) in [("warning", "1"), ("critical", "2"), ("warning", "2")] {
            let alert = alert(severity, n);
            state.alerts.insert(alert.last.episode.clone(), alert);
        }
        let mutes = Mutes::at(&state, &routing, 0);
        for (severity, n, by) in [
            ("info", "1", Some("warning")),
            ("warning", "1", None),
            ("warning", "2", Some("critical")),
            ("critical", "2", None),
            ("info", "3", None),
        ] {
            let asked = alert(severity, n);
            let found = mutes
                .inhibited_by(&asked)
                .map(|labels| labels["severity"].as_str());
            assert_eq!(found, by, "{severity} {n}");
        }
    }
}
