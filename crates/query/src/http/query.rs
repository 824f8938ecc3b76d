//! `GET /query`: the values of a signal over time.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::answer::Answer;
use crate::http::parameters::{Aggregate, Cell, Parameters, duration, limit, range};
use crate::http::points::{Question, by_name};
use crate::http::refusal::{ErrorBody, Refusal};
use crate::http::shared::Shared;
use engine::kernels::{EntityFilter, Grouping};
use engine::snapshot::Snapshot;

/// Points of an answer where the request does not say.
const DEFAULT_LIMIT: usize = 10_000;

/// What is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct QueryParameters {
    /// The signal or contract field; several with commas between them, or `*` for every signal.
    #[param(example = "engine_rpm")]
    name: String,
    /// The kind; every kind that has the signal if absent.
    #[param(example = "vehicle")]
    kind: Option<String>,
    /// Start of the event times: milliseconds or seconds since 1970, or RFC 3339. An hour before `end` if absent.
    start: Option<String>,
    /// End of the event times, itself left out. Now if absent.
    end: Option<String>,
    /// Id of the only entity to look at.
    entity: Option<String>,
    /// Length of a time bucket, such as `5m`. Buckets begin at multiples of it since 1970.
    #[param(example = "5m")]
    step: Option<String>,
    /// `avg`, `min`, `max`, `sum`, `count`, `first`, `last`, `stddev`, `p50`, `p95`, `p99`, and of counters
    /// `increase` and `rate` (by the second); several with commas between them. `avg` if absent and `step` or `by` is
    /// there; with none of the three each event is a point.
    agg: Option<String>,
    /// `entity` gives each entity its own points.
    by: Option<String>,
    /// `true` reads the events of every hour, and percentiles are of the values themselves.
    exact: Option<bool>,
    /// Most points: 10,000 if absent.
    limit: Option<String>,
    /// `next` of the answer before, to go on from there.
    cursor: Option<String>,
    /// Longest time for the answer, such as `5s`; QUERY_TIMEOUT if absent or less.
    timeout: Option<String>,
}

/// Points in the order of time, then of kind, entity and signal.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueryAnswer {
    /// As it was asked for.
    name: String,
    points: Vec<PointBody>,
    /// Cursor of the points that follow; null if these are the last.
    next: Option<String>,
    /// True where a percentile is of more than 128 values: it is then within 0.4 % of the value of its rank.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    approximate: bool,
}

/// A point.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PointBody {
    /// Event time, or start of the bucket, in milliseconds since 1970; without buckets the start of the range.
    timestamp: i64,
    /// The signal, where several were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// A number or a text; booleans are 0 and 1. Null where there is none, as for the average of texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    value: Option<Cell>,
    /// By aggregate, where several were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, serde_json::Value>>)]
    values: Option<BTreeMap<&'static str, Cell>>,
    #[schema(value_type = String)]
    kind: Arc<str>,
    /// Absent where the point is of all entities.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    entity_id: Option<Arc<str>>,
}

/// The values of a signal over time: as they came, or aggregated.
#[utoipa::path(get, path = "/query", tag = "query", params(QueryParameters), security(("api_key" = []), ("bearer" = [])), responses(
    (status = 200, description = "The points.", body = QueryAnswer),
    (status = 400, description = "A parameter cannot be used.", body = ErrorBody),
    (status = 401, description = "No key, a wrong key, or several.", body = ErrorBody),
    (status = 408, description = "The query took too long.", body = ErrorBody),
    (status = 413, description = "The answer has too many groups.", body = ErrorBody),
    (status = 429, description = "Too many queries wait.", body = ErrorBody),
    (status = 500, description = "A part of the lake is broken, or S3 refuses to be read.", body = ErrorBody),
    (status = 503, description = "The lake cannot be read just now.", body = ErrorBody),
))]
pub(crate) async fn query(
    State(shared): State<Arc<Shared>>,
    Parameters(asked): Parameters<QueryParameters>,
) -> Result<Answer<QueryAnswer>, Refusal> {
    let timeout = asked.timeout.as_deref();
    shared
        .answer(timeout, |snapshot| answer(&shared, &asked, snapshot))
        .await
}

async fn answer(
    shared: &Shared,
    asked: &QueryParameters,
    snapshot: Snapshot,
) -> Result<QueryAnswer, Refusal> {
    let (start, end) = (asked.start.as_deref(), asked.end.as_deref());
    let times = range(start, end, shared.app.clock.now(), TimeDelta::hours(1))?;
    let step = asked
        .step
        .as_deref()
        .map(|text| duration("step", text))
        .transpose()?;
    // A step is bounded far below what microseconds have room for.
    let step = step.map(|step| step.as_micros() as i64);
    let by_entity = match asked.by.as_deref() {
        None => false,
        Some("entity") => true,
        Some(other) => {
            return Err(Refusal::parameter(
                "by",
                other,
                "send `entity`, or leave it out",
            ));
        }
    };
    let aggregates = match asked.agg.as_deref() {
        Some(names) => names
            .split(',')
            .map(Aggregate::parse)
            .collect::<Result<_, _>>()?,
        None if step.is_some() || by_entity => vec![Aggregate::Avg],
        None => Vec::new(),
    };
    let limit = limit(
        "limit",
        asked.limit.as_deref(),
        DEFAULT_LIMIT,
        shared.settings.max_rows,
    )?;
    let cursor = asked.cursor.as_deref().map(|text| {
        let wanted = "send `next` of an answer to the same question";
        text.parse()
            .map_err(|()| Refusal::parameter("cursor", text, wanted))
    });
    let names = shared
        .names
        .targets(&snapshot, asked.kind.as_deref(), &asked.name, &times)
        .await?;
    let several_names = asked.name.contains(',') || asked.name.trim() == "*";
    let mut targets = Vec::with_capacity(names.len());
    for target in names {
        let hours = snapshot.hours(&target.kind, times.start, times.end).await?;
        targets.push((target, hours));
    }
    let question = Question {
        scanner: shared.scanner(),
        commit: snapshot.commit(),
        is_exact: asked.exact.unwrap_or_default(),
        targets: &targets,
        times: times.start.timestamp_micros()..times.end.timestamp_micros(),
        entities: asked
            .entity
            .clone()
            .map_or(EntityFilter::All, EntityFilter::One),
        limit,
        after: cursor.transpose()?,
    };
    let page = if aggregates.is_empty() {
        question.events().await?
    } else {
        let grouping = Grouping { step, by_entity };
        question
            .groups(grouping, &aggregates, shared.settings.max_groups as usize)
            .await?
    };
    let entity: Option<Arc<str>> = asked.entity.as_deref().map(Arc::from);
    let points = page.points.into_iter().map(|point| {
        let target = &targets[point.target].0;
        let mut cells = point.cells;
        let several = aggregates.len() > 1;
        PointBody {
            timestamp: point.time.div_euclid(1000),
            name: several_names.then(|| target.signals[point.signal].clone()),
            value: if several { None } else { cells.pop() },
            values: several.then(|| by_name(&aggregates, cells)),
            kind: target.kind.clone(),
            entity_id: Some(point.entity)
                .filter(|entity| !entity.is_empty())
                .or_else(|| entity.clone()),
        }
    });
    Ok(QueryAnswer {
        name: asked.name.clone(),
        points: points.collect(),
        next: page.next.map(|cursor| cursor.to_string()),
        approximate: page.is_approximate,
    })
}
