//! `GET /v1/latest`: the last values.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::answer::Answer;
use crate::http::parameters::{Cell, Parameters, duration, limit};
use crate::http::refusal::{ErrorBody, Refusal};
use crate::http::shared::{Shared, kind, newest_first};
use engine::kernels::{Ask, EntityFilter, Grouping, Groups, Wanted};
use engine::snapshot::Snapshot;

/// Entities of an answer where the request does not say.
const DEFAULT_LIMIT: usize = 1_000;

/// How far back from the newest hour is looked where the request does not say.
const LOOK_BACK: TimeDelta = TimeDelta::hours(24);

/// Whose last values are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LatestParameters {
    /// The kind.
    #[param(example = "vehicle")]
    kind: String,
    /// The entity; all of the newest hour that has any if absent.
    #[param(example = "veh-00123")]
    entity: Option<String>,
    /// How far back from the kind's newest hour to look, such as `7d`: a day if absent.
    look_back: Option<String>,
    /// Most entities: 1,000 if absent.
    limit: Option<String>,
    /// As in `/query`.
    timeout: Option<String>,
}

/// Last values by entity.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LatestAnswer {
    kind: String,
    /// In byte order of their ids; empty where no event is found.
    entities: Vec<LatestEntity>,
    /// Whether there are more entities than the limit.
    truncated: bool,
}

/// The last values of an entity in the newest hour in which it is found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LatestEntity {
    #[schema(value_type = String)]
    entity_id: Arc<str>,
    /// The latest of the times below, in milliseconds since 1970.
    timestamp: i64,
    /// By signal.
    signals: BTreeMap<String, LatestValue>,
}

/// The last value of a signal.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LatestValue {
    /// Event time in milliseconds since 1970.
    timestamp: i64,
    /// A number or a text; booleans are 0 and 1.
    #[schema(value_type = Option<serde_json::Value>)]
    value: Cell,
}

/// The last value of each signal, newest hour first: the first hour that has an event answers.
#[utoipa::path(get, path = "/v1/latest", tag = "query", params(LatestParameters), security(("api_key" = []), ("bearer" = [])), responses(
    (status = 200, description = "The last values.", body = LatestAnswer),
    (status = 400, description = "A parameter cannot be used.", body = ErrorBody),
))]
pub(crate) async fn latest(
    State(shared): State<Arc<Shared>>,
    Parameters(asked): Parameters<LatestParameters>,
) -> Result<Answer<LatestAnswer>, Refusal> {
    let timeout = asked.timeout.as_deref();
    shared
        .answer(timeout, |snapshot| answer(&shared, &asked, snapshot))
        .await
}

async fn answer(
    shared: &Shared,
    asked: &LatestParameters,
    snapshot: Snapshot,
) -> Result<LatestAnswer, Refusal> {
    let kind = kind(&snapshot, &asked.kind)?;
    let look_back = asked
        .look_back
        .as_deref()
        .map(|text| duration("look_back", text))
        .transpose()?;
    let look_back = look_back
        .and_then(|back| TimeDelta::from_std(back).ok())
        .unwrap_or(LOOK_BACK);
    let limit = limit(
        "limit",
        asked.limit.as_deref(),
        DEFAULT_LIMIT,
        shared.settings.max_rows,
    )?;
    let mut answer = LatestAnswer {
        kind: kind.name.clone(),
        entities: Vec::new(),
        truncated: false,
    };
    let Some(span) = snapshot.span(&kind.name).await? else {
        return Ok(answer);
    };
    let earliest = span.1.start() - look_back;
    for hour in newest_first(span).take_while(|hour| hour.start() >= earliest) {
        let times = hour.start()..hour.next().start();
        let hours = snapshot.hours(&kind.name, times.start, times.end).await?;
        if hours.is_empty() {
            continue;
        }
        let signals = shared.names.signals(&snapshot, kind, &times).await?;
        let ask = Arc::new(Ask {
            signals: signals.into_iter().collect(),
            times: micros(times.start)..micros(times.end),
            entities: asked
                .entity
                .clone()
                .map_or(EntityFilter::All, EntityFilter::One),
        });
        let by_entity = Grouping {
            step: None,
            by_entity: true,
        };
        let ends = Wanted {
            ends: true,
            ..Wanted::default()
        };
        let most = shared.settings.max_groups as usize;
        let groups = shared
            .scanner()
            .groups(&hours, &ask, by_entity, ends, most)
            .await?;
        answer.entities = entities(&groups, &ask.signals);
        if !answer.entities.is_empty() {
            break;
        }
    }
    answer.truncated = answer.entities.len() > limit;
    answer.entities.truncate(limit);
    Ok(answer)
}

fn micros(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros()
}

fn entities(groups: &Groups, names: &[String]) -> Vec<LatestEntity> {
    let entity =
        |(group, _, stats): (engine::kernels::Group<'_>, u64, &[engine::kernels::Stat])| {
            let lasts = names.iter().zip(stats).filter_map(|(name, stat)| {
                let (time, value) = stat.last()?;
                let value = LatestValue {
                    timestamp: time.div_euclid(1000),
                    value: Cell::of(value),
                };
                Some((name.clone(), value))
            });
            let signals: BTreeMap<String, LatestValue> = lasts.collect();
            Some(LatestEntity {
                entity_id: group.entity?.clone(),
                timestamp: signals.values().map(|value| value.timestamp).max()?,
                signals,
            })
        };
    let mut entities: Vec<LatestEntity> = groups.iter().filter_map(entity).collect();
    entities.sort_unstable_by(|a, b| a.entity_id.cmp(&b.entity_id));
    entities
}
