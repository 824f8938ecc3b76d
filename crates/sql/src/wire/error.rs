//! Errors as clients see them: a SQLSTATE, words, and where in the statement.

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use pgwire::error::ErrorInfo;
use pgwire::messages::PgWireBackendMessage;

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

/// The error of a statement that does not parse.
pub fn of_parser(error: &ParserError, sql: &str) -> PgError {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.clone(),
        ParserError::RecursionLimitExceeded => "the statement is nested too deeply".to_owned(),
    };
    let (message, place) = match text.rsplit_once(" at Line: ") {
        Some((message, place)) => (message.to_owned(), place.split_once(", Column: ")),
        None => (text, None),
    };
    let error = PgError::new("42601", format!("syntax error: {message}"));
    match place.map(|(line, column)| (line.trim().parse(), column.trim().parse())) {
        Some((Ok(line), Ok(column))) => error.at(sql, line, column),
        _ => error,
    }
}

/// The error of a statement that cannot be planned or failed as it ran.
pub fn of_datafusion(error: &DataFusionError, sql: &str) -> PgError {
    let place = error
        .diagnostic()
        .and_then(|diagnostic| diagnostic.span)
        .map(|span| span.start);
    let root = error.find_root();
    let text = first_line(&root.strip_backtrace());
    let found = match root {
        DataFusionError::SQL(error, _) => return of_parser(error, sql),
        DataFusionError::SchemaError(error, _) => {
            let code = match **error {
                SchemaError::AmbiguousReference { .. } => "42702",
                SchemaError::FieldNotFound { .. } => "42703",
                _ => "42701",
            };
            PgError::new(code, text)
        }
        DataFusionError::NotImplemented(_) => PgError::new("0A000", text),
        DataFusionError::ResourcesExhausted(_) => PgError::new("53200", text)
            .hint("MEMORY_LIMIT bounds all queries together: ask for less"),
        DataFusionError::External(_) => PgError::new("58030", text),
        DataFusionError::Plan(_) => PgError::new(plan_code(&text), text),
        DataFusionError::ArrowError(_, _) | DataFusionError::Execution(_) => {
            PgError::new(value_code(&text), text)
        }
        _ => PgError::new("XX000", text),
    };
    match place {
        Some(place) => found.at(sql, place.line, place.column),
        None => found,
    }
}

fn first_line(text: &str) -> String {
    let text = text.trim();
    [
        "Error during planning: ",
        "Schema error: ",
        "Execution error: ",
        "Arrow error: ",
        "Resources exhausted: ",
    ]
    .iter()
    .find_map(|start| text.strip_prefix(start))
    .unwrap_or(text)
    .to_owned()
}

fn plan_code(text: &str) -> &'static str {
    let lower = text.to_ascii_lowercase();
    if lower.contains("table") && lower.contains("not found") {
        "42P01"
    } else if lower.contains("invalid function") || lower.contains("no function matches") {
        "42883"
    } else if lower.contains("group by") {
        "42803"
    } else if lower.contains("coerc") || lower.contains("type") {
        "42804"
    } else {
        "42601"
    }
}

fn value_code(text: &str) -> &'static str {
    let lower = text.to_ascii_lowercase();
    if lower.contains("divide by zero") {
        "22012"
    } else if lower.contains("overflow") {
        "22003"
    } else if lower.contains("cast") || lower.contains("pars") {
        "22P02"
    } else if lower.contains("unrecognized configuration parameter") {
        "42704"
    } else {
        "XX000"
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
