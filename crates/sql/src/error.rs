//! Why a statement has no answer.

use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
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
    #[error("{0}")]
    Invalid(String),
    /// It would look at too much of the lake.
    #[error(transparent)]
    ScanTooLarge(#[from] ScanTooLarge),
    /// Its hash tables and sorts take more than MEMORY_LIMIT.
    #[error(
        "the query needs more memory than is left of MEMORY_LIMIT: ask for less time, fewer columns or fewer groups"
    )]
    Memory,
    /// A fault of this program.
    #[error("a fault of query: its log has more")]
    Fault(#[source] DataFusionError),
}

impl SqlError {
    pub(crate) fn from_parser(error: &ParserError) -> SqlError {
        of_parser(error)
    }

    /// A value that cannot be given as it was asked for.
    pub fn from_arrow(error: ArrowError) -> SqlError {
        DataFusionError::from(error).into()
    }
}

impl From<DataFusionError> for SqlError {
    fn from(error: DataFusionError) -> SqlError {
        match error {
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
                (*inner).into()
            }
            DataFusionError::SQL(parser, _) => of_parser(&parser),
            DataFusionError::ResourcesExhausted(_) => SqlError::Memory,
            DataFusionError::External(inner) => match inner.downcast::<ScanError>() {
                Ok(scan) => SqlError::Scan(*scan),
                Err(inner) => match inner.downcast::<ReadError>() {
                    Ok(read) => SqlError::Lake(*read),
                    Err(inner) => match inner.downcast::<ScanTooLarge>() {
                        Ok(scan) => SqlError::ScanTooLarge(*scan),
                        Err(inner) => SqlError::Fault(DataFusionError::External(inner)),
                    },
                },
            },
            DataFusionError::Shared(shared) => match shared.find_root() {
                DataFusionError::ResourcesExhausted(_) => SqlError::Memory,
                DataFusionError::External(inner) => match inner.downcast_ref::<ScanError>() {
                    Some(scan) => SqlError::Scan(scan.shared()),
                    None => SqlError::Fault(DataFusionError::Shared(shared.clone())),
                },
                other => SqlError::Invalid(plain(&other.strip_backtrace())),
            },
            DataFusionError::SchemaError(schema, _) => SqlError::Invalid(of_schema(&schema)),
            fault @ (DataFusionError::Internal(_)
            | DataFusionError::IoError(_)
            | DataFusionError::ExecutionJoin(_)) => SqlError::Fault(fault),
            other => SqlError::Invalid(plain(&other.strip_backtrace())),
        }
    }
}

fn of_parser(error: &ParserError) -> SqlError {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.clone(),
        ParserError::RecursionLimitExceeded => "the statement is nested too deeply".to_owned(),
    };
    // The parser gives the place in its message alone: "… at Line: 1, Column: 8".
    let place = message.rsplit_once(" at Line: ").and_then(|(_, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        Some((line.parse().ok()?, column.parse().ok()?))
    });
    let text = message
        .rsplit_once(" at Line: ")
        .map_or(message.as_str(), |(text, _)| text);
    SqlError::Syntax {
        message: format!("this is no SQL: {text}"),
        place,
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
        "Optimizer rule",
    ];
    let mut text = message;
    while let Some(rest) = kinds.iter().find_map(|kind| text.strip_prefix(kind)) {
        text = rest;
    }
    text.to_owned()
}
