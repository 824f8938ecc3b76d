//! What `COPY … TO STDOUT` copies, and how it writes it.

use datafusion::sql::sqlparser::ast::{
    CopyLegacyCsvOption, CopyLegacyOption, CopyOption, CopySource, Statement,
};

use super::command::{name_of, parse};
use super::error::PgError;

/// How `COPY` writes rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyForm {
    /// CSV rather than text.
    pub csv: bool,
    /// Between columns.
    pub delimiter: char,
    /// For NULL.
    pub null: String,
    /// Whether the headings go first.
    pub header: bool,
}

/// The query whose rows are copied.
pub(super) fn copied(source: CopySource) -> Result<Statement, PgError> {
    match source {
        CopySource::Query(query) => Ok(Statement::Query(query)),
        CopySource::Table {
            table_name,
            columns,
        } => {
            let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
            let columns = if columns.is_empty() {
                "*".to_owned()
            } else {
                columns.join(", ")
            };
            let mut statements = parse(&format!("SELECT {columns} FROM {table_name}"))?;
            statements
                .pop()
                .ok_or_else(|| PgError::new("42601", "syntax error"))
        }
    }
}

/// How rows are written, by either spelling of the options.
pub(super) fn form_of(
    options: &[CopyOption],
    legacy: &[CopyLegacyOption],
) -> Result<CopyForm, PgError> {
    let unsupported =
        |what: String| PgError::new("0A000", format!("COPY option {what} is not supported"));
    let (mut csv, mut delimiter, mut null, mut header) = (false, None, None, false);
    for option in options {
        match option {
            CopyOption::Format(format) => match name_of(format).as_str() {
                "text" => csv = false,
                "csv" => csv = true,
                other => return Err(unsupported(format!("FORMAT {other}"))),
            },
            CopyOption::Delimiter(character) => delimiter = Some(*character),
            CopyOption::Null(text) => null = Some(text.clone()),
            CopyOption::Header(wanted) => header = *wanted,
            CopyOption::Quote('"') | CopyOption::Escape('"') | CopyOption::Encoding(_) => {}
            other => return Err(unsupported(other.to_string())),
        }
    }
    for option in legacy {
        match option {
            CopyLegacyOption::Csv(parts) => {
                csv = true;
                header |= parts
                    .iter()
                    .any(|part| matches!(part, CopyLegacyCsvOption::Header));
            }
            CopyLegacyOption::Header => header = true,
            CopyLegacyOption::Delimiter(character) => delimiter = Some(*character),
            CopyLegacyOption::Null(text) => null = Some(text.clone()),
            other => return Err(unsupported(other.to_string())),
        }
    }
    Ok(CopyForm {
        csv,
        delimiter: delimiter.unwrap_or(if csv { ',' } else { '\t' }),
        null: null.unwrap_or_else(|| if csv { String::new() } else { "\\N".to_owned() }),
        header,
    })
}
