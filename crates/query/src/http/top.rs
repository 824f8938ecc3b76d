//! `GET /v1/top`: the entities with the greatest values, such as the busiest cells.

use std::sync::Arc;

use axum::extract::State;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::answer::Answer;
use crate::http::parameters::{Aggregate, Cell, Parameters, duration, limit, time};
use crate::http::refusal::{ErrorBody, Refusal};
use crate::http::shared::Shared;
use engine::kernels::{Ask, EntityFilter, Grouping, Wanted};
use engine::snapshot::Snapshot;

/// Which entities are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TopParameters {
    /// The kind.
    #[param(example = "cell")]
    kind: String,
    /// The signal or contract field.
    #[param(example = "dl_prb_util_pct")]
    signal: String,
    /// What is compared, as in `/query`; `avg` if absent.
    agg: Option<String>,
    /// Length of the time before `end`, such as `15m`; an hour if absent.
    #[param(example = "15m")]
    window: Option<String>,
    /// End of the event times, itself left out. Now if absent.
    end: Option<String>,
    /// How many entities, 10 if absent.
    n: Option<String>,
    /// As in `/query`.
    exact: Option<bool>,
    /// As in `/query`.
    timeout: Option<String>,
}

/// The first entities.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TopAnswer {
    kind: String,
    signal: String,
    agg: &'static str,
    /// Start of the window in milliseconds since 1970.
    start: i64,
    /// End of the window, itself left out.
    end: i64,
    /// The greatest value first; entities of one value in byte order of their ids.
    entities: Vec<TopEntity>,
    /// As in `/query`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    approximate: bool,
}

/// An entity and its value.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TopEntity {
    #[schema(value_type = String)]
    entity_id: Arc<str>,
    value: f64,
    /// How many values it is made of.
    count: u64,
}

/// The entities with the greatest aggregate of a signal.
#[utoipa::path(get, path = "/v1/top", tag = "query", params(TopParameters), security(("api_key" = []), ("bearer" = [])), responses(
    (status = 200, description = "The first entities.", body = TopAnswer),
    (status = 400, description = "A parameter cannot be used.", body = ErrorBody),
    (status = 413, description = "There are too many entities.", body = ErrorBody),
))]
pub(crate) async fn top(
    State(shared): State<Arc<Shared>>,
    Parameters(asked): Parameters<TopParameters>,
) -> Result<Answer<TopAnswer>, Refusal> {
    let timeout = asked.timeout.as_deref();
    shared
        .answer(timeout, |snapshot| answer(&shared, &asked, snapshot))
        .await
}

async fn answer(
    shared: &Shared,
    asked: &TopParameters,
    snapshot: Snapshot,
) -> Result<TopAnswer, Refusal> {
    let aggregate = Aggregate::parse(asked.agg.as_deref().unwrap_or("avg"))?;
    let window = duration("window", asked.window.as_deref().unwrap_or("1h"))?;
    let end = asked
        .end
        .as_deref()
        .map(|text| time("end", text))
        .transpose()?;
    let end = end.unwrap_or_else(|| shared.app.clock.now());
    let start = end - TimeDelta::from_std(window).unwrap_or(TimeDelta::hours(1));
    let n = limit("n", asked.n.as_deref(), 10, shared.settings.max_rows)?;
    if asked.signal.contains([',', '*']) {
        return Err(Refusal::parameter(
            "signal",
            &asked.signal,
            "send one signal",
        ));
    }
    let (kind, times) = (Some(asked.kind.as_str()), start..end);
    let targets = shared
        .names
        .targets(&snapshot, kind, &asked.signal, &times)
        .await?;
    let mut answer = TopAnswer {
        kind: asked.kind.clone(),
        signal: asked.signal.clone(),
        agg: aggregate.name(),
        start: start.timestamp_millis(),
        end: end.timestamp_millis(),
        entities: Vec::new(),
        approximate: false,
    };
    for target in targets {
        let hours = snapshot.hours(&target.kind, start, end).await?;
        let ask = Arc::new(Ask {
            signals: target.signals,
            times: start.timestamp_micros()..end.timestamp_micros(),
            entities: EntityFilter::All,
        });
        let by_entity = Grouping {
            step: None,
            by_entity: true,
        };
        let wanted = Wanted {
            exact: asked.exact.unwrap_or_default(),
            ..Aggregate::wanted(&[aggregate])
        };
        let (of, most) = (
            (&*target.kind, snapshot.commit()),
            shared.settings.max_groups as usize,
        );
        let scanner = shared.scanner();
        let mut groups = scanner
            .groups_by_hours(of, &hours, &ask, by_entity, wanted, most)
            .await?;
        if aggregate.is_of_counter() {
            let labels = target.labels.as_deref();
            scanner
                .add_increases(&mut groups, &hours, &ask, by_entity, labels, most)
                .await?;
        }
        for (group, _, stats) in groups.iter() {
            let (Some(entity), Some(stat)) = (group.entity, stats.first()) else {
                continue;
            };
            let value = match aggregate.value(stat, window.as_secs_f64()) {
                Cell::Number(value) => value,
                Cell::Count(count) if count > 0 => count as f64,
                _ => continue,
            };
            answer.approximate |= aggregate.is_percentile() && stat.is_approximate();
            answer.entities.push(TopEntity {
                entity_id: entity.clone(),
                value,
                count: stat.count,
            });
        }
    }
    // No value is NaN: such a one is no cell with a number.
    let greatest_first = |a: &TopEntity, b: &TopEntity| {
        let by_value = b.value.total_cmp(&a.value);
        by_value.then_with(|| a.entity_id.cmp(&b.entity_id))
    };
    answer.entities.sort_unstable_by(greatest_first);
    answer.entities.truncate(n);
    Ok(answer)
}
