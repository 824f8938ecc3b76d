//! Alertmanager's silences.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tracing::info;
use utoipa::ToSchema;
use uuid::Uuid;

use super::parameters::Parameters;
use super::refusal::Refusal;
use super::state::ApiState;
use crate::journal::{Entry, Silence, SilenceStatus};
use crate::matcher::{Matcher, MatcherBody, all_match};
use crate::model::Labels;
use crate::notify::time;

/// Most silences at a time, expired ones of the last five days among them.
const MOST_SILENCES: usize = 10_000;

/// Most matchers of a silence.
const MOST_MATCHERS: usize = 100;

/// A silence to be set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SilenceRequest {
    /// Of the silence to change; a new one is set where it is left out.
    #[serde(default)]
    id: Option<String>,
    matchers: Vec<MatcherBody>,
    #[schema(value_type = String, format = DateTime)]
    starts_at: DateTime<Utc>,
    #[schema(value_type = String, format = DateTime)]
    ends_at: DateTime<Utc>,
    created_by: String,
    comment: String,
}

/// The silence that was set.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SilenceSet {
    #[serde(rename = "silenceID")]
    silence_id: String,
}

/// A silence.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SilenceBody {
    id: String,
    status: SilenceState,
    updated_at: String,
    comment: String,
    created_by: String,
    ends_at: String,
    matchers: Vec<MatcherBody>,
    starts_at: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SilenceState {
    state: SilenceStatus,
}

impl SilenceBody {
    fn new(silence: &Silence, now: i64) -> SilenceBody {
        SilenceBody {
            id: silence.id.clone(),
            status: SilenceState {
                state: silence.status(now),
            },
            updated_at: time(silence.updated_at),
            comment: silence.comment.clone(),
            created_by: silence.created_by.clone(),
            ends_at: time(silence.ends_at),
            matchers: silence
                .matchers
                .iter()
                .cloned()
                .map(MatcherBody::from)
                .collect(),
            starts_at: time(silence.starts_at),
        }
    }
}

/// The silences: those that hold first, then those to come, then those that are over, for five days.
#[utoipa::path(get, path = "/api/v2/silences", tag = "alertmanager",
    params(("filter" = Option<String>, Query, description = "A matcher that the silence has; may come several times.")),
    responses((status = 200, description = "The silences.", body = Vec<SilenceBody>)),
    security(("api_key" = []), ("bearer" = [])))]
pub(crate) async fn list(
    State(api): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Vec<SilenceBody>>, Refusal> {
    let filters = Parameters::read(query.as_deref()).filters()?;
    let (state, now) = (api.journal.state(), api.journal.now());
    let has_all = |silence: &&Silence| all_match(&filters, &named_by(silence));
    let mut silences: Vec<&Silence> = state.silences.values().filter(has_all).collect();
    let order = |silence: &Silence| match silence.status(now) {
        SilenceStatus::Active => (0, silence.ends_at),
        SilenceStatus::Pending => (1, silence.starts_at),
        SilenceStatus::Expired => (2, -silence.ends_at),
    };
    silences.sort_by_key(|silence| order(silence));
    Ok(Json(
        silences
            .into_iter()
            .map(|silence| SilenceBody::new(silence, now))
            .collect(),
    ))
}

/// The labels that the silence names, with what it wants of each as written: filters are held against these, as
/// Alertmanager does.
fn named_by(silence: &Silence) -> Labels {
    let bodies = silence.matchers.iter().cloned().map(MatcherBody::from);
    bodies.map(|body| (body.name, body.value)).collect()
}

/// Sets a silence, or changes one. It is recorded before this is answered.
#[utoipa::path(post, path = "/api/v2/silences", tag = "alertmanager", request_body = SilenceRequest,
    responses(
        (status = 200, description = "The silence is set.", body = SilenceSet),
        (status = 400, description = "It cannot be set.", body = String, content_type = "application/json"),
        (status = 404, description = "There is no silence to change.", body = String, content_type = "application/json"),
        (status = 503, description = "Another process leads.", body = String, content_type = "application/json"),
    ),
    security(("api_key" = []), ("bearer" = [])))]
pub(crate) async fn set(
    State(api): State<ApiState>,
    body: Result<Json<SilenceRequest>, JsonRejection>,
) -> Result<Json<SilenceSet>, Refusal> {
    let Json(request) = body?;
    let now = api.journal.now();
    let mut silence = check(&request, now)?;
    let mut entries = Vec::new();
    {
        let state = api.journal.state();
        if let Some(id) = request.id.as_deref().filter(|id| !id.is_empty()) {
            let known = state.silences.get(id).ok_or_else(|| not_found(id))?;
            let is_over = known.status(now) == SilenceStatus::Expired;
            if !is_over && known.matchers == silence.matchers {
                silence.id.clone_from(&known.id);
                silence.starts_at = if known.status(now) == SilenceStatus::Active {
                    known.starts_at
                } else {
                    silence.starts_at
                };
            } else if !is_over {
                // As in Alertmanager: a silence of other alerts is another silence.
                entries.push(Entry::SilenceExpired {
                    id: id.to_owned(),
                    at: now,
                });
            }
        }
        if state.silences.len() >= MOST_SILENCES && !state.silences.contains_key(&silence.id) {
            return Err(Refusal::TooManySilences(state.silences.len()));
        }
    }
    let (silence_id, created_by) = (silence.id.clone(), silence.created_by.clone());
    let ends_at = time(silence.ends_at);
    entries.push(Entry::SilenceSet(silence));
    api.journal.write(entries).await?;
    info!(event = "silence_set", silence = %silence_id, %created_by, %ends_at, "a silence is set until {ends_at}");
    Ok(Json(SilenceSet { silence_id }))
}

fn check(request: &SilenceRequest, now: i64) -> Result<Silence, Refusal> {
    let wrong = |message: &str| Err(Refusal::InvalidBody(message.to_owned()));
    let (starts_at, ends_at) = (
        request.starts_at.timestamp_millis(),
        request.ends_at.timestamp_millis(),
    );
    if request.matchers.is_empty() || request.matchers.len() > MOST_MATCHERS {
        return Err(Refusal::InvalidBody(format!(
            "a silence has 1 to {MOST_MATCHERS} matchers"
        )));
    }
    let matchers: Result<Vec<Matcher>, _> = request
        .matchers
        .iter()
        .cloned()
        .map(Matcher::try_from)
        .collect();
    let matchers = matchers.map_err(|error| Refusal::InvalidBody(error.to_string()))?;
    if matchers.iter().all(Matcher::matches_empty) {
        return wrong(
            "at least one matcher must not match an absent label: this silence would match every alert",
        );
    }
    if ends_at <= starts_at {
        return wrong("endsAt is not after startsAt");
    }
    if ends_at <= now {
        return wrong("endsAt is past");
    }
    Refusal::check_texts(
        "createdBy and comment",
        [&request.created_by, &request.comment],
    )?;
    Ok(Silence {
        id: Uuid::new_v4().to_string(),
        matchers,
        starts_at: starts_at.max(now),
        ends_at,
        updated_at: now,
        created_by: request.created_by.clone(),
        comment: request.comment.clone(),
    })
}

fn not_found(id: &str) -> Refusal {
    Refusal::NotFound {
        what: "silence",
        id: id.to_owned(),
    }
}

/// A silence.
#[utoipa::path(get, path = "/api/v2/silence/{silenceID}", tag = "alertmanager",
    params(("silenceID" = String, Path, description = "Its id.")),
    responses(
        (status = 200, description = "The silence.", body = SilenceBody),
        (status = 404, description = "There is none.", body = String, content_type = "application/json"),
    ),
    security(("api_key" = []), ("bearer" = [])))]
pub(crate) async fn one(
    State(api): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<SilenceBody>, Refusal> {
    let (state, now) = (api.journal.state(), api.journal.now());
    let silence = state.silences.get(&id).ok_or_else(|| not_found(&id))?;
    Ok(Json(SilenceBody::new(silence, now)))
}

/// Ends a silence. It is recorded before this is answered.
#[utoipa::path(delete, path = "/api/v2/silence/{silenceID}", tag = "alertmanager",
    params(("silenceID" = String, Path, description = "Its id.")),
    responses(
        (status = 200, description = "The silence is over."),
        (status = 404, description = "There is none.", body = String, content_type = "application/json"),
        (status = 503, description = "Another process leads.", body = String, content_type = "application/json"),
    ),
    security(("api_key" = []), ("bearer" = [])))]
pub(crate) async fn expire(
    State(api): State<ApiState>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    if !api.journal.state().silences.contains_key(&id) {
        return Err(not_found(&id));
    }
    let at = api.journal.now();
    api.journal
        .write(vec![Entry::SilenceExpired { id: id.clone(), at }])
        .await?;
    info!(event = "silence_expired", silence = %id, "a silence was ended");
    Ok(StatusCode::OK)
}
