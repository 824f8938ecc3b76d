//! Errors as clients see them: a SQLSTATE, words, and where in the statement.

use pgwire::error::ErrorInfo;
use pgwire::messages::PgWireBackendMessage;
use service::errors::chain;
use tracing::error;

use crate::error::SqlError;

/// An error of the client's session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PgError {
    /// SQLSTATE: PostgreSQL's documentation, appendix A.
    pub code: &'static str,
    /// What is wrong, in lower case without a full stop.
    pub message: String,
    /// What the client can do about it.
    pub hint: Option<String>,
    /// The character of the statement at which the error is, from 1.
    pub position: Option<usize>,
    /// Whether the connection ends with it.
    pub fatal: bool,
}

impl PgError {
    /// An error that ends the statement.
    pub fn new(code: &'static str, message: impl Into<String>) -> PgError {
        PgError {
            code,
            message: message.into(),
            hint: None,
            position: None,
            fatal: false,
        }
    }

    /// An error that ends the connection.
    pub fn fatal(code: &'static str, message: impl Into<String>) -> PgError {
        PgError {
            fatal: true,
            ..PgError::new(code, message)
        }
    }

    /// The same with a hint.
    pub fn hint(self, hint: impl Into<String>) -> PgError {
        PgError {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// The same with the place of the error in `sql`, where `line` and `column` are known. Both count from 1.
    pub fn at(self, sql: &str, line: u64, column: u64) -> PgError {
        let (line, column) = (line as usize, column as usize);
        if line == 0 || column == 0 {
            return self;
        }
        let before: usize = sql
            .split_inclusive('\n')
            .take(line - 1)
            .map(|line| line.chars().count())
            .sum();
        PgError {
            position: Some(before + column),
            ..self
        }
    }

    /// The message that carries this error.
    pub fn message(&self) -> PgWireBackendMessage {
        PgWireBackendMessage::ErrorResponse(
            self.info(if self.fatal { "FATAL" } else { "ERROR" }).into(),
        )
    }

    /// The message that carries this as a remark.
    pub fn notice(&self) -> PgWireBackendMessage {
        PgWireBackendMessage::NoticeResponse(self.info("WARNING").into())
    }

    fn info(&self, severity: &str) -> ErrorInfo {
        let mut info = ErrorInfo::new(
            severity.to_owned(),
            self.code.to_owned(),
            self.message.clone(),
        );
        info.severity_nonlocalized = Some(severity.to_owned());
        info.hint = self.hint.clone();
        info.position = self.position.map(|position| position.to_string());
        info
    }
}

impl From<SqlError> for PgError {
    fn from(error: SqlError) -> PgError {
        if let SqlError::Fault(_) = &error {
            let reason = chain(&error);
            error!(event = "query_failed", %reason, "a query has no answer: {reason}");
        }
        let told = PgError::new(error.sqlstate(), error.to_string());
        match error {
            SqlError::ReadOnly(_) => told.hint("events are written by posting them to ingest"),
            _ => told,
        }
    }
}

/// The error with its place in `sql`.
pub fn of_sql(error: SqlError, sql: &str) -> PgError {
    let place = error.place();
    let told = PgError::from(error);
    match place {
        Some((line, column)) => told.at(sql, line, column),
        None => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_an_error_counts_characters_of_all_lines() {
        let error = PgError::new("42601", "x").at("select ä,\n  from", 2, 3);
        assert_eq!(error.position, Some(13));
    }
}
