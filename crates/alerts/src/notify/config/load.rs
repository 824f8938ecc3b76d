//! Checks `notify.yml`: the tree of routes, inhibition and intervals.

use std::collections::{BTreeMap, BTreeSet};

use serde_saphyr::Location;

use super::file::{FileText, InhibitText, RouteText, Text};
use super::receiver::channels;
use super::sources::{NotifySources, Wrong};
use super::time::interval;
use crate::expr::parse_duration;
use crate::matcher::Matcher;
use crate::notify::intervals::Interval;
use crate::notify::routing::{
    GroupBy, Inhibition, Receiver, Route, Routing, Timing, format_matchers,
};
use crate::rules::{Complaint, Complaints, read_yaml};
use service::nearest::nearest;

/// Times where a route and those above it do not say them, in milliseconds: first news soon, further news of a group
/// each minute.
const TIMING: Timing = Timing {
    group_wait: 5_000,
    group_interval: 60_000,
    repeat_interval: 4 * 3_600_000,
};

/// Deepest tree of routes.
const MOST_DEPTH: usize = 32;

/// Reads a text of `notify.yml`; `file` names it in complaints.
///
/// # Errors
///
/// All that is wrong with it, each with its place.
pub fn read_notify(
    file: &str,
    text: &str,
    sources: &NotifySources<'_>,
) -> Result<Routing, Complaints> {
    let read: FileText = read_yaml(file, text).map_err(|complaint| Complaints(vec![complaint]))?;
    let mut check = Check {
        wrong: Vec::new(),
        receivers: BTreeMap::new(),
        intervals: BTreeMap::new(),
        routes: Vec::new(),
    };
    for receiver in &read.receivers {
        let (channels, wrong) = channels(receiver, &read.global, sources);
        check.wrong.extend(wrong);
        let name = &receiver.name;
        if name.value.is_empty() || name.value.contains('/') {
            check.complain(
                name.referenced,
                "the name of a receiver is not empty and has no `/`".to_owned(),
            );
        }
        if check
            .receivers
            .insert(name.value.clone(), Receiver { channels })
            .is_some()
        {
            check.complain(
                name.referenced,
                format!("there are two receivers `{}`", name.value),
            );
        }
    }
    for named in &read.time_intervals {
        let intervals: Result<Vec<Interval>, Wrong> =
            named.time_intervals.iter().map(interval).collect();
        let intervals = intervals.unwrap_or_else(|wrong| {
            check.wrong.push(wrong);
            Vec::new()
        });
        if check
            .intervals
            .insert(named.name.value.clone(), intervals)
            .is_some()
        {
            check.complain(
                named.name.referenced,
                format!("there are two intervals `{}`", named.name.value),
            );
        }
    }
    check.root(&read.route);
    let inhibitions = read
        .inhibit_rules
        .iter()
        .map(|rule| check.inhibition(rule))
        .collect();
    if check.wrong.is_empty() {
        return Ok(Routing {
            routes: check.routes,
            receivers: check.receivers,
            inhibitions,
            external_url: sources.external_url.trim_end_matches('/').to_owned(),
        });
    }
    let complaint = |(place, message): (Location, String)| Complaint {
        file: file.to_owned(),
        place: (place.line() > 0).then(|| (place.line(), place.column())),
        message,
    };
    Err(Complaints(check.wrong.into_iter().map(complaint).collect()))
}

struct Check {
    wrong: Vec<Wrong>,
    receivers: BTreeMap<String, Receiver>,
    intervals: BTreeMap<String, Vec<Interval>>,
    routes: Vec<Route>,
}

impl Check {
    fn complain(&mut self, place: Location, message: String) {
        self.wrong.push((place, message));
    }

    fn root(&mut self, text: &RouteText) {
        let Some(receiver) = &text.receiver else {
            let place = text
                .group_by
                .as_ref()
                .and_then(|by| by.first())
                .map_or(Location::UNKNOWN, |by| by.referenced);
            self.complain(
                place,
                "the first route has no `receiver`: it takes every alert".to_owned(),
            );
            return;
        };
        let mut narrows = text
            .matchers
            .iter()
            .chain(text.equal.values())
            .chain(text.match_re.values());
        if let Some(matcher) = narrows.next() {
            self.complain(
                matcher.referenced,
                "the first route takes every alert: it has no matchers".to_owned(),
            );
        }
        let above = Route {
            key: String::new(),
            receiver: receiver.value.clone(),
            matchers: Vec::new(),
            group_by: GroupBy::Labels(BTreeSet::new()),
            timing: TIMING,
            goes_on: false,
            muted_in: Vec::new(),
            active_in: Vec::new(),
            routes: Vec::new(),
        };
        self.route(text, &above, 0);
    }

    /// Adds a route and those below it, and gives its place.
    fn route(&mut self, text: &RouteText, above: &Route, depth: usize) -> usize {
        let receiver = match &text.receiver {
            Some(receiver) => {
                self.check_receiver(receiver);
                receiver.value.clone()
            }
            None => above.receiver.clone(),
        };
        let matchers = self.route_matchers(text);
        let own = format_matchers(&matchers);
        let key = if depth == 0 {
            own
        } else {
            format!("{}/{own}", above.key)
        };
        let group_by = text.group_by.as_ref().map(|names| self.group_by(names));
        let mut time = |text: &Option<Text>, above: i64, least: i64| match text {
            Some(text) => self.duration(text, least).unwrap_or(above),
            None => above,
        };
        let timing = Timing {
            group_wait: time(&text.group_wait, above.timing.group_wait, 0),
            group_interval: time(&text.group_interval, above.timing.group_interval, 1),
            repeat_interval: time(&text.repeat_interval, above.timing.repeat_interval, 1),
        };
        let place = self.routes.len();
        let route = Route {
            key,
            receiver,
            matchers,
            group_by: group_by.unwrap_or_else(|| above.group_by.clone()),
            timing,
            goes_on: text.goes_on,
            muted_in: self.named_intervals(&text.mute_time_intervals),
            active_in: self.named_intervals(&text.active_time_intervals),
            routes: Vec::new(),
        };
        self.routes.push(route.clone());
        if depth == MOST_DEPTH {
            let place = text
                .receiver
                .as_ref()
                .map_or(Location::UNKNOWN, |receiver| receiver.referenced);
            self.complain(place, format!("routes lie {MOST_DEPTH} deep at most"));
            return self.routes.len() - 1;
        }
        let children: Vec<usize> = text
            .routes
            .iter()
            .map(|child| self.route(child, &route, depth + 1))
            .collect();
        self.routes[place].routes = children;
        place
    }

    fn check_receiver(&mut self, receiver: &Text) {
        if !self.receivers.contains_key(&receiver.value) {
            let names = self.receivers.keys().map(String::as_str);
            let hint = nearest(&receiver.value, names)
                .map_or_else(String::new, |name| format!(": did you mean `{name}`?"));
            self.complain(
                receiver.referenced,
                format!("no receiver `{}`{hint}", receiver.value),
            );
        }
    }

    fn route_matchers(&mut self, text: &RouteText) -> Vec<Matcher> {
        let mut matchers = self.matchers(&text.matchers);
        for (name, value) in &text.equal {
            matchers.push(Matcher::equal(name, &value.value));
        }
        for (name, value) in &text.match_re {
            // As Alertmanager has it in the keys of groups.
            match Matcher::regex(name, &format!("^(?:{})$", value.value), true) {
                Ok(matcher) => matchers.push(matcher),
                Err(error) => self.complain(value.referenced, error.to_string()),
            }
        }
        // As Alertmanager has them in the key of a group.
        matchers.sort();
        matchers
    }

    fn matchers(&mut self, texts: &[Text]) -> Vec<Matcher> {
        let mut matchers = Vec::new();
        for text in texts {
            match Matcher::parse_all(&text.value) {
                Ok(all) => matchers.extend(all),
                Err(error) => self.complain(text.referenced, error.to_string()),
            }
        }
        matchers
    }

    fn group_by(&mut self, names: &[Text]) -> GroupBy {
        if let [all] = names
            && all.value == "..."
        {
            return GroupBy::All;
        }
        if let Some(all) = names.iter().find(|name| name.value == "...") {
            self.complain(
                all.referenced,
                "`...` stands alone: it groups by all labels".to_owned(),
            );
        }
        GroupBy::Labels(names.iter().map(|name| name.value.clone()).collect())
    }

    fn duration(&mut self, text: &Text, least: i64) -> Option<i64> {
        let duration = parse_duration(&text.value).filter(|duration| *duration >= least);
        if duration.is_none() {
            self.complain(
                text.referenced,
                format!("`{}` is no duration: write 30s, 5m or 4h", text.value),
            );
        }
        duration
    }

    fn named_intervals(&mut self, names: &[Text]) -> Vec<Interval> {
        let mut all = Vec::new();
        for name in names {
            match self.intervals.get(&name.value) {
                Some(intervals) => all.extend(intervals.iter().cloned()),
                None => self.complain(
                    name.referenced,
                    format!("no time interval `{}`", name.value),
                ),
            }
        }
        all
    }

    fn inhibition(&mut self, rule: &InhibitText) -> Inhibition {
        Inhibition {
            source: self.matchers(&rule.source_matchers),
            target: self.matchers(&rule.target_matchers),
            equal: rule.equal.clone(),
        }
    }
}
