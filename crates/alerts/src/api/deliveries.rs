//! What became of notifications, and acknowledgements.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{RawQuery, State};
use serde::{Deserialize, Serialize};
use tracing::info;
use utoipa::ToSchema;

use super::parameters::Parameters;
use super::refusal::{ErrorBody, Refusal};
use super::state::ApiState;
use crate::journal::{Acknowledgement, Entry, Notification, Status};

/// Deliveries in an answer, unless `limit` says otherwise.
const LIMIT: usize = 100;

/// Most that `limit` may say.
const MOST_LIMIT: usize = 1_000;

/// Notifications, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deliveries {
    deliveries: Vec<Notification>,
    /// Whether there are more than `limit`.
    truncated: bool,
}

/// Notifications with its attempts and their answers: those that are open or stuck, and the last thousand delivered.
#[utoipa::path(get, path = "/api/v1/deliveries", tag = "headwater",
    params(
        ("status" = Option<String>, Query, description = "`open`, `delivered` or `stuck`."),
        ("receiver" = Option<String>, Query, description = "Name of a receiver."),
        ("episode" = Option<String>, Query, description = "Only those that tell of this episode."),
        ("limit" = Option<usize>, Query, description = "Most in the answer: 100, at most 1000."),
    ),
    responses((status = 200, description = "The notifications.", body = Deliveries)),
    security(("api_key" = []), ("bearer" = [])))]
pub(crate) async fn deliveries(
    State(api): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Deliveries>, Refusal> {
    let parameters = Parameters::read(query.as_deref());
    let status = match parameters.one("status") {
        None => None,
        Some("open") => Some(Status::Open),
        Some("delivered") => Some(Status::Delivered),
        Some("stuck") => Some(Status::Stuck),
        Some(other) => {
            return Err(Refusal::parameter(
                "status",
                other,
                "write open, delivered or stuck",
            ));
        }
    };
    let limit = match parameters.one("limit") {
        None => LIMIT,
        Some(text) => {
            let limit = text
                .parse()
                .ok()
                .filter(|limit| (1..=MOST_LIMIT).contains(limit));
            limit
                .ok_or_else(|| Refusal::parameter("limit", text, "write a number from 1 to 1000"))?
        }
    };
    let (receiver, episode) = (parameters.one("receiver"), parameters.one("episode"));
    let state = api.journal.state();
    let all = state.notifications.values().chain(&state.delivered);
    let tells = |n: &Notification, episode: &str| {
        n.firing
            .iter()
            .chain(&n.resolved)
            .any(|told| told == episode)
    };
    let wanted = all.filter(|n| {
        status.is_none_or(|status| n.status == status)
            && receiver.is_none_or(|receiver| n.receiver == receiver)
            && episode.is_none_or(|episode| tells(n, episode))
    });
    let mut wanted: Vec<&Notification> = wanted.collect();
    wanted.sort_by_key(|n| std::cmp::Reverse(n.sequence));
    let truncated = wanted.len() > limit;
    let deliveries = wanted.into_iter().take(limit).cloned().collect();
    Ok(Json(Deliveries {
        deliveries,
        truncated,
    }))
}

/// Which stuck notifications are meant.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StuckRequest {
    /// Ids of notifications; all that are stuck where there are none.
    #[serde(default)]
    ids: Vec<String>,
}

/// The notifications that are no longer stuck.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NoLongerStuck {
    ids: Vec<String>,
}

/// Sends stuck notifications again, for another 24 hours and with the same ids.
#[utoipa::path(post, path = "/api/v1/deliveries/retry", tag = "headwater", request_body = StuckRequest,
    responses(
        (status = 200, description = "They are open again.", body = NoLongerStuck),
        (status = 404, description = "A notification is not stuck.", body = ErrorBody),
        (status = 503, description = "Another process leads.", body = ErrorBody),
    ),
    security(("api_key" = []), ("bearer" = [])))]
pub(crate) async fn retry(
    State(api): State<ApiState>,
    body: Result<Json<StuckRequest>, JsonRejection>,
) -> Result<Json<NoLongerStuck>, Refusal> {
    let at = api.journal.now();
    end_stuck(&api, body?.0, |notifications| Entry::Retried {
        notifications,
        at,
    })
    .await
}

/// Gives stuck notifications up for good, as where their receiver is gone.
#[utoipa::path(post, path = "/api/v1/deliveries/forget", tag = "headwater", request_body = StuckRequest,
    responses(
        (status = 200, description = "They are forgotten.", body = NoLongerStuck),
        (status = 404, description = "A notification is not stuck.", body = ErrorBody),
        (status = 503, description = "Another process leads.", body = ErrorBody),
    ),
    security(("api_key" = []), ("bearer" = [])))]
pub(crate) async fn forget(
    State(api): State<ApiState>,
    body: Result<Json<StuckRequest>, JsonRejection>,
) -> Result<Json<NoLongerStuck>, Refusal> {
    end_stuck(&api, body?.0, |notifications| Entry::Forgotten {
        notifications,
    })
    .await
}

async fn end_stuck(
    api: &ApiState,
    request: StuckRequest,
    entry: impl FnOnce(Vec<u64>) -> Entry,
) -> Result<Json<NoLongerStuck>, Refusal> {
    let (ids, sequences): (Vec<String>, Vec<u64>) = {
        let state = api.journal.state();
        let stuck = state.notifications.values();
        let stuck: BTreeMap<&str, u64> = stuck
            .filter(|n| n.status == Status::Stuck)
            .map(|n| (n.id.as_str(), n.sequence))
            .collect();
        if let Some(id) = request
            .ids
            .iter()
            .find(|id| !stuck.contains_key(id.as_str()))
        {
            return Err(Refusal::NotFound {
                what: "stuck notification",
                id: id.clone(),
            });
        }
        let wanted =
            |id: &str| request.ids.is_empty() || request.ids.iter().any(|asked| asked == id);
        let wanted = stuck.into_iter().filter(|(id, _)| wanted(id));
        wanted
            .map(|(id, sequence)| (id.to_owned(), sequence))
            .unzip()
    };
    if !ids.is_empty() {
        let entry = entry(sequences);
        let what = match entry {
            Entry::Forgotten { .. } => "forgotten",
            _ => "sent again",
        };
        api.journal.write(vec![entry]).await?;
        info!(
            event = "no_longer_stuck",
            count = ids.len(),
            "{} stuck notifications are {what}",
            ids.len()
        );
    }
    Ok(Json(NoLongerStuck { ids }))
}

/// Somebody looks after an episode.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcknowledgeRequest {
    /// Id of the episode, as in `/api/v1/alerts`.
    episode: String,
    created_by: String,
    #[serde(default)]
    comment: String,
}

/// The acknowledgements of alerts that fire or are pending.
#[utoipa::path(get, path = "/api/v1/acknowledgements", tag = "headwater",
    responses((status = 200, description = "The acknowledgements.", body = Vec<Acknowledgement>)),
    security(("api_key" = []), ("bearer" = [])))]
pub(crate) async fn acknowledgements(State(api): State<ApiState>) -> Json<Vec<Acknowledgement>> {
    Json(
        api.journal
            .state()
            .acknowledgements
            .values()
            .cloned()
            .collect(),
    )
}

/// Says that somebody looks after an episode: a group of such episodes is not repeated. It ends with the episode.
#[utoipa::path(post, path = "/api/v1/acknowledgements", tag = "headwater", request_body = AcknowledgeRequest,
    responses(
        (status = 200, description = "It is recorded.", body = Acknowledgement),
        (status = 404, description = "The episode is over or unknown.", body = ErrorBody),
        (status = 503, description = "Another process leads.", body = ErrorBody),
    ),
    security(("api_key" = []), ("bearer" = [])))]
pub(crate) async fn acknowledge(
    State(api): State<ApiState>,
    body: Result<Json<AcknowledgeRequest>, JsonRejection>,
) -> Result<Json<Acknowledgement>, Refusal> {
    let Json(request) = body?;
    let is_active = api
        .journal
        .state()
        .active()
        .any(|alert| alert.episode == request.episode);
    if !is_active {
        return Err(Refusal::NotFound {
            what: "active episode",
            id: request.episode,
        });
    }
    Refusal::check_texts(
        "created_by and comment",
        [&request.created_by, &request.comment],
    )?;
    let acknowledgement = Acknowledgement {
        episode: request.episode,
        at: api.journal.now(),
        created_by: request.created_by,
        comment: request.comment,
    };
    api.journal
        .write(vec![Entry::Acknowledged(acknowledgement.clone())])
        .await?;
    let Acknowledgement {
        episode,
        created_by,
        ..
    } = &acknowledgement;
    info!(event = "acknowledged", %episode, %created_by, "somebody looks after an alert");
    Ok(Json(acknowledgement))
}
