//! `GET /v1/kinds`: what can be asked for.

use std::sync::Arc;

use axum::extract::State;
use contract::{FieldRule, Kind, METRIC, METRIC_INFO};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::answer::Answer;
use crate::http::parameters::Parameters;
use crate::http::refusal::Refusal;
use crate::http::shared::Shared;
use engine::kernels::{MetricInfos, TOLD_WITHIN};
use engine::snapshot::Snapshot;

/// How long the answer may take.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct KindsParameters {
    /// As in `/query`.
    timeout: Option<String>,
}

/// The kinds of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KindsAnswer {
    kinds: Vec<KindBody>,
}

/// A kind of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KindBody {
    name: String,
    /// Other names of the kind, which requests may use.
    aliases: Vec<String>,
    /// Version of the declaration.
    version: u32,
    description: String,
    /// The field of an event that is its `entity_id` here.
    entity_field: String,
    /// Start of the first hour with events, in milliseconds since 1970; null where there is none.
    first: Option<i64>,
    /// End of the last hour with events.
    until: Option<i64>,
    /// Contract fields, which can be asked for as signals can.
    fields: Vec<SignalBody>,
    /// In alphabetical order.
    signals: Vec<SignalBody>,
}

/// A signal or contract field.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignalBody {
    name: String,
    /// Whether the kind's declaration has it; the rest is known of declared ones, and of metrics whose senders tell.
    declared: bool,
    /// `number`, `integer`, `boolean` or `string`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    /// In UCUM where that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// `counter`, `gauge`, `histogram` or another type, as the sender of the metric tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    metric_type: Option<String>,
}

impl SignalBody {
    fn declared(rule: &FieldRule) -> SignalBody {
        SignalBody {
            name: rule.name.clone(),
            declared: true,
            r#type: Some(rule.scalar.to_string()),
            unit: rule.unit.clone(),
            description: Some(rule.description.clone()).filter(|text| !text.is_empty()),
            metric_type: None,
        }
    }

    fn undeclared(name: String, infos: &MetricInfos) -> SignalBody {
        let info = infos.of(&name).cloned().unwrap_or_default();
        let text = |text: Option<Arc<str>>| text.map(|text| text.to_string());
        SignalBody {
            name,
            declared: false,
            r#type: None,
            unit: text(info.unit),
            description: text(info.description),
            metric_type: text(info.r#type),
        }
    }
}

/// The kinds, their signals, and the time of which each has events.
#[utoipa::path(get, path = "/v1/kinds", tag = "query", params(KindsParameters), security(("api_key" = []), ("bearer" = [])), responses(
    (status = 200, description = "The kinds.", body = KindsAnswer),
))]
pub(crate) async fn kinds(
    State(shared): State<Arc<Shared>>,
    Parameters(asked): Parameters<KindsParameters>,
) -> Result<Answer<KindsAnswer>, Refusal> {
    let timeout = asked.timeout.as_deref();
    shared
        .answer(timeout, |snapshot| answer(&shared, snapshot))
        .await
}

async fn answer(shared: &Shared, snapshot: Snapshot) -> Result<KindsAnswer, Refusal> {
    let mut kinds = Vec::new();
    for kind in snapshot.kinds().iter() {
        kinds.push(describe(shared, &snapshot, kind).await?);
    }
    Ok(KindsAnswer { kinds })
}

async fn describe(shared: &Shared, snapshot: &Snapshot, kind: &Kind) -> Result<KindBody, Refusal> {
    let span = snapshot.span(&kind.name).await?;
    // Names that are stored nowhere yet are those of hot rows, which lie in the last hours.
    let last = span
        .map(|(_, last)| last.next().start())
        .unwrap_or_default();
    let times = last - chrono::TimeDelta::hours(2)..last;
    let names = shared.names.signals(snapshot, kind, &times).await?;
    let infos = match kind.name.as_str() {
        METRIC => {
            let told = snapshot.last_hours(METRIC_INFO, last, TOLD_WITHIN).await?;
            shared.scanner().metric_infos(&told).await?
        }
        _ => MetricInfos::default(),
    };
    let signals = names.into_iter().map(|name| match kind.signal(&name) {
        Some(rule) => SignalBody::declared(rule),
        None => SignalBody::undeclared(name, &infos),
    });
    Ok(KindBody {
        name: kind.name.clone(),
        aliases: kind.aliases.clone(),
        version: kind.version,
        description: kind.description.clone(),
        entity_field: kind.entity.field.clone(),
        first: span.map(|(first, _)| first.start().timestamp_millis()),
        until: span.map(|(_, last)| last.next().start().timestamp_millis()),
        fields: kind.fields.iter().map(SignalBody::declared).collect(),
        signals: signals.collect(),
    })
}
