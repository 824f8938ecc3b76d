//! Prepared statements and portals: what a session keeps of the extended protocol.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{Expr, Statement};

use super::encode::Column;
use super::error::PgError;
use super::params;
use super::rows::Rows;

/// A prepared statement.
pub(super) struct Prepared {
    /// None for a query of comments only.
    pub(super) statement: Option<Statement>,
    pub(super) sql: Arc<str>,
    /// Types of the parameters, 0 where only a plan can say.
    pub(super) parameters: Vec<u32>,
    /// The columns, once they have been asked for; none for statements without rows.
    pub(super) described: Option<Option<Arc<[Column]>>>,
}

impl Prepared {
    pub(super) fn new(
        statement: Option<Statement>,
        given: &[u32],
        sql: Arc<str>,
    ) -> Result<Prepared, PgError> {
        let mut statement = statement;
        let parameters = match &mut statement {
            Some(statement) => params::declared(statement, given)?,
            None => given.to_vec(),
        };
        Ok(Prepared {
            statement,
            sql,
            parameters,
            described: None,
        })
    }
}

/// A prepared statement with its values.
pub(super) struct Portal {
    pub(super) prepared: String,
    pub(super) statement: Option<Statement>,
    pub(super) sql: Arc<str>,
    pub(super) values: Vec<Expr>,
    pub(super) formats: Vec<i16>,
    /// The columns that the client was told, if it asked.
    pub(super) described: Option<Arc<[Column]>>,
    /// Rows that the client has not asked for yet, and the tag at their end.
    pub(super) suspended: Option<(Rows, &'static str, u64)>,
}
