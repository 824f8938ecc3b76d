//! `names`: which undeclared signals have columns.

use std::fmt::Write;

use anyhow::{Context, bail};
use aws::Aws;
use lake::rows::ColumnType;

use crate::config::{Config, NamesAction};
use crate::schema;

/// Carries out the action, and returns what to print.
///
/// # Errors
///
/// If the lake cannot be read or written, the kind is not declared, or a name to take out has no column; then nothing
/// is taken out.
pub async fn names(config: &Config, aws: &Aws, action: &NamesAction) -> anyhow::Result<String> {
    let kinds = config.kinds()?;
    let lake = aws.lake(&config.lake.lake_bucket);
    let declared = |kind: &str| {
        let names = kinds.names();
        kinds
            .get(kind)
            .with_context(|| format!("kind `{kind}` is not declared: there are {names}"))
    };
    let mut out = String::new();
    match action {
        NamesAction::List { kind } => {
            if let Some(kind) = kind {
                declared(kind)?;
            }
            for of_kind in kinds.iter() {
                if kind.as_ref().is_some_and(|kind| *kind != of_kind.name) {
                    continue;
                }
                let stored = schema::read(&lake, &of_kind.name).await?;
                let types = stored.map(|(types, _)| types).unwrap_or_default();
                for (name, r#type) in types.names() {
                    writeln!(out, "{}\t{name}\t{}", of_kind.name, word(r#type))?;
                }
                let (count, room) = (types.names().count(), types.room(of_kind));
                let kind = &of_kind.name;
                writeln!(
                    out,
                    "{kind}: {count} undeclared names, room for {room} more"
                )?;
            }
        }
        NamesAction::Drop { kind, names } => {
            let of_kind = declared(kind)?;
            let stored = schema::read(&lake, kind).await?;
            let types = stored.map(|(types, _)| types).unwrap_or_default();
            let is_there =
                |name: &&String| types.names().any(|(n, _)| n.eq_ignore_ascii_case(name));
            if let Some(unknown) = names.iter().find(|name| !is_there(name)) {
                bail!(
                    "`{unknown}` has no column: `aggregator names list --kind {kind}` shows those that do"
                );
            }
            let drop = |types: &mut lake::rows::SignalTypes| {
                let dropped = names.iter().filter(|name| types.drop_name(name)).count();
                dropped > 0
            };
            let types = schema::change(&lake, kind, drop).await?;
            let (count, room) = (names.len(), types.room(of_kind));
            writeln!(out, "{kind}: {count} names taken out, room for {room} more")?;
        }
    }
    Ok(out)
}

fn word(r#type: ColumnType) -> &'static str {
    match r#type {
        ColumnType::Number => "number",
        ColumnType::Integer => "integer",
        ColumnType::Boolean => "boolean",
        ColumnType::Text => "text",
    }
}
