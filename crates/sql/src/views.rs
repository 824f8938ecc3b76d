//! Views: SQL over the tables of kinds, of the program and of its user.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use arrow::datatypes::{DataType, Field, SchemaRef};
use contract::Kind;
use tracing::warn;

use crate::error::SqlError;
use crate::statement::parse_one;

/// Columns of a table of a kind that are no signals.
const EVENT: [&str; 4] = ["event_id", "entity_id", "event_time", "ingest_received_at"];

fn signals_of<'s>(kind: &'s Kind, schema: &'s SchemaRef) -> impl Iterator<Item = &'s Arc<Field>> {
    schema.fields().iter().filter(|field| {
        let name = field.name().as_str();
        !EVENT.contains(&name)
            && name != lake::rows::MORE
            && !kind.fields.iter().any(|rule| rule.name == name)
    })
}

/// The view `pm_events`: the events of cells with all their counters as one JSON text.
pub(crate) fn pm_events(kind: &Kind, schema: &SchemaRef) -> String {
    let member = |field: &Arc<Field>| {
        let column = format!("\"{}\"", field.name().replace('"', "\"\""));
        let value = if *field.data_type() == DataType::Utf8 {
            format!("'\"' || replace(replace({column}, '\\', '\\\\'), '\"', '\\\"') || '\"'")
        } else {
            format!("CAST({column} AS VARCHAR)")
        };
        let name = field.name().replace('\'', "''");
        format!("CASE WHEN {column} IS NOT NULL THEN '\"{name}\":' || {value} END")
    };
    let members: Vec<String> = signals_of(kind, schema).map(member).collect();
    format!(
        "SELECT event_id, event_time, ingest_received_at AS ingest_time, source, entity_id, \
         '{{' || concat_ws(',', {}) || '}}' AS metrics FROM \"{}\"",
        members.join(", "),
        kind.name,
    )
}

/// Views of the built-in kinds, by name.
const VIEWS: [(&str, &str); 6] = [
    ("pm_kpi_5m", include_str!("../views/pm_kpi_5m.sql")),
    ("busiest_cells", include_str!("../views/busiest_cells.sql")),
    ("streams", include_str!("../views/streams.sql")),
    (
        "chat_summary_minute",
        include_str!("../views/chat_summary_minute.sql"),
    ),
    (
        "viewer_timeseries",
        include_str!("../views/viewer_timeseries.sql"),
    ),
    ("transactions", include_str!("../views/transactions.sql")),
];

/// A view of the program or of its user. It is left out where it cannot be planned, as where the user has declared a
/// kind anew without one of its columns, and where a table has its name.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) name: String,
    pub(crate) query: String,
    /// Whether it is left out now: that is logged once, and not for each statement.
    left_out: Arc<AtomicBool>,
}

impl View {
    pub(crate) fn new(name: &str, query: String, left_out: Arc<AtomicBool>) -> View {
        View {
            name: name.to_owned(),
            query,
            left_out,
        }
    }

    /// The views of the built-in kinds.
    pub(crate) fn built_in() -> Vec<Arc<View>> {
        let view = |(name, query): (&str, &str)| View::new(name, query.to_owned(), Arc::default());
        VIEWS.map(view).map(Arc::new).into()
    }

    /// Whether it was left out when it was named last.
    pub(crate) fn is_left_out(&self) -> bool {
        self.left_out.load(Relaxed)
    }

    /// Notes that it can be planned.
    pub(crate) fn take_in(&self) {
        self.left_out.store(false, Relaxed);
    }

    /// Notes that it is left out, for the others' sake.
    pub(crate) fn leave_out(&self, reason: &str) {
        let name = self.name.as_str();
        if !self.left_out.swap(true, Relaxed) {
            warn!(
                event = "view_left_out",
                view = name,
                reason,
                "the view `{name}` is left out: {reason}"
            );
        }
    }

    /// The views of a folder in the order of their names: each file `NAME.sql` is one.
    pub(crate) fn of_folder(folder: &Path) -> Result<Vec<Arc<View>>, SqlError> {
        let unreadable = |path: &Path, error: &std::io::Error| {
            wrong(&format!("cannot read `{}`: {error}", path.display()))
        };
        let files = std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
        let mut views = Vec::new();
        for file in files {
            let path = file.map_err(|error| unreadable(folder, &error))?.path();
            if path.extension().is_none_or(|ending| ending != "sql") {
                continue;
            }
            let name = path.file_stem().and_then(|name| name.to_str());
            let name = name.unwrap_or_default().to_owned();
            let fits =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            if name.is_empty() || !name.bytes().all(fits) {
                return Err(wrong(&format!(
                    "`{}` is no name of a view: use lower case letters, digits and `_`",
                    path.display()
                )));
            }
            let query =
                std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
            if let Err(error) = parse_one(&query) {
                return Err(wrong(&format!("`{}`: {error}", path.display())));
            }
            views.push(Arc::new(View::new(&name, query, Arc::default())));
        }
        views.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(views)
    }
}

fn wrong(message: &str) -> SqlError {
    SqlError::invalid("22023", format!("VIEWS: {message}"))
}
