//! `GET /v1/entities`: who has sent events.

use std::sync::Arc;

use axum::extract::State;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::answer::Answer;
use crate::http::parameters::{Parameters, limit, range};
use crate::http::refusal::{ErrorBody, Refusal};
use crate::http::shared::{Shared, kind};
use engine::kernels::{Ask, EntityFilter, Grouping, Wanted};
use engine::snapshot::Snapshot;

/// Entities of an answer where the request does not say.
const DEFAULT_LIMIT: usize = 1_000;

/// Whose ids are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EntitiesParameters {
    /// The kind.
    #[param(example = "vehicle")]
    kind: String,
    /// What the ids begin with.
    #[param(example = "veh-")]
    prefix: Option<String>,
    /// Start of the event times, as in `/query`. A day before `end` if absent.
    start: Option<String>,
    /// End of the event times, itself left out. Now if absent.
    end: Option<String>,
    /// Most ids: 1,000 if absent.
    limit: Option<String>,
    /// `next` of the answer before: the ids after it.
    after: Option<String>,
    /// As in `/query`.
    timeout: Option<String>,
}

/// The entities that have events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntitiesAnswer {
    kind: String,
    /// Ids in byte order.
    #[schema(value_type = Vec<String>)]
    entities: Vec<Arc<str>>,
    /// The last id where more follow, else null.
    #[schema(value_type = Option<String>)]
    next: Option<Arc<str>>,
}

/// The ids of entities that have events in a range of time.
#[utoipa::path(get, path = "/v1/entities", tag = "query", params(EntitiesParameters), security(("api_key" = []), ("bearer" = [])), responses(
    (status = 200, description = "The ids.", body = EntitiesAnswer),
    (status = 400, description = "A parameter cannot be used.", body = ErrorBody),
    (status = 413, description = "There are too many entities.", body = ErrorBody),
))]
pub(crate) async fn entities(
    State(shared): State<Arc<Shared>>,
    Parameters(asked): Parameters<EntitiesParameters>,
) -> Result<Answer<EntitiesAnswer>, Refusal> {
    let timeout = asked.timeout.as_deref();
    shared
        .answer(timeout, |snapshot| answer(&shared, &asked, snapshot))
        .await
}

async fn answer(
    shared: &Shared,
    asked: &EntitiesParameters,
    snapshot: Snapshot,
) -> Result<EntitiesAnswer, Refusal> {
    let kind = &kind(&snapshot, &asked.kind)?.name;
    let (start, end) = (asked.start.as_deref(), asked.end.as_deref());
    let times = range(start, end, shared.app.clock.now(), TimeDelta::days(1))?;
    let limit = limit(
        "limit",
        asked.limit.as_deref(),
        DEFAULT_LIMIT,
        shared.settings.max_rows,
    )?;
    let hours = snapshot.hours(kind, times.start, times.end).await?;
    let ask = Arc::new(Ask {
        signals: Vec::new(),
        times: times.start.timestamp_micros()..times.end.timestamp_micros(),
        entities: asked
            .prefix
            .clone()
            .map_or(EntityFilter::All, EntityFilter::Prefix),
    });
    let by_entity = Grouping {
        step: None,
        by_entity: true,
    };
    let most = shared.settings.max_groups as usize;
    let groups = shared
        .scanner()
        .groups(&hours, &ask, by_entity, Wanted::default(), most)
        .await?;
    let ids = groups
        .iter()
        .filter_map(|(group, ..)| group.entity.cloned());
    let after = asked.after.as_deref();
    let mut entities: Vec<Arc<str>> = ids
        .filter(|id| after.is_none_or(|after| **id > *after))
        .collect();
    entities.sort_unstable();
    let more = entities.len() > limit;
    entities.truncate(limit);
    Ok(EntitiesAnswer {
        kind: kind.clone(),
        next: entities.last().filter(|_| more).cloned(),
        entities,
    })
}
