//! Who is told of which alert: the tree of routes, the receivers and their channels.

use std::collections::{BTreeMap, BTreeSet};

use super::intervals::Interval;
use super::labels::format_labels;
use super::receivers::Channel;
use crate::matcher::{Matcher, all_match};
use crate::model::Labels;

/// The configuration of notifications, checked.
#[derive(Debug, Clone)]
pub struct Routing {
    /// All routes, each before its children; the first one takes every alert.
    pub(crate) routes: Vec<Route>,
    /// Receivers by name.
    pub(crate) receivers: BTreeMap<String, Receiver>,
    /// Inhibition rules.
    pub(crate) inhibitions: Vec<Inhibition>,
    /// Where people see the alerts, without a `/` at its end.
    pub external_url: String,
}

/// A node of the tree of routes.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// The matchers of the route and of those above it, as Alertmanager writes them: `{}/{severity="page"}`.
    pub(crate) key: String,
    pub(crate) receiver: String,
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) group_by: GroupBy,
    pub(crate) timing: Timing,
    /// Whether the routes after this one are asked too.
    pub(crate) goes_on: bool,
    /// Times in which nobody is told.
    pub(crate) muted_in: Vec<Interval>,
    /// Times outside which nobody is told; empty for all times.
    pub(crate) active_in: Vec<Interval>,
    /// Places of its children in [`Routing::routes`].
    pub(crate) routes: Vec<usize>,
}

/// What makes a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GroupBy {
    /// `'...'`: each alert is a group.
    All,
    /// Alerts with the same values of these labels.
    Labels(BTreeSet<String>),
}

/// The times of a route, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timing {
    pub(crate) group_wait: i64,
    pub(crate) group_interval: i64,
    pub(crate) repeat_interval: i64,
}

/// A name for some channels.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    pub(crate) channels: Vec<Channel>,
}

/// Alerts that `source` matches keep those quiet that `target` matches and whose `equal` labels are the same.
#[derive(Debug, Clone)]
pub(crate) struct Inhibition {
    pub(crate) source: Vec<Matcher>,
    pub(crate) target: Vec<Matcher>,
    pub(crate) equal: Vec<String>,
}

/// A group that an alert belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Place in [`Routing::routes`].
    pub(crate) route: usize,
    pub(crate) group_key: String,
    pub(crate) group_labels: Labels,
}

impl Routing {
    /// Names of the receivers, in order.
    pub fn receiver_names(&self) -> impl Iterator<Item = &str> {
        self.receivers.keys().map(String::as_str)
    }

    /// The name of the receiver of a group.
    pub(crate) fn receiver_of(&self, target: &Target) -> &str {
        &self.routes[target.route].receiver
    }

    /// The channels of a route's receiver.
    pub(crate) fn channels_of(&self, route: &Route) -> &[Channel] {
        self.receivers
            .get(&route.receiver)
            .map_or(&[], |receiver| &receiver.channels)
    }

    /// The channel of this name; none where the configuration no longer has it.
    pub(crate) fn channel(&self, name: &str) -> Option<&Channel> {
        let mut all = self
            .receivers
            .values()
            .flat_map(|receiver| &receiver.channels);
        all.find(|channel| channel.name == name)
    }

    /// The groups that an alert with these labels belongs to: of the deepest routes that match, the first one and,
    /// as long as `continue` is set, those after it.
    pub(crate) fn targets(&self, labels: &Labels) -> Vec<Target> {
        let mut found = Vec::new();
        self.find(0, labels, &mut found);
        found
            .into_iter()
            .map(|route| self.target(route, labels))
            .collect()
    }

    fn find(&self, place: usize, labels: &Labels, found: &mut Vec<usize>) -> bool {
        let Some(route) = self.routes.get(place) else {
            return false;
        };
        if !all_match(&route.matchers, labels) {
            return false;
        }
        let before = found.len();
        for child in &route.routes {
            let matched = self.find(*child, labels, found);
            if matched && !self.routes[*child].goes_on {
                break;
            }
        }
        if found.len() == before {
            found.push(place);
        }
        true
    }

    fn target(&self, place: usize, labels: &Labels) -> Target {
        let route = &self.routes[place];
        let group_labels: Labels = match &route.group_by {
            GroupBy::All => labels.clone(),
            GroupBy::Labels(names) => {
                let has =
                    |name: &String| labels.get(name).map(|value| (name.clone(), value.clone()));
                names.iter().filter_map(has).collect()
            }
        };
        Target {
            route: place,
            group_key: format!("{}:{}", route.key, format_labels(&group_labels)),
            group_labels,
        }
    }
}

/// The matchers of a route as they stand in a key: `{severity="page",team=~"a|b"}`.
pub(crate) fn format_matchers(matchers: &[Matcher]) -> String {
    let all: Vec<String> = matchers.iter().map(Matcher::to_string).collect();
    format!("{{{}}}", all.join(","))
}
