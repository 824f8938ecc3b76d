//! Why a statement has no answer.

use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::parser::ParserError;
use engine::TurnError;
use engine::kernels::ScanError;
use lake::ReadError;

use crate::scan_budget::ScanTooLarge;

/// The most names that a message offers in the place of an unknown one.
const OFFERED: usize = 3;

/// Why a statement has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The lake has not been read whole yet.
    #[error("the lake has been read in part only: ask again")]
    Starting,
    /// The names of columns cannot be read from the lake.
    #[error("the lake cannot be read: ask again")]
    Lake(#[from] ReadError),
    /// A part of the lake cannot be read.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// It waited or ran too long, or could not even wait.
    #[error(transparent)]
    Turn(#[from] TurnError),
    /// It is no SQL.
    #[error("{message}")]
    Syntax {
        /// What was expected, and what is there.
        message: String,
        /// Line and column of the place, from 1, where they are known.
        place: Option<(u64, u64)>,
    },
    /// It would do more than read.
    #[error("{0} is refused: the lake is read here, and nothing is written")]
    ReadOnly(String),
    /// It names what there is not, or asks for what cannot be computed.
    #[error("{message}")]
    Invalid {
        /// What is wrong, and what would be right where that is known.
        message: String,
        /// Line and column of the place, from 1, where they are known.
        place: Option<(u64, u64)>,
        /// PostgreSQL's code for it.
        sqlstate: &'static str,
    },
    /// It would look at too much of the lake.
    #[error(transparent)]
    ScanTooLarge(#[from] ScanTooLarge),
    /// Its hash tables and sorts take more than MEMORY_LIMIT.
    #[error(
        "the query needs more memory than is left of MEMORY_LIMIT: ask for less time, fewer columns or fewer groups"
    )]
    Memory,
    /// The machine has no thread to plan it on.
    #[error("there is no thread to plan the statement on: ask again")]
    Thread(#[source] std::io::Error),
    /// A fault of this program.
    #[error("a fault of query: its log has more")]
    Fault(#[source] DataFusionError),
}

/// Line and column of a fault in a statement, from 1.
type Place = (u64, u64);

impl SqlError {
    pub(crate) fn invalid(sqlstate: &'static str, message: impl Into<String>) -> SqlError {
        SqlError::Invalid {
            message: message.into(),
            place: None,
            sqlstate,
        }
    }

    /// A value that cannot be given as it was asked for.
    pub fn from_arrow(error: ArrowError) -> SqlError {
        DataFusionError::from(error).into()
    }

    /// Where in the statement the fault is, if that is known: line and column, from 1.
    pub fn place(&self) -> Option<(u64, u64)> {
        match self {
            SqlError::Syntax { place, .. } | SqlError::Invalid { place, .. } => *place,
            _ => None,
        }
    }

    /// The code by which clients of PostgreSQL know it: PostgreSQL's documentation, appendix A.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            SqlError::Starting => "57P03",
            SqlError::Lake(_) | SqlError::Scan(_) => "58030",
            // query_canceled, of which PostgreSQL's own timeout is one
            SqlError::Turn(TurnError::TimedOut(_)) => "57014",
            SqlError::Turn(TurnError::TooMany(_)) => "53300",
            SqlError::Syntax { .. } => "42601",
            SqlError::ReadOnly(_) => "25006",
            SqlError::Invalid { sqlstate, .. } => sqlstate,
            SqlError::ScanTooLarge(_) => "53400",
            SqlError::Memory => "53200",
            SqlError::Thread(_) => "53000",
            SqlError::Fault(_) => "XX000",
        }
    }

    /// The error of planning or running in `context`: an unknown table gets the nearest names of those that there are.
    pub(crate) fn of_plan(error: DataFusionError, context: &SessionContext) -> SqlError {
        let mut found = SqlError::from(error);
        if let SqlError::Invalid {
            message, sqlstate, ..
        } = &mut found
            && let Some(name) = unknown_table(message)
        {
            let schemas = context.catalog("headwater");
            let schema = schemas.and_then(|catalog| catalog.schema("public"));
            let known = schema
                .map(|schema| schema.table_names())
                .unwrap_or_default();
            let nearest = nearest(name, known.iter().map(String::as_str));
            *message = format!("no table `{name}`: {nearest}");
            *sqlstate = NO_TABLE;
        }
        found
    }
}

/// undefined_table
const NO_TABLE: &str = "42P01";

/// The name in DataFusion's words for a table that there is not.
fn unknown_table(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("table '")?;
    let (name, _) = rest.split_once("' not found")?;
    name.rsplit('.').next()
}

impl From<ParserError> for SqlError {
    fn from(error: ParserError) -> SqlError {
        let message = match error {
            ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
            ParserError::RecursionLimitExceeded => {
                return SqlError::invalid(TOO_DEEP, "the statement is nested too deeply");
            }
        };
        // The parser gives the place in its message alone: "… at Line: 1, Column: 8".
        let (text, place) = match message.rsplit_once(" at Line: ") {
            Some((text, place)) => (text, place.split_once(", Column: ")),
            None => (message.as_str(), None),
        };
        let place = place.and_then(|(line, column)| {
            Some((line.trim().parse().ok()?, column.trim().parse().ok()?))
        });
        SqlError::Syntax {
            message: format!("this is no SQL: {text}"),
            place,
        }
    }
}

/// statement_too_complex
pub(crate) const TOO_DEEP: &str = "54001";

impl From<DataFusionError> for SqlError {
    fn from(error: DataFusionError) -> SqlError {
        let span = error.diagnostic().and_then(|diagnostic| diagnostic.span);
        let place = span.map(|span| (span.start.line, span.start.column));
        of_datafusion(
            error,
            place.filter(|(line, column)| *line > 0 && *column > 0),
        )
    }
}

fn of_datafusion(error: DataFusionError, place: Option<Place>) -> SqlError {
    let invalid = |sqlstate, message: &str| SqlError::Invalid {
        message: plain(message),
        place,
        sqlstate,
    };
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            of_datafusion(*inner, place)
        }
        DataFusionError::Collection(mut errors) if !errors.is_empty() => {
            of_datafusion(errors.swap_remove(0), place)
        }
        DataFusionError::SQL(parser, _) => (*parser).into(),
        DataFusionError::ResourcesExhausted(_) => SqlError::Memory,
        DataFusionError::External(inner) => of_ours(inner),
        DataFusionError::Shared(shared) => match shared.find_root() {
            DataFusionError::ResourcesExhausted(_) => SqlError::Memory,
            DataFusionError::External(inner) => {
                match (inner.downcast_ref::<ScanError>(), inner.downcast_ref()) {
                    (Some(scan), _) => SqlError::Scan(scan.shared()),
                    (None, Some(TurnError::TimedOut(limit))) => {
                        SqlError::Turn(TurnError::TimedOut(*limit))
                    }
                    _ => SqlError::Fault(DataFusionError::Shared(shared.clone())),
                }
            }
            other => {
                let text = other.strip_backtrace();
                invalid(code_of_value(&text), &text)
            }
        },
        DataFusionError::SchemaError(schema, _) => {
            let code = match *schema {
                SchemaError::AmbiguousReference { .. } => "42702",
                SchemaError::FieldNotFound { .. } => "42703",
                _ => "42701",
            };
            invalid(code, &of_schema(&schema))
        }
        fault @ (DataFusionError::Internal(_)
        | DataFusionError::IoError(_)
        | DataFusionError::ExecutionJoin(_)) => SqlError::Fault(fault),
        DataFusionError::NotImplemented(text) => invalid("0A000", &text),
        DataFusionError::Plan(text) => invalid(code_of_plan(&text), &text),
        other => {
            let text = other.strip_backtrace();
            invalid(code_of_value(&text), &text)
        }
    }
}

/// An error of our own tables, which DataFusion only carried.
fn of_ours(error: Box<dyn std::error::Error + Send + Sync>) -> SqlError {
    match error.downcast::<ScanError>() {
        Ok(scan) => SqlError::Scan(*scan),
        Err(error) => match error.downcast::<ReadError>() {
            Ok(read) => SqlError::Lake(*read),
            Err(error) => match error.downcast::<ScanTooLarge>() {
                Ok(scan) => SqlError::ScanTooLarge(*scan),
                Err(error) => match error.downcast::<TurnError>() {
                    Ok(turn) => SqlError::Turn(*turn),
                    Err(error) => SqlError::Fault(DataFusionError::External(error)),
                },
            },
        },
    }
}

/// The code of a plan that cannot be made. DataFusion tells in words alone what is wrong.
fn code_of_plan(text: &str) -> &'static str {
    let lower = text.to_ascii_lowercase();
    if unknown_table(text).is_some() {
        NO_TABLE
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

/// The code of a value that cannot be computed.
fn code_of_value(text: &str) -> &'static str {
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

fn of_schema(error: &SchemaError) -> String {
    let SchemaError::FieldNotFound {
        field,
        valid_fields,
    } = error
    else {
        return error.to_string();
    };
    let names = valid_fields.iter().map(|field| field.name.as_str());
    format!(
        "no column `{}`: {}",
        field.name,
        nearest(&field.name, names)
    )
}

/// Names in place of an unknown one.
pub(crate) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let mut near: Vec<(f64, &str)> = known
        .map(|other| (strsim::jaro_winkler(name, other), other))
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    near.dedup_by(|a, b| a.1 == b.1);
    let near: Vec<String> = near
        .iter()
        .take(OFFERED)
        .map(|(_, name)| format!("`{name}`"))
        .collect();
    if near.is_empty() {
        "there is none".to_owned()
    } else {
        format!("the nearest are {}", near.join(", "))
    }
}

/// Without the kind of error that DataFusion puts before its messages.
fn plain(message: &str) -> String {
    let kinds = [
        "Error during planning: ",
        "Execution error: ",
        "Arrow error: ",
        "This feature is not implemented: ",
        "Schema error: ",
        "Optimizer rule",
    ];
    let mut text = message;
    while let Some(rest) = kinds.iter().find_map(|kind| text.strip_prefix(kind)) {
        text = rest;
    }
    text.to_owned()
}
