//! `/v1/sql` of a program without SQL: says how to have it.

use crate::http::refusal::Refusal;

/// A program that was built without the feature `sql` cannot answer.
#[utoipa::path(post, path = "/v1/sql", tag = "query", responses((status = 501, description = "This program was built without SQL.")))]
pub(crate) async fn post_sql() -> Refusal {
    Refusal::NoSql
}

/// The same.
#[utoipa::path(get, path = "/v1/sql", tag = "query", responses((status = 501, description = "This program was built without SQL.")))]
pub(crate) async fn get_sql() -> Refusal {
    Refusal::NoSql
}
