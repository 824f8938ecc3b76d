//! Alertmanager's `GET /api/v2/alerts` and `/api/v2/alerts/groups` (source: its repository, `api/v2/openapi.yaml`).

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{RawQuery, State};
use regex::Regex;
use serde::Serialize;
use utoipa::ToSchema;

use super::parameters::Parameters;
use super::refusal::Refusal;
use super::state::ApiState;
use crate::journal::Alert;
use crate::matcher::{Matcher, all_match};
use crate::model::Labels;
use crate::notify::{Mutes, Routing, fingerprint, generator_url, time};

/// How far ahead the end of an alert is said to lie that fires, in milliseconds: as Prometheus' notices do.
const ENDS_AFTER: i64 = 4 * 60_000;

/// A firing alert.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AlertBody {
    annotations: Labels,
    ends_at: String,
    fingerprint: String,
    receivers: Vec<Name>,
    starts_at: String,
    status: StatusBody,
    updated_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    labels: Labels,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Name {
    pub(crate) name: String,
}

/// Whether somebody is told of an alert.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusBody {
    /// `active` or `suppressed`.
    state: &'static str,
    silenced_by: Vec<String>,
    inhibited_by: Vec<String>,
    muted_by: Vec<String>,
}

/// A group of alerts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupBody {
    labels: Labels,
    receiver: Name,
    alerts: Vec<AlertBody>,
}

/// Which alerts are asked for.
struct Asked {
    filters: Vec<Matcher>,
    receiver: Option<Regex>,
    active: bool,
    silenced: bool,
    inhibited: bool,
}

impl Asked {
    fn read(query: Option<&str>) -> Result<Asked, Refusal> {
        let parameters = Parameters::read(query);
        let receiver = match parameters.one("receiver") {
            Some(text) => {
                let regex = Regex::new(&format!("^(?:{text})$"));
                let regex = regex.map_err(|_| {
                    Refusal::parameter("receiver", text, "write a regular expression")
                });
                Some(regex?)
            }
            None => None,
        };
        Ok(Asked {
            filters: parameters.filters()?,
            receiver,
            active: parameters.flag("active", true)?,
            silenced: parameters.flag("silenced", true)?,
            inhibited: parameters.flag("inhibited", true)?,
        })
    }

    fn wants(&self, alert: &AlertBody) -> bool {
        let status = &alert.status;
        let names = || {
            alert
                .receivers
                .iter()
                .map(|receiver| receiver.name.as_str())
        };
        all_match(&self.filters, &alert.labels)
            && self
                .receiver
                .as_ref()
                .is_none_or(|regex| names().any(|name| regex.is_match(name)))
            && (self.active || status.state != "active")
            && (self.silenced || status.silenced_by.is_empty())
            && (self.inhibited || status.inhibited_by.is_empty())
    }
}

/// The firing alerts.
#[utoipa::path(get, path = "/api/v2/alerts", tag = "alertmanager",
    params(
        ("filter" = Option<String>, Query, description = "A matcher such as `severity=\"page\"`; may come several times."),
        ("receiver" = Option<String>, Query, description = "A regular expression of receivers' names."),
        ("active" = Option<bool>, Query, description = "Whether alerts are wanted of which somebody is told."),
        ("silenced" = Option<bool>, Query, description = "Whether silenced alerts are wanted."),
        ("inhibited" = Option<bool>, Query, description = "Whether inhibited alerts are wanted."),
    ),
    responses((status = 200, description = "The alerts.", body = Vec<AlertBody>)),
    security(("api_key" = []), ("bearer" = [])))]
pub(crate) async fn alerts(
    State(api): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Vec<AlertBody>>, Refusal> {
    let asked = Asked::read(query.as_deref())?;
    let routing = api.routing.borrow().clone();
    let all = each(&api, &routing).into_iter().map(|(alert, _)| alert);
    Ok(Json(all.filter(|alert| asked.wants(alert)).collect()))
}

/// The firing alerts by the groups that are notified together.
#[utoipa::path(get, path = "/api/v2/alerts/groups", tag = "alertmanager",
    params(
        ("filter" = Option<String>, Query, description = "As in `/api/v2/alerts`, and so are the others."),
    ),
    responses((status = 200, description = "The groups.", body = Vec<GroupBody>)),
    security(("api_key" = []), ("bearer" = [])))]
pub(crate) async fn groups(
    State(api): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Vec<GroupBody>>, Refusal> {
    let asked = Asked::read(query.as_deref())?;
    let routing = api.routing.borrow().clone();
    let mut groups: BTreeMap<(String, String), GroupBody> = BTreeMap::new();
    for (alert, targets) in each(&api, &routing) {
        if !asked.wants(&alert) {
            continue;
        }
        for target in targets {
            let name = routing.receiver_of(&target).to_owned();
            let group = groups
                .entry((target.group_key, name.clone()))
                .or_insert_with(|| GroupBody {
                    labels: target.group_labels,
                    receiver: Name { name },
                    alerts: Vec::new(),
                });
            group.alerts.push(alert.clone());
        }
    }
    Ok(Json(groups.into_values().collect()))
}

/// The firing alerts, each with its groups.
fn each(api: &ApiState, routing: &Routing) -> Vec<(AlertBody, Vec<crate::notify::Target>)> {
    let state = api.journal.state();
    let now = api.journal.now();
    let mutes = Mutes::at(&state, routing, now);
    let firing = state.alerts.values().filter(|alert| alert.is_firing());
    let each = firing.map(|alert| {
        let targets = routing.targets(&alert.last.labels);
        let mut receivers: Vec<Name> = Vec::new();
        for target in &targets {
            let name = routing.receiver_of(target).to_owned();
            if !receivers.iter().any(|known| known.name == name) {
                receivers.push(Name { name });
            }
        }
        (body(alert, &mutes, routing, receivers, now), targets)
    });
    each.collect()
}

fn body(
    alert: &Alert,
    mutes: &Mutes<'_>,
    routing: &Routing,
    receivers: Vec<Name>,
    now: i64,
) -> AlertBody {
    let labels = &alert.last.labels;
    let silenced_by: Vec<String> = mutes.silenced_by(labels).map(str::to_owned).collect();
    let inhibited_by: Vec<String> = mutes
        .inhibited_by(alert)
        .map(fingerprint)
        .into_iter()
        .collect();
    let is_told = silenced_by.is_empty() && inhibited_by.is_empty();
    AlertBody {
        annotations: alert.last.annotations.clone(),
        ends_at: time(now + ENDS_AFTER),
        fingerprint: fingerprint(labels),
        receivers,
        starts_at: time(alert.starts_at()),
        status: StatusBody {
            state: if is_told { "active" } else { "suppressed" },
            silenced_by,
            inhibited_by,
            muted_by: Vec::new(),
        },
        updated_at: time(alert.seen_at.unwrap_or(alert.last.at)),
        generator_url: generator_url(&routing.external_url, labels),
        labels: labels.clone(),
    }
}
