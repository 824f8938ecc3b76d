//! `POST /v1/sql` and `GET /v1/sql`: a statement over the lake.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use serde::Deserialize;
use sql::{Answer, Encoder, Format, SessionOptions, SqlError};
use tracing::error;
use utoipa::{IntoParams, ToSchema};

use crate::http::answer::FRESH_UNTIL;
use crate::http::parameters::{Parameters, duration};
use crate::http::refusal::{ErrorBody, Refusal};
use crate::http::shared::Shared;

/// Bytes of an answer that are made before the first one is sent: an error within them has a status of its own.
const FIRST_BYTES: usize = 256 * 1024;

/// A statement in the address.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SqlParameters {
    /// The statement.
    #[param(example = "SELECT count(*) FROM vehicle")]
    q: String,
    /// As in `/query`.
    timeout: Option<String>,
    /// Whether it may look at more than `MAX_SCAN_BYTES`; not if absent.
    full: Option<bool>,
}

/// A statement in JSON.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlBody {
    /// The statement.
    #[schema(example = "SELECT count(*) FROM vehicle WHERE entity_id = $1")]
    sql: String,
    /// Values of `$1`, `$2`, …: numbers, texts, booleans or null.
    #[serde(default)]
    #[schema(value_type = Vec<serde_json::Value>)]
    params: Vec<serde_json::Value>,
    /// As in `/query`.
    timeout: Option<String>,
    /// Whether it may look at more than `MAX_SCAN_BYTES`.
    #[serde(default)]
    full: bool,
}

/// Rows of a statement as JSON.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "it is written row by row, and stands here for the document"
)]
struct RowsAsJson {
    columns: Vec<ColumnAsJson>,
    /// A value for each column.
    rows: Vec<Vec<serde_json::Value>>,
    /// Whether there would have been more than MAX_ROWS.
    truncated: bool,
}

/// A column of the rows.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it stands here for the document")]
struct ColumnAsJson {
    name: String,
    /// PostgreSQL's name of the type.
    r#type: String,
}

/// Runs a statement that reads, and gives its rows in the form that `Accept` names: `application/json`,
/// `application/x-ndjson`, `text/csv` or `application/vnd.apache.arrow.stream`. The body is the statement, or JSON.
#[utoipa::path(post, path = "/v1/sql", tag = "query", request_body(content((SqlBody = "application/json"), (String = "text/plain"))),
    security(("api_key" = []), ("bearer" = [])), responses(
    (status = 200, description = "The rows. Of more than MAX_ROWS the first, and `truncated`, as JSON; in another form the answer breaks off.", content(
        (RowsAsJson = "application/json"), (String = "application/x-ndjson"), (String = "text/csv"),
        (Vec<u8> = "application/vnd.apache.arrow.stream"))),
    (status = 400, description = "The statement cannot be run.", body = ErrorBody),
    (status = 408, description = "It took longer than QUERY_TIMEOUT, or the request's own `timeout`.", body = ErrorBody),
    (status = 413, description = "It needs more than MEMORY_LIMIT, MAX_SCAN_BYTES or MAX_ROWS.", body = ErrorBody),
    (status = 429, description = "Too many queries wait already.", body = ErrorBody),
    (status = 503, description = "The lake cannot be read.", body = ErrorBody),
))]
pub(crate) async fn post_sql(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let r#type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let body = if r#type.is_some_and(|value| value.contains("json")) {
        serde_json::from_slice(&body).map_err(|error| {
            Refusal::InvalidParameter(format!(
                "the body is no JSON such as {{\"sql\":\"SELECT 1\"}}: {error}"
            ))
        })?
    } else {
        let sql = String::from_utf8(body.to_vec());
        let sql = sql.map_err(|_| Refusal::InvalidParameter("the body is no UTF-8".to_owned()))?;
        SqlBody {
            sql,
            params: Vec::new(),
            timeout: None,
            full: false,
        }
    };
    answer(&shared, &headers, body).await
}

/// The same for a statement in the address.
#[utoipa::path(get, path = "/v1/sql", tag = "query", params(SqlParameters), security(("api_key" = []), ("bearer" = [])), responses(
    (status = 200, description = "As for POST.", content(
        (RowsAsJson = "application/json"), (String = "application/x-ndjson"), (String = "text/csv"),
        (Vec<u8> = "application/vnd.apache.arrow.stream"))),
    (status = 400, description = "The statement cannot be run.", body = ErrorBody),
))]
pub(crate) async fn get_sql(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Parameters(asked): Parameters<SqlParameters>,
) -> Result<Response, Refusal> {
    let body = SqlBody {
        sql: asked.q,
        params: Vec::new(),
        timeout: asked.timeout,
        full: asked.full.unwrap_or_default(),
    };
    answer(&shared, &headers, body).await
}

async fn answer(
    shared: &Arc<Shared>,
    headers: &HeaderMap,
    body: SqlBody,
) -> Result<Response, Refusal> {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let format = Format::of_accept(accept.unwrap_or("*/*")).ok_or_else(|| {
        Refusal::parameter(
            "Accept",
            accept.unwrap_or_default(),
            "ask for application/json, application/x-ndjson, text/csv or application/vnd.apache.arrow.stream",
        )
    })?;
    let wanted = body
        .timeout
        .as_deref()
        .filter(|text| !text.is_empty())
        .map(|text| duration("timeout", text))
        .transpose()?;
    let most = shared.settings.query_timeout;
    let limit: Duration = wanted.map_or(most, |wanted| wanted.min(most));
    let options = SessionOptions {
        allow_full_scan: body.full,
        ..SessionOptions::default()
    };
    let running = shared
        .app
        .database
        .run(&body.sql, &body.params, &options, limit)
        .await?;
    let fresh_until = running.fresh_until().map(contract::format_millis);
    let mut rows = Rows::new(running, format, shared.settings.max_rows as usize)?;
    let mut first = rows.next().await?.unwrap_or_default();
    while first.len() < FIRST_BYTES {
        let Some(more) = rows.next().await? else {
            break;
        };
        first.extend(more);
    }
    let rest = futures::stream::unfold(rows, async |mut rows| match rows.next().await {
        Ok(bytes) => bytes.map(|bytes| (Ok(Bytes::from(bytes)), rows)),
        Err(refusal) => {
            error!(event = "query_cut", reason = %refusal, "an answer under way was cut: {refusal}");
            Some((Err(std::io::Error::other(refusal.to_string())), rows))
        }
    });

    let body = futures::stream::once(async { Ok(Bytes::from(first)) }).chain(rest);
    let mut response = Body::from_stream(body).into_response();
    let out = response.headers_mut();
    out.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(format.media_type()),
    );
    if let Some(time) = fresh_until.and_then(|time| HeaderValue::try_from(time).ok()) {
        out.insert(FRESH_UNTIL, time);
    }
    Ok(response)
}

/// An answer as bytes.
struct Rows {
    answer: Answer,
    format: Format,
    encoder: Encoder,
    most: usize,
    left: usize,
    state: Step,
}

enum Step {
    Begin,
    Rows,
    /// There are more rows, and the form has no place to say so.
    TooMany,
    Ended,
}

impl Rows {
    fn new(answer: Answer, format: Format, most: usize) -> Result<Rows, Refusal> {
        let encoder = Encoder::new(format, answer.schema());
        Ok(Rows {
            encoder: encoder.map_err(SqlError::from_arrow)?,
            answer,
            format,
            most,
            left: most,
            state: Step::Begin,
        })
    }

    /// The next bytes; none at the end.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        let bytes = match self.state {
            Step::Begin => {
                self.state = Step::Rows;
                self.encoder.begin()
            }
            Step::Rows => match self.answer.next().await? {
                Some(batch) if batch.num_rows() > self.left => {
                    let part = batch.slice(0, self.left);
                    let rows = self.encoder.rows(&part);
                    if self.format == Format::Json {
                        self.state = Step::Ended;
                        rows.and_then(|mut rows| {
                            rows.extend(self.encoder.end(true)?);
                            Ok(rows)
                        })
                    } else {
                        self.state = Step::TooMany;
                        rows
                    }
                }
                Some(batch) => {
                    self.left -= batch.num_rows();
                    self.encoder.rows(&batch)
                }
                None => {
                    self.state = Step::Ended;
                    self.encoder.end(false)
                }
            },
            // An answer that merely ended here would be taken for whole.
            Step::TooMany => return Err(Refusal::TooManyRows { most: self.most }),
            Step::Ended => return Ok(None),
        };
        Ok(Some(bytes.map_err(SqlError::from_arrow)?))
    }
}
