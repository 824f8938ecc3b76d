//! Views: SQL over the tables of kinds.
//!
//! `points` has each value in a row of its own, and what stands on it, rows for each minute, five minutes and hour,
//! needs no reader of its own: the names of kinds and signals are constants in each branch, so a condition on them
//! leaves out the branches that it does not fit before anything is read.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, SchemaRef};
use contract::Kind;

/// Columns of a table of a kind that are no signals.
const EVENT: [&str; 4] = ["event_id", "entity_id", "event_time", "ingest_received_at"];

/// The branches of `points` for one kind.
pub(crate) fn points_of(kind: &Kind, schema: &SchemaRef) -> Vec<String> {
    let branch = |(name, r#type): (&String, &DataType)| {
        let column = format!("\"{}\"", name.replace('"', "\"\""));
        let (value, text) = match r#type {
            DataType::Utf8 => ("CAST(NULL AS DOUBLE)".to_owned(), column.clone()),
            _ => (
                format!("CAST({column} AS DOUBLE)"),
                "CAST(NULL AS VARCHAR)".to_owned(),
            ),
        };
        format!(
            "SELECT '{}' AS kind, entity_id, event_time, '{}' AS signal, {value} AS value, {text} AS text \
             FROM \"{}\" WHERE {column} IS NOT NULL",
            kind.name,
            name.replace('\'', "''"),
            kind.name,
        )
    };
    let fields = signals_of(kind, schema);
    fields
        .map(|field| branch((field.name(), field.data_type())))
        .collect()
}

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

/// Views that need no more than `points` and the built-in kinds, by name.
pub(crate) const VIEWS: [(&str, &str); 5] = [
    ("kpi_1m", include_str!("../views/kpi_1m.sql")),
    ("kpi_5m", include_str!("../views/kpi_5m.sql")),
    ("aggregates", include_str!("../views/aggregates.sql")),
    ("pm_kpi_5m", include_str!("../views/pm_kpi_5m.sql")),
    ("busiest_cells", include_str!("../views/busiest_cells.sql")),
];
