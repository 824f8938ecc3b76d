//! Prometheus' `GET /api/v1/rules` and `/api/v1/alerts` (source: Prometheus docs, "HTTP API", and the Alert Generator
//! Compliance Specification 1.0, read 2026-11-26).

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::parameters::Parameters;
use super::refusal::Refusal;
use super::rules_view::RuleView;
use super::state::ApiState;
use crate::expr::STEP_MS;
use crate::journal::{self, Alert};
use crate::model::{self, Labels, Reason};
use crate::notify::{NEVER, time};

/// Prometheus' envelope.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Success<T> {
    /// `success`.
    status: &'static str,
    data: T,
}

fn success<T>(data: T) -> Json<Success<T>> {
    Json(Success {
        status: "success",
        data,
    })
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RulesData {
    groups: Vec<GroupBody>,
}

/// A group of rules.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RuleGroup)]
pub(crate) struct GroupBody {
    name: String,
    file: String,
    /// Seconds between two looks at the rules of the group.
    interval: i64,
    limit: u64,
    rules: Vec<RuleBody>,
    evaluation_time: f64,
    last_evaluation: String,
}

/// An alerting rule.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RuleBody {
    /// `inactive`, `pending` or `firing`: that of its most pressing alert.
    state: &'static str,
    name: String,
    query: String,
    /// Seconds of `for`.
    duration: f64,
    /// Seconds of `keep_firing_for`.
    keep_firing_for: f64,
    labels: Labels,
    annotations: Labels,
    alerts: Vec<AlertBody>,
    /// `ok`, `err` with `lastError`, or `unknown` before it was looked at.
    health: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    evaluation_time: f64,
    last_evaluation: String,
    /// `alerting`.
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertsData {
    alerts: Vec<AlertBody>,
}

/// An alert that is pending or firing.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AlertOfRule)]
pub(crate) struct AlertBody {
    labels: Labels,
    annotations: Labels,
    /// `pending` or `firing`.
    state: &'static str,
    active_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_firing_since: Option<String>,
    /// As text, `NaN` where no data came.
    value: String,
    /// Ours: the id of the episode, for acknowledgements.
    episode: String,
    /// Ours: why it has its state.
    #[schema(value_type = String, example = "condition")]
    reason: Reason,
    /// Ours: whether somebody looks after it.
    acknowledged: bool,
}

/// The rules with their alerts.
#[utoipa::path(get, path = "/api/v1/rules", tag = "prometheus",
    params(
        ("type" = Option<String>, Query, description = "`alert` or `record`; there are no recording rules."),
        ("exclude_alerts" = Option<bool>, Query, description = "Whether alerts are left out."),
        ("rule_name" = Option<String>, Query, description = "Only rules of these names; may come several times."),
        ("rule_group" = Option<String>, Query, description = "Only groups of these names; may come several times."),
        ("file" = Option<String>, Query, description = "Only groups of these files; may come several times."),
    ),
    responses(
        (status = 200, description = "The rules.", body = Success<RulesData>),
        (status = 400, description = "A parameter cannot be read: `status` is `error`."),
    ),
    security(("api_key" = []), ("bearer" = [])))]
pub(crate) async fn rules(
    State(api): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Success<RulesData>>, Refusal> {
    let parameters = Parameters::read(query.as_deref());
    match parameters.one("type") {
        None | Some("" | "alert") => {}
        Some("record") => return Ok(success(RulesData { groups: Vec::new() })),
        Some(other) => return Err(Refusal::parameter("type", other, "write alert or record")),
    }
    let without_alerts = parameters.flag("exclude_alerts", false)?;
    let is_asked = |name: &str, value: &str| {
        let mut wanted = parameters.all(name).peekable();
        wanted.peek().is_none() || wanted.any(|wanted| wanted == value)
    };
    let state = api.journal.state();
    let mut by_rule: BTreeMap<&str, Vec<&Alert>> = BTreeMap::new();
    for alert in state.alerts.values().filter(|alert| !alert.is_resolved()) {
        by_rule.entry(&alert.last.rule).or_default().push(alert);
    }
    let mut groups = Vec::new();
    for group in api.rules.groups() {
        if !is_asked("rule_group", &group.name) || !is_asked("file", &group.file) {
            continue;
        }
        let wanted = |rule: &RuleView| is_asked("rule_name", &rule.name);
        let rules = group.rules.into_iter().filter(wanted);
        let rules: Vec<RuleBody> = rules
            .map(|rule| {
                let alerts = by_rule.get(rule.id.as_str()).map_or(&[][..], Vec::as_slice);
                rule_body(rule, alerts, without_alerts, &state)
            })
            .collect();
        // As in Prometheus, a group without a rule that was asked for is none.
        if rules.is_empty() {
            continue;
        }
        let last = rules.iter().map(|rule| rule.last_evaluation.clone()).max();
        groups.push(GroupBody {
            name: group.name,
            file: group.file,
            interval: STEP_MS / 1000,
            limit: 0,
            rules,
            evaluation_time: 0.0,
            last_evaluation: last.unwrap_or_else(|| NEVER.to_owned()),
        });
    }
    Ok(success(RulesData { groups }))
}

fn rule_body(
    rule: RuleView,
    alerts: &[&Alert],
    without_alerts: bool,
    state: &journal::State,
) -> RuleBody {
    let most_pressing = if alerts.iter().any(|alert| alert.is_firing()) {
        "firing"
    } else if alerts.is_empty() {
        "inactive"
    } else {
        "pending"
    };
    let shown = if without_alerts { &[] } else { alerts };
    RuleBody {
        state: most_pressing,
        name: rule.name,
        query: rule.query,
        duration: rule.hold_ms as f64 / 1e3,
        keep_firing_for: rule.keep_firing_ms as f64 / 1e3,
        labels: rule.labels,
        annotations: rule.annotations,
        alerts: shown.iter().map(|alert| alert_body(alert, state)).collect(),
        health: if rule.last_error.is_some() {
            "err"
        } else if rule.evaluated_to.is_none() {
            "unknown"
        } else {
            "ok"
        },
        last_error: rule.last_error,
        evaluation_time: 0.0,
        last_evaluation: rule.evaluated_to.map_or_else(|| NEVER.to_owned(), time),
        kind: "alerting",
    }
}

/// The alerts that are pending or firing.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "prometheus",
    responses((status = 200, description = "The alerts.", body = Success<AlertsData>)),
    security(("api_key" = []), ("bearer" = [])))]
pub(crate) async fn alerts(State(api): State<ApiState>) -> Json<Success<AlertsData>> {
    let state = api.journal.state();
    let active = state.alerts.values().filter(|alert| !alert.is_resolved());
    let alerts = active.map(|alert| alert_body(alert, &state)).collect();
    success(AlertsData { alerts })
}

fn alert_body(alert: &Alert, state: &journal::State) -> AlertBody {
    let last = &alert.last;
    let keeps = last.to == model::State::Keeping;
    AlertBody {
        labels: last.labels.clone(),
        annotations: last.annotations.clone(),
        state: if alert.is_firing() {
            "firing"
        } else {
            "pending"
        },
        active_at: time(last.active_at),
        keep_firing_since: keeps.then(|| time(last.at)),
        value: format_value(last.value),
        episode: last.episode.clone(),
        reason: last.reason,
        acknowledged: state.acknowledgements.contains_key(&last.episode),
    }
}

/// As Go writes it with the format `e`: `8.5e+01`.
fn format_value(value: Option<f64>) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else {
        return match value {
            Some(value) if value.is_infinite() && value > 0.0 => "+Inf".to_owned(),
            Some(value) if value.is_infinite() => "-Inf".to_owned(),
            _ => "NaN".to_owned(),
        };
    };
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent
        .strip_prefix('-')
        .map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::format_value;

    #[test]
    fn values_are_written_as_prometheus_writes_them() {
        let cases = [
            (85.0, "8.5e+01"),
            (1.0, "1e+00"),
            (-0.025, "-2.5e-02"),
            (1e100, "1e+100"),
            (0.0, "0e+00"),
        ];
        for (value, text) in cases {
            assert_eq!(format_value(Some(value)), text);
        }
        assert_eq!(format_value(Some(f64::NEG_INFINITY)), "-Inf");
        assert_eq!(format_value(None), "NaN");
    }
}
